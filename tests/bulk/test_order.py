# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Calls of one plan for the same record: in the order of the plan, and never an older one last."""

from datetime import date
from pathlib import Path

import anyio
import pytest
from starlette.responses import Response

from aiocake import Client, NotSent, bulk
from aiocake.bulk import Call, Failed
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def flow(cake: Client, numbers: list[int]) -> list[Call[object]]:
    return [
        bulk.call(cake.invoices.update, number, invoice_status=status)
        for number in numbers
        for status in ("approved", "paid")
    ]


def pending(books) -> list[int]:
    numbers = list(books.state.invoices)[:6]
    for number in numbers:
        books.state.invoices[number].invoice_status = "pending"
    return numbers


async def dawdle(request) -> None:
    """Have the first call for a record take longer than the second."""
    first = request.arguments.get("invoice_status") == "approved"
    if first or request.operation.endswith("AsReceived"):
        for _ in range(50):
            await anyio.lowlevel.checkpoint()


async def test_an_invoice_is_approved_before_it_is_paid(ledgers) -> None:
    books = ledgers(Sandbox())
    numbers = pending(books)
    books.state.on_request.append(dawdle)
    async with books.client() as cake:
        assert (await bulk.each(flow(cake, numbers), journal=None)).complete
    assert {books.state.invoices[number].invoice_status for number in numbers} == {"paid"}


async def test_a_bill_is_received_before_it_is_paid(ledgers) -> None:
    books = ledgers(Sandbox())
    ended: list[str] = []
    books.state.on_request.append(dawdle)
    books.state.on_response.append(lambda request, _: ended.append(request.operation))
    async with books.client() as cake:
        calls: list[Call[object]] = [
            bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=7),
            bulk.call(cake.affiliate_bills.mark_paid, 345, payment_date=date(2030, 1, 1)),
        ]
        assert (await bulk.each(calls, journal=None)).complete
    assert ended == ["MarkAffiliateBillAsReceived", "MarkAffiliateBillAsPaid"]


async def test_what_is_behind_a_call_that_failed_waits_for_it(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    (number, *_) = pending(books)
    refusals = [Response("No.", 400)]
    books.state.on_request.append(
        lambda request: refusals.pop() if refusals and request in books.writes else None
    )
    async with books.client() as cake:
        summary = await bulk.each(flow(cake, [number]), journal=path)
        assert (summary.done, summary.failed) == (0, 2)
        last = summary.problems[1]
        assert isinstance(last, Failed)
        assert isinstance(last.error, NotSent)
        assert len(books.writes) == 1
        assert (await bulk.resume(path, cake)).complete
    assert books.state.invoices[number].invoice_status == "paid"
    assert len(books.writes) == 3


@pytest.mark.parametrize("done", [True, False])
async def test_a_lost_value_is_not_set_over_a_newer_one(
    ledgers, tmp_path: Path, *, done: bool
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    books.lose(lambda request: request.operation == "update_invoice", done=done)
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, 4821, memo=memo) for memo in ("one", "two")]
        summary = await bulk.each(calls, journal=path)
        assert (summary.done, summary.failed) == (1, 1)
        assert books.state.invoices[4821].memo == "one"
        assert (await bulk.resume(path, cake)).complete
    assert books.state.invoices[4821].memo == "two"


async def test_a_run_that_is_stopped_sends_nothing_that_waits_for_its_turn(ledgers) -> None:
    books = ledgers(Sandbox())
    numbers = pending(books)
    books.state.on_request.append(dawdle)
    books.state.api_keys.clear()
    async with books.client() as cake:
        summary = await bulk.each(flow(cake, numbers[:1]), journal=None)
    assert summary.stopped is not None
    assert len(books.state.requests) == 1  # the look at the first
    assert not books.writes


async def test_a_cancelled_run_lets_all_turns_go(ledgers) -> None:
    books = ledgers(Sandbox())
    (number, *_) = pending(books)
    async with books.client() as cake:
        with anyio.CancelScope() as scope:
            books.state.on_response.append(
                lambda request, _: scope.cancel() if request in books.writes else None
            )
            await bulk.each(flow(cake, [number]), journal=None)
        assert scope.cancelled_caught
        assert len(books.writes) == 1
        books.state.on_response.pop()
        books.state.invoices[number].invoice_status = "pending"
        assert (await bulk.each(flow(cake, [number]), journal=None)).complete
