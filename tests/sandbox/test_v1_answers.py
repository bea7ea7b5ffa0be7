"""What v1 answers: exports, look-ups, pages for people."""

# ruff: noqa: DTZ001 - v1's times have no zone

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import httpx
import pytest

from aiocake.sandbox import Sandbox

from ..support.v1 import CallV1

pytestmark = pytest.mark.anyio


ALL: Final = ("get", "form", "soap11", "soap12")
STORE: Final = 'xmlns="API:id_name_store"'
PERIOD: Final[Mapping[str, str | None]] = {
    "billing_cycle": "all",
    "billing_period_start_date": "2014-01-01",
    "billing_period_end_date": "2015-02-01",
}
AFFILIATE: Final[Mapping[str, str | None]] = {
    **PERIOD,
    "paid_only": "false",
    "payment_type_id": "0",
}
RECORDINGS: Final = Path(__file__).parents[3] / "shared" / "recordings"


def bill(text: str, bill_id: int) -> str:
    found = re.search(rf"<(\w+_bill)><bill_id>{bill_id}</bill_id>.*?</\1>", text)
    assert found is not None
    return found[0]


async def test_the_same_answer_has_a_root_of_its_own_by_url_and_an_envelope_by_soap(
    call_v1: CallV1,
) -> None:
    content = set()
    for binding in ALL:
        response = await call_v1(binding, "ExportAffiliateBills", AFFILIATE)
        media_type = "application/soap+xml" if binding == "soap12" else "text/xml"
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.content.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
        if binding.startswith("soap"):
            before = (
                '<ExportAffiliateBillsResponse xmlns="http://cakemarketing.com/api/1/">'
                "<ExportAffiliateBillsResult>"
            )
            after = (
                "</ExportAffiliateBillsResult></ExportAffiliateBillsResponse>"
                "</soap:Body></soap:Envelope>"
            )
        else:
            before = (
                "<export_affiliate_bills_accounting_response "
                'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
                'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                'xmlns="http://cakemarketing.com/api/1/">'
            )
            after = "</export_affiliate_bills_accounting_response>"
        assert response.text.endswith(after)
        content.add(response.text.partition(before)[2].removesuffix(after))
    assert len(content) == 1
    assert content.pop().startswith("<success>true</success><row_count>49</row_count>")


@pytest.mark.parametrize(
    ("operation", "root"),
    [
        ("ExportAdvertiserBills", "export_advertiser_bills_accounting_response"),
        ("MarkAffiliateBillAsReceived", "mark_affiliate_bill_as_received_accounting_response"),
        ("MarkAffiliateBillAsPaid", "markaffiliatebillsaspaid_accounting_response"),
        ("AccountStatuses", "account_statuses_response"),
    ],
)
async def test_roots_by_get_are_irregular(call_v1: CallV1, operation: str, root: str) -> None:
    values = {
        "bill_id": "345",
        "invoice_number": "",
        "invoiced_amount": "1",
        "date_invoice_received": "2000-01-01",
        "date_invoice_received_modification_type": "do_not_change",
        "payment_type_id": "0",
        "verification_code": "",
        "payment_date": "2014-06-30",
        "notes": "",
    }
    response = await call_v1("get", operation, {**PERIOD, **values})
    assert response.status_code == 200
    assert response.text.endswith(f"</{root}>")


async def test_null_empty_and_nil_are_three_things(sandbox: Sandbox, call_v1: CallV1) -> None:
    bills = sandbox.state.affiliate_bills
    bills[345].notes, bills[345].invoiced_amount = None, None
    bills[348].notes, bills[348].invoiced_amount = "", Decimal()
    text = (await call_v1("get", "ExportAffiliateBills", AFFILIATE)).text
    null, empty = bill(text, 345), bill(text, 348)
    assert "notes" not in null
    assert '<invoiced_amount xsi:nil="true" />' in null
    assert '<date_invoice_received xsi:nil="true" />' in null
    assert "<notes />" in empty
    assert "<invoiced_amount>0.0000</invoiced_amount>" in empty


