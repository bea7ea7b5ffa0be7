"""A set of row ids that stays small."""

import random
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake.paging import list_pass
from aiocake.paging.list_pass import IdSet

near = st.integers(0, 200) | st.integers(65_500, 65_600)
anywhere = st.integers(-(2**33), 2**33)


@given(st.lists(near | anywhere, max_size=300))
def test_it_knows_what_a_set_knows(numbers: list[int]) -> None:
    seen, known = IdSet(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in known)
        known.add(number)
        assert len(seen) == len(known)


@given(st.lists(st.lists(near | anywhere, max_size=9), max_size=60))
def test_it_knows_pages_as_it_knows_numbers(pages: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(list_pass, "_MOST_RECENT", 10)
        seen, known = IdSet(), set[int]()
        for page in pages:
            expected: list[bool] = []
            for number in page:
                expected.append(number not in known)
                known.add(number)
            assert seen.add_all(page) == expected
            assert len(seen) == len(known)


def test_pages_that_go_up_and_those_that_do_not() -> None:
    seen = IdSet()
    assert seen.add_all([1, 2, 3]) == [True, True, True]
    assert seen.add_all([3, 4, 5]) == [False, True, True]
    assert seen.add_all([4, 6]) == [False, True]
    assert seen.add_all([6, 7]) == [False, True]
    seen = IdSet()
    assert seen.add_all([65_535, 65_536]) == [True, True]
    assert seen.add_all([65_536, 65_535]) == [False, False]
    seen = IdSet()
    assert seen.add_all([10, 12, 11]) == [True, True, True]
    assert seen.add_all([11, 10]) == [False, False]


@pytest.mark.parametrize("order", ["up", "down", "mixed"])
def test_few_and_many_numbers_side_by_side(order: str) -> None:
    numbers = list(range(1, 10_000)) + list(range(100_000, 200_000, 30))
    if order == "down":
        numbers.reverse()
    if order == "mixed":
        random.Random(1).shuffle(numbers)  # noqa: S311 - no secret
    seen = IdSet()
    assert all(seen.add(number) for number in numbers)
    assert not any(seen.add(number) for number in numbers)
    assert len(seen) == len(numbers)


def _size(numbers: Iterable[int]) -> int:
    tracemalloc.start()
    try:
        seen = IdSet()
        for number in numbers:
            seen.add(number)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_numbers_in_sequence_take_hardly_any_room() -> None:
    assert _size(range(7_000_000, 7_050_000)) < 500_000


def test_scattered_numbers_take_little_room() -> None:
    numbers = random.Random(1).sample(range(2**31), 200_000)  # noqa: S311 - no secret
    assert _size(numbers) < 10_000_000
