"""How arguments go over the wire in each binding, and how ASP.NET reads them in the sandbox.

What a binding cannot carry is refused before anything is sent. What the client never sends is made
on the way, by changing its requests.
"""

# ruff: noqa: DTZ001 - v1's times have no zone

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from aiocake import (
    ERASE,
    ArgumentError,
    Binding,
    Client,
    MarkResult,
    Outcome,
    Period,
    RequestRejected,
)
from aiocake.sandbox import RecordedRequest, Sandbox
from aiocake.sandbox.v1.bindings import parse
from aiocake.sandbox.v1.operations import OPERATIONS

pytestmark = pytest.mark.anyio


Connect = Callable[..., Client]


Tamper = Callable[..., httpx.AsyncBaseTransport]


URL = (Binding.GET, Binding.POST)


SOAP = (Binding.SOAP11, Binding.SOAP12)


CAKE = "http://cakemarketing.com/api/1/"


YEAR = Period(date(2013, 12, 1), date(2015, 1, 31))


BILL = 345


async def mark(cake: Client, **arguments: Any) -> MarkResult:  # noqa: ANN401 - each test has its own
    return await cake.affiliate_bills.mark_received(BILL, **{"invoiced_amount": 1, **arguments})


def text_of(request: RecordedRequest) -> list[tuple[str, str]]:
    """The parameters as they went over the wire, in their order, as texts."""
    if request.method == "GET":
        return request.query
    if request.path.endswith(".asmx"):
        call = parse(request.body).children[0].children[0]
        assert {each.namespace for each in (call, *call.children)} == {CAKE}
        return [(each.name, each.text) for each in call.children]
    return parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)


@pytest.mark.parametrize("binding", Binding)
async def test_a_date_goes_year_first(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, date_invoice_received=date(2014, 6, 1))
        with pytest.raises(ArgumentError, match="date_invoice_received"):
            await mark(cake, date_invoice_received="01-06-2014")
    assert sandbox.state.affiliate_bills[BILL].date_invoice_received == datetime(2014, 6, 1)
    (request,) = sandbox.state.requests
    assert dict(text_of(request))["date_invoice_received"].startswith("2014-06-01")


@pytest.mark.parametrize("binding", Binding)
async def test_no_zone_is_sent_and_none_comes(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        await cake.affiliate_bills.export(period=YEAR).collect()
        await mark(cake, date_invoice_received=date(2014, 6, 1))
        await mark(cake, date_invoice_received=ERASE)
        await mark(cake)
        await cake.affiliate_bills.mark_paid(BILL, payment_date=date(2014, 6, 30))
        rates = await cake.reference.exchange_rates(
            start_date=date(2014, 1, 1), end_date=date(2014, 3, 1)
        )
        for zoned in (datetime(2014, 6, 1, tzinfo=UTC), datetime(2014, 6, 1)):
            with pytest.raises(ArgumentError, match="payment_date"):
                await cake.affiliate_bills.mark_paid(BILL, payment_date=zoned)
    form = r"\d{4}-\d\d-\d\d" + ("T00:00:00" if binding in SOAP else "")
    sent = [
        text
        for request in sandbox.state.requests
        for name, text in text_of(request)
        if "date" in name and not name.endswith("_type")
    ]
    assert len(sent) == 8
    assert all(re.fullmatch(form, text) for text in sent)
    assert {each.start_date.tzinfo for each in rates} == {None}


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("20.01"), "20.01"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-1234567.8900"), "-1234567.8900"),
        (Decimal("1E-27"), "0." + "0" * 26 + "1"),
        (Decimal("9" * 24 + ".9999"), "9" * 24 + ".9999"),
        (10**28 - 1, "9" * 28),
        (0, "0"),
    ],
)
async def test_an_amount_is_plain_digits(
    over_http: Connect, sandbox: Sandbox, binding: Binding, amount: Decimal, text: str
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, invoiced_amount=amount)
    assert sandbox.state.affiliate_bills[BILL].invoiced_amount == amount
    assert dict(text_of(sandbox.state.requests[0]))["invoiced_amount"] == text


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize(
    "amount",
    [
        *(20.01, "20.01", "20,01", True, None),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")),
        # 29 digits as they would be written.
        *(10**28, Decimal("1E+28"), Decimal("1E-28"), Decimal("9" * 25 + ".0000")),
    ],
    ids=repr,
)
async def test_an_amount_that_is_not_exact_or_too_long_is_not_sent(
    over_http: Connect, sandbox: Sandbox, binding: Binding, amount: object
) -> None:
    async with over_http(binding=binding) as cake:
        with pytest.raises(ArgumentError, match="invoiced_amount"):
            await mark(cake, invoiced_amount=amount)
    assert sandbox.state.requests == []


