"""The blocking client beside the asynchronous one, a call after the other, as a script makes them.

What the smallest call takes more is the fixed price of a call: a task on the client's thread, and
two changes of threads.
"""

import asyncio
import gc
import time
from functools import partial
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Worker, server
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target
from benchmarks.machinery import LIST

TITLE: Final = "The blocking client, one call after the other"
UNIT: Final = "µs of CPU a call"
ASYNC: Final = "aiocake, asyncio"
LACKS: Final = {ASYNC: "Scripts: it needs an event loop of the caller's."}
PAGE: Final = "a page of 100 invoices over HTTP"
SMALL: Final = "a page of one invoice, without a network"
ROWS: Final = f"a list of {LIST} invoices in pages of 100, without a network"
TARGETS: Final = (Target(PAGE, 1.5, ASYNC), Target(ROWS, 1.5, ASYNC))


def cpu(case: str, url: str, *, blocking: bool, calls: int = 300) -> float:
    """Return the µs of CPU of a call, of all threads of this process."""
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy
    from aiocake.blocking import Client as BlockingClient  # noqa: PLC0415 - the same
    from benchmarks.machinery import AtOnce  # noqa: PLC0415 - the same

    transport = None if case == PAGE else AtOnce(LIST if case == ROWS else 1)

    async def measured() -> float:
        async with Client(url, KEY, transport=transport) as cake:
            for count in (calls // 4, calls):  # the first ones warm up
                gc.collect()
                begin = time.process_time()
                for _ in range(count):
                    if case == ROWS:
                        assert len([row async for row in cake.invoices.find()]) == LIST
                    else:
                        await cake.invoices.page()
            return time.process_time() - begin

    def measured_blocking() -> float:
        with BlockingClient(url, KEY, transport=transport) as cake:
            for count in (calls // 4, calls):  # the first ones warm up
                gc.collect()
                begin = time.process_time()
                for _ in range(count):
                    if case == ROWS:
                        assert len(list(cake.invoices.find())) == LIST
                    else:
                        cake.invoices.page()
            return time.process_time() - begin

    return (measured_blocking() if blocking else asyncio.run(measured())) / calls * 1e6


def run(rounds: int) -> Cases:
    """Measure."""
    with server() as url, Worker("benchmarks.blocking:cpu", url=url) as worker:
        return {
            case: interleaved(
                {
                    OURS: partial(worker.ask, case=case, blocking=True),
                    ASYNC: partial(worker.ask, case=case, blocking=False),
                },
                rounds,
            )
            for case in (PAGE, SMALL, ROWS)
        }
