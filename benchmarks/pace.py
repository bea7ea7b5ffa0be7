"""A server that lets 30 calls a second in: how much of that is used, how many calls are refused.

The server refuses what is above 30 calls within any second, by a 429 that does not say for how
long. Calls are made as fast as each way lets them, by twice as many tasks as are in flight at once.
They are counted for two minutes from the tenth second on, and once more for the first 25 s of
these: then the rate is still being looked for, and how much of it is used differs with the seed.

Time is simulated: nothing is waited for, a busy machine changes nothing, and a seed gives the same
figures each time. A round is a seed, by which the server draws how long an answer takes and a
client how long it waits.
"""

import asyncio
import contextlib
import random
import selectors
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import httpx

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Worker
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "A server that lets 30 calls a second in, in simulated time"
UNIT: Final = "share"
FIXED: Final = "aiocake, adaptive=False"
TENACITY: Final = "httpx, a semaphore and tenacity"
LACKS: Final = {
    FIXED: "Pauses and tries again, but does not remember the rate.",
    TENACITY: "The same, by exponential back-off for each call alone.",
}
RATE: Final = 30
CONCURRENCY: Final = 8
LATENCY: Final = 0.02
JITTER: Final = 0.3
WARM: Final = 10.0
EARLY: Final = 35.0
SECONDS: Final = 130.0
EARLY_UNUSED: Final = "of the rate that was allowed, not used from 10 to 35 s"
UNUSED: Final = "of the rate that was allowed, not used from 10 to 130 s"
REFUSED: Final = "of the calls from 10 to 130 s, refused"
TARGETS: Final = (Target(UNUSED, 0.1), Target(REFUSED, 0.02))


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Return the simulated time."""
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._of = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._of.now += max(timeout or 0.0, 0.0)
        return super().select(0)


class Server(httpx.AsyncBaseTransport):
    """The server, without a network.

    Attributes:
        arrived: When each request came, and whether it was let in.
    """

    def __init__(self, dice: random.Random) -> None:
        self.arrived: list[tuple[float, bool]] = []
        self._dice = dice
        self._window: deque[float] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        takes = LATENCY * self._dice.uniform(1 - JITTER, 1 + JITTER)
        await asyncio.sleep(takes / 2)
        let_in = self._lets_in(asyncio.get_running_loop().time())
        await asyncio.sleep(takes / 2)
        if not let_in:
            return httpx.Response(429, request=request)
        page: dict[str, object] = {"request_status": "Success", "invoices": [], "total_rows": 0}
        return httpx.Response(200, json=page, request=request)

    def _lets_in(self, now: float) -> bool:
        window = self._window
        while window and window[0] <= now - 1:
            window.popleft()
        let_in = len(window) < RATE
        if let_in:
            window.append(now)
        self.arrived.append((now, let_in))
        return let_in


async def _ours(server: Server, draw: Callable[[], float], *, adaptive: bool) -> None:
    from aiocake import Client, RateLimited, RetryPolicy, Throttle  # noqa: PLC0415 - not in those of rivals

    async def calls(cake: Client) -> None:
        while True:
            with suppress(RateLimited):
                await cake.invoices.page(row_limit=1)

    throttle = Throttle(concurrency=CONCURRENCY, adaptive=adaptive)
    retry = RetryPolicy(draw=draw)
    async with Client("127.0.0.1", KEY, throttle=throttle, retry=retry, transport=server) as cake:
        await _all(lambda: calls(cake))


async def _tenacious(server: Server) -> None:
    import tenacity  # noqa: PLC0415 - only in the process of this one

    slots = asyncio.Semaphore(CONCURRENCY)
    params: dict[str, str | int] = {"api_key": KEY, "row_limit": 1}

    async def call(http: httpx.AsyncClient) -> None:
        async with slots:
            answer = await http.get("/api/2/invoices.json", params=params)
        answer.raise_for_status()

    async def calls(http: httpx.AsyncClient) -> None:
        again = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(3),
            wait=tenacity.wait_random_exponential(multiplier=1, max=20),
            retry=tenacity.retry_if_exception_type(httpx.HTTPStatusError),
            reraise=True,
        )
        while True:
            with suppress(httpx.HTTPStatusError):
                await again.copy()(call, http)

    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=server) as http:
        await _all(lambda: calls(http))


async def _all(calls: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(calls() for _ in range(2 * CONCURRENCY)))


def measured(way: str, seed: int) -> dict[str, float]:
    """Return the shares of the rate that were not used, and that of the calls that were refused."""
    random.seed(seed)  # that is where tenacity draws
    server = Server(random.Random(seed))

    async def made() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                if way == TENACITY:
                    await _tenacious(server)
                else:
                    await _ours(server, random.random, adaptive=way == OURS)

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(made())

    def counted(end: float) -> list[bool]:
        return [let_in for at, let_in in server.arrived if WARM <= at < end]

    early, late = counted(EARLY), counted(SECONDS)
    return {
        EARLY_UNUSED: 1 - sum(early) / (EARLY - WARM) / RATE,
        UNUSED: 1 - sum(late) / (SECONDS - WARM) / RATE,
        REFUSED: 1 - sum(late) / len(late),
    }


def _each_seed(worker: Worker, seeds: int) -> list[dict[str, float]]:
    return [worker.ask(seed=seed) for seed in range(seeds)]


def run(rounds: int) -> Cases:
    """Measure: a seed each round."""
    cases: Cases = {EARLY_UNUSED: {}, UNUSED: {}, REFUSED: {}}
    with contextlib.ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker("benchmarks.pace:measured", way=way))
            for way in (OURS, FIXED, TENACITY)
        }
        # No figure is of time: the ways need not wait for each other.
        threads = stack.enter_context(ThreadPoolExecutor())
        found = {way: threads.submit(_each_seed, worker, rounds) for way, worker in workers.items()}
        for way, shares in found.items():
            for case, rounds_of in cases.items():
                rounds_of[way] = [share[case] for share in shares.result()]
    return cases
