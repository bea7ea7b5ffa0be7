# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""A plan of writes, carried out: how each call ends, what is counted, and when it stops."""

import gc
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.responses import JSONResponse, Response

from aiocake import (
    AlreadyExists,
    ArgumentError,
    AuthenticationError,
    Client,
    NotFound,
    NotSent,
    Throttle,
    TipaltiError,
    bulk,
)
from aiocake.bulk import Call, Done, Failed, Progress, Skipped, Stop, Unknown
from aiocake.sandbox import RecordedRequest, Sandbox

from ..support.loops import ONE_LOOP
from ..support.peer import Peer, says
from ..support.runs import approvals

pytestmark = pytest.mark.anyio


async def test_each_call_ends_and_is_told_of(ledgers) -> None:
    sandbox = Sandbox()
    reported: list[object] = []
    progress: list[Progress] = []
    async with ledgers(sandbox).client() as cake:
        calls = approvals(cake, sandbox, 10)
        calls.insert(5, bulk.call(cake.invoices.update, 999, memo="x"))
        summary = await bulk.each(
            calls, journal=None, on_outcome=reported.append, on_progress=progress.append
        )
    assert (summary.done, summary.failed, summary.unknown, summary.skipped) == (10, 1, 0, 0)
    assert (summary.unsent, summary.plan_read, summary.stopped) == (0, True, None)
    assert not summary.complete
    (problem,) = summary.problems
    assert isinstance(problem, Failed)
    assert problem.index == 5
    assert isinstance(problem.error, NotFound)
    assert {each.index for each in reported} == set(range(11))
    assert all(each.call is calls[each.index] for each in reported)
    results = [each.result.invoice_status for each in reported if isinstance(each, Done)]
    assert results == ["approved"] * 10
    assert len(progress) == 11
    assert progress[-1] == Progress(done=10, failed=1, unknown=0, skipped=0, total=11)
    assert all(
        sandbox.state.invoices[n].invoice_status == "approved"
        for n in list(sandbox.state.invoices)[:10]
    )


async def test_a_generator_and_an_asynchronous_one_are_taken_as_they_go(ledgers) -> None:
    sandbox = Sandbox()
    taken = 0

    async def slowly(cake: Client) -> AsyncIterator[Call[object]]:
        nonlocal taken
        for call in approvals(cake, sandbox, 30):
            taken += 1
            # No call waits for the ones behind it.
            assert taken - len(sandbox.state.requests) <= 4 + 1
            yield call

    async with ledgers(sandbox).client() as cake:
        summary = await bulk.each(slowly(cake), journal=None)
        assert (summary.done, summary.complete) == (30, True)
        again = (each for each in approvals(cake, sandbox, 30))
        summary = await bulk.each(again, journal=None, limit=1)
        assert (summary.done, summary.complete) == (30, True)
        assert (await bulk.each([], journal=None)).complete
        assert (await bulk.each(iter(()), journal=None)).complete


@pytest.mark.parametrize("limit", [None, 2])
async def test_as_many_as_the_limit_are_on_their_way(ledgers, limit: int | None) -> None:
    sandbox, full = Sandbox(), anyio.Event()
    now = most = 0

    async def coming(request) -> None:
        nonlocal now, most
        if request.operation == "invoices":
            return  # the looks before: of the first ones, the others wait to learn
        now += 1
        most = max(most, now)
        if now == (limit or 4):
            full.set()
        await full.wait()

    async def going(request, _: object) -> None:
        nonlocal now
        now -= request.operation != "invoices"

    sandbox.state.on_request.append(coming)
    sandbox.state.on_response.append(going)
    async with ledgers(sandbox).client() as cake:
        summary = await bulk.each(approvals(cake, sandbox, 40), journal=None, limit=limit)
    assert summary.done == 40
    assert most == (limit or 4)


