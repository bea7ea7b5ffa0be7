# ruff: noqa: ANN001 - what fixtures give is said where they are
"""Processes of their own that share a quota, over real sockets: together they keep its rate."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from aiocake.sandbox import Sandbox, serve

from ..support.redis_server import RedisServer, redis_server
from .worker import BURST, RATE

WORKER = str(Path(__file__).with_name("worker.py"))
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
        """Wait for a line of its log."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if what in line:
                return
        raise AssertionError(f"it never said {what!r}")

    def end(self) -> tuple[int, str]:
        """End it; return how many calls it made, and how its quota was kept."""
        out, said = self.process.communicate(timeout=WATCHDOG)
        assert self.process.returncode == 0, said
        made, kept = out.split()
        return int(made), kept


@contextmanager
def workers(store: str, url: str, name: str, instance: Instance) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        running: list[Worker] = []
        for shift in SHIFTS:
            process = subprocess.Popen(
                [sys.executable, WORKER, store, url, name, instance.url, str(shift)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            running.append(Worker(process))
        yield running


@pytest.mark.parametrize("store", ["redis", "postgres"])
def test_processes_with_different_clocks_keep_one_rate(
    store, request, instance: Instance, calls, say
) -> None:
    place = request.getfixturevalue(f"{store}_place")
    url = place.url if store == "redis" else place.conninfo()
    with workers(store, url, f"rate-{calls}", instance) as running:
        instance.wait(int(RATE))  # until they have begun
        instance.times.clear()
        instance.wait(calls)
        results = [each.end() for each in running]
    assert all(made and kept == "shared" for made, kept in results), results
    used = (len(instance.times) - 1) / (RATE * instance.span)
    say(
        f"quota in {store}: 4 processes, clocks off by 0.5 s, {len(instance.times)} calls: "
        f"{used:.3f} of the rate used, at most {instance.most(1.0)} in a second "
        f"(rate {RATE:.0f}, burst {BURST})"
    )
    # A call may arrive later than its turn, never before: what was late is made up for.
    assert used <= 1 + (RATE + BURST) / len(instance.times)


def test_a_store_that_hangs_is_killed_and_is_started_again(
    own_redis: RedisServer, instance: Instance, calls, say
) -> None:
    with workers("redis", own_redis.url, "away", instance) as running:
        instance.wait(int(RATE))
        own_redis.stop()
        stopped = time.monotonic()
        for each in running:
            each.says("going on with a share, one of 4 processes")
        noticed = time.monotonic() - stopped
        instance.wait(calls // 4)
        own_redis.kill()
        instance.wait(calls // 4)
        own_redis.start()
        for each in running:
            each.says("the shared quota is back")
        instance.wait(calls // 4)
        results = [each.end() for each in running]
    assert [kept for _, kept in results] == ["shared"] * len(results)
    longest = max(after - before for before, after in pairwise(instance.times))
    say(
        f"quota in redis, hung, killed, started again: noticed by all within {noticed:.2f} s, "
        f"{longest:.2f} s without a call, at most {instance.most(1.0)} in a second"
    )
    used = (len(instance.times) - 1) / (RATE * instance.span)
    assert used <= 1 + (RATE + BURST) / len(instance.times)


@pytest.fixture
def own_redis(redis_place: RedisServer) -> Iterator[RedisServer]:
    """One that may be stopped."""
    del redis_place  # where there is none, it skips
    with redis_server() as running:
        yield running


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    """How many calls are made: a few, or what ``--calls`` says."""
    count: int = request.config.getoption("--calls", 80)
    return count
