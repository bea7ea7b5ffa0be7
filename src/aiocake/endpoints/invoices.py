"""Invoices of v2. Source: CAKE's page "How to Manage Invoices via the CAKE API"."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import cast

from aiocake._operations.arguments import date_order, matched_days, matching, period_bounds
from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import (
    Api,
    CreateLookup,
    Endpoints,
    Executor,
    ExistingRecord,
    Operation,
    RecordLook,
    ResponseShape,
)
from aiocake._operations.parameters import Choice, Date, Id, InvalidArgument, Moment, Text
from aiocake.endpoints._invoice_flow import compare, listed_with
from aiocake.endpoints._paging import DEFAULT_ROWS, LARGE_PAGE, PAGING, ROW_LIMIT, paged
from aiocake.errors import ConsistencyError, DecodeError, Problem
from aiocake.models import (
    CreatedInvoice,
    Expect,
    Invoice,
    InvoiceStatus,
    InvoiceStatusText,
    Page,
    UpdatedInvoice,
)
from aiocake.paging import Pager
from aiocake.values import SKIP, Idempotency, Period, PeriodMatch, Skip

__all__ = ["Invoices"]

_PAGE = "How to Manage Invoices via the CAKE API"
_Day = date | Skip | InvalidArgument
_STATUS = Choice("invoice_status", InvoiceStatus)


def _paid_at_with_paid(arguments: Mapping[str, object]) -> Problem | None:
    if "paid_at" in arguments and arguments.get("invoice_status") != InvoiceStatus.PAID:
        return Problem("paid_at", "is allowed with invoice_status='paid' only")
    return None


def _sets_something(arguments: Mapping[str, object]) -> Problem | None:
    if set(arguments) <= {"invoice_id"}:
        return Problem("invoice_status, memo, paid_at", "an update must set one of these")
    return None


FIND = Operation[Page[Invoice]](
    name="invoices.find",
    api=Api.V2,
    path="/api/2/invoices.json",
    parameters=(
        Id("invoice_id"),
        Id("affiliate_id"),
        Id("advertiser_id"),
        _STATUS,
        Date("start_date"),
        Date("end_date"),
        *PAGING,
    ),
    shape=ResponseShape.PAGE,
    element="invoices",
    model=Invoice,
    rules=(date_order("start_date", "end_date"),),
    documented_in=_PAGE,
)

GET = Operation[Invoice](
    name="invoices.get",
    api=Api.V2,
    path=FIND.path,
    parameters=(
        Id("invoice_id", required=True),
        ROW_LIMIT,
    ),
    shape=ResponseShape.FOUND,
    element="invoices",
    model=Invoice,
    echoed=("invoice_id",),
    documented_in=_PAGE,
)


#: One more than there can be: an instance that takes its first row for the one after row 0 would
#: have no room for it. Where its rows begin it knows by itself.
_ONE_ROW = {"row_limit": 2}


async def _list_existing(
    executor: Executor, affiliate_id: int | None, visit: Callable[[ExistingRecord], None]
) -> None:
    """Pass every payout invoice, of one affiliate or of all, to a function.

    Without dates: the filters find only invoices that lie wholly inside of them.
    """
    filters = {} if affiliate_id is None else {"affiliate_id": affiliate_id}
    async with _paged(executor, filters, default_rows=LARGE_PAGE).pages() as pages:
        async for page in pages:
            for row in page.items:
                # One that names both partners is owed to the affiliate, too.
                if row.advertiser_id is None or row.affiliate_id is not None:
                    visit(_record(row, affiliate_id))


def _record(row: Invoice, affiliate_id: int | None) -> ExistingRecord:
    # A row without a partner belongs to the partner whose rows were requested.
    owner = row.affiliate_id or affiliate_id
    if owner is None:
        raise ConsistencyError(f"invoice {row.invoice_id} names no affiliate")
    void = row.invoice_status == InvoiceStatus.VOID
    return ExistingRecord(row.invoice_id, owner, row.start_date, row.end_date, void)


async def _count(executor: Executor) -> int | None:
    return (await Invoices(executor).page(row_limit=1)).total_rows


CREATE = Operation[CreatedInvoice](
    name="invoices.create",
    api=Api.V2,
    method="POST",
    path="/api/2/invoice.json",
    parameters=(
        Id("affiliate_id", required=True),
        Date("start_date", required=True),
        Date("end_date", required=True),
        Text("memo", sensitive=True),
    ),
    idempotency=Idempotency.NON_IDEMPOTENT,
    shape=ResponseShape.ONE,
    element="invoice",
    model=CreatedInvoice,
    echoed=("affiliate_id",),
    rules=(date_order("start_date", "end_date"),),
    create_lookup=CreateLookup(
        owner="affiliate_id",
        start="start_date",
        end="end_date",
        id="invoice_id",
        list_existing=_list_existing,
        count=_count,
    ),
    documented_in=_PAGE,
)


def _as_updated(found: Invoice) -> UpdatedInvoice:
    return UpdatedInvoice(invoice_id=found.invoice_id, invoice_status=found.invoice_status)


UPDATE = Operation[UpdatedInvoice](
    name="invoices.update",
    api=Api.V2,
    method="POST",
    path="/api/2/update_invoice.json",
    parameters=(
        Id("invoice_id", required=True),
        _STATUS,
        Text("memo", sensitive=True),
        Moment("paid_at"),
    ),
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.ONE,
    element="invoice",
    model=UpdatedInvoice,
    echoed=("invoice_id", "invoice_status"),
    rules=(_paid_at_with_paid, _sets_something),
    look=RecordLook(
        read=GET,
        more=_ONE_ROW,
        pages=FIND,
        expects=Expect,
        sensitive=frozenset({"total_amount"}),
        compare=compare,
        result=_as_updated,
        number=lambda invoice: invoice.invoice_id,
        narrow=listed_with,
        sets_status=lambda arguments: "invoice_status" in arguments,
    ),
    documented_in=_PAGE,
)


def _paged(
    executor: Executor,
    arguments: Mapping[str, object],
    *,
    default_rows: int = DEFAULT_ROWS,
    select: Callable[[Invoice], bool] | None = None,
) -> Pager[Invoice]:
    return paged(
        executor,
        FIND,
        arguments,
        row_id=attrgetter("invoice_id"),
        mismatch=filter_mismatch,
        date_mismatch=date_mismatch,
        select=select,
        own_filter=matches_filters,
        default_rows=default_rows,
    )


class Invoices(Endpoints, operations=(FIND, GET, CREATE, UPDATE)):
    """``client.invoices``: find, read, create and update the invoices of an instance."""

    __slots__ = ()

    def find(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        *,
        affiliate_id: int | Skip = SKIP,
        advertiser_id: int | Skip = SKIP,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        period: Period | Skip = SKIP,
        match: PeriodMatch = "inside",
        longest: timedelta | Skip = SKIP,
        start_date: date | Skip = SKIP,
        end_date: date | Skip = SKIP,
        row_limit: int | Skip = SKIP,
    ) -> Pager[Invoice]:
        """List every invoice that matches, paged concurrently, in order: complete, or it raises.

        Collect before you write: to approve pending invoices while paging through the pending
        ones takes rows out of the list that is being read.

        CAKE's own filter, which ``match="inside"`` uses, finds only invoices whose whole period
        lies inside of the one that is asked for. An invoice of a week that crosses the border of
        two months is in neither month. To get each invoice in exactly one month, use
        ``match="ends_in"``.

        Args:
            affiliate_id: Only payout invoices of this affiliate.
            advertiser_id: Only revenue invoices of this advertiser.
            invoice_status: Only invoices of this status.
            period: Only invoices whose own period matches this one.
            match: How an invoice's period has to match: lie ``"inside"`` of ``period`` from its
                first to its last day; share a day with it (``"overlaps"``); or have its last day
                in it (``"ends_in"``). The last two are decided by the client, which has to read
                more: for ``"ends_in"`` all invoices that end on or before the last day, for
                ``"overlaps"`` those of all time.
            longest: The longest period that an invoice can have, if you are sure of it: fewer
                invoices are read then for ``"overlaps"`` and ``"ends_in"``.
            start_date: Only invoices whose period starts on or after this day.
            end_date: Only invoices whose period ends on or before this day.
            row_limit: Rows a page, 1 to 10,000; by default 100, or 1,000 for ``"overlaps"`` and
                ``"ends_in"``, and more when the list changes while it is read. One more is asked
                for where that is allowed, so that neighbouring pages share a row by which a
                changed list is noticed.

        Returns:
            A list for ``async with`` and ``async for``, ``.collect()`` and ``.pages()``.
            Nothing is sent until the first row is read. Of ``"overlaps"`` and ``"ends_in"``,
            pages hold the invoices that match, and their ``total_rows`` is None.

        Raises:
            ArgumentError: An argument cannot be sent; at once, before any reading.
            ListChanged: While reading: the list kept changing.
            ConsistencyError: While reading: a row does not match the filters, or its period is
                longer than ``longest``.
            DecodeError: While reading: a response cannot be read, or an invoice lacks the date
                that decides whether it matches.
            CakeError: While reading: CAKE refused a call, or no readable response came.
        """
        match, longest = matching(match, longest)
        start, end = self._readable(
            period, *matched_days(period, start_date, end_date, match, longest)
        )
        select = in_period(period, match, longest)
        return _paged(
            self._executor,
            {
                "affiliate_id": affiliate_id,
                "advertiser_id": advertiser_id,
                "invoice_status": invoice_status,
                "start_date": start,
                "end_date": end,
                "row_limit": row_limit,
            },
            select=select,
        )

    async def page(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        *,
        affiliate_id: int | Skip = SKIP,
        advertiser_id: int | Skip = SKIP,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        period: Period | Skip = SKIP,
        start_date: date | Skip = SKIP,
        end_date: date | Skip = SKIP,
        start_at_row: int | Skip = SKIP,
        row_limit: int = 100,
    ) -> Page[Invoice]:
        """Fetch one page, in exactly one request, as the server returns it, without checks.

        Args:
            affiliate_id: As in :meth:`find`.
            advertiser_id: As in :meth:`find`.
            invoice_status: As in :meth:`find`.
            period: As in :meth:`find`.
            start_date: As in :meth:`find`.
            end_date: As in :meth:`find`.
            start_at_row: The first row's offset; by default the first there is. Some instances
                count from 1.
            row_limit: Rows at most, 1 to 10,000; an instance may return fewer.

        Returns:
            The page.

        Raises:
            ArgumentError: An argument cannot be sent.
            CakeError: CAKE refused the call, or no readable response came.
        """
        start, end = self._readable(period, *period_bounds(period, start_date, end_date))
        return await self._call(
            FIND,
            affiliate_id=affiliate_id,
            advertiser_id=advertiser_id,
            invoice_status=invoice_status,
            start_date=start,
            end_date=end,
            start_at_row=start_at_row,
            row_limit=row_limit,
        )

    def _readable(self, period: Period | Skip, start: _Day, end: _Day) -> tuple[_Day, _Day]:
        """Return the dates of a filter; the problem of a period that the instance would misread."""
        if period is SKIP or self._executor.traits.end_date != "exclusive":
            return start, end
        reason = (
            "end dates are exclusive at this instance (by its traits), so that a period would miss "
            "what ends on its last day: give start_date and end_date, the day after the last"
        )
        refused = InvalidArgument((Problem("period", reason),))
        return refused, refused

    async def get(self, invoice_id: int) -> Invoice:
        """Fetch one invoice.

        Args:
            invoice_id: The invoice.

        Returns:
            The invoice.

        Raises:
            NotFound: There is no such invoice.
            ConsistencyError: The instance sent another one, or none and says that there is one.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(GET, invoice_id=invoice_id, **_ONE_ROW)

    async def create(
        self, *, affiliate_id: int, start_date: date, end_date: date, memo: str | Skip = SKIP
    ) -> CreatedInvoice:
        """Create an invoice; CAKE computes its total. Never sent twice: that would make two.

        Args:
            affiliate_id: The affiliate to pay.
            start_date: The first day of its period.
            end_date: The last day of its period, included.
            memo: A note.

        Returns:
            The new invoice.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The invoice may have been created.
            ApiError: CAKE refused the call.
        """
        return await self._call(
            CREATE, affiliate_id=affiliate_id, start_date=start_date, end_date=end_date, memo=memo
        )

    async def update(
        self,
        invoice_id: int,
        *,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        memo: str | Skip = SKIP,
        paid_at: datetime | Skip = SKIP,
        expect: Expect | Skip = SKIP,
    ) -> UpdatedInvoice:
        """Set an invoice's status, note or time of payment. Approving and paying move money.

        With ``expect``, the invoice is read right before, and again before a further attempt if
        one before may have been carried out. CAKE itself has no conditional update: what somebody
        does in the moment between that look and the update is not seen.

        Args:
            invoice_id: The invoice.
            invoice_status: Its new status.
            memo: Its new note; ``""`` is sent as it is.
            paid_at: When it was paid, with a time zone; only with status ``"paid"``.
            expect: What the invoice has to be for the update to be sent.

        Returns:
            The invoice's id, and what was set where the instance says so. Where the response to an
            attempt was lost, and the invoice is found as the update leaves it, what was read.

        Raises:
            ArgumentError: An argument cannot be sent, or nothing is set.
            Conflict: The invoice is not as expected; nothing was sent.
            NotFound: There is no such invoice.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The invoice may have been set.
            ApiError: CAKE refused the call.
        """
        arguments = {
            "invoice_id": invoice_id,
            "invoice_status": invoice_status,
            "memo": memo,
            "paid_at": paid_at,
        }
        condition = None if expect is SKIP else WriteCondition(expect)
        return await self._executor.execute(UPDATE, arguments, condition=condition)


