"""Numbers, waits and keys in texts that a server may write in any way."""

import html
import json
import math
import re
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aiocake._codec.strict_json import parse
from aiocake._pipeline.retry_after import retry_after
from aiocake._transport.redaction import Scrubber
from aiocake.errors import DecodeError
from aiocake.values import Secret

# Numbers of JSON

DIGITS = st.text("0123456789", min_size=1, max_size=40)
NUMBERS = st.builds(
    lambda sign, whole, fraction, exponent: sign + (whole.lstrip("0") or "0") + fraction + exponent,
    st.sampled_from(["", "-"]),
    DIGITS,
    st.just("") | DIGITS.map(".{}".format),
    st.just("")
    | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), DIGITS),
)


@given(text=NUMBERS)
@example(text="-0")
@example(text="-0.0")
@example(text="1e28")
@example(text="1e29")
@example(text="1E-28")
@example(text="9" * 28)
@example(text="1" + "0" * 28)
def test_a_number_of_json_is_exactly_what_it_says_or_is_refused(text: str) -> None:
    try:
        value = parse(f'{{"a":[{text}]}}'.encode())
    except DecodeError:
        shown = re.fullmatch(r"-?([0-9.]+)(?:[eE][+-]?([0-9]+))?", text)
        assert shown is not None
        # Nor is an exponent taken that fills itself up with zeros.
        long = len(shown[1]) > 28 or len(shown[2] or "") > 4
        assert long or abs(Decimal(text).as_tuple().exponent) > 28  # type: ignore[arg-type] # a number, no NaN
        return
    assert isinstance(value, dict)
    (number,) = value["a"]
    assert type(number) in {int, Decimal}
    _, digits, exponent = Decimal(text).as_tuple()
    assert len(digits) <= 28
    assert abs(exponent) <= 28  # type: ignore[arg-type] # the same
    # The very digits: 1.50 is not 1.5, and -0 is not 0.
    assert Decimal(number).as_tuple() == Decimal(text).as_tuple()


@given(text=st.text(st.sampled_from("0123456789.-+eE_ \u0661xNaInfity"), max_size=12))
def test_what_is_no_number_of_json_is_refused(text: str) -> None:
    body = f'{{"a":{text}}}'.encode()
    try:
        json.loads(body, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(DecodeError):
            parse(body)


# Waits

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - made aware
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
ODD = st.text(max_size=30) | st.text("0123456789.-+eE :,GMTonSu", max_size=30)


def imf(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@given(then=MOMENTS, now=MOMENTS)
def test_a_date_is_read_against_the_answers_own(then: datetime, now: datetime) -> None:
    seconds = retry_after({"retry-after": imf(then), "date": imf(now)})
    expected = (then - now).total_seconds()
    assert seconds == (expected if expected > 0 else None)
    assert retry_after({"retry-after": imf(then)}) is None


@given(number=st.integers(0, 10**11), zeros=st.integers(0, 20), spaces=st.text(" \t", max_size=3))
def test_digits_are_seconds_or_milliseconds(number: int, zeros: int, spaces: str) -> None:
    text = spaces + "0" * zeros + str(number) + spaces
    assert retry_after({"retry-after": text}) == (number or None)
    milliseconds = retry_after({"retry-after-ms": text, "retry-after": "1"})
    assert milliseconds == (pytest.approx(number / 1000) if number else None)


@given(asked=ODD, exact=ODD | st.none(), now=ODD | MOMENTS.map(imf))
def test_any_wait_is_none_or_lies_ahead(asked: str, exact: str | None, now: str) -> None:
    headers = {"retry-after": asked, "date": now}
    if exact is not None:
        headers["retry-after-ms"] = exact
    seconds = retry_after(headers)
    assert seconds is None or (math.isfinite(seconds) and seconds > 0)


# Keys

#: Keys as CAKE makes them, and as nobody does.
KEYS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=12, max_size=50
) | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=12, max_size=50)
#: Ways to write one character.
WAYS: list[Callable[[str], str]] = [
    str,
    lambda c: f"%{ord(c):02x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: f"%25{ord(c):02X}",
    lambda c: f"%2525{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#0{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: f"&amp;#X{ord(c):X};",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"\\u{ord(c):04X}",
    html.escape,
]
UNDONE: list[Callable[[str], str]] = [
    urllib.parse.unquote,
    html.unescape,
    lambda text: text.replace("\\\\", "\\").replace('\\"', '"'),
]
ESCAPES = ("%25", "&amp;", "&#", "\\x", "\\u")


def readings(text: str) -> set[str]:
    """What a text comes to, when it is unescaped up to three times in whatever ways."""
    found = {text}
    for _ in range(3):
        found |= {undo(each) for undo in UNDONE for each in found}
    return found


@given(key=KEYS, ways=st.lists(st.sampled_from(WAYS), min_size=50, max_size=50))
def test_a_key_in_any_mixture_of_disguises_is_taken_out(
    key: str, ways: list[Callable[[str], str]]
) -> None:
    assume(sum(map(key.count, ESCAPES)) <= 3)
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    disguised = "".join(way(character) for way, character in zip(ways, key, strict=False))
    cleaned = scrubber.scrub(f"\t{disguised}\t")
    assert cleaned == "\t<key>\t"
    assert not any(key in each for each in readings(cleaned))


@pytest.mark.parametrize(
    "key", ["%25" * 16, "&amp;" * 10, "\\x5c" * 12, "\\u005c" * 8, "&#38;" * 10]
)
@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda key: urllib.parse.quote(key, safe=""),
        lambda key: urllib.parse.quote(urllib.parse.quote(key, safe=""), safe=""),
        html.escape,
        lambda key: html.escape(urllib.parse.quote(key, safe="")),
        lambda key: json.dumps(key)[1:-1],
        lambda key: "".join(f"%{ord(each):02X}" for each in key),
        lambda key: "".join(f"&#{ord(each)};" for each in key),
        lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    ],
)
def test_a_key_that_is_made_of_escapes_is_taken_out_as_a_whole(
    key: str, write: Callable[[str], str]
) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    cleaned = scrubber.scrub(f"\t{write(key)}\t")
    assert not any(key in each for each in readings(cleaned))


@given(key=KEYS, text=st.text(max_size=200))
def test_what_holds_no_key_stays(key: str, text: str) -> None:
    assume(not any(key[at : at + 8] in text for at in range(len(key) - 7)))
    assume(not set(text) & set("%&\\"))
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    assert scrubber.scrub(text) == text


@given(
    key=st.text("%25&amp;\\xu05c#;38", min_size=1, max_size=50),
    text=st.text("%25&amp;\\xu05c#;38", max_size=400),
)
@example(key="\\" * 50, text="\\" * 400 + "x")
@example(key="\\a" * 25, text="\\\\\\\\a" * 80)
@example(key="%" * 50, text="%25" * 130)
@example(key=";" * 50, text="&#59;" * 80)
def test_no_text_keeps_the_search_for_a_key_from_its_end(key: str, text: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(Secret(key))
    if len(key) >= 8:
        assert key not in scrubber.scrub(text + key).replace("<key>", "\0")
    else:  # which is hidden where it is no part of a longer word
        assert scrubber.scrub(f"{text} {key}").endswith("<key>")
