# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""The benchmark of what events cost compares what it says."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from ..support.loops import one_loop  # noqa: F401 - it imports a copy of the package each time

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.anyio


@pytest.fixture
def events(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.events")


@pytest.mark.parametrize("cut", [True, False])
def test_a_copy_with_cuts_tells_nothing(events, cut) -> None:
    with (
        events.source_without(events.CUTS if cut else {}) as source,
        events.Worker("benchmarks.events:reported", source) as worker,
    ):
        assert worker.ask() == ([] if cut else ["AttemptBegan", "AttemptEnded", "CallEnded"] * 2)


def test_a_cut_that_does_not_fit_is_an_error(events) -> None:
    with (
        pytest.raises(RuntimeError, match="has changed"),
        events.source_without({"_pipeline/executor.py": (("no such text", "", 1),)}),
    ):
        raise AssertionError
