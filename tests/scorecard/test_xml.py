"""XML that attacks its reader, is none, or says no; answers of the server's framework."""

import threading
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import pytest

from aiocake.errors import (
    ApiError,
    CakeError,
    DecodeError,
    OutcomeUnknown,
    RequestRejected,
    ServerError,
)
from aiocake.events import ReferencesDropped, ValuesNormalized
from aiocake.models import MarkResult

from ..support.scripted import Connection
from ._cake import (
    CALLS,
    CREDIT,
    EACH,
    EXPORT,
    LOOK_UP,
    MARK,
    PASSING,
    Call,
    each,
    http,
    soap11,
    soap12,
    wrong,
)
from ._card import Card, Met

pytestmark = pytest.mark.anyio

XML: Final = each(EXPORT, LOOK_UP, MARK, CREDIT)
_JUNE: Final = date(2014, 6, 1)
_JULY: Final = date(2014, 7, 1)


def answered(body: bytes, status: str = "200 OK", kind: str = "text/xml") -> bytes:
    return http(body, f"Content-Type: {kind}; charset=utf-8", status=status)


def beyond_prologue(call: Call, doctype: bytes, text: bytes) -> bytes:
    """A right body with a document type before it, and a text in it that makes use of that."""
    prologue, _, rest = call.body.partition(b"\r\n")
    rest = rest.replace(b"<success>", b"<x>" + text + b"</x><success>", 1)
    return prologue + b"\r\n" + doctype + rest


def laughs() -> bytes:
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%b">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12)
    )
    return b"<!DOCTYPE r [" + entities + b"]>"


def chained() -> bytes:
    links = b"".join(b'<!ENTITY a%d "&a%d;">' % (at + 1, at) for at in range(100_000))
    return b'<!DOCTYPE r [<!ENTITY a0 "x">' + links + b"]>"


ATTACKS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "billion laughs": (laughs(), b"&a11;"),
    "quadratic": (b'<!DOCTYPE r [<!ENTITY a "%b">]>' % (b"a" * 50_000), b"&a;" * 50_000),
    "a chain": (chained(), b"&a100000;"),
    "a file": (b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>', b"&a;"),
    "a parameter": (b'<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>', b""),
    "an address": (b'<!DOCTYPE r [<!ENTITY a SYSTEM "http://127.0.0.1:PORT/">]>', b"&a;"),
    "an external DTD": (b'<!DOCTYPE r SYSTEM "http://127.0.0.1:PORT/x.dtd">', b""),
    "an empty DTD": (b"<!DOCTYPE r>", b""),
}


@pytest.mark.case("X01")
@XML
@pytest.mark.parametrize("attack", list(ATTACKS))
async def test_a_document_type(card: Card, call: Call, attack: str) -> None:
    called = threading.Event()

    def other(_: Connection) -> None:
        called.set()

    elsewhere = card.serve(other)
    doctype, text = (part.replace(b"PORT", b"%d" % elsewhere.port) for part in ATTACKS[attack])
    body = beyond_prologue(call, doctype, text)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)
    assert not called.is_set()
    assert elsewhere.connections == []


LARGE: Final[Mapping[str, bytes]] = {
    "nesting": b"<a>" * 200_000 + b"</a>" * 200_000,
    "attributes": b"<a " + b" ".join(b'a%d="1"' % number for number in range(200_000)) + b"/>",
    "names": b"".join(b"<a%d/>" % number for number in range(200_000)),
    "text": b"<a>" + b"x" * 30_000_000 + b"</a>",
    "one attribute": b'<a b="' + b"x" * 16_000_000 + b'"/>',
    "a comment": b"<!--" + b"x" * 16_000_000 + b"-->",
    "references": b"<a>" + b"&#x0B;" * 200_000 + b"</a>",
}


@pytest.mark.case("X02")
@XML
@pytest.mark.parametrize("kind", list(LARGE))
async def test_what_is_beyond_all_bounds(card: Card, call: Call, kind: str) -> None:
    body = call.body.replace(b"<success>", LARGE[kind] + b"<success>", 1)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


BROKEN: Final = {
    "truncated": lambda body: body[:-20],
    "truncated in a tag": lambda body: body[:-1],
    "no end": lambda body: body[: body.index(b"</")],
    "the declaration only": lambda body: body[: body.index(b"\r\n")],
    "NUL": lambda body: body.replace(b"<success>", b"\0<success>"),
    "control character": lambda body: body.replace(b"<success>", b"\x0b<success>"),
    "utf-7": lambda body: body.replace(b'"utf-8"', b'"utf-7"'),
    "utf-16 said": lambda body: body.replace(b'"utf-8"', b'"utf-16"'),
    "unknown encoding": lambda body: body.replace(b'"utf-8"', b'"frob"'),
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "latin-1": lambda body: body.replace(b"<success>", b"<x>\xfc</x><success>"),
    "unknown entity": lambda body: body.replace(b"<success>", b"<x>&nbsp;</x><success>"),
    "tags crossed": lambda body: body.replace(b"<success>true</success>", b"<success>true</x>"),
    "two roots": lambda body: body + b"<a/>",
    "text behind it": lambda body: body + b"x",
}


