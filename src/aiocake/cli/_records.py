"""How invoices, bills and answers are written: their columns, under CAKE's own names."""

from collections.abc import Mapping
from typing import Final, TypeVar

import attrs

from aiocake import AffiliateBill, CreatedInvoice, Invoice, MarkResult, UpdatedInvoice
from aiocake.cli._formats import Fields, Kind

__all__ = ["BILL", "CREATED", "INVOICE", "MARKED", "UPDATED"]

RecordT = TypeVar("RecordT", CreatedInvoice, MarkResult, UpdatedInvoice)


def _plain(model: type[RecordT]) -> Kind[RecordT]:
    names = tuple(field.name for field in attrs.fields(model))

    def fields(record: RecordT) -> Fields:
        return {name: getattr(record, name) for name in names}

    return Kind(whole=fields, flat=fields, columns=names, short=fields, shown=names)


CREATED: Final = _plain(CreatedInvoice)
UPDATED: Final = _plain(UpdatedInvoice)
MARKED: Final = _plain(MarkResult)

_INVOICE: Final = tuple(field.name for field in attrs.fields(Invoice))


def _invoice(invoice: Invoice) -> Fields:
    return {"kind": invoice.kind, **{name: getattr(invoice, name) for name in _INVOICE}}


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


INVOICE: Final = Kind(
    whole=_invoice,
    flat=_invoice,
    columns=("kind", *_INVOICE),
    short=_invoice_in_short,
    shown=(
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


def _bill(bill: AffiliateBill) -> Fields:
    # By hand: attrs.asdict would copy what is nested, and this is done for each of 200,000.
    return {
        "bill_id": bill.bill_id,
        "affiliate": _members(bill.affiliate),
        "bill_amount": _members(bill.bill_amount),
        "sent_payment": bill.sent_payment,
        "extra": bill.extra,
    }


def _members(value: attrs.AttrsInstance) -> Mapping[str, object]:
    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}


def _bill_in_columns(bill: AffiliateBill) -> Fields:
    return {
        "bill_id": bill.bill_id,
        "affiliate_id": bill.affiliate.id,
        "affiliate_name": bill.affiliate.name,
        "account_status_name": bill.affiliate.account_status_name,
        "amount": bill.bill_amount.amount,
        "currency_id": bill.bill_amount.currency_id,
        "formatted_amount": bill.bill_amount.formatted_amount,
        "sent_payment": bill.sent_payment,
        "extra": {**bill.extra, "affiliate": bill.affiliate.extra},
    }


def _bill_in_short(bill: AffiliateBill) -> Fields:
    extra = bill.extra
    return {
        **_bill_in_columns(bill),
        "period_start": extra.get("billing_period_start_date"),
        "period_end": extra.get("billing_period_end_date"),
    }


BILL: Final = Kind(
    whole=_bill,
    flat=_bill_in_columns,
    columns=(
        "bill_id",
        "affiliate_id",
        "affiliate_name",
        "account_status_name",
        "amount",
        "currency_id",
        "formatted_amount",
        "sent_payment",
        "extra",
    ),
    short=_bill_in_short,
    shown=(
        "bill_id",
        "affiliate_id",
        "affiliate_name",
        "period_start",
        "period_end",
        "amount",
        "formatted_amount",
        "sent_payment",
    ),
)
