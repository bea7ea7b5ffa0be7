# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the transport outlives the group: that is another block
"""A long pause: no call is sent until it ends, then one goes first. In simulated time."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
import attrs
import httpx
import pytest

from aiocake._messages import StreamedResponse
from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.pause import Pause
from aiocake.config import RetryPolicy, Throttle
from aiocake.errors import CakeError, ClosedError, NotSent, RateLimited, ServerError
from aiocake.events import (
    AttemptBegan,
    AttemptEnded,
    Event,
    Paused,
    PauseEnded,
    RetryScheduled,
    Waited,
)
from aiocake.values import Idempotency

from ..scorecard._simulated import SIMULATED
from .exchange import CallResult, Exchanges

pytestmark = [pytest.mark.anyio, SIMULATED]

HOUR = 3600.0
FINE = httpx.Response(200)
Answer = Callable[[int], Awaitable[httpx.Response]]


def limited(seconds: float | str | None, status: int = 429) -> httpx.Response:
    return httpx.Response(status, headers={} if seconds is None else {"Retry-After": str(seconds)})


class Server:
    """Gives responses in their order, the last one again and again; each takes a while.

    Attributes:
        times: When each request came.
        takes: How many seconds a response takes.
    """

    def __init__(self, *responses: httpx.Response | Exception, takes: float = 0.1) -> None:
        self.responses = list(responses)
        self.takes = takes
        self.times: list[float] = []
        self.http = httpx.MockTransport(self._answer)

    async def _answer(self, _: httpx.Request) -> httpx.Response:
        self.times.append(anyio.current_time())
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        await anyio.sleep(self.takes)
        if isinstance(response, Exception):
            raise response
        return httpx.Response(response.status_code, headers=response.headers)


class Scene:
    """A client of a server, and how its calls ended."""

    def __init__(self, lab, server: Server, **settings: Any) -> None:  # noqa: ANN401 - the transport's own
        self.lab = lab
        self.server = server
        self.events: list[Event] = []
        self.ends: list[CallResult] = []
        self.transport: Exchanges = lab.transport(
            "x.cake.com", server.http, **({"on_event": self.events.append} | settings)
        )

    async def call(self, idempotency: Idempotency = Idempotency.SAFE, **plan: object) -> CallResult:
        done = await self.transport.exchange(
            self.lab.get, self.lab.check, self.lab.plan(idempotency, **plan)
        )
        self.ends.append(done)
        return done

    async def several(self, count: int, **plan: object) -> list[CallResult]:
        """Several calls at once, and what they ended in."""
        before = len(self.ends)
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(lambda: self.call(**plan))
        return self.ends[before:]

    async def paused(self, seconds: float | str = HOUR) -> None:
        """Have a call begin a pause."""
        self.server.responses.insert(0, limited(seconds))
        done = await self.call()
        assert isinstance(done.error, RateLimited)
        assert done.error.sent

    @property
    def reported(self) -> list[Event]:
        """What was told of pauses."""
        return [event for event in self.events if isinstance(event, Paused | PauseEnded)]


@pytest.fixture
def scene(lab) -> Callable[..., Any]:
    """Makes a scene."""
    return lambda *responses, takes=0.1, **settings: Scene(
        lab, Server(*responses, takes=takes), **settings
    )


def is_refused(done: CallResult, left: float | None = None, status: int = 429) -> bool:
    error = done.error
    return (
        isinstance(error, RateLimited)
        and not error.sent
        and error.status == status
        and (left is None or error.retry_after == pytest.approx(left))
    )


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_later_calls_end_at_once(scene, idempotency) -> None:
    there = scene(FINE)
    async with aclosing(there.transport) as transport:
        await there.paused()
        await anyio.sleep(100)
        began = anyio.current_time()
        done = await there.call(idempotency)
        assert anyio.current_time() == began
        assert is_refused(done, HOUR - 100)
        assert (done.attempts, done.sent, done.sent_before) == (0, False, False)
        assert transport.stats().paused_until == pytest.approx(HOUR - 100)
    assert len(there.server.times) == 1


@pytest.mark.parametrize("seconds", ["86400", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_pause_lasts_no_longer_than_it_may(scene, seconds) -> None:
    there = scene(FINE, retry=RetryPolicy(longest_pause=50))
    response = limited(seconds)
    response.headers["Date"] = "Mon, 02 Mar 2026 12:00:00 GMT"
    there.server.responses.insert(0, response)
    async with aclosing(there.transport) as transport:
        done = await there.call()
        assert done.error.retry_after > 60  # what was asked
        assert transport.stats().paused_until == pytest.approx(50)
        assert there.reported == [Paused("invoices.page", 50, refused=True)]
        await anyio.sleep(49)
        assert is_refused(await there.call(), 1)
        await anyio.sleep(1)
        assert (await there.call()).error is None


async def test_whoever_waits_for_a_turn_ends_at_once(scene) -> None:
    there = scene(limited(HOUR), throttle=Throttle(concurrency=2))
    async with aclosing(there.transport) as transport:
        began = anyio.current_time()
        ends = await there.several(100)
        assert anyio.current_time() == pytest.approx(began + 0.1)
        assert sum(is_refused(done) for done in ends) == 98
        assert (transport.stats().in_flight, transport.stats().waiting) == (0, 0)
    assert len(there.server.times) == 2
    assert len(there.reported) == 1
    assert not any(event.got_turn for event in there.events if isinstance(event, Waited))


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_who_got_its_slot_in_that_moment_does_not_leave(scene, idempotency) -> None:
    """A slot is given, and before the call can use it, a response of another begins a pause."""
    there = scene(FINE, limited(HOUR), FINE, throttle=Throttle(concurrency=2))
    async with aclosing(there.transport):
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(there.call)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(there.call, idempotency)
    # Which of the two responses is read first is up to the event loop.
    assert len(there.server.times) - 2 == sum(done.error is None for done in there.ends) - 1


async def test_a_slot_given_before_a_pause_is_given_back() -> None:
    limiter = RequestLimiter(Throttle(concurrency=1), lambda: 0.0)
    slot = await limiter.acquire()
    assert isinstance(slot, int)
    got: list[object] = []

    async def wait() -> None:
        got.append(await limiter.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        limiter.release(slot)  # to the one who waits, which has not run yet
        assert limiter.in_flight == 1
        limiter.refuse(HOUR, HOUR, since=anyio.current_time(), status=429)
    assert not isinstance(got[0], int | None)
    assert (limiter.in_flight, limiter.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("idempotency", "error"),
    [(Idempotency.SAFE, RateLimited), (Idempotency.IDEMPOTENT, ServerError)],
)
async def test_a_retry_that_sleeps_ends_at_once(scene, idempotency, error) -> None:
    retry = RetryPolicy(base=20, budget=28)
    there = scene(httpx.Response(500), limited(HOUR), FINE, retry=retry, draw=lambda: 1.0)
    async with aclosing(there.transport) as transport:
        async with anyio.create_task_group() as group:
            group.start_soon(there.call, idempotency)
            await anyio.sleep(1)
            assert transport.stats().budget == 14
            began = anyio.current_time()
            await there.call()
        assert anyio.current_time() == pytest.approx(began + 0.1)
        # What was not sent again costs nothing.
        assert transport.stats().budget == 28
    slept = there.ends[1]
    # Of a write that may be done, what was met has the last word.
    assert type(slept.error) is error
    assert (slept.attempts, slept.sent) == (1, True)
    assert len(there.server.times) == 2


async def test_a_short_wait_within_a_long_pause_is_not_slept(scene) -> None:
    there = scene(limited(HOUR), limited(5), FINE)
    async with aclosing(there.transport):
        began = anyio.current_time()
        await there.several(2)
        assert anyio.current_time() == pytest.approx(began + 0.1)
    assert len(there.server.times) == 2
    assert sum(is_refused(done) for done in there.ends) == 1


# The one that goes first


async def test_after_it_one_goes_first_and_the_others_follow_its_response(scene) -> None:
    there = scene(FINE, takes=5.0)
    async with aclosing(there.transport) as transport:
        await there.paused(100)
        ends = anyio.current_time() + 100
        await anyio.sleep(100)
        assert transport.stats().paused_until is None
        there.server.times.clear()
        done = await there.several(20)
    assert all(each.error is None for each in done)
    first, *others = there.server.times
    assert first == pytest.approx(ends)
    assert len(others) == 19
    assert min(others) >= first + 5.0
    assert there.reported == [
        Paused("invoices.page", 100, refused=True),
        PauseEnded("invoices.page", pytest.approx(105.0), call=0),
    ]


async def test_an_error_of_the_server_is_a_response_too(scene) -> None:
    there = scene(httpx.Response(404), FINE)
    async with aclosing(there.transport):
        await there.paused(100)
        await anyio.sleep(100)
        done = await there.several(10)
    assert [type(each.error).__name__ for each in done].count("NotFound") == 1
    assert len(there.server.times) == 11
    assert isinstance(there.reported[-1], PauseEnded)


async def test_if_it_is_throttled_again_the_pause_goes_on(scene) -> None:
    there = scene(limited(200, 503), FINE)
    async with aclosing(there.transport) as transport:
        await there.paused(100)
        await anyio.sleep(100)
        done = await there.several(10)
        assert len(there.server.times) == 2
        assert sum(is_refused(each, 200, 503) for each in done) == 9
        assert transport.stats().paused_until == pytest.approx(200)
        assert len(there.reported) == 2
        await anyio.sleep(200)
        assert (await there.call()).error is None
    assert there.reported[2:] == [PauseEnded("invoices.page", pytest.approx(300.2), call=0)]


async def test_if_it_is_throttled_for_a_short_while_the_others_wait_and_one_goes_first_again(
    scene,
) -> None:
    there = scene(limited(10), limited(None), FINE, draw=lambda: 0.5)
    async with aclosing(there.transport):
        await there.paused(100)
        await anyio.sleep(100)
        there.server.times.clear()
        done = await there.several(10)
    assert all(each.error is None for each in done)
    first, second, third, *others = there.server.times
    assert second >= first + 10
    assert third > second
    assert min(others) >= third + 0.1
    assert [type(event) for event in there.reported] == [Paused, Paused, Paused, PauseEnded]


@pytest.mark.parametrize("how", ["cancelled", "native", "not connected", "reset", "too late"])
async def test_if_it_has_no_response_another_goes_first(scene, how) -> None:
    faults: dict[str, httpx.Response | Exception] = {
        "not connected": httpx.ConnectError("refused"),
        "reset": httpx.ReadError("reset"),
    }
    there = scene(faults.get(how, FINE), FINE, takes=1.0)
    async with aclosing(there.transport):
        await there.paused(100)
        await anyio.sleep(100)
        there.server.times.clear()
        async with anyio.create_task_group() as group:
            if how == "too late":
                # It has its turn with too little time left for a response.
                group.start_soon(lambda: there.call(Idempotency.IDEMPOTENT, total=0.4, attempts=1))
            else:
                scope = anyio.CancelScope()

                async def probe() -> None:
                    with scope:
                        await there.call(attempts=1)

                group.start_soon(probe)
                await anyio.wait_all_tasks_blocked()
                for _ in range(5):
                    group.start_soon(there.call)
                await anyio.sleep(0.5)
                assert len(there.server.times) == 1
                if how in {"cancelled", "native"}:
                    scope.cancel()
        done = await there.several(3)
        assert all(each.error is None for each in done)
    if how in faults or how in {"cancelled", "native"}:
        first, second, *others = there.server.times
        assert second == pytest.approx(first + (1.0 if how in faults else 0.5))
        assert min(others) >= second + 1.0
    assert isinstance(there.reported[-1], PauseEnded)


@pytest.mark.parametrize("steps", range(8))
async def test_a_probe_that_is_cancelled_at_any_step_leaves_no_client_stuck(scene, steps) -> None:
    there = scene(FINE)
    async with aclosing(there.transport):
        await there.paused(100)
        await anyio.sleep(100)
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def cancelled() -> None:
                with scope:
                    await there.call()

            group.start_soon(cancelled)
            group.start_soon(there.call)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
        with anyio.fail_after(10):
            assert all(done.error is None for done in await there.several(5))


async def test_a_write_that_goes_first_and_is_cancelled_is_settled_first(scene) -> None:
    """Its caller is cancelled, but it has left: it keeps its slot for its grace."""
    there = scene(FINE, takes=3.0)
    async with aclosing(there.transport):
        await there.paused(100)
        await anyio.sleep(100)
        there.server.times.clear()
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(1):
                await there.call(Idempotency.NON_IDEMPOTENT)
            group.start_soon(there.call)
        first, second = there.server.times
        assert second >= first + 3


# Which responses begin one


async def test_responses_of_one_congestion_make_one_pause_as_long_as_the_longest(scene) -> None:
    there = scene(limited(100), limited(300), limited(200), throttle=Throttle(concurrency=3))
    async with aclosing(there.transport) as transport:
        await there.several(3)
        assert transport.stats().paused_until == pytest.approx(300)
        # The first one that was read began it.
        assert len(there.reported) == 1
        assert is_refused(await there.call(), 300)


async def test_late_responses_do_not_make_it_longer_than_it_may_be(lab) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(float(request.url.params["row_limit"]))
        return limited(HOUR)

    retry = RetryPolicy(longest_pause=100)
    async with aclosing(
        lab.transport("x.cake.com", httpx.MockTransport(answer), retry=retry)
    ) as transport:

        async def call(seconds: int) -> None:
            request = attrs.evolve(lab.get, query=f"api_key=&row_limit={seconds}")
            await transport.exchange(request, lab.check, lab.plan())

        async with anyio.create_task_group() as group:
            group.start_soon(call, 1)
            group.start_soon(call, 20)
        assert transport.stats().paused_until == pytest.approx(100 - 19)


async def test_a_503_pauses_only_after_another_in_a_row(scene) -> None:
    there = scene(limited(HOUR, 503), FINE, limited(HOUR, 503), limited(HOUR, 503), FINE)
    async with aclosing(there.transport) as transport:
        for paused in (False, False, False, True):
            await there.call()
            assert (transport.stats().paused_until is not None) is paused
        assert is_refused(await there.call(), status=503)
    assert len(there.server.times) == 4


async def test_no_response_is_in_no_row(scene) -> None:
    reset = httpx.ReadError("reset")
    there = scene(limited(HOUR, 503), reset, limited(HOUR, 503))
    async with aclosing(there.transport) as transport:
        for _ in range(3):
            await there.call(attempts=1)
        assert transport.stats().paused_until is not None


async def test_what_is_asked_past_the_deadline_pauses_as_well(scene) -> None:
    there = scene(limited(20), FINE)
    async with aclosing(there.transport) as transport:
        began = anyio.current_time()
        done = await there.call(total=10)
        assert anyio.current_time() == pytest.approx(began + 0.1)
        assert done.error.retry_after == 20
        assert is_refused(await there.call(total=60), 20)
        assert transport.stats().paused_until == pytest.approx(20)


async def test_a_call_whose_caller_has_left_is_not_past_its_deadline(scene) -> None:
    there = scene(limited(20), FINE)
    async with aclosing(there.transport) as transport:
        with anyio.move_on_after(0.05):
            await there.call(Idempotency.NON_IDEMPOTENT)
        assert transport.stats().paused_until == pytest.approx(20)
        assert there.reported == [Paused("invoices.page", 20)]


async def test_no_pause_where_none_is_allowed(scene) -> None:
    there = scene(limited(HOUR), FINE, retry=RetryPolicy(longest_pause=0))
    async with aclosing(there.transport) as transport:
        await there.call()
        assert transport.stats().paused_until is None
        assert (await there.call()).error is None
    assert there.reported == []


# Beside everything else


async def test_end_pause_lets_all_go_at_once(scene) -> None:
    there = scene(FINE)
    async with aclosing(there.transport) as transport:
        transport.end_pause()  # of which there is none
        await there.paused()
        assert is_refused(await there.call())
        await anyio.sleep(1)
        transport.end_pause()
        assert transport.stats().paused_until is None
        began = anyio.current_time()
        done = await there.several(3)
        assert all(each.error is None for each in done)
        assert anyio.current_time() < began + 1
    assert there.reported[1:] == [PauseEnded(None, pytest.approx(1.0))]


@pytest.mark.parametrize("pause", [100, 20])
async def test_end_pause_lets_those_go_who_wait(scene, pause) -> None:
    """Of a long one: for the response of the first; of a short one: for its end."""
    there = scene(FINE, takes=5)
    async with aclosing(there.transport) as transport:
        there.server.responses.insert(0, limited(pause))
        await there.call(attempts=1)
        await anyio.sleep(100 if pause == 100 else 0)
        there.server.times.clear()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(there.call)
            await anyio.wait_all_tasks_blocked()
            assert len(there.server.times) == (pause == 100)
            began = anyio.current_time()
            transport.end_pause()
        assert there.server.times[-3:] == [began] * 3
        assert len(there.server.times) == 4
        assert transport.stats().waiting == 0


async def test_end_pause_belongs_to_the_loop_of_the_client(scene) -> None:
    there = scene(FINE)
    async with aclosing(there.transport) as transport:
        await there.paused()
        failed: list[Exception] = []

        def elsewhere() -> None:
            async def end() -> None:
                await anyio.lowlevel.checkpoint()
                try:
                    transport.end_pause()
                except CakeError as error:
                    failed.append(error)

            anyio.run(end)

        await anyio.to_thread.run_sync(elsewhere)
        assert [type(error).__name__ for error in failed] == ["WrongLoopError"]
        assert is_refused(await there.call())


async def test_closing_within_a_pause_and_while_one_goes_first(scene) -> None:
    there = scene(FINE, takes=1000)
    async with aclosing(there.transport) as transport:
        there.server.takes = 0.1
        await there.paused(100)
        there.server.takes = 1000
        await anyio.sleep(100)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(there.call)
            await anyio.wait_all_tasks_blocked()
            await transport.aclose()
        assert [type(done.error) for done in there.ends[1:]] == [ClosedError] * 3
        assert (transport.stats().in_flight, transport.stats().waiting) == (0, 0)


async def test_exports_are_refused_and_go_first_as_well(scene) -> None:
    there = scene(FINE)
    plan = there.lab.plan(export=True, total=600)

    async def begin(stream: StreamedResponse) -> CakeError | None:
        if stream.status == 429:
            return RateLimited("slow down", status=429)
        async for _ in stream.chunks:
            pass
        return None

    async with aclosing(there.transport) as transport:
        there.server.responses.insert(0, limited(HOUR))
        opened = await transport.open(there.lab.get, begin, plan)
        assert isinstance(opened.error, RateLimited)
        assert is_refused(await there.call(), HOUR)
        opened = await transport.open(there.lab.get, begin, plan)
        assert isinstance(opened.error, RateLimited)
        assert not opened.error.sent
        await anyio.sleep(HOUR)
        there.server.times.clear()
        there.server.takes = 5
        async with anyio.create_task_group() as group:

            async def export() -> None:
                await (await transport.open(there.lab.get, begin, plan)).aclose()

            group.start_soon(export)
            await anyio.wait_all_tasks_blocked()
            for _ in range(2):
                group.start_soon(there.call)
        # An export may take minutes: one call goes first beside it, and the other follows that.
        first, second, third = there.server.times
        assert second == pytest.approx(first)
        assert third >= second + 5
        assert transport.stats().in_flight == 0


async def test_a_full_queue_is_not_what_a_paused_client_tells_of(scene) -> None:
    there = scene(FINE, takes=5, throttle=Throttle(concurrency=1, max_waiting=1))
    async with aclosing(there.transport):
        await there.paused(100)
        done = await there.several(5)
        assert all(is_refused(each) for each in done)
        await anyio.sleep(100)
        # One goes first, one waits for it, and for the others the queue is full.
        done = await there.several(5)
        assert sum(each.error is None for each in done) == 2
        assert sum(isinstance(each.error, NotSent) for each in done) == 3


async def test_a_quota_teaches_no_pace(scene) -> None:
    there = scene(FINE)
    async with aclosing(there.transport) as transport:
        for _ in range(30):
            await there.call()
        await there.paused()
        assert transport.stats().pace is None
        # The congestion may have been one of too many calls at once, too.
        assert transport.stats().limit == 4
        transport.end_pause()
        await there.several(10)
        assert transport.stats().pace is None


async def test_whoever_calls_in_a_loop_all_the_same_lets_others_run(scene) -> None:
    there = scene(FINE)
    async with aclosing(there.transport):
        await there.paused()
        ran = False

        async def other() -> None:
            nonlocal ran
            await anyio.lowlevel.checkpoint()
            ran = True

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            for _ in range(100):
                assert is_refused(await there.call())
            assert ran


async def test_a_pause_is_told_in_its_order(scene) -> None:
    there = scene(limited(HOUR), FINE)
    async with aclosing(there.transport):
        await there.call()
        await there.call()
        await anyio.sleep(HOUR)
        await there.call()
    page, request = "invoices.page", {"method": "GET", "path": "/api/2/invoices.json"}
    told = [event for event in there.events if not isinstance(event, AttemptBegan)]
    assert told == [
        AttemptEnded(page, 1, pytest.approx(0.1), 429, "RateLimited", sent=True, **request),
        Paused(page, HOUR, refused=True),
        AttemptEnded(page, 1, pytest.approx(0.1), 200, None, sent=True, **request),
        PauseEnded(page, pytest.approx(HOUR + 0.1), call=0),
    ]
    assert not [event for event in there.events if isinstance(event, RetryScheduled)]


async def test_one_goes_first_of_both_queues_even_with_one_slot_each() -> None:
    limiter = RequestLimiter(Throttle(concurrency=1, adaptive=False), lambda: 0.0)
    assert limiter.refuse(100, HOUR, since=anyio.current_time(), status=429)
    await anyio.sleep(100)
    slot = await limiter.acquire()
    assert isinstance(slot, int)
    got: list[object] = []

    async def export() -> None:
        got.append(await limiter.acquire(export=True))

    async with anyio.create_task_group() as group:
        group.start_soon(export)
        await anyio.wait_all_tasks_blocked()
        assert got == []
        assert limiter.on_response(slot, 200, throttled=False) == pytest.approx(100, abs=1)
        await anyio.wait_all_tasks_blocked()
        assert got == [1]


async def test_no_export_goes_first_while_calls_wait() -> None:
    limiter = RequestLimiter(Throttle(concurrency=1, adaptive=False), lambda: 0.0)
    assert limiter.refuse(100, HOUR, since=anyio.current_time(), status=429)
    await anyio.sleep(100)
    first = await limiter.acquire()
    assert isinstance(first, int)
    got: list[object] = []

    async def wait(*, export: bool) -> None:
        got.append(await limiter.acquire(export=export))

    async with anyio.create_task_group() as group:
        for export in (True, False, False):
            group.start_soon(lambda export=export: wait(export=export))
            await anyio.wait_all_tasks_blocked()
        # They have no response: the next one goes first, then the export as nobody else waits.
        for order in ([0], [0, 0], [0, 0, 1]):
            limiter.release(first)
            await anyio.wait_all_tasks_blocked()
            assert got == order
        # A call goes first beside it; the end of either leaves nobody waiting for ever.
        group.start_soon(lambda: wait(export=False))
        await anyio.wait_all_tasks_blocked()
        assert got == [0, 0, 1, 0]
        group.start_soon(lambda: wait(export=True))
        limiter.release(1)
        await anyio.wait_all_tasks_blocked()
        assert got == [0, 0, 1, 0]
        limiter.release(0)
        await anyio.wait_all_tasks_blocked()
        assert got == [0, 0, 1, 0, 1]
        assert limiter.on_response(1, 200, throttled=False) is not None


async def test_end_pause_ends_what_a_learnt_pace_keeps_of_it() -> None:
    limiter = RequestLimiter(Throttle(concurrency=2), lambda: 0.0)
    for _ in range(2):
        for _ in range(21):
            limiter.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
            await anyio.sleep(1 / 7)
        limiter.pause(30, since=anyio.current_time(), asked=True)
        limiter.end_pause()
        limiter.on_response(0, 200, throttled=False, accepted_since=anyio.current_time())
    assert limiter.pace() is not None
    began = anyio.current_time()
    assert isinstance(await limiter.acquire(), int)
    assert anyio.current_time() == began


async def test_what_is_left_is_not_less_than_what_was_asked(monkeypatch) -> None:
    # Added to this time, an hour loses a digit.
    now = 15_275.492
    assert (now + HOUR) - now < HOUR
    monkeypatch.setattr(anyio, "current_time", lambda: now)
    pause = Pause()
    assert pause.refuse(HOUR, HOUR, since=now, status=429)
    refusal = pause.refusal()
    assert refusal is not None
    assert refusal.seconds == HOUR
