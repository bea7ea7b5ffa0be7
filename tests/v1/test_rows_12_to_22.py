"""What ASP.NET does with a v1 call, fact by fact, and what follows for the client: rows 12 to 22.

Each test is named after its row and runs in each binding in which the row matters, by HTTP against
the sandbox. What neither the client nor the sandbox does is made on the way between the two.
"""

# ruff: noqa: DTZ001 - v1's times have no zone

import re
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, Response

from aiocake import (
    AffiliateBill,
    ArgumentError,
    Binding,
    Client,
    DecodeError,
    MarkResult,
    Outcome,
    OutcomeUnknown,
    Period,
    RequestRejected,
)
from aiocake.events import Event, ReferencesDropped
from aiocake.sandbox import RecordedRequest, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]
Tamper = Callable[..., httpx.AsyncBaseTransport]

URL = (Binding.GET, Binding.POST)
SOAP = (Binding.SOAP11, Binding.SOAP12)
YEAR = Period(date(2013, 12, 1), date(2015, 1, 31))
BILL = 345


def row(number: int, *bindings: Binding) -> pytest.MarkDecorator:
    """In which bindings a row matters: all, if none is named."""
    params = [pytest.param(each, id=f"row-{number:02}-{each}") for each in bindings or Binding]
    return pytest.mark.parametrize("binding", params)


async def mark(cake: Client, **arguments: Any) -> MarkResult:  # noqa: ANN401 - each test has its own
    return await cake.affiliate_bills.mark_received(BILL, **{"invoiced_amount": 1, **arguments})


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


@row(12)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes", "🍰" * 125),
        ("notes", "é" * 250),
        ("invoice_number", "🍰" * 25),
        ("invoice_number", "x" * 50),
    ],
)
async def test_a_text_is_as_long_as_its_utf_16_units(
    over_http: Connect, sandbox: Sandbox, binding: Binding, name: str, text: str
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, **{name: text})
        assert getattr(sandbox.state.affiliate_bills[BILL], name) == text
        for longer in (text + "x", text + "🍰"):
            with pytest.raises(ArgumentError, match=f"{name}: must have at most .* UTF-16 units"):
                await mark(cake, **{name: longer})
    assert len(sandbox.state.requests) == 1


