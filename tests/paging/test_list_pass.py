"""The bookkeeping of one walk, where a list changes so that counting alone shows nothing."""

from collections.abc import Iterable, Sequence

import pytest

from aiocake.paging.list_pass import IdSet, ListPass


def walk(
    *pages: tuple[int, Iterable[int], int | None],
    row_limit: int = 10,
    counts_list: bool | None = None,
) -> tuple[ListPass, list[str]]:
    """Take pages of 10: the start, the ids, and the total that each one tells."""
    reported: list[str] = []
    taken = ListPass(row_limit, IdSet(), lambda what, _: reported.append(what), counts_list)
    for start, ids, total_rows in pages:
        assert not taken.over
        taken.take(start, list(ids), total_rows)
    return taken, reported


def test_a_list_that_held_still() -> None:
    taken, reported = walk((0, range(1, 11), 25), (9, range(10, 20), 25), (18, range(19, 26), 25))
    assert taken.over
    assert taken.inconsistency == ""
    assert reported == []


def test_a_row_that_slipped_through_though_all_counts_are_right() -> None:
    # Between the pages two rows left and two came; then one came in front and one left behind.
    taken, _ = walk(
        (0, range(1, 11), 28), (9, range(12, 22), 28), (18, [20, 21, *range(22, 30)], 28)
    )
    assert taken.inconsistency == "a page did not continue where the one before it ended"


def test_a_total_that_changed_and_changed_back() -> None:
    taken, reported = walk((0, range(1, 11), 25), (9, range(10, 20), 26), (18, range(19, 26), 25))
    assert taken.over
    assert taken.inconsistency == "total_rows was 25, then 26"
    assert reported == ["total changed", "total changed"]


def test_a_total_that_only_some_pages_tell() -> None:
    taken, reported = walk(
        (0, range(1, 11), None), (9, range(10, 20), 25), (18, range(19, 26), None)
    )
    assert taken.over
    assert taken.inconsistency == ""
    assert reported == []


def test_a_row_twice_without_a_total() -> None:
    taken, reported = walk(
        (0, range(1, 11), None),
        (9, [10, 3, *range(12, 16)], None),
        (14, [15], None),
        (15, [], None),
    )
    assert taken.over
    assert taken.inconsistency == "14 distinct rows of 15"
    assert reported == ["row repeated"]


def test_the_first_page_again_after_as_many_rows_came_in_front() -> None:
    taken, _ = walk((0, range(1, 11), 30), (9, range(1, 11), 39))
    assert taken.over
    assert not taken.ignores_start
    assert taken.inconsistency
    taken, _ = walk((0, range(1, 11), 30), (9, range(1, 11), 30))
    assert taken.ignores_start


@pytest.mark.parametrize(
    ("rows", "asked", "over"),
    [(7, 101, True), (99, 1001, True), (100, 101, False), (101, 1001, False), (999, 1001, False)],
)
def test_a_first_page_shorter_than_asked_is_all_only_if_it_is_short(
    rows: int, asked: int, *, over: bool
) -> None:
    taken, _ = walk((0, range(1, rows + 1), rows), row_limit=asked)
    assert taken.over is over
    taken, _ = walk((0, range(1, rows + 1), rows), row_limit=asked, counts_list=True)
    assert taken.over


def test_a_page_of_no_rows_shows_that_the_total_counts_the_list() -> None:
    taken, _ = walk((0, range(1, 1000), 999), (998, [], 990), row_limit=1001)
    assert taken.inconsistency == "total_rows was 999, then 990"
    assert taken.counts_list


@pytest.mark.parametrize("ids", [[], [30]])
def test_a_page_that_does_not_hold_the_row_it_was_asked_for(ids: Sequence[int]) -> None:
    taken, _ = walk((0, range(1, 11), None), (9, ids, None))
    assert taken.inconsistency == "a page did not continue where the one before it ended"


def test_what_is_due_and_what_is_worth_asking_for_ahead() -> None:
    taken, _ = walk()
    assert (taken.next_start, taken.ahead()) == (0, None)
    taken.take(0, list(range(1, 11)), 28)
    assert taken.next_start == 9
    assert [taken.ahead() for _ in range(3)] == [9, 18, None]
    taken.take(9, list(range(9, 19)), 28)  # the server counts from 1: one row early
    assert taken.next_start == 18
    assert taken.ahead() == 27
    taken.take(18, list(range(18, 28)), 28)
    assert (taken.next_start, taken.over) == (27, False)
    taken.take(27, [27, 28], 28)
    assert taken.over
    assert taken.inconsistency == ""


@pytest.mark.parametrize(("first", "whole"), [(1, True), (12, False)])
def test_rows_count_from_1_only_if_the_first_row_is_still_the_first(
    first: int, *, whole: bool
) -> None:
    # A row that moves to the front is one row early in all pages behind it, too.
    taken, _ = walk((0, range(1, 11), None), (9, [9, 10, 11], None), (11, [11], None))
    assert (taken.over, taken.next_start) == (False, 12)
    taken.take(12, [], None)
    assert (taken.over, taken.next_start) == (False, 0)
    taken.take(0, [first, 2], None)
    assert taken.over
    assert bool(taken.inconsistency) is not whole
