"""Fetch the pages of a list ahead of its reader, each in a task of its own.

So many are asked for at once. When the response of one is here, the next is asked for first; then
it waits for its turn to be decoded. Pages are decoded one at a time, and the reader takes one while
the next waits: where a hundred responses come at once, to decode all of them first would keep ten
thousand rows alive. Python looks through them for garbage again and again, which took a fifth of
the time of a list, and they push each other out of the processor's caches.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import anyio
import anyio.lowlevel
import attrs

from aiocake._background import BackgroundTask, BackgroundTaskCancelled

P = TypeVar("P")


@attrs.frozen(eq=False)
class PageRequest:
    """A page to fetch.

    Attributes:
        start_at_row: Where it begins.
        row_limit: How many rows it may have.
        begun: True if a page of the list was read already.
        on_response: May be awaited when the response is here and is yet to be decoded: it has the
            next page requested, and waits until the pages before are decoded. From then on, the
            fetch should wait for nothing else.
    """

    start_at_row: int
    row_limit: int
    begun: bool
    on_response: Callable[[], Awaitable[None]]


@final
class Prefetcher(Generic[P]):
    """A queue of pages, each fetched by a background task.

    Args:
        fetch: Fetches a page.
        limit: How many pages are asked for at once; those beyond wait, first come first served.
    """

    __slots__ = ("_asking", "_decoding", "_dropped", "_fetch", "_queue", "_taken")

    def __init__(self, fetch: Callable[[PageRequest], Awaitable[P]], limit: int) -> None:
        self._fetch = fetch
        self._asking = anyio.Semaphore(limit, fast_acquire=True)
        # Not a fast one: whoever finds it free lets others run, whose requests are sent before.
        self._decoding = anyio.Semaphore(1)
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

    def is_ready(self, start_at_row: int) -> bool:
        """Return True if the page to be taken next starts there, or before, and is here."""
        return self.next_is_at(start_at_row) and self._queue[0][1].done

    def request(self, start_at_row: int, row_limit: int, *, first: bool = False) -> None:
        """Start to fetch a page, which is taken last; or first."""
        turn = _Turn(self._asking, self._decoding)
        request = PageRequest(start_at_row, row_limit, self._taken, turn.to_decode)
        job = BackgroundTask(_fetch(self._fetch, turn, request))
        (self._queue.appendleft if first else self._queue.append)((start_at_row, job))

    async def take(self) -> tuple[int, P]:
        """Wait for the next page. Return its start and the page, or raise its error."""
        start_at_row, job = self._queue[0]
        if job.done:  # others run and may cancel this, however many pages are there already
            await anyio.lowlevel.checkpoint()
        page = await job.result()
        if not self._queue:  # it was here before all were dropped
            raise BackgroundTaskCancelled
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
                job = self._dropped[-1]
                await job.aclose()
                if job in self._dropped:  # another task may close it, too
                    self._dropped.remove(job)


class _Turn:
    """The turns of one fetch: first one to ask, then one to decode."""

    __slots__ = ("_asking", "_decoding", "_held")

    def __init__(self, asking: anyio.Semaphore, decoding: anyio.Semaphore) -> None:
        self._asking = asking
        self._decoding = decoding
        self._held: anyio.Semaphore | None = None

    async def to_ask(self) -> None:
        await self._asking.acquire()
        self._held = self._asking

    async def to_decode(self) -> None:
        self.end()
        await self._decoding.acquire()
        self._held = self._decoding

    def end(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.release()


async def _fetch(
    fetch: Callable[[PageRequest], Awaitable[P]], turn: _Turn, request: PageRequest
) -> P:
    """Fetch a page in its turn. This must not hold its queue, which may be dropped meanwhile."""
    await turn.to_ask()
    try:
        return await fetch(request)
    finally:
        turn.end()
