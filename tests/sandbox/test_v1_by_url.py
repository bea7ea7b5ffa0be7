"""How ASP.NET binds a GET and a form: where hand-written clients lose money."""

# ruff: noqa: DTZ001 - v1's times have no zone

from datetime import datetime
from decimal import Decimal
from html import unescape
from typing import Final

import httpx
import pytest

from aiocake.sandbox import Sandbox

from ..support.v1 import RECEIVED, VALUES, CallV1, succeeded

pytestmark = pytest.mark.anyio


URL: Final = ("get", "form")
FORMAT: Final = "Input string was not in a correct format."


def complaint(response: httpx.Response) -> str:
    """The text of ASP.NET's refusal."""
    assert response.status_code == 500
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return unescape(response.text).removesuffix("\r\n")


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize("name", ["api_key", *VALUES])
async def test_by_url_a_parameter_that_is_left_out_is_refused(
    sandbox: Sandbox, call_v1: CallV1, binding: str, name: str
) -> None:
    before = sandbox.state.changes.count
    response = await call_v1(binding, RECEIVED, {**VALUES, name: None})
    assert complaint(response) == f"Missing parameter: {name}."
    assert sandbox.state.changes.count == before


async def test_a_name_without_a_value_sign_counts_as_missing(sandbox: Sandbox) -> None:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        response = await client.get("/api/1/get.asmx/BillingCycles?api_key")
    assert complaint(response) == "Missing parameter: api_key."


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize(
    ("name", "text", "kind", "reason"),
    [
        ("bill_id", "abc", "System.Int32", FORMAT),
        ("bill_id", "", "System.Int32", FORMAT),
        (
            "bill_id",
            "2147483648",
            "System.Int32",
            "Value was either too large or too small for an Int32.",
        ),
        ("invoiced_amount", "1e3", "System.Decimal", FORMAT),
        ("invoiced_amount", ".", "System.Decimal", FORMAT),
        ("invoiced_amount", "NaN", "System.Decimal", FORMAT),
        (
            "invoiced_amount",
            "79228162514264337593543950336",
            "System.Decimal",
            "Value was either too large or too small for a Decimal.",
        ),
        (
            "date_invoice_received",
            "25-06-2014",
            "System.DateTime",
            "String was not recognized as a valid DateTime.",
        ),
        (
            "date_invoice_received",
            "",
            "System.DateTime",
            "String was not recognized as a valid DateTime.",
        ),
        (
            "date_invoice_received_modification_type",
            "Change",
            "API_1.modification_type",
            "Requested value 'Change' was not found.",
        ),
    ],
)
async def test_by_url_a_value_that_cannot_be_read_is_refused(  # noqa: PLR0913, PLR0917 - a table
    call_v1: CallV1, binding: str, name: str, text: str, kind: str, reason: str
) -> None:
    response = await call_v1(binding, RECEIVED, {**VALUES, name: text})
    assert complaint(response) == (
        f"Cannot convert {text} to {kind}.\r\nParameter name: type ---> {reason}"
    )


async def test_an_error_in_plain_text_is_escaped_for_html_all_the_same(call_v1: CallV1) -> None:
    response = await call_v1("get", RECEIVED, {**VALUES, "bill_id": "\"5'"})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == (
        "Cannot convert &quot;5&#39; to System.Int32.\r\n"
        "Parameter name: type ---&gt; Input string was not in a correct format.\r\n"
    )


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("01-06-2014", datetime(2014, 1, 6)),
        ("6/1/2014", datetime(2014, 6, 1)),
        ("2014/6/1", datetime(2014, 6, 1)),
        ("2014-06-01T13:05:09.25", datetime(2014, 6, 1, 13, 5, 9, 250_000)),
        ("2014-06-01 1:05 PM", datetime(2014, 6, 1, 13, 5)),
        ("2014-06-01 12:05 AM", datetime(2014, 6, 1, 0, 5)),
        # The instance stands eight hours behind UTC: the day changes.
        ("2014-06-01T00:00:00Z", datetime(2014, 5, 31, 16)),
        ("2014-06-01T00:00:00+02:00", datetime(2014, 5, 31, 14)),
    ],
)
async def test_by_url_dates_are_month_first_and_a_zone_shifts_them(
    sandbox: Sandbox, call_v1: CallV1, binding: str, text: str, stored: datetime
) -> None:
    assert succeeded(await call_v1(binding, RECEIVED, {**VALUES, "date_invoice_received": text}))
    assert sandbox.state.affiliate_bills[345].date_invoice_received == stored


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize("text", ["13:05 PM", "25:00", "2014-06-01 13:05 PM", "0001-01-01T00:00Z"])
async def test_by_url_an_hour_that_there_is_not_is_refused(
    call_v1: CallV1, binding: str, text: str
) -> None:
    response = await call_v1(binding, RECEIVED, {**VALUES, "date_invoice_received": text})
    assert "String was not recognized as a valid DateTime." in complaint(response)


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("20,01", "2001"),
        ("1,250.50", "1250.50"),
        (" -5 ", "-5"),
        ("5-", "-5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1234567890123456789012345.678", "1234567890123456789012345.678"),
    ],
)
async def test_by_url_a_comma_is_a_thousands_mark(
    sandbox: Sandbox, call_v1: CallV1, binding: str, text: str, stored: str
) -> None:
    assert succeeded(await call_v1(binding, RECEIVED, {**VALUES, "invoiced_amount": text}))
    assert sandbox.state.affiliate_bills[345].invoiced_amount == Decimal(stored)


