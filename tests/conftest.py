"""What all tests share: the two backends, a hypothesis that gives the same answer each time, and
what is printed in the end, from all workers.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import hypothesis
import pytest

from .support.amounts import some
from .support.numbers import number_calls_from_1
from .support.parts import is_thorough, is_thorough_file

hypothesis.settings.register_profile(
    "aiocake",
    # The same examples on each run: a red check is about the change that is checked.
    derandomize=True,
    database=None,
    # No test depends on how fast the machine is.
    deadline=None,
    max_examples=some(50),
)
hypothesis.settings.load_profile("aiocake")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--uvloop", action="store_true", help="run on uvloop what runs on asyncio")
    parser.addoption(
        "--pulling",
        action="store_true",
        help="read connections as on event loops that watch no sockets (that of Windows)",
    )
    parser.addoption(
        "--part",
        choices=("quick", "thorough"),
        help="run one of the two parts of the tests (tests/support/parts.py)",
    )


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    if config.getoption("uvloop"):
        import uvloop  # noqa: PLC0415 - not for all platforms

        patch.setattr(asyncio.events, "new_event_loop", uvloop.new_event_loop)
    if config.getoption("pulling"):
        patch.setattr("aiocake._transport.dial.watches_sockets", lambda _: False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing of the other part: it needs libraries that this one may do without."""
    quick = config.getoption("part") == "quick"
    return True if quick and is_thorough_file(collection_path) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of the other part."""
    part = config.getoption("part")
    if part is None:
        return
    here, there = [], []
    for item in items:
        (here if is_thorough(item) is (part == "thorough") else there).append(item)
    items[:] = here
    config.hook.pytest_deselected(items=there)


def pytest_runtest_setup() -> None:
    """Number the calls of each test from 1."""
    number_calls_from_1()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each test that is marked ``anyio`` once on asyncio and once on trio."""
    backend: str = request.param
    return backend


@pytest.fixture(autouse=True, scope="session")
def state_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the locks of runs out of the user's own folder, in processes of tests as well."""
    folders = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folders / "all"))
        yield folders


@pytest.fixture(autouse=True)
def state_folder(
    state_folders: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder for each test: what one has left on its way keeps no other waiting."""
    folder = state_folders / sha256(request.node.nodeid.encode()).hexdigest()
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Prints a line in the end, once, however many tests say it."""
    return lambda line: record_property("say", line)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Prints how often something was counted, by all tests together."""

    def count(what: str, number: int = 1) -> None:
        record_property("count", (what, number))

    return count


def pytest_collection_finish() -> None:
    """Keep what was collected out of the garbage collector's sight.

    It stays to the end anyway, and it is so much that looking through it again and again takes
    longer than many a test: most of all where a test calls ``gc.collect()`` itself.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Do the same with what the tests of a file have left: reports, caches and whole libraries.

    Only after a collection: what nobody holds would else never be found, and nor would the
    warning of what was left open.
    """
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    said: dict[str, None] = {}
    counted: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    if name == "say":
                        said[value] = None
                    elif name == "count":
                        counted.update({value[0]: value[1]})
    if said or counted:
        terminalreporter.section("measured")
    for line in said:
        terminalreporter.line(line)
    for what in sorted(counted):
        terminalreporter.line(f"{counted[what]:7} {what}")
