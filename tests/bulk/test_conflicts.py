# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Calls of a run whose invoice is not as expected: skipped, raised or overwritten; and the flow."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.responses import Response

from aiocake import ArgumentError, Client, Conflict, Expect, Invoice, JournalError, bulk
from aiocake.bulk import Call, Done, Failed, Journal, Progress, Skipped, Unknown
from aiocake.bulk.journal import EntryState
from aiocake.events import Event, RunEnded
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import InvoiceRecord

pytestmark = pytest.mark.anyio

PENDING = Expect(invoice_status="pending", total_amount=Decimal("1250.00"), currency="USD")


def approve(cake: Client, expect: Expect = PENDING) -> Call[Any]:
    return bulk.call(cake.invoices.update, 4821, invoice_status="approved", expect=expect)


def with_status(status: str) -> Sandbox:
    sandbox = Sandbox()
    sandbox.state.invoices[4821].invoice_status = status
    return sandbox


def is_write(request) -> bool:
    return request.operation == "update_invoice"


async def test_what_is_as_expected_is_carried_out(ledgers, tmp_path: Path) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        summary = await bulk.each([approve(cake)], journal=tmp_path / "run.db")
    assert (summary.done, summary.conflicts, summary.complete) == (1, 0, True)
    assert [each.operation for each in books.state.requests] == ["invoices", "update_invoice"]
    assert summary.oldest_look is not None
    assert summary.oldest_look < 5


@pytest.mark.parametrize("form", ["with journal", "without"])
async def test_what_is_not_is_skipped_with_what_was_found(
    ledgers, tmp_path: Path, form: str
) -> None:
    books, path = ledgers(with_status("void")), tmp_path / "run.db"
    ends: list[object] = []
    progress: list[Progress] = []
    events: list[Event] = []
    async with books.client(on_event=events.append) as cake:
        call = approve(cake)
        summary = await bulk.each(
            [call],
            journal=path if form == "with journal" else None,
            on_outcome=ends.append,
            on_progress=progress.append,
        )
        found = await cake.invoices.get(4821)
    reason = "invoice 4821 is not as expected: invoice_status is void, not pending"
    assert ends == [Skipped(0, call, (), found, reason)] == list(summary.problems)
    assert (summary.done, summary.failed, summary.skipped, summary.conflicts) == (0, 0, 1, 1)
    assert not summary.complete
    assert summary.stopped is None
    assert not books.writes
    assert [(each.skipped, each.conflicts) for each in progress] == [(1, 1)]
    (ended,) = (each for each in events if isinstance(each, RunEnded))
    assert (ended.skipped, ended.conflicts, ended.stopped) == (1, 1, False)
    if form == "with journal":
        async with await Journal.open(path) as journal:
            (entry,) = await journal.entries()
        assert entry.state is EntryState.SKIPPED
        assert entry.intent is None  # nothing was about to be sent
        kept = json.loads(entry.detail or "")
        assert kept["reason"] == reason
        assert kept["found"]["invoice_status"] == "void"
        assert kept["found"]["total_amount"] == "1250.00"


async def test_conflicts_are_no_failures_and_stop_nothing(ledgers) -> None:
    books = ledgers(Sandbox(invoices=200))
    for each in books.state.invoices.values():
        each.invoice_status = "void"
    async with books.client() as cake:
        numbers = list(books.state.invoices)
        calls = [bulk.call(cake.invoices.update, n, invoice_status="paid") for n in numbers]
        summary = await bulk.each(calls, journal=None)
    assert (summary.conflicts, summary.failed, summary.stopped) == (200, 0, None)


