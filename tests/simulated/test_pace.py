# ruff: noqa: ANN001 - fixtures come from a conftest, whose types cannot be imported
"""A server that lets so many calls a second in: found out, used, and not tried too often."""

from contextlib import suppress

import anyio
import httpx
import pytest

from aiocake import Throttle
from aiocake.errors import RateLimited
from aiocake.events import AttemptEnded
from aiocake.sandbox import Sandbox

SECONDS = 70


def saturate(world, *, concurrency: int, seconds: float = SECONDS, **settings: object) -> None:
    """Call as often as the throttle lets, from more tasks than it has slots."""
    throttle = Throttle(concurrency=concurrency)

    async def calls(cake) -> None:
        while True:
            with suppress(RateLimited):
                await cake.invoices.page()

    async def main() -> None:
        async with world.client(throttle=throttle, **settings) as cake:
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as group:
                    for _ in range(2 * concurrency):
                        group.start_soon(calls, cake)

    world.run(main)


def shares(world, start: float, end: float, rate: float) -> tuple[float, float]:
    """Of the allowed rate what was let in, and of all calls those that were refused."""
    part = world.part(start, end)
    let_in = sum(arrival.status == 200 for arrival in part)
    return let_in / (end - start) / rate, (len(part) - let_in) / len(part)


@pytest.mark.parametrize("retry_after", [False, True], ids=["silent", "retry-after"])
def test_the_allowed_rate_is_used_and_hardly_exceeded(world, bucket, say, retry_after) -> None:
    rate, burst = 30, 10
    there = world(limiter=bucket(rate, burst), retry_after=retry_after)
    saturate(there, concurrency=8)
    used, refused = shares(there, 10, SECONDS, rate)
    said = "with Retry-After" if retry_after else "silent"
    say(f"pace: {rate}/s, burst {burst}, {said}: used {used:.3f}, refused {refused:.4f}")
    assert used >= 0.9
    assert refused < 0.02


@pytest.mark.parametrize("rate", [10, 30])
def test_the_sandboxs_rate_limit_is_used_and_hardly_exceeded(world, say, rate) -> None:
    sandbox = Sandbox(invoices=1, api_key="KEY", latency=0.02, jitter=0.3, rate_limit=(rate, 1.0))
    there = world()
    saturate(there, concurrency=8, transport=httpx.ASGITransport(sandbox.app))
    late = [
        event.status
        for at, event in there.events
        if isinstance(event, AttemptEnded) and at >= 10 and event.status is not None
    ]
    used, refused = late.count(200) / (SECONDS - 10) / rate, late.count(429) / len(late)
    say(f"pace: {rate}/s by the sandbox: used {used:.3f}, refused {refused:.4f}")
    assert used >= 0.9
    assert refused < 0.02


def test_a_limit_that_changes_is_followed(world, bucket, say) -> None:
    limiter = bucket(40, 10)
    there = world(limiter=limiter)

    def change(now: float) -> None:
        limiter.rate = 40 if now < 30 else 10 if now < 90 else 40

    there.answer = change
    saturate(there, concurrency=8, seconds=270)
    used, refused = shares(there, 50, 90, 10)
    again, _ = shares(there, 210, 270, 40)
    say(f"pace: 40/s, then 10/s: used {used:.3f}, refused {refused:.4f}; 40/s again: {again:.3f}")
    assert used >= 0.9
    assert refused < 0.05
    assert again >= 0.9
