"""What a quota costs that processes share, beside a client's own throttle, without a network.

A Redis and a PostgreSQL run on the loopback interface; where one is missing, this is skipped. CPU
of a call is that of the process that makes it, all of its threads together. CPU of the server is
what it takes to answer one question that reserves one turn, with as many processes known to it.
"""

import asyncio
import gc
import itertools
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from tests.support import postgres, redis_server

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import Skipped, Worker
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import Target

TITLE: Final = "A quota that processes share"
UNIT: Final = "µs of CPU; round trips: how many"
OWN: Final = "the client's own throttle"
REDIS: Final = "aiocake.quota.Redis"
POSTGRES: Final = "Postgres().pace"
LACKS: Final = {OWN: "Knows only what its own client sends, and what that client was told."}
SHARED: Final = (REDIS, POSTGRES)
#: High enough that a round is short, low enough that calls wait for their turns.
RATE: Final = 1000.0
#: How many callers a client has, and what that is called.
CALLERS: Final = {1: "one call after the other", 16: "16 callers at once"}
TRIPS: Final = "round trips an admission"
TARGETS: Final = tuple(
    Target(f"{TRIPS}, {name}", 1.1, ours=way) for name in CALLERS.values() for way in SHARED
)
PROCESSES: Final = (4, 1000)


@attrs.define
class Counted:
    """A store that counts what it is asked."""

    store: Any
    trips: int = 0

    @property
    def where(self) -> str:
        """Return where the store is."""
        return str(self.store.where)

    def ask(self, request: Any, /) -> Any:  # noqa: ANN401 - a request and a reply
        """Pass a question on."""
        self.trips += 1
        return self.store.ask(request)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def _store(way: str, url: str, conninfo: str, **settings: object) -> Any:  # noqa: ANN401 - one of two
    if way == REDIS:
        from aiocake.quota import Redis  # noqa: PLC0415 - in the process that measures

        return Redis(url, name="bench", timeout=5)
    from aiocake.bulk.postgres import Postgres  # noqa: PLC0415 - the same

    books = Postgres(**(settings or {"conninfo": conninfo}))  # type: ignore[arg-type] # its settings
    asyncio.run(books.migrate())
    return books.pace("bench")


def cost(way: str, callers: int, url: str, conninfo: str, calls: int = 100) -> list[float]:
    """Return the µs of CPU of a call, and how many round trips it took."""
    from aiocake import Client, Throttle  # noqa: PLC0415 - in the process that measures
    from benchmarks.machinery import AtOnce  # noqa: PLC0415 - the same

    store = None if way == OWN else Counted(_store(way, url, conninfo))
    throttle = Throttle(rate=RATE, shared=store)

    async def measured() -> float:
        async with Client("x.example", KEY, transport=AtOnce(), throttle=throttle) as cake:
            left = itertools.count(1)

            async def work(until: int) -> None:
                while next(left) <= until:
                    await cake.invoices.page()

            await work(20)  # reaches the store
            left = itertools.count(1)
            if store is not None:
                store.trips = 0
            gc.collect()
            begin = time.process_time()
            async with asyncio.TaskGroup() as group:
                for _ in range(callers):
                    group.create_task(work(calls))
            return time.process_time() - begin

    taken = asyncio.run(measured())
    return [taken / calls * 1e6, (0 if store is None else store.trips) / calls]


def of_server(way: str, processes: int, url: str, conninfo: str, asked: int = 300) -> float:
    """Return the µs of CPU that the server takes for a question, with so many processes."""
    import psycopg  # noqa: PLC0415 - in the process that measures
    import redis  # noqa: PLC0415 - the same

    from aiocake.quota import QuotaRequest  # noqa: PLC0415 - the same

    backends: list[int] = []

    def connect() -> Any:  # noqa: ANN401 - psycopg's
        made = psycopg.connect(conninfo, autocommit=True)
        backends.append(made.info.backend_pid)
        return made

    store = _store(way, url, conninfo, connect=connect)
    requests = [QuotaRequest(member=str(each), turns=1, interval=1e-6) for each in range(processes)]
    for request in requests:
        store.ask(request)
    server = backends[-1] if way == POSTGRES else redis.Redis.from_url(url).info()["process_id"]
    used = Path(f"/proc/{server}/schedstat")  # ns on a processor come first
    begin = int(used.read_text(encoding="ascii").split()[0])
    for request in itertools.islice(itertools.cycle(requests), asked):
        store.ask(request)
    taken = int(used.read_text(encoding="ascii").split()[0]) - begin
    store.close()
    return taken / asked / 1e3


def run(rounds: int) -> Cases:
    """Measure."""
    cases: Cases = {}
    if missing := redis_server.MISSING or postgres.MISSING:
        raise Skipped(missing)
    as_set_up = {"autovacuum": "on", "shared_buffers": "128MB"}
    with redis_server.redis_server() as of_redis, postgres.server(**as_set_up) as of_postgres:
        where = {"url": of_redis.url, "conninfo": of_postgres.conninfo()}
        with (
            Worker("benchmarks.quota:cost", **where) as client,
            Worker("benchmarks.quota:of_server", **where) as server,
        ):
            for callers, name in CALLERS.items():
                trips: dict[str, list[float]] = {way: [] for way in SHARED}

                def both(way: str, callers: int, trips: dict[str, list[float]]) -> float:
                    cpu, count = client.ask(way=way, callers=callers)
                    if way != OWN:
                        trips[way].append(count)
                    return float(cpu)

                ways = {way: partial(both, way, callers, trips) for way in (OWN, *SHARED)}
                cases[f"a call, {name}"] = interleaved(ways, rounds)
                cases[f"{TRIPS}, {name}"] = trips
            for processes in PROCESSES:
                asks = {way: partial(server.ask, way=way, processes=processes) for way in SHARED}
                case = f"the server's, an admission, {processes:,} processes"
                cases[case] = interleaved(asks, rounds)
    return cases
