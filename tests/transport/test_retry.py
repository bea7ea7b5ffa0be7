# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the transport outlives the group: that is another block
"""What is tried again, when, and how often: in simulated time, with random numbers that are not."""

import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

import anyio
import attrs
import httpx
import pytest
import trio.testing

from aiocake._pipeline.retry import (
    SUCCEEDED,
    AttemptOutcome,
    Retries,
    RetryDecision,
    RetryLimits,
    classify_retry,
    may_have_been_applied,
)
from aiocake._transport.failures import FailureKind, TransportFailure
from aiocake.config import RetryPolicy, Throttle
from aiocake.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    DecodeError,
    NotFound,
    NotSent,
    RateLimited,
    Restricted,
    ServerError,
)
from aiocake.events import AttemptBegan, AttemptEnded, Event, Paused, RetryScheduled, Waited
from aiocake.values import Idempotency

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
    ),
]

DATE = "Mon, 23 Nov 2026 04:21:19 GMT"


#: A status; that with headers and a body; an exception; or what to wait for before a 200.
Scene = int | tuple[int, dict[str, str], bytes] | Exception | Callable[[], Awaitable[None]]


class Play:
    """An httpx transport that plays one scene after the other; the last one again and again."""

    def __init__(self, *scenes: Scene) -> None:
        self.scenes = list(scenes)
        #: When each request came, on the loop's clock.
        self.times: list[float] = []
        self.keys: list[str] = []
        self.http = httpx.MockTransport(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.times.append(anyio.current_time())
        self.keys.append(request.url.params["api_key"])
        scene = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        if isinstance(scene, Exception):
            raise scene
        if callable(scene):
            await scene()
            return httpx.Response(200)
        status, headers, body = scene if isinstance(scene, tuple) else (scene, {}, b"")
        return httpx.Response(status, headers=headers, content=body)

    @property
    def waits(self) -> list[float]:
        return [
            round(after - before, 6)
            for before, after in zip(self.times, self.times[1:], strict=False)
        ]


def limited(**headers: str) -> tuple[int, dict[str, str], bytes]:
    return 429, {name.replace("_", "-"): value for name, value in headers.items()}, b""


RESTRICTED = (200, {}, b"Restricted")
REFUSED = httpx.ConnectError("refused")
LOST = httpx.ReadError("reset")
SLOW = httpx.ReadTimeout("slow")
FINE = 200

#: Scene, effect, attempts, and the error in the end, when it never gets better.
TABLE = [
    (REFUSED, Idempotency.SAFE, 3, NotSent),
    (REFUSED, Idempotency.IDEMPOTENT, 3, NotSent),
    (REFUSED, Idempotency.NON_IDEMPOTENT, 3, NotSent),
    (LOST, Idempotency.SAFE, 3, DecodeError),
    (LOST, Idempotency.IDEMPOTENT, 3, DecodeError),
    (LOST, Idempotency.NON_IDEMPOTENT, 1, DecodeError),
    (SLOW, Idempotency.SAFE, 3, DeadlineExceeded),
    (SLOW, Idempotency.IDEMPOTENT, 3, DeadlineExceeded),
    (SLOW, Idempotency.NON_IDEMPOTENT, 1, DeadlineExceeded),
    (RuntimeError("whatever"), Idempotency.SAFE, 3, DecodeError),
    (RuntimeError("whatever"), Idempotency.NON_IDEMPOTENT, 1, DecodeError),
    (ExceptionGroup("", [ValueError()]), Idempotency.NON_IDEMPOTENT, 1, DecodeError),
    (500, Idempotency.SAFE, 3, ServerError),
    (502, Idempotency.IDEMPOTENT, 3, ServerError),
    (504, Idempotency.NON_IDEMPOTENT, 1, ServerError),
    (limited(), Idempotency.SAFE, 3, RateLimited),
    (limited(), Idempotency.IDEMPOTENT, 3, RateLimited),
    (limited(), Idempotency.NON_IDEMPOTENT, 3, RateLimited),
    (503, Idempotency.SAFE, 3, RateLimited),
    (503, Idempotency.IDEMPOTENT, 3, RateLimited),
    (503, Idempotency.NON_IDEMPOTENT, 1, RateLimited),
    (RESTRICTED, Idempotency.SAFE, 3, Restricted),
    (RESTRICTED, Idempotency.NON_IDEMPOTENT, 3, Restricted),
    (401, Idempotency.SAFE, 1, AuthenticationError),
    (404, Idempotency.IDEMPOTENT, 1, NotFound),
    (302, Idempotency.SAFE, 1, DecodeError),
    (299, Idempotency.SAFE, 3, DecodeError),
    (299, Idempotency.IDEMPOTENT, 3, DecodeError),
    (299, Idempotency.NON_IDEMPOTENT, 1, DecodeError),
]


@pytest.mark.parametrize(("scene", "idempotency", "attempts", "error"), TABLE)
async def test_how_often_each_kind_of_failure_is_tried(  # noqa: PLR0913, PLR0917 - a table
    lab, scene, idempotency, attempts, error, anyio_backend
) -> None:
    del anyio_backend
    play = Play(scene)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency))
        assert transport.stats().in_flight == 0
    assert type(done.error) is error
    assert done.response is None
    assert done.attempts == len(play.times) == attempts


