"""Between arguments and bytes: prepare a request, find the error in a response, decode a success.

Three pure functions, and one file for each format that they read or write. A response is parsed
once, into the :class:`Reply` that both of the last two take. The parameters of an operation and the
shape of its response stand in its :class:`~aiocake._operations.operation.Operation`; nothing here
knows any endpoint, the key, or the network.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from aiocake._codec import requests_v1, requests_v2
from aiocake._codec.leniency import Leniency
from aiocake._codec.refusals import OK, error_of
from aiocake._codec.reply import BodyFormat, Reply, format_of
from aiocake._codec.requests_v2 import Encode
from aiocake._codec.results import decode
from aiocake._codec.validation import Validate, validator
from aiocake._messages import Request, Response
from aiocake._operations.operation import Api, Operation
from aiocake.errors import ArgumentError, Problem
from aiocake.values import Binding, Idempotency

__all__ = [
    "Leniency",
    "Reply",
    "applied_likely",
    "decode",
    "error_of",
    "prepare",
    "read_reply",
]

T = TypeVar("T")


@lru_cache(256)
def _compiled(operation: Operation[Any]) -> tuple[Validate, Mapping[Binding, Encode]]:
    """Return the functions that check and encode the calls of an operation: made once."""
    if operation.api is Api.V2:
        return validator(operation), dict.fromkeys(Binding, requests_v2.encoder(operation))
    from aiocake._codec import soap  # noqa: PLC0415 - v1 only

    encoders = {
        Binding.GET: requests_v1.get_encoder(operation),
        Binding.POST: requests_v1.form_encoder(operation),
        Binding.SOAP11: soap.encoder(operation, soap.SOAP11),
        Binding.SOAP12: soap.encoder(operation, soap.SOAP12),
    }
    return validator(operation), encoders


#: For a call that must not be repeated, the best first.
_NOT_GET: Final = (Binding.SOAP12, Binding.SOAP11, Binding.POST)


def prepare(
    operation: Operation[T],
    arguments: Mapping[str, object],
    binding: Binding,
    answered: frozenset[Binding] | None = None,
) -> tuple[dict[str, object], Request]:
    """Validate the arguments of a call, and make its request.

    Args:
        operation: The operation.
        arguments: By name; one that is SKIP is left out.
        binding: The form of a v1 call. One that must not be repeated goes by SOAP 1.2 in place
            of GET, which proxies repeat and cache. v2 has one form only.
        answered: The bindings that the instance is known to answer; None where nothing is known.

    Returns:
        The arguments without those that are SKIP, as exact built-in values, and the request, with
        a place for the key.

    Raises:
        ArgumentError: Names every argument that is missing, unknown or cannot be sent.
    """
    validate, encoders = _compiled(operation)
    provided = validate(arguments)
    if (
        binding is Binding.GET
        and operation.api is Api.V1
        and operation.idempotency_of(provided) is Idempotency.NON_IDEMPOTENT
    ):
        best = (each for each in _NOT_GET if answered is None or each in answered)
        binding = next(best, Binding.SOAP12)
    if operation.api is Api.V1 and answered is not None and binding not in answered:
        others = ", ".join(sorted(answered)) or "none"
        reason = f"this instance does not answer {binding} (by its traits it answers: {others})"
        raise ArgumentError(Problem("binding", reason))
    return provided, encoders[binding](provided)


#: Makes of a response what :func:`error_of` and :func:`decode` take. Parses nothing yet.
read_reply: Final = Reply


def applied_likely(response: Response) -> bool:
    """Return whether a response that cannot be read is most likely one to a write carried out.

    It is one of a 200, unless it is a page of HTML: login and help pages did nothing.
    """
    return response.status in OK and format_of(response.body) is not BodyFormat.HTML
