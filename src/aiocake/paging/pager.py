"""A list in pages, read as one: concurrently, in order, and complete, or it raises.

Offsets are a poor way to page through a list that people work on: when a row leaves, all later
ones move up, and the next page silently skips one. So a list ends normally only if one pass over it
read as many distinct rows as ``total_rows`` says, that number did not change, and each page
continued exactly where the one before had ended (see :mod:`aiocake.paging.list_pass`). If not, the
list is read again, and only new rows are returned. After five passes in which it changed,
:class:`~aiocake.errors.ListChanged` says how many rows were read, and what helps.

The fewer requests a pass takes, the less likely it is that somebody changes the list meanwhile: a
single page with all rows cannot be torn. So each new pass requests four times as many rows a page,
unless the caller has chosen a number. If a server returns fewer, or refuses so many with an error,
the list is read with as many as it accepts.

What this cannot help with: writing to the rows of a list while reading it. Approving invoices while
paging the pending ones changes that very list; collect first.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar, final
from weakref import WeakSet

from aiocake.errors import ArgumentError, Problem
from aiocake.paging.pages import PagedList, PageLike, Pages, RowReader
from aiocake.paging.prefetcher import PageRequest

T = TypeVar("T")


@final
class Pager(Generic[T]):
    """A list in pages, read row by row. Nothing is sent until it is iterated.

    ``async with`` gives :class:`PagedRows` and closes them; a bare ``async for`` works too, and
    cancels the requests in flight when it is left. Each loop over the pager itself begins at the
    first row.

    Args:
        fetch: Fetches the page of a :class:`PageRequest`. Its errors are raised as they are,
            after the rows that came before.
        row_id: The number by which a row is known.
        matches: Returns what is wrong with a row that does not match the filters, or None. By
            default every row matches.
        wrong_date: Returns what is odd about a row's dates, or None. It is reported to ``anomaly``
            once, since no page of CAKE says exactly how it compares dates.
        select: Returns True for the rows to give, where the server's filters are not exact. It may
            raise a CakeError, which ends the list. By default every row is given.
        row_limit: How many rows a page adds. One more is asked for, the one that it shares with
            the page before; never more than the 10,000 that CAKE's pages allow, unless given.
        adaptive: Request four times as many rows a page in each new pass, at most 10,000; if the
            server refuses so many, the list is read with as many as before.
        fallback: How many rows a page adds where ``row_limit`` is refused. By default the refusal
            is raised.
        limit: How many pages are fetched at once; up to twice as many are fetched ahead.
        operation: The operation's name, for errors and anomalies.
        anomaly: Called with ``(operation, what, detail)`` for behaviour that is not documented;
            ``what`` is one of :class:`aiocake.events.ListAnomaly`'s.

    Raises:
        ArgumentError: ``row_limit`` or ``limit`` is less than 1.
        ConsistencyError: While reading: a row does not match what was asked for, or the server
            ignores ``start_at_row``.
        ListChanged: While reading: the list did not hold still in five passes. Its ``rows_read``
            counts the rows that were read, also those that ``select`` left out.
        ClosedError: While reading: it was closed, or broken off by an error, before its end.
    """

    __slots__ = ("_readers", "_source")

    def __init__(  # noqa: PLR0913 - all by name, and each is needed
        self,
        fetch: Callable[[PageRequest], Awaitable[PageLike[T]]],
        *,
        row_id: Callable[[T], int],
        matches: Callable[[T], str | None] | None = None,
        wrong_date: Callable[[T], str | None] | None = None,
        select: Callable[[T], bool] | None = None,
        row_limit: int = 100,
        adaptive: bool = False,
        fallback: int | None = None,
        limit: int,
        operation: str,
        anomaly: Callable[[str, str, str], None],
    ) -> None:
        problems = [
            Problem(name, "must be a whole number of at least 1")
            for name, value in (("row_limit", row_limit), ("limit", limit))
            if type(value) is not int or value < 1
        ]
        if problems:
            raise ArgumentError(*problems)
        self._readers: WeakSet[Pages[T]] = WeakSet()
        self._source = PagedList(
            fetch=fetch,
            row_id=row_id,
            matches=matches,
            date_mismatch=wrong_date,
            select=select,
            row_limit=row_limit,
            adaptive=adaptive,
            fallback=fallback,
            limit=limit,
            operation=operation,
            on_anomaly=anomaly,
        )

    async def __aenter__(self) -> "PagedRows[T]":
        return PagedRows(self.pages())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> "PagedRows[T]":
        return PagedRows(self.pages())

    def pages(self) -> Pages[T]:
        """Return the list page by page, from its first row."""
        pages = Pages(self._source)
        self._readers.add(pages)
        return pages

    async def collect(self) -> list[T]:
        """Read the whole list, from its first row."""
        rows: list[T] = []
        async with self.pages() as pages:
            async for page in pages:
                rows += page.items
        return rows

    async def aclose(self) -> None:
        """Close every reader of this list, and wait until none of them runs."""
        for pages in list(self._readers):
            await pages.aclose()


@final
class PagedRows(RowReader[T]):
    """The rows of a list, one by one. Made by :class:`Pager`. Several tasks may share them."""

    __slots__ = ("_pages", "_ready")

    def __init__(self, pages: Pages[T]) -> None:
        self._pages = pages
        self._ready: deque[T] = deque()

    async def __anext__(self) -> T:
        while not self._ready:
            page = await anext(self._pages)
            self._ready.extend(page.items)
        return self._ready.popleft()

    async def collect(self) -> list[T]:
        """Read the remaining rows."""
        rows = list(self._ready)
        self._ready.clear()
        async for page in self._pages:
            rows.extend(page.items)
        return rows

    async def aclose(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""
        self._ready.clear()
        await self._pages.aclose()
