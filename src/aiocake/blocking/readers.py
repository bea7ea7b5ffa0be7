"""Lists and exports, read by a plain ``for``.

Each belongs to the thread of its client. ``with`` closes it and waits until nothing of it runs; one
that is dropped, as by a ``break``, is closed without waiting; so is one that is interrupted, as by
Ctrl-C: to go on would skip what it had taken. Several threads may share a list; each row goes to
one of them.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from threading import Event
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, final

from aiocake._operations.operation import ExportedBills as AsyncExportedBills
from aiocake.blocking.thread import ClientThread
from aiocake.errors import CakeError, ClosedError
from aiocake.paging import NewRows
from aiocake.paging import Pager as AsyncPager
from aiocake.paging import Pages as AsyncPages

T = TypeVar("T")

#: Turns of the event loop that a task takes to begin, and to send what it has begun with.
_TURNS: Final = 2
#: Pages are given together up to so many rows: more would only take memory.
_ROWS: Final = 1_000


class Reader(Iterator[T]):
    """An iterator whose ``with`` closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""


@final
class Pages(Reader[NewRows[T]]):
    """A list, page by page: each row in one page only. Made by :meth:`Pager.pages`."""

    def __init__(self, thread: ClientThread, pager: AsyncPager[T], all_closed: Event) -> None:
        self._thread = thread
        self._pager = pager
        self._all_closed = all_closed
        self._closed = False
        self._ended = False
        self._pages: AsyncPages[T] | None = None
        # What the client's thread has found: pages, and then an error; or that the list is over.
        self._found: deque[NewRows[T]] = deque()
        self._error: Exception | None = None
        self._over = False

    def __next__(self) -> NewRows[T]:
        try:
            while True:
                if not self._is_closed:
                    try:
                        return self._found.popleft()
                    except IndexError:
                        pass  # an error is not to be shown as one of this
                self._find()
        except (StopIteration, CakeError):
            raise
        except BaseException:
            # Ctrl-C, or the error of another signal handler: a page that was taken is lost with
            # it. No row may come after.
            self._closed = True
            self._thread.soon(self._close)
            raise

    @property
    def _is_closed(self) -> bool:
        return self._closed or self._all_closed.is_set()

    def _find(self) -> None:
        if not self._is_closed:
            error, self._error = self._error, None
            try:
                if error is not None:
                    raise error
            finally:
                del error  # it holds this frame
            self._ended |= self._over
        if self._ended:
            raise StopIteration
        try:
            self._thread.run(self._fill)
        except StopAsyncIteration:
            if self._is_closed:
                raise ClosedError("the list was closed before its end") from None
            self._ended = True
            raise StopIteration from None

    async def _fill(self) -> None:
        """Find the next page, and those after it that are here; an error of these; the end."""
        pages = self._begun()
        if self._is_closed:
            await pages.aclose()
        rows = self._keep(await anext(pages))
        if not pages.over:
            # In these turns the requests for further pages leave. Later, the thread that takes the
            # rows would want the interpreter as well, and each turn would wait for it.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            try:
                while rows < _ROWS and (more := self._keep(await pages.next_ready())):
                    rows += more
            except Exception as error:  # noqa: BLE001 - it is raised after the rows before it
                self._error = error
        self._over = pages.over

    def _keep(self, page: NewRows[T] | None) -> int:
        """Keep a page to be given, and return its number of rows: 0 if there is none.

        No local variable of ``_fill`` holds one, which the traceback of an error would show.
        """
        if page is None:
            return 0
        self._found.append(page)
        return len(page.items)

    def _begun(self) -> AsyncPages[T]:
        if self._pages is None:
            self._pages = self._pager.pages()
        return self._pages

    def close(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""
        if not self._ended:
            self._closed = True
            self._found.clear()
            with suppress(ClosedError):
                self._thread.run(self._close)

    async def _close(self) -> None:
        await self._begun().aclose()


@final
class PagedRows(Reader[T]):
    """The rows of a list, one by one. Made by :class:`Pager`."""

    def __init__(self, pages: Pages[T]) -> None:
        self._pages = pages
        self._ready: deque[T] = deque()

    def __next__(self) -> T:
        try:
            while True:
                try:
                    return self._ready.popleft()
                except IndexError:
                    pass  # an error is not to be shown as one of this
                self._ready.extend(next(self._pages).items)
        except (StopIteration, CakeError):
            raise
        except BaseException:
            # First of all, without a call: there might be a second interruption.
            self._pages._closed, self._pages._ended = True, False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
            self._ready.clear()
            raise

    def collect(self) -> list[T]:
        """Read the remaining rows."""
        try:
            return list(self)
        except CakeError:
            raise
        except BaseException:
            self._pages._closed, self._pages._ended = True, False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
            self._ready.clear()
            raise

    def close(self) -> None:
        """Stop reading, and wait until no request runs. Can be called twice."""
        self._ready.clear()
        self._pages.close()


@final
class Pager(Generic[T]):
    """A list in pages, read row by row. Nothing is sent until it is iterated.

    ``with`` gives :class:`PagedRows` and closes them; a bare ``for`` works too. Each loop over the
    pager itself begins at the first row. See :class:`aiocake.paging.Pager`.
    """

    def __init__(self, thread: ClientThread, pager: AsyncPager[T]) -> None:
        self._thread = thread
        self._pager = pager
        #: Tells the readers made so far that they were closed.
        self._closed = Event()

    def __enter__(self) -> PagedRows[T]:
        return iter(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> PagedRows[T]:
        return PagedRows(self.pages())

    def pages(self) -> Pages[T]:
        """Return the list page by page, from its first row."""
        return Pages(self._thread, self._pager, self._closed)

    def collect(self) -> list[T]:
        """Read the whole list, from its first row."""
        return self._thread.run(self._pager.collect)

    def close(self) -> None:
        """Close every reader of this list, and wait until none of them runs."""
        closed, self._closed = self._closed, Event()
        closed.set()
        with suppress(ClosedError):
            self._thread.run(self._pager.aclose)


@final
class ExportedBills(Reader[T]):
    """The bills of one export, as they arrive. One thread at a time may read them.

    ``with`` sends the call and reads as far as the first bill, so that in its block the attributes
    are known before any bill is; a refused export raises there. Without it, the first step of
    ``for`` does that.
    """

    def __init__(self, thread: ClientThread, export: AsyncExportedBills[T]) -> None:
        self._thread = thread
        self._export = export
        self._ready: deque[T] = deque()
        self._open = False

    @property
    def success(self) -> bool | None:
        """Return CAKE's own flag of success; None until it is read, or where there is none."""
        return self._export.success

    @property
    def message(self) -> str:
        """Return CAKE's message beside the bills; mostly an empty text."""
        return self._export.message

    @property
    def row_count(self) -> int | None:
        """Return CAKE's count of the bills; None until it is read, or where there is none."""
        return self._export.row_count

    @property
    def rows_read(self) -> int:
        """Return the number of bills read so far."""
        return self._export.rows_read - len(self._ready)

    @property
    def dropped(self) -> int:
        """Return the number of references dropped so far: to characters that XML cannot hold."""
        return self._export.dropped

    def __enter__(self) -> Self:
        self._open = True
        self._thread.run(self._export.__aenter__)
        return self

    def __next__(self) -> T:
        try:
            if not self._ready:
                self._open = True
                self._ready.extend(self._thread.run(self._arrived))
            return self._ready.popleft()
        except StopAsyncIteration:
            self._open = False
            raise StopIteration from None
        except CakeError:
            self._open = False  # it has closed itself
            raise
        except BaseException:
            # As for pages: no bill may come after those that were taken.
            self._thread.soon(self._export.aclose)
            self._ready.clear()
            self._open = False
            raise

    async def _arrived(self) -> list[T]:
        """Return the next bill, and those after it that have arrived with it."""
        bills = [await anext(self._export)]
        bills += [await anext(self._export) for _ in range(self._export.ready)]
        return bills

    def collect(self) -> list[T]:
        """Read all bills into a list. If the response breaks off, the call is sent again.

        Raises:
            ClosedError: Some were read before, or it is closed: a list of the rest could be taken
                for all of them.
        """
        return self._thread.run(self._export.collect)

    def close(self) -> None:
        """Stop, and release the connection. Can be called twice."""
        self._ready.clear()
        self._open = False
        with suppress(ClosedError):
            self._thread.run(self._export.aclose)

    def __del__(self) -> None:
        if self._open:
            self._thread.soon(self._export.aclose)
