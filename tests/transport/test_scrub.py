"""The key does not come out again, whatever it has been turned into."""

import base64
import gc
import html
import json
import logging
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._transport.redaction import Scrubber, watch_logs
from aiocake.values import Secret

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8, max_size=50)


def every_character(key: str, form: str) -> str:
    return "".join(form.format(ord(character)) for character in key)


FORMS = {
    "raw": str,
    "percent": lambda key: urllib.parse.quote(key, safe=""),
    "percent, lower case": lambda key: every_character(key, "%{:02x}"),
    "percent, all of it": lambda key: every_character(key, "%{:02X}"),
    "percent, twice": lambda key: urllib.parse.quote(urllib.parse.quote(key, safe=""), safe=""),
    "form": urllib.parse.quote_plus,
    "html": html.escape,
    "html, twice": lambda key: html.escape(html.escape(key)),
    "decimal references": lambda key: every_character(key, "&#{};"),
    "hexadecimal references": lambda key: every_character(key, "&#x{:X};"),
    "json": lambda key: json.dumps(key)[1:-1],
    "unicode escapes": lambda key: every_character(key, "\\u{:04x}"),
    "repr": lambda key: repr(key)[1:-1],
    "bytes": lambda key: repr(key.encode())[2:-1],
    "mixed": lambda key: key[:4] + urllib.parse.quote(key[4:], safe=""),
}


@pytest.mark.parametrize("form", FORMS)
@given(key=KEYS)
def test_each_form_of_a_key_is_taken_out_whole(form: str, key: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    assert scrubber.scrub(f"[[{FORMS[form](key)}]]") == "[[<key>]]"


@given(key=KEYS, data=st.data())
def test_a_text_that_was_cut_within_a_key_gives_little_of_it_away(
    key: str, data: st.DataObject
) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    for written in (key, urllib.parse.quote(key, safe=""), html.escape(key)):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(written))] * 2)))
        part = written[at:end]
        cleaned = scrubber.scrub(f"\t{part}\t")
        for each in range(len(written) - 7):
            assert written[each : each + 8] not in cleaned
        if written == key:
            assert cleaned == ("\t<key>\t" if len(part) >= 8 else f"\t{part}\t")


def test_pieces_of_keys_are_taken_out_one_by_one() -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret("abcdefghijklmnop"))
    for text, cleaned in [
        ("abcdefg", "abcdefg"),
        ("abcdefgh", "<key>"),
        ("x ijklmnop", "x <key>"),
        ("abcdefgh…ijklmnop", "<key>…<key>"),
        ("abcdefghi abcdefgh", "<key> <key>"),
        ("bcdefghijklmno", "<key>"),
        ("defghijkX", "<key>X"),
        ("abcdefghijklmnop", "<key>"),
        ("", ""),
    ]:
        assert scrubber.scrub(text) == cleaned
    assert scrubber.scrub_headers({"a": "abcdefghij", "b": "abcdefghijklmnop"}) == {
        "a": "<key>",
        "b": "<key>",
    }


@pytest.mark.parametrize("fold", [str.lower, str.upper, str.swapcase])
def test_a_key_in_another_case_is_taken_out(fold: Callable[[str], str]) -> None:
    """As in the URL that a server of .NET repeats in lower case."""
    scrubber = Scrubber()
    scrubber.learn(Secret("AbCd-EfGhIj+KlMnOp"))
    for text in ("AbCd-EfGhIj+KlMnOp", "AbCd-EfGhIj%2BKlMnOp", "%41bCd-EfGhIj&#43;KlMnOp"):
        assert scrubber.scrub(fold(text)) == "<key>"
        assert scrubber.scrub_headers({"location": fold(text)}) == {"location": "<key>"}
    assert scrubber.scrub(fold("x AbCd-EfG…")) == fold("x <KEY>…").replace(fold("<KEY>"), "<key>")


def test_a_short_key_is_taken_out_in_its_own_case() -> None:
    scrubber = Scrubber()
    for key in ("Ab12-Cd", "Efgh-567"):  # of 7 characters, and of 8
        scrubber.learn(Secret(key))
    kept = {"a": "ab12-cd"}
    assert scrubber.scrub_headers(kept) == kept
    assert scrubber.scrub("ab12-cd") == "ab12-cd"
    cleaned = {"a": "<key>", "b": "<key>"}
    assert scrubber.scrub_headers({"a": "Ab12-Cd", "b": "EFGH-567"}) == cleaned
    assert scrubber.scrub_headers({"a": "Ab12-Cd", "b": "x"}) == {"a": "<key>", "b": "x"}


@given(key=KEYS, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_gives_no_part_of_a_key_away(key: str, before: bytes, after: bytes) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    for encode, decode in (
        (base64.b64encode, base64.b64decode),
        (base64.urlsafe_b64encode, base64.urlsafe_b64decode),
    ):
        text = encode(before + key.encode() + after).decode()
        cleaned = scrubber.scrub(text)
        assert "<key>" in cleaned
        left = cleaned.replace("<key>", "A" * (len(text) - len(cleaned) + len("<key>")))
        assert key.encode()[1:-1] not in decode(left)


SHORT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=7)


