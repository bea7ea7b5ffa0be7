"""Find rows of a plan whose record has changed since."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

import attrs

from aiocake._operations.operation import executor_of
from aiocake.client import ClientView
from aiocake.errors import PlanError
from aiocake.models import Bill, Invoice
from aiocake.monthend.comparison import set_by_mark
from aiocake.monthend.plan import Plan
from aiocake.monthend.reading import (
    BILLS,
    currencies_of,
    each_bill,
    each_invoice,
    some_invoices,
)
from aiocake.monthend.rows import PlannedRecord, PlanRow

#: What decides whether a row may be sent, in the order of the message.
_DECISIVE: Final = ("kind", "partner_id", "invoice_status", "sent_payment", "amount", "currency")
#: What no mark changes.
_ITS_OWN: Final = ("kind", "partner_id", "amount", "currency")
_INVOICES: Final = "invoices"

_Key = tuple[str, object]


@attrs.frozen
class StaleRow:
    """A row of a plan whose record has changed, so that it would be skipped now.

    Attributes:
        index: Its place among the rows, from 0.
        line: Its line in the file, from 1.
        reason: What is not as planned.
    """

    index: int
    line: int
    reason: str


async def stale_rows(plan: Plan, cake: ClientView) -> tuple[StaleRow, ...]:
    """Return the rows whose record is not as planned now. Sends nothing.

    Creates are not among them: what they make is looked for right before each is sent.

    Args:
        plan: The plan.
        cake: A client of its instance.

    Raises:
        CakeError: A record could not be read.
    """
    return (*await _stale_invoices(plan, cake), *(await look_at_bills(plan, cake)).stale)


@attrs.frozen
class BillsSeen:
    """The bills of a plan, as one export shows them.

    Attributes:
        stale: The rows whose bill is not as planned.
        applied: The places of the rows whose bill shows that they were carried out, and is
            otherwise as planned.
    """

    stale: tuple[StaleRow, ...] = ()
    applied: frozenset[int] = frozenset()


async def look_at_bills(plan: Plan, cake: ClientView) -> BillsSeen:
    """Return what the bills of a plan are now: one export for each kind of bill.

    Raises:
        PlanError: The plan names no period to look them up in.
        CakeError: They could not be read.
    """
    places = {_key(row): row.index for row in plan.rows if _group(row) in BILLS}
    if not places:
        return BillsSeen()
    period = plan.header.period
    if period is None:
        raise PlanError("the plan marks bills, and names no period to look them up in")
    currencies = await currencies_of(cake)
    now: dict[_Key, PlannedRecord] = {}
    applied: set[int] = set()
    for group in sorted({group for group, _ in places}):

        def visit(bill: Bill, group: str = group) -> None:
            place = places.get((group, bill.bill_id))
            if place is not None:
                record = PlannedRecord.of_bill(bill, currencies)
                now[group, bill.bill_id] = record
                if _is_applied(plan.rows[place], bill, record):
                    applied.add(place)

        await each_bill(cake, group, period, visit)
    rows = (row for row in plan.rows if _group(row) in BILLS)
    return BillsSeen(tuple(_compared(rows, now)), frozenset(applied))


def _is_applied(row: PlanRow, bill: Bill, now: PlannedRecord) -> bool:
    """Return True if a bill shows that its row was carried out, and is else as planned.

    It is paid, which it was not when it was planned; or it shows all that the row sets. Some of
    that it may have had before: a number that was noted long ago.
    """
    if row.record is None or any(
        getattr(row.record, name) != getattr(now, name) for name in _ITS_OWN
    ):
        return False
    wanted = set_by_mark(row.operation, row.arguments, bill)
    shown = {name: found for name in wanted if (found := getattr(bill, name)) is not None}
    now_paid = "sent_payment" in shown and not row.record.sent_payment
    whole = shown.keys() >= row.arguments.keys() - {"bill_id"}
    return (now_paid or whole) and all(wanted[name] == found for name, found in shown.items())


async def _stale_invoices(plan: Plan, cake: ClientView) -> tuple[StaleRow, ...]:
    wanted = {row.arguments["invoice_id"] for row in _updates(plan)}
    if not wanted:
        return ()
    now: dict[_Key, PlannedRecord] = {}

    def visit(invoice: Invoice) -> None:
        record = PlannedRecord.of_invoice(invoice)
        if record is not None and invoice.invoice_id in wanted:
            now[_INVOICES, invoice.invoice_id] = record

    starts = [row.record.start_date for row in _updates(plan) if row.record is not None]
    ends = [row.record.end_date for row in _updates(plan) if row.record is not None]
    if len(wanted) > executor_of(cake.invoices).concurrency and all(starts) and all(ends):
        days = {
            "start_date": min(day for day in starts if day is not None),
            "end_date": max(day for day in ends if day is not None),
        }
        await each_invoice(cake, visit, days)
    missing = [int(str(number)) for number in wanted if (_INVOICES, number) not in now]
    await some_invoices(cake, missing, visit)
    return tuple(_compared(_updates(plan), now))


def _updates(plan: Plan) -> Iterator[PlanRow]:
    return (row for row in plan.rows if "invoice_id" in row.arguments)


def _compared(rows: Iterable[PlanRow], now: dict[_Key, PlannedRecord]) -> Iterator[StaleRow]:
    for row in rows:
        record, found = row.record, now.get(_key(row))
        if record is None:
            continue
        if found is None:
            yield StaleRow(row.index, row.line, "it is not there any more")
        elif reasons := list(_differences(record, found)):
            yield StaleRow(row.index, row.line, ", ".join(reasons))


def _differences(planned: PlannedRecord, found: PlannedRecord) -> Iterator[str]:
    for name in _DECISIVE:
        wanted, there = getattr(planned, name), getattr(found, name)
        if wanted != there:
            yield f"{name.replace('_', ' ')} is {_shown(there)}, planned was {_shown(wanted)}"


def _shown(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _key(row: PlanRow) -> _Key:
    return _group(row), row.arguments.get("invoice_id", row.arguments.get("bill_id"))


def _group(row: PlanRow) -> str:
    return row.operation.partition(".")[0]
