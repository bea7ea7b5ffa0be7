"""A fixture that makes trio run tasks in one order, for tests that repeat an example."""

import pytest
import trio
from hypothesis import register_random


@pytest.fixture(autouse=True)
def same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """trio runs the tasks of one turn in random order: in the same one for the same example."""
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    register_random(trio._core._run._r)  # pyright: ignore[reportPrivateUsage] - as hypothesis does
