"""A page of invoices as Structs of msgspec."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """The status of an invoice."""

    PENDING = "pending"
    APPROVED = "approved"
    PAID = "paid"
    VOID = "void"


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    invoice_id: int
    invoice_status: Status
    total_amount: Decimal
    affiliate_id: int | None = None
    affiliate_name: str | None = None
    advertiser_id: int | None = None
    advertiser_name: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    currency: str | None = None


class Page(msgspec.Struct):
    """An answer."""

    request_status: str
    invoices: list[Invoice]
    total_rows: int | None = None


decode = msgspec.json.Decoder(Page).decode
