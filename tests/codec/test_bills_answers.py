"""What comes in place of an export in XML: a no of any layer, JSON, garbage without end."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Literal

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.exports import BillStream
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    DecodeError,
    RateLimited,
    RequestRejected,
    Restricted,
    ServerError,
)
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio

Stream = Callable[..., BillStream[Any]]
MakeBody = Callable[..., Any]
Collect = Callable[[BillStream[Any]], Awaitable[tuple[list[int], CakeError | None]]]

AMOUNTS = ("invoiced_amount", "payment_amount")
DATES = ("date_invoice_received", "date_sent_invoice", "date_payment_received", "payment_date")
KINDS = ("affiliate", "advertiser", "buyer")


def bill(number: int) -> str:
    return (
        f"<affiliate_bill><bill_id>{number}</bill_id><affiliate><affiliate_id>7</affiliate_id>"
        "</affiliate><bill_amount><amount>10.5000</amount></bill_amount></affiliate_bill>"
    )


def export(*bills: str) -> bytes:
    said = f"<success>true</success><row_count>{len(bills)}</row_count>"
    return f"<r>{said}<affiliate_bills>{''.join(bills)}</affiliate_bills></r>".encode()


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid API key", AuthenticationError),
        ("Restricted", Restricted),
        ("Something else", ApiError),
        ("", ApiError),
    ],
)
@pytest.mark.parametrize(
    "list_", ["", "<affiliate_bills />", f"<affiliate_bills>{bill(1)}</affiliate_bills>"]
)
async def test_a_refused_export_raises_before_any_bill(
    message: str, kind: type[ApiError], list_: str, stream: Stream, collect: Collect
) -> None:
    said = f"<success>false</success><message>{message}</message>{list_}"
    bills = stream(f"<r>{said}</r>".encode())
    head = await bills.head()
    assert type(head) is kind
    assert isinstance(head, ApiError)
    assert message in head.message
    assert head.status == 200
    assert await collect(bills) == ([], head)


async def test_a_known_refusal_needs_no_success_element(stream: Stream) -> None:
    body = b"<r><message>Invalid API key</message><affiliate_bills /></r>"
    assert type(await stream(body).head()) is AuthenticationError


SOAP12 = "http://www.w3.org/2003/05/soap-envelope"


def fault11(code: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        f"<faultcode>s:{code}</faultcode><faultstring>It &amp; broke</faultstring></s:Fault>"
        "</s:Body></s:Envelope>"
    ).encode()


def fault12(code: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP12}"><s:Body><s:Fault><s:Code><s:Value>s:{code}</s:Value>'
        "</s:Code><s:Reason><s:Text>It &amp; broke</s:Text></s:Reason></s:Fault></s:Body>"
        "</s:Envelope>"
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"Missing parameter: billing_cycle.\r\n", RequestRejected),
        (500, b"It failed.", ServerError),
        (500, fault11("Client"), RequestRejected),
        (500, fault11("Server"), ServerError),
        (200, fault12("Sender"), RequestRejected),
        (500, fault12("Receiver"), ServerError),
        (400, b"", RequestRejected),
        (415, b"", RequestRejected),
        (401, b"<html>no</html>", AuthenticationError),
        (404, b"<html>no</html>", DecodeError),
        (429, b"", RateLimited),
        (302, b"", DecodeError),
        (500, export(bill(1)), ServerError),
        (206, export(bill(1)), DecodeError),
        (200, b"", DecodeError),
        (200, b" \r\n", DecodeError),
        (200, b"<html><body>Log in</body></html>", DecodeError),
        (200, b"<!DOCTYPE html><html></html>", DecodeError),
        (200, b"OK", DecodeError),
        (200, b"<r><success>true</success></r>", DecodeError),
        (200, b"<string>Invalid API key</string>", AuthenticationError),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', DecodeError),
        (200, b"[]", DecodeError),
        (200, b'{"request_status": "Error", "message": "Invalid API key"}', AuthenticationError),
        (200, b'{"d": "Restricted"}', Restricted),
        (200, b'{"success": false, "message": "Restricted", "affiliate_bills": []}', Restricted),
    ],
)
async def test_an_answer_without_bills_is_its_error(
    status: int, body: bytes, kind: type[CakeError], stream: Stream, collect: Collect
) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        bills = stream(*pieces, status=status)
        head = await bills.head()
        assert type(head) is kind
        assert await collect(bills) == ([], head)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("start", [b"<html>", b"text", b"<r>", b""])
async def test_an_endless_answer_without_bills_is_read_no_further_than_needed(
    status: int, start: bytes, stream: Stream, body: MakeBody
) -> None:
    came = body([start, *([b" x " * 1000] * 10_000)])
    head = await stream(body=came, status=status).head()
    assert isinstance(head, CakeError)
    assert came.taken < 80_000


async def test_an_endless_bill_and_an_endless_end_are_refused(
    stream: Stream, body: MakeBody, collect: Collect
) -> None:
    row = b"<a>" + b"x" * 1000 + b"</a>"
    start = export(bill(1)).partition(b"</affiliate_bills>")[0]
    came = body([start, b"<affiliate_bill>", *([row * 60] * 1000)])
    ids, error = await collect(stream(body=came))
    assert ids == [1]
    assert isinstance(error, DecodeError)
    assert came.taken < 9_000_000
    came = body([export(bill(1)), *([b" " * 1000] * 1000)])
    ids, error = await collect(stream(body=came))
    assert ids == [1]
    assert isinstance(error, DecodeError)
    assert came.taken < 100_000


@given(junk=st.binary(max_size=100), status=st.sampled_from([200, 500, 404]))
async def test_bytes_of_any_kind_are_read_or_refused(
    junk: bytes, status: int, stream: Stream, collect: Collect
) -> None:
    whole = export(bill(1), bill(2))
    for pieces in ([junk], [whole[:-80], junk, whole[-80:]], [whole, junk]):
        ids, error = await collect(stream(*pieces, status=status))
        assert error is not None or ids == [1, 2]


async def test_an_answer_in_json_is_read_once_it_is_whole(stream: Stream) -> None:
    one = (
        '{"bill_id": 1, "affiliate": {"affiliate_id": 7, "affiliate_name": null},'
        ' "bill_amount": {"amount": 10.1000, "currency_id": "2"}, "notes": [1, {"a": true}]}'
    )
    response = f'{{"row_count": 1, "affiliate_bills": [{one}]}}'
    body = f'{{"request_status": "Success", "response": {response}}}'
    bills = stream(body.encode())
    (read,) = [each async for each in bills]
    assert bills.dropped == 0
    assert read.bill_amount.amount.as_tuple() == Decimal("10.1000").as_tuple()
    assert read.affiliate.id == 7
    assert read.extra == {"notes": [1, {"a": True}]}
    assert bills.lenient.fields == ("affiliate_bills.notes",)


@pytest.mark.parametrize(
    ("response", "path"),
    [
        ('"affiliate_bills": [{"bill_id": 1}]', "affiliate_bills[0].bill_amount"),
        ('"affiliate_bills": {}', "affiliate_bills"),
        ('"affiliate_bills": [], "row_count": 1', "affiliate_bills"),
        ('"advertiser_bills": []', "affiliate_bills"),
        ('"affiliate_bills": [], "row_count": "x"', "response.row_count"),
    ],
)
async def test_json_of_another_kind_is_refused(response: str, path: str, stream: Stream) -> None:
    body = f'{{"request_status": "Success", "response": {{{response}}}}}'
    error = await stream(body.encode()).head()
    assert isinstance(error, DecodeError)
    assert error.path == path
    assert error.status == 200


BILL = '"bill_id":1,"affiliate":{"affiliate_id":7},"bill_amount":{"amount":1}'


async def test_an_empty_row_count_of_json_is_absent(stream: Stream, collect: Collect) -> None:
    bills = stream(f'{{"success":true,"row_count":"","affiliate_bills":[{{{BILL}}}]}}'.encode())
    assert await collect(bills) == ([1], None)
    assert bills.row_count is None
    assert bills.lenient.fields == ("row_count",)


async def test_a_key_with_half_a_character_is_kept_and_noted(stream: Stream) -> None:
    body = rf'{{"success":true,"affiliate_bills":[{{{BILL},"zz\ud800":1}}]}}'
    bills = stream(body.encode())
    (read,) = [each async for each in bills]
    assert read.extra == {"zz\ufffd": 1}
    assert "affiliate_bills" in bills.lenient.fields


@pytest.mark.parametrize("other", [r"zz\ud801", r"zz\ufffd"])
@pytest.mark.parametrize("extra", ["{}", '"inner":{{{}}}', '"inner":[{{{}}}]'])
async def test_keys_that_differ_in_half_a_character_alone_are_refused(
    extra: str, other: str, stream: Stream
) -> None:
    more = extra.format(rf'"zz\ud800":1,"{other}":2')
    body = f'{{"success":true,"affiliate_bills":[{{{BILL},{more}}}]}}'
    error = await stream(body.encode()).head()
    assert isinstance(error, DecodeError)
    assert "half a character" in str(error)
    assert (error.path or "").startswith("affiliate_bills")


async def test_json_beyond_the_cap_is_refused(
    monkeypatch: pytest.MonkeyPatch, stream: Stream, body: MakeBody
) -> None:
    monkeypatch.setattr("aiocake._codec.exports_json._LARGEST", 10_000)
    came = body([b'{"a": [', *([b"1," * 1000] * 1000)])
    head = await stream(body=came).head()
    assert isinstance(head, DecodeError)
    assert came.taken < 20_000


@pytest.mark.parametrize("answers", ["xml", "json"])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_sandbox_exports_is_what_it_stores(
    kind: str, answers: Literal["xml", "json"], stream: Stream
) -> None:
    sandbox = Sandbox(bills=100, dialect=Dialect(v1_format=answers))
    query = {
        "api_key": "SANDBOX-KEY",
        "billing_cycle": "all",
        "billing_period_start_date": "2000-01-01",
        "billing_period_end_date": "2100-01-01",
    }
    if kind == "affiliate":
        query |= {"paid_only": "false", "payment_type_id": "0"}
    url = f"http://sandbox/api/1/accounting.asmx/Export{kind.title()}Bills"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
        response = await client.get(url, params=query)
    bills = stream(response.content, kind=kind)
    read = {each.bill_id: each async for each in bills}
    stored = getattr(sandbox.state, f"{kind}_bills")
    assert len(read) == len(stored) > 10
    for number, record in stored.items():
        partner = getattr(read[number], kind)
        assert read[number].bill_amount.amount == record.amount
        hidden = "\x1b" if answers == "xml" else ""
        assert partner.name == record.partner.name.replace(hidden or "\0", "")
        for name in ("invoice_number", "payment_type_id", "verification_code", "notes"):
            assert getattr(read[number], name) == (getattr(record, name) or None)
        for name in set(AMOUNTS) & {field.name for field in attrs.fields(type(read[number]))}:
            assert getattr(read[number], name) == getattr(record, name)
        for name in set(DATES) & {field.name for field in attrs.fields(type(read[number]))}:
            stamp = getattr(record, name)
            assert getattr(read[number], name) == (stamp and stamp.date())
        assert read[number].billing_period_start_date == record.start_date
        assert read[number].billing_period_end_date == record.end_date
        # By JSON it has what only bills of others have, too.
        assert set(read[number].extra.values()) <= {None}
