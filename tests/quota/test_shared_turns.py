# ruff: noqa: ANN001 - what fixtures give is said where they are
"""Processes that share a quota, in simulated time: rate, pauses, and a store that is away."""

import itertools
import logging
import math
from collections.abc import Callable
from decimal import Decimal

import anyio
import attrs
import pytest
import trio.testing

from aiocake._transport import shared_turns
from aiocake._transport.limiter import RequestLimiter
from aiocake.config import Throttle
from aiocake.errors import NotSent
from aiocake.quota import QuotaReply, QuotaRequest

from ..support.quota_memory import MemoryQuota
from ..support.refusals import refuse_twice

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("anyio_backend", "network"),
    pytest.mark.parametrize(
        "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
    ),
]
RATE, BURST = 40.0, 2
#: What one question costs, in seconds.
ROUND_TRIP = 0.004


@attrs.define
class Network:
    """Between the processes and the store."""

    hangs: bool = False
    trips: int = 0
    round_trip: float = ROUND_TRIP


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Have questions take simulated time in place of a thread."""
    network = Network()

    async def ask(
        ask: Callable[[QuotaRequest], QuotaReply], request: QuotaRequest, _: object
    ) -> QuotaReply:
        network.trips += 1
        await anyio.sleep(math.inf if network.hangs else network.round_trip / 2)
        reply = ask(request)
        await anyio.sleep(network.round_trip / 2)
        return reply

    monkeypatch.setattr(shared_turns, "in_thread", ask)
    return network


def process(store: MemoryQuota, **settings: object) -> RequestLimiter:
    given: dict[str, object] = {"rate": RATE, "burst": BURST, **settings}
    return RequestLimiter(Throttle(shared=store, **given), lambda: 0.5)  # type: ignore[arg-type] # checked by attrs


async def calls(turns: RequestLimiter, until: float, begun: list[float]) -> None:
    """Make calls one after the other, until a time."""
    while anyio.current_time() < until:
        slot = await turns.acquire(within=until - anyio.current_time())
        if not isinstance(slot, int):
            return
        begun.append(anyio.current_time())
        await anyio.sleep(0.05)
        turns.release(slot)


async def run(processes: list[RequestLimiter], seconds: float, *, callers: int = 8) -> list[float]:
    begun: list[float] = []
    until = anyio.current_time() + seconds
    async with anyio.create_task_group() as group:
        for turns in processes:
            for _ in range(callers):
                group.start_soon(calls, turns, until, begun)
    for turns in processes:
        await turns.aclose()
    return sorted(begun)


def most(begun: list[float], window: float) -> int:
    """Return the most calls that began in any window of time."""
    highest = first = 0
    for last, at in enumerate(begun):
        while begun[first] <= at - window:
            first += 1
        highest = max(highest, last - first + 1)
    return highest


async def test_four_processes_keep_one_rate_and_use_it(network) -> None:
    # A clock that differs from theirs by an hour.
    store = MemoryQuota(lambda: anyio.current_time() + 3600)
    begun = await run([process(store) for _ in range(4)], 60)
    for window in (0.1, 1.0, 10.0):
        assert most(begun, window) <= RATE * window + BURST
    assert len(begun) >= 0.95 * RATE * 60
    # Less than one question a call: those who wait are asked for together.
    assert network.trips <= 1.1 * len(begun)


async def test_a_process_takes_what_others_leave() -> None:
    store = MemoryQuota(anyio.current_time)
    begun = await run([process(store), process(store)], 20)
    alone = await run([process(store)], 20)
    assert len(alone) >= 0.95 * RATE * 20
    assert len(begun) >= 0.95 * RATE * 20


async def test_who_waits_is_asked_for_at_once(network) -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, rate=None)
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(turns.acquire)
    # The first one asks for itself; the others come while it waits.
    assert network.trips <= 2
    assert store.admitted == 8
    await turns.aclose()


@pytest.mark.parametrize("rate", [None, RATE])
async def test_one_is_told_to_wait_and_all_hold_back(rate) -> None:
    store = MemoryQuota(anyio.current_time)
    told, other = process(store, rate=rate), process(store, rate=rate)
    begun: list[float] = []
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(calls, other, start + 20, begun)
        await anyio.sleep(1)
        slot = await told.acquire()
        assert isinstance(slot, int)
        paused = anyio.current_time()
        told.pause(5.0, since=paused, asked=True)
        told.release(slot)
        await anyio.sleep(10)
        assert told.paused_for() is None
    # What has its turn already may still go, for the time of a question or two.
    assert not [at for at in begun if paused + 2 * ROUND_TRIP < at < paused + 5.0]
    assert [at for at in begun if at >= paused + 5.0]
    await told.aclose()
    await other.aclose()


async def test_a_pause_that_is_longer_or_over_is_so_for_all() -> None:
    store = MemoryQuota(anyio.current_time)
    told, other = process(store, rate=None), process(store, rate=None)

    async def learns() -> float | None:
        await anyio.sleep(0.5)  # the store is told
        assert other._shared is not None
        other._shared._ask_soon()
        await anyio.sleep(0.5)
        return other.paused_for()

    for turns in (told, other):
        slot = await turns.acquire()
        assert isinstance(slot, int)
        turns.release(slot)
    sent = anyio.current_time()
    await anyio.sleep(0.1)
    told.pause(5.0, since=sent, asked=False)
    assert 3 < (await learns() or 0) < 5
    # Another response to what was sent before: it begins no pause, but names a longer time.
    told.pause(60.0, since=sent, asked=True)
    assert 50 < (await learns() or 0) < 60
    told.end_pause()
    assert await learns() is None
    for seconds in (600.0, 900.0):
        told.refuse(seconds, 3600.0, since=anyio.current_time(), status=429)
        assert seconds - 10 < (await learns() or 0) < seconds
    await told.aclose()
    await other.aclose()


async def test_no_more_turns_are_taken_than_calls_can_begin() -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, concurrency=2)
    slot = await turns.acquire()
    assert isinstance(slot, int)
    assert store.admitted == 1
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(turns.acquire)
        await anyio.sleep(1)
        assert (turns.in_flight, turns.waiting, store.admitted) == (2, 4, 2)
        group.cancel_scope.cancel()
    await turns.aclose()


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_request_ahead_of_its_turn_uses_up_the_next_of_a_share(ahead) -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, rate=1.0, burst=1)
    slot = await turns.acquire()
    assert isinstance(slot, int)
    store.away = True
    assert isinstance(await turns.acquire(), int)
    assert turns.quota == "alone"
    begun = anyio.current_time()
    if ahead:
        assert await turns.follow(slot, within=0.0) is None
    assert isinstance(await turns.acquire(), int)
    assert (anyio.current_time() - begun > 1.5) == ahead
    await turns.aclose()


async def test_a_long_pause_ends_the_calls_of_all() -> None:
    store = MemoryQuota(anyio.current_time)
    told, other = process(store), process(store)
    assert isinstance(await other.acquire(), int)
    slot = await told.acquire()
    assert isinstance(slot, int)
    told.refuse(600.0, 3600.0, since=anyio.current_time(), status=429)
    await anyio.sleep(1)
    assert not isinstance(await other.acquire(), int)
    refusal = other.refusal()
    assert refusal is not None
    assert refusal.status == 429
    assert 590 < refusal.seconds <= 600
    # Ended by hand, it is ended for all; the next question tells.
    told.end_pause()
    await anyio.sleep(600)
    assert isinstance(await other.acquire(), int)
    await told.aclose()
    await other.aclose()


async def test_who_comes_during_a_long_pause_is_refused_at_once() -> None:
    store = MemoryQuota(anyio.current_time)
    told, newcomer = process(store), process(store)
    slot = await told.acquire()
    assert isinstance(slot, int)
    told.refuse(600.0, 3600.0, since=anyio.current_time(), status=429)
    told.release(slot)
    await anyio.sleep(1)
    assert store.pauses == 1
    asked = anyio.current_time()
    assert not isinstance(await newcomer.acquire(), int)
    assert anyio.current_time() - asked < 1
    assert newcomer.refusal() is not None
    for turns in (told, newcomer):
        await turns.aclose()


async def test_what_refusals_taught_holds_for_all() -> None:
    store = MemoryQuota(anyio.current_time)
    processes = [process(store, rate=None, concurrency=4) for _ in range(3)]
    served: list[float] = []
    refusals: list[float] = []
    bucket, filled = 10.0, anyio.current_time()
    accepts = 20.0

    async def call(turns: RequestLimiter, until: float) -> None:
        nonlocal bucket, filled
        while (now := anyio.current_time()) < until:
            slot = await turns.acquire(within=until - now)
            if not isinstance(slot, int):
                return
            now = began = anyio.current_time()
            bucket, filled = min(bucket + (now - filled) * accepts, 10.0), now
            let_in = bucket >= 1
            bucket -= let_in
            await anyio.sleep(0.02)
            if let_in:
                served.append(now)
                turns.on_response(slot, 200, throttled=False, accepted_since=began)
            else:
                refusals.append(now)
                turns.pause(1.0, since=began, asked=False)
            turns.release(slot)

    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        for turns in processes:
            for _ in range(4):
                group.start_soon(call, turns, start + 300)
    paces = [turns.pace() for turns in processes]
    assert all(pace is not None and 0.8 * accepts < pace < 1.3 * accepts for pace in paces)
    late = [at for at in served if at > start + 150]
    assert len(late) > 0.85 * accepts * 150
    assert len([at for at in refusals if at > start + 150]) < 0.02 * len(late)
    newcomer = process(store, rate=None)
    await newcomer.acquire()
    assert newcomer.pace() == pytest.approx(paces[0], rel=0.3)
    for turns in [*processes, newcomer]:
        await turns.aclose()


@pytest.mark.parametrize("how", ["refused", "hung"])
async def test_without_the_store_each_goes_on_with_its_share(network, how, caplog, say) -> None:
    store = MemoryQuota(anyio.current_time)
    processes = [process(store) for _ in range(4)]
    start = anyio.current_time()

    async def outage() -> None:
        await anyio.sleep(20)
        store.away, network.hangs = how == "refused", how == "hung"
        await anyio.sleep(20)
        store.away = network.hangs = False

    async with anyio.create_task_group() as group:
        group.start_soon(outage)
        begun = await run(processes, 60)
    longest = max(after - before for before, after in itertools.pairwise(begun))
    say(f"a shared quota whose store is {how}: {longest:.3f} s without a call, in simulated time")
    assert longest < 0.5
    for window in (1.0, 10.0):
        assert most(begun, window) <= RATE * window + BURST
    during = [at for at in begun if start + 21 < at < start + 39]
    assert 0.7 * RATE * 18 < len(during) <= 0.85 * RATE * 18
    after = [at for at in begun if at > start + 43]
    assert len(after) >= 0.95 * RATE * 17
    assert {turns.quota for turns in processes} == {"shared"}
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len([text for text in said if "using a share, as one of 4" in text]) == 4
    assert len([text for text in said if "can be reached again" in text]) == 4


async def test_until_the_store_was_reached_nothing_is_sent() -> None:
    store = MemoryQuota(anyio.current_time)
    store.away = True
    turns = process(store)
    for _ in range(2):
        reason = await turns.acquire()
        assert isinstance(reason, NotSent)
        assert "memory: away" in str(reason)
    assert (turns.in_flight, turns.waiting) == (0, 0)
    store.away = False
    assert isinstance(await turns.acquire(), int)
    await turns.aclose()


async def test_who_gives_up_leaves_nothing_behind() -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, concurrency=2)
    for within in (0.0, 0.001, 0.003, 0.02):
        assert await turns.acquire(within=within) is None or turns.in_flight
        for slot in range(turns.in_flight):
            turns.release(slot)
    begun: list[float] = []
    await calls(turns, anyio.current_time() + 5, begun)
    assert len(begun) > 50
    await turns.aclose()


REPLIED = MemoryQuota(lambda: 0.0).ask(QuotaRequest(member="another"))


def _raise() -> QuotaReply:
    raise LookupError("of its own")


class RaisingReply(QuotaReply):
    def turns(self, count: int, interval: float) -> list[float]:
        raise LookupError(f"of its own: {count}, {interval}")


@pytest.mark.parametrize(
    "reply",
    [
        _raise,
        lambda: None,
        lambda: RaisingReply(**attrs.asdict(REPLIED)),
        lambda: attrs.evolve(REPLIED, now=None),
        lambda: attrs.evolve(REPLIED, now="1.5"),
        lambda: attrs.evolve(REPLIED, due=Decimal("1.5")),
        lambda: attrs.evolve(REPLIED, base=math.inf),
        lambda: attrs.evolve(REPLIED, pause=math.nan),
        lambda: attrs.evolve(REPLIED, version=1.5),
        lambda: attrs.evolve(REPLIED, members=True),
        lambda: attrs.evolve(REPLIED, pauses="1"),
        lambda: attrs.evolve(REPLIED, learned=b"{}"),
    ],
)
async def test_a_store_that_does_anything_keeps_nobody_waiting(reply) -> None:
    store = MemoryQuota(anyio.current_time)

    def broken(_: QuotaRequest, /) -> QuotaReply:
        return reply()  # type: ignore[no-any-return] # or something else

    turns = process(store)
    assert isinstance(await turns.acquire(), int)
    store.ask = broken  # type: ignore[method-assign] # a store of somebody else's
    slot = await turns.acquire()
    assert isinstance(slot, int)
    assert turns.quota == "alone"
    await turns.aclose()


@pytest.mark.parametrize("beside", [False, True])
async def test_a_store_that_replies_and_gives_no_turns_holds_no_call_back(
    network, caplog, beside
) -> None:
    store = MemoryQuota(anyio.current_time)
    answer = store.ask

    def broken(request: QuotaRequest, /) -> QuotaReply:
        if request.turns and request.member == turns._shared._member:  # type: ignore[union-attr] # it shares
            raise LookupError("of its own")
        return answer(request)

    turns, other = process(store), process(store)
    slot = await turns.acquire()
    assert isinstance(slot, int)
    turns.release(slot)
    store.ask = broken  # type: ignore[method-assign] # a store of somebody else's
    until = anyio.current_time() + 20
    begun: list[float] = []
    before, others = network.trips, list[float]()
    async with anyio.create_task_group() as group:
        group.start_soon(calls, turns, until, begun)
        if beside:
            group.start_soon(calls, other, until, others)
    # One after the other they take 0.05 s each, which is less than the share.
    assert len(begun) >= 0.9 * 20 / (0.1 if beside else 0.05)
    # It is asked less and less often, and the log says once that it is away.
    assert network.trips - before <= len(others) + 2 * 20 / 0.5 + 10
    await other.aclose()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.ask = answer  # type: ignore[method-assign] # mended
    again = await run([turns], 20)
    assert len(again) >= 0.95 * RATE * 20
    assert most(again, 1.0) <= RATE + BURST
    assert caplog.messages[1:] == ["the shared quota can be reached again"]


async def test_a_turn_far_ahead_is_not_lost_to_a_slow_store(network) -> None:
    network.round_trip = 0.35
    turns = process(MemoryQuota(anyio.current_time), rate=0.5, burst=1)
    looks = 0
    take = turns._may_pass

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return take()

    turns._may_pass = counted  # type: ignore[method-assign] # it does the same
    begun = await run([turns], 60)
    assert 25 <= len(begun) <= 31
    # And nobody asks the clock over and over meanwhile.
    assert looks < 20 * len(begun)


@pytest.mark.parametrize("long", [False, True])
async def test_a_store_that_forgets_is_told_again(long) -> None:
    store = MemoryQuota(anyio.current_time)
    told, other = process(store, rate=None), process(store, rate=None)
    for turns in (told, other):
        slot = await turns.acquire()
        assert isinstance(slot, int)
        turns.release(slot)
    if long:
        told.refuse(600.0, 3600.0, since=anyio.current_time(), status=429)
    else:
        told.pause(600.0, since=anyio.current_time(), asked=True)
    await anyio.sleep(1)
    store.__init__(anyio.current_time)  # type: ignore[misc] # FLUSHALL
    # A question that is not about turns: those wait for the end of the pause.
    told.on_timeout(anyio.current_time())
    assert told._shared is not None
    told._shared._ask_soon()
    # It never looks as if the pause were over, not even while the store is told.
    for _ in range(20):
        await anyio.sleep(ROUND_TRIP / 4)
        assert told.paused_for() is not None
    await anyio.sleep(1)
    left = told.paused_for()
    assert left is not None
    assert 590 < left < 600
    assert store.pause - anyio.current_time() == pytest.approx(left, abs=0.1)
    assert store.status == (429 if long else 0)
    for turns in (told, other):
        await turns.aclose()


async def test_what_was_learnt_outlives_a_store_that_forgets() -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, rate=None, concurrency=1)
    await refuse_twice(turns)
    pace = turns.pace()
    assert pace is not None
    store.__init__(anyio.current_time)  # type: ignore[misc] # FLUSHALL
    for _ in range(3):
        slot = await turns.acquire()
        assert isinstance(slot, int)
        turns.release(slot)
    kept = turns.pace()
    assert kept is not None
    assert kept == pytest.approx(pace, rel=0.5)
    newcomer = process(store, rate=None)
    assert isinstance(await newcomer.acquire(), int)
    assert newcomer.pace() == pytest.approx(turns.pace(), rel=0.1)
    for each in (turns, newcomer):
        await each.aclose()


async def test_a_pause_holds_a_process_back_that_the_store_cannot_tell() -> None:
    store = MemoryQuota(anyio.current_time)
    told = process(store)
    slot = await told.acquire()
    assert isinstance(slot, int)
    store.away = True
    paused = anyio.current_time()
    told.pause(5.0, since=paused, asked=True)
    told.release(slot)
    await anyio.sleep(1)  # it knows by now that it is alone
    assert told.quota == "alone"
    assert isinstance(await told.acquire(), int)
    assert anyio.current_time() >= paused + 5.0
    await told.aclose()


async def test_a_pause_that_could_not_be_told_grows_no_longer() -> None:
    store = MemoryQuota(anyio.current_time)
    told = process(store)
    slot = await told.acquire()
    assert isinstance(slot, int)
    store.away = True
    told.refuse(60.0, 3600.0, since=anyio.current_time(), status=429)
    told.release(slot)
    began = anyio.current_time()
    await anyio.sleep(50)
    store.away = False
    assert told._shared is not None
    told._shared._ask_soon()
    await anyio.sleep(1)
    assert store.refuse == pytest.approx(began + 60, abs=0.1)
    await anyio.sleep(10)
    assert isinstance(await told.acquire(), int)
    await told.aclose()


async def test_waiting_for_the_store_fills_no_queue() -> None:
    turns = process(MemoryQuota(anyio.current_time), max_waiting=0, concurrency=2)
    assert isinstance(await turns.acquire(), int)
    assert isinstance(await turns.acquire(), int)
    with anyio.fail_after(60):
        assert await turns.acquire() is None
    await turns.aclose()


@pytest.mark.parametrize("outage", [0.3, 0.5, 0.7, 1.0, 1.4])
async def test_what_a_short_outage_costs(network, outage) -> None:
    """Some do not notice it; the others send their shares beside them for one question's time."""
    store = MemoryQuota(anyio.current_time)
    processes = [process(store) for _ in range(4)]
    begun: list[float] = []

    async def outages() -> None:
        for _ in range(4):
            await anyio.sleep(5)
            network.hangs = True
            await anyio.sleep(outage)
            network.hangs = False

    async with anyio.create_task_group() as group:
        group.start_soon(outages)
        begun = await run(processes, 30)
    for window in (0.5, 1.0, 3.0):
        shares = 3 / 4 * 0.8 * RATE * 0.4
        assert most(begun, window) <= RATE * window + BURST + shares
    assert {turns.quota for turns in processes} == {"shared"}


