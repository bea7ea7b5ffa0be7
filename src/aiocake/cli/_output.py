"""Where records go: the standard output, or a file that is there whole or not at all."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, TextIO, TypeVar

import attrs
import typer

from aiocake.cli._formats import Format, Kind, writer
from aiocake.cli._table import Screen
from aiocake.cli._terminal import is_terminal

__all__ = ["FormatOption", "OutOption", "Output", "OutputError", "is_file", "say_out", "screen"]

T = TypeVar("T")

_BY_SUFFIX: Final = {f".{form}": form for form in Format}
#: Opening these would begin to write over what is in the file behind them.
_STANDARD_OUTPUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1"})

FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="How to write it; by default what the name of --out ends in, else a table.",
        show_default=False,
        rich_help_panel="Output",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Write to this file, which changes only once all of it is there.",
        show_default=False,
        dir_okay=False,
        writable=True,
        rich_help_panel="Output",
    ),
]


class OutputError(Exception):
    """What was asked for cannot be written."""


@attrs.frozen
class Output:
    """What the options ``--format`` and ``--out`` say.

    Attributes:
        chosen: The format; None for the one that fits.
        file: The file; None for the standard output.
    """

    chosen: Format | None
    file: Path | None

    @classmethod
    def of(cls, chosen: Format | None, file: Path | None) -> "Output":
        """The output that the options describe."""
        return cls(chosen, None if str(file) in _STANDARD_OUTPUT else file)

    @property
    def goes_to_a_file(self) -> bool:
        """Whether records go to a file: who reads a pipe may be on the terminal of a bar."""
        if self.file is not None:
            return not self.file.exists() or self.file.is_file()
        return is_file(sys.stdout)

    @contextmanager
    def records(self, kind: Kind[T]) -> Generator[Callable[[T], object]]:
        """Write records of a kind. A file is put in its place when the block ends well.

        Yields:
            A function that takes records one by one.

        Raises:
            typer.BadParameter: The file cannot be made.
            OutputError: It cannot be written.
        """
        lines = writer(self._format, kind, screen=None if self.file else screen())
        with self._opened() as write:
            yield lambda record: write(lines.row(record))
            write(lines.end())

    def record(self, kind: Kind[T]) -> AbstractContextManager[Callable[[T], object]]:
        """Write a single record: as :meth:`records` does."""
        return self.records(attrs.evolve(kind, one=True))

    def _opened(self) -> AbstractContextManager[Callable[[str], object]]:
        if self.file is None:
            return _standard_output()
        target = self.file.resolve()  # a link stays a link
        special = target.exists() and not target.is_file()
        return (_special if special else _whole_file)(target, self.file)

    @property
    def _format(self) -> Format:
        if self.chosen is not None:
            return self.chosen
        suffix = self.file.suffix.lower() if self.file else ""
        return _BY_SUFFIX.get(suffix, Format.TABLE)


def is_file(stream: TextIO) -> bool:
    """Whether a file is behind a stream, and no pipe, terminal or device."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # there is no file behind it
        return False


def screen() -> Screen | None:
    """The terminal that the standard output is; None where it is none."""
    if not is_terminal(sys.stdout):
        return None
    return Screen(shutil.get_terminal_size().columns, sys.stdout.encoding)


def say_out(line: str) -> None:
    """Write a line to the standard output, at once."""
    with _refused():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


@contextmanager
def _standard_output() -> Generator[Callable[[str], object]]:
    yield partial(_write, sys.stdout)
    with _refused():
        sys.stdout.flush()


@contextmanager
def _special(file: Path, shown: Path) -> Generator[Callable[[str], object]]:
    """A device or a pipe: it is written to, not replaced."""
    with _opened(file, "w", shown) as stream:
        yield partial(_write, stream)
        with _refused():
            stream.flush()


@contextmanager
def _whole_file(file: Path, shown: Path) -> Generator[Callable[[str], object]]:
    aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    with _opened(aside, "x", shown) as stream:
        try:
            if file.exists():  # who may read it does not change
                shutil.copymode(file, aside)
            yield partial(_write, stream)
            with _refused():
                stream.flush()
                os.fsync(stream.fileno())
                aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _opened(file: Path, mode: Literal["w", "x"], shown: Path) -> Generator[TextIO]:
    try:
        stream = file.open(mode, encoding="utf-8", newline="")
    except OSError as error:
        message = f"{shown} cannot be written: {error.strerror}"
        raise typer.BadParameter(message, param_hint="--out") from None
    try:
        yield stream
    finally:
        # What could not be written before cannot now; that has been said.
        with suppress(OSError):
            stream.close()


def _write(stream: TextIO, text: str) -> None:
    with _refused():
        stream.write(text)


@contextmanager
def _refused() -> Generator[None]:
    """What the operating system refuses is an error of the output; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"the output cannot be written: {error.strerror}"
        raise OutputError(message) from None
