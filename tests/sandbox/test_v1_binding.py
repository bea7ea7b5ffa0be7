"""What ASP.NET reads in the same way, or notably not, in each binding."""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import httpx
import pytest

from aiocake.sandbox import Sandbox

from ..support.v1 import RECEIVED, VALUES, CallV1, succeeded

pytestmark = pytest.mark.anyio


URL: Final = ("get", "form")
SOAP: Final = ("soap11", "soap12")
ALL: Final = URL + SOAP
EXPORT: Final[Mapping[str, str | None]] = {
    "billing_cycle": "all",
    "billing_period_start_date": "2014-01-01",
    "billing_period_end_date": "2015-02-01",
    "paid_only": "false",
    "payment_type_id": "0",
}


@pytest.mark.parametrize("binding", ALL)
async def test_a_call_stores_what_was_sent(sandbox: Sandbox, call_v1: CallV1, binding: str) -> None:
    assert succeeded(await call_v1(binding, RECEIVED, VALUES))
    bill = sandbox.state.affiliate_bills[345]
    assert bill.invoice_number == "A-17"
    assert bill.invoiced_amount == Decimal("20.01")
    assert bill.date_invoice_received == datetime(2014, 6, 1)
    assert bill.notes == "ok"
    recorded = sandbox.state.requests[-1]
    assert recorded.operation == RECEIVED
    assert recorded.arguments == {
        "bill_id": 345,
        "invoice_number": "A-17",
        "invoiced_amount": Decimal("20.01"),
        "date_invoice_received": datetime(2014, 6, 1),
        "date_invoice_received_modification_type": "change",
        "notes": "ok",
    }


@pytest.mark.parametrize(
    ("bindings", "good", "bad"),
    [
        (URL, ["true", "TRUE", "False"], ["1", "0", "yes", ""]),
        (SOAP, ["true", "1", "0", "false"], ["TRUE", "False", "yes", ""]),
    ],
)
async def test_bools_are_read_by_url_in_any_case_and_by_soap_as_numbers(
    call_v1: CallV1, bindings: tuple[str, ...], good: list[str], bad: list[str]
) -> None:
    for binding in bindings:
        for text in good:
            values = {**EXPORT, "paid_only": text}
            response = await call_v1(binding, "ExportAffiliateBills", values)
            assert succeeded(response)
            assert ("<sent_payment>no<" in response.text) == (text.lower() in {"false", "0"})
        for text in bad:
            values = {**EXPORT, "paid_only": text}
            refused = await call_v1(binding, "ExportAffiliateBills", values)
            assert refused.status_code == 500
            assert "valid Boolean" in refused.text


@pytest.mark.parametrize("binding", ALL)
async def test_a_byte_has_its_bounds(call_v1: CallV1, binding: str) -> None:
    values = {**EXPORT, "payment_type_id": "256"}
    response = await call_v1(binding, "ExportAffiliateBills", values)
    assert response.status_code == 500
    assert "Value was either too large or too small for an unsigned byte." in response.text


@pytest.mark.parametrize("binding", ALL)
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes", "🍰" * 125, None),
        ("notes", "🍰" * 125 + "a", "Invalid Notes"),
        ("notes", "a" * 250, None),
        ("notes", "a" * 251, "Invalid Notes"),
        ("invoice_number", "é" * 50, None),
        ("invoice_number", "é" * 51, "Invalid Invoice Number"),
    ],
)
async def test_texts_are_measured_in_utf_16_units(  # noqa: PLR0913, PLR0917 - a table
    sandbox: Sandbox, call_v1: CallV1, binding: str, name: str, text: str, message: str | None
) -> None:
    response = await call_v1(binding, RECEIVED, {**VALUES, name: text})
    assert succeeded(response) == (message is None)
    assert message is None or f"<message>{message}</message>" in response.text
    assert (getattr(sandbox.state.affiliate_bills[345], name) == text) == (message is None)


@pytest.mark.parametrize(("letters", "status"), [(204, 200), (250, 404)])
async def test_a_query_of_2048_bytes_is_refused_by_iis(
    sandbox: Sandbox, call_v1: CallV1, letters: int, status: int
) -> None:
    response = await call_v1("get", RECEIVED, {**VALUES, "notes": "日" * letters})
    assert response.status_code == status
    assert status == 200 or response.headers["content-type"].startswith("text/html")
    for binding in ("form", *SOAP):
        assert succeeded(await call_v1(binding, RECEIVED, {**VALUES, "notes": "日" * 250}))
    assert sandbox.state.affiliate_bills[345].notes == "日" * 250


@pytest.mark.parametrize(("size", "status"), [(2047, 200), (2048, 404)])
async def test_the_bound_of_a_query_is_exact_and_v2_has_it_too(
    sandbox: Sandbox, size: int, status: int
) -> None:
    query = "api_key=SANDBOX-KEY&x=".ljust(size, "x")
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        for path in ("/api/2/invoices.json", "/api/1/get.asmx/Currencies"):
            assert (await client.get(f"{path}?{query}")).status_code == status
