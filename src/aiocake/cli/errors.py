"""Report errors: on one line, by the names of options, with an exit code; or as JSON.

Typer ends at the first word of a command line that it cannot read. Here the other words are read as
well, and what could be read is checked as the client will check it, so that all errors are reported
at once.
"""

import itertools
import json
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TextIO

import typer
from typer.core import TyperCommand

from aiocake.cli.catalogue import OPERATIONS, option_of
from aiocake.cli.help import PlainHelp
from aiocake.cli.text import escaped, escaped_json
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
    Outcome,
    OutcomeUnknown,
    PlanError,
    Problem,
    RateLimited,
    ServerError,
)
from aiocake.errors import (
    __all__ as PUBLIC,  # noqa: N812 - a constant
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
    """Several problems of a command line.

    Args:
        texts: What is wrong with each.
        context: The command's context.
    """

    def __init__(self, texts: list[str], context: typer.Context) -> None:
        super().__init__(texts)
        self.ctx = context
        self._texts = texts

    def format_message(self) -> str:
        """Return the text, as Typer's own errors do."""
        return "; ".join(self._texts)


class AllErrors(PlainHelp, TyperCommand):
    """A command that reports all of its bad arguments at once."""

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
        texts = [*unread.values(), *self._repeated(ctx, words)]
        check: Check | None = getattr(self.callback, "check", None)
        problems = [] if check is None else check(ctx.params, frozenset(unread))
        if texts:
            raise UsageErrors([*texts, *map(_in_options, problems)], ctx)
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
    """Return the problems of a command line that an error reports; None for other errors."""
    # Typer has these errors from Click, under a name that has changed with its versions.
    text = getattr(error, "format_message", None)
    return None if text is None else " ".join(text().split()).rstrip(".")


def in_options(error: ArgumentError) -> list[str]:
    """Return the problems of arguments by the names of the options."""
    return list(map(_in_options, error.problems))


def _in_options(problem: Problem) -> str:
    return f"{_named(problem)}: {_worded(problem)}"


def _named(problem: Problem) -> str:
    # An operation's name is no identifier: it has a dot.
    names = [option_of(name) if name.isidentifier() else name for name in problem.name.split(", ")]
    return ", ".join(names)


def _worded(problem: Problem) -> str:
    if problem.name in _OF_COLUMNS:
        return problem.reason
    return _PYTHON.sub(_as_typed, problem.reason)


def _as_typed(found: re.Match[str]) -> str:
    if binding := found["binding"]:
        return f"--binding {binding.lower()}"
    values = " or ".join(re.findall(r"'(\w+)'", found["values"]))
    return f"{option_of(found['name'])} {values}".rstrip()


# Reports and exit codes of all errors.

USAGE: Final = 2
_OTHER: Final = 1
_NOT_SENT: Final = 6
_UNKNOWN: Final = 7

# The first that fits counts: a NotFound is an ApiError, too.
_CODES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (ArgumentError, USAGE),
    (ConfigurationError, USAGE),
    (ModuleNotFoundError, USAGE),  # of an extra; its text has the command that installs it
    (JournalLost, _OTHER),
    (JournalError, USAGE),
    (PlanError, USAGE),
    (AlreadyExists, 5),
    (AuthenticationError, 3),
    (NotFound, 4),
    (ApiError, 5),
    (NotSent, _NOT_SENT),
    (OutcomeUnknown, _UNKNOWN),
    (DecodeError, 8),
    (ConsistencyError, 8),
)
_MEANINGS: Final = {
    3: "key rejected",
    4: "not found",
    5: "refused",
    _NOT_SENT: "not sent",
    _UNKNOWN: "outcome unknown, look before you send it again",
    8: "unusable response",
}


def code_of(error: BaseException) -> int:
    """Return the exit code for an error."""
    if isinstance(error, RateLimited) and not error.sent:
        return _NOT_SENT
    # Of a run that is lost, whoever has it finds out; of a full disk, a person has to.
    lost = isinstance(error, JournalLost)
    if isinstance(error, JournalError) and not lost and error.outcome is Outcome.UNKNOWN:
        return _UNKNOWN
    return next((code for kind, code in _CODES if isinstance(error, kind)), _OTHER)


