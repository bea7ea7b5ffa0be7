"""Write records as a table, JSON, CSV or JSON lines, under CAKE's own names.

Records are written one at a time, so that memory stays flat. XLSX and Parquet, which are no text,
are in :mod:`aiocake.cli.workbook` and :mod:`aiocake.cli.parquet`.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs

from aiocake import ColumnType, ExchangeRate, Invoice, columns, to_dict
from aiocake.cli.table import Screen, Table, shown
from aiocake.cli.text import escaped_json, spreadsheet_text
from aiocake.models import Bill
from aiocake.records import cells, column_types, row

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
RecordT = TypeVar("RecordT", bound=attrs.AttrsInstance)
BillT = TypeVar("BillT", bound=Bill)

Fields = Mapping[str, object]


class OutputFormat(StrEnum):
    """A format in which records are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"
    XLSX = "xlsx"
    PARQUET = "parquet"


@attrs.frozen(kw_only=True)
class RecordLayout(Generic[T]):
    """The layout of one kind of record in each format.

    Attributes:
        json: Gives all that a record holds, as JSON has it.
        csv: Gives all of it by column; amounts and dates are not texts.
        csv_columns: The names of the columns: of CSV, XLSX and Parquet.
        to_table: Gives what a table shows, by column.
        table_columns: The names of a table's columns.
        table_spare: The columns of a table that a narrow terminal goes without, the first first.
        table_heads: Shorter names of columns, for the head of a table.
        one: True for a single record: then JSON is an object, and a table has a line for each
            field.
        jsonl: Gives a line of JSON lines by column, too; None if it is as ``json`` gives it.
        values: Gives what ``csv`` does in the order of the columns; None to take it from there.
        types: The types of the columns; None if each is a text to Parquet.
        optional: Columns that a table goes without while no record has a value for them.
        keep: Tells the records that are written from those that are left out; None if all are.
        sheet: The name of the sheet of XLSX.
        added_up: True for invoices and bills: XLSX ends with their totals.
    """

    json: Callable[[T], Fields]
    csv: Callable[[T], Fields]
    csv_columns: tuple[str, ...]
    to_table: Callable[[T], Fields]
    table_columns: tuple[str, ...]
    table_spare: tuple[str, ...] = ()
    table_heads: Mapping[str, str] = MappingProxyType({})
    one: bool = False
    jsonl: Callable[[T], Fields] | None = None
    values: Callable[[T], Collection[object]] | None = None
    types: Mapping[str, ColumnType] | None = None
    optional: tuple[str, ...] = ()
    keep: Callable[[T], bool] | None = None
    sheet: str = "records"
    added_up: bool = False

    def reader(self) -> Callable[[T], Collection[object]]:
        """Return a function that returns a record's values in the order of the columns."""
        if self.values is not None:
            return self.values
        fields, names = self.csv, self.csv_columns

        def read(record: T) -> Collection[object]:
            found = fields(record)
            return [found[name] for name in names]

        return read


class Writer(Protocol[T_contra]):
    """Writes a list as text, piece by piece."""

    def row(self, record: T_contra, /) -> str:
        """Return the text that this record adds; it may be empty for now."""
        ...

    def end(self) -> str:
        """Return the rest of the text."""
        ...


def writer(
    form: OutputFormat, kind: RecordLayout[T], *, screen: Screen | None, raw: bool = False
) -> Writer[T]:
    """Return a writer of records in a text format.

    Args:
        form: The format.
        kind: The kind.
        screen: What a table is fitted to; None if it may have any width.
        raw: True for CSV whose texts are as CAKE sent them, for programs.
    """
    if form is OutputFormat.TABLE:
        return _Table(kind, screen)
    if form is OutputFormat.CSV:
        return _Csv(kind, _RAW if raw else _GUARDED)
    if form is OutputFormat.JSONL:
        return _JsonLines(kind.jsonl or kind.json)
    return _JsonLines(kind.json) if kind.one else _JsonArray(kind.json)


class _Table(Generic[T]):
    def __init__(self, kind: RecordLayout[T], screen: Screen | None) -> None:
        self._kind = kind
        names = ("field", "value") if kind.one else kind.table_columns
        self._table = Table(
            names,
            screen,
            paired=kind.one,
            spare=kind.table_spare,
            optional=kind.optional,
            heads=kind.table_heads,
        )

    def row(self, record: T) -> str:
        fields = self._kind.to_table(record)
        if self._kind.one:
            # As texts: a column of amounts is lined up at its right, a single one is not.
            return "".join(
                self._table.row((name, shown(value)))
                for name, value in fields.items()
                if value is not None or name not in self._kind.optional
            )
        return self._table.row([fields[name] for name in self._kind.table_columns])

    def end(self) -> str:
        return self._table.end()


class _JsonLines(Generic[T]):
    def __init__(self, fields: Callable[[T], Fields]) -> None:
        self._fields = fields

    def row(self, record: T) -> str:
        return _json(self._fields(record)) + "\n"

    def end(self) -> str:
        return ""


class _JsonArray(Generic[T]):
    def __init__(self, fields: Callable[[T], Fields]) -> None:
        self._fields = fields
        self._begun = False

    def row(self, record: T) -> str:
        before = ",\n" if self._begun else "[\n"
        self._begun = True
        return before + _json(self._fields(record))

    def end(self) -> str:
        return "\n]\n" if self._begun else "[]\n"


