"""How long the tests of crashes go on, and what they come to."""

from collections import Counter
from collections.abc import Callable

import pytest

from ..support.amounts import some

#: In the default run; the session ``crash`` takes more.
ORDERS = some(10)
KILLS = some(6)
PAIRS = 1


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crash")
    group.addoption("--orders", type=int, default=ORDERS, help="how many orders of events to try")
    group.addoption("--kills", type=int, default=KILLS, help="how often to kill runs of each kind")
    group.addoption("--pairs", type=int, default=PAIRS, help="how often two runs go at once")
    group.addoption("--crash-seed", type=int, default=1, help="what draws orders and moments")


@pytest.fixture
def orders(request: pytest.FixtureRequest) -> int:
    """How many orders of events to try, on each backend."""
    # Where this file is not among the first that pytest reads, there are no options.
    return int(request.config.getoption("--orders", ORDERS))


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often to kill runs of each kind."""
    return int(request.config.getoption("--kills", KILLS))


@pytest.fixture
def pairs(request: pytest.FixtureRequest) -> int:
    """How often two runs go at once, of each kind."""
    return int(request.config.getoption("--pairs", PAIRS))


@pytest.fixture
def crash_seed(request: pytest.FixtureRequest) -> int:
    """What draws orders and moments."""
    return int(request.config.getoption("--crash-seed", 1))


@pytest.fixture
def note(request: pytest.FixtureRequest, record_property) -> Callable[[Counter[str]], None]:  # noqa: ANN001 - pytest's own
    """Has counts printed in the end."""
    name = request.node.name
    return lambda seen: record_property("crash", [name, dict(seen)])


def pytest_terminal_summary(
    terminalreporter,  # noqa: ANN001 - pytest's own
    config: pytest.Config,
) -> None:
    noted = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "crash"
    ]
    if not noted:
        return
    kills = sum(seen["kills"] for _, seen in noted)
    drawn = f"--crash-seed {config.getoption('--crash-seed', 1)}"
    terminalreporter.line(f"runs of creates were killed {kills} times ({drawn})")
    if config.getoption("--kills", KILLS) == KILLS:
        return
    for name, seen in sorted(noted):
        terminalreporter.line(name)
        for what, count in sorted(seen.items()):
            terminalreporter.line(f"    {count:6} {what}")