@pytest.mark.parametrize(("scene", "idempotency", "attempts", "error"), TABLE)
async def test_whether_it_may_have_been_carried_out(  # noqa: PLR0913, PLR0917 - a table
    lab, scene, idempotency, attempts, error, anyio_backend
) -> None:
    del anyio_backend, error
    play = Play(scene)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency))
    never = scene is REFUSED
    refused = scene in (limited(), RESTRICTED)
    assert done.sent == (not never)
    assert done.sent_before == (attempts > 1 and not never and not refused)
    assert (done.left_at is None) == (never or idempotency is Idempotency.SAFE)


async def test_a_success_after_a_failure_tells_of_both(lab) -> None:
    for scene, before in ((LOST, True), (503, True), (REFUSED, False), (limited(), False)):
        play = Play(scene, FINE)
        async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
            done = await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT))
        assert done.response is not None
        assert (done.attempts, done.sent, done.sent_before) == (2, True, before)


async def test_each_error_that_says_nothing_was_sent_on_any_transport(lab) -> None:
    for error in (
        httpx.ConnectError("x"),
        httpx.ConnectTimeout("x"),
        httpx.PoolTimeout("x"),
        httpx.UnsupportedProtocol("x"),
        httpx.LocalProtocolError("x"),
    ):
        play = Play(error)
        async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
            done = await transport.exchange(
                lab.get, lab.check, lab.plan(Idempotency.NON_IDEMPOTENT)
            )
        assert isinstance(done.error, NotSent)
        assert not done.sent


# Waits


async def test_waits_double_and_are_drawn_anew(lab) -> None:
    play = Play(500)
    draws = iter([1.0, 0.5, 1.0, 0.25, 0.0])
    async with aclosing(
        lab.transport("x.cake.com", play.http, draw=lambda: next(draws))
    ) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan(attempts=5))
    assert play.waits == [0.05, 0.05, 0.2, 0.1]


async def test_waits_have_a_cap(lab) -> None:
    play = Play(500)
    async with aclosing(lab.transport("x.cake.com", play.http, draw=lambda: 1.0)) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan(attempts=13, total=1000))
    assert play.waits[-4:] == [12.8, 20.0, 20.0, 20.0]


async def test_after_a_throttled_answer_waits_are_longer(lab) -> None:
    play = Play(limited())
    throttle = Throttle(concurrency=1)
    async with aclosing(
        lab.transport("x.cake.com", play.http, draw=lambda: 1.0, throttle=throttle)
    ) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan())
    assert play.waits == [1.0, 2.0]