def report_error(error: BaseException) -> int:
    """Write an error on one line of the standard error.

    Returns:
        The exit code.
    """
    code = code_of(error)
    if _ReportForm.json:
        print_object(_fields(error, code))
        return code
    if isinstance(error, PlanError) and len(error.problems) > 1:
        for problem in error.problems:
            print_error(str(problem))
        print_error(f"{error.args[0]}: {len(error.problems)} problems; nothing was sent")
        return code
    meaning = "the server failed" if isinstance(error, ServerError) else _MEANINGS.get(code)
    detail = text_of(error)
    text = f"{meaning}: {detail}" if meaning else detail or type(error).__name__
    if isinstance(error, OutcomeUnknown):
        text += f" ({error.intent.id})"
    print_error(text)
    return code


def report_usage(text: str, path: str) -> int:
    """Report the problems of a command line.

    Args:
        text: What is wrong.
        path: The command, whose help explains it.

    Returns:
        The exit code.
    """
    if _ReportForm.json:
        print_object({"type": "UsageError", "message": text, "exit_code": USAGE})
    else:
        print_error(f"{text} (see {path} --help)")
    return USAGE


def report_interrupted(text: str, code: int) -> int:
    """Report that a signal ended the command, and the outcome of its work.

    Returns:
        The exit code.
    """
    if _ReportForm.json:
        print_object({"type": "Interrupted", "message": text, "exit_code": code})
    else:
        print_error(text)
    return code


def _fields(error: BaseException, code: int) -> dict[str, object]:
    """Return an error as an object of JSON; docs/cli.md explains each field."""
    name = next((each.__name__ for each in type(error).__mro__ if each.__name__ in PUBLIC), None)
    name = name or type(error).__name__
    fields: dict[str, object] = {
        "type": name,
        "message": text_of(error) or name,
        "exit_code": code,
    }
    if isinstance(error, CakeError) and error.outcome is not None:
        fields["outcome"] = error.outcome
    if isinstance(error, OutcomeUnknown):
        fields |= {"intent": error.intent.id, "operation": error.intent.operation}
        fields["applied_likely"] = error.applied_likely
    if isinstance(error, ApiError):
        fields["status"] = error.status
    if isinstance(error, RateLimited):
        fields["retry_after"] = error.retry_after
    if isinstance(error, ArgumentError | PlanError):
        problems = error.problems
        if isinstance(error, ArgumentError):
            fields["problems"] = [_problem(_named(each), _worded(each)) for each in problems]
        else:
            fields["message"] = error.args[0]
            fields["problems"] = [_problem(each.name, each.reason) for each in problems]
    return fields


def _problem(name: str, reason: str) -> dict[str, object]:
    return {"name": name, "reason": reason}


def text_of(error: BaseException) -> str:
    """Return the text of an error, with the names of options."""
    if isinstance(error, ArgumentError):
        return "; ".join(in_options(error))
    if isinstance(error, OSError) and error.strerror:  # whose number tells people nothing
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error)
    # What the meaning of its exit code says already.
    return text.removeprefix("nothing was sent: ") if code_of(error) == _NOT_SENT else text


class _ReportForm:
    """The format of what this command reports on standard error: text or JSON."""

    json = False


def choose_form(words: Sequence[str]) -> None:
    """Report in JSON if the words of a command line ask for JSON, also where they are wrong."""
    before = [*words[: words.index("--")]] if "--" in words else [*words]
    _ReportForm.json = not {"--json", *_JOINED}.isdisjoint(before) or any(
        name in _FORMAT and value in _JSON for name, value in itertools.pairwise(before)
    )


def reports_in_json() -> bool:
    """Return True if errors are reported in JSON."""
    return _ReportForm.json


_FORMAT: Final = ("--format", "-f")
_JSON: Final = ("json", "jsonl")
_JOINED: Final = tuple(f"{name}{value}" for name in ("--format=", "-f") for value in _JSON)


def print_object(fields: Mapping[str, object]) -> None:
    """Write an object of JSON on the standard error, on one line."""
    _echo(escaped_json(json.dumps(fields, ensure_ascii=False)))


def print_error(text: str) -> None:
    """Write a line on the standard error; a terminal shows it wrapped at words.

    Where errors are reported in JSON, it is an object ``{"note": "…"}``: what a person should know,
    and no error by itself.
    """
    if _ReportForm.json:
        print_object({"note": text})
        return
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
