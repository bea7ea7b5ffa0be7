"""Fetch the pages of a list ahead of its reader, each in a task of its own.

So many are asked for at once. When the response of one is here, the next is asked for, before the
first is decoded.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import anyio
import anyio.lowlevel
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
        limit: How many pages are asked for at once; those beyond wait, first come first served.
    """

    __slots__ = ("_asking", "_dropped", "_fetch", "_queue", "_taken")

    def __init__(self, fetch: Callable[[PageRequest], Awaitable[P]], limit: int) -> None:
        self._fetch = fetch
        self._asking = anyio.Semaphore(limit, fast_acquire=True)
        self._queue: deque[tuple[int, BackgroundTask[P]]] = deque()
        self._dropped: list[BackgroundTask[P]] = []
        self._taken = False

    def __len__(self) -> int:
        return len(self._queue)

    def __del__(self) -> None:
        self.drop()

    def next_is_at(self, start_at_row: int) -> bool:
        """Return True if the page to be taken next starts there, or before."""
        return bool(self._queue) and self._queue[0][0] <= start_at_row

    def request(self, start_at_row: int, row_limit: int, *, first: bool = False) -> None:
        """Start to fetch a page, which is taken last; or first."""
        turn = _Turn(self._asking)
        request = PageRequest(start_at_row, row_limit, self._taken, turn.end)
        job = spawn(_fetch(self._fetch, turn, request))
        (self._queue.appendleft if first else self._queue.append)((start_at_row, job))

    async def take(self) -> tuple[int, P]:
        """Wait for the next page. Return its start and the page, or raise its error."""
        start_at_row, job = self._queue[0]
        if job.done:  # others run and may cancel this, however many pages are there already
            await anyio.lowlevel.checkpoint()
        page = await job.result()
        self._taken = True
        self._queue.popleft()
        return start_at_row, page

    def drop(self) -> None:
        """Cancel all fetches without waiting. A finalizer may call this."""
        while self._queue:
            self._dropped.append(self._queue.popleft()[1])
        for job in self._dropped:
            job.cancel()

    async def aclose(self) -> None:
        """Cancel all fetches, and wait until none of them runs."""
        self.drop()
        with anyio.CancelScope(shield=True):
            while self._dropped:
                await self._dropped[-1].aclose()
                self._dropped.pop()


class _Turn:
    """The turn of a fetch to ask; it ends once."""

    __slots__ = ("_asking", "_held")

    def __init__(self, asking: anyio.Semaphore) -> None:
        self._asking = asking
        self._held = False

    async def begin(self) -> None:
        await self._asking.acquire()
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._asking.release()


async def _fetch(
    fetch: Callable[[PageRequest], Awaitable[P]], turn: _Turn, request: PageRequest
) -> P:
    """Fetch a page in its turn. This must not hold its queue, which may be dropped meanwhile."""
    await turn.begin()
    try:
        return await fetch(request)
    finally:
        turn.end()
