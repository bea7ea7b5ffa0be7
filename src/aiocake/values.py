"""Small public values: markers such as SKIP, billing periods, bindings, the key."""

import calendar
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from enum import Enum, StrEnum
from typing import Final, Literal, Self, final

import attrs

from aiocake._normalize import class_name, day_of, guarded, is_day, normalized
from aiocake.errors import ArgumentError, Problem

__all__ = [
    "ANY",
    "ERASE",
    "SKIP",
    "Any_",
    "Binding",
    "Erase",
    "Idempotency",
    "Period",
    "PeriodMatch",
    "Secret",
    "Skip",
]

_FIRST_HALF_ENDS: Final = 15

#: How the period of a record has to relate to the one of a filter: all of its days inside of it, at
#: least one day in common, or its last day inside of it.
PeriodMatch = Literal["inside", "overlaps", "ends_in"]


class _Mark(Enum):
    SKIP = "SKIP"
    ERASE = "ERASE"
    ANY = "ANY"

    def __repr__(self) -> str:
        return self.value


#: Leave out: the stored value stays, or nothing is filtered. The default of optional arguments.
SKIP: Final = _Mark.SKIP
#: Erase the stored value (texts and dates of v1).
ERASE: Final = _Mark.ERASE
#: For a filter: any value.
ANY: Final = _Mark.ANY

Skip = Literal[_Mark.SKIP]
Erase = Literal[_Mark.ERASE]
Any_ = Literal[_Mark.ANY]


class Binding(StrEnum):
    """The form in which a v1 call is sent: ASP.NET's ``.asmx`` services take all four.

    A call that must not be repeated never goes by GET, which proxies repeat and cache.
    """

    GET = "get"
    POST = "post"
    SOAP11 = "soap11"
    SOAP12 = "soap12"


class Idempotency(Enum):
    """The idempotency of a call: a property of its operation, never of its HTTP method."""

    SAFE = "read"
    """Changes nothing."""
    IDEMPOTENT = "sets"
    """Sets values: may be repeated."""
    NON_IDEMPOTENT = "once"
    """Creates or moves something each time: must never be repeated."""


