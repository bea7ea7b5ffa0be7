"""A list of 500 or 1,000 pages that take 20 ms each: how close to the ideal duration it is read.

The ideal is ``pages x latency / limit``. It leaves out that nobody knows how many pages there are
before the first one is there, that each round opens its connections anew, and any work: at 100 at
once it is 200 µs a page, about as much CPU as a typed page takes. So the fastest that this server
and an event loop can do is measured beside it, by connections whose answers are thrown away.
"""

import asyncio
import contextlib
import time
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from benchmarks.harness.answers import KEY, ROWS
from benchmarks.harness.processes import Worker, server
from benchmarks.harness.rounds import Cases, Rounds, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "A list of pages, 20 ms each, over HTTP"
UNIT: Final = "times the ideal duration"
POOL: Final = "aiohttp + msgspec, a pool of workers"
FLOOR: Final = "the floor, answers thrown away"
LACKS: Final = {
    FLOOR: "Decodes nothing, and has no time-outs, errors or retries. What it takes is that of the "
    "server, the event loop and the network of the machine.",
    POOL: "Holds all pages at once; does not notice a list that changes while it is read, which "
    "skips or repeats rows; no retries.",
}
#: The most calls at once that read a list of 500 pages, which takes them long enough; more of them
#: read one of 1,000.
FEW: Final = 32
LATENCY: Final = 0.02
#: The share of the ideal rate that is promised, by how many calls go at once.
SHARES: Final = {8: 0.93, 32: 0.88, 100: 0.7}
TARGETS: Final = tuple(Target(f"{limit} at once", 1 / share) for limit, share in SHARES.items())


def duration(way: str, url: str, limit: int, pages: int) -> float:
    """Return how many times the ideal duration the whole list takes."""
    read = {OURS: ours, POOL: pool, FLOOR: floor}[way]
    begin = time.perf_counter()
    count = asyncio.run(read(url, limit))
    taken = time.perf_counter() - begin
    if count != pages * ROWS:
        raise AssertionError(f"{count} rows")
    return taken / (pages * LATENCY / limit)


async def ours(url: str, limit: int) -> int:
    """Read typed rows, in order, complete."""
    from aiocake import Client, Throttle  # noqa: PLC0415 - not in the processes of rivals

    async with Client(url, KEY, throttle=Throttle(concurrency=limit)) as cake:
        count = 0
        async with cake.invoices.find(row_limit=ROWS) as rows:
            async for _ in rows:
                count += 1
        return count


async def pool(url: str, limit: int) -> int:
    """Read typed pages, the next as soon as one is there, and join them."""
    import aiohttp  # noqa: PLC0415 - only in the process of this one

    from benchmarks.rivals.typed_msgspec import Page, decode  # noqa: PLC0415 - the same

    pages: dict[int, Page] = {}
    connector = aiohttp.TCPConnector(limit=limit)
    async with aiohttp.ClientSession(url, connector=connector) as http:

        async def page(start: int) -> Page:
            params = {"api_key": KEY, "start_at_row": str(start), "row_limit": str(ROWS)}
            async with http.get("/api/2/invoices.json", params=params) as response:
                response.raise_for_status()
                return decode(await response.read())

        pages[0] = await page(0)
        starts = iter(range(ROWS, pages[0].total_rows or 0, ROWS))

        async def work() -> None:
            for start in starts:
                pages[start] = await page(start)

        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(work())
    return sum(1 for start in sorted(pages) for _ in pages[start].invoices)


async def floor(url: str, limit: int) -> int:
    """Fetch the pages over bare connections, and count the rows of each by their text."""
    from benchmarks.rivals.floor import Connection  # noqa: PLC0415 - as above
    from benchmarks.rivals.typed_msgspec import decode  # noqa: PLC0415 - the same

    address = urlsplit(url)
    loop = asyncio.get_running_loop()

    async def opened() -> Connection:
        return (await loop.create_connection(Connection, address.hostname, address.port))[1]

    async def page(connection: Connection, start: int) -> bytes:
        query = f"api_key={KEY}&start_at_row={start}&row_limit={ROWS}"
        head = f"GET /api/2/invoices.json?{query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        return await connection.ask(head.encode())

    connections = [await opened()]
    first = decode(await page(connections[0], 0))
    starts = iter(range(ROWS, first.total_rows or 0, ROWS))
    count = len(first.invoices)
    connections += [await opened() for _ in range(limit - 1)]

    async def work(connection: Connection) -> None:
        nonlocal count
        for start in starts:
            body = await page(connection, start)
            count += body.count(b'"invoice_id"')

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(work(connection))
    for connection in connections:
        connection.close()
    return count


def run(rounds: int) -> Cases:
    """Measure."""
    late = ("--latency", str(LATENCY))
    with contextlib.ExitStack() as stack:

        def served(pages: int, *options: str) -> str:
            return stack.enter_context(server("--invoices", str(pages * ROWS), *options))

        urls = {pages: served(pages, *late) for pages in (500, 1_000)}
        instant = served(500)
        workers = {
            way: stack.enter_context(Worker("benchmarks.paging:duration", way=way))
            for way in (OURS, POOL, FLOOR)
        }
        for worker in workers.values():  # what is loaded or written once is there before
            worker.ask(url=instant, limit=8, pages=500)
            for pages, url in urls.items():
                worker.ask(url=url, limit=100, pages=pages)

        def rounds_of(limit: int) -> Rounds:
            pages = 500 if limit <= FEW else 1_000
            asked = {"url": urls[pages], "limit": limit, "pages": pages}
            ways = {way: partial(worker.ask, **asked) for way, worker in workers.items()}
            return interleaved(ways, rounds)

        return {f"{limit} at once": rounds_of(limit) for limit in SHARES}
