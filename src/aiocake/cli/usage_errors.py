"""All that is wrong with the words of a command line, said at once and by the options' own names.

Typer ends at the first word that cannot be read, and the client is only asked once all can be. So
the rest is read, too, and the client is asked in a rehearsal: a run of the command that has no key,
and so can send nothing.
"""

import re
from collections import Counter
from contextvars import ContextVar
from typing import Any, Final

import typer
from typer.core import TyperCommand

from aiocake.errors import ArgumentError

_KEPT: Final = "aiocake.refused"
#: What an argument's problem tells a programmer to do, and what it is called on a command line.
_ON_A_COMMAND_LINE: Final = (
    ("give SKIP to keep what is stored, ERASE to erase it", "{erase} erases what is stored"),
    ("give ERASE for that", "give {erase} for that"),
    ("give SKIP", "leave the option out"),
    ("give ANY", "leave the option out"),
    ("Binding.SOAP12", "--binding soap12"),
    ("invoice_status='paid'", "--status paid"),
    ("match='overlaps' or 'ends_in'", "--match overlaps or ends_in"),
)
#: What is not called as the client calls it.
_CALLED: Final = {
    "invoice_status": "--status",
    "invoice_id": "INVOICE_ID",
    "bill_id": "BILL_ID",
    # A value of an option, not an argument.
    "ends_in": "ends_in",
    # The whole of a call, which is no option.
    "arguments": "arguments",
}
_NAME: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")

#: Whether a command is run only to find out what is wrong with its arguments.
rehearsing: Final[ContextVar[bool]] = ContextVar("rehearsing", default=False)


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
        """The text, as Typer's own errors have it."""
        return "; ".join(self._said)


class Collecting(TyperCommand):
    """A command that names all of its bad arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, under changing names
        """Read the words; what is wrong with them is kept, for :meth:`invoke`."""
        words = list(args)
        left: list[str] = []
        refused: list[tuple[list[str], str]] = []
        try:
            left = super().parse_args(ctx, args)
        except Exception as error:
            # Of an option that does not exist, or lacks its value: no more can be read.
            if getattr(error, "param", None) is None:
                raise
            refused = self._refused(ctx, list(words))
        refused += self._repeated(ctx, words)
        if refused:
            ctx.meta[_KEPT] = refused
        return left

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - the same
        """Run it, or refuse its words."""
        refused: list[tuple[list[str], str]] | None = ctx.meta.get(_KEPT)
        if refused is None:
            return super().invoke(ctx)
        said = [text for _, text in refused]
        if getattr(self.callback, "can_be_rehearsed", False):
            names = {name for names, _ in refused for name in names}
            said += self._rehearsed(ctx, names)
        raise UsageErrors(said, ctx)

    def _refused(self, ctx: Any, words: list[str]) -> list[tuple[list[str], str]]:  # noqa: ANN401 - the same
        """The names of each parameter that is wrong, and why."""
        provided, left, _ = self.make_parser(ctx).parse_args(args=words)
        refused: list[tuple[list[str], str]] = []
        for parameter in self.get_params(ctx):
            try:
                parameter.handle_parse_result(ctx, provided, left)
            except Exception as error:
                text = usage_of(error)
                if text is None:
                    raise
                name = str(parameter.name)
                refused.append(([*parameter.opts, name.upper()], text))
                ctx.params[name] = None
        return refused

    def _repeated(self, ctx: Any, words: list[str]) -> list[tuple[list[str], str]]:  # noqa: ANN401 - the same
        """The options that stand more than once, where the last would count without a word."""
        _, _, in_order = self.make_parser(ctx).parse_args(args=words)
        return [
            (parameter.opts, f"{parameter.opts[0]}: may be given once only")
            for parameter, count in Counter(in_order).items()
            if count > 1 and not (parameter.multiple or parameter.nargs < 0)
        ]

    def _rehearsed(self, ctx: Any, refused: set[str]) -> list[str]:  # noqa: ANN401 - the same
        """What else is wrong with the words, once those that were refused are left out."""
        token = rehearsing.set(True)
        try:
            super().invoke(ctx)
        except ArgumentError as error:
            return in_options(error, refused)
        except Exception as error:  # noqa: BLE001 - without a key it ends in some error
            text = usage_of(error)
            return [] if text is None else [text]
        finally:
            rehearsing.reset(token)
        return []


def usage_of(error: Exception) -> str | None:
    """What an error says is wrong with the words of the command line, if it is such an error."""
    # Typer has these errors from Click, under a name that has changed with its versions.
    text = getattr(error, "format_message", None)
    return None if text is None else " ".join(text().split()).rstrip(".")


def in_options(error: ArgumentError, but: set[str] | frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with arguments, by the names of the options.

    Args:
        error: Says it by the names of the client's parameters.
        but: Options that are left out, and what depends on them.
    """
    said: list[str] = []
    for problem in error.problems:
        names = [_called(name) for name in problem.name.split(", ")]
        if but.isdisjoint(names):
            said.append(f"{', '.join(names)}: {_reason(problem.reason, names[0])}")
    return said


def _reason(text: str, option: str) -> str:
    for reported, called in _ON_A_COMMAND_LINE:
        text = text.replace(reported, called.format(erase=f"--erase-{option.removeprefix('--')}"))
    return _NAME.sub(lambda match: _called(match[0]), text)


def _called(name: str) -> str:
    if not name.isidentifier():  # an operation
        return name
    return _CALLED.get(name, f"--{name.replace('_', '-')}")
