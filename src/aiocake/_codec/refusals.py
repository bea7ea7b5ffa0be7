"""Whether an answer is a no, and which: in any status, and in the body of a 200.

Three layers say no: CAKE (a 200 whose ``success`` is false or whose ``request_status`` is not
Success), ASP.NET (a 500 with its own text, or a SOAP Fault), and IIS or the network between (HTML,
or nothing). So neither the status nor the body is judged alone. A write is done only where the
answer says so in as many words, and not done only where it or one of a few statuses does.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiocake._codec.error_messages import (
    error_class_alone,
    error_class_of,
    is_binding_error,
    redact,
    short,
    soap_kind,
)
from aiocake._codec.reply import (
    BodyFormat,
    ReplyStatus,
    as_text,
    format_of,
    read,
    read_status,
    title_of,
)
from aiocake._codec.snippet import snippet
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
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
#: The headers that tell where an answer ends.
_FRAMES: Final = frozenset({"content-length", "transfer-encoding"})
#: How a page of a list begins on the server that says first how the call went.
_PLAIN_SUCCESS: Final = re.compile(rb'\s*\{\s*"request_status"\s*:\s*"(?i:success)"\s*[,}]')


def check(
    operation: Operation[Any],
    response: Response,
    arguments: Mapping[str, object] | None = None,
    *,
    show_sensitive: bool = False,
) -> CakeError | None:
    """The error that an answer holds.

    Args:
        operation: The operation that was called.
        response: The answer.
        arguments: What it was called with: errors hide what of it the server repeats.
        show_sensitive: Whether errors may show names, notes and amounts.

    Returns:
        None of a success, which :func:`aiocake._codec.decode` may read.
    """
    plain = (
        operation.shape in {ResponseShape.PAGE, ResponseShape.FOUND}
        and response.status == HTTPStatus.OK
        # What ends with its connection may be cut off: that has to be seen here.
        and not _FRAMES.isdisjoint(response.headers)
    )
    if plain and _PLAIN_SUCCESS.match(response.body):
        # The reading of the page looks at the rest.
        return None
    silent = operation.idempotency is Idempotency.SAFE and operation.api is Api.V1
    found = error_in(response, may_be_silent=silent, show_sensitive=show_sensitive)
    if isinstance(found, ApiError) and not show_sensitive:
        found.message = redact(found.message, operation, arguments or {})
        found.args = (found.message,)
    return found


def error_in(
    response: Response, *, may_be_silent: bool, show_sensitive: bool = False
) -> CakeError | None:
    """The error that an answer to whatever call holds, or None.

    Args:
        response: The answer.
        may_be_silent: Whether a 200 that says neither yes nor no is a success, too.
        show_sensitive: Whether errors may show values.
    """
    if response.status not in OK:
        return _refusal(response, show_sensitive=show_sensitive)
    try:
        what = read_status(read(response.body, show_sensitive=show_sensitive))
    except DecodeError as error:
        return with_context(error, response, show_sensitive=show_sensitive)
    no = _refused(what, response.status)
    if no is None and not (what.success or may_be_silent):
        message = "the answer does not say whether the call was carried out"
        return with_context(DecodeError(message), response, show_sensitive=show_sensitive)
    return no


def _refused(what: ReplyStatus, status: int) -> ApiError | None:
    """What an answer says against the call; None where it says yes, or nothing that is known."""
    if what.fault is not None:
        return _fault(what, status)
    if what.success or (what.success is None and error_class_alone(what.message) is ApiError):
        return None
    return _refusal_named(what.message, status)


def _refusal(response: Response, *, show_sensitive: bool) -> CakeError:
    status = response.status
    form, what = _message_of(response.body)
    message = _without_verdict(status, form, what)
    if message is not None:
        return with_context(DecodeError(message), response, show_sensitive=show_sensitive)
    if what.fault is not None and status in _HEARD:
        return _fault(what, status)
    kind = _kind(status, what.message, form, response.body)
    return kind(short(what.message) or _phrase(status), status=status)


def _without_verdict(status: int, form: BodyFormat, what: ReplyStatus) -> str | None:
    """Why an answer that is no success is no refusal and no failure either; None where it is."""
    if status in range(300, 400):
        return f"a redirect (status {status}), which is not followed"
    if status not in _ERRORS:
        return f"an answer with the status {status}"
    if what.success and status in _REFUSALS:
        return f"an answer that says success with the status {status}"
    known = what.fault is not None or error_class_of(what.message) is not ApiError
    if status == HTTPStatus.NOT_FOUND and not (
        form is BodyFormat.JSON or (form is BodyFormat.XML and known)
    ):
        return f"{form.value} with the status 404, which is no word of CAKE's"
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


def _message_of(body: bytes) -> tuple[BodyFormat, ReplyStatus]:
    """What the body of an error says, where it can be read."""
    form = format_of(body)
    if form is BodyFormat.TEXT:
        return form, ReplyStatus(message=as_text(body))
    if form is BodyFormat.HTML:
        return form, ReplyStatus(message=title_of(body))
    if form in {BodyFormat.JSON, BodyFormat.XML}:
        try:
            return form, read_status(read(body))
        except DecodeError:
            # The status says enough.
            return BodyFormat.TEXT, ReplyStatus()
    return form, ReplyStatus()


def _fault(what: ReplyStatus, status: int) -> ApiError:
    kind = error_class_of(what.message)
    if kind is ApiError or kind is NotFound:
        kind = soap_kind(what.fault or "")
    return kind(short(what.message) or "a SOAP Fault without a text", status=status)


def _refusal_named(message: str, status: int) -> ApiError:
    text = short(message) or "CAKE said no, and not why"
    return error_class_of(message)(text, status=status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no text"


def with_context(error: DecodeError, response: Response, *, show_sensitive: bool) -> DecodeError:
    """An error with what it lacks: the status of the answer, and a part of it."""
    error.status = response.status
    if not error.snippet:
        error.snippet = snippet(
            response.body, _place(response.body, error.path), show_sensitive=show_sensitive
        )
    return error.with_traceback(None)


def _place(body: bytes, path: str) -> int:
    """About where the field of a path is: a row's is as often named as the row's number says."""
    name = path.rpartition(".")[2].partition("[")[0].encode()
    row = re.search(r"\[([0-9]+)\]", path)
    at = -1
    for _ in range(int(row[1]) + 1 if row else 1):
        at = body.find(b'"%b"' % name, at + 1)
        if at < 0:  # it has another name there
            return 0
    return at