@row(13)
async def test_a_text_that_no_query_holds_goes_by_form_or_soap(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    notes = "日" * 250
    async with over_http(binding=binding) as cake:
        if binding is Binding.GET:
            with pytest.raises(ArgumentError) as caught:
                await mark(cake, notes=notes)
            # The first one that it names can carry it.
            named = re.findall(r"Binding\.(\w+)", str(caught.value))
            assert named[0] == "SOAP12"
            assert caught.value.outcome is Outcome.NOT_DONE
            assert sandbox.state.requests == []
            await mark(cake.with_options(binding=Binding[named[0]]), notes=notes)  # type: ignore[arg-type] # a view
        else:
            await mark(cake, notes=notes)
    assert sandbox.state.affiliate_bills[BILL].notes == notes


@row(13, Binding.GET)
async def test_a_query_has_less_than_2048_bytes_with_the_key_in_it(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    key = "+" * 50  # each takes three bytes there
    sandbox.state.api_keys.add(key)
    async with over_http(api_key=key, binding=binding) as cake:
        with pytest.raises(ArgumentError) as caught:
            await mark(cake, notes="日" * 190 + "x" * 60)
        found = re.search("a query of ([0-9]+) bytes", str(caught.value))
        assert found is not None
        surplus = int(found[1]) - 2048
        with pytest.raises(ArgumentError, match="a query of 2048 bytes"):
            await mark(cake, notes="日" * 190 + "x" * (60 - surplus))
        assert sandbox.state.requests == []
        notes = "日" * 190 + "x" * (59 - surplus)
        await mark(cake, notes=notes)
    assert sandbox.state.affiliate_bills[BILL].notes == notes


C0 = [chr(code) for code in range(32) if chr(code) not in "\t\n\r"]


@row(14)
@pytest.mark.parametrize("bad", [*C0, "\ud83c", "\ufffe", "\uffff"], ids=ascii)
async def test_what_xml_cannot_hold_is_not_sent(
    over_http: Connect, sandbox: Sandbox, binding: Binding, bad: str
) -> None:
    async with over_http(binding=binding) as cake:
        with pytest.raises(ArgumentError, match="notes: holds a character that XML cannot carry"):
            await mark(cake, notes=f"a{bad}b")
    assert sandbox.state.requests == []


@row(14)
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


@row(14)
async def test_a_reference_is_dropped_from_any_other_answer_too(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    events: list[Event] = []
    sandbox.state.on_answer.append(
        changed((b"Wire", b"Wi&#xB;re"), (b"As Received", b"As Rec&#11;d"))
    )
    sandbox.state.affiliate_bills[BILL].marked = frozenset()
    async with over_http(binding=binding, on_event=events.append) as cake:
        types = await cake.reference.payment_types()
        result = await mark(cake)
    assert "Wire" in {each.payment_type_name for each in types}
    assert result.message == "Bill Marked As Recd"
    assert [each for each in events if isinstance(each, ReferencesDropped)] == [
        ReferencesDropped("reference.payment_types", 1),
        ReferencesDropped("affiliate_bills.mark_received", 1),
    ]


@row(15)
async def test_a_carriage_return_arrives_and_comes_back_as_a_line_feed(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, notes="a\rb\r\nc\nd\te")
        read = await cake.affiliate_bills.export(period=YEAR).collect()
    assert sandbox.state.affiliate_bills[BILL].notes == "a\rb\r\nc\nd\te"
    assert [each.notes for each in read if each.bill_id == BILL] == ["a\nb\nc\nd\te"]


MARKUP = ["a <b", "</b>", "<!--", "<?xml", "&#60;", "&#", "x<script>alert(1)</script>"]


@row(16, *URL)
@pytest.mark.parametrize("text", MARKUP)
async def test_what_looks_like_markup_is_not_sent_by_get_and_form(
    over_http: Connect, sandbox: Sandbox, binding: Binding, text: str
) -> None:
    async with over_http(binding=binding) as cake:
        with pytest.raises(ArgumentError, match=r"notes: .* Binding\.SOAP12") as caught:
            await mark(cake, notes=text)
        assert caught.value.outcome is Outcome.NOT_DONE
        assert sandbox.state.requests == []
        await mark(cake.with_options(binding=Binding.SOAP12), notes=text)  # type: ignore[arg-type] # a view
    assert sandbox.state.affiliate_bills[BILL].notes == text


@row(16, *URL)
async def test_a_potentially_dangerous_request_is_a_clear_refusal(
    connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.affiliate_bills[BILL].notes = "as it was"
    dangerous = tamper(sandbox, ("MARKUP", "%3Cb%3E"))
    async with connect(transport=dangerous, binding=binding) as cake:
        with pytest.raises(RequestRejected, match="A potentially dangerous Request") as caught:
            await mark(cake, notes="MARKUP")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert len(sandbox.state.requests) == 1
    assert sandbox.state.affiliate_bills[BILL].notes == "as it was"


@row(16, *SOAP)
@pytest.mark.parametrize("text", [*MARKUP, "]]>", "&amp;&lt;", "\"'"])
async def test_soap_carries_markup_as_text(
    over_http: Connect, sandbox: Sandbox, binding: Binding, text: str
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, notes=text)
    assert sandbox.state.affiliate_bills[BILL].notes == text


@row(17, *SOAP)
@pytest.mark.parametrize(
    ("change", "content_type", "status"),
    [
        (("</soap:Body>", ""), None, 400),
        (("<soap:Envelope", "<!DOCTYPE a><soap:Envelope"), None, 400),
        (("", ""), "application/json", 415),
        (("", ""), "swapped", 415),
    ],
)
async def test_a_refusal_with_an_empty_body_is_one(  # noqa: PLR0913, PLR0917 - a table
    connect: Connect,
    tamper: Tamper,
    sandbox: Sandbox,
    binding: Binding,
    change: tuple[str, str],
    content_type: str | None,
    status: int,
) -> None:
    if content_type == "swapped":
        content_type = "text/xml" if binding is Binding.SOAP12 else "application/soap+xml"
    broken = tamper(sandbox, change, content_type=content_type)
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(RequestRejected) as caught:
            await mark(cake)
    assert (caught.value.status, caught.value.outcome) == (status, Outcome.NOT_DONE)
    assert len(sandbox.state.requests) == 1


@row(17, *URL)
@pytest.mark.parametrize("status", [400, 415])
async def test_by_get_and_form_an_empty_refusal_is_one_too(
    over_http: Connect, sandbox: Sandbox, binding: Binding, status: int
) -> None:
    sandbox.state.on_request.append(lambda _: Response(status_code=status))
    async with over_http(binding=binding) as cake:
        with pytest.raises(RequestRejected) as caught:
            await mark(cake)
    assert (caught.value.status, caught.value.outcome) == (status, Outcome.NOT_DONE)
    assert len(sandbox.state.requests) == 1


@row(18)
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
        sandbox.state.on_answer.append(changed(cut=500))
        read: list[AffiliateBill] = []
        with pytest.raises(DecodeError, match=r"\(after [0-9]+ bills\)") as caught:
            await read_into(read, cake.affiliate_bills.export(period=YEAR))
    assert waits == [300, 30, 300]
    assert [each.bill_id for each in read] == [each.bill_id for each in whole[: len(read)]]
    assert caught.value.rows_read == len(read) > 0


@row(19)
@pytest.mark.parametrize("page", ["Log in", "MarkAffiliateBillAsReceived"])
async def test_a_page_for_people_is_never_a_success(
    over_http: Connect, sandbox: Sandbox, binding: Binding, page: str
) -> None:
    html = f"<!DOCTYPE html>\r\n<html><head><title>{page}</title></head><body/></html>"
    sandbox.state.on_request.append(lambda _: HTMLResponse(html))
    async with over_http(binding=binding) as cake:
        with pytest.raises(OutcomeUnknown) as write:
            await mark(cake)
        for read in (
            cake.affiliate_bills.export(period=YEAR).collect,
            cake.reference.payment_types,
        ):
            with pytest.raises(DecodeError, match="HTML"):
                await read()
    assert isinstance(write.value.cause, DecodeError)
    assert write.value.applied_likely is False


@row(19, Binding.GET)
async def test_the_help_page_does_nothing_and_is_no_success(
    connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.affiliate_bills[BILL].notes = "as it was"
    # As one of CAKE's sample URLs has it.
    to_help = tamper(sandbox, ("/MarkAffiliateBillAsReceived?", "?op=MarkAffiliateBillAsReceived&"))
    async with connect(transport=to_help, binding=binding) as cake:
        with pytest.raises(OutcomeUnknown):
            await mark(cake, notes="not noted")
    assert sandbox.state.affiliate_bills[BILL].notes == "as it was"
    assert {each.operation for each in sandbox.state.requests} == {None}


@row(20)
async def test_a_byte_order_mark_is_fine_and_places_are_kept(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.on_answer.append(changed((b"<?xml", b"\xef\xbb\xbf<?xml")))
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


@row(21)
async def test_fewer_rows_than_row_count_says_are_an_error(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        async with cake.affiliate_bills.export(period=YEAR) as bills:
            assert bills.row_count == len(sandbox.state.affiliate_bills) == 50
        sandbox.state.on_answer.append(
            changed((b"<row_count>50<", b"<row_count>51<"), (b"<row_count>6<", b"<row_count>7<"))
        )
        with pytest.raises(DecodeError, match="50 bills where row_count is 51") as caught:
            await cake.affiliate_bills.export(period=YEAR).collect()
        with pytest.raises(DecodeError, match="6 rows where row_count is 7"):
            await cake.reference.payment_types()
    assert caught.value.rows_read == 50


@row(22)
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


def test_no_row_is_left_out() -> None:
    files = Path(__file__).parent.glob("test_rows_*.py")
    numbers = [
        int(each)
        for file in files
        for each in re.findall(r"(?m)^@row\((\d+)", file.read_text(encoding="utf-8"))
    ]
    assert set(numbers) == set(range(1, 23))
