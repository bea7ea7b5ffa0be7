"""Small public values: what stands for "not given", billing periods, bindings, the key."""

import calendar
from datetime import date, timedelta
from enum import Enum, StrEnum
from typing import Final, Literal, Self, final

import attrs

from aiocake._normalize import class_name, day_of, guarded, is_day, normalized
from aiocake.errors import ArgumentError, Problem

__all__ = ["ANY", "ERASE", "SKIP", "Any_", "Binding", "Effect", "Erase", "Period", "Secret", "Skip"]

_FIRST_HALF_ENDS: Final = 15


class _Mark(Enum):
    SKIP = "SKIP"
    ERASE = "ERASE"
    ANY = "ANY"

    def __repr__(self) -> str:
        return self.value


#: Not given: what is stored stays, or nothing is filtered. The default of optional arguments.
SKIP: Final = _Mark.SKIP
#: Erase what is stored (texts and dates of v1).
ERASE: Final = _Mark.ERASE
#: Of a filter: any value will do.
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


class Effect(Enum):
    """What sending a call again does. It is a property of the operation, never of its HTTP verb."""

    READ = "read"
    """Changes nothing."""
    SETS = "sets"
    """Sets given values: may be repeated."""
    ONCE = "once"
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
    def month(cls, year: int, month: int) -> Self:
        """The whole calendar month."""
        first = _day(year, month, 1)
        return cls(first, _last_day(first))

    @classmethod
    def half_month(cls, year: int, month: int, half: Literal[1, 2]) -> Self:
        """The first (1 to 15) or the second (16 to the last) half of a month.

        CAKE's billing cycle "bi-monthly" bills twice a month.
        """
        which = guarded("half", lambda: normalized(half))
        if type(which) is not int or which not in {1, 2}:
            raise ArgumentError(Problem("half", "must be 1 or 2"))
        if which == 1:
            return cls(_day(year, month, 1), _day(year, month, _FIRST_HALF_ENDS))
        first = _day(year, month, _FIRST_HALF_ENDS + 1)
        return cls(first, _last_day(first))

    @classmethod
    def week(cls, start: date) -> Self:
        """The seven days that begin on ``start``."""
        first = day_of(start)
        if not is_day(first):
            reason = f"must be a date without a time, got {class_name(first)}"
            raise ArgumentError(Problem("start", reason))
        try:
            return cls(first, first + timedelta(days=6))
        except OverflowError:
            raise ArgumentError(Problem("start", "is within the last week of all")) from None

    @property
    def exclusive_end(self) -> date:
        """The day after the last: v1's ``billing_period_end_date``.

        Raises:
            ArgumentError: There is none: the period ends on the last day of the year 9999.
        """
        if self.end == date.max:
            raise ArgumentError(Problem("period", f"must end before {date.max}, the last day"))
        return self.end + timedelta(days=1)


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except (OverflowError, TypeError, ValueError) as error:
        raise ArgumentError(Problem("year, month", str(error))) from None
    except Exception as error:  # noqa: BLE001 - whatever the number's own methods raise
        raised = class_name(error)
    raise ArgumentError(Problem("year, month", f"cannot be read: it raised {raised}"))


def _last_day(within: date) -> date:
    return within.replace(day=calendar.monthrange(within.year, within.month)[1])


@final
class Secret:
    """A text that no ``repr``, ``str``, log or pickle shows. :meth:`reveal` gives it."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text itself, for the moment in which it is sent."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.__text

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __reduce__(self) -> tuple[object, ...]:
        message = "a Secret is not pickled"
        raise TypeError(message)
