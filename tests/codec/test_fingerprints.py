"""Fingerprints of records: whether an id was there, with the same fingerprint, in few bytes."""

import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.fingerprints import Fingerprints

ids = st.integers(1, 200) | st.integers(1, 2**31 - 1) | st.integers(2**31 - 70_000, 2**31 - 1)


@given(st.lists(st.tuples(ids, st.sampled_from([0, 1, -1, 2**63, 2**32 - 1]))))
def test_it_is_a_dict_that_keeps_what_came_first(added: list[tuple[int, int]]) -> None:
    seen: dict[int, int] = {}
    fingerprints = Fingerprints()
    for number, fingerprint in added:
        low = fingerprint & 0xFFFF_FFFF
        same = seen[number] == low if number in seen else None
        assert fingerprints.add(number, fingerprint) is same
        seen.setdefault(number, low)


MANY = 200_000


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: range(1, MANY + 1), 3_000_000),
        (lambda: random.Random(1).sample(range(1, MANY + 1), MANY), 3_000_000),  # noqa: S311 - no secret
        (lambda: random.Random(1).sample(range(1, 2**31), MANY), 20_000_000),  # noqa: S311 - the same
    ],
    ids=["in order", "shuffled", "anywhere"],
)
def test_it_takes_few_bytes(make: Callable[[], list[int]], most: int) -> None:
    numbers = make()
    tracemalloc.start()
    fingerprints = Fingerprints()
    before = tracemalloc.get_traced_memory()[0]
    assert all(fingerprints.add(number, number) is None for number in numbers)
    assert tracemalloc.get_traced_memory()[0] - before < most
    tracemalloc.stop()
