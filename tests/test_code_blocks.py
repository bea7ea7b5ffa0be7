"""The code of README.md and docs/ runs as it stands, against the sandbox that `aiocake sandbox` is.

The first block of a page runs as it is pasted; the others are parts of a program, one after the
other, in which ``cake`` is a client. A traceback shows the line of the page.
"""

import ast
import inspect
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import certifi
import pytest
import yaml
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.types import Receive, Scope, Send
from sybil import Example

import aiocake
from aiocake import Client, bulk, profiles
from aiocake.bulk import Journal
from aiocake.cli.app import every_command, run
from aiocake.cli.errors import _CODES, _NOT_SENT
from aiocake.cli.run_outcome import CONFLICTS, DOUBLE, REFUSED, UNFINISHED, UNKNOWN
from aiocake.sandbox import RecordedRequest, Sandbox, serve

from .support.pages import PAGES, ROOT, blocks, language, source
from .support.signing import People

#: Pages whose blocks another test runs: files of tests, a terminal, the examples of a command.
ELSEWHERE = {
    "docs/cli.md": "tests/cli/test_help_and_docs.py",
    "docs/data.md": "tests/test_tables.py",
    "docs/engines.md": "tests/examples/test_engines.py",
    "docs/guide.md": "tests/cli/test_guide.py",
    "docs/postgres.md": "tests/bulk/test_postgres_page.py",
    "docs/quota.md": "tests/quota/test_quota_page.py",
    "docs/testing.md": "tests/test_testing.py",
}
WITH_CODE = [page for page in PAGES if page not in ELSEWHERE and blocks(page, "python", "sh")]
#: What is not pasted into the other terminal.
BEFORE = re.compile(r"(uv|pip|pipx|python3?|\.venv/bin/\w+) |aiocake sandbox|nox ")
#: Pages whose first block is no program: definitions.
DEFINITIONS = {"docs/web.md"}
COMMAND: Any = every_command()
WATCHDOG = 60


class Stage:
    """One server for all pages, in front of the sandbox of the page that runs."""

    sandbox: Sandbox

    @property
    def app(self) -> "Stage":
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox.app(scope, receive, send)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serve(stage) as url:  # type: ignore[arg-type] # of a sandbox it uses the app
        yield stage, url


