"""What is fuzzed: each target takes bytes, and whatever it raises is a finding.

Errors of ours are no findings: they are what a bad answer has to end in. Beside that each target
checks what has to hold for any bytes at all: two readings agree, pieces of any size give the same,
a wait is a positive number, the key does not come out again.
"""

import html
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import date
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Any, Final, NoReturn, TypeVar
from unittest import mock
from urllib.parse import quote, quote_plus

import h11

from aiocake._codec import codec, results
from aiocake._codec.exports import BillStream
from aiocake._codec.invoice_pages import decode_invoice_page
from aiocake._codec.raw import error_of_raw
from aiocake._codec.xml import row_patterns
from aiocake._codec.xml.references import ReferenceFilter
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation
from aiocake._pipeline.retry_after import retry_after
from aiocake._transport.body import Body
from aiocake._transport.failures import TransportFailure
from aiocake._transport.redaction import Scrubber
from aiocake._transport.response_reader import LARGEST_OVERHEAD, ResponseReader
from aiocake.endpoints import advertiser_bills, affiliate_bills, buyer_bills, invoices, reference
from aiocake.errors import CakeError, DecodeError
from aiocake.values import Idempotency, Secret

__all__ = ["TARGETS", "Target"]

#: Or no export here would be long enough for rows that are read by a pattern.
row_patterns.WORTH = 1

Target = Callable[[bytes], None]
T = TypeVar("T")

STATUSES: Final = (200, 200, 200, 201, 204, 302, 400, 401, 404, 415, 429, 500, 502, 503, 599)
KEY: Final = "canary-K3Y<&>+%="
#: Bytes that a compressed body may become.
CAP: Final = 1 << 20


DISGUISES: Final = (
    KEY,
    quote(KEY, safe=""),
    quote(quote(KEY, safe=""), safe=""),
    quote_plus(KEY),
    html.escape(KEY),
    html.escape(quote(KEY, safe="")),
    json.dumps(KEY)[1:-1],
    "".join(f"&#{ord(each)};" for each in KEY),
    "".join(f"\\u{ord(each):04x}" for each in KEY),
    repr(KEY.encode())[2:-1],
)
SCRUBBER: Final = Scrubber()
SCRUBBER.learn(Secret(KEY))


class Found(AssertionError):
    """Something that must not be."""


def operations(*modules: object) -> tuple[Operation[Any], ...]:
    """All operations of some groups of endpoints."""
    found = [each for module in modules for each in vars(module).values()]
    return tuple(each for each in found if isinstance(each, Operation))


ALL: Final = operations(invoices, reference, affiliate_bills, advertiser_bills, buyer_bills)
V2: Final = tuple(each for each in ALL if each.api is Api.V2)
EXPORTS: Final = tuple(each for each in ALL if each.name.endswith(".export"))
MARKS: Final = tuple(each for each in ALL if ".mark_" in each.name)
V1_LISTS: Final = tuple(each for each in ALL if each.api is Api.V1 and each not in EXPORTS + MARKS)
ARGUMENTS: Final[Mapping[str, object]] = {
    "bill_id": 345,
    "invoice_id": 4821,
    "invoice_number": "A-17",
    "invoiced_amount": Decimal("20.01"),
    "notes": "a note to be hidden",
    "start_date": date(2024, 1, 1),
}


def first(data: bytes, size: int = 1) -> tuple[bytes, bytes]:
    """Some bytes that choose, and the rest."""
    return data[:size].ljust(size, b"\0"), data[size:]


def one_of(choices: tuple[T, ...], number: int) -> T:
    """The choice that a byte makes."""
    return choices[number % len(choices)]


def read(operation: Operation[Any], response: Response) -> object:
    """Return the value of a response, or its error, as a call does."""
    reply = codec.read_reply(response)
    try:
        error = codec.error_of(operation, reply, ARGUMENTS)
        if error is None:
            value: object = codec.decode(operation, ARGUMENTS, reply)
            return value
    except CakeError as raised:
        error = raised
    codec.applied_likely(response)
    shown(error)
    return error


def shown(error: CakeError) -> None:
    """What a program does with an error: it is printed, scrubbed and pickled."""
    if any(ord(character) < ord(" ") and character not in "\t\n\r" for character in str(error)):
        fail(f"a control character in {str(error)!r}")
    error.scrub(str.upper)
    error.__reduce__()