@pytest.mark.parametrize("binding", URL)
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("change", datetime(2014, 6, 1)),
        ("1", datetime(2014, 6, 1)),
        ("remove", None),
        ("2", None),
        ("do_not_change", datetime(2000, 1, 1)),
        ("0", datetime(2000, 1, 1)),
        ("do_not_change, change", datetime(2014, 6, 1)),
        # 1 | 2 is 3, which is no member: accepted, and nothing is changed.
        ("change,remove", datetime(2000, 1, 1)),
        ("99", datetime(2000, 1, 1)),
    ],
)
async def test_by_url_an_enum_is_taken_as_number_and_as_list_too(
    sandbox: Sandbox, call_v1: CallV1, binding: str, text: str, stored: datetime | None
) -> None:
    sandbox.state.affiliate_bills[345].date_invoice_received = datetime(2000, 1, 1)
    values = {**VALUES, "date_invoice_received_modification_type": text}
    assert succeeded(await call_v1(binding, RECEIVED, values))
    assert sandbox.state.affiliate_bills[345].date_invoice_received == stored


@pytest.mark.parametrize("binding", URL)
async def test_by_url_an_empty_enum_is_refused(call_v1: CallV1, binding: str) -> None:
    values = {**VALUES, "date_invoice_received_modification_type": ""}
    reported = complaint(await call_v1(binding, RECEIVED, values))
    assert reported.endswith("Must specify valid information for parsing in the string.")


@pytest.mark.parametrize("binding", URL)
async def test_by_url_the_text_null_erases_and_an_empty_one_keeps(
    sandbox: Sandbox, call_v1: CallV1, binding: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes, bill.invoice_number = "old", "B-1"
    values = {**VALUES, "notes": "NULL", "invoice_number": ""}
    assert succeeded(await call_v1(binding, RECEIVED, values))
    assert (bill.notes, bill.invoice_number) == (None, "B-1")


@pytest.mark.parametrize(("binding", "collection"), [("get", "QueryString"), ("form", "Form")])
@pytest.mark.parametrize(
    ("text", "dangerous"),
    [
        ("<b", True),
        ("a &#60;", True),
        ("</", True),
        ("<!", True),
        ("a < b", False),
        ("&amp;", False),
    ],
)
async def test_by_url_markup_is_a_potentially_dangerous_request(  # noqa: PLR0913 - a table
    sandbox: Sandbox, call_v1: CallV1, binding: str, collection: str, text: str, *, dangerous: bool
) -> None:
    response = await call_v1(binding, RECEIVED, {**VALUES, "notes": text})
    if dangerous:
        assert complaint(response).startswith(
            f"A potentially dangerous Request.{collection} value was detected from the client"
        )
    else:
        assert sandbox.state.affiliate_bills[345].notes == text


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/api/1/accounting.asmx/Nothing", 500, "Request format is unrecognized"),
        ("GET", "/api/1/get.asmx/ExportAffiliateBills", 500, "Request format is unrecognized"),
        ("PUT", "/api/1/get.asmx/BillingCycles", 500, "Request format is unrecognized"),
        ("POST", "/api/1/get.asmx/BillingCycles", 500, "Request format is invalid: ."),
        ("GET", "/api/1/other.asmx/BillingCycles", 404, "File or directory not found."),
    ],
)
async def test_what_is_no_call_is_refused(
    sandbox: Sandbox, method: str, path: str, status: int, expected: str
) -> None:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        response = await client.request(method, path, params={"api_key": "SANDBOX-KEY"})
    assert response.status_code == status
    assert expected in response.text


async def test_a_name_that_is_there_twice_has_both_values_with_a_comma(
    sandbox: Sandbox, call_v1: CallV1
) -> None:
    await call_v1("get", RECEIVED, VALUES)
    query = sandbox.state.requests[-1].query
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        await client.get(f"/api/1/accounting.asmx/{RECEIVED}", params=[*query, ("notes", "more")])
    assert sandbox.state.affiliate_bills[345].notes == "ok,more"
