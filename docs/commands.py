"""Write the tables of docs/cli.md from the commands and options of ``aiocake``.

    python docs/commands.py

rewrites what stands between the markers of the page. A test compares the page with what this would
write, so a new command, an option or a help that changed cannot be forgotten there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from reference import filled
from typer.main import get_command

from aiocake.cli.app import app
from aiocake.cli.catalogue import COMMANDS
from aiocake.cli.options import CONNECTION, OUTPUT

PAGE: Final = Path(__file__).with_name("cli.md")
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


EVERY: Final = dict(commands(get_command(app)))


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


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