def v2(data: bytes) -> None:
    """An answer of v2, in JSON: one record, or a short list."""
    head, body = first(data)
    read(one_of(V2, head[0]), Response(200, {}, body))


def page(data: bytes) -> None:
    """A page of invoices, in JSON: what both readings read, they read alike."""
    response = Response(200, {}, data)
    fast = decode_invoice_page(data)
    value = read(invoices.FIND, response)
    if fast is None or isinstance(value, CakeError):
        return
    with mock.patch.object(results, "decode_invoice_page", return_value=None):
        exact = read(invoices.FIND, response)
    if not isinstance(exact, CakeError):
        if repr(exact) != repr(value):
            fail(f"fast {value!r}, exact {exact!r}")
    # What the fast reading does not look at has no path: a key twice, a field that is not known.
    elif isinstance(exact, DecodeError) and exact.path:
        fail(f"fast {value!r}, exact {exact!r}")


def asmx(data: bytes) -> None:
    """A whole answer of v1, in XML: to a mark, or a look-up."""
    head, body = first(data)
    read(one_of(MARKS + V1_LISTS, head[0]), Response(200, {}, body))


def fault(data: bytes) -> None:
    """An answer of any status: JSON, a SOAP Fault, ASP.NET's own text, HTML."""
    head, body = first(data, 2)
    response = Response(one_of(STATUSES, head[0]), {}, body)
    read(one_of(V2 + V1_LISTS + MARKS, head[1]), response)
    for idempotency in Idempotency:
        error = error_of_raw(codec.read_reply(response), idempotency)
        if error is not None:
            shown(error)


async def taken(body: bytes, sizes: bytes, operation: Operation[Any]) -> tuple[list[str], str]:
    """The bills of an export that comes in pieces, and the error that it ends in."""

    async def pieces() -> AsyncIterator[bytes]:
        at = 0
        for size in sizes:
            yield body[at : at + size]
            at += size
        yield body[at:]

    found: list[str] = []
    try:
        bills = BillStream(operation, 200, {}, pieces())
        error = await bills.head()
        while error is None:
            bill = await anext(bills, None)
            if bill is None:
                break
            found.append(repr(bill))
    except CakeError as raised:
        error = raised
    if error is None:
        return found, ""
    shown(error)
    return found, type(error).__name__


def export(data: bytes) -> None:
    """An export, in XML or JSON, in pieces: as good as in one piece."""
    head, rest = first(data, 9)
    operation = one_of(EXPORTS, head[0])
    cut = run(taken(rest, head[1:], operation))
    whole = run(taken(rest, b"", operation))
    # What a body is written in is told by its beginning; an error may come a piece earlier.
    if not cut[1] and cut != whole:
        fail(f"in pieces {cut}, whole {whole}")
    if not whole[1] and cut != whole:
        fail(f"in pieces {cut}, whole {whole}")


def references(data: bytes) -> None:
    """Illegal references: taken out alike, in pieces of any size."""
    head, rest = first(data)
    size = head[0] % 16 + 1
    whole, cut = ReferenceFilter(), ReferenceFilter()
    try:
        one = whole.feed(rest) + whole.close()
        pieces = [cut.feed(rest[at : at + size]) for at in range(0, len(rest), size)]
    except CakeError:
        return
    many = b"".join((*pieces, cut.close()))
    if one != many or whole.dropped != cut.dropped:
        fail(f"whole {one!r}, in pieces {many!r}")


def wait(data: bytes) -> None:
    """Retry-After and its like: None, or a number of seconds that lies ahead."""
    asked, _, rest = data.decode("latin-1").partition("\n")
    exact, _, now = rest.partition("\n")
    headers = {"retry-after": asked, "retry-after-ms": exact, "date": now}
    for names in (headers, ["retry-after"], ["retry-after", "date"], ["retry-after-ms"]):
        seconds = retry_after({name: headers[name] for name in names})
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            fail(f"{seconds} from {headers}")