@pytest.fixture
def stage(served: tuple[Stage, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """A fresh sandbox that the environment names, in a folder with what pages speak of."""
    stage, url = served
    stage.sandbox = Sandbox()
    for name in [name for name in os.environ if name.startswith("CAKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAKE_DOMAIN", url)
    monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
    monkeypatch.chdir(tmp_path)
    shutil.copy(certifi.where(), "company-ca.pem")
    return stage


def first(page: str) -> Example | None:
    """The first block of a page that is pasted into the other terminal."""
    pasted = (each for each in blocks(page, "python", "sh") if not BEFORE.match(str(each.parsed)))
    return next(pasted, None)


@contextmanager
def suppress_success() -> Iterator[None]:
    """Let a program end with code 0."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise


def paste(block: Example) -> None:
    """Run a block as it stands: a program, or commands, which somebody confirms."""
    if language(block) == "python":
        with suppress_success():
            exec(compile(source(block), block.path, "exec"), {"__name__": "__main__"})  # noqa: S102 - our own page
        return
    for line in commands(str(block.parsed)):
        confirmed = ["--yes"] if re.match(r"aiocake (apply|invoices (create|update))", line) else []
        assert run([*shlex.split(line)[1:], *confirmed]) == 0, line


def commands(text: str) -> list[str]:
    """The lines of a shell that begin with our command."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for each in lines if (line := each.removeprefix("$ ")).startswith("aiocake ")]


def perform(block: Example, portal: BlockingPortal) -> None:
    """Run a block; the next one of its page sees what it assigns."""
    code = compile(
        source(block), block.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )

    async def awaited() -> None:
        await eval(code, block.namespace)  # noqa: S307 - our own pages

    if code.co_flags & inspect.CO_COROUTINE:
        portal.call(awaited)
    else:
        exec(code, block.namespace)  # noqa: S102 - our own pages


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_first_block_runs_as_it_is_pasted(page: str, stage: Stage) -> None:
    block = first(page)
    assert block is not None
    paste(block)
    assert stage.sandbox.state.requests or page in DEFINITIONS
    if page == "README.md":
        assert stage.sandbox.state.invoices[4821].invoice_status == "approved"


@pytest.mark.usefixtures("stage")
def test_all_that_a_beginner_is_told_to_run_runs() -> None:
    for block in blocks("docs/index.md", "sh"):
        if not BEFORE.match(str(block.parsed)):
            paste(block)
    assert Path("january.csv").stat().st_size > 0


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.mark.parametrize("page", [page for page in WITH_CODE if blocks(page, "python")])
def test_the_blocks_run_one_after_the_other(
    page: str, stage: Stage, portal: BlockingPortal
) -> None:
    pasted = first(page)
    assert pasted is not None
    if language(pasted) == "sh":
        paste(pasted)  # it leaves files that the others read
        stage.sandbox = Sandbox()
    People(Path.cwd(), "maria", "ben").signers()
    client = Client(os.environ["CAKE_DOMAIN"], "SANDBOX-KEY")
    names: dict[str, Any] = {
        "aiocake": aiocake,
        "bulk": bulk,
        "Client": Client,
        "numbers": list(stage.sandbox.state.invoices)[:3],
        "now": datetime(2031, 2, 1, tzinfo=UTC),
    }
    with portal.wrap_async_context_manager(client) as cake:
        names |= {"cake": cake}
        for block in blocks(page, "python"):
            if "asyncio.run(" in str(block.parsed):  # a program of its own
                if block.line != pasted.line:
                    paste(block)
                continue
            block.namespace.update({} if "cake" in block.namespace else names)
            perform(block, portal)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_what_runs_elsewhere_does(page: str) -> None:
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")


def options(words: list[str]) -> tuple[str, set[str]]:
    """The command that some words are of, and its options."""
    command, path = COMMAND, []
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        path.append(word)
        command = command.commands[word]
    if path == ["plan"]:
        command = command.commands["update"]  # what `aiocake plan --period …` is short for
    return " ".join(path), {each for one in command.params for each in one.opts}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh", "console")])
def test_each_command_and_option_exists(page: str) -> None:
    for block in blocks(page, "sh", "console"):
        for line in commands(str(block.parsed)):
            words = shlex.split(line, comments=True)[1:]
            command, known = options(words)
            assert command or words[:1] == ["sandbox"], line
            named = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert words[:1] == ["sandbox"] or named <= known, line


def test_the_manifests_are_of_the_command() -> None:
    texts = [str(block.parsed) for block in blocks("docs/containers.md", "yaml")]
    claim, job, cron, compose = (each for text in texts for each in yaml.safe_load_all(text))
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    template = job["spec"]["template"]["spec"]
    assert template["restartPolicy"] == "Never"
    (container,) = template["containers"]
    command, known = options(container["args"])
    assert command == "apply"
    named = {each.partition("=")[0] for each in container["args"] if each.startswith("--")}
    assert named <= known
    assert "--yes" in named
    (fails,) = [
        rule["onExitCodes"]["values"]
        for rule in job["spec"]["podFailurePolicy"]["rules"]
        if rule["action"] == "FailJob"
    ]
    codes = {code for _, code in _CODES} | {DOUBLE, UNKNOWN, REFUSED, UNFINISHED, CONFLICTS}
    # What is left, and what was not sent, is tried again.
    assert fails == sorted(codes - {UNFINISHED, _NOT_SENT})
    assert options(compose["services"]["sandbox"]["command"])[0] == "sandbox"


def test_the_profiles_can_be_read(tmp_path: Path) -> None:
    (block,) = blocks("docs/settings.md", "toml")
    file = tmp_path / "config.toml"
    file.write_text(str(block.parsed), encoding="utf-8")
    assert profiles.Profile.read("production", file).domain == "yourdomain.cake.com"
    assert profiles.Profile.read("staging", file).read_only is True


def test_a_worker_that_is_stopped_goes_on(stage: Stage, tmp_path: Path) -> None:
    program = first("docs/containers.md")
    assert program is not None
    worker = [sys.executable, "-c", str(program.parsed)]
    reached, go_on, sent = threading.Event(), threading.Event(), 0

    async def hold(request: RecordedRequest) -> None:
        nonlocal sent
        sent += request.method == "POST"
        if sent > 10 and not go_on.is_set():
            reached.set()
            await anyio.to_thread.run_sync(go_on.wait, WATCHDOG)

    async def counts() -> dict[Any, int]:
        async with await Journal.open(tmp_path / "run.db") as journal:
            return {**await journal.counts()}

    stage.sandbox.state.on_request.append(hold)
    with subprocess.Popen(worker, cwd=tmp_path) as pod:
        assert reached.wait(WATCHDOG)
        pod.send_signal(signal.SIGTERM)
        go_on.set()
        assert pod.wait(WATCHDOG) == 128 + signal.SIGTERM
    states = anyio.run(counts)
    assert states.get("done", 0) >= 10
    assert states.get("sending", 0) == 0
    assert states["planned"] > 0
    again = subprocess.run(worker, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert "0 failed, 0 unknown" in again.stdout
    assert "pending" not in {each.invoice_status for each in stage.sandbox.state.invoices.values()}
