"""Reference data: an instance's cycles, methods, currencies, payment types, statuses and rates.

Ids differ between instances: never hard-code them. Those of v1 are unsigned bytes. CAKE advises to
keep these lists and to refresh them daily. Source: CAKE's page "How to Manage Invoices via the CAKE
API" (v2), its pages on ``get.asmx`` (v1), and responses of an instance.
"""

from datetime import datetime
from decimal import Decimal

import attrs

from aiocake._by_fields import by_fields
from aiocake.records import Record

__all__ = [
    "AccountStatus",
    "BillingCycle",
    "Currency",
    "ExchangeRate",
    "PaymentMethod",
    "PaymentSetting",
    "PaymentType",
]


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class BillingCycle(Record):
    """An interval at which partners are billed, such as weekly."""

    billing_cycle_id: int
    billing_cycle_name: str


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class PaymentMethod(Record):
    """A way to be paid.

    Instances send either a payment type's id and name, or a payment method's id and name with
    the id of its type.
    """

    payment_type_id: int | None = None
    payment_type_name: str | None = None
    payment_method_id: int | None = None
    payment_method_name: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Currency(Record):
    """A currency of the instance.

    Two pages name v2's list of them and none shows its shape; v1's recorded one has these four.

    Attributes:
        currency_id: Its id. None only in an :class:`~aiocake.ExchangeRate` of an instance that
            names currencies by their code alone; a row of a list without it is refused.
        currency_symbol: Such as ``"€"``; a symbol is no code.
        currency_name: Such as ``"Euro"``.
        currency_abbr: Its code, such as ``"EUR"``.
    """

    currency_id: int | None = None
    currency_symbol: str | None = None
    currency_name: str | None = None
    currency_abbr: str | None = None


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class PaymentType(Record):
    """A way in which money is sent, such as a check or a wire."""

    payment_type_id: int
    payment_type_name: str


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class PaymentSetting(Record):
    """The currency in which an affiliate is paid."""

    payment_setting_id: int
    payment_setting_name: str


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class AccountStatus(Record):
    """The status of a partner's account, such as active."""

    account_status_id: int
    account_status_name: str


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExchangeRate(Record):
    """The exchange rate between two currencies, for a period.

    Attributes:
        base_currency: The currency that is changed.
        quote_currency: The currency that it is changed into.
        start_date: From when on, in the instance's own time: v1 sends no zone.
        end_date: Until when, in the same.
        rate: The rate, exact; v1 sends ten places.
    """

    base_currency: Currency
    quote_currency: Currency
    start_date: datetime
    end_date: datetime
    rate: Decimal
