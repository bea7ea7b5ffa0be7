"""What the application around a client does: cancel, close, fork, use it from elsewhere."""

import asyncio
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import pytest
import trio

from aiocake import Client, Throttle
from aiocake.errors import (
    CakeError,
    ClosedError,
    Outcome,
    OutcomeUnknown,
    WrongLoopError,
)

from ..support.scripted import Connection
from ._cake import CALLS, EACH, Call, obedient, right
from ._canary import KEY, reported
from ._cancelling import Books, until_cancelled
from ._card import Card, census

if TYPE_CHECKING:
    from aiocake.events import Event

pytestmark = pytest.mark.anyio


@pytest.mark.case("K04")
@EACH
async def test_closed_with_calls_in_flight(card: Card, call: Call) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.server.go_on.wait(20)

    before = await census()
    server = card.serve(script)
    events: list[Event] = []
    books = Books()
    cake = card.client(server, on_event=events.append, ledger=books, grace=0.0)
    found: list[CakeError] = []

    async def make() -> None:
        try:
            await call.make(cake)
        except CakeError as error:
            found.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(make)
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        group.start_soon(make)
        await anyio.wait_all_tasks_blocked()
        assert (cake.stats().in_flight, cake.stats().waiting) == (1, 1)
        await cake.aclose()
    for error in found:
        card.everything.no_key_in(reported(error))
    if call.reads:
        assert [type(error) for error in found] == [ClosedError, ClosedError]
        assert {error.outcome for error in found} == {None}
    else:
        # One had left, the other had not.
        outcomes = sorted((str(error.outcome), type(error)) for error in found)
        assert [outcome for outcome, _ in outcomes] == ["not_done", "unknown"]
        assert outcomes[1][1] is OutcomeUnknown
        assert sorted(str(outcome) for _, outcome in books.closed) == ["not_done", "unknown"]
    assert cake.stats().in_flight == cake.stats().waiting == 0
    await card.all_is_given_back(cake, before)


@pytest.mark.case("K04")
@EACH
async def test_use_after_close(card: Card, call: Call) -> None:
    server = card.serve(obedient)
    before = await census()
    async with card.client(server) as cake:
        await card.works(cake)
    await cake.aclose()
    met = await card.meet(call, cake, [], server)
    assert type(met.error) is ClosedError
    assert met.error.outcome is (None if call.reads else Outcome.NOT_DONE)
    assert len(met.requests) == 1
    await card.all_is_given_back(cake, before)


@pytest.mark.case("K04")
@EACH
async def test_another_event_loop(card: Card, call: Call) -> None:
    server = card.serve(obedient)
    books = Books()
    async with card.client(server, ledger=books) as cake:
        await card.works(cake)
        sent = len(server.requests)

        async def elsewhere() -> CakeError | None:
            try:
                await call.make(cake)
            except CakeError as error:
                return error
            return None

        for run in (lambda: asyncio.run(elsewhere()), lambda: trio.run(elsewhere)):
            error = await anyio.to_thread.run_sync(run)
            assert type(error) is WrongLoopError
            assert error.outcome is (None if call.reads else Outcome.NOT_DONE)
            card.everything.no_key_in(reported(error))
        assert len(server.requests) == sent
        assert books.opened == []
        await card.works(cake)
    await card.all_is_given_back(cake, None)


FORKING: Final = """
    import os, sys, anyio
    from datetime import date
    from aiocake import Client
    from aiocake.errors import WrongLoopError

    async def main():
        async with Client(sys.argv[1], "a-key") as cake:
            await cake.invoices.get(4821)
            child = os.fork()
            if not child:
                status = 1
                try:
                    await cake.invoices.create(
                        affiliate_id=1, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31)
                    )
                except WrongLoopError as error:
                    status = 0 if "process" in str(error) else 2
                finally:
                    os._exit(status)
            _, status = os.waitpid(child, 0)
            assert status == 0, status
            await cake.invoices.get(4821)

    anyio.run(main, backend=sys.argv[2])
"""


@pytest.mark.case("K04")
async def test_a_fork(card: Card, anyio_backend: str) -> None:
    server = card.serve(obedient)
    # In a process of its own: this one has threads, and with threads nobody should fork.
    command = [sys.executable, "-c", textwrap.dedent(FORKING), server.url, anyio_backend]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    )
    assert done.returncode == 0, done.stderr
    assert [b"invoices.json" in request for request in server.requests] == [True, True]
    assert len(server.connections) == 1


@pytest.mark.case("K05")
async def test_two_clients_and_their_keys(card: Card) -> None:
    def script(connection: Connection) -> None:
        while request := connection.request():
            head, _, body = right(request).partition(b"\r\n\r\n")
            cookie = b"\r\nSet-Cookie: session=of-%d; Path=/" % connection.number
            connection.send(head + cookie + b"\r\n\r\n" + body)

    server = card.serve(script)
    one = Client(server.url, KEY, throttle=Throttle(concurrency=3))
    two = Client(server.url, "another-key", throttle=Throttle(concurrency=3))
    async with one, two, anyio.create_task_group() as group:
        for _ in range(10):
            for call in CALLS:
                group.start_soon(until_cancelled, call, one)
                group.start_soon(until_cancelled, call, two)
    assert len(server.requests) == 20 * len(CALLS)
    assert not any(b"\r\ncookie:" in request.lower() for request in server.requests)
    theirs = [b"another-key" in request for request in server.requests]
    assert theirs.count(True) == 10 * len(CALLS)
    for connection in server.connections:
        assert len({b"another-key" in request for request in connection.requests}) == 1
    await card.all_is_given_back(one, None)
