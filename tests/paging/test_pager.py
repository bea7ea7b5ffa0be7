"""A list in pages is read as one: each row once, none missing, or an error that says so."""

from collections.abc import AsyncIterable, Callable
from typing import Any

import anyio
import pytest

from aiocake.errors import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    ConsistencyError,
    DeadlineExceeded,
    DecodeError,
    ListChanged,
    NotSent,
    RateLimited,
    RequestRejected,
    ServerError,
)
from aiocake.paging import Pager, PageRequest

from ..support.loops import ONE_LOOP

pytestmark = pytest.mark.anyio

MakeServer = Callable[..., Any]

LIMIT = 8


def starts(server: Any) -> list[int]:  # noqa: ANN401 - the fixture's class
    return [start for start, _ in server.requests]


async def read(rows: AsyncIterable[int]) -> tuple[list[int], Exception]:
    """Read rows up to the error that must come: both."""
    found: list[int] = []
    try:
        async for row in rows:
            found.append(row)  # noqa: PERF401 - what came before the error counts
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return found, error
    pytest.fail("no error came")


# The usual list


async def test_nothing_is_sent_before_the_first_row_is_asked_for(make_server: MakeServer) -> None:
    server = make_server(30)
    pager = server.pager()
    async with pager as rows:
        pages = pager.pages()
        assert server.requests == []
        assert await anext(rows) == 1
        assert await anext(pages)


async def test_three_ways_to_read_it(make_server: MakeServer) -> None:
    server = make_server(95)
    pager = server.pager()
    async with pager as rows:
        assert [row async for row in rows] == server.rows
    assert [row async for row in pager] == server.rows
    assert await pager.collect() == server.rows


async def test_each_page_begins_with_the_last_row_of_the_one_before(
    make_server: MakeServer,
) -> None:
    server = make_server(25)
    assert await server.pager().collect() == server.rows
    assert sorted(server.requests) == [(0, 10), (9, 10), (18, 10)]


async def test_rows_from_an_iterator_go_on_after_a_break(make_server: MakeServer) -> None:
    server = make_server(25)
    async with server.pager() as rows:
        async for row in rows:
            if row == 12:
                break
        assert await rows.collect() == list(range(13, 26))


async def test_the_end_stays_the_end(make_server: MakeServer) -> None:
    async with make_server(3).pager() as rows:
        await rows.collect()
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(rows)
    with pytest.raises(StopAsyncIteration):
        await anext(rows)


# trio wakes those who wait for one thing in random order.
@ONE_LOOP
async def test_responses_that_come_at_once_are_decoded_one_by_one(make_server: MakeServer) -> None:
    server = make_server(200)
    asked = decoded = taken = 0
    all_asked = anyio.Event()

    async def fetch(ask: PageRequest) -> Any:  # noqa: ANN401 - a page
        nonlocal asked, decoded
        asked += 1
        if asked == 1 + LIMIT:
            all_asked.set()
        if ask.begun:
            await all_asked.wait()
        await ask.on_response()
        decoded += 1
        # The next were asked for before, but those that the first of these still let in.
        assert decoded <= 2 or asked >= 1 + 2 * LIMIT
        assert decoded - taken <= 3
        return server.answer(ask.start_at_row, ask.row_limit)

    pager = Pager(
        fetch,
        row_id=lambda row: row,
        row_limit=9,
        limit=LIMIT,
        operation="invoices.find",
        anomaly=lambda *_: None,
    )
    async for page in pager.pages():
        taken += 1
        assert page.items
    assert taken == decoded > 2 * LIMIT


@pytest.mark.parametrize("size", [0, 1, 7, 9])
async def test_a_list_of_one_page_is_one_request(make_server: MakeServer, size: int) -> None:
    server = make_server(size)
    assert await server.pager().collect() == server.rows
    assert starts(server) == [0]


async def test_a_page_as_long_as_asked_is_not_believed_to_be_all(
    make_server: MakeServer,
) -> None:
    server = make_server(10)
    assert await server.pager().collect() == server.rows
    assert starts(server) == [0, 9]


@pytest.mark.parametrize("cap", [50, 100, 250, 500])
async def test_a_page_of_a_round_number_is_not_believed_to_be_all(
    make_server: MakeServer, cap: int
) -> None:
    server = make_server(cap + 20, cap=cap, total="page")
    assert await server.pager(row_limit=1000).collect() == server.rows
    server = make_server(cap, cap=cap)
    assert await server.pager(row_limit=1000).collect() == server.rows
    assert starts(server) == [0, cap - 1]


