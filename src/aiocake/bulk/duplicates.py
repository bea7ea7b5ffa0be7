"""The duplicate guard: holds back a create if the partner has a record of an overlapping period.

:class:`PlannedCreate` is the record that a create is to make, :class:`KnownRecords` those that the
partner has already. :class:`DuplicateGuard` compares the two before a create; recovery and the last
check of a run (:mod:`aiocake.bulk.reconciliation`) compare them after it.

CAKE has no idempotency keys, so the only protection against a second invoice for the same work is
to look whether there is one. Records are listed without dates, since CAKE's filters find only
records that lie entirely within a period. Creates of one partner whose periods overlap are sent one
after the other, and none is sent while the outcome of an earlier one is unknown. Runs on the same
host wait for each other by a lock (:mod:`aiocake.bulk.partner_locks`). If another run has created
for a partner since it was listed, the partner is listed again.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final, cast

import anyio
import attrs

from aiocake._operations.operation import CreateLookup, Executor, ExistingRecord
from aiocake.bulk.calls import Call
from aiocake.bulk.journal import Journal
from aiocake.bulk.journal_store import Claimed
from aiocake.bulk.partner_locks import PartnerLocks
from aiocake.errors import ConsistencyError, ListChanged, NotSent
from aiocake.events import LocksUnavailable, PartnerBusy

#: For a list of all partners: rows per request, and the most rows that are read.
_ROWS_AT_ONCE: Final = 1_000
_MOST_ROWS: Final = 200_000
#: A number that no partner has.
NEVER: Final = -1
#: Seconds between two questions for a claim that another run has: the first, and the most.
_SHORTEST, _LONGEST = 0.01, 1.0


@attrs.frozen
class PlannedCreate:
    """The record that a create is to make.

    Attributes:
        operation: The operation's name.
        owner: The partner's id.
        start: The first day of its period.
        end: The last day, included.
    """

    operation: str
    owner: int
    start: date
    end: date

    def meets(self, record: ExistingRecord) -> bool:
        """Return True if a record, not void, overlaps this period, or may."""
        return not record.void and self.overlaps(record)

    def overlaps(self, record: ExistingRecord) -> bool:
        """Return True if a record, void or not, overlaps this period, or may."""
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
    """Return the record that a call is to create, and how to list such records; None for others."""
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
        total: How many records all partners have, if that is known.
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
            creates: How to list the records.
            executor: Lists them.
            owners: The partners.

        Raises:
            CakeError: The records cannot be listed.
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
        """Return the records of a partner; list them unless that was done at this number.

        Raises:
            CakeError: The records cannot be listed.
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


#: How many partners' records are remembered at once.
_MOST_OWNERS: Final = 10_000


@attrs.frozen
class Existing:
    """The records that a create's partner has already.

    Attributes:
        existing: The ids of the records whose period overlaps, or is not shown.
        before: The same, with those of void records.
        dateless: True if a record shows no period, so that nothing can be concluded from it.
        doubted: True if an overlapping create was sent whose outcome is unknown.
        listed: All records of the partner, as they were listed, and those that the run has made.
    """

    existing: tuple[int, ...]
    before: tuple[int, ...]
    dateless: bool
    doubted: bool
    listed: Sequence[ExistingRecord]


class _Owner:
    __slots__ = ("changed", "claimed", "holding", "in_flight", "lock", "number", "records", "users")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.records: list[ExistingRecord] | None = None
        #: At which number of the partner they are right.
        self.number = NEVER
        #: And the same of claims.
        self.claimed = NEVER
        self.in_flight: list[PlannedCreate] = []
        #: Those of them for which no other run of this host may create now.
        self.holding: list[PlannedCreate] = []
        self.changed = anyio.Event()
        self.users = 0


