# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the transport outlives the group: that is another block
"""Cancelled at each await, in each way: no slot, connection or task is lost, no outcome either."""

import asyncio
import gc
import ssl
import threading
from contextlib import aclosing

import anyio
import anyio.to_thread
import httpx
import pytest
import trustme

from aiocake.config import RetryPolicy, Throttle
from aiocake.errors import CakeError, NotSent, ServerError
from aiocake.values import Idempotency

from ..support.interrupted import interrupted
from .exchange import CallResult, Exchanges

pytestmark = pytest.mark.anyio

ONE = Throttle(concurrency=1)
CA = trustme.CA()
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CA.issue_cert("127.0.0.1").configure_cert(TLS)


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    ("anyio_backend", "natively"), [("asyncio", False), ("asyncio", True), ("trio", False)]
)
@pytest.mark.parametrize("connection", ["fresh", "reused", "tls"])
async def test_a_call_that_is_cancelled_at_any_await_loses_nothing(  # noqa: PLR0913, PLR0917
    lab, connection, natively, times, idempotency, anyio_backend
) -> None:
    del anyio_backend
    trusting = None
    if connection == "tls":
        trusting = ssl.create_default_context()
        CA.configure_trust(trusting)
    at = 0
    while True:
        server = lab.obedient(TLS if trusting else None)
        async with aclosing(lab.transport(server, throttle=ONE, ssl_context=trusting)) as transport:
            if connection == "reused":
                await transport.exchange(lab.get, lab.fine, lab.plan())
            call = transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            came = await interrupted(call, range(at, at + times), natively=natively)
            with anyio.fail_after(20):
                done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.error is None
            assert transport.stats().in_flight == transport.stats().waiting == 0
        server.close()
        at += 1
        if not came:
            break
    assert at >= 2 or idempotency is not Idempotency.SAFE
    gc.collect()  # what was not closed would be an error here


async def test_many_cancelled_at_once_leave_all_slots(lab) -> None:
    server = lab.obedient()
    throttle = Throttle(concurrency=3)
    async with aclosing(lab.transport(server, throttle=throttle)) as transport:
        for ticks in (1, 5, 20):
            async with anyio.create_task_group() as group:
                for number in range(200):
                    plan = lab.plan(list(Idempotency)[number % 3])
                    group.start_soon(transport.exchange, lab.post, lab.fine, plan)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            with anyio.fail_after(20):
                for _ in range(6):
                    done = await transport.exchange(lab.get, lab.fine, lab.plan())
                    assert done.error is None
            assert transport.stats().in_flight == transport.stats().waiting == 0


class Ledger:
    """Keeps what it is told of writes whose caller was cancelled."""

    def __init__(self) -> None:
        self.reported: list[CallResult] = []
        self.finished = anyio.Event()

    async def __call__(self, done: CallResult) -> None:
        await anyio.lowlevel.checkpoint()  # a database takes its time
        self.reported.append(done)
        self.finished.set()


async def arrived(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 20)


@pytest.mark.parametrize("idempotency", [Idempotency.IDEMPOTENT, Idempotency.NON_IDEMPOTENT])
async def test_a_write_that_has_left_is_given_a_grace(lab, idempotency) -> None:
    server, ledger = lab.slow(), Ledger()
    async with aclosing(lab.transport(server)) as transport:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                with anyio.CancelScope() as scope:
                    group.start_soon(cancel, scope)
                    await transport.exchange(
                        lab.post, lab.fine, lab.plan(idempotency), settled=ledger
                    )
                # Only when the outcome was told does the cancellation go on.
                assert scope.cancelled_caught
                assert len(ledger.reported) == 1

            async def cancel(scope: anyio.CancelScope) -> None:
                await arrived(server.arrived)
                scope.cancel()
                server.go_on.set()

            group.start_soon(call)
        done = ledger.reported[0]
        assert done.response is not None
        assert done.response.body == b"ok"
        assert (done.attempts, done.sent) == (1, True)
        assert transport.stats().in_flight == 0
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None


@pytest.mark.parametrize("grace", [0.0, 0.05])
@pytest.mark.parametrize("idempotency", [Idempotency.IDEMPOTENT, Idempotency.NON_IDEMPOTENT])
async def test_what_the_grace_does_not_settle_is_told_as_open(lab, idempotency, grace) -> None:
    server, ledger = lab.slow(), Ledger()
    async with aclosing(lab.transport(server, grace=grace)) as transport:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await transport.exchange(lab.post, lab.fine, lab.plan(idempotency), settled=ledger)

            group.start_soon(call)
            await arrived(server.arrived)
            group.cancel_scope.cancel()
        (done,) = ledger.reported
        assert type(done.error) is CakeError
        assert done.response is None
        assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
        assert done.left_at is not None
        assert transport.stats().in_flight == 0
    assert len(server.requests) == 1


