"""An answer that is read as it comes, and that keeps its slot and connection until it ends."""

from collections.abc import Awaitable, Callable
from typing import Self

from aiocake._messages import StreamedResponse
from aiocake._transport.body import Body
from aiocake._transport.failures import TransportFailure
from aiocake._transport.network_time import OUT_OF_TIME, NetworkTimeBudget
from aiocake.errors import CakeError, ClosedError, DeadlineExceeded

#: Reads a stream as far as its head; an error means that this attempt failed.
Begin = Callable[[StreamedResponse], Awaitable[CakeError | None]]


class Chunks:
    """The decompressed pieces of a body; raises nothing but errors of ours, and cancellation."""

    def __init__(self, body: Body, network_time: NetworkTimeBudget) -> None:
        self._body = body
        self._network_time = network_time
        self._closed = False
        self._exhausted = False
        #: What broke it off below HTTP.
        self.fault: TransportFailure | None = None
        #: Ends what it is read from, once it is read to its end or broken off.
        self.finish: Callable[[], Awaitable[None]] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._exhausted:
            raise StopAsyncIteration
        if self._closed:
            raise ClosedError("the stream is closed")
        piece = await self._network_time.wait_for(self._body.next())
        if isinstance(piece, bytes):
            return piece
        error = self._error(piece)
        if self.finish is not None:
            await self.finish()
        if error is None:
            self._exhausted = True
            raise StopAsyncIteration
        raise error

    def close(self) -> None:
        """Give no more pieces; whoever waits for one is told."""
        self._closed = True
        self._network_time.end()

    def _error(self, ended: object) -> CakeError | None:
        if isinstance(ended, TransportFailure):
            self.fault = ended
            return ended.error()
        if ended is not OUT_OF_TIME:
            return None
        if self._closed:
            return ClosedError("the client was closed while the answer was read")
        return DeadlineExceeded("the rest of the answer did not come in time")


class OpenExchange:
    """A streamed call: its stream, or why there is none.

    Attributes:
        stream: The answer; its chunks are read by whoever opened it.
        error: What the last attempt met; None when there is a stream.
        attempts: How many attempts were begun.
    """

    def __init__(
        self,
        stream: StreamedResponse | None,
        error: CakeError | None,
        attempts: int,
        end: Callable[[], Awaitable[None]],
        again: Callable[[CakeError, Begin], Awaitable["OpenExchange"]] | None = None,
    ) -> None:
        self.stream = stream
        self.error = error
        self.attempts = attempts
        self._end = end
        self._again = again

    async def again(self, error: CakeError, begin: Begin) -> "OpenExchange":
        """Make the further attempts of the call, once its stream broke off.

        Args:
            error: What reading the stream raised.
            begin: Reads an answer: as far as it has to come for the attempt to be a success.

        Returns:
            The open answer of another attempt; or this error, or that of the last attempt.
        """
        await self.aclose()
        return self if self._again is None else await self._again(error, begin)

    async def aclose(self) -> None:
        """Give slot and connection back. Can be called twice, and from any task."""
        await self._end()
