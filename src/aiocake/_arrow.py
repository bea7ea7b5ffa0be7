"""Convert rows to Arrow columns, exactly or not at all. Only this module knows pyarrow's types."""

import importlib
import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from itertools import accumulate
from typing import Any, Final

from aiocake.records import ColumnType

#: Rows that are Python's values before they become Arrow's, which take a tenth of the memory.
_AT_ONCE: Final = 2_048
#: Digits behind the point that a column has, and those before it.
_PLACES: Final = 10
_BEFORE: Final = 28
_EXACT: Final = Context(prec=100, traps=[Inexact])
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times of an instance have no zone
_MICROSECOND: Final = timedelta(microseconds=1)


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
        self._rows: list[Iterable[object]] = []
        self._batches: list[Any] = []
        self._packed = 0
        self._taken = 0

    def __len__(self) -> int:
        """Return the number of rows that are here."""
        return self._packed + len(self._rows)

    def add(self, values: Iterable[object]) -> None:
        """Add a row.

        Raises:
            Unfitting: A value of it, or of a row before it, does not fit.
        """
        self._rows.append(values)
        if len(self._rows) >= _AT_ONCE:
            self._pack()

    def take(self) -> Any:  # noqa: ANN401 - a table of pyarrow
        """Return the collected rows as a table of pyarrow, and start over.

        Raises:
            Unfitting: A value does not fit.
        """
        self._pack()
        found = self._arrow.Table.from_batches(self._batches, self.schema)
        self._taken += self._packed
        self._packed = 0
        self._batches = []
        return found

    def _pack(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [self._array(at, values) for at, values in enumerate(columns)]
        self._packed += len(self._rows)
        self._rows = []
        self._batches.append(self._arrow.record_batch(arrays, schema=self.schema))

    def _array(self, at: int, values: Sequence[object]) -> Any:  # noqa: ANN401 - of pyarrow
        # By buffers, not by pyarrow.array: that imports pandas if it can, and rounds times.
        name, kind = list(self._types.items())[at]
        try:
            buffers = _BUFFERS[kind](values)
        except (OverflowError, ValueError):
            row = next(row for row, value in enumerate(values) if not _fits(kind, value))
            raise Unfitting(self._taken + self._packed + row, name, _REASONS[kind]) from None
        there = _bits([value is not None for value in values]) if None in values else None
        wrapped = [
            None if each is None else self._arrow.py_buffer(each) for each in (there, *buffers)
        ]
        return self._arrow.Array.from_buffers(self.schema.field(at).type, len(values), wrapped)


def _fits(kind: ColumnType, value: object) -> bool:
    try:
        _BUFFERS[kind]([value])
    except (OverflowError, ValueError):
        return False
    return True


def as_json(value: object) -> str:
    """Return a plain value as a text of JSON."""
    return json.dumps(value, ensure_ascii=False)


# The buffers of a column, after that which tells what is there. Source: "Arrow Columnar Format",
# https://arrow.apache.org/docs/format/Columnar.html


def _bits(values: Sequence[object]) -> bytes:
    """Return a bit for each value, the first of a byte being its lowest."""
    shown = "".join("1" if value else "0" for value in reversed(values))
    return int(shown or "0", 2).to_bytes(-(-len(values) // 8), "little")


def _integers(values: Sequence[Any]) -> list[Any]:
    return [array("q", [value or 0 for value in values])]


def _decimals(values: Sequence[Any]) -> list[Any]:
    return [b"".join([bytes(16) if value is None else _scaled(value) for value in values])]


def _scaled(value: Decimal) -> bytes:
    """Return a number in units of its last place.

    Raises:
        ValueError: It has more digits than a column.
    """
    if not value.is_finite() or value.adjusted() >= _BEFORE:
        raise ValueError
    units = _EXACT.scaleb(value, _PLACES)
    whole = int(units)
    if whole != units:
        raise ValueError
    return whole.to_bytes(16, "little", signed=True)


def _texts(values: Sequence[Any]) -> list[Any]:
    # Names, statuses and currencies are the same in many rows.
    known = {value: str(value).encode() for value in {*values}}
    known[None] = b""
    encoded = [known[value] for value in values]
    return [array("i", [0, *accumulate(map(len, encoded))]), b"".join(encoded)]


def _jsons(values: Sequence[Any]) -> list[Any]:
    return _texts([None if value is None else as_json(value) for value in values])


def _dates(values: Sequence[Any]) -> list[Any]:
    first = _EPOCH.toordinal()
    days = [0 if value is None else value.toordinal() - first for value in values]
    return [array("i", days)]


def _times(values: Sequence[Any]) -> list[Any]:
    return [array("q", [0 if value is None else _microseconds(value) for value in values])]


def _microseconds(value: datetime) -> int:
    naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return (naive - _EPOCH) // _MICROSECOND


_BUFFERS: Final[Mapping[ColumnType, Callable[[Sequence[Any]], list[Any]]]] = {
    ColumnType.INTEGER: _integers,
    ColumnType.DECIMAL: _decimals,
    ColumnType.TEXT: _texts,
    ColumnType.JSON: _jsons,
    ColumnType.DATE: _dates,
    ColumnType.TIMESTAMP: _times,
    ColumnType.BOOLEAN: lambda values: [_bits(values)],
}
_UTF_8: Final = "must be a text that UTF-8 can encode"
_REASONS: Final[Mapping[ColumnType, str]] = {
    ColumnType.INTEGER: "must be a whole number of at most 64 bits",
    ColumnType.DECIMAL: f"must have at most {_PLACES} decimal places, and {_BEFORE} digits before",
    ColumnType.TEXT: _UTF_8,
    ColumnType.JSON: _UTF_8,
    ColumnType.TIMESTAMP: "must be a time that UTC can express",
}
