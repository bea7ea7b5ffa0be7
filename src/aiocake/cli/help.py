"""The help of commands and groups: paragraphs that a terminal wraps, and no type for a flag."""

from inspect import cleandoc
from typing import Any

from typer.core import TyperGroup


class PlainHelp:
    """Shows no type for ``--help``."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's, under changing names
        """Return the option ``--help``."""
        inherited: Any = super()
        option = inherited.get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


class CommandGroup(PlainHelp, TyperGroup):
    """A group of commands."""


def paragraphs(docstring: str | None) -> str:
    """Return a docstring whose paragraphs are lines, for a terminal to wrap."""
    return "\n\n".join(" ".join(each.split()) for each in cleandoc(docstring or "").split("\n\n"))
