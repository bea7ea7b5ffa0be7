"""The reader of responses: what it takes, what it refuses, and that no cut of the bytes matters."""

import gc
import random
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._transport.response_reader import BEYOND_ANY, LARGEST_OVERHEAD, ResponseReader


@attrs.frozen
class Read:
    """All that a reader tells."""

    status: int | None = None
    headers: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    length: int | None = None
    framed: bool = True
    body: bytes = b""
    done: bool = True
    keep_alive: bool = True
    trailing_data: bool = False
    wrong: str | None = None


def told(reader: ResponseReader) -> Read:
    return Read(
        reader.status,
        reader.headers,
        reader.length,
        reader.framed,
        reader.take(),
        reader.done,
        reader.keep_alive,
        reader.trailing_data,
        reader.wrong,
    )


def read(pieces: Iterable[bytes], *, end: bool | None = None, tunnel: bool = False) -> Read:
    """What is read of these pieces; then the connection ends, cleanly or not, where one says so."""
    reader = ResponseReader()
    reader.begin(tunnel=tunnel)
    for piece in pieces:
        reader.feed(piece)
    if end is not None:
        reader.eof(end)
    return told(reader)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The bytes whole, one by one, in halves, and in pieces of random sizes."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    yield [data[: len(data) // 2], data[len(data) // 2 :]]
    chance = random.Random(len(data))  # noqa: S311 - no secret
    for _ in range(20):
        yield split(data, [chance.randrange(1, 40) for _ in range(60)])


def split(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def anyhow(data: bytes, *, end: bool | None = None, tunnel: bool = False) -> Read:
    """What is read of the bytes, however they are cut."""
    whole, *others = [read(pieces, end=end, tunnel=tunnel) for pieces in cuts(data)]
    assert others == [whole] * len(others)
    return whole


def head(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """A head; a header that is not ASCII is latin-1."""
    return "".join(f"{line}\r\n" for line in (f"HTTP/{version} {status}", *lines, "")).encode(
        "latin-1"
    )


CHUNKED = head("Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"


# What is read.


def test_a_body_by_its_length() -> None:
    data = head("Content-Type:  text/plain \t", "Content-Length: 5") + b"hello"
    pairs = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"5")]
    assert anyhow(data) == Read(200, pairs, length=5, body=b"hello")


@pytest.mark.parametrize("said", ["005", "5 ", " 5", "\t5", "0" * 5000 + "5"])
def test_a_length_with_zeros_and_blanks(said: str) -> None:
    one = read([head(f"Content-Length: {said}") + b"hello"])
    assert (one.length, one.body, one.done, one.wrong) == (5, b"hello", True, None)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1])
def test_a_length_that_is_huge_is_told(length: int) -> None:
    one = anyhow(head(f"Content-Length: {length}") + b"{")
    assert (one.status, one.length, one.body, one.done, one.wrong) == (
        200,
        length,
        b"{",
        False,
        None,
    )


@pytest.mark.parametrize("length", ["18446744073709551616", "99999999999999999999", "9" * 5000])
def test_a_length_beyond_all_numbers_counts_by_its_status(length: str) -> None:
    data = head("A: b", f"Content-Length: {length}", "C: d") + b"{"
    pieces = [[data], [data[at : at + 1] for at in range(len(data))]]
    for one in map(read, pieces):
        assert (one.status, one.length, one.framed) == (200, BEYOND_ANY, True)
        assert (one.done, one.wrong) == (False, "a Content-Length beyond any body")


def test_a_length_beyond_all_numbers_of_no_final_response() -> None:
    one = anyhow(head("Content-Length: 99999999999999999999", status="103 Early Hints"))
    assert (one.status, one.wrong) == (None, "a Content-Length beyond any body")


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"1\r\nh\r\n004\r\nello\r\n00\r\n\r\n",
        b"5 \r\nhello\r\n0  \r\n\r\n",
        b'5;a=b;c="d;e"\r\nhello\r\n0;f\r\n\r\n',
        b"5\r\nhello\r\n0\r\nDigest: x\r\nMore: y\r\n\r\n",
    ],
    ids=["plain", "zeros", "padded", "extensions", "trailers"],
)
def test_a_chunked_body(body: bytes) -> None:
    pairs = [(b"Transfer-Encoding", b"chunked")]
    assert anyhow(CHUNKED + body) == Read(200, pairs, body=b"hello")


