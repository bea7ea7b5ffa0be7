"""``each`` and ``resume``: carry out a plan of writes so that a crash loses nothing."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, TypeVar, cast

import anyio
import anyio.lowlevel

from aiocake._background import BackgroundTask
from aiocake._normalize import class_name, guarded
from aiocake._operations.operation import CreateLookup, Endpoints, Executor, executor_of
from aiocake.bulk.calls import Call, Instance
from aiocake.bulk.duplicates import planned_create
from aiocake.bulk.journal import EntryState, Journal
from aiocake.bulk.journal_file import place_of
from aiocake.bulk.journal_store import JournalPath, JournalPlace
from aiocake.bulk.log_chain import PlanIdentity
from aiocake.bulk.options import (
    NO_CONFLICTS,
    OnConflict,
    OnExisting,
    OnOutcome,
    OnProgress,
    run_options,
)
from aiocake.bulk.outcomes import Stop, Summary
from aiocake.bulk.plan import (
    CallPlan,
    Calls,
    CallSource,
    DuplicateFilter,
    PlannedCall,
    chained,
    listed_calls,
    one_batch,
    planned_call_of,
    recorded_calls,
)
from aiocake.bulk.recovery import resolve
from aiocake.bulk.run import Run
from aiocake.errors import ArgumentError, CakeError, JournalError, Problem

T = TypeVar("T")

_STOP: Final = Stop()
#: How many calls of a list are written down at once.
_AT_ONCE: Final = 64
#: Seconds that the last check may take when a run is interrupted.
_LAST_LOOK: Final = 5.0
#: How often what was lost in a run is looked for and sent again.
_ROUNDS: Final = 2


async def each(  # noqa: PLR0913 - all by name
    calls: Calls[T],
    *,
    journal: JournalPath | None,
    limit: int | None = None,
    on_outcome: OnOutcome[T] | None = None,
    on_progress: OnProgress | None = None,
    stop_after: Stop | None = _STOP,
    expected: tuple[type[CakeError], ...] = (),
    on_existing: OnExisting = "skip",
    on_conflict: OnConflict = "skip",
    known_conflicts: Mapping[int, str] = NO_CONFLICTS,
    known_done: Collection[int] = (),
    allow_repeats: bool = False,
    settle: float = 60.0,
    allow_unknown_filesystem: bool = False,
    identity: PlanIdentity | None = None,
) -> Summary:
    """Carry out many writes concurrently, so that a crash loses nothing.

    Each call ends as :class:`Done`, :class:`Failed`, :class:`Unknown` or :class:`Skipped`. The
    unknown ones are looked up in the end, and reported again once their outcome is known. When the
    run is cancelled, calls in flight get the client's grace period and are written down; the rest
    is not sent.

    Creates wait for those of other runs on this host for the same partner. In the end the partners
    of all creates are listed once more, to find duplicates.

    Before a call that sets the status of an invoice, the invoice is looked at. By itself, a run
    moves a status from pending to approved to paid only, or to void if it is not paid. What the
    ``expect`` of a call says counts in place of that.

    Args:
        calls: Calls made by :func:`call`: a list, or any iterable, also an asynchronous one. A list
            is written down as a whole before the first call is sent, other iterables while they
            are read.
        journal: The path of a new file that records the run, for :func:`resume`, or a run of a
            database (:meth:`aiocake.bulk.postgres.Postgres.run`); None for none.
        limit: Calls in flight at once; by default as many as the client's throttle allows.
        on_outcome: Called with the end of each call; may be asynchronous. An error that it raises
            ends the run.
        on_progress: Called with the run's progress after each end.
        stop_after: The number of unknown and of failed calls after which to stop sending. None to
            go on; a key that is refused, and a pause of the client (see
            :class:`aiocake.RateLimited`), stop it nevertheless.
        expected: Errors that do not count as failures, such as ``TipaltiError``.
        on_existing: The treatment of a create whose partner has an invoice, not void, of an
            overlapping period: skip it, raise :class:`AlreadyExists`, or create it anyway; then
            no duplicates are looked for.
        on_conflict: The treatment of an update whose invoice is not as it expects, or, where it
            expects nothing, of a status that a run does not set by itself: skip it, raise
            :class:`Conflict`, or send it anyway; then no invoice is looked at.
        known_conflicts: Calls to skip as conflicts, by their place in the plan, with the reason:
            for records that the run cannot look at, such as bills, and that you have.
        known_done: The places of calls whose record is as they would leave it: if one of them may
            have been carried out before, it was.
        allow_repeats: Send calls that set the same as an earlier one, and Mark calls for a bill
            that an earlier call marks in the same way, with whatever values.
        settle: Seconds between the two lists in which a create is looked for whose response was
            lost: the time it gets to show up.
        allow_unknown_filesystem: Accept a journal on a filesystem whose locks and fsync may not
            work, such as a network drive, or on one in memory: a crash could lose what was sent.
            The journal records this, and the type of the filesystem.
        identity: The hash of the plan and who approved it, for the journal to record; None for a
            plan without a hash.

    Returns:
        How many calls ended how, the problems, the duplicates, and why it stopped if it did.

    Raises:
        ArgumentError: An argument is invalid. Or one of the calls was not made by :func:`call`, is
            for another client, is repeated, or marks a bill that an earlier one marks. If
            ``calls`` is a list, nothing was sent and no journal made; otherwise the calls before
            it were sent.
        JournalError: The file is there already, cannot be written, or is on a filesystem that a
            journal is not safe on; nothing more was sent.
        AlreadyExists: As ``on_existing`` says.
        Conflict: As ``on_conflict`` says.
    """
    rules = run_options(
        limit=limit,
        on_existing=on_existing,
        on_conflict=on_conflict,
        known_conflicts=known_conflicts,
        known_done=known_done,
        stop_after=stop_after,
        expected=expected,
        on_outcome=on_outcome,
        on_progress=on_progress,
        settle=settle,
        allow_repeats=allow_repeats,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )
    place = None if journal is None else place_of("journal", journal)
    async with _taken(calls, allow_repeats=allow_repeats) as plan:
        first = await plan.peek()
        if first is None:
            return await _nothing(place, identity, allow_unknown=allow_unknown_filesystem)
        plan.domain = first.executor.domain
        listed = guarded("calls", lambda: calls if isinstance(calls, Collection) else None)
        creates = None if listed is None else await _look_through(plan)
        book = None
        if place is not None:
            book = await Journal.create(
                place,
                plan.domain,
                plan=identity,
                executor=first.executor,
                for_tests=first.executor.for_tests,
                allow_unknown_filesystem=allow_unknown_filesystem,
            )
        run = Run(rules, first.executor, book)
        async with _ended(run):
            plan.journal = book
            if listed is None:
                await _carry_out(run, plan.batches())
            else:
                run.total = plan.read
                if book is not None:
                    await _write_down(book, listed, plan.digests or bytearray())
                if creates is not None:
                    with suppress(CakeError):  # each create will look by itself
                        await run.guard.expect(creates[0], run.executor, creates[1])
                await _carry_out(run, listed_calls(listed))
        return run.summary(taken=plan.read, whole=plan.complete)


async def resume(  # noqa: PLR0913 - all by name
    path: JournalPath,
    cake: Instance,
    *,
    calls: Calls[Any] | None = None,
    limit: int | None = None,
    on_outcome: OnOutcome[Any] | None = None,
    on_progress: OnProgress | None = None,
    stop_after: Stop | None = _STOP,
    expected: tuple[type[CakeError], ...] = (),
    on_existing: OnExisting = "skip",
    on_conflict: OnConflict = "skip",
    known_conflicts: Mapping[int, str] = NO_CONFLICTS,
    known_done: Collection[int] = (),
    allow_repeats: bool = False,
    settle: float = 60.0,
    allow_unknown_filesystem: bool = False,
    identity: PlanIdentity | None = None,
) -> Summary:
    """Continue a run that was stopped, cancelled or killed, from its journal.

    It first finds out the outcome of the calls for which it is unknown. Then it sends, in order,
    those that were not carried out, the failed ones included.

    Args:
        path: The journal that :func:`each` wrote: its path, or its run of a database.
        cake: A client of the same instance, or a view of one.
        calls: The same plan once more, from its beginning, if it was not read to its end. It has
            to begin with the calls that the journal has; that is checked before anything is sent.
            The rest of a list is written down as a whole, as in :func:`each`.
        limit: Calls in flight at once, as in :func:`each`.
        on_outcome: Called with the end of each call, as in :func:`each`.
        on_progress: Called with the run's progress, as in :func:`each`.
        stop_after: As in :func:`each`; earlier unknown and failed calls do not count.
        expected: Errors that do not count as failures, as in :func:`each`.
        on_existing: The treatment of creates with an existing record, as in :func:`each`.
        on_conflict: The treatment of updates whose invoice is not as expected, as in :func:`each`.
            What an earlier session has skipped stays skipped.
        known_conflicts: Calls to skip as conflicts, as in :func:`each`. One that may have been
            carried out is unknown then.
        known_done: Calls whose record is as they would leave it, as in :func:`each`.
        allow_repeats: Send repeated calls, as in :func:`each`.
        settle: Seconds that a lost create gets to show up, as in :func:`each`.
        allow_unknown_filesystem: As in :func:`each`; not needed again for a filesystem of the type
            that it was set for.
        identity: The hash of the plan that the journal must be of, and the approvals that hold
            now; None for any plan.

    Returns:
        The result of the whole plan, as in :func:`each`.

    Raises:
        JournalError: The journal cannot be used, or the plan is another one; nothing was sent.
        ArgumentError: An argument is invalid, or a call, as in :func:`each`.
        AlreadyExists: As ``on_existing`` says.
        Conflict: As ``on_conflict`` says.
    """
    rules = run_options(
        limit=limit,
        on_existing=on_existing,
        on_conflict=on_conflict,
        known_conflicts=known_conflicts,
        known_done=known_done,
        stop_after=stop_after,
        expected=expected,
        on_outcome=on_outcome,
        on_progress=on_progress,
        settle=settle,
        allow_repeats=allow_repeats,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )
    executor = instance_of(cake)
    book = await Journal.open(
        path,
        executor.domain,
        plan=identity,
        executor=executor,
        for_tests=executor.for_tests,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )
    run = Run(rules, executor, book)
    async with (
        _ended(run),
        _taken(() if calls is None else calls, allow_repeats=allow_repeats) as plan,
    ):
        run.counts |= {
            state: count for state, count in (await book.counts()).items() if state in run.counts
        }
        whole = await book.is_complete()
        if calls is None:
            plan.read, plan.complete = await book.size(), whole
        else:
            plan.domain = executor.domain
            await plan.catch_up(book, whole=whole)
            if not whole and guarded("calls", lambda: isinstance(calls, Collection)):
                await _write_rest_down(plan, book)
        if plan.complete:
            run.total = plan.read
        await _recall(run, book, cake)
        await _recall_conflicts(run, book, cake)
        lost = recorded_calls(book, cake, EntryState.SENDING, EntryState.UNKNOWN)
        doubts = [item async for items in lost for item in items]
        for item in doubts:
            run.mark_unresolved(item)
        rest = recorded_calls(
            book,
            cake,
            EntryState.PLANNED,
            EntryState.FAILED,
            without=frozenset(each.index for each in doubts),
        )
        if calls is not None and not plan.complete:
            rest = chained(rest, plan.batches())
        await _carry_out(run, rest, doubts)
        if run.stopped is not None:
            await _recall_failed(run, book, cake)
    return run.summary(taken=plan.read, whole=plan.complete)


def instance_of(cake: Instance) -> Executor:
    """Return the executor of a client.

    Raises:
        ArgumentError: It is not a client.
    """
    group = guarded("cake", lambda: getattr(cake, "invoices", None))
    if not issubclass(type(group), Endpoints):
        raise ArgumentError(Problem("cake", f"must be a client, got {class_name(cake)}"))
    return executor_of(cast("Endpoints", group))


async def _nothing(
    journal: JournalPlace | None, identity: PlanIdentity | None, *, allow_unknown: bool
) -> Summary:
    """Record the end of an empty plan, and return its summary."""
    if journal is not None:
        creating = Journal.create(
            journal, "", plan=identity, for_tests=True, allow_unknown_filesystem=allow_unknown
        )
        async with await creating as book:
            book.mark_complete()
            book.stopped(None)
            await book.flush()
    return Summary(
        done=0, failed=0, unknown=0, skipped=0, unsent=0, plan_read=True, stopped=None, problems=()
    )


async def _carry_out(run: Run, source: CallSource, doubts: list[PlannedCall] | None = None) -> None:
    run.emit_began(resumed=doubts is not None)
    if doubts:
        await run.send(one_batch(await resolve(run, doubts)))
    if run.stopped is None:
        await run.send(source)
    for _ in range(_ROUNDS):
        lost, run.unresolved = run.unresolved, []
        if not lost:
            break
        again = await resolve(run, lost)
        if run.stopped is None:
            await run.send(one_batch(again))
    await run.look_again()


async def _recall(run: Run, book: Journal, cake: Instance) -> None:
    """Load the creates that earlier sessions of a run carried out."""
    index = -1
    while found := await book.creates(after=index):
        for entry, theirs in found:
            run.recall(planned_call_of(entry, cake), entry.detail, theirs)
        index = found[-1][0].index


async def _recall_conflicts(run: Run, book: Journal, cake: Instance) -> None:
    """Load the calls that earlier sessions of a run skipped because of conflicts."""
    index = -1
    while entries := await book.entries(EntryState.SKIPPED, after=index):
        for entry in entries:
            run.recall_skipped(planned_call_of(entry, cake), entry.detail)
        index = entries[-1].index


async def _recall_failed(run: Run, book: Journal, cake: Instance) -> None:
    """Load the calls that failed in earlier sessions of a run and were not sent again."""
    await book.flush()
    index = -1
    while run.has_room and (entries := await book.entries(EntryState.FAILED, after=index)):
        for entry in entries:
            run.failed_before(planned_call_of(entry, cake), entry.detail)
        index = entries[-1].index


async def _look_through(plan: CallPlan) -> tuple[CreateLookup, frozenset[int]] | None:
    """Read a whole list, so that one that is refused leaves no journal behind.

    Returns:
        How to list what its creates make, and for which partners; None where it creates nothing.
    """
    plan.digests = bytearray()
    lookup: CreateLookup | None = None
    owners: set[int] = set()
    async with aclosing(plan.batches()) as batches:
        async for items in batches:
            for item in items:
                found = planned_create(item.call)
                if found is not None:
                    lookup = found[0]
                    owners.add(found[1].owner)
            await anyio.lowlevel.checkpoint()
    return None if lookup is None else (lookup, frozenset(owners))


async def _write_rest_down(plan: CallPlan, book: Journal) -> None:
    """Write the rest of a list to the disk before the first call of it is sent."""
    async with aclosing(plan.batches()) as batches:
        async for _ in batches:
            await book.flush()
    await book.flush()


async def _write_down(book: Journal, calls: Collection[Call[Any]], digests: bytearray) -> None:
    """Write a whole plan to the disk before the first call is sent."""
    size = len(digests) // len(calls)
    for index, call in enumerate(calls):
        book.plan(index, bytes(digests[index * size : (index + 1) * size]), call.to_json())
        if index % _AT_ONCE == _AT_ONCE - 1:
            await book.flush()
    book.mark_complete()
    await book.flush()


@asynccontextmanager
async def _taken(calls: Calls[Any], *, allow_repeats: bool) -> AsyncGenerator[CallPlan]:
    repeats = None if allow_repeats else DuplicateFilter()
    try:
        plan = CallPlan(calls, repeats)
        try:
            yield plan
        finally:
            with anyio.CancelScope(shield=True):
                await plan.aclose()
    finally:
        if repeats is not None:
            repeats.close()


@asynccontextmanager
async def _ended(run: Run) -> AsyncGenerator[None]:
    """End a run properly, whatever happens: last look, journal, locks; then report its end."""
    reason: str | None = "interrupted"
    errors: list[Exception] = []
    with run.reporting_end():
        try:
            yield
            reason = run.stopped
        finally:
            # In a task of its own: asyncio's cancellation breaks through shields.
            ending = BackgroundTask(_end(run, reason))
            with anyio.CancelScope(shield=True):
                errors += await ending.result()
        for error in errors:
            raise error


async def _end(run: Run, reason: str | None) -> list[Exception]:
    book = run.journal
    try:
        if run.doubles.due and run.doubles.trouble is None:  # not checked: it was interrupted
            with anyio.move_on_after(_LAST_LOOK):
                await run.look_again()
        if book is not None:
            book.stopped(run.stopped or reason)
            await book.flush()
    except JournalError as error:
        return [run.error_to_raise(error)]
    finally:
        run.release_partners()
        if book is not None:
            await book.aclose()
    return []
