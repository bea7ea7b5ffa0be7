"""Each command explains itself, and docs/cli.md names all of them; its examples run."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocake._operations.operation import ResponseShape
from aiocake.cli import catalogue
from aiocake.cli.app import _ABOUT, every_command
from aiocake.cli.errors import _CODES
from aiocake.cli.prompts import LOOK_UPS
from aiocake.cli.run_outcome import CONFLICTS, DOUBLE
from aiocake.cli.signals import SIGNALS
from aiocake.sandbox import Sandbox
from aiocake.values import Idempotency

from ..support.pages import blocks

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [
    line for block in blocks("docs/cli.md", "sh") for line in str(block.parsed).splitlines()
]


def walk(command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, part in command.commands.items():
        if not part.hidden:
            yield from walk(part, (*path, name))


COMMANDS = dict(walk(every_command()))


def test_there_are_as_many_commands_as_are_promised() -> None:
    of_operations = [path for text in catalogue.COMMANDS for path in text.paths()]
    assert len(COMMANDS) == len(of_operations) + 6 + 4 + 5 + 4


def test_the_help_of_each_command_ends_with_an_example() -> None:
    for path, command in COMMANDS.items():
        name = " ".join(path)
        if name == "sandbox":  # it has a help of its own
            continue
        start, line = f"Example: aiocake {name}", command.epilog or ""
        assert line.startswith(start), name
        options = {option for each in command.params for option in each.opts}
        words = shlex.split(line.removeprefix(start))
        assert {word for word in words if word.startswith("-")} <= options, name


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_and_each_option_explains_itself(
    cake, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name
    monkeypatch.setenv("COLUMNS", "80")
    ran = cake(*path, "--help")
    assert (ran.code, ran.err) == (0, "")
    # Nothing is cut, even where a terminal is narrow.
    assert "…" not in ran.out
    for parameter in command.params:
        positional = parameter.param_type_name == "argument"
        assert (parameter.metavar if positional else parameter.opts[0]) in ran.out


@pytest.mark.parametrize("path", [(), ("bills",), ("bills", "buyer"), ("lookups",)], ids=str)
def test_a_group_lists_its_commands_in_an_order_that_helps(cake, path: tuple[str, ...]) -> None:
    ran = cake(*path, "--help")
    group = every_command()
    for name in path:
        group = group.commands[name]
    shown = [name for name, part in group.commands.items() if not part.hidden]
    places = {name: re.search(rf"^\W+{name} ", ran.out, re.MULTILINE) for name in shown}
    assert all(places.values())
    if not path:
        in_order = sorted(shown, key=lambda name: places[name].start())
        assert in_order == [
            *(group for group in catalogue.GROUPS if " " not in group),
            "plan", "approve", "apply", "run", "resume", "audit", "journal", "doctor", "sandbox",
            "demo",
        ]  # fmt: skip


def test_the_docs_list_each_command_once() -> None:
    listed = re.findall(r"^\| `aiocake ([^`]+)` \|", DOCS, re.MULTILINE)
    assert sorted(listed) == sorted(map(" ".join, COMMANDS))


def test_the_tables_of_the_docs_are_those_of_the_commands(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    commands = importlib.import_module("commands")
    page = commands.PAGE.read_text(encoding="utf-8")
    assert page == commands.render(page), "stale: run python docs/commands.py"
    with pytest.raises(ValueError, match="no markers of 'commands'"):
        commands.render("")


def test_each_operation_has_a_command_with_all_its_parameters() -> None:
    assert sorted(text.name for text in catalogue.COMMANDS) == sorted(catalogue.OPERATIONS)
    helps: set[str] = set()
    for text in catalogue.COMMANDS:
        options = {each.name for each in COMMANDS[tuple(text.path.split())].params}
        names = {each.name for each in text.operation.parameters}
        by_period = {name for name in names & catalogue.DATES if name.startswith("billing")}
        hidden = catalogue.set_by_client(text.operation) | by_period
        assert options & names == names - hidden
        assert set(text.helps) <= options
        helps |= options - set(text.helps)
    assert set(catalogue.HELPS) <= helps, "a help that no option has"


def test_each_write_has_a_question_and_its_record_is_read() -> None:
    writes = [
        text for text in catalogue.COMMANDS if text.operation.idempotency is not Idempotency.SAFE
    ]
    assert [text for text in catalogue.COMMANDS if text.question] == writes
    others = {text.name for text in writes if text.operation.shape is not ResponseShape.MARK}
    assert set(LOOK_UPS) == others


def test_the_docs_name_each_option_that_commands_share() -> None:
    shared = set.intersection(
        *(
            {option for parameter in COMMANDS[path].params for option in parameter.opts}
            for path in COMMANDS
            if path[:2] in {("bills", "affiliate"), ("bills", "buyer")}
        )
    )
    assert {"--domain", "--key-file", "--api-key", "--binding", "--out", "-o"} <= shared
    assert [option for option in shared if f"`{option}" not in DOCS] == []


def test_the_docs_explain_each_exit_code() -> None:
    explained = set(map(int, re.findall(r"^\| (\d+) \|", DOCS, re.MULTILINE)))
    signals = {128 + number for number in SIGNALS}
    assert explained == {0, 1, DOUBLE, CONFLICTS} | signals | {code for _, code in _CODES}
    in_help = set(map(int, re.findall(r"\b\d+(?= [a-zA-Z])", _ABOUT.partition("Exit codes:")[2])))
    assert in_help == explained - {0}


def test_the_examples_use_each_group(cake) -> None:
    del cake
    groups = {" ".join(path[:2]) if path[0] == "bills" else path[0] for path in COMMANDS}
    used = {example for example in groups if any(f"aiocake {example} " in e for e in EXAMPLES)}
    assert groups - used == {
        "approve",
        "apply",
        "run",
        "resume",
        "audit",
        "journal",
        "sandbox",
        "demo",
        *(
            g
            for g in groups
            if g.startswith("bills ") and g.split()[1] in {"export", "mark-received", "mark-paid"}
        ),
    }


def test_the_examples_run_one_after_the_other(
    cake, stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.sandbox = Sandbox(api_key="canary-K3Y")  # as `aiocake sandbox` makes it
    monkeypatch.chdir(tmp_path)
    for example in filter(None, EXAMPLES):
        name, *words = shlex.split(example)
        ran = cake(*words)
        assert (name, ran.code, ran.err) == ("aiocake", 0, ""), example
        assert ran.out or "--out" in words, example
        if not {"list", "export"}.isdisjoint(words):  # headings have no digits, records do
            shown = ran.out or (tmp_path / words[words.index("--out") + 1]).read_text("utf-8")
            assert re.search(r"\d", shown), example
    state = stage.sandbox.state
    assert state.invoices[4821].invoice_status == "paid"
    assert state.affiliate_bills[345].marked == {"received", "paid"}
    assert state.advertiser_bills[1_000_000].marked == {"sent", "received"}
    assert list(state.credits.values()) == [state.buyer_bills[2_000_000].payment_amount]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "bills.json",
        "invoices.csv",
        "year.plan",
    ]


def test_the_readme_names_each_group_of_commands() -> None:
    (row,) = re.findall(r"^\| `aiocake …` \|.*$", README, re.MULTILINE)
    for group in ("invoices", "bills", "lookups", "journal", "doctor", "sandbox", "demo"):
        assert f"`{group}`" in row
    assert "docs/cli.md" in README