def test_a_body_up_to_the_end() -> None:
    data = head("A: b") + b"hello"
    one = Read(200, [(b"A", b"b")], framed=False, body=b"hello", done=False, keep_alive=False)
    assert anyhow(data) == one
    assert anyhow(data, end=True) == attrs.evolve(one, done=True)
    cut = "the end of the connection within a body"
    assert anyhow(data, end=False) == attrs.evolve(one, wrong=cut)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked", "A: b"])
def test_a_status_without_a_body(status: int, framing: str) -> None:
    data = head(framing, status=str(status))
    one = anyhow(data)
    assert (one.status, one.length, one.framed, one.done) == (status, 0, True, True)
    assert one.keep_alive
    assert anyhow(data + b"hello") == attrs.evolve(one, trailing_data=True, keep_alive=False)


@pytest.mark.parametrize("reason", ["", " ", " OK", " \0\x01\x7f", " \xff"])
def test_a_reason_is_not_looked_at(reason: str) -> None:
    one = anyhow(head("Content-Length: 0", status=f"200{reason}"))
    assert (one.status, one.done, one.wrong) == (200, True, None)


@pytest.mark.parametrize("status", [100, 200, 599, 600, 999])
def test_statuses(status: int) -> None:
    data = head("Content-Length: 0", status=str(status))
    assert anyhow(data).status == (None if status < 200 else status)


def test_values_beyond_ascii() -> None:
    assert anyhow(head("A: \x80\xff", "Content-Length: 0")).headers[0] == (b"A", b"\x80\xff")


@pytest.mark.parametrize("status", [100, 102, 103, 104, 150, 199])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("line", ["Link: x", "Connection: close", "Content-Length: 0"])
def test_interim_responses_are_passed_over(status: int, version: str, line: str) -> None:
    interim = head(line, status=f"{status} Wait", version=version)
    final = head("Content-Length: 2") + b"ok"
    alone = Read(200, [(b"Content-Length", b"2")], length=2, body=b"ok")
    assert anyhow(interim + final) == anyhow(interim * 3 + final) == alone


def test_interim_responses_are_no_overhead() -> None:
    interim = head("Link: " + "x" * 1000, status="103")
    assert read([interim * 300 + head("Content-Length: 0")]).done


@pytest.mark.parametrize(
    ("version", "line", "kept"),
    [
        ("1.1", "A: b", True),
        ("1.1", "Connection: Close", False),
        ("1.1", "Connection: x, close, y", False),
        ("1.1", "Proxy-Connection: close", False),
        ("1.1", "Connection: closex", True),
        ("1.0", "A: b", False),
        ("1.0", "Connection: keep-alive", True),
    ],
)
def test_whether_the_connection_goes_on(*, version: str, line: str, kept: bool) -> None:
    assert anyhow(head(line, "Content-Length: 2", version=version) + b"ok").keep_alive is kept
    assert anyhow(head(line, "Content-Length: 0", version=version)).keep_alive is kept
    assert anyhow(head(line, status="204", version=version)).keep_alive is kept


def test_a_trailer_can_close_the_connection() -> None:
    one = anyhow(CHUNKED + b"0\r\nConnection: close\r\n\r\n")
    assert (one.done, one.keep_alive) == (True, False)


def test_it_goes_on_only_once_it_is_whole() -> None:
    assert not anyhow(head("Content-Length: 2") + b"o").keep_alive
    assert not anyhow(CHUNKED + b"2\r\nok\r\n").keep_alive


# What lies behind.


