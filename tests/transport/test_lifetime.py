# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Closing, with calls on their way; another event loop; a fork."""

import asyncio
import gc
import os
import ssl
import sys
import threading
from contextlib import aclosing

import anyio
import anyio.to_thread
import httpx
import pytest
import trio

from aiocake._messages import Response
from aiocake.config import Throttle
from aiocake.errors import ClosedError, ConfigurationError, RateLimited, WrongLoopError
from aiocake.values import Idempotency, Secret

from ..support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too
from .exchange import CallResult, Exchanges

pytestmark = pytest.mark.anyio


async def test_use_after_close(lab) -> None:
    transport = lab.transport(lab.obedient())
    assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
    await transport.aclose()
    await transport.aclose()
    for idempotency in Idempotency:
        with pytest.raises(ClosedError):
            await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))

    async def begin(_: object) -> None:
        pytest.fail("nothing is sent")

    with pytest.raises(ClosedError):
        await transport.open(lab.get, begin, lab.plan())
    assert transport.stats().in_flight == 0


async def test_a_transport_that_was_never_used_can_be_closed(lab) -> None:
    transport = lab.transport("x.cake.com")
    assert transport.stats().paused_until is None
    await transport.aclose()
    with pytest.raises(ClosedError):
        await transport.exchange(lab.get, lab.fine, lab.plan())


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_closing_ends_what_is_on_its_way(lab, idempotency) -> None:
    server = lab.slow()
    transport = lab.transport(server, throttle=Throttle(concurrency=1))
    done: list[CallResult] = []

    async def call() -> None:
        done.append(await transport.exchange(lab.post, lab.fine, lab.plan(idempotency)))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        assert (transport.stats().in_flight, transport.stats().waiting) == (1, 1)
        await transport.aclose()
    sent, waiting = sorted(done, key=lambda each: not each.sent)
    assert isinstance(sent.error, ClosedError)
    assert (sent.attempts, sent.sent) == (1, True)
    assert isinstance(waiting.error, ClosedError)
    assert (waiting.attempts, waiting.sent, waiting.left_at) == (0, False, None)
    assert transport.stats().in_flight == 0


async def test_closed_twice_at_once(lab) -> None:
    server = lab.slow()
    transport = lab.transport(server)
    async with anyio.create_task_group() as group:
        group.start_soon(
            transport.exchange, lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT)
        )
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as closers:
                closers.start_soon(transport.aclose)
                closers.start_soon(transport.aclose)


async def test_closed_as_an_answer_comes_that_is_worth_another_attempt(lab) -> None:
    """No attempt is waited for that would not be made."""
    closers = []

    def check(_: Response) -> RateLimited:
        # As if another task had closed the client in the turn in which the answer came.
        transport.transport.lifecycle.closed = True
        closers.append(transport.aclose)
        return RateLimited("later", retry_after=30.0, status=503)

    server = lab.obedient()
    transport = lab.transport(server)
    with anyio.fail_after(20):
        done = await transport.exchange(lab.get, check, lab.plan(total=60.0))
    assert isinstance(done.error, ClosedError)
    assert done.attempts == 1
    await closers[0]()


async def test_closing_waits_for_the_outcome_of_a_cancelled_write_to_be_told(lab) -> None:
    server, reported = lab.slow(), []
    transport = lab.transport(server)

    async def settled(done: CallResult) -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        reported.append(done)

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def call() -> None:
            with scope:
                await transport.exchange(
                    lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT), settled=settled
                )

        group.start_soon(call)
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert reported == []  # within the grace
        await transport.aclose()
        assert isinstance(reported[0].error, ClosedError)
        assert reported[0].sent


async def test_closing_while_cancelled_closes_all_the_same(lab) -> None:
    closed = []

    class Http(httpx.MockTransport):
        async def aclose(self) -> None:
            await anyio.lowlevel.checkpoint()
            closed.append(True)

    transport = lab.transport("x.cake.com", Http(lambda _: httpx.Response(200)))
    await transport.exchange(lab.get, lab.fine, lab.plan())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await transport.aclose()
    await transport.aclose()
    assert closed == [True]


LOOPS = [(name, {}) for name in ("asyncio", "trio")]
if sys.platform != "win32":
    LOOPS.append(("asyncio", {"use_uvloop": True}))


