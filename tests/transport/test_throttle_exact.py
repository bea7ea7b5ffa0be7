"""When each call begins, to the moment: after a pause, late for the clock, at a pace learnt."""

import anyio
import pytest
import trio.testing

from aiocake._transport.limiter import RequestLimiter
from aiocake.config import Throttle

pytestmark = pytest.mark.anyio

SIMULATED = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
#: Simulated seconds in which all that is waited for here has come.
SOON = 1e6


def limiter(draw: float = 1.0, *, concurrency: int = 8, adaptive: bool = True) -> RequestLimiter:
    return RequestLimiter(Throttle(concurrency=concurrency, adaptive=adaptive), lambda: draw)


async def turns_of(turns: RequestLimiter, number: int) -> list[float]:
    """In how many seconds each of some calls begins, one after the other, each ended at once."""
    start = anyio.current_time()
    times: list[float] = []
    with anyio.fail_after(SOON):
        for _ in range(number):
            slot = await turns.acquire()
            assert slot is not None
            times.append(anyio.current_time() - start)
            turns.release(slot)
    return times


@SIMULATED
@pytest.mark.parametrize(
    ("concurrency", "seconds", "times"),
    [
        (2, 10.0, [10.0, 11.0, 11.0, 11.0]),
        (2, 0.5, [0.5, 1.0, 1.0]),
        (4, 2.0, [2.0, 2.5, 3.0, 3.5, 3.5, 3.5]),
        (1, 1.0, [1.0, 1.0, 1.0]),
    ],
)
async def test_after_a_pause_each_slot_is_filled_a_step_later(
    concurrency: int, seconds: float, times: list[float]
) -> None:
    turns = limiter(concurrency=concurrency, adaptive=False)
    assert turns.pause(seconds, since=anyio.current_time(), asked=True)
    assert await turns_of(turns, len(times)) == pytest.approx(times)
    # The next one is filled anew.
    assert turns.pause(seconds, since=anyio.current_time(), asked=True)
    assert await turns_of(turns, len(times)) == pytest.approx(times)


@SIMULATED
async def test_when_a_pause_is_over() -> None:
    turns = limiter()
    start = anyio.current_time()
    assert turns.pause(0.5, since=start, asked=True)
    assert turns.paused_for() == 0.5
    # What was sent in the moment in which it began was not sent before it.
    assert turns.pause(0.25, since=start, asked=True)
    assert turns.paused_for() == 0.5
    await anyio.sleep_until(start + 0.5)
    assert turns.paused_for() is None


@SIMULATED
async def test_whoever_comes_late_for_the_clock_goes_behind_whoever_watches_it() -> None:
    turns = RequestLimiter(Throttle(concurrency=2, rate=1.0, burst=2), lambda: 0.0)
    for _ in range(2):
        slot = await turns.acquire()
        assert slot is not None
        turns.release(slot)
    order: list[str] = []

    async def first() -> None:
        await turns.acquire(export=True)
        order.append("first")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        # Its time comes, and that of the next one, before it has run.
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(10.0)
        with anyio.fail_after(SOON):
            assert await turns.acquire() is not None
        order.append("second")
    assert sorted(order) == ["first", "second"]
    assert (turns.in_flight, turns.waiting) == (2, 0)


async def refused_at_seven(turns: RequestLimiter) -> None:
    """Seven calls a second for three seconds, and one more than the server takes."""
    for _ in range(21):
        turns.on_accepted(anyio.current_time())
        await anyio.sleep(1 / 7)
    assert turns.pace() is None
    turns.pause(0.5, since=anyio.current_time(), asked=False)
    assert turns.pace() is None


@SIMULATED
async def test_a_rate_that_was_learnt_spaces_all_calls() -> None:
    turns = limiter(draw=0.0, concurrency=2)
    await refused_at_seven(turns)
    # The pause passes, and nothing is spaced yet.
    assert await turns_of(turns, 4) == pytest.approx([0.5] * 4)
    turns.on_accepted(anyio.current_time())
    learnt = turns.pace()
    assert learnt == pytest.approx(22 / 3.5, rel=0.01)
    times = await turns_of(turns, 12)
    assert len(set(times)) >= 10
    assert 0.5 < times[-1] < 2.0
    later = turns.pace()
    assert later is not None
    assert later > learnt


@SIMULATED
async def test_a_rate_that_was_learnt_outlasts_the_next_pause() -> None:
    turns = limiter(draw=0.0, concurrency=2)
    await refused_at_seven(turns)
    await anyio.sleep(0.5)
    turns.on_accepted(anyio.current_time())
    turns.pause(1.0, since=anyio.current_time(), asked=False)
    times = await turns_of(turns, 12)
    assert times[0] == pytest.approx(1.0, abs=0.1)
    assert len(set(times)) >= 10


def test_outside_of_a_loop_there_is_no_pace_to_tell_of() -> None:
    turns = limiter()

    async def learn() -> None:
        await refused_at_seven(turns)
        await anyio.sleep(0.5)
        turns.on_accepted(anyio.current_time())
        assert turns.pace() is not None

    anyio.run(
        learn,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
    )
    assert turns.pace() is None
