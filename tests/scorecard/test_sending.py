"""What is lost between a request and its answer: it may have been carried out, or it was not."""

import random
import socket
import ssl
import threading
from datetime import date
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import attrs
import pytest
import trustme

from aiocake import Client, Timeouts
from aiocake.errors import (
    ArgumentError,
    CakeError,
    ConfigurationError,
    DeadlineExceeded,
    DecodeError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RequestRejected,
)
from aiocake.events import AttemptEnded
from aiocake.values import Binding

from ..support.amounts import some
from ..support.scripted import Connection, Script
from ._cake import (
    AFFILIATE,
    BILL,
    CALLS,
    CREATE,
    CREDIT,
    EACH,
    GET,
    ID,
    MARK,
    PASSING,
    UPDATE,
    Call,
    each,
    http,
    obedient,
    right,
)
from ._canary import KEY, NOTE
from ._card import Card, Met

if TYPE_CHECKING:
    from aiocake.events import Event

pytestmark = pytest.mark.anyio

#: A retry may need more than one try where a time limit is as short as in a test.
MORE: Final = range(2, 7)


def once_unanswered(met: Met, cause: type[CakeError], *, passing: bool) -> None:
    """Retried where that is safe; and never taken for not sent."""
    if passing and not met.call.once:
        met.succeeds(attempts=MORE)
    else:
        met.ends(cause)


CA: Final = trustme.CA()
CERTIFIED: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CA.issue_cert("127.0.0.1").configure_cert(CERTIFIED)
TRUSTING: Final = ssl.create_default_context()
CA.configure_trust(TRUSTING)

#: What a server says when nothing came for too long.
IDLE: Final = http(b"idle", "Connection: close", status="408 Request Timeout")


def once_ok(script: Script) -> Script:
    """The same, until it is told to go on in good order."""

    def healing(connection: Connection) -> None:
        (obedient if connection.server.go_on.is_set() else script)(connection)

    return healing