@pytest.mark.parametrize("form", ["sync", "async"])
async def test_what_on_outcome_raises_ends_the_run_and_not_the_writes(ledgers, form: str) -> None:
    sandbox = Sandbox()
    heard = 0

    def full(_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 3:
            raise LookupError

    async def full_later(ended: object) -> None:
        await anyio.lowlevel.checkpoint()
        full(ended)

    async with ledgers(sandbox).client() as cake:
        with pytest.raises(LookupError):
            await bulk.each(
                approvals(cake, sandbox, 40),
                journal=None,
                on_conflict="overwrite",
                on_outcome=full if form == "sync" else full_later,
            )
    assert heard == len(sandbox.state.requests)
    assert heard < 12


async def test_what_a_plan_raises_is_raised_after_all_before_it_was_sent(ledgers) -> None:
    sandbox = Sandbox()

    def plan(cake: Client) -> Iterator[Call[object]]:
        yield from approvals(cake, sandbox, 7)
        raise BlockingIOError

    async def later(cake: Client) -> AsyncIterator[Call[object]]:
        for call in plan(cake):
            yield call

    async with ledgers(sandbox).client() as cake:
        for calls in (plan(cake), later(cake)):
            sandbox.state.requests.clear()
            with pytest.raises(BlockingIOError):
                await bulk.each(calls, journal=None, on_conflict="overwrite")
            assert len(sandbox.state.requests) == 7


async def test_two_equal_calls_are_refused_unless_they_are_allowed(ledgers) -> None:
    sandbox = Sandbox()
    async with ledgers(sandbox).client() as cake:
        calls = approvals(cake, sandbox, 5)
        calls.append(calls[2])
        with pytest.raises(ArgumentError, match=r"calls\[5\]: is repeated: invoices.update"):
            await bulk.each(calls, journal=None)
        assert sandbox.state.requests == []
        with pytest.raises(ArgumentError, match=r"calls\[5\]"):
            await bulk.each(iter(calls), journal=None, on_conflict="overwrite")
        assert len(sandbox.state.requests) == 5
        summary = await bulk.each(calls, journal=None, allow_repeats=True, on_conflict="overwrite")
        assert summary.done == 6


@pytest.mark.parametrize("amount", [7, 8])
async def test_two_marks_of_one_kind_for_one_bill_are_refused_unless_they_are_allowed(
    ledgers, tmp_path: Path, amount: int
) -> None:
    sandbox = Sandbox()
    file = tmp_path / "run.db"
    async with ledgers(sandbox).client() as cake:
        marks = cake.affiliate_bills
        calls: list[Call[object]] = [
            bulk.call(marks.mark_received, 345, invoiced_amount=7),
            bulk.call(marks.mark_paid, 345, payment_date=date(2030, 1, 1)),
            bulk.call(marks.mark_received, 347, invoiced_amount=7),
            bulk.call(marks.mark_received, 345, invoiced_amount=amount),
        ]
        why = "is repeated" if amount == 7 else "marks a bill that an earlier call marks"
        with pytest.raises(ArgumentError, match=rf"calls\[3\]: {why}") as caught:
            await bulk.each(calls, journal=file)
        assert "bill_id=345" in str(caught.value)
        assert "invoiced_amount=<hidden>" in str(caught.value)
        assert sandbox.state.requests == []
        assert not file.exists()
        with pytest.raises(ArgumentError, match=r"calls\[3\]"):
            await bulk.each(iter(calls), journal=None)
        sandbox.state.requests.clear()
        assert (await bulk.each(calls, journal=None, allow_repeats=True)).done == 4
        # What follows for a bill is no repetition.
        number = next(iter(sandbox.state.buyer_bills))
        calls = [
            bulk.call(cake.buyer_bills.mark_sent, number, invoice_number="A"),
            bulk.call(cake.buyer_bills.mark_received, number, payment_amount=7),
        ]
        assert (await bulk.each(calls, journal=None)).done == 2


async def test_what_is_no_call_or_of_another_client_is_refused(ledgers) -> None:
    sandbox = Sandbox()
    async with (
        ledgers(sandbox).client() as cake,
        Client("y.example", "K", transport=httpx.ASGITransport(app=sandbox.app)) as other,
    ):
        calls = approvals(cake, sandbox, 2)
        for bad, message in (
            ([cake.invoices.update], r"calls\[0\]: must be made by bulk.call"),
            ([*calls, None], r"calls\[2\]: must be made by bulk.call"),
            ([*calls, *approvals(other, sandbox, 1)], r"calls\[2\]: is for y.example"),
        ):
            with pytest.raises(ArgumentError, match=message):
                await bulk.each(bad, journal=None)
        assert sandbox.state.requests == []
        # A view of a client is the same client.
        view = cake.with_options(attempts=2)
        assert (await bulk.each([*calls, *approvals(view, sandbox, 3)[2:]], journal=None)).done == 3


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"on_existing": "ignore"}, "on_existing"),
        ({"settle": -1}, "settle"),
        ({"settle": float("inf")}, "settle"),
        ({"settle": float("nan")}, "settle"),
        ({"settle": "60"}, "settle"),
        ({"stop_after": 3}, "stop_after"),
        ({"expected": ("TipaltiError",)}, "expected"),
        ({"expected": TipaltiError}, "expected"),
        ({"on_outcome": []}, "on_outcome"),
        ({"on_progress": 1}, "on_progress"),
    ],
)
async def test_settings_that_cannot_be_are_refused(settings: dict[str, object], name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        await bulk.each([], journal=None, **settings)


async def test_it_stops_after_so_many_failures(ledgers) -> None:
    sandbox = Sandbox()
    async with ledgers(sandbox).client() as cake:
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in range(900, 990)]
        summary = await bulk.each(calls, journal=None, stop_after=Stop(failed=5))
        assert 5 <= summary.failed <= 8
        assert summary.failed + summary.unsent == 90
        assert summary.stopped == "calls that failed: 5 (last: NotFound)"
        assert not summary.complete
        for settings in ({"stop_after": None}, {"expected": (NotFound,)}):
            summary = await bulk.each(calls, journal=None, **settings)
            assert (summary.failed, summary.unsent, summary.stopped) == (90, 0, None)
        with pytest.raises(ValueError, match="failed"):
            Stop(failed=0)


