"""What aiocake costs beside what a user would pick instead: ``python -m benchmarks``."""

from typing import Final

#: The benchmarks, in the order in which they are shown: a module each.
BENCHMARKS: Final = (
    "page",
    "page_tls",
    "page_uvloop",
    "page_trio",
    "update",
    "machinery",
    "functions",
    "decode",
    "bills",
    "paging",
    "gathered",
    "memory",
    "tenants",
    "files",
    "imports",
    "bulk",
    "journals",
    "pace",
    "quota",
    "events",
    "blocking",
    "where",
)

#: Those whose figures are not of time: they run side by side, after the others.
UNTIMED: Final = frozenset({"functions", "gathered", "memory", "pace", "tenants"})
