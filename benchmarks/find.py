"""``find()`` over a sandbox on a socket: how close to the ideal rate, and in what memory.

    python benchmarks/find.py
    python benchmarks/find.py --invoices 20000 --latency 0.02

The sandbox runs in a process of its own and takes ``latency`` seconds for each page. The ideal is
``pages x latency / limit`` seconds. The rivals read the same list with bare httpx and ``.json()``:
in batches of so many pages, and one page after the other. ``sockets`` shows what this sandbox on
this machine lets anybody reach: it sends the requests over bare sockets and decodes nothing.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from aiocake import Client, Throttle

ROWS = 100
KEY = "BENCHMARK"
#: What is promised: MB more for a hundred times as many rows, and a share of the ideal rate.
MORE_MEMORY = 20
SHARE = 0.85


@contextmanager
def sandbox(invoices: int, latency: float) -> Iterator[str]:
    """A sandbox in a process of its own: its URL."""
    command = [sys.executable, "-m", "aiocake.sandbox", "--port", "0", "--key", KEY]
    command += ["--invoices", str(invoices), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def ours(url: str, limit: int) -> int:
    """Typed, in order, complete."""
    async with Client(url, KEY, throttle=Throttle(concurrency=limit)) as cake:
        count = 0
        async with cake.invoices.find(row_limit=ROWS) as rows:
            async for _ in rows:
                count += 1
        return count


async def batches(url: str, limit: int) -> int:
    """Bare httpx: a batch of pages, then the next batch; dicts."""
    async with bare(url, limit) as http:
        first = await page(http, 0)
        total = int(str(first["total_rows"]))
        count = len(rows_of(first))
        starts = list(range(ROWS, total, ROWS))
        for at in range(0, len(starts), limit):
            answers = await asyncio.gather(*(page(http, s) for s in starts[at : at + limit]))
            count += sum(len(rows_of(answer)) for answer in answers)
        return count


async def sockets(url: str, limit: int) -> int:
    """Bare sockets, the next page as soon as one is there; the bytes are thrown away."""
    host, _, port = url.removeprefix("http://").partition(":")
    async with bare(url, limit) as http:
        total = int(str((await page(http, 0))["total_rows"]))
    starts = iter(range(ROWS, total, ROWS))

    async def work() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for start in starts:
            query = f"api_key={KEY}&start_at_row={start}&row_limit={ROWS}"
            head = f"GET /api/2/invoices.json?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            size = answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(size))
        writer.close()

    await asyncio.gather(*(work() for _ in range(limit)))
    return total


async def sequential(url: str, limit: int) -> int:
    """Bare httpx: one page after the other, up to a short one."""
    async with bare(url, limit) as http:
        count = 0
        while True:
            got = len(rows_of(await page(http, count)))
            count += got
            if got < ROWS:
                return count


def bare(url: str, limit: int) -> httpx.AsyncClient:
    """Bare httpx, without the 20 ms in which it would read certificates that nobody asks for."""
    limits = httpx.Limits(max_connections=limit)
    return httpx.AsyncClient(base_url=url, limits=limits, verify=False)  # noqa: S501 - no TLS here


async def page(http: httpx.AsyncClient, start: int) -> dict[str, object]:
    """One page as a dict."""
    params = {"api_key": KEY, "start_at_row": start, "row_limit": ROWS}
    answer = await http.get("/api/2/invoices.json", params=params)
    data: dict[str, object] = answer.json()
    return data


def rows_of(answer: dict[str, object]) -> list[object]:
    """The rows of a page."""
    rows = answer["invoices"]
    assert isinstance(rows, list)
    return rows


async def timed(way: Callable[[str, int], Awaitable[int]], url: str, limit: int) -> float:
    """Seconds for the whole list."""
    begin = time.perf_counter()
    count = await way(url, limit)
    taken = time.perf_counter() - begin
    assert count > 0
    return taken


def peak() -> float:
    """The most memory that this process has had, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def held(well: bool) -> str:  # noqa: FBT001 - a verdict
    """The verdict on a limit."""
    return "held" if well else "MISSED"


async def memory(invoices: int) -> float:
    """The most memory while so many invoices were read, in MB."""
    with sandbox(invoices, 0) as url:
        assert await ours(url, 8) == invoices
    return peak()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--invoices", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.02)
    options = parser.parse_args()
    invoices: int = options.invoices
    latency: float = options.latency
    before = asyncio.run(memory(2_000))
    after = asyncio.run(memory(200_000))
    print(f"memory: {before:.1f} MB at most over 2,000 invoices, {after:.1f} MB over 200,000")
    more = after - before
    print(f"    {more:.1f} MB more (limit: {MORE_MEMORY}): {held(more < MORE_MEMORY)}")
    pages = invoices / ROWS
    with sandbox(invoices, latency) as url:
        asyncio.run(ours(url, 8))  # loads what the first use loads, here and there
        for limit in (8, 32):
            ideal = pages * latency / limit
            print(f"{invoices} invoices, pages of {ROWS}, {latency * 1000:g} ms; limit {limit}")
            for way in (ours, batches, sequential, sockets):
                taken = asyncio.run(timed(way, url, limit))
                share = ideal / taken
                promised = way is ours and limit == 8
                verdict = f"   (limit: {SHARE}): {held(share >= SHARE)}" if promised else ""
                print(f"    {way.__name__:<12}{taken:8.3f} s   ideal / taken {share:6.2f}{verdict}")


if __name__ == "__main__":
    main()