class DuplicateGuard:
    """Keeps creates apart, and knows the records of each partner.

    Args:
        locks: Keep other runs on this host away.
        journal: The journal of the run, which may keep those away that share its database.
    """

    def __init__(self, locks: PartnerLocks, journal: Journal | None = None) -> None:
        self._locks = locks
        self._journal = None if journal is None or journal.claims is None else journal
        #: The numbers that claims had when all partners were listed.
        self._claimed: dict[int, int] = {}
        self._owners: dict[int, _Owner] = {}
        self._doubts: list[PlannedCreate] = []
        self._reported = False
        self._records = KnownRecords(numbers=locks.numbers)

    @property
    def unlocked(self) -> str | None:
        """Return why other runs on this host are not kept away; None if they are."""
        return self._locks.trouble if self._journal is None else None

    @property
    def total(self) -> int | None:
        """Return how many records all partners have; None if that was not requested."""
        return self._records.total

    async def expect(
        self, creates: CreateLookup, executor: Executor, owners: frozenset[int]
    ) -> None:
        """Read the records of all partners of a plan at once (:meth:`KnownRecords.expect`)."""
        if self._journal is not None:
            self._claimed = await self._journal.claimed_numbers()  # before the list, as the others
        await self._records.expect(creates, executor, owners)

    @asynccontextmanager
    async def reserve(
        self, creates: CreateLookup, executor: Executor, create: PlannedCreate, index: int
    ) -> AsyncGenerator[Existing]:
        """Wait for a create's turn, and yield the existing records; send the create in the block.

        No other run on this host creates for the partner until the block or the create ends; and
        none that shares the journal's database for the partner and overlapping days, until the
        journal has how it ended.

        Args:
            creates: How to list the records.
            executor: Lists them.
            create: The record that is to be made.
            index: The place of the create in the plan.

        Raises:
            CakeError: The records cannot be listed, or another run has left such a create in doubt.
        """
        owner = self._owners.setdefault(create.owner, _Owner())
        owner.users += 1
        try:
            while any(map(create.excludes, owner.in_flight)):
                await owner.changed.wait()
            owner.in_flight.append(create)
            try:
                doubted = any(map(create.excludes, self._doubts))
                if self._journal is not None and not doubted:
                    await self._claim(self._journal, executor, create, index, owner)
                yield self._found(create, await self._look(creates, executor, create, owner))
            finally:
                self._give(owner, create)
                owner.in_flight.remove(create)
                owner.changed.set()
                owner.changed = anyio.Event()
        finally:
            owner.users -= 1
            self._forget()

    def leaves(self, create: PlannedCreate) -> None:
        """Record that a create is about to be sent."""
        owner = self._owners[create.owner]
        owner.number = self._locks.leaves(create.owner)

    def ended(self, create: PlannedCreate, *, known: bool) -> None:
        """Record that a create has ended, once its outcome is in the journal.

        Args:
            create: The record that it was to make.
            known: True if its outcome is known.
        """
        owner = self._owners.get(create.owner)
        # Not when its caller was gone before: then another run may be at the partner.
        if owner is not None and create in owner.holding:
            self._locks.ended(create.owner, known=known)
            self._give(owner, create)

    def close(self) -> None:
        """Release the locks that other runs on this host may wait for."""
        self._locks.close()

    def created(self, create: PlannedCreate, record: int) -> None:
        """Add a record that was created."""
        owner = self._owners.get(create.owner)
        if owner is not None and owner.records is not None:
            owner.records.append(
                ExistingRecord(record, create.owner, create.start, create.end, void=False)
            )

    def mark_uncertain(self, create: PlannedCreate) -> None:
        """Record that a create may have been carried out."""
        if create not in self._doubts:
            self._doubts.append(create)

    def begin_settling(self, create: PlannedCreate) -> None:
        """Start the time in which the record of a lost create may show up."""
        self._locks.begin_settling(create.owner)

    def settle(self, create: PlannedCreate) -> None:
        """Clear the doubt about a create, and have its partner listed again."""
        self._doubts = [each for each in self._doubts if each != create]
        self._records.forget(create.owner)
        owner = self._owners.get(create.owner)
        if owner is not None:
            owner.records = None

    async def _claim(
        self,
        journal: Journal,
        executor: Executor,
        create: PlannedCreate,
        index: int,
        owner: "_Owner",
    ) -> None:
        """Wait until no other run has a claim for the partner and days of a create, and take it."""
        wait, reported = _SHORTEST, False
        while True:
            found = await journal.claim(index, create.owner, create.start, create.end)
            if isinstance(found, Claimed):
                break
            if found.in_doubt:
                raise NotSent(
                    f"nothing was sent: the outcome of a create for affiliate {create.owner} and "
                    f"overlapping days is unknown in {found.run}: resume that run, or, once you "
                    f"have seen in CAKE what became of it: aiocake journal release {found.run}"
                )
            if not reported:
                reported = True
                executor.emit(PartnerBusy(create.operation, create.owner, None, found.run))
            await anyio.sleep(wait)
            wait = min(2 * wait, _LONGEST)
        if found.number != owner.claimed:
            owner.records = None
        if found.number != self._claimed.get(create.owner, 0):
            self._records.forget(create.owner)
        # Who has a claim now may create behind the list that is read next.
        owner.claimed = found.number + 1 if found.alone else NEVER
        self._claimed[create.owner] = owner.claimed

    async def _look(
        self, creates: CreateLookup, executor: Executor, create: PlannedCreate, owner: _Owner
    ) -> list[ExistingRecord]:
        async with owner.lock:
            if not owner.holding:
                number = await self._locks.take(
                    create.owner,
                    lambda seconds: executor.emit(
                        PartnerBusy(create.operation, create.owner, seconds)
                    ),
                )
                if self.unlocked is not None and not self._reported:
                    self._reported = True
                    executor.emit(LocksUnavailable(create.operation, self.unlocked))
                if number != owner.number:
                    owner.number, owner.records = number, None
            owner.holding.append(create)
            if owner.records is None:
                owner.records = await self._records.of(
                    creates, executor, create.owner, owner.number
                )
            return owner.records

    def _give(self, owner: _Owner, create: PlannedCreate) -> None:
        if create in owner.holding:
            owner.holding.remove(create)
            if not owner.holding:
                self._locks.give(create.owner)

    def _found(self, create: PlannedCreate, records: list[ExistingRecord]) -> Existing:
        there = [each for each in records if create.meets(each)]
        return Existing(
            tuple(sorted(each.id for each in there)),
            tuple(sorted(each.id for each in records if create.overlaps(each))),
            any(each.start is None or each.end is None for each in there),
            any(map(create.excludes, self._doubts)),
            records,
        )

    def _forget(self) -> None:
        if len(self._owners) <= _MOST_OWNERS:
            return
        idle = next((each for each, owner in self._owners.items() if not owner.users), None)
        if idle is not None:
            del self._owners[idle]
