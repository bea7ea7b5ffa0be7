# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""What became of a write whose answer was lost: found out where that can be, and never guessed."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import anyio
import pytest
import trio.testing
from starlette.responses import Response

from aiocake import Client, Period, RequestRejected, RetryPolicy, bulk
from aiocake.bulk import Call, Done, Unknown
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio


def lost(operation: str) -> Callable[[object], bool]:
    return lambda request: request.operation == operation  # type: ignore[attr-defined] # a request


async def test_a_create_that_was_carried_out_is_found(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=100))
    numbers = books.affiliates(4)
    books.lose(lost("invoice"), done=True)
    ends: list[object] = []
    async with books.client() as cake:
        summary = await bulk.each(
            [january(cake, n) for n in numbers],
            journal=None,
            limit=1,
            settle=0,
            on_outcome=ends.append,
        )
    assert (summary.done, summary.complete, summary.problems) == (4, True, ())
    assert len(books.periods()) == 4
    first, last = (each for each in ends if each.index == 0)
    assert isinstance(first, Unknown)
    made = min(n for n, each in books.state.invoices.items() if each.start_date.year == 2030)
    assert last == Done(0, first.call, None, made)


@pytest.mark.parametrize("status", [408, 421, 425, 499])
async def test_a_create_that_a_gateway_gave_up_is_looked_for(
    ledgers, january, tmp_path: Path, status: int
) -> None:
    books = ledgers()
    numbers = books.affiliates(2)
    for done in (True, False):
        books.lose(lost("invoice"), done=done, status=status)
    stopping = bulk.Stop(unknown=2)
    async with books.client() as cake:
        calls = [january(cake, n) for n in numbers]
        summary = await bulk.each(
            calls, journal=tmp_path / "run.db", limit=1, settle=0, stop_after=stopping
        )
        # It has stopped: it looks, and sends no more.
        assert (summary.done, summary.failed, summary.unsent) == (1, 0, 1)
        sent = len(books.writes)
        summary = await bulk.resume(tmp_path / "run.db", cake, settle=0)
    assert (summary.done, summary.complete, summary.problems) == (2, True, ())
    assert len(books.periods()) == 2
    assert (sent, len(books.writes)) == (2, 3)


@pytest.mark.parametrize("status", [408, 502])
async def test_a_create_that_was_not_carried_out_is_sent_again(
    ledgers, january, status: int
) -> None:
    books = ledgers()
    (number,) = books.affiliates(1)
    books.lose(lost("invoice"), done=False, status=status)
    async with books.client() as cake:
        summary = await bulk.each([january(cake, number)], journal=None, settle=0)
    assert (summary.done, summary.complete) == (1, True)
    assert len(books.periods()) == 1
    assert len(books.writes) == 2


