"""A response that is read as it comes, and that keeps its slot and connection until it ends."""

from collections.abc import Awaitable, Callable
from typing import Self

from aiocake._messages import StreamedResponse
from aiocake._transport.body import LARGEST_STREAM, Body
from aiocake._transport.failures import TransportFailure
from aiocake._transport.incoming import IncomingResponse
from aiocake._transport.network_time import OUT_OF_TIME, NetworkTimeBudget
from aiocake.errors import CakeError, ClosedError, DeadlineExceeded


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
        """Stop yielding pieces; a waiting reader gets a ClosedError."""
        self._closed = True
        self._network_time.end()

    def _error(self, ended: object) -> CakeError | None:
        if isinstance(ended, TransportFailure):
            self.fault = ended
            return ended.error()
        if ended is not OUT_OF_TIME:
            return None
        if self._closed:
            return ClosedError("the client was closed while the response was being read")
        return DeadlineExceeded("the rest of the response did not come in time")


class OpenStream:
    """A response that is read as it comes, and that keeps its slot and connection until then.

    Args:
        incoming: The response.
        slot: Its slot.
        network_time: What may be spent waiting for the network.
        release: Gives the slot back.
        streams: The streams of the client that are kept open.

    Attributes:
        response: The response; its chunks are read by whoever opened it.
        chunks: The pieces of its body.
    """

    def __init__(
        self,
        incoming: IncomingResponse,
        slot: int,
        network_time: NetworkTimeBudget,
        release: Callable[[int], None],
        streams: "set[OpenStream]",
    ) -> None:
        self._incoming = incoming
        self._slot = slot
        self._release = release
        self._streams = streams
        self.chunks: Chunks = Chunks(Body(incoming, LARGEST_STREAM), network_time)
        self.response: StreamedResponse = StreamedResponse(
            incoming.status, incoming.headers, self.chunks
        )

    def keep(self) -> None:
        """Keep slot and connection beyond the attempt, until the body ends or :meth:`aclose`."""
        self._streams.add(self)
        self.chunks.finish = self.aclose

    async def aclose(self) -> None:
        """Release slot and connection. Can be called twice, and from any task."""
        if self not in self._streams:
            return
        self._streams.remove(self)
        self.chunks.close()
        try:
            await self._incoming.aclose()
        finally:
            self._release(self._slot)
