"""Connections on asyncio whose answer can be read although the request could not be written.

A server may answer before it has read a request, and close: a 413, most often. What it said then
lies in the socket. asyncio's transports close the socket when a write fails, and that answer is
lost, so that a refused write would end as one whose fate is unknown. Here a connection is taken
over once it is open: its socket is read and written directly, as trio does.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import anyio
from anyio.abc import ByteStream, SocketAttribute


class Opened(Protocol):
    """What is used of a stream of httpcore2."""

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever it is
        """The socket, among other things."""
        ...


class Opener(Protocol):
    """What is used of a backend of httpcore2."""

    async def connect_tcp(self, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - handed on
        """Open a connection."""
        ...


class SocketBackend:
    """Opens connections on asyncio as another backend of httpcore2 does, and takes them over.

    Args:
        opener: The other backend.
        stream: Makes httpcore2's stream of one of anyio's.
    """

    def __init__(self, opener: Opener, stream: Callable[[ByteStream], Opened]) -> None:
        self._opener = opener
        self._stream = stream

    async def connect_tcp(self, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - handed on
        """Open a connection; nothing has been read from it when it is taken over."""
        opened = await self._opener.connect_tcp(*where, **how)
        transport = getattr(getattr(opened, "_stream", None), "_transport", None)
        duplicate = getattr(opened.get_extra_info("socket"), "dup", None)
        if not isinstance(transport, asyncio.WriteTransport) or duplicate is None:
            return opened  # of another make: then an answer can be lost, and no more
        own = duplicate()
        try:
            own.settimeout(0)
            taken = self._stream(SocketStream(own))
        except Exception:  # noqa: BLE001 - private, too: another version may make it otherwise
            own.close()
            return opened
        transport.abort()  # closes its own descriptor, and not the connection
        return taken

    async def sleep(self, seconds: float) -> None:
        """Wait, before another try to connect."""
        await anyio.sleep(seconds)


class SocketStream(ByteStream):
    """A connected socket, with what httpcore2 and anyio's TLS ask of a stream.

    It gives way to other tasks only where it has to: a call that goes round the event loop between
    its steps waits each time for all others, and many at once end together, each as late as the
    last.

    Args:
        connected: The socket, which does not block.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._waiting: set[asyncio.Future[None]] = set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read what has come, and wait for it if nothing has."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        loop = asyncio.get_running_loop()
        waited = False
        while True:
            try:
                data = self.socket.recv(max_bytes)
            except BlockingIOError:
                await self._until(loop.add_reader, loop.remove_reader)
                waited = True
            except OSError as error:
                raise self._gone() from error
            else:
                break
        if not data:
            raise anyio.EndOfStream
        if not waited:  # bytes that come faster than they are read would leave no other task a turn
            await anyio.lowlevel.cancel_shielded_checkpoint()
        return data

    async def send(self, item: bytes) -> None:
        """Write all of it."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        loop = asyncio.get_running_loop()
        left = memoryview(item)
        while left:
            try:
                left = left[self.socket.send(left) :]
            except BlockingIOError:
                await self._until(loop.add_writer, loop.remove_writer)
            except OSError as error:
                raise self._gone() from error

    async def send_eof(self) -> None:
        """Say that nothing more is written."""
        self.socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close the socket, and end what waits for it."""
        number = self.socket.fileno()
        if number >= 0:
            # Before the number is another connection's.
            loop = asyncio.get_running_loop()
            loop.remove_reader(number)
            loop.remove_writer(number)
            self.socket.close()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        await anyio.lowlevel.checkpoint()

    async def _until(
        self, add: Callable[[int, Callable[[], None]], object], remove: Callable[[int], object]
    ) -> None:
        """Wait until the socket can be read or written, or is closed."""
        number = self.socket.fileno()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        self._waiting.add(ready)
        add(number, wake)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if self.socket.fileno() == number:
                remove(number)

    def _gone(self) -> Exception:
        closed = self.socket.fileno() < 0
        return anyio.ClosedResourceError() if closed else anyio.BrokenResourceError()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What httpcore2 asks a stream for."""
        return {
            SocketAttribute.raw_socket: lambda: self.socket,
            SocketAttribute.local_address: self.socket.getsockname,
            SocketAttribute.remote_address: self.socket.getpeername,
        }
