"""Opening a connection: addresses, a race between them, a proxy, TLS. No request leaves here.

Of several addresses the next is tried a quarter of a second after the one before, or as soon as
that has failed; the first that stands is taken (Happy Eyeballs, RFC 8305).
"""

import asyncio
import base64
import errno
import math
import socket
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import anyio

from aiocake._background import clock, on_trio
from aiocake._transport.connection import HttpConnection, LoopConnection
from aiocake._transport.failures import (
    ConnectionForbidden,
    FailureKind,
    Route,
    TransportFailure,
    clear_tracebacks,
    connect_failure_reason,
)
from aiocake._transport.proxy import Proxy
from aiocake._transport.pulling import PullingConnection, waits_of_anyio, waits_of_trio
from aiocake._transport.resolver import Found, Resolver
from aiocake._transport.socks import connect_by_socks
from aiocake._transport.tls import default_context
from aiocake._transport.tls_layer import TlsLayer

#: Seconds after which the next address is tried beside the one before (RFC 8305 section 5).
_HEAD_START: Final = 0.25
#: Seconds of silence after which a peer is asked whether it is there, and between such questions:
#: the first byte of an export may take minutes, and what lies between forgets a silent connection.
_ALIVE: Final = 60


class Dialer:
    """Opens the connections of one client.

    Args:
        route: Where to, and how long that may take.
        secure: Whether TLS is spoken.
        proxy: Through which to connect.
        ssl_context: For TLS; certifi's certificates when it is None. It is not changed.
    """

    def __init__(
        self, route: Route, *, secure: bool, proxy: Proxy | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        self.route = route
        self._secure = secure
        self._proxy = proxy
        self._ssl_context = ssl_context
        self.aborted: bool = False
        #: Of those who are connecting.
        self._under_way: set[anyio.CancelScope] = set()
        self.resolver: Resolver = Resolver(*(route.proxy or (route.host, route.port)))

    async def dial(self, until: float = math.inf) -> HttpConnection | TransportFailure:
        """Open a connection.

        Args:
            until: When there is no use in it any more, on the event loop's clock.
        """
        now = anyio.current_time()
        error: Exception = TimeoutError()
        scope = anyio.CancelScope(deadline=min(now + self.route.timeout, until))
        self._under_way.add(scope)
        if self.aborted:
            scope.cancel()
        try:
            with scope:
                return await self._open()
        except Exception as met:  # noqa: BLE001 - reported, whatever it is
            error = met
        finally:
            self._under_way.discard(scope)
        reason, refused = connect_failure_reason(error, self.route)
        clear_tracebacks(error)  # of frames that hold this error, and behind them the request
        return TransportFailure(
            FailureKind.TLS_OR_PROXY if refused else FailureKind.CONNECT,
            sent=False,
            text=f"nothing was sent: {reason}",
        )

    def abort(self) -> None:
        """Cancel all attempts to connect, and refuse new ones."""
        self.aborted = True
        for scope in self._under_way:
            scope.cancel()

    async def _open(self) -> HttpConnection:
        host, port = self.route.proxy or (self.route.host, self.route.port)
        opened = await open_socket(host, port, self.resolver)
        connection: HttpConnection | None = None
        try:
            proxy = self._proxy
            if proxy is not None and proxy.is_socks:
                await connect_by_socks(opened, self.route, proxy)
            connection = connection_over(opened, self.route.host)
            if proxy is not None and not proxy.is_socks:
                if proxy.is_secure:
                    await self._begin_tls_with(connection, proxy)
                await self._connect(connection, proxy)
            if self._secure:
                await self._begin_tls(connection, self.route.host)
        except BaseException:
            if connection is None:
                opened.close()
            else:
                connection.close()
            raise
        return connection

    async def _begin_tls(self, connection: HttpConnection, host: str) -> None:
        layer = TlsLayer(self._ssl_context or default_context(), host)
        await connection.secure(layer)
        if layer.protocol not in {None, "http/1.1"}:
            raise ConnectionForbidden(f"no HTTP/1.1 with {host}: the ssl_context offers others")

    async def _begin_tls_with(self, connection: HttpConnection, proxy: Proxy) -> None:
        """Start TLS with a proxy: what is wrong there is said of it, and not of the instance."""
        host, port = proxy.where
        try:
            await self._begin_tls(connection, host.partition("%")[0])
        except ssl.SSLError as error:
            to = Route(f"the proxy {host}", port, self.route.timeout)
            reason, refused = connect_failure_reason(error, to)
        else:
            return
        if refused:
            raise ConnectionForbidden(reason)
        raise EOFError

    async def _connect(self, connection: HttpConnection, proxy: Proxy) -> None:
        """Connect through a proxy, which sees the host but nothing of a request."""
        host, _ = self.route.dialled
        status = await connection.tunnel(_connect_request(self.route, proxy))
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            reason = ""
            with suppress(ValueError):
                reason = f" {HTTPStatus(status).phrase}"
            raise ConnectionForbidden(f"{host} refused ({status}{reason})")


def connection_over(connected: socket.socket, host: str) -> HttpConnection:
    """Return a connection over a socket, as the event loop that runs here can have one."""
    now = clock()
    if on_trio():
        return PullingConnection(connected, host, now, waits_of_trio())
    loop = asyncio.get_running_loop()
    if watches_sockets(loop):
        return LoopConnection(connected, host, now, loop)
    return PullingConnection(connected, host, now, waits_of_anyio())


def watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop has readers: that of Windows has none by default."""
    return type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader


async def open_socket(host: str, port: int, resolver: Resolver) -> socket.socket:
    """Return a socket that is connected and does not block.

    Raises:
        OSError: No address of the host can be reached.
    """
    del host, port  # for a guard of tests, which looks at them
    found = await resolver.look_up()
    if len(found) == 1:
        return await _connected(found[0])
    return await _race(found)


async def _connected(to: Found) -> socket.socket:
    family, address = to
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)  # noqa: FBT003 - the socket's own
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keep_alive(made)
        try:
            made.connect(address)
        except BlockingIOError:
            await anyio.wait_writable(made)
            if number := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, "connect") from None
    except BaseException:
        made.close()
        raise
    if made.getsockname() == address:
        # Nobody listens there, and the kernel has chosen just that port for this socket.
        made.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, "connect")
    return made


def _keep_alive(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, option, _ALIVE)


async def _race(found: list[Found]) -> socket.socket:
    """Connect to the first of several addresses that answers."""
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def run(to: Found, failed: anyio.Event) -> None:
        try:
            connected = await _connected(to)
        except OSError as error:
            errors.append(error)
            failed.set()
            return
        if won:
            connected.close()
            return
        won.append(connected)
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for each in found:
                failed = anyio.Event()
                group.start_soon(run, each, failed)
                with anyio.move_on_after(_HEAD_START):
                    await failed.wait()
    except BaseException:
        for connected in won:
            connected.close()
        raise
    if won:
        return won[0]
    raise errors[0] if errors else OSError


def _connect_request(route: Route, proxy: Proxy) -> bytes:
    host = f"[{route.host}]" if ":" in route.host else route.host
    lines = [f"CONNECT {host}:{route.port} HTTP/1.1", f"Host: {host}:{route.port}"]
    login = proxy.auth()
    if login is not None:
        encoded = base64.b64encode(b":".join(login)).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {encoded}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