async def test_a_write_that_waits_for_its_turn_is_cancelled_at_once(lab) -> None:
    server, ledger = lab.slow(), Ledger()
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        async with anyio.create_task_group() as group:
            group.start_soon(transport.exchange, lab.get, lab.fine, lab.plan())
            await arrived(server.arrived)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:

                    async def call() -> None:
                        await transport.exchange(
                            lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT), settled=ledger
                        )

                    inner.start_soon(call)
                    await anyio.wait_all_tasks_blocked()
                    assert transport.stats().waiting == 1
                    scope.cancel()
            (done,) = ledger.reported
            assert isinstance(done.error, NotSent)
            assert (done.attempts, done.sent) == (0, False)
            assert transport.stats().waiting == 0
            server.go_on.set()
    assert len(server.requests) == 1


async def test_a_write_that_waits_for_its_next_attempt_gets_none(lab) -> None:
    requests = 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return httpx.Response(500)

    ledger = Ledger()
    retry = RetryPolicy(base=1000.0, cap=1000.0)
    http = httpx.MockTransport(answer)
    async with aclosing(
        lab.transport("x.cake.com", http, draw=lambda: 1.0, retry=retry)
    ) as transport:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                plan = lab.plan(Idempotency.IDEMPOTENT, total=5000.0)
                await transport.exchange(lab.post, lab.check, plan, settled=ledger)

            group.start_soon(call)
            while not requests:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    (done,) = ledger.reported
    assert isinstance(done.error, ServerError)
    assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
    assert requests == 1


async def test_no_further_attempt_follows_within_the_grace(lab) -> None:
    begun, go_on = anyio.Event(), anyio.Event()
    requests = 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        begun.set()
        await go_on.wait()
        return httpx.Response(500)

    ledger = Ledger()
    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                plan = lab.plan(Idempotency.IDEMPOTENT)
                await transport.exchange(lab.post, lab.check, plan, settled=ledger)

            async def cancel() -> None:
                await begun.wait()
                scope.cancel()
                await anyio.wait_all_tasks_blocked()  # the call has seen it
                go_on.set()

            group.start_soon(cancel)
            with anyio.CancelScope() as scope:
                await call()
    (done,) = ledger.reported
    assert isinstance(done.error, ServerError)
    assert (done.attempts, done.sent) == (1, True)
    assert requests == 1


# trio has no cancellation that breaks through a shield.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_native_cancellation_does_not_lose_the_outcome(lab, anyio_backend) -> None:
    del anyio_backend
    server, ledger = lab.slow(), Ledger()
    async with aclosing(lab.transport(server)) as transport:
        task = asyncio.ensure_future(
            transport.exchange(
                lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT), settled=ledger
            )
        )
        await arrived(server.arrived)
        task.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not task.done()  # the grace
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ledger.reported == []
        server.go_on.set()
        with anyio.fail_after(20):
            await ledger.finished.wait()
        assert ledger.reported[0].response is not None
    assert len(server.requests) == 1


async def test_a_ledger_that_breaks_does_not_stop_the_cancellation(lab, caplog) -> None:
    server = lab.slow()

    async def settled(_: CallResult) -> None:
        raise RuntimeError("the database is gone")

    async with aclosing(lab.transport(server, grace=0.0)) as transport:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def call() -> None:
                    plan = lab.plan(Idempotency.IDEMPOTENT)
                    await transport.exchange(lab.post, lab.fine, plan, settled=settled)

                group.start_soon(call)
                await arrived(server.arrived)
                scope.cancel()
    assert scope.cancelled_caught
    assert [record.name for record in caplog.records] == ["aiocake"]


async def create(lab, transport: Exchanges, ledger: Ledger, results: list[CallResult]) -> None:
    plan = lab.plan(Idempotency.NON_IDEMPOTENT)
    results.append(await transport.exchange(lab.post, lab.fine, plan, settled=ledger))


async def test_what_was_told_is_what_arrived(lab) -> None:
    """A write that is cancelled at any moment: never told as not sent when the server has it."""
    throttle = Throttle(concurrency=2)
    for ticks in range(40):
        server, ledger = lab.obedient(), Ledger()
        async with aclosing(lab.transport(server, throttle=throttle, grace=0.0)) as transport:
            results: list[CallResult] = []
            async with anyio.create_task_group() as group:
                group.start_soon(create, lab, transport, ledger, results)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        server.close()
        reported = results + ledger.reported
        if server.requests:
            assert len(reported) == 1
            assert reported[0].sent
            assert not isinstance(reported[0].error, NotSent)
        for done in reported:
            assert done.sent or isinstance(done.error, NotSent)
