"""The create guard: a create whose partner has a record of an overlapping period is not sent.

CAKE has no idempotency keys, so the only protection against a second invoice for the same work is
to look whether there is one. Records are listed without dates, since CAKE's filters find only
those that lie wholly inside a period. Creates of one partner whose periods overlap go one after the
other, and none goes while the fate of one before is unknown.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final, cast

import anyio
import attrs

from aiocake._operation import Creates, Executor, Record
from aiocake.bulk._call import Call
from aiocake.errors import ConsistencyError, ListChanged

__all__ = ["Found", "Guard", "Wanted", "wanted"]

#: Of a list of all partners: the rows that one request brings, and the most that is read.
_ROWS_AT_ONCE: Final = 1_000
_MOST_ROWS: Final = 200_000
#: How many partners' records are remembered at once.
_MOST_OWNERS: Final = 10_000


@attrs.frozen
class Wanted:
    """What a create is to make.

    Attributes:
        owner: Whose.
        start: The first day of its period.
        end: The last day, included.
    """

    owner: int
    start: date
    end: date

    def meets(self, record: Record) -> bool:
        """Whether a record that is not void covers a day of this period, or may."""
        if record.void:
            return False
        if record.start is None or record.end is None:
            return True
        return record.start <= self.end and self.start <= record.end

    def is_exactly(self, record: Record) -> bool:
        """Whether a record is of this very period."""
        return (record.start, record.end) == (self.start, self.end)

    def excludes(self, other: "Wanted") -> bool:
        """Whether two creates must not be on their way together."""
        return self.owner == other.owner and self.start <= other.end and other.start <= self.end


@attrs.frozen
class Found:
    """What there is for the partner of a create.

    Attributes:
        there: The ids of the records of an overlapping period, or of one that is not shown.
        dateless: Whether a record's period is not shown, so that nothing can be told by it.
        doubted: Whether an overlapping create was sent whose fate is unknown.
    """

    there: tuple[int, ...]
    dateless: bool
    doubted: bool


def wanted(call: Call[Any]) -> tuple[Creates, Wanted] | None:
    """What a call is to create; None of a call that creates nothing that can be listed."""
    creates = call.table.creates
    if creates is None:
        return None
    given = call.arguments  # checked when the call was made
    return creates, Wanted(
        cast("int", given[creates.owner]),
        cast("date", given[creates.start]),
        cast("date", given[creates.end]),
    )


class _Owner:
    __slots__ = ("changed", "lock", "on_the_way", "records", "users")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.records: list[Record] | None = None
        self.on_the_way: list[Wanted] = []
        self.changed = anyio.Event()
        self.users = 0


class Guard:
    """Knows what there is for each partner."""

    def __init__(self) -> None:
        self._owners: dict[int, _Owner] = {}
        self._doubts: list[Wanted] = []
        #: The records of the partners that the plan names, read at once.
        self._expected: dict[int, list[Record]] = {}
        #: All records there are, of an instance that does not know the filter.
        self._everything: dict[int, list[Record]] | None = None
        self._reading = anyio.Lock()

    async def expect(self, creates: Creates, executor: Executor, owners: frozenset[int]) -> None:
        """Read the records of all partners of a plan at once, if that takes fewer requests.

        Args:
            creates: How to read them.
            executor: What carries that out.
            owners: The partners.

        Raises:
            CakeError: They cannot be read.
        """
        total = await creates.total(executor)
        if total is None or total > _MOST_ROWS or len(owners) <= 1 + total // _ROWS_AT_ONCE:
            return
        found: dict[int, list[Record]] = {owner: [] for owner in owners}

        def keep(record: Record) -> None:
            if record.owner in owners:
                found[record.owner].append(record)

        await creates.visit(executor, None, keep)
        self._expected = found

    @asynccontextmanager
    async def turn(
        self, creates: Creates, executor: Executor, wish: Wanted
    ) -> AsyncGenerator[Found]:
        """What there is for the partner of a create, which may go until the block ends.

        Raises:
            CakeError: It cannot be read.
        """
        owner = self._owners.setdefault(wish.owner, _Owner())
        owner.users += 1
        try:
            while any(map(wish.excludes, owner.on_the_way)):
                await owner.changed.wait()
            owner.on_the_way.append(wish)
            try:
                async with owner.lock:
                    if owner.records is None:
                        owner.records = await self._read(creates, executor, wish.owner)
                yield self._found(wish, owner.records)
            finally:
                owner.on_the_way.remove(wish)
                owner.changed.set()
                owner.changed = anyio.Event()
        finally:
            owner.users -= 1
            self._forget()

    def created(self, wish: Wanted, record: int) -> None:
        """A record was made: it counts from now on."""
        owner = self._owners.get(wish.owner)
        if owner is not None and owner.records is not None:
            owner.records.append(Record(record, wish.owner, wish.start, wish.end, void=False))

    def doubt(self, wish: Wanted) -> None:
        """A record may have been made."""
        if wish not in self._doubts:
            self._doubts.append(wish)

    def settle(self, wish: Wanted) -> None:
        """What became of a record in doubt is known: look again."""
        self._doubts = [each for each in self._doubts if each != wish]
        self._expected.pop(wish.owner, None)
        self._everything = None
        owner = self._owners.get(wish.owner)
        if owner is not None:
            owner.records = None

    def _found(self, wish: Wanted, records: list[Record]) -> Found:
        there = [each for each in records if wish.meets(each)]
        return Found(
            tuple(sorted(each.id for each in there)),
            any(each.start is None or each.end is None for each in there),
            any(map(wish.excludes, self._doubts)),
        )

    async def _read(self, creates: Creates, executor: Executor, owner: int) -> list[Record]:
        if owner in self._expected:
            return self._expected[owner]
        if self._everything is None:
            found: list[Record] = []
            try:
                await creates.visit(executor, owner, found.append)
            except ListChanged:
                raise
            except ConsistencyError:  # an instance that does not know the filter gives all
                await self._read_everything(creates, executor)
            else:
                return found
        return (self._everything or {}).setdefault(owner, [])

    async def _read_everything(self, creates: Creates, executor: Executor) -> None:
        async with self._reading:
            if self._everything is not None:
                return
            found: dict[int, list[Record]] = {}
            await creates.visit(
                executor, None, lambda record: found.setdefault(record.owner, []).append(record)
            )
            self._everything = found

    def _forget(self) -> None:
        if len(self._owners) <= _MOST_OWNERS:
            return
        idle = next((each for each, owner in self._owners.items() if not owner.users), None)
        if idle is not None:
            del self._owners[idle]
