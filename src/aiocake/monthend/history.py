"""The amounts of each partner in earlier months, with which an approver compares a plan.

It is kept in the plan's header, so that an approver needs neither a key nor a network.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import attrs

from aiocake.client import ClientView
from aiocake.models import Bill, Invoice, InvoiceKind, InvoiceStatus
from aiocake.models.totals import exact_half, exact_sum
from aiocake.monthend.reading import each_bill, each_invoice
from aiocake.monthend.rows import PlannedRecord
from aiocake.values import Period

#: An invoice of a quarter that ends in the first of the months begins so much before it.
_LONGEST: Final = timedelta(days=92)


@attrs.frozen(kw_only=True)
class PartnerHistory:
    """A partner's invoices, or bills, in the months before the plan's period.

    An invoice counts for the month in which its period ends. Void ones are left out.

    Attributes:
        kind: Payout or revenue.
        currency: The currency of the amounts.
        partner_id: The partner.
        partner_name: Their name.
        count: How many there are in all of the months.
        total: The sum of their amounts, exact.
        median: The median of their amounts, exact.
        last_count: How many there are in the last of the months.
        last_total: The sum of these.
    """

    kind: InvoiceKind
    currency: str | None
    partner_id: int | None
    partner_name: str | None
    count: int
    total: Decimal
    median: Decimal
    last_count: int
    last_total: Decimal


@attrs.frozen
class History:
    """The months that were read, such as ``"2023-12"``, and what each partner had in them."""

    months: tuple[str, ...] = ()
    partners: tuple[PartnerHistory, ...] = ()


@attrs.define
class _Amounts:
    """The amounts of one partner, of one kind and currency."""

    name: str | None = None
    all: list[Decimal] = attrs.field(factory=list[Decimal])
    last: list[Decimal] = attrs.field(factory=list[Decimal])


_Key = tuple[InvoiceKind, str | None, int | None]


def months_before(period: Period, count: int) -> list[Period]:
    """Return the months before that in which a period begins, the earliest first."""
    first = period.start.replace(day=1)
    months: list[Period] = []
    while len(months) < count and first > date.min:
        day = first - timedelta(days=1)
        months.append(Period.month(day.year, day.month))
        first = day.replace(day=1)
    return months[::-1]


async def history_of_invoices(
    cake: ClientView, period: Period, count: int, kinds: Collection[InvoiceKind]
) -> History:
    """Read the invoices of the months before a period: completely, or raise.

    Args:
        cake: Reads them.
        period: The period of the plan.
        count: How many months.
        kinds: The kinds of invoices.
    """

    async def read(span: Period, add: Callable[[PlannedRecord], None]) -> None:
        def visit(invoice: Invoice) -> None:
            record = PlannedRecord.of_invoice(invoice)
            if (
                record is not None
                and record.kind in kinds
                and record.invoice_status != InvoiceStatus.VOID
            ):
                add(record)

        early = max(span.start.toordinal() - _LONGEST.days, 1)
        await each_invoice(
            cake, visit, {"start_date": date.fromordinal(early), "end_date": span.end}
        )

    return await _history(months_before(period, count), read)


async def history_of_bills(
    cake: ClientView,
    period: Period,
    count: int,
    groups: Collection[str],
    currencies: Mapping[int, str],
) -> History:
    """Read the bills of the months before a period: completely, or raise.

    Args:
        cake: Reads them.
        period: The period of the plan.
        count: How many months.
        groups: The groups of bills, such as ``"affiliate_bills"``.
        currencies: The codes of currencies, by the ids by which bills name them.
    """

    async def read(span: Period, add: Callable[[PlannedRecord], None]) -> None:
        def visit(bill: Bill) -> None:
            add(PlannedRecord.of_bill(bill, currencies))

        for group in groups:
            await each_bill(cake, group, span, visit)

    return await _history(months_before(period, count), read)


async def _history(
    months: list[Period],
    read: Callable[[Period, Callable[[PlannedRecord], None]], Awaitable[None]],
) -> History:
    if not months:
        return History()
    span, last = Period(months[0].start, months[-1].end), months[-1]
    found: dict[_Key, _Amounts] = {}

    def add(record: PlannedRecord) -> None:
        day = record.end_date or record.start_date
        if day is None or record.amount is None or not span.start <= day <= span.end:
            return
        key = record.kind, record.currency, record.partner_id
        amounts = found.setdefault(key, _Amounts())
        amounts.name = record.partner_name or amounts.name
        amounts.all.append(record.amount)
        if day >= last.start:
            amounts.last.append(record.amount)

    await read(span, add)
    partners = [_partner(key, amounts) for key, amounts in found.items()]
    return History(
        tuple(f"{each.start.year:04}-{each.start.month:02}" for each in months),
        tuple(sorted(partners, key=_order)),
    )


def _partner(key: _Key, amounts: _Amounts) -> PartnerHistory:
    kind, currency, partner_id = key
    return PartnerHistory(
        kind=kind,
        currency=currency,
        partner_id=partner_id,
        partner_name=amounts.name,
        count=len(amounts.all),
        total=_sum(amounts.all),
        median=_median(amounts.all),
        last_count=len(amounts.last),
        last_total=_sum(amounts.last),
    )


def _sum(amounts: list[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = exact_sum(total, amount)
    return total


def _median(amounts: list[Decimal]) -> Decimal:
    """Return the median, which statistics.median() would round in a context of few digits."""
    ordered = sorted(amounts)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return exact_half(exact_sum(ordered[middle - 1], ordered[middle]))


def _order(partner: PartnerHistory) -> tuple[str, str, int]:
    return partner.kind, partner.currency or "", partner.partner_id or 0
