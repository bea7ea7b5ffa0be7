"""The view that a process has of its lease: it ends before that of the database."""

import threading

import pytest

from aiocake.bulk.postgres import lease as leases
from aiocake.bulk.postgres.lease import Keeper, Lease


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves."""
    time = [1000.0]
    monkeypatch.setattr(leases, "clock", lambda: time[0])
    return time


def test_it_counts_from_before_it_was_asked_for_less_a_margin(now: list[float]) -> None:
    lease = Lease(30.0, 60.0)
    assert lease.has_passed(0.0)  # it was not granted yet
    now[0] = 1004.0
    lease.renewed(1001.0)
    assert lease.asked_for == pytest.approx(90.0 / 0.95)
    assert lease.left() == pytest.approx(1001.0 + 90.0 - 1004.0)
    assert not lease.has_passed(60.0)
    now[0] = 1001.0 + 90.0 - 60.0 - 0.001
    assert not lease.has_passed(60.0)
    now[0] += 0.002
    assert lease.has_passed(60.0)  # though it has not ended
    assert lease.left() > 59
    lease.end()
    lease.renewed(now[0])  # by a write that was under way: it stays ended
    assert lease.has_passed(0.0)


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    time = pytest.importorskip("time")
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no such clock")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= leases.clock() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_its_end_cuts_off_whoever_waits_for_the_database() -> None:
    lease, cut, hanging = Lease(0.05, 0.0), threading.Event(), threading.Event()
    lease.renewed(leases.clock())
    keeper = Keeper(lease, hanging.wait, cut.set)
    assert cut.wait(20)
    hanging.set()
    keeper.stop()


@pytest.mark.parametrize(("seconds", "answer_time"), [(0.1, 60.0), (30.0, 600.0)])
def test_a_long_answer_does_not_use_a_lease_up(
    now: list[float], seconds: float, answer_time: float
) -> None:
    lease = Lease(seconds, answer_time)
    lease.renewed(now[0])
    now[0] += 0.9 * seconds
    assert not lease.has_passed(answer_time)
    now[0] += 0.2 * seconds
    assert lease.has_passed(answer_time)
