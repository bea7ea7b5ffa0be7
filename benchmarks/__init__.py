"""What aiocake costs beside what a user would pick instead: ``python -m benchmarks``."""

from typing import Final

#: The benchmarks, in the order in which they run and are shown: a module each.
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
