"""Find the error that a response reports, in any status, and in the body of a 200.

Three layers say no: CAKE (a 200 whose ``success`` is false or whose ``request_status`` is not
Success), ASP.NET (a 500 with its own text, or a SOAP Fault), and IIS or the network between (HTML,
or nothing). So neither the status nor the body is judged alone. A write is done only where the
response says so in as many words, and not done only where it or one of a few statuses does.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiocake._codec.error_messages import (
    error_class_alone,
    error_class_of,
    error_from_message,
    is_binding_error,
    redact,
    says_done,
    says_failed,
    short,
    soap_kind,
)
from aiocake._codec.reply import (
    BOTH,
    BodyFormat,
    Reply,
    ReplyStatus,
    as_text,
    is_object,
    title_of,
)
from aiocake._codec.snippet import snippet
from aiocake._codec.xml.tree import XmlElement
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import format_value
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    DecodeError,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
)
from aiocake.values import Idempotency

#: All else of 2xx says that something else than usual was done.
OK: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
_ERRORS: Final = range(400, 600)
#: By these the application refuses a request before it acts on it (RFC 9110 section 15.5 and RFC
#: 6585). Any other 4xx may come from a gateway that had passed the request on: Envoy says 408 when
#: its upstream is late, nginx 499 and AWS 460 when a client has gone. It says as little as a 504.
_REFUSALS: Final[Mapping[int, type[ApiError]]] = {
    400: RequestRejected,
    401: AuthenticationError,
    403: RequestRejected,
    404: NotFound,
    405: RequestRejected,
    409: RequestRejected,
    410: RequestRejected,
    411: RequestRejected,
    413: RequestRejected,
    414: RequestRejected,
    415: RequestRejected,
    417: RequestRejected,
    422: RequestRejected,
    429: RateLimited,
    431: RequestRejected,
}
#: Beside these the body counts; what stands beside any other may be anybody's.
_HEARD: Final = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, *_REFUSALS}) - {429}
_THROTTLED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_PAGES: Final = (ResponseShape.PAGE, ResponseShape.FOUND)
#: How a page of a list begins on a server that says first how the call went. This look keeps the
#: decoding of a page out of the attempt: the request for the page after next leaves before it, and
#: the fast reader needs no exact parse. The decoder judges the rest of the body.
_PLAIN_SUCCESS: Final = re.compile(rb'\s*\{\s*"request_status"\s*:\s*"(?i:success)"\s*[,}]')


def error_of(
    operation: Operation[Any], reply: Reply, arguments: Mapping[str, object] | None = None
) -> CakeError | None:
    """Return the error that a response holds; None if it is a success, which can be decoded.

    Args:
        operation: The operation that was called.
        reply: The response.
        arguments: Those of the call: errors hide what the server repeats of them.
    """
    response = reply.response
    plain = (
        operation.shape in _PAGES
        and response.status == HTTPStatus.OK
        # What ends with its connection may be cut off, and is parsed here so that it is retried.
        and response.framed
    )
    if plain and _PLAIN_SUCCESS.match(response.body):
        return None
    reads = operation.idempotency is Idempotency.SAFE
    error = error_in(reply, may_be_silent=reads and operation.api is Api.V1)
    if error is None:
        error = contradiction_in(reply, reads=reads)
    elif (
        not reads and response.status in OK and _says_both(reply, error, operation, arguments or {})
    ):
        return with_context(DecodeError(BOTH), reply)
    if isinstance(error, ApiError) and not reply.show_sensitive:
        error.message = redact(error.message, operation, arguments or {})
        error.args = (error.message,)
    return error


def contradiction_in(reply: Reply, *, reads: bool) -> DecodeError | None:
    """Return the error of a response without one that reports an error all the same.

    Args:
        reply: The response, of a status of success.
        reads: Whether the call changes nothing. The text of a write counts, too.
    """
    reported = reply.status
    if not (reported.message or reported.has_error):
        return None
    if reported.is_mixed or (not reads and says_failed(reported.message)):
        return with_context(DecodeError(BOTH), reply)
    if reported.success is None and reported.has_error:
        return with_context(DecodeError("a response that reports an error"), reply)
    return None


def _says_both(
    reply: Reply,
    error: CakeError,
    operation: Operation[Any],
    arguments: Mapping[str, object],
) -> bool:
    """Return whether a response that refuses a write says that it was done, too.

    By its text, with the record as the write leaves it, or with the id of one that it made.
    """
    if not isinstance(error, ApiError):
        return False
    if says_done(reply.status.message):
        return True
    if isinstance(reply.record, XmlElement):
        return False
    layers = [each for each in (reply.record, reply.record.get("response")) if is_object(each)]
    records = [
        each
        for layer in layers
        for name, each in layer.items()
        if name.casefold() == operation.element and is_object(each)
    ]
    lookup = operation.create_lookup
    if lookup is not None and any(_value(each, lookup.id) for each in (*layers, *records)):
        return True
    return any(_is_as_asked(each, operation, arguments) for each in records)


def _is_as_asked(
    record: Mapping[str, object], operation: Operation[Any], arguments: Mapping[str, object]
) -> bool:
    asked = {name: arguments[name] for name in operation.echoed if name in arguments}
    return bool(asked) and all(
        format_value(value).casefold() == str(_value(record, name)).strip().casefold()
        for name, value in asked.items()
    )


def _value(record: Mapping[str, object], name: str) -> object:
    """Return the value of a field, in whatever case its name is."""
    return next((each for key, each in record.items() if key.casefold() == name), None)


def error_in(reply: Reply, *, may_be_silent: bool) -> CakeError | None:
    """Return the error that a response to any call holds, or None.

    Args:
        reply: The response.
        may_be_silent: Whether a 200 that says neither yes nor no is a success, too.
    """
    if reply.response.status not in OK:
        return _error_of_status(reply)
    try:
        reported = reply.status
    except DecodeError as unreadable:
        return with_context(unreadable, reply)
    if reported.success:
        return None
    error = _reported_error(reported, reply.response.status)
    if error is None and not may_be_silent:
        message = "the response does not say whether the call was carried out"
        return with_context(DecodeError(message), reply)
    return error


def _reported_error(reported: ReplyStatus, status: int) -> ApiError | None:
    """Return the error that a body reports; None if it reports nothing known."""
    if reported.fault is not None:
        return _fault(reported, status)
    message = reported.message
    if reported.success is None and error_class_alone(message) is ApiError:
        return None
    return error_from_message(message, status)


def _error_of_status(reply: Reply) -> CakeError:
    """Return the error of a response whose status is none of success."""
    response = reply.response
    status = response.status
    form, reported = _message_of(reply)
    message = _without_verdict(status, form, reported)
    if message is not None:
        return with_context(DecodeError(message), reply)
    if reported.fault is not None and status in _HEARD:
        return _fault(reported, status)
    kind = _kind(status, reported.message, form, response.body)
    return kind(short(reported.message) or _phrase(status), status=status)


def _without_verdict(status: int, form: BodyFormat, reported: ReplyStatus) -> str | None:
    """Return why a response is neither a success nor a refusal nor a failure; None if it is."""
    if status in range(300, 400):
        return f"a redirect (status {status}), which is not followed"
    if status not in _ERRORS:
        return f"a response with the status {status}"
    if reported.success and status in _REFUSALS:
        return f"a response that reports success with the status {status}"
    known = reported.fault is not None or error_class_of(reported.message) is not ApiError
    if status == HTTPStatus.NOT_FOUND and not (
        form is BodyFormat.JSON or (form is BodyFormat.XML and known)
    ):
        return f"{form.value} with the status 404, which is not CAKE's own"
    return None


def _kind(status: int, message: str, form: BodyFormat, body: bytes) -> type[ApiError]:
    if status not in _HEARD:
        return RateLimited if status in _THROTTLED else ServerError
    failed = status == HTTPStatus.INTERNAL_SERVER_ERROR
    known = error_class_alone(message) if failed else error_class_of(message)
    if known is not ApiError and form in {BodyFormat.JSON, BodyFormat.XML}:
        return known
    if failed:
        binders = form in {BodyFormat.TEXT, BodyFormat.HTML} and is_binding_error(
            as_text(body), anywhere=form is BodyFormat.HTML
        )
        return RequestRejected if binders else ServerError
    return _REFUSALS[status]


def _message_of(reply: Reply) -> tuple[BodyFormat, ReplyStatus]:
    """Return the format of an error's body, and its message if that can be read."""
    form, body = reply.format, reply.response.body
    if form is BodyFormat.TEXT:
        return form, ReplyStatus(message=as_text(body))
    if form is BodyFormat.HTML:
        return form, ReplyStatus(message=title_of(body))
    if form in {BodyFormat.JSON, BodyFormat.XML}:
        try:
            return form, reply.status
        except DecodeError:
            # The status says enough.
            return BodyFormat.TEXT, ReplyStatus()
    return form, ReplyStatus()


def _fault(reported: ReplyStatus, status: int) -> ApiError:
    blamed = soap_kind(reported.fault or "")
    # A server that failed may quote what it could not do on the way.
    named = error_class_of if blamed is RequestRejected else error_class_alone
    kind = named(reported.message)
    if kind is ApiError or kind is NotFound:
        kind = blamed
    return kind(short(reported.message) or "a SOAP Fault without a text", status=status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no text"


def with_context(error: DecodeError, reply: Reply) -> DecodeError:
    """Add the status of the response, and a part of its body, to an error that lacks them."""
    body = reply.response.body
    error.status = reply.response.status
    if not error.snippet:
        at = _offset_of(body, error.path)
        error.snippet = snippet(body, at, show_sensitive=reply.show_sensitive)
    return error.with_traceback(None)


def _offset_of(body: bytes, path: str) -> int:
    """Estimate the byte offset of a field: in row n it is the (n+1)th occurrence of its name."""
    name = path.rpartition(".")[2].partition("[")[0].encode()
    row = re.search(r"\[([0-9]+)\]", path)
    at = -1
    for _ in range(int(row[1]) + 1 if row else 1):
        at = body.find(b'"%b"' % name, at + 1)
        if at < 0:  # it has another name there
            return 0
    return at
