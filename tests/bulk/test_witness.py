"""What a write's ledger and witness are told, and what their own failures change: no verdict."""

import logging

import anyio
import httpx
import pytest

from aiocake import ArgumentError, CakeError, Client, Intent, NotSent, Outcome, UpdatedInvoice
from aiocake.endpoints.invoices import UPDATE
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Book:
    """A ledger and a witness in one, which fails or waits where it is told to."""

    def __init__(self, *, fails: str = "", waits: str = "") -> None:
        self.fails, self.waits = fails, waits
        self.heard: list[object] = []
        self.waiting = anyio.Event()

    async def _hear(self, what: str, reported: object) -> None:
        self.heard.append(reported)
        if self.waits == what:
            self.waiting.set()
            await anyio.sleep_forever()
        if self.fails == what:
            raise OSError(28, "No space left on device")

    async def before(self, intent: Intent) -> None:
        await self._hear("before", intent.operation)

    async def after(self, first: object, second: object) -> None:
        await self._hear("after", second if isinstance(second, Outcome) else (first, second))


class Short(Book):
    """A witness that has nothing to wait for in the end."""

    def after(self, first: object, second: object) -> None:
        self.heard.append((first, second))


async def update(sandbox: Sandbox, ledger: Book | None, observer: Book | None) -> UpdatedInvoice:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client("x.example", "SANDBOX-KEY", transport=transport, ledger=ledger) as cake:
        executor = cake.invoices._executor
        return await executor.execute(
            UPDATE, {"invoice_id": 4821, "invoice_status": "approved"}, observer=observer
        )


async def test_both_are_told_of_a_write_that_was_done() -> None:
    ledger, observer = Book(), Book()
    updated = await update(Sandbox(), ledger, observer)
    assert ledger.heard == ["invoices.update", Outcome.DONE]
    assert observer.heard == ["invoices.update", (updated, None)]


@pytest.mark.parametrize("ledger", [None, Book()])
async def test_a_witness_that_waits_for_nothing_is_told_all_the_same(ledger: Book | None) -> None:
    observer = Short()
    updated = await update(Sandbox(), ledger, observer)
    assert observer.heard == ["invoices.update", (updated, None)]


async def test_a_witness_that_refuses_keeps_the_write_back_and_the_ledger_hears_of_it() -> None:
    sandbox, ledger = Sandbox(), Book()
    with pytest.raises(NotSent, match="OSError"):
        await update(sandbox, ledger, Book(fails="before"))
    assert ledger.heard == ["invoices.update", Outcome.NOT_DONE]
    assert sandbox.state.requests == []


async def test_a_ledger_that_refuses_is_not_told_of_an_end() -> None:
    sandbox, ledger = Sandbox(), Book(fails="before")
    with pytest.raises(NotSent, match="OSError"):
        await update(sandbox, ledger, None)
    assert ledger.heard == ["invoices.update"]
    assert sandbox.state.requests == []


async def test_a_ledger_that_cannot_take_the_outcome_changes_no_verdict(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, "aiocake"):
        updated = await update(Sandbox(), Book(fails="after"), None)
    assert updated.invoice_status == "approved"
    assert "the ledger failed to take the outcome" in caplog.text


async def test_a_call_that_is_cancelled_before_it_leaves_is_not_done_in_the_ledger() -> None:
    sandbox, ledger, observer = Sandbox(), Book(), Book(waits="before")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(update, sandbox, ledger, observer)
        await observer.waiting.wait()
        tasks.cancel_scope.cancel()
    assert ledger.heard == ["invoices.update", Outcome.NOT_DONE]
    assert sandbox.state.requests == []


async def test_check_refuses_what_execute_would_not_send() -> None:
    async with Client("x.example:8443", "K", transport=httpx.MockTransport(_never)) as cake:
        executor = cake.invoices._executor
        executor.check(UPDATE, {"invoice_id": 1, "memo": "fine"})
        with pytest.raises(ArgumentError, match="invoice_id"):
            executor.check(UPDATE, {"invoice_id": 0, "memo": "fine"})
        assert executor.domain == "x.example:8443"
    async with Client(
        "X.example", "K", transport=httpx.MockTransport(_never), read_only=True
    ) as cake:
        assert cake.invoices._executor.domain == "x.example"
        with pytest.raises(CakeError, match="read-only"):
            cake.invoices._executor.check(UPDATE, {"invoice_id": 1, "memo": "fine"})


def _never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request)
