"""How ASP.NET binds SOAP: what it does not know it passes over."""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import Awaitable, Callable
from datetime import datetime
from html import unescape
from typing import Final

import httpx
import pytest

from aiocake.sandbox import Sandbox

from ..support.v1 import RECEIVED, VALUES, CallV1, succeeded

pytestmark = pytest.mark.anyio


CAKE: Final = "http://cakemarketing.com/api/1/"
PAID: Final = "MarkAffiliateBillAsPaid"
SOAP: Final = ("soap11", "soap12")
FORMAT: Final = "Input string was not in a correct format."


def complaint(response: httpx.Response) -> str:
    """The text of the fault that is the caller's."""
    assert response.status_code == 500
    for code, start, end in (
        ("soap:Client<", "<faultstring>", "</faultstring>"),
        ("soap:Sender<", 'xml:lang="en">', "</soap:Text>"),
    ):
        if code in response.text:
            return unescape(response.text.partition(start)[2].partition(end)[0])
    raise AssertionError(response.text)


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
    reported = complaint(response)
    assert reported.startswith("Server was unable to read request. ---> There is an error in XML")
    assert reported.endswith(reason)
    assert sandbox.state.changes.count == before


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


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize("text", ["<b>&#60; & ]]>", "  two  ", "a\tb\nc", "日本 🍰 \u200b"])
async def test_by_soap_a_text_is_stored_as_it_is(
    sandbox: Sandbox, call_v1: CallV1, binding: str, text: str
) -> None:
    assert succeeded(await call_v1(binding, RECEIVED, {**VALUES, "notes": text}))
    assert sandbox.state.affiliate_bills[345].notes == text


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize("space", [" ", "\t \n", "&#13;"])
async def test_by_soap_white_space_alone_is_no_text_unless_it_is_to_be_preserved(
    sandbox: Sandbox, post_soap: Callable[..., Awaitable[httpx.Response]], binding: str, space: str
) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes = "as it was"
    before = "".join(f"<{name}>{text}</{name}>" for name, text in VALUES.items() if name != "notes")
    before = f"<{RECEIVED} xmlns='{CAKE}'><api_key>SANDBOX-KEY</api_key>{before}"
    for attribute, stored in (("", "as it was"), (" xml:space='preserve'", unescape(space))):
        notes = f"<notes{attribute}>{space}</notes></{RECEIVED}>"
        assert succeeded(await post_soap(binding, RECEIVED, before + notes))
        assert bill.notes == stored


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
    reported = complaint(await post_soap(binding, RECEIVED, f'<Other xmlns="{CAKE}"/>'))
    if binding == "soap11":
        assert reported.endswith(f"<Other xmlns='{CAKE}'> was not expected.")
    else:
        assert (
            reported
            == f"Server did not recognize the value of HTTP Header SOAPAction: {CAKE}Other."
        )


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
