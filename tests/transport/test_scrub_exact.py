"""A key is taken out to its last character, and no text around it."""

import base64
import html
import json
import logging
import math
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from aiocake._transport import redaction
from aiocake._transport.redaction import Scrubber, watch_logs
from aiocake.values import Secret


def scrubber_of(*keys: str) -> Scrubber:
    made = Scrubber()
    for key in keys:
        made.learn(Secret(key))
    return made


ALPHABET = "abcdefghijklmnop"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        # Seven characters at either end are no piece, eight are.
        ("abcdefg", "abcdefg"),
        ("jklmnop", "jklmnop"),
        ("ijklmnop", "<key>"),
        # Pieces that touch are one, others are not.
        ("ijklmnopabcdefgh", "<key>"),
        ("abcdefgh-ijklmnop", "<key>-<key>"),
        ("-abcdefgh", "-<key>"),
        ("x61x62x63x64x65x66x67x68x69x6ax6bx6cx6dx6ex6fx70", None),
        ("u0061u0062u0063u0064u0065u0066u0067u0068", None),
    ],
)
def test_pieces(text: str, cleaned: str | None) -> None:
    assert scrubber_of(ALPHABET).scrub(text) == (text if cleaned is None else cleaned)


def test_a_piece_of_an_encoded_key() -> None:
    key = "abc/def/ghi&jkl<mno"
    scrubber = scrubber_of(key)
    for whole in (quote(key, safe=""), html.escape(key)):
        for at in range(len(whole) - 8):
            part = whole[at : at + 8]
            assert scrubber.scrub(f"\t{part}\t") == "\t<key>\t"


def test_every_key_and_every_piece_stays_secret() -> None:
    scrubber = scrubber_of(ALPHABET, "0123456789ABCDEF", ALPHABET, "")
    assert len(scrubber._patterns) == len(scrubber._secrets) == 2
    assert scrubber.scrub("abcdefgh 01234567") == "<key> <key>"
    assert scrubber.scrub(f"{ALPHABET} 0123456789ABCDEF") == "<key> <key>"


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("length", range(5, 15))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_of_base64_each_character_goes_that_holds_nothing_but_the_key(
    before: int, after: int, length: int, encode: Callable[[bytes], bytes]
) -> None:
    key = "k?>~9.zQ_x&12y"[:length]
    text = encode(b"\xff" * before + key.encode() + b"\xff" * after).decode()
    first = math.ceil(before * 8 / 6)
    last = (before + length) * 8 // 6
    if not after:
        # What stands behind it is padding, and no other's bits.
        last = len(text.rstrip("="))
    scrubber = scrubber_of(key)
    cleaned = scrubber.scrub(text)
    assert scrubber.scrub_headers({"location": text}) == {"location": cleaned}
    left = cleaned.partition("<key>")
    assert left[0] == text[:first]
    assert left[1] == "<key>"
    assert left[2] in {text[last:], text[last - 1 :]}
    if before % 3 == 0 or after:
        assert left[2] == text[last:]


#: Secrets that are made of escapes, and what has to be escaped itself.
ESCAPES = [
    "%25" * 8,
    "&amp;/" * 6,
    '\\x5c"' * 8,
    "\\u005c<" * 6,
    "&#38;/' " * 7,
    # How it is written in one way begins with how it is written in another.
    "%25" * 8 + "&",
    "%25" * 8 + "\\",
]
WHOLES: list[Callable[[str], str]] = [
    str,
    lambda key: quote(key, safe=""),
    lambda key: quote(quote(key, safe=""), safe=""),
    quote_plus,
    html.escape,
    lambda key: html.escape(html.escape(key)),
    lambda key: html.escape(quote(key, safe="")),
    lambda key: html.escape(quote_plus(key)),
    lambda key: json.dumps(key)[1:-1],
    lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    lambda key: json.dumps(html.escape(key))[1:-1],
    *(
        lambda key, form=form: "".join(form.format(ord(each)) for each in key)
        for form in (
            "%{:02x}",
            "%{:02X}",
            "&#{};",
            "&#x{:x};",
            "&#x{:X};",
            "\\x{:02x}",
            "\\u{:04x}",
        )
    ),
]


