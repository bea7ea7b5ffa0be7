"""Amounts, numbers and texts at their very bounds, and the reasons for which they are refused."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec import numbers
from aiocake._operations.parameters import (
    Bool,
    Byte,
    Choice,
    Date,
    InvalidArgument,
    Moment,
    Money,
    Parameter,
    Row,
    Text,
    format_value,
    json_value,
)
from aiocake.errors import Problem


def reason_of(parameter: Parameter, value: object, *, v1: bool = False) -> str | None:
    """Why a value is refused; None if it is taken."""
    checked = parameter.check(value, v1=v1)
    return checked.problems[0].reason if isinstance(checked, InvalidArgument) else None


DIGITS = "must have at most 28 digits"


@pytest.fixture
def far_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time is not UTC."""
    monkeypatch.setenv("TZ", "XXX+11")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**28 - 1, None),
        (-(10**28) + 1, None),
        (10**28, DIGITS),
        (-(10**28), DIGITS),
        ("9" * 28, None),
        ("-" + "9" * 28, None),
        ("9" * 29, DIGITS),
        ("1E+27", None),
        ("1E+28", DIGITS),
        ("1.5E+27", None),
        ("0." + "9" * 27, None),
        ("0." + "9" * 28, DIGITS),
        ("1E-27", None),
        ("1E-28", DIGITS),
        ("12345678901234.56789012345678", None),
        ("12345678901234.567890123456789", DIGITS),
        ("0E-27", None),
        ("0E-28", DIGITS),
        ("0E-29", DIGITS),
        ("0E+27", None),
        ("-0", None),
        ("1E+999999999999999999", DIGITS),
        ("1E-999999999999999999", DIGITS),
        ("NaN", "must be a number"),
        ("-Infinity", "must be a number"),
        (1.5, "must be a Decimal or an int, got float"),
        (True, "must be a Decimal or an int, got bool"),
    ],
)
def test_amounts(value: object, reason: str | None) -> None:
    amount = Decimal(value) if isinstance(value, str) else value
    assert reason_of(Money("it"), amount) == reason


@given(digits=st.integers(1, 10**29).map(str), exponent=st.integers(-30, 30), minus=st.booleans())
def test_digits_near_the_bound(digits: str, exponent: int, *, minus: bool) -> None:
    value = Decimal(f"{'-' if minus else ''}{digits}E{exponent}")
    written = sum(map(str.isdigit, format_value(value)))
    assert reason_of(Money("it"), value) == (None if written <= 28 else DIGITS)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (lambda: reason_of(Row("it", at_least=1, limit=2), "1"), "must be an int, got str"),
        (lambda: reason_of(Row("it", at_least=0, limit=2), True), "must be an int, got bool"),  # noqa: FBT003 - a value
        (lambda: reason_of(Row("it", at_least=1, limit=2), 3), "must be from 1 to 2"),
        (lambda: reason_of(Byte("it", any_allowed=True), 0), "0 is not taken: give ANY"),
        (lambda: reason_of(Byte("it", any_allowed=False), 0), "0 is not taken: give SKIP"),
        (lambda: reason_of(Byte("it", any_allowed=True), 256), "must be from 1 to 255"),
        (lambda: reason_of(Text("it"), 1), "must be a str, got int"),
        (
            lambda: reason_of(Text("it"), "a\x0bb"),
            "holds a character that XML cannot carry (a control character or a lone surrogate)",
        ),
        (
            lambda: reason_of(Text("it", limit=5), "🍰" * 3),
            "must have at most 5 UTF-16 units, not 6",
        ),
        (
            lambda: reason_of(Text("it"), "", v1=True),
            "an empty text is not taken: give SKIP to keep what is stored, ERASE to erase it",
        ),
        (
            lambda: reason_of(Text("it"), "NULL", v1=True),
            "the text 'NULL' is not taken: CAKE erases by it; give ERASE for that",
        ),
        (
            lambda: reason_of(Date("it"), datetime(2024, 1, 1)),  # noqa: DTZ001 - refused
            "must be a date without a time, got datetime",
        ),
        (
            lambda: reason_of(Date("it"), date(1752, 12, 31), v1=True),
            "must not be before 1753-01-01",
        ),
        (
            lambda: reason_of(Moment("it"), date(2024, 1, 1)),
            "must be a datetime with a time zone, got date",
        ),
        (
            lambda: reason_of(Moment("it"), datetime(2024, 1, 1)),  # noqa: DTZ001 - refused
            "must be a datetime with a time zone, got one without",
        ),
        (
            lambda: reason_of(Moment("it"), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
            "is outside of the years 1 to 9999 in UTC",
        ),
        (lambda: reason_of(Bool("it"), 1), "must be True or False, got int"),
    ],
)
def test_reasons_word_for_word(check: Callable[[], str | None], reason: str) -> None:
    assert check() == reason


