"""Columns as Arrow has them: exact, or refused. The one place that knows pyarrow's types."""

import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from aiocake.records import ColumnType

#: Rows that are Python's values before they become Arrow's, which take a tenth of the memory.
_AT_ONCE: Final = 2_048
#: Digits behind the point that a column has.
_PLACES: Final = 10


class Unfitting(Exception):
    """A value does not fit into its column.

    Attributes:
        row: Which row it is, from 0.
        column: The name of the column.
        reason: Why it does not fit, without the value.
    """

    def __init__(self, row: int, column: str, reason: str) -> None:
        super().__init__(row, column, reason)
        self.row = row
        self.column = column
        self.reason = reason


def pyarrow(needed_by: str) -> Any:  # noqa: ANN401 - a library without annotations
    """Return pyarrow, which the extra ``parquet`` brings.

    Raises:
        ModuleNotFoundError: It is not there.
    """
    try:
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        reason = f"{needed_by} needs pyarrow: pip install 'aiocake[parquet]'"
        raise ModuleNotFoundError(reason, name="pyarrow") from None


class ArrowRows:
    """Rows that are collected as columns of Arrow.

    Args:
        types: The columns.
        needed_by: What needs pyarrow, for an error.
    """

    def __init__(self, types: Mapping[str, ColumnType], needed_by: str) -> None:
        self._arrow = pyarrow(needed_by)
        self._types = types
        made = {
            ColumnType.INTEGER: self._arrow.int64(),
            # Never narrower: Arrow finds out late what does not fit, and not all readers know
            # decimals of 32 and 64 bits.
            ColumnType.DECIMAL: self._arrow.decimal128(38, _PLACES),
            ColumnType.TEXT: self._arrow.string(),
            ColumnType.DATE: self._arrow.date32(),
            ColumnType.TIMESTAMP: self._arrow.timestamp("us"),
            ColumnType.BOOLEAN: self._arrow.bool_(),
            ColumnType.JSON: self._arrow.string(),
        }
        self.schema = self._arrow.schema([(name, made[kind]) for name, kind in types.items()])
        self._convert = [_CONVERSIONS.get(kind) for kind in types.values()]
        self._columns: list[list[object]] = [[] for _ in types]
        self._batches: list[Any] = []
        self._taken = 0

    def __len__(self) -> int:
        """Return the number of rows that are here."""
        return sum(len(each) for each in self._batches) + len(self._columns[0])

    def add(self, values: Iterable[object]) -> None:
        """Add a row.

        Raises:
            Unfitting: A value of it, or of a row before it, does not fit.
        """
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        if len(self._columns[0]) >= _AT_ONCE:
            self._pack()

    def take(self) -> Any:  # noqa: ANN401 - a table of pyarrow
        """Return what is here as a table of pyarrow, and begin anew.

        Raises:
            Unfitting: A value does not fit.
        """
        self._pack()
        found = self._arrow.Table.from_batches(self._batches, self.schema)
        self._taken += len(found)
        self._batches = []
        return found

    def _pack(self) -> None:
        arrays = [self._array(at, values) for at, values in enumerate(self._columns)]
        for column in self._columns:
            column.clear()
        self._batches.append(self._arrow.record_batch(arrays, schema=self.schema))

    def _array(self, at: int, values: Sequence[object]) -> Any:  # noqa: ANN401 - of pyarrow
        convert, kind = self._convert[at], self.schema.field(at).type
        if convert is not None:
            values = [None if value is None else convert(value) for value in values]
        try:
            return self._arrow.array(values, kind)
        except (self._arrow.ArrowException, OverflowError, UnicodeEncodeError, ValueError):
            row = self._first_of(values, kind)
            name = list(self._types)[at]
            before = self._taken + sum(len(each) for each in self._batches)
            raise Unfitting(before + row, name, _reason(values[row])) from None

    def _first_of(self, values: Sequence[object], kind: object) -> int:
        """Return which of these values does not fit."""
        for row, value in enumerate(values):
            try:
                self._arrow.array([value], kind)
            except (self._arrow.ArrowException, OverflowError, UnicodeEncodeError, ValueError):
                return row
        raise AssertionError("all of them fit alone")


def _reason(value: object) -> str:
    match value:
        case Decimal() if not value.is_finite():
            return "must be a number"
        case Decimal():
            return f"must have at most {_PLACES} decimal places, and 28 digits before the point"
        case int():
            return "must be a whole number of at most 64 bits"
        case _:
            return "must be a text that UTF-8 has"


def _decimal(value: object) -> object:
    """Return a number without zeros that a column has no places for."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_PLACES:
        digits = format(value, "f").rstrip("0")
        return Decimal(digits)
    return value


def _time(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _text(value: object) -> str:
    return str.__str__(value) if isinstance(value, str) else str(value)


def as_json(value: object) -> str:
    """Return a plain value as a text of JSON."""
    return json.dumps(value, ensure_ascii=False)


_CONVERSIONS: Final[Mapping[ColumnType, Callable[[object], object]]] = {
    ColumnType.DECIMAL: _decimal,
    ColumnType.TEXT: _text,
    ColumnType.TIMESTAMP: _time,
    ColumnType.JSON: as_json,
}
