"""What became of a write whose answer was lost.

A call that sets values is simply sent again, unless somebody has set the record to something later
meanwhile. A create must not be: the records of its partner are listed, and again ``settle`` seconds
later. One that was not there before and is of exactly its period means that it was done; none means
that it was not; anything else stays unknown, with the candidates. What creates no record that could
be listed stays unknown: a person has to look.
"""

from typing import Any

import anyio

from aiocake._operation import Creates, Record, Standing
from aiocake.bulk._guard import Wanted, wanted
from aiocake.bulk._outcomes import Done, Unknown
from aiocake.bulk._plan import Item
from aiocake.bulk._run import Run
from aiocake.errors import CakeError, ConsistencyError, ListChanged
from aiocake.values import Effect

__all__ = ["resolve"]


async def resolve(run: Run, doubts: list[Item], settle: float) -> list[Item]:
    """Find out what became of calls, and tell the run.

    Args:
        run: Is told of those that were done, and of those that stay unknown. If it has stopped,
            nothing is said of what could only be sent again.
        doubts: The calls.
        settle: Seconds that a lost create is given to show up.

    Returns:
        Those that are to be sent again: what sets values, and what was not done.
    """
    again: list[Item] = []
    creates: list[tuple[Item, Creates, Wanted]] = []
    for item in doubts:
        found = wanted(item.call)
        if found is not None:
            creates.append((item, *found))
        elif item.call.table.effect_of(item.call.arguments) is Effect.ONCE:
            await _stay(run, item, f"nothing shows whether it was done: {_look(item)}")
        elif run.stopped is None and await _may_go_again(run, item):
            again.append(item)
    if creates:
        again += await _created(run, creates, settle)
    return sorted(again, key=lambda item: item.place)


async def _may_go_again(run: Run, item: Item) -> bool:
    """Of a call that sets values: whether to send it again."""
    read = item.call.table.standing
    if read is None:
        return True
    try:
        standing = await read(run.executor, item.call.arguments)
    except CakeError as error:
        await _stay(run, item, f"could not be looked at ({type(error).__name__}): {_look(item)}")
        return False
    if standing is Standing.THERE:
        await run.end(item, Done(item.place, item.call, None))
    elif standing is Standing.BEYOND:
        await _stay(run, item, f"was set to something else meanwhile: {_look(item)}")
    return standing is Standing.BEFORE


async def _created(
    run: Run, creates: list[tuple[Item, Creates, Wanted]], settle: float
) -> list[Item]:
    """Of creates: those that were not carried out."""
    waiting = [each for each in creates if not await _settled(run, each, last=False)]
    if not waiting:
        return []
    await anyio.sleep(settle)
    return [item for item, table, wish in waiting if not await _settled(run, (item, table, wish))]


async def _settled(run: Run, doubt: tuple[Item, Creates, Wanted], *, last: bool = True) -> bool:
    """Whether a create is done or stays unknown; if not, nothing of it is there."""
    item, creates, wish = doubt
    before = item.before
    if before is None:
        await _stay(run, item, f"what was there before is not known: {_look(item)}")
        return True
    try:
        records = await _records(run, creates, wish.owner)
    except CakeError as error:
        await _stay(run, item, f"could not be looked for ({type(error).__name__}): {_look(item)}")
        return True
    new = [each for each in records if wish.meets(each) and each.id not in before]
    if not new:
        if last:
            run.guard.settle(wish)
            run.put_back(item)
        return False
    if len(new) == 1 and wish.is_exactly(new[0]):
        run.guard.settle(wish)
        await run.end(item, Done(item.place, item.call, None, new[0].id))
        return True
    ids = tuple(sorted(each.id for each in new))
    await _stay(run, item, f"any of these may be it, or none: {_look(item)}", ids)
    return True


async def _records(run: Run, creates: Creates, owner: int) -> list[Record]:
    records: list[Record] = []
    try:
        await creates.visit(run.executor, owner, records.append)
    except ListChanged:
        raise
    except ConsistencyError:  # an instance that does not know the filter gives all
        records.clear()
        await creates.visit(run.executor, None, records.append)
    return [each for each in records if each.owner == owner]


async def _stay(run: Run, item: Item, reason: str, candidates: tuple[int, ...] = ()) -> None:
    ended: Unknown[Any] = Unknown(item.place, item.call, reason, None, candidates)
    found = wanted(item.call)
    if found is not None:
        run.guard.doubt(found[1])
    await run.end(item, ended)


def _look(item: Item) -> str:
    return f"look at {item.call.describe()} in CAKE's own interface"