async def test_an_empty_list_is_there_and_a_refused_one_is_not(call_v1: CallV1) -> None:
    none = {**AFFILIATE, "billing_period_start_date": "2030-01-01"}
    empty = await call_v1("get", "ExportAffiliateBills", none)
    assert "<row_count>0</row_count><affiliate_bills /></export_" in empty.text
    refused = await call_v1("get", "ExportAffiliateBills", {**AFFILIATE, "api_key": "wrong"})
    assert refused.status_code == 200
    assert "<success>false</success><message>Invalid API key</message>" in refused.text
    assert "affiliate_bills" not in refused.text.replace("export_affiliate_bills", "")


async def test_a_bill_has_naive_times_an_exclusive_end_and_money_with_four_places(
    sandbox: Sandbox, call_v1: CallV1
) -> None:
    stored = sandbox.state.affiliate_bills[345]
    stored.amount = Decimal(-2415)
    stored.date_invoice_received = datetime(2014, 7, 2, 3, 4, 5, 250_000)
    text = bill((await call_v1("get", "ExportAffiliateBills", AFFILIATE)).text, 345)
    assert "<billing_period_start_date>2014-06-01T00:00:00<" in text
    assert "<billing_period_end_date>2014-07-01T00:00:00<" in text
    assert "<date_invoice_received>2014-07-02T03:04:05.25<" in text
    assert "<amount>-2415.0000</amount><formatted_amount>($2,415.00)</formatted_amount>" in text


async def test_ids_and_names_are_in_a_namespace_of_their_own(call_v1: CallV1) -> None:
    text = bill((await call_v1("get", "ExportAffiliateBills", AFFILIATE)).text, 345)
    assert f"<affiliate_id {STORE}>67890</affiliate_id>" in text
    assert f"<affiliate_name {STORE}>Acme Media Group</affiliate_name>" in text
    assert f"<billing_cycle_id {STORE}>3</billing_cycle_id>" in text
    assert f"<account_status_name {STORE}>" in text
    assert "<bill_id>345</bill_id>" in text


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({"billing_cycle": "weekly"}, lambda b: b.partner.billing_cycle == "weekly"),
        ({"billing_cycle": "2"}, lambda b: b.partner.billing_cycle == "monthly"),
        ({"billing_period_start_date": "2014-06-01"}, lambda b: b.start_date >= date(2014, 6, 1)),
        ({"billing_period_end_date": "2014-07-01"}, lambda b: b.end_date <= date(2014, 7, 1)),
        ({"paid_only": "true"}, lambda b: "paid" in b.marked),
        ({"payment_type_id": "2"}, lambda b: b.partner.payment_type_id == 2),
    ],
)
async def test_an_export_gives_the_bills_that_match_and_no_others(
    sandbox: Sandbox,
    call_v1: CallV1,
    values: Mapping[str, str],
    holds: Callable[[object], bool],
) -> None:
    text = (await call_v1("get", "ExportAffiliateBills", {**AFFILIATE, **values})).text
    within = (date(2014, 1, 1), date(2015, 2, 1))
    expected = [
        str(stored.bill_id)
        for stored in sandbox.state.affiliate_bills.values()
        if holds(stored) and within[0] <= stored.start_date and stored.end_date <= within[1]
    ]
    assert re.findall(r"<bill_id>(\d+)</bill_id>", text) == expected
    assert f"<row_count>{len(expected)}</row_count>" in text
    assert 0 < len(expected) < 49


async def test_an_enum_number_that_no_cycle_has_finds_nothing(call_v1: CallV1) -> None:
    text = (await call_v1("get", "ExportAffiliateBills", {**AFFILIATE, "billing_cycle": "99"})).text
    assert "<success>true</success><row_count>0</row_count><affiliate_bills />" in text


