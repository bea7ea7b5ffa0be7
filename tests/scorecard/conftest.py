"""What the scorecard's tests share, and the table that they fill in.

A test says of which case it is by ``@pytest.mark.case``. ``pytest tests/scorecard --scorecard``
tries all of them, prints how each case ended on each backend, and fails when one has no test.
Otherwise each kind of fault is tried by one call on one backend, in turn.
"""

import gc
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ._canary import Everything
from ._card import Card
from ._table import BACKENDS, CASES, LEFT_OUT, Score, lines

_HERE: Final = Path(__file__).parent
_scores: Final[defaultdict[tuple[str, str], Score]] = defaultdict(Score)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scorecard", action="store_true", help="print how each case ended")
    parser.addoption("--calls", type=int, default=80, help="calls of processes with one quota")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(*ids): of which cases of the scorecard a test is")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.path.is_relative_to(_HERE)]
    _mark_reports(mine)
    if not config.getoption("scorecard", default=False):
        dropped = _all_but_one_of_each(mine)
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def _all_but_one_of_each(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of the tests that differ in call and backend alone all but one; another one each time."""
    kinds: dict[object, list[pytest.Item]] = {}
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        kind = (
            item.path,
            getattr(item, "originalname", item.name),
            *(
                (name, id(value) if callable(value) else repr(value))
                for name, value in sorted(parameters.items())
                if name not in {"call", "anyio_backend", "natively"}
            ),
        )
        kinds.setdefault(kind, []).append(item)
    dropped: set[pytest.Item] = set()
    numbers: Counter[Path] = Counter()  # of each file: it does not matter which others run
    for alike in kinds.values():
        number = numbers[alike[0].path]
        numbers[alike[0].path] += 1
        step = 5 if len(alike) % 5 else 7
        dropped.update(alike)
        dropped.remove(alike[number * step % len(alike)])
    return dropped


def _mark_reports(items: list[pytest.Item]) -> None:
    """Tell each report of its case and backend: workers send reports, and nothing else."""
    for item in items:
        cases = [case for mark in item.iter_markers("case") for case in mark.args]
        for case in cases:
            if case not in CASES:
                raise pytest.UsageError(f"{item.nodeid}: there is no case {case}")
        backend = next((each for each in BACKENDS if each in item.name.partition("[")[2]), "")
        item.user_properties += [("case", case) for case in cases] + [("backend", backend)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    reported = dict(report.user_properties)
    for name, case in report.user_properties:
        if name == "case":
            score = _scores[case, str(reported["backend"])]
            score.passed += report.passed and report.when == "call"
            score.failed += not report.passed
            # Known when the test has been torn down.
            score.slowest = max(score.slowest, float(reported.get("seconds", 0.0)))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.getoption("scorecard", default=False):
        terminalreporter.section("scorecard")
        for line in lines(_scores):
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    asked = session.config.getoption("scorecard", default=False)
    if not asked or hasattr(session.config, "workerinput"):
        return
    good = all(
        _scores[case, backend].good
        for case in CASES
        if case not in LEFT_OUT
        for backend in BACKENDS
    )
    if not good and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def everything() -> Iterator[Everything]:
    """All that is logged and traced, at whatever level, looked through in the end."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    everything = Everything(exporter, provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    root = logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel(1)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        yield everything
    finally:
        HTTPXClientInstrumentor().uninstrument()
        root.setLevel(level)
        root.removeHandler(everything)
        provider.shutdown()
    everything.look()


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> Iterator[None]:
    """Each test collects garbage to see what was not closed: let that look at what is new only."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def card(everything: Everything, request: pytest.FixtureRequest) -> Iterator[Card]:
    """A card for one test."""
    card = Card(everything, full=request.config.getoption("scorecard", default=False))
    yield card
    card.finish()
    request.node.user_properties.append(("seconds", card.slowest))
