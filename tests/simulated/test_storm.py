# ruff: noqa: ANN001, ANN201 - fixtures come from a conftest, whose types cannot be imported
"""A throttle storm over 1,000 tasks: paused together, in order, within the rate, none forgotten."""

import math
from collections.abc import Sequence

import anyio
import httpx
import pytest

from aiocake import Throttle
from aiocake.events import AttemptEnded, Paused

TASKS = 1_000
CONCURRENCY = 32
RATE = 100
BURST = 5
#: While everything is refused.
START, END = 1.0, 7.0
#: More than a storm takes, so that each call can live through it.
ATTEMPTS = 30
#: No clock is exact: seconds.
EXACT = 1e-6


def most_over(rate: float, times: Sequence[float]) -> float:
    """By how much calls exceed ``rate * seconds``, in the window of all windows that is worst."""
    least, most = math.inf, 0.0
    for number, time in enumerate(sorted(times)):
        over = number - rate * time
        least = min(least, over)
        most = max(most, over - least + 1)
    return most


def storm(now: float) -> httpx.Response | None:
    """Refuses everything for a while."""
    return httpx.Response(429) if START <= now < END else None


def run(world) -> None:
    """1,000 tasks, one call each."""

    async def call(cake, number: int) -> None:
        await cake.invoices.page(start_at_row=number)
        world.ends["done"] += 1

    async def main() -> None:
        settings = {
            "throttle": Throttle(concurrency=CONCURRENCY, rate=RATE, burst=BURST),
            "retry": world.policy(attempts=ATTEMPTS, cap=2.0, budget=100_000),
        }
        async with world.client(**settings) as cake:
            exempt_from_queue_limit = cake.with_options(total=600)
            async with anyio.create_task_group() as group:
                for number in range(TASKS):
                    group.start_soon(call, exempt_from_queue_limit, number)
                    await anyio.sleep(EXACT)

    world.run(main)


@pytest.fixture(scope="module")
def stormy(world):
    """A world that has lived through the storm."""
    there = world(latency=0.05, answer=storm)
    run(there)
    return there


def test_every_task_is_served_in_its_turn(stormy) -> None:
    assert stormy.ends == {"done": TASKS}
    in_order = sorted(stormy.arrivals, key=lambda request: request.sent)
    firsts = list(dict.fromkeys(request.number for request in in_order))
    assert firsts == list(range(TASKS))


def test_no_window_has_more_calls_than_the_rate_allows(stormy, say) -> None:
    sent = [request.sent for request in stormy.arrivals]
    assert len(sent) > TASKS
    over = most_over(RATE, sent)
    say(f"storm: {len(sent)} requests of {TASKS} tasks, {over:.2f} over the rate (burst {BURST})")
    assert over <= BURST + EXACT * RATE


def test_a_storm_is_one_pause_at_a_time_and_nothing_is_sent_in_it(stormy) -> None:
    refused = [request for request in stormy.arrivals if request.status == 429]
    pauses = [(at, event.seconds) for at, event in stormy.events if isinstance(event, Paused)]
    assert 3 <= len(pauses) < len(refused)
    sent = [request.sent for request in stormy.arrivals]
    for at, seconds in pauses:
        assert not [time for time in sent if at + EXACT < time < at + seconds - EXACT]
    # All that were in flight when it broke out are one congestion.
    first, length = pauses[0]
    reported = [at for at, _ in pauses if at < first + length]
    assert reported == [first]
    begun = [request for request in refused if request.sent <= first]
    assert len(begun) > 1


def test_after_a_pause_calls_begin_one_by_one(stormy) -> None:
    for at, event in stormy.events:
        if isinstance(event, Paused):
            end = at + event.seconds
            soon = [r.sent for r in stormy.arrivals if end - EXACT <= r.sent < end + 0.2]
            assert len(set(soon)) == len(soon)


def test_it_is_over_when_it_is_over(stormy) -> None:
    late = stormy.part(END + 3)
    assert len(late) > TASKS / 4
    assert {request.status for request in late} == {200}


def test_the_same_seed_gives_the_same_trace(world) -> None:
    traces = []
    for seed in (1, 1, 2):
        there = world(seed=seed, latency=0.05, answer=storm)
        run(there)
        traces.append((there.arrivals, there.events))
    assert any(isinstance(event, AttemptEnded) for _, event in traces[0][1])
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]


def test_the_measure_itself() -> None:
    assert most_over(10, [0.0, 0.0, 0.0]) == 3
    assert most_over(10, [0.0, 0.1, 0.2]) == pytest.approx(1)
    assert most_over(10, [0.0, 5.0, 5.0, 5.05]) == pytest.approx(2.5)
