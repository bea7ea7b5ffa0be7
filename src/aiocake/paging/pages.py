"""Read a list page by page: prefetch pages, start over if the list changed, give each row once.

Pages are requested ahead of the reader (:mod:`aiocake.paging.prefetcher`) and taken in order.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import compress
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, final

import anyio
import attrs

from aiocake._background import BackgroundTaskCancelled
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    ClosedError,
    ConsistencyError,
    DeadlineExceeded,
    DecodeError,
    ListChanged,
    RateLimited,
    Restricted,
)
from aiocake.paging.list_pass import IdSet, ListPass
from aiocake.paging.prefetcher import PageRequest, Prefetcher

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=CakeError)

_PASSES: Final = 5
#: How many times as many rows a page the next pass requests.
_GROWTH: Final = 4
#: The most rows that any of CAKE's pages allows.
_MOST_ROWS: Final = 10_000


class PageLike(Protocol[T_co]):
    """The attributes of a page that paging uses."""

    @property
    def items(self) -> Sequence[T_co]:
        """Return the rows."""
        ...

    @property
    def total_rows(self) -> int | None:
        """Return how many rows match in all; None where the server does not say."""
        ...

    @property
    def start_at_row(self) -> int:
        """Return the offset that was requested."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class NewRows(Generic[T_co]):
    """One page of a list, with only those of its rows that no page before it held.

    Attributes:
        items: The rows that were not given yet, at least one; of a list that is read through a
            filter of the client's own, those that match it.
        total_rows: How many rows match in all, as this page said; None where it does not say, and
            where the client filters: the server counts other rows then.
        start_at_row: The offset that was asked for. A page begins with the last row of the one
            before it, which is left out of ``items``.
    """

    items: tuple[T_co, ...]
    total_rows: int | None
    start_at_row: int


@attrs.frozen(kw_only=True, eq=False)
class PagedList(Generic[T]):
    """The source of a list and the checks of its rows: :class:`Pager`'s arguments."""

    fetch: Callable[[PageRequest], Awaitable[PageLike[T]]]
    row_id: Callable[[T], int]
    matches: Callable[[T], str | None] | None
    date_mismatch: Callable[[T], str | None] | None
    select: Callable[[T], bool] | None
    row_limit: int
    adaptive: bool
    fallback: int | None
    limit: int
    operation: str
    on_anomaly: Callable[[str, str, str], None]


class RowReader(AsyncIterator[T]):
    """An iterator whose ``async with`` closes it."""

    __slots__ = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""
        raise NotImplementedError