@attrs.frozen
class Period:
    """A billing period: the days from ``start`` to ``end``, both included.

    v2's end date is inclusive and v1's exclusive (an August bill of v1 ends on 1 September);
    a Period knows, so that neither has to be remembered.

    Attributes:
        start: The first day.
        end: The last day, included.

    Raises:
        ArgumentError: The start is after the end, or either is no date, or a datetime.
    """

    start: date = attrs.field(converter=day_of)
    end: date = attrs.field(converter=day_of)

    def __attrs_post_init__(self) -> None:
        problems = [
            Problem(name, f"must be a date without a time, got {class_name(value)}")
            for name, value in (("start", self.start), ("end", self.end))
            if not is_day(value)
        ]
        if not problems and self.start > self.end:
            problems = [Problem("start", "must not be after end")]
        if problems:
            raise ArgumentError(*problems)

    @classmethod
    def year(cls, year: int) -> Self:
        """Return a calendar year.

        Args:
            year: 1 to 9999.

        Raises:
            ArgumentError: The number is none of these.
        """
        return cls(*_calendar_days(_year, year))

    @classmethod
    def quarter(cls, year: int, quarter: Literal[1, 2, 3, 4]) -> Self:
        """Return a quarter of a calendar year.

        Args:
            year: 1 to 9999.
            quarter: 1 to 4; 1 is January to March.

        Raises:
            ArgumentError: A number is none of these.
        """
        exact = _one_of("quarter", quarter, 1, 2, 3, 4)
        return cls(*_calendar_days(_quarter, year, exact))

    @classmethod
    def month(cls, year: int, month: int) -> Self:
        """Return a calendar month.

        Args:
            year: 1 to 9999.
            month: 1 to 12.

        Raises:
            ArgumentError: A number is none of these.
        """
        return cls(*_calendar_days(_month, year, month))

    @classmethod
    def half_month(cls, year: int, month: int, half: Literal[1, 2]) -> Self:
        """Return the first half (1 to 15) or the second (16 to the last day) of a month.

        CAKE's billing cycle "bi-monthly" bills twice a month.

        Args:
            year: 1 to 9999.
            month: 1 to 12.
            half: 1 or 2.

        Raises:
            ArgumentError: A number is none of these.
        """
        exact = _one_of("half", half, 1, 2)
        return cls(*_calendar_days(_half_month, year, month, exact))

    @classmethod
    def week(cls, start: date) -> Self:
        """Return the seven days that begin on ``start``.

        Args:
            start: The first day, of whatever weekday.

        Raises:
            ArgumentError: It is no date, or within six days of the end of the year 9999.
        """
        first = day_of(start)
        if not is_day(first):
            raise ArgumentError(
                Problem("start", f"must be a date without a time, got {class_name(first)}")
            )
        try:
            return cls(first, first + timedelta(days=6))
        except OverflowError:
            raise ArgumentError(
                Problem("start", "must be at least six days before 9999-12-31")
            ) from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the period that a text names, in the notation of ISO 8601 where that has one.

        - ``2024``: the year
        - ``2024-Q1``: a quarter
        - ``2024-01``: a month
        - ``2024-01-H1``: a half month, 1 to 15 (H1), or 16 to the last day (H2)
        - ``2024-W05``: a week, Monday to Sunday
        - ``2024-01-15``: a day
        - ``2024-01-01..2024-01-15``: from a day to another, both included; from the beginning of
          any of these to the end of another

        Args:
            text: The text, without blanks.

        Raises:
            ArgumentError: The text is none of these, or names no day, week, month or year.
        """
        exact = guarded("period", lambda: normalized(text))
        if type(exact) is not str:
            raise ArgumentError(Problem("period", "must be a text such as '2024-01'"))
        first, dots, last = exact.partition("..")
        try:
            period = cls(*_named(first))
            if dots:
                period = cls(period.start, _named(last)[1])
        except ValueError as error:  # an ArgumentError is one
            backwards = isinstance(error, ArgumentError)
            what = "its first day must not be after its last" if backwards else str(error)
            shown = exact if len(exact) <= _LONGEST_TEXT else f"{exact[:_LONGEST_TEXT]}…"
            raise ArgumentError(Problem("period", f"{shown!r} is not a period: {what}")) from None
        return period

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"

    @property
    def exclusive_end(self) -> date:
        """Return the day after the last one: v1's ``billing_period_end_date``.

        Raises:
            ArgumentError: The period ends on the last day of the year 9999, which has none.
        """
        if self.end == date.max:
            raise ArgumentError(Problem("period", f"must end before {date.max}, the last day"))
        return self.end + timedelta(days=1)


_Days = tuple[date, date]


def _year(year: int) -> _Days:
    return date(year, 1, 1), date(year, 12, 31)


def _quarter(year: int, quarter: int) -> _Days:
    return date(year, 3 * quarter - 2, 1), _last_day(date(year, 3 * quarter, 1))


def _week(year: int, week: int) -> _Days:
    return date.fromisocalendar(year, week, 1), date.fromisocalendar(year, week, 7)


def _month(year: int, month: int) -> _Days:
    return date(year, month, 1), _last_day(date(year, month, 1))


def _half_month(year: int, month: int, half: int) -> _Days:
    first, last = _month(year, month)
    if half not in {1, 2}:
        raise ValueError
    middle = first.replace(day=_FIRST_HALF_ENDS)
    return (first, middle) if half == 1 else (middle + timedelta(days=1), last)


def _one_day(year: int, month: int, day: int) -> _Days:
    return date(year, month, day), date(year, month, day)


_LONGEST_TEXT: Final = 40
#: How a period is written, what makes its days of the numbers, and why that may fail.
_NOTATIONS: Final[tuple[tuple[str, Callable[..., _Days], str], ...]] = (
    (r"(\d{4})", _year, ""),
    (r"(\d{4})-Q(\d)", _quarter, "quarters are Q1 to Q4"),
    (r"(\d{4})-W(\d\d)", _week, "there is no such week"),
    (r"(\d{4})-(\d\d)", _month, "months are 01 to 12"),
    (r"(\d{4})-(\d\d)-H(\d)", _half_month, "halves are H1 and H2 of the months 01 to 12"),
    (r"(\d{4})-(\d\d)-(\d\d)", _one_day, "there is no such day"),
)


def _named(text: str) -> _Days:
    """Return the first and the last day of what a text names.

    Raises:
        ValueError: The text names nothing; the message says why.
    """
    for notation, days, why in _NOTATIONS:
        parts = re.fullmatch(notation, text, re.ASCII | re.IGNORECASE)
        if parts is None:
            continue
        if text.startswith("0000"):
            why = "years are 0001 to 9999"  # noqa: PLW2901 - another reason
        try:
            return days(*map(int, parts.groups()))
        except ValueError:
            raise ValueError(why) from None
    raise ValueError("write it as 2024, 2024-Q1, 2024-01 or 2024-01-01..2024-01-15")


def _one_of(name: str, value: int, *choices: int) -> int:
    """Return a value as an exact int; refuse one that is not among the choices."""
    exact = guarded(name, lambda: normalized(value))
    if type(exact) is not int or exact not in choices:
        *others, last = choices
        raise ArgumentError(Problem(name, f"must be {', '.join(map(str, others))} or {last}"))
    return exact


def _calendar_days(days: Callable[..., _Days], *given: int) -> _Days:
    """Return the first and the last day of a period of the calendar; refuse other numbers."""
    name = "year, month"
    numbers = guarded(name, lambda: [normalized(value) for value in given])
    with suppress(OverflowError, ValueError):
        if all(type(number) is int for number in numbers):
            return days(*numbers)
    raise ArgumentError(Problem(name, "must be whole numbers from 1 to 9999 and from 1 to 12"))


def _last_day(within: date) -> date:
    return within.replace(day=calendar.monthrange(within.year, within.month)[1])


@final
class Secret:
    """A text that no ``repr``, ``str``, log or pickle shows; :meth:`reveal` returns it."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself, for the moment in which it is sent."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__text

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")