@pytest.mark.case("X03")
@XML
@pytest.mark.parametrize("kind", list(BROKEN))
async def test_xml_that_is_none(card: Card, call: Call, kind: str) -> None:
    body = BROKEN[kind](call.body)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


@pytest.mark.case("X04")
@XML
@pytest.mark.parametrize("reference", ["&#xB;", "&#11;", "&#x16;", "&#x0;", "&#xFFFF;"])
async def test_an_illegal_reference_is_dropped(card: Card, call: Call, reference: str) -> None:
    text = f"<x>a{reference}b</x>".encode()
    spoilt = call.body.replace(
        b"Received</message>", b"Received" + reference.encode() + b"</message>"
    )
    body = spoilt.replace(b"<success>", text + b"<success>", 1)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    if isinstance(met.value, MarkResult):
        assert met.value.message == "Bill Marked As Received"
    dropped = [event for event in met.events if isinstance(event, ReferencesDropped)]
    assert [event.count for event in dropped] == [1 if call.reads else 2]


#: Of a text: what it is read as, and how many places in it were mended.
HALVES: Final[Mapping[str, tuple[str, int]]] = {
    "&#55357;&#56832;": ("😀", 1),
    "&#xD83D;&#xDE00;": ("😀", 1),
    "&#55357;&#xDE00;&#xd83d;&#56833;": ("😀😁", 2),
    "&#xD83D;": ("\ufffd", 1),
    "&#56832;&#55357;": ("\ufffd\ufffd", 2),
}


@pytest.mark.case("J10")
@XML
@pytest.mark.parametrize("halves", list(HALVES))
async def test_halves_of_a_character_are_joined_or_replaced(
    card: Card, call: Call, halves: str
) -> None:
    text, count = HALVES[halves]
    spelt = halves.encode()
    body = (
        call.body.replace(b"Received</message>", b"Received" + spelt + b"</message>")
        .replace(b"<affiliate_name>A<", b"<affiliate_name>A" + spelt + b"<", 1)
        .replace(b">Wire<", b">Wire" + spelt + b"<")
    )
    assert body != call.body
    met = await card.play(call, wrong(lambda _: answered(body)))
    assert met.error is None
    assert text in repr(met.value)
    assert _normalized(met) == [count]


#: White space, and what is empty, where nothing that decides is.
SPACED: Final[Mapping[str, tuple[bytes, bytes, int]]] = {
    "success": (b"<success>true<", b"<success>\n true <", 0),
    "a count": (b"<row_count>", b"<row_count>\n ", 1),
    "an id": (b"<bill_id>345<", b"<bill_id> 345\r\n<", 1),
    "an id of a look-up": (b"_id>7<", b"_id>\t7 <", 1),
    "an amount": (b"<amount>2415.0000<", b"<amount>\n2415.0000\n<", 2),
    "a date": (b"</bill_id>", b"</bill_id><payment_date> 2014-06-30 </payment_date>", 2),
    "no date": (b"</bill_id>", b"</bill_id><payment_date />", 2),
    "a blank date": (b"</bill_id>", b"</bill_id><payment_date> </payment_date>", 2),
    "no amount": (b"</bill_id>", b"</bill_id><invoiced_amount></invoiced_amount>", 2),
    "no text": (b"</bill_id>", b"</bill_id><notes />", 2),
    "no status": (b"</affiliate_id>", b"</affiliate_id><account_status />", 2),
    "no bill": (b"</message>", b"</message><bill_id />", 1),
    "the bill": (b"</message>", b"</message><bill_id> 345 </bill_id>", 1),
    "no amounts": (b"</message>", b"</message><payment_amount /><bill_amount> </bill_amount>", 2),
    "amounts": (b"</message>", b"</message><bill_amount> 20.0100 </bill_amount>", 1),
}


@pytest.mark.case("J10")
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (call, what)
        for call in (EXPORT, LOOK_UP, MARK, CREDIT)
        for what in SPACED
        if SPACED[what][0] in call.body
    ],
)
async def test_white_space_and_empty_elements_decide_nothing(
    card: Card, call: Call, what: str
) -> None:
    was, odd, count = SPACED[what]
    body = call.body.replace(was, odd)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.succeeds(attempts=1)
    assert _normalized(met) == ([count] if count else [])


def _normalized(met: Met) -> list[int]:
    return [event.count for event in met.events if isinstance(event, ValuesNormalized)]


