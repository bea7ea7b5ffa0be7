"""The help of commands and groups: paragraphs that a terminal wraps, and no Python types."""

from inspect import cleandoc
from typing import Any

from typer.core import TyperGroup


class PlainHelp:
    """Shows no type for ``--help``, nor for an argument, whose name says what it is."""

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's, under changing names
        """Return the option ``--help``."""
        inherited: Any = super()
        option = inherited.get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Return the options and arguments."""
        inherited: Any = super()
        parameters = inherited.get_params(ctx)
        for each in parameters:
            if each.param_type_name == "argument":  # Typer 0.29 shows the name of a Python class
                each.display_type_rich = _no_type
        return parameters


class CommandGroup(PlainHelp, TyperGroup):
    """A group of commands."""


def _no_type(ctx: object) -> None:
    del ctx


def paragraphs(docstring: str | None) -> str:
    """Return a docstring whose paragraphs are lines, for a terminal to wrap."""
    return "\n\n".join(" ".join(each.split()) for each in cleandoc(docstring or "").split("\n\n"))
