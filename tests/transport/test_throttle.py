"""Turns: first come, first served; never more than the rate in any window; no slot lost."""

from itertools import count

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from aiocake._transport.limiter import RequestLimiter
from aiocake.config import Throttle

pytestmark = pytest.mark.anyio


def limiter(draw: float = 0.0, **settings: object) -> RequestLimiter:
    return RequestLimiter(Throttle(**settings), lambda: draw)  # type: ignore[arg-type] # checked by attrs


SIMULATED = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)


async def settled() -> None:
    """Let all other tasks run until they wait."""
    await anyio.wait_all_tasks_blocked()


async def test_no_more_at_once_than_there_are_slots() -> None:
    turns = limiter(concurrency=2)
    first, second = await turns.acquire(), await turns.acquire()
    assert {first, second} == {0, 1}
    got: list[int | None] = []

    async def third() -> None:
        got.append(await turns.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(third)
        await settled()
        assert (turns.in_flight, turns.waiting, got) == (2, 1, [])
        assert first is not None
        turns.release(first)
        await settled()
        assert (turns.in_flight, turns.waiting, got) == (2, 0, [first])


async def test_first_come_first_served() -> None:
    turns = limiter(concurrency=3)
    order: list[int] = []

    async def call(number: int) -> None:
        slot = await turns.acquire()
        assert slot is not None
        order.append(number)
        await anyio.lowlevel.checkpoint()
        turns.release(slot)

    slots = [await turns.acquire() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(call, number)
            await settled()
        for slot in slots:
            assert slot is not None
            turns.release(slot)
            await settled()
    # A tick of trio wakes its tasks in random order; within three slots they may swap.
    assert sorted(order) == list(range(50))
    assert all(abs(place - number) < 3 for place, number in enumerate(order))


async def test_a_newcomer_does_not_overtake() -> None:
    turns = limiter(concurrency=1)
    slot = await turns.acquire()
    assert slot is not None
    order: list[str] = []

    async def call(name: str) -> None:
        slot = await turns.acquire()
        assert slot is not None
        order.append(name)
        turns.release(slot)

    async with anyio.create_task_group() as group:
        group.start_soon(call, "waiting")
        await settled()
        turns.release(slot)  # granted in this moment, though the task has not run yet
        group.start_soon(call, "newcomer")
    assert order == ["waiting", "newcomer"]


async def test_a_full_queue_turns_away_but_for_those_who_were_in() -> None:
    turns = limiter(concurrency=1, max_waiting=1)
    slot = await turns.acquire()
    assert slot is not None
    async with anyio.create_task_group() as group:
        group.start_soon(turns.acquire)
        await settled()
        assert await turns.acquire() is None
        with anyio.move_on_after(0):
            await turns.acquire(again=True)
            pytest.fail("there is no slot")
        assert turns.waiting == 1
        turns.release(slot)


async def test_who_waits_for_the_rate_alone_is_in_the_queue() -> None:
    turns = limiter(concurrency=4, rate=0.001, burst=1, max_waiting=0)
    assert await turns.acquire() == 0
    with anyio.move_on_after(0) as waited:
        assert await turns.acquire() is None
    assert not waited.cancelled_caught


async def test_a_turn_that_does_not_come_in_time() -> None:
    turns = limiter(concurrency=1)
    slot = await turns.acquire()
    assert slot is not None
    assert await turns.acquire(within=0.01) is None
    assert (turns.in_flight, turns.waiting) == (1, 0)
    turns.release(slot)
    assert await turns.acquire(within=0.01) == slot


async def test_exports_have_a_slot_of_their_own() -> None:
    turns = limiter(concurrency=1)
    assert turns.slots == 2
    slot, export = await turns.acquire(), await turns.acquire(export=True)
    assert (slot, export) == (0, 1)
    assert await turns.acquire(export=True, within=0.01) is None
    assert slot is not None
    turns.release(slot)
    assert await turns.acquire() == 0
    assert export is not None
    turns.release(export)
    assert await turns.acquire(export=True) == 1


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_turn_loses_no_slot(steps: int, granted: bool) -> None:  # noqa: FBT001
    turns = limiter(concurrency=1)
    slot = await turns.acquire()
    assert slot is not None
    taken: list[int | None] = []
    scope = anyio.CancelScope()

    async def cancelled() -> None:
        with scope:
            got = await turns.acquire()
            assert got is not None
            turns.release(got)

    async def behind() -> None:
        taken.append(await turns.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(cancelled)
        await settled()
        group.start_soon(behind)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        if granted:
            turns.release(slot)
        scope.cancel()
        await settled()
        if not granted:
            assert taken == []
            turns.release(slot)
    assert taken == [slot]
    assert (turns.in_flight, turns.waiting) == (1, 0)


async def test_hundreds_of_cancelled_turns_lose_no_slot() -> None:
    turns = limiter(concurrency=3)

    async def call() -> None:
        slot = await turns.acquire()
        assert slot is not None
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            turns.release(slot)

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(call)
        for _ in range(7):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert (turns.in_flight, turns.waiting) == (0, 0)
    assert {await turns.acquire() for _ in range(3)} == {0, 1, 2}


def test_outside_of_a_loop_there_is_no_pause_to_tell_of() -> None:
    turns = limiter(rate=1.0)
    assert turns.paused_for() is None

    async def pause() -> None:
        turns.pause(10.0, since=anyio.current_time(), asked=True)
        assert turns.paused_for() is not None

    anyio.run(pause)
    assert turns.paused_for() is None


# Simulated time


@SIMULATED
async def test_a_pace_is_kept_and_a_burst_allowed() -> None:
    turns = limiter(concurrency=10, rate=2.0, burst=3)
    start = anyio.current_time()
    times = []
    for _ in range(6):
        slot = await turns.acquire()
        assert slot is not None
        times.append(anyio.current_time() - start)
        turns.release(slot)
    # The simulated clock of trio begins at a random time, whose last digits round.
    assert times == pytest.approx([0.0, 0.0, 0.0, 0.5, 1.0, 1.5])
    await anyio.sleep(100)
    start = anyio.current_time()
    for _ in range(4):
        slot = await turns.acquire()
        assert slot is not None
        turns.release(slot)
    assert anyio.current_time() - start == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 4),
    st.sampled_from([0.5, 1.0, 3.0, 7.0]),
    st.integers(1, 5),
)
def test_never_more_than_the_rate_in_any_window(
    calls: list[tuple[float, float, bool]],
    concurrency: int,
    rate: float,
    burst: int,
) -> None:
    """Calls that come, take and give up at random: at most ``rate * window + burst`` begin."""
    begun: list[float] = []
    order: list[int] = []
    running = 0
    most = 0

    async def call(turns: RequestLimiter, number: int, takes: float, export: bool) -> None:  # noqa: FBT001
        nonlocal running, most
        with anyio.move_on_after(takes * 2):
            slot = await turns.acquire(export=export)
            assert slot is not None
            begun.append(anyio.current_time())
            order.append(number)
            running += 1
            most = max(most, running)
            try:
                await anyio.sleep(takes)
            finally:
                running -= 1
                turns.release(slot)

    async def main() -> None:
        turns = limiter(concurrency=concurrency, rate=rate, burst=burst)
        async with anyio.create_task_group() as group:
            for number, (after, takes, export) in enumerate(calls):
                await anyio.sleep(after)
                group.start_soon(call, turns, number, takes, export)
        assert (turns.in_flight, turns.waiting) == (0, 0)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert most <= concurrency + 1
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            window = begun[last] - begun[first]
            assert last - first + 1 <= window * rate + burst + 1e-6


@SIMULATED
async def test_a_rate_serves_in_order_with_exports_in_between() -> None:
    turns = limiter(concurrency=2, rate=1.0, burst=1)
    order: list[int] = []

    async def call(number: int) -> None:
        slot = await turns.acquire(export=number % 5 == 4)
        assert slot is not None
        order.append(number)
        turns.release(slot)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(call, number)
            await trio.testing.wait_all_tasks_blocked()
    assert order == list(range(20))


@SIMULATED
async def test_those_who_give_up_do_not_stop_the_clock_for_the_others() -> None:
    turns = limiter(concurrency=4, rate=1.0, burst=1)
    done: list[int] = []

    async def call(number: int, patience: float) -> None:
        with anyio.move_on_after(patience):
            slot = await turns.acquire()
            assert slot is not None
            turns.release(slot)
            done.append(number)

    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        for number in range(30):
            # Each first of the queue, whoever watches the clock, gives up half of the time.
            group.start_soon(call, number, 0.5 if number % 2 else 1000)
            await trio.testing.wait_all_tasks_blocked()
    assert done == [number for number in range(30) if number % 2 == 0]
    assert anyio.current_time() - start <= 15


@SIMULATED
@pytest.mark.parametrize(("adaptive", "at_once"), [(False, 8), (True, 4)])
async def test_a_pause_holds_all_back_once_and_lets_them_start_one_by_one(
    adaptive: bool,  # noqa: FBT001
    at_once: int,
) -> None:
    draws = count(1)
    settings = Throttle(concurrency=8, adaptive=adaptive)
    turns = RequestLimiter(settings, lambda: next(draws) % 10 / 10)
    start = anyio.current_time()
    assert turns.paused_for() is None
    assert turns.pause(10.0, since=start, asked=True)
    assert turns.paused_for() == pytest.approx(10.0)
    times: list[float] = []

    async def call() -> None:
        slot = await turns.acquire()
        assert slot is not None
        times.append(anyio.current_time() - start)
        await anyio.sleep(0.01)
        turns.release(slot)

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(call)
    assert times[0] == pytest.approx(10.0)
    assert len(set(times[:at_once])) == at_once
    assert times[0] < times[at_once - 1] <= 12.0
    assert turns.paused_for() is None


@SIMULATED
async def test_many_answers_of_one_congestion_make_one_pause() -> None:
    turns = limiter(concurrency=8)
    await anyio.sleep(1)
    sent = anyio.current_time()
    await anyio.sleep(1)
    begun = [turns.pause(2.0, since=sent, asked=False) for _ in range(100)]
    assert begun == [True] + [False] * 99
    assert turns.paused_for() == pytest.approx(2.0)
    assert not turns.pause(1.0, since=sent, asked=True)
    assert turns.paused_for() == pytest.approx(2.0)
    assert not turns.pause(5.0, since=sent, asked=True)
    assert turns.paused_for() == pytest.approx(5.0)
    await anyio.sleep(6)
    assert not turns.pause(3.0, since=sent, asked=False)  # a late one of the same congestion
    assert turns.paused_for() is None
    assert turns.pause(3.0, since=anyio.current_time(), asked=False)
    assert turns.paused_for() == pytest.approx(3.0)


@SIMULATED
async def test_after_a_pause_the_rate_still_counts() -> None:
    turns = limiter(concurrency=4, rate=1.0, burst=1)
    start = anyio.current_time()
    turns.pause(5.0, since=start, asked=True)
    times = []
    for _ in range(4):
        slot = await turns.acquire()
        assert slot is not None
        times.append(anyio.current_time() - start)
        turns.release(slot)
    assert times == pytest.approx([5.0, 6.0, 7.0, 8.0])


@SIMULATED
async def test_a_longer_pause_reaches_those_who_already_wait() -> None:
    turns = limiter(concurrency=1)
    start = anyio.current_time()
    turns.pause(2.0, since=start, asked=True)
    times: list[float] = []

    async def call() -> None:
        slot = await turns.acquire()
        assert slot is not None
        times.append(anyio.current_time() - start)
        turns.release(slot)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.sleep(1)
        assert turns.pause(4.0, since=anyio.current_time(), asked=True)
    assert times == pytest.approx([5.0])
