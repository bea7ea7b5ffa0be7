# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Each target of the fuzzer on its seeds, on damaged seeds, and on what was found once."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = [
    "v2",
    "page",
    "asmx",
    "fault",
    "export",
    "references",
    "wait",
    "scrub",
    "inflate",
    "response",
]
#: A seed of a page with hundreds of rows shows no more than one with three.
LONGEST = 20_000

EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 40), st.binary(max_size=4) | st.none()),
    max_size=5,
)


def edited(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The seed with some of its pieces replaced."""
    for at, length, new in edits:
        start = at % (len(seed) + 1)
        seed = seed[:start] + new + seed[start + length :]
    return seed


def test_all_targets_are_here(targets) -> None:
    assert list(targets.TARGETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_seeds(targets, seeds, name) -> None:
    given_to_it = seeds.seeds(name)
    assert len(given_to_it) > 5
    for seed in given_to_it:
        targets.TARGETS[name](seed)


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_seeds(targets, seeds, name, data: Any) -> None:  # noqa: ANN401 - hypothesis
    seed = data.draw(st.sampled_from([each for each in seeds.seeds(name) if len(each) < LONGEST]))
    tokens = st.sampled_from(seeds.TOKENS)
    edits = [
        (at, length, data.draw(tokens) if new is None else new)
        for at, length, new in data.draw(EDITS)
    ]
    targets.TARGETS[name](edited(seed, edits))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=300))
def test_any_bytes(targets, name, data: bytes) -> None:
    targets.TARGETS[name](data)


FOUND = {
    # A reference of more digits than Python makes a number of.
    "fault": [bytes((11, 0)) + b"&#" + b"1" * 5000 + b";"],
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once(targets, name) -> None:
    for data in FOUND[name]:
        targets.TARGETS[name](data)
