"""How ASP.NET reads what is sent, in each binding: where hand-written clients lose money."""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from html import unescape
from typing import Final, Protocol

import httpx
import pytest

from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class CallV1(Protocol):
    def __call__(
        self, binding: str, operation: str, values: Mapping[str, str | None]
    ) -> Awaitable[httpx.Response]: ...


CAKE: Final = "http://cakemarketing.com/api/1/"
RECEIVED: Final = "MarkAffiliateBillAsReceived"
PAID: Final = "MarkAffiliateBillAsPaid"
URL: Final = ("get", "form")
SOAP: Final = ("soap11", "soap12")
ALL: Final = URL + SOAP
VALUES: Final[Mapping[str, str | None]] = {
    "bill_id": "345",
    "invoice_number": "A-17",
    "invoiced_amount": "20.01",
    "date_invoice_received": "2014-06-01",
    "date_invoice_received_modification_type": "change",
    "notes": "ok",
}
EXPORT: Final[Mapping[str, str | None]] = {
    "billing_cycle": "all",
    "billing_period_start_date": "2014-01-01",
    "billing_period_end_date": "2015-02-01",
    "paid_only": "false",
    "payment_type_id": "0",
}


def succeeded(response: httpx.Response) -> bool:
    return response.status_code == 200 and "<success>true</success>" in response.text


def complaint(response: httpx.Response) -> str:
    """The text of ASP.NET's refusal, whichever form it came in."""
    assert response.status_code == 500
    text = unescape(response.text)
    if response.headers["content-type"] == "text/plain; charset=utf-8":
        return text.removesuffix("\r\n")
    start, end = ("faultstring>", "</faultstring>")
    if "soap-envelope" in text:
        start, end = ('xml:lang="en">', "</soap:Text>")
    return text.partition(start)[2].partition(end)[0]


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


FORMAT: Final = "Input string was not in a correct format."


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


