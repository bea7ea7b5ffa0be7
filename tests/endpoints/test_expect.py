"""An update that expects something of its invoice: looked at before it is sent, and again."""

import copy
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from starlette.responses import Response

from aiocake import (
    ArgumentError,
    Client,
    Conflict,
    DecodeError,
    Expect,
    Invoice,
    InvoiceStatus,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RetryPolicy,
    ServerError,
    Throttle,
    UpdatedInvoice,
)
from aiocake._operations.conditions import WriteCondition
from aiocake.endpoints._invoice_flow import compare
from aiocake.errors import AuthenticationError, Intent
from aiocake.events import (
    AttemptBegan,
    AttemptEnded,
    CallEnded,
    Event,
    Looked,
    RetryScheduled,
    Waited,
)
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import RecordedRequest

from ..support.clients import NO_BACKOFF, in_process
from ..support.clock import SIMULATED
from ..support.loops import both_loops  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

PENDING = Expect(invoice_status="pending", total_amount=Decimal("1250.0"), currency="USD")


class Ledger:
    """A ledger that keeps what it is told."""

    def __init__(self) -> None:
        self.before_: list[Intent] = []
        self.after_: list[Outcome] = []

    async def before(self, intent: Intent) -> None:
        self.before_.append(intent)

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        assert intent in self.before_
        self.after_.append(outcome)


def sent(sandbox: Sandbox) -> list[str | None]:
    return [each.operation for each in sandbox.state.requests]


def status_of(sandbox: Sandbox) -> str:
    return sandbox.state.invoices[4821].invoice_status


def lose(sandbox: Sandbox, *, done: bool, times: int = 1, meanwhile: str | None = None) -> None:
    """Lose the answer to the first updates; somebody sets the status after that."""
    left = times

    def gone(request: RecordedRequest, *_: object) -> Response | None:
        nonlocal left
        if request.operation != "update_invoice" or not left:
            return None
        left -= 1
        if meanwhile is not None:
            sandbox.state.invoices[4821].invoice_status = meanwhile
        return Response("gone", 502)

    (sandbox.state.on_response if done else sandbox.state.on_request).append(gone)


async def test_what_is_as_expected_is_sent() -> None:
    sandbox, ledger, events = Sandbox(), Ledger(), list[Event]()
    async with in_process(sandbox, ledger=ledger, on_event=events.append) as cake:
        updated = await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert (updated.invoice_id, updated.invoice_status) == (4821, "approved")
    assert sent(sandbox) == ["invoices", "update_invoice"]
    assert status_of(sandbox) == "approved"
    (intent,) = ledger.before_
    assert intent.expect == PENDING.stated()
    assert ledger.after_ == [Outcome.DONE]
    # The look is a call of its own.
    assert [(type(each), each.operation, each.call) for each in events] == [  # type: ignore[union-attr]
        (AttemptBegan, "invoices.get", 2),
        (AttemptEnded, "invoices.get", 2),
        (CallEnded, "invoices.get", 2),
        (Looked, "invoices.update", 1),
        (AttemptBegan, "invoices.update", 1),
        (AttemptEnded, "invoices.update", 1),
        (CallEnded, "invoices.update", 1),
    ]


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        (Expect(invoice_status="approved"), "invoice_status is pending, not approved"),
        (Expect(total_amount=1251), "total_amount is another"),
        (Expect(currency="EUR"), "currency is USD, not EUR"),
        (Expect(affiliate_id=1), "affiliate_id is 67890, not 1"),
        (Expect(advertiser_id=501), "advertiser_id is not shown, not 501"),
        (
            Expect(invoice_status="void", currency="EUR"),
            "invoice_status is pending, not void; currency is USD, not EUR",
        ),
    ],
)
async def test_what_is_not_is_a_conflict_and_nothing_is_sent(expect: Expect, reason: str) -> None:
    sandbox, ledger, events = Sandbox(), Ledger(), list[Event]()
    async with in_process(sandbox, ledger=ledger, on_event=events.append) as cake:
        with pytest.raises(Conflict) as caught:
            await cake.invoices.update(4821, memo="x", expect=expect)
        assert cake.stats().unknowns == cake.stats().in_flight == 0
    error = caught.value
    assert str(error) == f"invoice 4821 is not as expected: {reason}"
    assert (error.outcome, error.operation) == (Outcome.NOT_DONE, "invoices.update")
    assert isinstance(error.found, Invoice)
    assert error.found.total_amount == Decimal("1250.00")
    assert sent(sandbox) == ["invoices"]
    assert not ledger.before_
    ended = events[-1]
    assert isinstance(ended, CallEnded)
    assert (ended.attempts, ended.outcome, ended.error) == (0, Outcome.NOT_DONE, "Conflict")


