"""Write records to the standard output, or to what ``--out`` names."""

import gzip
import os
import shutil
import stat
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final, TextIO, TypeVar, cast

import attrs
import typer

from aiocake import ArgumentError
from aiocake.cli import parse
from aiocake.cli.destination import destination, goes_on, refused
from aiocake.cli.errors import print_error
from aiocake.cli.formats import Fields, OutputFormat, RecordLayout, writer
from aiocake.cli.options import OUTPUT, Option
from aiocake.cli.sink import Sink
from aiocake.cli.table import Screen
from aiocake.cli.template import Template, selected, template
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
    "xlsx": OutputFormat.XLSX,
    "parquet": OutputFormat.PARQUET,
    "table": OutputFormat.TABLE,
    "txt": OutputFormat.TABLE,
    "": OutputFormat.TABLE,
}
#: What a file of such a name would not be, in any format that there is.
_FOREIGN: Final = frozenset({"xls", "xlsb", "xlsm", "ods", "zip", "tsv", "feather", "arrow"})
#: What may be compressed, and is if the file's name ends so.
_GZIP: Final = ".gz"
_COMPRESSIBLE: Final = frozenset({OutputFormat.CSV, OutputFormat.JSON, OutputFormat.JSONL})
_KNOWN: Final = ", ".join(f".{ending}" for ending in _ENDINGS if ending)
#: Formats that are no text: what brings each, and the extra with it.
_BINARY: Final = {
    OutputFormat.XLSX: ("xlsxwriter", "excel"),
    OutputFormat.PARQUET: ("pyarrow", "parquet"),
}
_STANDARD_OUTPUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1"})
#: By this mark Excel knows that a file is in UTF-8.
_BOM: Final = "\ufeff"

OUTPUT_OPTIONS: Final = (
    Option(
        "form",
        f"Output format: {', '.join(OutputFormat)}. Default: from the extension of --out, else "
        "table.",
        parse.one_of(OutputFormat),
        "FORMAT",
        names=("--format", "-f"),
        panel=OUTPUT,
    ),
    Option("json", "Same as --format json. Errors are then JSON, too.", panel=OUTPUT),
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
        "columns",
        "Only these columns, in this order, such as invoice_id,total_amount.",
        parse.names,
        "NAMES",
        panel=OUTPUT,
    ),
    Option(
        "template",
        "Rename, order and compute columns by a template: a TOML file, or one that is "
        "shipped: xero-bills, xero-payouts.",
        template,
        "FILE|NAME",
        panel=OUTPUT,
    ),
    Option(
        "raw",
        "Write CSV texts unchanged, for programs. Default: guarded, so that "
        "no spreadsheet takes one for a formula.",
        panel=OUTPUT,
    ),
    Option(
        "excel",
        "Start CSV with a byte order mark (BOM), so that Excel recognizes UTF-8.",
        panel=OUTPUT,
    ),
)


