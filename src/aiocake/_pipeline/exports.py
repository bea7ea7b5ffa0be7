"""An export: bills as the body arrives, and the slot and connection that it holds until its end."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, cast

import anyio

from aiocake._background import BackgroundTask, soon
from aiocake._codec.exports import BillStream
from aiocake._listener import EventEmitter
from aiocake._messages import StreamedResponse
from aiocake._operations.operation import Operation
from aiocake._pipeline.call_state import AttemptState, CallState
from aiocake._pipeline.outcome import CallReport
from aiocake._transport import (
    IncomingResponse,
    NetworkTimeBudget,
    OpenStream,
    Transport,
    TransportFailure,
    clear_tracebacks,
)
from aiocake.errors import ApiError, CakeError, ClosedError, DeadlineExceeded
from aiocake.events import ListAnomaly, ReferencesDropped, ValuesNormalized

T = TypeVar("T")
V = TypeVar("V")

#: Reads a stream as far as its head; an error means that this attempt failed.
ReadHead = Callable[[StreamedResponse], Awaitable[CakeError | None]]


class RunAttempts(Protocol):
    """The loop of :class:`~aiocake._pipeline.executor.CallExecutor`."""

    async def __call__(
        self,
        call: CallState,
        read: Callable[
            [CallState, AttemptState, IncomingResponse],
            Awaitable[CakeError | TransportFailure | None],
        ],
        broken: CakeError | TransportFailure | None = None,
    ) -> None: ...


class StreamedCall:
    """A call whose response is read as it comes.

    Args:
        call: The call, whose time is that of the network.
        run_attempts: Makes its attempts.
        transport: Keeps what is open.

    Attributes:
        call: The call.
        stream: The open response; None before there is one.
    """

    def __init__(self, call: CallState, run_attempts: RunAttempts, transport: Transport) -> None:
        self.call = call
        self.stream: OpenStream | None = None
        self._run_attempts = run_attempts
        self._transport = transport

    async def open(
        self, head: ReadHead, broken: CakeError | TransportFailure | None = None
    ) -> CakeError | None:
        """Make attempts until the head of a response is read.

        Args:
            head: Reads a response: as far as it has to come for the attempt to be a success.
            broken: What the response of an attempt before broke off in.

        Returns:
            The error of the last attempt; None when :attr:`stream` is open.

        Raises:
            ArgumentError: The request with the key in it is too long.
            ClosedError: The client is closed.
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._transport.lifecycle.check_usable()
        opened = self.stream

        async def read(
            call: CallState, attempt: AttemptState, incoming: IncomingResponse
        ) -> CakeError | TransportFailure | None:
            network_time = cast("NetworkTimeBudget", call.network_time)
            stream = self._transport.stream(incoming, attempt.slot, network_time)
            error: CakeError | None
            try:
                error = await head(stream.response)
            except CakeError as raised:
                error = raised
                error.__traceback__ = None
            if stream.chunks.fault is not None:
                return stream.chunks.fault
            if error is None:
                attempt.kept = True
                stream.keep()
                self.stream = stream
            return error

        await self._run_attempts(self.call, read, broken)
        error = self.call.error
        return None if error is None or self.stream is not opened else self.call.told(error)

    async def again(self, error: CakeError, head: ReadHead) -> CakeError | None:
        """Make the further attempts of the call, once its stream broke off.

        Args:
            error: What reading the stream raised.
            head: Reads a response, as :meth:`open` takes it.

        Returns:
            The error of the last attempt; None when :attr:`stream` is another one, and open.
        """
        await self.aclose()
        stream, call = self.stream, self.call
        if stream is None or call.network_time is None:
            return error
        # The time budget of the stream has ended with it.
        call.network_time = call.network_time.rest()
        return await self.open(head, stream.chunks.fault or error)

    async def aclose(self) -> None:
        """Release slot and connection. Can be called twice, and from any task."""
        if self.stream is not None:
            await self.stream.aclose()


