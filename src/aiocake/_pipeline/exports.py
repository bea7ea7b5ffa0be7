"""An export: bills as the body arrives, with all that has to be given back in the end."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio

from aiocake._background import spawn
from aiocake._codec.exports import BillStream
from aiocake._listener import EventEmitter
from aiocake._messages import StreamedResponse
from aiocake._operations.operation import Operation
from aiocake._pipeline.call_report import CallReport
from aiocake._transport import Begin, Begun, OpenExchange, clear_tracebacks
from aiocake.errors import ApiError, CakeError, ClosedError, DeadlineExceeded
from aiocake.events import ListAnomaly, ReferencesDropped, ValuesNormalized

T = TypeVar("T")
V = TypeVar("V")


class OpenExport(Generic[T]):
    """The records of one export, each once: copies of a bill are left out.

    ``async with``, a bare ``async for`` and ``collect()`` all work. Nothing is sent before one of
    these begins. A refused export raises before it gives anything; a body that is cut short raises
    after what came, or is collected anew.
    """

    def __init__(
        self,
        operation: Operation[T],
        open_: Callable[[Begin, Begun], Awaitable[OpenExchange]],
        *,
        clean: Callable[[str], str],
        emitter: EventEmitter,
        show_sensitive: bool,
    ) -> None:
        self._operation = operation
        self._open = open_
        self._clean = clean
        self._emitter = emitter
        self._show_sensitive = show_sensitive
        self._exchange: OpenExchange | None = None
        self._bills: BillStream[T] | None = None
        #: From the first record that is asked for until it is told.
        self._ending: CallReport | None = None
        self._closed = False
        self._ended = False
        #: Around what waits for the network, in whatever task; None while nobody does.
        self._scope: anyio.CancelScope | None = None

    @property
    def success(self) -> bool | None:
        """Whether CAKE says that the export succeeded; None while it is not known, or not said."""
        return None if self._bills is None else self._bills.success

    @property
    def message(self) -> str:
        """What CAKE says beside the bills; mostly nothing."""
        return "" if self._bills is None else self._clean(self._bills.message)

    @property
    def row_count(self) -> int | None:
        """How many bills CAKE says there are; None while it is not known, or not said."""
        return None if self._bills is None else self._bills.row_count

    @property
    def rows_read(self) -> int:
        """How many bills were given so far."""
        return 0 if self._bills is None else self._bills.rows_read

    @property
    def dropped(self) -> int:
        """How many references to characters that XML cannot hold were left out so far."""
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
        # What was read already waits for nothing.
        if bills is not None and bills.ready and not self._closed:
            return bills.ready.popleft()
        if self._ended:
            raise StopAsyncIteration
        if bills is None:
            bills = await self._step(self._begin)
        return await self._step(bills.__anext__)

    async def _step(self, step: Callable[[], Awaitable[V]]) -> V:
        """Do what waits for the network; whatever it raises ends the export."""
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
            await self._finish(error)
            raise self._status(error) from None
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._scope = None

    async def _until_closed(self, step: Callable[[], Awaitable[V]]) -> V:
        """Do it, unless another task closes the export meanwhile."""
        with anyio.CancelScope() as self._scope:
            value = await step()
            if not self._closed:
                return value
        raise _closed()

    async def collect(self) -> list[T]:
        """Return all records, as a list.

        None was given before the last is here. So where the answer breaks off, it is asked for
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
        bills, exchange = self._bills, self._exchange
        if self._ended or bills is None or exchange is None:
            return []
        try:
            return await bills.rest()
        except CakeError as error:
            broken = error.with_traceback(None)
        records: list[T] = []
        streams = [bills]

        async def read(response: StreamedResponse) -> CakeError | None:
            self._bills = stream = self._stream(response)
            streams.append(stream)
            records[:] = await stream.rest()
            return None

        self._exchange = again = await exchange.again(broken, read)
        if again.error is None:
            return records
        if len(streams) > 1 or again.attempts == exchange.attempts:
            raise streams[-1].counted(again.error)
        # How many bills there were says more than that nothing came afterwards.
        says_more = isinstance(again.error, ApiError | ClosedError | DeadlineExceeded)
        raise again.error if says_more else broken

    async def aclose(self) -> None:
        """Stop and give slot and connection back. Can be called twice."""
        self._closed = True
        self._emit_end(None, left=True)
        if self._scope is not None:
            self._scope.cancel()
        if self._exchange is not None:
            await self._exchange.aclose()

    async def _begin(self) -> BillStream[T]:
        bills: list[BillStream[T]] = []

        async def begin(response: StreamedResponse) -> CakeError | None:
            bills[:] = [self._stream(response)]
            return await bills[0].head()

        self._ending = ending = CallReport(self._emitter, self._operation.name, None)
        self._exchange = await self._open(begin, ending.count)
        if self._exchange.error is not None:
            raise self._exchange.error
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

    async def _finish(self, failure: CakeError | None) -> None:
        self._emit_end(failure, left=False)
        await self.aclose()

    def _emit_end(self, failure: CakeError | None, *, left: bool) -> None:
        ending, self._ending = self._ending, None
        if ending is None:
            return
        name = self._operation.name
        if self.dropped:
            self._emitter.emit(ReferencesDropped(name, self.dropped))
        lenient = None if self._bills is None else self._bills.lenient
        if lenient is not None and lenient.count:
            fields = tuple(map(self._clean, lenient.fields))
            self._emitter.emit(ValuesNormalized(name, fields, lenient.count))
        repeated, first = (0, None) if self._bills is None else self._bills.repeated
        if repeated:
            detail = f"{repeated} left out, of bill {first}"
            detail += " and others" if repeated > 1 else ""
            self._emitter.emit(ListAnomaly(name, "row repeated", detail))
        if not left:
            ending.finish(failure)
        ending.emit(cancelled=left)

    def _status(self, error: CakeError) -> CakeError:
        error.operation = self._operation.name
        error.scrub(self._clean)
        clear_tracebacks(error)  # of frames that hold the answer: it may repeat the key
        return error

    def __del__(self) -> None:
        if self._exchange is not None and self._ending is not None:
            closing = _leave(self._exchange, self._ending)
            try:
                spawn(closing)
            except RuntimeError:  # no event loop runs any more, and so no connection either
                with suppress(RuntimeError):
                    closing.close()


def _closed() -> ClosedError:
    return ClosedError("the export was closed before its end")


async def _leave(exchange: OpenExchange, ending: CallReport) -> None:
    """Close an export that was dropped: not in its finaliser, which runs wherever it may."""
    ending.emit(cancelled=True)
    await exchange.aclose()
