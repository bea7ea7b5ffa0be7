"""When each call begins, to the moment: after a pause, late for the clock, at a pace learnt."""

import anyio
import pytest
import trio.testing

from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.pause import Refusal
from aiocake.config import Throttle

pytestmark = pytest.mark.anyio

SIMULATED = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)


class Clock:
    """The clock of an event loop that does not run: what needs no wait needs no loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(anyio, "current_time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


#: Simulated seconds in which all that is waited for here has come.
SOON = 1e6


def limiter(draw: float = 1.0, *, concurrency: int = 8, adaptive: bool = True) -> RequestLimiter:
    return RequestLimiter(Throttle(concurrency=concurrency, adaptive=adaptive), lambda: draw)


def test_a_slot_for_each_that_may_be_in_flight_and_one_for_exports() -> None:
    turns = limiter(concurrency=2)
    assert (turns.slots, turns.limit, turns.in_flight) == (3, 2, 0)
    assert turns.acquire_nowait(export=True) == 2
    assert [turns.acquire_nowait() for _ in range(3)] == [0, 1, None]
    assert turns.acquire_nowait(export=True) is None
    assert (turns.in_flight, turns.waiting) == (3, 0)
    # The one used last is given first.
    for slot in (1, 0, 2):
        turns.release(slot)
    assert turns.in_flight == 0
    assert [turns.acquire_nowait() for _ in range(3)] == [0, 1, None]
    assert turns.acquire_nowait(export=True) == 2


def test_a_rate_and_a_burst_without_a_wait(clock: Clock) -> None:
    settings = Throttle(concurrency=4, rate=0.5, burst=2, adaptive=False)
    turns = RequestLimiter(settings, lambda: 0.0)
    assert [turns.acquire_nowait() for _ in range(3)] == [0, 1, None]
    clock.now += 1.5
    assert turns.acquire_nowait() is None
    assert turns.acquire_nowait(export=True) is None
    clock.now += 0.5
    assert turns.acquire_nowait(export=True) == 4
    assert turns.follow_nowait(0) is False
    clock.now += 2.0
    assert turns.follow_nowait(0) is True
    assert turns.acquire_nowait() is None


def test_a_short_pause_and_the_steps_after_it(clock: Clock) -> None:
    turns = limiter(concurrency=4, adaptive=False)
    assert turns.pause(10.0, since=clock.now, asked=True) is True
    assert turns.paused
    clock.now += 9.0
    assert (turns.acquire_nowait(), turns.acquire_nowait(export=True)) == (None, None)
    clock.now += 1.0
    taken = []
    for _ in range(7):
        taken.append(turns.acquire_nowait())
        clock.now += 0.25
    assert taken == [0, None, 1, None, 2, None, 3]
    # No step is left, and no other call held back.
    assert turns.acquire_nowait(export=True) == 4


@pytest.mark.parametrize("long", [False, True])
def test_an_end_of_all_pauses_ends_the_steps_after_them(clock: Clock, *, long: bool) -> None:
    turns = limiter(concurrency=4, adaptive=False)
    assert turns.end_pause() is None
    began = clock.now
    if long:
        assert turns.refuse(10.0, SOON, since=clock.now, status=429) is True
    else:
        turns.pause(10.0, since=clock.now, asked=True)
    clock.now += 1.0
    assert turns.end_pause() == (began if long else None)
    assert not turns.paused
    assert [turns.acquire_nowait() for _ in range(4)] == [0, 1, 2, 3]
    # So it does where the first one has gone.
    for slot in range(4):
        turns.release(slot)
    turns.pause(1.0, since=clock.now, asked=True)
    clock.now += 1.0
    assert [turns.acquire_nowait(), turns.acquire_nowait()] == [3, None]
    turns.end_pause()
    assert [turns.acquire_nowait() for _ in range(3)] == [2, 1, 0]


def test_a_long_pause_and_who_goes_first_after_it(clock: Clock) -> None:
    turns = limiter(draw=0.0, concurrency=3, adaptive=False)
    assert turns.refusal() is None
    sent = clock.now
    clock.now += 1.0
    assert turns.refuse(100.0, SOON, since=sent, status=429) is True
    # One of the same congestion makes it longer, and no other.
    clock.now += 1.0
    assert turns.refuse(100.0, SOON, since=sent, status=503) is False
    refusal = turns.refusal()
    assert refusal is not None
    assert (refusal.status, refusal.seconds) == (429, 100.0)
    assert turns.may_refuse(503)
    clock.now += 100.0
    assert turns.refusal() is None
    assert turns.paused
    assert turns.acquire_nowait() == 0
    assert (turns.acquire_nowait(), turns.acquire_nowait(export=True)) == (None, None)
    # It got no response, and the next one goes first.
    turns.release(0)
    assert turns.acquire_nowait() == 0
    assert turns.on_response(0, 429, throttled=True) is None
    assert turns.on_response(1, 200, throttled=False) is None
    assert turns.acquire_nowait() is None
    assert turns.on_response(0, 200, throttled=False) == 101.0
    assert not turns.paused
    assert [turns.acquire_nowait(), turns.acquire_nowait()] == [1, 2]


def test_a_call_goes_first_beside_an_export(clock: Clock) -> None:
    turns = limiter(draw=0.0, concurrency=2, adaptive=False)
    turns.refuse(100.0, SOON, since=clock.now, status=429)
    clock.now += 100.0
    assert turns.acquire_nowait(export=True) == 2
    assert turns.acquire_nowait() == 0
    assert turns.acquire_nowait() is None


def test_two_503_in_a_row_may_begin_a_long_pause() -> None:
    turns = limiter()
    for status, may in ((503, False), (200, False), (503, False), (503, True)):
        turns.on_response(0, status, throttled=status == 503)
        assert turns.may_refuse(503) is may
        assert turns.may_refuse(429)


def test_half_as_many_where_a_server_refuses_and_one_more_for_each_row_that_it_takes(
    clock: Clock,
) -> None:
    turns = limiter(concurrency=8)
    sent = clock.now
    clock.now += 1.0
    turns.on_timeout(sent)
    turns.on_timeout(sent)
    assert turns.limit == 4
    # What was sent before does not count.
    for since, accepted, limit in ((sent, 20, 4), (clock.now, 3, 4), (clock.now, 1, 5)):
        for _ in range(accepted):
            turns.on_response(0, 200, throttled=False, accepted_since=since)
        assert turns.limit == limit
    for limit in (5, 5, 5, 5, 6):
        turns.on_response(0, 200, throttled=False, accepted_since=clock.now)
        assert turns.limit == limit
    assert [turns.acquire_nowait() for _ in range(7)] == [0, 1, 2, 3, 4, 5, None]
    for _ in range(6 + 7 + 20):
        turns.on_response(0, 200, throttled=False, accepted_since=clock.now)
    assert turns.limit == 8
    for limit in (4, 2, 1, 1):
        clock.now += 1.0
        turns.refuse(1.0, 1.0, since=clock.now, status=429)
        assert turns.limit == limit


@pytest.mark.parametrize("adaptive", [False, True])
def test_only_who_adapts_sends_fewer(clock: Clock, *, adaptive: bool) -> None:
    turns = limiter(concurrency=8, adaptive=adaptive)
    turns.on_timeout(clock.now)
    turns.on_response(0, 200, throttled=False, accepted_since=clock.now)
    turns.pause(1.0, since=clock.now + 1.0, asked=True)
    assert turns.limit == (2 if adaptive else 8)


async def test_an_export_that_need_not_wait_gets_the_slot_of_the_exports() -> None:
    turns = limiter(concurrency=1)
    assert await turns.acquire(export=True) == 1
    assert await turns.acquire() == 0


@SIMULATED
async def test_an_end_of_all_pauses_wakes_one_who_waits_alone() -> None:
    turns = limiter(concurrency=2)
    order = Order(turns)
    turns.pause(50.0, since=anyio.current_time(), asked=True)
    async with anyio.create_task_group() as group:
        group.start_soon(order.new, "call")
        await anyio.sleep(1.0)
        turns.end_pause()
    assert order.begun == [("call", 1.0)]


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
    assert turns.paused_for() == pytest.approx(0.5)
    # What was sent in the moment in which it began was not sent before it.
    assert turns.pause(0.25, since=start, asked=True)
    assert turns.paused_for() == pytest.approx(0.5)
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
        turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
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
    turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
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
    turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
    turns.pause(1.0, since=anyio.current_time(), asked=False)
    times = await turns_of(turns, 12)
    assert times[0] == pytest.approx(1.0, abs=0.1)
    assert len(set(times)) >= 10


def test_outside_of_a_loop_there_is_no_pace_to_tell_of() -> None:
    turns = limiter()

    async def learn() -> None:
        await refused_at_seven(turns)
        await anyio.sleep(0.5)
        turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
        assert turns.pace() is not None

    anyio.run(
        learn,
        backend="trio",
        backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
    )
    assert turns.pace() is None


# A further turn, with a slot that a call has


def paced(every: float, *, concurrency: int = 2) -> RequestLimiter:
    """A limiter that lets a call go every so many seconds."""
    settings = Throttle(concurrency=concurrency, rate=1 / every, burst=1, adaptive=False)
    return RequestLimiter(settings, lambda: 0.0)


async def slot_of(turns: RequestLimiter, *, export: bool = False) -> int:
    slot = await turns.acquire(export=export)
    assert isinstance(slot, int)
    return slot


class Order:
    """Who got a turn, and after how many seconds."""

    def __init__(self, turns: RequestLimiter) -> None:
        self.turns = turns
        self.start = anyio.current_time()
        self.begun: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.begun.append((name, round(anyio.current_time() - self.start, 3)))

    async def new(self, name: str, export: bool = False) -> None:  # noqa: FBT001, FBT002 - for start_soon
        slot = await slot_of(self.turns, export=export)
        self.note(name)
        self.turns.release(slot)

    async def again(self, name: str, slot: int, within: float = SOON) -> None:
        assert await self.turns.follow(slot, within=within) is None
        self.note(name)


async def test_without_a_rate_a_further_turn_is_there_at_once() -> None:
    turns = limiter(concurrency=1)
    slot = await slot_of(turns)
    assert turns.follow_nowait(slot) is True
    with anyio.fail_after(SOON):
        assert await turns.follow(slot, within=0.0) is None
    assert (turns.in_flight, turns.waiting, turns.acquire_nowait()) == (1, 0, None)
    turns.release(slot)
    assert turns.acquire_nowait() == slot


@SIMULATED
async def test_a_further_turn_keeps_to_the_rate_and_counts_for_it() -> None:
    turns = paced(1.0)
    order = Order(turns)
    slot = await slot_of(turns)
    assert turns.follow_nowait(slot) is False
    for _ in range(2):
        await order.again("again", slot)
        assert turns.in_flight == 1
    await anyio.sleep(1.0)
    assert turns.follow_nowait(slot) is True
    assert turns.follow_nowait(slot) is False
    await order.new("new")
    assert order.begun == [("again", 1.0), ("again", 2.0), ("new", 4.0)]
    assert turns.in_flight == 1


@SIMULATED
@pytest.mark.parametrize("pause", [0.0, 1.0])
async def test_whoever_has_a_slot_goes_ahead_of_all_who_wait_for_one(pause: float) -> None:
    turns = paced(1.0, concurrency=3)
    order = Order(turns)
    slots = [await slot_of(turns), await slot_of(turns)]
    if pause:
        turns.pause(pause, since=anyio.current_time(), asked=True)
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as group:
            for name, export in (("export", True), ("call", False)):
                group.start_soon(order.new, name, export)
                await anyio.wait_all_tasks_blocked()
            for name, slot in zip(("first", "second"), slots, strict=True):
                group.start_soon(order.again, name, slot)
                await anyio.wait_all_tasks_blocked()
            assert turns.follow_nowait(slots[0]) is False
            assert turns.acquire_nowait() is None
            assert (turns.in_flight, turns.waiting) == (2, 2)
    assert order.begun == [("first", 2.0), ("second", 3.0), ("export", 4.0), ("call", 5.0)]


@SIMULATED
async def test_in_the_moment_of_its_turn_nobody_gets_before_whoever_has_a_slot() -> None:
    turns = paced(1.0)
    slot = await slot_of(turns)
    async with anyio.create_task_group() as group:
        group.start_soon(Order(turns).again, "again", slot)
        await anyio.wait_all_tasks_blocked()
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(10.0)
        # Its time has come, and it has not run yet.
        assert turns.follow_nowait(slot) is False
        assert turns.acquire_nowait() is None


@SIMULATED
@pytest.mark.parametrize("export", [False, True])
async def test_in_the_moment_of_its_turn_nobody_new_gets_before_whoever_waits(
    export: bool,  # noqa: FBT001
) -> None:
    turns = paced(1.0)
    await slot_of(turns)
    async with anyio.create_task_group() as group:
        group.start_soon(Order(turns).new, "waits", export)
        await anyio.wait_all_tasks_blocked()
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(10.0)
        assert turns.acquire_nowait(export=not export) is None


async def test_an_export_that_comes_while_calls_wait_gets_its_slot_at_once() -> None:
    turns = limiter(concurrency=1)
    slot = await slot_of(turns)
    async with anyio.create_task_group() as group:
        group.start_soon(Order(turns).new, "call")
        await anyio.wait_all_tasks_blocked()
        assert turns.acquire_nowait(export=True) == 1
        turns.release(slot)


@SIMULATED
async def test_what_is_sent_before_the_rate_lets_it_go_is_made_up_for() -> None:
    turns = paced(10.0)
    order = Order(turns)
    slot = await slot_of(turns)
    await order.again("again", slot, within=2.0)
    await order.new("new")
    await order.new("another")
    assert order.begun == [("again", 2.0), ("new", 20.0), ("another", 30.0)]
    assert (turns.in_flight, turns.waiting) == (1, 0)


@SIMULATED
async def test_a_pause_is_waited_for_as_long_as_it_takes() -> None:
    turns = limiter(concurrency=2, adaptive=False)
    order = Order(turns)
    slot = await slot_of(turns)
    turns.pause(50.0, since=anyio.current_time(), asked=True)
    await order.again("again", slot, within=1.0)
    # So is the response of the one that goes first after a long one.
    await anyio.sleep(50.0)
    assert turns.refuse(100.0, SOON, since=anyio.current_time(), status=429)
    await anyio.sleep(100.0)
    first = await slot_of(turns)
    async with anyio.create_task_group() as group:
        group.start_soon(order.again, "again", slot, 1.0)
        await anyio.sleep(30.0)
        assert turns.on_response(first, 200, throttled=False) == pytest.approx(130.0)
    assert order.begun == [("again", 50.0), ("again", 230.0)]
    assert not turns.paused


@SIMULATED
async def test_a_long_pause_refuses_a_further_turn_and_leaves_the_slot() -> None:
    turns = paced(10.0)
    slot = await slot_of(turns)
    refused: list[Refusal | int | None] = []

    async def again() -> None:
        refused.append(await turns.follow(slot, within=SOON))

    async with anyio.create_task_group() as group:
        group.start_soon(again)
        await anyio.wait_all_tasks_blocked()
        assert turns.refuse(100.0, SOON, since=anyio.current_time(), status=429)
    # One that goes on already does so at once as well.
    assert turns.follow_nowait(slot) is False
    await again()
    assert [type(each) for each in refused] == [Refusal] * 2
    assert (turns.in_flight, turns.waiting) == (1, 0)
    # When it is over, this one may be the one that goes first.
    await anyio.sleep(100.0)
    assert turns.paused
    assert await turns.follow(slot, within=SOON) is None
    assert turns.acquire_nowait() is None
    assert turns.on_response(slot, 200, throttled=False) is not None
    assert not turns.paused


@SIMULATED
async def test_a_pause_that_begins_after_a_further_turn_came_and_before_it_is_used() -> None:
    turns = paced(10.0)
    slot, other = await slot_of(turns), await slot_of(turns)
    refused: list[Refusal | None] = []

    async def again() -> None:
        refused.append(await turns.follow(slot, within=SOON))

    async with anyio.create_task_group() as group:
        group.start_soon(again)
        await anyio.wait_all_tasks_blocked()
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(10.0)
        turns.release(other)  # which gives the turn to the one who waits, which has not run yet
        assert turns.follow_nowait(slot) is False
        assert turns.refuse(100.0, SOON, since=anyio.current_time(), status=429)
    assert [type(each) for each in refused] == [Refusal]


@SIMULATED
async def test_one_that_goes_first_with_a_slot_that_it_has_holds_the_others_back() -> None:
    turns = limiter(concurrency=2, adaptive=False)
    slot = await slot_of(turns)
    assert turns.refuse(100.0, SOON, since=anyio.current_time(), status=429)
    await anyio.sleep(100.0)
    assert turns.follow_nowait(slot) is True
    assert turns.acquire_nowait() is None
    assert turns.acquire_nowait(export=True) is None
    assert turns.on_response(slot, 200, throttled=False) == pytest.approx(100.0)


@SIMULATED
async def test_who_gives_a_further_turn_up_lets_the_next_one_go() -> None:
    turns = paced(10.0)
    order = Order(turns)
    slot = await slot_of(turns)
    async with anyio.create_task_group() as group:
        with anyio.move_on_after(3.0):
            async with anyio.create_task_group() as given_up:
                given_up.start_soon(order.again, "again", slot)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(order.new, "new")
                await anyio.sleep(5.0)
    assert order.begun == [("new", 10.0)]
    assert (turns.in_flight, turns.waiting) == (1, 0)
    turns.release(slot)
