"""The one place that knows an HTTP library: httpx's transport interface, over httpcore2.

:class:`CakeTransport` is an ``httpx.AsyncBaseTransport`` like any other, with one connection for
each slot of the throttle.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import anyio
import attrs
import certifi
import httpx

from aiocake._background import on_trio, spawn
from aiocake._transport.failures import (
    ConnectionForbidden,
    FailureKind,
    Route,
    TransportFailure,
    connect_failure_reason,
)
from aiocake._transport.sockets import SocketBackend
from aiocake._transport.tls import context_of, lend, owner_of
from aiocake._transport.trailing_data import has_trailing_data

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from typing import Self

    import httpcore2

    from aiocake._transport.api_key import AuthorizedRequest
    from aiocake._transport.proxy import Proxy


AsyncBaseTransport = httpx.AsyncBaseTransport

#: The request extension that names the slot, and so the connection.
_SLOT: Final = "aiocake.slot"
#: A connection that was idle for longer is not used again: most servers close it at some point.
_IDLE: Final = 60.0
#: How long closing a connection may take.
_CLOSING: Final = 1.0
#: Paths and headers are few; this is a bound for those who make them up.
_KEPT: Final = 128

#: What says on any transport that nothing was sent.
_UNSENT: Final = (
    ConnectionForbidden,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


class CakeTransport(httpx.AsyncBaseTransport):
    """httpcore2 behind httpx's interface: a pool of one connection for each slot.

    No cookies, no redirects, no proxies or certificates from the environment. The ``target``
    extension of a request is what goes on the wire instead of its URL's path and query.

    Args:
        slots: How many connections there are.
        proxy: Through which to connect.
        ssl_context: For https; certifi's certificates when it is None.
    """

    def __init__(
        self, *, slots: int, proxy: Proxy | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._pools: list[httpcore2.AsyncConnectionPool | None] = [None] * slots
        self._proxy = proxy
        self._ssl_context = ssl_context

    @property
    def proxied_by(self) -> tuple[str, int] | None:
        """Host and port of the proxy; None for none."""
        return None if self._proxy is None else self._proxy.where

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the connection of its slot."""
        import httpcore2  # noqa: PLC0415 - takes 0.1 s, and a mock needs none of it

        slot: int = request.extensions.get(_SLOT, 0)
        pool = self._pools[slot]
        if pool is None:
            pool = self._pools[slot] = self._make_pool(request.url.scheme)
        url = request.url
        try:
            response = await pool.handle_async_request(
                httpcore2.Request(
                    request.method,
                    httpcore2.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except Exception as error:
            raise _as_httpx(error) from error
        extensions = cast(
            "dict[str, Any]",
            response.extensions,  # pyright: ignore[reportUnknownMemberType] - half said by httpcore2
        )
        _refuse_ambiguous(response.headers, extensions.get("http_version", b""))
        stream = _BodyStream(response, self, slot, pool, extensions.get("network_stream"))
        return httpx.Response(
            response.status, headers=response.headers, stream=stream, extensions=extensions
        )

    async def drop(self, slot: int, half_open: Closable | None = None) -> None:
        """Close the connection of a slot, whatever state it is in; the next call opens another.

        Args:
            slot: The slot.
            half_open: A stream that was opened for it, and may not have become a connection:
                httpcore2 forgets to close it when it is cancelled within the TLS handshake.
        """
        pool, self._pools[slot] = self._pools[slot], None
        given_up: list[Closable] = [] if half_open is None else [half_open]
        if pool is not None and pool.connections:
            given_up.append(pool)
        if given_up:
            # In a task of its own: asyncio's cancellation breaks through a shield.
            job = spawn(_close(given_up))
            with anyio.CancelScope(shield=True):
                await job.result()

    async def aclose(self) -> None:
        """Close all connections."""
        for slot in range(len(self._pools)):
            await self.drop(slot)

    def _make_pool(self, scheme: str) -> httpcore2.AsyncConnectionPool:
        import httpcore2  # noqa: PLC0415 - see above

        context = self._ssl_context
        if context is None and scheme == "https":
            context = _default_ssl_context()
        context = None if context is None else lend(context)
        proxy = self._proxy
        return httpcore2.AsyncConnectionPool(
            ssl_context=context,
            proxy=None
            if proxy is None
            else httpcore2.Proxy(
                proxy.url,
                auth=proxy.auth(),
                ssl_context=context if proxy.url.startswith("https:") else None,
            ),
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=_IDLE,
            network_backend=_network_backend(),
        )


def _network_backend() -> httpcore2.AsyncNetworkBackend | None:
    """How connections are opened where httpcore2's own way loses answers; None elsewhere."""
    if on_trio() or sys.platform == "win32":  # whose event loop watches no sockets
        return None
    try:
        # The module that httpcore2 itself takes it from: its own name is None without anyio.
        from httpcore2._backends.anyio import AnyIOBackend  # noqa: PLC0415 - slow to load

        return cast("httpcore2.AsyncNetworkBackend", SocketBackend(AnyIOBackend(), _stream_class()))
    except Exception:  # noqa: BLE001 - private: another version may have it elsewhere, or otherwise
        # httpcore2's own way then. What a server said to a request that it did not read to its end
        # can be lost, which leaves the outcome open; and TLS begins in a thread.
        return None


@cache
def _stream_class() -> type[Any]:
    from httpcore2._backends.anyio import AnyIOStream  # noqa: PLC0415 - slow to load

    class TlsStream(AnyIOStream):
        """Begins TLS with a context itself: anyio would use what stands for one in a thread."""

        async def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's
        ) -> httpcore2.AsyncNetworkStream:
            return await super().start_tls(owner_of(ssl_context), server_hostname, timeout)

    return TlsStream


class Closable(Protocol):
    """What can be closed."""

    async def aclose(self) -> None:
        """Close it."""
        ...


async def _close(given_up: list[Closable]) -> None:
    for each in given_up:
        # How it ends does not matter, but that it does.
        with anyio.move_on_after(_CLOSING), suppress(Exception):
            await each.aclose()


_making_context: Final = threading.Lock()


def _default_ssl_context() -> ssl.SSLContext:
    """The one context of all clients of this process that give none.

    Reading its certificates takes longer than many a call: once, and only where TLS is spoken.
    """
    with _making_context:
        return _certifis()


@cache
def _certifis() -> ssl.SSLContext:
    return context_of(certifi.where())


def _as_httpx(error: Exception) -> Exception:
    """The exception of httpx that has the same name, as its own transport would raise it."""
    for kind in type(error).__mro__:
        if kind.__module__.startswith("httpcore2"):
            same: type[Exception] | None = getattr(httpx, kind.__name__, None)
            if same is not None:
                return same(str(error))
    return error


def _refuse_ambiguous(headers: list[tuple[bytes, bytes]], version: bytes) -> None:
    """Refuse what h11 lets pass: two ways to say where an answer ends, and HTTP of another kind."""
    names = {name.lower() for name, _ in headers}
    # RFC 9112 section 6.3: it "ought to be handled as an error", for it may be two answers in one.
    if {b"content-length", b"transfer-encoding"} <= names:
        raise httpx.RemoteProtocolError("both Content-Length and Transfer-Encoding")
    if not version.startswith(b"HTTP/1."):
        raise httpx.RemoteProtocolError("not HTTP/1")


class _BodyStream(httpx.AsyncByteStream):
    """The raw body. Closing it closes the connection too, when surplus bytes lie behind it."""

    def __init__(
        self,
        response: httpcore2.Response,
        transport: CakeTransport,
        slot: int,
        pool: httpcore2.AsyncConnectionPool,
        network: object,
    ) -> None:
        self._stream = cast("Any", response.stream)  # a union: async pools give one kind only
        self._transport = transport
        self._slot = slot
        self._pool = pool
        self._network = network
        self._pieces: AsyncGenerator[bytes] = self._stream.__aiter__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        # trio complains of an async generator that is dropped half-way.
        await self._pieces.aclose()
        await self._stream.aclose()
        if any(has_trailing_data(each, self._network) for each in self._pool.connections):
            await self._transport.drop(self._slot)


@attrs.frozen(eq=False, repr=False)
class HttpResponse:
    """The head of an answer, its body still on its way.

    Attributes:
        status: The status.
        headers: Name and value pairs, as they came.
        pieces: The raw body.
        aclose: Ends it.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


class HttpSender:
    """Makes httpx's requests, and hands them to a transport.

    Args:
        transport: What carries them.
        base: The URL without a path.
        route: To whom connections are opened, and how long that may take.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, base: str, route: Route) -> None:
        self._transport = transport
        self._base = base
        self.route = route
        #: By path, without query: to parse one takes longer than many a call.
        self._urls: dict[str, httpx.URL] = {}
        self._headers: dict[tuple[object, ...], httpx.Headers] = {}
        #: Our own transport, which has connections by slot and tells what was sent.
        self.own = transport if isinstance(transport, CakeTransport) else None

    async def send(
        self,
        signed: AuthorizedRequest,
        slot: int,
        read: float,
        trace: Callable[..., Awaitable[None]],
    ) -> HttpResponse:
        """Send a request, and wait for the head of its answer. Raises whatever goes wrong."""
        extensions: dict[str, object] = {
            "timeout": {"connect": self.route.timeout, "read": read, "write": read, "pool": read}
        }
        if self.own is not None:
            url = self._url(signed.path)
            extensions |= {"target": signed.target, "trace": trace, _SLOT: slot}
        else:
            # Not kept: the key may stand in its query.
            url = httpx.URL(self._base + signed.target.decode("ascii"))
        request = httpx.Request(
            signed.method,
            url,
            headers=self._headers_of(signed),
            stream=httpx.ByteStream(signed.body),
            extensions=extensions,
        )
        request.read()  # so that another transport finds its content
        response = await self._transport.handle_async_request(request)
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("the transport gives a body that is not asynchronous")
        return HttpResponse(
            response.status_code, response.headers.raw, aiter(stream), stream.aclose
        )

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= _KEPT:
                self._urls.clear()
            url = self._urls[path] = httpx.URL(self._base + path)
        return url

    def _headers_of(self, signed: AuthorizedRequest) -> httpx.Headers:
        """Return the headers of a request with its Content-Length, where httpx puts it."""
        length = len(signed.body)
        key = (signed.method, length, *signed.headers)
        headers = self._headers.get(key)
        if headers is None:
            counted = [(b"Content-Length", b"%d" % length)]
            pairs = signed.headers
            if length:
                pairs = [*pairs, *counted]
            elif signed.method in {"POST", "PUT", "PATCH"}:
                pairs = [*counted, *pairs]
            if len(self._headers) >= _KEPT:
                self._headers.clear()
            headers = self._headers[key] = httpx.Headers(pairs)
        return headers