async def test_amounts_are_named_where_they_may_be() -> None:
    async with in_process(Sandbox(), show_sensitive=True) as cake:
        with pytest.raises(Conflict, match=r"total_amount is 1250\.00, not 3"):
            await cake.invoices.update(4821, memo="x", expect=Expect(total_amount=3))


async def test_an_error_can_be_pickled_and_copied() -> None:
    async with in_process(Sandbox()) as cake:
        with pytest.raises(Conflict) as caught:
            await cake.invoices.update(4821, memo="x", expect=Expect(affiliate_id=3))
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):  # noqa: S301 - just made
        assert (str(again), again.found) == (str(caught.value), caught.value.found)


@pytest.mark.parametrize("done", [True, False])
async def test_after_a_lost_answer_it_is_looked_at_again(*, done: bool) -> None:
    """Carried out, it is done; not carried out, it is sent again."""
    sandbox, ledger = Sandbox(), Ledger()
    lose(sandbox, done=done)
    async with in_process(sandbox, ledger=ledger) as cake:
        updated = await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert (updated.invoice_id, updated.invoice_status) == (4821, "approved")
    if done:
        assert updated == UpdatedInvoice(invoice_id=4821, invoice_status=updated.invoice_status)
    assert sent(sandbox) == ["invoices", "update_invoice"] * (1 if done else 2) + (
        ["invoices"] if done else []
    )
    assert status_of(sandbox) == "approved"
    assert len(ledger.before_) == 1
    assert ledger.after_ == [Outcome.DONE]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("meanwhile", ["void", "paid"])
async def test_after_a_lost_answer_what_is_neither_stays_unknown(
    meanwhile: str, *, done: bool
) -> None:
    sandbox, ledger = Sandbox(), Ledger()
    lose(sandbox, done=done, meanwhile=meanwhile)
    async with in_process(sandbox, ledger=ledger) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
        assert cake.stats().unknowns == 1
    assert isinstance(caught.value.cause, Conflict)
    assert caught.value.cause.found.invoice_status == meanwhile
    assert caught.value.intent.attempts == 1
    assert sent(sandbox) == ["invoices", "update_invoice", "invoices"]
    assert status_of(sandbox) == meanwhile
    assert ledger.after_ == [Outcome.UNKNOWN]


async def test_what_is_set_besides_the_status_is_set_again_after_a_lost_answer() -> None:
    """No list shows a note, or when an invoice was paid: whether they are there is not guessed."""
    sandbox = Sandbox()
    sandbox.state.invoices[4821].invoice_status = "approved"
    lose(sandbox, done=True)
    async with in_process(sandbox) as cake:
        await cake.invoices.update(
            4821,
            invoice_status="paid",
            paid_at=datetime(2024, 2, 15, tzinfo=UTC),
            expect=Expect(invoice_status="approved"),
        )
    assert sent(sandbox) == ["invoices", "update_invoice"] * 2


async def test_a_refused_attempt_has_not_left_and_its_look_lasts() -> None:
    sandbox = Sandbox()
    refusals = [Response("Busy", 429)]
    sandbox.state.on_request.append(
        lambda request: (
            refusals.pop() if refusals and request.operation == "update_invoice" else None
        )
    )
    async with in_process(sandbox) as cake:
        await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert sent(sandbox) == ["invoices", "update_invoice", "update_invoice"]


