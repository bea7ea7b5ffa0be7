"""JSON that is none, or that could be read in two ways; money, and answers of something else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import pytest

from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    ConsistencyError,
    DecodeError,
    NotFound,
    Outcome,
    OutcomeUnknown,
    TipaltiError,
)
from aiocake.events import CallEnded, ValuesNormalized
from aiocake.models import CreatedInvoice, Invoice

from ._cake import (
    CREATE,
    CREDIT,
    FIND,
    GET,
    JSON,
    MARK,
    UPDATE,
    WRITES,
    Call,
    each,
    http,
    wrong,
)
from ._canary import NOTE
from ._card import Card, Met

pytestmark = pytest.mark.anyio


def with_value(call: Call, value: bytes) -> bytes:
    """A right body with one more value in it, beside the record and in it."""
    return call.body.replace(b'"invoice_id"', b'"x":' + value + b',"invoice_id"', 1)


def answered(body: bytes) -> bytes:
    return http(body, "Content-Type: application/json")


VALUES: Final[Mapping[str, bytes]] = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999999": b"1e999999",
    "1e-999999": b"1e-999999",
    "5000 digits": b"9" * 5000,
    "5000 places": b"0." + b"9" * 5000,
    "100k lists": b"[" * 100_000 + b"]" * 100_000,
    "100k objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100k lists, open": b"[" * 100_000,
    "65 lists": b"[" * 65 + b"]" * 65,
    "hexadecimal": b"0x10",
    "leading zero": b"01",
    "plus": b"+1",
    "no quotes": b"abc",
    "single quotes": b"'abc'",
    "control character": b'"a\x01b"',
    "comma": b"[1,]",
}


#: What is JSON, though nothing that is read may be so.
BEYOND_BOUNDS: Final = {"1e999999", "1e-999999", "5000 digits", "5000 places", "65 lists"}


@pytest.mark.case("J01")
@each(*JSON)
@pytest.mark.parametrize("value", list(VALUES))
async def test_a_value_that_is_no_json(card: Card, call: Call, value: str) -> None:
    body = with_value(call, VALUES[value])
    if call.reads and value in BEYOND_BOUNDS:
        # Of what it passes over, the fast reading of a list sees only that it is JSON.
        body = call.body.replace(b'"1250.00"', VALUES[value])
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


TWICE: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "status of the request": (b'"request_status"', b'"request_status":"Success","request_status"'),
    "id": (b'"invoice_id"', b'"invoice_id":4821,"invoice_id"'),
    "another id": (b'"invoice_id"', b'"invoice_id":1,"invoice_id"'),
    "status": (b'"invoice_status"', b'"invoice_status":"void","invoice_status"'),
}


@pytest.mark.case("J02")
@each(*JSON)
@pytest.mark.parametrize("key", list(TWICE))
async def test_a_key_that_is_there_twice(card: Card, call: Call, key: str) -> None:
    met = await card.play(call, wrong(lambda _: answered(call.body.replace(*TWICE[key], 1))))
    met.ends(DecodeError, attempts=1, likely=True)


@pytest.mark.case("J02")
@each(GET, FIND, CREATE)
async def test_an_amount_that_is_there_twice(card: Card, call: Call) -> None:
    twice = call.body.replace(b'"total_amount"', b'"total_amount":"1.00","total_amount"')
    met = await card.play(call, wrong(lambda _: answered(twice)))
    met.ends(DecodeError, attempts=1, likely=True)


BODIES: Final[Mapping[str, bytes | None]] = {
    "empty": b"",
    "spaces": b" \r\n",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "text": b'"Success"',
    "number": b"1",
    "true": b"true",
    "word": b"Success",
    "trailing data": None,
}


@pytest.mark.case("J03")
@each(*JSON, MARK, CREDIT)
@pytest.mark.parametrize("kind", list(BODIES))
async def test_a_body_that_is_no_answer(card: Card, call: Call, kind: str) -> None:
    body = BODIES[kind]
    if body is None:
        body = call.body + call.body
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


@pytest.mark.case("J04")
@each(*JSON)
async def test_what_is_not_known_is_kept_or_passed_over(card: Card, call: Call) -> None:
    body = with_value(call, b'{"a":[1,2.5,null]}').replace(b'"pending"', b'"draft"')
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    if isinstance(met.value, CreatedInvoice):
        assert met.value.invoice_status == "draft"
        assert not met.value.invoice_status.known


@pytest.mark.case("J04")
async def test_an_unknown_status_in_a_list(card: Card) -> None:
    body = GET.body.replace(b'"approved"', b'"Frozen"')
    met = await card.play(GET, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    assert isinstance(met.value, Invoice)
    assert met.value.invoice_status == "Frozen"


MISSING: Final = [
    (GET, b'"invoice_id":4821,', "invoices[0].invoice_id"),
    (GET, b',"total_amount":"1250.00"', "invoices[0].total_amount"),
    (FIND, b'"invoice_status":"approved",', "invoices[0].invoice_status"),
    (UPDATE, b'"invoice_id":4821,', "invoice.invoice_id"),
    (UPDATE, b'"request_status":"Success",', ""),
    (CREATE, b',"total_amount":"1250.00"', "invoice.total_amount"),
    (CREATE, b'"affiliate_id":67890,', "invoice.affiliate_id"),
    (CREATE, b'"request_status":"Success",', ""),
    (MARK, b"<success>true</success>", ""),
    (CREDIT, b"<success>true</success>", ""),
]


#: What only decorates a record, and how many of it are not as they should be.
ODD: Final = [
    *(
        (call, odd, 1)
        for call in (GET, FIND)
        for odd in (
            b'"end_date":""',
            b'"invoice_date":""',
            b'"advertiser_id":""',
            b'"affiliate_name":""',
            b'"affiliate_name":"Smile \\ud83d"',
            b'"payment_type":"\\udc00x"',
        )
    ),
    (GET, b'"start_date":"","end_date":"","advertiser_name":""', 3),
    (GET, b'"affiliate_name":"Smile \\ud83d\\ude00"', 0),
    (UPDATE, b'"paid_at":""', 1),
    (UPDATE, b'"paid_at":"not set"', 1),
    (UPDATE, b'"paid_at":"0000-00-00"', 1),
    (UPDATE, b'"paid_at":0', 1),
    (UPDATE, b'"memo":"","paid_at":""', 2),
    (UPDATE, b'"memo":"\\ud83d"', 1),
    (UPDATE, b'"memo":5', 1),
    (UPDATE, b'"memo":{"text":"x"}', 1),
]


@pytest.mark.case("J10")
@pytest.mark.parametrize(("call", "odd", "count"), ODD)
async def test_what_only_decorates_decides_nothing(
    card: Card, call: Call, odd: bytes, count: int
) -> None:
    body = call.body.replace(b'"invoice_id"', odd + b',"invoice_id"', 1)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    _is_normalized(met, count)


@pytest.mark.case("J10")
@pytest.mark.parametrize("currency", [b'""', b"5", b'"\\ud800"', b'["USD"]'])
async def test_what_only_decorates_a_created_invoice(card: Card, currency: bytes) -> None:
    body = CREATE.body.replace(b'"USD"', currency)
    met = await card.play(CREATE, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    _is_normalized(met, 1)
    assert isinstance(met.value, CreatedInvoice)
    assert met.value.currency == (None if b"ud800" not in currency else "\ufffd")


def _is_normalized(met: Met, count: int) -> None:
    reported = [event for event in met.events if isinstance(event, ValuesNormalized)]
    assert [event.count for event in reported] == ([count] if count else [])
    for event in reported:
        assert event.operation == met.call.operation
        assert event.fields
    ended = next(event for event in met.events if isinstance(event, CallEnded))
    assert ended.outcome is (None if met.call.reads else Outcome.DONE)


STRICT: Final = [
    (GET, b'"total_amount":"1250.00"', b'"total_amount":""'),
    (GET, b'"invoice_id":4821', b'"invoice_id":""'),
    (GET, b'"currency":"USD"', b'"currency":5'),
    (GET, b'"currency":"USD"', b'"end_date":"soon"'),
    (FIND, b'"approved"', b'"appr\\ud83doved"'),
    (UPDATE, b'"invoice_id":4821', b'"invoice_id":""'),
    (UPDATE, b'"approved"', b"5"),
    (UPDATE, b'"request_status":"Success"', b'"request_status":""'),
    (CREATE, b'"invoice_id":9001', b'"invoice_id":""'),
    (CREATE, b'"affiliate_id":67890', b'"affiliate_id":""'),
    (CREATE, b'"1250.00"', b'""'),
    (CREATE, b'"pending"', b'"\\ud83d"'),
]


@pytest.mark.case("J10")
@pytest.mark.parametrize(("call", "was", "odd"), STRICT)
async def test_what_carries_the_verdict_is_strict(
    card: Card, call: Call, was: bytes, odd: bytes
) -> None:
    body = call.body.replace(was, odd)
    assert body != call.body
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


@pytest.mark.case("J10")
async def test_an_empty_status_is_not_the_one_that_was_asked_for(card: Card) -> None:
    body = UPDATE.body.replace(b'"approved"', b'""')
    met = await card.play(UPDATE, wrong(lambda _: answered(body)))
    met.ends(ConsistencyError, attempts=1)


@pytest.mark.case("J05")
@pytest.mark.parametrize(("call", "field", "path"), MISSING)
async def test_a_field_that_is_missing(card: Card, call: Call, field: bytes, path: str) -> None:
    body = call.body.replace(field, b"").replace(b"<message>Bill Marked As Received</message>", b"")
    assert len(body) < len(call.body)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)
    error = met.error.cause if isinstance(met.error, OutcomeUnknown) else met.error
    assert isinstance(error, DecodeError)
    assert error.path == path


AMOUNTS: Final[Mapping[bytes, Decimal | None]] = {
    b"0.30000000000000004": Decimal("0.30000000000000004"),
    b"0.1": Decimal("0.1"),
    b"1234.50": Decimal("1234.50"),
    b"-0": Decimal("-0"),
    b"1e2": Decimal("1e2"),
    b"-1250.0000": Decimal("-1250.0000"),
    b"9999999999999999.99": Decimal("9999999999999999.99"),
    b"1,234.50": None,
    b"1.234,50": None,
    b"$5": None,
    b"": None,
    b"1_000": None,
    b"NaN": None,
    b"1e99": None,
    b"0x10": None,
    b"12345678901234567890123456789.00": None,
}


@pytest.mark.case("J06")
@each(GET, FIND, CREATE)
@pytest.mark.parametrize("quoted", [False, True], ids=["number", "text"])
@pytest.mark.parametrize("amount", list(AMOUNTS), ids=lambda amount: amount.decode() or "none")
async def test_money_is_exact_or_refused(
    card: Card,
    call: Call,
    amount: bytes,
    quoted: bool,  # noqa: FBT001 - by pytest
) -> None:
    written = b'"' + amount + b'"' if quoted else amount
    body = call.body.replace(b'"1250.00"', written)
    met = await card.play(call, wrong(lambda _: answered(body)))
    exact = AMOUNTS[amount]
    if exact is None:
        met.ends(DecodeError, attempts=1, likely=True)
        return
    met.succeeds(attempts=1)
    value = met.value[0] if isinstance(met.value, list) else met.value
    assert isinstance(value, Invoice | CreatedInvoice)
    assert type(value.total_amount) is Decimal
    assert value.total_amount == exact
    assert value.total_amount.as_tuple() == exact.as_tuple()


NOES: Final[Mapping[str, type[CakeError]]] = {
    "Invalid API key": AuthenticationError,
    "invalid api KEY.": AuthenticationError,
    "Invalid Bill ID": NotFound,
    "Billing ID does not exist": NotFound,
    "Invoice not found": NotFound,
    "Bills processed by Tipalti may not be updated": TipaltiError,
    "Invalid Notes": ApiError,
    "": ApiError,
}


@pytest.mark.case("J07")
@each(*JSON, MARK, CREDIT)
@pytest.mark.parametrize(
    ("said", "how"),
    [
        *((said, "status") for said in NOES),
        ("Invalid Notes", "success"),
        ("Invalid API key", "nested"),
        ("Invalid Bill ID", "xml"),
        ("", "xml"),
    ],
)
async def test_a_200_that_says_no(card: Card, call: Call, said: str, how: str) -> None:
    text = said.encode()
    body = {
        "status": b'{"request_status":"Failure","message":"%b"}',
        "success": b'{"success":false,"error":"%b"}',
        "nested": b'{"request_status":"Failed","response":{"error_message":"%b"}}',
        "xml": b"<r><success>false</success><message>%b</message></r>",
    }[how] % text
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.refused(NOES[said])
    assert type(met.error) is NOES[said]


@pytest.mark.case("J07")
@each(*WRITES)
async def test_a_no_does_not_show_what_it_repeats(card: Card, call: Call) -> None:
    amount = b" of 98765.43" if call in {MARK, CREDIT} else b""
    body = b'{"success":false,"message":"Invalid Notes: %b%b"}' % (NOTE.encode(), amount)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.refused(ApiError)
    assert "<hidden>" in str(met.error)


OTHERS: Final = [
    (GET, b"4821", b"4822"),
    (FIND, b'"affiliate_id":67890', b'"affiliate_id":1'),
    (FIND, b'"affiliate_id":67890', b'"advertiser_id":67890'),
    (UPDATE, b"4821", b"4822"),
    (UPDATE, b'"approved"', b'"pending"'),
    (UPDATE, b'"approved"', b'"void"'),
    (CREATE, b'"affiliate_id":67890', b'"affiliate_id":1'),
]


@pytest.mark.case("J08")
@pytest.mark.parametrize(("call", "asked", "answer"), OTHERS)
async def test_an_answer_of_something_else(
    card: Card, call: Call, asked: bytes, answer: bytes
) -> None:
    body = call.body.replace(asked, answer)
    assert body != call.body
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(ConsistencyError, attempts=1)


@pytest.mark.case("J08")
@each(MARK, CREDIT)
async def test_an_answer_of_another_bill(card: Card, call: Call) -> None:
    body = b'{"request_status":"Success","response":{"bill_id":346,"message":"Bill Marked"}}'
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(ConsistencyError, attempts=1)
