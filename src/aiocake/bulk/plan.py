"""The source of a run's calls: a plan that is read during the run, or the journal."""

import json
import sqlite3
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Collection,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from itertools import islice
from typing import Any, Final, TypeVar, cast

import attrs

from aiocake._normalize import class_name, guarded
from aiocake.bulk.calls import Call, Instance
from aiocake.bulk.journal import Entry, EntryState, Journal
from aiocake.errors import ArgumentError, CakeError, JournalError, Problem

T = TypeVar("T")

Calls = Iterable[Call[T]] | AsyncIterable[Call[T]]
CallSource = AsyncGenerator[list["PlannedCall"]]
"""Yields calls, some at a time."""

#: How many calls are taken at once of a plan that does not have to be waited for.
_AT_ONCE: Final = 64
#: The problems of a text that is no call, as :meth:`Call.from_json` names them.
_UNREADABLE: Final = frozenset({"text", "operation", "arguments"})


@attrs.define(eq=False)
class PlannedCall:
    """A call of the plan, and its state.

    Attributes:
        index: Its place in the plan, from 0.
        call: The call.
        state: Its state.
        before: For a create, the ids of the records before it was sent; None if unknown.
        maybe_applied: True if it may have been carried out already. It is sent again since it is
            idempotent, and a refusal then does not show that it was not carried out before.
        rejection: The error it was refused with when it was sent again.
    """

    index: int
    call: Call[Any]
    state: EntryState = EntryState.PLANNED
    before: tuple[int, ...] | None = None
    maybe_applied: bool = False
    rejection: CakeError | None = None