@pytest.mark.parametrize("form", FORMS)
@given(key=SHORT)
def test_a_short_key_is_taken_out_where_it_stands_alone(form: str, key: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    for before, after in [("[[", "]]"), ("", ""), ("'", "'"), ("a ", " b"), ("=", "&"), (">", "<")]:
        text = f"{before}{FORMS[form](key)}{after}"
        assert scrubber.scrub(text).count("<key>") >= 1, text


@pytest.mark.parametrize(
    ("key", "text", "cleaned"),
    [
        ("a", "a bad name: nothing was read", "<key> bad name: nothing was read"),
        ("is", "this is his", "this <key> his"),
        ("12", "12 of 2012, 12.50, 0.12, 12%", "<key> of 2012, 12.50, 0.12, <key>%"),
        ("12", "12a a12 12", "12a a12 <key>"),
        ("ab", "cab abc ab_ _ab éab abé ab1", "cab abc ab_ _ab éab abé ab1"),
        ("_a_", "x_a_ _a_x _a_", "x_a_ _a_x <key>"),
        ("ab", "/x?api_key=ab&y=abc", "/x?api_key=<key>&y=abc"),
        ("ab", "/x?api_key=abc", "/x?api_key=<key>c"),
        ("ab", "/x?Api_Key=abc", "/x?Api_Key=<key>c"),
        ("ab", "API_KEY%3dabc", "API_KEY%3d<key>c"),
        ("ab", "%2Fx%3Fapi_key%3Dab%26y%3Dabc", "%2Fx%3Fapi_key%3D<key>%26y%3Dabc"),
        ("ab", "api_key%253Dabc", "api_key%253D<key>c"),
        ("ab", "%20ab%20", "%20<key>%20"),
        ("ab", "api_key=%61%62c", "api_key=<key>c"),
        ("ab", r"x\nab\n", r"x\n<key>\n"),
        ("ab", r"\u0022ab\u0022", r"\u0022<key>\u0022"),
        ("ab", r"\x22ab\x22", r"\x22<key>\x22"),
        ("ab", "&#34;ab&#34; &quot;ab&quot;", "&#34;<key>&#34; &quot;<key>&quot;"),
        ("ab", "<api_key>ab</api_key>", "<api_key><key></api_key>"),
        ("ab", '{"api_key":"ab"}', '{"api_key":"<key>"}'),
        ("ab", "user:ab@proxy", "user:<key>@proxy"),
        ("-b-", "a-b-c", "a<key>c"),
        ("abcdefg", "xabcdefg abcdefg", "xabcdefg <key>"),
        ("abcdefgh", "xabcdefghx", "x<key>x"),
        ("abcdefgh", "xabcdefg%68x", "x<key>x"),
    ],
)
def test_a_short_key_is_no_part_of_a_longer_word(key: str, text: str, cleaned: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    assert scrubber.scrub(text) == cleaned


def test_other_texts_stay_as_they_are() -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret("abcdefgh"))
    for text in ("", "abcdefg", "nothing of it", "abcdefg h", "%61%62 &#97;"):
        assert scrubber.scrub(text) == text
    assert Scrubber().scrub("abcdefgh") == "abcdefgh"


def test_old_keys_stay_secret_and_empty_ones_are_none() -> None:
    scrubber = Scrubber()
    for text in ("first-key", "second-key", "first-key", ""):
        scrubber.learn(Secret(text))
    assert scrubber.scrub("first-key second-key third-key") == "<key> <key> third-key"


def test_headers_are_cleaned() -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret("abcdefgh"))
    plain = {"server": "IIS", "date": "today"}
    assert scrubber.scrub_headers(plain) is plain
    echo = {"location": "/login?back=%2Fapi%3Fapi_key%3Dabcdefgh", "server": "IIS"}
    assert scrubber.scrub_headers(echo) == {
        "location": "/login?back=%2Fapi%3Fapi_key%3D<key>",
        "server": "IIS",
    }


def test_a_text_made_to_be_slow_is_not() -> None:
    # Each of these takes minutes when a repetition in the pattern is not bounded.
    scrubber = Scrubber()
    scrubber.learn(Secret("k" * 40))
    for text in ("\\" * 1_000_000, "%" + "25" * 500_000, "&" + "amp;" * 250_000):
        assert scrubber.scrub(text) == text
    assert scrubber.scrub("k" * 39 + "x") == "<key>x"


@pytest.mark.parametrize("package", ["httpcore", "httpcore2"])
def test_the_logs_of_other_transports_are_cleaned(
    caplog: pytest.LogCaptureFixture, package: str
) -> None:
    caplog.set_level(1)
    scrubber = Scrubber()
    scrubber.learn(Secret("abcdefgh"))
    watch_logs(scrubber)
    for name in ("connection", "http11", "http2", "proxy", "socks"):
        logging.getLogger(f"{package}.{name}").debug("%s and %s", "key=abcdefgh", b"abc%64efgh")
    assert [record.getMessage() for record in caplog.records] == ["key=<key> and b'<key>'"] * 5
    del scrubber
    gc.collect()
    logging.getLogger(f"{package}.http11").debug("key=abcdefgh")
    assert caplog.records[-1].getMessage() == "key=abcdefgh"
