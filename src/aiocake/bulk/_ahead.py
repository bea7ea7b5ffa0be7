"""Pages on their way: asked for ahead of the reader, a few at a time, taken in order."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import anyio

from aiocake._tasks import Job, start

__all__ = ["Ahead"]

P = TypeVar("P")


@final
class Ahead(Generic[P]):
    """A queue of pages, each fetched by a job of its own.

    Args:
        fetch: Fetches the page at ``(start_at_row, row_limit)``.
        limit: How many fetches run at once; those beyond wait, first come first served.
    """

    __slots__ = ("_dropped", "_fetch", "_gate", "_queue")

    def __init__(self, fetch: Callable[[int, int], Awaitable[P]], limit: int) -> None:
        self._fetch = fetch
        self._gate = anyio.Semaphore(limit, fast_acquire=True)
        self._queue: deque[tuple[int, Job[P]]] = deque()
        self._dropped: list[Job[P]] = []

    def __len__(self) -> int:
        return len(self._queue)

    def __del__(self) -> None:
        self.drop()

    @property
    def next_start(self) -> int | None:
        """Where the next page starts; None when none is on its way."""
        return self._queue[0][0] if self._queue else None

    def ask(self, start_at_row: int, row_limit: int) -> None:
        """Begin to fetch a page, to be taken last."""
        self._queue.append((start_at_row, self._begin(start_at_row, row_limit)))

    def ask_first(self, start_at_row: int, row_limit: int) -> None:
        """Begin to fetch a page, to be taken first."""
        self._queue.appendleft((start_at_row, self._begin(start_at_row, row_limit)))

    async def take(self) -> tuple[int, P]:
        """Wait for the next page: its start, and the page; or its error is raised."""
        start_at_row, job = self._queue[0]
        page = await job.result()
        self._queue.popleft()
        return start_at_row, page

    def drop(self) -> None:
        """Cancel whatever is on its way, without waiting. A finaliser may call this."""
        self._dropped += (job for _, job in self._queue)
        self._queue.clear()
        for job in self._dropped:
            job.cancel()

    async def aclose(self) -> None:
        """Cancel whatever is on its way, and wait until nothing of it runs any more."""
        self.drop()
        with anyio.CancelScope(shield=True):
            while self._dropped:
                await self._dropped[-1].aclose()
                self._dropped.pop()

    def _begin(self, start_at_row: int, row_limit: int) -> Job[P]:
        return start(_fetch(self._fetch, self._gate, start_at_row, row_limit))


async def _fetch(
    fetch: Callable[[int, int], Awaitable[P]],
    gate: anyio.Semaphore,
    start_at_row: int,
    row_limit: int,
) -> P:
    """What a job runs: it must not know its queue, which has to be droppable while it runs."""
    async with gate:
        return await fetch(start_at_row, row_limit)
