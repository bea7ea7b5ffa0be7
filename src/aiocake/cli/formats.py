"""Write records as a table, JSON, CSV or JSON lines, under CAKE's own names.

Records are written one at a time, so that memory stays flat.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import attrs

from aiocake import Currency, ExchangeRate, Invoice, columns, to_dict
from aiocake.cli.table import Screen, Table, shown
from aiocake.cli.text import escaped_json, spreadsheet_text
from aiocake.models import Bill
from aiocake.records import cells

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
RecordT = TypeVar("RecordT", bound=attrs.AttrsInstance)
BillT = TypeVar("BillT", bound=Bill)

Fields = Mapping[str, object]


class OutputFormat(StrEnum):
    """Name a format in which records are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"


@attrs.frozen(kw_only=True)
class RecordLayout(Generic[T]):
    """Say how one kind of record is written.

    Attributes:
        json: Gives all that a record holds, as JSON has it.
        csv: Gives all of it by column; amounts and dates are not texts.
        csv_columns: The names of CSV's columns.
        to_table: Gives what a table shows, by column.
        table_columns: The names of a table's columns.
        table_spare: The columns of a table that a narrow terminal goes without, the first first.
        table_heads: Shorter names of columns, for the head of a table.
        one: True for a single record: then JSON is an object, and a table has a line for each
            field.
    """

    json: Callable[[T], Fields]
    csv: Callable[[T], Fields]
    csv_columns: tuple[str, ...]
    to_table: Callable[[T], Fields]
    table_columns: tuple[str, ...]
    table_spare: tuple[str, ...] = ()
    table_heads: Mapping[str, str] = MappingProxyType({})
    one: bool = False


class Writer(Protocol[T_contra]):
    """Gives the text of a list, piece by piece."""

    def row(self, record: T_contra, /) -> str:
        """Return the text that this record adds; it may be empty for now."""
        ...

    def end(self) -> str:
        """Return the rest of the text."""
        ...


def writer(form: OutputFormat, kind: RecordLayout[T], *, screen: Screen | None) -> Writer[T]:
    """Return what writes records of a kind in a format; a table is fitted to a screen."""
    if form is OutputFormat.TABLE:
        return _Table(kind, screen)
    if form is OutputFormat.CSV:
        return _Csv(kind)
    return _JsonLines(kind) if form is OutputFormat.JSONL or kind.one else _JsonArray(kind)


class _Table(Generic[T]):
    def __init__(self, kind: RecordLayout[T], screen: Screen | None) -> None:
        self._kind = kind
        names = ("field", "value") if kind.one else kind.table_columns
        self._table = Table(
            names, screen, paired=kind.one, spare=kind.table_spare, heads=kind.table_heads
        )

    def row(self, record: T) -> str:
        fields = self._kind.to_table(record)
        if self._kind.one:
            # As texts: a column of amounts is lined up at its right, a single one is not.
            return "".join(self._table.row((name, shown(fields[name]))) for name in fields)
        return self._table.row([fields[name] for name in self._kind.table_columns])

    def end(self) -> str:
        return self._table.end()


class _JsonLines(Generic[T]):
    def __init__(self, kind: RecordLayout[T]) -> None:
        self._kind = kind

    def row(self, record: T) -> str:
        return _json(self._kind.json(record)) + "\n"

    def end(self) -> str:
        return ""


class _JsonArray(Generic[T]):
    def __init__(self, kind: RecordLayout[T]) -> None:
        self._kind = kind
        self._begun = False

    def row(self, record: T) -> str:
        before = ",\n" if self._begun else "[\n"
        self._begun = True
        return before + _json(self._kind.json(record))

    def end(self) -> str:
        return "\n]\n" if self._begun else "[]\n"


class _Csv(Generic[T]):
    def __init__(self, kind: RecordLayout[T]) -> None:
        self._kind = kind
        self._text = io.StringIO()
        self._lines = csv.writer(self._text, lineterminator="\n")
        self._lines.writerow(kind.csv_columns)

    def row(self, record: T) -> str:
        fields = self._kind.csv(record)
        self._lines.writerow([_cell(fields[name]) for name in self._kind.csv_columns])
        return self._taken()

    def end(self) -> str:
        return self._taken()

    def _taken(self) -> str:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text


def _json(value: object) -> str:
    return escaped_json(json.dumps(value, ensure_ascii=False))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value, "f")
        case int() | date():
            return str(value)
        case Mapping() | list():
            return _json(cast("object", value))
        case _:
            return spreadsheet_text(str(value))


# The layouts of the records of the API.


def plain(model: type[RecordT]) -> RecordLayout[RecordT]:
    """Return the layout of records whose fields are all shown."""
    names = columns(model)
    return RecordLayout(
        json=to_dict, csv=cells, csv_columns=names, to_table=cells, table_columns=names
    )


def _invoice_in_short(invoice: Invoice) -> Fields:
    payout = invoice.advertiser_id is None
    return {
        "invoice_id": invoice.invoice_id,
        "kind": invoice.kind,
        "invoice_status": invoice.invoice_status,
        "partner_id": invoice.affiliate_id if payout else invoice.advertiser_id,
        "partner_name": invoice.affiliate_name if payout else invoice.advertiser_name,
        "start_date": invoice.start_date or invoice.invoice_date,
        "end_date": invoice.end_date,
        "total_amount": invoice.total_amount,
        "currency": invoice.currency or invoice.currency_symbol,
    }


_INVOICE: Final = attrs.evolve(
    plain(Invoice),
    to_table=_invoice_in_short,
    table_columns=(
        "invoice_id",
        "kind",
        "invoice_status",
        "partner_id",
        "partner_name",
        "start_date",
        "end_date",
        "total_amount",
        "currency",
    ),
    table_spare=("start_date", "kind", "partner_name"),
    table_heads={
        "invoice_id": "invoice",
        "invoice_status": "status",
        "partner_id": "partner",
        "partner_name": "name",
        "start_date": "start",
        "end_date": "end",
        "total_amount": "amount",
        "currency": "ccy",
    },
)


def _rate_in_short(rate: ExchangeRate) -> Fields:
    return {
        **cells(rate),
        "base_currency": _code(rate.base_currency),
        "quote_currency": _code(rate.quote_currency),
    }


def _code(currency: Currency) -> object:
    """Return what tells a currency from others; mostly its code."""
    return currency.currency_abbr or currency.currency_name or currency.currency_id


_RATE: Final = attrs.evolve(
    plain(ExchangeRate),
    to_table=_rate_in_short,
    table_columns=tuple(field.name for field in attrs.fields(ExchangeRate)),
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
    )


def layout_of(model: type[Any]) -> RecordLayout[Any]:
    """Return the layout of a model's records."""
    if issubclass(model, Bill):
        return _bill(model)
    if model is Invoice:
        return _INVOICE
    return _RATE if model is ExchangeRate else plain(model)