async def test_a_bill_that_is_paid_through_tipalti_can_be_expected(ledgers) -> None:
    sandbox = Sandbox(bills=200)
    june = date(2014, 6, 30)
    async with ledgers(sandbox).client() as cake:
        calls = [
            bulk.call(cake.affiliate_bills.mark_paid, n, payment_date=june)
            for n in sandbox.state.affiliate_bills
        ]
        summary = await bulk.each(
            calls, journal=None, expected=(TipaltiError,), stop_after=Stop(failed=1)
        )
    tipalti = sum(each.partner.tipalti for each in sandbox.state.affiliate_bills.values())
    assert tipalti > 1
    assert (summary.done, summary.failed) == (200 - tipalti, tipalti)


async def test_it_stops_at_the_first_refused_key(ledgers) -> None:
    sandbox = Sandbox()
    async with ledgers(sandbox).client() as cake:
        calls = approvals(cake, sandbox, 50)
        sandbox.state.api_keys.clear()
        summary = await bulk.each(calls, journal=None, stop_after=None)
    assert 1 <= summary.failed <= 4
    assert summary.stopped is not None
    assert summary.stopped.startswith("the key was rejected")
    assert all(isinstance(each.error, AuthenticationError) for each in summary.problems)


async def test_a_run_is_not_turned_away_from_a_full_queue(ledgers) -> None:
    """Nor fails call for call while there is no turn: it has bounds of its own."""
    sandbox = Sandbox()
    throttle = Throttle(concurrency=4, rate=1000, max_waiting=0)
    async with ledgers(sandbox).client(throttle=throttle) as cake:
        assert (await bulk.each(approvals(cake, sandbox, 30), journal=None)).complete


async def test_it_stops_when_its_client_is_closed(ledgers) -> None:
    sandbox = Sandbox()
    async with ledgers(sandbox).client() as cake:
        calls = approvals(cake, sandbox, 50)
    summary = await bulk.each(calls, journal=None, stop_after=None)
    assert 1 <= summary.failed <= 4
    assert summary.stopped == "the client is closed"


async def test_one_call_that_is_lost_again_and_again_counts_once(ledgers) -> None:
    books = ledgers(Sandbox())
    for _ in range(9):
        books.lose(lambda request: request.operation == "update_invoice", done=False)
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, 4821, memo="x")]
        summary = await bulk.each(calls, journal=None)
    assert (summary.unknown, summary.stopped) == (1, None)