@SIMULATED
async def test_a_look_that_is_older_than_five_seconds_is_made_again() -> None:
    sandbox = Sandbox()
    refusals = [Response("Busy", 429, headers={"Retry-After": "6"})]

    def refuse(request: RecordedRequest) -> Response | None:
        if not refusals or request.operation != "update_invoice":
            return None
        sandbox.state.invoices[4821].invoice_status = "void"
        return refusals.pop()

    sandbox.state.on_request.append(refuse)
    async with in_process(sandbox) as cake:
        with pytest.raises(Conflict):  # refused, it has done nothing
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert sent(sandbox) == ["invoices", "update_invoice", "invoices"]
    assert status_of(sandbox) == "void"


@pytest.mark.parametrize(
    ("answer", "error", "times"),
    [
        (Response("gone", 500), ServerError, 3),
        (Response('{"success": true, "invoices": 5}'), DecodeError, 1),
        (Response('{"success": true, "total_rows": 0, "invoices": []}'), NotFound, 1),
        (Response('{"success": false, "message": "Invalid API key"}', 401), AuthenticationError, 1),
    ],
)
async def test_a_look_that_fails_ends_the_call_and_nothing_was_done(
    answer: Response, error: type[Exception], times: int
) -> None:
    sandbox, ledger = Sandbox(), Ledger()
    sandbox.state.on_request.append(
        lambda request: answer if request.operation == "invoices" else None
    )
    async with in_process(sandbox, ledger=ledger) as cake:
        with pytest.raises(error) as caught:
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
        assert cake.stats().in_flight == 0
    assert caught.value.outcome is Outcome.NOT_DONE  # type: ignore[attr-defined]
    assert caught.value.operation == "invoices.update"  # type: ignore[attr-defined]
    assert sent(sandbox) == ["invoices"] * times
    assert not ledger.before_


async def test_a_look_that_fails_behind_a_lost_answer_leaves_it_unknown() -> None:
    sandbox = Sandbox()
    lose(sandbox, done=False)

    def broken(request: RecordedRequest) -> Response | None:
        again = request.operation == "invoices" and len(sandbox.state.requests) > 1
        return Response("broken", 500) if again else None

    sandbox.state.on_request.append(broken)
    async with in_process(sandbox) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    # What the attempt met, which was sent.
    assert str(caught.value.cause) == "gone (HTTP 502)"
    assert sent(sandbox) == ["invoices", "update_invoice", *["invoices"] * 3]


async def test_a_look_is_tried_again_as_reads_are() -> None:
    sandbox, events = Sandbox(), list[Event]()
    sandbox.fail_next("server_error", times=2)
    async with in_process(sandbox, on_event=events.append) as cake:
        await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
        assert cake.stats().in_flight == 0
    assert sent(sandbox) == ["invoices"] * 3 + ["update_invoice"]
    assert [each.operation for each in events if isinstance(each, RetryScheduled)] == [
        "invoices.get",
        "invoices.get",
    ]


async def test_a_key_that_is_refused_to_the_look_is_asked_for_again() -> None:
    sandbox = Sandbox(api_key="NEW-KEY")
    keys = ["NEW-KEY", "OLD-KEY"]

    async def key() -> str:
        return keys.pop()

    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client("x.example", key, transport=transport, retry=NO_BACKOFF) as cake:
        await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert sent(sandbox) == ["invoices", "invoices", "update_invoice"]
    assert not keys


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_one_slot_is_enough(concurrency: int) -> None:
    """The look has the slot of its write: nobody waits for one who waits for him."""
    sandbox = Sandbox(invoices=30)
    expected = {n: each.invoice_status for n, each in sandbox.state.invoices.items()}
    async with in_process(sandbox, throttle=Throttle(concurrency=concurrency)) as cake:

        async def note(number: int) -> None:
            expect = Expect(invoice_status=expected[number])  # type: ignore[arg-type]
            await cake.invoices.update(number, memo="x", expect=expect)

        async with anyio.create_task_group() as tasks:
            for number in expected:
                tasks.start_soon(note, number)
        assert cake.stats().in_flight == cake.stats().waiting == 0
    assert sent(sandbox).count("invoices") == sent(sandbox).count("update_invoice") == 30


