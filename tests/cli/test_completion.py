"""What a shell completes: the words, what is looked up, and that nothing else is loaded for it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.completion import get_completion_script

from aiocake.cli import completion

ENTRY = "import sys; from _aiocake_command import main; main()"
CONFIG = """
[profiles.live]
domain = "a.cake.com"
[profiles.staging]
domain = "b.cake.com"
"""
STATUSES = "pending approved paid void"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with plans and a journal, and a home with profiles."""
    home = tmp_path / "home"
    (home / "aiocake").mkdir(parents=True)
    (home / "aiocake" / "config.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    for name in ("a.plan", "b.plan", "run.db", "ids.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("inv", "invoices"),
        ("journal ", "show export resume release migrate"),
        ("invoices list --status ", STATUSES),
        ("invoices list --status=pe", "--status=pending"),
        ("invoices list --status paid --stat", ""),
        ("invoices list --match o", "overlaps"),
        ("invoices list --format ", "table json csv jsonl xlsx parquet"),
        ("invoices get ", ""),
        ("invoices update 4821 --status a", "approved"),
        ("bills export --billing-cycle ", "weekly bimonthly monthly all"),
        ("bills mark-s", ""),
        ("lookups payment-types --binding s", "soap11 soap12"),
        ("plan --period 2024-01 --sta", "--status"),
        ("plan --set status=ap", "status=approved"),
        ("plan --set status=paid --se", "--set"),
        ("plan --out ", ""),
        ("plan diff a.plan ", "a.plan b.plan"),
        ("apply a", "a.plan"),
        ("apply a.plan --journal ", "run.db"),
        ("apply a.plan b", ""),
        ("run ids.csv --operation invoices.c", "invoices.create"),
        ("journal export run.db --state d", "done"),
        ("--prof", "--profile"),
        ("--profile ", "live staging"),
        ("--profile live --json inv", "invoices"),
        ("--profile live invoices list --prof", ""),
        ("--bind", ""),
        ("invoices list --profile ", "live staging"),
        ("sandbox --dia", "--dialect"),
        ("sandbox --log --dialect typ", "typed-errors"),
        ("invoices list --template ", "xero-bills xero-payouts"),
        ("no such command ", ""),
        ("apply nowhere/a", ""),
    ],
)
def test_what_is_completed(folder: Path, line: str, wanted: str) -> None:
    del folder
    *words, typed = line.split(" ")
    assert " ".join(value for value, _ in completion.candidates(words, typed)) == wanted


def test_profiles_that_cannot_be_read_are_not_offered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("[profiles", "profiles = 1", "[profiles]\nodd = 1"):
        (folder / "home" / "aiocake" / "config.toml").write_text(text, encoding="utf-8")
        assert completion.candidates(["doctor", "--profile"], "z") == []
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "nowhere"))
    assert completion.candidates(["doctor", "--profile"], "") == []


def test_the_table_is_that_of_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    commands = importlib.import_module("commands")
    assert commands.TABLE.read_text(encoding="utf-8") == commands.table(), "run docs/commands.py"


def test_each_shell_is_answered_in_its_form(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    for shell, action, line, wanted in [
        ("bash", "", "journal ", "show\nexport\nresume\nrelease\nmigrate"),
        ("bash", "", "plan --set status = p", "pending\npaid"),
        ("bash", "", "plan --set = status = p", "pending\npaid"),
        ("bash", "", "plan --set status =", STATUSES.replace(" ", "\n")),
        ("zsh", "", "invoices list --profile l", """_arguments '*: :(("live":"a.cake.com"))'"""),
        ("zsh", "", "plan --out ", "_files"),
        ("fish", "get-args", "apply 'b", "b.plan"),
        ("fish", "get-args", "doctor --profile l", "live\ta.cake.com"),
    ]:  # fmt: skip
        words = f"aiocake {line}".split(" ")
        monkeypatch.setenv("_AIOCAKE_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", " ".join(words))
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", action)
        completion.main()
        assert capsys.readouterr().out == wanted, (shell, line)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
def test_bash_completes_and_the_package_is_not_loaded(folder: Path) -> None:
    script = get_completion_script(  # noqa: S604 - it is the name of one
        prog_name="aiocake", complete_var="_AIOCAKE_COMPLETE", shell="bash"
    )
    command = folder / "aiocake"
    loaded = "assert not {'aiocake', 'typer', 'rich'} & {*sys.modules}"
    command.write_text(
        f"#!{sys.executable}\nimport atexit\natexit.register(lambda: exec({loaded!r}))\n{ENTRY}\n",
        encoding="utf-8",
    )
    command.chmod(0o755)
    asked = "COMP_WORDS=(aiocake journal export run.db --state d) COMP_CWORD=5"
    done = subprocess.run(
        [
            "/bin/bash",
            "-c",
            f'{script}\n{asked}\n_aiocake_completion aiocake; echo "${{COMPREPLY[@]}}"',
        ],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