@pytest.mark.parametrize("how", ["refused", "hung"])
async def test_who_was_idle_in_an_outage_has_the_rate_until_the_others_try_again(
    network, how
) -> None:
    # At different moments between two of their tries.
    for later in (0.0, 0.2, 0.4):
        store = MemoryQuota(anyio.current_time)
        processes = [process(store) for _ in range(4)]
        begun: list[float] = []
        until = anyio.current_time() + 14
        async with anyio.create_task_group() as group:
            for turns in processes:
                group.start_soon(calls, turns, anyio.current_time() + 1, begun)
            await anyio.sleep(2)
            for turns in processes[:-1]:
                for _ in range(8):
                    group.start_soon(calls, turns, until, begun)
            await anyio.sleep(2)
            store.away, network.hangs = how == "refused", how == "hung"
            await anyio.sleep(5 + later)
            store.away = network.hangs = False
            for _ in range(16):
                group.start_soon(calls, processes[-1], until, begun)
        begun.sort()
        for window in (0.5, 1.0, 3.0):
            shares = 3 / 4 * 0.8 * RATE * 0.9
            assert most(begun, window) <= RATE * window + BURST + shares
        assert {turns.quota for turns in processes} == {"shared"}
        for turns in processes:
            await turns.aclose()


async def test_an_outage_of_a_quarter_of_an_hour_ends_as_a_short_one_does(network) -> None:
    store = MemoryQuota(anyio.current_time)
    turns = process(store, rate=4.0)
    begun: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(calls, turns, anyio.current_time() + 960, begun)
        await anyio.sleep(1)
        store.away = True
        tried = network.trips
        await anyio.sleep(900)
        # Twice a second at most.
        assert 1_030 < network.trips - tried < 1_900
        store.away = False
    assert turns.quota == "shared"
    assert len(begun) > 0.75 * 4 * 960
    await turns.aclose()