async def test_one_that_is_raised_ends_the_run(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(with_status("void")), tmp_path / "run.db"
    async with books.client() as cake:
        with pytest.raises(Conflict) as caught:
            await bulk.each([approve(cake)], journal=path, on_conflict="raise")
        assert caught.value.found.invoice_status == "void"
        assert not books.writes
        # It failed: a later session looks again.
        books.state.invoices[4821].invoice_status = "pending"
        assert (await bulk.resume(path, cake)).complete
    assert len(books.writes) == 1


@pytest.mark.parametrize("status", ["void", "paid", "approved"])
async def test_overwritten_it_is_not_looked_at(ledgers, status: str) -> None:
    books = ledgers(with_status(status))
    async with books.client() as cake:
        summary = await bulk.each([approve(cake)], journal=None, on_conflict="overwrite")
    assert (summary.done, summary.complete, summary.oldest_look) == (1, True, None)
    assert [each.operation for each in books.state.requests] == ["update_invoice"]


FLOW = ["draft", "pending", "approved", "paid"]


@pytest.mark.parametrize("now", [*FLOW, "void", "on hold"])
@pytest.mark.parametrize("wanted", ["pending", "approved", "paid", "void"])
async def test_without_an_expectation_a_status_goes_forward_only(
    ledgers, now: str, wanted: str
) -> None:
    forward = now in FLOW and wanted in FLOW and FLOW.index(now) < FLOW.index(wanted)
    allowed = forward or (wanted == "void" and now in {"draft", "pending", "approved"})
    books = ledgers(with_status(now))
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, invoice_status=wanted)
        summary = await bulk.each([call], journal=None)
    assert (summary.done, summary.conflicts) == (allowed, not allowed)
    assert len(books.writes) == allowed
    assert books.state.invoices[4821].invoice_status == (wanted if allowed else now)
    if not allowed:
        (problem,) = summary.problems
        assert isinstance(problem, Skipped)
        assert f"invoice_status is {now}, which a run does not set to {wanted}" in problem.reason


@pytest.mark.parametrize("now", ["void", "paid"])
async def test_the_flow_counts_where_the_expectation_names_no_status(ledgers, now: str) -> None:
    books = ledgers(with_status(now))
    async with books.client() as cake:
        summary = await bulk.each([approve(cake, Expect(currency="USD"))], journal=None)
        assert (summary.conflicts, len(books.writes)) == (1, 0)
        # What is said counts.
        expect = Expect(invoice_status=books.state.invoices[4821].invoice_status)
        summary = await bulk.each([approve(cake, expect)], journal=None)
    assert (summary.done, len(books.writes)) == (1, 1)


async def test_a_note_alone_is_not_looked_at_unless_something_is_expected(ledgers) -> None:
    books = ledgers(with_status("void"))
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=None)).complete
        assert len(books.state.requests) == 1
        call = bulk.call(cake.invoices.update, 4821, memo="y", expect=PENDING)
        assert (await bulk.each([call], journal=None)).conflicts == 1
    assert books.state.invoices[4821].memo == "x"


async def test_a_look_that_fails_is_a_failure(ledgers) -> None:
    books = ledgers(Sandbox())
    books.lose(lambda request: request.operation == "invoices", done=False)
    async with books.client() as cake:
        summary = await bulk.each([approve(cake)], journal=None)
    assert (summary.failed, summary.unknown) == (1, 0)
    assert not books.writes


async def test_what_is_behind_a_conflict_is_not_sent(ledgers, tmp_path: Path) -> None:
    """Not later either: what it builds upon is not there."""
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls: list[Call[Any]] = [
            approve(cake, Expect(total_amount=1)),
            bulk.call(cake.invoices.update, 4821, invoice_status="paid"),
        ]
        for summary in (await bulk.each(calls, journal=path), await bulk.resume(path, cake)):
            assert (summary.done, summary.failed, summary.conflicts) == (0, 1, 1)
            assert isinstance(summary.problems[0], Skipped)
            assert isinstance(summary.problems[1], Failed)
    assert not books.writes


# Lost answers, and further lives of a run.