@pytest.mark.parametrize("change", [None, "moves"])
@pytest.mark.parametrize("size", [250, 257])
async def test_a_page_that_holds_as_many_rows_as_the_next_says_there_are_is_all(
    make_server: MakeServer, size: int, change: str | None
) -> None:
    changes = {1: lambda rows: rows.reverse()} if change else {}
    server = make_server(size, changes=changes)
    assert await server.pager(row_limit=10_000).collect() == list(range(1, size + 1))
    assert starts(server) == [0, size - 1]
    assert server.reported() == []


@pytest.mark.parametrize("first_row", [0, 1])
@pytest.mark.parametrize("total", ["page", "right", "missing"])
@pytest.mark.parametrize("cap", [101, 333, 999])
async def test_a_page_cut_to_any_number_of_rows_is_not_believed_to_be_all(
    make_server: MakeServer, cap: int, total: str, first_row: int
) -> None:
    for size in (cap, cap + 1, 2 * cap - 1, 2 * cap + 7):
        server = make_server(size, cap=cap, total=total, first_row=first_row)
        assert await server.pager(row_limit=1000).collect() == server.rows
        assert "read again" not in server.reported()


async def test_a_short_list_is_one_request_however_many_rows_are_asked_for(
    make_server: MakeServer,
) -> None:
    server = make_server(99)
    assert await server.pager(row_limit=1000).collect() == server.rows
    assert starts(server) == [0]


async def test_a_long_list_that_loses_rows_all_the_time_is_believed_in_the_second_walk(
    make_server: MakeServer,
) -> None:
    def shrink(rows: list[int]) -> None:
        del rows[-3:]

    server = make_server(5764, changes=dict.fromkeys(range(1, 20), shrink))
    rows = await server.pager(row_limit=10_000).collect()
    assert server.always <= set(rows)
    assert starts(server) == [0, 5763, 0]


@pytest.mark.parametrize(("size", "row_limit"), [(257, 100), (250, 10_000), (20, 9), (10, 9)])
async def test_a_total_that_counts_the_page_is_as_good_as_none(
    make_server: MakeServer, size: int, row_limit: int
) -> None:
    for first_row in (0, 1):
        server = make_server(size, total="page", first_row=first_row)
        assert await server.pager(row_limit=row_limit).collect() == server.rows
        assert set(server.reported()) - {"counts from 1"} == {"total of the page"}
    server = make_server(size, total="page", changes={1: lambda rows: rows.pop(0)})
    rows = await server.pager(row_limit=row_limit).collect()
    assert set(server.rows) <= set(rows)
    assert "read again" in server.reported()


@pytest.mark.parametrize("total", ["right", "missing"])
async def test_a_page_of_the_shared_row_alone_is_no_end(
    make_server: MakeServer, total: str
) -> None:
    server = make_server(25, shorten=lambda start, limit: min(limit, 10 - start % 10), total=total)
    assert await server.pager(row_limit=20, limit=1).collect() == server.rows
    assert {10, 20} <= set(starts(server))
    assert "read again" not in server.reported()


async def test_a_first_row_that_moves_behind_is_no_first_page_again(
    make_server: MakeServer,
) -> None:
    server = make_server(2, total="missing", changes={1: lambda rows: rows.reverse()})
    assert await server.pager().collect() == [1, 2]
    assert server.reported() == ["read again"]


@pytest.mark.parametrize(("row_limit", "asked"), [(1, 2), (100, 101), (10_000, 10_000)])
async def test_one_row_more_is_asked_for_than_a_page_adds(
    make_server: MakeServer, row_limit: int, asked: int
) -> None:
    server = make_server(4)
    assert await server.pager(row_limit=row_limit).collect() == server.rows
    assert {limit for _, limit in server.requests} == {asked}


@pytest.mark.parametrize("name", ["row_limit", "limit"])
async def test_sizes_of_nothing_are_refused(make_server: MakeServer, name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        make_server(1).pager(**{name: 0})


async def test_several_tasks_may_share_the_rows(make_server: MakeServer) -> None:
    server = make_server(200, delays=(3, 0, 1))
    found: list[int] = []

    async def work(rows: AsyncIterable[int]) -> None:
        async for row in rows:
            found.append(row)
            await anyio.lowlevel.checkpoint()

    async with server.pager() as rows, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work, rows)
    assert sorted(found) == server.rows


# Pages


async def test_pages_hold_each_row_once(make_server: MakeServer) -> None:
    server = make_server(25)
    async with server.pager().pages() as pages:
        found = [page async for page in pages]
    assert [page.items for page in found] == [
        tuple(range(1, 11)),
        tuple(range(11, 20)),
        tuple(range(20, 26)),
    ]
    assert [(page.start_at_row, page.total_rows) for page in found] == [(0, 25), (9, 25), (18, 25)]


