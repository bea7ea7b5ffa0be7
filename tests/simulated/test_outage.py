# ruff: noqa: ANN001 - fixtures come from a conftest, whose types cannot be imported
"""An outage: its load is not multiplied, each call ends in time, and it is over when it is over."""

from collections.abc import Callable

import anyio
import attrs
import httpx
import pytest

from aiocake.errors import CakeError
from aiocake.events import AttemptEnded, CallEnded, Event

CALLS_A_SECOND = 200
#: Those that were well before, so that the budget of retries is full.
BEFORE = 3
AFTER = 4
#: Of each outage; ``nox -s campaign`` makes one of them an hour, at so many calls.
SHORT = 10
#: Of the long one, at a call a second.
HOUR = 3_600

#: What all answers are during the outage, and in which errors reads end, and writes.
OUTAGES = {
    "500": (lambda: httpx.Response(500), {"ServerError"}, {"OutcomeUnknown"}),
    # It pauses all calls: most have their turn when it is over.
    "503": (
        lambda: httpx.Response(503),
        {"RateLimited", "NotSent", "done"},
        {"OutcomeUnknown", "NotSent", "done"},
    ),
    "refused": (lambda: httpx.ConnectError("refused"), {"NotSent"}, {"NotSent"}),
    "reset": (lambda: httpx.ReadError("reset"), {"DecodeError"}, {"OutcomeUnknown"}),
}


def broken(kind: str, seconds: int) -> Callable[[float], httpx.Response | None]:
    """What is answered at a time."""
    make, _, _ = OUTAGES[kind]

    def answer(now: float) -> httpx.Response | None:
        if not BEFORE <= now < BEFORE + seconds:
            return None
        met = make()
        if isinstance(met, Exception):
            raise met
        return met

    return answer


def live_through(world, seconds: int, each_second: int = CALLS_A_SECOND) -> int:
    """Make so many calls a second, one in ten a write: how many attempts the outage met."""
    attempts = 0
    ends = world.ends

    def on_event(event: Event) -> None:
        nonlocal attempts
        attempts += isinstance(event, AttemptEnded) and BEFORE <= world.now < BEFORE + seconds
        world.on_event(event)

    async def call(cake, number: int) -> None:
        phase = "outage" if BEFORE <= world.now < BEFORE + seconds - 1 else "else"
        write = number % 10 == 0
        try:
            if write:
                await cake.invoices.update(4821, invoice_status="approved")
            else:
                await cake.invoices.page()
        except CakeError as error:
            ends[f"{phase} {'write' if write else 'read'} {type(error).__name__}"] += 1
        else:
            ends[f"{phase} {'write' if write else 'read'} done"] += 1

    async def main() -> None:
        async with world.client(on_event=on_event) as cake, anyio.create_task_group() as group:
            for number in range((BEFORE + seconds + AFTER) * each_second):
                await anyio.sleep_until(world.began + number / each_second)
                group.start_soon(call, cake, number)

    world.run(main)
    return attempts


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_is_not_multiplied(world, say, outage, kind) -> None:
    seconds = outage if kind == "500" else SHORT
    there = world(latency=0.005, answer=broken(kind, seconds))
    attempts = live_through(there, seconds)
    load = attempts / (seconds * CALLS_A_SECOND)
    say(f"outage ({kind}) of {seconds} s at {CALLS_A_SECOND} calls/s: load {load:.4f}")
    assert load <= 1.05
    _, of_reads, of_writes = OUTAGES[kind]
    assert {name for name in there.ends if name.startswith("outage")} <= {
        *(f"outage read {name}" for name in of_reads),
        *(f"outage write {name}" for name in of_writes),
    }
    assert sum(there.ends.values()) == (BEFORE + seconds + AFTER) * CALLS_A_SECOND
    # As soon as it is over, calls succeed.
    late = there.part(BEFORE + seconds + 1)
    assert len(late) > (AFTER - 2) * CALLS_A_SECOND
    assert {arrival.status for arrival in late} == {200}


def test_an_outage_of_an_hour_costs_next_to_nothing_more(world, say) -> None:
    each_second = 1
    there = world(latency=0.005, answer=broken("500", HOUR))
    load = live_through(there, HOUR, each_second) / (HOUR * each_second)
    say(f"outage (500) of {HOUR} s at {each_second} calls/s: load {load:.4f}")
    assert load <= 1.05
    assert sum(there.ends.values()) == (BEFORE + HOUR + AFTER) * each_second
    assert {arrival.status for arrival in there.part(BEFORE + HOUR)} == {200}


@pytest.mark.parametrize("kind", ["500", "503"])
def test_the_same_seed_gives_the_same_trace(world, kind) -> None:
    traces = []
    for seed in (1, 1, 2):
        there = world(seed=seed, latency=0.005, answer=broken(kind, SHORT))
        live_through(there, SHORT, each_second=20)
        # Each write has an id of its own, which nobody chooses.
        reported = [
            (at, attrs.evolve(event, intent=None) if isinstance(event, CallEnded) else event)
            for at, event in there.events
        ]
        traces.append((there.arrivals, reported))
    assert traces[0][1]
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]
