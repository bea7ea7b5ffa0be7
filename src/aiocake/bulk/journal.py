"""The journal of a run: the plan, the intents of its calls, and their outcomes.

A SQLite file that only its owner can read, or a run of a schema in PostgreSQL
(:mod:`aiocake.bulk.postgres`). It never holds the key. It does hold names, notes and
amounts, without which nobody could continue the plan. Each call's intent is on the disk before its
request leaves, so that after a crash every call is known to be planned, ended, or in doubt.

All that happens is an entry of the journal's log as well, which is a chain of hashes
(:mod:`aiocake.bulk.log_chain`).
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from enum import StrEnum
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
import attrs

from aiocake._background import BackgroundTask, BackgroundTaskCancelled
from aiocake._messages import SendDeadline
from aiocake._operations.operation import Executor
from aiocake.bulk.group_commit import GroupCommit
from aiocake.bulk.journal_file import now, place_of, storable
from aiocake.bulk.journal_store import (
    Change,
    Claimed,
    ClaimedElsewhere,
    Claims,
    JournalPath,
    JournalStore,
    Opening,
    Value,
)
from aiocake.bulk.log_chain import (
    PLAN_ENTRY,
    LogEvent,
    LogHead,
    PlanIdentity,
    identity_of,
    log_entry,
    planned,
)
from aiocake.bulk.log_check import LogCheck, check_log
from aiocake.bulk.outcomes import Double
from aiocake.bulk.ownership import Owner
from aiocake.errors import JournalError

__all__ = ["Entry", "EntryState", "Journal", "LogEntry", "WorkSession"]


class EntryState(StrEnum):
    """The state of a call."""

    PLANNED = "planned"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@attrs.frozen
class Entry:
    """A call of the plan, as the journal has it.

    Attributes:
        index: Its place in the plan, from 0.
        call: Operation and arguments, as JSON.
        state: Its state.
        intent: The id of its last intent; None if it was never about to be sent.
        before: For a create, the ids of the records before it was sent; None if unknown.
        detail: How it ended, as JSON; None before.
        digest: Shows that the call is still the one that was planned.
    """

    index: int
    call: str
    state: EntryState
    intent: str | None
    before: tuple[int, ...] | None
    detail: str | None
    digest: bytes


@attrs.frozen
class LogEntry:
    """An entry of the log: one thing that happened.

    Attributes:
        number: Its number, from 1.
        index: The place of the call in the plan, from 0; None if it is of the run itself.
        session: In which session of the run it happened, from 1.
        at: When, in UTC.
        what: The state that the call is in since then, or what happened to the run.
        intent: The id of the call's intent; None if there is none.
        detail: More about it, as JSON; None if there is nothing more to say.
    """

    number: int
    index: int | None
    session: int
    at: str
    what: str
    intent: str | None
    detail: str | None


@attrs.frozen
class WorkSession:
    """A period in which one process worked on a plan.

    Attributes:
        started_at: When it began, in UTC.
        ended_at: When it ended; None if it was killed, or is running.
        stopped: Why it stopped early; None if it did not.
        user: The user of the process.
        host: The machine.
        pid: The process.
        version: The version of aiocake.
        running: True if its process was alive, and at work on it, when the journal was opened.
    """

    started_at: str
    ended_at: str | None
    stopped: str | None
    user: str
    host: str
    pid: int
    version: str
    running: bool


class Journal:
    """An open journal; ``async with`` closes it.

    Made by :meth:`create` and :meth:`open`. While it is open to carry out its run, nobody else can
    continue the run, but anybody can read the journal.
    """

    def __init__(self, store: JournalStore) -> None:
        self._writer = GroupCommit(store)
        self._store = store

    @classmethod
    async def create(  # noqa: PLR0913 - by name
        cls,
        path: JournalPath,
        domain: str,
        *,
        plan: PlanIdentity | None = None,
        executor: Executor | None = None,
        for_tests: bool = False,
        allow_unknown_filesystem: bool = False,
    ) -> "Journal":
        """Create a new journal.

        Args:
            path: The path of a new file, or a run of a database.
            domain: The instance that the run is for; empty for an empty plan.
            plan: Which plan it carries out, and who approved it; None for one without a hash.
            executor: Sends its calls, which a database has to know of; None if nothing is sent.
            for_tests: Accept a path in memory (tmpfs, ramfs).
            allow_unknown_filesystem: Accept a path on any filesystem.

        Raises:
            ArgumentError: ``path`` is not a path.
            JournalError: The file exists already, or cannot be created.
        """
        place = place_of("path", path)
        allow = allow_unknown_filesystem
        opening = Opening(executor=executor, for_tests=for_tests, allow_unknown=allow)
        return await _opened(lambda: place.create(domain, plan, opening))

    @classmethod
    async def open(  # noqa: PLR0913 - by name
        cls,
        path: JournalPath,
        domain: str | None = None,
        *,
        plan: PlanIdentity | None = None,
        executor: Executor | None = None,
        for_tests: bool = False,
        allow_unknown_filesystem: bool = False,
    ) -> "Journal":
        """Open a journal to continue it or, without a domain, to read it.

        A reader sees the journal as it is at this moment, whatever a live run writes meanwhile.

        Args:
            path: The journal.
            domain: The instance that the run must be for.
            plan: The plan that it must carry out, with the approvals that hold now, which are
                recorded; None for any, under the approvals that are recorded already.
            executor: Sends its calls, which a database has to know of; None if nothing is sent.
            for_tests: Accept a path in memory (tmpfs, ramfs).
            allow_unknown_filesystem: Accept a path on any filesystem, not only on one of the type
                that was accepted for this journal before.

        Raises:
            ArgumentError: ``path`` is not a path.
            JournalError: The journal cannot be used. It is left as it is.
        """
        place = place_of("path", path)
        allow = allow_unknown_filesystem
        opening = Opening(executor=executor, for_tests=for_tests, allow_unknown=allow)
        if domain is None:
            return await _opened(lambda: place.view(opening))
        return await _opened(lambda: place.take(domain, plan, opening))

    @property
    def deadline(self) -> SendDeadline | None:
        """Return the moment after which no byte of a write may leave; None if there is none."""
        return self._store.deadline

    @property
    def notes(self) -> tuple[str, ...]:
        """Return remarks for the summary of the run."""
        return self._store.notes

    @property
    def claims(self) -> Claims | None:
        """Return the claims that keep the creates of all runs apart; None if there are none."""
        return self._store.claims

    @property
    def unwritten(self) -> tuple[int, ...]:
        """Return the places of calls that were sent but whose end could not be recorded."""
        return tuple(sorted(self._writer.unwritten))

    def seconds_to_judge(self) -> float:
        """Return the seconds in which a create of an earlier session may still arrive."""
        return self._store.seconds_to_judge()

    async def claim(
        self, index: int, partner: int, first: date, last: date
    ) -> Claimed | ClaimedElsewhere:
        """Claim a create, before its partner's records are looked at.

        Args:
            index: The place of the create.
            partner: Its partner.
            first: The first day of its period.
            last: The last day, included.

        Raises:
            JournalError: The journal cannot be used, or has none of these (:attr:`claims`).
        """
        # What was queued before may end a claim of the same call.
        await self.flush()

        def take(store: JournalStore) -> Claimed | ClaimedElsewhere:
            if store.claims is None:
                raise JournalError("nothing is claimed in this journal")
            return store.claims.take(index, partner, first, last)

        return await self._writer.run(take)

    async def claimed_numbers(self) -> dict[int, int]:
        """Return the number of each partner; -1 where another run has a claim."""
        return await self._writer.run(
            lambda store: {} if store.claims is None else store.claims.numbers()
        )

    def unclaim(self, index: int) -> None:
        """Record that a create for which there may be a claim was not sent.

        Args:
            index: The place of the create.
        """
        if self._store.claims is not None:
            self._writer.add(Change.UNCLAIMED, index)

    def release(self, index: int) -> None:
        """Let other runs create for the partner and days of a create whose outcome is unknown.

        Args:
            index: The place of the create.
        """
        self._writer.add(Change.RELEASED, index)
        self._log(LogEvent.RELEASED, json.dumps({"call": index}))

    def plan(self, index: int, digest: bytes, call: str) -> None:
        """Record a call of the plan.

        Args:
            index: Its place.
            digest: Its digest, as :attr:`Call.digest`.
            call: The call, as :meth:`Call.to_json` writes it.
        """
        hash_ = self._store.plan.add(*planned(index, digest, call))
        self._writer.add(Change.PLANNED, index, digest, call, hash_)

    def mark_complete(self) -> None:
        """Record that the plan has no more calls."""
        self._writer.add(Change.WHOLE, at := now())
        self._log(LogEvent.WHOLE, json.dumps(self._store.plan.head), at=at)

    def sending(self, index: int, intent: str, before: Sequence[int] | None) -> None:
        """Record that a call is about to be sent; :meth:`flush` before it leaves.

        Args:
            index: The place of the call.
            intent: The id of its intent.
            before: Of a create, the ids of the records that its partner has.
        """
        ids = None if before is None else json.dumps(list(before))
        self._writer.add(Change.SENDING, intent, ids, index)
        self._log(EntryState.SENDING, ids, index=index, intent=intent)

    def ended(self, index: int, state: EntryState, intent: str | None, detail: object) -> None:
        """Record how a call ended, or (``PLANNED``) that it was not sent after all.

        Args:
            index: The place of the call.
            state: Its state from now on.
            intent: The id of its intent; None if it had none.
            detail: The result, or why it was not carried out, as plain values.
        """
        text = None if detail is None else json.dumps(detail)
        self._writer.add(Change.ENDED, state.value, text, index)
        self._log(state, text, index=index, intent=intent)

    def stopped(self, reason: str | None) -> None:
        """Record that the run has ended.

        Args:
            reason: Why it was stopped; None if it was not.
        """
        text = None if reason is None else storable(reason)
        at = now()
        self._writer.add(Change.STOPPED, at, text, self._store.run)
        detail = json.dumps({"stopped": text, **self._store.plan.head})
        self._log(LogEvent.STOPPED, detail, at=at)

    def looked(self, index: int, ours: int, theirs: Sequence[int]) -> None:
        """Record the duplicates that were found of a created record, or that there are none.

        Args:
            index: The place of the create.
            ours: The id of the record that it made.
            theirs: The ids of its doubles.
        """
        at, found = now(), json.dumps(list(theirs))
        self._writer.add(Change.LOOKED, index, ours, found, self._store.run, at)
        detail = json.dumps({"ours": ours, "theirs": list(theirs)})
        self._log(LogEvent.LOOKED, detail, index=index, at=at)

    async def flush(self) -> None:
        """Wait until all changes so far are on the disk.

        Raises:
            JournalError: It cannot be written.
        """
        await self._writer.flush()

    async def entries(self, *states: EntryState, after: int = -1) -> list[Entry]:
        """Return the next 500 calls after a place.

        Args:
            *states: Only calls in one of these states; of any if none is named.
            after: The place, counted from 0.

        Raises:
            JournalError: The journal cannot be read, or is damaged.
        """
        condition = f" AND state IN ({', '.join('?' * len(states))})" if states else ""
        query = (
            "SELECT place, call, state, intent, before, detail, digest FROM {calls} AS calls"  # noqa: S608 - marks
            f" WHERE place > ?{condition} ORDER BY place LIMIT 500"
        )
        rows = await self._writer.read(query, after, *(state.value for state in states))
        return [_entry(row) for row in rows]

    async def creates(self, after: int = -1) -> list[tuple[Entry, tuple[int, ...] | None]]:
        """Return the next 500 creates after a place that were carried out.

        Args:
            after: The place, counted from 0.

        Returns:
            Each with the ids of its doubles; None where they were not looked for.

        Raises:
            JournalError: The journal cannot be read, or is damaged.
        """
        query = (
            "SELECT place, call, state, intent, before, detail, digest, theirs"
            " FROM {calls} AS calls LEFT JOIN {looks} AS looks USING (place)"
            # Only creates have records that were there before.
            " WHERE state = 'done' AND before IS NOT NULL AND place > ? ORDER BY place LIMIT 500"
        )
        rows = await self._writer.read(query, after)
        return [(_entry(entry), _ids(theirs)) for *entry, theirs in rows]

    async def doubles(self) -> list[Double]:
        """Return the creates of which a duplicate was found, in order."""
        if not await self._writer.run(lambda store: store.has_looks):
            return []  # its runs were of an aiocake that did not look
        rows = await self._writer.read(
            "SELECT place, ours, theirs FROM {looks} AS looks WHERE theirs != '[]' ORDER BY place"
        )
        return [
            Double(int(str(index)), int(str(ours)), _ids(theirs) or ())
            for index, ours, theirs in rows
        ]

    async def digests(self, after: int = -1) -> list[tuple[bytes, str]]:
        """Return digest and JSON of the next 500 calls after a place.

        Args:
            after: The place, counted from 0.

        Raises:
            JournalError: The journal cannot be read.
        """
        query = "SELECT digest, call FROM {calls} AS calls WHERE place > ? ORDER BY place LIMIT 500"
        rows = await self._writer.read(query, after)
        return [(_bytes(digest), str(call)) for digest, call in rows]

    async def counts(self) -> dict[EntryState, int]:
        """Return how many calls are in each state."""
        rows = await self._writer.read(
            "SELECT state, count(*) FROM {calls} AS calls GROUP BY state"
        )
        return {_state(state): int(str(count)) for state, count in rows}

    async def size(self) -> int:
        """Return how many calls there are."""
        return sum((await self.counts()).values())

    async def is_complete(self) -> bool:
        """Return True if the plan was read to its end."""
        query = "SELECT 1 FROM {meta} AS meta WHERE name = 'whole'"
        return bool(await self._writer.read(query))

    async def domain(self) -> str:
        """Return the instance that the run is for; empty for an empty plan."""
        query = "SELECT value FROM {meta} AS meta WHERE name = 'domain'"
        ((name,),) = await self._writer.read(query)
        return str(name)

    async def unknown_filesystem(self) -> str | None:
        """Return the filesystem's type that ``allow_unknown_filesystem`` was set for, if it was."""
        query = "SELECT value FROM {meta} AS meta WHERE name = 'unknown_filesystem'"
        rows = await self._writer.read(query)
        return str(rows[0][0]) if rows else None

    async def log(self, after: int = 0) -> list[LogEntry]:
        """Return the next 500 entries of the log after one.

        Args:
            after: The number of that entry; they are counted from 1.

        Raises:
            JournalError: The journal cannot be read.
        """
        rows = await self._writer.read(
            "SELECT entry, place, run, at, what, intent, detail FROM {log} AS log"
            " WHERE entry > ? ORDER BY entry LIMIT 500",
            after,
        )
        return [_log_entry(row) for row in rows]

    async def log_head(self, number: int | None = None) -> LogHead | None:
        """Return the end of the log, with all that was flushed; None if the log is no chain.

        It is no chain if an aiocake that knew none has begun it, and no later one has resumed the
        run.

        Args:
            number: The entry that the log ended with at some time; by default the last one.
        """
        if not self._store.is_chained:
            return None
        rows = await self._writer.read(
            "SELECT entry, hash FROM {log} AS log WHERE coalesce(entry = ?, true)"
            " ORDER BY entry DESC LIMIT 1",
            number,
        )
        return LogHead(int(str(rows[0][0])), _bytes(rows[0][1]).hex()) if rows else None

    async def verify_log(self) -> LogCheck:
        """Check the log's chain, and all else in the journal by it.

        Returns:
            What is wrong: nothing, if the journal is as it was written. Whether the end of the
            log was cut off shows only by comparing :meth:`log_head` with one that was kept.
        """
        return await self._writer.run(check_log)

    async def plan_identity(self) -> PlanIdentity | None:
        """Return the identity of the plan, with its last approvals; None for one without a hash.

        Raises:
            JournalError: The log is damaged.
        """
        if not self._store.is_chained:
            return None
        rows = await self._writer.read(PLAN_ENTRY)
        return identity_of(*rows[0]) if rows else None

    async def plan_hash(self) -> str | None:
        """Return the hash of the plan that is carried out; None for one without a hash.

        Raises:
            JournalError: The log is damaged.
        """
        plan = await self.plan_identity()
        return None if plan is None else plan.hash

    async def sessions(self) -> list[WorkSession]:
        """Return who worked on it, where and when, in order."""
        rows = await self._writer.read(
            'SELECT started_at, ended_at, stopped, "user", host, pid, aiocake'
            " FROM {runs} AS runs ORDER BY run"
        )
        return [
            WorkSession(
                str(started),
                None if ended is None else str(ended),
                None if stopped is None else str(stopped),
                str(user),
                str(host),
                int(str(pid)),
                str(version),
                running=ended is None
                and Owner(str(user), str(host), int(str(pid)), str(started)) in self._store.owners,
            )
            for started, ended, stopped, user, host, pid, version in rows
        ]

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
        """Close the journal, and release its lock."""
        await self._writer.aclose()

    def _log(
        self,
        what: EntryState | LogEvent,
        detail: str | None,
        *,
        index: int | None = None,
        intent: str | None = None,
        at: str | None = None,
    ) -> None:
        store = self._store
        entry = log_entry(
            store.log, store.run, what.value, detail, at=at or now(), place=index, intent=intent
        )
        self._writer.add(Change.LOGGED, *entry)