class DuplicateFilter:
    """Finds repeated calls, and bills marked twice, among any number, in a few megabytes.

    A private database of SQLite's in a temporary file, whose pages it holds in part only.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16000"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, digest: bytes) -> bool:
        """Add a digest; return True if it is new."""
        statement = "INSERT OR IGNORE INTO seen VALUES (?)"
        return self._database.execute(statement, (digest,)).rowcount == 1

    def close(self) -> None:
        """Delete the file."""
        self._database.close()


class CallPlan:
    """A plan that is read while it runs: each call is checked, and written to the journal.

    Args:
        calls: The calls.
        repeats: Recognizes equal calls; None to allow them.
    """

    def __init__(self, calls: Calls[Any], repeats: DuplicateFilter | None) -> None:
        self._async: AsyncIterator[Call[Any]] | None = None
        self._sync: Iterator[Call[Any]] = iter(())
        guarded("calls", lambda: self._begin(calls))
        self._repeats = repeats
        self._held: list[Call[Any]] = []
        self._error: Exception | None = None
        #: How many calls were read.
        self.read: int = 0
        #: True once it was read to its end.
        self.complete: bool = False
        #: The instance that all calls must be of.
        self.domain = ""
        #: Where the calls are written down.
        self.journal: Journal | None = None
        #: The digests of the calls, joined; None if they are not needed later.
        self.digests: bytearray | None = None

    def _begin(self, calls: object) -> None:
        if isinstance(calls, AsyncIterable):
            self._async = aiter(cast("AsyncIterable[Call[Any]]", calls))
        elif isinstance(calls, Iterable):
            self._sync = iter(cast("Iterable[Call[Any]]", calls))
        else:
            raise ArgumentError(
                Problem("calls", f"must be an iterable of calls, got {class_name(calls)}")
            )

    async def peek(self) -> Call[Any] | None:
        """Return the first call, which :meth:`batches` yields as well; None if there is none.

        Raises:
            ArgumentError: It is not a call.
        """
        self._held = await self._take(1)
        return _call(0, self._held[0]) if self._held else None

    async def batches(self) -> CallSource:
        """Yield the calls that were not read yet.

        Raises:
            ArgumentError: One is no call, of another client, there twice, or marks a bill that one
                before it marks. The calls before it have been yielded.
        """
        while calls := self._held or await self._take(_AT_ONCE):
            self._held = []
            items: list[PlannedCall] = []
            for call in calls:
                try:
                    digest = self._checked(call)
                except ArgumentError as error:
                    self._error = error
                    break
                if self.journal is not None:
                    self.journal.plan(self.read, digest, call.to_json())
                if self.digests is not None:
                    self.digests += digest
                items.append(PlannedCall(self.read, call))
                self.read += 1
            if items:
                yield items
        self.complete = True
        if self.journal is not None:
            self.journal.mark_complete()

    async def catch_up(self, journal: Journal, *, whole: bool) -> None:
        """Skip the calls that a journal has, which must be equal.

        Args:
            journal: The journal, which takes what follows.
            whole: True if the journal has the whole plan.

        Raises:
            JournalError: They are not: the difference is shown.
        """
        while rows := await journal.digests(after=self.read - 1):
            for digest, kept in rows:
                calls = await self._take(1)
                if not calls:
                    raise JournalError(
                        f"the journal has more calls than the plan, which has {self.read}"
                    )
                if self._checked(calls[0]) != digest:
                    raise JournalError(_difference(self.read, calls[0], kept))
                self.read += 1
        if whole and await self._take(1):
            raise JournalError(
                f"the plan has more calls than the journal, whose plan has {self.read}"
            )
        self.complete = whole
        self.journal = journal

    async def aclose(self) -> None:
        """Close a generator that was not read to its end."""
        close = getattr(self._async, "aclose", None)
        if close is not None:
            await close()

    async def _take(self, count: int) -> list[Call[Any]]:
        if self._error is not None:
            raise self._error
        if self._async is None:
            calls: list[Call[Any]] = []
            try:
                calls.extend(islice(self._sync, count))
            except Exception as error:
                if not calls:
                    raise
                self._error = error  # what came before it goes first
            return calls
        try:  # each may be long in coming: none waits for the next
            return [await anext(self._async)]
        except StopAsyncIteration:
            return []

    def _checked(self, provided: object) -> bytes:
        name, call = f"calls[{self.read}]", _call(self.read, provided)
        domain = call.executor.domain
        if domain != self.domain:
            raise ArgumentError(Problem(name, f"is for {domain}, not for {self.domain}"))
        digest = call.digest()
        if self._repeats is not None:
            reason = ""
            effect = digest if call.expect is None else call.effect_digest()
            if not self._repeats.add(effect):
                reason = "is repeated"
            elif (mark := call.mark_digest()) is not None and not self._repeats.add(mark):
                reason = "marks a bill that an earlier call marks with other values"
            if reason:
                raise ArgumentError(
                    Problem(name, f"{reason}: {call.describe()}; allow_repeats=True sends both")
                )
        return digest


def _call(index: int, provided: object) -> Call[Any]:
    if not issubclass(type(provided), Call):  # isinstance would ask a value for its class
        raise ArgumentError(Problem(f"calls[{index}]", "must be made by bulk.call"))
    return cast("Call[Any]", provided)


async def listed_calls(calls: Collection[Call[Any]]) -> CallSource:
    """Yield a list of calls that was read as a whole before, from its beginning."""
    numbered = enumerate(calls)
    while batch := [PlannedCall(index, call) for index, call in islice(numbered, _AT_ONCE)]:
        yield batch


async def recorded_calls(
    journal: Journal,
    cake: Instance,
    *states: EntryState,
    without: Collection[int] = (),
) -> CallSource:
    """Yield the calls of a journal that are in some states.

    Args:
        journal: The journal.
        cake: The client that is to send them.
        states: The states.
        without: The places of calls to leave out.

    Raises:
        ArgumentError: The client cannot send one.
        JournalError: One is not the call that was planned.
    """
    last = -1
    while entries := await journal.entries(*states, after=last):
        last = entries[-1].index
        yield [planned_call_of(entry, cake) for entry in entries if entry.index not in without]


async def one_batch(items: list[PlannedCall]) -> CallSource:
    """Yield calls as one batch."""
    yield items


async def chained(*sources: CallSource) -> CallSource:
    """Yield the calls of one source after those of another."""
    for source in sources:
        async with aclosing(source):
            async for items in source:
                yield items


def planned_call_of(entry: Entry, cake: Instance) -> PlannedCall:
    """Return the planned call of a journal's entry.

    Raises:
        ArgumentError: The client cannot send it.
        JournalError: It is not the call that was planned.
    """
    damaged = f"the journal is damaged: call {entry.index} is not the one that was planned"
    try:
        call = Call.from_json(entry.call, cake)
    except ArgumentError as error:
        if any(each.name in _UNREADABLE for each in error.problems):
            raise JournalError(damaged) from None
        raise
    if call.digest() != entry.digest:
        raise JournalError(damaged)
    return PlannedCall(entry.index, call, entry.state, entry.before)


def _difference(index: int, call: Call[Any], kept: str) -> str:
    theirs, ours = json.loads(kept), json.loads(call.to_json())
    start = f"call {index} of the plan differs from the journal"
    if theirs["operation"] != ours["operation"]:
        return f"{start}: {ours['operation']} instead of {theirs['operation']}"
    parts = _different(theirs["arguments"], ours["arguments"], call.sensitive)
    expected = _different(theirs.get("expect", {}), ours.get("expect", {}), call.sensitive)
    parts += [f"expected {part}" for part in expected]
    return f"{start}: {ours['operation']} with {', '.join(parts)}"


def _different(
    theirs: dict[str, object], ours: dict[str, object], hidden: frozenset[str]
) -> list[str]:
    return [
        name if name in hidden else f"{name} {ours.get(name)} instead of {theirs.get(name)}"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]
