"""The sandbox itself: its data, its record of requests, its hooks, its pace."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
import trio.testing
from starlette.responses import PlainTextResponse, Response

from aiocake.sandbox import InvoiceRecord, RecordedRequest, Sandbox
from aiocake.sandbox.data import CURRENCIES
from aiocake.testing import frozen_clock, make_affiliate_bill, make_buyer_bill, make_invoice

from ..support.loops import both_loops  # noqa: F401 - what waits, and ends early

pytestmark = pytest.mark.anyio

Connect = Callable[[Sandbox], httpx.AsyncClient]
LIST = "/api/2/invoices.json"


def shown(sandbox: Sandbox) -> str:
    state = sandbox.state
    tables = (
        state.affiliates,
        state.advertisers,
        state.buyers,
        state.invoices,
        state.affiliate_bills,
        state.advertiser_bills,
        state.buyer_bills,
    )
    return "\n".join(repr(record) for table in tables for record in table.values())


def test_the_data_is_the_same_for_the_same_seed_and_size() -> None:
    first = shown(Sandbox(invoices=300, bills=70, seed=7))
    assert first == shown(Sandbox(invoices=300, bills=70, seed=7))
    assert first != shown(Sandbox(invoices=300, bills=70, seed=8))


@pytest.mark.parametrize(("invoices", "bills"), [(0, 0), (1, 1), (200, 50), (5_000, 999)])
def test_the_data_has_the_size_that_was_asked_for(invoices: int, bills: int) -> None:
    state = Sandbox(invoices=invoices, bills=bills).state
    assert len(state.invoices) == invoices
    assert len(state.affiliate_bills) == bills
    assert len(state.advertiser_bills) == len(state.buyer_bills) == -(-bills // 5)
    assert state.invoices.next_id() == (4821 + invoices if invoices else 1)


@pytest.mark.parametrize("invoices", [0, 1, 3, 399, 2_000])
def test_a_month_end_has_the_size_that_was_asked_for(invoices: int) -> None:
    state = Sandbox(invoices=invoices, bills=40, period="2024-01").state
    assert len(state.invoices) == invoices
    of_month = [each for each in state.invoices.values() if each.end_date.month == 1]
    assert len(of_month) == -(-invoices // 4)
    assert {(each.end_date.year, each.end_date.month) for each in state.invoices.values()} <= {
        (2023, 10), (2023, 11), (2023, 12), (2024, 1)
    }  # fmt: skip
    assert {each.end_date - timedelta(days=1) for each in state.affiliate_bills.values()} <= {
        date(2024, 1, day) for day in range(1, 32)
    }


def test_what_is_unusual_in_a_month_end_shows() -> None:
    invoices = list(Sandbox(invoices=400, period="2024-01").state.invoices.values())
    month = [each for each in invoices if each.end_date.year == 2024]
    before = [each for each in invoices if each.end_date.year == 2023]
    assert {each.invoice_status for each in before} == {"paid"}
    assert {each.invoice_status for each in month} == {"pending", "approved"}
    assert month[0] is invoices[0]
    assert (month[0].invoice_id, month[0].total_amount) == (4821, 1250)

    known = {(each.affiliate_id, each.advertiser_id) for each in before}
    new = [each for each in month if (each.affiliate_id, each.advertiser_id) not in known]
    assert 0 < len(new) < 10
    payees = [(each.affiliate_id, each.total_amount) for each in month if each.affiliate_id]
    assert 0 < len(payees) - len(set(payees)) < 5
    yen = [each.total_amount for each in invoices if each.currency == "JPY"]
    assert yen
    assert all(amount % 100 == 0 for amount in yen)
    largest = max(each.total_amount / usual(each, before) for each in month if each not in new)
    assert 3 < largest < 8


def usual(invoice: InvoiceRecord, before: list[InvoiceRecord]) -> Decimal:
    """What a partner had the last time."""
    partner = invoice.affiliate_id, invoice.advertiser_id
    return next(
        each.total_amount for each in before if (each.affiliate_id, each.advertiser_id) == partner
    )


@pytest.mark.parametrize("period", [None, "2024-01"])
def test_amounts_have_the_decimals_of_their_currency(period: str | None) -> None:
    state = Sandbox(period=period).state
    amounts = [(each.total_amount, each.currency) for each in state.invoices.values()]
    codes = {currency.currency_id: currency.code for currency in CURRENCIES}
    amounts += [
        (each.amount, codes[each.partner.currency_id]) for each in state.affiliate_bills.values()
    ]
    places = {(code, amount.as_tuple().exponent) for amount, code in amounts}
    assert places == {("USD", -2), ("EUR", -2), ("GBP", -2), ("JPY", 0)}


def test_a_month_end_is_the_same_for_the_same_seed() -> None:
    first = shown(Sandbox(seed=7, period="2024-01"))
    assert first == shown(Sandbox(seed=7, period="2024-01"))
    assert first != shown(Sandbox(seed=8, period="2024-01"))


@pytest.mark.parametrize("period", ["2024", "2024-00", "2024-1", "0001-01", "9999-12", "2024-01 "])
def test_a_month_end_is_of_a_month(period: str) -> None:
    with pytest.raises(ValueError, match=f"{period!r} is not a month such as 2024-01"):
        Sandbox(period=period)


@pytest.mark.parametrize("amount", [99.90, "x", "NaN", True, "1,5"])
def test_an_amount_is_digit_for_digit_or_refused(amount: Any) -> None:  # noqa: ANN401 - none of them
    sandbox = Sandbox(invoices=1)
    wrong = pytest.raises(ValueError, match="amount must be a Decimal, a whole number or a text")
    for add in (sandbox.add_invoice, make_invoice):
        with wrong:
            add(total_amount=amount)
    for add_bill in (sandbox.add_bill, make_affiliate_bill, make_buyer_bill):
        with wrong:
            add_bill(amount=amount)
    with wrong:
        make_affiliate_bill(invoiced_amount=amount)
    with wrong:
        make_buyer_bill(payment_amount=amount)


def test_what_is_wrong_with_a_sandbox_is_said() -> None:
    with pytest.raises(ValueError, match="'partner' is no kind of partner: there are affiliate, "):
        Sandbox(invoices=1).add_bill("partner")  # type: ignore[arg-type] # on purpose
    with pytest.raises(ValueError, match="invoices=-1 and bills=50 must be at least 0"):
        Sandbox(invoices=-1)
    with frozen_clock() as clock:
        with pytest.raises(TypeError, match="a clock takes a datetime, not '2024-01-01'"):
            clock.set("2024-01-01")  # type: ignore[arg-type] # on purpose
        with pytest.raises(TypeError, match="a clock takes a timedelta, not 3"):
            clock.move(3)  # type: ignore[arg-type] # on purpose


def test_the_bills_have_what_is_awkward() -> None:
    bills = list(Sandbox().state.affiliate_bills.values())
    assert any(bill.amount < 0 for bill in bills)
    assert any(bill.partner.tipalti for bill in bills)
    assert {bill.partner.billing_cycle for bill in bills} == {"weekly", "bimonthly", "monthly"}
    assert any("\x1b" in bill.partner.name for bill in bills)
    assert {"paid" in bill.marked for bill in bills} == {True, False}
    assert {bill.notes for bill in bills} >= {None, ""}


async def test_a_request_is_recorded_as_it_came(sandbox: Sandbox) -> None:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        await client.post(
            "/api/2/update_invoice.json?api_key=SANDBOX-KEY&x=1&x=%20%E2%82%AC&x+y=%FF",
            content=b'{"invoice_id": 4821, "memo": "m"}',
            headers={"X-Thing": "Value"},
        )
    recorded = sandbox.state.requests[-1]
    assert (recorded.method, recorded.path) == ("POST", "/api/2/update_invoice.json")
    assert recorded.query == [
        ("api_key", "SANDBOX-KEY"),
        ("x", "1"),
        ("x", " €"),
        ("x y", "\ufffd"),
    ]
    assert recorded.headers["x-thing"] == "Value"
    assert recorded.body == b'{"invoice_id": 4821, "memo": "m"}'
    assert recorded.operation == "update_invoice"
    assert recorded.arguments == {"invoice_id": 4821, "memo": "m"}
    assert 0 <= anyio.current_time() - recorded.time < 600


async def test_only_the_newest_requests_are_kept(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.state.keep_requests = 3
    async with connect(sandbox) as client:
        for row in range(5):
            await client.get(LIST, params={"start_at_row": row})
    rows = [recorded.arguments["start_at_row"] for recorded in sandbox.state.requests]
    assert rows == ["2", "3", "4"]


async def test_a_hook_can_answer_instead_or_change_the_data_between_pages(
    sandbox: Sandbox, connect: Connect
) -> None:
    def third_fails(request: RecordedRequest) -> Response | None:
        del request
        if len(sandbox.state.requests) == 2:
            sandbox.state.invoices[4821].invoice_status = "void"
        if len(sandbox.state.requests) == 3:
            return PlainTextResponse("no", 503)
        return None

    sandbox.state.on_request.append(third_fails)
    async with connect(sandbox) as client:
        query = {**client.params, "invoice_id": 4821}
        answers = [await client.get(LIST, params=query) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 503, 200]
    statuses = [answers[i].json()["invoices"][0]["invoice_status"] for i in (0, 1)]
    assert statuses == ["pending", "void"]


async def test_a_hook_can_be_async_and_can_lose_an_answer_after_the_work(
    sandbox: Sandbox, connect: Connect
) -> None:
    async def wait(request: RecordedRequest) -> None:
        del request
        await anyio.lowlevel.checkpoint()

    async def lose(request: RecordedRequest, answer: Response) -> Response | None:
        await anyio.lowlevel.checkpoint()
        assert answer.status_code == 200
        return PlainTextResponse("", 502) if request.operation == "invoice" else None

    sandbox.state.on_request.append(wait)
    sandbox.state.on_response.append(lose)
    body = {"affiliate_id": 67890, "start_date": "2024-01-01", "end_date": "2024-01-31"}
    async with connect(sandbox) as client:
        assert (await client.post("/api/2/invoice.json", json=body)).status_code == 502
        assert (await client.get(LIST)).json()["total_rows"] == 201


async def test_keys_can_be_added_and_expire(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.state.api_keys = {"NEW"}
    async with connect(sandbox) as client:
        assert (await client.get(LIST)).json()["message"] == "Invalid API key"
        new = await client.get(LIST, params={"api_key": "NEW"})
    assert new.json()["request_status"] == "Success"


async def test_what_a_test_stores_is_served_and_followed(
    sandbox: Sandbox, connect: Connect
) -> None:
    template = sandbox.state.invoices[4821]
    record = InvoiceRecord(
        invoice_id=9,
        affiliate_id=1,
        advertiser_id=None,
        partner_name="Mine",
        invoice_status="draft",
        start_date=template.start_date,
        end_date=template.end_date,
        total_amount=template.total_amount,
        currency="XXX",
        billing_cycle="weekly",
    )
    sandbox.state.invoices[9] = record
    async with connect(sandbox) as client:
        query = {**client.params, "invoice_id": 9}
        first = (await client.get(LIST, params=query)).json()["invoices"][0]
        record.partner_name = "Renamed"
        second = (await client.get(LIST, params=query)).json()["invoices"][0]
    assert (first["affiliate_name"], first["invoice_status"]) == ("Mine", "draft")
    assert second["affiliate_name"] == "Renamed"


async def test_too_many_calls_are_refused_by_each_api_in_its_way(connect: Connect) -> None:
    sandbox = Sandbox(rate_limit=(2, 3_600))
    async with connect(sandbox) as client:
        good = [await client.get(LIST) for _ in range(2)]
        v2 = await client.get(LIST)
        v1 = await client.get("/api/1/get.asmx/Currencies")
    assert [answer.status_code for answer in good] == [200, 200]
    assert (v2.status_code, v2.json()["message"]) == (429, "Restricted")
    assert v1.status_code == 200
    assert "<success>false</success><message>Restricted</message>" in v1.text


def test_the_rate_limit_is_of_any_window() -> None:
    sandbox = Sandbox(rate_limit=(2, 10))
    transport = httpx.ASGITransport(app=sandbox.app)
    statuses: list[int] = []

    async def calls_at_0_6_9_11_16() -> None:
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
            for pause in (0, 6, 3, 2, 5):
                await trio.sleep(pause)
                statuses.append((await client.get(LIST)).status_code)

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(calls_at_0_6_9_11_16, clock=clock)
    assert statuses == [200, 200, 429, 200, 200]


def test_an_answer_takes_its_latency_give_or_take_the_jitter() -> None:
    def times(**pace: float) -> list[float]:
        sandbox = Sandbox(**pace)
        taken: list[float] = []

        async def calls() -> None:
            transport = httpx.ASGITransport(app=sandbox.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
                for _ in range(20):
                    start = trio.current_time()
                    await client.get(LIST)
                    taken.append(trio.current_time() - start)

        trio.run(calls, clock=trio.testing.MockClock(autojump_threshold=0))
        return taken

    assert times() == [0] * 20
    assert times(latency=2) == pytest.approx([2] * 20)
    jittered = times(latency=2, jitter=0.5)
    assert 1 <= min(jittered) < 1.5
    assert 2.5 < max(jittered) <= 3
    assert jittered == pytest.approx(times(latency=2, jitter=0.5))
