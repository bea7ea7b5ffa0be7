"""How many functions and modules of the package a call passes: what somebody reads who follows one.

Those in threads of the package count, too: a journal writes in one. A run overwrites, so that it
makes no look at the record, which the copy before did not make either.
"""

import asyncio
import inspect
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import BEFORE, COMMIT, Worker, source_at
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.machinery import LIST, AtOnce

TITLE: Final = "Functions and modules of the package that a call passes"
UNIT: Final = "functions; modules"
LACKS: Final = {BEFORE: "The same promises, over httpcore2."}
TARGETS: Final[tuple[Target, ...]] = ()


def passed() -> dict[str, int]:
    """Return the number of functions of each call, and that of modules."""
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy

    async def counted(folder: Path) -> dict[str, int]:
        files = (folder / f"{number}.db" for number in count())
        async with (
            Client("127.0.0.1", KEY, transport=AtOnce()) as cake,
            Client("127.0.0.1", KEY, transport=AtOnce(LIST)) as lists,
        ):
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "an update": lambda: cake.invoices.update(4821, invoice_status="approved"),
                "a page": cake.invoices.page,
                "find(), two pages": lambda: lists.invoices.find().collect(),
                "a run of one update": lambda: _run(cake, None),
                "the same with a journal": lambda: _run(cake, next(files)),
            }
            found: dict[str, int] = {}
            for name, call in calls.items():
                functions = await _functions(call)
                found[name] = len(functions)
                found[f"{name}: modules"] = len({module for module, _ in functions})
            return found

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(counted(Path(folder)))


async def _run(cake: Any, journal: Path | None) -> None:  # noqa: ANN401 - a client of either copy
    from aiocake import bulk  # noqa: PLC0415 - a process imports one copy

    update = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
    each: Any = bulk.each
    looks = "on_conflict" in inspect.signature(each).parameters
    more = {"on_conflict": "overwrite"} if looks else {}
    summary = await each([update], journal=journal, **more)
    assert summary.done == 1


async def _functions(call: Callable[[], Awaitable[object]]) -> set[tuple[str, int]]:
    """Return the functions that a call passes: by module and line."""
    await call()
    found: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.partition(".")[0] == "aiocake":
            found.add((module, frame.f_code.co_firstlineno))

    _profile(note)
    try:
        await call()
    finally:
        _profile(None)
    return found


def _profile(note: Callable[[FrameType, str, object], None] | None) -> None:
    """Have a function told of each call, in all threads where Python can (3.12 and later)."""
    if sys.version_info >= (3, 12):
        threading.setprofile_all_threads(note)
    else:
        sys.setprofile(note)


def run(rounds: int) -> Cases:
    """Count, once: it is the same each time."""
    del rounds
    function = "benchmarks.functions:passed"
    with source_at(COMMIT) as source, Worker(function) as now, Worker(function, source) as before:
        ours, theirs = now.ask(), before.ask()
    return {case: {OURS: [ours[case]], BEFORE: [theirs[case]]} for case in ours}
