"""The values that responses are decoded into: frozen, and free of any wire format."""

from aiocake.models.bills import (
    AccountManager,
    AdvertiserBill,
    AffiliateBill,
    Bill,
    BillAmount,
    BuyerBill,
    Contact,
    Extra,
    MarkResult,
    Partner,
)
from aiocake.models.enums import (
    BillingCycleName,
    BillingCycleText,
    InvoiceKind,
    InvoiceStatus,
    InvoiceStatusText,
)
from aiocake.models.expect import Expect
from aiocake.models.invoices import CreatedInvoice, Invoice, Page, UpdatedInvoice
from aiocake.models.reference import (
    AccountStatus,
    BillingCycle,
    Currency,
    ExchangeRate,
    PaymentMethod,
    PaymentSetting,
    PaymentType,
)
from aiocake.models.totals import Total, totals

__all__ = [
    "AccountManager",
    "AccountStatus",
    "AdvertiserBill",
    "AffiliateBill",
    "Bill",
    "BillAmount",
    "BillingCycle",
    "BillingCycleName",
    "BillingCycleText",
    "BuyerBill",
    "Contact",
    "CreatedInvoice",
    "Currency",
    "ExchangeRate",
    "Expect",
    "Extra",
    "Invoice",
    "InvoiceKind",
    "InvoiceStatus",
    "InvoiceStatusText",
    "MarkResult",
    "Page",
    "Partner",
    "PaymentMethod",
    "PaymentSetting",
    "PaymentType",
    "Total",
    "UpdatedInvoice",
    "totals",
]
