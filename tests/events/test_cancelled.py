# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the client outlives what is in it: that is another block
"""What is told of calls whose caller was cancelled: their end, once, and what is known of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine

import anyio
import anyio.lowlevel
import httpx
import pytest

from aiocake import Client, Outcome, Throttle
from aiocake.events import AttemptBegan, AttemptEnded, CallEnded, Event, Waited
from aiocake.sandbox import Sandbox

from ..support.clients import in_process
from ..support.loops import ONE_LOOP

pytestmark = pytest.mark.anyio

PAGE = "invoices.find"
UPDATE = "invoices.update"
ONE = Throttle(concurrency=1)


async def cancelled(call: Callable[[], Awaitable[object]], when: anyio.Event) -> None:
    """Make a call, and cancel it when something has happened."""
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await when.wait()
        group.cancel_scope.cancel()


async def test_a_read(stage) -> None:
    held = stage.held(stage.page)
    async with stage.client(held) as cake:
        await cancelled(cake.invoices.page, held.asked)
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, None, "Cancelled", sent=True),
        CallEnded(PAGE, 1, 0.0, None, None, cancelled=True),
    ]


async def test_a_call_that_waits_for_its_turn(stage) -> None:
    held, ledger = stage.held(stage.page), stage.ledger()
    async with stage.client(held, throttle=ONE, ledger=ledger) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            await cancelled(lambda: cake.invoices.update(1, memo="x"), ledger.asked)
            held.go_on.set()
    assert stage.reported[:2] == [
        Waited(UPDATE, 0.0, got_turn=False),
        CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "NotSent", "id", cancelled=True),
    ]


async def test_a_write_that_its_grace_settles(stage) -> None:
    held = stage.held(stage.updated)
    async with stage.client(held, grace=5.0) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: cake.invoices.update(1, invoice_status="approved"))
            await held.asked.wait()
            group.cancel_scope.cancel()
            held.go_on.set()
    assert stage.reported == [
        AttemptEnded(UPDATE, 1, 0.0, 200, None, sent=True),
        CallEnded(UPDATE, 1, 0.0, Outcome.DONE, None, "id", cancelled=True),
    ]


async def cancelled_twice(call: Coroutine[object, None, object], when: anyio.Event) -> None:
    """Cancel a call once more while it is given its grace: no shield holds asyncio's off."""
    task = asyncio.create_task(call)
    await when.wait()
    for _ in range(2):
        await anyio.lowlevel.checkpoint()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@ONE_LOOP
async def test_a_write_that_is_cancelled_twice_ends_when_it_is_known_how(stage) -> None:
    held = stage.held(stage.updated)
    async with stage.client(held) as cake:
        await cancelled_twice(cake.invoices.update(1, invoice_status="approved"), held.asked)
        assert stage.reported == []
        async with anyio.create_task_group() as group:
            group.start_soon(cake.aclose)  # which waits for it, too
            await anyio.wait_all_tasks_blocked()
            held.go_on.set()
    assert stage.reported == [
        AttemptEnded(UPDATE, 1, 0.0, 200, None, sent=True),
        CallEnded(UPDATE, 1, 0.0, Outcome.DONE, None, "id", cancelled=True),
    ]


@ONE_LOOP
async def test_a_write_that_is_cancelled_twice_before_its_turn_is_not_unknown(stage) -> None:
    held, ledger = stage.held(stage.page), stage.ledger()
    async with stage.client(held, throttle=ONE, ledger=ledger) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            await cancelled_twice(cake.invoices.update(1, memo="x"), ledger.asked)
            await anyio.wait_all_tasks_blocked()
            assert stage.reported == [
                Waited(UPDATE, 0.0, got_turn=False),
                CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "NotSent", "id", cancelled=True),
            ]
            held.go_on.set()


@pytest.mark.parametrize("with_ledger", [True, False])
async def test_a_write_that_nothing_settles(stage, with_ledger) -> None:
    held, ledger = stage.held(stage.updated), stage.ledger() if with_ledger else None
    async with stage.client(held, grace=0.0, ledger=ledger) as cake:
        await cancelled(lambda: cake.invoices.update(1, memo="x"), held.asked)
        assert cake.stats().unknowns == 1
    assert stage.reported == [
        AttemptEnded(UPDATE, 1, 0.0, None, "Cancelled", sent=True),
        CallEnded(UPDATE, 1, 0.0, Outcome.UNKNOWN, "OutcomeUnknown", "id", cancelled=True),
    ]
    if ledger is not None:
        ((intent, outcome),) = ledger.reported
        assert (intent.id, outcome) == (stage.events[-1].intent, Outcome.UNKNOWN)


async def test_a_write_whose_ledger_has_not_taken_it_yet(stage) -> None:
    ledger = stage.ledger(waits=True)
    async with stage.client(stage.updated, ledger=ledger) as cake:
        await cancelled(lambda: cake.invoices.update(1, memo="x"), ledger.asked)
    assert stage.reported == [
        CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, None, "id", cancelled=True)
    ]


async def read(cake: Client) -> None:
    await cake.invoices.page()


async def write(cake: Client) -> None:
    await cake.invoices.update(1, memo="x")


@pytest.mark.parametrize("call", [read, write])
async def test_whenever_it_is_there_is_one_end_and_each_attempt_is_told(stage, call) -> None:
    answer, kinds = stage.page if call is read else stage.updated, set()

    def slowly(status: int) -> Callable[[], Awaitable[httpx.Response]]:
        async def respond() -> httpx.Response:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            return httpx.Response(status, content=answer)

        return respond

    for ticks in range(30):
        stage.events.clear()
        async with stage.client(slowly(500), slowly(200), grace=0.0) as cake:
            async with anyio.create_task_group() as group:
                group.start_soon(call, cake)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        if not stage.reported:  # before its first step
            continue
        end = stage.reported[-1]
        assert stage.ends == [end]
        kinds.add((end.attempts, end.cancelled))
        attempts = [event for event in stage.reported if isinstance(event, AttemptEnded)]
        assert [event.number for event in attempts] == list(range(1, end.attempts + 1))
    assert {(1, True), (2, True), (2, False)} <= kinds


class Slow(httpx.ASGITransport):
    """Answers after some turns of the event loop."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return await super().handle_async_request(request)


@ONE_LOOP
async def test_whenever_the_reader_of_a_list_is_cancelled_each_of_its_calls_ends_once() -> None:
    sandbox, told, numbers = Sandbox(invoices=60), list[Event](), list[int]()

    async def read(cake: Client) -> None:
        async with cake.invoices.find(row_limit=5) as rows:
            async for row in rows:
                numbers.append(row.invoice_id)

    for ticks in range(99):
        told.clear()
        numbers.clear()
        async with in_process(sandbox, transport=Slow(sandbox.app), on_event=told.append) as cake:
            async with anyio.create_task_group() as group:
                group.start_soon(read, cake)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert (cake.stats().in_flight, cake.stats().waiting) == (0, 0)
        assert numbers == list(sandbox.state.invoices)[: len(numbers)]
        kinds = Counter(type(event) for event in told)
        assert kinds[AttemptBegan] == kinds[AttemptEnded]
        ends = [event.call for event in told if isinstance(event, CallEnded)]
        assert len(set(ends)) == len(ends)
        assert {event.call for event in told if isinstance(event, AttemptBegan)} <= set(ends)
        if len(numbers) == 60:
            break
    assert len(numbers) == 60
