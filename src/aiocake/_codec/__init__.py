"""Between arguments and bytes: encode a call, check its answer, decode a success.

Three pure functions, and one file for each format that they read or write. What an operation takes
and answers stands in its :class:`~aiocake._operations.operation.Operation`; nothing here knows any
endpoint, the key, or the network.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from aiocake._codec import requests_v1_form, requests_v1_get, requests_v2, soap
from aiocake._codec.error_messages import error_of
from aiocake._codec.leniency import Leniency
from aiocake._codec.refusals import OK, check
from aiocake._codec.reply import BodyFormat, format_of
from aiocake._codec.results import decode
from aiocake._codec.validation import validate
from aiocake._codec.xml.references import ReferenceFilter
from aiocake._messages import Request, Response
from aiocake._operations.operation import Api, Operation
from aiocake.values import Binding, Idempotency

__all__ = [
    "Leniency",
    "applied_likely",
    "check",
    "decode",
    "dropped",
    "encode",
    "error_of",
    "prepare",
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
    """Check the arguments of a call, and make its request.

    Args:
        operation: The operation.
        arguments: By name; SKIP is as good as not given.
        binding: The form of a v1 call. One that must not be repeated goes by SOAP 1.2 in place
            of GET, which proxies repeat and cache. v2 has one form only.

    Returns:
        The arguments that were given, as exact built-in values, and the request, with a hole for
        the key.

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
    """Return the request of a call: the second half of what :func:`prepare` gives."""
    return prepare(operation, arguments, binding)[1]


def applied_likely(response: Response) -> bool:
    """Whether an answer that cannot be read is most likely one to a write that was carried out.

    Args:
        response: The answer.

    Returns:
        True of a 200 that is no page of HTML: login and help pages are, and did nothing.
    """
    return response.status in OK and format_of(response.body) is not BodyFormat.HTML


def dropped(response: Response) -> int:
    """How many illegal references were left out of an answer when it was read.

    Args:
        response: A success.
    """
    if format_of(response.body) is not BodyFormat.XML:
        return 0
    references = ReferenceFilter()
    references.feed(response.body)
    references.close()
    return references.dropped