@attrs.frozen
class Output:
    """Where and how to write, as the options say.

    Attributes:
        form: The format.
        file: The file; None for the standard output.
        bom: True if CSV begins with a byte order mark.
        raw: True if the texts of CSV are written as they are.
        columns: The columns to write; None for all.
        template: What the columns are made by, if anything.
    """

    form: OutputFormat
    file: Path | None
    bom: bool = False
    raw: bool = False
    columns: tuple[str, ...] | None = None
    template: Template | None = None

    @classmethod
    def of(  # noqa: PLR0913 - by name
        cls,
        form: OutputFormat | None,
        file: Path | None,
        *,
        excel: bool = False,
        raw: bool = False,
        columns: tuple[str, ...] | None = None,
        template: Template | None = None,
    ) -> "Output":
        """Return the output that the options describe.

        Raises:
            ArgumentError: They do not fit together, the file's name ends in no format, or what
                brings the format is missing.
        """
        form = _format(form, file)
        target = None if str(file) in _STANDARD_OUTPUT else file
        to_screen = target is None and is_terminal(sys.stdout)
        problems = list(_problems_of(form, to_screen=to_screen))
        for name, given in {"excel": excel, "raw": raw}.items():
            if given and form is not OutputFormat.CSV:
                reason = f"works with CSV only, not with {form}: use --format csv"
                problems.append(Problem(name, reason))
        if raw and excel:
            problems.append(Problem("raw", "cannot be combined with --excel, which is for people"))
        if raw and to_screen:
            problems.append(
                Problem(
                    "raw", "a terminal would interpret control characters: use --out, or a pipe"
                )
            )
        if columns is not None and template is not None:
            problems.append(Problem("columns", "cannot be combined with --template"))
        if problems:
            raise ArgumentError(*problems)
        raw = raw or (template is not None and template.raw and not excel and not to_screen)
        return cls(form, target, bom=excel, raw=raw, columns=columns, template=template)

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
            ArgumentError: A column is asked for that the records do not have.
            typer.BadParameter: The file cannot be written to, as far as can be known before.
            OutputError: It cannot be written.
        """
        if self.columns is not None:
            kind = selected(kind, self.columns)
        elif self.template is not None:
            kind = self.template.applied(kind)
        left_out = 0
        with self._written(kind) as write:

            def chosen(record: T) -> None:
                nonlocal left_out
                if kind.keep is None or kind.keep(record):
                    write(record)
                else:
                    left_out += 1

            yield chosen
        if left_out:
            print_error(f"the template left {left_out:,} records out")

    def record(self, kind: RecordLayout[T]) -> AbstractContextManager[Callable[[T], object]]:
        """Write a single record: as :meth:`records` does."""
        return self.records(attrs.evolve(kind, one=True))

    @contextmanager
    def _written(self, kind: RecordLayout[T]) -> Generator[Callable[[T], object]]:
        if self.form in _BINARY:
            with self._opened() as stream, _library(self.form, stream, kind) as add:
                yield add
            return
        on = None if self.file else screen()
        lines = writer(self.form, kind, screen=on, raw=self.raw)
        with self._texts() as (write, goes_on_there):
            if self.bom and not goes_on_there:
                write(_BOM)
            yield lambda record: write(lines.row(record))
            write(lines.end())

    @contextmanager
    def _texts(self) -> Generator[tuple[Callable[[str], object], bool]]:
        """Open what texts are written to; yield what writes one, and whether something is there."""
        if self.file is None and not self.raw:

            def show(text: str) -> None:
                with refused:
                    sys.stdout.write(text)

            yield show, goes_on(sys.stdout)
            with refused:
                sys.stdout.flush()
            return
        with self._opened() as stream:

            def write(text: str) -> None:
                with refused:
                    stream.write(text.encode())

            yield write, goes_on(stream)

    @contextmanager
    def _opened(self) -> Generator[BinaryIO]:
        """Open what bytes are written to."""
        if self.file is None:
            yield sys.stdout.buffer
            with refused:
                sys.stdout.buffer.flush()
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
            if _is_compressed(self.file):
                with _compressed(place.stream) as packed:
                    yield packed
            else:
                yield place.stream
            with refused:
                place.finish()


@contextmanager
def _compressed(stream: BinaryIO) -> Generator[BinaryIO]:
    sink = Sink(stream)
    # Without a name and a time in it: the same records are the same file.
    packed = gzip.GzipFile("", "wb", fileobj=sink, mtime=0)
    try:
        yield cast("BinaryIO", packed)
        packed.close()
    finally:
        sink.abandon()
        packed.close()


def _library(
    form: OutputFormat, stream: BinaryIO, kind: RecordLayout[T]
) -> AbstractContextManager[Callable[[T], None]]:
    """Return what writes a format that is no text; its modules load with it."""
    if form is OutputFormat.PARQUET:
        from aiocake.cli.parquet import parquet  # noqa: PLC0415 - only for this format

        return parquet(stream, kind)
    from aiocake.cli.workbook import workbook  # noqa: PLC0415 - the same

    return workbook(stream, kind, print_error)


def _problems_of(form: OutputFormat, *, to_screen: bool) -> Generator[Problem]:
    library, extra = _BINARY.get(form, ("", ""))
    if library and find_spec(library) is None:
        yield Problem("form", f"{form} needs {library}: pip install 'aiocake[{extra}]'")
    elif library and to_screen:
        yield Problem("form", f"a terminal cannot show {form}: use --out")


def _format(form: OutputFormat | None, file: Path | None) -> OutputFormat:
    """Return the format that the options name.

    Raises:
        ArgumentError: None, or one that does not fit the name of the file.
    """
    if file is None:
        return form or OutputFormat.TABLE
    ending = _ending(file)
    named = None if ending in _FOREIGN else _ENDINGS.get(ending)
    if ending in _FOREIGN:
        reason = f"no format fits {file.name}: use one of the extensions {_KNOWN}"
    elif form is None and named is None:
        reason = f"unknown extension of {file.name}: give --format, or use one of {_KNOWN}"
    elif (
        form is not None and named not in {None, form} and ending and _BINARY.keys() & {form, named}
    ):
        reason = f"{file.name} would not be what its name says: {form} ends in .{form}"
    elif _is_compressed(file) and (form or named) not in _COMPRESSIBLE:
        reason = f"only .csv.gz, .json.gz and .jsonl.gz are compressed, not {form or named}"
    else:
        return form or named or OutputFormat.TABLE
    raise ArgumentError(Problem("out", reason))


def _is_compressed(file: Path) -> bool:
    return file.name.lower().endswith(_GZIP)


def _ending(file: Path) -> str:
    name = file.name.lower()
    if _is_compressed(file):
        name = name.removesuffix(_GZIP)
    return name.rpartition(".")[2] if "." in name else ""


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
    with refused:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def say_object(fields: Fields) -> None:
    """Write an object to the standard output, as ``--json`` does."""
    with Output.of(OutputFormat.JSON, None).record(_OBJECT) as write:
        write(fields)


_OBJECT: Final = RecordLayout[Fields](
    json=dict, csv=dict, csv_columns=(), to_table=dict, table_columns=()
)


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