def is_unsent(error: Exception) -> bool:
    """Whether an exception says, on any transport, that nothing was sent."""
    return isinstance(error, _UNSENT)


def failure_of(
    error: Exception, route: Route, *, sent: bool = True, status: int | None = None
) -> TransportFailure:
    """What an exception means. ``sent`` is known better than any exception's class tells."""
    name = type(error).__name__
    if sent:
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return TransportFailure(FailureKind.TIMEOUT, sent, "no bytes came for too long", status)
        if isinstance(error, httpx.RemoteProtocolError) and status is None:
            return TransportFailure(
                FailureKind.CONNECTION_LOST,
                sent,
                f"no valid HTTP answer came from {route.host} ({name})",
                status,
            )
        text = f"the connection ended before the answer was whole ({name})"
        return TransportFailure(FailureKind.CONNECTION_LOST, sent, text, status)
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return TransportFailure(FailureKind.INVALID_REQUEST, sent, f"nothing was sent: {name}")
    if isinstance(error, httpx.ProxyError):
        proxy = "the proxy" if route.proxy is None else route.dialled[0]
        return TransportFailure(
            FailureKind.TLS_OR_PROXY, sent, f"nothing was sent: {proxy} refused ({error})"
        )
    reason, refused = connect_failure_reason(error, route)
    return TransportFailure(
        FailureKind.TLS_OR_PROXY if refused else FailureKind.CONNECT,
        sent,
        f"nothing was sent: {reason}",
    )
