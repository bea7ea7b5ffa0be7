"""Long runs of writes that survive a crash.

A write is a value::

    calls = [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]
    summary = await bulk.each(calls, journal="run.db")

and after a crash::

    summary = await bulk.resume("run.db", cake)

For a dry run, print the calls instead of sending them.
"""

from aiocake.bulk.call import Call, Instance, call
from aiocake.bulk.each import each, resume
from aiocake.bulk.journal import Journal
from aiocake.bulk.options import OnConflict, OnExisting
from aiocake.bulk.outcomes import (
    Done,
    Double,
    Ended,
    Failed,
    Progress,
    Skipped,
    Stop,
    Summary,
    Unknown,
)

__all__ = [
    "Call",
    "Done",
    "Double",
    "Ended",
    "Failed",
    "Instance",
    "Journal",
    "OnConflict",
    "OnExisting",
    "Progress",
    "Skipped",
    "Stop",
    "Summary",
    "Unknown",
    "call",
    "each",
    "resume",
]
