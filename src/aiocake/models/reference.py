"""Reference data: what an instance calls its cycles, methods and currencies.

Ids differ between instances: never hard-code them. CAKE advises to keep these lists and to
refresh them daily. Source: CAKE's page "How to Manage Invoices via the CAKE API".
"""

import attrs

from aiocake.records import Record

__all__ = ["BillingCycle", "Currency", "PaymentMethod"]


@attrs.frozen(kw_only=True)
class BillingCycle(Record):
    """How often a partner is billed."""

    billing_cycle_id: int
    billing_cycle_name: str


@attrs.frozen(kw_only=True)
class PaymentMethod(Record):
    """A way to be paid.

    Instances send either a payment type's id and name, or a payment method's id and name with
    the id of its type.
    """

    payment_type_id: int | None = None
    payment_type_name: str | None = None
    payment_method_id: int | None = None
    payment_method_name: str | None = None


@attrs.frozen(kw_only=True)
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
