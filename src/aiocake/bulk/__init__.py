"""Long runs of writes that survive a crash.

A write is a value::

    calls = [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]
    summary = await bulk.each(calls, journal="run.db")

and after a crash::

    summary = await bulk.resume("run.db", cake)

Or, for a job that a scheduler starts again until it is done::

    summary = await bulk.carry("run.db", cake, calls=make_plan)

For a dry run, print the calls instead of sending them.
"""

from typing import TYPE_CHECKING

from aiocake._lazy import lazily

if TYPE_CHECKING:
    from aiocake.bulk.calls import Call, Instance, call
    from aiocake.bulk.execution import each, resume
    from aiocake.bulk.journal import Journal
    from aiocake.bulk.log_chain import Approval, LogHead, PlanIdentity
    from aiocake.bulk.log_check import LogCheck
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
    from aiocake.bulk.start_or_resume import carry

__all__ = [
    "Approval",
    "Call",
    "Done",
    "Double",
    "Ended",
    "Failed",
    "Instance",
    "Journal",
    "LogCheck",
    "LogHead",
    "OnConflict",
    "OnExisting",
    "PlanIdentity",
    "Progress",
    "Skipped",
    "Stop",
    "Summary",
    "Unknown",
    "call",
    "carry",
    "each",
    "resume",
]

# Who runs no plan loads neither SQLite nor the rest of a run.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "calls": ("Call", "Instance", "call"),
            "execution": ("each", "resume"),
            "journal": ("Journal",),
            "log_chain": ("Approval", "LogHead", "PlanIdentity"),
            "log_check": ("LogCheck",),
            "options": ("OnConflict", "OnExisting"),
            "outcomes": (
                *("Done", "Double", "Ended", "Failed", "Progress", "Skipped", "Stop", "Summary"),
                "Unknown",
            ),
            "start_or_resume": ("carry",),
        },
    )
