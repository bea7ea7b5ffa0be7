"""One run over a plan: send calls concurrently, and record the outcome of each."""

import json
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from inspect import isawaitable
from typing import Any, Final, cast

import anyio
import anyio.lowlevel

from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import CreateLookup, Executor, ExistingRecord
from aiocake._operations.recent_rows import RecentRows
from aiocake.bulk.duplicates import DuplicateGuard, Existing, PlannedCreate, planned_create
from aiocake.bulk.journal import EntryState, Journal
from aiocake.bulk.options import RunOptions
from aiocake.bulk.outcomes import (
    Done,
    Ended,
    Failed,
    Progress,
    Skipped,
    Summary,
    Unknown,
    conflict_of,
    detail,
    pause_end,
)
from aiocake.bulk.partner_locks import PartnerLocks
from aiocake.bulk.plan import CallSource, PlannedCall
from aiocake.bulk.reconciliation import CreatedRecord, Doubles
from aiocake.bulk.record_locks import RecordLocks, record_of
from aiocake.errors import (
    AlreadyExists,
    AuthenticationError,
    CakeError,
    ClosedError,
    Conflict,
    ConsistencyError,
    Intent,
    JournalError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    WrongLoopError,
)
from aiocake.events import RunBegan, RunEnded
from aiocake.models import Invoice  # noqa: TC001 - imported like the others

MOST_PROBLEMS: Final = 1_000

_STATES: Final[dict[type[object], EntryState]] = {
    Done: EntryState.DONE,
    Failed: EntryState.FAILED,
    Unknown: EntryState.UNKNOWN,
    Skipped: EntryState.SKIPPED,
}