async def test_pages_with_nothing_new_are_left_out(make_server: MakeServer) -> None:
    server = make_server(10)
    assert [page.items async for page in server.pager().pages()] == [tuple(range(1, 11))]
    assert [page async for page in make_server(0).pager().pages()] == []


# Dialects


async def test_a_server_that_counts_from_1_is_known_by_the_overlap(make_server: MakeServer) -> None:
    server = make_server(28, first_row=1)
    assert await server.pager().collect() == server.rows
    assert sorted(starts(server)) == [0, 9, 18, 27]
    assert server.reported() == ["counts from 1"]
    assert server.anomalies[0][0] == "invoices.find"


async def test_what_is_on_its_way_is_still_good_when_the_server_counts_from_1(
    make_server: MakeServer,
) -> None:
    server = make_server(900, first_row=1)
    assert await server.pager(limit=8).collect() == server.rows
    assert len(server.requests) == len(set(server.requests)) <= 101


async def test_a_cap_is_learned_from_the_first_page(make_server: MakeServer) -> None:
    server = make_server(20, cap=6)
    assert await server.pager().collect() == server.rows
    assert sorted(server.requests) == [(0, 10), (5, 6), (10, 6), (15, 6)]
    assert server.reported() == ["fewer rows than asked"]


async def test_a_cap_of_one_row(make_server: MakeServer) -> None:
    for first_row in (0, 1):
        for total in ("right", "missing"):
            server = make_server(5, cap=1, first_row=first_row, total=total)
            assert await server.pager().collect() == server.rows


async def test_pages_of_changing_length_are_filled_up(make_server: MakeServer) -> None:
    server = make_server(100, shorten=lambda start, limit: 4 if start % 4 == 2 else limit)
    assert await server.pager().collect() == server.rows
    assert len(server.requests) < 30


async def test_a_server_that_gives_more_than_asked(make_server: MakeServer) -> None:
    server = make_server(35, ignores_limit=True)
    assert await server.pager().collect() == server.rows
    assert starts(server) == [0]
    server = make_server(35, ignores_limit=True, cap=20)
    assert await server.pager().collect() == server.rows
    assert starts(server) == [0, 19]


async def test_without_a_total_the_end_is_an_empty_page(make_server: MakeServer) -> None:
    server = make_server(12, total="missing")
    assert await server.pager(limit=8).collect() == server.rows
    assert starts(server) == [0, 9, 11, 12]
    server = make_server(0, total="missing")
    assert await server.pager().collect() == []
    assert starts(server) == [0]


async def test_without_a_total_little_is_asked_for_beyond_the_end(make_server: MakeServer) -> None:
    server = make_server(200, total="missing")
    assert await server.pager(limit=32).collect() == server.rows
    assert max(starts(server)) < 2 * 200 + 10


@pytest.mark.parametrize("total", ["right", "missing", 40])
async def test_a_server_that_ignores_start_at_row(
    make_server: MakeServer, total: str | int
) -> None:
    server = make_server(30, ignores_start=True, total=total)
    found, error = await read(server.pager())
    assert isinstance(error, ConsistencyError)
    assert "returned its first page" in str(error)
    assert found == server.rows[:10]
    assert error.operation == "invoices.find"
    assert len(server.requests) <= 1 + 2 * 4


@pytest.mark.parametrize(("total", "size"), [(-5, 25), (5, 25), (-20, 20), (80, 25), (-15, 25)])
async def test_a_wrong_total_is_never_a_quiet_end(
    make_server: MakeServer, total: int, size: int
) -> None:
    server = make_server(size, total=total)
    found, error = await read(server.pager())
    assert isinstance(error, ListChanged)
    assert found == server.rows
    assert error.rows_read == size
    assert error.total_rows in {answer.total_rows for answer in server.answers}
    assert server.reported().count("read again") == 4
    assert len(server.requests) < 5 * 20


# A list that changes


async def test_a_row_deleted_and_another_appended_is_noticed_though_the_count_is_right(
    make_server: MakeServer,
) -> None:
    def swap(rows: list[int]) -> None:
        del rows[3]
        rows.append(99)

    server = make_server(30, changes={1: swap})
    rows = await server.pager().collect()
    assert sorted(rows) == [*range(1, 31), 99]
    assert server.reported() == ["read again"]


