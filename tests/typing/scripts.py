"""What type checkers make of ``aiocake.blocking``: checked as ``api.py`` is, never run."""

from collections.abc import Iterator
from decimal import Decimal
from typing import assert_type

from aiocake import (
    AdvertiserBill,
    AffiliateBill,
    BuyerBill,
    ClientStats,
    CreatedInvoice,
    Currency,
    Intent,
    Invoice,
    MarkResult,
    Outcome,
    Page,
    Period,
    RawResponse,
    Timeouts,
    UpdatedInvoice,
    bulk,
    doctor,
    monthend,
    paging,
)
from aiocake.blocking import Client, ClientView

JANUARY = Period.month(2024, 1)


class Book:
    """A ledger of plain functions."""

    def before(self, intent: Intent) -> None:
        """Record what is about to be sent."""

    def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record how it ended."""


class AsyncBook:
    """A ledger of the asynchronous client."""

    async def before(self, intent: Intent) -> None:
        """Record what is about to be sent."""

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record how it ended."""


def clients() -> None:
    with Client("x.example", "key", ledger=Book(), timeouts=Timeouts(total=5)) as cake:
        assert_type(cake, Client)
        assert_type(cake.with_options(total=3), ClientView)
        assert_type(cake.stats(), ClientStats)
        cake.end_pause()
    Client.from_env(ledger=AsyncBook(), grace=1).close()
    Client("x.example", 5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Client("x.example", "key", ledger=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Client("x.example", "key", timeout=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def invoices(cake: ClientView) -> None:
    for invoice in cake.invoices.find(invoice_status="pending", period=JANUARY):
        assert_type(invoice, Invoice)
    with cake.invoices.find() as rows:
        assert_type(next(rows), Invoice)
        assert_type(rows.collect(), list[Invoice])
    with cake.invoices.find().pages() as pages:
        for page in pages:
            assert_type(page, paging.NewRows[Invoice])
    assert_type(cake.invoices.find().collect(), list[Invoice])
    assert_type(cake.invoices.page(), Page[Invoice])
    assert_type(cake.invoices.get(4821).total_amount, Decimal)
    made = cake.invoices.create(affiliate_id=7, start_date=JANUARY.start, end_date=JANUARY.end)
    assert_type(made, CreatedInvoice)
    assert_type(cake.invoices.update(4821, invoice_status="approved"), UpdatedInvoice)
    cake.invoices.update(4821, invoice_status="payed")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.invoices.find(affilate_id=7)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    cake.invoices.get("4821")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def bills(cake: ClientView) -> None:
    with cake.affiliate_bills.export(period=JANUARY) as export:
        assert_type(export.row_count, int | None)
        for bill in export:
            assert_type(bill, AffiliateBill)
    assert_type(cake.advertiser_bills.export(period=JANUARY).collect(), list[AdvertiserBill])
    assert_type(next(cake.buyer_bills.export(period=JANUARY)), BuyerBill)
    assert_type(cake.buyer_bills.mark_sent(1), MarkResult)
    assert_type(cake.reference.currencies(), tuple[Currency, ...])
    cake.affiliate_bills.mark_received(345, invoiced_amount=20.01)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def runs(cake: ClientView) -> None:
    call = cake.bulk.call(cake.invoices.update, 4821, invoice_status="approved")
    assert_type(call, bulk.Call[UpdatedInvoice])

    def plan() -> Iterator[bulk.Call[UpdatedInvoice]]:
        yield call

    def ended(each: bulk.Ended[UpdatedInvoice]) -> None:
        assert_type(each.call, bulk.Call[UpdatedInvoice])

    summary = cake.bulk.each(plan(), journal=None, on_outcome=ended, on_progress=print)
    assert_type(summary, bulk.Summary)
    assert_type(cake.bulk.carry("run.db", calls=plan), bulk.Summary)
    assert_type(cake.bulk.resume("run.db"), bulk.Summary)
    cake.bulk.call(cake.invoices.update, 4821, invoice_status="aproved")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.bulk.call(cake.invoices.update, 4821, mmo="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    cake.bulk.each([call])  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def others(cake: ClientView) -> None:
    answer = cake.request("GET", "/api/2/x.json", repeatable=True)
    assert_type(answer, RawResponse)
    assert_type(cake.run(doctor.examine), doctor.Diagnosis)
    plan = cake.run(
        monthend.Plan.updates,
        period=JANUARY,
        invoice_status="pending",
        set={"invoice_status": "approved"},
    )
    assert_type(plan, monthend.Plan)
    applied = cake.run(lambda cake: monthend.apply(plan, cake, journal="run.db", approvals=0))
    assert_type(applied, monthend.Applied)
    cake.run(monthend.Plan.updates, period=JANUARY)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
