"""Compare the calls of a run with what CAKE has now.

Invoices are read as one list where filters narrow it to less than a request for each would take,
and those that are not in it one by one. Bills can only be exported: one export of the period for
each kind.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import anyio

from aiocake.bulk.journal import EntryState
from aiocake.client import ClientView
from aiocake.errors import NotFound
from aiocake.models import AdvertiserBill, AffiliateBill, Bill, BuyerBill, Invoice, InvoiceStatus
from aiocake.monthend.audited import AuditedCall, Difference
from aiocake.values import ERASE, Period

#: Rows of a page of a list.
_ROWS: Final = 1_000
#: Requests at once, beside which the client's throttle holds.
_AT_ONCE: Final = 8
#: What is a code of a currency, and no symbol.
_CODE: Final = 3
_Found = tuple[tuple[Difference, ...], tuple[str, ...]]


async def compare(cake: ClientView, calls: Sequence[AuditedCall], period: Period | None) -> _Found:
    """Return what is otherwise in CAKE than some calls say, and what could not be compared.

    Args:
        cake: A client of the instance.
        calls: The calls.
        period: The billing period of the bills that were marked; None if it is not known.

    Raises:
        CakeError: CAKE could not be read.
    """
    by_operation: dict[str, list[AuditedCall]] = {}
    for call in calls:
        by_operation.setdefault(call.operation, []).append(call)
    differences: list[Difference] = []
    unchecked: list[str] = []
    differences += await _updates(cake, by_operation.pop("invoices.update", []), unchecked)
    differences += await _creates(cake, by_operation.pop("invoices.create", []))
    marks = {name: by_operation.pop(name) for name in list(by_operation) if "_bills.mark_" in name}
    for group, kind in _BILLS.items():
        own = [each for name, some in marks.items() if name.startswith(group) for each in some]
        if own and period is None:
            unchecked.append(f"{len(own)} marks of {group} need the billing period")
        elif own and period is not None:
            differences += await _marks(cake, kind, own, period, unchecked)
    for name, some in by_operation.items():
        unchecked.append(f"{len(some)} calls of {name}: nothing in CAKE shows them")
    return tuple(sorted(differences, key=lambda each: each.index)), tuple(unchecked)


# Updates.


async def _updates(
    cake: ClientView, calls: list[AuditedCall], unchecked: list[str]
) -> list[Difference]:
    # Of several calls for one invoice, the last one says what it has to be.
    last = {each.record_id: each for each in calls if each.record_id is not None}
    found = await _invoices(cake, list(last.values()))
    unseen = sum(not _wanted(each) for each in last.values())
    if unseen:
        unchecked.append(f"{unseen} updates set nothing that CAKE shows")
    return [
        difference
        for number, call in last.items()
        for difference in _differences(call, found.get(number))
    ]


def _wanted(call: AuditedCall) -> dict[str, object]:
    """Return what an invoice has to be by its call."""
    currency = call.currency if call.currency and len(call.currency) == _CODE else None
    wanted = {
        "invoice_status": call.new_status or call.old_status,
        "total_amount": call.amount,
        "currency": currency,
        "partner_id": call.partner_id,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _differences(call: AuditedCall, invoice: Invoice | None) -> Iterable[Difference]:
    wanted = _wanted(call)
    if invoice is None:
        return [_difference(call, "it", "there", "not there")] if wanted else []
    payout = invoice.advertiser_id is None
    found: dict[str, object] = {
        "invoice_status": invoice.invoice_status,
        "total_amount": invoice.total_amount,
        "currency": invoice.currency,
        "partner_id": invoice.affiliate_id if payout else invoice.advertiser_id,
    }
    if found["currency"] is None:  # the instance sends a symbol, or nothing
        wanted.pop("currency", None)
    return [
        _difference(call, name, value, found[name])
        for name, value in wanted.items()
        if found[name] != value
    ]


async def _invoices(cake: ClientView, calls: list[AuditedCall]) -> dict[int | None, Invoice]:
    """Return the invoices of some updates, by id; those that there are."""
    wanted = {each.record_id for each in calls}
    found: dict[int | None, Invoice] = {}
    filters = _filters(calls)
    if await _is_shorter(cake, filters, len(wanted)):
        async with cake.invoices.find(row_limit=_ROWS, **filters) as rows:
            async for row in rows:
                if row.invoice_id in wanted:
                    found[row.invoice_id] = row

    async def get(number: int) -> None:
        try:
            found[number] = await cake.invoices.get(number)
        except NotFound:
            return

    await _all(get, [cast("int", each) for each in wanted - found.keys()])
    return found


def _filters(calls: Sequence[AuditedCall]) -> dict[str, Any]:
    """Return filters of a list that has the invoices of all calls, as far as is known."""
    filters: dict[str, Any] = {}
    starts = [day for each in calls if (day := each.start_date) is not None]
    ends = [day for each in calls if (day := each.end_date) is not None]
    if calls and len(starts) == len(ends) == len(calls):
        filters |= {"start_date": min(starts), "end_date": max(ends)}
    partners = {(each.kind, each.partner_id) for each in calls}
    if len(partners) == 1:
        ((kind, partner),) = partners
        if kind is not None and partner is not None:
            filters["affiliate_id" if kind == "payout" else "advertiser_id"] = partner
    statuses = {each.new_status or each.old_status for each in calls}
    if not filters and len(statuses) == 1:
        # Most are as planned; the others are read one by one.
        ((status),) = statuses
        if status in set(InvoiceStatus):
            filters["invoice_status"] = status
    return filters


async def _is_shorter(cake: ClientView, filters: Mapping[str, Any], count: int) -> bool:
    """Return True if a list takes fewer requests than one for each of so many records."""
    if count < _LEAST:
        return False
    rows = (await cake.invoices.page(row_limit=1, **filters)).total_rows
    return rows is not None and rows // _ROWS + 1 < count


#: Fewer records are not worth a look at how long a list is.
_LEAST: Final = 4


async def _all(work: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    """Call a function for each of some numbers, a few at once."""
    left = iter(sorted(numbers))

    async def one() -> None:
        for number in left:
            await work(number)

    errors: list[Exception] = []

    async def caught() -> None:
        try:
            await one()
        except Exception as error:  # noqa: BLE001 - raised below: not in a group
            errors.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(_AT_ONCE):
            tasks.start_soon(caught)
    if errors:
        raise errors[0]


# Creates.


async def _creates(cake: ClientView, calls: list[AuditedCall]) -> list[Difference]:
    """Return the creates whose invoice is not there once."""
    partners = {each.partner_id for each in calls if each.partner_id is not None}
    there: dict[int, list[Invoice]] = {each: [] for each in partners}

    async def take(filters: Mapping[str, Any]) -> None:
        async with cake.invoices.find(row_limit=_ROWS, **filters) as rows:
            async for row in rows:
                owner = row.affiliate_id or filters.get("affiliate_id")
                if row.advertiser_id is None and owner in there:
                    there[owner].append(row)

    # Without dates: the filters find only what lies wholly inside of them.
    if await _is_shorter(cake, {}, len(partners)):
        await take({})
    else:
        await _all(lambda number: take({"affiliate_id": number}), partners)
    return [
        difference
        for call in calls
        if (difference := _created(call, there.get(call.partner_id or 0, []))) is not None
    ]


def _created(call: AuditedCall, there: Iterable[Invoice]) -> Difference | None:
    alike = sorted(each.invoice_id for each in there if _meets(call, each))
    ours = [call.record_id] if call.state is EntryState.DONE and call.record_id else alike[:1]
    if alike == ours and ours:
        return None
    return _difference(call, "invoices of its period", ours or "1", alike or "none")


def _meets(call: AuditedCall, invoice: Invoice) -> bool:
    if invoice.invoice_status == InvoiceStatus.VOID or call.start_date is None:
        return False
    if invoice.start_date is None or invoice.end_date is None or call.end_date is None:
        return invoice.invoice_id == call.record_id
    return invoice.start_date <= call.end_date and call.start_date <= invoice.end_date


# Marks of bills.

_BILLS: Final[Mapping[str, type[Bill]]] = {
    "affiliate_bills": AffiliateBill,
    "advertiser_bills": AdvertiserBill,
    "buyer_bills": BuyerBill,
}


async def _marks(
    cake: ClientView,
    kind: type[Bill],
    calls: list[AuditedCall],
    period: Period,
    unchecked: list[str],
) -> list[Difference]:
    exports: Mapping[type[Bill], Callable[..., Any]] = {
        AffiliateBill: cake.affiliate_bills.export,
        AdvertiserBill: cake.advertiser_bills.export,
        BuyerBill: cake.buyer_bills.export,
    }
    wanted = {each.record_id for each in calls}
    found: dict[int | None, Bill] = {}
    async with exports[kind](period=period) as bills:
        async for bill in bills:
            if bill.bill_id in wanted:
                found[bill.bill_id] = bill
    silent: set[str] = set()
    differences = [
        difference
        for call in calls
        for difference in _marked(call, found.get(call.record_id), silent)
    ]
    if silent:
        unchecked.append(f"the instance does not show {', '.join(sorted(silent))} of all bills")
    return differences


def set_by_mark(operation: str, arguments: Mapping[str, object], bill: Bill) -> dict[str, object]:
    """Return what a call that marks a bill sets, by the fields that a bill has for it."""
    wanted = {
        name: value
        for name, value in arguments.items()
        if name != "bill_id" and value is not ERASE and hasattr(bill, name)
    }
    if operation == "affiliate_bills.mark_paid":
        wanted["sent_payment"] = True
    return wanted


def _marked(call: AuditedCall, bill: Bill | None, silent: set[str]) -> Iterable[Difference]:
    if bill is None:
        return [_difference(call, "it", "in the export of the period", "not there")]
    wanted = set_by_mark(call.operation, call.arguments, bill)
    found = {name: getattr(bill, name) for name in wanted}
    silent |= {name for name, value in found.items() if value is None}
    return [
        _difference(call, name, value, found[name])
        for name, value in wanted.items()
        if found[name] is not None and found[name] != value
    ]


def _difference(call: AuditedCall, field: str, planned: object, found: object) -> Difference:
    return Difference(
        index=call.index,
        record=call.record,
        state=call.state,
        field=field,
        planned=_shown(planned),
        found=_shown(found),
    )


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return "nothing" if value is None else str(value)
