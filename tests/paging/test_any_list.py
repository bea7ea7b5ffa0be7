"""Whatever the server is like and whatever happens to the list: complete, or an error."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from aiocake.errors import ConsistencyError, ListChanged

Change = Callable[[list[int]], None]
MakeServer = Callable[..., Any]

BACKENDS = st.sampled_from(["asyncio", "trio"])

sizes = st.integers(0, 60)
options = st.fixed_dictionaries({"row_limit": st.integers(1, 12), "limit": st.integers(1, 4)})
caps = st.integers(1, 12)
# Pages of one row cannot share one: where a server gives no more, the count is all there is.
caps_that_leave_a_seam = st.integers(2, 12)


def dialects(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    always = {
        "first_row": st.sampled_from([0, 1]),
        "delays": st.lists(st.integers(0, 4), min_size=1, max_size=7),
    }
    return st.fixed_dictionaries(always | fields)


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


def read(
    server: Any,  # noqa: ANN401 - the fixture's class
    backend: str,
    options: dict[str, Any],
) -> tuple[list[int], Exception | None]:
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


def check(
    server: Any,  # noqa: ANN401 - the fixture's class
    rows: list[int],
    error: Exception | None,
) -> None:
    assert len(rows) == len(set(rows)), "a row was given twice"
    if error is None:
        assert server.always <= set(rows), "a quiet short list"
    elif isinstance(error, ListChanged):
        assert error.rows_read == len(rows)


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(cap=st.none() | caps, total=st.sampled_from(["right", "missing"])),
    options=options,
)
def test_a_list_that_holds_still_is_read_once_in_order(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    rows, error = read(server, backend, options)
    assert error is None
    assert rows == server.rows
    assert "read again" not in server.reported()
    asked, limit = options["row_limit"] + 1, options["limit"]
    pages = size // max(min(asked, dialect["cap"] or asked) - 1, 1) + 1
    beyond = 0 if dialect["total"] == "right" else min(2 * limit, pages)
    assert len(server.requests) <= pages + 4 + beyond
    assert server.most_active <= limit


def in_blocks(block: int) -> Callable[[int, int], int]:
    """Answers that end at each so-many-th row, as those of a server with pages of its own do."""
    return lambda start_at_row, row_limit: min(row_limit, block - start_at_row % block)


def of_lengths(lengths: list[int]) -> Callable[[int, int], int]:
    """Answers that are cut short wherever the server likes, but hold two rows at least."""
    return lambda start_at_row, row_limit: min(row_limit, lengths[start_at_row % len(lengths)])


@given(
    backend=BACKENDS,
    size=sizes,
    shorten=st.builds(in_blocks, st.integers(1, 12))
    | st.builds(of_lengths, st.lists(st.integers(2, 13), min_size=1, max_size=8)),
    total=st.sampled_from(["right", "missing"]),
    options=options,
)
def test_short_pages_anywhere_are_no_end(  # noqa: PLR0913, PLR0917 - by hypothesis
    make_server: MakeServer,
    backend: str,
    size: int,
    shorten: Callable[[int, int], int],
    total: str,
    options: dict[str, int],
) -> None:
    server = make_server(size, shorten=shorten, total=total)
    rows, error = read(server, backend, options)
    assert error is None
    assert rows == server.rows
    assert "read again" not in server.reported()


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(
        cap=st.none() | caps_that_leave_a_seam,
        total=st.sampled_from(["right", "missing"]),
        changes=changes(comings_and_goings, 40),
    ),
    options=options,
)
def test_rows_that_come_and_go(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    check(server, *read(server, backend, options))


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(cap=st.none() | caps, changes=changes(moves, 40)),
    options=options,
)
def test_rows_that_trade_places(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    check(server, *read(server, backend, options))


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(
        cap=st.none() | caps_that_leave_a_seam, changes=changes(removals | insertions | moves, 2)
    ),
    options=options,
)
def test_any_two_changes_are_survived(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    rows, error = read(server, backend, options)
    check(server, rows, error)
    assert not isinstance(error, ListChanged), "the third walk at the latest held still"


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(
        cap=st.none() | caps_that_leave_a_seam,
        total=st.integers(-60, 60).filter(bool),
        ignores_start=st.booleans(),
        ignores_limit=st.booleans(),
        changes=changes(comings_and_goings | moves, 3),
    ),
    options=options,
)
def test_a_server_that_is_wrong(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    rows, error = read(server, backend, options)
    asked = options["row_limit"] + 1
    first = [answer for answer in server.answers if answer.start_at_row == 0][-1]
    # Not as many rows as asked, and just these are called the total: nothing shows that it is not.
    if not len(first.items) == first.total_rows != asked:
        check(server, rows, error)
    step = max(min(asked, dialect["cap"] or asked) - 1, 1)
    pages = (size + 3 + max(dialect["total"], 0)) // step + 3
    assert len(server.requests) <= 5 * (2 * pages + 2 * options["limit"])


@given(
    backend=BACKENDS,
    size=sizes,
    dialect=dialects(
        cap=st.none() | st.just(50),
        total=st.just("page"),
        changes=changes(comings_and_goings, 3) | changes(moves, 1),
    ),
    options=options,
)
def test_a_total_that_counts_the_page(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    rows, error = read(server, backend, options)
    first = [answer for answer in server.answers if answer.start_at_row == 0][-1]
    if not len(first.items) == first.total_rows != options["row_limit"] + 1:
        check(server, rows, error)
    if not dialect["changes"]:
        assert error is None
        assert rows == server.rows


@given(
    backend=BACKENDS,
    size=st.integers(0, 300),
    dialect=dialects(
        cap=st.none() | st.integers(2, 100),
        changes=changes(removals | insertions | moves, 40),
    ),
    options=options,
)
def test_walks_of_more_and_more_rows(
    make_server: MakeServer,
    backend: str,
    size: int,
    dialect: dict[str, Any],
    options: dict[str, int],
) -> None:
    server = make_server(size, **dialect)
    rows, error = read(server, backend, options | {"adaptive": True})
    check(server, rows, error)
