# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the client outlives what is in it: that is another block
"""What is logged: little, at levels that mean something, and never the key or what is written."""

import subprocess
import sys
from contextlib import suppress
from datetime import date

import anyio
import httpx
import pytest

from aiocake import CakeError, OutcomeUnknown

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)


def lines(caplog) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records if "cake" in each.name]


async def test_a_call_that_works_is_not_logged(stage, caplog) -> None:
    async with stage.client(stage.page, stage.updated) as cake:
        await cake.invoices.page()
        await cake.invoices.update(1, memo="canary note")
    assert lines(caplog) == []


async def test_a_retry_is_an_info(stage, caplog) -> None:
    async with stage.client(500, stage.page, on_event=None) as cake:
        await cake.invoices.page()
    ((level, text),) = lines(caplog)
    assert level == "INFO"
    assert text.startswith("invoices.find: attempt 2 in ")
    assert text.endswith(", after ServerError")


async def test_a_pause_is_a_warning_once(stage, caplog) -> None:
    asked = []

    async def throttled() -> httpx.Response:
        asked.append(anyio.Event())
        if len(asked) == 2:
            asked[0].set()
            asked[1].set()
        await asked[-1].wait()
        return httpx.Response(429, headers={"retry-after-ms": "1"})

    async with stage.client(throttled, throttled, stage.page, on_event=None) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            group.start_soon(cake.invoices.page)
    assert [text for level, text in lines(caplog) if level == "WARNING"] == [
        "invoices.find: throttled; all calls pause for 0.001 s"
    ]


async def test_an_unknown_outcome_is_a_warning_with_the_id_of_the_intent(stage, caplog) -> None:
    async with stage.client(stage.lost, on_event=None) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.invoices.create(
                affiliate_id=1,
                start_date=date(2024, 1, 1),
                end_date=date(2024, 1, 31),
                memo="canary note",
            )
    ((level, text),) = lines(caplog)
    assert level == "WARNING"
    assert f"(intent {caught.value.intent.id}, attempts: 1, OutcomeUnknown)" in text


async def test_the_unknown_outcome_of_a_cancelled_write_is_a_warning_too(stage, caplog) -> None:
    held = stage.held(stage.updated)
    async with stage.client(held, on_event=None, grace=0.0) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: cake.invoices.update(1, memo="canary note"))
            await held.asked.wait()
            group.cancel_scope.cancel()
    assert [level for level, _ in lines(caplog)] == ["WARNING"]


async def test_what_was_odd_about_an_answer_is_an_info(stage, caplog) -> None:
    short = stage.page.replace(b'"total_rows":1', b'"total_rows":2')
    export = stage.export(stage.bill(1, "<notes>canary note&#xB;</notes>"))
    async with stage.client(export, on_event=None) as cake:
        await stage.june(cake).collect()
    async with stage.client(short, stage.page, on_event=None) as cake:
        await cake.invoices.find(row_limit=1).collect()
    reported = lines(caplog)
    assert {level for level, _ in reported} == {"INFO"}
    assert reported[0][1].endswith("that XML cannot hold were left out: 1")
    assert reported[1][1].startswith("invoices.find: list anomaly: ")


async def test_values_that_were_normalized_are_an_info(stage, caplog) -> None:
    answer = stage.page.replace(b'"invoice_id"', b'"end_date":"","currency":"","invoice_id"')
    async with stage.client(answer) as cake:
        await cake.invoices.page()
    assert lines(caplog) == [
        ("INFO", "invoices.find: values normalized: 2 (invoices.end_date, invoices.currency)")
    ]


async def test_no_key_and_no_payload_in_any_line_or_event(stage, caplog) -> None:
    async def echo() -> httpx.Response:
        body = f"canary note {stage.key} canary name 98671354.25".encode()
        return httpx.Response(500, content=body)

    export = stage.export(stage.bill(1, "<notes>canary note&#xB;</notes>"), count=3)
    wrong = stage.page.replace(b"pending", b"paid")
    for scene in (echo, stage.lost, 429, wrong, export, stage.updated, stage.page):
        async with stage.client(scene) as cake:
            for call in (
                lambda: cake.invoices.find(invoice_status="pending").collect(),
                lambda: cake.invoices.update(1, memo="canary note"),
                lambda: stage.june(cake).collect(),
            ):
                with suppress(CakeError):
                    await call()
    texts = [text for _, text in lines(caplog)] + [repr(event) for event in stage.reported]
    assert len(texts) > 50
    for word in ("canary", "K3Y", "98671354"):
        assert [text for text in texts if word in text] == []


def test_without_any_logging_set_up_nothing_is_printed() -> None:
    code = (
        "import logging, aiocake\n"
        "aiocake.Client('x.example', 'key')._closed = True\n"  # nothing is logged before one
        "log = logging.getLogger('aiocake')\n"
        "log.warning('printed')\n"
        "assert [type(each) for each in log.handlers] == [logging.NullHandler]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
