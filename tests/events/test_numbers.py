# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the client outlives what is in it: that is another block
"""The number of its call on each event, and server, method and path of each attempt."""

from contextlib import suppress
from datetime import date

import anyio
import pytest
import trio.testing

from aiocake import (
    ArgumentError,
    Binding,
    CakeError,
    ClosedError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Throttle,
)
from aiocake.events import AttemptBegan, AttemptEnded, ListAnomaly, PauseEnded, ReferencesDropped

pytestmark = pytest.mark.anyio

MOCK_CLOCK = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)


ATTEMPT = ("AttemptBegan", "AttemptEnded")


def numbers(stage) -> list[tuple[str, int]]:
    """The kind of each event and the number of its call."""
    return [(type(event).__name__, event.call) for event in stage.events]


def attempts(stage) -> list[tuple[str, str | None]]:
    began = [(e.method, e.path) for e in stage.events if isinstance(e, AttemptBegan)]
    assert began == [(e.method, e.path) for e in stage.events if isinstance(e, AttemptEnded)]
    return began


async def test_each_call_has_a_number_from_1_on_all_of_its_events(stage) -> None:
    async with stage.client(500, stage.page, stage.updated) as cake:
        await cake.invoices.page()
        await cake.with_options(total=9).invoices.update(1, memo="x")
    kinds = [(kind, 1) for kind in (*ATTEMPT, "RetryScheduled", *ATTEMPT, "CallEnded")]
    assert numbers(stage) == kinds + [(kind, 2) for kind in (*ATTEMPT, "CallEnded")]


async def test_a_call_of_another_client_has_another_number(stage) -> None:
    async with stage.client(stage.page) as cake, stage.client(stage.page) as other:
        await cake.invoices.page()
        await other.invoices.page()
        await cake.invoices.page()
    kinds = (*ATTEMPT, "CallEnded")
    assert numbers(stage) == [(kind, call) for call in (1, 2, 3) for kind in kinds]


async def test_a_call_that_is_refused_has_a_number_too(stage) -> None:
    cake = stage.client(stage.page)
    for wrong in (lambda: cake.invoices.page(row_limit=0.5), lambda: cake.invoices.update(1)):
        with pytest.raises(ArgumentError):
            await wrong()
    await cake.aclose()
    with pytest.raises(ClosedError):
        await cake.invoices.page()
    assert numbers(stage) == [("CallEnded", 1), ("CallEnded", 2), ("CallEnded", 3)]


async def test_each_page_of_a_list_is_a_call_and_an_anomaly_of_the_list_is_none(stage) -> None:
    short = stage.page.replace(b'"total_rows":1', b'"total_rows":2')
    async with stage.client(short, stage.page) as cake:
        await cake.invoices.find(row_limit=1).collect()
    ends = [event.call for event in stage.events if isinstance(event, AttemptEnded)]
    assert sorted(ends) == list(range(1, len(ends) + 1))
    anomalies = [event for event in stage.events if isinstance(event, ListAnomaly)]
    assert {event.call for event in anomalies} == {None}


async def test_an_export_and_what_was_odd_about_it(stage) -> None:
    bill = stage.bill(1, "<notes>a&#xB;</notes>")
    async with stage.client(stage.page, stage.export(bill, bill)) as cake:
        await cake.invoices.page()
        await stage.june(cake).collect()
    found = [event for event in stage.events if isinstance(event, ListAnomaly | ReferencesDropped)]
    assert len(found) == 2
    assert [number for _, number in numbers(stage)] == [1, 1, 1, 2, 2, 2, 2, 2]


async def test_values_that_were_normalized(stage) -> None:
    answer = stage.page.replace(b'"invoice_id"', b'"end_date":"","invoice_id"')
    async with stage.client(answer) as cake:
        await cake.invoices.page()
        await cake.invoices.page()
    kinds = (*ATTEMPT, "ValuesNormalized", "CallEnded")
    assert numbers(stage) == [(kind, call) for call in (1, 2) for kind in kinds]


async def test_a_wait_has_the_number_of_the_call_that_waits(stage) -> None:
    held = stage.held(stage.page)
    async with stage.client(held, throttle=Throttle(concurrency=1, max_waiting=0)) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            with pytest.raises(NotSent):
                await cake.invoices.update(1, memo="x")
            held.go_on.set()
    assert numbers(stage)[1:3] == [("Waited", 2), ("CallEnded", 2)]


@MOCK_CLOCK
async def test_a_pause_has_the_number_of_the_call_that_began_it(stage) -> None:
    async with stage.client((429, {"retry-after": "5"}, b""), stage.page) as cake:
        await cake.invoices.page()
    assert ("Paused", 1) in numbers(stage)


@MOCK_CLOCK
async def test_a_long_pause_ends_with_the_number_of_the_call_that_went_first(stage) -> None:
    async with stage.client((429, {"retry-after": "500"}, b""), stage.page) as cake:
        with pytest.raises(RateLimited):
            await cake.invoices.page()
        await anyio.sleep(501)
        await cake.invoices.page()
    assert [each for each in numbers(stage) if "Pause" in each[0]] == [
        ("Paused", 1),
        ("PauseEnded", 2),
    ]


async def test_a_pause_that_you_end_is_of_no_call(stage) -> None:
    async with stage.client((429, {"retry-after": "500"}, b"")) as cake:
        with pytest.raises(RateLimited):
            await cake.invoices.page()
        cake.end_pause()
    assert isinstance(stage.events[-1], PauseEnded)
    assert stage.events[-1].call is None


async def test_method_and_path_of_v2(stage) -> None:
    async with stage.client(stage.page, stage.updated) as cake:
        await cake.invoices.page(affiliate_id=4711)
        await cake.invoices.update(1, memo="x")
    assert attempts(stage) == [
        ("GET", "/api/2/invoices.json"),
        ("POST", "/api/2/update_invoice.json"),
    ]


@pytest.mark.parametrize("binding", Binding)
async def test_method_and_path_of_v1(stage, binding) -> None:
    async with stage.client(stage.export(), stage.lost, binding=binding) as cake:
        await stage.june(cake).collect()
        with pytest.raises(OutcomeUnknown):
            await cake.affiliate_bills.mark_paid(1, payment_date=date(2014, 6, 30))
    found = attempts(stage)
    service = "/api/1/accounting.asmx"
    soap = binding in {Binding.SOAP11, Binding.SOAP12}
    export = service if soap else f"{service}/ExportAffiliateBills"
    assert found[0] == ("GET" if binding is Binding.GET else "POST", export)
    assert {path for _, path in found[1:]} == {
        service if soap else f"{service}/MarkAffiliateBillAsPaid"
    }
    assert all("?" not in (path or "") for _, path in found)


async def test_no_event_shows_a_path_of_your_own(stage) -> None:
    async with stage.client(stage.page) as cake:
        with suppress(CakeError):
            await cake.request("PUT", "/api/2/canary/4711.json", repeatable=True)
    assert attempts(stage) == [("PUT", None)]
    assert "canary" not in repr(stage.events)
