"""v1's look-ups: what an instance calls its payment types, settings, statuses and rates.

Billing cycles and currencies are those of :mod:`aiocake.models.reference`. Ids are unsigned bytes
and differ between instances: never hard-code them. Source: CAKE's pages on ``get.asmx``, and
responses of an instance.
"""

from datetime import datetime
from decimal import Decimal

import attrs

from aiocake.models.reference import Currency
from aiocake.records import Record

__all__ = ["AccountStatus", "ExchangeRate", "PaymentSetting", "PaymentType"]


@attrs.frozen(kw_only=True)
class PaymentType(Record):
    """A way in which money is sent, such as a check or a wire."""

    payment_type_id: int
    payment_type_name: str


@attrs.frozen(kw_only=True)
class PaymentSetting(Record):
    """The currency in which an affiliate is paid."""

    payment_setting_id: int
    payment_setting_name: str


@attrs.frozen(kw_only=True)
class AccountStatus(Record):
    """The status of a partner's account, such as active."""

    account_status_id: int
    account_status_name: str


@attrs.frozen(kw_only=True)
class ExchangeRate(Record):
    """The worth of one currency in another, for a time.

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
