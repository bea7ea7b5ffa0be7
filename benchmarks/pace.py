"""A server that lets 30 calls a second in: how much of that is used, how many calls are refused.

Each way has a sandbox of its own that refuses by a 429 which does not say for how long. Calls are
made as fast as each way lets them, by twice as many tasks as are in flight at once, and counted
once each way had some seconds to find the rate out. All ways run at the same time: they wait for
nearly all of it. One round takes 35 s, so there is just one.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import ROOT, Worker
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "A server that lets 30 calls a second in"
UNIT: Final = "share"
FIXED: Final = "aiocake, adaptive=False"
TENACITY: Final = "httpx, a semaphore and tenacity"
LACKS: Final = {
    FIXED: "Pauses and tries again, but does not remember the rate.",
    TENACITY: "The same, by exponential back-off for each call alone.",
}
RATE: Final = 30
CONCURRENCY: Final = 8
WARM: Final = 10.0
SECONDS: Final = 35.0
UNUSED: Final = "of the rate that was allowed, not used"
REFUSED: Final = "of the calls, refused"
TARGETS: Final = (Target(UNUSED, 0.1, rounds=1), Target(REFUSED, 0.02, rounds=1))

Tell = Callable[[bool], None]


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "aiocake.sandbox", "--port", "0", "--key", KEY]
    command += ["--latency", "0.02", "--jitter", "0.3", "--rate-limit", str(RATE), "1"]
    with subprocess.Popen(  # noqa: S603 - us
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _ours(url: str, tell: Tell, *, adaptive: bool) -> None:
    from aiocake import Client, RateLimited, Throttle  # noqa: PLC0415 - not in those of rivals
    from aiocake.events import AttemptEnded, Event  # noqa: PLC0415 - the same

    def on_event(event: Event) -> None:
        if isinstance(event, AttemptEnded) and event.status is not None:
            tell(event.status == 200)

    async def calls(cake: Client) -> None:
        while True:
            with suppress(RateLimited):
                await cake.invoices.page(row_limit=1)

    throttle = Throttle(concurrency=CONCURRENCY, adaptive=adaptive)
    async with Client(url, KEY, throttle=throttle, on_event=on_event) as cake:
        await _all(lambda: calls(cake))


async def _tenacious(url: str, tell: Tell) -> None:
    import httpx  # noqa: PLC0415 - only in the process of this one
    import tenacity  # noqa: PLC0415 - the same

    slots = asyncio.Semaphore(CONCURRENCY)
    params: dict[str, str | int] = {"api_key": KEY, "row_limit": 1}

    async def call(http: httpx.AsyncClient) -> None:
        async with slots:
            answer = await http.get("/api/2/invoices.json", params=params)
        tell(answer.is_success)
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

    async with httpx.AsyncClient(base_url=url) as http:
        await _all(lambda: calls(http))


async def _all(calls: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(calls() for _ in range(2 * CONCURRENCY)))


def measured(way: str, url: str) -> dict[str, float]:
    """Return the share of the rate that was not used, and that of the calls that were refused."""
    let_in = refused = 0
    begin = time.perf_counter()

    def tell(well: bool) -> None:  # noqa: FBT001 - one thing
        nonlocal let_in, refused
        if time.perf_counter() - begin >= WARM:
            let_in += well
            refused += not well

    async def made() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                if way == TENACITY:
                    await _tenacious(url, tell)
                else:
                    await _ours(url, tell, adaptive=way == OURS)

    asyncio.run(made())
    used = let_in / (SECONDS - WARM) / RATE
    return {UNUSED: 1 - used, REFUSED: refused / max(let_in + refused, 1)}


def run(rounds: int) -> Cases:
    """Measure, once."""
    del rounds
    cases: Cases = {UNUSED: {}, REFUSED: {}}
    with contextlib.ExitStack() as stack:
        asks = {
            way: (
                stack.enter_context(Worker("benchmarks.pace:measured", way=way)),
                stack.enter_context(sandbox()),
            )
            for way in (OURS, FIXED, TENACITY)
        }
        threads = stack.enter_context(ThreadPoolExecutor())
        found = {way: threads.submit(worker.ask, url=url) for way, (worker, url) in asks.items()}
        for way, shares in found.items():
            for case, share in shares.result().items():
                cases[case][way] = [share]
    return cases