def filter_mismatch(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """Return what is wrong with a row: its partner, the kind of partner, or its status."""
    for name, other in (("affiliate_id", "advertiser_id"), ("advertiser_id", "affiliate_id")):
        if name not in filters:
            continue
        found = getattr(row, name)
        if found is None and getattr(row, other) is not None:
            return f"invoice {row.invoice_id} has no {name}, but {filters[name]} was requested"
        if found is not None and found != filters[name]:
            return f"invoice {row.invoice_id} has {name} {found}, not {filters[name]}"
    status = filters.get("invoice_status", row.invoice_status)
    if row.invoice_status != status:
        return f"invoice {row.invoice_id} is {row.invoice_status}, not {status}"
    return None


def matches_filters(row: Invoice, filters: Mapping[str, object]) -> bool:
    """Return True if a row matches filters that the server does not know.

    Raises:
        DecodeError: The row lacks what decides it.
    """
    nameless = row.affiliate_id is None and row.advertiser_id is None
    if nameless and not filters.keys().isdisjoint({"affiliate_id", "advertiser_id"}):
        raise DecodeError(
            f"invoice {row.invoice_id} names no partner, and this instance does not filter by it",
            path="invoices",
        )
    start, end = filters.get("start_date"), filters.get("end_date")
    if isinstance(start, date) and _filtered(row, "start_date", row.start_date) < start:
        return False
    if isinstance(end, date) and _filtered(row, "end_date", row.end_date) > end:
        return False
    return filter_mismatch(row, filters) is None


def _filtered(row: Invoice, name: str, value: date | None) -> date:
    if value is None:
        raise DecodeError(
            f"invoice {row.invoice_id} has no {name}, and this instance does not filter by it",
            path=f"invoices.{name}",
        )
    return value


def date_mismatch(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """Return what is odd about a row's dates; no page says exactly how CAKE compares them."""
    start, end = filters.get("start_date"), filters.get("end_date")
    if isinstance(start, date) and row.start_date is not None and row.start_date < start:
        return f"invoice {row.invoice_id} starts on {row.start_date}, before {start}"
    if isinstance(end, date) and row.end_date is not None and row.end_date > end:
        return f"invoice {row.invoice_id} ends on {row.end_date}, after {end}"
    return None


def in_period(
    period: Period | Skip, match: PeriodMatch, longest: timedelta | Skip
) -> Callable[[Invoice], bool] | None:
    """Return a function that decides if an invoice matches a period; None where the server does.

    Args:
        period: The period. It and the next two are not checked yet.
        match: How an invoice's own period has to match.
        longest: The longest period that an invoice can have.

    Returns:
        A function that raises DecodeError where the date is missing that decides, and
        ConsistencyError for an invoice that is longer than ``longest``: it shows that the server
        was asked for too few.
    """
    # isinstance() and == would call methods of a value that is neither.
    if type(match) is not str or match == "inside" or not issubclass(type(period), Period):
        return None
    first, last = cast("Period", period).start, cast("Period", period).end

    def select(row: Invoice) -> bool:
        start, end = row.start_date, row.end_date
        if isinstance(longest, timedelta) and start and end and end - start > longest:
            raise ConsistencyError(
                f"invoice {row.invoice_id} runs from {start} to {end}, which is longer than "
                f"longest ({longest.days} days): other invoices may have been left out"
            )
        if match == "ends_in":
            return first <= _day(row, "end_date", end, match) <= last
        if (start is not None and start > last) or (end is not None and end < first):
            return False
        _day(row, "start_date", start, match)
        _day(row, "end_date", end, match)
        return True

    return select


def _day(row: Invoice, name: str, value: date | None, match: PeriodMatch) -> date:
    if value is None:
        raise DecodeError(
            f"invoice {row.invoice_id} has no {name}, which match={match!r} needs",
            path=f"invoices.{name}",
        )
    return value