async def test_an_export_for_a_payment_type_that_there_is_not_is_refused(call_v1: CallV1) -> None:
    response = await call_v1("get", "ExportAffiliateBills", {**AFFILIATE, "payment_type_id": "6"})
    assert "<message>Payment Type ID does not exist</message>" in response.text


@pytest.mark.parametrize("kind", ["advertiser", "buyer"])
async def test_each_kind_of_bill_has_its_own_words(call_v1: CallV1, kind: str) -> None:
    text = (await call_v1("get", f"Export{kind.title()}Bills", PERIOD)).text
    assert f"<{kind}_bills><{kind}_bill><bill_id>" in text
    assert f"<{kind}_name {STORE}>" in text
    assert f"<{kind}_billing><contacts><contact><contact_id>" in text
    assert "<date_sent_invoice" in text
    assert "<date_invoice_received" not in text


@pytest.mark.parametrize(
    ("character", "reference"), [("\x0b", "&#xB;"), ("\x16", "&#x16;"), ("\x00", "&#x0;")]
)
async def test_a_control_character_is_stored_and_given_back_so_that_no_parser_takes_it(
    sandbox: Sandbox, call_v1: CallV1, character: str, reference: str
) -> None:
    values = {
        "bill_id": "345",
        "invoice_number": "",
        "invoiced_amount": "1",
        "date_invoice_received": "2000-01-01",
        "date_invoice_received_modification_type": "do_not_change",
        "notes": f"a{character}b",
    }
    await call_v1("form", "MarkAffiliateBillAsReceived", values)
    assert sandbox.state.affiliate_bills[345].notes == f"a{character}b"
    text = (await call_v1("get", "ExportAffiliateBills", AFFILIATE)).text
    assert f"<notes>a{reference}b</notes>" in text
    with pytest.raises(ET.ParseError):
        ET.fromstring(text)  # noqa: S314 - the sandbox's own answer


async def test_a_carriage_return_is_raw_so_that_a_parser_reads_a_line_feed(
    sandbox: Sandbox, call_v1: CallV1
) -> None:
    for partner in sandbox.state.affiliates.values():
        partner.name = "plain"
    sandbox.state.affiliate_bills[345].notes = "a\rb"
    response = await call_v1("get", "ExportAffiliateBills", AFFILIATE)
    assert b"<notes>a\rb</notes>" in response.content
    root = ET.fromstring(response.content)  # noqa: S314 - the sandbox's own answer
    notes = [element.text for element in root.iter() if "notes" in element.tag]
    assert "a\nb" in notes


async def test_markup_in_names_is_escaped(sandbox: Sandbox, call_v1: CallV1) -> None:
    sandbox.state.affiliates[67890].name = "O'Neil & Sons <Ads> ]]>"
    text = (await call_v1("get", "ExportAffiliateBills", AFFILIATE)).text
    assert f"<affiliate_name {STORE}>O'Neil &amp; Sons &lt;Ads&gt; ]]&gt;</affiliate_name>" in text


async def test_a_long_export_is_one_body_of_known_length_and_follows_each_change() -> None:
    sandbox = Sandbox(invoices=0, bills=1_000)
    url = "http://sandbox/api/1/accounting.asmx/ExportAffiliateBills"
    transport = httpx.ASGITransport(app=sandbox.app)
    query = {**AFFILIATE, "api_key": "SANDBOX-KEY"}
    async with httpx.AsyncClient(transport=transport) as client:
        first = await client.get(url, params=query)
        again = await client.get(url, params=query)
        sandbox.state.affiliate_bills[345].notes = "changed"
        changed = await client.get(url, params=query)
        for day in range(1, 8):
            await client.get(url, params=query | {"billing_period_start_date": f"2014-01-0{day}"})
        once_more = await client.get(url, params=query)
    assert int(first.headers["content-length"]) == len(first.content) > 1_000_000
    assert first.content == again.content
    assert "<notes>changed</notes>" in changed.text
    assert once_more.content == changed.content