@pytest.mark.parametrize(
    "response",
    [
        head("Content-Length: 2") + b"ok",
        head("Content-Length: 2") + b"\r\n",
        head("Content-Length: 0"),
        head("Content-Length: 2", "Connection: close") + b"ok",
        head(status="204"),
        CHUNKED + LAST,
        CHUNKED + b"4\r\n\r\n\r\n\r\n" + LAST,
        CHUNKED + b"0\r\nA: b\r\n\r\n",
        head("Transfer-Encoding: chunked", "Connection: close") + LAST,
    ],
)
@pytest.mark.parametrize(
    "behind",
    [
        b"x",
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\0",
        b"x\r\n\r\n",
        head(status="204"),
        head("B: c", "Content-Length: 3") + b"abc",
        CHUNKED + b"1\r\nx\r\n" + LAST,
    ],
)
def test_what_lies_behind_is_trailing_data(response: bytes, behind: bytes) -> None:
    alone = anyhow(response)
    assert (alone.done, alone.trailing_data, alone.wrong) == (True, False, None)
    assert anyhow(response + behind) == attrs.evolve(alone, trailing_data=True, keep_alive=False)


def test_what_comes_before_a_request_is_trailing_data() -> None:
    reader = ResponseReader()
    reader.feed(b"")
    assert not reader.trailing_data
    reader.feed(head("Content-Length: 0", status="408 Request Timeout"))
    assert (reader.trailing_data, reader.status, reader.wrong) == (True, None, None)


def test_one_after_the_other() -> None:
    reader = ResponseReader()
    for body in (b"one", b"two", b""):
        reader.begin()
        reader.feed(head(f"Content-Length: {len(body)}") + body)
        pairs = [(b"Content-Length", b"%d" % len(body))]
        assert told(reader) == Read(200, pairs, length=len(body), body=body)
    reader.begin()
    assert told(reader) == Read(framed=False, done=False, keep_alive=False)


@pytest.mark.parametrize("framing", [head("Content-Length: 6"), CHUNKED, head()])
def test_a_body_is_taken_as_it_comes(framing: bytes) -> None:
    reader = ResponseReader()
    reader.begin()
    reader.feed(framing)
    assert (reader.unread, reader.take()) == (0, b"")
    for piece in (b"abc", b"def"):
        reader.feed(b"3\r\n%b\r\n" % piece if framing is CHUNKED else piece)
        assert (reader.unread, reader.take(), reader.unread, reader.take()) == (3, piece, 0, b"")


# What is refused.

BARE_LF = "a bare line feed"
BARE_CR = "a bare carriage return"
NO_NUMBER = "a Content-Length that is not a number"
BOTH = "both Content-Length and Transfer-Encoding"
NOT_CHUNKED = "a Transfer-Encoding other than chunked"
CONTROL = "an invalid character in a header"
NAME = "an invalid header name"
INTERIM = "an interim response with a body"
SWITCH = "a switch to another protocol"
TE = "Transfer-Encoding: "

