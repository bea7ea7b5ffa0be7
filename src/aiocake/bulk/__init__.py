"""Long lists and long runs: what takes many calls, and has to come out right all the same.

A write is a value::

    calls = [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]
    summary = await bulk.each(calls, journal="run.db")

and after a crash::

    summary = await bulk.resume("run.db", cake)

A dry run prints the calls in place of sending them.
"""

from aiocake.bulk._bulk import OnExisting, each, resume
from aiocake.bulk._call import Call, Instance, call
from aiocake.bulk._outcomes import (
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
from aiocake.bulk.journal import Journal
from aiocake.bulk.paging import NewRows, PagedRows, PageLike, Pager, PageRequest, Pages

__all__ = [
    "Call",
    "Done",
    "Double",
    "Ended",
    "Failed",
    "Instance",
    "Journal",
    "NewRows",
    "OnExisting",
    "PageLike",
    "PageRequest",
    "PagedRows",
    "Pager",
    "Pages",
    "Progress",
    "Skipped",
    "Stop",
    "Summary",
    "Unknown",
    "call",
    "each",
    "resume",
]