def _entry(row: Sequence[Value]) -> Entry:
    index, call, state, intent, before, detail, digest = row
    ids = _ids(before)
    text = None if detail is None else str(detail)
    known = None if intent is None else str(intent)
    return Entry(int(str(index)), str(call), _state(state), known, ids, text, _bytes(digest))


def _log_entry(row: Sequence[Value]) -> LogEntry:
    number, index, session, at, what, *rest = row
    intent, detail = (None if each is None else str(each) for each in rest)
    place = None if index is None else int(str(index))
    return LogEntry(int(str(number)), place, int(str(session)), str(at), str(what), intent, detail)


def _ids(value: Value) -> tuple[int, ...] | None:
    return None if value is None else tuple(int(each) for each in json.loads(str(value)))


def _state(value: Value) -> EntryState:
    try:
        return EntryState(str(value))
    except ValueError:
        raise JournalError(
            f"the journal is damaged: a call has the unknown state {value!a}"
        ) from None


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b""


async def _opened(open_: Callable[[], JournalStore]) -> Journal:
    # In a task of its own: asyncio's cancellation breaks through shields, and a file whose caller
    # is gone would never be closed and would keep its lock.
    job = BackgroundTask(anyio.to_thread.run_sync(open_))
    try:
        return Journal(await job.result())
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # cancelled; or interrupted, which trio raises right here
        ending = BackgroundTask(_dropped(job))
        with anyio.CancelScope(shield=True):
            await ending.result()
        raise


async def _dropped(job: BackgroundTask[JournalStore]) -> None:
    with suppress(JournalError, BackgroundTaskCancelled):
        store = await job.result()
        await anyio.to_thread.run_sync(store.close)