@SIMULATED
@pytest.mark.parametrize("burst", [1, 2])
async def test_a_hundred_that_wait_for_four_a_second_all_get_through(burst: int) -> None:
    """No look grows old in the queue, and the rate is kept: looks count like all requests."""
    sandbox = Sandbox(invoices=100)
    gaps: list[float] = []

    def heard(event: Event) -> None:
        if isinstance(event, Looked):
            gaps.append(event.seconds)

    throttle = Throttle(concurrency=8, rate=4, burst=burst)
    async with in_process(sandbox, throttle=throttle, on_event=heard) as cake:
        quick = cake.with_options(total=120)

        async def note(number: int, status: Any) -> None:  # noqa: ANN401 - an open set
            await quick.invoices.update(number, memo="x", expect=Expect(invoice_status=status))

        async with anyio.create_task_group() as tasks:
            for number, each in sandbox.state.invoices.items():
                tasks.start_soon(note, number, each.invoice_status)
    times = [each.time for each in sandbox.state.requests]
    assert len(times) == 200
    assert len(gaps) == 100
    assert max(gaps) <= 2.0
    for first, later in zip(times, times[burst:], strict=False):
        assert later - first >= 0.25 - 1e-6


@SIMULATED
async def test_at_a_slow_rate_a_write_goes_before_its_look_is_old() -> None:
    sandbox, gaps = Sandbox(invoices=20), list[float]()

    def heard(event: Event) -> None:
        if isinstance(event, Looked):
            gaps.append(event.seconds)

    throttle = Throttle(concurrency=8, rate=0.05, burst=1)
    async with in_process(sandbox, throttle=throttle, on_event=heard) as cake:
        quick = cake.with_options(total=10_000)

        async def note(number: int, status: Any) -> None:  # noqa: ANN401 - an open set
            await quick.invoices.update(number, memo="x", expect=Expect(invoice_status=status))

        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for number, each in sandbox.state.invoices.items():
                tasks.start_soon(note, number, each.invoice_status)
        took = anyio.current_time() - began
    assert len(gaps) == 20
    assert max(gaps) <= 5.0
    # What went early is made up for: 40 requests, one in 20 seconds.
    assert took >= 38 * 20


@pytest.mark.parametrize("when", ["the look", "the write"])
async def test_a_caller_that_is_cancelled(when: str) -> None:
    sandbox, ledger = Sandbox(), Ledger()
    arrived, go_on = anyio.Event(), anyio.Event()
    operation = "invoices" if when == "the look" else "update_invoice"

    async def hold(request: RecordedRequest) -> None:
        if request.operation == operation:
            arrived.set()
            await go_on.wait()

    sandbox.state.on_request.append(hold)
    events: list[Event] = []
    async with in_process(sandbox, ledger=ledger, on_event=events.append) as cake:
        async with anyio.create_task_group() as tasks:

            async def update() -> None:
                await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)

            tasks.start_soon(update)
            await arrived.wait()
            tasks.cancel_scope.cancel()
            if when == "the write":
                go_on.set()
        assert cake.stats().in_flight == 0
        sandbox.state.on_request.clear()
        # The slot can be used again.
        await cake.invoices.get(4821)
    ended = [each for each in events if isinstance(each, CallEnded) and each.call == 1]
    if when == "the look":
        assert not ledger.before_
        assert status_of(sandbox) == "pending"
        assert [each.outcome for each in ended] == [Outcome.NOT_DONE]
    else:  # it has left: it is waited for
        assert ledger.after_ == [Outcome.DONE]
        assert status_of(sandbox) == "approved"
        assert [each.outcome for each in ended] == [Outcome.DONE]


@SIMULATED
async def test_a_look_has_the_time_of_its_call() -> None:
    sandbox, ledger = Sandbox(), Ledger()

    async def never(_: object) -> None:
        await anyio.sleep_forever()

    sandbox.state.on_request.append(never)
    async with in_process(sandbox, ledger=ledger) as cake:
        began = anyio.current_time()
        with pytest.raises(NotSent, match="the record was not seen within 7 s"):
            await cake.with_options(total=7, attempts=1).invoices.update(
                4821, invoice_status="approved", expect=PENDING
            )
        assert anyio.current_time() - began == pytest.approx(7)
    assert not ledger.before_


