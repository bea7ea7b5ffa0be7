"""``carry``: start a run, continue it, or find it done, depending on its journal."""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from inspect import isawaitable
from typing import Any, Final, TypeVar

from aiocake._normalize import FUNCTION, guarded, misfit
from aiocake.bulk.calls import Call, Instance
from aiocake.bulk.execution import each, instance_of, resume
from aiocake.bulk.journal import EntryState, Journal
from aiocake.bulk.journal_file import place_of
from aiocake.bulk.journal_store import (
    JournalPath,
    NotBegun,
    refuse_other,
    refuse_other_plan,
)
from aiocake.bulk.log_chain import PlanIdentity
from aiocake.bulk.options import (
    NO_CONFLICTS,
    OnConflict,
    OnExisting,
    OnOutcome,
    OnProgress,
    run_options,
)
from aiocake.bulk.outcomes import Skipped, Stop, Summary, conflict_of
from aiocake.bulk.plan import Calls, planned_call_of
from aiocake.bulk.run import MOST_PROBLEMS
from aiocake.errors import ArgumentError, CakeError, Problem

T = TypeVar("T")

_STOP: Final = Stop()
#: The states of calls that leave nothing to do.
_ENDED: Final = frozenset({EntryState.DONE, EntryState.SKIPPED})