@pytest.mark.parametrize("binding", ALL)
async def test_exchange_rates_have_ten_places(call_v1: CallV1, binding: str) -> None:
    period = {"start_date": "2014-06-15", "end_date": "2014-08-01"}
    text = (await call_v1(binding, "ExchangeRates", period)).text
    assert "<row_count>3</row_count>" in text
    assert (
        "<exchange_rate><base_currency>"
        f"<currency_id {STORE}>1</currency_id><currency_symbol {STORE}>$</currency_symbol>"
        f"<currency_name {STORE}>US Dollar</currency_name><currency_abbr {STORE}>USD"
        "</currency_abbr></base_currency><quote_currency>"
        f"<currency_id {STORE}>2</currency_id><currency_symbol {STORE}>€</currency_symbol>"
        f"<currency_name {STORE}>Euro</currency_name><currency_abbr {STORE}>EUR</currency_abbr>"
        "</quote_currency><start_date>2014-07-01T00:00:00</start_date><end_date>2014-08-01T00:00:00</end_date>"
        "<rate>0.9220000000</rate></exchange_rate>"
    ) in text


@pytest.mark.parametrize("binding", ALL)
async def test_a_method_that_threw_is_the_servers_fault(call_v1: CallV1, binding: str) -> None:
    period = {"start_date": "1066-10-14", "end_date": "2014-08-01"}
    response = await call_v1(binding, "ExchangeRates", period)
    assert response.status_code == 500
    assert "SqlDateTime overflow. Must be between 1/1/1753" in response.text
    if binding.startswith("soap"):
        code = {"soap11": "soap:Server<", "soap12": "soap:Receiver<"}[binding]
        assert code in response.text
        assert "Server was unable to process request. ---&gt; SqlDateTime" in response.text


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        ("BillingCycles", {}),
        ("PaymentTypes", {}),
        ("PaymentSettings", {}),
        ("AccountStatuses", {}),
        ("ExchangeRates", {}),
        ("ExchangeRates", {"start_date": "2034-01-01", "end_date": "2034-02-01"}),
    ],
)
async def test_look_ups_are_byte_for_byte_those_of_a_real_instance(
    call_v1: CallV1, operation: str, values: Mapping[str, str]
) -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real instance are not beside this checkout")
    name = re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()
    name = "empty_response" if values else name
    recorded = (RECORDINGS / f"{name}.soap12.xml").read_text(encoding="utf-8").strip()
    assert (await call_v1("soap12", operation, values)).text == recorded


async def test_currencies_have_the_fields_of_a_real_instance(call_v1: CallV1) -> None:
    assert (
        f"<currency><currency_id {STORE}>2</currency_id><currency_symbol {STORE}>€"
        f"</currency_symbol><currency_name {STORE}>Euro</currency_name><currency_abbr {STORE}>EUR"
        "</currency_abbr></currency>"
    ) in (await call_v1("soap12", "Currencies", {})).text


@pytest.mark.parametrize("service", ["accounting", "get"])
async def test_the_help_page_is_200_and_html_and_does_nothing(
    sandbox: Sandbox, service: str
) -> None:
    operation = {"accounting": "MarkAffiliateBillAsReceived", "get": "Currencies"}[service]
    before = sandbox.state.changes.count
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        page = await client.get(f"/api/1/{service}.asmx")
        asked = await client.get(
            f"/api/1/{service}.asmx?op={operation}&api_key=SANDBOX-KEY&bill_id=345&notes=gone"
        )
        unknown = await client.get(f"/api/1/{service}.asmx?op=<script>")
    assert [answer.status_code for answer in (page, asked, unknown)] == [200] * 3
    assert asked.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<li>{operation}</li>" in page.text
    assert "<li>api_key: System.String</li>" in asked.text
    assert "<script>" not in unknown.text
    assert sandbox.state.changes.count == before