async def test_a_ledger_that_does_not_take_it_keeps_it_from_being_sent() -> None:
    sandbox = Sandbox()

    class Full(Ledger):
        async def before(self, intent: Intent) -> None:
            raise OSError(intent.operation)

    async with in_process(sandbox, ledger=Full()) as cake:
        with pytest.raises(NotSent, match="the ledger refused the write: OSError"):
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
        assert cake.stats().in_flight == 0
        await cake.invoices.get(4821)
    assert sent(sandbox) == ["invoices", "invoices"]


@SIMULATED
async def test_after_a_ledger_that_takes_its_time_it_is_looked_at_again() -> None:
    sandbox = Sandbox()

    class Slow(Ledger):
        async def before(self, intent: Intent) -> None:
            await super().before(intent)
            await anyio.sleep(6)
            sandbox.state.invoices[4821].invoice_status = "void"

    ledger = Slow()
    async with in_process(sandbox, ledger=ledger) as cake:
        with pytest.raises(Conflict):
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert sent(sandbox) == ["invoices", "invoices"]
    assert ledger.after_ == [Outcome.NOT_DONE]


@pytest.mark.parametrize("odd", [None, "pending", {"invoice_status": "pending"}, Expect])
async def test_what_is_no_expect_is_refused_with_all_else_that_is_wrong(odd: Any) -> None:  # noqa: ANN401
    sandbox = Sandbox()
    async with in_process(sandbox) as cake:
        with pytest.raises(ArgumentError) as caught:
            await cake.invoices.update(4821, invoice_status="payed", expect=odd)  # type: ignore[arg-type]
        assert [each.name for each in caught.value.problems] == ["invoice_status", "expect"]
        with pytest.raises(ArgumentError, match="expect: must be an Expect, got"):
            await cake.invoices.update(4821, memo="x", expect=odd)
    assert not sandbox.state.requests


async def test_the_key_is_in_no_text_of_what_was_found() -> None:
    sandbox = Sandbox()
    sandbox.state.invoices[4821].partner_name = "SANDBOX-KEY"
    sandbox.state.invoices[4821].currency = "SANDBOX-KEY"
    async with in_process(sandbox) as cake:
        with pytest.raises(Conflict) as caught:
            await cake.invoices.update(4821, memo="x", expect=PENDING)
    assert "SANDBOX-KEY" not in f"{caught.value!r} {caught.value.found}"


async def test_a_view_with_one_attempt_looks_too() -> None:
    sandbox: Sandbox = Sandbox()
    lose(sandbox, done=True)
    async with in_process(sandbox, retry=RetryPolicy(attempts=1)) as cake:
        with pytest.raises(OutcomeUnknown):
            await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    assert sent(sandbox) == ["invoices", "update_invoice"]


@SIMULATED
async def test_a_wait_for_a_further_turn_is_told_of() -> None:
    waits: list[Waited] = []

    def heard(event: Event) -> None:
        if isinstance(event, Waited):
            waits.append(event)

    throttle = Throttle(rate=2, burst=1)
    async with in_process(Sandbox(), throttle=throttle, on_event=heard) as cake:
        await cake.invoices.update(4821, invoice_status="approved", expect=PENDING)
    (wait,) = waits
    assert (wait.operation, wait.got_turn) == ("invoices.update", True)
    assert wait.seconds == pytest.approx(0.5)


@pytest.mark.parametrize(("symbol", "differs"), [("CHF", False), ("EUR", True)])
def test_a_currency_may_be_shown_by_its_symbol(symbol: str, *, differs: bool) -> None:
    """A plan has of an invoice what the instance shows, and expects that."""
    invoice = Invoice(
        invoice_id=1,
        invoice_status=InvoiceStatus.PENDING,
        total_amount=Decimal(1),
        currency_symbol=symbol,
    )
    expected = WriteCondition(Expect(currency="CHF"))
    seen = compare(invoice, {"invoice_status": "approved"}, expected, show_sensitive=False)
    assert bool(seen.differences) is differs
