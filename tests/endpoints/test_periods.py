"""Which invoices are of a period: what a server is asked for, and what the client leaves out."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, Literal

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from aiocake import (
    SKIP,
    ApiError,
    ArgumentError,
    Client,
    ConsistencyError,
    DecodeError,
    Invoice,
    Period,
)
from aiocake._operations.arguments import matched_days
from aiocake.endpoints.invoices import in_period
from aiocake.events import Event, ListAnomaly
from aiocake.sandbox import Dialect, Sandbox
from aiocake.sandbox.state import RecordedRequest

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]
Match = Literal["overlaps", "ends_in"]

FEBRUARY = Period.month(2024, 2)
MONTH = timedelta(days=31)


def matches(row: Any, match: str, period: Period) -> bool:  # noqa: ANN401 - one of two classes
    if match == "inside":
        return bool(period.start <= row.start_date and row.end_date <= period.end)
    if match == "ends_in":
        return bool(period.start <= row.end_date <= period.end)
    return bool(row.start_date <= period.end and row.end_date >= period.start)


@pytest.mark.parametrize("longest", [SKIP, MONTH])
@pytest.mark.parametrize("match", ["overlaps", "ends_in"])
async def test_find_gives_the_invoices_that_match(
    connect: Connect,
    match: Match,
    longest: Any,  # noqa: ANN401 - a mark's type
) -> None:
    sandbox = Sandbox()
    stored = sandbox.state.invoices.values()
    expected = [each.invoice_id for each in stored if matches(each, match, FEBRUARY)]
    inside = [each.invoice_id for each in stored if matches(each, "inside", FEBRUARY)]
    assert len(inside) < len(expected) < len(stored)
    async with connect(sandbox) as cake:
        found = cake.invoices.find(period=FEBRUARY, match=match, longest=longest)
        assert [row.invoice_id for row in await found.collect()] == expected
        pages = [page async for page in found.pages()]
        assert [row.invoice_id for page in pages for row in page.items] == expected
        assert {page.total_rows for page in pages} == {None}
    asked = dict(sandbox.state.requests[0].arguments)
    dates = {
        ("overlaps", SKIP): {},
        ("overlaps", MONTH): {"start_date": "2024-01-01", "end_date": "2024-03-31"},
        ("ends_in", SKIP): {"end_date": "2024-02-29"},
        ("ends_in", MONTH): {"start_date": "2024-01-01", "end_date": "2024-02-29"},
    }
    assert asked == {"row_limit": "1001", **dates[match, longest]}


async def test_each_invoice_ends_in_one_month(connect: Connect) -> None:
    sandbox = Sandbox()
    year = Period.year(2024)
    ends = [each.end_date for each in sandbox.state.invoices.values()]
    async with connect(sandbox) as cake:
        found = [
            row.invoice_id
            for month in range(1, 13)
            for row in await cake.invoices.find(
                period=Period.month(2024, month), match="ends_in"
            ).collect()
        ]
    assert len(found) == len(set(found)) == sum(year.start <= end <= year.end for end in ends)


async def test_rows_a_page_can_be_chosen(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        await cake.invoices.find(period=FEBRUARY, match="ends_in", row_limit=50).collect()
    assert {request.arguments["row_limit"] for request in sandbox.state.requests} == {"51"}


@pytest.mark.parametrize("match", ["overlaps", "ends_in"])
async def test_a_server_that_ignores_the_dates_gives_no_other_invoice(
    connect: Connect, match: Match
) -> None:
    sandbox = Sandbox(dialect=Dialect(ignored_filters=frozenset({"start_date", "end_date"})))
    stored = sandbox.state.invoices.values()
    expected = [each.invoice_id for each in stored if matches(each, match, FEBRUARY)]
    events: list[Event] = []
    async with connect(sandbox, on_event=events.append) as cake:
        found = cake.invoices.find(period=FEBRUARY, match=match, longest=timedelta(weeks=52))
        assert [row.invoice_id for row in await found.collect()] == expected
    reported = [each.what for each in events if isinstance(each, ListAnomaly)]
    assert reported == ["date outside the filter"]


async def test_an_invoice_that_is_longer_than_the_longest_is_an_error(connect: Connect) -> None:
    async with connect(Sandbox()) as cake:
        found = cake.invoices.find(period=FEBRUARY, match="overlaps", longest=timedelta(days=8))
        with pytest.raises(
            ConsistencyError, match=r"longer than longest \(8 days\): other invoices may"
        ):
            await found.collect()


@pytest.mark.parametrize("row_limit", [SKIP, 1000])
async def test_so_many_rows_that_are_refused_are_asked_for_as_usual(
    connect: Connect,
    row_limit: Any,  # noqa: ANN401 - a mark's type
) -> None:
    sandbox = Sandbox(invoices=250)
    asked: list[str] = []

    def refuse(request: RecordedRequest) -> Response | None:
        asked.append(request.arguments["row_limit"])
        too_many = int(asked[-1]) > 500
        return Response('{"message": "row_limit is too large"}', 400) if too_many else None

    sandbox.state.on_request.append(refuse)
    async with connect(sandbox) as cake:
        found = cake.invoices.find(period=FEBRUARY, match="ends_in", row_limit=row_limit)
        if row_limit is SKIP:
            assert len(await found.collect()) >= 7
        else:
            with pytest.raises(ApiError, match="too large"):
                await found.collect()
    assert asked == (["1001", "101", "101", "101"][: len(asked)] if row_limit is SKIP else ["1001"])


def serving(*rows: dict[str, object]) -> httpx.MockTransport:
    each = {"affiliate_id": 1, "invoice_status": "pending", "total_amount": "1.00"}
    body = {
        "request_status": "Success",
        "invoices": [{"invoice_id": 4000 + n, **each, **row} for n, row in enumerate(rows, 1)],
        "total_rows": len(rows),
    }
    return httpx.MockTransport(lambda _: httpx.Response(200, json=body))


INSIDE: dict[str, object] = {"start_date": "2024-02-08", "end_date": "2024-02-14"}


@pytest.mark.parametrize(
    ("match", "row", "missing"),
    [
        ("ends_in", {"start_date": "2024-02-08"}, "end_date"),
        ("ends_in", {}, "end_date"),
        ("ends_in", {"end_date": "2024-02-08"}, None),
        ("overlaps", {"start_date": "2024-02-08"}, "end_date"),
        ("overlaps", {"end_date": "2024-02-08"}, "start_date"),
        ("overlaps", {}, "start_date"),
    ],
)
async def test_a_row_without_the_date_that_decides_is_an_error(
    match: Match, row: dict[str, object], missing: str | None
) -> None:
    transport = serving(INSIDE, row)
    async with Client("x.example", "K" * 20, transport=transport) as cake:
        found = cake.invoices.find(period=FEBRUARY, match=match)
        if missing is None:
            assert len(await found.collect()) == 2
            return
        with pytest.raises(DecodeError, match=f"invoice 4002 has no {missing}") as caught:
            await found.collect()
    assert caught.value.path == f"invoices.{missing}"
    assert caught.value.operation == "invoices.find"


async def test_a_date_that_decides_alone_is_enough() -> None:
    transport = serving({"start_date": "2024-03-01"}, {"end_date": "2024-01-31"}, INSIDE)
    async with Client("x.example", "K" * 20, transport=transport) as cake:
        rows = await cake.invoices.find(period=FEBRUARY, match="overlaps").collect()
    assert [row.invoice_id for row in rows] == [4003]


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"period": FEBRUARY, "match": "outside"}, {"match"}),
        ({"period": FEBRUARY, "match": None}, {"match"}),
        ({"period": FEBRUARY, "match": ["inside"]}, {"match"}),
        ({"match": "ends_in"}, {"match"}),
        ({"match": "overlaps", "start_date": FEBRUARY.start}, {"match"}),
        ({"period": FEBRUARY, "longest": MONTH}, {"longest"}),
        ({"period": FEBRUARY, "match": "ends_in", "longest": 31}, {"longest"}),
        ({"period": FEBRUARY, "match": "ends_in", "longest": None}, {"longest"}),
        ({"period": FEBRUARY, "match": "ends_in", "longest": timedelta(hours=23)}, {"longest"}),
        ({"period": FEBRUARY, "match": "ends_in", "end_date": FEBRUARY.end}, {"period"}),
        (
            {"period": "2024-01", "match": "x", "longest": "y", "row_limit": 0, "affiliate_id": 0},
            {"period", "match", "longest", "row_limit", "affiliate_id"},
        ),
    ],
)
async def test_arguments_that_do_not_fit_are_named_at_once(
    connect: Connect, arguments: dict[str, Any], wrong: set[str]
) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        with pytest.raises(ArgumentError) as caught:
            cake.invoices.find(**arguments)
    assert {problem.name for problem in caught.value.problems} == wrong
    assert not sandbox.state.requests


# No invoice is lost between the dates that a server is asked for.


@attrs.frozen
class Stored:
    start_date: date
    end_date: date


days = st.dates(date(2023, 1, 1), date(2025, 12, 31))
lengths = st.integers(0, 400)
periods = st.builds(lambda first, more: Period(first, first + timedelta(more)), days, lengths)


def around(period: Period) -> Iterator[Stored]:
    """Invoices of all lengths whose ends are near those of a period."""
    for edge in (period.start, period.end):
        for by in range(-3, 4):
            for length in (1, 2, 6, 7, 8, 30, 31, 32):
                end = edge + timedelta(days=by)
                yield Stored(end - timedelta(days=length - 1), end)
                yield Stored(end, end + timedelta(days=length - 1))


@given(
    period=periods,
    match=st.sampled_from(["overlaps", "ends_in"]),
    longest=st.builds(timedelta, days=st.integers(1, 40), hours=st.integers(0, 23)),
)
def test_a_server_is_asked_for_all_that_matches(
    period: Period, match: Match, longest: timedelta
) -> None:
    first, last = matched_days(period, SKIP, SKIP, match, longest)
    assert isinstance(first, date)
    assert isinstance(last, date)
    select = in_period(period, match, longest)
    assert select is not None
    for each in around(period):
        length = each.end_date - each.start_date + timedelta(days=1)
        row = Invoice(
            invoice_id=1,
            affiliate_id=1,
            invoice_status="pending",
            total_amount=1,
            start_date=each.start_date,
            end_date=each.end_date,
        )
        if length > longest + timedelta(days=1):
            with pytest.raises(ConsistencyError):
                select(row)
            continue
        wanted = matches(each, match, period)
        assert select(row) is wanted
        if wanted and length <= longest:
            assert first <= each.start_date
            assert each.end_date <= last


def test_a_period_at_the_end_of_the_calendar() -> None:
    first, last = Period(date.min, date.min), Period(date.max, date.max)
    assert matched_days(first, SKIP, SKIP, "overlaps", MONTH) == (SKIP, date(1, 2, 1))
    assert matched_days(last, SKIP, SKIP, "overlaps", MONTH) == (date(9999, 11, 30), SKIP)
    assert matched_days(last, SKIP, SKIP, "overlaps", timedelta.max) == (SKIP, SKIP)
