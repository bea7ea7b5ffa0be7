# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""A write with too little time left for a response is not begun: it is NotSent, never unknown."""

from contextlib import aclosing
from typing import Any, cast

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._messages import Request
from aiocake._pipeline.attempt_judge import AttemptJudge, ResponseTimes
from aiocake._pipeline.call_state import CallLimits, CallState
from aiocake._transport import dial, lifecycle
from aiocake.config import Throttle
from aiocake.errors import AuthenticationError, DeadlineExceeded, NotSent, ServerError
from aiocake.events import AttemptEnded, Event
from aiocake.values import Idempotency

from ..scorecard._simulated import SIMULATED
from .exchange import CallResult

pytestmark = pytest.mark.anyio

SLOW = httpx.ReadTimeout("no bytes")


def times_of(*seconds: float) -> ResponseTimes:
    times = ResponseTimes()
    for each in seconds:
        times.add(each)
    return times


def test_while_few_are_known_two_seconds_are_kept_or_more() -> None:
    assert times_of().needed == 2.0
    assert times_of(*[0.1] * 7).needed == 2.0
    assert times_of(*[5.0] * 7).needed == 10.0
    assert times_of(*[0.1] * 8).needed == 0.2
    assert times_of(*[5.0] * 8).needed == 10.0


def test_never_more_than_half_of_the_time_of_a_call() -> None:
    judge: Any = AttemptJudge(*[cast("Any", None)] * 3, "")
    for total, needed in ((1.5, 0.75), (3.0, 1.5), (5.0, 2.0), (1_000.0, 2.0)):
        limits = CallLimits(Idempotency.IDEMPOTENT, total, 1.0, 1)
        call = CallState(Request("x", "POST", "/"), limits)
        assert (judge.needed(call), call.needed) == (needed, needed)


@given(st.lists(st.floats(0, 100), min_size=8, max_size=300))
def test_it_is_the_longest_of_the_last_64(seconds: list[float]) -> None:
    assert times_of(*seconds).needed == 2 * max(seconds[-64:])


def test_what_was_cut_off_counts_as_long_as_it_was_waited_for() -> None:
    times = times_of(*[0.1] * 8)
    # That it takes longer than this is known: it took longer before.
    times.cut_off(0.05)
    assert times.needed == 0.2
    times.cut_off(3.0)
    assert times.needed == 6.0
    few = ResponseTimes()
    for _ in range(20):
        few.cut_off(0.001)
    assert few.needed == 2.0


class Server:
    """Takes some seconds for each request, and says no or yes, or (0) nothing.

    Attributes:
        times: When each request came.
        takes: How many seconds a response takes.
        status: Of the responses to come; then 200.
    """

    def __init__(self, takes: float) -> None:
        self.takes = takes
        self.times: list[float] = []
        self.status: list[int] = []
        self.http = httpx.MockTransport(self._answer)

    async def _answer(self, _: httpx.Request) -> httpx.Response:
        self.times.append(anyio.current_time())
        status = self.status.pop(0) if self.status else 200
        await anyio.sleep(self.takes)
        if not status:
            raise SLOW
        return httpx.Response(status)


async def behind(
    lab, transport, seconds: float, idempotency: Idempotency, **plan: object
) -> CallResult:
    """A call that has its turn after so many seconds, when the slot of another is free."""
    ends: list[CallResult] = []

    async def call() -> None:
        ends.append(await transport.exchange(lab.get, lab.check, lab.plan(idempotency, **plan)))

    slot = await transport.transport.limiter.acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.sleep(seconds)
        transport.transport.limiter.release(slot)
    return ends[0]