async def test_restricted_waits_three_and_nine_seconds(lab) -> None:
    play = Play(RESTRICTED)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan())
    assert isinstance(done.error, Restricted)
    assert play.waits == [3.0, 9.0]


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"retry_after": "7"}, [7.0, 7.0]),
        ({"retry_after_ms": "1500"}, [1.5, 1.5]),
        ({"retry_after": "Mon, 23 Nov 2026 04:21:29 GMT", "date": DATE}, [10.0, 10.0]),
        ({"retry_after": "60"}, [60.0, 60.0]),
        ({"retry_after": "nan"}, [1.0, 2.0]),
        ({"retry_after": "-5"}, [1.0, 2.0]),
        ({"retry_after": "0"}, [1.0, 2.0]),
        ({"retry_after": "1e400"}, [1.0, 2.0]),
        ({"retry_after": DATE, "date": DATE}, [1.0, 2.0]),
        ({"retry_after": "61"}, []),
        ({"retry_after": "9" * 500}, []),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": DATE}, []),
    ],
)
async def test_a_server_that_asks_to_wait(lab, headers, waits, anyio_backend) -> None:
    del anyio_backend
    play = Play(limited(**headers))
    throttle = Throttle(concurrency=1)
    async with aclosing(
        lab.transport("x.cake.com", play.http, draw=lambda: 1.0, throttle=throttle)
    ) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan(total=500))
    assert isinstance(done.error, RateLimited)
    assert play.waits == waits
    assert (done.error.retry_after is None) == (waits == [1.0, 2.0])


async def test_a_wait_past_the_deadline_is_not_begun(lab) -> None:
    for scene, idempotency in (
        (limited(retry_after="30"), Idempotency.NON_IDEMPOTENT),
        (RESTRICTED, Idempotency.SAFE),
    ):
        play = Play(scene)
        async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
            start = anyio.current_time()
            done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency, total=3))
            assert anyio.current_time() == start
        assert isinstance(done.error, RateLimited | Restricted)
        assert len(play.times) == 1


# Budget


async def test_a_retry_takes_from_the_budget_and_success_gives_back(lab) -> None:
    play = Play(500, 500, FINE, FINE, limited(), FINE, REFUSED, REFUSED, REFUSED, FINE)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        budgets = []
        for _ in range(5):
            await transport.exchange(lab.get, lab.check, lab.plan())
            budgets.append(transport.stats().budget)
    # Two retries and one given back; 1 for a success; 5 taken and given back; two retries lost;
    # a success again.
    assert budgets == [486, 487, 487, 459, 460]


async def test_the_budget_never_grows_beyond_its_size(lab) -> None:
    play = Play(FINE)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        for _ in range(3):
            await transport.exchange(lab.get, lab.check, lab.plan())
        assert transport.stats().budget == 500


async def test_without_budget_nothing_is_tried_again(lab) -> None:
    for budget, attempts in ((0, 1), (13, 1), (14, 2), (27, 2), (28, 3)):
        play = Play(500)
        async with aclosing(
            lab.transport("x.cake.com", play.http, retry=RetryPolicy(budget=budget))
        ) as transport:
            done = await transport.exchange(lab.get, lab.check, lab.plan())
        assert isinstance(done.error, ServerError)
        assert done.attempts == attempts


async def test_an_outage_is_not_multiplied(lab) -> None:
    """200 calls a second through an outage of an hour: at most 1.05 requests for each call."""
    play = Play(REFUSED)
    calls = 200 * 60
    async with aclosing(
        lab.transport("x.cake.com", play.http, draw=random.Random(1).random)  # noqa: S311 - no secret
    ) as transport:
        async with anyio.create_task_group() as group:
            for _ in range(calls):
                group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
                await anyio.sleep(0.005)
    assert calls <= len(play.times) <= 1.05 * calls


# Deadline


async def test_no_turn_before_the_deadline_is_not_sent(lab) -> None:
    play = Play(partial(anyio.sleep, 100))
    throttle = Throttle(concurrency=1)
    async with aclosing(lab.transport("x.cake.com", play.http, throttle=throttle)) as transport:
        ends: list[tuple[object, float, int]] = []

        async def call(idempotency: Idempotency) -> None:
            done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency, total=5))
            ends.append((type(done.error), anyio.current_time() - start, done.attempts))

        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(transport.exchange, lab.get, lab.check, lab.plan(total=1000))
            await anyio.wait_all_tasks_blocked()
            for idempotency in Idempotency:
                group.start_soon(call, idempotency)
        assert ends == [(NotSent, pytest.approx(5.0), 0)] * 3


