"""What is no HTTP, or HTTP that a client must not take for the answer."""

import threading
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from aiocake import Timeouts
from aiocake.errors import DeadlineExceeded, DecodeError

from ..support.scripted import Connection, Script
from ._cake import EACH, GET, MARK, UPDATE, Call, cut, each, http, obedient, right
from ._cake import wrong as wrongly
from ._card import Card

pytestmark = pytest.mark.anyio


def dripping(pieces: Callable[[bytes], bytes], pause: float) -> Script:
    """Send what comes before a drip, and then drip until the client has gone."""

    def script(connection: Connection) -> None:
        request = connection.request()
        if connection.server.go_on.is_set():
            connection.send(right(request))
            obedient(connection)
            return
        text = pieces(request)
        at = 0
        while not connection.server.go_on.wait(pause):
            connection.send(text[at % len(text) :][:1] if pause > 0.001 else text)
            at += 1

    return script


def endless_hints(_: bytes) -> bytes:
    return b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def endless_head(_: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + b"X-Pad: aaaa\r\n" * 5000


def endless_body(request: bytes) -> bytes:
    head, _, body = right(request).partition(b"\r\n\r\n")
    return head.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n" + body[:1] * 9000


def endless_chunks(_: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 5000


@pytest.mark.case("H01")
@EACH
@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        (endless_hints, 0.005),
        (endless_hints, 0.0),
        (endless_head, 0.005),
        (endless_body, 0.005),
        (endless_chunks, 0.005),
    ],
    ids=["1xx that drip", "1xx in a flood", "head", "body", "chunks"],
)
async def test_an_answer_that_does_not_end(
    card: Card, call: Call, pieces: Callable[[bytes], bytes], pause: float
) -> None:
    timeouts = Timeouts(total=0.3, read=20)
    met = await card.play(call, dripping(pieces, pause), timeouts=timeouts)
    met.ends(DeadlineExceeded, attempts=1)


def headed(*headers: str, status: str = "200 OK") -> Callable[[bytes], bytes]:
    """A right body below another head."""

    def answer(request: bytes) -> bytes:
        lines = [f"HTTP/1.1 {status}", *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1") + body_of(request)

    return answer


def ended(status: str) -> Callable[[bytes], bytes]:
    """A whole answer, the last of its connection: the next attempt cannot go over it in vain."""

    def answer(request: bytes) -> bytes:
        return http(body_of(request), "Connection: close", status=status)

    return answer


def body_of(request: bytes) -> bytes:
    return right(request).partition(b"\r\n\r\n")[2]


def chunked(request: bytes) -> bytes:
    body = body_of(request)
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def length_and_chunks(request: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chunked(request)


def chunks_twice(request: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n" + chunked(request)


def two_lengths(request: bytes) -> bytes:
    size = len(body_of(request))
    return headed(f"Content-Length: {size}", f"Content-Length: {size + 1}")(request)


def bad_chunk(_: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n"


GARBAGE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "bytes": lambda _: b"\x00\x01 this is no HTTP\r\n\r\n",
    "text": lambda _: b"Service temporarily unavailable\r\n\r\n",
    "HTTP/0.9": body_of,
    "HTTP/2": lambda _: b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "HTTP/9": lambda request: right(request).replace(b"HTTP/1.1", b"HTTP/9.9"),
    "an echo": lambda request: request,
    "two lengths": two_lengths,
    "two lengths in one": headed("Content-Length: 1, 2"),
    "negative length": headed("Content-Length: -1"),
    "length in hex": headed("Content-Length: 0x10"),
    "length with a sign": headed("Content-Length: +10"),
    "length and chunks": length_and_chunks,
    "chunks twice": chunks_twice,
    "unknown coding": headed("Transfer-Encoding: frobnicated"),
    "bad chunk": bad_chunk,
    "long header": lambda _: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "many headers": lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 40_000 + b"\r\n",
    "no colon": headed("Content-Length"),
    "space before the colon": headed("Content-Length : 1"),
    "NUL in a header": headed("X: a\x00b"),
    "status 20": headed(status="20 OK"),
    "status 2000": headed(status="2000 OK"),
    "status -1": headed(status="-1 OK"),
    "101": lambda _: b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "299": ended("299 OK"),
    "600": ended("600 OK"),
    "999": ended("999 OK"),
}


@pytest.mark.case("H04")
@EACH
@pytest.mark.parametrize("kind", list(GARBAGE))
async def test_no_http_that_can_be_trusted(card: Card, call: Call, kind: str) -> None:
    met = await card.play(call, cut(GARBAGE[kind]))
    met.ends(DecodeError)
    assert len(met.requests) == met.attempts


@pytest.mark.case("H04")
@each(GET, UPDATE, MARK)
@pytest.mark.parametrize("kind", ["bytes", "length and chunks", "101", "299"])
async def test_an_answer_that_is_better_at_the_second_try(
    card: Card, call: Call, kind: str
) -> None:
    met = await card.play(call, cut(GARBAGE[kind]), passing=True)
    met.succeeds(attempts=2)


ANOTHER: Final = (
    b'{"request_status":"Success","invoices":[{"invoice_id":1,"affiliate_id":1,'
    b'"invoice_status":"paid","total_amount":"1.00"}],"total_rows":1,'
    b'"invoice":{"invoice_id":1,"invoice_status":"approved"}}'
)
#: What lies behind an answer, in wait for the next request.
BEHIND: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "a surplus answer": lambda request: right(request) + http(ANOTHER),
    "a longer body": lambda request: right(request) + ANOTHER,
    "behind chunks": lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(request) + http(ANOTHER)
    ),
    "behind more than is read at once": lambda request: (
        http(body_of(request) + b" " * 65_536) + http(ANOTHER)
    ),
}


@pytest.mark.case("H07")
@EACH
@pytest.mark.parametrize("again", [GET, UPDATE], ids=lambda call: f"then-{call.name}")
@pytest.mark.parametrize("kind", list(BEHIND))
async def test_what_lies_behind_an_answer(card: Card, call: Call, again: Call, kind: str) -> None:
    sent = threading.Event()

    def script(connection: Connection) -> None:
        if request := connection.request():
            try:
                connection.send(BEHIND[kind](request))
            finally:  # a client that has seen the surplus by now may have closed the connection
                sent.set()
            obedient(connection)

    def heal() -> None:
        # What comes only when the next request has left could be the answer to it.
        assert sent.wait(20)

    met = await card.play(call, script, again=again, heal=heal)
    met.succeeds(attempts=1)


@pytest.mark.case("H07")
@EACH
@pytest.mark.parametrize("again", [GET, UPDATE], ids=lambda call: f"then-{call.name}")
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_a_body_where_there_is_none(card: Card, call: Call, again: Call, status: str) -> None:
    head = f"HTTP/1.1 {status}\r\n\r\n".encode()
    met = await card.play(call, wrongly(lambda _: head + http(ANOTHER)), again=again)
    met.ends(DecodeError, attempts=3 if status.startswith("204") else 1)


@pytest.mark.case("H09")
@EACH
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
async def test_a_redirect(card: Card, call: Call, status: int) -> None:
    def answer(request: bytes) -> bytes:
        target = request.split(b" ")[1].decode()
        location = f"Location: https://other.example{target}"
        return http(b"", location, "Set-Cookie: a=b", status=f"{status} Go")

    met = await card.play(call, wrongly(answer))
    met.ends(DecodeError, attempts=1, likely=False)
    assert "status" in str(met.error)
    assert len(met.requests) == 1
