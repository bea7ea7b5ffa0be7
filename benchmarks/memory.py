"""The most memory that reading takes, above that of a process with a client that has done nothing.

A run of the command that writes a file is measured above what the command holds before it begins.

Needs Linux: what a process held is read from ``/proc``.
"""

import asyncio
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
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
AT_A_TIME: Final = 2
PAGED: Final = f"{INVOICES:,} invoices paged"
EXPORTED: Final = f"{BILLS:,} bills exported"
RUN: Final = f"{UPDATES:,} updates by a bulk run without a journal"
#: What the command writes, by what it is called here; the libraries of XLSX and Parquet count.
FILES: Final = {f"{INVOICES:,} invoices to {form}": form for form in ("csv", "xlsx", "parquet")}
TARGETS: Final = (
    Target(PAGED, 20, rounds=1),
    Target(EXPORTED, 24, rounds=1),
    Target(RUN, 12.5, rounds=1),
    *(Target(what, 30 if form == "csv" else 80, rounds=1) for what, form in FILES.items()),
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


def of_command(form: str, url: str) -> float:
    """Return the MB that the command held at most while it wrote a file, above those before."""
    from aiocake.cli.app import run as command  # noqa: PLC0415 - not in the process that compares

    os.environ |= {"CAKE_DOMAIN": url, "CAKE_API_KEY": KEY}
    assert command(["--version"]) == 0
    with tempfile.TemporaryDirectory() as folder:
        forget_peak()
        idle = held("VmRSS")
        file = Path(folder) / f"invoices.{form}"
        assert command(["invoices", "list", "--out", str(file)]) == 0
        assert file.stat().st_size > INVOICES
        return held("VmHWM") - idle


def run(rounds: int) -> Cases:
    """Measure, each in a fresh process; once, for it hardly varies.

    Two at a time: how long they take is not measured, and what one holds is not the other's.
    """
    del rounds

    with (
        server("--invoices", str(INVOICES), "--bills", str(BILLS)) as url,
        ThreadPoolExecutor(AT_A_TIME) as threads,
    ):

        def measured(function: str, **arguments: str) -> Future[float]:
            return threads.submit(once, f"benchmarks.memory:{function}", url=url, **arguments)

        found = {what: measured("of_command", form=form) for what, form in FILES.items()}
        found |= {what: measured("above_idle", what=what) for what in (PAGED, EXPORTED, RUN)}
        return {target.case: {OURS: [found[target.case].result()]} for target in TARGETS}
