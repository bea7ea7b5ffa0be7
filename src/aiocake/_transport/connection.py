"""A connection of our own: HTTP/1.1 over a plain socket that does not block.

:class:`~aiocake._transport.response_reader.ResponseReader` parses the bytes without I/O, and the
TLS layer does no I/O either. So asyncio, uvloop and trio share all of this code but the waiting for
the socket: in :class:`LoopConnection` the event loop reads whatever arrives, and
:class:`~aiocake._transport.pulling.PullingConnection` reads on demand.

A connection sends the bytes itself, so it knows if one of a request has left. It raises nothing but
cancellations, and a cancelled caller closes it at once, without an await.
"""

import asyncio
import errno
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import anyio.lowlevel

from aiocake._messages import SendDeadline  # noqa: TC001 - imported like the others
from aiocake._transport.failures import FailureKind, TransportFailure
from aiocake._transport.response_reader import ResponseReader
from aiocake._transport.tls_layer import TlsLayer

#: The message for a write that was not begun, since too little time was left.
TOO_LATE: Final = "nothing was sent: too little time was left for a response"
#: The message for a write of a run that this process may no longer own.
HELD_BACK: Final = (
    "nothing was sent: so long after the journal was last heard of, another process may have taken "
    "over the run"
)

#: Bytes of one read: more makes malloc ask the kernel for memory each time.
_READ: Final = 65_536
#: Reads in one turn of the event loop, however much comes.
_READS: Final = 8
#: Bytes of a body that nobody has asked for yet, before no more are read.
_MOST_HELD: Final = 262_144
#: Bytes that are sealed at once.
_SEALED: Final = 65_536
#: A connection that was idle for longer is not used again: most servers close it at some point.
_LONGEST_IDLE: Final = 60.0
#: From this status on a response is a refusal or a failure.
_REFUSED: Final = 400

# Once a program has freed a large block, as most do, glibc keeps up to twice as many bytes of what
# is freed later (mallopt(3), M_MMAP_THRESHOLD). Until then it gives them back to the kernel and
# asks for them again: with 100 responses at once, a twentieth of the CPU of a call.
bytes(8 << 20)


class SendTrace:
    """Records if a request may have left, and until when it may leave.

    Attributes:
        sent: Whether a byte of it may have left.
        stale: Whether the connection had been used before, and ended without a byte of a response:
            most likely the server had closed it before the request came.
        latest: When it may leave at the latest, on the event loop's clock: dialling may take long.
        not_after: The moment after which no byte of it may leave; None where there is none.
        takes: Seconds that its response may take, of which that has to know.
        held_back: Whether it did not leave for that.
    """

    __slots__ = ("held_back", "latest", "not_after", "sent", "stale", "takes")

    def __init__(self) -> None:
        self.sent: bool = False
        self.stale: bool = False
        self.held_back: bool = False
        self.latest: float = math.inf
        self.not_after: SendDeadline | None = None
        self.takes: float = 0.0

    def holds_back(self) -> bool:
        """Return True, and record it, if the request must not leave any more."""
        self.held_back = self.not_after is not None and self.not_after.has_passed(self.takes)
        return self.held_back


