"""Count what a page, an update and 1,000 bills take, and compare with the figures that are kept.

Time differs from run to run, and machine instructions from machine to machine; what the
interpreter executes does not. So that is counted, by ``sys.monitoring`` of Python 3.12 and later:

- ``aiocake``: bytecode instructions in the package,
- ``libraries``: those in what the package calls, without the event loop and the server,
- ``calls``: calls of anything, whether written in Python or in C,
- ``bytes``: of bytes and texts that a call is given first or is a method of, such as
  ``body.count(…)``: work in C that no instruction tells of.

Client and server share one thread and one loop, so that the same happens in the same order each
time; and the bills come from a transport without a network, which would cut them into other pieces
each time. The least of some calls is taken. A Python counts differently from another version, so
each has figures of its own (``instructions.json``, written by ``--update``); other versions of
libraries may differ a little, and a limit of 10 % leaves room for that.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import CodeType
from typing import Final

import httpx

from aiocake import Client, Period
from benchmarks.harness import answers
from benchmarks.harness.answers import KEY, ROWS
from benchmarks.harness.server import Canned

FIGURES: Final = Path(__file__).parent / "instructions.json"
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
MORE: Final = 1.1
BILLS: Final = 1_000
#: Calls before those that count, which load, connect and fill caches, and those that count.
BEFORE: Final = 2
COUNTED: Final = 2
#: What is not counted: the loop, the server, the standard library below them, and this file.
_NOT_COUNTED: Final = ("asyncio", "benchmarks", "selectors", "socket", "contextvars")

Counts = dict[str, int]
Call = Callable[[], Awaitable[object]]


class Export(httpx.AsyncBaseTransport):
    """A transport whose every answer is the export, in pieces of one size."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        del request
        return httpx.Response(200, headers={"content-type": "text/xml"}, stream=Pieces())


class Pieces(httpx.AsyncByteStream):
    """Its body."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = b"".join(answers.bills(BILLS))
        for at in range(0, len(whole), 1 << 16):
            yield whole[at : at + (1 << 16)]


class Counting:
    """Counts while it is entered."""

    _TOOL: Final = 4  # one of those that nobody has reserved

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._kinds: dict[CodeType, str | None] = {}

    def __enter__(self) -> Counter[str]:
        monitoring = sys.monitoring
        events = monitoring.events
        monitoring.use_tool_id(self._TOOL, "aiocake")
        monitoring.register_callback(self._TOOL, events.INSTRUCTION, self._instruction)
        monitoring.register_callback(self._TOOL, events.CALL, self._call)
        monitoring.set_events(self._TOOL, events.INSTRUCTION | events.CALL)
        return self._counts

    def __exit__(self, *_: object) -> None:
        sys.monitoring.set_events(self._TOOL, 0)
        sys.monitoring.free_tool_id(self._TOOL)

    def _instruction(self, code: CodeType, _: int) -> object:
        kind = self._kind(code)
        if kind is None:
            return sys.monitoring.DISABLE
        self._counts[kind] += 1
        return None

    def _call(self, code: CodeType, _: int, called: object, first: object) -> object:
        if self._kind(code) is None:
            return sys.monitoring.DISABLE
        self._counts["calls"] += 1
        # A pattern that is matched at a place reads no more than what it matches.
        at_a_place = getattr(called, "__name__", "") == "match"
        if isinstance(first, bytes | bytearray | str) and not at_a_place:
            self._counts["bytes"] += len(first)
        return None

    def _kind(self, code: CodeType) -> str | None:
        if code not in self._kinds:
            parts = Path(code.co_filename).with_suffix("").parts
            kind: str | None = "aiocake" if "aiocake" in parts else "libraries"
            if any(name in parts for name in _NOT_COUNTED):
                kind = None
            self._kinds[code] = kind
        return self._kinds[code]


async def counted() -> dict[str, Counts]:
    """Return the counts of each call."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(ROWS, 1, 0), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        Client(f"http://127.0.0.1:{port}", KEY) as cake,
        Client("127.0.0.1", KEY, transport=Export()) as exporting,
    ):

        async def bills() -> None:
            async with exporting.affiliate_bills.export(period=Period.month(2014, 6)) as rows:
                assert len([bill async for bill in rows]) == BILLS

        calls: dict[str, Call] = {
            "a page of 100": lambda: cake.invoices.page(row_limit=ROWS),
            "an update": lambda: cake.invoices.update(4821, invoice_status="approved"),
            "1,000 bills": bills,
        }
        found = {name: await _least(call) for name, call in calls.items()}
    server.close()
    return found


async def _least(call: Call) -> Counts:
    for _ in range(BEFORE):
        await call()
    rounds = []
    for _ in range(COUNTED):
        with Counting() as counts:
            await call()
        rounds.append(counts)
    return {kind: min(each[kind] for each in rounds) for kind in sorted(rounds[0])}


def main(*, update: bool) -> int:
    """Count and compare, or store; return the status of the process."""
    if not hasattr(sys, "monitoring"):
        print(f"Python {VERSION} cannot count instructions: it takes 3.12 or later")
        return 1
    figures: dict[str, dict[str, Counts]] = json.loads(FIGURES.read_text(encoding="utf-8"))
    found = asyncio.run(counted())
    if update:
        figures[VERSION] = found
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    elif VERSION not in figures:
        print(f"there are no figures for Python {VERSION}: python -m benchmarks guard --update")
        return 1
    well = True
    for name, counts in found.items():
        print(f"{name} (Python {VERSION})")
        for kind, count in counts.items():
            before = figures[VERSION][name][kind]
            word = "" if count <= before * MORE else f"   more than {MORE} times as many"
            well = well and not word
            print(f"    {kind:<12}{count:12,}{before:14,} before{word}")
    return 0 if well else 1
