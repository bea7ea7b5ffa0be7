# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Less is sent where a server is too busy, and more again, step by step."""

from contextlib import aclosing
from itertools import pairwise

import anyio
import httpx
import pytest
import trio.testing

from aiocake._transport.adaptive_rate import AdaptiveRate
from aiocake._transport.limiter import RequestLimiter
from aiocake.config import RetryPolicy, Throttle

from ..support.refusals import refuse_twice

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
    ),
]


def limiter(**settings: object) -> RequestLimiter:
    return RequestLimiter(Throttle(**settings), lambda: 0.0)  # type: ignore[arg-type] # checked by attrs


async def test_half_as_many_once_for_each_round_trip() -> None:
    turns = limiter(concurrency=32)
    await anyio.sleep(1)
    sent = anyio.current_time()
    await anyio.sleep(1)
    for _ in range(32):
        turns.on_timeout(sent)
    assert turns.limit == 16
    turns.on_timeout(anyio.current_time() - 0.5)  # sent before that was known
    assert turns.limit == 16
    turns.on_timeout(anyio.current_time())
    assert turns.limit == 8


async def test_never_under_one() -> None:
    turns = limiter(concurrency=5)
    for limit in (2, 1, 1, 1):
        turns.on_timeout(anyio.current_time())
        assert turns.limit == limit
        await anyio.sleep(1)


async def test_one_more_for_each_window_of_successes_up_to_the_throttles_own() -> None:
    turns = limiter(concurrency=4)
    sent = anyio.current_time() - 1
    turns.on_timeout(anyio.current_time())
    turns.on_timeout(anyio.current_time())
    assert turns.limit == 1
    turns.on_response(0, 200, throttled=False, accepted_since=sent)  # tells of the time before
    assert turns.limit == 1
    now = anyio.current_time()
    limits = []
    for _ in range(12):
        turns.on_response(0, 200, throttled=False, accepted_since=now)
        limits.append(turns.limit)
    assert limits == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


async def test_a_window_begins_again_when_it_is_broken() -> None:
    turns = limiter(concurrency=8)
    now = anyio.current_time()
    turns.on_timeout(now)
    for _ in range(3):
        turns.on_response(0, 200, throttled=False, accepted_since=now)
    turns.on_timeout(now)
    for _ in range(1):
        turns.on_response(0, 200, throttled=False, accepted_since=now)
    assert turns.limit == 2


async def test_who_waits_gets_the_slot_that_is_there_again() -> None:
    turns = limiter(concurrency=2)
    turns.on_timeout(anyio.current_time())
    assert await turns.acquire() is not None
    got: list[int | None] = []

    async def waits() -> None:
        got.append(await turns.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(waits)
        await trio.testing.wait_all_tasks_blocked()
        assert got == []
        turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
    assert len(got) == 1


async def test_a_throttle_that_does_not_adapt_sends_as_many_as_before() -> None:
    turns = limiter(concurrency=4, adaptive=False)
    turns.on_timeout(anyio.current_time())
    turns.pause(1.0, since=anyio.current_time(), asked=False)
    turns.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
    assert turns.limit == 4
    assert turns.pace() is None


@pytest.mark.parametrize("adaptive", [True, False])
async def test_refusals_teach_a_pace_to_a_throttle_that_adapts(*, adaptive: bool) -> None:
    turns = limiter(concurrency=1, adaptive=adaptive)
    await refuse_twice(turns)
    assert (turns.pace() is not None) == adaptive


#: What a call meets, and how many may be in flight after it, of eight.
MET = [
    (httpx.Response(429), 4),
    (httpx.Response(503), 4),
    (httpx.Response(429, headers={"retry-after": "3600"}), 4),
    (httpx.ReadTimeout("slow"), 4),
    (httpx.ConnectTimeout("slow"), 8),
    (httpx.ReadError("reset"), 8),
    (httpx.Response(500), 8),
    (httpx.Response(404), 8),
    (httpx.Response(200, text="Restricted"), 8),  # nobody knows whether it is about the rate
]


@pytest.mark.parametrize(("met", "limit"), MET, ids=lambda met: getattr(met, "status_code", None))
async def test_what_tells_of_a_server_that_is_too_busy(lab, met, limit, anyio_backend) -> None:
    del anyio_backend

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if isinstance(met, Exception):
            raise met
        return met

    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan(attempts=1))
        assert transport.stats().limit == limit


async def test_restricted_is_about_the_rate_where_the_call_has_succeeded_before(lab) -> None:
    answers = ["ok", "Restricted"]

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=answers.pop(0))

    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        for limit in (8, 4):
            await transport.exchange(lab.get, lab.check, lab.plan(attempts=1))
            assert transport.stats().limit == limit


async def test_a_call_that_is_cut_by_its_deadline_timed_out(lab) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(100)
        return httpx.Response(200)

    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan(total=5.0))
        assert transport.stats().limit == 4


