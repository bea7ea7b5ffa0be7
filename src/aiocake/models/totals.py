"""Totals of invoices and bills: exact, by kind, status and currency, never added across them."""

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

import attrs

from aiocake._by_fields import by_fields
from aiocake._normalize import class_name
from aiocake.errors import ArgumentError, Problem
from aiocake.models.bills import AffiliateBill, Bill, BillAmount
from aiocake.models.enums import InvoiceKind, InvoiceStatus
from aiocake.models.invoices import Invoice
from aiocake.records import Record

__all__ = ["Total", "totals"]

#: Amounts have up to 28 digits before the point and as many behind it: a sum of any number of them
#: fits. One that did not would raise.
_EXACT: Final = Context(prec=100, traps=[Inexact, InvalidOperation])


@by_fields
@attrs.frozen(kw_only=True, eq=False, repr=False)
class Total(Record):
    """The total of the invoices, or bills, of one kind, status and currency.

    Attributes:
        kind: Payout or revenue; None of invoices that name neither partner, or both.
        invoice_status: Their status; None of bills, which have none.
        currency: The currency's code, or the symbol that the instance sends in its place. A bill
            names its currency by the instance's own id: ``"currency_id 1"``. None of records that
            name no currency.
        count: How many they are.
        amount: The sum of their amounts, exact.
    """

    kind: InvoiceKind | None
    invoice_status: InvoiceStatus | None
    currency: str | None
    count: int
    amount: Decimal


_Key = tuple[InvoiceKind | None, InvoiceStatus | None, str | None]


class Tally:
    """Adds up amounts one by one; :meth:`totals` can be called at any time."""

    def __init__(self) -> None:
        self._sums: dict[_Key, tuple[int, Decimal]] = {}

    def add(self, record: Invoice | Bill) -> None:
        """Add an invoice or a bill."""
        if isinstance(record, Invoice):
            self.add_amount(
                (record.kind, record.invoice_status, record.currency or record.currency_symbol),
                record.total_amount,
            )
        else:
            amount = record.bill_amount
            self.add_amount((kind_of_bill(record), None, currency_of_bill(amount)), amount.amount)

    def add_amount(self, key: _Key, amount: Decimal) -> None:
        """Add an amount of one kind, status and currency."""
        count, total = self._sums.get(key, (0, Decimal(0)))
        self._sums[key] = (count + 1, exact_sum(total, amount))

    def totals(self) -> tuple[Total, ...]:
        """Return the totals, in the order of kind, status and currency."""
        found = [
            Total(kind=kind, invoice_status=status, currency=currency, count=count, amount=amount)
            for (kind, status, currency), (count, amount) in self._sums.items()
        ]
        return tuple(sorted(found, key=_order))


def totals(records: Iterable[Invoice | Bill]) -> tuple[Total, ...]:
    """Return the totals of invoices or bills by kind, status and currency, exact.

    Payouts are owed to affiliates, and revenue by others: they are never added to each other, and
    no currency is added to another.

    Args:
        records: Invoices, or bills, such as a list that ``find().collect()`` returned.

    Returns:
        The totals, in the order of kind, status and currency.

    Raises:
        ArgumentError: There is something else among them.
    """
    tally = Tally()
    for at, record in enumerate(records):
        if not isinstance(record, Invoice | Bill):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            reason = f"must be an invoice or a bill, got {class_name(record)}"
            raise ArgumentError(Problem(f"records[{at}]", reason))
        tally.add(record)
    return tally.totals()


def kind_of_bill(bill: Bill) -> InvoiceKind:
    """Return payout for a bill of an affiliate, revenue for all others."""
    return InvoiceKind.PAYOUT if isinstance(bill, AffiliateBill) else InvoiceKind.REVENUE


def currency_of_bill(amount: BillAmount) -> str | None:
    """Return a text that tells the currency of a bill from others of its instance."""
    return None if amount.currency_id is None else f"currency_id {amount.currency_id}"


def exact_sum(total: Decimal, amount: Decimal) -> Decimal:
    """Return the sum of two amounts; a context of few digits, as a caller may set, rounds none."""
    return _EXACT.add(total, amount)


def exact_half(amount: Decimal) -> Decimal:
    """Return half of an amount."""
    return _EXACT.divide(amount, Decimal(2))


def _order(total: Total) -> tuple[str, str, str]:
    return total.kind or "", total.invoice_status or "", total.currency or ""
