"""The beginning and the end of a bulk run."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import anyio
import attrs
import pytest

from aiocake import ArgumentError, Client, bulk
from aiocake.bulk import Call
from aiocake.events import CallEnded, Event, RunBegan, RunEnded
from aiocake.sandbox import Sandbox

from ..support.clients import in_process

pytestmark = pytest.mark.anyio


class Listener:
    """Keeps the events of runs, without how long they took."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.all.append(event)

    @property
    def runs(self) -> list[Event]:
        found = [each for each in self.all if isinstance(each, RunBegan | RunEnded)]
        assert all(each.seconds >= 0 for each in found if isinstance(each, RunEnded))
        return [
            attrs.evolve(each, seconds=0.0) if isinstance(each, RunEnded) else each
            for each in found
        ]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(invoices=5)


@pytest.fixture
def make_client(sandbox: Sandbox, listener: Listener) -> Callable[[], Client]:
    return lambda: in_process(sandbox, on_event=listener)


def updates(cake: Client, *ids: int) -> list[Call[object]]:
    return [bulk.call(cake.invoices.update, each, memo="x") for each in ids]


async def test_a_run_of_a_list(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    known = list(sandbox.state.invoices)[:2]
    async with make_client() as cake:
        summary = await bulk.each(updates(cake, *known, 1), journal=None)
    assert (summary.done, summary.failed) == (2, 1)
    assert listener.runs == [
        RunBegan(3, resumed=False),
        RunEnded(0.0, 2, 1, 0, 0, stopped=False),
    ]
    assert isinstance(listener.all[0], RunBegan)
    assert isinstance(listener.all[-1], RunEnded)
    assert sum(isinstance(each, CallEnded) for each in listener.all) == 3


async def test_how_many_calls_a_generator_gives_is_not_known(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    async with make_client() as cake:
        await bulk.each((each for each in updates(cake, *sandbox.state.invoices)), journal=None)
    assert listener.runs == [
        RunBegan(None, resumed=False),
        RunEnded(0.0, 5, 0, 0, 0, stopped=False),
    ]


async def test_a_run_that_stops_and_is_resumed(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox, tmp_path: Path
) -> None:
    known = list(sandbox.state.invoices)[:2]
    async with make_client() as cake:
        path = tmp_path / "run.db"
        stop = bulk.Stop(failed=1)
        await bulk.each(updates(cake, 1, *known), journal=path, limit=1, stop_after=stop)
        await bulk.resume(path, cake, stop_after=None)
    assert listener.runs == [
        RunBegan(3, resumed=False),
        RunEnded(0.0, 0, 1, 0, 0, stopped=True),
        RunBegan(3, resumed=True, failed=1),
        RunEnded(0.0, 2, 1, 0, 0, stopped=False),
    ]


async def test_a_create_that_is_skipped(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    async with make_client() as cake:
        create = bulk.call(
            cake.invoices.create,
            affiliate_id=next(iter(sandbox.state.affiliates)),
            start_date=date(2030, 1, 1),
            end_date=date(2030, 1, 31),
        )
        await bulk.each([create], journal=None)
        await bulk.each([create], journal=None)
    assert listener.runs[1::2] == [
        RunEnded(0.0, 1, 0, 0, 0, stopped=False),
        RunEnded(0.0, 0, 0, 0, 1, stopped=False),
    ]


async def test_what_the_run_raises(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    def refuse(ended: object) -> None:
        del ended
        raise OSError

    async with make_client() as cake:
        with pytest.raises(OSError):  # noqa: PT011 - it is the test's own
            await bulk.each(
                updates(cake, *sandbox.state.invoices), journal=None, limit=1, on_outcome=refuse
            )
    assert listener.runs[1:] == [RunEnded(0.0, 1, 0, 0, 0, stopped=True, error="OSError")]


async def test_a_run_that_is_cancelled(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    async with make_client() as cake:
        with anyio.CancelScope() as scope:
            await bulk.each(
                updates(cake, *sandbox.state.invoices),
                journal=None,
                limit=1,
                on_outcome=lambda _: scope.cancel(),
            )
    # A write that has left is given its grace, and counts.
    done = sum(isinstance(each, CallEnded) and each.error is None for each in listener.all)
    assert 0 < done < len(sandbox.state.invoices)
    assert listener.runs[1:] == [RunEnded(0.0, done, 0, 0, 0, stopped=True, cancelled=True)]


async def test_a_plan_that_is_refused_or_empty_is_no_run(
    make_client: Callable[[], Client], listener: Listener, sandbox: Sandbox
) -> None:
    known = next(iter(sandbox.state.invoices))
    async with make_client() as cake:
        await bulk.each([], journal=None)
        with pytest.raises(ArgumentError):
            await bulk.each(updates(cake, known, known), journal=None)
    assert listener.runs == []
