"""How far ahead a list is read, and how fast: on simulated time."""

import random
from collections.abc import Callable

import anyio
import pytest
import trio
import trio.testing

from aiocake.paging import Pager, PageRequest

PAGES = 1000
ROWS = 100
LATENCY = 0.02


class Page:
    def __init__(self, items: tuple[int, ...], total_rows: int | None, start_at_row: int) -> None:
        self.items = items
        self.total_rows = total_rows
        self.start_at_row = start_at_row


class Server:
    """A list of 1,000 full pages, each of which takes its time."""

    def __init__(self, latency: Callable[[], float], *, total: bool = True) -> None:
        self.latency = latency
        self.size = PAGES * ROWS
        self.total = self.size if total else None
        self.requests = self.active = self.most_active = 0

    async def fetch(self, ask: PageRequest) -> Page:
        self.requests += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        await anyio.sleep(self.latency())
        self.active -= 1
        start = ask.start_at_row
        end = min(start + ask.row_limit, self.size)
        return Page(tuple(range(start, end)), self.total, start)

    def pager(self, limit: int) -> Pager[int]:
        return Pager(
            self.fetch,
            row_id=lambda row: row,
            matches=lambda _: None,
            row_limit=ROWS,
            limit=limit,
            operation="invoices.find",
            anomaly=lambda *_: None,
        )


def on_simulated_time(main: Callable[[], object]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def steady() -> float:
    return LATENCY


def jittered(seed: int) -> Callable[[], float]:
    source = random.Random(seed)  # noqa: S311 - no secret
    return lambda: LATENCY * source.uniform(0.5, 1.5)


@pytest.mark.parametrize(
    ("limit", "latency", "least"),
    [
        (8, steady, 0.97),
        (8, jittered(1), 0.9),
        (32, steady, 0.94),
        (32, jittered(1), 0.85),
        (1, steady, 0.98),
    ],
)
def test_the_rate_comes_close_to_the_ideal(
    limit: int, latency: Callable[[], float], least: float
) -> None:
    async def main() -> None:
        server = Server(latency)
        begin = trio.current_time()
        rows = await server.pager(limit).collect()
        taken = trio.current_time() - begin
        assert rows == list(range(server.size))
        assert PAGES * LATENCY / limit / taken >= least
        assert server.most_active == limit

    on_simulated_time(main)


def test_without_a_total_it_gets_up_to_speed_as_well() -> None:
    async def main() -> None:
        server = Server(steady, total=False)
        begin = trio.current_time()
        await server.pager(8).collect()
        assert PAGES * LATENCY / 8 / (trio.current_time() - begin) >= 0.8
        assert server.requests <= PAGES * ROWS / (ROWS - 1) + 2 * 8 + 2

    on_simulated_time(main)


def test_reading_and_fetching_overlap() -> None:
    async def main() -> None:
        server = Server(steady)
        begin = trio.current_time()
        async with server.pager(4).pages() as pages:
            async for _ in pages:
                await trio.sleep(LATENCY)
        taken = trio.current_time() - begin
        # Each page takes as long to be worked on as to be fetched, and only the first two are
        # waited for: the others are there by then.
        assert taken <= (server.requests + 2) * LATENCY * 1.001

    on_simulated_time(main)


@pytest.mark.parametrize("limit", [1, 3])
def test_at_most_twice_the_limit_is_fetched_ahead(limit: int) -> None:
    async def main() -> None:
        server = Server(steady)
        taken = 0
        async with server.pager(limit).pages() as pages:
            async for _ in pages:
                taken += 1
                if taken == 20:
                    break
                await trio.sleep(10)
                assert server.requests == taken + 2 * limit
                assert server.active == 0
        assert server.most_active == limit

    on_simulated_time(main)


def test_rows_that_nobody_takes_come_to_rest_by_themselves() -> None:
    async def main() -> None:
        server = Server(steady)
        rows = aiter(server.pager(8))
        await anext(rows)
        await trio.sleep(2.5 * LATENCY)
        assert server.active == 0
        assert server.requests == 1 + 2 * 8
        await rows.aclose()

    on_simulated_time(main)
