"""Write the tables of docs/cli.md, and what shells complete, from the commands of ``aiocake``.

    python docs/commands.py

rewrites what stands between the markers of the page, and ``cli/completion.json``. A test compares
both with what this would write, so a new command, an option or a help that changed cannot be
forgotten there.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reference import filled

from aiocake import BillingCycleName, InvoiceStatus
from aiocake.bulk.journal import EntryState
from aiocake.cli.app import BEFORE_COMMAND, every_command
from aiocake.cli.catalogue import COMMANDS
from aiocake.cli.formats import OutputFormat
from aiocake.cli.options import CONNECTION, OUTPUT
from aiocake.cli.template import shipped
from aiocake.monthend.rows import OPERATIONS
from aiocake.sandbox import Dialect
from aiocake.sandbox.command import parser_of as sandbox_parser

PAGE: Final = Path(__file__).with_name("cli.md")
TABLE: Final = Path(__file__).parents[1] / "src" / "aiocake" / "cli" / "completion.json"
#: Said once for all commands.
SHARED: Final = {CONNECTION, OUTPUT}
LONG: Final = {path: text.path for text in COMMANDS for path, _ in text.paths()}
#: A command with all of them.
EXAMPLE: Final = "bills affiliate export"


def commands(
    command: Any,  # noqa: ANN401 - Typer's, under changing names
    path: tuple[str, ...] = (),
) -> Iterator[tuple[str, Any]]:
    """Return each command with what is typed for it, in the order of the help."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        if not command.commands[name].hidden:
            yield from commands(command.commands[name], (*path, name))


EVERY: Final = dict(commands(every_command()))


def overview() -> Iterator[str]:
    """Return the table of all commands."""
    yield from ("| command | |", "|---|---|")
    for path, command in EVERY.items():
        long = LONG.get(path, path)
        text = one_line(command.help) if long == path else f"Short for `{long}`."
        yield f"| `aiocake {path}` | {text} |"


def shared(panel: str) -> Iterator[str]:
    """Return the table of the options that all commands share."""
    yield from ("| option | |", "|---|---|")
    yield from map(row, own(EVERY[EXAMPLE], {panel}))


def details() -> Iterator[str]:
    """Return a table for each command that has options of its own."""
    for path, command in EVERY.items():
        options = own(command, {each.rich_help_panel for each in command.params} - SHARED)
        if options and LONG.get(path, path) == path:
            yield from (f"### aiocake {path}", "", "| option | |", "|---|---|")
            yield from (*map(row, options), "")


def own(
    command: Any,  # noqa: ANN401 - as above
    panels: set[str | None],
) -> list[Any]:
    """Return the parameters of a command that stand in these parts of its help."""
    return [each for each in command.params if each.rich_help_panel in panels]


def row(option: Any) -> str:  # noqa: ANN401 - as above
    """Return the row of an option: its names, what it takes, and its help."""
    first, *others = option.opts
    takes = option.metavar or ("" if getattr(option, "is_flag", False) else "NUMBER")
    if not first.startswith("-"):
        first, takes = takes, ""
    typed = f"{first} {takes}".strip().replace("|", "\\|")
    names = ", ".join(f"`{name}`" for name in (typed, *others))
    text = one_line(option.help)
    if option.required:
        text += " Required."
    elif getattr(option, "show_default", False):
        text += f" Default: {option.default}."
    if variable := getattr(option, "envvar", None):
        text += f" Default: `{variable}` from the environment."
    return f"| {names} | {text} |"


def one_line(text: str) -> str:
    """Return a help as one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def render(page: str) -> str:
    """Return the page with its generated parts as they should be."""
    parts = {
        "commands": overview(),
        "connection": shared(CONNECTION),
        "output": shared(OUTPUT),
        "options": details(),
    }
    return filled(page, parts)


#: The values of options, by what stands for them in the help; those of others stand there.
VALUES: Final[Mapping[str, Iterable[str]]] = {
    "STATUS": InvoiceStatus,
    "CYCLE": BillingCycleName,
    "STATE": EntryState,
    "FORMAT": OutputFormat,
    "MATCH": ("inside", "overlaps", "ends_in"),
    "KIND": ("payout", "revenue", "both"),
    "PARTNER": ("affiliate", "advertiser", "buyer"),
    "FILE|NAME": shipped(),
    "NAME=VALUE": tuple(f"status={status.value}" for status in InvoiceStatus),
}
#: What is looked up when it is asked for.
SOURCES: Final = {"RUN.DB": "journal", "PLAN": "plan", "A": "plan", "B": "plan"}
ROOT: Final = every_command()


def completed(command: Any, known: dict[str, int]) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return what can be typed after a command, as cli/completion.py reads it.

    Args:
        command: The command, or the group.
        known: The number of each option that a command has; gets those of this one.
    """
    options = [
        {"names": each.opts, "help": first_sentence(each.help), **value_of(each)}
        for each in (*command.params, *(shared_options() if command is ROOT else ()))
        if each.param_type_name == "option"
    ]
    options.append({"names": ["--help", "-h"], "help": "Show the help."})
    if command.name == "sandbox":
        options += sandbox_options()
    numbers = [known.setdefault(compact(option), len(known)) for option in options]
    found: dict[str, Any] = {"help": first_sentence(command.help), "options": numbers}
    if hasattr(command, "commands"):
        found["commands"] = {
            name: completed(command.commands[name], known)
            for name in command.list_commands(None)
            if not command.commands[name].hidden
        }
        if command.name == "plan":
            found["default"] = "update"
    else:
        found["arguments"] = [
            value_of(each) for each in command.params if each.param_type_name == "argument"
        ]
    return found


def shared_options() -> list[Any]:
    """Return the options that may also stand before the command."""
    root: Any = ROOT
    some: Any = root.commands["invoices"].commands["list"]
    return [each for each in some.params if not BEFORE_COMMAND.keys().isdisjoint(each.opts)]


def value_of(option: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return what an option or an argument takes."""
    metavar = option.metavar or ""
    found: dict[str, Any] = {}
    if option.param_type_name == "option" and not option.is_flag:
        found["takes"] = True
    if getattr(option, "multiple", False):
        found["again"] = True
    if option.name == "operation":
        found["values"] = list(OPERATIONS)
    elif option.name == "profile":
        found["file"] = "profile"
    elif metavar in VALUES:
        found["values"] = [str(value) for value in VALUES[metavar]]
    elif "|" in metavar:
        found["values"] = metavar.split("|")
    elif metavar in SOURCES:
        found["file"] = SOURCES[metavar]
    return found


def sandbox_options() -> Iterator[dict[str, Any]]:
    """Yield the options of the sandbox, which reads its words itself."""
    for action in sandbox_parser("aiocake sandbox")._actions:  # noqa: SLF001 - argparse has no other way
        if action.option_strings == ["-h", "--help"]:
            continue
        text = (action.help or "").partition(" (default: ")[0]
        found: dict[str, Any] = {"names": action.option_strings[:1], "help": first_sentence(text)}
        if action.nargs != 0:
            found["takes"] = True
        if action.dest == "dialect":
            found["values"] = list(Dialect.all())
        yield found


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a help."""
    return re.split(r"(?<=[.:;])\s", one_line(text or ""), maxsplit=1)[0].rstrip(".:;")


def table() -> str:
    """Return the text of cli/completion.json."""
    options: dict[str, int] = {}
    root = completed(ROOT, options)
    # One a line, so that a difference can be read.
    known = ",\n".join(options)
    return f'{{"options":[\n{known}\n],"root":{compact(root)}}}\n'


def compact(value: object) -> str:
    """Return a value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
