"""Talk to a person on a terminal: confirm a write, ask for the key, show a progress bar."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from getpass import getpass
from typing import Final, TextIO, cast

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from aiocake import ConfigurationError
from aiocake.cli.errors import begin_line
from aiocake.cli.signals import Interrupted
from aiocake.cli.text import escaped


def is_terminal(stream: TextIO | None) -> bool:
    """Return True if a stream is a terminal; None was closed before this process began."""
    return stream is not None and stream.isatty()


_NOT_SENT: Final = "nothing was sent"


def need_terminal(stream: TextIO | None, otherwise: str = _NOT_SENT) -> None:
    """Check that a person can be asked.

    Raises:
        ConfigurationError: The standard input is not a terminal.
    """
    if not is_terminal(stream):
        act = "a write" if otherwise == _NOT_SENT else "this"
        raise ConfigurationError(
            f"{otherwise}: {act} needs --yes when the standard input is not a terminal"
        )


def confirm(what: str, otherwise: str = _NOT_SENT) -> None:
    """Ask whether to do something.

    Args:
        what: What is asked, without the question mark.
        otherwise: What is true after a no.

    Raises:
        ConfigurationError: The standard input is not a terminal.
        typer.Exit: The reply was no.
    """
    need_terminal(sys.stdin, otherwise)
    with _nothing_done_on_interrupt(otherwise):
        typer.echo(f"{escaped(what)}? [y/N] ", nl=False, err=True)
        reply = sys.stdin.readline()
    if not reply.endswith("\n"):  # the end of the input: the cursor is still behind the question
        typer.echo(err=True)
    if reply.strip().lower() not in {"y", "yes"}:
        typer.echo(f"aiocake: {otherwise}", err=True)
        raise typer.Exit(1)


def asked_for_key() -> str:
    """Return the key, typed without being shown.

    Raises:
        ConfigurationError: The input ended.
        Interrupted: It was interrupted.
    """
    with _nothing_done_on_interrupt():
        try:
            return getpass("CAKE API key: ", stream=sys.stderr).strip()
        except EOFError:
            typer.echo(err=True)
            raise ConfigurationError("no API key was given") from None


@contextmanager
def _nothing_done_on_interrupt(otherwise: str = _NOT_SENT) -> Generator[None]:
    try:
        yield
    except Interrupted as error:
        begin_line()
        raise Interrupted(error.number, f"; {otherwise}") from None


Advance = Callable[[int, int | None], None]


class _Screen:
    """A terminal to draw on. Once it has gone, as SIGHUP says, what is drawn is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def bar(what: str, *, hidden: bool = False) -> Generator[Advance]:
    """Show how far a long work has come.

    Args:
        what: The plural that is counted, such as ``"invoices"``.
        hidden: Show nothing: the records go to the terminal, or may, by the reader of a pipe.

    Yields:
        A function of how many there are more, and how many in all (None: unknown).
    """
    if hidden or not is_terminal(sys.stderr):
        yield lambda _more, _total: None
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=cast("TextIO", _Screen(sys.stderr)), markup=False, highlight=False),
        transient=True,
        # Records may be written to the standard output meanwhile; they are not its business.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda more, total: progress.update(task, advance=more, total=total)
