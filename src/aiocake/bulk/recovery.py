"""Find out the outcome of writes whose response was lost.

A call that sets values is simply sent again, unless somebody has set the record to something later
meanwhile. If it is refused then, it stays unknown, unless the record is seen not to be set
``settle`` seconds later: the server may still be at the first one when it refuses the second. A
create must not be sent again: the records of its partner are listed, and again ``settle`` seconds
later. One in the end that was not there before and is of exactly its period means that it was done;
none in both lists means that it was not; anything else stays unknown, with the candidates (somebody
may have made the one of the first list, and what was lost shows up late; or somebody has voided
what was made). What creates no record that could be listed stays unknown: a person has to look.
"""

from typing import Any

import anyio

from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import CreateLookup, ExistingRecord
from aiocake.bulk.duplicates import KnownRecords, PlannedCreate, planned_create
from aiocake.bulk.outcomes import Done, Failed, Unknown
from aiocake.bulk.plan import PlannedCall
from aiocake.bulk.run import Run
from aiocake.errors import CakeError
from aiocake.values import Idempotency


async def resolve(run: Run, doubts: list[PlannedCall]) -> list[PlannedCall]:
    """Find out the outcome of calls, and report it to the run.

    Args:
        run: Receives those that were done, and those that stay unknown. If it has stopped, calls
            that could only be sent again are left out.
        doubts: The calls.

    Returns:
        The calls to send again: those that set values, and those that were not carried out.
    """
    again: list[PlannedCall] = []
    creates: list[tuple[PlannedCall, CreateLookup, PlannedCreate]] = []
    if run.stopped is None and any(each.rejection and each.call.table.look for each in doubts):
        await anyio.sleep(run.rules.settle)
    for item in doubts:
        found = planned_create(item.call)
        if found is not None:
            creates.append((item, *found))
        elif item.call.table.idempotency_of(item.call.arguments) is Idempotency.NON_IDEMPOTENT:
            await _stay(run, item, f"nothing shows whether it was done: {_look(item)}")
        elif run.stopped is None and await _may_go_again(run, item):
            again.append(item)
    if creates:
        again += await _created(run, creates)
    return sorted(again, key=lambda item: item.index)


async def _may_go_again(run: Run, item: PlannedCall) -> bool:
    """Return True if a call that sets values is to be sent again.

    Its record is looked at before that: by the client, where the run has conditions; here, where
    it was refused when it was sent again, or the run overwrites.
    """
    call, look = item.call, item.call.table.look
    condition = run.condition_of(item)
    unseen = look is None or not (condition or look.sets_status(call.arguments))
    if look is None or unseen or (condition is not None and item.rejection is None):
        item.maybe_applied = True
        return True
    condition = condition or WriteCondition(None, flow=True)
    wanted = {**look.more, call.table.record: call.arguments[call.table.record]}
    try:
        record = await run.executor.execute(look.read, wanted)
    except CakeError as error:
        run.stops_for_pause(error)
        await _stay(run, item, _unseen("the record could not be read", error, item))
        return False
    seen = look.compare(record, call.arguments, condition, show_sensitive=False)
    if seen.applied:
        await run.end(item, Done(item.index, call, None, look.number(record)))
    elif seen.differences and seen.applied is False:
        await _stay(run, item, f"the record was set to something else meanwhile: {_look(item)}")
    elif item.rejection is not None and seen.applied is False:
        await run.end(item, Failed(item.index, call, item.rejection))
    else:
        item.maybe_applied = True
        return True
    return False


async def _created(
    run: Run, creates: list[tuple[PlannedCall, CreateLookup, PlannedCreate]]
) -> list[PlannedCall]:
    """Return the creates that were not carried out."""
    # A session that lost its run in a moment's sleep may have sent one at the end of its time.
    while run.journal is not None and (seconds := run.journal.seconds_to_judge()) > 0:  # noqa: ASYNC110 - a clock, and no event
        await anyio.sleep(seconds)
    for _, _, create in creates:
        run.guard.begin_settling(create)
    waiting: list[tuple[PlannedCall, CreateLookup, PlannedCreate, tuple[ExistingRecord, ...]]] = []
    for item, table, create in creates:
        new = await _new(run, item, table, create)
        if new is not None:
            waiting.append((item, table, create, new))
    if waiting:
        await anyio.sleep(run.rules.settle)
    again: list[PlannedCall] = []
    for item, table, create, first in waiting:
        new = await _new(run, item, table, create)
        if new is None:
            continue
        if first and new != first:
            await _stay_with(run, item, {*first, *new})
            continue
        run.guard.settle(create)
        if new:
            await run.end(item, Done(item.index, item.call, None, new[0].id))
        else:
            run.requeue(item)
            again.append(item)
    return again


async def _new(
    run: Run, item: PlannedCall, creates: CreateLookup, create: PlannedCreate
) -> tuple[ExistingRecord, ...] | None:
    """Return the record that a create may have made, of exactly its period, or none.

    None when it stays unknown.
    """
    before = item.before
    if before is None:
        await _stay(run, item, f"the records that existed before are not known: {_look(item)}")
        return None
    try:
        records = await KnownRecords().of(creates, run.executor, create.owner)
    except CakeError as error:
        run.stops_for_pause(error)
        await _stay(run, item, _unseen("the records could not be listed", error, item))
        return None
    new = tuple(each for each in records if create.overlaps(each) and each.id not in before)
    # One that is void may be it, and somebody does not want it: it is not made again.
    if len(new) > 1 or any(each.void or not create.is_exactly(each) for each in new):
        await _stay_with(run, item, set(new))
        return None
    return new


async def _stay_with(run: Run, item: PlannedCall, candidates: set[ExistingRecord]) -> None:
    ids = tuple(sorted(each.id for each in candidates))
    await _stay(run, item, f"one of the candidates may be it, or none: {_look(item)}", ids)


async def _stay(run: Run, item: PlannedCall, reason: str, candidates: tuple[int, ...] = ()) -> None:
    ended: Unknown[Any] = Unknown(item.index, item.call, reason, None, candidates)
    found = planned_create(item.call)
    if found is not None:
        run.guard.mark_uncertain(found[1])
    await run.end(item, ended)


def _unseen(what: str, error: CakeError, item: PlannedCall) -> str:
    return f"{what} ({type(error).__name__}): {_look(item)}"


def _look(item: PlannedCall) -> str:
    return f"check {item.call.describe()} in CAKE's own interface"
