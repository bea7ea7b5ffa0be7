"""The typed columns of records, and Arrow tables for data frames.

The command writes the same columns to CSV, JSON lines, XLSX and Parquet. CSV and XLSX do not keep
types, so :data:`COLUMNS` says them: a reader that is told keeps every digit of an amount, where one
that guesses makes it a float.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, cast

import attrs

from aiocake import models
from aiocake._arrow import ArrowRows, Unfitting
from aiocake._normalize import class_name
from aiocake.errors import ArgumentError, Problem
from aiocake.models.bills import AccountManager, Bill, BillAmount, Contact, Partner
from aiocake.models.invoices import Page
from aiocake.records import ColumnType, Record, column_types, row

__all__ = ["COLUMNS", "RecordTable", "table"]


#: Bases of records, records within others, and what holds records.
_NO_ROWS: Final = frozenset({AccountManager, Bill, BillAmount, Contact, Page, Partner})
_MODELS: Final[tuple[type[Record], ...]] = tuple(
    model
    for model in vars(models).values()
    if isinstance(model, type) and issubclass(model, Record) and model not in _NO_ROWS
)


class _Columns(Mapping[type[Record], Mapping[str, ColumnType]]):
    """The columns of each class of records; found out when they are asked for."""

    def __getitem__(self, model: type[Record]) -> Mapping[str, ColumnType]:
        if model not in _MODELS:
            raise KeyError(model)
        return column_types(model)

    def __iter__(self) -> Iterator[type[Record]]:
        return iter(_MODELS)

    def __len__(self) -> int:
        return len(_MODELS)

    def __repr__(self) -> str:
        return f"<columns of {', '.join(model.__name__ for model in _MODELS)}>"


COLUMNS: Final[Mapping[type[Record], Mapping[str, ColumnType]]] = _Columns()
"""The columns of each class of records, and their types.

``COLUMNS[Invoice]["total_amount"]`` is ``"DECIMAL(38, 10)"``. The names are those of
:func:`aiocake.columns`, in the same order. Each column can be empty, if not each of each class.
"""


@attrs.frozen(eq=False, repr=False)
class RecordTable:
    """Records as columns with types, in memory, for whatever takes Arrow.

    ``polars.DataFrame(rows)``, ``pyarrow.table(rows)``, ``pandas.DataFrame.from_arrow(rows)`` and
    ``duckdb.sql("FROM rows")`` take one: by the
    `Arrow PyCapsule interface <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>`_.
    An iteration gives a dict for each record.

    Attributes:
        columns: The names of the columns, and their types.
    """

    columns: Mapping[str, ColumnType]
    _found: object

    @property
    def _arrow(self) -> Any:  # noqa: ANN401 - a table of pyarrow, which has no annotations
        return self._found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return all of it as a stream of Arrow; a schema may ask for other types."""
        stream: object = self._arrow.__arrow_c_stream__(requested_schema)
        return stream

    def __arrow_c_schema__(self) -> object:
        """Return the columns as a schema of Arrow."""
        found: object = self._arrow.schema.__arrow_c_schema__()
        return found

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Yield a dict for each record: amounts are Decimals, and dates are dates."""
        for batch in self._arrow.to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()

    def __len__(self) -> int:
        """Return the number of records."""
        return cast("int", self._arrow.num_rows)

    def __repr__(self) -> str:
        """Return how large it is; all of it would be megabytes in a log."""
        return f"<RecordTable of {len(self)} rows, {len(self.columns)} columns>"


def table(records: Iterable[Record], model: type[Record] | None = None) -> RecordTable:
    """Return records as a table for polars, pandas, DuckDB and pyarrow, exact.

    An amount is a decimal with ten places, a date is a date, an id is a whole number, and ``kind``
    is a column. The columns are those of ``COLUMNS[type(record)]``, whatever the values are.

    Args:
        records: Records of one class, such as the list that ``find().collect()`` returns. An async
            iteration has to be collected before.
        model: The class of the records: needed only if there may be none.

    Returns:
        The table. It takes less memory than the records.

    Raises:
        ArgumentError: There are records of two classes, or of another than ``model``; there are
            none, and no ``model``; or a number does not fit into its column: nothing is rounded.
        ModuleNotFoundError: pyarrow is missing: ``pip install 'aiocake[parquet]'``.
    """
    if not isinstance(records, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        hint = ": collect() them first" if hasattr(records, "__aiter__") else ""
        raise ArgumentError(
            Problem("records", f"must be an iterable of records, got {class_name(records)}{hint}")
        )
    rows = iter(records)
    first = next(rows, None)
    if model is None:
        if first is None:
            reason = "is needed where there are no records: table([], aiocake.Invoice)"
            raise ArgumentError(Problem("model", reason))
        model = type(first)
    if model not in COLUMNS:
        name = "model" if first is None else "records[0]"
        raise ArgumentError(Problem(name, f"must be of a class in COLUMNS, got {model.__name__}"))
    found = ArrowRows(COLUMNS[model], "aiocake.table")
    try:
        for place, record in enumerate(rows if first is None else chain((first,), rows)):
            if type(record) is not model:
                reason = f"must be of {model.__name__}, as the others, got {class_name(record)}"
                raise ArgumentError(Problem(f"records[{place}]", reason))
            found.add(row(record))
        return RecordTable(COLUMNS[model], found.take())
    except Unfitting as error:
        name = f"records[{error.row}].{error.column}"
        raise ArgumentError(Problem(name, error.reason)) from None
