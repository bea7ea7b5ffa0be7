"""Convert arguments of a method to those of its operation: periods become dates."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Final, cast, get_args

from aiocake._normalize import class_name, guarded, normalized
from aiocake._operations.parameters import InvalidArgument
from aiocake.errors import Problem
from aiocake.values import SKIP, Period, PeriodMatch, Skip

_DAY: Final = timedelta(days=1)


def period_bounds(
    period: Period | Skip, start: date | Skip, end: date | Skip, *, exclusive_end: bool = False
) -> tuple[date | Skip | InvalidArgument, date | Skip | InvalidArgument]:
    """Return the two dates of a billing period, passed as a Period or as they are sent.

    Args:
        period: The period, its last day included.
        start: The first day.
        end: The end as the API takes it.
        exclusive_end: True if the API takes the day after the last (v1).

    Returns:
        The dates; or the problem in place of both where ``period`` is no Period, or a date is
        passed as well.
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
        refused = InvalidArgument((Problem("period", reason),))
        return refused, refused
    return period.start, period.exclusive_end if exclusive_end else period.end


def matching(match: PeriodMatch, longest: timedelta | Skip) -> tuple[PeriodMatch, timedelta | Skip]:
    """Return an exact text and an exact timedelta, for :func:`matched_days` to check.

    Raises:
        ArgumentError: The methods of one raise.
    """
    if type(match) is not str:
        match = cast("PeriodMatch", guarded("match", partial(normalized, match)))
    if longest is not SKIP:
        longest = cast("timedelta", guarded("longest", partial(normalized, longest)))
    return match, longest


def matched_days(
    period: Period | Skip,
    start: date | Skip,
    end: date | Skip,
    match: PeriodMatch,
    longest: timedelta | Skip,
) -> tuple[date | Skip | InvalidArgument, date | Skip | InvalidArgument]:
    """Return the two dates between which a server has to look for the records of a period.

    CAKE finds what lies wholly between two dates. Of a record that ends in the period only its
    last day is known to be on or before that of the period. One that overlaps it may begin
    before it and end behind it, as early and as late as it likes. Where no record is longer than
    ``longest``, one that ends in the period, or overlaps it, begins at most so much before it;
    and one that overlaps it ends at most so much behind it. So none is lost between these dates,
    and the client leaves out what does not match. ``longest`` is added whole, though a record of
    31 days needs 30 more: whoever counts the days between first and last is right, too.

    Args:
        period: The period.
        start: The first day, in place of a period.
        end: The last day, in place of a period.
        match: How a record has to relate to the period, as :func:`matching` returns it.
        longest: The longest period that a record can have, as :func:`matching` returns it.

    Returns:
        The dates; the problems in place of both where the arguments do not fit.
    """
    first, last = period_bounds(period, start, end)
    problems = list(first.problems) if isinstance(first, InvalidArgument) else []
    if type(match) is not str or match not in get_args(PeriodMatch):
        problems.append(Problem("match", "must be one of 'inside', 'overlaps', 'ends_in'"))
    elif match != "inside" and period is SKIP:
        problems.append(Problem("match", "goes with a period only"))
    if longest is not SKIP:
        if type(longest) is not timedelta or longest < _DAY:
            problems.append(Problem("longest", "must be a timedelta of at least a day"))
        elif match == "inside":
            problems.append(Problem("longest", "goes with match='overlaps' or 'ends_in' only"))
    if problems:
        refused = InvalidArgument(tuple(problems))
        return refused, refused
    if match == "inside" or period is SKIP:
        return first, last
    if longest is SKIP:
        return SKIP, SKIP if match == "overlaps" else last
    more = longest.days + (longest > timedelta(longest.days))
    last = period.end if match == "ends_in" else _shifted(period.end, more)
    return _shifted(period.start, -more), last


def _shifted(day: date, by: int) -> date | Skip:
    """Return the day ``by`` days later; SKIP, which filters nothing, where there is none."""
    try:
        return day + timedelta(days=by)
    except OverflowError:
        return SKIP


def date_order(first: str, last: str) -> Callable[[Mapping[str, object]], Problem | None]:
    """Return the rule that one date is not after another."""

    def rule(arguments: Mapping[str, object]) -> Problem | None:
        start, end = arguments.get(first), arguments.get(last)
        if isinstance(start, date) and isinstance(end, date) and start > end:
            return Problem(first, f"must not be after {last}")
        return None

    return rule
