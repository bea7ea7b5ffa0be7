"""Where records go: the standard output, or what ``--out`` names."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TextIO, TypeVar

import attrs
import typer

from aiocake import ArgumentError
from aiocake.cli import parse
from aiocake.cli.destination import destination, goes_on
from aiocake.cli.errors import print_error
from aiocake.cli.formats import OutputFormat, RecordLayout, writer
from aiocake.cli.options import OUTPUT, Option
from aiocake.cli.table import Screen
from aiocake.cli.terminal import is_terminal
from aiocake.cli.text import escaped
from aiocake.errors import Problem

T = TypeVar("T")

#: What the name of a file may end in, and what is written then; without an ending it is a table.
_ENDINGS: Final = {
    "csv": OutputFormat.CSV,
    "json": OutputFormat.JSON,
    "jsonl": OutputFormat.JSONL,
    "ndjson": OutputFormat.JSONL,
    "table": OutputFormat.TABLE,
    "txt": OutputFormat.TABLE,
    "": OutputFormat.TABLE,
}
#: What a file of such a name would not be, in any format that there is.
_FOREIGN: Final = frozenset({"xlsx", "xls", "ods", "parquet", "gz", "zip", "tsv"})
_KNOWN: Final = ", ".join(f".{ending}" for ending in _ENDINGS if ending)
_STANDARD_OUTPUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1"})
#: By this mark Excel knows that a file is in UTF-8.
_BOM: Final = "\ufeff"

OUTPUT_OPTIONS: Final = (
    Option(
        "form",
        "Output format. Default: from the extension of --out, else table.",
        parse.one_of(OutputFormat),
        "|".join(OutputFormat),
        names=("--format", "-f"),
        panel=OUTPUT,
    ),
    Option("json", "Same as --format json. Errors are JSON as well then.", panel=OUTPUT),
    Option(
        "out",
        "Write to FILE, replaced atomically once complete; or to a pipe, a device or a "
        "descriptor such as /dev/fd/3.",
        parse.output_file,
        "FILE",
        names=("--out", "-o"),
        panel=OUTPUT,
    ),
    Option(
        "excel",
        "Begin CSV with the byte order mark (BOM) by which Excel recognizes UTF-8.",
        panel=OUTPUT,
    ),
)


class OutputError(Exception):
    """Say that what was asked for cannot be written."""


@attrs.frozen
class Output:
    """Where and how to write, as the options ``--format``, ``--out`` and ``--excel`` say.

    Attributes:
        form: The format.
        file: The file; None for the standard output.
        bom: True if CSV begins with a byte order mark.
    """

    form: OutputFormat
    file: Path | None
    bom: bool = False

    @classmethod
    def of(cls, form: OutputFormat | None, file: Path | None, *, excel: bool) -> "Output":
        """Return the output that the options describe.

        Raises:
            ArgumentError: They do not fit together, or the file's name ends in no format.
        """
        _refuse_foreign(file)
        form = form or _format_of(file)
        if excel and form is not OutputFormat.CSV:
            raise ArgumentError(
                Problem("excel", f"works with CSV only, not with {form}: use --format csv")
            )
        return cls(form, None if str(file) in _STANDARD_OUTPUT else file, bom=excel)

    def spare(self, *files: Path) -> None:
        """Refuse to write to a file that the command itself needs.

        Args:
            files: The files, which need not exist.

        Raises:
            ArgumentError: The output is one of them, by whatever name.
        """
        for file in files:
            if self._is(file):
                raise ArgumentError(
                    Problem(
                        "out",
                        f"{self.file or 'the standard output'} is {file}, which the command needs",
                    )
                )

    def _is(self, file: Path) -> bool:
        try:
            if self.file is not None and os.path.realpath(self.file) == os.path.realpath(file):
                return True
            ours = os.fstat(sys.stdout.fileno()) if self.file is None else self.file.stat()
            return stat.S_ISREG(ours.st_mode) and os.path.samestat(ours, file.stat())
        except (OSError, ValueError):  # one of them is not there
            return False

    @property
    def goes_to_a_file(self) -> bool:
        """Return True if records go to a file; a bar would disturb the reader of a pipe."""
        if self.file is not None:
            return not self.file.exists() or self.file.is_file()
        return is_file(sys.stdout)

    @contextmanager
    def records(self, kind: RecordLayout[T]) -> Generator[Callable[[T], object]]:
        """Write records of a kind. A file is put in its place when the block ends well.

        Yields:
            A function that takes records one by one.

        Raises:
            typer.BadParameter: The file cannot be written to, as far as can be known before.
            OutputError: It cannot be written.
        """
        lines = writer(self.form, kind, screen=None if self.file else screen())
        with self._opened() as stream:
            write = partial(_write, stream)
            if self.bom and not goes_on(stream):
                write(_BOM)
            yield lambda record: write(lines.row(record))
            write(lines.end())

    def record(self, kind: RecordLayout[T]) -> AbstractContextManager[Callable[[T], object]]:
        """Write a single record: as :meth:`records` does."""
        return self.records(attrs.evolve(kind, one=True))

    @contextmanager
    def _opened(self) -> Generator[TextIO]:
        if self.file is None:
            yield sys.stdout
            with _refused():
                sys.stdout.flush()
            return
        with ExitStack() as stack:
            try:
                place = stack.enter_context(destination(self.file))
            except OSError as error:
                raise typer.BadParameter(
                    f"{self.file} cannot be written: {error.strerror}", param_hint="--out"
                ) from None
            if place.notice is not None:
                print_error(f"{self.file} {place.notice}")
            yield place.stream
            with _refused():
                place.finish()


def _refuse_foreign(file: Path | None) -> None:
    ending = _ending(file)
    if file is not None and ending in _FOREIGN:
        raise ArgumentError(
            Problem("out", f"no format fits {file.name}: use one of the extensions {_KNOWN}")
        )


def _ending(file: Path | None) -> str:
    name = "" if file is None else file.name
    return name.rpartition(".")[2].lower() if "." in name else ""


def _format_of(file: Path | None) -> OutputFormat:
    ending = _ending(file)
    if file is not None and ending not in _ENDINGS:
        raise ArgumentError(
            Problem(
                "out", f"unknown extension of {file.name}: give --format, or use one of {_KNOWN}"
            )
        )
    return _ENDINGS[ending]


def is_file(stream: TextIO) -> bool:
    """Return True if a stream is a file, not a pipe, terminal or device."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # there is no file behind it
        return False


def screen() -> Screen | None:
    """Return the terminal of the standard output; None if it is not a terminal."""
    if not is_terminal(sys.stdout):
        return None
    return Screen(shutil.get_terminal_size().columns, sys.stdout.encoding)


def say_out(line: str) -> None:
    """Write a line to the standard output, at once."""
    with _refused():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def say_lines(lines: Iterable[str], on: Screen | None) -> None:
    """Write texts to the standard output, each wrapped at words on a terminal."""
    for text in lines:
        for line in wrapped(text, None if on is None else on.width, on):
            say_out(line)


def wrapped(text: str, width: int | None, on: Screen | None) -> list[str]:
    """Return a text as lines of a terminal; as one line for anything else."""
    safe = escaped(text)
    if width is None or on is None or not safe:
        return [safe]
    # They take a while to load.
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    lines = Text(on.shown(safe)).wrap(Console(width=width), width)
    return [line.plain.rstrip() for line in lines]


def _write(stream: TextIO, text: str) -> None:
    with _refused():
        stream.write(text)


@contextmanager
def _refused() -> Generator[None]:
    """Turn errors of the operating system into errors of the output; a closed pipe is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the output cannot be written: {error.strerror}") from None
