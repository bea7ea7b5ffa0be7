# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""The listeners in docs/observability.md do what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

from aiocake import NotSent, OutcomeUnknown, Throttle, events

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


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
    counters = run(0)["Counters"]()
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