@pytest.mark.parametrize(
    "anyio_backend",
    [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
    ids=["trio"],
)
async def test_a_create_that_shows_up_late_is_waited_for_by_a_minute(ledgers, january) -> None:
    books = ledgers()
    (number,) = books.affiliates(1)
    books.lose(lost("invoice"), done=True)
    hidden: list[object] = []

    def hide(*_: object) -> None:
        if books.state.invoices and not hidden:
            hidden.append(books.state.invoices.pop(next(iter(books.state.invoices))))

    async def show() -> None:
        await anyio.sleep(59)
        books.state.invoices[hidden[0].invoice_id] = hidden[0]

    books.state.on_response.append(hide)
    async with books.client() as cake, anyio.create_task_group() as tasks:
        tasks.start_soon(show)
        began = anyio.current_time()
        summary = await bulk.each([january(cake, number)], journal=None)
        assert 60 <= anyio.current_time() - began < 61
    assert summary.complete
    assert len(books.writes) == len(books.periods()) == 1


@pytest.mark.parametrize("case", ["late", "void"])
async def test_a_list_that_is_another_a_minute_later_tells_nothing(
    ledgers, january, case: str
) -> None:
    """One that somebody made, and later ours as well; or one that is void a minute later."""
    books = ledgers()
    (number,) = books.affiliates(1)
    books.lose(lost("invoice"), done=case == "void")
    lists = 0

    async def meanwhile(request, _: object) -> None:
        nonlocal lists
        lists += request.operation == "invoices" and len(books.writes) > 0
        if lists == 1 and case == "late" and len(books.state.invoices) == 1:
            await january(somebody, number).send()
        if lists == 1 and case == "void":
            for each in books.state.invoices.values():
                each.invoice_status = "void"

    async def before(request) -> None:
        if request.operation == "invoices" and books.writes and not books.state.invoices:
            await january(somebody, number).send()

    books.state.on_response.append(meanwhile)
    if case == "late":
        books.state.on_request.append(before)
    async with books.client() as cake, books.client() as somebody:
        summary = await bulk.each([january(cake, number)], journal=None, settle=0)
    assert (summary.unknown, summary.complete) == (1, False)
    (problem,) = summary.problems
    assert isinstance(problem, Unknown)
    assert problem.candidates == tuple(books.state.invoices)
    assert len(problem.candidates) == (2 if case == "late" else 1)


@pytest.mark.parametrize("case", ["two", "other period", "no list"])
async def test_what_cannot_be_told_stays_unknown(ledgers, january, case: str) -> None:
    books = ledgers()
    (number,) = books.affiliates(1)
    books.lose(lost("invoice"), done=True)
    more: list[Call[object]] = []

    async def meanwhile(request, _: object) -> None:
        if request.operation == "invoice" and more:
            await more.pop().send()

    books.state.on_response.append(meanwhile)
    async with books.client() as cake, books.client() as somebody:
        if case == "two":
            more.append(january(somebody, number))
        if case == "other period":
            books.state.on_response.insert(0, lambda *_: shift(books))
        if case == "no list":
            books.state.on_response.insert(0, lambda request, _: lock_out(books, request))
        summary = await bulk.each([january(cake, number)], journal=None, settle=0)
    assert (summary.unknown, summary.complete) == (1, False)
    (problem,) = summary.problems
    assert isinstance(problem, Unknown)
    ids = tuple(books.state.invoices) if case != "no list" else ()
    assert problem.candidates == ids
    assert f"check invoices.create(affiliate_id={number}" in problem.reason
    assert len([each for each in books.writes if each.operation == "invoice"]) <= 2


def lock_out(books, request) -> None:
    if request.operation == "invoice":
        books.state.api_keys.clear()


def shift(books) -> None:
    """Keep what was made with another last day than it was asked for."""
    for each in books.state.invoices.values():
        if each.end_date == date(2030, 1, 31):
            each.end_date += timedelta(days=1)


async def test_a_create_is_not_taken_for_one_that_was_there(ledgers, january) -> None:
    books = ledgers()
    (number,) = books.affiliates(1)
    async with books.client() as cake:
        await january(cake, number).send()
        for done in (True, False):
            books.lose(lost("invoice"), done=done)
            summary = await bulk.each(
                [january(cake, number)], journal=None, settle=0, on_existing="create"
            )
            assert summary.done == 1
    assert len(books.periods()) == 3


async def test_a_create_of_an_instance_that_knows_no_filter_is_found(ledgers, january) -> None:
    dialect = Dialect(ignored_filters=frozenset({"affiliate_id"}))
    books = ledgers(Sandbox(invoices=40, dialect=dialect))
    (number,) = books.affiliates(1)
    for done in (True, False):
        books.lose(lost("invoice"), done=done)
        async with books.client() as cake:
            call = january(cake, number) if done else february(cake, number)
            assert (await bulk.each([call], journal=None, settle=0)).complete
    assert len(books.periods()) == 2


def february(cake: Client, number: int) -> Call[object]:
    period = Period.month(2030, 2)
    return bulk.call(
        cake.invoices.create, affiliate_id=number, start_date=period.start, end_date=period.end
    )


@pytest.mark.parametrize("done", [True, False])
async def test_a_mark_is_sent_again(ledgers, *, done: bool) -> None:
    books = ledgers(Sandbox())
    books.lose(lost("MarkAffiliateBillAsReceived"), done=done)
    async with books.client() as cake:
        call = bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=7)
        summary = await bulk.each([call], journal=None)
    assert summary.complete
    assert books.state.affiliate_bills[345].invoiced_amount == 7
    assert len(books.writes) == 2