async def test_no_turn_within_what_the_call_allows_for_the_queue(lab) -> None:
    play = Play(partial(anyio.sleep, 100))
    throttle = Throttle(concurrency=1, max_waiting=1)
    async with aclosing(lab.transport("x.cake.com", play.http, throttle=throttle)) as transport:
        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(transport.exchange, lab.get, lab.check, lab.plan(total=1000))
            await anyio.wait_all_tasks_blocked()
            done = await transport.exchange(lab.get, lab.check, lab.plan(queue=0.5))
            assert isinstance(done.error, NotSent)
            assert anyio.current_time() - start == pytest.approx(0.5)
            group.start_soon(transport.exchange, lab.get, lab.check, lab.plan(total=1000))
            await anyio.wait_all_tasks_blocked()
            done = await transport.exchange(lab.get, lab.check, lab.plan())
            assert isinstance(done.error, NotSent)
            assert anyio.current_time() - start == pytest.approx(0.5)


async def test_the_deadline_within_an_attempt(lab) -> None:
    for idempotency in Idempotency:
        play = Play(partial(anyio.sleep, 100))
        async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
            start = anyio.current_time()
            done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency, total=5))
            assert anyio.current_time() - start == pytest.approx(5.0)
        assert isinstance(done.error, DeadlineExceeded)
        assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
        assert (done.left_at is None) == (idempotency is Idempotency.SAFE)


async def test_the_deadline_in_the_queue_before_a_second_attempt_leaves_the_first_error(
    lab,
) -> None:
    play = Play(500, partial(anyio.sleep, 100))
    throttle = Throttle(concurrency=1)
    async with aclosing(
        lab.transport("x.cake.com", play.http, throttle=throttle, draw=lambda: 1.0)
    ) as transport:
        async with anyio.create_task_group() as group:

            async def other() -> None:
                await anyio.sleep(0.01)
                await transport.exchange(lab.get, lab.check, lab.plan(total=1000))

            group.start_soon(other)
            done = await transport.exchange(
                lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT, total=5)
            )
            assert isinstance(done.error, ServerError)
            assert (done.attempts, done.sent, done.sent_before) == (1, True, False)


# The key


def vault(*keys: str) -> Callable[[], Awaitable[str]]:
    left = list(keys)

    async def ask() -> str:
        await anyio.sleep(0.1)
        return left.pop(0)

    return ask


async def test_a_refused_key_is_asked_for_again_once_a_call(lab) -> None:
    for idempotency in Idempotency:
        play = Play(401, FINE)
        async with aclosing(
            lab.transport("x.cake.com", play.http, key=vault("old-key", "new-key"))
        ) as transport:
            done = await transport.exchange(lab.get, lab.check, lab.plan(idempotency, attempts=1))
            assert transport.scrub("old-key new-key") == "<key> <key>"
        assert done.error is None
        assert (done.attempts, done.sent_before) == (2, False)
        assert play.keys == ["old-key", "new-key"]


async def test_a_key_that_is_refused_again_or_is_the_same_is_an_error(lab) -> None:
    for keys, attempts in ((("a-key", "b-key", "c-key"), 2), (("a-key", "a-key"), 1)):
        play = Play(401)
        async with aclosing(lab.transport("x.cake.com", play.http, key=vault(*keys))) as transport:
            done = await transport.exchange(lab.get, lab.check, lab.plan())
        assert isinstance(done.error, AuthenticationError)
        assert done.attempts == attempts


async def test_a_key_that_cannot_be_had_sends_nothing(lab) -> None:
    async def fail() -> str:
        raise OSError

    async def wrong() -> str:
        return ""

    for ask, error in ((fail, NotSent), (wrong, ConfigurationError)):
        play = Play(FINE)
        async with aclosing(lab.transport("x.cake.com", play.http, key=ask)) as transport:
            done = await transport.exchange(lab.get, lab.check, lab.plan(Idempotency.IDEMPOTENT))
        assert isinstance(done.error, error)
        assert (done.attempts, done.sent) == (0, False)
        assert play.times == []


