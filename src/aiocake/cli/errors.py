"""Report errors: on one line, by the names of options, with an exit code.

Typer ends at the first word of a command line that it cannot read. Here the other words are read as
well, and what could be read is checked as the client will check it, so that all errors are reported
at once.
"""

import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

import typer
from typer.core import TyperCommand

from aiocake.cli.catalogue import OPERATIONS, option_of
from aiocake.cli.text import escaped
from aiocake.errors import (
    AlreadyExists,
    ApiError,
    ArgumentError,
    AuthenticationError,
    CakeError,
    ConfigurationError,
    ConsistencyError,
    DecodeError,
    JournalError,
    JournalLost,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlanError,
    Problem,
    RateLimited,
    ServerError,
)

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


#: Options whose errors name columns, which are called as parameters are.
_OF_COLUMNS: Final = frozenset({"columns", "template"})
#: On terminals below this width lines are left to the terminal.
_NARROWEST: Final = 40


# Errors in the words of a command line.


class UsageErrors(Exception):
    """Several words of a command line are wrong.

    Args:
        said: What is wrong with each.
        context: The command's context.
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
    reason = problem.reason
    if problem.name not in _OF_COLUMNS:
        reason = _PYTHON.sub(_as_typed, reason)
    return f"{', '.join(names)}: {reason}"


def _as_typed(found: re.Match[str]) -> str:
    if binding := found["binding"]:
        return f"--binding {binding.lower()}"
    values = " or ".join(re.findall(r"'(\w+)'", found["values"]))
    return f"{option_of(found['name'])} {values}".rstrip()


# Reports and exit codes of all errors.

USAGE: Final = 2
_OTHER: Final = 1
_NOT_SENT: Final = 6

# The first that fits counts: a NotFound is an ApiError, too.
_CODES: Final[tuple[tuple[type[CakeError], int], ...]] = (
    (ArgumentError, USAGE),
    (ConfigurationError, USAGE),
    (JournalLost, _OTHER),
    (JournalError, USAGE),
    (PlanError, USAGE),
    (AlreadyExists, 5),
    (AuthenticationError, 3),
    (NotFound, 4),
    (ApiError, 5),
    (NotSent, _NOT_SENT),
    (OutcomeUnknown, 7),
    (DecodeError, 8),
    (ConsistencyError, 8),
)
_MEANINGS: Final = {
    3: "key rejected",
    4: "not found",
    5: "refused",
    _NOT_SENT: "not sent",
    7: "outcome unknown, look before you send it again",
    8: "unusable response",
}


def code_of(error: BaseException) -> int:
    """Return the exit code for an error."""
    if isinstance(error, RateLimited) and not error.sent:
        return _NOT_SENT
    return next((code for kind, code in _CODES if isinstance(error, kind)), _OTHER)


def report_error(error: BaseException) -> int:
    """Write an error on one line of the standard error.

    Returns:
        The exit code.
    """
    code = code_of(error)
    if isinstance(error, PlanError) and len(error.problems) > 1:
        for problem in error.problems:
            print_error(str(problem))
        print_error(f"{error.args[0]}: {len(error.problems)} problems; nothing was sent")
        return code
    meaning = "the server failed" if isinstance(error, ServerError) else _MEANINGS.get(code)
    said = text_of(error)
    text = f"{meaning}: {said}" if meaning else said or type(error).__name__
    if isinstance(error, OutcomeUnknown):
        text += f" ({error.intent.id})"
    print_error(text)
    return code


def text_of(error: BaseException) -> str:
    """Return what an error says, by the names of options."""
    if isinstance(error, ArgumentError):
        return "; ".join(in_options(error))
    if isinstance(error, OSError) and error.strerror:  # whose number tells people nothing
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error)
    # What the meaning of its exit code says already.
    return text.removeprefix("nothing was sent: ") if code_of(error) == _NOT_SENT else text


def print_error(text: str) -> None:
    """Write a line on the standard error; a terminal shows it wrapped at words."""
    line = f"aiocake: {escaped(text)}"
    width = _width()
    if width is None or len(line) <= width:
        _echo(line)
        return
    indent = " " * len("aiocake: ")
    for part in textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ):
        _echo(part)


def _width() -> int | None:
    """Return how wide the terminal of the standard error is; None if it is none, or too narrow."""
    if not sys.stderr.isatty():
        return None
    width = shutil.get_terminal_size().columns
    return width if width >= _NARROWEST else None


def begin_line() -> None:
    """End the line in which a terminal has shown ``^C``, or a question."""
    _echo("")


def _echo(line: str) -> None:
    try:
        typer.echo(line, err=True)
    except OSError:  # a terminal that is gone, as SIGHUP says
        _silence(sys.__stderr__, 2)


def silence_output() -> None:
    """Discard further output, also at the end of the process: its reader has closed it."""
    _silence(sys.__stdout__, 1)


def _silence(stream: TextIO | None, descriptor: int) -> None:
    # What is still buffered is written when the process ends: it must not fail again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno() if stream else descriptor)
    os.close(nowhere)
