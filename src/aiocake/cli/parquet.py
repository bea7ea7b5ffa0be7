"""Write records as Parquet, by pyarrow: exact, or not at all."""

import importlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, Final, TypeVar

from aiocake import ColumnType
from aiocake._arrow import ArrowRows, Unfitting, as_json
from aiocake.cli.destination import OutputError
from aiocake.cli.formats import RecordLayout
from aiocake.cli.sink import Sink
from aiocake.records import plain_value

T = TypeVar("T")

#: Rows that a reader can skip or take at once.
ROW_GROUP: Final = 50_000
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

    def write(record: T) -> None:
        fields = kind.csv(record)
        with _fitting():
            rows.add([fields[name] for name in names] if kind.types else _texts(fields, names))
            if len(rows) >= ROW_GROUP:
                file.write_table(rows.take())

    try:
        yield write
        with _fitting():
            if len(rows):
                file.write_table(rows.take())
        file.close()
    except BaseException:
        sink.abandon()
        file.close()
        raise


def _texts(fields: Mapping[str, object], names: tuple[str, ...]) -> list[str | None]:
    """Return what the command itself reports: its columns have no types."""
    values = [plain_value(fields[name]) for name in names]
    return [
        value if value is None or isinstance(value, str) else as_json(value) for value in values
    ]


@contextmanager
def _fitting() -> Generator[None]:
    try:
        yield
    except Unfitting as error:
        raise OutputError(
            f"row {error.row + 1} does not fit into Parquet: {error.column} {error.reason}; "
            "use csv or jsonl"
        ) from None
