"""A billing period knows that v1's end is the day after the last, also at the edges of time."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake import ArgumentError, Period


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.month(2012, 8), date(2012, 8, 1), date(2012, 9, 1)),
        (Period.month(2012, 2), date(2012, 2, 1), date(2012, 3, 1)),
        (Period.month(2012, 12), date(2012, 12, 1), date(2013, 1, 1)),
        (Period.month(1, 1), date(1, 1, 1), date(1, 2, 1)),
        (Period.half_month(2024, 2, 1), date(2024, 2, 1), date(2024, 2, 16)),
        (Period.half_month(2024, 2, 2), date(2024, 2, 16), date(2024, 3, 1)),
        (Period.week(date(2024, 2, 26)), date(2024, 2, 26), date(2024, 3, 4)),
        (Period(date(2024, 2, 29), date(2024, 2, 29)), date(2024, 2, 29), date(2024, 3, 1)),
    ],
)
def test_the_end_is_exclusive_for_v1(period: Period, start: date, end: date) -> None:
    assert (period.start, period.exclusive_end) == (start, end)


@given(start=st.dates(max_value=date(9999, 12, 24)), length=st.integers(0, 6))
def test_the_exclusive_end_is_the_day_after_the_last(start: date, length: int) -> None:
    period = Period(start, date.fromordinal(start.toordinal() + length))
    assert (period.exclusive_end - period.end).days == 1
    assert Period.week(start).exclusive_end.toordinal() == start.toordinal() + 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: Period.month(2024, 13),
        lambda: Period.month(0, 1),
        lambda: Period.month(10_000, 1),
        lambda: Period.month("2024", 1),
        lambda: Period.half_month(2024, 1, 3),
        lambda: Period.half_month(2024, 0, 2),
        lambda: Period.week(datetime(2024, 1, 1)),  # noqa: DTZ001 - refused, zone or not
        lambda: Period.week(date(9999, 12, 28)),
        lambda: Period(date(2024, 2, 1), date(2024, 1, 31)),
        lambda: Period(date(2024, 2, 1), "2024-02-02"),
        lambda: Period.month(9999, 12).exclusive_end,
        lambda: Period.half_month(9999, 12, 2).exclusive_end,
    ],
)
def test_a_period_that_cannot_be_is_an_argument_error(make: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError):
        make()
