"""Read the current state of records: each list completely, or raise."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Final, cast

import anyio

from aiocake._operations.operation import ExportedBills, executor_of
from aiocake.client import ClientView
from aiocake.endpoints._paging import LARGE_PAGE, paged
from aiocake.endpoints.invoices import FIND, date_mismatch, filter_mismatch
from aiocake.errors import ApiError, CakeError, ConsistencyError, DecodeError, NotFound
from aiocake.models import Bill, Invoice
from aiocake.values import Period

#: The groups of bills.
BILLS: Final = frozenset({"affiliate_bills", "advertiser_bills", "buyer_bills"})


async def each_invoice(
    cake: ClientView, visit: Callable[[Invoice], None], filters: Mapping[str, object]
) -> None:
    """Pass every invoice that matches CAKE's own filters to a function."""
    pager = paged(
        executor_of(cake.invoices),
        FIND,
        filters,
        row_id=attrgetter("invoice_id"),
        mismatch=filter_mismatch,
        date_mismatch=date_mismatch,
        default_rows=LARGE_PAGE,
    )
    async with pager.pages() as pages:
        async for page in pages:
            for row in page.items:
                visit(row)


async def some_invoices(
    cake: ClientView, numbers: Iterable[int], visit: Callable[[Invoice], None]
) -> None:
    """Read invoices one by one, as many at once as the client allows; pass those that there are."""
    left = iter(numbers)
    failed: list[CakeError] = []

    async def work() -> None:
        for number in left:
            if failed:
                return
            try:
                visit(await cake.invoices.get(number))
            except NotFound:
                continue
            except CakeError as error:
                failed.append(error)  # a task group would wrap it in a group

    async with anyio.create_task_group() as group:
        for _ in range(executor_of(cake.invoices).concurrency):
            group.start_soon(work)
    if failed:
        raise failed[0]


async def each_bill(
    cake: ClientView, group: str, period: Period, visit: Callable[[Bill], None]
) -> None:
    """Pass every bill of a billing period to a function.

    Raises:
        ConsistencyError: One is of other days altogether: the instance has ignored the period.
    """
    export = getattr(cake, group).export(period=period)
    async with cast("ExportedBills[Bill]", export) as bills:
        async for bill in bills:
            own = bill.period
            if own is not None and (own.start > period.end or own.end < period.start):
                raise ConsistencyError(
                    f"bill {bill.bill_id} is of {own}, and bills of {period} were requested"
                )
            visit(bill)


async def currencies_of(cake: ClientView) -> dict[int, str]:
    """Return the codes of the instance's currencies, by the ids by which bills name them.

    An instance that has no such list has no codes for bills either: then there are none.
    """
    try:
        found = await cake.reference.v1_currencies()
    except (ApiError, DecodeError):
        return {}
    return {
        each.currency_id: each.currency_abbr
        for each in found
        if each.currency_id is not None and each.currency_abbr
    }