@pytest.mark.parametrize("life", ["the same", "another"])
@pytest.mark.parametrize(
    ("done", "now", "end"),
    [
        (True, None, "done"),
        (False, None, "sent again"),
        (True, "void", "unknown"),
        (False, "void", "unknown"),
        (False, "paid", "unknown"),
        (False, "approved", "done"),  # as it would have left it
    ],
)
async def test_a_call_in_doubt_is_looked_at(  # noqa: PLR0913 - by pytest
    ledgers, tmp_path: Path, life: str, now: str | None, end: str, *, done: bool
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    books.lose(is_write, done=done)

    def meanwhile(request, *_: object) -> None:
        if is_write(request) and len(books.writes) == 1 and now is not None:
            books.state.invoices[4821].invoice_status = now

    # Before the answer is lost.
    (books.state.on_response if done else books.state.on_request).insert(0, meanwhile)
    ends: list[object] = []
    async with books.client() as cake:
        if life == "the same":
            summary = await bulk.each([approve(cake)], journal=path, on_outcome=ends.append)
        else:
            stop = bulk.Stop(unknown=1)
            await bulk.each([approve(cake)], journal=path, stop_after=stop)
            summary = await bulk.resume(path, cake, on_outcome=ends.append)
        if end == "unknown":
            assert (summary.unknown, summary.conflicts) == (1, 0)
            (problem,) = summary.problems
            assert isinstance(problem, Unknown)
            assert "the record was set to something else meanwhile" in problem.reason
            assert "check invoices.update(invoice_id=4821" in problem.reason
            # A further life learns no more.
            again = await bulk.resume(path, cake)
            assert (again.unknown, again.stopped) == (1, None)
        else:
            assert (summary.done, summary.complete) == (1, True)
    last = ends[-1]
    if end == "done":
        assert isinstance(last, Done)
        assert (last.result, last.found) == (None, 4821)
    assert len(books.writes) == (2 if end == "sent again" else 1)
    assert books.state.invoices[4821].invoice_status == (now or "approved")


async def test_many_that_stay_unknown_do_not_stop_a_later_life(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox(invoices=60)), tmp_path / "run.db"
    numbers = list(books.state.invoices)
    for number in numbers:
        books.state.invoices[number].invoice_status = "pending"
    for _ in range(10):
        books.lose(is_write, done=True)
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]
        await bulk.each(calls, journal=path, stop_after=bulk.Stop(unknown=10), limit=1)
        for number in numbers[:10]:
            books.state.invoices[number].invoice_status = "void"
        summary = await bulk.resume(path, cake)
    assert (summary.done, summary.unknown, summary.stopped) == (50, 10, None)


async def test_what_was_skipped_stays_skipped(ledgers, tmp_path: Path) -> None:
    """Void stays void, and what became pending again since is not sent behind anybody's back."""
    books, path = ledgers(with_status("void")), tmp_path / "run.db"
    async with books.client() as cake:
        first = await bulk.each([approve(cake)], journal=path)
        books.state.invoices[4821].invoice_status = "pending"
        for on_conflict in ("skip", "raise", "overwrite"):
            again = await bulk.resume(path, cake, on_conflict=on_conflict)
            assert (again.skipped, again.conflicts, again.complete) == (1, 1, False)
            (problem,) = again.problems
            assert isinstance(problem, Skipped)
            assert isinstance(problem.found, Invoice)
            assert problem.found == first.problems[0].found  # type: ignore[union-attr]
            assert problem.reason == first.problems[0].reason  # type: ignore[union-attr]
    assert not books.writes


