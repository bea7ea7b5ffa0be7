"""Lists, look-ups and refusals, as each dialect of the sandbox has them."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from aiocake import (
    ArgumentError,
    AuthenticationError,
    Client,
    ConsistencyError,
    InvoiceKind,
    NotFound,
    Outcome,
    Period,
    TipaltiError,
)
from aiocake.events import ListAnomaly
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

DIALECTS = Dialect.all()


@pytest.fixture(params=DIALECTS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return Sandbox(invoices=60, bills=10, dialect=DIALECTS[request.param])


async def test_find_gives_every_invoice_once(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox) as cake:
        found = await cake.invoices.find(row_limit=10).collect()
    assert [row.invoice_id for row in found] == list(sandbox.state.invoices)
    for row in found:
        stored = sandbox.state.invoices[row.invoice_id]
        assert row.total_amount == stored.total_amount
        assert isinstance(row.total_amount, Decimal)
        assert row.invoice_status == stored.invoice_status
        assert (row.affiliate_id, row.advertiser_id) == (stored.affiliate_id, stored.advertiser_id)
        payout = stored.affiliate_id is not None
        assert row.kind is (InvoiceKind.PAYOUT if payout else InvoiceKind.REVENUE)


async def test_each_invoice_is_found_by_its_number(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox) as cake:
        for number in list(sandbox.state.invoices)[:3]:
            assert (await cake.invoices.get(number)).invoice_id == number


async def test_a_page_says_how_many_rows_there_are(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox) as cake:
        page = await cake.invoices.page(row_limit=2)
    assert page.total_rows == (60 if sandbox.dialect.total_rows else None)
    assert [row.invoice_id for row in page.items] == list(sandbox.state.invoices)[:2]


async def test_find_by_status_gives_all_of_it_or_raises(connect: Connect, sandbox: Sandbox) -> None:
    stored = sandbox.state.invoices.values()
    expected = [each.invoice_id for each in stored if each.invoice_status == "pending"]
    async with connect(sandbox) as cake:
        rows = cake.invoices.find(invoice_status="pending", row_limit=10)
        if "invoice_status" in sandbox.dialect.ignored_filters:
            with pytest.raises(ConsistencyError, match="not pending") as caught:
                await rows.collect()
            assert caught.value.operation == "invoices.find"
        else:
            assert [row.invoice_id for row in await rows.collect()] == expected


async def test_find_by_partner_gives_all_of_it_or_raises(
    connect: Connect, sandbox: Sandbox
) -> None:
    stored = sandbox.state.invoices.values()
    expected = [each.invoice_id for each in stored if each.affiliate_id == 67890]
    assert expected
    async with connect(sandbox) as cake:
        rows = cake.invoices.find(affiliate_id=67890, row_limit=10)
        if "affiliate_id" in sandbox.dialect.ignored_filters:
            with pytest.raises(ConsistencyError, match="affiliate_id"):
                await rows.collect()
        else:
            assert [row.invoice_id for row in await rows.collect()] == expected


async def test_dates_that_look_wrong_are_an_event_only(connect: Connect) -> None:
    dialect = DIALECTS["no-date-filter"]
    events = []
    sandbox = Sandbox(invoices=60, dialect=dialect)
    async with connect(sandbox, on_event=events.append) as cake:
        rows = await cake.invoices.find(period=Period.month(2024, 1)).collect()
    assert len(rows) == 60
    anomalies = [each for each in events if isinstance(each, ListAnomaly)]
    assert [each.what for each in anomalies] == ["date outside the filter"]


async def test_a_period_gives_the_invoices_inside_it(connect: Connect) -> None:
    sandbox = Sandbox()
    month = Period.month(2024, 1)
    expected = [
        each.invoice_id
        for each in sandbox.state.invoices.values()
        if each.start_date >= month.start and each.end_date <= month.end
    ]
    async with connect(sandbox) as cake:
        rows = await cake.invoices.find(period=month).collect()
    assert [row.invoice_id for row in rows] == expected
    assert expected


async def test_a_server_that_ignores_the_row_asked_for_is_no_list(connect: Connect) -> None:
    dialect = Dialect(ignored_filters=frozenset({"start_at_row"}))
    async with connect(Sandbox(invoices=60, dialect=dialect)) as cake:
        with pytest.raises(ConsistencyError, match="first page for row"):
            await cake.invoices.find(row_limit=10).collect()


async def test_collect_then_approve_approves_all(connect: Connect, sandbox: Sandbox) -> None:
    pending = [
        each.invoice_id
        for each in sandbox.state.invoices.values()
        if each.invoice_status == "pending"
    ]
    async with connect(sandbox) as cake:
        rows = await cake.invoices.find(row_limit=10).collect()
        for row in rows:
            if row.invoice_status == "pending":
                updated = await cake.invoices.update(row.invoice_id, invoice_status="approved")
                assert updated.invoice_status == "approved"
    assert pending
    for number in pending:
        assert sandbox.state.invoices[number].invoice_status == "approved"


async def test_creating_twice_makes_two(connect: Connect, sandbox: Sandbox) -> None:
    before = len(sandbox.state.invoices)
    async with connect(sandbox) as cake:
        made = [
            await cake.invoices.create(
                affiliate_id=67890, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31)
            )
            for _ in range(2)
        ]
    assert len({each.invoice_id for each in made}) == 2
    assert len(sandbox.state.invoices) == before + 2
    for each in made:
        assert each.total_amount == sandbox.state.invoices[each.invoice_id].total_amount


async def test_get_and_what_is_not_there(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox) as cake:
        invoice = await cake.invoices.get(4821)
        assert invoice.total_amount == Decimal("1250.00")
        with pytest.raises(NotFound, match="99") as read:
            await cake.invoices.get(99)
        with pytest.raises(NotFound) as write:
            await cake.invoices.update(99, memo="x")
        with pytest.raises(NotFound) as bill:
            await cake.affiliate_bills.mark_received(99, invoiced_amount=1)
        with pytest.raises(NotFound) as paid:
            await cake.affiliate_bills.mark_paid(99, payment_date=date(2014, 6, 30))
    assert read.value.outcome is None
    for each in (write, bill, paid):
        assert each.value.outcome is Outcome.NOT_DONE


async def test_bills_paid_through_tipalti_are_left_alone(
    connect: Connect, sandbox: Sandbox
) -> None:
    bill = next(each for each in sandbox.state.affiliate_bills.values() if each.partner.tipalti)
    async with connect(sandbox) as cake:
        with pytest.raises(TipaltiError) as caught:
            await cake.affiliate_bills.mark_received(bill.bill_id, invoiced_amount=1)
    assert caught.value.outcome is Outcome.NOT_DONE
    assert "received" not in bill.marked


async def test_a_bad_key(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.state.api_keys.clear()
    async with connect(sandbox) as cake:
        calls = [
            cake.invoices.get(4821),
            cake.invoices.find().collect(),
            cake.reference.payment_types(),
            cake.affiliate_bills.mark_received(345, invoiced_amount=1),
            cake.invoices.update(4821, memo="x"),
            cake.affiliate_bills.export(period=Period.month(2014, 6)).collect(),
        ]
        for call in calls:
            with pytest.raises(AuthenticationError, match="Invalid API key"):
                await call
    assert sandbox.state.invoices[4821].memo != "x"


async def test_an_export_gives_every_bill(connect: Connect, sandbox: Sandbox) -> None:
    year = Period(date(2013, 1, 1), date(2015, 12, 31))
    async with connect(sandbox) as cake:
        bills = await cake.affiliate_bills.export(period=year).collect()
        paid = await cake.affiliate_bills.export(period=year, paid_only=True).collect()
    stored = sandbox.state.affiliate_bills
    assert [bill.bill_id for bill in bills] == list(stored)
    assert [bill.bill_amount.amount for bill in bills] == [each.amount for each in stored.values()]
    assert [each.bill_id for each in paid] == [
        each.bill_id for each in stored.values() if "paid" in each.marked
    ]
    assert paid


async def test_marking_twice_is_not_the_first_time(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox) as cake:
        results = [
            await cake.affiliate_bills.mark_paid(345, payment_date=date(2014, 6, 30))
            for _ in range(2)
        ]
    assert [each.first for each in results] == [True, False]


async def test_both_partners_at_once_find_nothing(connect: Connect) -> None:
    async with connect(Sandbox()) as cake:
        assert await cake.invoices.find(affiliate_id=67890, advertiser_id=501).collect() == []


async def test_reading_can_be_left_early(connect: Connect) -> None:
    sandbox = Sandbox(invoices=60)
    async with connect(sandbox) as cake:
        async with cake.invoices.find(row_limit=10) as rows:
            async for row in rows:
                assert row.invoice_id == 4821
                break
        stats = cake.stats()
        assert (stats.in_flight, stats.waiting) == (0, 0)
        async with cake.invoices.find(row_limit=10).pages() as pages:
            numbers = [row.invoice_id async for page in pages for row in page.items]
    assert numbers == list(sandbox.state.invoices)


@pytest.mark.parametrize("rows", [0, -1, True, 10_001, 1.5])
async def test_a_row_limit_that_cannot_be_is_refused(connect: Connect, rows: object) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        with pytest.raises(ArgumentError, match="row_limit"):
            await cake.invoices.find(row_limit=rows).collect()
    assert sandbox.state.requests == []