async def test_rows_deleted_while_paging_hide_no_other(make_server: MakeServer) -> None:
    def approve(rows: list[int]) -> None:
        del rows[:10]

    server = make_server(50, changes={1: approve, 2: approve})
    rows = await server.pager(limit=1).collect()
    assert set(range(21, 51)) <= set(rows)
    assert len(rows) == len(set(rows))
    assert server.reported() == ["total changed", "read again"]


async def test_rows_inserted_before_are_found_by_walking_again(make_server: MakeServer) -> None:
    server = make_server(30, changes={2: lambda rows: rows.insert(0, 99)})
    rows = await server.pager().collect()
    assert rows == [*range(1, 31), 99]
    assert "total changed" in server.reported()


async def test_a_row_that_moves_is_found_by_walking_again(make_server: MakeServer) -> None:
    server = make_server(30, changes={1: lambda rows: rows.insert(0, rows.pop(25))})
    rows = await server.pager().collect()
    assert sorted(rows) == server.rows[1:26] + server.rows[:1] + server.rows[26:]
    assert "read again" in server.reported()


async def test_a_list_that_never_holds_still(make_server: MakeServer) -> None:
    changes = {number: lambda rows: rows.insert(0, 1000 + len(rows)) for number in range(200)}
    server = make_server(30, changes=changes)
    found, error = await read(server.pager())
    assert isinstance(error, ListChanged)
    assert str(error).startswith("invoices changed while being listed (5 attempts: total_rows was")
    assert str(error).endswith("; retry, or use row_limit=10000 to read them in one request")
    assert error.rows_read == len(found) == len(set(found))
    assert error.total_rows in {answer.total_rows for answer in server.answers}
    assert error.operation == "invoices.find"


async def test_a_row_that_is_listed_twice_is_given_once_and_told(make_server: MakeServer) -> None:
    server = make_server([*range(1, 16), 4, *range(16, 20)])
    found, error = await read(server.pager())
    assert isinstance(error, ListChanged)
    assert found == list(range(1, 20))
    assert server.reported() == ["row repeated"] + ["read again"] * 4


# More rows a page


def coming(rows: list[int]) -> None:
    rows.insert(0, 100_000 + len(rows))


@ONE_LOOP
async def test_each_new_walk_asks_for_four_times_as_many_rows(make_server: MakeServer) -> None:
    changes = dict.fromkeys(range(10_000), coming)
    server = make_server(12_000, changes=changes)
    _, error = await read(server.pager(row_limit=100, limit=1, adaptive=True))
    assert list(dict.fromkeys(limit for _, limit in server.requests)) == [
        *(101, 401, 1601, 6401),
        10_000,
    ]
    assert isinstance(error, ListChanged)
    assert str(error).endswith("; retry, or list fewer at once, by narrower filters")
    server = make_server(12_000, changes=changes)
    _, error = await read(server.pager(row_limit=1000, limit=1))
    assert {limit for _, limit in server.requests} == {1001}
    assert str(error).endswith("; retry, or use row_limit=10000 to read them in fewer requests")


async def test_a_list_that_changes_with_each_page_is_read_in_one(make_server: MakeServer) -> None:
    server = make_server(5764, changes=dict.fromkeys(range(1000), coming))
    rows = await server.pager(row_limit=100, adaptive=True).collect()
    assert set(range(1, 5765)) <= set(rows)
    assert server.requests[-1] == (0, 6401)


@pytest.mark.parametrize("cap", [30, 50])
async def test_more_rows_are_asked_for_than_a_capped_server_gives(
    make_server: MakeServer, cap: int
) -> None:
    server = make_server(200, cap=cap, changes={4: coming})
    rows = await server.pager(row_limit=20, adaptive=True).collect()
    assert set(range(1, 201)) <= set(rows)
    assert "read again" in server.reported()
    server = make_server(200, cap=cap, changes=dict.fromkeys(range(1000), coming))
    _, error = await read(server.pager(row_limit=20, adaptive=True))
    assert str(error).endswith("by narrower filters")


