"""What events cost: a client that nobody listens to, beside one that could not be heard.

The rival is a copy of the package from which everything that makes or passes on an event is cut
out (``CUTS``; each cut must fit, or this ends).
"""

import asyncio
import contextlib
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import ROOT, Worker, server
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "What events cost"
UNIT: Final = "µs of CPU a call"
CUT: Final = "aiocake without the code of events"
LISTENING: Final = "aiocake, on_event does nothing"
NO_SDK: Final = "aiocake.otel without an SDK"
WITH_SDK: Final = "aiocake.otel, which records"
LACKS: Final = {
    CUT: "No events.",
    LISTENING: "Nothing: a function receives every event.",
    NO_SDK: "Nothing is recorded.",
    WITH_SDK: "Nothing: spans are dropped when they have ended, and metrics are kept.",
}
NO_NETWORK: Final = "a page of one invoice, without a network"
OVER_HTTP: Final = "a page of one invoice over HTTP"
UPDATE: Final = "an update, without a network"
TARGETS: Final = (Target(OVER_HTTP, 1.05, rival=OURS, ours=NO_SDK),)

Cuts = Mapping[str, Sequence[tuple[str, str, int]]]
#: By file: a piece of its text, what stands there without events, and how often it is there.
CUTS: Final[Cuts] = {
    "_pipeline/executor.py": (
        ("self._judge.emit_begin(call)\n", "pass\n", 1),
        ("with CallReport(self.emitter, call) as report", "if report := None or True", 1),
        ("with CallReport(self.emitter, look) as report", "if report := None or True", 1),
        ("report.outcome = Outcome.UNKNOWN\n", "\n", 1),
        ("report.finish(failure)\n", "\n", 3),
    ),
    "_pipeline/call_codec.py": (
        ("        if leniency.count:\n", "        if False:\n", 1),
        ("if reply.dropped:", "if False:", 1),
    ),
    "_pipeline/attempt_judge.py": (
        ('self._emit_end(call, attempt, "Cancelled")\n', "pass\n", 1),
        (
            "self._emit_end(call, attempt, None if error is None else type(error).__name__)",
            "pass",
            1,
        ),
        ("if self._emitter.enabled:", "if False:", 2),
    ),
}


@contextmanager
def source_without(cuts: Cuts) -> Iterator[Path]:
    """Yield a folder with a copy of the package, with cuts.

    Raises:
        RuntimeError: A cut does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "aiocake"
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / "aiocake", copy, ignore=leave)
        for name, pieces in cuts.items():
            text = (copy / name).read_text(encoding="utf-8")
            for old, new, count in pieces:
                if text.count(old) != count:
                    raise RuntimeError(f"{name} has changed: {old!r} is not there {count} times")
                text = text.replace(old, new)
            (copy / name).write_text(text, encoding="utf-8")
        yield Path(folder)


def reported() -> list[str]:
    """Return the names of the events of a page and an update: none, where events are cut out."""
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy
    from benchmarks.machinery import AtOnce  # noqa: PLC0415 - the same

    found: list[object] = []

    async def calls() -> None:
        cake = Client("127.0.0.1", KEY, transport=AtOnce(), on_event=found.append)
        async with cake:
            await cake.invoices.page()
            await cake.invoices.update(4821, invoice_status="approved")

    asyncio.run(calls())
    return [type(event).__name__ for event in found]


def cpu(case: str, url: str, *, who: str = OURS, calls: int = 200) -> float:
    """Return the µs of CPU of a call, of the copy of aiocake that this process imports.

    Args:
        case: The call.
        url: The server.
        who: Who listens.
        calls: How many calls are made.
    """
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy
    from benchmarks.machinery import AtOnce  # noqa: PLC0415 - the same

    async def measured() -> float:
        transport = None if case == OVER_HTTP else AtOnce()
        async with Client(url, KEY, transport=transport, on_event=_listener(who)) as cake:
            for count in (calls // 4, calls):  # the first ones warm up
                gc.collect()
                begin = time.process_time()
                for _ in range(count):
                    if case == UPDATE:
                        await cake.invoices.update(4821, invoice_status="approved")
                    else:
                        await cake.invoices.page()
            return (time.process_time() - begin) / calls * 1e6

    return asyncio.run(measured())


def _ignore(_: object) -> None:
    """Listen to an event, and do nothing."""


def _listener(who: str) -> Callable[[object], None] | None:
    if who == LISTENING:
        return _ignore
    if who not in {NO_SDK, WITH_SDK}:
        return None
    if who == NO_SDK:
        sys.modules["opentelemetry.sdk"] = None  # type: ignore[assignment] # as if it were not there
    from aiocake import otel  # noqa: PLC0415 - a copy of the package may be imported

    if who == NO_SDK:
        listener = otel.listener()
        del sys.modules["opentelemetry.sdk"]
        return listener
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same

    return otel.listener(
        tracer_provider=TracerProvider(), meter_provider=MeterProvider([InMemoryMetricReader()])
    )


def run(rounds: int) -> Cases:
    """Measure."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(server("--invoices", "1"))
        without = stack.enter_context(source_without(CUTS))
        whole = stack.enter_context(Worker("benchmarks.events:cpu"))
        cut = stack.enter_context(Worker("benchmarks.events:cpu", without))
        return {
            case: interleaved(
                {
                    OURS: partial(whole.ask, case=case, url=url),
                    CUT: partial(cut.ask, case=case, url=url),
                    **{
                        who: partial(whole.ask, case=case, url=url, who=who)
                        for who in (LISTENING, NO_SDK, WITH_SDK)
                    },
                },
                rounds,
            )
            for case in (NO_NETWORK, OVER_HTTP, UPDATE)
        }
