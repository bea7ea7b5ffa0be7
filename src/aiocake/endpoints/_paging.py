"""Lists of v2 that come in pages, opened as one :class:`~aiocake.paging.Pager`.

A list endpoint is an :class:`Operation` of the shape ``PAGE`` whose parameters end with ``PAGING``,
a ``find`` that calls :func:`paged`, and a ``page`` that calls the operation once.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from aiocake._operations.operation import Executor, Operation
from aiocake._operations.parameters import Date, Row
from aiocake.models import Page
from aiocake.paging import Pager, PageRequest

T = TypeVar("T")

Mismatch = Callable[[T, Mapping[str, object]], str | None]
"""Compares a row with the filters: what is wrong with it, or None."""

#: Rows a page unless the caller says how many: as many as CAKE gives by default. More where the
#: client filters, too: it reads more rows than it gives, and large pages take fewer requests.
DEFAULT_ROWS: Final = 100
LARGE_PAGE: Final = 1_000
#: The highest row_limit that any of CAKE's pages names.
_MOST_ROWS: Final = 10_000

START_AT_ROW: Final = Row("start_at_row")
ROW_LIMIT: Final = Row("row_limit", at_least=1, limit=_MOST_ROWS)
PAGING: Final = (START_AT_ROW, ROW_LIMIT)


def paged(  # noqa: PLR0913 - all by name but the call itself
    executor: Executor,
    operation: Operation[Page[T]],
    arguments: Mapping[str, object],
    *,
    row_id: Callable[[T], int],
    mismatch: Mismatch[T] | None = None,
    date_mismatch: Mismatch[T] | None = None,
    select: Callable[[T], bool] | None = None,
    own_filter: Callable[[T, Mapping[str, object]], bool] | None = None,
    default_rows: int = DEFAULT_ROWS,
) -> Pager[T]:
    """Return the list that an operation gives in pages. Sends nothing.

    Args:
        executor: Reads the pages.
        operation: Gives one page.
        arguments: The filters, and ``row_limit``; SKIP for what the caller left out.
        row_id: Returns the number by which a row is known.
        mismatch: Compares a row with the filters that are no dates; a row that does not match
            ends the list with a ConsistencyError. By default the operation's ``echoed``
            arguments are compared, where a row has them.
        date_mismatch: Compares a row with the filters that are dates; reported as an anomaly.
        select: Returns True for the rows to give, where the server's filters are not exact.
        own_filter: Returns True for a row that matches filters, those that the instance is known
            to ignore: they are sent all the same, for it may have learnt them.
        default_rows: Rows a page where the caller gives no ``row_limit``; more when the list
            changes, or the instance is known to give large pages.

    Raises:
        ArgumentError: An argument cannot be sent.
    """
    filters = executor.check(operation, arguments)
    row_limit = cast("int | None", filters.pop(ROW_LIMIT.name, None))
    dates = {each.name for each in operation.parameters if isinstance(each, Date)}
    compare, compare_dates = mismatch or _echo_mismatch(operation), date_mismatch
    traits = executor.traits
    # Of a row that the server has chosen: it must match. Of the others, the client chooses.
    ignored = {
        name: value
        for name, value in filters.items()
        if name in traits.ignored_filters and own_filter is not None
    }
    honoured = {name: value for name, value in filters.items() if name not in ignored}
    if ignored and own_filter is not None:
        select = _both(lambda row: own_filter(row, ignored), select)
    large = select is not None or (traits.largest_page or 0) >= LARGE_PAGE
    rows = row_limit or (LARGE_PAGE if large else default_rows)
    if traits.row_cap is not None:
        # With the row that neighbours share, a page then has as many as it can: it may be cut off.
        rows = min(rows, max(1, traits.row_cap - 1))

    async def fetch(request: PageRequest) -> Page[T]:
        page = {ROW_LIMIT.name: request.row_limit}
        if request.start_at_row:  # an instance begins at its first row, whatever number that has
            page[START_AT_ROW.name] = request.start_at_row
        reader = executor.exempt_from_queue_limit if request.begun else executor
        return await reader.execute(operation, filters | page, on_response=request.on_response)

    def matches(row: T) -> str | None:
        wrong = compare(row, honoured)
        # A server may put anything into a row, the key included.
        return None if wrong is None else executor.scrub(wrong)

    return Pager(
        fetch,
        row_id=row_id,
        matches=matches if honoured.keys() - dates else None,
        wrong_date=(
            (lambda row: compare_dates(row, honoured))
            if compare_dates is not None and honoured.keys() & dates
            else None
        ),
        select=select,
        row_limit=rows,
        adaptive=row_limit is None,
        fallback=DEFAULT_ROWS if row_limit is None and large else None,
        limit=executor.concurrency,
        operation=operation.name,
        anomaly=executor.anomaly,
    )


def _both(first: Callable[[T], bool], second: Callable[[T], bool] | None) -> Callable[[T], bool]:
    return first if second is None else lambda row: first(row) and second(row)


def _echo_mismatch(operation: Operation[Page[T]]) -> Mismatch[T]:
    """Return a comparison of the arguments that each row must give back."""

    def compare(row: T, filters: Mapping[str, object]) -> str | None:
        for name in operation.echoed:
            wanted, found = filters.get(name), getattr(row, name, None)
            if wanted is not None and found is not None and found != wanted:
                return f"a row has {name} {found}, not {wanted}"
        return None

    return compare