@pytest.mark.case("J10")
@each(MARK, CREDIT)
@pytest.mark.parametrize("amount", [b"1,5", b"abc", b"1 2"])
async def test_an_amount_that_cannot_be_read_is_no_decoration(
    card: Card, call: Call, amount: bytes
) -> None:
    more = b"</message><payment_amount>" + amount + b"</payment_amount>"
    body = call.body.replace(b"</message>", more)
    met = await card.play(call, wrong(lambda _: answered(body)))
    met.ends(DecodeError, attempts=1, likely=True)


_500: Final = "500 Internal Server Error"
_PLAIN: Final = "text/plain"
#: What is the caller's mistake, and final.
MISTAKES: Final[Mapping[str, bytes]] = {
    "fault 1.1": answered(soap11("Client"), _500),
    "fault 1.1 with a detail": answered(soap11("Client.Bad"), _500),
    "fault 1.1 in a 200": answered(soap11("Client")),
    "fault 1.2": answered(soap12("Sender"), _500, "application/soap+xml"),
    "fault 1.2 as 400": answered(soap12("Sender"), "400 Bad Request", "application/soap+xml"),
    "missing parameter": answered(b"Missing parameter: notes.\r\n", _500, _PLAIN),
    "cannot convert": answered(
        b"Cannot convert abc to System.Int32.\r\nParameter name: type ---&gt; Input string was "
        b"not in a correct format.",
        _500,
        _PLAIN,
    ),
    "dangerous": answered(b"A potentially dangerous Request.Form value was detected", _500, _PLAIN),
    "dangerous, in a page": answered(
        b"<!DOCTYPE html><html><title>A potentially dangerous Request.QueryString value was "
        b"detected from the client</title></html>",
        _500,
        "text/html",
    ),
    "400, empty": answered(b"", "400 Bad Request"),
    "415, empty": answered(b"", "415 Unsupported Media Type"),
    "405, page": answered(b"<html>no</html>", "405 Method Not Allowed", "text/html"),
}
#: What is the server's, and may pass.
FAILURES: Final[Mapping[str, bytes]] = {
    "fault 1.1": answered(soap11("Server"), _500),
    "fault 1.1 in a 200": answered(soap11("Server")),
    "fault 1.2": answered(soap12("Receiver"), _500, "application/soap+xml"),
    "text of a method": answered(b"Object reference not set to an instance", _500, _PLAIN),
    "another text": answered(b"Timeout expired. See Missing parameter: x.", _500, _PLAIN),
    "empty": answered(b"", _500, _PLAIN),
    "page": answered(b"<!DOCTYPE html><html>Runtime Error</html>", _500, "text/html"),
}


@pytest.mark.case("X05")
@each(*CALLS, LOOK_UP, EXPORT)
@pytest.mark.parametrize("kind", list(MISTAKES))
async def test_a_mistake_of_the_caller(card: Card, call: Call, kind: str) -> None:
    met = await card.play(call, wrong(lambda _: MISTAKES[kind]))
    met.refused(RequestRejected)
    assert isinstance(met.error, ApiError)
    assert "&gt;" not in met.error.message


@pytest.mark.case("X05")
@EACH
@PASSING
@pytest.mark.parametrize("kind", list(FAILURES))
async def test_a_failure_of_the_server(card: Card, call: Call, kind: str, passing: bool) -> None:  # noqa: FBT001 - by pytest
    met = await card.play(call, wrong(lambda _: FAILURES[kind]), passing=passing)
    if passing and not call.once:
        met.succeeds(attempts=2)
    else:
        met.ends(ServerError, likely=False)


@pytest.mark.case("X06")
@pytest.mark.parametrize("count", [0, 1, 3, 1000])
async def test_an_export_of_other_bills_than_it_counts(card: Card, count: int) -> None:
    body = EXPORT.body.replace(b"<row_count>2<", b"<row_count>%d<" % count)
    server = card.serve(wrong(lambda _: answered(body)))
    got: list[Decimal] = []
    error: CakeError | None = None
    async with card.client(server) as cake:
        bills = cake.affiliate_bills.export(
            billing_period_start_date=_JUNE, billing_period_end_date=_JULY
        )
        async with bills:
            try:
                async for bill in bills:
                    got.append(bill.bill_amount.amount)  # noqa: PERF401 - also before an error
            except CakeError as met:
                error = met
        assert isinstance(error, DecodeError)
        assert "row_count" in str(error)
        assert got == [Decimal("2415.0000")] * 2
        server.go_on.set()
        await card.works(cake)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("X06")
async def test_an_export_whose_count_is_right(card: Card) -> None:
    met = await card.play(EXPORT, wrong(lambda _: answered(EXPORT.body)))
    met.succeeds(attempts=1)
    assert not isinstance(met.error, OutcomeUnknown)