@pytest.mark.parametrize("binding", Binding)
async def test_the_text_null_is_nobodys_note(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        with pytest.raises(ArgumentError, match="give ERASE"):
            await mark(cake, notes="NULL")
        assert sandbox.state.requests == []
        # What only looks like it is one.
        for text in ("null", "NULL ", "(NULL)", "NULLABLE"):
            await mark(cake, notes=text)
            assert sandbox.state.affiliate_bills[BILL].notes == text


@pytest.mark.parametrize("binding", URL)
async def test_by_get_and_form_null_erases_and_an_empty_text_keeps(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    bill = sandbox.state.affiliate_bills[BILL]
    bill.notes, bill.invoice_number = "to go", "to stay"
    async with over_http(binding=binding) as cake:
        await mark(cake, notes=ERASE)
    assert (bill.notes, bill.invoice_number) == (None, "to stay")
    sent = dict(text_of(sandbox.state.requests[0]))
    assert (sent["notes"], sent["invoice_number"]) == ("NULL", "")


@pytest.mark.parametrize("binding", SOAP)
async def test_by_soap_an_element_left_out_erases_and_nil_is_never_sent(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    bill = sandbox.state.affiliate_bills[BILL]
    bill.notes, bill.invoice_number = "to go", "to stay"
    async with over_http(binding=binding) as cake:
        await mark(cake, notes=ERASE)
    assert (bill.notes, bill.invoice_number) == (None, "to stay")
    (request,) = sandbox.state.requests
    sent = dict(text_of(request))
    assert "notes" not in sent
    assert sent["invoice_number"] == ""
    assert b"nil" not in request.body
    assert b"NULL" not in request.body


Call = Callable[[Client], Awaitable[object]]


#: Each operation, with nothing given that need not be.
CALLS: Mapping[str, Call] = {
    "ExportAffiliateBills": lambda it: it.affiliate_bills.export(period=YEAR).collect(),
    "ExportAdvertiserBills": lambda it: it.advertiser_bills.export(period=YEAR).collect(),
    "ExportBuyerBills": lambda it: it.buyer_bills.export(period=YEAR).collect(),
    "MarkAffiliateBillAsReceived": lambda it: it.affiliate_bills.mark_received(
        BILL, invoiced_amount=1
    ),
    "MarkAffiliateBillAsPaid": lambda it: it.affiliate_bills.mark_paid(
        BILL, payment_date=date(2014, 6, 30)
    ),
    "MarkAdvertiserBillAsSent": lambda it: it.advertiser_bills.mark_sent(1_000_000),
    "MarkAdvertiserBillAsReceived": lambda it: it.advertiser_bills.mark_received(
        1_000_000, payment_amount=1
    ),
    "MarkBuyerBillAsSent": lambda it: it.buyer_bills.mark_sent(2_000_000),
    "MarkBuyerBillAsReceived": lambda it: it.buyer_bills.mark_received(2_000_000, payment_amount=1),
    "BillingCycles": lambda it: it.reference.v1_billing_cycles(),
    "PaymentTypes": lambda it: it.reference.payment_types(),
    "PaymentSettings": lambda it: it.reference.payment_settings(),
    "AccountStatuses": lambda it: it.reference.account_statuses(),
    "Currencies": lambda it: it.reference.v1_currencies(),
    "ExchangeRates": lambda it: it.reference.exchange_rates(
        start_date=date(2014, 1, 1), end_date=date(2014, 3, 1)
    ),
}


def test_these_are_all_operations() -> None:
    assert set(CALLS) == set(OPERATIONS)


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_parameter_is_sent_by_its_exact_name_and_qualified(
    over_http: Connect, sandbox: Sandbox, binding: Binding, operation: str
) -> None:
    async with over_http(binding=binding) as cake:
        await CALLS[operation](cake)
    (request,) = sandbox.state.requests
    assert request.operation == operation
    expected = [each.name for each in OPERATIONS[operation].parameters]
    assert [name for name, _ in text_of(request)] == expected


@pytest.mark.parametrize("binding", Binding)
async def test_nothing_is_left_out_but_an_erased_text(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    erased = dict.fromkeys(("invoice_number", "verification_code", "notes"), ERASE)
    async with over_http(binding=binding) as cake:
        await cake.buyer_bills.mark_received(
            2_000_000, payment_amount=1, date_payment_received=ERASE, **erased
        )
        with pytest.raises(TypeError):
            await mark(cake, note="misspelt")
    (request,) = sandbox.state.requests
    expected = [each.name for each in OPERATIONS["MarkBuyerBillAsReceived"].parameters]
    if binding in SOAP:
        expected = [name for name in expected if name not in erased]
    assert [name for name, _ in text_of(request)] == expected


@pytest.mark.parametrize("binding", Binding)
async def test_enums_are_closed_sets_in_their_exact_case(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    known = ("weekly", "bimonthly", "monthly", "all")
    async with over_http(binding=binding) as cake:
        for bad in ("Monthly", "99", "2", 2, "weekly,monthly", "", " monthly", None):
            with pytest.raises(ArgumentError, match="billing_cycle"):
                await cake.advertiser_bills.export(billing_cycle=bad, period=YEAR).collect()  # type: ignore[arg-type] # that is it
        assert sandbox.state.requests == []
        for cycle in known:
            await cake.advertiser_bills.export(billing_cycle=cycle, period=YEAR).collect()  # type: ignore[arg-type] # one of them
        for day in (date(2014, 6, 1), ERASE):
            await mark(cake, date_invoice_received=day)
        await mark(cake)
    arguments = [each.arguments for each in sandbox.state.requests]
    assert [each["billing_cycle"] for each in arguments[:4]] == list(known)
    how = "date_invoice_received_modification_type"
    assert [each[how] for each in arguments[4:]] == ["change", "remove", "do_not_change"]


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("value", [True, False])
async def test_a_bool_is_true_or_false_in_small_letters(
    over_http: Connect, sandbox: Sandbox, binding: Binding, *, value: bool
) -> None:
    async with over_http(binding=binding) as cake:
        await cake.affiliate_bills.export(period=YEAR, paid_only=value).collect()
        await cake.buyer_bills.mark_received(
            2_000_000, payment_amount=1, apply_credit_to_buyer=value
        )
        for bad in (int(value), str(value), None):
            with pytest.raises(ArgumentError, match="paid_only"):
                await cake.affiliate_bills.export(period=YEAR, paid_only=bad).collect()  # type: ignore[arg-type] # that is it
    export, credit = sandbox.state.requests
    assert dict(text_of(export))["paid_only"] == str(value).lower()
    assert dict(text_of(credit))["apply_credit_to_buyer"] == str(value).lower()
    assert export.arguments["paid_only"] is credit.arguments["apply_credit_to_buyer"] is value


@pytest.mark.parametrize("binding", Binding)
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


@pytest.mark.parametrize("binding", Binding)
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


@pytest.mark.parametrize("binding", [Binding.GET])
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


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("bad", [*C0, "\ud83c", "\ufffe", "\uffff"], ids=ascii)
async def test_what_xml_cannot_hold_is_not_sent(
    over_http: Connect, sandbox: Sandbox, binding: Binding, bad: str
) -> None:
    async with over_http(binding=binding) as cake:
        with pytest.raises(ArgumentError, match="notes: holds a character that XML cannot carry"):
            await mark(cake, notes=f"a{bad}b")
    assert sandbox.state.requests == []


MARKUP = ["a <b", "</b>", "<!--", "<?xml", "&#60;", "&#", "x<script>alert(1)</script>"]


@pytest.mark.parametrize("binding", URL)
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


@pytest.mark.parametrize("binding", URL)
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


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize("text", [*MARKUP, "]]>", "&amp;&lt;", "\"'"])
async def test_soap_carries_markup_as_text(
    over_http: Connect, sandbox: Sandbox, binding: Binding, text: str
) -> None:
    async with over_http(binding=binding) as cake:
        await mark(cake, notes=text)
    assert sandbox.state.affiliate_bills[BILL].notes == text