async def test_a_journal_that_does_not_say_what_was_found_is_damaged(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(with_status("void")), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([approve(cake)], journal=path)
        async with await Journal.open(path, "x.example", for_tests=True) as journal:
            journal.ended(0, EntryState.SKIPPED, None, {"found": {"total_amount": "x"}})
            await journal.flush()
        with pytest.raises(JournalError, match="does not say what call 0 found"):
            await bulk.resume(path, cake)


async def test_a_skipped_create_is_no_conflict(ledgers, january, tmp_path: Path) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    (one,) = books.affiliates(1)
    async with books.client() as cake:
        await january(cake, one).send()
        for summary in (
            await bulk.each([january(cake, one)], journal=path),
            await bulk.resume(path, cake),
        ):
            assert (summary.skipped, summary.conflicts, summary.complete) == (1, 0, True)


# A call as a value.


async def test_what_is_expected_is_kept(ledgers) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        call = approve(cake)
        again = Call.from_json(call.to_json(), cake)
        assert again == call
        assert again.expect == call.expect == PENDING
        assert again.digest() == call.digest()
        plain = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
        assert plain.expect is None
        assert plain != call
        assert "expect" not in json.loads(plain.to_json())
        assert (
            len({each.digest() for each in (call, plain, approve(cake, Expect(currency="USD")))})
            == 3
        )
        assert call.effect_digest() == plain.effect_digest() == plain.digest()
        unknown = approve(cake, Expect(invoice_status=PENDING_DRAFT))
        assert Call.from_json(unknown.to_json(), cake).expect == unknown.expect
        assert call.describe() == (
            "invoices.update(invoice_id=4821, invoice_status='approved') "
            "if invoice_status='pending', total_amount=<hidden>, currency='USD'"
        )
        assert "total_amount=1250.00" in call.describe(show_sensitive=True)
        assert "1250" not in repr(call)
        # Sent by itself, it raises what the method raises.
        books.state.invoices[4821].invoice_status = "paid"
        with pytest.raises(Conflict):
            await call.send()


PENDING_DRAFT = type(PENDING.invoice_status)("draft")  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ['{"x": 1}', '{"currency": 7}', "[]", '"x"', "5"])
async def test_a_text_that_expects_nonsense_is_no_call(ledgers, text: str) -> None:
    async with ledgers(Sandbox()).client() as cake:
        kept = json.loads(approve(cake).to_json()) | {"expect": json.loads(text)}
        with pytest.raises(ArgumentError):
            Call.from_json(json.dumps(kept), cake)


async def test_the_call_of_an_intent_expects_the_same(ledgers) -> None:
    books = ledgers(Sandbox())
    books.lose(is_write, done=True)
    ends: list[Any] = []
    async with books.client() as cake:
        await bulk.each([approve(cake)], journal=None, on_outcome=ends.append)
        assert Call.of(ends[0].error.intent, cake) == approve(cake)


async def test_two_calls_that_set_the_same_are_one_too_many(ledgers) -> None:
    async with ledgers(Sandbox()).client() as cake:
        calls = [approve(cake), approve(cake, Expect(currency="USD"))]
        with pytest.raises(ArgumentError, match=r"calls\[1\]: is repeated"):
            await bulk.each(calls, journal=None)


async def test_a_plan_that_expects_something_else_is_another(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:

        async def plan(expect: Expect) -> Any:  # noqa: ANN401
            yield approve(cake, expect)
            raise BlockingIOError

        with pytest.raises(BlockingIOError):
            await bulk.each(plan(PENDING), journal=path)
        other = [approve(cake, Expect(invoice_status="approved", total_amount=3))]
        differs = "with expected currency None instead of USD, expected invoice_status approved"
        with pytest.raises(JournalError, match=differs) as caught:
            await bulk.resume(path, cake, calls=other)
        assert "1250" not in str(caught.value)


@pytest.mark.parametrize("odd", ["ignore", None, 5, ["skip"]])
async def test_another_treatment_is_refused(ledgers, odd: Any) -> None:  # noqa: ANN401
    async with ledgers(Sandbox()).client() as cake:
        with pytest.raises(ArgumentError, match="on_conflict: must be skip, raise or overwrite"):
            await bulk.each([approve(cake)], journal=None, on_conflict=odd)


# Somebody else is at it, too.


async def test_what_others_void_meanwhile_stays_void(ledgers, tmp_path: Path) -> None:
    """40 of 200 are voided while the run is under way, each between the plan and its turn."""
    books, path = ledgers(Sandbox(invoices=0)), tmp_path / "run.db"
    numbers = fill(books.sandbox, 200)
    voided = numbers[100::5][:20] + numbers[3:100:5][:20]
    for number in voided[20:]:
        books.state.invoices[number].invoice_status = "void"

    def somebody(request) -> None:
        if is_write(request) and len(books.writes) == 5:
            for number in voided[:20]:
                books.state.invoices[number].invoice_status = "void"

    books.state.on_request.append(somebody)
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]
        planned_at = len(books.state.requests)
        summary = await bulk.each(calls, journal=path)
    statuses = [books.state.invoices[n].invoice_status for n in voided]
    assert planned_at == 0
    # What a look of the last seconds has shown is sent: those voided behind it are overwritten.
    assert statuses.count("void") >= 20
    assert statuses[20:] == ["void"] * 20
    assert summary.done + summary.conflicts == 200
    assert summary.conflicts == statuses.count("void")


