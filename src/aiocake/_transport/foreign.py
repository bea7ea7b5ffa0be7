"""Other transports in place of our own: those of httpx, and those of httpx2.

They do not tell what was sent, so their exceptions do, as far as those can. The two packages have
the same names and different classes; none of them is loaded before a transport of it is given.
"""

import math
from collections.abc import AsyncIterator  # noqa: TC003 - imported like the others
from types import ModuleType
from typing import Any, Final

from aiocake._httpx import AsyncBaseTransport, loaded_packages
from aiocake._transport.api_key import AuthorizedRequest
from aiocake._transport.body import LARGEST_BODY
from aiocake._transport.connection import HELD_BACK, SendTrace
from aiocake._transport.failures import (
    ConnectionForbidden,
    FailureKind,
    Route,
    TransportFailure,
    clear_tracebacks,
    connect_failure_reason,
)
from aiocake._transport.incoming import Clean, IncomingResponse
from aiocake._transport.response_reader import BEYOND_ANY

#: The exceptions of theirs which say that nothing was sent.
_UNSENT: Final = (
    "ConnectError",
    "ConnectTimeout",
    "LocalProtocolError",
    "PoolTimeout",
    "UnsupportedProtocol",
)
_ILLEGAL: Final = ("LocalProtocolError", "UnsupportedProtocol")
#: Whose exceptions may be the cause of one of these: those that httpx meets before a request. Not
#: those of h2: with HTTP/2 a LocalProtocolError is made of what a server sent, too.
_TRANSLATED: Final = frozenset(
    {"anyio", "asyncio", "builtins", "h11", "httpcore", "httpcore2", "socket", "ssl", "trio"}
)
#: Of the exceptions of aiohttp, those from before a request. A transport over it may make a
#: ConnectTimeout of each connection that ended, also of one whose request was carried out.
_OF_AIOHTTP: Final = frozenset({"ClientConnectorError", "ConnectionTimeoutError", "InvalidURL"})
#: Digits of the length of no body.
_DIGITS: Final = 20


class ForeignSender:
    """Sends requests over a transport of httpx or httpx2.

    Args:
        transport: The transport.
        package: Its package.
        base: The URL without a path.
        route: To whom connections are opened, and how long that may take.
        clean: Takes the key out of the headers of a response.
    """

    keeps_time = False

    def __init__(
        self,
        transport: AsyncBaseTransport,
        package: ModuleType,
        base: str,
        route: Route,
        clean: Clean,
    ) -> None:
        self._transport = transport
        self._package: Any = package
        self._base = base
        self._route = route
        self._clean = clean

    async def send(  # noqa: PLR0913 - what an attempt is
        self,
        authorized: AuthorizedRequest,
        slot: int,
        trace: SendTrace,
        *,
        read: float,
        fresh: bool,
        total: float = math.inf,
    ) -> IncomingResponse | TransportFailure:
        """Send a request, and wait for the head of its response."""
        del slot, fresh, total  # it has connections of its own
        try:
            request = self._request(authorized, read)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            text = f"nothing was sent: {type(error).__name__}"
            return TransportFailure(FailureKind.INVALID_REQUEST, sent=False, text=text)
        if trace.holds_back():
            return TransportFailure(FailureKind.HELD_BACK, sent=False, text=HELD_BACK)
        # It does not tell: from here on the request may have left.
        trace.sent = True
        try:
            response = await self._transport.handle_async_request(request)
            return self._incoming(response)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            trace.sent = not _says_unsent(error)
            return failure_of(error, self._route, sent=trace.sent)
        except BaseException as error:
            clear_tracebacks(error)
            raise

    def drop(self, slot: int) -> None:
        """Do nothing: the transport keeps its own connections."""

    def abort(self) -> None:
        """Do nothing: waiting calls are cancelled."""

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _request(self, authorized: AuthorizedRequest, read: float) -> Any:  # noqa: ANN401 - of either
        headers, length = authorized.headers, len(authorized.body)
        if length or authorized.method in {"POST", "PUT", "PATCH"}:
            headers = [*headers, (b"Content-Length", b"%d" % length)]
        timeout = {"connect": self._route.timeout, "read": read, "write": read, "pool": read}
        request = self._package.Request(
            authorized.method,
            # Not kept: the key may stand in its query.
            self._package.URL(self._base + authorized.target),
            headers=headers,
            stream=self._package.ByteStream(authorized.body),
            extensions={"timeout": timeout},
        )
        request.read()  # so that a transport finds its content
        return request

    def _incoming(self, response: Any) -> IncomingResponse:  # noqa: ANN401 - of either
        if not isinstance(response.stream, self._package.AsyncByteStream):
            raise TypeError("the transport gives a body that is not asynchronous")
        raw: list[tuple[bytes, bytes]] = response.headers.raw
        chunked, size, encodings = False, b"", list[bytes]()
        for name, value in raw:
            lower = name.lower()
            if lower == b"content-length":
                size = value
            elif lower == b"content-encoding":
                encodings.append(value)
            chunked = chunked or lower == b"transfer-encoding"
        counts = not chunked and size.isdigit()
        # Python makes no number of more than 4,300 digits.
        length = (int(size) if len(size) < _DIGITS else BEYOND_ANY) if counts else None
        body = _ForeignBody(response.stream, self._route, response.status_code)
        if type(response.stream) is self._package.ByteStream:
            content = b"".join(response.stream)
            if length in {None, len(content)} and len(content) <= LARGEST_BODY:
                body.content = content
        return IncomingResponse(
            response.status_code, raw, encodings, length, chunked or counts, body, self._clean
        )


