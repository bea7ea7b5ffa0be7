"""Accounting bills of v1. Source: CAKE's pages on ``accounting.asmx``, and responses of instances.

No page shows a whole bill, so what is known is modelled and the rest is kept in ``extra``.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import attrs

from aiocake._by_fields import by_fields
from aiocake.records import Record
from aiocake.values import Period

__all__ = [
    "AccountManager",
    "AdvertiserBill",
    "AffiliateBill",
    "Bill",
    "BillAmount",
    "BuyerBill",
    "Contact",
    "Extra",
    "MarkResult",
    "Partner",
]

Extra = Mapping[str, object]
"""Elements that no page documents, by local name.

Each is a text, ``""`` when it is empty, None when it is nil, a mapping when it holds elements, and
a list of these when it is there more than once.
"""


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class BillAmount(Record):
    """The amounts of a bill. A bill can be negative.

    Attributes:
        amount: The amount, exact.
        currency_id: The instance's own id of the currency.
        formatted_amount: The amount as the instance shows it to people.
    """

    amount: Decimal
    currency_id: int | None = None
    formatted_amount: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class AccountManager(Record):
    """A person who looks after a partner."""

    contact_id: int | None = None
    contact_name: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Contact(Record):
    """A person to contact at a partner.

    Attributes:
        contact_id: Their id.
        contact_type: The contact's role, such as ``"Primary"``.
        first_name: Their first name.
        last_name: Their last name.
    """

    contact_id: int | None = None
    contact_type: str | None = None
    first_name: str | None = None
    last_name: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Partner(Record):
    """The affiliate, advertiser or buyer of a bill.

    Attributes:
        id: Its id.
        name: Its name.
        account_status_id: The instance's own id of its account's status.
        account_status_name: That status.
        account_managers: Who looks after it.
        contacts: The people to whom bills go.
        billing_cycle_id: The instance's own id of how often it is billed.
        billing_cycle_name: How often it is billed.
        extra: Other fields that the instance sends, and those above that are not as documented.
    """

    id: int | None = None
    name: str | None = None
    account_status_id: int | None = None
    account_status_name: str | None = None
    account_managers: tuple[AccountManager, ...] = ()
    contacts: tuple[Contact, ...] = ()
    billing_cycle_id: int | None = None
    billing_cycle_name: str | None = None
    extra: Extra = attrs.field(factory=dict[str, object], hash=False)


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Bill(Record):
    """The fields that all bills have.

    No page shows a whole bill, and instances differ: a field that one leaves out, or sends empty,
    is None. Dates are those of the instance's own clock.

    Attributes:
        bill_id: The bill.
        bill_amount: The amount and its currency.
        billing_period_start_date: The first day of its period.
        billing_period_end_date: The day after the last one, as v1 has it: see :attr:`period`.
        invoice_number: The number of the invoice that was noted on it.
        payment_type_id: The instance's own id of how it was paid.
        payment_type_name: The name of that.
        verification_code: The proof of payment that was noted, such as a check's number.
        notes: Its notes.
        sent_payment: True if a payment was noted ("yes"), False if not ("no"). None where the
            instance says nothing, or another word, which is then kept in ``extra``: only
            ``is False`` means that none was.
        extra: Elements that are not modelled, by local name; and of those that are, dates, texts
            and ids that cannot be read as such.
    """

    bill_id: int
    bill_amount: BillAmount
    billing_period_start_date: date | None = None
    billing_period_end_date: date | None = None
    invoice_number: str | None = None
    payment_type_id: int | None = None
    payment_type_name: str | None = None
    verification_code: str | None = None
    notes: str | None = None
    sent_payment: bool | None = None
    # A mapping has no hash; a bill has one all the same.
    extra: Extra = attrs.field(factory=dict[str, object], hash=False)

    @property
    def period(self) -> Period | None:
        """Return the billing period, its last day included; None where the instance sends none."""
        start, end = self.billing_period_start_date, self.billing_period_end_date
        if start is None or end is None or start >= end:
            return None
        return Period(start, end - timedelta(days=1))


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class AffiliateBill(Bill):
    """A bill of the platform's debt to one affiliate for one billing cycle and period.

    Attributes:
        affiliate: Who is paid.
        invoiced_amount: The amount on the affiliate's own invoice, exact.
        date_invoice_received: When that invoice came.
        payment_date: When the bill was paid.
    """

    affiliate: Partner
    invoiced_amount: Decimal | None = None
    date_invoice_received: date | None = None
    payment_date: date | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class PayerBill(Bill):
    """The fields of bills of advertisers and buyers, who pay the platform.

    Attributes:
        date_sent_invoice: When the invoice was sent to them.
        payment_amount: The amount that they paid, exact.
        date_payment_received: When it came.
    """

    date_sent_invoice: date | None = None
    payment_amount: Decimal | None = None
    date_payment_received: date | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class AdvertiserBill(PayerBill):
    """A bill of one advertiser's debt for one billing cycle and period.

    Attributes:
        advertiser: Who pays.
    """

    advertiser: Partner


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class BuyerBill(PayerBill):
    """A bill of one buyer's debt for one billing cycle and period.

    Attributes:
        buyer: Who pays.
    """

    buyer: Partner


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class MarkResult(Record):
    """The result of marking a bill.

    Attributes:
        bill_id: The bill.
        message: CAKE's message, such as "Bill Marked As Received".
        first: True if the bill was marked for the first time, as the message says; None where it
            does not, or where an attempt before may have been carried out.
        payment_amount: Sent by some operations.
        bill_amount: Sent by some operations.
    """

    bill_id: int
    message: str
    first: bool | None = None
    payment_amount: Decimal | None = None
    bill_amount: Decimal | None = None
