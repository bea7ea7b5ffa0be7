"""How values of a response are read, and when a list is not complete.

What the sandbox does not answer is made on the way, by changing its responses.
"""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from decimal import Decimal

import httpx
import pytest
from starlette.responses import Response

from aiocake import (
    AffiliateBill,
    AuthenticationError,
    Binding,
    Client,
    DecodeError,
    Period,
)
from aiocake.events import Event, ReferencesDropped
from aiocake.sandbox import RecordedRequest, Sandbox

from ..support.v1 import BILL, YEAR, mark

pytestmark = pytest.mark.anyio


Connect = Callable[..., Client]


async def read_into(read: list[AffiliateBill], bills: AsyncIterator[AffiliateBill]) -> None:
    async for each in bills:
        read.append(each)  # noqa: PERF401 - what came before an error counts


def changed(*changes: tuple[bytes, bytes], cut: int = 0) -> Callable[..., Response]:
    """Changes answers on their way back; ``cut`` takes bytes from the end, not from the length."""

    def change(_: RecordedRequest, answer: Response) -> Response:
        body = b"".join(getattr(answer, "chunks", ())) or bytes(answer.body)
        for before, after in changes:
            body = body.replace(before, after)
        headers = {"content-type": answer.headers["content-type"], "content-length": str(len(body))}
        return Response(body[: len(body) - cut], answer.status_code, headers)

    return change


