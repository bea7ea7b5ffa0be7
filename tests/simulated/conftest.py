"""A world in simulated time: a clock that jumps, random numbers by seed, a server by a model."""

import json
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio
import attrs
import httpx
import pytest
import trio
import trio.testing

from aiocake import Client, RetryPolicy, Throttle
from aiocake.events import Event

from ..support.numbers import number_calls_from_1

T = TypeVar("T")

#: Seconds of the long outage; ``nox -s campaign`` makes it an hour.
SHORT = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulated")
    group.addoption("--outage", type=int, default=SHORT, help="seconds of the long outage")


@pytest.fixture
def outage(request: pytest.FixtureRequest) -> int:
    """How many seconds the long outage takes."""
    # Where this file is not among the first that pytest reads, there is no option.
    seconds: int = request.config.getoption("--outage", SHORT)
    return seconds


class Limiter(Protocol):
    """What a server lets in."""

    def wait(self, now: float) -> float:
        """Let a call in and give 0, or refuse it and give the seconds until one is let in."""
        ...


class Bucket:
    """A token bucket."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._burst = self._tokens = burst
        self._at = 0.0

    def wait(self, now: float) -> float:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self.rate
        self._tokens -= 1
        return 0.0


@attrs.frozen
class Arrival:
    """A request, as the server saw it; times are counted from the beginning.

    Attributes:
        at: When it arrived.
        status: Of its answer.
        sent: When it was sent.
        number: The row that it asked for, by which tests tell calls apart.
    """

    at: float
    status: int
    sent: float
    number: int


@attrs.define
class World:
    """A server and its clients, in simulated time.

    Attributes:
        seed: Chooses all random numbers.
        latency: Seconds that an answer takes, 30 % more or less.
        limiter: Refuses calls by 429.
        retry_after: Whether it says for how long.
        answer: Says something else than yes; is given the time.
        arrivals: The requests, as they arrived.
        ends: How calls ended, counted by whoever makes them.
        events: What clients told, and when.
        began: When it began, on the clock of the event loop.
    """

    seed: int = 1
    latency: float = 0.02
    limiter: Limiter | None = None
    retry_after: bool = False
    answer: Callable[[float], httpx.Response | None] = lambda _: None
    arrivals: list[Arrival] = attrs.Factory(list)
    events: list[tuple[float, Event]] = attrs.Factory(list)
    ends: Counter[str] = attrs.Factory(Counter)
    _dice: random.Random = attrs.field(init=False)
    began: float = 0.0

    def __attrs_post_init__(self) -> None:
        number_calls_from_1()
        self._dice = random.Random(self.seed)  # noqa: S311 - no secret

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return anyio.current_time() - self.began

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run it to its end; the same each time."""
        # trio shuffles the tasks of a tick; this is how its own tests stop it.
        run = trio._core._run
        deterministic, state = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
        run._ALLOW_DETERMINISTIC_SCHEDULING = True
        run._r.seed(self.seed)
        try:
            return trio.run(self._main, main, clock=trio.testing.MockClock(autojump_threshold=0))
        finally:
            run._ALLOW_DETERMINISTIC_SCHEDULING = deterministic
            run._r.setstate(state)

    async def _main(self, main: Callable[[], Awaitable[T]]) -> T:
        self.began = anyio.current_time()
        return await main()

    def client(self, **settings: object) -> Client:
        """A client of the server, whose random numbers are chosen by the seed."""
        given: dict[str, object] = {
            "transport": httpx.MockTransport(self._answer),
            "retry": RetryPolicy(draw=self._dice.random),
            "throttle": Throttle(),
            "on_event": self.on_event,
        }
        return Client("x.example", "KEY", **(given | settings))  # type: ignore[arg-type] # they are what they are

    def policy(self, **settings: object) -> RetryPolicy:
        """A policy for the retries, with random numbers by the seed."""
        return RetryPolicy(draw=self._dice.random, **settings)  # type: ignore[arg-type] # the same

    def part(self, start: float, end: float = math.inf) -> list[Arrival]:
        """The requests that arrived between two times."""
        return [arrival for arrival in self.arrivals if start <= arrival.at < end]

    def on_event(self, event: Event) -> None:
        """Take note of what a client tells."""
        self.events.append((self.now, event))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        sent, number = self.now, int(request.url.params.get("start_at_row", 0))
        takes = self.latency * self._dice.uniform(0.7, 1.3)
        await anyio.sleep(takes / 2)
        response = self.answer(self.now) or self._limited() or self._yes(request)
        self.arrivals.append(Arrival(self.now, response.status_code, sent, number))
        await anyio.sleep(takes / 2)
        return response

    def _limited(self) -> httpx.Response | None:
        wait = self.limiter.wait(self.now) if self.limiter is not None else 0.0
        if not wait:
            return None
        headers = {"Retry-After": str(math.ceil(wait))} if self.retry_after else {}
        return httpx.Response(429, headers=headers)

    @staticmethod
    def _yes(request: httpx.Request) -> httpx.Response:
        fields: dict[str, object] = {"invoices": [], "total_rows": 0}
        if request.method == "POST":
            fields = {"invoice": json.loads(request.content)}
        return httpx.Response(200, json={"request_status": "Success"} | fields)


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """Makes a world."""
    return World


@pytest.fixture(scope="session")
def bucket() -> Callable[[float, float], Bucket]:
    """Makes a token bucket of a rate and a burst."""
    return Bucket
