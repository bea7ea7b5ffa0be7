"""docs/guide.md is true: its commands run one after the other, on a terminal, with real keys.

What the page shows of a command has to be shown, in that order; ``…`` stands for anything.
"""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from aiocake.sandbox import RecordedRequest, Sandbox, serve
from aiocake.sandbox.command import _parse

from ..support.pages import blocks

PAGE = "docs/guide.md"
#: Above a block: the file that it is.
FILE = re.compile(r"<!-- file: (.+) -->\n$")
#: Becomes the leader of the terminal's session, and then a shell.
SHELL = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
    "os.execvp('bash', ['bash', '-c', sys.argv[1]])"
)
WATCHDOG = 60


class Interruption:
    """Holds the updates of a sandbox, from one on, until they may go on."""

    def __init__(self, sandbox: Sandbox, after: int) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._left = after
        sandbox.state.on_request.append(self._hold)

    async def _hold(self, request: RecordedRequest) -> None:
        if request.method != "GET" and not self.go_on.is_set():
            self._left -= 1
            if self._left < 0:
                self.reached.set()
                await anyio.to_thread.run_sync(self.go_on.wait, WATCHDOG)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of a block, each with the lines that it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        yield line, shown


def plain(text: str, url: str) -> str:
    """What a terminal shows, as the page has it."""
    without_codes = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    return without_codes.replace(url.removeprefix("http://"), "127.0.0.1:8765")


def assert_shown(shown: list[str], text: str) -> None:
    """Check that lines are shown in this order; what is left out is left out by ``…``."""
    lines = iter(text.splitlines())
    for each in shown:
        if each in {"…", "", "^C"}:
            continue
        pattern = re.compile(".*".join(map(re.escape, each.rstrip().split("…"))) + r"\s*")
        assert any(map(pattern.fullmatch, lines)), f"{each!r} is not shown in:\n{text}"


def test_the_guide_runs_from_its_start_to_its_end(
    terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = blocks(PAGE, "sh")
    chosen = _parse(shlex.split(str(server.parsed))[2:], "aiocake sandbox")
    sandbox = Sandbox(**{name: chosen[name] for name in ("invoices", "bills", "seed", "period")})
    home = tmp_path / "home"
    (tmp_path / "bin").mkdir()
    for name, words in (("aiocake", "-m aiocake"), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
        script.chmod(0o755)
    for name in [*os.environ]:
        if name.startswith(("CAKE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CAKE_PROFILE", "sandbox")
    folder = home / "month-end"
    home.mkdir()
    status = 0
    with serve(sandbox) as url:
        for block in blocks(PAGE, "console", "csv", "python", "toml"):
            text = str(block.parsed)
            if named := FILE.search(block.document.text[: block.start]):
                file = Path(named[1].replace("~", str(home)))
                path = folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("http://127.0.0.1:8765", url), "utf-8")
                continue
            for line, shown in commands(text):
                if line.startswith("aiocake"):
                    status, said = on_terminal(terminal, sandbox, line, shown, folder)
                    refused = any(each.startswith(("^C", "aiocake: ")) for each in shown)
                    assert refused or status == 0, said
                else:
                    where = folder if folder.exists() else home
                    said = in_shell(line.replace("$?", str(status)), where)
                assert_shown(shown, plain(said, url))
    states = {number: each.invoice_status for number, each in sandbox.state.invoices.items()}
    assert states[4821] == "paid"
    assert states[4918] == "void"
    assert "pending" not in states.values()
    assert {349, 355, 360} <= {
        number for number, bill in sandbox.state.affiliate_bills.items() if "paid" in bill.marked
    }


def in_shell(line: str, folder: Path) -> str:
    """Run a line that is no command of ours; return what it shows."""
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", line],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=WATCHDOG,
        check=True,
    )
    return done.stdout + done.stderr


def on_terminal(
    terminal, sandbox: Sandbox, line: str, shown: list[str], folder: Path
) -> tuple[int, str]:
    """Run a command of ours on a terminal; return its exit code and what it shows."""
    hold = Interruption(sandbox, after=20) if "^C" in shown else None
    program = [sys.executable, "-c", SHELL, f"cd {shlex.quote(str(folder))} && {line}"]
    on = terminal(program=program, columns=100)
    if "--yes" not in line and re.match(r"aiocake (apply|approve)", line):
        on.read_until("[y/N]")
        on.type("y\n")
    if hold is not None:
        assert hold.reached.wait(WATCHDOG)
        on.interrupt()
        hold.go_on.set()
    ended = on.end()
    return ended.code, ended.out