REFUSED_HEADS = [
    (b"HTTP/1.1 200 OK\nA: b\r\n\r\n", BARE_LF),
    (b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", BARE_LF),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\n", BARE_LF),
    (b"HTTP/1.1 200 OK\n\n", BARE_LF),
    (b"HTTP/1.1 200 OK\rA: b\r\n\r\n", BARE_CR),
    (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", BARE_CR),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\rC: d\r\n\r\n", BARE_CR),
    (head("A: b", " c"), "a folded header"),
    (head("A: b", "\tc"), "a folded header"),
    (head(" A: b"), "a blank before the first header"),
    (head("Content-Length: 5", "Content-Length: 6"), "two values of Content-Length"),
    (head("Content-Length: 5", "content-length: 5"), "two values of Content-Length"),
    *((head(f"Content-Length: {said}"), NO_NUMBER) for said in ("5, 5", "-5", "+5", "0x5", "5a")),
    *((head(f"Content-Length: {said}"), NO_NUMBER) for said in ("5 5", "5_0", "", " ", "\xb2")),
    *((head("Content-Length: 5", TE + said), BOTH) for said in ("chunked", "gzip", "identity")),
    *((head(TE + said, "Content-Length: 5"), BOTH) for said in ("chunked", "gzip", "x")),
    *((head(TE + said), NOT_CHUNKED) for said in ("identity", "gzip", "chunked, gzip", "xchunked")),
    *((head(TE + said), NOT_CHUNKED) for said in ("chunked;q=1", "gzip, chunked", "")),
    (head(TE + "chunked, chunked"), NOT_CHUNKED),
    (head(TE + "chunked", TE + "chunked"), NOT_CHUNKED),
    (head(TE + "gzip", TE + "chunked"), NOT_CHUNKED),
    (head(TE + "chunked", version="1.0"), NOT_CHUNKED),
    *((head(f"A: b{control}c"), CONTROL) for control in "\0\x01\x0b\x0c\x1b\x7f"),
    *((head(f"{name}: b"), NAME) for name in ("A(", "A b", "A ", "", "\xe4", "A\0")),
    (head("no colon"), NAME),
    (head(status="20 OK"), "an invalid status"),
    (head(status="2000 OK"), "an invalid status"),
    (head(status="2OO OK"), "an invalid status"),
    (head(status="000 OK"), "an invalid status"),
    (head(status="099 OK"), "an invalid status"),
    (head(version="1.2"), "an invalid HTTP version"),
    (head(version="1.10"), "an invalid HTTP version"),
    (head(version="2.0"), "no HTTP/1"),
    (head(version="0.9"), "no HTTP/1"),
    (b"\r\n" + head(), "no HTTP/1"),
    (b"RTSP/1.0 200 OK\r\n\r\n", "no HTTP/1"),
    (b"ICY 200 OK\r\n\r\n", "no HTTP/1"),
    (b"http/1.1 200 OK\r\n\r\n", "no HTTP/1"),
    (b"<!DOCTYPE html><html></html>", "no HTTP/1"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no HTTP/1"),
    (b"\0\0\x12\x04\0\0\0\0\0", "no HTTP/1"),
    (b"\x15\x03\x01\0\x02\x02\x46", "no HTTP/1"),
    *((head("Content-Length: 5", status=f"{code}"), INTERIM) for code in (100, 103, 104, 199)),
    *((head(TE + "chunked", status=f"{code}"), INTERIM) for code in (100, 103, 104)),
    (head(status="101 Switching Protocols"), SWITCH),
    (head("Upgrade: x", "Connection: upgrade", status="101"), SWITCH),
    (head(status="100") + b"\r\n" + head(), "no HTTP/1"),
    (head(status="100") + b"RTSP/1.0 200 OK\r\n\r\n", "no HTTP/1"),
    (head(status="100") + head(version="2.0"), "no HTTP/1"),
    (head(status="100") + b"HTTP/1.1 200 OK\n", BARE_LF),
]


@pytest.mark.parametrize(("data", "why"), REFUSED_HEADS)
def test_a_head_that_is_refused(data: bytes, why: str) -> None:
    for end in (None, True):
        one = anyhow(data, end=end)
        assert (one.status, one.wrong) == (None, why)
        assert (one.done, one.keep_alive, one.trailing_data, one.body) == (False, False, False, b"")
    # What follows does not change it.
    assert anyhow(data + head("Content-Length: 0")) == anyhow(data)


REFUSED_CHUNKS = [
    *((size + b"\r\nhello\r\n", "an invalid chunk size") for size in (b"g", b"", b"0x5", b"-5")),
    *((size + b"\r\nhello\r\n", "an invalid chunk size") for size in (b"+5", b"1" + b"0" * 16)),
    (b"4\r\nhello\r\n", "a chunk longer than its size"),
    (b"5\nhello\r\n", BARE_LF),
    (b"5\r\nhello\n0\r\n\r\n", BARE_LF),
    (b"5\r\nhello\r\n0\r\n\n", BARE_LF),
    (b"5\r\nhello\r\n0\n\r\n", BARE_LF),
    (b"5;a\nhello\r\n", BARE_LF),
    (b'5;a="b\r\n"\r\nhello\r\n', "Invalid character in chunk extensions quoted value"),
    (b"0\r\nContent-Length: 5\r\n\r\n", BOTH),
]


@pytest.mark.parametrize(("body", "why"), REFUSED_CHUNKS)
def test_a_chunk_that_is_refused(body: bytes, why: str) -> None:
    one = anyhow(CHUNKED + b"3\r\nabc\r\n" + body, end=True)
    assert (one.status, one.done, one.keep_alive, one.wrong) == (200, False, False, why)
    # The head counts, and so do the pieces before.
    assert one.body.startswith(b"abc")


def test_the_largest_chunk_is_told() -> None:
    one = anyhow(CHUNKED + b"f" * 16 + b"\r\nhello")
    assert (one.body, one.done, one.wrong) == (b"hello", False, None)


def test_nothing_that_came_is_quoted() -> None:
    canary = "cAnArY"
    inputs = [
        head(f"{canary} : x"),
        head(f"A: {canary}\0"),
        head(f"Content-Length: {canary}"),
        head(f"Transfer-Encoding: {canary}"),
        canary.encode(),
        head(status=canary),
        head(version=canary),
        CHUNKED + canary.encode() + b"\r\n",
        head(f"{canary}: x", status="101"),
    ]
    for data in inputs:
        wrong = read([data]).wrong
        assert wrong is not None
        assert canary not in wrong


# The end of the connection.

NO_BYTE = "no byte at all"
IN_HEAD = "the end of the connection within a head"
IN_BODY = "the end of the connection within a body"


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize(
    ("data", "status", "why"),
    [
        (b"", None, NO_BYTE),
        (b"H", None, IN_HEAD),
        (head()[:-1], None, IN_HEAD),
        (head(status="100"), None, NO_BYTE),
        (head("Content-Length: 2"), 200, IN_BODY),
        (head("Content-Length: 2") + b"o", 200, IN_BODY),
        (CHUNKED, 200, IN_BODY),
        (CHUNKED + b"2\r\nok\r\n", 200, IN_BODY),
        (CHUNKED + b"0\r\n", 200, IN_BODY),
    ],
)
def test_an_end_too_early(*, data: bytes, status: int | None, why: str, clean: bool) -> None:
    one = anyhow(data, end=clean)
    assert (one.status, one.done, one.keep_alive, one.wrong) == (status, False, False, why)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize(
    "data", [head("Content-Length: 2") + b"ok", CHUNKED + LAST, head(status="204")]
)
def test_an_end_behind_a_response(*, data: bytes, clean: bool) -> None:
    assert anyhow(data, end=clean) == attrs.evolve(anyhow(data), keep_alive=False)


# A proxy's response to CONNECT.


@pytest.mark.parametrize("line", ["A: b", "Content-Length: 5", "Transfer-Encoding: gzip"])
def test_a_tunnel_begins_behind_the_head(line: str) -> None:
    data = head(line, status="200 Connection established")
    one = anyhow(data, tunnel=True)
    assert (one.status, one.length, one.done, one.wrong) == (200, 0, True, None)
    for behind in (b"x", b"\r\n", head()):
        more = anyhow(data + behind, tunnel=True)
        assert (more.trailing_data, more.wrong) == (True, "bytes after the response of the proxy")


def test_a_proxy_that_refuses_may_say_more() -> None:
    data = head("Content-Length: 2", status="407") + b"no"
    one = anyhow(head(status="100") + data, tunnel=True)
    assert (one.status, one.done, one.trailing_data, one.keep_alive, one.wrong) == (
        407,
        True,
        True,
        False,
        None,
    )


# What is bounded.


def bounded(data: bytes, at: int) -> str | None:
    """Why the bytes are refused, which must be with the one at this place, however they are cut."""
    for pieces in (
        [data],
        split(data, [at]),
        split(data, [1, at - 2, 1]),
        split(data, [7000] * 99),
    ):
        assert read(pieces).wrong is not None
    assert read([data[:at]]).wrong is None
    assert read(split(data[:at], [7000] * 99)).wrong is None
    assert len({read(split(data, [size] * 99)).wrong for size in (1500, 7000, 65536)}) == 1
    return read([data[: at + 1]]).wrong


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nA: ", head(status="100") + b"HTTP/1.1 200 OK\r\nA: "],
    ids=["status line", "header", "after an interim response"],
)
def test_a_head_is_bounded(start: bytes) -> None:
    at = start.rindex(b"HTTP") + LARGEST_OVERHEAD
    assert bounded(start + b"x" * 200_000, at) == "a head of more than 100000 bytes"


