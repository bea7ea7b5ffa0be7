"""Build invoices and bills for your tests, with a sensible value in each field.

Only what a test is about has to be given. What follows from it is made to fit: an invoice with an
``advertiser_id`` is a revenue invoice, a bill with a ``payment_date`` was paid, and amounts have
the decimals of their currency.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypedDict, TypeVar, Unpack

from aiocake import AdvertiserBill, AffiliateBill, BuyerBill, Invoice, InvoiceStatus, Period
from aiocake.models import BillAmount, InvoiceStatusText, Partner
from aiocake.sandbox.data import Currency, currency_of, exact, written

__all__ = [
    "BillFields",
    "PayerBillFields",
    "make_advertiser_bill",
    "make_affiliate_bill",
    "make_buyer_bill",
    "make_invoice",
]

T = TypeVar("T")
Amount: TypeAlias = Decimal | int | str

_JANUARY: Final = Period.month(2024, 1)
_JUNE: Final = Period.month(2014, 6)


def make_invoice(  # noqa: PLR0913 - all of them keywords with defaults
    *,
    invoice_id: int = 4821,
    invoice_status: InvoiceStatus | InvoiceStatusText = "pending",
    total_amount: Amount | None = None,
    currency: str = "USD",
    affiliate_id: int | None = None,
    affiliate_name: str | None = None,
    advertiser_id: int | None = None,
    advertiser_name: str | None = None,
    period: Period = _JANUARY,
) -> Invoice:
    """Return an invoice as a list has it: by default pending, of affiliate 67890, for January 2024.

    Args:
        invoice_id: The invoice.
        invoice_status: Its status.
        total_amount: The amount; by default 1250, with the decimals of the currency.
        currency: The currency's code.
        affiliate_id: Who is paid; by default 67890 if no advertiser is given.
        affiliate_name: Their name.
        advertiser_id: Who pays: it is a revenue invoice then.
        advertiser_name: Their name.
        period: The period, both days included.

    Raises:
        ValueError: Both an affiliate and an advertiser are given, or the amount is none.
    """
    payer = advertiser_id is not None or advertiser_name is not None
    if payer and (affiliate_id is not None or affiliate_name is not None):
        raise ValueError("an invoice is of an affiliate or of an advertiser, never of both")
    return Invoice(
        invoice_id=invoice_id,
        invoice_status=InvoiceStatus(invoice_status),
        total_amount=_amount("total_amount", total_amount, currency_of(currency)),
        currency=currency,
        affiliate_id=None if payer else _or(affiliate_id, 67_890),
        affiliate_name=None if payer else _or(affiliate_name, "Acme Media Group"),
        advertiser_id=_or(advertiser_id, 501) if payer else None,
        advertiser_name=_or(advertiser_name, "Acme Shop") if payer else None,
        start_date=period.start,
        end_date=period.end,
    )


class BillFields(TypedDict, total=False):
    """Fields that bills of all kinds have, each with a default.

    Attributes:
        bill_id: The bill; by default one that the sandbox has.
        amount: Its amount; by default 1250, with the decimals of the currency.
        currency: The currency's code; by default USD.
        period: The billing period, both days included; by default June 2014.
        invoice_number: The number of the invoice.
        notes: Its notes.
    """

    bill_id: int
    amount: Amount
    currency: str
    period: Period
    invoice_number: str
    notes: str


class PayerBillFields(BillFields, total=False):
    """Fields that bills of advertisers and buyers have.

    Attributes:
        date_sent_invoice: When the invoice was sent to them.
        date_payment_received: When their payment came.
        payment_amount: What they paid; by default the amount of the bill, once a payment came.
    """

    date_sent_invoice: date
    date_payment_received: date
    payment_amount: Amount


def make_affiliate_bill(
    *,
    affiliate_id: int = 67_890,
    affiliate_name: str = "Acme Media Group",
    date_invoice_received: date | None = None,
    invoiced_amount: Amount | None = None,
    payment_date: date | None = None,
    **fields: Unpack[BillFields],
) -> AffiliateBill:
    """Return an affiliate's bill as an export has it: by default neither received nor paid.

    Args:
        affiliate_id: Who is paid.
        affiliate_name: Their name.
        date_invoice_received: When the affiliate's own invoice came.
        invoiced_amount: The amount on it; by default that of the bill, once the invoice came.
        payment_date: When the bill was paid.
        **fields: The fields of :class:`BillFields`.
    """
    shared = _of_all(fields, 345)
    if invoiced_amount is None and date_invoice_received is not None:
        invoiced_amount = shared["bill_amount"].amount
    return AffiliateBill(
        affiliate=Partner(id=affiliate_id, name=affiliate_name),
        date_invoice_received=date_invoice_received,
        invoiced_amount=None
        if invoiced_amount is None
        else exact("invoiced_amount", invoiced_amount),
        payment_date=payment_date,
        sent_payment=payment_date is not None,
        **shared,
    )


def make_advertiser_bill(
    *,
    advertiser_id: int = 501,
    advertiser_name: str = "Acme Shop",
    **fields: Unpack[PayerBillFields],
) -> AdvertiserBill:
    """Return an advertiser's bill as an export has it: by default neither sent nor received.

    Args:
        advertiser_id: Who pays.
        advertiser_name: Their name.
        **fields: The fields of :class:`PayerBillFields`.
    """
    partner = Partner(id=advertiser_id, name=advertiser_name)
    return AdvertiserBill(advertiser=partner, **_of_payers(fields, 1_000_000))


def make_buyer_bill(
    *, buyer_id: int = 901, buyer_name: str = "Acme Leads", **fields: Unpack[PayerBillFields]
) -> BuyerBill:
    """Return a buyer's bill as an export has it: by default neither sent nor received.

    Args:
        buyer_id: Who pays.
        buyer_name: Their name.
        **fields: The fields of :class:`PayerBillFields`.
    """
    partner = Partner(id=buyer_id, name=buyer_name)
    return BuyerBill(buyer=partner, **_of_payers(fields, 2_000_000))


def _of_all(fields: BillFields, bill_id: int) -> dict[str, Any]:
    currency = currency_of(fields.get("currency", "USD"))
    amount = _amount("amount", fields.get("amount"), currency)
    shown = f"{currency.symbol}{abs(amount):,.{currency.decimals}f}"
    period = fields.get("period", _JUNE)
    return {
        "bill_id": fields.get("bill_id", bill_id),
        "bill_amount": BillAmount(
            amount=amount,
            currency_id=currency.currency_id,
            formatted_amount=f"({shown})" if amount < 0 else shown,
        ),
        "billing_period_start_date": period.start,
        "billing_period_end_date": period.end + timedelta(days=1),  # v1 excludes it
        "invoice_number": fields.get("invoice_number"),
        "notes": fields.get("notes"),
    }


def _of_payers(fields: PayerBillFields, bill_id: int) -> dict[str, Any]:
    shared = _of_all(fields, bill_id)
    received = fields.get("date_payment_received")
    paid = fields.get("payment_amount")
    if paid is None and received is not None:
        paid = shared["bill_amount"].amount
    return {
        **shared,
        "date_sent_invoice": fields.get("date_sent_invoice"),
        "date_payment_received": received,
        "payment_amount": None if paid is None else exact("payment_amount", paid),
        "sent_payment": False,
    }


def _amount(name: str, passed: Amount | None, currency: Currency) -> Decimal:
    """Return an amount with the decimals of its currency, or more where more are given."""
    return Decimal(written(exact(name, 1250 if passed is None else passed), currency))


def _or(passed: T | None, default: T) -> T:
    return default if passed is None else passed
