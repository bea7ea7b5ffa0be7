"""The throttle against servers by a model, in simulated time, without anything around it."""

import math
import random
from collections.abc import Callable

import anyio
import pytest
import trio
import trio.testing

from aiocake._pipeline.retry import Retries, RetryDecision
from aiocake._transport.limiter import RequestLimiter
from aiocake.config import RetryPolicy, Throttle

SECONDS = 130
#: Gives the seconds until a call is let in; 0 lets it in.
Limiter = Callable[[float], float]


def bucket(rate: float, burst: float) -> Limiter:
    """A token bucket."""
    tokens, at = burst, 0.0

    def wait(now: float) -> float:
        nonlocal tokens, at
        tokens, at = min(burst, tokens + (now - at) * rate), now
        if tokens < 1:
            return (1 - tokens) / rate
        tokens -= 1
        return 0.0

    return wait


class Model:
    """Calls that go through a gate to a server, as the transport's attempts do."""

    def __init__(self, limit: Limiter, concurrency: int, latency: float, said: str) -> None:
        self.limit = limit
        self.latency = latency
        self.said = said
        self.dice = random.Random(1)  # noqa: S311 - no secret
        self.limiter = RequestLimiter(Throttle(concurrency=concurrency), self.dice.random)
        self.retries = Retries(RetryPolicy(), self.dice.random)
        #: When each call arrived, and whether it was let in.
        self.arrived: list[tuple[float, bool]] = []

    async def calls(self) -> None:
        """One call after the other."""
        while True:
            for attempt in range(3):
                wait = await self._call(attempt)
                if not wait:
                    break
                await anyio.sleep(wait)

    async def _call(self, attempt: int) -> float:
        slot = await self.limiter.acquire(again=attempt > 0)
        assert isinstance(slot, int)
        began = anyio.current_time()
        takes = self.latency * self.dice.uniform(0.7, 1.3)
        await anyio.sleep(takes / 2)
        wait = self.limit(anyio.current_time())
        self.arrived.append((anyio.current_time(), not wait))
        await anyio.sleep(takes / 2)
        self.limiter.release(slot)
        if not wait:
            self.limiter.on_response(slot, 200, throttled=False, accepted_since=began)
            return 0.0
        asked = float(math.ceil(wait)) if self.said else None
        wait = self.retries.wait(RetryDecision.THROTTLED, attempt, asked)
        self.limiter.pause(wait, since=began, asked=asked is not None)
        return wait

    def run(self, concurrency: int) -> None:
        """Call as often as the gate lets."""

        async def main() -> None:
            start = anyio.current_time()
            limit = self.limit
            self.limit = lambda now: limit(now - start)
            with anyio.move_on_after(SECONDS):
                async with anyio.create_task_group() as group:
                    for _ in range(2 * concurrency):
                        group.start_soon(self.calls)
            self.arrived = [(at - start, let_in) for at, let_in in self.arrived]

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("said", ["", "Retry-After"])
@pytest.mark.parametrize(("concurrency", "latency"), [(8, 0.02), (32, 0.1)])
@pytest.mark.parametrize("burst", [3, 10, 60])
@pytest.mark.parametrize("rate", [8, 30])
def test_nine_tenths_of_the_rate_for_one_refusal_in_fifty(  # noqa: PLR0913, PLR0917 - a table
    rate: float,
    burst: float,
    concurrency: int,
    latency: float,
    said: str,
    say: Callable[[str], None],
) -> None:
    model = Model(bucket(rate, burst), concurrency, latency, said)
    model.run(concurrency)
    late = [let_in for at, let_in in model.arrived if at >= 10]
    used = sum(late) / (SECONDS - 10) / rate
    refused = 1 - sum(late) / len(late)
    say(
        f"throttle: {rate}/s, burst {burst:2}, {concurrency:2} at once, {latency:g} s {said:11}:"
        f" used {used:.3f}, refused {refused:.4f}"
    )
    assert used >= 0.9
    assert refused < 0.02
