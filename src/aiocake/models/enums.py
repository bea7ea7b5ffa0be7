"""Open enums: the values that CAKE documents, and any others that an instance sends."""

from contextlib import suppress
from enum import StrEnum
from typing import Literal, Self

__all__ = [
    "BillingCycleName",
    "BillingCycleText",
    "InvoiceKind",
    "InvoiceStatus",
    "InvoiceStatusText",
    "OpenEnum",
]


class OpenEnum(StrEnum):
    """A set of texts that can grow: case is folded, and an unknown value is kept as it came.

    A kept value equals its text, is an instance of the class and is no member of it:
    :attr:`known` is False.
    """

    def __init_subclass__(cls) -> None:
        # "Paid" is as common as "paid", and to find it by _missing_ takes a microsecond. It is
        # found by that, too, should a Python come without this private map.
        with suppress(AttributeError, TypeError):
            for member in cls:
                for spelling in (member.value.title(), member.value.upper()):
                    cls._value2member_map_.setdefault(spelling, member)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member.value == folded:
                return member
        kept = str.__new__(cls, value)
        kept._name_ = value
        kept._value_ = value
        return kept

    def __reduce_ex__(self, proto: object) -> tuple[type[Self], tuple[str]]:
        # By its value: some Pythons (3.11.2) look for its name, which an unknown one has not.
        return type(self), (self._value_,)

    @property
    def known(self) -> bool:
        """Return True if CAKE documents this value."""
        return self._name_ in type(self).__members__


class InvoiceStatus(OpenEnum):
    """The status of an invoice: pending, then approved, then paid; void cancels.

    Source: CAKE's page "How to Manage Invoices via the CAKE API". One other page has a draft
    before pending; it reads as an unknown value.
    """

    PENDING = "pending"
    APPROVED = "approved"
    PAID = "paid"
    VOID = "void"


InvoiceStatusText = Literal["pending", "approved", "paid", "void"]


class BillingCycleName(OpenEnum):
    """The billing cycles that v1's exports filter by. ``all`` filters nothing.

    Source: CAKE's page "ACCOUNTING ExportAffiliateBills API Version 1".
    """

    WEEKLY = "weekly"
    BIMONTHLY = "bimonthly"
    MONTHLY = "monthly"
    ALL = "all"


BillingCycleText = Literal["weekly", "bimonthly", "monthly", "all"]


class InvoiceKind(StrEnum):
    """The direction in which an invoice's money goes. Never add the two up together."""

    PAYOUT = "payout"
    """Owed to an affiliate."""
    REVENUE = "revenue"
    """Owed by an advertiser."""
