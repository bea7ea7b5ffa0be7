"""Accounting bills of v1. Source: CAKE's pages on ``accounting.asmx``, and answers of instances.

No page shows a whole bill, so what is known is modelled and the rest is kept in ``extra``.
"""

from collections.abc import Mapping
from decimal import Decimal

import attrs

from aiocake.records import Record

__all__ = [
    "AdvertiserBill",
    "AffiliateBill",
    "Bill",
    "BillAmount",
    "BuyerBill",
    "Extra",
    "MarkResult",
    "Partner",
]

Extra = Mapping[str, object]
"""Elements that no page documents, by local name.

Each is a text, ``""`` when it is empty, None when it is nil, a mapping when it holds elements, and
a list of these when it is there more than once.
"""


@attrs.frozen(kw_only=True)
class BillAmount(Record):
    """What a bill comes to. A bill can be negative.

    Attributes:
        amount: The amount, exact.
        currency_id: The instance's own id of the currency.
        formatted_amount: The amount as the instance shows it to people.
    """

    amount: Decimal
    currency_id: int | None = None
    formatted_amount: str | None = None


@attrs.frozen(kw_only=True)
class Partner(Record):
    """The affiliate, advertiser or buyer of a bill.

    Attributes:
        id: Its id.
        name: Its name.
        account_status_id: The instance's own id of its account's status.
        account_status_name: That status.
        extra: What else the instance sends: account managers, contacts, the billing cycle.
    """

    id: int | None = None
    name: str | None = None
    account_status_id: int | None = None
    account_status_name: str | None = None
    extra: Extra = attrs.field(factory=dict[str, object], hash=False)


@attrs.frozen(kw_only=True)
class Bill(Record):
    """What all bills have.

    Attributes:
        bill_id: The bill.
        bill_amount: The amount and its currency.
        sent_payment: Whether a payment was noted: True of "yes", False of "no". None where the
            instance says nothing, or another word, which is then kept in ``extra``: only
            ``is False`` means that none was.
        extra: Elements that are not modelled, by local name.
    """

    bill_id: int
    bill_amount: BillAmount
    sent_payment: bool | None = None
    # A mapping has no hash; a bill has one all the same.
    extra: Extra = attrs.field(factory=dict[str, object], hash=False)


@attrs.frozen(kw_only=True)
class AffiliateBill(Bill):
    """What the platform owes one affiliate for one billing cycle and period.

    Attributes:
        affiliate: Who is paid.
    """

    affiliate: Partner


@attrs.frozen(kw_only=True)
class AdvertiserBill(Bill):
    """What one advertiser owes for one billing cycle and period.

    Attributes:
        advertiser: Who pays.
    """

    advertiser: Partner


@attrs.frozen(kw_only=True)
class BuyerBill(Bill):
    """What one buyer owes for one billing cycle and period.

    Attributes:
        buyer: Who pays.
    """

    buyer: Partner


@attrs.frozen(kw_only=True)
class MarkResult(Record):
    """The answer to marking a bill.

    Attributes:
        bill_id: The bill.
        message: CAKE's message, such as "Bill Marked As Received".
        first: Whether it was marked for the first time, where the message tells; None where it
            does not, or where an attempt before may have been carried out.
        payment_amount: Sent by some operations.
        bill_amount: Sent by some operations.
    """

    bill_id: int
    message: str
    first: bool | None = None
    payment_amount: Decimal | None = None
    bill_amount: Decimal | None = None
