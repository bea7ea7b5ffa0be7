# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""The listeners in docs/observability.md do what the page says."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from aiocake import CakeError, NotSent, OutcomeUnknown, Throttle, events
from aiocake.sandbox import Sandbox, serve

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "observability.md"


def run(number: int) -> dict[str, Any]:
    """Run one of the page's examples. Return the names that it defines."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[number]
    names: dict[str, Any] = {"__name__": "documented"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - it is our own
    return names


def test_each_event_has_its_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {
        name for name in events.__all__ if name not in {"Event", "OnEvent", "fan_out", "ignore"}
    }


async def test_counters(stage) -> None:
    counters = run(2)["Counters"]()
    async with stage.client(500, stage.updated, stage.lost, on_event=counters) as cake:
        await cake.invoices.update(1, memo="x")
        with pytest.raises(OutcomeUnknown):
            await cake.invoices.update(1, memo="x")
    throttle = Throttle(max_waiting=0, concurrency=1)
    async with stage.client(stage.page, throttle=throttle, on_event=counters) as cake:
        await cake.invoices.page()
    async with stage.client(stage.refused, on_event=counters) as cake:
        with pytest.raises(NotSent):
            await cake.invoices.page()
    assert counters.calls == {
        ("invoices.update", "done"): 1,
        ("invoices.update", "unknown"): 1,
        ("invoices.find", "done"): 1,
        ("invoices.find", "NotSent"): 1,
    }
    assert counters.retries == {"ServerError": 1, "DecodeError": 2, "NotSent": 2}
    assert counters.seconds_in_queue == counters.seconds_paused == 0.0


async def test_the_listener_of_opentelemetry(monkeypatch) -> None:
    monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
    with serve(Sandbox()) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        await run(0)["main"]()
        await run(1)["test_spans"]()


async def test_structlog(stage) -> None:
    listener = run(3)["log_events"]
    with structlog.testing.capture_logs() as logged:
        async with stage.client(503, stage.updated, 400, stage.lost, on_event=listener) as cake:
            await cake.invoices.update(1, memo="x")
            for _ in range(2):
                with suppress(CakeError):
                    await cake.invoices.update(1, memo="x")
    assert [(each["event"], each["log_level"]) for each in logged] == [
        ("cake.Paused", "info"),
        ("cake.RetryScheduled", "info"),
        ("cake.done", "info"),
        ("cake.failed", "warning"),
        ("cake.RetryScheduled", "info"),
        ("cake.RetryScheduled", "info"),
        ("cake.unknown", "error"),
    ]
    assert logged[-1]["intent"]


def test_the_spans_of_a_failing_payment() -> None:
    """The page shows what the example prints; the id of the intent is another each time."""
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "failing_payment.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    printed = ran.stdout.split("\n\n", 1)[1]
    page = PAGE.read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert _without_intent(shown) == _without_intent(printed)


def _without_intent(text: str) -> str:
    plain, count = re.subn(r"(intent\.id = )[0-9a-f-]{36}", r"\1…", text)
    assert count == 1
    return plain