class Run:
    """Sends the calls of a plan.

    Args:
        rules: Its options.
        executor: The client's executor.
        journal: The journal of the run; None for none.
    """

    def __init__(
        self,
        rules: RunOptions,
        executor: Executor,
        journal: Journal | None,
    ) -> None:
        self.rules = rules
        self.executor: Executor = executor.exempt_from_queue_limit
        self.journal = journal
        self.doubles: Doubles = Doubles(journal, off=rules.on_existing == "create")
        self._guard: DuplicateGuard | None = None
        self._order = RecordLocks()
        #: How many calls have ended in which state.
        self.counts: dict[EntryState, int] = dict.fromkeys(_STATES.values(), 0)
        #: How many calls the plan has; None while that is not known.
        self.total: int | None = None
        #: How many calls were skipped since their record was not as expected.
        self.conflicts: int = 0
        #: How old, in seconds, a look at a record was at most when a write was sent after it.
        self.oldest_look: float | None = None
        #: What lists have shown lately, by the operation that writes such records.
        self._rows: dict[str, RecentRows] = {}
        #: Why no more is sent; None while more is.
        self.stopped: str | None = None
        #: The calls of this run whose outcome is unknown.
        self.unresolved: list[PlannedCall] = []
        self._began: float | None = None
        self._broken: Exception | None = None
        self._failed = 0
        #: The places of the calls of this run whose outcome was unknown; one counts once.
        self._lost: set[int] = set()
        self._problems: dict[int, Failed[Any] | Unknown[Any] | Skipped[Any]] = {}
        self._ready: deque[PlannedCall] = deque()
        self._taking = anyio.Lock()

    @property
    def guard(self) -> DuplicateGuard:
        """Return the duplicate guard, which is made when the first create comes."""
        if self._guard is None:
            locks = PartnerLocks(self.executor.domain, self.rules.settle)
            self._guard = DuplicateGuard(locks, self.journal)
        return self._guard

    def release_partners(self) -> None:
        """Release the locks that other runs on this host may wait for."""
        if self._guard is not None:
            self._guard.close()

    async def send(self, source: CallSource) -> None:
        """Send the calls of a source concurrently, until it ends or the run is stopped.

        Raises:
            Exception: The error of the source, the journal, ``on_outcome`` or ``on_progress``,
                after all calls in flight have ended.
        """
        self._ready.clear()
        async with aclosing(source), anyio.create_task_group() as workers:
            for _ in range(self.rules.limit or self.executor.concurrency):
                workers.start_soon(self._work, source)
        if self._broken is not None:
            if self.journal is not None and isinstance(self._broken, JournalError):
                with suppress(JournalError):
                    await self.journal.flush()  # so that it knows what it could not write
            raise self.error_to_raise(self._broken)

    def emit_began(self, *, resumed: bool) -> None:
        """Emit that the run begins."""
        self._began = anyio.current_time()
        self.executor.emit(RunBegan(self.total, resumed, *self.counts.values()))

    @contextmanager
    def reporting_end(self) -> Generator[None]:
        """Emit that the run is over, if it has begun."""
        try:
            yield
        except Exception as error:
            self._emit_ended(error=type(error).__name__)
            raise
        except BaseException:
            self._emit_ended(cancelled=True)
            raise
        self._emit_ended()

    def _emit_ended(self, *, error: str | None = None, cancelled: bool = False) -> None:
        if self._began is None:
            return
        took = anyio.current_time() - self._began
        done, failed, unknown, skipped = self.counts.values()
        stopped = self.stopped is not None or error is not None or cancelled
        self.executor.emit(
            RunEnded(
                took, done, failed, unknown, skipped, stopped, error, cancelled, self.conflicts
            )
        )

    def error_to_raise(self, error: Exception) -> Exception:
        """Return the error to raise; that of a journal names the calls it could not record."""
        places = () if self.journal is None else self.journal.unwritten
        if not isinstance(error, JournalError) or not places:
            return error
        calls = f"call{'' if len(places) == 1 else 's'} {', '.join(map(str, places))}"
        named = type(error)(f"{error}; sent, but the outcome was not recorded: {calls}")
        named.outcome = Outcome.UNKNOWN
        return named

    def stop(self, reason: str) -> None:
        """Send no more calls. The first reason counts."""
        if self.stopped is None:
            self.stopped = reason

    def fail(self, error: Exception) -> None:
        """Send no more calls, and raise this error in the end."""
        if self._broken is None:
            self._broken = error
        self.stop(f"{type(error).__name__}: {error}")

    def move(self, item: PlannedCall, state: EntryState) -> None:
        """Change a call's state and update the counters."""
        if item.state in self.counts:
            self.counts[item.state] -= 1
        item.state = state
        if state in self.counts:
            self.counts[state] += 1
            record = record_of(item.call)
            if record is not None:
                note = (
                    self._order.mark_done if state is EntryState.DONE else self._order.mark_undone
                )
                note(record, item.index)

    def requeue(self, item: PlannedCall) -> None:
        """Requeue a call that turned out not to be carried out."""
        self.move(item, EntryState.PLANNED)
        self._problems.pop(item.index, None)
        if self.journal is not None:
            self.journal.ended(item.index, EntryState.PLANNED, None, None)

    def mark_unresolved(self, item: PlannedCall) -> None:
        """Load a call whose outcome an earlier session did not learn."""
        if self.journal is not None and item.state is EntryState.SENDING:
            self.journal.ended(item.index, EntryState.UNKNOWN, None, None)
        self.move(item, EntryState.UNKNOWN)
        self._keep(
            item,
            Unknown(item.index, item.call, "its outcome was unknown when an earlier run ended"),
        )

    def failed_before(self, item: PlannedCall, reported: str | None) -> None:
        """Load a call that failed in an earlier session and was not sent again.

        Args:
            item: The call.
            reported: How it ended: :func:`detail`'s JSON.
        """
        if item.index in self._problems:  # it failed in this life, too
            return
        text = "it failed in an earlier run, and was not sent again"
        with suppress(ValueError, LookupError, TypeError):
            ended = json.loads(reported or "")
            text += f": {ended['error']}: {ended['message']}"
        self._keep(item, Failed(item.index, item.call, NotSent(text)))

    def recall_skipped(self, item: PlannedCall, reported: str | None) -> None:
        """Load a call that an earlier session skipped because of a conflict.

        Args:
            item: The call.
            reported: How it ended: :func:`detail`'s JSON.
        """
        try:
            conflict = conflict_of(reported)
        except (ValueError, TypeError, ArithmeticError):
            raise JournalError(
                f"the journal is damaged: it does not say what call {item.index} found"
            ) from None
        if conflict is None:
            return
        self.conflicts += 1
        self._keep(item, Skipped(item.index, item.call, (), *conflict))
        if (record := record_of(item.call)) is not None:
            self._order.mark_undone(record, item.index)

    @property
    def has_room(self) -> bool:
        """Return True if more problems can be kept."""
        return len(self._problems) < MOST_PROBLEMS

    async def end(self, item: PlannedCall, ended: Ended[Any]) -> None:
        """Record how a call ended, and notify ``on_outcome``."""
        self.note(item, ended, None)
        notifying = self.notify(ended)
        if notifying is not None:
            await notifying

    def note(self, item: PlannedCall, ended: Ended[Any], intent: str | None) -> None:
        """Record how a call ended, in the counters and in the journal."""
        state = _STATES[type(ended)]
        self.move(item, state)
        if self.journal is not None:
            self.journal.ended(item.index, state, intent, detail(ended, self.executor.scrub))
        self._keep(item, ended)
        if isinstance(ended, Skipped) and ended.conflict:
            self.conflicts += 1
        making = planned_create(item.call) if isinstance(ended, Done) else None
        if isinstance(ended, Done) and making is not None:
            creates, create = making
            record = ended.found or int(getattr(ended.result, creates.id))
            self.doubles.add(
                CreatedRecord(item.index, item.call, creates, create, item.before or (), record)
            )

    def recall(
        self, item: PlannedCall, reported: str | None, theirs: tuple[int, ...] | None
    ) -> None:
        """Load a create that an earlier session of this run carried out.

        Args:
            item: The call.
            reported: How it ended: :func:`detail`'s JSON.
            theirs: The ids of its doubles; None where they were not looked for.
        """
        making = planned_create(item.call)
        if making is None:
            return
        creates, create = making
        try:
            ended = json.loads(reported or "")
            record = int(ended.get("found") or ended["result"][creates.id])
        except (ValueError, LookupError, TypeError, AttributeError):
            raise JournalError(
                f"the journal is damaged: it does not say what call {item.index} created"
            ) from None
        self.doubles.recall(
            CreatedRecord(item.index, item.call, creates, create, item.before or (), record), theirs
        )

    async def look_again(self) -> None:
        """Look for duplicates of the records that were created, and whether they are ours."""
        limit = self.rules.limit or self.executor.concurrency
        total = None if self._guard is None else self._guard.total
        await self.doubles.look(self.executor, limit, total)
        mistaken, self.doubles.mistaken = self.doubles.mistaken, []
        for made in mistaken:
            text = (
                f"its response named invoice {made.record}, which is of another period: "
                f"check {made.call.describe()} in CAKE's own interface"
            )
            item = PlannedCall(made.index, made.call, EntryState.DONE, made.before)
            await self.end(item, Unknown(made.index, made.call, text))

    def _keep(self, item: PlannedCall, ended: Ended[Any]) -> None:
        if isinstance(ended, Done):
            self._problems.pop(item.index, None)
        elif self.has_room or item.index in self._problems:
            self._problems[item.index] = ended

    def summary(self, *, taken: int, whole: bool) -> Summary:
        """Return the result of the run.

        Args:
            taken: How many calls were taken from the plan.
            whole: True if these are all.
        """
        return Summary(
            done=self.counts[EntryState.DONE],
            failed=self.counts[EntryState.FAILED],
            unknown=self.counts[EntryState.UNKNOWN],
            skipped=self.counts[EntryState.SKIPPED],
            unsent=taken - sum(self.counts.values()),
            plan_read=whole,
            stopped=self.stopped,
            problems=tuple(self._problems[index] for index in sorted(self._problems)),
            doubles=self.doubles.found,
            unlooked=self.doubles.due,
            notes=tuple(self._notes()),
            conflicts=self.conflicts,
            oldest_look=self.oldest_look,
        )

    def _notes(self) -> Iterator[str]:
        if self.journal is not None:
            yield from self.journal.notes
        if self._guard is not None and self._guard.unlocked is not None:
            yield (
                "without locks, other runs on this host may create the same at the same time: "
                f"{self._guard.unlocked}"
            )
        if self.doubles.trouble is not None:
            yield (
                f"{self.doubles.due} of the creates were not checked for doubles: "
                f"{self.doubles.trouble}"
            )

    async def _work(self, source: CallSource) -> None:
        try:
            while (item := await self._next(source)) is not None and self.stopped is None:
                # Whoever is cancelled begins no further call: it is left to a later run.
                await anyio.lowlevel.checkpoint_if_cancelled()
                await self._one(item)
        # A group of the workers' errors would hide which one it was.
        except Exception as error:  # noqa: BLE001 - raised by send()
            self.fail(error)

    async def _next(self, source: CallSource) -> PlannedCall | None:
        if not self._ready:
            async with self._taking:
                while not self._ready and self.stopped is None:
                    items = await anext(source, None)
                    if items is None:
                        return None
                    self._ready.extend(items)
        return self._ready.popleft() if self.stopped is None else None

    async def _one(self, item: PlannedCall) -> None:
        found = planned_create(item.call)
        if found is None:
            await self._in_turn(item)
            return
        creates, create = found
        ended: Ended[Any] | None = None
        try:
            async with self.guard.reserve(creates, self.executor, create, item.index) as what:
                ended = self._kept_back(item, what)
                if ended is None and self.stopped is None:
                    item.before = what.before
                    await self._send(item, (creates, create), what.listed)
        except CakeError as error:  # from listing: errors of the call itself go to the observer
            if self.stops_for_pause(error):
                return
            if isinstance(error, JournalError):
                self.fail(error)
                return
            self.count(error, item.index)
            ended = Failed(item.index, item.call, error)
        finally:
            if item.state is EntryState.PLANNED and ended is None and self.journal is not None:
                self.journal.unclaim(item.index)
        if ended is not None:
            await self.end(item, ended)

    async def _in_turn(self, item: PlannedCall) -> None:
        """Send a call that sets a record, after earlier calls for the record."""
        record = record_of(item.call)
        if record is None:
            await self._send(item, None)
            return
        all_before_done = await self._order.acquire(record, item.index)
        try:
            if not all_before_done:
                text = "nothing was sent: an earlier call for the same record was not done"
                await self.end(item, Failed(item.index, item.call, NotSent(text)))
            elif (known := self._as_known(item)) is not None:
                await self.end(item, known)
            elif self.stopped is None:
                await self._send(item, None)
        finally:
            self._order.release(record)

    def _as_known(self, item: PlannedCall) -> Ended[Any] | None:
        """Return the end of a call whose record's state is known; None if it may be sent.

        What may have been carried out is done where the record is as it would leave it, and unknown
        where the record is another.
        """
        index, call = item.index, item.call
        if item.maybe_applied and index in self.rules.known_done:
            return Done(index, call, None, int(str(call.arguments[call.table.record])))
        reason = self.rules.known_conflicts.get(index)
        if reason is None:
            return None
        if item.maybe_applied:
            text = f"it may have been carried out, but its record differs: {reason}"
            return Unknown(index, call, text)
        return Skipped(index, call, reason=reason)

    def _kept_back(self, item: PlannedCall, found: Existing) -> Failed[Any] | Skipped[Any] | None:
        """Return the end of a create that must not be sent; None if it may be."""
        index, call = item.index, item.call
        if found.doubted:
            text = "nothing was sent: the outcome of an earlier create for the partner is unknown"
            return Failed(index, call, NotSent(text))
        if not found.existing or self.rules.on_existing == "create":
            return None
        if found.dateless:
            text = (
                "nothing was sent: the instance does not show the periods of its invoices, so an "
                "existing one cannot be recognized; on_existing='create' creates another one"
            )
            return Failed(index, call, ConsistencyError(text))
        if self.rules.on_existing == "skip":
            return Skipped(index, call, found.existing)
        text = f"nothing was sent: {call.describe()}: there is already {_named(found.existing)}"
        error = AlreadyExists(text, existing=found.existing)
        self.fail(error)
        return Failed(index, call, error)

    def condition_of(self, item: PlannedCall) -> WriteCondition | None:
        """Return the condition of a call on its record; None if there is none."""
        call, look = item.call, item.call.table.look
        if look is None or self.rules.on_conflict == "overwrite":
            return None
        if call.expect is None and not look.sets_status(call.arguments):
            return None
        rows = self._rows.get(call.operation)
        if rows is None:
            rows = self._rows[call.operation] = RecentRows(look.number, look.narrow)
        return WriteCondition(call.expect, flow=True, in_doubt=item.maybe_applied, rows=rows)

    def conflict(self, item: PlannedCall, error: Conflict) -> Failed[Any] | Skipped[Any]:
        """Return the end of a call whose record is not as expected."""
        if self.rules.on_conflict == "raise":
            self.fail(error)
            return Failed(item.index, item.call, error)
        return Skipped(item.index, item.call, (), cast("Invoice", error.found), str(error))

    async def _send(
        self,
        item: PlannedCall,
        making: tuple[CreateLookup, PlannedCreate] | None,
        listed: Sequence[ExistingRecord] = (),
    ) -> None:
        condition = self.condition_of(item)
        observer = _CallRecorder(self, item, making, condition, listed)
        try:
            not_after = None if self.journal is None else self.journal.deadline
            await item.call.send(observer, condition=condition, not_after=not_after)
        except CakeError as error:
            if not observer.reported:  # refused before it began
                notifying = observer.after(None, error)
                if notifying is not None:
                    await notifying
        else:
            if not observer.reported and condition is not None:  # found to be done: none was sent
                await self.end(item, _found_done(item, condition))
        finally:
            if condition is not None:
                self._looked(item, condition)

    def _looked(self, item: PlannedCall, condition: WriteCondition) -> None:
        """Record that the record of a call may have changed, and how old the look at it was."""
        if condition.rows is not None:
            number = int(str(item.call.arguments[item.call.table.record]))
            condition.rows.wrote(number, anyio.current_time())
        if condition.waited is not None:
            self.oldest_look = max(self.oldest_look or 0.0, condition.waited)

    def notify(self, ended: Ended[Any]) -> Coroutine[object, None, None] | None:
        """Notify ``on_outcome`` that a call ended. Return a coroutine if that has to be awaited."""
        reported = None
        try:
            if self.rules.on_outcome is not None:
                reported = self.rules.on_outcome(ended)
        except Exception as error:  # noqa: BLE001 - the user's; it ends the run, not the write
            self.fail(error)
        if isawaitable(reported):
            return self._reported(reported)
        self._progress()
        return None

    async def _reported(self, notifying: Awaitable[None]) -> None:
        try:
            await notifying
        except Exception as error:  # noqa: BLE001 - the same
            self.fail(error)
        self._progress()

    def _progress(self) -> None:
        if self.rules.on_progress is None:
            return
        progress = Progress(
            done=self.counts[EntryState.DONE],
            failed=self.counts[EntryState.FAILED],
            unknown=self.counts[EntryState.UNKNOWN],
            skipped=self.counts[EntryState.SKIPPED],
            total=self.total,
            conflicts=self.conflicts,
        )
        try:
            self.rules.on_progress(progress)
        except Exception as error:  # noqa: BLE001 - the same
            self.fail(error)

    def stops_for_pause(self, error: CakeError) -> bool:
        """Stop the run if a call was not sent since the client is paused; return True then."""
        if not isinstance(error, RateLimited) or error.sent:
            return False
        self.stop(
            f"the server asks to wait (HTTP {error.status}): "
            f"the client is paused until {pause_end(error)}"
        )
        return True

    def count(self, error: CakeError, index: int) -> None:
        """Count an error, and stop the run if a limit is reached."""
        limits = self.rules.stop_after
        if isinstance(error, AuthenticationError):
            self.stop(f"the key was rejected: {error}")
        elif isinstance(error, ClosedError | WrongLoopError):
            self.stop(str(error))
        elif isinstance(error, OutcomeUnknown):
            if isinstance(error.cause, AuthenticationError):
                self.stop(f"the key was rejected: {error.cause}")
            self._lost.add(index)
            if limits is not None and len(self._lost) >= limits.unknown:
                self.stop(f"calls whose outcome is unknown: {len(self._lost)}")
        elif not isinstance(error, self.rules.expected):
            self._failed += 1
            if limits is not None and self._failed >= limits.failed:
                self.stop(f"calls that failed: {self._failed} (last: {type(error).__name__})")