class OpenExport(Generic[T]):
    """The records of one export, each once: copies of a bill are left out.

    ``async with``, a bare ``async for`` and ``collect()`` all work. Nothing is sent before one of
    these begins. A refused export raises before it gives anything; a body that is cut short raises
    after what came, or is collected anew.
    """

    def __init__(  # noqa: PLR0913 - a call, and what it goes through
        self,
        operation: Operation[T],
        call: CallState,
        run_attempts: RunAttempts,
        transport: Transport,
        emitter: EventEmitter,
        *,
        show_sensitive: bool,
    ) -> None:
        self._operation = operation
        self._call = StreamedCall(call, run_attempts, transport)
        self._clean = transport.scrub
        self._emitter = emitter
        self._show_sensitive = show_sensitive
        self._bills: BillStream[T] | None = None
        #: From the first record that is asked for until the end is reported.
        self._report: CallReport | None = None
        #: Calls functions on its event loop, once that is known.
        self._soon: Callable[[Callable[[], object]], None] | None = None
        self._closed = False
        self._ended = False
        #: Around what waits for the network, in whatever task; None while nobody does.
        self._scope: anyio.CancelScope | None = None

    @property
    def success(self) -> bool | None:
        """Return CAKE's own flag of success; None until it is read, or where there is none."""
        return None if self._bills is None else self._bills.success

    @property
    def message(self) -> str:
        """Return CAKE's message beside the bills; mostly an empty text."""
        return "" if self._bills is None else self._clean(self._bills.message)

    @property
    def row_count(self) -> int | None:
        """Return CAKE's count of the bills; None until it is read, or where there is none."""
        return None if self._bills is None else self._bills.row_count

    @property
    def rows_read(self) -> int:
        """Return the number of bills read so far."""
        return 0 if self._bills is None else self._bills.rows_read

    @property
    def ready(self) -> int:
        """Return the number of bills that have arrived and were not read yet."""
        return 0 if self._bills is None or self._closed else len(self._bills.ready)

    @property
    def dropped(self) -> int:
        """Return the number of references dropped so far: to characters that XML cannot hold."""
        return 0 if self._bills is None else self._bills.dropped

    async def __aenter__(self) -> Self:
        if self._bills is None or self._closed:
            await self._step(self._begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        bills = self._bills
        # What was read already needs no wait.
        if bills is not None and bills.ready and not self._closed:
            return bills.ready.popleft()
        if self._ended:
            raise StopAsyncIteration
        if bills is None:
            bills = await self._step(self._begin)
        return await self._step(bills.__anext__)

    async def _step(self, step: Callable[[], Awaitable[V]]) -> V:
        """Make a step that waits for the network; whatever it raises ends the export."""
        if self._closed:
            raise self._status(_closed())
        if self._scope is not None:  # as an async generator refuses it
            raise RuntimeError("the export is being read by another task")
        try:
            return await self._until_closed(step)
        except StopAsyncIteration:
            self._ended = True
            await self._finish(None)
            raise
        except CakeError as error:
            await self._finish(error, left=self._closed)
            raise self._status(error) from None
        except BaseException:
            self._scope = None
            await self.aclose()
            raise
        finally:
            self._scope = None

    async def _until_closed(self, step: Callable[[], Awaitable[V]]) -> V:
        """Make a step, unless another task closes the export meanwhile."""
        with anyio.CancelScope() as self._scope:
            value = await step()
            if not self._closed:
                return value
        raise _closed()

    async def collect(self) -> list[T]:
        """Return all records, as a list.

        None was given before the last is here. So where the response breaks off, it is asked for
        again, as other reads are: inside the deadline, attempts and retry budget of the call.

        Raises:
            ClosedError: Some were read before, or it is closed: a list of the rest could be taken
                for all of them.
        """
        if self._closed or self.rows_read:
            raise self._status(ClosedError("the export was read or closed before it was collected"))
        async with self:
            records = await self._step(self._collect)
            self._ended = True
            await self._finish(None)
            return records

    async def _collect(self) -> list[T]:
        bills, call = self._bills, self._call.call
        if self._ended or bills is None:
            return []
        try:
            return await bills.rest()
        except CakeError as error:
            broken = error.with_traceback(None)
        records: list[T] = []
        streams = [bills]
        attempts = call.attempts

        async def read(response: StreamedResponse) -> CakeError | None:
            self._bills = stream = self._stream(response)
            streams.append(stream)
            records[:] = await stream.rest()
            return None

        met = await self._call.again(broken, read)
        if met is None:
            return records
        if len(streams) > 1 or call.attempts == attempts:
            raise streams[-1].counted(met)
        # How many bills there were says more than that nothing came afterwards.
        says_more = isinstance(met, ApiError | ClosedError | DeadlineExceeded)
        raise met if says_more else broken

    async def aclose(self) -> None:
        """Stop, and release slot and connection. Can be called twice."""
        self._closed = True
        if self._scope is None:
            self._emit_end(None, left=True)
        else:  # emitted by whoever waits there, once the attempt has ended
            self._scope.cancel()
        await self._call.aclose()

    async def _begin(self) -> BillStream[T]:
        bills: list[BillStream[T]] = []

        async def begin(response: StreamedResponse) -> CakeError | None:
            bills[:] = [self._stream(response)]
            return await bills[0].head()

        self._soon = soon()
        self._report = CallReport(self._emitter, self._call.call)
        error = await self._call.open(begin)
        if error is not None:
            raise error
        self._bills = bills[0]
        return self._bills

    def _stream(self, response: StreamedResponse) -> BillStream[T]:
        return BillStream(
            self._operation,
            response.status,
            response.headers,
            response.chunks,
            show_sensitive=self._show_sensitive,
        )

    async def _finish(self, failure: CakeError | None, *, left: bool = False) -> None:
        self._emit_end(failure, left=left)
        await self.aclose()

    def _emit_end(self, failure: CakeError | None, *, left: bool) -> None:
        report, self._report = self._report, None
        if report is None:
            return
        name, number = self._operation.name, self._call.call.number
        if self.dropped:
            self._emitter.emit(ReferencesDropped(name, self.dropped, number))
        lenient = None if self._bills is None else self._bills.lenient
        if lenient is not None and lenient.count:
            fields = tuple(map(self._clean, lenient.fields))
            self._emitter.emit(ValuesNormalized(name, fields, lenient.count, number))
        repeated, first = (0, None) if self._bills is None else self._bills.repeated
        if repeated:
            detail = f"{repeated} left out, of bill {first}"
            detail += " and others" if repeated > 1 else ""
            self._emitter.emit(ListAnomaly(name, "row repeated", detail, number))
        if not left:
            report.finish(failure)
        report.emit(cancelled=left)

    def _status(self, error: CakeError) -> CakeError:
        error.operation = self._operation.name
        error.scrub(self._clean)
        clear_tracebacks(error)  # of frames that hold the response: it may repeat the key
        return error

    def __del__(self) -> None:
        call, report = self._call, self._report
        if self._soon is not None and call.stream is not None and report is not None:
            # Whatever thread it is let go in: a finaliser runs wherever it may.
            self._soon(partial(_let_go, call, report))


def _closed() -> ClosedError:
    return ClosedError("the export was closed before its end")


def _let_go(call: StreamedCall, report: CallReport) -> None:
    with suppress(RuntimeError):  # the event loop is about to end, and takes no more tasks
        BackgroundTask(_leave(call, report))


async def _leave(call: StreamedCall, report: CallReport) -> None:
    """Close an export that was dropped."""
    report.emit(cancelled=True)
    await call.aclose()