class _Csv(Generic[T]):
    """CSV after RFC 4180, but with line ends of one character.

    An empty text is quoted, and what is not there is not: so a reader can tell them apart.
    """

    def __init__(self, kind: RecordLayout[T], cells: "_Cells") -> None:
        self._values = kind.reader()
        self._cells = cells
        self._head = self._line(kind.csv_columns)

    def row(self, record: T) -> str:
        line = self._line(self._values(record))
        return self._taken() + line if self._head else line

    def end(self) -> str:
        return self._taken()

    def _line(self, values: Collection[object]) -> str:
        cells = self._cells
        written = ["" if value is None else cells[type(value)](value) for value in values]
        # A line that is empty would be none.
        return (",".join(written) or '""') + "\n"

    def _taken(self) -> str:
        head, self._head = self._head, ""
        return head


class _Cells(dict[type, Callable[[Any], str]]):
    """The writers of CSV cells, by the type of the value.

    Args:
        text: Returns what is written of a text.
        json: Returns what is written of a sequence or mapping.
    """

    def __init__(self, text: Callable[[str], str], json: Callable[[object], str]) -> None:
        super().__init__({int: str, date: str, datetime: str, bool: _lower, Decimal: _amount})
        self._text = partial(_quoted, text)
        self._nested = partial(_nested, json)

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        found: Callable[[Any], str] = self._text
        if issubclass(kind, Mapping | list):
            found = self._nested
        elif issubclass(kind, str):
            # Names, statuses and currencies are the same in many rows.
            found = lru_cache(2_048)(self._text)
        self[kind] = found
        return found


def _lower(value: object) -> str:
    return str(value).lower()


def _amount(value: Decimal) -> str:
    text = str(value)
    return format(value, "f") if "E" in text else text


def _nested(json: Callable[[object], str], value: object) -> str:
    return '"' + json(value).replace('"', '""') + '"'


def _quoted(text: Callable[[str], str], value: object) -> str:
    written = text(str(value))
    if written and not _SPECIAL(written):
        return written
    return '"' + written.replace('"', '""') + '"'


_SPECIAL: Final = re.compile(r'[",\r\n]').search


def _json(value: object) -> str:
    return escaped_json(json.dumps(value, ensure_ascii=False))


_GUARDED: Final = _Cells(spreadsheet_text, _json)
_RAW: Final = _Cells(str, partial(json.dumps, ensure_ascii=False))


# The layouts of the records of the API.


def plain(model: type[RecordT]) -> RecordLayout[RecordT]:
    """Return the layout of records whose fields are all shown."""
    names = columns(model)
    return RecordLayout(
        json=to_dict,
        csv=cells,
        csv_columns=names,
        to_table=cells,
        table_columns=names,
        jsonl=partial(to_dict, flat=True),
        values=row,
        types=column_types(model),
    )


_INVOICE: Final = attrs.evolve(
    plain(Invoice),
    to_table=cells,
    table_columns=(
        "invoice_id",
        "kind",
        "invoice_status",
        "affiliate_id",
        "affiliate_name",
        "advertiser_id",
        "advertiser_name",
        "start_date",
        "end_date",
        "invoice_date",
        "total_amount",
        "currency",
        "currency_symbol",
    ),
    table_spare=(
        "start_date",
        "kind",
        "affiliate_id",
        "advertiser_id",
        "affiliate_name",
        "advertiser_name",
    ),
    table_heads={
        "invoice_id": "invoice",
        "invoice_status": "status",
        "affiliate_id": "affiliate",
        "affiliate_name": "its name",
        "advertiser_id": "advertiser",
        "advertiser_name": "its name",
        "start_date": "start",
        "end_date": "end",
        "total_amount": "amount",
        "currency": "ccy",
    },
    optional=(
        "affiliate_id",
        "affiliate_name",
        "advertiser_id",
        "advertiser_name",
        "start_date",
        "end_date",
        "invoice_date",
        "currency",
        "currency_symbol",
        "billing_cycle_name",
        "payment_type",
    ),
    sheet="invoices",
    added_up=True,
)
_RATE: Final = attrs.evolve(
    plain(ExchangeRate),
    table_spare=tuple(
        f"{which}_currency_{field}"
        for field in ("name", "symbol", "id")
        for which in ("quote", "base")
    ),
    table_heads={
        **{
            f"{which}_currency_{field}": f"{which} {field}"
            for field in ("id", "symbol", "name")
            for which in ("base", "quote")
        },
        "base_currency_abbr": "base",
        "quote_currency_abbr": "quote",
        "start_date": "start",
        "end_date": "end",
    },
    optional=columns(ExchangeRate),
)


def _bill(model: type[BillT]) -> RecordLayout[BillT]:
    """Return the layout of bills of one kind."""
    partner = next(field.name for field in attrs.fields(model) if not field.inherited)
    shown = (
        "bill_id",
        f"{partner}_id",
        f"{partner}_name",
        "period",
        "amount",
        "formatted_amount",
        "sent_payment",
    )

    def in_short(bill: BillT) -> Fields:
        fields = cells(bill)
        amount = bill.bill_amount
        # It names the currency, and stays where the table is too narrow for both.
        text = amount.formatted_amount or f"{amount.amount:,f} (currency {amount.currency_id})"
        return {**fields, "formatted_amount": text}

    return attrs.evolve(
        plain(model),
        to_table=in_short,
        table_columns=shown,
        table_spare=("amount", f"{partner}_name", "sent_payment"),
        table_heads={
            "bill_id": "bill",
            f"{partner}_id": partner,
            f"{partner}_name": "name",
            "formatted_amount": "as shown",
            "sent_payment": "paid",
        },
        sheet="bills",
        added_up=True,
    )


def layout_of(model: type[Any]) -> RecordLayout[Any]:
    """Return the layout of a model's records."""
    if issubclass(model, Bill):
        return _bill(model)
    if model is Invoice:
        return _INVOICE
    return _RATE if model is ExchangeRate else plain(model)