@pytest.mark.parametrize("binding", Binding)
async def test_absent_empty_and_nil_are_read_and_so_is_an_empty_list(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    bill = sandbox.state.affiliate_bills[BILL]
    bill.notes, bill.invoice_number, bill.invoiced_amount = None, "", None
    async with over_http(binding=binding) as cake:
        read = await cake.affiliate_bills.export(period=YEAR).collect()
        none = await cake.affiliate_bills.export(period=Period.month(1999, 1)).collect()
    (it,) = [each for each in read if each.bill_id == BILL]
    # Of a field that is known, all three are nothing.
    assert (it.notes, it.invoice_number, it.invoiced_amount) == (None, None, None)
    # An empty list is a success; a refused export has no list.
    assert none == []
    async with over_http(api_key="wrong", binding=binding) as cake:
        with pytest.raises(AuthenticationError):
            await cake.affiliate_bills.export(period=YEAR).collect()


@pytest.mark.parametrize("binding", Binding)
async def test_a_reference_that_no_parser_takes_is_dropped_and_the_rest_is_read(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    events: list[Event] = []
    sandbox.state.affiliate_bills[BILL].notes = "a\x0bb\x16\x00"
    others = [each for each in sandbox.state.affiliates.values() if "\x1b" in each.name]
    async with over_http(binding=binding, on_event=events.append) as cake:
        read = await cake.affiliate_bills.export(period=YEAR).collect()
    assert len(read) == len(sandbox.state.affiliate_bills)
    assert [each.notes for each in read if each.bill_id == BILL] == ["ab"]
    (dropped,) = [each for each in events if isinstance(each, ReferencesDropped)]
    assert dropped.operation == "affiliate_bills.export"
    assert dropped.count == 3 + 2 * sum(each.affiliate.id == others[0].partner_id for each in read)


@pytest.mark.parametrize("binding", Binding)
async def test_a_reference_is_dropped_from_any_other_answer_too(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    events: list[Event] = []
    sandbox.state.on_response.append(
        changed((b"Wire", b"Wi&#xB;re"), (b"As Received", b"As Rec&#11;d"))
    )
    sandbox.state.affiliate_bills[BILL].marked = frozenset()
    async with over_http(binding=binding, on_event=events.append) as cake:
        types = await cake.reference.payment_types()
        result = await mark(cake)
    assert "Wire" in {each.payment_type_name for each in types}
    assert result.message == "Bill Marked As Recd"
    assert [each for each in events if isinstance(each, ReferencesDropped)] == [
        ReferencesDropped("reference.payment_types", 1, call=1),
        ReferencesDropped("affiliate_bills.mark_received", 1, call=2),
    ]


@pytest.mark.parametrize("binding", Binding)
async def test_a_carriage_return_arrives_and_comes_back_as_a_line_feed(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, notes="a\rb\r\nc\nd\te")
        read = await cake.affiliate_bills.export(period=YEAR).collect()
    assert sandbox.state.affiliate_bills[BILL].notes == "a\rb\r\nc\nd\te"
    assert [each.notes for each in read if each.bill_id == BILL] == ["a\nb\nc\nd\te"]


@pytest.mark.parametrize("binding", Binding)
async def test_an_export_is_waited_for_longer_and_is_whole_or_an_error(
    connect: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    waits: list[float] = []
    inner = httpx.ASGITransport(app=sandbox.app)

    async def answer(request: httpx.Request) -> httpx.Response:
        waits.append(request.extensions["timeout"]["read"])
        return await inner.handle_async_request(request)

    transport = httpx.MockTransport(answer)
    async with connect(transport=transport, binding=binding) as cake:
        whole = await cake.affiliate_bills.export(period=YEAR).collect()
        await cake.reference.payment_types()
        # Each bill as it comes, and in the end the news that they were not all.
        sandbox.state.on_response.append(changed(cut=500))
        read: list[AffiliateBill] = []
        with pytest.raises(DecodeError, match=r"\(after [0-9]+ bills\)") as caught:
            await read_into(read, cake.affiliate_bills.export(period=YEAR))
    assert waits == [300, 30, 300]
    assert [each.bill_id for each in read] == [each.bill_id for each in whole[: len(read)]]
    assert caught.value.rows_read == len(read) > 0


@pytest.mark.parametrize("binding", Binding)
async def test_a_byte_order_mark_is_fine_and_places_are_kept(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.on_response.append(changed((b"<?xml", b"\xef\xbb\xbf<?xml")))
    stored = sandbox.state.affiliate_bills
    async with over_http(binding=binding) as cake:
        bills = await cake.affiliate_bills.export(period=YEAR).collect()
        result = await cake.buyer_bills.mark_received(2_000_000, payment_amount=Decimal("20.01"))
        rates = await cake.reference.exchange_rates(
            start_date=date(2014, 1, 1), end_date=date(2014, 2, 1)
        )
    assert [str(each.bill_amount.amount) for each in bills] == [
        f"{each.amount:.4f}" for each in stored.values()
    ]
    assert str(result.payment_amount) == "20.0100"
    assert {len(str(each.rate).partition(".")[2]) for each in rates} == {10}


@pytest.mark.parametrize("binding", Binding)
async def test_fewer_rows_than_row_count_says_are_an_error(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        async with cake.affiliate_bills.export(period=YEAR) as bills:
            assert bills.row_count == len(sandbox.state.affiliate_bills) == 50
        sandbox.state.on_response.append(
            changed((b"<row_count>50<", b"<row_count>51<"), (b"<row_count>6<", b"<row_count>7<"))
        )
        with pytest.raises(DecodeError, match="50 bills where row_count is 51") as caught:
            await cake.affiliate_bills.export(period=YEAR).collect()
        with pytest.raises(DecodeError, match="6 rows where row_count is 7"):
            await cake.reference.payment_types()
    assert caught.value.rows_read == 50


@pytest.mark.parametrize("binding", Binding)
async def test_a_month_ends_on_the_first_of_the_next(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    june = Period.month(2014, 6)
    async with over_http(binding=binding) as cake:
        bills = await cake.affiliate_bills.export(billing_cycle="monthly", period=june).collect()
        raw = await cake.affiliate_bills.export(
            billing_cycle="monthly",
            billing_period_start_date=date(2014, 6, 1),
            billing_period_end_date=date(2014, 7, 1),
        ).collect()
    # Not the lists themselves: to show how long ones differ takes minutes.
    assert [each.bill_id for each in bills] == [each.bill_id for each in raw]
    assert BILL in {each.bill_id for each in bills}
    assert {each.billing_period_end_date for each in bills} == {date(2014, 7, 1)}
    assert {each.period for each in bills} == {june}
    for request in sandbox.state.requests:
        assert request.arguments["billing_period_start_date"] == datetime(2014, 6, 1)
        assert request.arguments["billing_period_end_date"] == datetime(2014, 7, 1)
