"""Whatever the server is like and whatever happens to the list: complete, or an error."""

from collections.abc import Callable
from functools import partial

import anyio
import pytest
from aiocake.errors import ConsistencyError, ListChanged
from hypothesis import given
from hypothesis import strategies as st

Change = Callable[[list[int]], None]

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])

sizes = st.integers(0, 60)
row_limits = st.integers(1, 12)
limits = st.integers(1, 4)
delays = st.lists(st.integers(0, 4), min_size=1, max_size=7).map(tuple)
first_rows = st.sampled_from([0, 1])
caps = st.none() | st.integers(1, 12)
# Pages of one row cannot share one: where a server gives no more, the count is all there is.
caps_that_leave_a_seam = st.none() | st.integers(2, 12)


def remove(at: int, rows: list[int]) -> None:
    if rows:
        del rows[at % len(rows)]


def insert(at: int, number: int, rows: list[int]) -> None:
    if number not in rows:
        rows.insert(at % (len(rows) + 1), number)


def move(at: int, to: int, rows: list[int]) -> None:
    if rows:
        row = rows.pop(at % len(rows))
        rows.insert(to % (len(rows) + 1), row)


def both(one: Change, other: Change, rows: list[int]) -> None:
    one(rows)
    other(rows)


places = st.integers(0, 60)
new_ids = st.integers(1_000, 2**31 - 1)
removals = st.builds(partial, st.just(remove), places)
insertions = st.builds(partial, st.just(insert), places, new_ids)
moves = st.builds(partial, st.just(move), places, places)
replacements = st.builds(partial, st.just(both), removals, insertions)
comings_and_goings = removals | insertions | replacements


def changes(of: st.SearchStrategy[Change], most: int) -> st.SearchStrategy[dict[int, Change]]:
    return st.dictionaries(st.integers(0, 40), of, max_size=most)


def read(server, backend: str, **options: int) -> tuple[list[int], Exception | None]:  # noqa: ANN001 - the fixture's class
    async def main() -> tuple[list[int], Exception | None]:
        rows: list[int] = []
        try:
            async with server.pager(**options) as reader:
                async for row in reader:
                    rows.append(row)  # noqa: PERF401 - what came before an error counts
        except (ListChanged, ConsistencyError) as error:
            return rows, error
        finally:
            assert server.active == 0
        return rows, None

    return anyio.run(main, backend=backend)


def check(server, rows: list[int], error: Exception | None) -> None:  # noqa: ANN001 - the fixture's class
    assert len(rows) == len(set(rows)), "a row was given twice"
    if error is None:
        assert server.always <= set(rows), "a quiet short list"
    elif isinstance(error, ListChanged):
        assert error.rows_read == len(rows)


@BACKENDS
@given(
    size=sizes,
    row_limit=row_limits,
    limit=limits,
    first_row=first_rows,
    cap=caps,
    total=st.sampled_from(["right", "missing"]),
    delays=delays,
)
def test_a_list_that_holds_still_is_read_once_in_order(  # noqa: PLR0913 - what servers differ in
    make_server, backend, size, row_limit, limit, first_row, cap, total, delays
) -> None:
    server = make_server(size, first_row=first_row, cap=cap, total=total, delays=delays)
    rows, error = read(server, backend, row_limit=row_limit, limit=limit)
    assert error is None
    assert rows == server.rows
    assert "walked again" not in server.told()
    page = min(max(row_limit, 2), cap or row_limit + 1)
    pages = size // max(page - 1, 1) + 1
    spare = 4 if total == "right" else 4 + min(2 * limit, pages)
    assert len(server.requests) <= pages + spare
    assert server.most_active <= limit


@BACKENDS
@given(
    size=sizes,
    row_limit=row_limits,
    limit=limits,
    first_row=first_rows,
    cap=caps_that_leave_a_seam,
    total=st.sampled_from(["right", "missing"]),
    delays=delays,
    changes=changes(comings_and_goings, 40),
)
def test_rows_that_come_and_go(  # noqa: PLR0913 - what servers differ in
    make_server, backend, size, row_limit, limit, first_row, cap, total, delays, changes
) -> None:
    server = make_server(
        size, first_row=first_row, cap=cap, total=total, delays=delays, changes=changes
    )
    check(server, *read(server, backend, row_limit=row_limit, limit=limit))


@BACKENDS
@given(
    size=sizes,
    row_limit=row_limits,
    limit=limits,
    first_row=first_rows,
    cap=caps,
    delays=delays,
    changes=changes(moves, 40),
)
def test_rows_that_trade_places(  # noqa: PLR0913 - what servers differ in
    make_server, backend, size, row_limit, limit, first_row, cap, delays, changes
) -> None:
    server = make_server(size, first_row=first_row, cap=cap, delays=delays, changes=changes)
    check(server, *read(server, backend, row_limit=row_limit, limit=limit))


@BACKENDS
@given(
    size=sizes,
    row_limit=row_limits,
    limit=limits,
    first_row=first_rows,
    cap=caps_that_leave_a_seam,
    delays=delays,
    changes=changes(removals | insertions | moves, 2),
)
def test_any_two_changes_are_survived(  # noqa: PLR0913 - what servers differ in
    make_server, backend, size, row_limit, limit, first_row, cap, delays, changes
) -> None:
    server = make_server(size, first_row=first_row, cap=cap, delays=delays, changes=changes)
    rows, error = read(server, backend, row_limit=row_limit, limit=limit)
    check(server, rows, error)
    assert not isinstance(error, ListChanged), "the third walk at the latest held still"


@BACKENDS
@given(
    size=sizes,
    row_limit=row_limits,
    limit=limits,
    first_row=first_rows,
    cap=caps_that_leave_a_seam,
    total=st.just("page") | st.integers(-60, 60).filter(bool),
    ignores_start=st.booleans(),
    ignores_limit=st.booleans(),
    delays=delays,
    changes=changes(comings_and_goings | moves, 3),
)
def test_a_server_that_is_wrong(  # noqa: PLR0913 - what servers differ in
    make_server,
    backend,
    size,
    row_limit,
    limit,
    first_row,
    cap,
    total,
    ignores_start,
    ignores_limit,
    delays,
    changes,
) -> None:
    server = make_server(
        size,
        first_row=first_row,
        cap=cap,
        total=total,
        ignores_start=ignores_start,
        ignores_limit=ignores_limit,
        delays=delays,
        changes=changes,
    )
    rows, error = read(server, backend, row_limit=row_limit, limit=limit)
    asked = max(row_limit, 2)
    first = [answer for answer in server.answers if answer.start_at_row == 0][-1]
    # Not as many rows as asked, and just these are called the total: nothing shows that it is not.
    if not len(first.items) == first.total_rows != asked:
        check(server, rows, error)
    step = max(min(asked, cap or asked) - 1, 1)
    most_rows = size + 3 + (total if isinstance(total, int) and total > 0 else 0)
    assert len(server.requests) <= 5 * (2 * (most_rows // step + 3) + 2 * limit)