def test_many_headers_are_bounded() -> None:
    assert read([head(*["A: b"] * 30_000)]).wrong == "a head of more than 100000 bytes"


def test_a_head_of_just_the_bound() -> None:
    short = head("A: ", "Content-Length: 0")
    data = head("A: " + "x" * (LARGEST_OVERHEAD - len(short)), "Content-Length: 0")
    assert len(data) == LARGEST_OVERHEAD
    assert read([data]).done
    assert read([data + b"x"]).trailing_data
    assert read([data[:10], data[10:-1], data[-1:]]).done


EMPTY = "100000 bytes of a chunked body with nothing in them"


@pytest.mark.parametrize(
    "start",
    [b"5;a=", b"", b"0\r\nA: "],
    ids=["extension", "zeros of a size", "trailer"],
)
def test_overhead_of_chunks_is_bounded(start: bytes) -> None:
    at = len(CHUNKED) + LARGEST_OVERHEAD - 1
    assert bounded(CHUNKED + start + b"0" * 300_000, at) == EMPTY


def test_overhead_behind_a_long_body_is_bounded() -> None:
    data = CHUNKED + b"%x\r\n%b\r\n" % (500_000, b"x" * 500_000) + b"5;a=" + b"x" * 300_000
    for size in (1, 1500, 65536, len(data)):
        one = read(split(data, range(size, 2)) if size == 1 else split(data, [size] * 600))
        assert (len(one.body), one.wrong) == (500_000, EMPTY)