@pytest.mark.parametrize("key", ESCAPES)
@pytest.mark.parametrize("write", WHOLES)
def test_a_key_of_escapes_goes_whole(key: str, write: Callable[[str], str]) -> None:
    scrubber = scrubber_of(key)
    assert scrubber.scrub(f"\t{write(key)}\t") == "\t<key>\t"
    # Headers are searched for whole keys first, and for pieces only when there is one.
    assert scrubber.scrub_headers({"location": f"\t{write(key)}\t"}) == {"location": "\t<key>\t"}


def test_a_key_of_three_escapes_is_still_found_in_a_mixture() -> None:
    key = "a%25b%25c%25d"
    mixed = "\\u0061%2525b%25&#50;5c%25" + "25d"
    assert scrubber_of(key).scrub(f"\t{mixed}\t") == "\t<key>\t"


def test_backslashes_are_counted_with_those_that_escape() -> None:
    scrubber = scrubber_of("0123\\4567")
    for count, cleaned in ((1, "<key>"), (2, "<key>"), (4, "<key>"), (7, "<key>")):
        assert scrubber.scrub("0123" + "\\" * count + "4567") == cleaned
    eight = "0123" + "\\" * 8 + "4567"
    assert scrubber.scrub(eight) == eight
    scrubber = scrubber_of("0123\\\\4567")
    for count, cleaned in ((2, "<key>"), (8, "<key>"), (11, "<key>")):
        assert scrubber.scrub("0123" + "\\" * count + "4567") == cleaned
    for count in (1, 12):
        text = "0123" + "\\" * count + "4567"
        assert scrubber.scrub(text) == text
    # The last one belongs to the escape of the next character.
    assert scrubber_of("ab\\cdefgh").scrub("ab\\\\\\x63defgh") == "<key>"


def test_a_text_that_nearly_holds_a_key_of_backslashes_is_read_once() -> None:
    """With each backslash read as a part of the key and as an escape, this would never end."""
    text = "\\\\\\\\a" * 24 + "x"
    assert scrubber_of("\\a" * 25).scrub(text).endswith("x")


def test_each_logger_is_watched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        f"{package}.{name}"
        for package in ("httpcore", "httpcore2")
        for name in ("connection", "http11", "http2", "proxy", "socks")
    ]
    for name in names:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    root = list(logging.getLogger().filters)
    scrubber = scrubber_of(ALPHABET)
    for _ in range(2):
        watch_logs(scrubber)
    for name in names:
        assert logging.getLogger(name).filters == [redaction._filter]
    assert logging.getLogger().filters == root


def test_a_fresh_filter_works() -> None:
    made = redaction._Filter()
    scrubber = scrubber_of(ALPHABET)
    made.add(scrubber)
    record = logging.LogRecord("x", 10, "x", 1, "%s: %s", ("a", ALPHABET), None)
    assert made.filter(record) is True
    assert record.getMessage() == "a: <key>"


def test_of_an_answer_its_status_alone_is_logged() -> None:
    made = redaction._Filter()
    for text, logged in (
        (
            "receive_response_headers.complete return_value=(b'HTTP/1.1', 200, b'OK', [])",
            "receive_response_headers.complete return_value=(b'HTTP/1.1', 200, …",
        ),
        ("receive_response_body.failed exception=Broken(a\nb)", None),
        ("send_request_headers.started request=x", "send_request_headers.started request=x"),
    ):
        record = logging.LogRecord("x", 10, "x", 1, text, None, None)
        made.filter(record)
        assert record.getMessage() == (logged or "receive_response_body.failed exception=Broken(…")
