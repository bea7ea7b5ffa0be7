"""The records that a run is about to write, as recent list pages have shown them.

To look at each record by itself doubles the requests of a run. Where the rows of a plan lie
together in a list, one page of it shows hundreds of them at once. This class says which page to ask
for, if any, and keeps what came; whoever makes the requests reads its responses.

It learns from the records that were read one by one: where the first two, or later three in a row,
have their status and month in common, others will, and the list is filtered by these. The next page
begins behind the last row that was of use. Rows that are written leave a list that is filtered by
what they were. A page has to pay: one more is asked for only while pages have shown at least as
many records as there were pages, so that a run of scattered rows makes one request too many at
most.

A page is never trusted for more than that a record stood there, by its id, as it is expected: any
other record is read by itself. What an instance filters or leaves out makes a run slower, and never
wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

#: A page is good for so many seconds, from when it was asked for.
_FRESH: Final = 5.0
#: How many rows are asked for at once.
_ROWS: Final = 1_000
#: A page that has shown fewer records than this was not worth it.
_WORTH: Final = 2
#: How many pages may fail in a run.
_MOST_FAILURES: Final = 3
#: How many records have to be alike for a list to be tried: at first, and later.
_ALIKE_AT_FIRST: Final = 2
_ALIKE: Final = 3


class _Page:
    """A page that came.

    Args:
        asked_at: When it was asked for.
        offset: The place of its first row in the list.
        rows: Its records that were not used yet, by id, each with its place on the page.
        size: How many rows it had.
        whole: True if that was all of the list.

    Attributes:
        used: How many of its records were used.
        gone: How many of these have left the list since.
        last: The last place of one that was used.
    """

    def __init__(
        self,
        asked_at: float,
        offset: int,
        rows: dict[int, tuple[int, object]],
        size: int,
        whole: bool,  # noqa: FBT001 - as they are listed
    ) -> None:
        self.asked_at = asked_at
        self.offset = offset
        self.rows = rows
        self.size = size
        self.whole = whole
        self.used = 0
        self.gone = 0
        self.last = -1

    def next_offset(self) -> int:
        """Return where the next page begins: some rows before the first that was not used."""
        if self.whole:
            return 0
        return max(self.offset + self.last + 1 - self.gone - self.size // 10, 0)


class Lead:
    """A look from which others learn, who wait for its end."""

    def __init__(self, rows: "RecentRows", reading: anyio.Event) -> None:
        self._rows = rows
        self._reading = reading

    def end(self) -> None:
        """Resume the waiting calls. Can be called twice."""
        self._rows.end(self._reading)


class RecentRows:
    """The rows that a run has seen lately in lists.

    Args:
        number: Returns the id of a record.
        narrow: Returns the filters of a list in which records that are alike lie; None where
            they have too little in common.
    """

    def __init__(
        self,
        number: Callable[[object], int],
        narrow: Callable[[Sequence[object]], Mapping[str, object] | None],
    ) -> None:
        self._number = number
        self._narrow = narrow
        self._filters: Mapping[str, object] | None = None
        self._page: _Page | None = None
        #: The records that were read by themselves last, one after the other.
        self._single: list[object] = []
        self._wanted_alike = _ALIKE_AT_FIRST
        #: How many records more than pages were shown.
        self._credit = 0
        #: Whether a record that should be on the last page was not there.
        self._missed = False
        #: How many pages could not be read, and whether lists are of no use here therefore.
        self._failures = 0
        self._off = False
        #: When a record was last written, where a page may have been asked for before.
        self._written: dict[int, float] = {}
        #: Set when a look has ended from which others learn.
        self._reading: anyio.Event | None = None

    async def wait_for_look(self, number: int, now: Callable[[], float]) -> None:
        """Wait while another look may show the record or the positions of the rows."""
        while self._reading is not None and self.find(number, now()) is None:
            await self._reading.wait()

    def begin(self) -> "Lead | None":
        """Record that a look begins; return the lead that others wait for, if any."""
        if self._reading is None and (self._filters is not None or self._learns):
            self._reading = anyio.Event()
            return Lead(self, self._reading)
        return None

    def end(self, reading: anyio.Event) -> None:
        """Resume the calls that wait for a look."""
        reading.set()
        if self._reading is reading:
            self._reading = None

    @property
    def _learns(self) -> bool:
        """Return True while the positions of the rows are unknown."""
        first = self._wanted_alike == _ALIKE_AT_FIRST and len(self._single) < _ALIKE_AT_FIRST
        return first and not self._off

    def find(self, number: int, now: float) -> tuple[object, float] | None:
        """Return a record from a page, and when that page was requested; or None."""
        page = self._page
        if page is None or now - page.asked_at > _FRESH:
            return None
        row = page.rows.get(number)
        if row is None or self._written.get(number, page.asked_at) > page.asked_at:
            return None
        return row[1], page.asked_at

    def use(self, number: int, arguments: Mapping[str, object]) -> None:
        """Record that a record on the page is as expected and is about to be written."""
        page, filters = self._page, self._filters or {}
        if page is None or number not in page.rows:
            return
        place, _ = page.rows.pop(number)
        page.used += 1
        page.last = max(page.last, place)
        page.gone += any(arguments.get(name, value) != value for name, value in filters.items())
        self._credit += 1
        self._single.clear()

    def wrote(self, number: int, now: float) -> None:
        """Record that a record may have been written, so pages show an old state of it."""
        written = self._written
        written.pop(number, None)
        written[number] = now
        for first, at in list(written.items()):
            if now - at <= _FRESH:
                break
            del written[first]

    def next_page(self, now: float) -> dict[str, object] | None:
        """Return the arguments to request a page; None to read the record by itself."""
        if self._off or self._credit < 0:
            return None
        page = self._page
        if page is not None and now - page.asked_at > _FRESH and page.used < _WORTH:
            self._filters = self._page = page = None
        if len(self._single) == self._wanted_alike:
            filters = self._narrow(self._single)
            if filters is not None and filters != self._filters:
                self._filters, self._page, page = filters, None, None
                self._wanted_alike = _ALIKE
        if self._filters is None:
            return None
        if page is not None and now - page.asked_at <= _FRESH and not self._missed:
            return None
        offset = 0 if page is None else page.next_offset()
        return {**self._filters, "row_limit": _ROWS} | ({"start_at_row": offset} if offset else {})

    def add(
        self,
        asked: Mapping[str, object],
        rows: Sequence[object],
        total: int | None,
        asked_at: float,
    ) -> None:
        """Store the rows of a page that was requested by :meth:`next_page`."""
        offset = asked.get("start_at_row", 0)
        found: dict[int, tuple[int, object]] = {}
        twice: set[int] = set()
        for place, row in enumerate(rows):
            number = self._number(row)
            if number in found:
                twice.add(number)
            found[number] = place, row
        for number in twice:  # of two rows nobody knows which is true
            del found[number]
        start = offset if isinstance(offset, int) else 0
        whole = not start and (len(rows) < _ROWS if total is None else total <= len(rows))
        self._page = _Page(asked_at, start, found, len(rows), whole)
        self._credit -= 1
        self._missed = False

    def failed(self) -> None:
        """Count a page that could not be read; after a few, no more are requested."""
        self._failures += 1
        self._off = self._failures >= _MOST_FAILURES
        self._page = None

    def got(self, record: object, now: float) -> None:
        """Record that a record was read by itself and was as expected."""
        self._single = [*self._single, record][-self._wanted_alike :]
        page = self._page
        if page is not None and now - page.asked_at <= _FRESH and not page.whole:
            self._missed = True
