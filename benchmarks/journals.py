"""What a run with a journal in PostgreSQL costs beside one in a SQLite file on the same disk.

Without a network to CAKE, so that the journal is all that is waited for. The PostgreSQL is one of
its own, on the loopback interface, as it comes: each commit is synced to the disk, as each of
SQLite's is.
"""

import asyncio
import gc
import tempfile
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.support.postgres import MISSING, server

from benchmarks.bulk import CALLS, LIMITS, Updating, run_of
from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Failed, Worker
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "Journals: 800 updates by a run, in PostgreSQL and in a SQLite file"
UNIT: Final = "µs a call, by the clock"
SQLITE: Final = "aiocake, SQLite"
LACKS: Final = {SQLITE: "One machine."}
#: What is promised: at least half as many calls a second.
TARGETS: Final = tuple(Target(f"{limit} at once", 2.0, rival=SQLITE) for limit in LIMITS)

_names: Final = count(1)


def cost(way: str, limit: int, conninfo: str) -> float:
    """Return the µs a call, by the clock."""
    from aiocake import Client, Throttle  # noqa: PLC0415 - not in the process that compares
    from aiocake.bulk.postgres import Postgres  # noqa: PLC0415 - the same

    async def measured() -> float:
        books = Postgres(conninfo=conninfo, allow_foreign_transport=True)
        await books.migrate()
        throttle = Throttle(concurrency=limit)
        with tempfile.TemporaryDirectory() as folder:
            journal: Any = Path(folder, "run.db")
            if way == "postgres":
                journal = books.run(f"run-{next(_names)}")
            async with Client("x.example", KEY, transport=Updating(), throttle=throttle) as cake:
                gc.collect()
                begin = time.perf_counter()
                await run_of(cake, limit, journal)
                return (time.perf_counter() - begin) / CALLS * 1e6

    return asyncio.run(measured())


def run(rounds: int) -> Cases:
    """Measure."""
    if MISSING:
        raise Failed(MISSING)
    cases: Cases = {}
    with server(autovacuum="on") as running, Worker("benchmarks.journals:cost") as worker:
        for limit in LIMITS:
            ways = {
                name: partial(worker.ask, way=way, limit=limit, conninfo=running.conninfo())
                for name, way in {OURS: "postgres", SQLITE: "sqlite"}.items()
            }
            interleaved(ways, 1)  # loads what the first use loads
            cases[f"{limit} at once"] = interleaved(ways, rounds)
    return cases
