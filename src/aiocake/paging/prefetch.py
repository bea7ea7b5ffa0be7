"""Pages on their way: asked for ahead of the reader, a few at a time, taken in order."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import anyio
import attrs

from aiocake._background import BackgroundTask, spawn

P = TypeVar("P")


@attrs.frozen(eq=False)
class PageRequest:
    """A page to fetch.

    Attributes:
        start_at_row: Where it begins.
        row_limit: How many rows it may have.
        begun: True if a page of the list was read already.
        on_response: May be called when the response is here and is yet to be decoded, so that
            the next page is requested meanwhile.
    """

    start_at_row: int
    row_limit: int
    begun: bool
    on_response: Callable[[], None]


@final
class Prefetcher(Generic[P]):
    """A queue of pages, each fetched by a background task.

    Args:
        fetch: Fetches a page.
        limit: How many fetches run at once; those beyond wait, first come first served.
    """

    __slots__ = ("_dropped", "_fetch", "_permits", "_queue", "_taken")

    def __init__(self, fetch: Callable[[PageRequest], Awaitable[P]], limit: int) -> None:
        self._fetch = fetch
        self._permits = anyio.Semaphore(limit, fast_acquire=True)
        self._queue: deque[tuple[int, BackgroundTask[P]]] = deque()
        self._dropped: list[BackgroundTask[P]] = []
        self._taken = False

    def __len__(self) -> int:
        return len(self._queue)

    def __del__(self) -> None:
        self.drop()

    @property
    def next_start(self) -> int | None:
        """Return where the next page starts; None if none is requested."""
        return self._queue[0][0] if self._queue else None

    def request(self, start_at_row: int, row_limit: int) -> None:
        """Start to fetch a page that is taken last."""
        self._queue.append((start_at_row, self._begin(start_at_row, row_limit)))

    def request_first(self, start_at_row: int, row_limit: int) -> None:
        """Start to fetch a page that is taken first."""
        self._queue.appendleft((start_at_row, self._begin(start_at_row, row_limit)))

    async def take(self) -> tuple[int, P]:
        """Wait for the next page. Return its start and the page, or raise its error."""
        start_at_row, job = self._queue[0]
        page = await job.result()
        self._taken = True
        self._queue.popleft()
        return start_at_row, page

    def drop(self) -> None:
        """Cancel all fetches without waiting. A finalizer may call this."""
        self._dropped += (job for _, job in self._queue)
        self._queue.clear()
        for job in self._dropped:
            job.cancel()

    async def aclose(self) -> None:
        """Cancel all fetches, and wait until none of them runs."""
        self.drop()
        with anyio.CancelScope(shield=True):
            while self._dropped:
                await self._dropped[-1].aclose()
                self._dropped.pop()

    def _begin(self, start_at_row: int, row_limit: int) -> BackgroundTask[P]:
        turn = _Permit(self._permits)
        ask = PageRequest(start_at_row, row_limit, self._taken, turn.end)
        return spawn(_fetch(self._fetch, turn, ask))


class _Permit:
    """A permit to fetch; it is released once."""

    __slots__ = ("_held", "_permits")

    def __init__(self, permits: anyio.Semaphore) -> None:
        self._permits = permits
        self._held = False

    async def begin(self) -> None:
        await self._permits.acquire()
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._permits.release()


async def _fetch(
    fetch: Callable[[PageRequest], Awaitable[P]], turn: _Permit, ask: PageRequest
) -> P:
    """Fetch a page under a permit. It must not hold its queue, which may be dropped meanwhile."""
    await turn.begin()
    try:
        return await fetch(ask)
    finally:
        turn.end()