@SIMULATED
@pytest.mark.parametrize("idempotency", [Idempotency.IDEMPOTENT, Idempotency.NON_IDEMPOTENT])
@pytest.mark.parametrize(
    ("takes", "after", "sent"), [(0.1, 9.9, False), (0.1, 9.7, True), (2, 6.5, False), (2, 5, True)]
)
async def test_a_write_that_has_its_turn_too_late(lab, idempotency, takes, after, sent) -> None:
    server = Server(takes)
    throttle = Throttle(concurrency=1)
    async with aclosing(lab.transport("x.cake.com", server.http, throttle=throttle)) as transport:
        for _ in range(8):
            await transport.exchange(lab.get, lab.check, lab.plan(idempotency))
        done = await behind(lab, transport, after, idempotency, total=10)
        assert (done.error is None) is sent
        assert len(server.times) == 8 + sent
        if not sent:
            assert isinstance(done.error, NotSent)
            assert str(done.error) == "nothing was sent: too little time was left for a response"
            assert (done.attempts, done.sent) == (0, False)
        # Its slot is not lost.
        assert transport.stats().in_flight == 0
        # Nothing is lost by a read that comes late.
        done = await behind(lab, transport, 9.99, Idempotency.SAFE, total=10)
        assert isinstance(done.error, DeadlineExceeded)


@SIMULATED
async def test_a_retry_that_comes_too_late_is_not_begun(lab) -> None:
    server = Server(3)
    server.status = [500] * 100
    draw = {"draw": lambda: 1.0}
    async with aclosing(lab.transport("x.cake.com", server.http, **draw)) as transport:
        for _ in range(4):
            await transport.exchange(
                lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT, total=100)
            )
        server.times.clear()
        began = anyio.current_time()
        done = await transport.exchange(
            lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT, total=8)
        )
        # At once, rather than after the wait for it.
        assert anyio.current_time() == pytest.approx(began + 6.05, abs=0.06)
    # Of the first it is known what it met; nobody knows what became of it.
    assert isinstance(done.error, ServerError)
    assert (done.attempts, done.sent) == (2, True)
    assert len(server.times) == 2


@SIMULATED
async def test_what_was_lost_is_tried_again_in_the_time_that_is_left(lab) -> None:
    """As long as no bytes came the first time, as there is left: that does not keep it back."""
    server = Server(0.1)
    async with aclosing(lab.transport("x.cake.com", server.http)) as transport:
        for _ in range(8):
            await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT))
        server.status, server.takes = [0], 30
        done = await transport.exchange(
            lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT, total=60)
        )
        assert done.attempts == 2
        assert len(server.times) == 10


@SIMULATED
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("how", ["too late", "no turn", "past the deadline"])
async def test_a_renewed_key_that_comes_too_late(lab, how, lost) -> None:
    """The new key is good: its call does not end as if it were not."""
    server = Server(1.5)
    server.status = [500] * lost + [401]
    held: list[object] = []

    async def key() -> str:
        if len(server.times) == lost + 1 and how != "too late":
            held.append(await transport.transport.limiter.acquire())
        return f"key {len(server.times)}"

    settings = {"key": key, "throttle": Throttle(concurrency=1), "draw": lambda: 0.0}
    plan = lab.plan(Idempotency.IDEMPOTENT, total=5, queue=0.1 if how == "no turn" else None)
    if how == "too late":
        plan = lab.plan(Idempotency.IDEMPOTENT, total=2 * (1 + lost))
    async with aclosing(lab.transport("x.cake.com", server.http, **settings)) as transport:
        done = await transport.exchange(lab.get, lab.check, plan)
    assert isinstance(done.error, NotSent)
    # Of the one that was refused it is known that it did nothing.
    assert (done.sent, done.sent_before) == (False, bool(lost))
    assert len(server.times) == lost + 1


@SIMULATED
async def test_a_key_without_a_new_one_is_refused(lab) -> None:
    server = Server(1.5)
    server.status = [401]
    async with aclosing(lab.transport("x.cake.com", server.http)) as transport:
        done = await transport.exchange(
            lab.get, lab.check, lab.plan(Idempotency.NON_IDEMPOTENT, total=2)
        )
    assert isinstance(done.error, AuthenticationError)


