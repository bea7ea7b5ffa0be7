"""How long the tests of crashes go on."""

import pytest

#: In the default run; the session ``crash`` takes more.
ORDERS = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crash")
    group.addoption("--orders", type=int, default=ORDERS, help="how many orders of events to try")


@pytest.fixture
def orders(request: pytest.FixtureRequest) -> int:
    """How many orders of events to try, on each backend."""
    # Where this file is not among the first that pytest reads, there are no options.
    return int(request.config.getoption("--orders", ORDERS))
