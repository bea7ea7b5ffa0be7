"""What type checkers make of the public names: checked by mypy and pyright, never run.

Where a comment expects an error, both checkers must find one: an expected error that does not come
is an error itself.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import assert_type

import aiocake
import aiocake.quota
from aiocake import (
    ANY,
    ERASE,
    SKIP,
    AccountStatus,
    AdvertiserBill,
    AffiliateBill,
    BillAmount,
    BillingCycle,
    Binding,
    BuyerBill,
    CakeError,
    Client,
    ClientPool,
    ClientStats,
    ClientView,
    CreatedInvoice,
    Currency,
    ExchangeRate,
    Intent,
    Invoice,
    InvoiceKind,
    InvoiceStatus,
    MarkResult,
    Outcome,
    OutcomeUnknown,
    Page,
    Partner,
    PaymentMethod,
    Period,
    PoolStats,
    RawResponse,
    RetryPolicy,
    Tenant,
    Throttle,
    Timeouts,
    UpdatedInvoice,
    bulk,
    columns,
    otel,
    paging,
    to_dict,
)
from aiocake.events import Event, fan_out

JANUARY = Period.month(2024, 1)
NOON = datetime(2024, 2, 15, 12, tzinfo=UTC)


def settings() -> None:
    assert_type(JANUARY, Period)
    assert_type(JANUARY.end, date)
    assert_type(JANUARY.exclusive_end, date)
    assert_type(Binding("soap12"), Binding)
    assert_type(InvoiceStatus("pending"), InvoiceStatus)
    assert_type(Timeouts().total, float)
    assert_type(Throttle().concurrency, int)
    assert_type(Throttle().rate, float | None)
    assert_type(RetryPolicy(), RetryPolicy)
    Timeouts(5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - by name only
    Timeouts(totl=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    RetryPolicy(attempts="3")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Period.half_month(2024, 1, 3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Book:
    """A ledger."""

    async def before(self, intent: Intent) -> None: ...

    async def after(self, intent: Intent, outcome: Outcome) -> None: ...


class HalfABook:
    """None: it is not told how a write ends."""

    async def before(self, intent: Intent) -> None: ...


async def key() -> str:
    return "key"


def hear(event: Event) -> None: ...


async def clients() -> None:
    Client("x.example", key, ledger=Book(), on_event=hear, binding=Binding.SOAP12)
    Client("x.example", key, on_event=fan_out(otel.listener(), hear))
    Client("x.example", 5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Client("x.example", "key", ledger=HalfABook())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Client("x.example", "key", timeout=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    async with Client.from_env() as cake:
        assert_type(cake, Client)
        assert_type(cake.stats(), ClientStats)
        assert_type(cake.with_options(total=3, attempts=1), ClientView)
        cake.with_options(totl=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def invoices(cake: Client) -> None:
    async for row in cake.invoices.find(invoice_status="pending"):
        assert_type(row, Invoice)
    async with cake.invoices.find(period=JANUARY) as rows:
        assert_type([row async for row in rows], list[Invoice])
    async with cake.invoices.find().pages() as pages:
        async for page in pages:
            assert_type(page, paging.NewRows[Invoice])
    assert_type(await cake.invoices.find().collect(), list[Invoice])
    one = await cake.invoices.page(start_at_row=0)
    assert_type(one, Page[Invoice])
    assert_type(one.items, tuple[Invoice, ...])
    assert_type(one.total_rows, int | None)
    invoice = await cake.invoices.get(4821)
    assert_type(invoice.total_amount, Decimal)
    assert_type(invoice.invoice_status, InvoiceStatus)
    assert_type(invoice.affiliate_id, int | None)
    assert_type(invoice.kind, InvoiceKind | None)
    assert_type(
        await cake.invoices.create(
            affiliate_id=7, start_date=JANUARY.start, end_date=JANUARY.end, memo="January"
        ),
        CreatedInvoice,
    )
    assert_type(
        await cake.invoices.update(4821, invoice_status=InvoiceStatus.PAID, paid_at=NOON),
        UpdatedInvoice,
    )
    await cake.invoices.update(4821, memo=SKIP)


async def plain_values(cake: Client) -> dict[str, object]:
    invoice = await cake.invoices.get(1)
    assert_type(columns(Invoice), tuple[str, ...])
    assert_type(to_dict(invoice, flat=True), dict[str, object])
    return to_dict(invoice)


async def what_is_wrong_with_invoices(cake: Client) -> None:
    cake.invoices.find(invoice_status="pendign")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.invoices.find(affilate_id=7)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    cake.invoices.find(affiliate_id=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.invoices.find(affiliate_id=ANY)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.invoices.find(7)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - by name only
    await cake.invoices.get("4821")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.invoices.update(4821, "paid")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await cake.invoices.update(4821, invoice_state="paid")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await cake.invoices.update(4821, invoice_status="payed")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.invoices.update(4821, memo=ERASE)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.invoices.update(4821, memo=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.invoices.update(4821, paid_at=date(2024, 1, 1))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.invoices.create(affiliate_id=7)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    created = await cake.invoices.create(affiliate_id=7, start_date=NOON, end_date=NOON)
    name = created.affiliate_name  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
    del name
    created.total_amount = Decimal(1)  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


async def bills(cake: Client) -> None:
    async with cake.affiliate_bills.export(period=JANUARY, payment_type_id=ANY) as export:
        async for bill in export:
            assert_type(bill, AffiliateBill)
            assert_type(bill.bill_amount, BillAmount)
            assert_type(bill.bill_amount.amount, Decimal)
            assert_type(bill.affiliate, Partner)
            assert_type(bill.sent_payment, bool | None)
            assert_type(bill.extra, Mapping[str, object])
        assert_type(export.row_count, int | None)
    assert_type(await cake.advertiser_bills.export(period=JANUARY).collect(), list[AdvertiserBill])
    assert_type(await cake.advertiser_bills.mark_sent(1, notes=ERASE), MarkResult)
    await cake.buyer_bills.mark_sent(1, note="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert_type(await cake.buyer_bills.export(period=JANUARY).collect(), list[BuyerBill])
    marked = await cake.affiliate_bills.mark_received(
        345, invoiced_amount=Decimal("20.01"), notes=ERASE, date_invoice_received=ERASE
    )
    assert_type(marked, MarkResult)
    assert_type(marked.first, bool | None)
    await cake.affiliate_bills.mark_received(345, invoiced_amount=20)


async def what_is_wrong_with_bills(cake: Client) -> None:
    await cake.affiliate_bills.mark_received(345)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await cake.affiliate_bills.mark_received(345, invoiced_amount=20.01)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.affiliate_bills.mark_received(345, invoiced_amount="20.01")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.affiliate_bills.mark_received(345, amount=20)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await cake.affiliate_bills.mark_paid(345, payment_date=ERASE)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await cake.affiliate_bills.mark_paid(345, payment_date=JANUARY.end, payment_type_id=ANY)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.affiliate_bills.export(billing_cycle="yearly", period=JANUARY)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    cake.advertiser_bills.export(period=JANUARY, paid_only=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def look_ups(cake: Client) -> None:
    assert_type(await cake.reference.billing_cycles(), tuple[BillingCycle, ...])
    assert_type(await cake.reference.payment_methods(), tuple[PaymentMethod, ...])
    assert_type(await cake.reference.currencies(), tuple[Currency, ...])
    assert_type(await cake.reference.account_statuses(), tuple[AccountStatus, ...])
    rates = await cake.reference.exchange_rates(start_date=JANUARY.start, end_date=JANUARY.end)
    assert_type(rates, tuple[ExchangeRate, ...])
    assert_type(rates[0].rate, Decimal)


async def what_has_no_method(cake: Client) -> None:
    answer = await cake.request(
        "POST",
        "/api/2/x.json",
        params={"day": date(2024, 1, 1), "left_out": SKIP},
        json={"amount": Decimal(1), "rows": [{"id": 1}, True]},
        repeatable=False,
    )
    assert_type(answer, RawResponse)
    assert_type(answer.json(), object)
    assert_type(answer.body, bytes)
    await cake.request("GET", "/x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - say it
    await cake.request("GET", "/x", params={"a": 1.5}, repeatable=True)  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]
    await cake.request("GET", "/x", params={"a": None}, repeatable=True)  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]


async def tenants() -> None:
    async def key_of(tenant: Tenant) -> str:
        return assert_type(tenant.name, str)

    async with ClientPool(key_of, allowed_domains=["*.cake.com"], grace=2) as pool:
        async with pool.client("acme.cake.com", tenant="7") as cake:
            assert_type(cake, ClientView)
            await cake.aclose()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - the pool's
        assert_type(pool.stats(), PoolStats)
        pool.client("acme.cake.com", tenant=7)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    ClientPool(key_of)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - say which
    ClientPool("key", allowed_domains=[])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def many(cake: Client) -> None:
    call = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
    assert_type(call, bulk.Call[UpdatedInvoice])
    assert_type(await bulk.each([call], journal=None), bulk.Summary)
    bulk.call(cake.invoices.update, 4821, invoice_status="aproved")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    bulk.call(cake.invoices.update, "4821", memo="x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    bulk.call(cake.invoices.update, 4821, mmo="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    paid = bulk.call(cake.affiliate_bills.mark_paid, 345, payment_date=date(2024, 2, 15))
    both = [call, paid]
    assert_type(await bulk.each(both, journal=None), bulk.Summary)
    await bulk.each([call])  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - say where, or None


def errors(error: CakeError) -> None:
    assert_type(error.outcome, Outcome | None)
    if isinstance(error, OutcomeUnknown):
        assert_type(error.intent, Intent)
        assert_type(error.cause, CakeError)
        assert_type(error.applied_likely, bool)


def names() -> None:
    assert_type(aiocake.__version__, str)
    aiocake.Invoces()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    aiocake.quota.Reds()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