class Cycle(StrEnum):
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("weekly", None),
        ("Weekly", "must be one of weekly, monthly; did you mean 'weekly'?"),
        ("monthy", "must be one of weekly, monthly; did you mean 'monthly'?"),
        ("xyz", "must be one of weekly, monthly"),
        (1, "must be one of weekly, monthly, got int"),
    ],
)
def test_choices(value: object, reason: str | None) -> None:
    assert reason_of(Choice("it", Cycle), value) == reason


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.50"), "-0.50"),
        (-7, "-7"),
        (Number.ONE, "1"),
        (Cycle.WEEKLY, "weekly"),
        (True, "true"),
        (False, "false"),
        (date(2024, 2, 5), "2024-02-05"),
        ("x", "x"),
        (1.5, "1.5"),  # of a row that a program has read, say
    ],
)
def test_what_is_written(value: object, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [(Decimal("1.50"), "1.50"), (date(2024, 2, 5), "2024-02-05"), ("x", "x"), (5, 5), (True, True)],
)
def test_what_json_has(value: object, written: object) -> None:
    found = json_value(value)
    assert (type(found), found) == (type(written), written)


class Named(int):
    """An int that shows itself by a name."""

    def __str__(self) -> str:
        return "seven"


class Spoken(date):
    """A date that shows itself in words."""

    def __str__(self) -> str:
        return "someday"


class Spelt(str):
    """A text that shows itself in another way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other"


class Unreadable(date):
    """A date that cannot be read."""

    @property
    def year(self) -> int:
        raise ArithmeticError


@pytest.mark.parametrize(
    ("parameter", "value", "exact"),
    [
        (Row("it"), Number.ONE, 1),
        (Row("it"), Named(7), 7),
        (Text("it"), Spelt("text"), "text"),
        (Date("it"), Spoken(2024, 2, 5), date(2024, 2, 5)),
    ],
)
def test_what_a_check_returns_is_of_an_exact_class(
    parameter: Parameter, value: object, exact: object
) -> None:
    checked = parameter.check(value)
    assert (type(checked), checked) == (type(exact), exact)


def test_a_value_that_cannot_be_read_is_refused_with_what_it_raised() -> None:
    unread = "cannot be read: it raised ArithmeticError"
    assert reason_of(Date("it"), Unreadable(2024, 2, 5)) == unread


def test_what_cannot_be_sent_stays_what_it_is() -> None:
    """The command puts its own in place of what it could not read."""
    unread = InvalidArgument((Problem("it", "is no date"),))
    assert Date("it").check(unread) is unread


def test_an_empty_text_is_one_unless_it_is_for_v1() -> None:
    assert Text("it").check("") == ""


def test_how_a_value_shows_itself_is_not_what_is_written() -> None:
    assert format_value(Named(7)) == "7"
    assert format_value(Spoken(2024, 2, 5)) == "2024-02-05"


@pytest.mark.usefixtures("far_west")
def test_moments_are_written_in_utc_wherever_the_machine_is() -> None:
    moment = datetime(2024, 2, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert format_value(moment) == "2024-02-15T10:30:00Z"
    assert format_value(moment) == "2024-02-15T10:30:00Z"
    assert reason_of(Moment("it"), datetime(1, 1, 1, tzinfo=UTC)) is None
    assert reason_of(Moment("it"), datetime(9999, 12, 31, 23, tzinfo=UTC)) is None


# Numbers of answers


@pytest.mark.parametrize(
    "text",
    [
        "0" * 83 + "1",
        "9" * 28,
        "1e28",
        "1e-28",
        "0." + "0" * 27 + "1",
        "." + "1" * 28,
        "-1.",
        "+.5",
    ],
)
def test_numbers_at_the_bounds_are_read(text: str) -> None:
    assert numbers.parse_decimal(text) == Decimal(text)


NO_NUMBER = "is not a number of at most 28 digits"
TOO_MUCH = "has over 28 digits or an exponent beyond 28"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0" * 84 + "1", NO_NUMBER),
        ("", NO_NUMBER),
        ("1_0", NO_NUMBER),
        ("1e12345", NO_NUMBER),
        ("9" * 29, TOO_MUCH),
        ("1e29", TOO_MUCH),
        ("1e-29", TOO_MUCH),
    ],
)
def test_numbers_beyond_them_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        numbers.parse_decimal(text)


def test_integers_at_and_beyond_the_bound() -> None:
    assert numbers.parse_int("-" + "9" * 28) == -(10**28) + 1
    for text in ("9" * 29, "1.0", "", "+", "0" * 29):
        with pytest.raises(ValueError, match=r"^is not an integer of at most 28 digits$"):
            numbers.parse_int(text)
