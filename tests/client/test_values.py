"""The small values: periods, what stands for "not given", and the key that shows nothing."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from aiocake import ANY, ERASE, SKIP, ArgumentError, Binding, Period
from aiocake.values import Secret


@pytest.mark.parametrize(
    ("period", "start", "end", "after"),
    [
        (Period.month(2024, 1), date(2024, 1, 1), date(2024, 1, 31), date(2024, 2, 1)),
        (Period.month(2024, 2), date(2024, 2, 1), date(2024, 2, 29), date(2024, 3, 1)),
        (Period.month(2023, 2), date(2023, 2, 1), date(2023, 2, 28), date(2023, 3, 1)),
        (Period.month(2023, 12), date(2023, 12, 1), date(2023, 12, 31), date(2024, 1, 1)),
        (Period.month(1, 1), date(1, 1, 1), date(1, 1, 31), date(1, 2, 1)),
        (Period.half_month(2024, 2, 1), date(2024, 2, 1), date(2024, 2, 15), date(2024, 2, 16)),
        (Period.half_month(2024, 2, 2), date(2024, 2, 16), date(2024, 2, 29), date(2024, 3, 1)),
        (Period.year(2024), date(2024, 1, 1), date(2024, 12, 31), date(2025, 1, 1)),
        (Period.quarter(2024, 1), date(2024, 1, 1), date(2024, 3, 31), date(2024, 4, 1)),
        (Period.quarter(2023, 4), date(2023, 10, 1), date(2023, 12, 31), date(2024, 1, 1)),
        (Period.week(date(2024, 2, 26)), date(2024, 2, 26), date(2024, 3, 3), date(2024, 3, 4)),
        (
            Period(date(2024, 1, 5), date(2024, 1, 5)),
            date(2024, 1, 5),
            date(2024, 1, 5),
            date(2024, 1, 6),
        ),
    ],
)
def test_a_period_knows_both_of_its_ends(
    period: Period, start: date, end: date, after: date
) -> None:
    assert (period.start, period.end, period.exclusive_end) == (start, end, after)
    assert period == Period(start, end)
    assert hash(period) == hash(Period(start, end))
    assert pickle.loads(pickle.dumps(period)) == period  # noqa: S301 - just made


def test_the_halves_of_a_month_are_the_month() -> None:
    for month in range(1, 13):
        first, second = (Period.half_month(2023, month, half) for half in (1, 2))
        assert (first.start, second.end) == (
            Period.month(2023, month).start,
            Period.month(2023, month).end,
        )
        assert first.exclusive_end == second.start


#: Is an int to Python; no number of a month.
TRUE: Any = True


def noon() -> datetime:
    return datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Period(date(2024, 1, 2), date(2024, 1, 1)), {"start"}),
        (lambda: Period(noon(), date(2024, 1, 1)), {"start"}),
        (lambda: Period("2024-01-01", None), {"start", "end"}),  # type: ignore[arg-type] # refused
        (lambda: Period.month(2024, 0), {"year, month"}),
        (lambda: Period.month(2024, 13), {"year, month"}),
        (lambda: Period.month(0, 1), {"year, month"}),
        (lambda: Period.month(10_000, 1), {"year, month"}),
        (lambda: Period.month(10**30, 1), {"year, month"}),
        (lambda: Period.month(2024, 1.5), {"year, month"}),  # type: ignore[arg-type] # refused
        (lambda: Period.month("2024", 1), {"year, month"}),  # type: ignore[arg-type] # refused
        (lambda: Period.year(0), {"year, month"}),
        (lambda: Period.year("2024"), {"year, month"}),  # type: ignore[arg-type] # refused
        (lambda: Period.quarter(2024, 0), {"quarter"}),  # type: ignore[arg-type] # refused
        (lambda: Period.quarter(2024, "1"), {"quarter"}),  # type: ignore[arg-type] # refused
        (lambda: Period.quarter(2024, TRUE), {"quarter"}),
        (lambda: Period.quarter(2024, 1.0), {"quarter"}),  # type: ignore[arg-type] # refused
        (lambda: Period.quarter(TRUE, 1), {"year, month"}),
        (lambda: Period.month(2024, TRUE), {"year, month"}),
        (lambda: Period.year(TRUE), {"year, month"}),
        (lambda: Period.half_month(2024, 1, TRUE), {"half"}),
        (lambda: Period.week(TRUE), {"start"}),
        (lambda: Period.quarter(10_000, 1), {"year, month"}),
        (lambda: Period.parse(2024), {"period"}),  # type: ignore[arg-type] # refused
        (lambda: Period.half_month(2024, 13, 1), {"year, month"}),
        (lambda: Period.half_month(2024, 13, 2), {"year, month"}),
        (lambda: Period.half_month(2024, 1, 3), {"half"}),  # type: ignore[arg-type] # refused
        (lambda: Period.half_month(2024, 1, None), {"half"}),  # type: ignore[arg-type] # refused
        (lambda: Period.week(noon()), {"start"}),
        (lambda: Period.week("2024-01-01"), {"start"}),  # type: ignore[arg-type] # refused
        (lambda: Period.week(date.max), {"start"}),
        (lambda: Period.month(9999, 12).exclusive_end, {"period"}),
    ],
)
def test_what_is_no_period(make: Callable[[], object], named: set[str]) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert {problem.name for problem in caught.value.problems} == named
    assert caught.value.__cause__ is None
    assert caught.value.outcome is None


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2024", Period.year(2024)),
        ("0001", Period.year(1)),
        ("2024-Q1", Period.quarter(2024, 1)),
        ("2024-q4", Period.quarter(2024, 4)),
        ("2024-01", Period.month(2024, 1)),
        ("2024-02-H1", Period.half_month(2024, 2, 1)),
        ("2024-02-H2", Period.half_month(2024, 2, 2)),
        ("2024-W05", Period.week(date(2024, 1, 29))),
        ("2020-W53", Period.week(date(2020, 12, 28))),
        ("2024-02-29", Period(date(2024, 2, 29), date(2024, 2, 29))),
        ("2024-01-01..2024-01-15", Period(date(2024, 1, 1), date(2024, 1, 15))),
        ("2024-01..2024-Q2", Period(date(2024, 1, 1), date(2024, 6, 30))),
        ("2024-01..2024-01", Period.month(2024, 1)),
    ],
)
def test_a_period_by_its_text(text: str, period: Period) -> None:
    assert Period.parse(text) == period


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2024-00", "months are 01 to 12"),
        ("2024-13", "months are 01 to 12"),
        ("2024-13-H1", "halves are H1 and H2 of the months 01 to 12"),
        ("2024-01-01..2024-13", "months are 01 to 12"),
        ("2024-Q0", "quarters are Q1 to Q4"),
        ("2024-Q5", "quarters are Q1 to Q4"),
        ("2024-01-H3", "halves are H1 and H2 of the months 01 to 12"),
        ("2024-W00", "there is no such week"),
        ("2024-W53", "there is no such week"),
        ("9999-W52", "there is no such week"),
        ("2023-02-29", "there is no such day"),
        ("0000-01", "years are 0001 to 9999"),
        ("2024-02..2024-01", "its first day must not be after its last"),
        *(
            (text, "write it as 2024, 2024-Q1, 2024-01 or 2024-01-01..2024-01-15")
            for text in (
                *("", "soon", "..", "2024..", "..2024", "2024...2025", "2024-1", "24-01", "202401"),
                *(" 2024", "2024\n", "\uff12024", "2024-Q", "2024-01-15T00:00:00", "2024-W05-1"),
            )
        ),
    ],
)
def test_a_text_that_names_no_period(text: str, why: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Period.parse(text)
    (problem,) = caught.value.problems
    assert problem.name == "period"
    assert problem.reason == f"{text!r} is not a period: {why}"
    assert caught.value.__cause__ is None


def test_a_period_by_a_text_of_another_class() -> None:
    class Text(str):
        __slots__ = ()
        partition = startswith = __len__ = __eq__ = __hash__ = None  # type: ignore[assignment]

    assert Period.parse(Text("2024-01..2024-02")) == Period(date(2024, 1, 1), date(2024, 2, 29))


def test_the_error_of_a_long_text_is_short() -> None:
    with pytest.raises(ArgumentError) as caught:
        Period.parse("2024" * 1_000_000)
    assert len(str(caught.value)) < 200


def test_a_period_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Period.month(2024, 1).start = date(2023, 1, 1)  # type: ignore[misc] # frozen


def test_what_stands_for_something_else_stays_the_one_it_is() -> None:
    for mark, name in ((SKIP, "SKIP"), (ERASE, "ERASE"), (ANY, "ANY")):
        assert repr(mark) == name
        assert pickle.loads(pickle.dumps(mark)) is mark  # noqa: S301 - just made
        assert copy.deepcopy(mark) is mark
    assert len({SKIP, ERASE, ANY}) == 3


def test_a_binding_by_its_text() -> None:
    assert [Binding(text) for text in ("get", "post", "soap11", "soap12")] == list(Binding)
    with pytest.raises(ValueError, match="GET"):
        Binding("GET")


def test_a_secret_shows_nothing() -> None:
    secret = Secret("canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]} {secret!s:>20}" + str(vars(Secret))
    assert secret.reveal() == "canary"
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            way(secret)
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_what_they_hide() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"), Secret("a"), Secret("b")} == {Secret("b"), Secret("a")}
