"""The last check of a run: find records that it created and that exist twice.

Two runs on two hosts look, find nothing, and both create. Nothing prevents that, since CAKE has no
idempotency keys; but whichever of them looks last, after both have created, sees it. So each run
lists the partners for whom it has created once more when it ends. A double is a record, not void,
of an overlapping period that was not there when the run looked before its create, and that the run
did not make itself, in this life or in an earlier one. The lists also show whether a record is of
the period that it was made for: the response that named it may have been one to another create.

The journal records the creates that were checked. ``resume`` checks the rest, and again the doubles
that were found, since somebody may have voided them.
"""

from collections import deque
from typing import Any, Final

import anyio
import attrs

from aiocake._operations.operation import CreateLookup, Executor
from aiocake.bulk.calls import Call
from aiocake.bulk.duplicates import KnownRecords, PlannedCreate
from aiocake.bulk.journal import Journal
from aiocake.bulk.outcomes import Double, pause_end
from aiocake.errors import CakeError, RateLimited
from aiocake.events import DoubleFound

#: So few partners are listed one by one: to ask how many records there are takes a request, too.
_FEW: Final = 2


@attrs.frozen
class CreatedRecord:
    """A create that was carried out.

    Attributes:
        index: The call's place in the plan.
        call: The call.
        creates: How to list the records it makes.
        create: The record that it was to make.
        before: The ids of the records that existed before.
        record: The id of the record it made.
    """

    index: int
    call: Call[Any]
    creates: CreateLookup
    create: PlannedCreate
    before: tuple[int, ...]
    record: int


class Doubles:
    """Looks for the doubles of one run.

    Args:
        journal: The journal in which checks are recorded; None for none.
        off: True if nothing is to be checked.
    """

    def __init__(self, journal: Journal | None, *, off: bool) -> None:
        self._journal = journal
        self._off = off
        self._found: dict[int, Double] = {}
        self._ours: set[int] = set()
        #: By partner.
        self._due: dict[int, list[CreatedRecord]] = {}
        #: Why not all were checked; None if they were, or the check is still to come.
        self.trouble: str | None = None
        #: The creates whose record turned out to be of another period: its response was of another
        #: create.
        self.mistaken: list[CreatedRecord] = []

    @property
    def found(self) -> tuple[Double, ...]:
        """Return the doubles, in the order of the plan."""
        return tuple(self._found[index] for index in sorted(self._found))

    @property
    def due(self) -> int:
        """Return how many creates are still to be checked."""
        return sum(map(len, self._due.values()))

    def add(self, made: CreatedRecord) -> None:
        """Add a create that was carried out and is to be checked."""
        if self._off:
            return
        self._ours.add(made.record)
        self._due.setdefault(made.create.owner, []).append(made)

    def recall(self, made: CreatedRecord, theirs: tuple[int, ...] | None) -> None:
        """Add a create that an earlier session carried out.

        Args:
            made: The create.
            theirs: The ids of its doubles; None where they were not looked for.
        """
        if theirs is None or theirs:
            self.add(made)
        self._ours.add(made.record)
        if theirs:
            self._found[made.index] = Double(made.index, made.record, theirs)

    async def look(self, executor: Executor, limit: int, total: int | None) -> None:
        """Check the creates that are due. Stops at the first list that cannot be read.

        Args:
            executor: Lists the records.
            limit: How many partners to list at once.
            total: How many records all partners have, if that is known.
        """
        if not self._due:
            return
        self.trouble = None
        records = KnownRecords(total)
        left = deque(self._due)
        try:
            if len(left) > _FEW or total is not None:
                made = next(iter(self._due.values()))[0]
                await records.expect(made.creates, executor, frozenset(left))
        except CakeError as error:
            self._fail(error, left)

        async def work() -> None:
            while left:
                owner = left.popleft()
                try:
                    await self._compare(executor, records, self._due[owner])
                except CakeError as error:
                    self._fail(error, left)
                else:
                    del self._due[owner]

        async with anyio.create_task_group() as workers:
            for _ in range(min(limit, len(left))):
                workers.start_soon(work)

    def _fail(self, error: CakeError, left: deque[int]) -> None:
        left.clear()
        if self.trouble is None:
            self.trouble = f"{type(error).__name__}: {error}"
            if isinstance(error, RateLimited) and error.retry_after is not None:
                self.trouble += f"; the server asks to wait until {pause_end(error)}"

    async def _compare(
        self, executor: Executor, records: KnownRecords, made: list[CreatedRecord]
    ) -> None:
        there = await records.of(made[0].creates, executor, made[0].create.owner)
        shown = {record.id: record for record in there}
        for each in made:
            record = shown.get(each.record)
            if record is not None and not each.create.overlaps(record):
                self.mistaken.append(each)
                continue
            theirs = tuple(
                sorted(
                    record.id
                    for record in there
                    if each.create.meets(record)
                    and record.id not in self._ours
                    and record.id not in each.before
                )
            )
            self._note(executor, each, theirs)

    def _note(self, executor: Executor, made: CreatedRecord, theirs: tuple[int, ...]) -> None:
        if theirs:
            self._found[made.index] = Double(made.index, made.record, theirs)
            executor.emit(DoubleFound(made.create.operation, made.index, made.record, theirs))
        else:
            self._found.pop(made.index, None)
        if self._journal is not None:
            self._journal.looked(made.index, made.record, theirs)
