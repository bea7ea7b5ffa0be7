"""What a run of writes costs beside a loop of workers over the same method, without a network.

A run with a journal waits for the disk, so it is told by the clock and depends on the disk.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Worker
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "A bulk run of 800 updates, without a network"
UNIT: Final = "µs a call: of CPU; with a journal, by the clock"
LOOP: Final = "a loop of workers"
LACKS: Final = {LOOP: "No plan, no summary, no order of the calls for one record, no stopping."}
CALLS: Final = 800
LIMITS: Final = (8, 32)
#: What is promised: µs a call more than the loop, and with a journal 2,000 calls a second.
TARGETS: Final = tuple(
    target
    for limit in LIMITS
    for target in (
        Target(f"{limit} at once, more than the loop", 60),
        Target(f"{limit} at once, with a journal", 500),
    )
)

Way = Callable[[Any, int], Awaitable[None]]


class Updating(httpx.AsyncBaseTransport):
    """Answers each update at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Say that the invoice was set."""
        number = request.content.split(b":", 1)[1].split(b",", 1)[0].strip()
        invoice = b'"invoice":{"invoice_id":%b,"invoice_status":"approved"}' % number
        return httpx.Response(200, content=b'{"request_status":"Success",%b}' % invoice)


async def loop(cake: Any, limit: int) -> None:  # noqa: ANN401 - a client
    """So many workers over the bare method."""
    numbers = iter(range(1, CALLS + 1))

    async def work() -> None:
        for number in numbers:
            await cake.invoices.update(number, invoice_status="approved")

    async with asyncio.TaskGroup() as workers:
        for _ in range(limit):
            workers.create_task(work())


async def run_of(cake: Any, limit: int, journal: Any = None) -> None:  # noqa: ANN401 - the same
    """Make the same updates by a run."""
    from aiocake import bulk  # noqa: PLC0415 - not in the process that compares

    def plan() -> Iterator[bulk.Call[Any]]:
        for number in range(1, CALLS + 1):
            yield bulk.call(cake.invoices.update, number, invoice_status="approved")

    # Without a look at each invoice, as the loop has none.
    summary = await bulk.each(plan(), journal=journal, limit=limit, on_conflict="overwrite")
    assert summary.done == CALLS


async def journalled(cake: Any, limit: int) -> None:  # noqa: ANN401 - the same
    """Make them by a run with a journal."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        await run_of(cake, limit, Path(folder, "run.db"))


def cost(way: str, limit: int) -> float:
    """Return the µs a call: of CPU, or by the clock where the disk is waited for."""
    from aiocake import Client, Throttle  # noqa: PLC0415 - the same

    ways: dict[str, Way] = {"loop": loop, "run": run_of, "journalled": journalled}
    clock = time.perf_counter if way == "journalled" else time.process_time

    async def measured() -> float:
        throttle = Throttle(concurrency=limit)
        async with Client("x.example", KEY, transport=Updating(), throttle=throttle) as cake:
            gc.collect()
            begin = clock()
            await ways[way](cake, limit)
            return (clock() - begin) / CALLS * 1e6

    return asyncio.run(measured())


def run(rounds: int) -> Cases:
    """Measure."""
    cases: Cases = {}
    with Worker("benchmarks.bulk:cost") as worker:
        for limit in LIMITS:
            names = {OURS: "run", LOOP: "loop", "journalled": "journalled"}
            ways = {name: partial(worker.ask, way=way, limit=limit) for name, way in names.items()}
            interleaved(ways, 1)  # loads what the first use loads
            taken = interleaved(ways, rounds)
            case = f"{limit} at once"
            cases[f"{case}, with a journal"] = {OURS: taken.pop("journalled")}
            more = [mine - its for mine, its in zip(taken[OURS], taken[LOOP], strict=True)]
            cases[f"{case}, more than the loop"] = {OURS: more}
            cases[case] = taken
    return cases
