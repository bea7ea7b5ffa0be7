"""What a run of writes costs beside a bare loop, with and without a journal, and in what memory.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --calls 2000 --million 20000     # a look

The transport answers at once, so that all the time is ours. The rival is a loop of as many workers
as calls go at once, over the very method that the run calls; the run makes its calls while it goes.
Rounds alternate, and the best of each counts. Since nothing is waited for, what a run costs more is
told in time of the processor, which other processes disturb less. A run with a journal waits for
the disk, so its rate is by the clock: it needs a machine that has nothing else to do. How long an
``fsync`` takes is printed beside.
"""

import argparse
import asyncio
import gc
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx

from aiocake import Client, Throttle, bulk
from aiocake.models import UpdatedInvoice

#: What is promised: µs a call more than the loop, calls a second with a journal, MB.
MORE = 60
RATE = 2_000
MEMORY = 50

Way = Callable[[Client, int, int], Awaitable[None]]


class Instant(httpx.AsyncBaseTransport):
    """Answers each update at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Say that the invoice was set."""
        number = request.content.split(b":", 1)[1].split(b",", 1)[0].strip().decode()
        text = (
            '{"request_status": "Success", "invoice": {"invoice_id": %s, '
            '"invoice_status": "approved"}}'
        )
        return httpx.Response(200, content=(text % number).encode())


async def loop(cake: Client, calls: int, limit: int) -> None:
    """The rival: so many workers over the bare method."""
    numbers = iter(range(1, calls + 1))

    async def work() -> None:
        for number in numbers:
            await cake.invoices.update(number, invoice_status="approved")

    async with asyncio.TaskGroup() as workers:
        for _ in range(limit):
            workers.create_task(work())


def plan(cake: Client, calls: int) -> Iterator[bulk.Call[UpdatedInvoice]]:
    """The same updates, as values."""
    for number in range(1, calls + 1):
        yield bulk.call(cake.invoices.update, number, invoice_status="approved")


async def run(cake: Client, calls: int, limit: int) -> None:
    """A run without a journal."""
    summary = await bulk.each(plan(cake, calls), journal=None, limit=limit)
    assert summary.done == calls


async def journalled(cake: Client, calls: int, limit: int) -> None:
    """A run with a journal."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        summary = await bulk.each(plan(cake, calls), journal=Path(folder, "run.db"), limit=limit)
    assert summary.done == calls


async def timed(way: Way, calls: int, limit: int) -> tuple[float, float]:
    """Seconds for so many calls, by the clock and of the processor."""
    async with Client(
        "x.example", "KEY", transport=Instant(), throttle=Throttle(concurrency=limit)
    ) as cake:
        gc.collect()
        begin, worked = time.perf_counter(), time.process_time()
        await way(cake, calls, limit)
        return time.perf_counter() - begin, time.process_time() - worked


def fsync() -> float:
    """Seconds that a small write to the disk takes, on average."""
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        begin = time.perf_counter()
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - begin) / 50


def memory(name: str) -> float:
    """What the system says of the memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return float("nan")


async def grown(way: Way, calls: int) -> float:
    """The MB that so many calls take above those of a process that has made a few."""
    await timed(way, 100, 8)
    before = memory("VmRSS")
    await timed(way, calls, 8)
    return memory("VmHWM") - before


def held(well: bool) -> str:  # noqa: FBT001 - a verdict
    """The verdict on a limit."""
    return "held" if well else "MISSED"


def measure(calls: int, rounds: int) -> None:
    """Time the ways side by side."""
    ways: tuple[Way, ...] = (loop, run, journalled)
    print(f"an fsync here takes {fsync() * 1e6:.0f} µs")
    for limit in (8, 32):
        best = dict.fromkeys(ways, (math.inf, math.inf))
        for _ in range(rounds):
            for way in ways:
                taken, worked = asyncio.run(timed(way, calls, limit))
                best[way] = min(best[way][0], taken), min(best[way][1], worked)
        print(f"{calls} updates, {limit} at once, best of {rounds}")
        for way, (taken, worked) in best.items():
            rate, more = calls / taken, (worked - best[loop][1]) / calls * 1e6
            text = f"{taken / calls * 1e6:8.1f} µs a call, {worked / calls * 1e6:6.1f} of work"
            if way is run:
                text += f", {more:.1f} more (limit: {MORE}): {held(more <= MORE)}"
            elif way is journalled:
                text += f"; {rate:.0f} a second (limit: {RATE}): {held(rate >= RATE)}"
            print(f"    {way.__name__:<12}{text}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--million", type=int, default=1_000_000, help="calls, for the memory")
    parser.add_argument("--memory", choices=["loop", "run", "journalled"], help="measure it alone")
    options = parser.parse_args()
    if options.memory:
        way: Way = {"loop": loop, "run": run, "journalled": journalled}[options.memory]
        print(asyncio.run(grown(way, options.million)))
        return
    measure(options.calls, options.rounds)
    for name in ("loop", "run", "journalled") if options.million else ():
        command = [sys.executable, __file__, "--memory", name, "--million", str(options.million)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
        verdict = "" if name == "loop" else f" (limit: {MEMORY}): {held(float(text) < MEMORY)}"
        print(f"{options.million} calls by {name}: {float(text):.1f} MB more{verdict}", flush=True)


if __name__ == "__main__":
    main()
