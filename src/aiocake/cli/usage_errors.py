"""Say all that is wrong with the words of a command line at once, by the options' own names.

Typer ends at the first word that it cannot read. So the other words are read as well, and what
could be read is checked as the client will check it.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import typer
from typer.core import TyperCommand

from aiocake.cli.catalogue import OPERATIONS, option_of
from aiocake.errors import ArgumentError, Problem

#: Checks the values of options that could be read.
Check = Callable[[Mapping[str, Any], frozenset[str]], list[Problem]]

_NAMES: Final = sorted(
    {each.name for table in OPERATIONS.values() for each in table.parameters if "_" in each.name}
)
#: A parameter in the text of an error, with the value that it needs (``invoice_status='paid'``).
_PYTHON: Final = re.compile(
    rf"\b(?P<name>{'|'.join(_NAMES)}|match(?==))\b(?P<values>(?:(?:=| or )'\w+')*)"
    r"|\bBinding\.(?P<binding>\w+)"
)


class UsageErrors(Exception):
    """Several words of a command line are wrong.

    Args:
        said: What is wrong with each.
        context: Of which command.
    """

    def __init__(self, said: list[str], context: typer.Context) -> None:
        super().__init__(said)
        self.ctx = context
        self._said = said

    def format_message(self) -> str:
        """Return the text, as Typer's own errors do."""
        return "; ".join(self._said)


class AllErrors(TyperCommand):
    """A command that names all of its bad arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, under changing names
        """Read and check the words.

        Raises:
            UsageErrors: Some cannot be read.
            ArgumentError: All can be read, and some are refused.
        """
        words = list(args)
        left: list[str] = []
        unread: dict[str, str] = {}
        try:
            left = super().parse_args(ctx, args)
        except Exception as error:
            # Without one: an option that does not exist, or lacks its value. No more can be read.
            if getattr(error, "param", None) is None:
                raise
            unread = self._unread(ctx, list(words))
        said = [*unread.values(), *self._repeated(ctx, words)]
        check: Check | None = getattr(self.callback, "check", None)
        problems = [] if check is None else check(ctx.params, frozenset(unread))
        if said:
            raise UsageErrors([*said, *map(_in_options, problems)], ctx)
        if problems:
            raise ArgumentError(*problems)
        return left

    def _unread(self, ctx: Any, words: list[str]) -> dict[str, str]:  # noqa: ANN401 - as above
        """Return why each parameter that cannot be read cannot."""
        provided, left, _ = self.make_parser(ctx).parse_args(args=words)
        unread: dict[str, str] = {}
        for parameter in self.get_params(ctx):
            try:
                parameter.handle_parse_result(ctx, provided, left)
            except Exception as error:
                text = usage_of(error)
                if text is None:
                    raise
                unread[str(parameter.name)] = text
                ctx.params[str(parameter.name)] = None
        return unread

    def _repeated(self, ctx: Any, words: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """Return an error for each option that is typed twice: the last would count silently."""
        _, _, in_order = self.make_parser(ctx).parse_args(args=words)
        return [
            f"{parameter.opts[0]}: may be given once only"
            for parameter, count in Counter(in_order).items()
            if count > 1 and not (parameter.multiple or parameter.nargs < 0)
        ]


def usage_of(error: Exception) -> str | None:
    """Return what an error says is wrong with the command line; None if it is no such error."""
    # Typer has these errors from Click, under a name that has changed with its versions.
    text = getattr(error, "format_message", None)
    return None if text is None else " ".join(text().split()).rstrip(".")


def in_options(error: ArgumentError) -> list[str]:
    """Return what is wrong with arguments, by the names of the options."""
    return list(map(_in_options, error.problems))


def _in_options(problem: Problem) -> str:
    # An operation's name is no identifier: it has a dot.
    names = [option_of(name) if name.isidentifier() else name for name in problem.name.split(", ")]
    return f"{', '.join(names)}: {_PYTHON.sub(_as_typed, problem.reason)}"


def _as_typed(found: re.Match[str]) -> str:
    if binding := found["binding"]:
        return f"--binding {binding.lower()}"
    values = " or ".join(re.findall(r"'(\w+)'", found["values"]))
    return f"{option_of(found['name'])} {values}".rstrip()