@pytest.mark.parametrize(
    ("binding", "code"), [("soap11", "soap:Client<"), ("soap12", "soap:Sender<")]
)
@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bill_id", "abc", FORMAT),
        ("bill_id", "", FORMAT),
        ("invoiced_amount", "20,01", FORMAT),
        ("date_invoice_received", "01-06-2014", "'01-06-2014' is not a valid AllXsd value."),
        ("date_invoice_received", "2014-02-30", "'2014-02-30' is not a valid AllXsd value."),
        (
            "date_invoice_received_modification_type",
            "Change",
            "'Change' is not a valid value for modification_type.",
        ),
        (
            "date_invoice_received_modification_type",
            "1",
            "'1' is not a valid value for modification_type.",
        ),
    ],
)
async def test_by_soap_a_value_that_cannot_be_read_is_the_callers_fault(  # noqa: PLR0913, PLR0917 - a table
    sandbox: Sandbox, call_v1: CallV1, binding: str, code: str, name: str, text: str, reason: str
) -> None:
    before = sandbox.state.changes.count
    response = await call_v1(binding, RECEIVED, {**VALUES, name: text})
    assert code in response.text
    told = complaint(response)
    assert told.startswith("Server was unable to read request. ---> There is an error in XML")
    assert told.endswith(reason)
    assert sandbox.state.changes.count == before


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


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2014-06-01", datetime(2014, 6, 1)),
        (" 2014-06-01T13:05:09.25 ", datetime(2014, 6, 1, 13, 5, 9, 250_000)),
        ("2014-06-01T00:00:00Z", datetime(2014, 6, 1)),
        ("2014-06-01T00:00:00+02:00", datetime(2014, 5, 31, 14)),
    ],
)
async def test_by_soap_a_zone_shifts_dates_in_another_way(
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
    told = complaint(await call_v1(binding, RECEIVED, values))
    assert told.endswith("Must specify valid information for parsing in the string.")


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
            told = complaint(await call_v1(binding, "ExportAffiliateBills", values))
            assert "valid Boolean" in told


@pytest.mark.parametrize("binding", ALL)
async def test_a_byte_has_its_bounds(call_v1: CallV1, binding: str) -> None:
    values = {**EXPORT, "payment_type_id": "256"}
    told = complaint(await call_v1(binding, "ExportAffiliateBills", values))
    assert told.endswith("Value was either too large or too small for an unsigned byte.")


@pytest.mark.parametrize("binding", URL)
async def test_by_url_the_text_null_erases_and_an_empty_one_keeps(
    sandbox: Sandbox, call_v1: CallV1, binding: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes, bill.invoice_number = "old", "B-1"
    values = {**VALUES, "notes": "NULL", "invoice_number": ""}
    assert succeeded(await call_v1(binding, RECEIVED, values))
    assert (bill.notes, bill.invoice_number) == (None, "B-1")


@pytest.mark.parametrize("binding", SOAP)
async def test_by_soap_what_is_left_out_is_erased_and_an_empty_text_keeps(
    sandbox: Sandbox, call_v1: CallV1, binding: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes, bill.invoice_number = "old", "B-1"
    values = {**VALUES, "notes": None, "invoice_number": ""}
    assert succeeded(await call_v1(binding, RECEIVED, values))
    assert (bill.notes, bill.invoice_number) == (None, "B-1")


@pytest.mark.parametrize("binding", SOAP)
async def test_by_soap_nil_is_read_as_empty_so_it_keeps(
    sandbox: Sandbox, post_soap: Callable[..., Awaitable[httpx.Response]], binding: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes = "old"
    body = (
        f'<{RECEIVED} xmlns="{CAKE}"><api_key>SANDBOX-KEY</api_key><bill_id>345</bill_id>'
        f'<notes xsi:nil="true"/></{RECEIVED}>'
    )
    assert succeeded(await post_soap(binding, RECEIVED, body))
    assert bill.notes == "old"


@pytest.mark.parametrize("binding", SOAP)
async def test_by_soap_what_is_not_known_is_ignored_and_what_is_missing_is_a_default(
    sandbox: Sandbox, post_soap: Callable[..., Awaitable[httpx.Response]], binding: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes, bill.date_invoice_received = "old", datetime(2000, 1, 1)
    body = (
        f'<c:{RECEIVED} xmlns:c="{CAKE}"><c:api_key>SANDBOX-KEY</c:api_key>'
        "<c:bill_id>345</c:bill_id>"
        # Misspelt, unqualified, misspelt:
        "<c:invoice_amount>20.01</c:invoice_amount><notes>new</notes>"
        "<c:date_received>2014-06-01</c:date_received>"
        "<c:date_invoice_received_modification_type>change"
        f"</c:date_invoice_received_modification_type></c:{RECEIVED}>"
    )
    assert succeeded(await post_soap(binding, RECEIVED, body))
    assert bill.invoiced_amount == 0
    assert bill.notes is None
    assert bill.date_invoice_received == datetime(1, 1, 1)


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


@pytest.mark.parametrize("binding", SOAP)
async def test_by_soap_markup_in_a_text_is_a_text(
    sandbox: Sandbox, call_v1: CallV1, binding: str
) -> None:
    assert succeeded(await call_v1(binding, RECEIVED, {**VALUES, "notes": "<b>&#60; & ]]>"}))
    assert sandbox.state.affiliate_bills[345].notes == "<b>&#60; & ]]>"


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<a><b></a>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<a>&#xB;</a>",
        b"<a>" * 65 + b"</a>" * 65,
        b"\xff\xfe",
    ],
)
async def test_malformed_soap_or_a_doctype_is_400_and_nothing_else(
    sandbox: Sandbox, binding: str, body: bytes
) -> None:
    content_type = "text/xml" if binding == "soap11" else "application/soap+xml"
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        response = await client.post(
            "/api/1/accounting.asmx", content=body, headers={"Content-Type": content_type}
        )
    assert (response.status_code, response.content) == (400, b"")


@pytest.mark.parametrize("content_type", ["application/soap+xml", "application/json", None])
async def test_a_wrong_content_type_is_415_and_nothing_else(
    sandbox: Sandbox, content_type: str | None
) -> None:
    body = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'
    headers = {"Content-Type": content_type} if content_type else {}
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        response = await client.post("/api/1/accounting.asmx", content=body, headers=headers)
    assert (response.status_code, response.content) == (415, b"")


async def test_a_charset_that_there_is_not_is_400(sandbox: Sandbox) -> None:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        response = await client.post(
            "/api/1/get.asmx",
            content=b"<a/>",
            headers={"Content-Type": "text/xml; charset=klingon"},
        )
    assert (response.status_code, response.content) == (400, b"")


@pytest.mark.parametrize("binding", SOAP)
async def test_a_soap_body_of_another_name_is_the_callers_fault(
    post_soap: Callable[..., Awaitable[httpx.Response]], binding: str
) -> None:
    told = complaint(await post_soap(binding, RECEIVED, f'<Other xmlns="{CAKE}"/>'))
    if binding == "soap11":
        assert told.endswith(f"<Other xmlns='{CAKE}'> was not expected.")
    else:
        assert told == f"Server did not recognize the value of HTTP Header SOAPAction: {CAKE}Other."


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "Unable to handle request without a valid action parameter."),
        ("<x/>", "SOAPAction: x."),
        (f'<{PAID} xmlns="{CAKE}"><bill_id><b/></bill_id></{PAID}>', "Unexpected node type"),
    ],
)
async def test_a_soap_body_that_cannot_be_bound_is_the_callers_fault(
    post_soap: Callable[..., Awaitable[httpx.Response]], binding: str, body: str, expected: str
) -> None:
    if binding == "soap11" and body == "<x/>":
        expected = "<x xmlns=''> was not expected."
    assert expected in complaint(await post_soap(binding, PAID, body))


async def test_soap_11_needs_an_action_and_soap_12_takes_it_from_the_content_type(
    sandbox: Sandbox,
) -> None:
    body = (
        '<e:Envelope xmlns:e="{}"><e:Body>'
        f'<BillingCycles xmlns="{CAKE}"><api_key>SANDBOX-KEY</api_key></BillingCycles>'
        "</e:Body></e:Envelope>"
    )
    soap11 = body.format("http://schemas.xmlsoap.org/soap/envelope/")
    soap12 = body.format("http://www.w3.org/2003/05/soap-envelope")
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:

        async def post(content: str, **headers: str) -> httpx.Response:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post("/api/1/get.asmx", content=content, headers=sent)

        no_action = await post(soap11, Content_Type="text/xml")
        unknown = await post(soap11, Content_Type="text/xml", SOAPAction='"urn:x"')
        typed = 'application/soap+xml; charset=utf-8; action="{}"'
        named = await post(soap12, Content_Type=typed.format(f"{CAKE}BillingCycles"))
        other = await post(soap12, Content_Type=typed.format(f"{CAKE}Other"))
        swapped = await post(soap12, Content_Type="text/xml", SOAPAction=f"{CAKE}BillingCycles")
    assert "without a valid action parameter" in complaint(no_action)
    assert complaint(unknown).endswith("SOAPAction: urn:x.")
    assert succeeded(named)
    assert complaint(other).endswith(f"SOAPAction: {CAKE}Other.")
    assert (swapped.status_code, swapped.content) == (415, b"")


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
