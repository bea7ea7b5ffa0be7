"""Where records go: the standard output, or a file that is there whole or not at all."""

import secrets
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Generic, TypeVar

import attrs
import typer

from aiocake.cli._formats import Format, Kind, writer

__all__ = ["FormatOption", "OutOption", "Output", "Records"]

T = TypeVar("T")

_BY_SUFFIX: Final = {f".{form}": form for form in Format}

FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="How to write it; by default what the name of --out ends in, else a table.",
        show_default=False,
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
    ),
]


@attrs.frozen
class Records(Generic[T]):
    """Takes records one by one."""

    write: Callable[[T], object]


@attrs.frozen
class Output:
    """What the options ``--format`` and ``--out`` say.

    Attributes:
        chosen: The format; None for the one that fits.
        file: The file; None for the standard output.
    """

    chosen: Format | None
    file: Path | None

    @property
    def on_terminal(self) -> bool:
        """Whether records go to a terminal."""
        return self.file is None and sys.stdout.isatty()

    @contextmanager
    def records(self, kind: Kind[T]) -> Generator[Records[T]]:
        """Write records of a kind. A file is put in its place when the block ends well.

        Raises:
            typer.BadParameter: The file cannot be made.
        """
        width = shutil.get_terminal_size().columns if self.on_terminal else None
        lines = writer(self._format, kind, width=width)
        with _standard_output() if self.file is None else _whole_file(self.file) as write:
            yield Records(lambda record: write(lines.row(record)))
            write(lines.end())

    def record(self, kind: Kind[T], record: T) -> None:
        """Write a single record."""
        with self.records(attrs.evolve(kind, one=True)) as records:
            records.write(record)

    @property
    def _format(self) -> Format:
        if self.chosen is not None:
            return self.chosen
        suffix = self.file.suffix.lower() if self.file else ""
        return _BY_SUFFIX.get(suffix, Format.TABLE)


@contextmanager
def _standard_output() -> Generator[Callable[[str], object]]:
    yield sys.stdout.write
    sys.stdout.flush()


@contextmanager
def _whole_file(file: Path) -> Generator[Callable[[str], object]]:
    # A link stays a link; a device or a pipe is written to, not replaced.
    target = file.resolve()
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    special = target.exists() and not target.is_file()
    try:
        stream = target.open("w") if special else aside.open("x", encoding="utf-8", newline="")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise typer.BadParameter(message, param_hint="--out") from None
    try:
        with stream:
            yield stream.write
        if not special:
            aside.replace(target)
    finally:
        if not special:
            aside.unlink(missing_ok=True)
