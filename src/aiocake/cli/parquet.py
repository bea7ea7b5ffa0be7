"""Write records as Parquet, by pyarrow: exact, or not at all."""

import importlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import BinaryIO, Final, TypeVar

from aiocake import ColumnType
from aiocake._arrow import ArrowRows, Unfitting, as_json
from aiocake.cli.destination import OutputError
from aiocake.cli.formats import RecordLayout
from aiocake.cli.sink import Sink
from aiocake.records import plain_value

T = TypeVar("T")

#: Rows that a reader can skip or take at once; so many are in memory, too. Of 50,000 they would
#: take 5 MB more, and the file 2 % less.
ROW_GROUP: Final = 20_000
#: Bytes of a page: of the usual million, each column would hold some while it is written.
_PAGE: Final = 1 << 16


@contextmanager
def parquet(stream: BinaryIO, kind: RecordLayout[T]) -> Generator[Callable[[T], None]]:
    """Write records of a kind; the file is complete when the block ends well.

    Yields:
        A function that takes records one by one.

    Raises:
        OutputError: A number does not fit into its column, since nothing is rounded; or the stream
            cannot be written to.
    """
    # Its own allocator takes regions of MBs ahead of what is written: 8 MB more at the peak. Which
    # one it is is read once, as Arrow is loaded. This process is the command's, and does no more.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    names = kind.csv_columns
    types = kind.types or dict.fromkeys(names, ColumnType.TEXT)
    rows = ArrowRows(types, "Parquet")
    sink = Sink(stream)
    file = importlib.import_module("pyarrow.parquet").ParquetWriter(
        sink,
        rows.schema,
        # Ids and amounts differ from row to row: a dictionary of them takes memory, and no less
        # room in the file.
        use_dictionary=[name for name, each in types.items() if each is ColumnType.TEXT],
        data_page_size=_PAGE,
    )

    read = kind.reader()

    def write(record: T) -> None:
        values = read(record)
        try:
            rows.add(values if kind.types else list(map(_text, values)))
            if len(rows) >= ROW_GROUP:
                file.write_table(rows.take())
        except Unfitting as error:
            raise _unwritable(error) from None

    try:
        yield write
        if len(rows):
            file.write_table(rows.take())
        file.close()
    except Unfitting as error:
        sink.abandon()
        file.close()
        raise _unwritable(error) from None
    except BaseException:
        sink.abandon()
        file.close()
        raise


def _text(value: object) -> str | None:
    """Return a value of what the command itself reports, whose columns have no types."""
    plain = plain_value(value)
    return plain if plain is None or isinstance(plain, str) else as_json(plain)


def _unwritable(error: Unfitting) -> OutputError:
    return OutputError(
        f"row {error.row + 1} does not fit into Parquet: {error.column} {error.reason}; "
        "use csv or jsonl"
    )