@pytest.mark.parametrize("method", ["mark", "note"])
async def test_a_refusal_of_the_second_time_does_not_show_that_the_first_was_not_carried_out(
    ledgers, tmp_path: Path, method: str
) -> None:
    books = ledgers(Sandbox())
    path, refusals = tmp_path / "run.db", 2
    operation = "update_invoice" if method == "note" else "MarkAffiliateBillAsReceived"
    books.lose(lost(operation), done=True)

    def refuse(request) -> Response | None:
        nonlocal refusals
        if request.operation != operation or len(books.writes) == 1 or not refusals:
            return None
        refusals -= 1
        return Response("No.", 400)

    books.state.on_request.append(refuse)
    async with books.client() as cake:
        call: Call[object] = bulk.call(cake.invoices.update, 4821, memo="x")
        if method == "mark":
            call = bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=7)
        summary = await bulk.each([call], journal=path, settle=0)
        assert (summary.unknown, summary.failed) == (1, 0)
        assert "may have been before" in summary.problems[0].reason
        assert (await bulk.resume(path, cake)).complete


async def test_a_status_that_was_seen_not_to_be_set_is_not_done_when_it_is_refused(
    ledgers,
) -> None:
    books = ledgers(Sandbox())
    books.state.invoices[4821].invoice_status = "pending"
    books.lose(lost("update_invoice"), done=False)
    books.state.on_request.append(
        lambda request: Response("No.", 400) if request.operation == "update_invoice" else None
    )
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
        summary = await bulk.each([call], journal=None, settle=0)
    assert (summary.unknown, summary.failed) == (0, 1)
    assert isinstance(summary.problems[0].error, RequestRejected)


@pytest.mark.parametrize(
    "anyio_backend",
    [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})],
    ids=["trio"],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_a_status_that_is_set_late_is_not_said_not_to_be(ledgers, status: int) -> None:
    """The server is still at the first one, whose answer was lost, when it refuses the second."""
    books = ledgers(Sandbox())
    books.state.invoices[4821].invoice_status = "pending"
    books.lose(lost("update_invoice"), done=False)
    books.state.on_request.append(
        lambda request: Response("No.", status) if request.operation == "update_invoice" else None
    )

    async def late() -> None:
        await anyio.sleep(59)
        books.state.invoices[4821].invoice_status = "approved"

    async with books.client() as cake, anyio.create_task_group() as tasks:
        tasks.start_soon(late)
        call = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
        summary = await bulk.each([call], journal=None)
    assert summary.failed == 0
    assert (summary.done, summary.unknown) == ((1, 0) if status == 400 else (0, 1))


