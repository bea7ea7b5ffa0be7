"""What the application around a client does: cancel, close, fork, use it from elsewhere."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import attrs
import pytest
import trio

from aiocake import Client, Throttle
from aiocake.config import Ledger
from aiocake.errors import (
    CakeError,
    ClosedError,
    Intent,
    Outcome,
    OutcomeUnknown,
    WrongLoopError,
)

from ..scripted import Connection, Server
from ._cake import CALLS, EACH, WRITES, Call, call_of, each, obedient, right
from ._canary import KEY, told
from ._card import Card, census

if TYPE_CHECKING:
    from aiocake.events import Event

pytestmark = pytest.mark.anyio


class Interrupted:
    """Runs a coroutine, and calls ``cancel`` when it is about to wait for the n-th time."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], waits: range, cancel: Callable[[], object]
    ) -> None:
        self._coroutine = coroutine
        self._waits = waits
        self._cancel = cancel
        self.waited = 0

    def __await__(self) -> Generator[Any, Any, object]:
        send: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731 - replaced below
        while True:
            try:
                wait = send()
            except StopIteration as stop:
                return stop.value
            if self.waited in self._waits:
                self._cancel()
            self.waited += 1
            try:
                value = yield wait
            except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                send = lambda error=error: self._coroutine.throw(error)  # noqa: E731 - as above
            else:
                send = lambda value=value: self._coroutine.send(value)  # noqa: E731 - as above


@attrs.define
class Books(Ledger):
    """A ledger: what was going to be written, and what became of it."""

    opened: list[Intent] = attrs.field(factory=list)
    closed: list[tuple[str, Outcome]] = attrs.field(factory=list)

    async def before(self, intent: Intent) -> None:
        await anyio.lowlevel.checkpoint()
        self.opened.append(intent)

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed.append((intent.id, outcome))


async def _until_cancelled(call: Call, cake: Client) -> None:
    await call.make(cake)


async def cancelled(card: Card, call: Call, cake: Client, waits: range, *, natively: bool) -> bool:
    """Whether a call came so far that it was cancelled."""
    found: list[BaseException] = []

    async def watched() -> None:
        try:
            await call.make(cake)
        except BaseException as error:
            found.append(error)
            raise

    if natively:
        task = asyncio.current_task()
        assert task is not None
        run = Interrupted(watched(), waits, task.cancel)
        with suppress(asyncio.CancelledError):
            await run
        while task.cancelling():
            task.uncancel()
    else:
        with anyio.CancelScope() as scope:
            run = Interrupted(watched(), waits, scope.cancel)
            await run
    for error in found:
        card.everything.no_key_in(told(error))
    return run.waited > waits.start


@pytest.mark.case("K01")
@pytest.mark.parametrize(
    ("anyio_backend", "natively"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-native", "trio-scope"],
)
@EACH
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("connection", ["fresh", "reused"])
async def test_cancelled_at_each_await(  # noqa: PLR0913, PLR0917 - by pytest
    card: Card,
    call: Call,
    natively: bool,  # noqa: FBT001 - by pytest
    times: int,
    connection: str,
    anyio_backend: str,
) -> None:
    del anyio_backend
    at = 0
    came = True
    server = card.serve(obedient)
    while came:
        books = Books()
        before = await census()
        async with card.client(server, ledger=books) as cake:
            if connection == "reused":
                await card.works(cake)
            waits = range(at, at + times)
            came = await cancelled(card, call, cake, waits, natively=natively)
            await card.works(cake)
        await anyio.to_thread.run_sync(all_ended, server)
        arrived = sum(call_of(request) is call for request in server.requests)
        server.requests.clear()
        await given_back(before)
        # What became of it is in the books before the cancellation goes on, and it is true.
        opened = {intent.id for intent in books.opened}
        outcomes = dict(books.closed)
        assert opened <= set(outcomes)
        assert len(books.closed) == len(outcomes) <= 1
        if Outcome.DONE in outcomes.values():
            assert arrived == 1
        if Outcome.NOT_DONE in outcomes.values():
            assert arrived == 0
        at += 1
    assert at >= 3


def all_ended(server: Server) -> None:
    for number in range(len(server.connections)):
        server.join(number)


async def given_back(before: tuple[int, int]) -> None:
    for _ in range(100):
        if await census() <= before:
            return
    assert await census() <= before


@pytest.mark.case("K01")
@each(*WRITES)
@pytest.mark.parametrize("grace", [5.0, 0.0])
async def test_a_write_that_has_left_is_given_a_grace(card: Card, call: Call, grace: float) -> None:
    def script(connection: Connection) -> None:
        request = connection.request()
        connection.server.go_on.wait(20)
        connection.send(right(request))
        obedient(connection)

    server = card.serve(script)
    books = Books()
    async with card.client(server, ledger=books, grace=grace) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_cancelled, call, cake)
            assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
            group.cancel_scope.cancel()
            if grace:
                server.go_on.set()
        server.go_on.set()
        (outcome,) = (outcome for _, outcome in books.closed)
        assert outcome is (Outcome.DONE if grace else Outcome.UNKNOWN)
        assert cake.stats().unknowns == (0 if grace else 1)
        server.script = obedient
        await card.works(cake)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("K02")
@pytest.mark.parametrize("ticks", [0, 1, 3, 10, 30])
async def test_many_cancelled_at_once(card: Card, ticks: int) -> None:
    server = card.serve(obedient)
    before = await census()
    async with card.client(server, throttle=Throttle(concurrency=3)) as cake:
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(_until_cancelled, CALLS[number % len(CALLS)], cake)
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        for call in CALLS:
            await card.works(cake, call)
    await anyio.to_thread.run_sync(all_ended, server)
    await given_back(before)


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
    cake = card.client(server, on_event=events.append, ledger=books)
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
        card.everything.no_key_in(told(error))
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
            card.everything.no_key_in(told(error))
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
                group.start_soon(_until_cancelled, call, one)
                group.start_soon(_until_cancelled, call, two)
    assert len(server.requests) == 20 * len(CALLS)
    assert not any(b"\r\ncookie:" in request.lower() for request in server.requests)
    theirs = [b"another-key" in request for request in server.requests]
    assert theirs.count(True) == 10 * len(CALLS)
    for connection in server.connections:
        assert len({b"another-key" in request for request in connection.requests}) == 1
    await card.all_is_given_back(one, None)