@pytest.mark.case("S01")
@EACH
@PASSING
@pytest.mark.parametrize("how", ["reset", "end"])
async def test_ended_on_accept(card: Card, call: Call, how: str, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        if how == "reset":
            connection.reset()

    met = await card.play(call, once_ok(script), passing=passing)
    if met.error is None:
        assert passing
        met.succeeds(attempts=2)
    elif isinstance(met.error, NotSent):
        met.not_sent(attempts=3)
    elif call.reads:
        assert isinstance(met.error, DecodeError)
    else:
        # Whether it had left could not be determined: what is said is that.
        met.unknown((DecodeError, NotSent), met.attempts)
        left = [event.sent for event in met.events if isinstance(event, AttemptEnded)]
        assert not (call.once and any(left[:-1]))
    assert met.error is None or met.requests == []


@pytest.mark.case("S03")
@EACH
@PASSING
async def test_reset_before_the_body(card: Card, call: Call, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        connection.head()
        connection.reset()

    met = await card.play(call, once_ok(script), passing=passing)
    once_unanswered(met, DecodeError, passing=passing)


@pytest.mark.case("S04")
@EACH
@PASSING
@pytest.mark.parametrize("how", ["reset", "end", "half-close"])
async def test_lost_after_the_request(card: Card, call: Call, how: str, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        connection.request()
        if how == "reset":
            connection.reset()
        elif how == "half-close":
            connection.socket.shutdown(socket.SHUT_WR)
            connection.until_closed()

    met = await card.play(call, once_ok(script), passing=passing)
    once_unanswered(met, DecodeError, passing=passing)
    assert len(met.requests) == met.attempts


@pytest.mark.case("S07")
@EACH
@PASSING
async def test_no_answer(card: Card, call: Call, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        connection.request()
        connection.until_closed()

    timeouts = Timeouts(total=20, read=0.1)
    met = await card.play(call, once_ok(script), passing=passing, timeouts=timeouts)
    once_unanswered(met, DeadlineExceeded, passing=passing)


#: More than what lies between the two ends of a connection.
_LONG: Final = NOTE * 300_000
LONG_UPDATE: Final = attrs.evolve(
    UPDATE,
    make=lambda cake: cake.invoices.update(ID, memo=_LONG),
    arguments={"invoice_id": ID, "memo": _LONG},
)
_DAY: Final = date(2024, 1, 1)
LONG_CREATE: Final = attrs.evolve(
    CREATE,
    make=lambda cake: cake.invoices.create(
        affiliate_id=AFFILIATE, start_date=_DAY, end_date=_DAY, memo=_LONG
    ),
    arguments={
        "affiliate_id": AFFILIATE,
        "start_date": _DAY,
        "end_date": _DAY,
        "memo": _LONG,
    },
)


@pytest.mark.case("S08")
@each(*CALLS, LONG_UPDATE, LONG_CREATE)
async def test_a_server_that_never_reads(card: Card, call: Call) -> None:
    def script(connection: Connection) -> None:
        connection.server.go_on.wait(20)

    server = card.serve(script, listening=False)
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.listen()
    met = await card.play(call, server, timeouts=Timeouts(total=20, read=0.1))
    met.ends(DeadlineExceeded)
    assert met.requests == []


@pytest.mark.case("S09")
@each(*CALLS, LONG_UPDATE, LONG_CREATE)
@pytest.mark.parametrize("how", ["abrupt", "lingering"])
async def test_an_early_refusal(card: Card, call: Call, how: str) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        connection.answer(b"too large", "Connection: close", status="413 Content Too Large")
        if how == "lingering":
            connection.socket.shutdown(socket.SHUT_WR)
            connection.until_closed()

    met = await card.play(call, once_ok(script))
    met.refused(RequestRejected)
    assert isinstance(met.error, RequestRejected)
    assert met.error.status == 413


@pytest.mark.case("S10")
@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x16", "\x1f", "\ud800", "\uffff"])
async def test_a_character_that_cannot_be_sent(card: Card, character: str) -> None:
    bad = NOTE + character
    server = card.serve(obedient)
    calls = [
        attrs.evolve(GET, make=lambda cake: cake.request("GET", f"/api/2/{bad}", repeatable=True)),
        attrs.evolve(
            GET,
            make=lambda cake: cake.request("GET", "/api/2/a", params={"a": bad}, repeatable=True),
        ),
        attrs.evolve(UPDATE, make=lambda cake: cake.invoices.update(ID, memo=bad)),
        attrs.evolve(
            MARK,
            make=lambda cake: cake.affiliate_bills.mark_received(
                BILL, invoiced_amount=1, notes=bad
            ),
        ),
        attrs.evolve(
            CREATE,
            make=lambda cake: cake.invoices.create(
                affiliate_id=AFFILIATE, start_date=_DAY, end_date=_DAY, memo=bad
            ),
        ),
        attrs.evolve(
            CREDIT,
            make=lambda cake: cake.buyer_bills.mark_received(
                BILL, payment_amount=1, apply_credit_to_buyer=True, invoice_number=bad
            ),
        ),
    ]
    async with card.client(server) as cake:
        for call in calls:
            for binding in Binding:
                view = cake.with_options(binding=binding)
                met = await card.meet(call, view, [], server)
                assert isinstance(met.error, ArgumentError)
                assert met.error.outcome is (None if call.reads else Outcome.NOT_DONE)
                assert met.requests == []
        await card.works(cake)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("S10")
@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\x00", "é", "a\n"])
async def test_a_header_that_cannot_be_sent(card: Card, value: str) -> None:
    with pytest.raises(ConfigurationError, match="user_agent") as caught:
        Client("x.example", KEY, user_agent=value)
    card.everything.no_key_in(str(caught.value))


@pytest.mark.case("S11")
@EACH
@pytest.mark.parametrize("how", ["closed before", "reset before", "end", "reset"])
async def test_an_idle_connection_that_is_closed(card: Card, call: Call, how: str) -> None:
    def script(connection: Connection) -> None:
        connection.send(right(connection.request()))
        if connection.number == 0:
            if "before" not in how:
                # In the race: the request is on its way when the server gives up the connection.
                connection.head()
            if "reset" in how:
                connection.reset()
            return
        obedient(connection)

    server = card.serve(script)
    events: list[Event] = []
    async with card.client(server, on_event=events.append) as cake:
        await card.works(cake)
        events.clear()
        if "before" in how:
            server.join(0)
        met = await card.meet(call, cake, events, server)
        if "before" in how or call.once or call.reads:  # which costs a read no attempt
            met.succeeds(attempts=1)
        else:
            met.succeeds(attempts=2)
        await card.works(cake)
    first = server.connections[0]
    await card.all_is_given_back(cake, None)
    if call.once:
        assert len(first.requests) == 1


@pytest.mark.case("T10", "S11")
@EACH
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("how", ["closing", "lasting"])
async def test_a_408_that_was_left_on_an_idle_connection(
    card: Card,
    call: Call,
    how: str,
    secure: bool,  # noqa: FBT001 - by pytest
) -> None:
    """HAProxy and others say so that nothing came for too long; it is no answer to what comes."""
    left = threading.Event()

    def script(connection: Connection) -> None:
        connection.send(right(connection.request()))
        if connection.number == 0:
            try:
                connection.send(IDLE)
                if how == "closing":
                    connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # a client that has seen it by now has closed the connection
            finally:
                left.set()
        obedient(connection)

    server = card.serve(script, tls=CERTIFIED if secure else None)
    trusting = TRUSTING if secure else None
    events: list[Event] = []
    async with card.client(server, on_event=events.append, ssl_context=trusting) as cake:
        await card.works(cake)
        assert await anyio.to_thread.run_sync(left.wait, 20)
        events.clear()
        met = await card.meet(call, cake, events, server)
        met.succeeds(attempts=1)
        await card.works(cake)
    assert len(server.connections[0].requests) == 1
    await card.all_is_given_back(cake, None)


@pytest.mark.case("T10", "S11")
@EACH
@pytest.mark.parametrize("how", ["closing", "lasting"])
async def test_a_408_that_crosses_a_request(card: Card, call: Call, how: str) -> None:
    """It may be an answer to the request or to the silence before: then it may have been read."""

    def script(connection: Connection) -> None:
        connection.send(right(connection.request()))
        if connection.number == 0 and connection.head():
            connection.send(
                IDLE if how == "closing" else IDLE.replace(b"Connection: close\r\n", b"")
            )
            if how == "lasting":
                # Whoever went on with this connection would take the next answer for his own.
                connection.send(right(connection.request()))
        obedient(connection)

    server = card.serve(script)
    events: list[Event] = []
    async with card.client(server, on_event=events.append) as cake:
        await card.works(cake)
        events.clear()
        met = await card.meet(call, cake, events, server)
        met.succeeds(attempts=1 if call.once else 2)
        await card.works(cake)
        await anyio.to_thread.run_sync(server.join, 0)
    assert len(server.connections[0].requests) <= 2
    await card.all_is_given_back(cake, None)


def cut_somewhere(seed: int, size: int) -> Script:
    """A server whose first connections break at some byte; in a third of the cases all of them."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    broken = dice.choice([1, 2, 100])
    plans = [(dice.randrange(500), dice.randrange(size + 1), dice.random()) for _ in range(8)]

    def script(connection: Connection) -> None:
        there, back, way = plans[connection.number % 8]
        if connection.number >= broken:
            obedient(connection)
            return
        if way < 0.3:
            connection.socket.recv(max(there, 1))
        else:
            request = connection.request()
            if request:
                connection.send(right(request)[:back])
        if way < 0.65:
            connection.reset()

    return script


@pytest.mark.case("S13")
@EACH
@pytest.mark.parametrize("ten", range(7))
async def test_cut_at_a_random_byte(card: Card, call: Call, ten: int) -> None:
    size = len(http(call.body, "Content-Type: application/json; charset=utf-8"))
    for seed in range(10 * ten, 10 * ten + some(10)):
        met = await card.play(call, once_ok(cut_somewhere(seed, size)))
        try:
            never_wrong(met)
        except AssertionError:
            pytest.fail(f"seed {seed}: {met}")


def never_wrong(met: Met) -> None:
    """What is said of a call is what happened to it."""
    arrived = len(met.requests)
    if met.error is None:
        met.succeeds(attempts=range(1, 4))
        assert arrived >= 1
    elif isinstance(met.error, NotSent):
        met.not_sent(attempts=3)
    elif met.call.reads:
        assert isinstance(met.error, DecodeError)
    else:
        assert isinstance(met.error, OutcomeUnknown)
        met.unknown((DecodeError, NotSent), met.attempts)
    if met.call.once:
        assert arrived <= 1
