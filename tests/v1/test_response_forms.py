"""Answers as servers and what is before them give them, and what a call of v1 makes of each."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest

from aiocake import (
    ApiError,
    AuthenticationError,
    Binding,
    CakeError,
    Client,
    DecodeError,
    MarkResult,
    NotFound,
    Outcome,
    OutcomeUnknown,
    PaymentType,
    Period,
    RateLimited,
    RequestRejected,
    ServerError,
    TipaltiError,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
CAKE = "http://cakemarketing.com/api/1/"
TYPES = (PaymentType(payment_type_id=2, payment_type_name="Wire"),)
MARKED = MarkResult(
    bill_id=345,
    message="Bill Marked As Received",
    first=True,
    payment_amount=Decimal("20.0100"),
    bill_amount=Decimal("-1.5000"),
)

MARK_FIELDS = (
    "<success>true</success><message>Bill Marked As Received</message>"
    "<payment_amount>20.0100</payment_amount><bill_amount>-1.5000</bill_amount>"
)
TYPE_ROWS = (
    "<payment_types><payment_type><payment_type_id xmlns='API:id_name_store'>2</payment_type_id>"
    "<payment_type_name xmlns='API:id_name_store'>Wire</payment_type_name></payment_type>"
    "</payment_types>"
)
TYPE_FIELDS = f"<success>true</success><row_count>1</row_count>{TYPE_ROWS}"
BILL_ROWS = (
    "<advertiser_bills><advertiser_bill><bill_id>7</bill_id><advertiser/><bill_amount>"
    "<amount>0.0100</amount></bill_amount></advertiser_bill></advertiser_bills>"
).replace("<advertiser/>", "<advertiser><advertiser_id>9</advertiser_id></advertiser>")
BILL_FIELDS = f"<success>true</success><row_count>1</row_count>{BILL_ROWS}"
JSON_MARK = (
    '"message": "Bill Marked As Received", "payment_amount": 20.0100, "bill_amount": "-1.5000"'
)
JSON_TYPES = (
    '"row_count": 1, "payment_types": [{"payment_type_id": 2, "payment_type_name": "Wire"}]'
)
JSON_BILLS = (
    '"row_count": 1, "advertiser_bills": [{"bill_id": 7, "advertiser": {"advertiser_id": 9}, '
    '"bill_amount": {"amount": "0.0100"}}]'
)


def envelope(namespace: str, inside: str) -> str:
    return f"<s:Envelope xmlns:s='{namespace}'><s:Body>{inside}</s:Body></s:Envelope>"


def result(fields: str) -> str:
    return f"<XResponse xmlns='{CAKE}'><XResult>{fields}</XResult></XResponse>"


XML: Mapping[str, Callable[[str], str]] = {
    "a root of its own": lambda fields: f"<x_accounting_response>{fields}</x_accounting_response>",
    "a namespace": lambda fields: f"<r xmlns='{CAKE}'>{fields}</r>",
    "a prefix": lambda fields: f"<c:r xmlns:c='{CAKE}'>{fields}</c:r>".replace(
        "<success>", "<c:success>"
    ).replace("</success>", "</c:success>"),
    "soap 1.1": lambda fields: envelope(SOAP11, result(fields)),
    "soap 1.2": lambda fields: envelope(SOAP12, result(fields)),
    "a prologue and a mark": lambda fields: (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n<r>{fields}</r>\r\n'
    ),
}
JSON: Mapping[str, Callable[[str], str]] = {
    "flat": lambda fields: f'{{"request_status": "Success", {fields}}}',
    "success": lambda fields: f'{{"success": true, {fields}}}',
    "response": lambda fields: f'{{"request_status": "success", "response": {{{fields}}}}}',
    "d": lambda fields: f'{{"d": {{"success": true, {fields}}}}}',
    "d and response": lambda fields: (
        f'{{"d": {{"request_status": "Success", "response": {{{fields}}}}}}}'
    ),
    "a mark": lambda fields: f'\ufeff\r\n{{"success": "true", {fields}}}',
}


def answering(
    body: str | bytes, status: int = 200, **headers: str
) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    content = body.encode() if isinstance(body, str) else body

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raw = httpx.ByteStream(content)  # not decompressed by httpx
        framed = {"Content-Length": str(len(content))}
        return httpx.Response(status, stream=raw, headers=framed | headers)

    return httpx.MockTransport(answer), asked


async def read_all(connect: Connect, bodies: tuple[str, str, str], **settings: Any) -> list[object]:  # noqa: ANN401 - the client's
    """What a mark, a look-up and an export make of an answer each."""
    mark, types, bills = (answering(each)[0] for each in bodies)
    async with connect(transport=mark, **settings) as cake:
        marked = await cake.advertiser_bills.mark_received(345, payment_amount=Decimal("20.01"))
    async with connect(transport=types, **settings) as cake:
        found = await cake.reference.payment_types()
    async with connect(transport=bills, **settings) as cake:
        june = Period.month(2014, 6)
        (bill,) = await cake.advertiser_bills.export(period=june).collect()
    return [marked, found, bill.bill_id, bill.advertiser.id, str(bill.bill_amount.amount)]


EXPECTED: list[object] = [MARKED, TYPES, 7, 9, "0.0100"]


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("form", XML)
async def test_xml_is_read_by_local_names_whatever_is_around(
    connect: Connect, form: str, binding: Binding
) -> None:
    bodies = (XML[form](MARK_FIELDS), XML[form](TYPE_FIELDS), XML[form](BILL_FIELDS))
    assert await read_all(connect, bodies, binding=binding) == EXPECTED


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("form", JSON)
async def test_json_is_read_in_each_of_its_wrappings(
    connect: Connect, form: str, binding: Binding
) -> None:
    bodies = (JSON[form](JSON_MARK), JSON[form](JSON_TYPES), JSON[form](JSON_BILLS))
    assert await read_all(connect, bodies, binding=binding) == EXPECTED


@pytest.mark.parametrize("way", ["gzip", "deflate", "raw deflate", "two gzips"])
async def test_a_compressed_answer_is_read(connect: Connect, way: str) -> None:
    body = f"<r>{TYPE_FIELDS}</r>".encode()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
        "two gzips": gzip.compress(body[:50]) + gzip.compress(body[50:]),
    }[way]
    encoding = "deflate" if "deflate" in way else "gzip"
    transport, _ = answering(packed, **{"Content-Encoding": encoding})
    async with connect(transport=transport) as cake:
        assert await cake.reference.payment_types() == TYPES


async def test_a_look_up_may_say_nothing_of_its_success_but_a_mark_must(connect: Connect) -> None:
    transport, asked = answering(f"<r>{TYPE_ROWS}</r>")
    async with connect(transport=transport) as cake:
        assert await cake.reference.payment_types() == TYPES
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.advertiser_bills.mark_sent(345)
    assert caught.value.applied_likely
    assert len(asked) == 2


@attrs.frozen
class Ends:
    """How a call ends: its error, that of a mark, what became of that, and how often each asked."""

    read: type[CakeError]
    write: type[CakeError]
    outcome: Outcome
    asked: int = 1


REFUSED = Ends(RequestRejected, RequestRejected, Outcome.NOT_DONE)
FAILED = Ends(ServerError, OutcomeUnknown, Outcome.UNKNOWN, asked=3)
GARBAGE = Ends(DecodeError, OutcomeUnknown, Outcome.UNKNOWN)


def no(kind: type[CakeError]) -> Ends:
    return Ends(kind, kind, Outcome.NOT_DONE)


def said(message: str) -> str:
    return f"<r><success>false</success><message>{message}</message></r>"


def page(title: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body/></html>"


def fault11(code: str) -> str:
    return envelope(
        SOAP11,
        f"<s:Fault><faultcode>{code}</faultcode><faultstring>why &lt;so&gt;</faultstring>"
        "</s:Fault>",
    )


def fault12(code: str) -> str:
    return envelope(
        SOAP12,
        f"<s:Fault><s:Code><s:Value>{code}</s:Value></s:Code><s:Reason><s:Text>why &lt;so&gt;"
        "</s:Text></s:Reason></s:Fault>",
    )


NOES: Mapping[str, tuple[int, str, Ends]] = {
    # CAKE's own words.
    "key": (
        200,
        said("Invalid API key"),
        no(AuthenticationError),
    ),
    "key in a string": (200, "<string>Invalid API key</string>", no(AuthenticationError)),
    "key in a string of cakes": (
        200,
        f"<?xml version='1.0'?><string xmlns='{CAKE}'>invalid api KEY</string>",
        no(AuthenticationError),
    ),
    "key in json": (200, '{"d": "Invalid API key"}', no(AuthenticationError)),
    "no bill": (
        200,
        said("Invalid Bill ID"),
        no(NotFound),
    ),
    "no billing": (
        200,
        '{"request_status": "Error", "response": {"message": "Billing ID does not exist"}}',
        no(NotFound),
    ),
    "tipalti": (
        200,
        said("Bills processed by Tipalti may not be updated"),
        no(TipaltiError),
    ),
    "another no": (
        200,
        said("Invalid Notes"),
        no(ApiError),
    ),
    "a no without a reason": (200, "<r><success>false</success></r>", no(ApiError)),
    "a no in json": (200, '{"d": {"success": false, "message": "Invalid Notes"}}', no(ApiError)),
    # SOAP's.
    "soap 1.1 client": (500, fault11("soap:Client"), REFUSED),
    "soap 1.1 client, 200": (200, fault11("s:Client"), REFUSED),
    "soap 1.1 client, refined": (500, fault11("soap:Client.Authentication"), REFUSED),
    "soap 1.1 version": (500, fault11("soap:VersionMismatch"), REFUSED),
    "soap 1.1 server": (500, fault11("soap:Server"), FAILED),
    "soap 1.1 server, 200": (200, fault11("Server"), FAILED),
    "soap 1.2 sender": (500, fault12("soap:Sender"), REFUSED),
    "soap 1.2 sender, 400": (400, fault12("soap:Sender"), REFUSED),
    "soap 1.2 understanding": (500, fault12("soap:MustUnderstand"), REFUSED),
    "soap 1.2 receiver": (500, fault12("soap:Receiver"), FAILED),
    "soap 1.2 receiver, 200": (200, fault12("env:Receiver"), FAILED),
    # ASP.NET's, escaped in plain text and in HTML.
    "missing": (
        500,
        "Missing parameter: notes.",
        REFUSED,
    ),
    "cannot convert": (
        500,
        "Cannot convert why &lt;so&gt; to System.Int32.\r\nParameter name: type ---&gt; Input.",
        REFUSED,
    ),
    "dangerous": (
        500,
        "A potentially dangerous Request.Form value (x=&quot;&lt;b&quot;).",
        REFUSED,
    ),
    "dangerous, html": (500, page("A potentially dangerous Request.Form value was."), REFUSED),
    "no form here": (500, page("Request format is unrecognized for URL ending in X."), REFUSED),
    "threw": (500, "System.NullReferenceException: Object reference not set.", FAILED),
    "threw, html": (500, "<html><title>Runtime Error</title></html>", FAILED),
    # IIS's and the network's.
    "400, empty": (400, "", REFUSED),
    "415, empty": (415, "", REFUSED),
    "401": (401, "", no(AuthenticationError)),
    "404, html": (404, "<html><body>no such page</body></html>", GARBAGE),
    "408": (408, "stream timeout", FAILED),
    "425, fault": (425, fault12("soap:Sender"), FAILED),
    "499, another key": (499, '{"message": "Invalid API key"}', FAILED),
    "504, fault": (504, fault11("soap:Client"), FAILED),
    "502": (502, "<html>bad gateway</html>", FAILED),
    "200, empty": (200, "", GARBAGE),
    "200, login": (200, "<!doctype html><html><form>password</form></html>", GARBAGE),
    "200, text": (200, "Success", GARBAGE),
    "200, null": (200, "null", GARBAGE),
    "200, nothing in d": (200, '{"d": null}', GARBAGE),
    "200, cut": (200, "<r><success>tr", GARBAGE),
    "302": (302, "", GARBAGE),
    "429": (429, "", Ends(RateLimited, RateLimited, Outcome.NOT_DONE, asked=3)),
    "503": (503, "", Ends(RateLimited, OutcomeUnknown, Outcome.UNKNOWN, asked=3)),
}


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("name", NOES)
async def test_a_no_ends_as_it_has_to_whatever_the_binding(
    connect: Connect, name: str, binding: Binding
) -> None:
    status, body, ends = NOES[name]
    transport, asked = answering(body, status)
    june = Period.month(2014, 6)
    async with connect(transport=transport, binding=binding) as cake:
        with pytest.raises(CakeError) as read:
            await cake.reference.payment_types()
        with pytest.raises(CakeError) as exported:
            await cake.advertiser_bills.export(period=june).collect()
        with pytest.raises(CakeError) as wrote:
            await cake.advertiser_bills.mark_sent(345)
    assert type(read.value) is type(exported.value) is ends.read
    assert (type(wrote.value), wrote.value.outcome) == (ends.write, ends.outcome)
    assert len(asked) == 3 * ends.asked
    if isinstance(read.value, ApiError):
        assert read.value.status == status
    if "why" in body:
        assert "why <so>" in str(read.value)
        assert "why <so>" in str(exported.value)
        assert "why <so>" in str(wrote.value)


@pytest.mark.parametrize("name", [name for name, (_, __, ends) in NOES.items() if ends.asked > 1])
async def test_a_credit_is_sent_once_unless_nothing_was_done(connect: Connect, name: str) -> None:
    status, body, _ = NOES[name]
    transport, asked = answering(body, status)
    async with connect(transport=transport) as cake:
        with pytest.raises(CakeError) as caught:
            await cake.buyer_bills.mark_received(5, payment_amount=1, apply_credit_to_buyer=True)
    # A 429 says that nothing was done.
    assert len(asked) == (3 if status == 429 else 1)
    assert caught.value.outcome is (Outcome.NOT_DONE if status == 429 else Outcome.UNKNOWN)
