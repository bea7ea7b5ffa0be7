"""What ASP.NET does with a v1 call, fact by fact, and what follows for the client: rows 1 to 11.

Each test is named after its row and runs in each binding in which the row matters, by HTTP against
the sandbox. What the client never sends is made on the way, by changing its requests.
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
from starlette.responses import HTMLResponse, Response

from aiocake import (
    ERASE,
    ArgumentError,
    AuthenticationError,
    Binding,
    Client,
    DecodeError,
    MarkResult,
    Outcome,
    OutcomeUnknown,
    Period,
    RequestRejected,
)
from aiocake.sandbox import RecordedRequest, Sandbox
from aiocake.sandbox.v1.operations import OPERATIONS
from aiocake.sandbox.xml_reader import parse

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]
Tamper = Callable[..., httpx.AsyncBaseTransport]

URL = (Binding.GET, Binding.POST)
SOAP = (Binding.SOAP11, Binding.SOAP12)
CAKE = "http://cakemarketing.com/api/1/"
YEAR = Period(date(2013, 12, 1), date(2015, 1, 31))
BILL = 345


def row(number: int, *bindings: Binding) -> pytest.MarkDecorator:
    """In which bindings a row matters: all, if none is named."""
    params = [pytest.param(each, id=f"row-{number:02}-{each}") for each in bindings or Binding]
    return pytest.mark.parametrize("binding", params)


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


@row(1)
async def test_a_no_is_seen_whichever_layer_says_it(
    over_http: Connect, connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    # CAKE's: a 200.
    async with over_http(api_key="wrong", binding=binding) as cake:
        with pytest.raises(AuthenticationError) as cakes:
            await mark(cake)
    assert (cakes.value.status, cakes.value.outcome) == (200, Outcome.NOT_DONE)
    # ASP.NET's: a 500, which is the caller's mistake, and final.
    broken = tamper(sandbox, ("bill_id=345", "bill_id=x"), ("<bill_id>345", "<bill_id>x"))
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(RequestRejected) as nets:
            await mark(cake)
    assert (nets.value.status, nets.value.outcome) == (500, Outcome.NOT_DONE)
    assert len(sandbox.state.requests) == 2
    # IIS's or the network's: HTML, or nothing, in any status.
    for early in (HTMLResponse("<html>gone</html>"), HTMLResponse("<html/>", 502), Response()):
        sandbox.state.on_request[:] = [lambda _, early=early: early]
        async with over_http(binding=binding) as cake:
            with pytest.raises(OutcomeUnknown):
                await mark(cake)


@row(2)
async def test_the_text_of_a_500_is_unescaped_and_the_callers_fault_is_final(
    connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    broken = tamper(sandbox, ("bill_id=345", "bill_id=a%27%3E"), ("<bill_id>345", "<bill_id>x"))
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(
            RequestRejected, match=r"Input string was not .* \(HTTP 500\)"
        ) as caught:
            await mark(cake)
    assert caught.value.status == 500
    assert " ---> " in caught.value.message
    assert "&" not in caught.value.message
    assert ("Cannot convert a'> to System.Int32." in caught.value.message) is (binding in URL)
    assert len(sandbox.state.requests) == 1


@row(2)
async def test_the_servers_fault_may_pass(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    text = "System.Data.SqlClient.SqlException: Timeout expired."
    faults = {
        Binding.SOAP11: "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>"
        f"<s:Fault><faultcode>s:Server</faultcode><faultstring>{text}</faultstring></s:Fault>"
        "</s:Body></s:Envelope>",
        Binding.SOAP12: "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>"
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>"
        f"{text}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
    }
    answers = [Response(faults.get(binding, text), 500)]
    sandbox.state.on_request.append(lambda _: answers.pop() if answers else None)
    async with over_http(binding=binding) as cake:
        result = await mark(cake, notes="second try")
    assert result.first is None
    assert sandbox.state.affiliate_bills[BILL].notes == "second try"
    assert len(sandbox.state.requests) == 2


@row(3)
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


@row(4)
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


@row(5)
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


@row(6)
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


@row(6)
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


@row(7)
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


@row(7, *URL)
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


@row(8, *SOAP)
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


@row(9)
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


@row(9)
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


@row(10)
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


@row(11)
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


@row(1)
async def test_a_look_up_is_no_success_either_when_it_is_a_page(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.on_request.append(lambda _: HTMLResponse("<html>log in</html>"))
    async with over_http(binding=binding) as cake:
        with pytest.raises(DecodeError, match="HTML"):
            await cake.reference.payment_types()
