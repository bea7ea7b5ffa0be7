"""What a write expects of the invoice that it changes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Self, cast

import attrs

from aiocake._by_fields import by_fields
from aiocake._normalize import class_name, guarded, normalized
from aiocake.errors import ArgumentError, Problem
from aiocake.models.enums import InvoiceStatus, InvoiceStatusText
from aiocake.values import SKIP, Skip

__all__ = ["Expect"]

#: As many as an amount of an argument may have.
_MOST_DIGITS: Final = 28
_MAX_ID: Final = 2**31 - 1


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Expect:
    """The condition on an invoice under which a write is sent.

    ::

        Expect(invoice_status="approved", total_amount=Decimal("1250.00"), currency="USD")

    The fields are those of :class:`aiocake.Invoice`. One that is left out may be anything. A field
    that the instance does not show is not as expected.

    Attributes:
        invoice_status: Its status: a text that CAKE documents, or any status that was read.
        total_amount: Its amount, exact: 100 and 100.00 are the same.
        currency: The code of its currency, such as ``"USD"``.
        affiliate_id: Who is paid.
        advertiser_id: Who pays.

    Raises:
        ArgumentError: A value cannot be one of such a field, or none is given.
    """

    invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP
    total_amount: Decimal | int | Skip = SKIP
    currency: str | Skip = SKIP
    affiliate_id: int | Skip = SKIP
    advertiser_id: int | Skip = SKIP

    def __attrs_post_init__(self) -> None:
        problems: list[Problem] = []
        passed = {name: getattr(self, name) for name in _REASONS}
        passed = {name: value for name, value in passed.items() if value is not SKIP}
        for name, value in passed.items():
            exact = guarded(name, lambda value=value: _exact(value))  # type: ignore[misc] # of this turn
            reason = _REASONS[name](exact)
            if reason:
                problems.append(Problem(name, reason))
            else:
                object.__setattr__(self, name, exact)
        if not passed:
            problems.append(Problem(", ".join(_REASONS), "give at least one of these"))
        if problems:
            raise ArgumentError(*problems)
        if self.invoice_status is not SKIP:
            object.__setattr__(self, "invoice_status", InvoiceStatus(self.invoice_status))

    @classmethod
    def of(cls, stated: Mapping[str, object]) -> Self:
        """Return the Expect of what :meth:`stated` returned.

        Args:
            stated: The expected values by field.

        Raises:
            ArgumentError: It is no such thing.
            TypeError: It has other fields.
        """
        values = dict(cast("Mapping[str, Any]", stated))
        if type(values.get("invoice_status")) is str:  # whatever it is: it was read
            values["invoice_status"] = InvoiceStatus(values["invoice_status"])
        return cls(**values)

    def stated(self) -> dict[str, object]:
        """Return what is expected, by field, as built-in values, without what may be anything."""
        found = {name: value for name in _REASONS if (value := getattr(self, name)) is not SKIP}
        status = found.get("invoice_status")
        if isinstance(status, InvoiceStatus):
            found["invoice_status"] = status.value
        return found


def _exact(value: object) -> object:
    # A status that was read is kept: an unknown one, too.
    return value if type(value) is InvoiceStatus else normalized(value)


def _status(value: object) -> str:
    if type(value) is InvoiceStatus:
        return ""
    known = [member.value for member in InvoiceStatus]
    wanted = f"must be one of {', '.join(known)}"
    if type(value) is not str:
        return f"{wanted}, got {class_name(value)}"
    if value in known:
        return ""
    import difflib  # noqa: PLC0415 - only where somebody mistypes

    near = difflib.get_close_matches(value.casefold(), known, n=1)
    return wanted + (f"; did you mean {near[0]!r}?" if near else "")


def _amount(value: object) -> str:
    if type(value) is not int and type(value) is not Decimal:
        return f"must be a Decimal or an int, got {class_name(value)}"
    amount = Decimal(value)
    if not amount.is_finite():
        return "must be a number"
    last = amount.as_tuple().exponent
    fits = amount.adjusted() < _MOST_DIGITS and isinstance(last, int) and last >= -_MOST_DIGITS
    return "" if fits else f"must have at most {_MOST_DIGITS} digits"


def _text(value: object) -> str:
    if type(value) is not str:
        return f"must be a str, got {class_name(value)}"
    return "" if value else "must not be empty"


def _number(value: object) -> str:
    if type(value) is not int:
        return f"must be an int, got {class_name(value)}"
    return "" if 1 <= value <= _MAX_ID else f"must be from 1 to {_MAX_ID}"


_REASONS: Final = {
    "invoice_status": _status,
    "total_amount": _amount,
    "currency": _text,
    "affiliate_id": _number,
    "advertiser_id": _number,
}
