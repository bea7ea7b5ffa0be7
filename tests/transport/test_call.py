"""The facts of one call, step by step, and what they come to."""

from datetime import UTC, datetime

import anyio
import attrs
import pytest

from aiocake._wire import Request, Response
from aiocake.errors import CakeError, ClosedError, DeadlineExceeded, NotSent, ServerError
from aiocake.transport._allowance import Allowance
from aiocake.transport._call import Call, Plan
from aiocake.transport._fault import Fault, Kind
from aiocake.values import Effect

pytestmark = pytest.mark.anyio

REQUEST = Request("invoices.update", "POST", "/")
WRITE = Plan(Effect.SETS, total=7.5, read=1.0, attempts=3)
READ = attrs.evolve(WRITE, effect=Effect.READ)
LOST = Fault(Kind.BROKEN, sent=True, text="lost")
UNREACHED = Fault(Kind.UNREACHED, sent=False, text="refused")
FINE = Response(200, {}, b"ok")


async def test_each_attempt_begins_anew() -> None:
    begun: list[int] = []
    call = Call(REQUEST, WRITE, begun=begun.append)
    assert (call.sending, call.attempts, call.sent_before) == (False, 0, False)
    before = anyio.current_time()
    departure = call.begin()
    assert before <= call.began <= anyio.current_time()
    assert departure is call.departure
    assert (call.sending, call.attempts) == (True, 1)
    departure.sent = True
    call.status, call.headers, call.framed = 500, {"a": "b"}, False
    error = call.end(ServerError("x", status=500))
    assert isinstance(error, ServerError)
    assert (call.sending, call.maybe_done, call.sent_before) == (False, True, False)
    assert call.begin() is not departure
    assert (call.status, call.headers, call.framed) == (None, {}, True)
    assert (call.response, call.error, call.maybe_done) == (None, None, False)
    assert (call.sent_before, call.attempts) == (True, 2)
    assert call.end(UNREACHED) is call.error
    assert isinstance(call.error, NotSent)
    # What was once sent before stays so.
    call.begin()
    assert call.sent_before is True
    assert begun == [1, 2, 3]


async def test_an_attempt_that_cannot_have_been_done_is_none_that_was_sent_before() -> None:
    call = Call(REQUEST, WRITE)
    call.begin()
    call.end(UNREACHED)
    call.begin()
    assert call.sent_before is False
    call.response = FINE
    assert call.end(None) is None
    assert call.response is FINE
    call.begin()
    assert call.sent_before is False
    call.response = FINE
    call.end(LOST)
    assert call.response is None


async def test_what_is_left() -> None:
    call = Call(REQUEST, WRITE)
    assert call.left() == float("inf")
    call.deadline = anyio.current_time() + 100
    assert 90 < call.left() <= 100
    call.abandoned = True
    assert call.left() == 0.0
    allowance = Allowance(5.0)
    call = Call(REQUEST, WRITE, allowance)
    call.deadline = 0.0
    assert call.left() == 5.0


@pytest.mark.parametrize(
    ("sent", "sent_before", "sending", "met", "kind", "text"),
    [
        (True, False, True, None, DeadlineExceeded, "no answer within 7.5 s"),
        (False, True, True, None, DeadlineExceeded, "no answer within 7.5 s"),
        (False, False, True, None, NotSent, "nothing was sent: no answer within 7.5 s"),
        (False, False, False, None, NotSent, "nothing was sent: no turn within 7.5 s"),
        (True, False, False, "x", CakeError, "x"),
        (True, False, True, "x", DeadlineExceeded, "no answer within 7.5 s"),
    ],
)
def test_what_a_deadline_makes_of_it(  # noqa: PLR0913 - a table
    *, sent: bool, sent_before: bool, sending: bool, met: str | None, kind: type, text: str
) -> None:
    call = Call(REQUEST, WRITE)
    call.departure.sent, call.sent_before, call.sending = sent, sent_before, sending
    call.error = None if met is None else CakeError(met)
    call.cut(closed=False)
    assert type(call.error) is kind
    assert str(call.error) == text


def test_what_the_end_of_the_client_makes_of_it() -> None:
    call = Call(REQUEST, WRITE)
    call.error = CakeError("x")
    call.cut(closed=True)
    assert isinstance(call.error, ClosedError)
    assert str(call.error) == "the client was closed while the call was on its way"
    call = Call(REQUEST, WRITE)
    call.response = FINE
    call.cut(closed=True)
    assert (call.response, call.error) == (FINE, None)


@pytest.mark.parametrize(
    ("sent", "sent_before", "kind", "text"),
    [
        (True, False, CakeError, "the caller was cancelled"),
        (False, True, CakeError, "the caller was cancelled"),
        (False, False, NotSent, "nothing was sent: the caller was cancelled"),
    ],
)
def test_what_a_cancellation_makes_of_it(
    *, sent: bool, sent_before: bool, kind: type, text: str
) -> None:
    call = Call(REQUEST, WRITE)
    call.departure.sent, call.sent_before = sent, sent_before
    call.forsake()
    assert type(call.error) is kind
    assert str(call.error) == text


def test_a_cancellation_changes_nothing_that_is_known() -> None:
    call = Call(REQUEST, WRITE)
    call.error = error = CakeError("x")
    call.forsake()
    assert call.error is error
    call = Call(REQUEST, WRITE)
    call.response = FINE
    call.forsake()
    assert (call.response, call.error) == (FINE, None)


@pytest.mark.parametrize("end", ["end", "cut", "forsake"])
async def test_when_a_write_left(end: str) -> None:
    for plan, known in ((WRITE, True), (READ, False)):
        call = Call(REQUEST, plan)
        call.begin()
        call.end(UNREACHED)
        assert call.left_at is None
        before = datetime.now(UTC)
        call.begin()
        after = datetime.now(UTC)
        call.departure.sent = True
        call.error = None
        if end == "end":
            call.end(LOST)
        elif end == "cut":
            call.cut(closed=False)
        else:
            call.forsake()
        assert (call.left_at is not None) == known
        if call.left_at is not None:
            assert before <= call.left_at <= after
            first = call.left_at
            call.begin()
            call.departure.sent = True
            call.end(LOST)
            assert call.left_at is first


async def test_no_turn_leaves_the_last_word_to_what_was_met() -> None:
    call = Call(REQUEST, WRITE)
    refused = NotSent("no turn")
    assert call.no_turn(refused) is refused is call.error
    assert call.no_turn(NotSent("another")) is refused


async def test_what_became_of_it() -> None:
    call = Call(REQUEST, WRITE)
    call.begin()
    call.departure.sent = True
    call.broke_off(200, {"a": "b"}, b"x" * 5000)
    call.end(LOST)
    call.begin()
    call.broke_off(201, {}, b"y")
    call.departure.sent = True
    call.end(ServerError("x", status=500))
    made = call.exchange()
    assert (made.response, made.error, made.attempts) == (None, call.error, 2)
    assert (made.sent, made.sent_before, made.left_at) == (True, True, call.left_at)
    assert made.left_at is not None
    first, second = made.partial
    assert (first.status, first.headers, second.status) == (200, {"a": "b"}, 201)
    assert b"x" * 10 in first.body
    assert len(first.body) < 5000
    assert second.body == b"y"
    call.begin()
    call.response = FINE
    call.end(None)
    made = call.exchange()
    assert (made.response, made.error, made.sent) == (FINE, None, False)
