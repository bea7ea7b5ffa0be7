"""How close to the ideal rate a list is paged, beside two usual ways to do it, and in what memory.

    python benchmarks/paging.py                     # over a stub that takes its time
    python benchmarks/paging.py --pages 1000 --latency 0.02

The ideal is ``pages x latency / limit`` seconds. It leaves out that the first page has to be there
before anybody knows how many there are, and that timers of a loop are late by up to a millisecond.
:func:`compare` takes any fetch, so that it can be run over a real client as well.
"""

import argparse
import asyncio
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs

from aiocake.bulk import PageLike, Pager

Fetch = Callable[[int, int], Awaitable[PageLike[int]]]
Way = Callable[[Fetch, int, int], AsyncIterator[int]]

ROWS = 100


@attrs.frozen
class Page:
    """One page of the stub's list; a row is its own id."""

    items: tuple[int, ...]
    total_rows: int | None
    start_at_row: int


def stub(rows: int, latency: float, jitter: float, limit: int) -> Fetch:
    """A list of so many rows, each page of which takes ``latency`` seconds, give or take."""
    chance = random.Random(1)
    gate = asyncio.Semaphore(limit)

    async def fetch(start_at_row: int, row_limit: int) -> Page:
        async with gate:  # stands for the client's throttle
            await asyncio.sleep(latency * chance.uniform(1 - jitter, 1 + jitter))
        end = min(start_at_row + row_limit, rows)
        return Page(tuple(range(start_at_row, end)), rows, start_at_row)

    return fetch


async def aiocake_pager(fetch: Fetch, row_limit: int, limit: int) -> AsyncIterator[int]:
    """Ours: in order, ahead of the reader, complete or an error."""
    async with pager(fetch, row_limit, limit) as rows:
        async for row in rows:
            yield row


async def batches(fetch: Fetch, row_limit: int, limit: int) -> AsyncIterator[int]:
    """A batch of pages in a task group, then the next batch."""
    first = await fetch(0, row_limit)
    for row in first.items:
        yield row
    total = first.total_rows or 0
    for start in range(row_limit, total, row_limit * limit):
        starts = range(start, min(start + row_limit * limit, total), row_limit)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(whole(fetch, start, row_limit)) for start in starts]
        for task in tasks:
            for row in task.result().items:
                yield row


async def sequential(fetch: Fetch, row_limit: int, limit: int) -> AsyncIterator[int]:
    """One page after the other, up to a short one."""
    del limit
    start = 0
    while True:
        page = await fetch(start, row_limit)
        for row in page.items:
            yield row
        if len(page.items) < row_limit:
            return
        start += row_limit


async def whole(fetch: Fetch, start: int, row_limit: int) -> PageLike[int]:
    """A task needs a coroutine; a fetch may be any awaitable."""
    return await fetch(start, row_limit)


def pager(fetch: Fetch, row_limit: int, limit: int) -> Pager[int]:
    """The pager that is measured."""
    return Pager(
        fetch,
        row_id=lambda row: row,
        matches=lambda _: None,
        row_limit=row_limit,
        limit=limit,
        operation="benchmark",
        surprise=print,
    )


WAYS: dict[str, Way] = {
    "aiocake": aiocake_pager,
    "batches in a task group": batches,
    "one after the other": sequential,
}


async def compare(make: Callable[[], Fetch], rows: int, latency: float, limit: int) -> None:
    """Read the same list in each way, and print the part of the ideal rate that each reaches."""
    pages = -(-rows // ROWS)
    ideal = pages * latency / limit
    for name, way in WAYS.items():
        fetch = make()
        begin = time.perf_counter()
        read = 0
        async for _ in way(fetch, ROWS, limit):
            read += 1
        taken = time.perf_counter() - begin
        assert read == rows
        print(f"    {name:<24}{taken:8.3f} s{pages / taken:9.0f} pages/s{ideal / taken:7.2f}")


async def memory(rows: int, limit: int) -> int:
    """The most bytes that reading so many rows holds at once."""
    fetch = stub(rows, 0, 0, limit)
    tracemalloc.start()
    try:
        async for _ in pager(fetch, ROWS, limit):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds a page")
    options = parser.parse_args()
    rows: int = options.pages * ROWS
    latency: float = options.latency
    print(f"{options.pages} pages of {ROWS} rows, {latency * 1000:g} ms each")
    await pager(stub(ROWS, 0, 0, 1), ROWS, 1).collect()  # loads what the first use loads
    for jitter in (0.0, 0.5):
        for limit in (8, 32):
            print(f"  limit {limit}, jitter {jitter:.0%}; the last column is ideal / taken")

            def make(jitter: float = jitter, limit: int = limit) -> Fetch:
                return stub(rows, latency, jitter, limit)

            await compare(make, rows, latency, limit)
    small, large = await memory(2_000, 8), await memory(200_000, 8)
    print(f"memory: {small / 1e6:.2f} MB for 2,000 rows, {large / 1e6:.2f} MB for 200,000")


if __name__ == "__main__":
    asyncio.run(main())
