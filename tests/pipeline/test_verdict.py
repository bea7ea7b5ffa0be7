"""What a whole call ends in: the verdict is of all its attempts, never of the last alone."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import anyio
import pytest
import trio.testing

from aiocake import (
    ApiError,
    CakeError,
    Client,
    ClosedError,
    ConsistencyError,
    CreatedInvoice,
    DeadlineExceeded,
    DecodeError,
    Expect,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    Restricted,
    RetryPolicy,
    ServerError,
    Throttle,
    TipaltiError,
    _clock,
)

from ..support.clock import SIMULATED
from ..support.peer import Held, Peer, Step, done, lost, page, says, unreached

pytestmark = pytest.mark.anyio

Call = Callable[[Client], Awaitable[object]]


def read(cake: Client) -> Awaitable[object]:
    return cake.invoices.get(1)


def update(cake: Client) -> Awaitable[object]:
    return cake.invoices.update(1, memo="x")


def create(cake: Client) -> Awaitable[object]:
    return cake.invoices.create(
        affiliate_id=7, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31)
    )


NO: Step = says({"success": False, "message": "Bills processed by Tipalti may not be updated"})
DANGER: Step = says("A potentially dangerous Request.Path value was detected", 500)
HTML: Step = says("<!doctype html><html>log in</html>")
TORN: Step = says('{"request_status": "Success", "invoice": {"invoice_id": ')
NO_PAGE: Step = says("<!doctype html><html>404 - File or directory not found.</html>", 404)
SLOW_DOWN: Step = says("slow down", 429)
UNAVAILABLE: Step = says("busy", 503)
#: What a gateway says of a request that it may have passed on.
GAVE_UP: Step = says("stream timeout", 408)
CLOSED: Step = says({"message": "Invalid API key"}, 499)

Case = tuple[Call, list[Step], int, type[CakeError], type[CakeError] | None, bool]

#: The call, what it meets, how often it is sent, its error, and of a write that is unknown the
#: error of its last attempt and whether it likely was carried out.
CASES: list[Case] = [
    # A read ends in what its last attempt met that was sent.
    (read, [lost], 3, DecodeError, None, False),
    (read, [unreached], 3, NotSent, None, False),
    (read, [lost, unreached], 3, DecodeError, None, False),
    (read, [says("no", 500)], 3, ServerError, None, False),
    (read, [GAVE_UP], 3, ServerError, None, False),
    (read, [CLOSED], 3, ServerError, None, False),
    (read, [SLOW_DOWN], 3, RateLimited, None, False),
    (read, [HTML], 1, DecodeError, None, False),
    (read, [says("no", 404)], 1, DecodeError, None, False),
    (read, [page()], 1, NotFound, None, False),
    (read, [page(2)], 1, ConsistencyError, None, False),
    # A write that may be repeated is, and what only looks like a no is none.
    (update, [unreached], 3, NotSent, None, False),
    (update, [NO], 1, TipaltiError, None, False),
    (update, [DANGER], 1, RequestRejected, None, False),
    (update, [SLOW_DOWN], 3, RateLimited, None, False),
    (update, [SLOW_DOWN, NO], 2, TipaltiError, None, False),
    (update, [SLOW_DOWN, unreached], 3, RateLimited, None, False),
    (update, [UNAVAILABLE], 3, OutcomeUnknown, RateLimited, False),
    (update, [lost], 3, OutcomeUnknown, DecodeError, False),
    (update, [lost, unreached], 3, OutcomeUnknown, NotSent, False),
    (update, [lost, NO], 2, OutcomeUnknown, TipaltiError, False),
    (update, [lost, SLOW_DOWN], 3, OutcomeUnknown, RateLimited, False),
    (update, [UNAVAILABLE, NO], 2, OutcomeUnknown, TipaltiError, False),
    (update, [says("no", 500), NO], 2, OutcomeUnknown, TipaltiError, False),
    (update, [GAVE_UP], 3, OutcomeUnknown, ServerError, False),
    (update, [CLOSED, NO], 2, OutcomeUnknown, TipaltiError, False),
    (update, [NO_PAGE], 1, OutcomeUnknown, DecodeError, False),
    (update, [HTML], 1, OutcomeUnknown, DecodeError, False),
    (update, [TORN], 1, OutcomeUnknown, DecodeError, True),
    (update, [done(invoice_id=2)], 1, OutcomeUnknown, ConsistencyError, False),
    # A create is sent once, but where the answer or the connection says that nothing was done.
    (create, [unreached], 3, NotSent, None, False),
    (create, [NO], 1, TipaltiError, None, False),
    (create, [SLOW_DOWN], 3, RateLimited, None, False),
    (create, [lost], 1, OutcomeUnknown, DecodeError, False),
    (create, [unreached, lost], 2, OutcomeUnknown, DecodeError, False),
    (create, [SLOW_DOWN, lost], 2, OutcomeUnknown, DecodeError, False),
    (create, [says("no", 500)], 1, OutcomeUnknown, ServerError, False),
    (create, [GAVE_UP], 1, OutcomeUnknown, ServerError, False),
    (create, [CLOSED], 1, OutcomeUnknown, ServerError, False),
    (create, [unreached, GAVE_UP], 2, OutcomeUnknown, ServerError, False),
    (create, [NO_PAGE], 1, OutcomeUnknown, DecodeError, False),
    (create, [UNAVAILABLE], 1, OutcomeUnknown, RateLimited, False),
    (create, [HTML], 1, OutcomeUnknown, DecodeError, False),
    (create, [TORN], 1, OutcomeUnknown, DecodeError, True),
    (create, [says("")], 1, OutcomeUnknown, DecodeError, True),
    (create, [done(affiliate_id=8)], 1, OutcomeUnknown, ConsistencyError, False),
    (create, [done(total_amount="1,5")], 1, OutcomeUnknown, DecodeError, True),
]


@pytest.mark.parametrize("case", CASES)
async def test_how_a_call_ends(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    call, steps, sent, kind, cause, likely = case
    peer = Peer(*steps)
    async with peer.client() as cake:
        with pytest.raises(CakeError) as caught:
            await call(cake)
        assert cake.stats().unknowns == (kind is OutcomeUnknown)
        assert cake.stats().in_flight == 0
    error = caught.value
    assert type(error) is kind
    assert len(peer.requests) == sent
    assert ("outcome unknown" in caplog.text) is (kind is OutcomeUnknown)
    if call is read:
        assert error.outcome is None
        assert error.operation == "invoices.get"
        return
    operation = "invoices.update" if call is update else "invoices.create"
    assert error.operation == operation
    assert error.outcome is (Outcome.NOT_DONE if cause is None else Outcome.UNKNOWN)
    if isinstance(error, OutcomeUnknown):
        assert type(error.cause) is cause
        assert error.cause.operation == operation
        assert error.cause.outcome is Outcome.UNKNOWN
        assert error.applied_likely is likely
        assert error.intent.operation == operation
        assert error.intent.attempts == sent
        assert str(error) == f"{operation} may have been carried out: {error.cause}"


@pytest.mark.parametrize("step", ["error_of", "decode"])
async def test_a_response_that_breaks_its_reader_is_none_that_was_lost(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> CakeError | None:
        raise RecursionError

    monkeypatch.setattr(f"aiocake._codec.codec.{step}", breaks)
    peer = Peer(done())
    async with peer.client() as cake:
        with pytest.raises(OutcomeUnknown, match="could not be read") as caught:
            await create(cake)
    assert isinstance(caught.value.cause, DecodeError)


async def test_an_unknown_write_tells_when_it_first_left(monkeypatch: pytest.MonkeyPatch) -> None:
    no_key, began = says({"message": "Invalid API key"}, 401), datetime(2024, 1, 1, tzinfo=UTC)
    peer = Peer(unreached, lost, no_key, says("no", 500))
    keys = iter("ab")

    async def next_key() -> str:
        return next(keys)

    # A second passes with each request, and the second one is lost.
    monkeypatch.setattr(_clock, "now", lambda: began + timedelta(seconds=len(peer.requests)))
    async with peer.client(api_key=next_key) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await update(cake)
    assert len(peer.requests) == caught.value.intent.attempts == 4
    assert caught.value.intent.at == began + timedelta(seconds=1)


async def test_a_mark_that_may_have_been_made_before_is_not_called_the_first() -> None:
    answer = (
        "<r><success>true</success><message>Bill Marked As Received</message>"
        "<bill_id>345</bill_id></r>"
    )
    for steps, first in (([says(answer)], True), ([lost, says(answer)], None)):
        async with Peer(*steps).client() as cake:
            result = await cake.affiliate_bills.mark_received(345, invoiced_amount=1)
        assert result.first is first


@SIMULATED
async def test_a_call_whose_time_is_over() -> None:
    for call, kind in (
        (read, DeadlineExceeded),
        (update, OutcomeUnknown),
        (create, OutcomeUnknown),
    ):
        peer = Peer(Held(done()))
        async with peer.client() as cake:
            with pytest.raises(kind) as caught:
                await call(cake.with_options(total=20))
            assert (cake.stats().in_flight, cake.stats().waiting) == (0, 0)
        error = caught.value
        if isinstance(error, OutcomeUnknown):
            assert isinstance(error.cause, DeadlineExceeded)


@pytest.mark.parametrize("grace", [20.0, 0.0])
async def test_closing_gives_a_write_that_has_left_its_grace(grace: float) -> None:
    held = Held(done())
    peer = Peer(held)
    cake = peer.client(grace=grace, throttle=Throttle(concurrency=1))
    ended: list[object] = []

    async def run(call: Call) -> None:
        try:
            ended.append(await call(cake))
        except CakeError as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run, create)
        await held.begun.wait()
        group.start_soon(run, update)  # waits for its turn, which it never gets
        await anyio.wait_all_tasks_blocked()
        group.start_soon(cake.aclose)
        await anyio.wait_all_tasks_blocked()
        (waiting,) = (each for each in ended if isinstance(each, ClosedError))
        assert waiting.outcome is Outcome.NOT_DONE
        held.go_on.set()
    assert len(peer.requests) == 1
    (end,) = (each for each in ended if each is not waiting)
    if grace:
        assert isinstance(end, CreatedInvoice)
    else:
        assert isinstance(end, OutcomeUnknown)
        assert type(end.cause).__name__ == "ClosedError"


@SIMULATED
async def test_closing_gives_none_to_a_write_that_waits_for_its_next_attempt() -> None:
    peer, ended = Peer(lost), list[OutcomeUnknown]()
    cake = peer.client(grace=5.0, retry=RetryPolicy(base=20.0, draw=lambda: 1.0))

    async def run() -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            await update(cake)
        ended.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        now = anyio.current_time()
        await cake.aclose()
        assert anyio.current_time() == now
    assert len(peer.requests) == 1
    assert type(ended[0].cause) is ClosedError


async def test_errors_hide_payloads_unless_they_may_show_them() -> None:
    answer = json.dumps({"success": False, "message": "the memo canary note is too odd"})
    for show_sensitive in (False, True):
        async with Peer(says(answer)).client(show_sensitive=show_sensitive) as cake:
            with pytest.raises(ApiError) as caught:
                await cake.invoices.update(1, memo="canary note")
        assert ("canary note" in str(caught.value)) is show_sensitive
        async with Peer(says("oops", 500)).client(show_sensitive=show_sensitive) as cake:
            with pytest.raises(OutcomeUnknown) as unknown:
                await cake.invoices.update(1, memo="canary note")
        assert ("canary note" in repr(unknown.value.intent)) is show_sensitive
        assert unknown.value.intent.arguments["memo"] == "canary note"


async def test_a_call_that_fails_while_an_error_is_handled_leaves_that_one_alone() -> None:
    seen: list[object] = []
    async with Peer(says("{")).client() as cake:
        try:
            int("none")
        except ValueError as handled:
            seen += [handled, handled.__traceback__]
            with pytest.raises(DecodeError) as caught:
                await cake.invoices.get(1)
            seen += [caught.value.__context__, handled.__traceback__]
            assert not caught.value.__suppress_context__
    assert seen[1] is not None
    assert seen[2:] == seen[:2]


async def test_a_row_of_the_other_kind_is_not_of_what_was_asked_for() -> None:
    row = {"invoice_id": 5, "invoice_status": "paid", "total_amount": "1.00"}
    for asked, other in (("affiliate_id", "advertiser_id"), ("advertiser_id", "affiliate_id")):
        rows = {"request_status": "Success", "invoices": [row | {other: 7}], "total_rows": 1}
        async with Peer(says(rows)).client() as cake:
            with pytest.raises(ConsistencyError, match=f"invoice 5 has no {asked}, but 7 was"):
                await cake.invoices.find(**{asked: 7}).collect()  # type: ignore[arg-type] # an id
            assert len(await cake.invoices.find(**{other: 7}).collect()) == 1  # type: ignore[arg-type] # the same


async def test_restricted_is_a_no() -> None:
    peer = Peer(says("<r><success>false</success><message>Restricted</message></r>"))
    async with peer.client() as cake:
        with pytest.raises(Restricted) as caught:
            await cake.with_options(attempts=1).affiliate_bills.mark_received(1, invoiced_amount=1)
    assert caught.value.outcome is Outcome.NOT_DONE


@pytest.mark.parametrize(
    "anyio_backend",
    [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
    ids=["trio"],
)
async def test_a_look_that_was_refused_says_nothing_of_the_attempt_after_it() -> None:
    """The look is refused for the key, another one is there by then, and that attempt is lost."""
    keys = iter(["first-key", "second-key"])

    async def key() -> str:
        return next(keys)

    refused = says({"success": False, "message": "Invalid API key"})
    wait = says("slow down", 429, **{"Retry-After": "7"})
    seen = says(
        {
            "request_status": "Success",
            "invoices": [{"invoice_id": 1, "invoice_status": "pending", "total_amount": "1"}],
            "total_rows": 1,
        }
    )
    peer = Peer(seen, wait, refused, refused, seen, Held(done()))
    async with peer.client(api_key=key) as cake:
        with pytest.raises(OutcomeUnknown):
            await cake.invoices.update(
                1, invoice_status="approved", expect=Expect(invoice_status="pending")
            )
    assert len(peer.requests) == 6