async def carry(  # noqa: PLR0913 - all by name
    path: JournalPath,
    cake: Instance,
    *,
    calls: Callable[[], Calls[Any] | Awaitable[Calls[Any]]],
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
    """Carry out a plan to its end: the same call starts it, continues it, or finds it done.

    ::

        summary = await bulk.carry("january.db", cake, calls=january)

    If there is no journal, or one whose making was interrupted, the run begins, as by
    :func:`each`. If there is one, the run goes on, as by :func:`resume`. If nothing is left to do,
    no request is sent, and nothing is written to the journal.

    Args:
        path: The journal: a file that is there, or a new one; or a run of a database
            (:meth:`aiocake.bulk.postgres.Postgres.run`).
        cake: A client of the instance, or a view of one.
        calls: A function that makes the plan, as :func:`each` takes it; it may be asynchronous.
            It is called only if the journal does not have the whole plan yet, and has to make the
            same plan each time.
        limit: Calls in flight at once, as in :func:`each`.
        on_outcome: Called with the end of each call, as in :func:`each`.
        on_progress: Called with the run's progress, as in :func:`each`.
        stop_after: As in :func:`each`; earlier unknown and failed calls do not count.
        expected: Errors that do not count as failures, as in :func:`each`.
        on_existing: The treatment of creates with an existing record, as in :func:`each`.
        on_conflict: The treatment of updates whose invoice is not as expected, as in :func:`each`.
        known_conflicts: Calls to skip as conflicts, as in :func:`each`. One that may have been
            carried out is unknown then.
        known_done: Calls whose record is as they would leave it, as in :func:`each`.
        allow_repeats: Send repeated calls, as in :func:`each`.
        settle: Seconds that a lost create gets to show up, as in :func:`each`.
        allow_unknown_filesystem: As in :func:`each`.
        identity: The hash of the plan and who approved it; the journal must be of this plan. None
            for any.

    Returns:
        The result of the whole plan, as in :func:`each`. If it was done before, its problems are
        its conflicts alone.

    Raises:
        JournalError: The journal cannot be used, or is of another instance or plan; nothing was
            sent.
        ArgumentError: An argument is invalid, or a call, as in :func:`each`.
        AlreadyExists: As ``on_existing`` says.
    """
    if reason := misfit(calls, FUNCTION):
        raise ArgumentError(Problem("calls", reason))
    options: dict[str, Any] = {
        "limit": limit,
        "on_outcome": on_outcome,
        "on_progress": on_progress,
        "stop_after": stop_after,
        "expected": expected,
        "on_existing": on_existing,
        "on_conflict": on_conflict,
        "known_conflicts": known_conflicts,
        "known_done": known_done,
        "allow_repeats": allow_repeats,
        "settle": settle,
        "allow_unknown_filesystem": allow_unknown_filesystem,
    }
    run_options(**options)
    domain, file = instance_of(cake).domain, place_of("path", path)
    try:
        book = await Journal.open(file, allow_unknown_filesystem=allow_unknown_filesystem)
    except NotBegun:
        plan = await _of_instance(await _made(calls), domain)
        return await each(plan, journal=file, identity=identity, **options)
    async with book:
        refuse_other(await book.domain(), file, domain)
        if identity is not None:
            refuse_other_plan(await book.plan_identity(), file, identity)
        whole = await book.is_complete()
        done = await _done(book, cake, check=on_existing != "create") if whole else None
    if done is not None:
        return done
    passed = None if whole else await _made(calls)
    return await resume(file, cake, calls=passed, identity=identity, **options)


async def _made(calls: Callable[[], Calls[T] | Awaitable[Calls[T]]]) -> Calls[T]:
    made = calls()
    return await made if isawaitable(made) else made


async def _of_instance(calls: Calls[T], domain: str) -> Calls[T]:
    """Return the calls if the first of them, with which all have to agree, is for an instance.

    Raises:
        ArgumentError: It is for another one.
    """
    if isinstance(calls, Collection):
        _refuse_first(next(iter(calls), None), domain)
        return calls
    if isinstance(calls, AsyncIterable):
        return _checked_as_it_comes(aiter(calls), domain)
    if isinstance(calls, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        return _checked(iter(calls), domain)
    return calls  # which each() refuses


def _checked(calls: Iterator[Call[T]], domain: str) -> Iterator[Call[T]]:
    for first in calls:
        _refuse_first(first, domain)
        yield first
        break
    yield from calls


async def _checked_as_it_comes(
    calls: AsyncIterator[Call[T]], domain: str
) -> AsyncIterator[Call[T]]:
    first = True
    try:
        async for call in calls:
            if first:
                _refuse_first(call, domain)
            first = False
            yield call
    finally:
        close = getattr(calls, "aclose", None)
        if close is not None:
            await close()


def _refuse_first(first: object, domain: str) -> None:
    if issubclass(type(first), Call):
        theirs = guarded("calls[0]", lambda: first.executor.domain)  # type: ignore[attr-defined]
        if theirs != domain:
            raise ArgumentError(Problem("calls[0]", f"is for {theirs}, not for {domain}"))


async def _done(book: Journal, cake: Instance, *, check: bool) -> Summary | None:
    """Return the result of a run that has nothing left to do; None if something is left.

    Args:
        book: Its journal, which has the whole plan.
        cake: A client of its instance.
        check: True if creates are checked for doubles.
    """
    counts = await book.counts()
    if not counts.keys() <= _ENDED:
        return None
    if check and (await book.doubles() or await _unlooked(book)):
        return None
    conflicts = [each async for each in _conflicts(book, cake)]
    return Summary(
        done=counts.get(EntryState.DONE, 0),
        failed=0,
        unknown=0,
        skipped=counts.get(EntryState.SKIPPED, 0),
        unsent=0,
        plan_read=True,
        stopped=None,
        problems=tuple(conflicts[:MOST_PROBLEMS]),
        conflicts=len(conflicts),
    )


async def _conflicts(book: Journal, cake: Instance) -> AsyncIterator[Skipped[Any]]:
    """Yield the calls that were skipped since their record was not as expected."""
    index = -1
    while entries := await book.entries(EntryState.SKIPPED, after=index):
        for entry in entries:
            if (conflict := conflict_of(entry.detail)) is not None:
                found, reason = conflict
                call = planned_call_of(entry, cake).call
                yield Skipped(entry.index, call, found=found, reason=reason)
        index = entries[-1].index


async def _unlooked(book: Journal) -> bool:
    """Return True if a create was not checked for doubles."""
    index = -1
    while found := await book.creates(after=index):
        if any(theirs is None for _, theirs in found):
            return True
        index = found[-1][0].index
    return False