class _CallRecorder:
    """Records one call before it is sent and when it has ended."""

    __slots__ = (
        "_condition",
        "_intent",
        "_item",
        "_left",
        "_listed",
        "_making",
        "_run",
        "reported",
    )

    def __init__(
        self,
        run: Run,
        item: PlannedCall,
        making: tuple[CreateLookup, PlannedCreate] | None,
        condition: WriteCondition | None,
        listed: Sequence[ExistingRecord],
    ) -> None:
        self._run = run
        self._item = item
        self._making = making
        self._condition = condition
        self._listed = listed
        self._intent: Intent | None = None
        self._left = False
        self.reported = False

    async def before(self, intent: Intent) -> None:
        """Record on the disk that the call is about to be sent."""
        run, item, journal = self._run, self._item, self._run.journal
        run.move(item, EntryState.SENDING)
        self._intent = intent
        if journal is not None:
            await self._write(journal, intent)
        if self._making is not None:
            run.guard.leaves(self._making[1])
            self._left = True

    async def _write(self, journal: Journal, intent: Intent) -> None:
        run, item = self._run, self._item
        journal.sending(item.index, intent.id, item.before)
        try:
            await journal.flush()
        except JournalError as error:
            run.fail(error)
            raise
        except BaseException:
            state = EntryState.UNKNOWN if item.maybe_applied else EntryState.PLANNED
            run.move(item, state)
            journal.ended(item.index, state, intent.id, None)
            raise

    def after(self, value: object, error: CakeError | None) -> Coroutine[object, None, None] | None:
        """Record how the call ended, even if its caller is gone."""
        self.reported = True
        run, item, making = self._run, self._item, self._making
        ended: Ended[Any]
        if error is None:
            error = self._of_another(value)
        if error is None:
            ended = self._done(value)
        elif run.stops_for_pause(error) and not item.maybe_applied:
            self._stays_planned()
            return None
        else:
            ended = self._not_done(error)
            # Of a call that was unknown before, what a look finds is no further trouble.
            known = item.maybe_applied and _found_another(error)
            if not isinstance(ended, Skipped) and not known:
                run.count(error, item.index)
        run.note(item, ended, None if self._intent is None else self._intent.id)
        if making is None or not self._left:
            return run.notify(ended)
        if run.journal is None:
            run.guard.ended(making[1], known=not isinstance(ended, Unknown))
            return run.notify(ended)
        return self._let_go(run.journal, making[1], ended)

    def _of_another(self, value: object) -> OutcomeUnknown | None:
        """Return what a response to a create means that names a record which was there before."""
        if self._making is None or self._intent is None:
            return None
        record = int(getattr(value, self._making[0].id))
        if all(each.id != record for each in self._listed):
            return None
        cause = ConsistencyError(f"the response names invoice {record}, which was there before")
        return OutcomeUnknown(
            f"{self._item.call.operation} may have been carried out: {cause}",
            intent=self._intent,
            cause=cause,
        )

    def _done(self, value: object) -> Done[Any]:
        run, item, making, condition = self._run, self._item, self._making, self._condition
        if condition is not None and condition.applied:
            return _found_done(item, condition)
        if making is not None:
            run.guard.created(making[1], int(getattr(value, making[0].id)))
        return Done(item.index, item.call, value)

    def _not_done(self, error: CakeError) -> Failed[Any] | Unknown[Any] | Skipped[Any]:
        """Return the end of a call that was not carried out, or may not have been."""
        run, item, making = self._run, self._item, self._making
        if isinstance(error, Conflict):
            return run.conflict(item, error)
        if error.outcome is Outcome.UNKNOWN or isinstance(error, OutcomeUnknown):
            if making is not None:
                run.guard.mark_uncertain(making[1])
            if isinstance(error, OutcomeUnknown) and isinstance(error.cause, Conflict):
                # Another look would show the same.
                check = f"check {item.call.describe()} in CAKE's own interface"
                reason = f"the record was set to something else meanwhile: {error.cause}: {check}"
                return Unknown(item.index, item.call, reason, error)
            run.unresolved.append(item)
            return Unknown(item.index, item.call, str(error), error)
        if item.maybe_applied:
            text = (
                f"it was not carried out when it was sent again, but may have been before: {error}"
            )
            item.rejection = error
            run.unresolved.append(item)
            return Unknown(item.index, item.call, text, error)
        return Failed(item.index, item.call, error)

    async def _let_go(self, journal: Journal, create: PlannedCreate, ended: Ended[Any]) -> None:
        """Release the partner once the end is on the disk, and before ``on_outcome`` is called.

        ``on_outcome`` may wait for one of these runs.
        """
        with suppress(JournalError):  # raised again by the next write, or by closing
            await journal.flush()
        self._run.guard.ended(create, known=not isinstance(ended, Unknown))
        notifying = self._run.notify(ended)
        if notifying is not None:
            await notifying

    def _stays_planned(self) -> None:
        """Requeue a call that was not sent, since the run stops before it."""
        run, item = self._run, self._item
        if item.state is EntryState.SENDING:
            run.move(item, EntryState.PLANNED)
            if run.journal is not None:
                intent = None if self._intent is None else self._intent.id
                run.journal.ended(item.index, EntryState.PLANNED, intent, None)
        if self._making is not None and self._left:
            run.guard.ended(self._making[1], known=True)


def _found_done(item: PlannedCall, condition: WriteCondition) -> Done[Any]:
    """Return the end of a call that an earlier attempt has carried out."""
    look = item.call.table.look
    number = None if look is None else look.number(condition.record)
    return Done(item.index, item.call, None, number)


def _found_another(error: CakeError) -> bool:
    """Return True for a write that may have been carried out but whose record differs."""
    return isinstance(error, OutcomeUnknown) and isinstance(error.cause, Conflict)


def _named(ids: tuple[int, ...]) -> str:
    return f"invoice {', '.join(map(str, ids))}"
