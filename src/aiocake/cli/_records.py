"""How invoices, bills and answers are written: their columns, under CAKE's own names."""

from collections.abc import Callable  # noqa: TC003 - imported anyhow
from operator import attrgetter
from typing import Final, TypeVar

import attrs

from aiocake import (
    CreatedInvoice,
    Currency,
    ExchangeRate,
    Invoice,
    MarkResult,
    Partner,
    UpdatedInvoice,
)
from aiocake.cli._formats import Fields, Kind
from aiocake.models import Bill

__all__ = ["CREATED", "INVOICE", "MARKED", "RATE", "UPDATED", "bill", "plain"]

RecordT = TypeVar("RecordT", bound=attrs.AttrsInstance)
BillT = TypeVar("BillT", bound=Bill)


def plain(model: type[RecordT]) -> Kind[RecordT]:
    """Records whose fields are all shown.

    Args:
        model: Their class.
    """
    names = tuple(field.name for field in attrs.fields(model))

    def fields(record: RecordT) -> Fields:
        return {name: getattr(record, name) for name in names}

    return Kind(whole=fields, flat=fields, columns=names, short=fields, shown=names)


CREATED: Final = plain(CreatedInvoice)
UPDATED: Final = plain(UpdatedInvoice)
MARKED: Final = plain(MarkResult)

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


def _rate(rate: ExchangeRate) -> Fields:
    return {
        **_members(rate),
        "base_currency": _members(rate.base_currency),
        "quote_currency": _members(rate.quote_currency),
    }


def _rate_in_short(rate: ExchangeRate) -> Fields:
    return {
        **_members(rate),
        "base_currency": _code(rate.base_currency),
        "quote_currency": _code(rate.quote_currency),
    }


def _code(currency: Currency) -> object:
    """What tells a currency from others; mostly its code."""
    return currency.currency_abbr or currency.currency_name or currency.currency_id


_RATE: Final = tuple(field.name for field in attrs.fields(ExchangeRate))
RATE: Final = Kind(
    whole=_rate, flat=_rate_in_short, columns=_RATE, short=_rate_in_short, shown=_RATE
)

#: Fields of a bill that are records of their own, or are not for a column.
_NESTED: Final = frozenset({"bill_amount", "extra"})


def bill(model: type[BillT]) -> Kind[BillT]:
    """Bills of one kind.

    Args:
        model: Their class.
    """
    (partner,) = (field.name for field in attrs.fields(model) if field.type is Partner)
    of: Callable[[BillT], Partner] = attrgetter(partner)
    noted = tuple(
        field.name
        for field in attrs.fields(model)
        if field.name not in {"bill_id", partner, *_NESTED}
    )
    columns = (
        "bill_id",
        f"{partner}_id",
        f"{partner}_name",
        "account_status_name",
        "billing_cycle_name",
        "period",
        "amount",
        "currency_id",
        "formatted_amount",
        *noted,
        "extra",
    )
    shown = (*columns[:3], "period", "amount", "formatted_amount", "sent_payment")

    def whole(record: BillT) -> Fields:
        # By hand: attrs.asdict would copy what is nested, and this is done for each of 200,000.
        return {
            "bill_id": record.bill_id,
            partner: {**_members(of(record)), **_people(of(record))},
            "period": _period(record),
            "bill_amount": _members(record.bill_amount),
            **{name: getattr(record, name) for name in noted},
            "extra": record.extra,
        }

    def flat(record: BillT) -> Fields:
        amount, whose = record.bill_amount, of(record)
        return {
            "bill_id": record.bill_id,
            f"{partner}_id": whose.id,
            f"{partner}_name": whose.name,
            "account_status_name": whose.account_status_name,
            "billing_cycle_name": whose.billing_cycle_name,
            "period": _period(record),
            "amount": amount.amount,
            "currency_id": amount.currency_id,
            "formatted_amount": amount.formatted_amount,
            **{name: getattr(record, name) for name in noted},
            "extra": {**record.extra, partner: {**whose.extra, **_people(whose)}},
        }

    return Kind(whole=whole, flat=flat, columns=columns, short=flat, shown=shown)


def _people(partner: Partner) -> Fields:
    """A partner's account managers and contacts, as records of JSON."""
    return {
        "account_managers": [_members(each) for each in partner.account_managers],
        "contacts": [_members(each) for each in partner.contacts],
    }


def _period(record: Bill) -> str | None:
    """The billing period as ``--period`` takes it, its last day included."""
    period = record.period
    return None if period is None else f"{period.start}..{period.end}"


def _members(value: attrs.AttrsInstance) -> Fields:
    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