async def test_what_a_caller_gives_up_tells_nothing(lab) -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(100)
        return httpx.Response(200)

    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        with anyio.move_on_after(1):
            await transport.exchange(lab.get, lab.check, lab.plan())
        assert transport.stats().limit == 8


# The pace


def busy(pace: AdaptiveRate, start: float, calls: int, every: float) -> float:
    """So many calls that are let in; when the next one would begin."""
    for number in range(calls):
        pace.begins(start + number * every)
        pace.on_accepted(start + number * every)
    return start + calls * every


async def test_nothing_is_paced_before_a_refusal_nor_by_a_few_calls() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 1000, 0.001)
    assert not pace.known
    assert pace.earliest() < 0
    pace = AdaptiveRate()
    busy(pace, 0.0, 2, 0.1)
    pace.on_refused(0.2, 0.3, 1.0)
    pace.on_accepted(1.4)
    assert not pace.known
    del now


async def test_the_first_estimate_is_what_was_let_in_until_something_is_again() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 49, 0.01)
    pace.on_refused(now, now + 0.1, 1.0)
    pace.on_accepted(now)  # sent before the refusal was known
    assert not pace.known
    pace.on_accepted(2.5)
    assert pace.rate(2.5) == pytest.approx(51 / 2.5)
    # It doubles each second, until it is refused.
    assert pace.rate(4.5) == pytest.approx(4 * 51 / 2.5)


async def test_a_refusal_goes_back_to_what_was_let_in() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    assert pace.rate(2.0) == 10.0
    now = busy(pace, 2.0, 60, 0.05)
    assert now == 5.0
    pace.on_refused(now, now, 0.5)
    high, let_in = 80.0, 61 / 3
    low = max(let_in, 0.46 * high)
    assert pace.earliest() == pytest.approx(5.5 - 0.01)
    assert pace.rate(5.5) == pytest.approx(low)
    # Flat at the geometric mean, a span later; then faster and faster.
    middle = (low * high) ** 0.5
    assert pace.rate(5.5 + 8.0) == pytest.approx(middle)
    assert pace.rate(5.5 + 16.0) == pytest.approx(2 * middle - low)


async def test_refusals_of_one_congestion_count_once() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    now = busy(pace, 2.0, 60, 0.05)
    pace.on_refused(now, now, 0.5)
    rate = pace.rate(6.0)
    for _ in range(10):
        pace.on_refused(now - 0.01, now + 0.01, 0.5)
        pace.on_refused(now + 0.1, now + 0.2, 0.5)  # before the pause was over
    assert pace.rate(6.0) == rate


async def test_an_outage_tells_nothing_about_the_rate() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    now = busy(pace, 2.0, 60, 0.05)
    pace.on_refused(now, now, 1.0)
    rate = pace.rate(now + 1.0)
    for second in range(10, 3600):
        pace.on_refused(second, second + 0.1, 0.5)
    assert pace.rate(3599.6) == pytest.approx(rate)


async def test_refusals_that_come_early_go_down_in_growing_steps() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    now = busy(pace, 2.0, 60, 0.05)
    pace.on_refused(now, now, 0.0)
    parts = []
    for _ in range(6):
        pace.on_accepted(now + 0.01)
        high = pace.rate(now + 0.02)
        now += 0.03
        pace.on_refused(now - 0.01, now, 0.0)
        parts.append(round(pace.rate(now) / high, 3))
    assert parts == [0.96, 0.92, 0.84, 0.68, 0.5, 0.5]


async def test_a_rate_beyond_use_is_forgotten() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    assert pace.known
    pace.begins(18.0)
    assert not pace.known
    assert pace.rate(18.0) == float("inf")


async def test_calls_that_begin_late_may_catch_up_a_little() -> None:
    pace = AdaptiveRate()
    now = busy(pace, 0.0, 19, 0.1)
    pace.on_refused(now, now, 0.0)
    pace.on_accepted(2.0)
    pace.begins(2.0)
    assert pace.earliest() == pytest.approx(2.1 - 0.03)
    pace.begins(50.0 - 40.0)
    assert pace.earliest() < 10.0


async def test_the_retries_of_a_storm_are_paced_too(lab) -> None:
    times: list[float] = []
    let_in = 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal let_in
        times.append(anyio.current_time())
        await anyio.sleep(0.01)
        if let_in >= 20 and times[-1] < times[0] + 2:
            return httpx.Response(429)
        let_in += 1
        return httpx.Response(200)

    retry = RetryPolicy()
    http = httpx.MockTransport(answer)
    async with aclosing(
        lab.transport("x.cake.com", http, retry=retry, draw=lambda: 1.0)
    ) as transport:
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
        assert transport.stats().pace is not None
    late = [time for time in times if time >= times[0] + 2.2]
    gaps = [after - before for before, after in pairwise(late)]
    assert len(gaps) > 10
    assert min(gaps) > 0.005
