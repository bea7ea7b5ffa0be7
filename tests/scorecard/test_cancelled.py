"""Cancelled at each await, by scope and natively: nothing is lost, and the books are true."""

import json
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import parse_qs

import anyio
import anyio.to_thread
import attrs
import pytest

from aiocake import Client, Throttle
from aiocake.errors import Outcome

from ..support.scripted import Connection, Server
from ._cake import (
    CALLS,
    CREATE,
    EACH,
    EXPORT,
    GET,
    LOOK_UP,
    UPDATE,
    WRITES,
    Call,
    call_of,
    each,
    http,
    obedient,
    right,
)
from ._cancelling import (
    Books,
    cancelled,
    cancelled_by_scope,
    cancelled_natively,
    given_back,
    until_cancelled,
)
from ._card import Card, census

pytestmark = pytest.mark.anyio

WAYS: Final = pytest.mark.parametrize(
    ("anyio_backend", "natively"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-native", "trio-scope"],
)

Count: TypeAlias = Callable[[str, int], None]
SWEPT: Final = "awaits at which a call was cancelled; after each, the next call worked"
ROWS: Final = [
    {"invoice_id": number, "invoice_status": "paid", "total_amount": "1.00"}
    for number in range(1, 8)
]
#: A list of several pages, some of them on their way when it is cancelled.
LIST: Final = attrs.evolve(
    GET,
    name="list",
    make=lambda cake: cake.invoices.find(row_limit=2).collect(),
    is_right=lambda value: isinstance(value, list) and len(value) == len(ROWS),
)


def paged(connection: Connection) -> None:
    """Respond with the rows that were requested."""
    while request := connection.request():
        query = parse_qs(request.split(b" ", 2)[1].partition(b"?")[2].decode())
        start = int(query.get("start_at_row", ["0"])[0])
        limit = int(query["row_limit"][0])
        rows = ROWS[start : start + limit]
        answer = {"request_status": "Success", "invoices": rows, "total_rows": len(ROWS)}
        connection.send(http(json.dumps(answer).encode()))


@pytest.mark.case("K01")
@WAYS
@EACH
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("connection", ["fresh", "reused"])
async def test_cancelled_at_each_await(  # noqa: PLR0913, PLR0917 - by pytest
    card: Card,
    count: Count,
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
        await ended_well(server, call, books, before)
        count(SWEPT, came)
        at += 1
    assert at >= 2


@pytest.mark.case("K01")
@WAYS
@each(LIST, EXPORT)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_list_that_is_cancelled_at_each_await(  # noqa: PLR0913, PLR0917 - by pytest
    card: Card,
    count: Count,
    call: Call,
    natively: bool,  # noqa: FBT001 - by pytest
    times: int,
    anyio_backend: str,
) -> None:
    del anyio_backend
    at = 0
    came = True
    server = card.serve(paged if call is LIST else obedient)
    while came:
        before = await census()
        async with card.client(server, throttle=Throttle(concurrency=3)) as cake:
            came = await cancelled(card, call, cake, range(at, at + times), natively=natively)
            for _ in range(4):  # more than there are slots
                await card.works(cake, call)
        await anyio.to_thread.run_sync(all_ended, server)
        await given_back(before)
        count(SWEPT, came)
        at += 1
    assert at >= 3


@pytest.mark.case("K01")
@WAYS
async def test_an_export_that_another_waits_for_is_cancelled_at_each_await(
    card: Card,
    count: Count,
    natively: bool,  # noqa: FBT001 - by pytest
    anyio_backend: str,
) -> None:
    del anyio_backend
    at = 0
    came = True
    server = card.serve(obedient)
    while came:
        before = await census()
        async with card.client(server) as cake:
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(until_cancelled, EXPORT, cake)  # which gets the slot second
                    came = await cancelled(card, EXPORT, cake, range(at, at + 1), natively=natively)
            assert cake.stats().in_flight == 0
            await card.works(cake, EXPORT)
        await anyio.to_thread.run_sync(all_ended, server)
        await given_back(before)
        count(SWEPT, came)
        at += 1
    assert at >= 3


@pytest.mark.case("K01")
@WAYS
@each(GET, UPDATE, CREATE)
@pytest.mark.parametrize("times", [1, 2])
async def test_cancelled_at_each_await_in_the_queue(  # noqa: PLR0913, PLR0917 - by pytest
    card: Card,
    count: Count,
    call: Call,
    natively: bool,  # noqa: FBT001 - by pytest
    times: int,
    anyio_backend: str,
) -> None:
    del anyio_backend
    at = 0
    came = True
    server = card.serve(held)
    while came:
        server.go_on.clear()
        books, ended = Books(), anyio.Event()
        before = await census()
        async with card.client(server, ledger=books) as cake:
            async with anyio.create_task_group() as group:
                group.start_soon(until_cancelled, LOOK_UP, cake)
                while not cake.stats().in_flight:
                    await anyio.lowlevel.checkpoint()
                group.start_soon(let_go, server, cake, ended)
                waits = range(at, at + times)
                came = await cancelled(card, call, cake, waits, natively=natively)
                ended.set()
            await card.works(cake)
        await ended_well(server, call, books, before)
        count(SWEPT, came)
        at += 1
    assert at >= 3


@pytest.mark.case("K01")
@WAYS
@each(*WRITES)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("grace", [5.0, 0.0])
async def test_a_write_that_is_cancelled_at_any_moment(  # noqa: PLR0913, PLR0917 - by pytest
    card: Card,
    count: Count,
    call: Call,
    natively: bool,  # noqa: FBT001 - by pytest
    times: int,
    grace: float,
    anyio_backend: str,
) -> None:
    """A write runs in a task of its own: its caller waits but twice, whatever goes on there."""
    del anyio_backend
    ticks = 0
    came = True
    server = card.serve(obedient)
    while came:
        books = Books()
        before = await census()
        async with card.client(server, ledger=books, grace=grace) as cake:
            way = cancelled_natively if natively else cancelled_by_scope
            came = await way(call.make(cake), ticks, times)
            await books.settled()
            await card.works(cake)
        await ended_well(server, call, books, before)
        count(SWEPT, came)
        ticks = max(ticks + 1, ticks * 5 // 4)
    assert ticks >= 5


def held(connection: Connection) -> None:
    """Let whoever comes wait until the test says so."""
    request = connection.request()
    if not request:  # cancelled before anything of it was sent
        return
    connection.server.go_on.wait(20)
    connection.send(right(request))
    obedient(connection)


async def let_go(server: Server, cake: Client, ended: anyio.Event) -> None:
    """Let the call that holds the slot end as soon as another one waits for it, or has given up."""
    while not (cake.stats().waiting or ended.is_set()):
        await anyio.lowlevel.checkpoint()
    server.go_on.set()


async def ended_well(server: Server, call: Call, books: Books, before: tuple[int, int]) -> None:
    """See that all is given back, and that the books say what really arrived."""
    await anyio.to_thread.run_sync(all_ended, server)
    arrived = sum(call_of(request) is call for request in server.requests)
    server.requests.clear()
    await given_back(before)
    are_true(books, arrived)


def are_true(books: Books, arrived: int) -> None:
    """What became of a write is in the books before the cancellation goes on, and it is true."""
    opened = {intent.id for intent in books.opened}
    outcomes = dict(books.closed)
    assert opened <= set(outcomes)
    assert len(books.closed) == len(outcomes) <= 1
    if Outcome.DONE in outcomes.values():
        assert arrived == 1
    if Outcome.NOT_DONE in outcomes.values():
        assert arrived == 0


def all_ended(server: Server) -> None:
    for number in range(len(server.connections)):
        server.join(number)


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
            group.start_soon(until_cancelled, call, cake)
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
                group.start_soon(until_cancelled, CALLS[number % len(CALLS)], cake)
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        for call in CALLS:
            await card.works(cake, call)
    await anyio.to_thread.run_sync(all_ended, server)
    await given_back(before)