class HttpConnection:
    """One connection, and the response that is read over it.

    Args:
        connected: The socket, which does not block.
        host: Who is at its other end, in words.
        clock: The clock of the event loop.

    Attributes:
        closed: Whether it is.
        used: Whether a response was read over it before this one.
        reader: Reads the response.
    """

    __slots__ = (
        "_answered",
        "_clock",
        "_cut",
        "_error",
        "_host",
        "_idle",
        "_idle_since",
        "_late",
        "_layers",
        "_out",
        "_over",
        "_read",
        "_socket",
        "_total",
        "_until",
        "_whole",
        "closed",
        "reader",
        "used",
    )

    def __init__(self, connected: socket.socket, host: str, clock: Callable[[], float]) -> None:
        self._socket = connected
        self._host = host
        self._clock = clock
        self._layers: list[TlsLayer] = []
        self.reader = ResponseReader()
        self.reader.begin()
        self.closed = self.used = False
        #: Between two calls: whatever comes then is no response.
        self._idle = False
        self._idle_since = 0.0
        #: Whether the whole request has left.
        self._whole = True
        #: What is on its way into the socket.
        self._out: bytes | memoryview = b""
        #: Whether a byte of the response has come.
        self._answered = False
        #: Whether nothing more comes; whether that was too early; and why, if it is known.
        self._over = self._cut = False
        self._error: Exception | None = None
        #: Seconds without a byte, the end of it all, and what is first of the two.
        self._read = self._total = self._until = math.inf
        self._late = False

    def __repr__(self) -> str:
        state = "closed" if self.closed else "idle" if self._idle else "in use"
        return f"<{type(self).__name__} {state}>"

    @property
    def tls(self) -> TlsLayer | None:
        """Return the innermost layer of TLS, with the instance; None where none is spoken."""
        return self._layers[-1] if self._layers else None

    # For whoever opens it.

    async def secure(self, layer: TlsLayer) -> None:
        """Start TLS on the connection.

        Raises:
            Exception: There is no TLS with the peer; most often an ``ssl.SSLError``.
        """
        self._layers.append(layer)
        self._out = self._sealed(b"")
        while not layer.ready or self._out:
            if self._flush() is not None:
                self._receive()
                self._lost(ConnectionResetError(errno.ECONNRESET, "TLS"))
            if self._over or self.closed:
                raise self._error or EOFError
            if not layer.ready or self._out:
                await self._wait(writing=bool(self._out))

    async def tunnel(self, request: bytes) -> int:
        """Request a tunnel from a proxy by CONNECT, and return the status of its response.

        Raises:
            Exception: The proxy gave no response.
        """
        reader = self.reader
        reader.begin(tunnel=True)
        if await self.ask(request, SendTrace(), math.inf) is not None or reader.wrong:
            raise self._error or EOFError
        status = reader.status or 0
        reader.begin()
        self._answered = False
        return status

    # For whoever sends a request over it.

    def usable(self) -> bool:
        """Return True if it can carry another request, as far as is known."""
        return self._idle and not self.closed and self._clock() - self._idle_since < _LONGEST_IDLE

    @property
    def in_use(self) -> bool:
        """Return True if a response is awaited over it."""
        return not (self.closed or self._idle)

    @property
    def stale(self) -> bool:
        """Return True if it was used before, and ended without a byte of another response."""
        return self.used and self._cut and not self._answered

    async def ask(
        self, request: bytes, trace: SendTrace, read: float, total: float = math.inf
    ) -> TransportFailure | None:
        """Send a request, and wait for the head of its response, which is then in ``reader``.

        Args:
            request: The whole of it. It is not kept once it was written.
            trace: Takes note of whether a byte of it may have left.
            read: Seconds to wait for the next bytes.
            total: When the response must be whole, on the event loop's clock.

        Returns:
            What went wrong, if anything.
        """
        await self._checkpoint()
        self._read, self._total = read, total
        self._late = False  # the end of the last response may have come as its time was up
        reader = self.reader
        self._receive()
        if self._idle:
            self.used = True
            # What has begun to come within TLS may be surplus: its end would look like a response.
            surplus = self._layers and any(layer.within_record for layer in self._layers)
            if self.closed or self._out or surplus:
                self._cut = True
                return self._unsent()
            self._idle = False
            reader.begin()
        # What came before anything was sent is a response, too, if it is a refusal: then nothing is
        # sent, even if that is incomplete yet: its end would look like a response to the request.
        if not self._answered and self._goes_on():
            if trace.latest < math.inf and self._clock() > trace.latest:
                self._rest()
                return TransportFailure(FailureKind.TIMEOUT, sent=False, text=TOO_LATE)
            self._whole = False
            self._whole = await self._write(request, trace)
        else:
            self._whole = False
        if not self._whole:  # what is left of it never leaves; and the key may stand in it
            self._out = b""
        del request
        if trace.held_back:
            self.close()  # within TLS a record was begun that never leaves
            return TransportFailure(FailureKind.HELD_BACK, sent=False, text=HELD_BACK)
        while reader.status is None and self._goes_on():
            await self._wait()
        status = reader.status
        if status is None:
            return self._failure() if trace.sent else self._unsent()
        if not self._whole and status < _REFUSED:
            # It is not to this request: who has not got it as a whole can only refuse it.
            text = "a response came before the request was sent"
            return TransportFailure(FailureKind.CONNECTION_LOST, trace.sent, text, status)
        return None

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next piece of the body; None at its end."""
        reader = self.reader
        while True:
            if reader.unread:
                piece = reader.take()
                self._resume()
                return piece
            if reader.done:
                return None
            if reader.wrong or self._over or self.closed or self._late:
                return self._failure()
            await self._wait()

    def whole(self) -> bytes | None:
        """Return the whole body if it is there; None where it is to be waited for."""
        return self.reader.take() if self.reader.done else None

    def release(self) -> None:
        """End the response: the connection stays open only if all of it was read, and no more."""
        reader = self.reader
        if (
            reader.done
            and reader.keep_alive
            and not reader.trailing_data
            and self._whole
            and not self._over
            and not self._out
        ):
            self._rest()
        else:
            self.close()

    async def aclose(self) -> None:
        """End the response, as :meth:`release` does."""
        self.release()

    def close(self) -> None:
        """Close it, whatever is under way. Can be called twice."""
        if not self.closed:
            self.closed = True
            self._out = b""
            self._forget()
            self._socket.close()

    def goodbye(self) -> None:
        """Close it, with a TLS close_notify if that can be sent at once."""
        if not self.closed:
            for layer in reversed(self._layers):
                self._out = bytes(self._out) + self._sealed(layer.goodbye(), within=layer)
            self._flush()
            self.close()

    # What the subclasses do.

    async def _checkpoint(self) -> None:
        """Raise the cancellation of a cancelled call, before anything is sent."""
        await anyio.lowlevel.checkpoint_if_cancelled()

    async def _wait(self, *, writing: bool = False) -> None:
        """Wait until something has come, or time is up; or something can be written."""
        raise NotImplementedError

    def _pause(self) -> None:
        """Read nothing more for now."""

    def _resume(self) -> None:
        """Read again."""

    def _forget(self) -> None:
        """Stop watching the socket, which is about to be closed."""

    # Reading.

    def _receive(self) -> bool:
        """Read what has come; return False if there may be more of it."""
        for _ in range(_READS):
            if self.closed or self._over:
                return True
            if self._is_full():
                self._pause()
                return True
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                self._lost(error)
                return True
            if data:
                self._take_in(data)
            elif self._layers:
                self._layers[0].end()
                self._look_at_layers()
            else:
                self._end(clean=True)
            if self.reader.done and not self._idle:
                return True
        return False

    def _is_full(self) -> bool:
        """Return True if nothing more is to be read for now."""
        reader = self.reader
        return reader.unread > _MOST_HELD or reader.trailing_data or reader.wrong is not None

    def _take_in(self, data: bytes) -> None:
        self._until = min(self._clock() + self._read, self._total)
        if self._layers:
            for layer in self._layers:
                data = layer.open(data)
            if sealed := self._sealed(b""):
                self._out = bytes(self._out) + sealed
                if self._whole:  # or whoever writes takes note of what leaves
                    self._flush()
        if data:
            if self._idle:
                self.close()
                return
            self._answered = True
            self.reader.feed(data)
        if self._layers:
            self._look_at_layers()

    def _look_at_layers(self) -> None:
        for layer in self._layers:
            if layer.ended and layer is not self._layers[-1]:
                self._layers[-1].end()
        for layer in self._layers:
            if layer.error is not None:
                self._lost(layer.error)
                return
        if self._layers[-1].ended:
            self._end(clean=True)

    def _lost(self, error: Exception) -> None:
        if self._error is None:
            self._error = error.with_traceback(None)
        self._end(clean=False)

    def _end(self, *, clean: bool) -> None:
        """Handle the end of what comes in."""
        if self._over:
            return
        self._over = True
        if self._idle:
            self.close()
            return
        self._pause()
        reader = self.reader
        if reader.wrong is None and not reader.done:
            reader.eof(clean)
            self._cut = not reader.done

    def _goes_on(self) -> bool:
        """Return True if more of the response can come."""
        reader = self.reader
        return not (
            self._over
            or self.closed
            or self._late
            or reader.wrong
            or (reader.status or 0) >= _REFUSED
        )

    # Writing.

    async def _write(self, request: bytes, trace: SendTrace) -> bool:
        """Write a request, and read while that is not possible; False if not all of it left."""
        left = memoryview(request)
        size = _SEALED if self._layers else len(left)
        begun = False
        while left or self._out or self._blocked():
            if left and not self._out and not self._blocked():
                self._out, left, begun = self._sealed(left[:size]), left[size:], True
            before = len(self._out)
            # Here, and nowhere before: between this look and the first byte nothing is waited for.
            if begun and not trace.sent and trace.holds_back():
                return False
            failed = self._flush()
            # A part of a record of TLS counts, too.
            trace.sent = trace.sent or (begun and len(self._out) < before)
            if failed is not None:
                # A peer that has ended the connection may have said why, which is still to be read.
                if not isinstance(failed, ConnectionError):
                    self._lost(failed)
                return False
            if self._out or self._blocked():
                await self._wait(writing=bool(self._out))
            elif not self._layers:
                break  # nothing was waited for, and nothing sealed
            if not self._goes_on():
                return False
        return True

    def _flush(self) -> OSError | None:
        """Write as many pending bytes as the socket takes; return why it takes no more, ever."""
        while self._out:
            try:
                count = self._socket.send(self._out)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                return error
            self._out = memoryview(self._out)[count:] if count < len(self._out) else b""
        return None

    def _sealed(
        self, data: bytes | memoryview, *, within: TlsLayer | None = None
    ) -> bytes | memoryview:
        """Return the bytes on the wire for these bytes, through all layers of TLS."""
        layers = self._layers if within is None else self._layers[: self._layers.index(within)]
        for layer in reversed(layers):
            data = layer.seal(data)
            if layer.error is not None:
                self._lost(layer.error)
        return data

    def _blocked(self) -> bool:
        return bool(self._layers) and any(layer.blocked for layer in self._layers)

    # How it ends.

    def _rest(self) -> None:
        if self.used or self.reader.done:
            self._idle, self._answered = True, False
            # A server may repeat the key in them.
            self.reader.headers, self.reader.encodings = [], []
            self._idle_since = self._clock()
            self._resume()

    def _unsent(self) -> TransportFailure:
        if self._late:
            text = f"{self._host} took no bytes in time"
        else:
            text = f"{self._host} ended the connection before the request had left"
        return TransportFailure(FailureKind.CONNECT, sent=False, text=f"nothing was sent: {text}")

    def _failure(self) -> TransportFailure:
        status = self.reader.status
        if self._late:
            text = "no bytes came for too long"
            return TransportFailure(FailureKind.TIMEOUT, sent=True, text=text, status=status)
        if self.reader.wrong and not self._cut:
            text = f"no valid HTTP response came from {self._host} ({self.reader.wrong})"
        else:
            text = "the connection ended before the response was complete"
        return TransportFailure(FailureKind.CONNECTION_LOST, sent=True, text=text, status=status)


class LoopConnection(HttpConnection):
    """A connection whose socket an event loop of asyncio watches.

    Whatever comes is read at once, so that what a server says is known as soon as it can be: that
    it has closed an idle connection, or refuses a request that is still being written.
    """

    __slots__ = ("_loop", "_number", "_reading", "_reads_on", "_rings", "_timer", "_waiter")

    def __init__(
        self,
        connected: socket.socket,
        host: str,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(connected, host, clock)
        self._loop = loop
        self._number = connected.fileno()
        self._waiter: asyncio.Future[None] | None = None
        #: One for all waits: it is not moved when a wait begins, but looks when it rings.
        self._timer: asyncio.Handle | None = None
        #: When that is. uvloop's handle does not know it, where the time is as good as over.
        self._rings = math.inf
        #: Whether it reads on in the next turn of the loop.
        self._reads_on = False
        self._reading = True
        loop.add_reader(self._number, self._on_readable)

    async def _wait(self, *, writing: bool = False) -> None:
        if self.closed:
            return
        self._late = False
        self._until = min(self._clock() + self._read, self._total)
        waiter = self._waiter = self._loop.create_future()
        self._set_timer()
        try:
            if writing:
                self._loop.add_writer(self._number, self._wake)
            await waiter
        except Exception as error:  # noqa: BLE001 - the loop cannot watch the socket
            self._lost(error)
        finally:
            self._waiter = None
            if writing and not self.closed:
                self._loop.remove_writer(self._number)

    def _on_readable(self) -> None:
        if not self._reads_on:  # or each turn of the loop would read once more than the one before
            self._read_on()

    def _read_on(self) -> None:
        self._reads_on = False
        try:
            if not self._receive():
                # uvloop tells of a reset once only: nothing may be left when this returns.
                self._reads_on = True
                self._loop.call_soon(self._read_on)
        except Exception as error:  # noqa: BLE001 - whoever waits would wait for ever
            self._lost(error)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self) -> None:
        timer, until = self._timer, self._until
        if timer is not None:
            if self._rings <= until:
                return
            timer.cancel()
        self._rings = until
        self._timer = None if until == math.inf else self._loop.call_at(until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is not None:
            if self._clock() < self._until:
                self._set_timer()
            else:
                self._late = True
                self._wake()

    def _pause(self) -> None:
        if self._reading and not self.closed:
            self._reading = False
            self._loop.remove_reader(self._number)

    def _resume(self) -> None:
        if not self._reading and not self.closed and not self._over:
            try:
                self._loop.add_reader(self._number, self._on_readable)
            except Exception as error:  # noqa: BLE001 - the loop cannot watch the socket
                self._lost(error)
            else:
                self._reading = True

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Before the number is another connection's. A loop that is closed watches and runs nothing.
        with suppress(RuntimeError):
            self._loop.remove_reader(self._number)
            self._loop.remove_writer(self._number)
            self._wake()
