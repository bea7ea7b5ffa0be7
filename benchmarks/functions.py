"""How many functions of the package a call passes: what somebody reads who follows one."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import BEFORE, COMMIT, Worker, source_at
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.machinery import LIST, AtOnce

TITLE: Final = "Functions of the package that a call passes"
UNIT: Final = "functions"
LACKS: Final = {BEFORE: "The same promises, over httpcore2."}
TARGETS: Final[tuple[Target, ...]] = ()


def passed() -> dict[str, int]:
    """Return the number of functions of each call."""
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy

    async def counted() -> dict[str, int]:
        async with (
            Client("127.0.0.1", KEY, transport=AtOnce()) as cake,
            Client("127.0.0.1", KEY, transport=AtOnce(LIST)) as lists,
        ):
            return {
                "an update": await _functions(
                    lambda: cake.invoices.update(4821, invoice_status="approved")
                ),
                "a page": await _functions(cake.invoices.page),
                "find(), two pages": await _functions(lambda: lists.invoices.find().collect()),
            }

    return asyncio.run(counted())


async def _functions(call: Callable[[], Awaitable[object]]) -> int:
    await call()
    found: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.partition(".")[0] == "aiocake":
            found.add((module, frame.f_code.co_firstlineno))

    sys.setprofile(note)
    try:
        await call()
    finally:
        sys.setprofile(None)
    return len(found)


def run(rounds: int) -> Cases:
    """Count, once: it is the same each time."""
    del rounds
    function = "benchmarks.functions:passed"
    with source_at(COMMIT) as source, Worker(function) as now, Worker(function, source) as before:
        ours, theirs = now.ask(), before.ask()
    return {call: {OURS: [ours[call]], BEFORE: [theirs[call]]} for call in ours}
