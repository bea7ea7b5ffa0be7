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
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from aiocake import ConfigurationError
from aiocake._display import escaped
from aiocake.bulk import Progress as RunProgress
from aiocake.bulk.options import OnProgress
from aiocake.cli.errors import begin_line, print_error
from aiocake.cli.signals import Interrupted


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
        print_error(otherwise)
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


class _ProgressScreen:
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
    text = TextColumn("{task.description}", markup=False)
    with _progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda more, total: progress.update(task, advance=more, total=total)


@contextmanager
def run_bar() -> Generator[OnProgress]:
    """Show how far a run of writes is: how many ended how, the rate, and the time left.

    Yields:
        What takes its progress.
    """
    if not is_terminal(sys.stderr):
        yield lambda _: None
        return
    text = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), _Rate(), _Left())
    with _progress(text, *columns) as progress:
        task = progress.add_task("0 done", total=None)

        def show(now: RunProgress) -> None:
            ended = now.done + now.failed + now.skipped + now.unknown
            counts = {"done": now.done, "failed": now.failed, "skipped": now.skipped}
            counts["unknown"] = now.unknown
            parts = [f"{count:,} {name}" for name, count in counts.items() if count]
            progress.update(
                task, completed=ended, total=now.total, description=", ".join(parts) or "0 done"
            )

        yield show


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(
        *columns,
        console=Console(
            file=cast("TextIO", _ProgressScreen(sys.stderr)), markup=False, highlight=False
        ),
        transient=True,
        # Records may be written to the standard output meanwhile; they are not its business.
        redirect_stdout=False,
        redirect_stderr=False,
    )


class _Rate(ProgressColumn):
    """Shows how many calls end in a second."""

    def render(self, task: Task) -> Text:
        """Return the text."""
        return Text("" if task.speed is None else f"{task.speed:,.1f}/s")


class _Left(ProgressColumn):
    """Shows how long the rest takes at this rate."""

    max_refresh = 0.5  # it would be unreadable otherwise

    def render(self, task: Task) -> Text:
        """Return the text."""
        if task.time_remaining is None:
            return Text("")
        minutes, seconds = divmod(round(task.time_remaining), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(
            f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
        )
