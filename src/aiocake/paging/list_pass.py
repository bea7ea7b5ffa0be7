"""One pass over a list, page by page: what to request next, and whether the list has changed.

Nothing here waits or sends: a :class:`ListPass` gets pages and says which one to request.

**The seam.** Each page is requested from the last row of the page before, so that two pages
share that row. As long as it is still at its place, no row can have slipped through between
them: the rows that came after it still do. Counting alone does not show this. If one row of the
first page is deleted and another is appended at the end, each later page begins one row too late
and one row is never read, yet there are as many distinct rows as ``total_rows`` says and that
number has not changed. The price is one more row in each page.

**The first row.** CAKE's pages disagree on whether ``start_at_row`` counts from 0 or from 1; v1
counts from 1 and reads 0 as 1. The first seam shows which: a page from its last row begins one row
early at a server that counts from 1. All pages in flight are then one row early alike, so they
still fit together; only the end of the list has to be requested one row further on. A row that
moves to the front of a list looks the same. If ``total_rows`` says nothing, the end counts only
once the first page was requested again and begins with the same row.

**The end.** A page that could have held more rows but did not, together with as many distinct rows
as ``total_rows`` says. Without ``total_rows``: an empty page after the last row. A page with only
the shared row is not the end: a server may return fewer rows than requested anywhere. The next page
is then requested from after that row.

**The total.** Some servers count the rows of the page. Of a list, a page that begins behind the
first row has fewer rows than ``total_rows``; so where ``total_rows`` is the number of rows of each
page, from the second on, it says nothing of the list, which is read as one without it. Once a page
had fewer rows than ``total_rows``, that is known to count the list, and a later pass believes a
first page that holds as many.

So where a first page holds 100 rows or more (or 50), but fewer than were asked for, a further page
from its last row decides. Shorter lists are most of what is read. They are believed, so that each
takes one request: only a server that gives fewer than CAKE's usual 100 rows would cut one off.

What no client can see: rows that change places while as many others leave and come, all between
two pages; without ``total_rows``, rows that change places at all. Not checked: a server that
returns fewer than 100 rows a page, and not 50, and calls just these the total.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import lt
from typing import Final, final

_LOW: Final = 0xFFFF
_LOW_BITS: Final = 16
#: Numbers that are kept in a set until they are packed: to pack them one by one is slow.
_MOST_RECENT: Final = 4_096


@final
class IdSet:
    """A set of integers, two bytes for each one that has neighbours.

    Numbers that share all but their last 16 bits are kept together, as a sorted array of those 16
    bits. Invoices are numbered in sequence, so a million of them take two megabytes; a set of them
    would take 60. The last few thousand are in a set all the same, until they are packed together.
    """

    __slots__ = ("_chunks", "_greatest", "_least", "_packed", "_recent")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._chunks: dict[int, array[int]] = {}
        self._packed = 0
        self._least = self._greatest = 0  # of what is packed

    def __len__(self) -> int:
        return self._packed + len(self._recent)

    def add(self, number: int) -> bool:
        """Add ``number``; return True if it was not there before."""
        if number in self._recent or self._is_packed(number):
            return False
        self._recent.add(number)
        if len(self._recent) > _MOST_RECENT:
            self._pack()
        return True

    def add_all(self, numbers: Sequence[int]) -> list[bool]:
        """Add numbers; return for each whether it was not there before.

        Most pages of a list begin with a row of the page before, and all others are new: the rest
        is taken together then, and packed at once where it goes up from there.
        """
        if self._goes_up(numbers):
            seam = 1 if self._packed and numbers[0] == self._greatest else 0
            self._keep(numbers[seam:])
            return [False] * seam + [True] * (len(numbers) - seam)
        fresh = list(map(self.add, numbers[:1]))
        rest = numbers[1:]
        new = set(rest)
        if len(new) < len(rest) or not new.isdisjoint(self._recent) or self._may_be_packed(new):
            return fresh + list(map(self.add, rest))
        self._recent |= new
        if len(self._recent) > _MOST_RECENT:
            self._pack()
        return fresh + [True] * len(rest)

    def _goes_up(self, numbers: Sequence[int]) -> bool:
        """Return True if numbers go up from the greatest that is here, all within one chunk."""
        if self._recent or len(numbers) < 2 or (self._packed and numbers[0] < self._greatest):  # noqa: PLR2004 - with the one that is there already
            return False
        one_chunk = numbers[0] >> _LOW_BITS == numbers[-1] >> _LOW_BITS
        return one_chunk and all(map(lt, numbers, numbers[1:]))

    def _may_be_packed(self, numbers: set[int]) -> bool:
        if not self._packed or not numbers:
            return False
        return min(numbers) <= self._greatest and max(numbers) >= self._least

    def _is_packed(self, number: int) -> bool:
        chunk, low = self._chunks.get(number >> _LOW_BITS), number & _LOW
        if chunk is None:
            return False
        place = bisect_left(chunk, low)
        return place < len(chunk) and chunk[place] == low

    def _pack(self) -> None:
        numbers = sorted(self._recent)
        self._recent.clear()
        while numbers:
            begin = bisect_left(numbers, numbers[-1] >> _LOW_BITS << _LOW_BITS)
            self._keep(numbers[begin:])
            del numbers[begin:]

    def _keep(self, numbers: Sequence[int]) -> None:
        """Pack sorted numbers of one chunk."""
        first, last = numbers[0], numbers[-1]
        self._least = min(self._least, first) if self._packed else first
        self._greatest = max(self._greatest, last) if self._packed else last
        self._packed += len(numbers)
        lows = array("H", [number & _LOW for number in numbers])
        chunk = self._chunks.setdefault(first >> _LOW_BITS, lows)
        if chunk is lows:
            return
        if chunk[-1] < lows[0]:
            chunk.extend(lows)
        else:
            self._chunks[first >> _LOW_BITS] = array("H", sorted((*chunk, *lows)))


#: A first page of a multiple of so many rows may be cut off, whatever was asked for.
_ROUND: Final = 50
#: So may one of more rows than CAKE gives by default, where still more were asked for.
_USUAL: Final = 100


@final
class ListPass:
    """The state of one pass over a list.

    Args:
        row_limit: How many rows to ask for in each page.
        seen: The rows of this pass, by their ids; none yet.
        anomaly: Called with an undocumented behaviour of the list, and the detail.
        counts_list: What an earlier pass found about ``total_rows``: that it counts the rows of the
            list (True), that it does not (False), or nothing (None).
    """

    __slots__ = (
        "_anomaly",
        "_asked",
        "_believed",
        "_beyond",
        "_changed",
        "_cursor",
        "_first",
        "_full",
        "_furthest",
        "_last",
        "_of_page",
        "_probing",
        "_shared",
        "_shift",
        "_suspected",
        "counts_list",
        "ignores_start",
        "inconsistency",
        "named_total",
        "over",
        "pages",
        "row_limit",
        "seen",
    )

    def __init__(
        self,
        row_limit: int,
        seen: IdSet,
        anomaly: Callable[[str, str], None],
        counts_list: bool | None = None,  # noqa: FBT001 - three values
    ) -> None:
        self.row_limit: int = row_limit
        """The rows to ask for: no more than the first page really gave, once it is here."""
        self.named_total: int | None = None
        """The last ``total_rows``."""
        self.counts_list = counts_list
        """True if ``total_rows`` counts the rows of the list; None as long as nothing shows it."""
        self.pages: int = 0
        """The number of pages that were taken."""
        self.over: bool = False
        """True if there is nothing more to request."""
        self.inconsistency: str = ""
        """Why the pass cannot be trusted to be complete; empty as long as it can."""
        self.ignores_start: bool = False
        """True if the server sent its first page again for a later start."""
        self.seen: IdSet = seen
        """The rows of this pass."""
        self._anomaly = anomaly
        self._asked = row_limit
        #: How many rows a page shares with the one before: one, if it has room for two.
        self._shared = 1 if row_limit > 1 else 0
        self._believed = counts_list is True
        self._changed = ""  # how total_rows changed
        self._of_page = True  # whether total_rows was the number of rows of each page
        self._suspected = False  # whether the first page may be cut off, by its number of rows
        self._first: tuple[int, ...] = ()  # the rows of the first page
        self._last: int | None = None
        self._cursor = -1  # the place of the last row in the list, counted from 0
        self._shift: int | None = None  # 1 where the server counts from 1; None: not known yet
        self._furthest = 0  # the last start that was planned
        self._full = False  # whether the last page could not have held more
        self._beyond = False  # whether the next page is to begin behind the last row
        self._probing = False  # whether all was read, and the first page is due again

    @property
    def total_rows(self) -> int | None:
        """Return how many rows the list has by its last page; None where that does not say."""
        return None if self._of_page and self.pages > 1 else self.named_total

    @property
    def capped(self) -> bool:
        """Return True if the first page had fewer rows than requested though there are more."""
        return len(self._first) < min(self._asked, len(self.seen))

    @property
    def next_start(self) -> int:
        """Return the start at which the pass goes on; a page that starts later does not fit."""
        if not self.pages or self._probing:
            return 0
        return self._cursor + (self._shift or 0) + 1 - (0 if self._beyond else self._shared)

    def ahead(self) -> int | None:
        """Return the start of a further page that is worth requesting now, or None."""
        if not self.pages or (self.total_rows is None and not self._full):
            return None
        start = self._furthest + len(self._first) - self._shared
        first_new = start - (self._shift or 0) + self._shared
        if self.total_rows is not None and first_new >= self.total_rows:
            return None
        self._furthest = start
        return start

    def take(self, start: int, ids: Sequence[int], total_rows: int | None) -> list[bool]:
        """Add the rows of the page that was requested at ``start``, by their ids.

        Returns:
            For each row, True if this pass had not met it before.
        """
        fresh = self.seen.add_all(ids)
        new = fresh.count(True)
        if self._probing:
            self._take_first_again(ids, new)
            return fresh
        self._compare(len(ids), total_rows)
        if self._is_behind(start, ids) and not new:
            return fresh
        asked, known_shift = self.row_limit, self._shift
        met = self._find_overlap(start, ids) if self.pages else self._begin(ids)
        if met is None and not new and self._is_whole:
            self._end()
            return fresh
        if met is None:
            self._distrust("a page did not continue where the one before it ended")
        elif new + met < len(ids):
            self._anomaly("row repeated", f"in the page at row {start}")
        self.pages += 1
        self._furthest = max(self._furthest, start)
        self._cursor = start - (self._shift or 0) + len(ids) - 1
        self._last = ids[-1] if ids else self._last
        self._suspected = self._may_be_cut_off(len(ids), asked)
        self._full = len(ids) == asked or self._suspected
        self._weigh(len(ids))
        only_shared = met == len(ids) > 0 and not self._beyond
        self._beyond = False
        if new:
            self._go_on(len(ids), asked)
        elif only_shared and not self._is_all:
            self._beyond = True
        elif not (self._full and self._shift and known_shift is None):
            again = met != len(ids) and tuple(ids) == self._first
            self.ignores_start = again and not self._changed
            self._end()
        return fresh

    def _take_first_again(self, ids: Sequence[int], new: int) -> None:
        if new or tuple(ids[:1]) != self._first[:1]:
            self._distrust("rows seemed to count from 1, but another row came first")
        self.over = True
        self._count()

    def _end(self) -> None:
        """End the pass; after another look at row 0 if only a seam shows that rows count from 1."""
        if self._shift and self.total_rows is None and not self.inconsistency:
            self._probing = True
            return
        self.over = True
        self._count()

    @property
    def _is_whole(self) -> bool:
        """Return True if the first page is all: it has as many rows as the second page's total."""
        return (
            self._suspected
            and not self._of_page
            and not self._changed
            and self.named_total == len(self._first)
        )

    def _may_be_cut_off(self, rows: int, asked: int) -> bool:
        if self.pages > 1 or not rows or rows == asked:
            return False
        if self._believed and rows == self.named_total:
            return False
        return rows % _ROUND == 0 or _USUAL < rows < asked

    def _weigh(self, rows: int) -> None:
        """Infer from the size of a page whether ``total_rows`` counts the list."""
        if self.named_total is None:
            return
        if rows and self._cursor + 1 > self.named_total:
            self.counts_list = False
        elif rows < self.named_total and self.counts_list is None:
            self.counts_list = True

    @property
    def _is_all(self) -> bool:
        """Return True if as many rows were read as the total says."""
        return self.total_rows is not None and self._cursor + 1 >= self.total_rows

    def _is_behind(self, start: int, ids: Sequence[int]) -> bool:
        """Return True if a prefetched page ends before the last row read: pages were cut off."""
        return len(ids) > 0 and start - (self._shift or 0) + len(ids) <= self._cursor

    def _begin(self, ids: Sequence[int]) -> int:
        if ids:
            self._first = tuple(ids)
            self.row_limit = min(self.row_limit, len(ids))
            self._shared = 1 if self.row_limit > 1 else 0
        return 0

    def _find_overlap(self, start: int, ids: Sequence[int]) -> int | None:
        """Return how many rows at the page's front were read before; None if there is a gap."""
        for shift in (0, 1) if self._shift is None else (self._shift,):
            place = self._cursor - start + shift  # where the last row should be in this page
            if 0 <= place < len(ids) and ids[place] == self._last:
                if shift and self._shift is None:
                    self._anomaly("counts from 1", f"the page at row {start} begins one row early")
                self._shift = shift
                return place + 1
        self._shift = self._shift or 0
        return 0 if start == self.next_start and (self._beyond or not self._shared) else None

    def _compare(self, rows: int, total_rows: int | None) -> None:
        if total_rows is None:
            return
        before, self.named_total = self.named_total, total_rows
        was_of_page, self._of_page = self._of_page, self._of_page and total_rows == rows
        changed = before not in (None, total_rows)
        if changed:
            self._changed = f"{before}, then {total_rows}"
        if self._changed and not self._of_page and (changed or was_of_page):
            self._anomaly("total changed", self._changed)
            self._distrust(f"total_rows was {self._changed}")

    def _go_on(self, rows: int, asked: int) -> None:
        if self._is_all:
            if not self._full:
                self._end()
        elif self.total_rows is not None and rows < asked:
            self._anomaly("fewer rows than asked", f"{rows} of {asked}")

    def _count(self) -> None:
        rows = len(self.seen)
        if self.named_total is not None and self.total_rows is None and not self.inconsistency:
            self._anomaly("total of the page", f"{self.named_total}, and there are {rows} rows")
        if self.total_rows not in (None, rows):
            self._distrust(f"{rows} distinct rows, and total_rows is {self.total_rows}")
        elif rows != self._cursor + 1:
            self._distrust(f"{rows} distinct rows of {self._cursor + 1}")

    def _distrust(self, why: str) -> None:
        self.inconsistency = self.inconsistency or why
