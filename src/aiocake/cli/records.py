"""How invoices, bills and answers are written: their columns, under CAKE's own names."""

from typing import Any, Final, TypeVar

import attrs

from aiocake import Currency, ExchangeRate, Invoice, columns, to_dict
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.models import Bill
from aiocake.records import cells

RecordT = TypeVar("RecordT", bound=attrs.AttrsInstance)
BillT = TypeVar("BillT", bound=Bill)


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

    return attrs.evolve(plain(model), table_columns=shown)


def layout_of(model: type[Any]) -> RecordLayout[Any]:
    """Return the layout of a model's records."""
    if issubclass(model, Bill):
        return _bill(model)
    if model is Invoice:
        return _INVOICE
    return _RATE if model is ExchangeRate else plain(model)
