"""What a create makes, and the records that its partner has already, as lists show them.

The guard (:mod:`aiocake.bulk.duplicates`) compares the two before a create, recovery and the last
look of a run after it.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, Final, cast

import anyio
import attrs

from aiocake._operations.operation import CreateLookup, Executor, ExistingRecord
from aiocake.bulk.call import Call
from aiocake.errors import ConsistencyError, ListChanged

#: Of a list of all partners: the rows that one request brings, and the most that is read.
_ROWS_AT_ONCE: Final = 1_000
_MOST_ROWS: Final = 200_000
#: No number that a partner has.
NEVER: Final = -1


@attrs.frozen
class PlannedCreate:
    """The record that a create is to make.

    Attributes:
        operation: The operation's name.
        owner: Whose.
        start: The first day of its period.
        end: The last day, included.
    """

    operation: str
    owner: int
    start: date
    end: date

    def meets(self, record: ExistingRecord) -> bool:
        """Return True if a record that is not void covers a day of this period, or may."""
        if record.void:
            return False
        if record.start is None or record.end is None:
            return True
        return record.start <= self.end and self.start <= record.end

    def is_exactly(self, record: ExistingRecord) -> bool:
        """Return True if a record has exactly this period."""
        return (record.start, record.end) == (self.start, self.end)

    def excludes(self, other: "PlannedCreate") -> bool:
        """Return True if two creates must not be in flight together."""
        return self.owner == other.owner and self.start <= other.end and other.start <= self.end


def planned_create(call: Call[Any]) -> tuple[CreateLookup, PlannedCreate] | None:
    """Return the record that a call is to create; None if none that could be listed."""
    creates = call.table.create_lookup
    if creates is None:
        return None
    provided = call.arguments  # checked when the call was made
    return creates, PlannedCreate(
        call.operation,
        cast("int", provided[creates.owner]),
        cast("date", provided[creates.start]),
        cast("date", provided[creates.end]),
    )


class KnownRecords:
    """The records of partners, as lists show them.

    Args:
        total: How many there are of all partners, where that is known.
        numbers: Gives each partner's number (:meth:`PartnerLocks.numbers`), for :meth:`of`.
    """

    def __init__(
        self, total: int | None = None, numbers: Callable[[], dict[int, int]] | None = None
    ) -> None:
        #: How many records there are of all partners; None while that is not known.
        self.total = total
        self._numbers = numbers or dict[int, int]
        #: The records of the partners that were expected, read at once.
        self._expected = _Listed({}, {})
        #: All records there are, of an instance that does not know the filter.
        self._everything: _Listed | None = None
        self._reading = anyio.Lock()

    async def expect(
        self, creates: CreateLookup, executor: Executor, owners: frozenset[int]
    ) -> None:
        """Read the records of some partners at once, if that takes fewer requests.

        Args:
            creates: How to read them.
            executor: Carries that out.
            owners: The partners.

        Raises:
            CakeError: They cannot be read.
        """
        if self.total is None:
            self.total = await creates.count(executor)
        total = self.total
        if total is None or total > _MOST_ROWS or len(owners) <= 1 + total // _ROWS_AT_ONCE:
            return
        found: dict[int, list[ExistingRecord]] = {owner: [] for owner in owners}

        def keep(record: ExistingRecord) -> None:
            if record.owner in owners:
                found[record.owner].append(record)

        numbers = self._numbers()  # before the list: what moves meanwhile is listed again
        await creates.list_existing(executor, None, keep)
        self._expected = _Listed(found, numbers)

    async def of(
        self, creates: CreateLookup, executor: Executor, owner: int, number: int = 0
    ) -> list[ExistingRecord]:
        """Return the records of a partner, listed now if they were not before at this number.

        Raises:
            CakeError: They cannot be read.
        """
        if owner in self._expected.records and self._expected.is_at(owner, number):
            return self._expected.records[owner]
        if self._everything is None:
            found: list[ExistingRecord] = []
            try:
                await creates.list_existing(executor, owner, found.append)
            except ListChanged:
                raise
            except ConsistencyError:  # an instance that does not know the filter gives all
                pass
            else:
                return found
        everything = await self._all(creates, executor, owner, number)
        return everything.records.setdefault(owner, [])

    def forget(self, owner: int) -> None:
        """Forget the records of a partner, so that they are listed again."""
        self._expected.records.pop(owner, None)
        if self._everything is not None:
            self._everything.numbers[owner] = NEVER

    async def _all(
        self, creates: CreateLookup, executor: Executor, owner: int, number: int
    ) -> "_Listed":
        async with self._reading:
            if self._everything is None or not self._everything.is_at(owner, number):
                found: dict[int, list[ExistingRecord]] = {}
                numbers = self._numbers()
                await creates.list_existing(
                    executor, None, lambda record: found.setdefault(record.owner, []).append(record)
                )
                # Its place is locked by now, so what is listed is as new as can be.
                self._everything = _Listed(found, numbers | {owner: number})
            return self._everything


@attrs.frozen
class _Listed:
    """The records that a list of all partners showed.

    Attributes:
        records: The records of each.
        numbers: The number of each when it was read; 0 of others.
    """

    records: dict[int, list[ExistingRecord]]
    numbers: dict[int, int]

    def is_at(self, owner: int, number: int) -> bool:
        """Return True if a partner's number is still the one of this list."""
        return self.numbers.get(owner, 0) == number
