"""Invoices of v2, and the pages that they come in.

Source: CAKE's page "How to Manage Invoices via the CAKE API".
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Generic, TypeVar

import attrs

from aiocake._by_fields import by_fields
from aiocake.models.enums import InvoiceKind, InvoiceStatus
from aiocake.records import Record

T_co = TypeVar("T_co", covariant=True)


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Page(Record, Generic[T_co]):
    """One page of a list, as the server returned it.

    Attributes:
        items: The rows.
        total_rows: How many rows match in all, not on this page; None where the instance does
            not say.
        start_at_row: The offset that was asked for.
    """

    # All rows of a page would be megabytes in a log.
    items: tuple[T_co, ...] = attrs.field(repr=lambda items: f"<{len(items)}>")
    total_rows: int | None
    start_at_row: int


__all__ = ["CreatedInvoice", "Invoice", "Page", "UpdatedInvoice"]


# Without a slot for weak references, which would cost each of many thousand rows eight bytes and
# keep a decoder from laying out rows before it fills them. With methods of its own: lists of them
# are compared.
@attrs.frozen(kw_only=True, weakref_slot=False)
class Invoice(Record):
    """A row of the list of invoices.

    Attributes:
        invoice_id: The invoice.
        invoice_status: Its status; an unknown one is kept.
        total_amount: The amount, exact, in ``currency``.
        affiliate_id: Who is paid; None of a revenue invoice.
        affiliate_name: Their name.
        advertiser_id: Who pays; None of a payout invoice.
        advertiser_name: Their name.
        start_date: The first day of the period.
        end_date: The last day of the period, included.
        currency: The currency's code, such as ``"USD"``.
        currency_symbol: Sent in its place by some instances; a symbol is no code.
        invoice_date: Sent in place of the period by some instances.
        billing_cycle_name: Sent by some instances.
        payment_type: Sent by some instances.
    """

    invoice_id: int
    invoice_status: InvoiceStatus
    total_amount: Decimal
    affiliate_id: int | None = None
    affiliate_name: str | None = None
    advertiser_id: int | None = None
    advertiser_name: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    currency: str | None = None
    currency_symbol: str | None = None
    invoice_date: date | None = None
    billing_cycle_name: str | None = None
    payment_type: str | None = None

    @property
    def kind(self) -> InvoiceKind | None:
        """Return payout or revenue, by who is named; None when the row names neither or both."""
        if (self.affiliate_id is None) == (self.advertiser_id is None):
            return None
        return InvoiceKind.REVENUE if self.affiliate_id is None else InvoiceKind.PAYOUT


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreatedInvoice(Record):
    """The invoice that a create made, with the total that CAKE computed.

    Attributes:
        invoice_id: The new invoice.
        affiliate_id: The affiliate to be paid.
        invoice_status: Its status.
        total_amount: The amount, exact, in ``currency``.
        currency: The currency's code; None where the instance sends none.
    """

    invoice_id: int
    affiliate_id: int
    invoice_status: InvoiceStatus
    total_amount: Decimal
    currency: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class UpdatedInvoice(Record):
    """The result of updating an invoice: its id, and what was set if the instance reports it.

    Attributes:
        invoice_id: The invoice.
        invoice_status: Its status.
        memo: Its note.
        paid_at: When it was paid.
    """

    invoice_id: int
    invoice_status: InvoiceStatus | None = None
    memo: str | None = None
    paid_at: datetime | None = None
