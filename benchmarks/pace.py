"""A server that lets so many calls a second in: how much of that is used, how much is refused.

    python benchmarks/pace.py
    python benchmarks/pace.py --rate 30 --seconds 60

Each way has a sandbox of its own, in a process of its own: ``rate`` calls in any second, the others
are refused by a 429 that does not say for how long. Calls are made as fast as each way lets them,
by twice as many tasks as are in flight at once, and counted from the tenth second on. The rivals:
our own client without adaptation, which pauses and tries again; and bare httpx behind a semaphore,
whose calls tenacity tries again, with its own exponential back-off and jitter.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import tenacity

from aiocake import Client, RateLimited, Throttle
from aiocake.events import AttemptEnded, Event

KEY = "BENCHMARK"
CONCURRENCY = 8
ATTEMPTS = 3
#: Seconds that each way has to find the rate out.
WARM = 10.0
#: What is promised: a share of the rate that is allowed, and a share of the calls.
USED = 0.9
REFUSED = 0.02

#: Makes calls to a URL for ever, and tells of each answer whether it was let in.
Way = Callable[[str, Callable[[bool], None]], Awaitable[None]]


@contextmanager
def sandbox(rate: int) -> Iterator[str]:
    """A sandbox in a process of its own: its URL."""
    command = [sys.executable, "-m", "aiocake.sandbox", "--key", KEY, "--latency", "0.02"]
    command += ["--jitter", "0.3", "--rate-limit", str(rate), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def adaptive(url: str, tell: Callable[[bool], None]) -> None:
    """Our client as it is."""
    await _client(url, tell, Throttle(concurrency=CONCURRENCY))


async def fixed(url: str, tell: Callable[[bool], None]) -> None:
    """Our client with as many in flight as ever."""
    await _client(url, tell, Throttle(concurrency=CONCURRENCY, adaptive=False))


async def _client(url: str, tell: Callable[[bool], None], throttle: Throttle) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, AttemptEnded) and event.status is not None:
            tell(event.status == httpx.codes.OK)

    async def calls(cake: Client) -> None:
        while True:
            with suppress(RateLimited):
                await cake.invoices.page(row_limit=1)

    async with Client(url, KEY, throttle=throttle, on_event=on_event) as cake:
        await _all(lambda: calls(cake))


async def tenacious(url: str, tell: Callable[[bool], None]) -> None:
    """Bare httpx behind a semaphore, and tenacity."""
    slots = asyncio.Semaphore(CONCURRENCY)
    params: dict[str, str | int] = {"api_key": KEY, "row_limit": 1}

    async def call(http: httpx.AsyncClient) -> None:
        async with slots:
            answer = await http.get("/api/2/invoices.json", params=params)
        tell(answer.is_success)
        answer.raise_for_status()

    async def calls(http: httpx.AsyncClient) -> None:
        again = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
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


async def measured(way: Way, url: str, seconds: float) -> tuple[int, int]:
    """How many calls were let in after the warm-up, and how many were refused."""
    let_in = refused = 0
    begin = time.perf_counter()

    def tell(well: bool) -> None:  # noqa: FBT001 - one thing
        nonlocal let_in, refused
        if time.perf_counter() - begin >= WARM:
            let_in += well
            refused += not well

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await way(url, tell)
    return let_in, refused


def held(well: bool) -> str:  # noqa: FBT001 - a verdict
    """The verdict on a limit."""
    return "held" if well else "MISSED"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=30, help="calls a second")
    parser.add_argument("--seconds", type=float, default=70.0, help="for each way")
    options = parser.parse_args()
    rate: int = options.rate
    seconds: float = options.seconds
    print(f"{rate} calls in any second are allowed; {WARM:g} to {seconds:g} s")
    for way in (adaptive, fixed, tenacious):
        with sandbox(rate) as url:
            let_in, refused = asyncio.run(measured(way, url, seconds))
        used = let_in / (seconds - WARM) / rate
        share = refused / max(let_in + refused, 1)
        print(f"    {way.__name__:<10} used {used:.3f}   refused {share:.4f}", end="")
        if way is adaptive:
            print(f"   (limits: {USED}, {REFUSED}): {held(used >= USED)}, ", end="")
            print(held(share < REFUSED), end="")
        print(flush=True)


if __name__ == "__main__":
    main()
