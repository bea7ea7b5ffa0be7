"""A row of a plan: one call, and the state of its record when the plan was made."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, Self, cast

import attrs

from aiocake._operations.operation import Operation
from aiocake._operations.parameters import format_value
from aiocake.bulk.calls import Call, Instance, rebuild
from aiocake.endpoints import advertiser_bills, affiliate_bills, buyer_bills, invoices
from aiocake.models import Bill, Expect, Invoice, InvoiceKind, InvoiceStatus
from aiocake.models.totals import currency_of_bill, kind_of_bill
from aiocake.paging.list_pass import IdSet

#: What a plan may hold, by name.
OPERATIONS: Final[Mapping[str, Operation[Any]]] = {
    each.name: each
    for each in (
        invoices.UPDATE,
        invoices.CREATE,
        affiliate_bills.MARK_RECEIVED,
        affiliate_bills.MARK_PAID,
        advertiser_bills.MARK_SENT,
        advertiser_bills.MARK_RECEIVED,
        buyer_bills.MARK_SENT,
        buyer_bills.MARK_RECEIVED,
    )
}
#: What is a code of a currency; some instances send its symbol only.
_CODE: Final = re.compile(r"[A-Za-z]{3}")


@attrs.frozen(kw_only=True)
class PlannedRecord:
    """The state of an invoice or a bill when the plan was made.

    Attributes:
        kind: Payout or revenue.
        partner_id: Who is paid, or who pays.
        partner_name: Their name.
        invoice_status: The invoice's status; None of a bill.
        sent_payment: True if a payment was noted on the bill; None of an invoice.
        amount: The amount, exact.
        currency: Its currency: the code; the symbol where the instance sends no code.
        start_date: The first day of the period.
        end_date: The last day, included.
    """

    kind: InvoiceKind
    partner_id: int | None
    partner_name: str | None = None
    invoice_status: InvoiceStatus | None = None
    sent_payment: bool | None = None
    amount: Decimal | None = None
    currency: str | None = None
    start_date: date | None = None
    end_date: date | None = None

    @classmethod
    def of_invoice(cls, invoice: Invoice) -> Self | None:
        """Return what an invoice is now; None if it names no partner, or two.

        Args:
            invoice: The invoice as it was read.
        """
        if invoice.kind is None:
            return None
        payout = invoice.kind is InvoiceKind.PAYOUT
        return cls(
            kind=invoice.kind,
            partner_id=invoice.affiliate_id if payout else invoice.advertiser_id,
            partner_name=_storable(invoice.affiliate_name if payout else invoice.advertiser_name),
            invoice_status=invoice.invoice_status,
            amount=invoice.total_amount,
            currency=_storable(invoice.currency or invoice.currency_symbol),
            start_date=invoice.start_date or invoice.invoice_date,
            end_date=invoice.end_date,
        )

    @classmethod
    def of_bill(cls, bill: Bill, currencies: Mapping[int, str]) -> Self:
        """Return what a bill is now.

        Args:
            bill: The bill.
            currencies: The codes of currencies, by the ids by which bills name them.
        """
        partner = next(
            found
            for name in ("affiliate", "advertiser", "buyer")
            if (found := getattr(bill, name, None)) is not None
        )
        amount, period = bill.bill_amount, bill.period
        code = None if amount.currency_id is None else currencies.get(amount.currency_id)
        return cls(
            kind=kind_of_bill(bill),
            partner_id=partner.id,
            partner_name=_storable(partner.name),
            sent_payment=bill.sent_payment,
            amount=amount.amount,
            currency=_storable(code) or currency_of_bill(amount),
            start_date=bill.billing_period_start_date if period is None else period.start,
            end_date=None if period is None else period.end,
        )


@attrs.frozen(kw_only=True)
class PlanRow:
    """One call of a plan.

    Attributes:
        index: Its place among the rows, from 0.
        line: Its line in the file, from 1.
        operation: The operation's name, such as ``"invoices.update"``.
        arguments: Its arguments, by CAKE's names, as exact built-in values.
        record: What was true of its record; None of a create, which makes one.
    """

    index: int
    line: int
    operation: str
    arguments: Mapping[str, object] = attrs.field(hash=False)
    record: PlannedRecord | None

    @property
    def expect(self) -> Expect | None:
        """Return what must still be true when the call is sent; None for all but updates."""
        record = self.record
        if record is None or self.operation != invoices.UPDATE.name:
            return None
        expected: dict[str, Any] = {
            "invoice_status": record.invoice_status,
            "total_amount": record.amount,
            # A symbol is no code.
            "currency": record.currency if _CODE.fullmatch(record.currency or "") else None,
            "affiliate_id" if record.kind is InvoiceKind.PAYOUT else "advertiser_id": (
                record.partner_id
            ),
        }
        return Expect(**{name: value for name, value in expected.items() if value is not None})

    def call(self, cake: Instance) -> Call[Any]:
        """Return the call, to be sent by a client: only while its record is as it was planned.

        Args:
            cake: The client, or a view of it.

        Raises:
            ArgumentError: The client cannot send it.
        """
        expected = self.expect
        more = {} if expected is None else {"expect": expected}
        return rebuild(self.operation, {**self.arguments, **more}, cake)


def identity_of(operation: Operation[Any], arguments: Mapping[str, object]) -> object:
    """Return what a plan may hold one call of an operation for: a record, or what is created."""
    lookup = operation.create_lookup
    if lookup is None:
        return arguments.get(operation.record)
    return tuple(arguments.get(name) for name in (lookup.owner, lookup.start, lookup.end))


class Repeats:
    """Finds repeated calls of a plan: the second of two would meet what the first has set."""

    def __init__(self) -> None:
        self._records: dict[str, IdSet] = {}
        self._created: set[object] = set()

    def add(self, operation: Operation[Any], arguments: Mapping[str, object]) -> bool:
        """Add a call; return True if there is one of the same operation for the same record."""
        identity = identity_of(operation, arguments)
        if isinstance(identity, int):
            return not self._records.setdefault(operation.name, IdSet()).add(identity)
        before = len(self._created)
        self._created.add(identity)
        return len(self._created) == before


def described(operation: Operation[Any], arguments: Mapping[str, object]) -> str:
    """Return what a call is about: ``invoice 4821``, or ``affiliate 67890``."""
    name = operation.record
    if operation.create_lookup is not None:
        name = operation.create_lookup.owner
    return f"{name.removesuffix('_id')} {arguments.get(name)}"


class Action:
    """A summary of the calls of all rows: ``invoices.update invoice_status=approved``."""

    def __init__(self) -> None:
        self._same: dict[str, dict[str, object]] = {}

    def add(self, operation: Operation[Any], arguments: Mapping[str, object]) -> None:
        """Add a call: what it sets otherwise than those before it is no longer shown."""
        same = self._same.get(operation.name)
        if same is None:
            left_out = operation.sensitive | {operation.record}
            names = sorted(arguments.keys() - left_out)
            self._same[operation.name] = {name: arguments[name] for name in names}
            return
        for name in [name for name, value in same.items() if arguments.get(name) != value]:
            del same[name]

    def __str__(self) -> str:
        return ", ".join(
            " ".join((name, *(f"{each}={_text(value)}" for each, value in same.items())))
            for name, same in sorted(self._same.items())
        )


def _text(value: object) -> str:
    return format_value(cast("str", value))


def _storable(text: str | None) -> str | None:
    """Return a text as a file can hold it: half of a surrogate pair is escaped."""
    return text and text.encode("utf-8", "backslashreplace").decode("utf-8")
