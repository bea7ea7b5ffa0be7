"""How long a server asks to wait, in all the ways in which servers say it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._pipeline.retry_after import retry_after

NOW = "Mon, 23 Nov 2026 04:21:19 GMT"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("1", 1.0),
        ("120", 120.0),
        (" 7\t", 7.0),
        ("007", 7.0),
        ("2.5", 3.0),
        ("299.997", 300.0),
        ("7.000", 7.0),
        ("0.001", 1.0),
        ("Mon, 23 Nov 2026 04:21:20 GMT", 1.0),
        ("Tue, 24 Nov 2026 04:21:19 GMT", 86400.0),
    ],
)
def test_what_is_readable_is_read(asked: str, seconds: float) -> None:
    assert retry_after({"retry-after": asked, "date": NOW}) == seconds


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "0",
        "00",
        "-5",
        "+5",
        "0.0",
        ".5",
        "1.5.2",
        "1.5s",
        "-1.5",
        "1,5",
        "1e3",
        "1e400",
        "nan",
        "inf",
        "Infinity",
        "soon",
        "1_000",
        "\u0661\u0662",  # Arabic digits
        "\u00b2",
        "5, 6",
        "5;6",
        NOW,
        "Mon, 23 Nov 2026 04:21:18 GMT",
        "Mon, 23 Nov 2026 04:21:20 CET",
        "Monday, 23-Nov-26 04:21:20 GMT",
        "Mon Nov 23 04:21:20 2026",
        "Mon, 31 Feb 2027 04:21:20 GMT",
        "Mon, 23 Nov 2026 25:21:20 GMT",
        "Mon, 23 Nov 0000 04:21:20 GMT",
        "Mon, 23 Nov 2026 04:21:20 GMT more",
    ],
)
def test_what_is_not_readable_or_not_ahead_is_as_if_absent(asked: str) -> None:
    assert retry_after({"retry-after": asked, "date": NOW}) is None


def test_a_number_beyond_all_measure_is_a_long_wait() -> None:
    for digits in (13, 400, 5000):
        seconds = retry_after({"retry-after": "9" * digits})
        assert seconds is not None
        assert 1e9 < seconds < math.inf


def test_the_year_9999_is_a_long_wait() -> None:
    seconds = retry_after({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": NOW})
    assert seconds is not None
    assert 1e9 < seconds < math.inf


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 23 Nov 2026 04:21:19 CET"])
def test_a_date_needs_the_date_of_the_answer(date: str | None) -> None:
    headers = {"retry-after": "Mon, 23 Nov 2026 04:21:20 GMT"}
    if date is not None:
        headers["date"] = date
    assert retry_after(headers) is None


def test_milliseconds_count_first() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after-ms": "1500.2", "retry-after": "9"}) == pytest.approx(1.501)
    assert retry_after({"retry-after-ms": "soon", "retry-after": "9"}) == 9.0
    assert retry_after({"retry-after-ms": "0", "retry-after": "9"}) is None
    assert retry_after({}) is None


LATER = "Mon, 23 Nov 2026 04:21:29 GMT"


@pytest.mark.parametrize("text", ["\xa05", "\x0b5", "X5X", "5 5", "", " ", "5.", "\u0665"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    assert retry_after({"retry-after": text}) is None
    assert retry_after({"retry-after-ms": text}) is None
    assert retry_after({"retry-after-ms": text, "retry-after": "7"}) == 7.0


@pytest.mark.parametrize("text", [f"\xa0{LATER}", f"X{LATER}", f"{LATER}\x0b", LATER.lower()])
def test_what_is_no_date(text: str) -> None:
    assert retry_after({"retry-after": text, "date": NOW}) is None
    assert retry_after({"retry-after": LATER, "date": text}) is None
    assert retry_after({"retry-after": f" {LATER}\t", "date": f"\t{NOW} "}) == 10.0


def test_a_number_of_any_length_is_read_in_one_go() -> None:
    assert retry_after({"retry-after": "0" * 5000 + "7"}) == 7.0
    assert retry_after({"retry-after": "1." + "0" * 5000 + "7"}) == 2.0
    assert retry_after({"retry-after": "9" * 12}) == 999_999_999_999
    assert retry_after({"retry-after": "1" * 5000}) == 111_111_111_111
    # With a pattern that looks for the first digit that counts, these would take hours.
    for nearly in (
        "0" * 200_000 + "x",
        "1." + "0" * 200_000 + "x",
        "1" * 200_000 + "x",
        " " * 200_000 + "x",
    ):
        assert retry_after({"retry-after": nearly, "date": nearly}) is None


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_it(asked: str, milliseconds: str, date: str) -> None:
    seconds = retry_after({"retry-after": asked, "retry-after-ms": milliseconds, "date": date})
    assert seconds is None or 0 < seconds < math.inf


@given(st.integers(1, 10**9))
def test_each_number_of_seconds_is_itself(seconds: int) -> None:
    assert retry_after({"retry-after": str(seconds)}) == seconds