async def test_what_a_stopped_run_could_not_look_into_is_unknown_and_not_unsent(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls = [
            bulk.call(cake.affiliate_bills.mark_received, n, invoiced_amount=7)
            for n in list(books.state.affiliate_bills)[:3]
        ]
        await bulk.each(calls, journal=path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE calls SET state = 'sending'")
            connection.commit()
        books.state.api_keys.clear()
        summary = await bulk.resume(path, cake, limit=1)
    assert summary.stopped is not None
    assert (summary.unknown, summary.unsent) == (3, 0)
    assert [each.index for each in summary.problems] == [0, 1, 2]


@pytest.mark.parametrize(
    ("wanted", "now", "done", "sent"),
    [
        ("approved", "approved", True, 1),
        ("approved", "pending", True, 2),
        ("approved", "paid", False, 1),
        ("approved", "void", False, 1),
        ("approved", "draft", True, 2),
        ("approved", "on hold", False, 1),
        ("void", "paid", False, 1),
        ("void", "void", True, 1),
        ("paid", "approved", True, 2),
    ],
)
async def test_an_update_does_not_undo_what_was_done_meanwhile(
    ledgers, wanted: str, now: str, *, done: bool, sent: int
) -> None:
    books = ledgers(Sandbox())
    books.lose(lost("update_invoice"), done=False)

    def meanwhile(request) -> None:
        if request.operation == "update_invoice" and len(books.writes) == 1:
            books.state.invoices[4821].invoice_status = now

    books.state.on_request.insert(0, meanwhile)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, invoice_status=wanted)
        summary = await bulk.each([call], journal=None)
    assert (summary.complete, summary.unknown) == (done, not done)
    assert len(books.writes) == sent
    assert books.state.invoices[4821].invoice_status == (wanted if done else now)
    if not done:
        assert "was set to something else meanwhile" in summary.problems[0].reason


async def test_an_update_of_more_than_the_status_is_sent_again(ledgers) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        for settings in ({"memo": "x"}, {"memo": "y", "invoice_status": "approved"}):
            books.lose(lost("update_invoice"), done=True)
            books.state.requests.clear()
            call = bulk.call(cake.invoices.update, 4821, **settings)
            assert (await bulk.each([call], journal=None)).complete
            assert len(books.writes) == 2
            assert books.state.invoices[4821].memo == settings["memo"]


@pytest.mark.parametrize("status", [408, 499, 502])
async def test_a_credit_to_a_buyer_stays_unknown(ledgers, tmp_path: Path, status: int) -> None:
    books = ledgers(Sandbox())
    bill = next(iter(books.state.buyer_bills))
    books.lose(lost("MarkBuyerBillAsReceived"), done=True, status=status)
    async with books.client() as cake:
        call = bulk.call(
            cake.buyer_bills.mark_received, bill, payment_amount=5, apply_credit_to_buyer=True
        )
        for summary in (
            await bulk.each([call], journal=tmp_path / "run.db"),
            await bulk.resume(tmp_path / "run.db", cake),
        ):
            assert (summary.unknown, summary.complete) == (1, False)
            assert f"check buyer_bills.mark_received(bill_id={bill}" in summary.problems[0].reason
    assert len(books.writes) == 1


async def test_a_stopped_run_looks_and_sends_nothing_again(ledgers, january) -> None:
    books = ledgers(Sandbox())
    numbers = books.affiliates(3)
    for done in (True, False, False):
        books.lose(lost("invoice"), done=done)
    books.lose(lost("update_invoice"), done=True)
    async with books.client() as cake:
        calls = [january(cake, n) for n in numbers]
        calls.insert(1, bulk.call(cake.invoices.update, 4821, invoice_status="approved"))
        summary = await bulk.each(
            calls, journal=None, limit=1, settle=0, stop_after=bulk.Stop(unknown=4)
        )
    assert summary.stopped == "calls whose outcome is unknown: 4"
    # The first create was carried out, the others were not; the update may have been.
    assert (summary.done, summary.unknown, summary.unsent) == (1, 1, 2)
    assert len(books.writes) == 4


async def test_an_update_of_what_cannot_be_read_stays_unknown(ledgers) -> None:
    books = ledgers(Sandbox())
    books.lose(lost("update_invoice"), done=False)

    def unreadable(request) -> Response | None:
        again = request.operation == "invoices" and books.writes
        return Response("gone", 502) if again else None

    books.state.on_request.append(unreadable)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
        summary = await bulk.each([call], journal=None)
        assert summary.unknown == 1
        assert summary.problems[0].reason.startswith("invoices.update may have been carried out")
        assert len(books.writes) == 1
        # Once it can be read, it is sent again.
        books.state.on_request.remove(unreadable)
        books.lose(lost("update_invoice"), done=False)
        assert (await bulk.each([call], journal=None)).complete
    assert len(books.writes) == 3


async def test_a_key_that_is_refused_behind_a_lost_answer_stops_the_run(ledgers) -> None:
    books = ledgers(Sandbox())
    books.lose(lost("update_invoice"), done=True)
    books.state.on_response.insert(0, lambda *_: books.state.api_keys.clear())
    async with books.client(retry=RetryPolicy(attempts=2, base=1e-6)) as cake:
        numbers = list(books.state.invoices)[:20]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        summary = await bulk.each(calls, journal=None, limit=1)
    assert (summary.unknown, summary.unsent) == (1, 19)
    assert str(summary.stopped).startswith("the key was rejected")