async def test_another_event_loop_is_told(lab) -> None:
    async with aclosing(lab.transport(lab.obedient())) as transport:
        await transport.exchange(lab.get, lab.fine, lab.plan())
        for loop in LOOPS:

            def elsewhere(backend: str = loop[0], options: object = loop[1]) -> None:
                anyio.run(use, backend=backend, backend_options=options)

            async def use() -> None:
                for idempotency in Idempotency:
                    with pytest.raises(WrongLoopError, match="loop"):
                        await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))
                with pytest.raises(WrongLoopError):
                    await transport.aclose()

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None


def test_the_loop_around_trios_guest_mode_is_another_one(lab) -> None:
    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        transport = lab.transport(lab.obedient())

        async def on_trio() -> None:
            assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
            await transport.aclose()

        trio.lowlevel.start_guest_run(
            on_trio,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda run: (run.unwrap(), over.set()),
        )
        await over.wait()
        with pytest.raises(WrongLoopError):
            await transport.aclose()

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
async def test_another_process_is_told(lab) -> None:
    async with aclosing(lab.transport(lab.obedient())) as transport:
        await transport.exchange(lab.get, lab.fine, lab.plan())
        child = os.fork()
        if not child:
            told = ""
            try:
                transport.transport.lifecycle.check_usable()
            except WrongLoopError as error:
                told = str(error)
            finally:  # whatever comes of it: no second pytest goes on from here
                os._exit(0 if "process" in told else 1)
        assert os.waitpid(child, 0) == (child, 0)  # noqa: ASYNC222 - it ends at once


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio nobody can cancel such a task
async def test_the_end_of_the_loop_ends_a_write(lab, anyio_backend) -> None:  # noqa: F811 - the fixture
    del anyio_backend
    server = lab.slow()
    done: list[CallResult] = []
    async with aclosing(lab.transport(server)) as transport, anyio.create_task_group() as group:

        async def call() -> None:
            done.append(
                await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
            )

        group.start_soon(call)
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        for task in asyncio.all_tasks():
            if "BackgroundTask._run" in repr(task):
                task.cancel()
    assert isinstance(done[0].error, ClosedError)
    assert done[0].sent


async def test_closed_at_any_moment_of_a_write(lab) -> None:
    seen: set[str] = set()
    for ticks in range(12):
        server = lab.obedient()
        transport = lab.transport(server)
        async with anyio.create_task_group() as group:
            group.start_soon(close_after, transport, ticks)
            try:
                done = await transport.exchange(
                    lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT)
                )
            except ClosedError:
                seen.add("refused")
                assert server.requests == []
            else:
                seen.add("answered" if done.response is not None else "cut")
                assert done.response is not None or isinstance(done.error, ClosedError)
                assert done.sent or server.requests == []
        assert transport.stats().in_flight == transport.stats().waiting == 0
        server.close()
    assert "cut" in seen
    gc.collect()


async def close_after(transport: Exchanges, ticks: int) -> None:
    for _ in range(ticks):
        await anyio.lowlevel.checkpoint()
    await transport.aclose()


def test_settings_that_cannot_be(lab) -> None:
    http = httpx.MockTransport(lambda _: httpx.Response(200))
    for to, settings in (
        ("http://127.0.0.1:1", {"proxy": "http://proxy.example"}),
        ("x.cake.com", {"proxy": "http://proxy.example", "http": http}),
        ("x.cake.com", {"ssl_context": ssl.create_default_context(), "http": http}),
        ("x.cake.com", {"user_agent": "a\nb"}),
        ("x.cake.com", {"key": Secret("")}),
    ):
        with pytest.raises(ConfigurationError):
            lab.transport(to, **settings)


async def test_two_clients_do_not_mix_their_keys(lab) -> None:
    server = lab.obedient()
    async with (
        aclosing(lab.transport(server, key=Secret("first-key"))) as one,
        aclosing(lab.transport(server, key=Secret("second-key"))) as two,
        anyio.create_task_group() as group,
    ):
        for _ in range(20):
            group.start_soon(one.exchange, lab.get, lab.fine, lab.plan())
            group.start_soon(two.exchange, lab.get, lab.fine, lab.plan())
    for connection in server.connections:
        assert len({b"first-key" in request for request in connection.requests}) == 1
    assert sum(b"first-key" in request for request in server.requests) == 20
