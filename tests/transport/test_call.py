"""The facts of one call, step by step, and what they come to."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import anyio
import attrs
import pytest

from aiocake._messages import Request, Response
from aiocake._operations.conditions import WriteCondition
from aiocake._pipeline.call_state import CallLimits, CallState, Turn
from aiocake._pipeline.outcome import verdict
from aiocake._transport.failures import FailureKind, TransportFailure
from aiocake._transport.network_time import NetworkTimeBudget
from aiocake.errors import (
    CakeError,
    ClosedError,
    Conflict,
    DeadlineExceeded,
    Intent,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    ServerError,
)
from aiocake.models import Invoice, InvoiceStatus
from aiocake.values import Idempotency, Secret

pytestmark = pytest.mark.anyio

REQUEST = Request("invoices.update", "POST", "/")
WRITE = CallLimits(Idempotency.IDEMPOTENT, total=7.5, read=1.0, attempts=3)
READ = attrs.evolve(WRITE, idempotency=Idempotency.SAFE)
LOST = TransportFailure(FailureKind.CONNECTION_LOST, sent=True, text="lost")
UNREACHED = TransportFailure(FailureKind.CONNECT, sent=False, text="refused")
FINE = Response(200, {}, b"ok")
#: A slot, and a key with the number of times that it had been asked for.
SLOT, USED = 3, (Secret("x"), 2)


async def test_each_attempt_begins_anew() -> None:
    call = CallState(REQUEST, WRITE)
    assert (call.being_sent, call.attempts, call.sent_before) == (False, 0, False)
    assert (call.attempt, call.sent) == (None, False)
    before = anyio.current_time()
    attempt = call.begin(SLOT, USED)
    assert before <= attempt.began <= anyio.current_time()
    assert attempt is call.attempt
    assert (attempt.slot, attempt.key) == (SLOT, USED)
    assert (attempt.status, attempt.headers, attempt.framed, attempt.kept) == (
        None,
        {},
        True,
        False,
    )
    assert (call.being_sent, call.attempts, call.sent) == (True, 1, False)
    attempt.trace.sent = True
    assert call.sent
    attempt.status, attempt.headers, attempt.framed = 500, {"a": "b"}, False
    error = call.end(ServerError("x", status=500))
    assert isinstance(error, ServerError)
    assert (call.being_sent, call.maybe_done, call.sent_before) == (False, True, False)
    another = call.begin(SLOT, USED)
    assert another is not attempt
    assert another.trace is not attempt.trace
    assert (another.status, another.headers, another.framed) == (None, {}, True)
    assert (call.reply, call.error, call.maybe_done) == (None, None, True)
    assert (call.sent_before, call.attempts, call.sent) == (True, 2, False)
    assert call.end(UNREACHED) is call.error
    assert isinstance(call.error, NotSent)
    # What was once sent before stays so.
    call.begin(SLOT, USED)
    assert call.sent_before is True
    assert call.attempts == 3


async def test_what_was_refused_for_the_old_key_does_not_count() -> None:
    call = CallState(REQUEST, WRITE)
    call.begin(SLOT, USED).trace.sent = True
    call.end(CakeError("x"))
    call.renew()
    assert (call.attempt, call.error, call.sent, call.attempts) == (None, None, False, 1)


async def test_an_attempt_that_cannot_have_been_done_is_none_that_was_sent_before() -> None:
    call = CallState(REQUEST, WRITE)
    call.begin(SLOT, USED)
    call.end(UNREACHED)
    call.begin(SLOT, USED)
    assert call.sent_before is False
    call.reply = FINE
    assert call.end(None) is None
    assert call.reply is FINE
    call.begin(SLOT, USED)
    assert call.sent_before is False
    call.reply = FINE
    call.end(LOST)
    assert call.reply is None


async def test_what_is_left() -> None:
    call = CallState(REQUEST, WRITE)
    assert call.left() == float("inf")
    call.deadline = anyio.current_time() + 100
    assert 90 < call.left() <= 100
    call.abandoned = True
    assert call.left() == 0.0
    network_time = NetworkTimeBudget(5.0)
    call = CallState(REQUEST, WRITE, network_time=network_time)
    call.deadline = 0.0
    assert call.left() == 5.0


@pytest.mark.parametrize(
    ("sent", "sent_before", "sending", "met", "kind", "text"),
    [
        (True, False, True, None, DeadlineExceeded, "no response within 7.5 s"),
        (False, True, True, None, DeadlineExceeded, "no response within 7.5 s"),
        (False, False, True, None, NotSent, "nothing was sent: no response within 7.5 s"),
        (False, False, False, None, NotSent, "nothing was sent: no turn within 7.5 s"),
        (True, False, False, "x", CakeError, "x"),
        (True, False, True, "x", DeadlineExceeded, "no response within 7.5 s"),
    ],
)
async def test_what_a_deadline_makes_of_it(  # noqa: PLR0913 - a table
    *, sent: bool, sent_before: bool, sending: bool, met: str | None, kind: type, text: str
) -> None:
    call = CallState(REQUEST, WRITE)
    call.begin(SLOT, USED).trace.sent = sent
    call.sent_before, call.being_sent = sent_before, sending
    call.error = None if met is None else CakeError(met)
    call.cut(closed=False)
    assert type(call.error) is kind
    assert str(call.error) == text


def test_what_the_end_of_the_client_makes_of_it() -> None:
    call = CallState(REQUEST, WRITE)
    call.error = CakeError("x")
    call.cut(closed=True)
    assert isinstance(call.error, ClosedError)
    assert str(call.error) == "the client was closed during the call"
    call = CallState(REQUEST, WRITE)
    call.reply = FINE
    call.cut(closed=True)
    assert (call.reply, call.error) == (FINE, None)


@pytest.mark.parametrize(
    ("sent", "sent_before", "kind", "text"),
    [
        (True, False, CakeError, "the caller was cancelled"),
        (False, True, CakeError, "the caller was cancelled"),
        (False, False, NotSent, "nothing was sent: the caller was cancelled"),
    ],
)
async def test_what_a_cancellation_makes_of_it(
    *, sent: bool, sent_before: bool, kind: type, text: str
) -> None:
    call = CallState(REQUEST, WRITE)
    call.begin(SLOT, USED).trace.sent = sent
    call.sent_before = sent_before
    call.abandon()
    assert type(call.error) is kind
    assert str(call.error) == text


def test_a_cancellation_changes_nothing_that_is_known() -> None:
    call = CallState(REQUEST, WRITE)
    call.error = error = CakeError("x")
    call.abandon()
    assert call.error is error
    call = CallState(REQUEST, WRITE)
    call.reply = FINE
    call.abandon()
    assert (call.reply, call.error) == (FINE, None)


@pytest.mark.parametrize("end", ["end", "cut", "abandon"])
async def test_when_a_write_left(end: str) -> None:
    for plan, known in ((WRITE, True), (READ, False)):
        call = CallState(REQUEST, plan)
        call.begin(SLOT, USED)
        call.end(UNREACHED)
        assert call.left_at is None
        before = datetime.now(UTC)
        attempt = call.begin(SLOT, USED)
        after = datetime.now(UTC)
        attempt.trace.sent = True
        call.error = None
        if end == "end":
            call.end(LOST)
        elif end == "cut":
            call.cut(closed=False)
        else:
            call.abandon()
        assert (call.left_at is not None) == known
        if call.left_at is not None:
            assert before <= call.left_at <= after
            first = call.left_at
            call.begin(SLOT, USED).trace.sent = True
            call.end(LOST)
            assert call.left_at is first
            call.renew()
            assert call.left_at is first


class Lease:
    """One that never ends."""

    def has_passed(self, seconds: float) -> bool:
        return seconds < 0


async def test_whether_a_write_has_left() -> None:
    not_after = Lease()
    call = CallState(REQUEST, WRITE, not_after=not_after)
    assert call.not_after is not_after
    assert not call.has_left()
    trace = call.begin(SLOT, USED).trace
    assert not call.has_left()
    trace.sent = True
    assert call.has_left()
    call.end(LOST)
    assert not call.has_left()


class Watch:
    async def before(self, intent: Intent) -> None:
        pass

    def after(self, value: object, error: CakeError | None) -> None:
        pass


async def test_what_a_call_is_made_with() -> None:
    intent, observer, condition = Intent("1", "invoices.update"), Watch(), WriteCondition(None)
    call = CallState(
        REQUEST,
        WRITE,
        arguments={"memo": "x"},
        intent=intent,
        condition=condition,
        observer=observer,
        on_response=anyio.lowlevel.checkpoint,
        number=7,
    )
    assert (call.intent, call.condition, call.observer) == (intent, condition, observer)
    assert (call.on_response, call.arguments, call.number) == (
        anyio.lowlevel.checkpoint,
        {"memo": "x"},
        7,
    )
    assert (call.needed, call.network_time) == (0.0, None)
    assert CallState(REQUEST, WRITE).arguments == {}


@pytest.mark.parametrize("limits", [READ, WRITE])
@pytest.mark.parametrize("outcomes", [(), (LOST,), (UNREACHED,), (LOST, UNREACHED)])
async def test_a_pause_has_the_last_word_but_over_what_may_be_done(
    limits: CallLimits, outcomes: tuple[TransportFailure, ...]
) -> None:
    call = CallState(REQUEST, limits)
    for outcome in outcomes:
        call.begin(SLOT, USED).trace.sent = outcome.sent
        call.end(outcome)
    met, reason = call.error, RateLimited("paused", status=429, sent=False)
    keeps = limits is WRITE and LOST in outcomes
    assert call.refused(reason) is call.error is (met if keeps else reason)


UNSEEN = "nothing was sent: the record was not seen within 7.5 s"
FOUND = Invoice(invoice_id=1, invoice_status=InvoiceStatus.PAID, total_amount=Decimal(5))
DIFFERS = Conflict("invoice 1 is not as expected", found=FOUND)


@pytest.mark.parametrize("outcomes", [(), (LOST,), (UNREACHED,), (LOST, UNREACHED)])
async def test_a_look_has_the_last_word_where_nothing_may_be_done_or_the_record_differs(
    outcomes: tuple[TransportFailure, ...],
) -> None:
    for reason in (ServerError("x", status=500), DeadlineExceeded("late"), DIFFERS):
        call = CallState(REQUEST, WRITE)
        for outcome in outcomes:
            call.begin(SLOT, USED).trace.sent = outcome.sent
            call.end(outcome)
        met = call.error
        assert (call.maybe_done, call.ended_by_look) == (LOST in outcomes, False)
        error = call.looked(reason)
        assert error is call.error
        assert call.ended_by_look
        if LOST in outcomes and not isinstance(reason, Conflict):
            assert error is met
        elif isinstance(reason, DeadlineExceeded):
            assert (type(error), str(error)) == (NotSent, UNSEEN)
        else:
            assert error is reason


async def test_the_deadline_of_a_look_and_of_a_turn() -> None:
    for looking, text in ((True, UNSEEN), (False, "nothing was sent: no turn within 7.5 s")):
        call = CallState(REQUEST, WRITE)
        assert (call.looking, call.recorded, call.keeps_slot) == (False, False, False)
        call.looking = looking
        call.cut(closed=False)
        assert (type(call.error), str(call.error)) == (NotSent, text)
    call.looking = True
    call.begin(SLOT, USED)
    assert call.looking is False


async def test_a_turn_takes_the_slot_of_a_look_that_succeeded() -> None:
    turn = Turn(SLOT, USED)
    assert (turn.slot, turn.key, turn.spent, turn.asked_at) == (SLOT, USED, False, -math.inf)
    attempt = CallState(REQUEST, READ).begin(5, (Secret("y"), 3))
    turn.took(attempt)
    assert (turn.slot, turn.key, turn.spent) == (5, attempt.key, True)
    assert turn.asked_at == attempt.began


async def test_a_write_that_is_unknown_tells_when_it_left_and_what_came_back() -> None:
    """Of what an earlier attempt got the beginning, it was most likely carried out."""
    intent = Intent("1", "invoices.update", at=datetime(2024, 1, 1, tzinfo=UTC))
    for status, likely in ((200, True), (502, False)):
        call = CallState(REQUEST, WRITE, intent=intent)
        call.begin(SLOT, USED).trace.sent = True
        call.broken_off(status, {}, b'{"request_status"')
        error = call.end(LOST)
        assert error is not None
        unknown = verdict(call, error)
        assert isinstance(unknown, OutcomeUnknown)
        assert unknown.intent.at == call.left_at != intent.at
        assert unknown.applied_likely is likely


async def test_a_write_that_never_left_is_unknown_since_it_was_called() -> None:
    """A run has sent it before this call, whose look at the record failed."""
    intent = Intent("1", "invoices.update", at=datetime(2024, 1, 1, tzinfo=UTC))
    condition = WriteCondition(None, in_doubt=True)
    call = CallState(REQUEST, WRITE, intent=intent, condition=condition)
    unknown = verdict(call, call.looked(NotSent("no turn")))
    assert isinstance(unknown, OutcomeUnknown)
    assert unknown.intent.at == intent.at
    # Without that, a look that failed leaves nothing to doubt.
    call = CallState(REQUEST, WRITE, intent=intent, condition=WriteCondition(None))
    assert verdict(call, call.looked(NotSent("no turn"))).outcome is Outcome.NOT_DONE


async def test_no_turn_leaves_the_last_word_to_what_was_met() -> None:
    call = CallState(REQUEST, WRITE)
    refused = NotSent("no turn")
    assert call.queue_ended(refused) is refused is call.error
    assert call.queue_ended(NotSent("another")) is refused


async def test_what_became_of_it() -> None:
    call = CallState(REQUEST, WRITE)
    call.begin(SLOT, USED).trace.sent = True
    call.broken_off(200, {"a": "b"}, b"x" * 5000)
    call.end(LOST)
    call.begin(SLOT, USED).trace.sent = True
    call.broken_off(201, {}, b"y")
    error = call.end(ServerError("x", status=500))
    assert (call.reply, call.error, call.attempts) == (None, error, 2)
    assert (call.sent, call.sent_before) == (True, True)
    assert call.left_at is not None
    first, second = call.partial
    assert (first.status, first.headers, second.status) == (200, {"a": "b"}, 201)
    assert b"x" * 10 in first.body
    assert len(first.body) < 5000
    assert second.body == b"y"
    call.begin(SLOT, USED)
    call.reply = FINE
    call.end(None)
    assert (call.reply, call.error, call.sent) == (FINE, None, False)