@final
class Pages(RowReader[NewRows[T]]):
    """A list, page by page: each row in one page only, pages with nothing new left out.

    Made by :meth:`Pager.pages`. An error closes it, and so does a cancellation: going on after it
    would be a list with a hole. Several tasks may share one.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_anomaly",
        "_closed",
        "_ended",
        "_fallback",
        "_pass",
        "_passes",
        "_provided",
        "_row_limit",
        "_source",
        "_turn",
    )

    def __init__(self, source: PagedList[T]) -> None:
        self._source = source
        self._ahead = Prefetcher(source.fetch, source.limit)
        self._provided = IdSet()
        self._anomaly = _Anomalies(source.operation, source.on_anomaly)
        #: How many rows each page of this pass adds.
        self._row_limit = source.row_limit
        #: How many to ask for where these are refused; None where no others are tried.
        self._fallback = source.fallback
        self._pass = ListPass(self._asked, self._provided, self._anomaly)
        self._passes = 1
        self._ended = False
        self._closed = False
        self._turn = anyio.Lock(fast_acquire=True)

    async def __anext__(self) -> NewRows[T]:
        page = await self._take()
        if page is None:
            raise StopAsyncIteration
        return page

    async def next_ready(self) -> NewRows[T] | None:
        """Return the next page if its response is here; else None, also at the end of the list.

        For readers that pass on together what has come together, as the blocking client does. It
        does not wait for a response, and so may return without letting other tasks run.

        Raises:
            CakeError: As reading the page does.
        """
        return await self._take(ready=True)

    async def _take(self, *, ready: bool = False) -> NewRows[T] | None:
        try:
            async with self._turn:
                page = await self._next(ready=ready)
        except BackgroundTaskCancelled:
            raise self._error(ClosedError("the list was closed while it was read")) from None
        except Exception:
            await self.aclose()
            raise
        except BaseException:
            self._closed = True
            self._ahead.drop()
            raise
        if isinstance(page, CakeError):
            await self.aclose()
            raise page
        return page

    @property
    def over(self) -> bool:
        """Return True if the last page was given: nothing runs, and the next step is the end."""
        current = self._pass
        return not (self._closed or current.inconsistency or len(self._ahead)) and current.over

    async def aclose(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""
        self._closed = True
        await self._ahead.aclose()

    async def _next(self, *, ready: bool) -> NewRows[T] | CakeError | None:
        """Return the next page, or its error: raised here, the traceback would show its rows."""
        while not self._ended:
            if self._closed:
                raise self._error(ClosedError("the list was closed before its end"))
            if ready and (self._pass.over or not self._ahead.is_ready(self._pass.next_start)):
                return None
            if not self._pass.over:
                page = await self._read()
                if isinstance(page, CakeError) or page.items:
                    return page
            else:
                await self._ahead.aclose()
                if self._pass.inconsistency:
                    self._start_over()
                else:
                    self._ended = True
        return None

    async def _read(self) -> NewRows[T] | CakeError:
        current, ahead, source = self._pass, self._ahead, self._source
        if not ahead.next_is_at(current.next_start):
            ahead.request(current.next_start, current.row_limit, first=True)
        try:
            start, page = await ahead.take()
        except (ApiError, DecodeError, DeadlineExceeded) as error:
            await self._fall_back(error)
            return _NOTHING
        ids = list(map(source.row_id, page.items))
        fresh = current.take(start, ids, page.total_rows)
        if current.ignores_start:
            raise self._error(
                ConsistencyError(
                    f"the server ignores start_at_row: it returned its first page for row {start}"
                )
            )
        self._ask_ahead()
        if current.seen is not self._provided:  # the first pass meets what was given
            fresh = self._provided.add_all(ids)
        rows = tuple(compress(page.items, fresh))
        if (wrong := self._wrong(rows)) is not None:
            return wrong
        if source.select is None:
            return NewRows(items=rows, total_rows=page.total_rows, start_at_row=start)
        try:
            chosen = tuple(filter(source.select, rows))
        except CakeError as error:
            return self._error(error.with_traceback(None))
        return NewRows(items=chosen, total_rows=None, start_at_row=start)

    def _ask_ahead(self) -> None:
        current, ahead = self._pass, self._ahead
        wanted = 2 * self._source.limit
        if current.total_rows is None:
            # Nobody knows how many more there are: ask for no more than there were already.
            wanted = min(wanted, current.pages)
        while not current.over and len(ahead) < wanted and (start := current.ahead()) is not None:
            ahead.request(start, current.row_limit)

    def _wrong(self, rows: Sequence[T]) -> CakeError | None:
        """Return the error of rows that do not match the filters; odd dates are only reported."""
        source = self._source
        row_id, matches, wrong_date = source.row_id, source.matches, source.date_mismatch
        if matches is not None:
            for row in rows:
                if (wrong := matches(row)) is not None:
                    text = f"row {row_id(row)} does not match the request: {wrong}"
                    return self._error(ConsistencyError(text))
        if wrong_date is not None:
            for row in rows:
                if (odd := wrong_date(row)) is not None:
                    self._anomaly("date outside the filter", f"row {row_id(row)}: {odd}")
        return None

    @property
    def _asked(self) -> int:
        """Return how many rows to request: one more than a page adds, shared with its neighbour."""
        return max(self._row_limit, min(self._row_limit + 1, _MOST_ROWS))

    def _start_over(self) -> None:
        current, source = self._pass, self._source
        if self._passes == _PASSES:
            raise self._error(self._changed())
        self._passes += 1
        source.on_anomaly(source.operation, "read again", current.inconsistency)
        if source.adaptive:
            self._fallback = self._row_limit
            self._row_limit = max(self._row_limit, min(self._row_limit * _GROWTH, _MOST_ROWS))
        self._begin_pass()

    async def _fall_back(self, error: CakeError) -> None:
        """Start a pass with fewer rows a page if that may help against a refusal; or raise."""
        says_why = isinstance(error, AuthenticationError | RateLimited | Restricted)
        if self._fallback is None or self._fallback == self._row_limit or says_why:
            raise error
        await self._ahead.aclose()
        detail = f"{type(error).__name__} for {self._asked}"
        self._row_limit, self._fallback = self._fallback, None
        self._anomaly("row_limit refused", detail)
        self._begin_pass()

    def _begin_pass(self) -> None:
        self._pass = ListPass(self._asked, IdSet(), self._anomaly, self._pass.counts_list)

    def _changed(self) -> ListChanged:
        """Return the error of a list that kept changing, with advice."""
        current = self._pass
        rows = self._source.operation.partition(".")[0]
        attempts = f"{_PASSES} attempts: {current.inconsistency}"
        text = f"{rows} changed while being listed ({attempts}); retry"
        if current.capped or self._asked >= _MOST_ROWS:
            text += ", or list fewer at once, by narrower filters"
        else:
            few = current.total_rows is not None and current.total_rows <= _MOST_ROWS
            text += f", or use row_limit={_MOST_ROWS} to read them in "
            text += "one request" if few else "fewer requests"
        total_rows = current.named_total
        return ListChanged(text, rows_read=len(self._provided), total_rows=total_rows)

    def _error(self, error: E) -> E:
        error.operation = self._source.operation
        return error


_NOTHING: Final[NewRows[Any]] = NewRows(items=(), total_rows=None, start_at_row=0)


@final
class _Anomalies:
    """Reports each kind of anomaly once, however many pages show it."""

    __slots__ = ("_emit", "_operation", "_reported")

    def __init__(self, operation: str, emit: Callable[[str, str, str], None]) -> None:
        self._operation = operation
        self._emit = emit
        self._reported: set[str] = set()

    def __call__(self, what: str, detail: str) -> None:
        if what not in self._reported:
            self._reported.add(what)
            self._emit(self._operation, what, detail)
