"""One walk over a list, page by page: what to ask for next, and whether the list held still.

Nothing here waits or sends; a :class:`Walk` is told what came and says what is due.

**The seam.** Each page is asked for from the last row of the page before, so that two pages
share that row. As long as it is there, at its place, no row can have slipped through between
them: a row that was behind it is still behind it. Counting alone does not show this. When one row
of the first page is deleted and another is appended at the end, each later page begins one row
too late and one row is never read, yet there are as many distinct rows as ``total_rows`` says and
that number held still. The price is one row more in each page.

**The first row.** CAKE's pages disagree on whether ``start_at_row`` counts from 0 or from 1; v1
counts from 1 and reads 0 as 1. The first seam tells: asked for its last row, a server that counts
from 1 begins one row before it. All pages that are on their way by then are one row early alike,
so they still meet each other; only the end of the list has to be asked for one row further on.

**The end.** A page that could have held more rows and did not, together with as many distinct rows
as ``total_rows`` says. Without ``total_rows``: an empty page behind the last row. A page of nothing
but the row that it shares is no end: a server may give fewer rows than asked wherever it likes.
Then the next one is asked for from behind that row.

What no client can see: rows that trade places while as many others leave and come, all of it
between two pages; without ``total_rows``, rows that trade places at all; and a server that gives
not as many rows as asked, and no round number of them, and calls just these the total.
"""

from collections.abc import Callable, Sequence
from typing import Final, final

from aiocake.bulk._seen import Seen

__all__ = ["Walk"]

#: A first page of a multiple of so many rows may be cut off: the limits that CAKE's pages name for
#: sibling calls are 500 and 10,000, and those of others are round, too.
_ROUND: Final = 50


@final
class Walk:
    """The bookkeeping of one walk.

    Args:
        row_limit: How many rows to ask for in each page.
        seen: The rows of this walk, by their ids; none yet.
        surprise: Told what the list did that the documents do not promise, and the detail.
    """

    __slots__ = (
        "_beyond",
        "_cursor",
        "_first",
        "_full",
        "_furthest",
        "_last",
        "_seen",
        "_shift",
        "_surprise",
        "_total_held",
        "ignores_start",
        "over",
        "pages",
        "row_limit",
        "total_rows",
        "trouble",
    )

    def __init__(self, row_limit: int, seen: Seen, surprise: Callable[[str, str], None]) -> None:
        self.row_limit = row_limit
        """How many rows to ask for: no more than the first page really gave, once it is here."""
        self.total_rows: int | None = None
        """How many rows there are, as the last page said."""
        self.pages = 0
        """How many pages were taken."""
        self.over = False
        """Whether there is nothing more to ask for."""
        self.trouble = ""
        """Why the walk cannot be trusted to be complete; empty as long as it can."""
        self.ignores_start = False
        """Whether the server gave its first page again, wherever it was asked to start."""
        self._surprise = surprise
        self._total_held = True
        self._seen = seen
        self._first: tuple[int, ...] = ()  # the rows of the first page
        self._last: int | None = None
        self._cursor = -1  # the place of the last row in the list, counted from 0
        self._shift: int | None = None  # 1 where the server counts from 1; None: not known yet
        self._furthest = 0  # the last start that was planned
        self._full = False  # whether the last page could not have held more
        self._beyond = False  # whether the next page is to begin behind the last row

    @property
    def due(self) -> int:
        """The start at which the walk goes on: no page that starts later fits."""
        if not self.pages:
            return 0
        return self._cursor + (self._shift or 0) + 1 - (0 if self._beyond else self._shared)

    def ahead(self) -> int | None:
        """The start of a further page that is worth asking for now; None when there is none."""
        if not self.pages or (self.total_rows is None and not self._full):
            return None
        start = self._furthest + len(self._first) - self._shared
        first_new = start - (self._shift or 0) + self._shared
        if self.total_rows is not None and first_new >= self.total_rows:
            return None
        self._furthest = start
        return start

    def take(self, start: int, ids: Sequence[int], total_rows: int | None) -> list[bool]:
        """Take the rows of the page that was asked for at ``start``, by their ids.

        Returns:
            Of each row, whether this walk had not met it before.
        """
        self._compare(total_rows)
        fresh = list(map(self._seen.add, ids))
        new = sum(fresh)
        if self._is_behind(start, ids) and not new:
            return fresh
        asked, known_shift = self.row_limit, self._shift
        met = self._meet(start, ids) if self.pages else self._begin(ids)
        if met is None:
            self._distrust("a page did not go on where the one before had ended")
        elif new + met < len(ids):
            self._surprise("row repeated", f"in the page at row {start}")
        self.pages += 1
        self._furthest = max(self._furthest, start)
        self._cursor = start - (self._shift or 0) + len(ids) - 1
        self._last = ids[-1] if ids else self._last
        cut_off = self.pages == 1 and len(ids) > 0 and len(ids) % _ROUND == 0
        self._full = len(ids) == asked or cut_off
        only_shared = met == len(ids) > 0 and not self._beyond
        self._beyond = False
        if new:
            self._go_on(len(ids), asked)
        elif only_shared and not self._is_all:
            self._beyond = True
        elif not (self._full and self._shift and known_shift is None):
            self.over = True
            again = met != len(ids) and tuple(ids) == self._first
            self.ignores_start = again and self._total_held
        if self.over:
            self._count()
        return fresh

    @property
    def _shared(self) -> int:
        """How many rows a page shares with the one before: one, if it has room for another."""
        return 1 if self.row_limit > 1 else 0

    @property
    def _is_all(self) -> bool:
        """Whether as many rows were read as there are."""
        return self.total_rows is not None and self._cursor + 1 >= self.total_rows

    def _is_behind(self, start: int, ids: Sequence[int]) -> bool:
        """Whether a page that was asked for ahead ends before the last row: a cut in between."""
        return len(ids) > 0 and start - (self._shift or 0) + len(ids) <= self._cursor

    def _begin(self, ids: Sequence[int]) -> int:
        if ids:
            self._first = tuple(ids)
            self.row_limit = min(self.row_limit, len(ids))
        return 0

    def _meet(self, start: int, ids: Sequence[int]) -> int | None:
        """How many rows at the page's front were read before; None when it does not join on."""
        for shift in (0, 1) if self._shift is None else (self._shift,):
            place = self._cursor - start + shift  # where the last row should be in this page
            if 0 <= place < len(ids) and ids[place] == self._last:
                if shift and self._shift is None:
                    self._surprise("counts from 1", f"the page at row {start} begins one row early")
                self._shift = shift
                return place + 1
        self._shift = self._shift or 0
        return 0 if start == self.due and (self._beyond or not self._shared) else None

    def _compare(self, total_rows: int | None) -> None:
        if total_rows is None:
            return
        if self.total_rows not in (None, total_rows):
            self._surprise("total changed", f"{self.total_rows}, then {total_rows}")
            self._total_held = False
            self._distrust(f"total_rows was {self.total_rows}, then {total_rows}")
        self.total_rows = total_rows

    def _go_on(self, rows: int, asked: int) -> None:
        if self._is_all:
            self.over = not self._full
        elif self.total_rows is not None and rows < asked:
            self._surprise("fewer rows than asked", f"{rows} of {asked}")

    def _count(self) -> None:
        rows = len(self._seen)
        if self.total_rows not in (None, rows):
            self._distrust(f"{rows} distinct rows, and total_rows is {self.total_rows}")
        elif rows != self._cursor + 1:
            self._distrust(f"{rows} distinct rows of {self._cursor + 1}")

    def _distrust(self, why: str) -> None:
        self.trouble = self.trouble or why