REFUSALS = [
    RequestRejected("row_limit is too large", status=400),
    ServerError("timed out", status=504),
    DeadlineExceeded("no response within 60 s"),
    DecodeError("a body of over 64 MB"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("where", [0, 1])
async def test_rows_that_are_refused_are_asked_for_as_before(
    make_server: MakeServer, refusal: Exception, where: int
) -> None:
    def refuse(start: int) -> Exception | None:
        return refusal if server.requests[-1][1] > 500 and (start > 0) == where else None

    server = make_server(1700, fail=refuse, changes=dict.fromkeys((5, 22), coming))
    rows = await server.pager(row_limit=100, limit=1, adaptive=True).collect()
    assert set(range(1, 1701)) <= set(rows)
    assert len(rows) == len(set(rows))
    assert list(dict.fromkeys(limit for _, limit in server.requests)) == [101, 401, 1601]
    assert server.requests[-1][1] == 401
    assert server.anomalies[-1][1:] == ("row_limit refused", f"{type(refusal).__name__} for 1601")
    # What is asked for first may be too much, too.
    server = make_server(1700, fail=refuse)
    assert await server.pager(row_limit=1000, limit=1, fallback=100).collect() == server.rows
    assert "row_limit refused" in server.reported()


@pytest.mark.parametrize(
    ("error", "fallback"),
    [
        (REFUSALS[0], None),
        (AuthenticationError("Invalid API key", status=401), 100),
        (RateLimited("slow down", status=429), 100),
        (NotSent("nothing was sent"), 100),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
async def test_other_errors_are_raised(
    make_server: MakeServer, error: Exception, fallback: int | None
) -> None:
    server = make_server(1700, fail=lambda _: error)
    _, raised = await read(server.pager(row_limit=1000, adaptive=True, fallback=fallback))
    assert raised is error
    assert len(server.requests) == 1


async def test_what_fails_with_fewer_rows_as_well_is_raised(make_server: MakeServer) -> None:
    server = make_server(1700, fail=lambda _: REFUSALS[1])
    _, raised = await read(server.pager(row_limit=1000, fallback=100))
    assert raised is REFUSALS[1]
    assert server.requests == [(0, 1001), (0, 101)]


# Rows that are left out


async def test_rows_are_chosen_by_the_client(make_server: MakeServer) -> None:
    server = make_server(50)
    pages = [page async for page in server.pager(select=lambda row: row % 7 == 0).pages()]
    assert [row for page in pages for row in page.items] == [7, 14, 21, 28, 35, 42, 49]
    # How many match in all is what nobody says.
    assert {page.total_rows for page in pages} == {None}
    server = make_server(50, changes=dict.fromkeys(range(1000), coming))
    found, error = await read(server.pager(select=lambda row: row < 3))
    assert isinstance(error, ListChanged)
    assert found == [1, 2]
    assert error.rows_read > 50


async def test_a_row_that_cannot_be_chosen_ends_the_list(make_server: MakeServer) -> None:
    failure = DecodeError("row 15 has no date")

    def select(row: int) -> bool:
        if row == 15:
            raise failure
        return True

    async with make_server(50).pager(select=select) as rows:
        found, error = await read(rows)
        assert error is failure
        assert failure.operation == "invoices.find"
        assert found == list(range(1, 11))
        with pytest.raises(ClosedError):
            await anext(rows)


# Rows that are not what was asked for, and errors


async def test_a_row_that_does_not_match_is_not_given(make_server: MakeServer) -> None:
    server = make_server(30)
    pager = server.pager(matches=lambda row: "it is 15" if row == 15 else None)
    async with pager as rows:
        found, error = await read(rows)
        assert isinstance(error, ConsistencyError)
        assert str(error) == "row 15 does not match the request: it is 15"
        assert found == list(range(1, 11))
        assert error.operation == "invoices.find"
        with pytest.raises(ClosedError):
            await anext(rows)


async def test_the_last_page_is_no_end_when_a_row_of_it_does_not_match(
    make_server: MakeServer,
) -> None:
    async with make_server(5).pager(matches=lambda row: "no" * (row == 5) or None) as rows:
        with pytest.raises(ConsistencyError):
            await anext(rows)
        with pytest.raises(ClosedError, match="before its end"):
            await anext(rows)


async def test_an_odd_date_is_told_once_and_the_row_is_given(make_server: MakeServer) -> None:
    server = make_server(30)
    assert await server.pager(wrong_date=lambda row: f"{row}!").collect() == server.rows
    assert server.anomalies == [("invoices.find", "date outside the filter", "row 1: 1!")]


async def test_an_error_comes_after_the_rows_before_it(make_server: MakeServer) -> None:
    failure = ServerError("down", status=503)
    fail = {18: failure}.get
    server = make_server(50, delays=(0, 5, 0), fail=fail)
    async with server.pager() as rows:
        found, error = await read(rows)
        assert error is failure
        assert found == list(range(1, 20))
        assert server.active == 0
        with pytest.raises(ClosedError):
            await anext(rows)


async def test_an_error_beyond_the_end_is_nobodys_business(make_server: MakeServer) -> None:
    failure = ServerError("no such row", status=500)
    server = make_server(35, total="missing", fail=lambda start: failure if start > 35 else None)
    assert await server.pager().collect() == server.rows
    assert max(starts(server)) > 35
