"""Between arguments and bytes: encode a call, find the error in a response, decode a success.

Three pure functions, and one file for each format that they read or write. A response is parsed
once, into the :class:`Reply` that both of the last two take. The parameters of an operation and the
shape of its response stand in its :class:`~aiocake._operations.operation.Operation`; nothing here
knows any endpoint, the key, or the network.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from aiocake._codec import requests_v1_form, requests_v1_get, requests_v2, soap
from aiocake._codec.leniency import Leniency
from aiocake._codec.refusals import OK, error_of
from aiocake._codec.reply import BodyFormat, Reply, format_of
from aiocake._codec.results import decode
from aiocake._codec.validation import validate
from aiocake._messages import Request, Response
from aiocake._operations.operation import Api, Operation
from aiocake.values import Binding, Idempotency

__all__ = [
    "Leniency",
    "Reply",
    "applied_likely",
    "decode",
    "encode",
    "error_of",
    "prepare",
    "read_reply",
]

T = TypeVar("T")

_BINDINGS: Final[Mapping[Binding, Callable[[Operation[object], Mapping[str, object]], Request]]] = {
    Binding.GET: requests_v1_get.request,
    Binding.POST: requests_v1_form.request,
    Binding.SOAP11: lambda operation, provided: soap.request(operation, provided, soap.SOAP11),
    Binding.SOAP12: lambda operation, provided: soap.request(operation, provided, soap.SOAP12),
}


def prepare(
    operation: Operation[T], arguments: Mapping[str, object], binding: Binding
) -> tuple[dict[str, object], Request]:
    """Validate the arguments of a call, and make its request.

    Args:
        operation: The operation.
        arguments: By name; one that is SKIP is left out.
        binding: The form of a v1 call. One that must not be repeated goes by SOAP 1.2 in place
            of GET, which proxies repeat and cache. v2 has one form only.

    Returns:
        The arguments without those that are SKIP, as exact built-in values, and the request, with
        a place for the key.

    Raises:
        ArgumentError: Names every argument that is missing, unknown or cannot be sent.
    """
    plain: Operation[Any] = operation
    provided = validate(plain, arguments)
    if plain.api is Api.V2:
        return provided, requests_v2.request(plain, provided)
    if binding is Binding.GET and plain.idempotency_of(provided) is Idempotency.NON_IDEMPOTENT:
        binding = Binding.SOAP12
    return provided, _BINDINGS[binding](plain, provided)


def encode(operation: Operation[T], arguments: Mapping[str, object], binding: Binding) -> Request:
    """Return the request of a call, as :func:`prepare` makes it."""
    return prepare(operation, arguments, binding)[1]


def read_reply(response: Response, *, show_sensitive: bool = False) -> Reply:
    """Return a response as what :func:`error_of` and :func:`decode` take. Parses nothing yet.

    Args:
        response: The response.
        show_sensitive: Whether errors may show names, notes and amounts.
    """
    return Reply(response, show_sensitive=show_sensitive)


def applied_likely(response: Response) -> bool:
    """Return whether a response that cannot be read is most likely one to a write carried out.

    It is one of a 200, unless it is a page of HTML: login and help pages did nothing.
    """
    return response.status in OK and format_of(response.body) is not BodyFormat.HTML