def fill(sandbox: Sandbox, count: int) -> list[int]:
    """Fill a sandbox with pending invoices of one month that lie together."""
    numbers = list(range(10_000, 10_000 + count))
    for number in numbers:
        sandbox.state.invoices[number] = InvoiceRecord(
            invoice_id=number,
            affiliate_id=1 + number % 17,
            advertiser_id=None,
            partner_name="Somebody",
            invoice_status="pending",
            start_date=date(2024, 1, 1),
            end_date=date(2024, 1, 31),
            total_amount=Decimal(number),
            currency="USD",
            billing_cycle="monthly",
        )
    return numbers


async def test_a_call_of_one_plan_sees_what_the_one_before_it_did(ledgers) -> None:
    """A page that was read before it is not taken for how the invoice is now."""
    books = ledgers(Sandbox(invoices=0))
    numbers = fill(books.sandbox, 30)
    moment = datetime(2024, 2, 15, 10, tzinfo=UTC)
    expect = Expect(invoice_status="pending")
    async with books.client() as cake:
        update = cake.invoices.update
        calls = [
            call
            for n in numbers
            for call in (
                bulk.call(update, n, invoice_status="paid", paid_at=moment, expect=expect),
                bulk.call(update, n, invoice_status="void", expect=expect),
            )
        ]
        summary = await bulk.each(calls, journal=None, stop_after=None)
    assert (summary.done, summary.conflicts) == (30, 30)
    assert {each.invoice_status for each in books.state.invoices.values()} == {"paid"}


async def test_a_run_that_is_cancelled_during_a_look_leaves_the_call_planned(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    arrived = anyio.Event()

    async def hold(request) -> None:
        if request.operation == "invoices":
            arrived.set()
            await anyio.sleep_forever()

    books.state.on_request.append(hold)
    async with books.client() as cake:
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await bulk.each([approve(cake)], journal=path)

            tasks.start_soon(run)
            await arrived.wait()
            tasks.cancel_scope.cancel()
        async with await Journal.open(path) as journal:
            (entry,) = await journal.entries()
            assert (entry.state, entry.intent) == (EntryState.PLANNED, None)
        books.state.on_request.remove(hold)
        assert (await bulk.resume(path, cake)).complete
    assert len(books.writes) == 1


async def test_a_refusal_of_what_is_sent_again_is_settled_by_a_look(ledgers) -> None:
    """Refused, and still as it was a while later: it was not carried out."""
    books = ledgers(Sandbox())
    books.lose(is_write, done=False)

    def refuse(request) -> Response | None:
        again = is_write(request) and len(books.writes) == 2
        return Response('{"success": false, "message": "No."}', 400) if again else None

    books.state.on_request.append(refuse)
    async with books.client() as cake:
        summary = await bulk.each([approve(cake)], journal=None, settle=0)
    assert (summary.failed, summary.unknown) == (1, 0)
    assert len(books.writes) == 2