async def test_a_key_that_never_comes_is_inside_the_deadline(lab) -> None:
    async def ask() -> str:
        await anyio.sleep(1000)
        return "never"

    play = Play(FINE)
    async with aclosing(lab.transport("x.cake.com", play.http, key=ask)) as transport:
        done = await transport.exchange(
            lab.get, lab.check, lab.plan(Idempotency.NON_IDEMPOTENT, total=5)
        )
    assert isinstance(done.error, NotSent)
    assert done.attempts == 0
    assert play.times == []


# Pauses


async def test_many_throttled_at_once_pause_once_and_start_again_one_by_one(lab) -> None:
    throttled = 100
    events: list[Event] = []
    times: list[float] = []

    async def answer(_: httpx.Request) -> httpx.Response:
        times.append(anyio.current_time() - start)
        await anyio.sleep(0.2)
        return httpx.Response(200 if len(times) > throttled else 429, headers={"retry-after": "5"})

    draw = random.Random(2).random  # noqa: S311 - no secret
    async with aclosing(
        lab.transport(
            "x.cake.com",
            httpx.MockTransport(answer),
            throttle=Throttle(concurrency=100, adaptive=False),
            on_event=events.append,
            draw=draw,
        )
    ) as transport:
        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(throttled):
                group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
    assert [event for event in events if isinstance(event, Paused)] == [
        Paused("invoices.page", 5.0)
    ]
    again = sorted(times[throttled:])
    assert len(again) == throttled
    assert again[0] >= 5.2 - 1e-9  # a sum of seconds is not exact
    assert again[-1] <= 5.2 + 2.1
    assert len(set(again)) > 90


async def test_a_pause_is_kept_by_calls_that_come_later(lab) -> None:
    play = Play(limited(retry_after="5"), FINE)
    async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
        async with anyio.create_task_group() as group:
            group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
            await anyio.sleep(1)
            assert transport.stats().paused_until == pytest.approx(4.0)
            await transport.exchange(lab.get, lab.check, lab.plan())
    assert play.waits[0] == 5.0


async def test_restricted_pauses_others_only_after_this_operation_has_succeeded(lab) -> None:
    other = attrs.evolve(lab.get, operation="reference.currencies")
    for first, paused in ((lab.get, 3.0), (other, None)):
        play = Play(FINE, RESTRICTED, FINE)
        async with aclosing(lab.transport("x.cake.com", play.http)) as transport:
            await transport.exchange(first, lab.check, lab.plan())
            async with anyio.create_task_group() as group:
                group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
                await anyio.wait_all_tasks_blocked()
                assert transport.stats().paused_until == paused


async def test_no_slot_is_held_while_waiting_for_the_next_attempt(lab) -> None:
    play = Play(RESTRICTED, FINE)
    throttle = Throttle(concurrency=1)
    async with aclosing(lab.transport("x.cake.com", play.http, throttle=throttle)) as transport:
        async with anyio.create_task_group() as group:
            start = anyio.current_time()
            group.start_soon(transport.exchange, lab.get, lab.check, lab.plan())
            await anyio.wait_all_tasks_blocked()
            assert transport.stats().in_flight == 0
            done = await transport.exchange(lab.get, lab.check, lab.plan())
            assert done.error is None
            assert anyio.current_time() == start


# Events


async def test_what_is_told(lab) -> None:
    events: list[Event] = []
    play = Play(500, REFUSED, FINE)
    async with aclosing(
        lab.transport("x.cake.com", play.http, on_event=events.append, draw=lambda: 1.0)
    ) as transport:
        await transport.exchange(lab.get, lab.check, lab.plan())
    request = {"method": "GET", "path": "/api/2/invoices.json"}
    begin = {"server": "https://x.cake.com", **request}
    assert events == [
        AttemptBegan("invoices.page", 1, **begin),
        AttemptEnded("invoices.page", 1, 0.0, 500, "ServerError", sent=True, **request),
        RetryScheduled("invoices.page", 2, 0.05, "ServerError"),
        AttemptBegan("invoices.page", 2, **begin),
        AttemptEnded("invoices.page", 2, 0.0, None, "NotSent", sent=False, **request),
        RetryScheduled("invoices.page", 3, 0.1, "NotSent"),
        AttemptBegan("invoices.page", 3, **begin),
        AttemptEnded("invoices.page", 3, 0.0, 200, None, sent=True, **request),
    ]


