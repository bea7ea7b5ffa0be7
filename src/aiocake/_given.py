"""From what a method was given to what its operation takes: what is left out, and periods."""

from collections.abc import Callable, Mapping
from datetime import date

import attrs

from aiocake._normalize import class_name
from aiocake.errors import Problem
from aiocake.values import SKIP, Period, Skip

__all__ = ["Refused", "days", "given", "in_order"]


@attrs.frozen
class Refused:
    """Stands in place of what could not be made of a method's argument.

    Whoever checks the arguments names its problem together with all others.
    """

    problem: Problem


def given(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments that were given: those that are not SKIP."""
    return {name: value for name, value in arguments.items() if value is not SKIP}


def days(
    period: Period | Skip, start: date | Skip, end: date | Skip, *, exclusive_end: bool = False
) -> tuple[date | Skip | Refused, date | Skip | Refused]:
    """The two dates of a billing period, given as a Period or as they are sent.

    Args:
        period: The period, its last day included.
        start: The first day.
        end: The end as the API takes it.
        exclusive_end: Whether the API takes the day after the last (v1).

    Returns:
        The dates; the problem in place of both where the period is none, or a date is given too.
    """
    if period is SKIP:
        return start, end
    reason = ""
    if start is not SKIP or end is not SKIP:
        reason = "give a period or its two dates, not both"
    elif not issubclass(type(period), Period):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        reason = f"must be a Period, got {class_name(period)}"
    elif exclusive_end and period.end == date.max:
        reason = f"must end before {date.max}, the last day"
    if reason:
        refused = Refused(Problem("period", reason))
        return refused, refused
    return period.start, period.exclusive_end if exclusive_end else period.end


def in_order(first: str, last: str) -> Callable[[Mapping[str, object]], Problem | None]:
    """The rule that a date is not after another."""

    def rule(arguments: Mapping[str, object]) -> Problem | None:
        start, end = arguments.get(first), arguments.get(last)
        if isinstance(start, date) and isinstance(end, date) and start > end:
            return Problem(first, f"must not be after {last}")
        return None

    return rule
