"""The one place that knows an HTTP library: httpx's transport interface, over httpcore2.

:class:`CakeTransport` is an ``httpx.AsyncBaseTransport`` like any other, with one connection for
each slot of the throttle. :class:`Wire` is the edge: it sends a signed request through a transport
and gives back plain values. No exception of a library leaves it, and what does leave (a
cancellation) leaves without its traceback, for the frames below hold the request and so the key.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import anyio
import certifi
import httpx

from aiocake._tasks import start
from aiocake.transport._fault import Fault, Kind, stripped, why
from aiocake.transport._surplus import has_surplus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Self

    import httpcore2

    from aiocake.transport._address import Address
    from aiocake.transport._proxy import Proxy
    from aiocake.transport._sign import Signed

__all__ = ["Answer", "AsyncBaseTransport", "CakeTransport", "Departure", "Wire"]

AsyncBaseTransport = httpx.AsyncBaseTransport

#: The request extension that names the slot, and so the connection.
_SLOT: Final = "aiocake.slot"
#: A connection that was idle for longer is not used again: most servers close it at some point.
_IDLE: Final = 60.0
#: How long closing a connection may take.
_CLOSING: Final = 1.0
#: Paths are few; this is a bound for those who make them up.
_KEPT_URLS: Final = 128

#: What says on any transport that nothing was sent.
_UNSENT: Final = (
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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the connection of its slot."""
        import httpcore2  # noqa: PLC0415 - takes 0.1 s, and a mock needs none of it

        slot: int = request.extensions.get(_SLOT, 0)
        pool = self._pools[slot]
        if pool is None:
            pool = self._pools[slot] = self._make_pool()
        url = request.url
        try:
            response = await pool.handle_async_request(
                httpcore2.Request(
                    request.method,
                    httpcore2.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,  # type: ignore[arg-type] # both kinds are iterable
                    extensions=request.extensions,
                )
            )
        except Exception as error:
            raise _as_httpx(error) from error
        network = response.extensions.get("network_stream")
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_BodyStream(response, self, slot, pool, network),
            extensions=response.extensions,
        )

    async def drop(self, slot: int) -> None:
        """Close the connection of a slot, whatever state it is in; the next call opens another."""
        pool, self._pools[slot] = self._pools[slot], None
        if pool is not None and pool.connections:
            # In a task of its own: asyncio's cancellation breaks through a shield.
            job = start(_close(pool))
            with anyio.CancelScope(shield=True):
                await job.result()

    async def aclose(self) -> None:
        """Close all connections."""
        for slot in range(len(self._pools)):
            await self.drop(slot)

    def _make_pool(self) -> httpcore2.AsyncConnectionPool:
        import httpcore2  # noqa: PLC0415 - see above

        if self._ssl_context is None:
            self._ssl_context = _default_ssl_context()
        proxy = self._proxy
        return httpcore2.AsyncConnectionPool(
            ssl_context=self._ssl_context,
            proxy=None
            if proxy is None
            else httpcore2.Proxy(
                proxy.url,
                auth=proxy.auth(),
                ssl_context=self._ssl_context if proxy.url.startswith("https:") else None,
            ),
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=_IDLE,
        )


async def _close(pool: httpcore2.AsyncConnectionPool) -> None:
    with anyio.move_on_after(_CLOSING):
        try:
            await pool.aclose()
        except Exception:  # noqa: BLE001, S110 - it was given up: how it ends does not matter
            pass


def _default_ssl_context() -> ssl.SSLContext:
    # ssl.create_default_context() would also look at the environment (SSLKEYLOGFILE).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context


def _as_httpx(error: Exception) -> Exception:
    """The exception of httpx that has the same name, as its own transport would raise it."""
    for kind in type(error).__mro__:
        if kind.__module__.startswith("httpcore2"):
            same: type[Exception] | None = getattr(httpx, kind.__name__, None)
            if same is not None:
                return same(str(error))
    return error


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
        self._stream: Any = response.stream  # a union of which async pools give one kind only
        self._transport = transport
        self._slot = slot
        self._pool = pool
        self._network = network
        self._pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        self._pieces = self._stream.__aiter__()
        return self

    async def __anext__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._stream.__aiter__()
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        # trio complains of an async generator that is dropped half-way.
        end = getattr(self._pieces, "aclose", None)
        if end is not None:
            await end()
        await self._stream.aclose()
        if any(has_surplus(each, self._network) for each in self._pool.connections):
            await self._transport.drop(self._slot)