def scrub(data: bytes) -> None:
    """A text that holds the key somewhere, in a disguise: neither can be read any more."""
    head, rest = first(data, 2)
    text = rest.decode("latin-1")
    at = head[0] % (len(text) + 1)
    disguised = one_of(DISGUISES, head[1])
    cleaned = SCRUBBER.scrub(text[:at] + disguised + text[at:])
    if KEY in cleaned or disguised in cleaned:
        fail(repr(cleaned))


def inflate(data: bytes) -> None:
    """A compressed body: whole, or a fault, and never more than its cap."""
    head, rest = first(data, 2)
    source = Pieces(rest, one_of(("gzip", "deflate", "x-gzip", "br", ""), head[0]), head[1] + 1)
    body, size = Body(source, CAP), 0

    async def drain() -> None:
        nonlocal size
        while isinstance(piece := await body.next(), bytes):
            size += len(piece)
            if not piece:
                fail("an empty piece")

    run(drain())
    if size > CAP:
        fail(f"{size} bytes")


class Pieces:
    """A raw body that comes in pieces."""

    status = 200
    length = None

    def __init__(self, data: bytes, encoding: str, size: int) -> None:
        self.encoding = encoding
        self._pieces = iter([data[at : at + size] for at in range(0, len(data), size)])

    async def next(self) -> bytes | TransportFailure | None:
        """The next one."""
        return next(self._pieces, None)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing: there is no event loop to ask."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise Found("it waits for something")


def response(data: bytes) -> None:
    """A response, in pieces: as in one piece, and never looser than h11 reads it."""
    head, rest = first(data, 8)
    clean, tunnel = bool(head[0] & 1), bool(head[0] & 2)
    whole = heard([rest], clean=clean, tunnel=tunnel)
    at = list(accumulate((0, *head[1:])))
    pieces = [rest[one:other] for one, other in pairwise((*at, max(at[-1], len(rest))))]
    for cut in (pieces, [rest[one : one + 1] for one in range(len(rest))]):
        other = heard(cut, clean=clean, tunnel=tunnel)
        if other != whole:
            fail(f"in pieces {other}, whole {whole}")
    status, body, done, surplus, wrong = whole
    if surplus and not done and status is not None:
        fail(f"surplus behind nothing: {whole}")
    if done and wrong is None and not tunnel and clean and len(rest) < LARGEST_OVERHEAD:
        known = by_h11(rest)
        if known not in {(status, body), None} or (known is None and not looser(rest)):
            fail(f"{whole}, and by h11 {known}")


def heard(pieces: list[bytes], *, clean: bool, tunnel: bool) -> tuple[Any, ...]:
    """What the reader makes of these pieces and the end of the connection."""
    reader = ResponseReader()
    reader.begin(tunnel=tunnel)
    body = b""
    for piece in pieces:
        reader.feed(piece)
        body += reader.take()
    reader.eof(clean)
    if reader.status is not None and reader.wrong is None:
        if reader.length not in {None, len(body)} and reader.done:
            fail(f"{len(body)} bytes of {reader.length}")
        if not (reader.done or reader.framed):
            fail("neither whole nor cut off")
    return reader.status, body, reader.done, reader.trailing_data, reader.wrong


def by_h11(data: bytes) -> tuple[int, bytes] | None:
    """Status and body as h11 reads them; None for what it refuses."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2 * LARGEST_OVERHEAD)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        connection.receive_data(data)
        connection.receive_data(b"")
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body


#: What is read that h11 refuses: control characters in the reason of a status, more than 20 digits
#: of a chunk's size, and a Transfer-Encoding in a trailer that h11 does not know.
LOOSER: Final = (
    re.compile(rb"HTTP/1\.[01] [0-9]{3}[^\r\n]*[\x00-\x08\x0b-\x1f\x7f]"),
    re.compile(rb"\r\n0{4}[0-9a-fA-F]{17,}"),
    re.compile(rb"\r\n0[^\r\n]*\r\n.*transfer-encoding *:", re.IGNORECASE | re.DOTALL),
)


def looser(data: bytes) -> bool:
    """Whether the bytes hold what is known to be read, and not by h11."""
    return any(each.search(data) for each in LOOSER)


def fail(text: str) -> NoReturn:
    """Report a finding."""
    raise Found(text)


TARGETS: Final[Mapping[str, Target]] = {
    each.__name__: each
    for each in (v2, page, asmx, fault, export, references, wait, scrub, inflate, response)
}
