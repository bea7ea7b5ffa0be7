# ruff: noqa: T201 - its output is what the test reads
"""A process with a quota that it shares: a worker of ``test_quota.py``.

It asks for a page of invoices as often as it may, until its input ends; then it prints how many
calls it made, and how its quota was kept. What it logs goes to standard error. Its clock is shifted
by some seconds.

    python _quota_worker.py asyncio|trio redis|postgres URL NAME DOMAIN SHIFT
"""

import asyncio
import logging
import sys

import anyio
import anyio.to_thread
import trio

from aiocake import CakeError, Client, RetryPolicy, Throttle
from aiocake.bulk.postgres import Postgres
from aiocake.quota import QuotaStore, Redis

RATE, BURST = 40.0, 2


def store_of(kind: str, url: str, name: str) -> QuotaStore:
    if kind == "redis":
        return Redis(url, name=name)
    return Postgres(conninfo=url).pace(name)


async def work(kind: str, url: str, name: str, domain: str) -> None:
    made = 0
    throttle = Throttle(rate=RATE, burst=BURST, shared=store_of(kind, url, name))
    async with Client(
        domain, api_key="SANDBOX-KEY", throttle=throttle, retry=RetryPolicy(attempts=1)
    ) as cake:

        async def call() -> None:
            nonlocal made
            while True:
                try:
                    await cake.invoices.page(row_limit=1)
                except CakeError as error:
                    print(error, file=sys.stderr)
                    return
                made += 1
                if made == 1:
                    print("the first call is made", file=sys.stderr, flush=True)

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(call)
            await anyio.to_thread.run_sync(sys.stdin.read)
            group.cancel_scope.cancel()
        print(made, cake.stats().quota, flush=True)


class Shifted(asyncio.SelectorEventLoop):
    """An event loop whose clock differs from those of other processes."""

    def time(self) -> float:
        return super().time() + float(sys.argv[6])


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    if sys.argv[1] == "trio":  # whose clock begins anywhere
        trio.run(work, *sys.argv[2:6])
    else:
        with asyncio.Runner(loop_factory=Shifted) as runner:
            runner.run(work(*sys.argv[2:6]))