class Departure:
    """Whether a request may have left, as httpcore2's trace tells it."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """What httpcore2 calls at each step. A CONNECT to a proxy is not the request."""
        if name.endswith("send_request_headers.started"):
            if info["request"].method != b"CONNECT":
                self.sent = True
        elif name.endswith("send_request_headers.failed"):
            # h11 refused to write it; its exception and httpcore2's have one name.
            if type(info["exception"]).__name__ == "LocalProtocolError":
                self.sent = False


class Answer:
    """An answer whose body is still on its way. Ended by :meth:`aclose`, always."""

    __slots__ = ("_pieces", "_response", "_slot", "_wire", "encoding", "headers", "length", "status")

    def __init__(
        self, wire: Wire, slot: int, response: httpx.Response, headers: dict[str, str]
    ) -> None:
        self._wire = wire
        self._slot = slot
        self._response = response
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            message = "the transport gives a body that is not asynchronous"
            raise TypeError(message)
        self._pieces = aiter(stream)
        self.status = response.status_code
        self.headers = headers
        self.encoding = ""
        self.length: int | None = None
        if "content-encoding" in headers:
            self.encoding = response.headers["content-encoding"].strip().lower()
        size = headers.get("content-length", "")
        if "transfer-encoding" not in headers and size.isascii() and size.isdecimal():
            self.length = int(size)

    async def next(self) -> bytes | Fault | None:
        """The next raw piece of the body; None at its end."""
        try:
            return await anext(self._pieces, None)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            fault = _fault(error, sent=True, status=self.status)
        except BaseException as error:
            stripped(error)
            await self._wire.drop(self._slot)
            raise
        await self._wire.drop(self._slot)
        return fault

    async def aclose(self) -> None:
        """End it; a body that was not read to its end costs the connection."""
        try:
            await self._response.stream.aclose()  # type: ignore[union-attr] # see __init__
        except Exception:  # noqa: BLE001 - the answer was read, or given up
            await self._wire.drop(self._slot)
        except BaseException as error:
            stripped(error)
            await self._wire.drop(self._slot)
            raise


class Wire:
    """The edge to the network: signed requests in, plain values out.

    Args:
        address: Where to.
        transport: What carries the requests.
        connect: Seconds to open a connection.
    """

    def __init__(
        self, address: Address, transport: httpx.AsyncBaseTransport, *, connect: float
    ) -> None:
        self._address = address
        self._transport = transport
        self._own = transport if isinstance(transport, CakeTransport) else None
        self._connect = connect
        self._urls: dict[str, httpx.URL] = {}

    async def send(
        self, signed: Signed, slot: int, departure: Departure, *, read: float, fresh: bool
    ) -> Answer | Fault:
        """Send a request, and wait for the head of its answer.

        Args:
            signed: The request.
            slot: The slot, and so the connection.
            departure: Is told whether the request may have left.
            read: Seconds to wait for the next bytes.
            fresh: Whether it must not go over a connection that was used before.

        Returns:
            The answer, or what went wrong.
        """
        try:
            if fresh:
                await self.drop(slot)
            return await self._send(signed, slot, departure, read)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            if self._own is None and isinstance(error, _UNSENT):
                departure.sent = False
            fault = _fault(error, sent=departure.sent, status=None)
        except BaseException as error:
            stripped(error)
            await self.drop(slot)
            raise
        await self.drop(slot)
        return fault

    async def drop(self, slot: int) -> None:
        """Close the connection of a slot."""
        if self._own is not None:
            await self._own.drop(slot)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _send(self, signed: Signed, slot: int, departure: Departure, read: float) -> Answer:
        extensions: dict[str, object] = {
            "timeout": {"connect": self._connect, "read": read, "write": read, "pool": read}
        }
        if self._own is not None:
            url = self._url(signed.path)
            extensions |= {"target": signed.target, "trace": departure.trace, _SLOT: slot}
        else:
            url = httpx.URL(self._address.base + signed.target.decode("ascii"))
            departure.sent = True
        request = httpx.Request(
            signed.method, url, headers=signed.headers, content=signed.body, extensions=extensions
        )
        response = await self._transport.handle_async_request(request)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers.raw
        }
        return Answer(self, slot, response, headers)

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= _KEPT_URLS:
                self._urls.clear()
            url = self._urls[path] = httpx.URL(self._address.base + path)
        return url


def _fault(error: Exception, *, sent: bool, status: int | None) -> Fault:
    """What an exception means. ``sent`` is known better than any exception's class tells."""
    name = type(error).__name__
    if sent:
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return Fault(Kind.SLOW, sent, "no bytes came for too long", status)
        if isinstance(error, httpx.RemoteProtocolError) and status is None:
            return Fault(Kind.BROKEN, sent, f"no valid HTTP answer came ({name})", status)
        text = f"the connection ended before the answer was whole ({name})"
        return Fault(Kind.BROKEN, sent, text, status)
    reason, tls = why(error)
    text = f"nothing was sent: {reason or name}"
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Fault(Kind.ILLEGAL, sent, text)
    if isinstance(error, httpx.ProxyError):
        return Fault(Kind.REFUSED, sent, f"nothing was sent: the proxy refused ({error})")
    return Fault(Kind.REFUSED if tls else Kind.UNREACHED, sent, text)
