"""Servers that are busy, fail or refuse: how often and how long they are asked again."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Final

import anyio
import httpx
import pytest

from aiocake import Client, Throttle, Timeouts, bulk
from aiocake.client import ClientView
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    DeadlineExceeded,
    DecodeError,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    Restricted,
    ServerError,
)
from aiocake.events import Event, Paused, PauseEnded, RetryScheduled

from ..support.scripted import Connection
from ._cake import (
    BILL,
    CALLS,
    CREATE,
    EACH,
    EXPORT,
    FIND,
    GET,
    LOOK_UP,
    PASSING,
    UPDATE,
    Call,
    each,
    http,
    right,
    soap11,
    soap12,
    wrong,
)
from ._canary import KEY
from ._card import Card, Met
from ._simulated import SIMULATED, Answering, good

pytestmark = pytest.mark.anyio

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def date_of(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def client(answering: Answering, seed: int = 0, **settings: Any) -> Client:  # noqa: ANN401 - the client's own
    """A client without a network, with the usual waits, and dice that always fall the same way."""
    made = Client("x.example", KEY, transport=answering, **settings)
    dice = random.Random(seed)  # noqa: S311 - no secret
    made._executor._retries._draw = dice.random
    made._executor.transport.limiter._draw = dice.random
    return made


async def meet(card: Card, call: Call, cake: ClientView, events: list[Event]) -> Met:
    """What a call meets, without a server whose record could be looked at."""
    value: object | None = None
    error: CakeError | None = None
    try:
        value = await call.make(cake)
    except CakeError as met:
        error = met
    met = Met(call, value, error, list(events), [])
    card.looks_clean(met)
    return met


class Scenes:
    """Gives answers, one after the other, and then goes on in good order."""

    def __init__(self, *answers: tuple[int, Mapping[str, str]] | str, times: int = 100) -> None:
        self._answers = list(answers) * times

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        if not self._answers:
            return good(request)
        scene = self._answers.pop(0)
        if isinstance(scene, str):
            return httpx.Response(200, json={"success": False, "message": scene})
        return httpx.Response(scene[0], headers=scene[1])


#: What a server says, and the seconds after which it is asked again.
ASKED: Final[Mapping[str, tuple[Mapping[str, str], float]]] = {
    "seconds": ({"Retry-After": "7"}, 7.0),
    "date": ({"Retry-After": date_of(NOW + timedelta(seconds=9)), "Date": date_of(NOW)}, 9.0),
    "ms": ({"retry-after-ms": "2500"}, 2.5),
    "ms before seconds": ({"retry-after-ms": "2500", "Retry-After": "3"}, 2.5),
    "the longest": ({"Retry-After": "20"}, 20.0),
    "a fraction": ({"Retry-After": "2.5"}, 3.0),
    "ms and a fraction": ({"retry-after-ms": "2499.2"}, 2.5),
}
#: What is not readable, or lies behind.
UNREADABLE: Final[Mapping[str, Mapping[Any, Any]]] = {
    "nothing": {},
    "nan": {"Retry-After": "nan"},
    "inf": {"Retry-After": "inf"},
    "-5": {"Retry-After": "-5"},
    "0": {"Retry-After": "0"},
    "1e400": {"Retry-After": "1e400"},
    "a point": {"Retry-After": "5."},
    "other digits": {b"Retry-After": b"\xb2"},
    "past date": {"Retry-After": date_of(NOW - timedelta(1)), "Date": date_of(NOW)},
    "date of today": {"Retry-After": date_of(NOW), "Date": date_of(NOW)},
    "date alone": {"Retry-After": date_of(NOW + timedelta(seconds=5))},
    "no date": {"Retry-After": "Sun, 32 Mar 2026 12:00:00 GMT", "Date": date_of(NOW)},
}
#: What is longer than anybody waits.
TOO_LONG: Final[Mapping[str, Mapping[str, str]]] = {
    "61": {"Retry-After": "61"},
    "many digits": {"Retry-After": "9" * 400},
    "year 9999": {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": date_of(NOW)},
    "ms": {"retry-after-ms": "60001"},
}


@pytest.mark.case("T01")
@SIMULATED
@EACH
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", list(ASKED))
async def test_a_wait_that_the_server_asks_for(
    card: Card, call: Call, status: int, asked: str, anyio_backend: object
) -> None:
    del anyio_backend
    headers, seconds = ASKED[asked]
    answering = Answering(Scenes((status, headers), times=1))
    events: list[Event] = []
    async with client(answering, on_event=events.append) as cake:
        began = anyio.current_time()
        met = await meet(card, call, cake, events)
        took = anyio.current_time() - began
    if call.once and status == 503:
        met.unknown(RateLimited, 1)
        assert took == 0
        return
    # A 429 says that nothing was done, a 503 does not.
    assert met.error is None
    assert call.is_right(met.value)
    assert met.attempts == 2
    assert took == pytest.approx(seconds)


@pytest.mark.case("T01")
@SIMULATED
@each(GET, UPDATE, CREATE)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_throttle_that_does_not_end(
    card: Card, call: Call, status: int, anyio_backend: object
) -> None:
    del anyio_backend
    events: list[Event] = []
    async with client(Answering(Scenes((status, {}))), on_event=events.append) as cake:
        met = await meet(card, call, cake, events)
        assert anyio.current_time() is not None
    if call.reads or status == 429:
        met.refused(RateLimited, attempts=3)
    else:
        met.unknown(RateLimited, 1 if call.once else 3)


@pytest.mark.case("T01")
@SIMULATED
@EACH
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_restricted(card: Card, call: Call, times: int, anyio_backend: object) -> None:
    del anyio_backend
    answering = Answering(Scenes("Restricted", times=times))
    events: list[Event] = []
    async with client(answering, on_event=events.append) as cake:
        met = await meet(card, call, cake, events)
    waits = [
        after - before for before, after in zip(answering.times, answering.times[1:], strict=False)
    ]
    assert waits == pytest.approx([3.0, 9.0][:times])
    if times == 3:
        met.refused(Restricted, attempts=3)
    else:
        assert met.error is None
        assert call.is_right(met.value)


@pytest.mark.case("T01", "T02")
@SIMULATED
@each(GET, UPDATE, CREATE)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", list(TOO_LONG))
async def test_a_wait_that_is_too_long(
    card: Card, call: Call, status: int, asked: str, anyio_backend: object
) -> None:
    del anyio_backend
    events: list[Event] = []
    async with client(Answering(Scenes((status, TOO_LONG[asked]))), on_event=events.append) as cake:
        began = anyio.current_time()
        met = await meet(card, call, cake, events)
        assert anyio.current_time() == began
        # Nobody else is sent until then; one 503 alone may be a proxy's that restarts.
        seconds = {"61": 61.0, "ms": 60.001}.get(asked, 3_600.0)
        left = cake.stats().paused_until
        assert left == (pytest.approx(seconds) if status == 429 else None)
    if call.reads or status == 429:
        met.refused(RateLimited)
    else:
        met.unknown(RateLimited, 1)
    error = met.error.cause if isinstance(met.error, OutcomeUnknown) else met.error
    assert isinstance(error, RateLimited)
    assert error.retry_after is not None
    assert error.retry_after > 60


@pytest.mark.case("T01", "T02")
@SIMULATED
@each(GET, UPDATE, CREATE)
@pytest.mark.parametrize("asked", list(UNREADABLE))
async def test_a_wait_that_cannot_be_read(
    card: Card, call: Call, asked: str, anyio_backend: object
) -> None:
    del anyio_backend
    answering = Answering(Scenes((429, UNREADABLE[asked]), times=2))
    events: list[Event] = []
    async with client(answering, on_event=events.append) as cake:
        met = await meet(card, call, cake, events)
    assert met.error is None
    assert call.is_right(met.value)
    first, second = (
        after - before for before, after in zip(answering.times, answering.times[1:], strict=False)
    )
    # Its own, of a second and two at most; dice never fall on nothing.
    assert 0 < first <= 1
    assert 0 < second <= 2


@pytest.mark.case("T01")
@EACH
@PASSING
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize("header", ["X: y", "retry-after-ms: 1", "Retry-After: -1"])
async def test_a_throttle_over_a_socket(
    card: Card,
    call: Call,
    status: str,
    header: str,
    passing: bool,  # noqa: FBT001 - by pytest
) -> None:
    answer = http(b"<html>busy</html>", header, "Content-Type: text/html", status=status)
    met = await card.play(call, wrong(lambda _: answer), passing=passing)
    busy = status.startswith("503")
    if call.once and busy:
        met.unknown(RateLimited, 1)
    elif passing:
        assert met.error is None
        assert call.is_right(met.value)
        assert met.attempts == 2
    elif call.reads or not busy:
        met.refused(RateLimited, attempts=3)
    else:
        met.unknown(RateLimited, 3)


@pytest.mark.case("T04")
@EACH
@PASSING
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 No", b'{"message":"An error has occurred."}'),
        ("500 No", b"oops"),
        ("502 Bad Gateway", b"<html>Bad Gateway</html>"),
        ("504 Gateway Timeout", b""),
        ("507 X", b'{"success":true}'),
    ],
    ids=["500, JSON", "500, text", "502, HTML", "504, nothing", "507, a yes"],
)
async def test_a_server_that_fails(
    card: Card,
    call: Call,
    status: str,
    body: bytes,
    passing: bool,  # noqa: FBT001 - by pytest
) -> None:
    met = await card.play(call, wrong(lambda _: http(body, status=status)), passing=passing)
    once_failed(met, passing=passing)


#: By which the application itself refuses, before it does anything.
REFUSALS: Final[Mapping[int, type[ApiError]]] = {
    400: RequestRejected,
    401: AuthenticationError,
    403: RequestRejected,
    404: NotFound,
    405: RequestRejected,
    409: RequestRejected,
    410: RequestRejected,
    411: RequestRejected,
    413: RequestRejected,
    414: RequestRejected,
    415: RequestRejected,
    417: RequestRejected,
    422: RequestRejected,
    431: RequestRejected,
}


@pytest.mark.case("T05")
@each(*CALLS, LOOK_UP, EXPORT)
@pytest.mark.parametrize("status", list(REFUSALS))
@pytest.mark.parametrize(
    "body", [b'{"message":"no"}', b"{}", b'{"error":{"code":1,"message":"no"}}']
)
async def test_a_refusal(card: Card, call: Call, status: int, body: bytes) -> None:
    met = await card.play(call, wrong(lambda _: http(body, status=f"{status} No")))
    met.refused(REFUSALS[status])
    assert isinstance(met.error, ApiError)
    assert met.error.status == status


@pytest.mark.case("T05")
@EACH
@pytest.mark.parametrize("body", [b"<html>no such page</html>", b"not found", b"[]", b""])
async def test_a_404_that_is_not_of_the_application(card: Card, call: Call, body: bytes) -> None:
    met = await card.play(call, wrong(lambda _: http(body, status="404 Not Found")))
    met.ends(DecodeError, attempts=1, likely=False)


#: The registered ones, and those of nginx, IIS, load balancers and nobody.
GATEWAYS: Final = (402, 406, 407, 408, 412, 416, 418, 421, 423, 424, 425, 426, 428, 451)
UNREGISTERED: Final = (440, 444, 449, 460, 463, 494, 498, 499)


@pytest.mark.case("T10")
@each(*CALLS, LOOK_UP, EXPORT)
@PASSING
@pytest.mark.parametrize("status", [*GATEWAYS, *UNREGISTERED])
async def test_a_status_of_a_gateway(card: Card, call: Call, status: int, passing: bool) -> None:  # noqa: FBT001 - by pytest
    """It may have passed the request on, as with a 504."""
    answer = http(b"stream timeout", "Content-Type: text/plain", status=f"{status} X")
    met = await card.play(call, wrong(lambda _: answer), passing=passing)
    once_failed(met, passing=passing)


#: What it may say beside a status that says nothing.
WORDS: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "a page": b"<html><title>408 Request Timeout</title></html>",
    "a no": b'{"success":false,"message":"no"}',
    "a yes": b'{"request_status":"Success","success":true}',
    "another key": b'{"message":"Invalid API key"}',
    "restricted": b"<r><success>false</success><message>Restricted</message></r>",
    "no such bill": b"<string>Invalid Bill ID</string>",
    "a fault of the caller": soap12("Sender"),
    "an older fault of the caller": soap11("Client", "Invalid API key"),
}


@pytest.mark.case("T10", "T04")
@EACH
@PASSING
@pytest.mark.parametrize("status", ["408 Request Timeout", "499 X", "504 Gateway Timeout"])
@pytest.mark.parametrize("words", list(WORDS))
async def test_what_a_gateway_says_beside_its_status(
    card: Card,
    call: Call,
    status: str,
    words: str,
    passing: bool,  # noqa: FBT001 - by pytest
) -> None:
    answer = http(WORDS[words], status=status)
    met = await card.play(call, wrong(lambda _: answer), passing=passing)
    once_failed(met, passing=passing)


def once_failed(met: Met, *, passing: bool) -> None:
    """Sent again where that is safe, and never called not done."""
    if passing and not met.call.once:
        met.succeeds(attempts=2)
    else:
        met.ends(ServerError, likely=False)
        if met.call.once:
            assert len(met.requests) == 1


@pytest.mark.case("T06")
@SIMULATED
@pytest.mark.parametrize("call", [GET, UPDATE], ids=lambda call: call.name)
async def test_a_full_outage(card: Card, call: Call, anyio_backend: object) -> None:
    del anyio_backend
    each_second, seconds = 200, 60 if card.full else 15

    async def fail(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.01)
        return httpx.Response(500)

    answering = Answering(fail)
    throttle = Throttle(concurrency=50)
    async with client(answering, throttle=throttle) as cake, anyio.create_task_group() as group:

        async def one() -> None:
            with pytest.raises(CakeError):
                await call.make(cake)

        for _ in range(seconds):
            for _ in range(each_second):
                group.start_soon(one)
            await anyio.sleep(1)
    assert len(answering.times) <= 1.05 * each_second * seconds


@pytest.mark.case("T07")
@SIMULATED
@pytest.mark.parametrize("status", [429, 503])
async def test_many_are_throttled_at_once(card: Card, status: int, anyio_backend: object) -> None:
    del anyio_backend, card
    tasks = 100
    good_again = 2.0

    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.05)
        if anyio.current_time() - began < good_again:
            return httpx.Response(status, headers={"Retry-After": "2"})
        return good(request)

    answering = Answering(answer)
    events: list[Event] = []
    settings = {"throttle": Throttle(concurrency=tasks), "on_event": events.append}
    async with client(answering, **settings) as cake:
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(tasks):
                group.start_soon(GET.make, cake)
        stats = cake.stats()
        assert (stats.in_flight, stats.waiting) == (0, 0)
    assert len([event for event in events if isinstance(event, Paused)]) == 1
    again = sorted(answering.times)[tasks:]
    # None before the pause is over; and not all of them in one tick.
    assert min(again) >= began + 2.0
    assert max(again) - min(again) > 0.1
    assert len(set(again)) > tasks // 2


HOUR: Final = {"Retry-After": "3600"}


@pytest.mark.case("T11")
@SIMULATED
@each(GET, FIND, EXPORT, LOOK_UP, UPDATE, CREATE)
async def test_an_hour_among_many_calls(card: Card, call: Call, anyio_backend: object) -> None:
    del anyio_backend
    answering = Answering(Scenes((429, HOUR)))
    events: list[Event] = []
    all_met: list[Met] = []
    async with client(answering, on_event=events.append) as cake:

        async def one() -> None:
            all_met.append(await meet(card, call, cake, events))

        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(one)
        assert anyio.current_time() == began
        # What was on its way: as many as the throttle lets out, of exports one.
        assert len(answering.times) == (1 if call is EXPORT else 8)
        errors = [met.error for met in all_met]
        assert all(isinstance(error, RateLimited) for error in errors)
        assert {error.outcome for error in errors if error} == (
            {None} if call.reads else {Outcome.NOT_DONE}
        )
        unsent = [error for error in errors if isinstance(error, RateLimited) and not error.sent]
        assert len(unsent) == 100 - len(answering.times)
        assert {(error.status, error.retry_after) for error in unsent} == {(429, 3600.0)}
        # Until then no call leaves, of whatever kind; then one goes first, and it is over.
        await anyio.sleep(3_599)
        met = await meet(card, GET, cake, events)
        assert isinstance(met.error, RateLimited)
        assert met.error.retry_after == pytest.approx(1)
        await anyio.sleep(1)
        answering.answer = Scenes()
        answering.times.clear()
        assert call.is_right((await meet(card, call, cake, events)).value)
        assert cake.stats().paused_until is None
    assert [type(event) for event in events if isinstance(event, Paused | PauseEnded)] == [
        Paused,
        PauseEnded,
    ]


@pytest.mark.case("T11")
async def test_an_hour_in_a_run(card: Card) -> None:
    """Over a socket: five calls are let in, and then the quota of the day is used up."""
    left = 5

    def quota(connection: Connection) -> None:
        nonlocal left
        while request := connection.request():
            left -= 1
            late = http(b"", "Retry-After: 3600", status="429 Too Many Requests")
            connection.send(right(request) if left >= 0 else late)

    server = card.serve(quota)
    async with card.client(server, throttle=Throttle(concurrency=4)) as cake:
        mark = cake.affiliate_bills.mark_received
        calls = [bulk.call(mark, BILL + k, invoiced_amount=Decimal(1)) for k in range(60)]
        summary = await bulk.each(calls, journal=None)
        assert (summary.done, summary.unknown, summary.skipped) == (5, 0, 0)
        assert 1 <= summary.failed <= 4
        assert summary.unsent == 55 - summary.failed
        assert len(server.requests) == 5 + summary.failed
        assert summary.stopped is not None
        assert summary.stopped.endswith(" UTC")
        with pytest.raises(RateLimited) as caught:
            await UPDATE.make(cake)
        assert (caught.value.sent, caught.value.outcome) == (False, Outcome.NOT_DONE)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("T12")
@each(GET, UPDATE, CREATE)
async def test_many_wait_for_a_slow_server(card: Card, call: Call) -> None:
    """Those that have no turn in time are not sent; none is cut off by its own deadline."""

    def slow(connection: Connection) -> None:
        while request := connection.request():
            connection.server.go_on.wait(0.1)
            connection.send(right(request))

    server = card.serve(slow)
    ends: list[CakeError | None] = []
    async with card.client(server, throttle=Throttle(), timeouts=Timeouts(total=2)) as cake:

        async def one() -> None:
            try:
                assert call.is_right(await call.make(cake))
            except CakeError as error:
                ends.append(error)
            else:
                ends.append(None)

        async with anyio.create_task_group() as group:
            for _ in range(300):
                group.start_soon(one)
        assert len(ends) == 300
        kinds = {type(error) for error in ends}
        assert kinds <= {type(None), NotSent} | ({DeadlineExceeded} if call.reads else set())
        assert {type(None), NotSent} <= kinds
        assert (cake.stats().in_flight, cake.stats().unknowns) == (0, 0)
    if not call.reads:
        # Nothing has left that has not come back as done.
        assert len(server.requests) == ends.count(None)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("K03")
@SIMULATED
@EACH
@pytest.mark.parametrize("total", [5.0, 6.9])
async def test_a_wait_that_would_pass_the_deadline(
    card: Card, call: Call, total: float, anyio_backend: object
) -> None:
    del anyio_backend
    answering = Answering(Scenes((429, {"Retry-After": "7"})))
    events: list[Event] = []
    settings = {"timeouts": Timeouts(total=total), "on_event": events.append}
    async with client(answering, **settings) as cake:
        began = anyio.current_time()
        met = await meet(card, call, cake, events)
        assert anyio.current_time() == began
    met.refused(RateLimited)
    assert not [event for event in events if isinstance(event, RetryScheduled)]


@pytest.mark.case("K03")
@SIMULATED
@EACH
async def test_a_deadline_within_a_wait_for_a_turn(
    card: Card, call: Call, anyio_backend: object
) -> None:
    """One call pauses the client; the deadline of another passes while it waits for its end."""
    del anyio_backend
    answering = Answering(Scenes((429, {"Retry-After": "30"}), times=1))
    events: list[Event] = []
    cake = client(answering, on_event=events.append)
    async with cake, anyio.create_task_group() as group:
        group.start_soon(GET.make, cake)
        await anyio.sleep(1)
        began = anyio.current_time()
        events.clear()
        met = await meet(card, call, cake.with_options(total=5), events)
        assert anyio.current_time() == pytest.approx(began + 5)
        met.not_sent(attempts=0)
        group.cancel_scope.cancel()


@pytest.mark.case("H01", "S07")
@SIMULATED
@EACH
@pytest.mark.parametrize("how", ["no answer", "a drip", "each attempt is slow"])
async def test_an_error_comes_within_the_deadline(
    card: Card, call: Call, how: str, anyio_backend: object
) -> None:
    del anyio_backend

    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:  # noqa: ANN401 - an iterator of bytes
            while True:
                await anyio.sleep(1)
                yield b" "

    async def answer(_: httpx.Request) -> httpx.Response:
        if how == "no answer":
            await anyio.sleep_forever()
        if how == "a drip":
            return httpx.Response(200, stream=Drip())
        await anyio.sleep(25)
        return httpx.Response(502)

    events: list[Event] = []
    total = 40.0
    settings = {"timeouts": Timeouts(total=total), "on_event": events.append}
    async with client(Answering(answer), **settings) as cake:
        began = anyio.current_time()
        met = await meet(card, call, cake, events)
        took = anyio.current_time() - began
        assert cake.stats().in_flight == 0
    # A sum of seconds is not exact.
    assert took <= total + 1e-9
    if how == "each attempt is slow":
        error = met.error.cause if isinstance(met.error, OutcomeUnknown) else met.error
        assert isinstance(error, ServerError if call.once else DeadlineExceeded)
    else:
        assert took == pytest.approx(total)
        met.ends(DeadlineExceeded, attempts=1)
