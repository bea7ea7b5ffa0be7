"""A bar for long work: on the standard error, and only where that is a terminal."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from aiocake.cli.terminal import is_terminal

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