async def test_it_stops_after_so_many_unknowns(ledgers) -> None:
    books = ledgers(Sandbox())
    for _ in range(90):
        books.lose(lambda request: request.operation == "update_invoice", done=False)
    ends: list[object] = []
    async with books.client() as cake:
        calls = approvals(cake, books.sandbox, 50)
        summary = await bulk.each(calls, journal=None, on_outcome=ends.append)
    assert 3 <= summary.unknown <= 6
    assert summary.stopped == "calls whose outcome is unknown: 3"
    assert summary.unknown + summary.unsent == 50
    assert all(isinstance(each, Unknown) for each in ends)


async def test_a_cancelled_run_settles_what_has_left_and_sends_no_more(ledgers) -> None:
    sandbox, ends = Sandbox(), []
    arrived, go_on = anyio.Event(), anyio.Event()

    async def hold(_: object) -> None:
        if len(sandbox.state.requests) >= 10:
            arrived.set()
            await go_on.wait()

    sandbox.state.on_request.append(hold)
    async with ledgers(sandbox).client() as cake, anyio.create_task_group() as tasks:

        async def run() -> None:
            await bulk.each(
                approvals(cake, sandbox, 50),
                journal=None,
                on_outcome=ends.append,
                on_conflict="overwrite",
            )

        tasks.start_soon(run)
        await arrived.wait()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            go_on.set()
    done = [each for each in ends if isinstance(each, Done)]
    approved = sum(each.invoice_status == "approved" for each in sandbox.state.invoices.values())
    assert 10 <= len(sandbox.state.requests) <= 13
    assert len(done) == len(sandbox.state.requests)
    assert approved >= len(done)
    for each in ends:
        assert isinstance(each, Done) or isinstance(each.error, NotSent)


async def test_a_create_whose_partner_has_one_is_skipped_raised_or_sent(ledgers, january) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    async with books.client() as cake:
        first = await january(cake, one).send()
        calls = [january(cake, one), january(cake, other)]
        summary = await bulk.each(calls, journal=None)
        assert (summary.done, summary.skipped, summary.complete) == (1, 1, True)
        assert summary.problems == (Skipped(0, calls[0], (first.invoice_id,)),)
        with pytest.raises(AlreadyExists, match=str(first.invoice_id)) as caught:
            await bulk.each(calls[:1], journal=None, on_existing="raise")
        assert caught.value.existing == (first.invoice_id,)
        assert len(books.periods()) == 2
        summary = await bulk.each(calls, journal=None, on_existing="create")
        assert summary.done == 2
    assert len(books.periods()) == 4


@ONE_LOOP
async def test_only_the_first_problems_are_kept() -> None:
    async with Peer(says({"success": False, "message": "Invalid Invoice"})).client() as cake:
        calls = (bulk.call(cake.invoices.update, n, memo="x") for n in range(1, 1011))
        summary = await bulk.each(calls, journal=None, stop_after=None, limit=1)
    assert summary.failed == 1010
    assert [each.index for each in summary.problems] == list(range(1000))
    assert "problems=<1000>" in repr(summary)


@pytest.mark.parametrize("paid_at", ["", "0000-00-00", "not set", 0])
async def test_a_run_that_pays_ends_whatever_is_said_of_when(ledgers, paid_at: object) -> None:
    sandbox = Sandbox()

    def unpaid(request: RecordedRequest, response: Response) -> Response | None:
        if request.operation != "update_invoice":
            return None
        answer = json.loads(bytes(response.body))
        answer["invoice"]["paid_at"] = paid_at
        return JSONResponse(answer)

    sandbox.state.on_response.append(unpaid)
    moment = datetime(2024, 2, 15, 10, tzinfo=UTC)
    numbers = list(sandbox.state.invoices)[:3]
    for number in numbers:
        sandbox.state.invoices[number].invoice_status = "approved"
    async with ledgers(sandbox).client() as cake:
        calls = [
            bulk.call(cake.invoices.update, n, invoice_status="paid", paid_at=moment)
            for n in numbers
        ]
        summary = await bulk.each(calls, journal=None)
    assert (summary.done, summary.unknown, summary.complete) == (3, 0, True)


async def test_a_run_that_is_cancelled_while_its_list_is_read_leaves_nothing(ledgers) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, number, memo="x") for number in range(1, 200)]
        with anyio.CancelScope() as scope:
            scope.cancel()
            await bulk.each(calls, journal=None)
    assert scope.cancelled_caught
    gc.collect()  # an async generator that was left open would warn
    assert books.state.requests == []
