"""How long the tests of journals in PostgreSQL go on, and what they come to."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import anyio
import pytest

from aiocake.bulk.postgres import Postgres
from aiocake.sandbox import Sandbox, serve

from ..support.postgres import MISSING, NO_BOUNCER, bouncer, server
from .ground import Ground, process

#: In the default run; the session ``journals`` takes more.
TIMES = 1
#: What must not be met.
NEVER = ("doubles", "missing", "stranded", "logs that do not hold")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("journals")
    group.addoption("--times", type=int, default=TIMES, help="how often each fault is tried")
    group.addoption("--bouncer", action="store_true", help="go through PgBouncer")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on both backends; in the default run on one of them, in turn."""
    if "backend" in metafunc.fixturenames:
        both = ["asyncio", "trio"]
        turn = len(metafunc.function.__name__) % 2
        short = int(metafunc.config.getoption("--times", TIMES)) == TIMES
        metafunc.parametrize("backend", both[turn : turn + 1] if short else both)


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often each fault is tried, on each backend."""
    # Where this file is not among the first that pytest reads, there are no options.
    return int(request.config.getoption("--times", TIMES))


@pytest.fixture(scope="module")
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Servers and processes for the tests of one module."""
    through = bool(request.config.getoption("--bouncer", default=False))
    if missing := MISSING or (NO_BOUNCER if through else ""):
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as stack:
        running = stack.enter_context(server())
        books = Postgres(conninfo=running.conninfo())
        anyio.run(books.migrate)
        sandbox = Sandbox(invoices=0, bills=0)
        url = stack.enter_context(serve(sandbox))
        hosts = [stack.enter_context(process(folder / name)) for name in ("one", "other")]
        here = Ground(sandbox, url, running, *hosts)
        if through:
            port = stack.enter_context(bouncer(running))
            here.conninfo = f"host=127.0.0.1 port={port} dbname=postgres user=aiocake"
        yield here


@pytest.fixture
def tally(ground: Ground, record_property) -> Iterator[Counter[str]]:  # noqa: ANN001 - pytest's own
    """Counts what one test met; it is printed in the end."""
    ground.seen = Counter(dict.fromkeys(NEVER, 0))
    yield ground.seen
    record_property("journals", dict(ground.seen))
    assert not any(ground.seen[name] for name in NEVER)


def pytest_terminal_summary(terminalreporter) -> None:  # noqa: ANN001 - pytest's own
    counted: Counter[str] = Counter()
    reports = [report for each in terminalreporter.stats.values() for report in each]
    for report in reports:
        if getattr(report, "when", "") == "teardown":
            for name, seen in report.user_properties:
                counted.update(seen if name == "journals" else {})
    if counted:
        terminalreporter.section("journals in PostgreSQL")
    for what in sorted(counted):
        terminalreporter.line(f"{counted[what]:7} {what}")
