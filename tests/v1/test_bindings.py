"""How arguments go over the wire in each binding, and how ASP.NET reads them in the sandbox.

What a binding cannot carry is refused before anything is sent. What the client never sends is made
on the way, by changing its requests.
"""

# ruff: noqa: DTZ001 - v1's times have no zone

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from urllib.parse import parse_qsl

import httpx
import pytest

from aiocake import (
    ERASE,
    ArgumentError,
    Binding,
    Client,
    Outcome,
    RequestRejected,
)
from aiocake.sandbox import RecordedRequest, Sandbox
from aiocake.sandbox.v1.bindings import parse
from aiocake.sandbox.v1.operations import OPERATIONS

from ..support.v1 import BILL, YEAR, mark

pytestmark = pytest.mark.anyio


Connect = Callable[..., Client]


Tamper = Callable[..., httpx.AsyncBaseTransport]


URL = (Binding.GET, Binding.POST)


SOAP = (Binding.SOAP11, Binding.SOAP12)


CAKE = "http://cakemarketing.com/api/1/"


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


MARKUP = ["a <b", "</b>", "<!--", "<?xml", "&#60;", "&#", "x<script>alert(1)</script>"]


@pytest.mark.parametrize("binding", URL)
async def test_what_looks_like_markup_is_not_sent_by_get_and_form(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    async with over_http(binding=binding) as cake:
        for text in MARKUP:
            with pytest.raises(ArgumentError, match=r"notes: .* Binding\.SOAP12") as caught:
                await mark(cake, notes=text)
            assert caught.value.outcome is Outcome.NOT_DONE
            assert sandbox.state.requests == []
            await mark(cake.with_options(binding=Binding.SOAP12), notes=text)  # type: ignore[arg-type] # a view
            assert sandbox.state.affiliate_bills[BILL].notes == text
            sandbox.state.requests.clear()


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
