"""The most memory that reading takes, above that of a process with a client that has done nothing.

Needs Linux: what a process held is read from ``/proc``.
"""

import asyncio
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import once, server
from benchmarks.harness.resident import forget_peak, held
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "Memory above an idle client"
UNIT: Final = "MB"
LACKS: Final[dict[str, str]] = {}
INVOICES: Final = 1_000_000
BILLS: Final = 200_000
UPDATES: Final = 25_000
PAGED: Final = f"{INVOICES:,} invoices paged"
EXPORTED: Final = f"{BILLS:,} bills exported"
RUN: Final = f"{UPDATES:,} updates by a bulk run without a journal"
TARGETS: Final = (
    Target(PAGED, 20, rounds=1),
    Target(EXPORTED, 24, rounds=1),
    Target(RUN, 12.5, rounds=1),
)


def above_idle(what: str, url: str) -> float:
    """Return the MB that this process held at most, above what it held before the first call."""
    from aiocake import Client, Period, bulk  # noqa: PLC0415 - not in the process that compares

    async def read() -> float:
        async with Client(url, KEY) as cake:
            idle = forget_peak()
            count = 0
            if what == PAGED:
                async with cake.invoices.find() as rows:
                    async for _ in rows:
                        count += 1
                assert count == INVOICES
            elif what == EXPORTED:
                export = cake.affiliate_bills.export(period=Period.month(2014, 6))
                async with export as bills:
                    async for _ in bills:
                        count += 1
                assert count == BILLS
            else:
                calls = (
                    bulk.call(cake.invoices.update, 4821, invoice_status="approved")
                    for _ in range(UPDATES)
                )
                run = bulk.each(calls, journal=None, allow_repeats=True, on_conflict="overwrite")
                assert (await run).done == UPDATES
            return held("VmHWM") - idle

    return asyncio.run(read())


def run(rounds: int) -> Cases:
    """Measure, each in a fresh process; once, for it hardly varies."""
    del rounds
    with server("--invoices", str(INVOICES), "--bills", str(BILLS)) as url:
        return {
            what: {OURS: [once("benchmarks.memory:above_idle", what=what, url=url)]}
            for what in (PAGED, EXPORTED, RUN)
        }
