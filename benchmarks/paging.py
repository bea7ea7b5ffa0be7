"""How close to the ideal rate 100,000 invoices are paged, beside two usual ways to do it.

    python benchmarks/paging.py
    python benchmarks/paging.py --invoices 20000 --latency 0.02 --jitter 0.5

All go over the same transport, which needs no network and takes its time for each page: so what is
measured is the order of the requests and the work of the client. Ours is the whole client, with
typed invoices; the rivals are bare httpx and ``.json()``. The ideal is ``pages x latency / limit``
seconds; it leaves out that the first page has to be there before anybody knows how many there are.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from aiocake import Client, Throttle

ROWS = 100
#: What is promised: a share of the ideal rate at each limit.
SHARES = {8: 0.9, 32: 0.75}


class Pages(httpx.AsyncBaseTransport):
    """A list of invoices, each page of which takes ``latency`` seconds, give or take."""

    def __init__(self, invoices: int, latency: float, jitter: float) -> None:
        self._rows = [row(number) for number in range(1, invoices + 1)]
        self._latency = latency
        self._jitter = jitter
        self._chance = random.Random(1)
        self._bodies: dict[tuple[int, int], bytes] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with the page that was asked for."""
        target: bytes = request.extensions.get("target") or request.url.raw_path
        asked = dict(pair.split(b"=") for pair in target.partition(b"?")[2].split(b"&"))
        start, limit = int(asked.get(b"start_at_row", b"0")), int(asked[b"row_limit"])
        body = self.body(start, limit)
        await asyncio.sleep(self._latency * (1 + self._chance.uniform(-self._jitter, self._jitter)))
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=body)

    def body(self, start: int, limit: int) -> bytes:
        """A page, written once."""
        if (start, limit) not in self._bodies:
            page = self._rows[start : start + limit]
            answer = {"request_status": "Success", "invoices": page, "total_rows": len(self._rows)}
            self._bodies[start, limit] = json.dumps(answer).encode()
        return self._bodies[start, limit]


def row(number: int) -> dict[str, object]:
    """An invoice as the page "How to Manage Invoices via the CAKE API" shows them."""
    return {
        "invoice_id": number,
        "affiliate_id": number % 100 + 1,
        "affiliate_name": f"Affiliate {number % 100 + 1}",
        "invoice_status": "paid",
        "start_date": "2024-01-01",
        "end_date": "2024-01-31",
        "total_amount": "1234.56",
        "currency": "USD",
    }


async def ours(transport: Pages, limit: int) -> int:
    """Typed, in order, complete."""
    throttle = Throttle(concurrency=limit)
    async with Client("demo.cakemarketing.com", "KEY", transport=transport, throttle=throttle) as c:
        count = 0
        async for _ in c.invoices.find(row_limit=ROWS):
            count += 1
        return count


async def batches(transport: Pages, limit: int) -> int:
    """Bare httpx: a batch of pages, then the next batch; dicts."""
    async with httpx.AsyncClient(transport=transport, base_url="https://demo") as http:
        first = await page(http, 0)
        count = len(first["invoices"])
        starts = range(ROWS, first["total_rows"], ROWS)
        for at in range(0, len(starts), limit):
            answers = await asyncio.gather(*(page(http, s) for s in starts[at : at + limit]))
            count += sum(len(answer["invoices"]) for answer in answers)
        return count


async def sequential(transport: Pages, limit: int) -> int:
    """Bare httpx: one page after the other, up to a short one."""
    del limit
    async with httpx.AsyncClient(transport=transport, base_url="https://demo") as http:
        count = 0
        while True:
            got = len((await page(http, count))["invoices"])
            count += got
            if got < ROWS:
                return count


async def page(http: httpx.AsyncClient, start: int) -> dict[str, Any]:
    """One page as a dict."""
    params = {"api_key": "KEY", "start_at_row": start, "row_limit": ROWS}
    answer: dict[str, Any] = (await http.get("/api/2/invoices.json", params=params)).json()
    return answer


async def timed(way: Callable[[Pages, int], Awaitable[int]], pages: Pages, limit: int) -> float:
    """Seconds for the whole list."""
    begin = time.perf_counter()
    await way(pages, limit)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--invoices", type=int, default=100_000)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds a page")
    parser.add_argument("--jitter", type=float, default=0.5, help="share of it, 0 to 1")
    options = parser.parse_args()
    pages = options.invoices / ROWS
    print(
        f"{options.invoices:,} invoices, pages of {ROWS}, {options.latency * 1000:g} ms "
        f"(jitter {options.jitter:.0%}); the last column is ideal / taken"
    )
    took: dict[int, float] = {}
    for limit, share in SHARES.items():
        ideal = pages * options.latency / limit
        for way in (ours, batches, sequential):
            if way is sequential and limit != min(SHARES):
                continue  # it is the same at any limit
            server = Pages(options.invoices, options.latency, options.jitter)
            if way is ours:  # what is loaded or written once is there before
                instant = Pages(options.invoices, 0, 0)
                asyncio.run(way(instant, limit))
                server._bodies = instant._bodies  # noqa: SLF001 - the same pages
            taken = asyncio.run(timed(way, server, limit))
            verdict = ""
            if way is ours:
                took[limit] = taken
                held = "held" if ideal / taken >= share else "MISSED"
                verdict = f"   (limit: {share}): {held}"
            line = f"{taken:8.3f} s {pages / taken:7.0f} pages/s {ideal / taken:7.2f}"
            print(f"  limit {limit:<3} {way.__name__:<11}{line}{verdict}")
    print(f"never slower at 32 than at 8: {'held' if took[32] <= took[8] else 'MISSED'}")


if __name__ == "__main__":
    main()
