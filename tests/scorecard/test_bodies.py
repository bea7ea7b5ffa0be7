"""Bodies that are not whole, too much, or not what they say: a write was likely carried out."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Final

import pytest

from aiocake._transport.body import LARGEST_BODY
from aiocake.errors import DecodeError

from ..support.scripted import Connection, Script
from ._cake import (
    CALLS,
    CREATE,
    EACH,
    EXPORT,
    GET,
    JSON,
    LOOK_UP,
    UPDATE,
    Call,
    cut,
    each,
    http,
    obedient,
    right,
    wrong,
)
from ._card import Card

pytestmark = pytest.mark.anyio

#: Bytes that may be in use beside a body of the largest size.
_BESIDE: Final = 20 * 1024 * 1024
_MEGABYTE: Final = 1024 * 1024


def body_of(request: bytes) -> bytes:
    return right(request).partition(b"\r\n\r\n")[2]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_END: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#: Each has most of a right body, and not its end.
TRUNCATED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "Content-Length": lambda request: right(request)[:-10],
    "Content-Length, no body": lambda request: right(request)[: -len(body_of(request))],
    "chunked, no end": lambda request: CHUNKED + chunk(body_of(request)),
    "chunked, in a chunk": lambda request: CHUNKED + chunk(body_of(request))[:-10],
    "up to EOF": lambda request: UNTIL_END + body_of(request)[:-10],
    "gzip": lambda request: http(gzip.compress(body_of(request))[:-9], "Content-Encoding: gzip"),
    "gzip, no trailer": lambda request: http(
        gzip.compress(body_of(request))[:-8], "Content-Encoding: gzip"
    ),
    "gzip up to EOF": lambda request: (
        UNTIL_END.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
        + gzip.compress(body_of(request))[:-9]
    ),
    "deflate": lambda request: http(
        zlib.compress(body_of(request))[:-5], "Content-Encoding: deflate"
    ),
}


@pytest.mark.case("B01")
@each(*CALLS, LOOK_UP)
@pytest.mark.parametrize("kind", list(TRUNCATED))
async def test_a_truncated_body(card: Card, call: Call, kind: str) -> None:
    met = await card.play(call, cut(TRUNCATED[kind]))
    met.ends(DecodeError, likely=True)


@pytest.mark.case("B01")
@EACH
@pytest.mark.parametrize("kind", ["Content-Length", "chunked, no end", "up to EOF", "gzip"])
async def test_a_body_that_is_whole_at_the_second_try(card: Card, call: Call, kind: str) -> None:
    met = await card.play(call, cut(TRUNCATED[kind], reset=kind == "gzip"), passing=True)
    if call.once:
        met.unknown(DecodeError, 1, likely=True)
    else:
        met.succeeds(attempts=2)


@pytest.mark.case("B01")
@pytest.mark.parametrize("kind", list(TRUNCATED))
async def test_a_truncated_export(card: Card, kind: str) -> None:
    met = await card.play(EXPORT, cut(TRUNCATED[kind]))
    assert isinstance(met.error, DecodeError)
    # Bills had been given, where any came.
    assert met.attempts in {1, 3}


@cache
def bomb(encoding: str) -> bytes:
    """A few kB that become more than is taken."""
    window = {"gzip": 31, "deflate": 15}[encoding]
    deflate = zlib.compressobj(wbits=window)
    zeros = bytes(_MEGABYTE)
    pieces = [deflate.compress(zeros) for _ in range(LARGEST_BODY // _MEGABYTE * 3)]
    return b"".join(pieces) + deflate.flush()


@cache
def many_members() -> bytes:
    return gzip.compress(bytes(_MEGABYTE)) * (LARGEST_BODY // _MEGABYTE * 3)


@cache
def a_bomb_behind_an_answer() -> bytes:
    return gzip.compress(b'{"request_status":"Success","x":"') + many_members()


def stacked(request: bytes) -> bytes:
    return http(gzip.compress(gzip.compress(body_of(request))), "Content-Encoding: gzip, gzip")


def stacked_apart(request: bytes) -> bytes:
    twice = gzip.compress(gzip.compress(body_of(request)))
    return http(twice, "Content-Encoding: gzip", "Content-Encoding: gzip")


REFUSED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "stacked": stacked,
    "stacked apart": stacked_apart,
    "unknown": lambda request: http(body_of(request), "Content-Encoding: frob"),
    "brotli": lambda request: http(body_of(request), "Content-Encoding: br"),
    "zstd": lambda request: http(body_of(request), "Content-Encoding: zstd"),
    "a length above the cap": lambda _: (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{"
    ),
}


@pytest.mark.case("B06")
@EACH
@pytest.mark.parametrize("kind", list(REFUSED))
async def test_a_body_that_is_refused_unread(card: Card, call: Call, kind: str) -> None:
    met = await card.play(call, wrong(REFUSED[kind]))
    met.ends(DecodeError, attempts=1, likely=True)


def endless(piece: bytes) -> Script:
    def script(connection: Connection) -> None:
        request = connection.request()
        if connection.server.go_on.is_set():
            connection.send(right(request))
            obedient(connection)
            return
        connection.send(CHUNKED)
        for _ in range(LARGEST_BODY // len(piece) + 1000):
            connection.send(chunk(piece))

    return script


HUGE: Final[Mapping[str, Callable[[], Script]]] = {
    "gzip": lambda: wrong(lambda _: http(bomb("gzip"), "Content-Encoding: gzip")),
    "deflate": lambda: wrong(lambda _: http(bomb("deflate"), "Content-Encoding: deflate")),
    "members": lambda: wrong(lambda _: http(a_bomb_behind_an_answer(), "Content-Encoding: gzip")),
    "endless chunks": lambda: endless(bytes(_MEGABYTE)),
}


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """How many bytes have been in use at most, beyond those at the beginning."""
    for make in (many_members, a_bomb_behind_an_answer, lambda: bomb("gzip")):
        make()
    bomb("deflate")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.mark.case("B06")
@each(GET, UPDATE, CREATE)
@pytest.mark.parametrize("kind", list(HUGE))
async def test_a_body_above_the_cap(
    card: Card, peak: Callable[[], int], call: Call, kind: str
) -> None:
    met = await card.play(call, HUGE[kind]())
    met.ends(DecodeError, attempts=1, likely=True)
    assert "longer than" in str(met.error)
    assert peak() < LARGEST_BODY + _BESIDE


@pytest.mark.case("B06")
@pytest.mark.parametrize("kind", ["gzip", "members"])
async def test_an_export_is_never_held_in_memory(
    card: Card, peak: Callable[[], int], kind: str
) -> None:
    met = await card.play(EXPORT, HUGE[kind]())
    assert isinstance(met.error, DecodeError)
    # JSON is read as a whole, within the same cap as that of other calls.
    assert peak() < _BESIDE + (LARGEST_BODY if kind == "members" else 0)


PAGES: Final[Mapping[str, bytes]] = {
    "login": b"<!DOCTYPE html><html><body><form action='/login'>Password</form></body></html>",
    "help": b"<html><head><title>accounting Web Service</title></head></html>",
    "spaces before it": b"\r\n\r\n  <HTML lang=en><body>OK</body></HTML>",
    "a comment before it": b"<!-- x --><html><body>OK</body></html>",
    "XHTML": (
        b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x">'
        b'<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>'
    ),
}


@pytest.mark.case("B09")
@each(*CALLS, LOOK_UP, EXPORT)
@pytest.mark.parametrize(
    ("page", "kind"),
    [*((page, "text/html") for page in PAGES), ("login", "application/json"), ("help", "text/xml")],
)
async def test_a_page_of_html(card: Card, call: Call, page: str, kind: str) -> None:
    answer = http(PAGES[page], f"Content-Type: {kind}")
    met = await card.play(call, wrong(lambda _: answer))
    met.ends(DecodeError, attempts=1, likely=False)


def texts(body: bytes, reported: str) -> Callable[[bytes], bytes]:
    return lambda _: http(body, f"Content-Type: application/json; charset={reported}")


def with_name(call: Call, name: bytes) -> bytes:
    """A right body with one more text in it."""
    if call.xml:
        return call.body.replace(b"<success>", b"<x>" + name + b"</x><success>")
    return call.body.replace(b'"Success"', b'"Success","x":"' + name + b'"', 1)


WRITTEN: Final[Mapping[str, Callable[[Call], bytes]]] = {
    "latin-1": lambda call: with_name(call, "Müller".encode("latin-1")),
    "cut in a character": lambda call: with_name(call, b"M\xc3"),
    "overlong": lambda call: with_name(call, b"\xc0\xaf"),
    "surrogates": lambda call: with_name(call, b"\xed\xa0\x80"),
    "beyond Unicode": lambda call: with_name(call, b"\xf5\x80\x80\x80"),
    "UTF-16": lambda call: call.body.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda call: call.body.decode().encode("utf-16-le"),
    "UTF-32": lambda call: call.body.decode().encode("utf-32"),
    "UTF-7": lambda call: b"+" + call.body,
}


@pytest.mark.case("B10")
@each(*CALLS, LOOK_UP)
@pytest.mark.parametrize("written", list(WRITTEN))
async def test_text_that_is_not_utf_8(card: Card, call: Call, written: str) -> None:
    met = await card.play(call, wrong(texts(WRITTEN[written](call), "utf-8")))
    met.ends(DecodeError, attempts=1, likely=True)


@pytest.mark.case("B10")
@each(*JSON, LOOK_UP, EXPORT)
@pytest.mark.parametrize("reported", ["utf-8", "iso-8859-1", "nonsense"])
async def test_a_byte_order_mark_is_fine(card: Card, call: Call, reported: str) -> None:
    body = b"\xef\xbb\xbf" + with_name(call, "Müller".encode())
    met = await card.play(call, wrong(texts(body, reported)))
    met.succeeds(attempts=1)