async def test_an_exception_of_the_listener_breaks_no_call(lab, caplog) -> None:
    def listen(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    play = Play(500, FINE)
    async with aclosing(lab.transport("x.cake.com", play.http, on_event=listen)) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan())
    assert done.error is None
    assert len([record for record in caplog.records if record.name == "aiocake"]) == 5


async def test_the_same_seed_gives_the_same_trace(lab) -> None:
    traces = []
    for _ in range(2):
        dice = random.Random(7)  # noqa: S311 - no secret
        scenes = [
            dice.choice([FINE, 500, REFUSED, LOST, limited(), RESTRICTED]) for _ in range(300)
        ]
        play = Play(*scenes)
        events: list[Event] = []
        async with aclosing(
            lab.transport("x.cake.com", play.http, on_event=events.append, draw=dice.random)
        ) as transport:
            start = anyio.current_time()
            for _ in range(60):
                await transport.exchange(lab.get, lab.check, lab.plan())
        reported = [
            attrs.evolve(event, seconds=round(event.seconds, 6))
            if isinstance(event, Waited | AttemptEnded)
            else event
            for event in events
        ]
        traces.append((reported, [round(time - start, 6) for time in play.times]))
    assert traces[0] == traces[1]


# The table itself


def test_a_fault_is_tried_again_only_when_it_may_pass(anyio_backend) -> None:
    del anyio_backend
    for kind in FailureKind:
        for sent in (False, True):
            for idempotency in Idempotency:
                fault = TransportFailure(kind, sent, "")
                passing = kind in {
                    FailureKind.CONNECT,
                    FailureKind.CONNECTION_LOST,
                    FailureKind.TIMEOUT,
                }
                again = passing and not (sent and idempotency is Idempotency.NON_IDEMPOTENT)
                assert (classify_retry(fault, idempotency) is RetryDecision.FAILURE) == again
                assert may_have_been_applied(fault) == sent


def test_an_answer_whose_end_http_tells_is_the_same_at_the_next_try(anyio_backend) -> None:
    del anyio_backend
    unreadable = DecodeError("x", status=200)
    assert classify_retry(unreadable, Idempotency.SAFE) is RetryDecision.NONE
    assert classify_retry(unreadable, Idempotency.SAFE, framed=True) is RetryDecision.NONE
    assert classify_retry(unreadable, Idempotency.SAFE, framed=False) is RetryDecision.FAILURE
    assert (
        classify_retry(unreadable, Idempotency.NON_IDEMPOTENT, framed=False) is RetryDecision.NONE
    )


@pytest.mark.parametrize(
    ("pace", "asked", "seconds"),
    [
        (RetryDecision.FAILURE, None, 1.0),
        (RetryDecision.FAILURE, 7.0, 7.0),
        (RetryDecision.THROTTLED, None, 2.0),
        (RetryDecision.THROTTLED, 7.0, 7.0),
        (RetryDecision.RESTRICTED, None, 3.0),
        (RetryDecision.RESTRICTED, 7.0, 3.0),
    ],
)
def test_how_long_each_pace_waits(anyio_backend, pace, asked, seconds) -> None:
    del anyio_backend
    retries = Retries(RetryPolicy(base=1.0, throttle_base=2.0), lambda: 1.0)
    assert retries.wait(pace, 0, asked) == seconds


@pytest.mark.parametrize(
    ("decision", "wait", "slept"),
    [
        (RetryDecision.THROTTLED, 8.0, [8.0]),
        # A server may not ask for longer than this; what the client takes by itself, it may.
        (RetryDecision.THROTTLED, 9.0, []),
        (RetryDecision.FAILURE, 9.0, [9.0]),
    ],
)
async def test_a_wait_that_is_asked_for_has_a_cap(decision, wait, slept) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def attempt() -> AttemptOutcome:
        return SUCCEEDED

    limits = RetryLimits(3, lambda: 100.0, lambda _: None, sleep)
    retries = Retries(RetryPolicy(retry_after_cap=8.0), lambda: 1.0)
    first = AttemptOutcome(NotSent("x"), decision, wait)
    last = await retries.run(first, attempt, limits)
    assert waits == slept
    assert last is (SUCCEEDED if slept else first)
