# ruff: noqa: ANN001 - what fixtures give is said where they are
"""Processes of their own that share a quota, over real sockets: together they keep its rate."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import attrs
import pytest
import redis

from aiocake.bulk.postgres import Postgres
from aiocake.sandbox import Sandbox, serve

from ..support import postgres, redis_server
from ..support.postgres import Server
from ..support.redis_server import RedisServer
from ._quota_worker import BURST, RATE
from ._table import BACKENDS

WORKER = str(Path(__file__).with_name("_quota_worker.py"))
#: How far the clocks of the processes are off, in seconds.
SHIFTS = (0.0, 0.5, -0.5, 0.25)
#: Against hangs, in seconds; no test waits for it.
WATCHDOG = 120.0


class Instance:
    """A sandbox, and when each call arrived there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.times: list[float] = []
        self._more = threading.Condition()

    def arrive(self, _: object) -> None:
        with self._more:
            self.times.append(time.monotonic())
            self._more.notify_all()

    def wait(self, count: int) -> None:
        """Wait until so many more calls have arrived."""
        with self._more:
            wanted = len(self.times) + count
            assert self._more.wait_for(lambda: len(self.times) >= wanted, WATCHDOG)

    @property
    def span(self) -> float:
        return self.times[-1] - self.times[0]

    def most(self, window: float) -> int:
        """Return the most calls in any window of time."""
        highest = first = 0
        for last, at in enumerate(self.times):
            while self.times[first] <= at - window:
                first += 1
            highest = max(highest, last - first + 1)
        return highest


@pytest.fixture
def instance() -> Iterator[Instance]:
    sandbox = Sandbox(invoices=5)
    with serve(sandbox) as url:
        made = Instance(url)
        sandbox.state.on_request.append(made.arrive)
        yield made


@attrs.frozen
class Worker:
    """A process that makes calls until it is told to end."""

    process: "subprocess.Popen[str]"

    def says(self, what: str) -> None:
        """Wait for a line of its log; one that says nothing for too long is ended."""
        assert self.process.stderr is not None
        watchdog = threading.Timer(WATCHDOG, self.process.kill)
        watchdog.start()
        try:
            said = any(what in line for line in self.process.stderr)
        finally:
            watchdog.cancel()
        assert said, f"it never said {what!r}"

    def end(self) -> tuple[int, str]:
        """End it; return how many calls it made, and how its quota was kept."""
        out, said = self.process.communicate(timeout=WATCHDOG)
        assert self.process.returncode == 0, said
        made, kept = out.split()
        return int(made), kept


@contextmanager
def workers(
    backend: str, store: "Store", instance: Instance, *, name: str = "key"
) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        running: list[Worker] = []
        for shift in SHIFTS:
            process = subprocess.Popen(
                [
                    sys.executable,
                    WORKER,
                    backend,
                    store.kind,
                    store.url,
                    name,
                    instance.url,
                    str(shift),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            running.append(Worker(process))
        yield running


class Store:
    """A Redis or a PostgreSQL, with a quota that nobody has used."""

    kind: str
    url: str

    def stop(self) -> None:
        """Stop it where it stands: it accepts what is sent, and answers nothing."""

    def restart(self) -> None:
        """Kill it, and start it again."""

    def settle(self) -> None:
        """Do what an administrator may do at any time."""


class RedisStore(Store):
    kind = "redis"

    def __init__(self, server: RedisServer) -> None:
        self._server, self.url = server, server.url

    def stop(self) -> None:
        self._server.stop()

    def restart(self) -> None:
        self._server.kill()
        self._server.start()

    def settle(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.script_flush()


class PostgresStore(Store):
    kind = "postgres"

    def __init__(self, server: Server) -> None:
        self._server, self.url = server, server.conninfo()
        anyio.run(Postgres(conninfo=self.url).migrate)

    def _processes(self) -> list[int]:
        """Return the server's own process, and those that it has started."""
        first = (self._server.data / "postmaster.pid").read_text("ascii").split()[0]
        children = Path(f"/proc/{first}/task/{first}/children").read_text("ascii")
        return [int(first), *map(int, children.split())]

    def stop(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def restart(self) -> None:
        # All at once, for a server that goes on for a moment would be asked.
        dying = [(pid, os.pidfd_open(pid)) for pid in self._processes()]
        for pid, _ in dying:
            os.kill(pid, signal.SIGKILL)
        for _, watched in dying:
            assert select.select([watched], [], [], WATCHDOG)[0]
            os.close(watched)
        # Where nobody takes note of the dead, their number is taken for one that lives.
        (self._server.data / "postmaster.pid").unlink()
        self._server.control("start")

    def settle(self) -> None:
        with self._server.connect() as connection:
            connection.execute("CHECKPOINT")


@pytest.fixture(params=["redis", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One of the test's own, since it may be stopped."""
    if request.param == "redis":
        if redis_server.MISSING:
            pytest.skip(redis_server.MISSING)
        with redis_server.redis_server() as running:
            yield RedisStore(running)
    else:
        if postgres.MISSING:
            pytest.skip(postgres.MISSING)
        with postgres.server() as server:
            yield PostgresStore(server)


def holds_the_rate(instance: Instance) -> float:
    """Return how much of the rate was used; a call may arrive after its turn, never before."""
    used = (len(instance.times) - 1) / (RATE * instance.span)
    assert used <= 1 + (RATE + BURST) / len(instance.times)
    return used


@pytest.mark.case("T08")
@pytest.mark.parametrize("anyio_backend", BACKENDS)
def test_processes_with_different_clocks_keep_one_rate(
    anyio_backend, store: Store, instance: Instance, calls, say
) -> None:
    with workers(anyio_backend, store, instance) as running:
        for each in running:
            each.says("the first call is made")
        instance.times.clear()
        instance.wait(calls)
        results = [each.end() for each in running]
    assert all(made and kept == "shared" for made, kept in results), results
    used = holds_the_rate(instance)
    say(
        f"a quota in {store.kind} ({anyio_backend}): 4 processes, clocks off by 0.5 s, "
        f"{len(instance.times)} calls: {used:.3f} of the rate, at most {instance.most(1.0)} in "
        f"a second (rate {RATE:.0f}, burst {BURST})"
    )


@pytest.mark.case("T09")
@pytest.mark.parametrize("anyio_backend", BACKENDS)
def test_a_store_that_hangs_is_killed_and_is_started_again(
    anyio_backend, store: Store, instance: Instance, calls, say
) -> None:
    with workers(anyio_backend, store, instance) as running:
        for each in running:
            each.says("the first call is made")
        store.settle()
        instance.wait(calls // 4)
        store.stop()
        stopped = time.monotonic()
        for each in running:
            # Of 4 processes; of fewer where a busy machine has kept one from asking for a while.
            each.says("using a share, as one of ")
        noticed = time.monotonic() - stopped
        instance.wait(calls // 4)
        store.restart()
        for each in running:
            each.says("the shared quota can be reached again")
        instance.wait(calls // 4)
        results = [each.end() for each in running]
    assert [kept for _, kept in results] == ["shared"] * len(results)
    holds_the_rate(instance)
    longest = max(after - before for before, after in pairwise(instance.times))
    say(
        f"a quota in {store.kind} ({anyio_backend}), hung, killed, started again: noticed by all "
        f"in {noticed:.2f} s, {longest:.2f} s without a call, at most {instance.most(1.0)} in a "
        "second"
    )


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    """How many calls are made: a few, or what ``--calls`` says."""
    count: int = request.config.getoption("--calls", 80)
    return count
