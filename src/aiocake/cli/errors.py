"""What an error says on one line, and the exit code that it ends in."""

import os
import sys
from typing import Final, TextIO

import typer

from aiocake.cli.text import escaped
from aiocake.cli.usage_errors import in_options
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
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    ServerError,
)

USAGE: Final = 2
_OTHER: Final = 1
_NOT_SENT: Final = 6

# The first that fits counts: a NotFound is an ApiError, too.
_CODES: Final[tuple[tuple[type[CakeError], int], ...]] = (
    (ArgumentError, USAGE),
    (ConfigurationError, USAGE),
    (JournalError, USAGE),
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
    3: "the key was refused",
    4: "not found",
    5: "refused",
    _NOT_SENT: "not sent",
    7: "unknown whether this was done, look before you send it again",
    8: "an answer that cannot be used",
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
    """Write a line on the standard error."""
    _echo(f"aiocake: {escaped(text)}")


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