class _ForeignBody:
    """The body of a response, as its transport gives it.

    Attributes:
        content: The whole of it, where that is at hand.
    """

    def __init__(self, stream: Any, route: Route, status: int) -> None:  # noqa: ANN401 - of either
        self._stream = stream
        self._pieces: AsyncIterator[bytes] = aiter(stream)
        self._route = route
        self._status = status
        self.content: bytes | None = None

    def whole(self) -> bytes | None:
        """Return the whole body if it is there; None where it is to be waited for."""
        return self.content

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next raw piece of the body; None at its end."""
        try:
            return await anext(self._pieces, None)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            return failure_of(error, self._route, status=self._status)
        except BaseException as error:
            clear_tracebacks(error)
            raise

    async def aclose(self) -> None:
        """Close the stream."""
        try:
            await self._stream.aclose()
        except Exception:  # noqa: BLE001, S110 - the response was read, or given up
            pass
        except BaseException as error:
            clear_tracebacks(error)
            raise


def failure_of(
    error: Exception, route: Route, *, sent: bool = True, status: int | None = None
) -> TransportFailure:
    """Return what an exception of a transport means."""
    name = type(error).__name__
    if sent:
        slow = _is(error, "TimeoutException") or isinstance(error, TimeoutError)
        if slow and not _is(error, *_UNSENT):
            return TransportFailure(FailureKind.TIMEOUT, sent, "no bytes came for too long", status)
        if _is(error, "RemoteProtocolError") and status is None:
            return TransportFailure(
                FailureKind.CONNECTION_LOST,
                sent,
                f"no valid HTTP response came from {route.host} ({name})",
                status,
            )
        text = f"the connection ended before the response was complete ({name})"
        return TransportFailure(FailureKind.CONNECTION_LOST, sent, text, status)
    if _is(error, *_ILLEGAL):
        return TransportFailure(FailureKind.INVALID_REQUEST, sent, f"nothing was sent: {name}")
    reason, refused = connect_failure_reason(error, route)
    return TransportFailure(
        FailureKind.TLS_OR_PROXY if refused else FailureKind.CONNECT,
        sent,
        f"nothing was sent: {reason}",
    )


def _says_unsent(error: Exception) -> bool:
    """Return True if nothing was sent, as far as an exception, and what it was made of, tell."""
    if isinstance(error, ConnectionForbidden):
        return True
    if not _is(error, *_UNSENT):
        return False
    cause = error.__cause__
    if cause is None or any(each.__name__ in _OF_AIOHTTP for each in type(cause).__mro__):
        return True
    made_of = [cause, *(each for each in cause.args if isinstance(each, BaseException))]
    return all(type(each).__module__.partition(".")[0] in _TRANSLATED for each in made_of)


def _is(error: Exception, *names: str) -> bool:
    """Return True if an exception is one of these, in any of the packages."""
    return any(
        isinstance(error, getattr(package, name)) for package in loaded_packages() for name in names
    )
