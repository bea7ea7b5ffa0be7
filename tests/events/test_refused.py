# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""What is told of calls that never left."""

from datetime import date

import anyio
import anyio.to_thread
import pytest

from aiocake import ArgumentError, Binding, NotSent, Outcome
from aiocake.errors import ClosedError, WrongLoopError
from aiocake.events import CallEnded

pytestmark = pytest.mark.anyio

PAGE = "invoices.find"
UPDATE = "invoices.update"
MARK = "affiliate_bills.mark_paid"


async def test_by_its_arguments(stage) -> None:
    async with stage.client(stage.page) as cake:
        with pytest.raises(ArgumentError):
            await cake.invoices.page(row_limit=0.5)
        with pytest.raises(ArgumentError):
            await cake.invoices.update(1)
        with pytest.raises(ArgumentError):
            cake.affiliate_bills.export(billing_cycle="never")
        with pytest.raises(ArgumentError):
            await cake.request("GET", "no-slash", repeatable=True)
    assert stage.reported == [
        CallEnded(PAGE, 0, 0.0, None, "ArgumentError"),
        CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "ArgumentError"),
        CallEnded("affiliate_bills.export", 0, 0.0, None, "ArgumentError"),
        CallEnded("request", 0, 0.0, Outcome.NOT_DONE, "ArgumentError"),
    ]


async def test_by_a_client_that_only_reads(stage) -> None:
    async with stage.client(stage.page, read_only=True) as cake:
        with pytest.raises(ArgumentError):
            await cake.invoices.update(1, memo="x")
        with pytest.raises(ArgumentError):
            await cake.request("POST", "/api/2/x.json", repeatable=False)
    assert stage.reported == [
        CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "ArgumentError"),
        CallEnded("request", 0, 0.0, Outcome.NOT_DONE, "ArgumentError"),
    ]


async def test_by_what_it_takes_in_a_query(stage) -> None:
    async with stage.client(stage.page, binding=Binding.GET) as cake:
        with pytest.raises(ArgumentError, match="bytes"):
            await cake.affiliate_bills.mark_paid(
                1, payment_date=date(2014, 6, 30), notes="\u3042" * 250
            )
    assert stage.reported == [CallEnded(MARK, 0, 0.0, Outcome.NOT_DONE, "ArgumentError", "id")]


async def test_by_the_ledger(stage) -> None:
    async with stage.client(stage.updated, ledger=stage.ledger(refuses=True)) as cake:
        with pytest.raises(NotSent):
            await cake.invoices.update(1, memo="x")
    assert stage.reported == [CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "NotSent", "id")]


async def test_by_a_client_that_is_closed(stage) -> None:
    cake = stage.client(stage.page)
    await cake.aclose()
    with pytest.raises(ClosedError):
        await cake.invoices.page()
    with pytest.raises(ClosedError):
        await cake.invoices.update(1, memo="x")
    with pytest.raises(ClosedError):
        await stage.june(cake).collect()
    assert stage.reported == [
        CallEnded(PAGE, 0, 0.0, None, "ClosedError"),
        CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "ClosedError", "id"),
        CallEnded("affiliate_bills.export", 0, 0.0, None, "ClosedError"),
    ]


async def test_by_a_client_of_another_loop(stage, anyio_backend_name) -> None:
    async with stage.client(stage.page) as cake:
        await cake.invoices.page()
        stage.events.clear()

        def elsewhere() -> None:
            with pytest.raises(WrongLoopError):
                anyio.run(cake.invoices.page, backend=anyio_backend_name)

        await anyio.to_thread.run_sync(elsewhere)
    assert stage.reported == [CallEnded(PAGE, 0, 0.0, None, "WrongLoopError")]


async def test_by_a_key_that_cannot_be_had(stage) -> None:
    async def ask() -> str:
        raise OSError

    async with stage.client(stage.page, api_key=ask) as cake:
        with pytest.raises(NotSent):
            await cake.invoices.page()
    assert stage.reported == [CallEnded(PAGE, 0, 0.0, None, "NotSent")]