def test_small_chunks_are_no_overhead() -> None:
    data = CHUNKED + b"1;abcdef\r\nx\r\n" * 100_000 + LAST
    for size in (1500, 65536, len(data)):
        one = read(split(data, [size] * 1000))
        assert (len(one.body), one.done, one.wrong) == (100_000, True, None)


@pytest.mark.parametrize("spare", [0, 1])
def test_a_chunked_body_that_ends_with_a_window(spare: int) -> None:
    data = CHUNKED + b"0;a=" + b"x" * (LARGEST_OVERHEAD - 8 - spare) + b"\r\n\r\n"
    assert len(data) == len(CHUNKED) + LARGEST_OVERHEAD - spare
    for behind in (b"", b"x"):
        one = read([data + behind])
        assert (one.done, one.trailing_data, one.wrong) == (True, bool(behind), None)


# What is kept.


def test_a_whole_response_refers_to_nothing() -> None:
    class Reader(ResponseReader):
        pass

    gc.disable()
    try:
        for data in (head("Content-Length: 2") + b"ok", CHUNKED + LAST, b"x", head(status="204")):
            reader = Reader()
            reader.begin()
            reader.feed(data)
            gone = weakref.ref(reader)
            del reader
            assert gone() is None
    finally:
        gc.enable()


def test_an_interrupt_within_the_parser_is_not_lost() -> None:
    class Interrupted(ResponseReader):
        def on_headers_complete(self) -> None:
            raise KeyboardInterrupt

    reader = Interrupted()
    reader.begin()
    with pytest.raises(KeyboardInterrupt):
        reader.feed(head("A: b"))


def test_no_memory_is_a_fault_like_others() -> None:
    class Full(ResponseReader):
        def on_headers_complete(self) -> None:
            raise MemoryError

    reader = Full()
    reader.begin()
    reader.feed(head("A: b"))
    assert reader.wrong == "a response that could not be held"


# Any bytes.

WORDS: list[Any] = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404 \r\n", b"HTTP/1.1 100\r\n", b"HTTP/1.1 204 x\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Connection: close\r\n", b"A: b\r\n", b"\r\n", b"\n", b"\r", b"hello", b"5\r\nhello\r\n"),
    *(b"0\r\n\r\n", b"5;a=b\r\n", b" ", b"\0", b"HTTP/1.1 101\r\n", b"0\r\nA: b\r\n\r\n"),
]


@given(
    data=st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=12).map(b"".join),
    sizes=st.lists(st.integers(0, 30), max_size=12),
    end=st.sampled_from([None, True, False]),
    tunnel=st.booleans(),
)
def test_no_cut_matters(*, data: bytes, sizes: list[int], end: bool | None, tunnel: bool) -> None:
    whole = read([data], end=end, tunnel=tunnel)
    assert read([data[at : at + 1] for at in range(len(data))], end=end, tunnel=tunnel) == whole
    assert read(split(data, sizes), end=end, tunnel=tunnel) == whole
    assert not (whole.done and whole.wrong) or tunnel
    assert whole.done or not (whole.keep_alive or whole.trailing_data)