@SIMULATED
@pytest.mark.parametrize("how", ["deadline", "cancelled", "no bytes"])
async def test_a_response_that_was_cut_off_counts_as_long_as_it_was_waited_for(lab, how) -> None:
    server = Server(0.1)
    throttle = Throttle(concurrency=1)
    async with aclosing(
        lab.transport("x.cake.com", server.http, throttle=throttle, grace=0)
    ) as transport:
        for _ in range(8):
            await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT))
        server.takes = 1_000
        if how == "cancelled":
            with anyio.move_on_after(3):
                await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT))
        elif how == "deadline":
            await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT, total=3))
        else:
            server.takes = 3
            server.status = [0]
            await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.NON_IDEMPOTENT))
        server.takes = 0.1
        assert transport.executor._judge._times.needed == pytest.approx(6)
        done = await behind(lab, transport, 6, Idempotency.IDEMPOTENT, total=11)
        assert isinstance(done.error, NotSent)


@SIMULATED
async def test_gathered_calls_end_in_done_or_not_sent_though_responses_take_twice_as_long(
    lab,
) -> None:
    """As long as they stay within twice the longest of those before."""
    server = Server(0.1)
    ends: list[CallResult] = []

    async def call() -> None:
        plan = lab.plan(Idempotency.NON_IDEMPOTENT, total=2)
        ends.append(await transport.exchange(lab.get, lab.check, plan))

    async def slow_down() -> None:
        await anyio.sleep(1.65)
        server.takes = 0.19

    transport = lab.transport("x.cake.com", server.http)
    async with aclosing(transport), anyio.create_task_group() as group:
        group.start_soon(slow_down)
        for _ in range(300):
            group.start_soon(call)
    assert {type(done.error) for done in ends} == {type(None), NotSent}
    assert all(done.sent == (done.error is None) for done in ends)


@SIMULATED
@pytest.mark.parametrize(("takes", "total"), [(1.3, 2.4), (1.9, 3)])
async def test_so_do_the_first_calls_of_a_client(lab, takes, total) -> None:
    """While nobody knows yet how long responses take."""
    server = Server(takes)
    ends: list[CallResult] = []

    async def call() -> None:
        plan = lab.plan(Idempotency.NON_IDEMPOTENT, total=total)
        ends.append(await transport.exchange(lab.get, lab.check, plan))

    transport = lab.transport("x.cake.com", server.http, throttle=Throttle(concurrency=4))
    async with aclosing(transport), anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(call)
    assert {type(done.error) for done in ends} == {type(None), NotSent}
    assert all(done.sent == (done.error is None) for done in ends)


# Over sockets: dialling takes time, too.


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds each connection takes until it stands, without a wait for them."""
    takes, passed = [0.0], [0.0]
    connect, now = dial.open_socket, anyio.current_time

    async def slow(*where: Any) -> object:  # noqa: ANN401 - handed on
        opened = await connect(*where)
        passed[0] += takes[0]
        return opened

    monkeypatch.setattr(dial, "open_socket", slow)
    monkeypatch.setattr(anyio, "current_time", lambda: now() + passed[0])
    for module in (dial, lifecycle):
        monkeypatch.setattr(module, "clock", lambda: anyio.current_time)
    return takes


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_connection_that_stands_too_late_is_not_used(lab, idempotency, ahead) -> None:
    server = lab.obedient()
    events: list[Event] = []
    async with aclosing(lab.transport(server, on_event=events.append)) as transport:
        ahead[0] = 25.0
        plan = lab.plan(idempotency, total=25.5)
        done = await transport.exchange(lab.get, lab.fine, plan)
        assert transport.stats().in_flight == 0
        ahead[0] = 0.0
        assert (await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))).error is None
    if idempotency is Idempotency.SAFE:
        assert done.error is None
        return
    assert isinstance(done.error, NotSent)
    assert not done.sent
    assert len(server.requests) == 1
    first = events[1]
    assert isinstance(first, AttemptEnded)
    assert (first.error, first.sent) == ("NotSent", False)
