"""What answers are read into: frozen values that know no wire format."""

from aiocake.models._enums import (
    BillingCycleName,
    BillingCycleText,
    InvoiceKind,
    InvoiceStatus,
    InvoiceStatusText,
)
from aiocake.models.bills import AffiliateBill, BillAmount, Extra, MarkResult, Partner
from aiocake.models.invoices import CreatedInvoice, Invoice, UpdatedInvoice
from aiocake.models.page import Page
from aiocake.models.reference import BillingCycle, Currency, PaymentMethod

__all__ = [
    "AffiliateBill",
    "BillAmount",
    "BillingCycle",
    "BillingCycleName",
    "BillingCycleText",
    "CreatedInvoice",
    "Currency",
    "Extra",
    "Invoice",
    "InvoiceKind",
    "InvoiceStatus",
    "InvoiceStatusText",
    "MarkResult",
    "Page",
    "Partner",
    "PaymentMethod",
    "UpdatedInvoice",
]
