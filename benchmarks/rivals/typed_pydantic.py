"""A page of invoices as models of pydantic."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

LACKS = "An amount that is sent as a number goes through a float."


class Status(StrEnum):
    """The status of an invoice."""

    PENDING = "pending"
    APPROVED = "approved"
    PAID = "paid"
    VOID = "void"


class Invoice(BaseModel):
    """A row."""

    model_config = ConfigDict(frozen=True)

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


class Page(BaseModel):
    """An answer."""

    request_status: str
    invoices: list[Invoice]
    total_rows: int | None = None
