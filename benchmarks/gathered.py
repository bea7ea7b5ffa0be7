"""2,000 calls that are gathered at once, with the defaults of the client."""

import asyncio
from typing import Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Worker, server
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "2,000 calls gathered at once, with the defaults"
UNIT: Final = "calls that were not answered"
CALLS: Final = 2_000
LACKS: Final[dict[str, str]] = {}
TARGETS: Final = (Target("10 ms a call", 0, rounds=1),)


def unanswered(url: str) -> int:
    """Return how many calls ended in an error."""
    from aiocake import Client  # noqa: PLC0415 - not in the process that compares

    async def gathered() -> int:
        async with Client(url, KEY) as cake:
            calls = (cake.invoices.page(row_limit=1) for _ in range(CALLS))
            ended = await asyncio.gather(*calls, return_exceptions=True)
        return sum(isinstance(each, BaseException) for each in ended)

    return asyncio.run(gathered())


def run(rounds: int) -> Cases:
    """Measure: some times are enough."""
    with server("--latency", "0.01") as url, Worker("benchmarks.gathered:unanswered") as worker:
        return {"10 ms a call": {OURS: [worker.ask(url=url) for _ in range(min(rounds, 3))]}}
