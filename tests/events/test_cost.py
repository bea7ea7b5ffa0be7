# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""The benchmark of what events cost compares what it says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from ..support.loops import one_loop  # noqa: F401 - it imports a copy of the package each time

pytestmark = pytest.mark.anyio


@pytest.fixture
def tracing() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "tracing.py"
    spec = importlib.util.spec_from_file_location("tracing", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("cut", [True, False])
async def test_a_copy_with_cuts_tells_nothing(tracing, cut) -> None:
    reported: list[object] = []
    with tracing.package(tracing.CUTS if cut else {}) as get:
        package = get("aiocake")
        async with tracing.client(package, on_event=reported.append) as cake:
            await cake.invoices.page()
            await cake.invoices.update(1, invoice_status="approved")
        async with tracing.connects(get)(reported.append) as cake:
            await cake.invoices.page()
    assert [type(event).__name__ for event in reported] == (
        [] if cut else ["AttemptEnded", "CallEnded"] * 3
    )


async def test_a_cut_that_does_not_fit_is_an_error(tracing) -> None:
    with (
        pytest.raises(RuntimeError, match="has changed"),
        tracing.package({"_pipeline/executor.py": (("no such text", "", 1),)}),
    ):
        raise AssertionError
