"""The blocking client: its methods, its thread, and who runs what on which thread."""

import asyncio
import contextlib
import gc
import importlib.util
import os
import threading
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import chain
from pathlib import Path
from typing import Any, Unpack

import anyio
import anyio.to_thread
import httpx
import pytest

import aiocake
from aiocake import (
    ApiError,
    ArgumentError,
    ClosedError,
    ConfigurationError,
    Intent,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Period,
    Timeouts,
    WrongLoopError,
    bulk,
    monthend,
)
from aiocake.blocking import Client, ClientSettings, PagedRows
from aiocake.blocking.posted import PostedFunctions
from aiocake.blocking.waited_call import WaitedCall, _Question  # pyright: ignore[reportPrivateUsage] - the moment is in it
from aiocake.sandbox import Sandbox, serve

from ..support.clients import KEY, NO_BACKOFF
from ..support.peer import Peer

ROOT = Path(__file__).parents[2]
JUNE = Period.month(2014, 6)
EXPORT = "/api/1/accounting.asmx/ExportAffiliateBills"


def connect(sandbox: Sandbox, **settings: Unpack[ClientSettings]) -> Client:
    given: ClientSettings = {
        "transport": httpx.ASGITransport(app=sandbox.app),
        "retry": NO_BACKOFF,
        **settings,
    }
    return Client("x.example", KEY, **given)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "aiocake"]


def drop(held: list[Any]) -> None:
    held.clear()
    gc.collect()


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(invoices=250, bills=30)


@pytest.fixture
def cake(sandbox: Sandbox) -> Iterator[Client]:
    before = len(threads())
    with connect(sandbox) as made:
        yield made
    assert len(threads()) == before


def test_its_methods_are_those_of_the_asynchronous_client() -> None:
    path = ROOT / "tools" / "blocking.py"
    spec = importlib.util.spec_from_file_location("blocking_tool", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = tool.meaning(tool.FILE.read_text(encoding="utf-8"))
    assert written == tool.meaning(tool.render()), "stale: run python tools/blocking.py"


def test_a_list_is_read_by_row_by_page_and_as_a_whole(cake: Client, sandbox: Sandbox) -> None:
    ids = sorted(sandbox.state.invoices)
    found = cake.invoices.find(row_limit=100)
    assert sandbox.state.requests == []
    assert sorted(each.invoice_id for each in found) == ids
    assert sorted(each.invoice_id for each in found.collect()) == ids
    assert sum(len(page.items) for page in found.pages()) == len(ids)
    with found as rows:
        first = next(rows)
        assert len([first, *rows.collect()]) == len(ids)


def test_a_list_that_is_left_runs_no_longer(cake: Client) -> None:
    with cake.invoices.find(row_limit=10) as rows:
        next(rows)
    assert cake.stats().in_flight == 0
    with pytest.raises(ClosedError):
        list(rows)
    for _ in cake.invoices.find(row_limit=10):
        break  # which drops the iterator

    async def settle(client: aiocake.ClientView) -> None:
        with anyio.fail_after(30):
            while client.stats().in_flight:
                await anyio.lowlevel.checkpoint()

    cake.run(settle)


def test_a_short_list_takes_one_change_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[WaitedCall[object]] = []
    begin = WaitedCall[object].begin

    def count(call: WaitedCall[object]) -> None:
        begun.append(call)
        begin(call)

    monkeypatch.setattr(WaitedCall, "begin", count)
    with connect(Sandbox(invoices=60)) as cake:
        found = cake.invoices.find()
        assert len(list(found)) == 60
        assert len(begun) == 1  # the page, and the end
        with found.pages() as pages:
            next(pages)
            assert next(pages, None) is None
        assert next(pages, None) is None
        with found as rows, contextlib.closing(iter(found)) as others:
            next(rows)
            next(others)
        for each in (rows, others):  # their end is known, but was not given
            with pytest.raises(ClosedError):
                list(each)


def test_rows_come_before_the_error_of_a_page_that_came_with_theirs() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("start_at_row", 0))
        if start > 100:
            return httpx.Response(400)
        rows = [
            {
                "invoice_id": n + 1,
                "invoice_status": "paid",
                "start_date": "2024-01-01",
                "end_date": "2024-01-31",
                "total_amount": 1,
            }
            for n in range(start, start + 51)
        ]
        return httpx.Response(
            200, json={"request_status": "Success", "invoices": rows, "total_rows": 500}
        )

    with Client("x.example", KEY, transport=httpx.MockTransport(answer), retry=NO_BACKOFF) as cake:
        rows = iter(cake.invoices.find(row_limit=50))
        assert [next(rows).invoice_id for _ in range(151)] == list(range(1, 152))
        with pytest.raises(ApiError) as caught:
            next(rows)
        assert caught.value.__context__ is None
        frames = (frame for frame, _ in traceback.walk_tb(caught.tb))
        assert not any("NewRows" in repr(frame.f_locals) for frame in frames)
        with pytest.raises(ClosedError):
            next(rows)


def test_an_interrupted_list_has_no_hole(cake: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    serve = WaitedCall[object]._serve  # pyright: ignore[reportPrivateUsage] - the moment is in it

    def interrupted(call: WaitedCall[object], alive: Callable[[], bool]) -> None:
        serve(call, alive)
        monkeypatch.undo()
        raise KeyboardInterrupt  # a page is here, and not taken yet

    rows = iter(cake.invoices.find(row_limit=10))
    monkeypatch.setattr(WaitedCall, "_serve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    with pytest.raises(ClosedError):
        next(rows)


class Taken(deque[object]):
    """A signal handler raises when the first of these is taken, and not given yet."""

    error: type[BaseException] | None = None

    def popleft(self) -> object:
        taken = super().popleft()
        error, self.error = self.error, None
        if error is not None:
            raise error
        return taken


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_what_an_interruption_has_taken_is_not_skipped(
    error: type[BaseException], cake: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = iter(cake.invoices.find(row_limit=10))
    pages = cake.invoices.find(row_limit=10).pages()
    bills = cake.affiliate_bills.export(period=JUNE)
    for reader, name in ((rows, "_ready"), (pages, "_found"), (bills, "_ready")):
        next(reader)
        taken = Taken([*getattr(reader, name), None])
        taken.error = error
        monkeypatch.setattr(reader, name, taken)
        with pytest.raises(error):
            next(reader)
        with pytest.raises(ClosedError):
            list(reader)
    rows = iter(cake.invoices.find(row_limit=10))
    step = PagedRows[object].__next__

    def interrupted(rows: PagedRows[object]) -> object:
        step(rows)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(PagedRows, "__next__", interrupted)
        with pytest.raises(error):
            rows.collect()
    with pytest.raises(ClosedError):
        rows.collect()
    assert len(cake.affiliate_bills.export(period=JUNE).collect()) > 1  # the slot is free again


def test_an_export_is_read_as_it_arrives(sandbox: Sandbox) -> None:
    go_on = threading.Event()
    in_time: list[bool] = []
    with connect(sandbox) as cake:
        body = cake.request(
            "GET",
            EXPORT,
            params={
                "billing_cycle": "all",
                "billing_period_start_date": JUNE.start,
                "billing_period_end_date": JUNE.exclusive_end,
                "paid_only": "FALSE",
                "payment_type_id": 0,
            },
            repeatable=True,
            writes=False,
        ).body

    async def slowly() -> AsyncIterator[bytes]:
        end = b"</affiliate_bill>"
        place = body.index(end, body.index(end) + 1) + len(end)
        yield body[:place]
        in_time.append(await anyio.to_thread.run_sync(go_on.wait, 30))
        yield body[place:]

    peer = Peer(lambda _: httpx.Response(200, content=slowly()))
    with (
        Client("x.example", KEY, transport=peer) as cake,
        cake.affiliate_bills.export(period=JUNE) as bills,
    ):
        assert bills.success is True
        assert bills.row_count is not None
        next(bills)
        assert bills.rows_read == 1
        next(bills)
        go_on.set()
        assert len(list(bills)) == bills.row_count - 2
        assert bills.rows_read == bills.row_count
    assert in_time == [True]


def test_an_export_that_is_left_gives_its_slot_back(sandbox: Sandbox) -> None:
    timeouts = Timeouts(export_total=30)
    with connect(sandbox, timeouts=timeouts) as cake:
        for _ in cake.affiliate_bills.export(period=JUNE):
            break
        # Exports go one at a time.
        assert len(cake.affiliate_bills.export(period=JUNE).collect()) > 1
        bills = cake.affiliate_bills.export(period=JUNE)
        next(bills)
        bills.close()
        with pytest.raises(ClosedError):
            next(bills)


def test_views_and_other_calls(cake: Client, sandbox: Sandbox) -> None:
    view = cake.with_options(attempts=1)
    number = view.invoices.page(row_limit=1).items[0].invoice_id
    made = view.bulk.call(view.invoices.update, number, memo="by a view")
    assert view.bulk.each([made], journal=None).done == 1
    assert sandbox.state.invoices[number].memo == "by a view"
    assert cake.reference.currencies()
    cake.end_pause()
    plan = cake.run(
        monthend.Plan.updates,
        period=Period.year(2024),
        invoice_status="pending",
        set={"invoice_status": "approved"},
    )
    assert plan.header.rows > 0


def test_it_works_without_eventfd(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd", raising=False)
    with connect(sandbox) as cake:
        assert cake.invoices.page(row_limit=1).total_rows == 250
    with pytest.raises(ClosedError):
        cake.invoices.page()


def test_what_is_closed_says_so_in_a_line(sandbox: Sandbox) -> None:
    cake = connect(sandbox)
    with cake, cake:
        number = cake.invoices.page(row_limit=1).items[0].invoice_id
    cake.close()
    text = r"^the client is closed: make a new one, for example by Client\.from_env\(\)$"
    with pytest.raises(ClosedError, match=text):
        cake.invoices.get(number)
    with pytest.raises(ClosedError, match=text), cake:
        pass
    with ThreadPoolExecutor(1) as pool, pytest.raises(ClosedError, match=text):
        pool.submit(cake.invoices.get, number).result()  # a system reuses the thread's number
    assert repr(cake) == "<blocking.Client, closed>"
    connect(sandbox).close()  # without a call


def test_one_that_is_dropped_warns_and_ends_its_thread(sandbox: Sandbox) -> None:
    cake = connect(sandbox)
    rows = cake.invoices.find()
    next(iter(rows))
    (thread,) = threads()
    del cake
    gc.collect()
    assert thread.is_alive()  # the list goes on with it
    left: list[object] = [rows]
    del rows

    def dropped() -> None:
        drop(left)
        thread.join(30)  # it may have been the last that held the client

    with pytest.warns(ResourceWarning, match=r"^unclosed <Client x\.example>$"):
        dropped()
    assert not thread.is_alive()


def test_settings_are_refused_as_there() -> None:
    with pytest.raises(ConfigurationError, match=r"ledger: .*; grace: "):
        Client("x.example", KEY, grace=-1, ledger="no ledger")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="timeout"):
        Client("x.example", KEY, timeout=3)  # type: ignore[call-arg]


def test_from_env(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    with serve(sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", KEY)
        with Client.from_env(read_only=True) as cake:
            assert repr(cake) == f"<blocking.Client {url}>"
            number = cake.invoices.page(row_limit=1).items[0].invoice_id
            with pytest.raises(ArgumentError, match="read-only"):
                cake.invoices.update(number, memo="x")


def test_several_threads_share_it(cake: Client, sandbox: Sandbox) -> None:
    rows = iter(cake.invoices.find(row_limit=20))
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda _: [each.invoice_id for each in rows], range(4))
        assert sorted(chain.from_iterable(parts)) == sorted(sandbox.state.invoices)
    assert len(threads()) == 1


def test_it_works_inside_of_a_running_event_loop(cake: Client) -> None:
    async def cell() -> int | None:
        return cake.invoices.page(row_limit=1).total_rows

    assert asyncio.run(cell()) == 250


def test_its_event_loop_is_closed_in_notebooks_as_well(
    cake: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nest_asyncio replaces asyncio.run() by one like this.
    monkeypatch.setattr(
        asyncio, "run", lambda main: asyncio.new_event_loop().run_until_complete(main)
    )
    loop = cake._thread.call(asyncio.get_running_loop)
    cake.close()
    assert loop.is_closed()


def test_its_own_thread_cannot_wait_for_it(sandbox: Sandbox) -> None:
    errors: list[Exception] = []
    wanted: ContextVar[str] = ContextVar("wanted")
    seen: list[tuple[str, int]] = []

    def on_event(_: object) -> None:
        seen.append((wanted.get(), cake.stats().unknowns))
        for act in (lambda: cake.invoices.get(1), cake.close):
            try:
                act()
            except WrongLoopError as error:
                errors.append(error)

    cake = connect(sandbox, on_event=on_event)
    wanted.set("the context of the caller")
    cake.invoices.page(row_limit=1)
    assert "own thread cannot wait" in str(errors[0])
    assert seen[0] == ("the context of the caller", 0)
    cake.close()


# On Python 3.11 what the thread has left is found a moment later.
@pytest.mark.filterwarnings("ignore:unclosed <Client x.example>:ResourceWarning")
def test_nobody_waits_for_a_thread_that_was_ended_from_within(sandbox: Sandbox) -> None:
    def on_event(_: object) -> None:
        raise SystemExit

    cake = connect(sandbox, on_event=on_event)
    with pytest.raises(SystemExit):
        cake.invoices.page(row_limit=1)
    for thread in threads():
        thread.join(30)
    with pytest.raises(ClosedError, match="make a new one"):
        cake.invoices.page(row_limit=1)
    left: list[object] = [cake]
    del cake
    with pytest.warns(ResourceWarning, match="unclosed"):
        drop(left)


@pytest.mark.filterwarnings("ignore:unclosed <Client x.example>:ResourceWarning")
def test_a_call_that_never_began_is_not_waited_for(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [connect(sandbox)]
    was_posted = threading.Event()
    post = PostedFunctions.post
    said: list[str] = []

    def watched(functions: PostedFunctions, function: Callable[[], object]) -> bool:
        try:
            return post(functions, function)
        finally:
            if threading.current_thread() is other:
                was_posted.set()

    def call() -> None:
        try:
            held[0].invoices.page()
        except ClosedError as error:
            said.append(str(error))

    async def end(_: object) -> None:
        other.start()
        was_posted.wait(30)
        raise SystemExit

    other = threading.Thread(target=call, daemon=True)
    monkeypatch.setattr(PostedFunctions, "post", watched)
    with pytest.raises(SystemExit):
        held[0].run(end)
    other.join(30)
    assert said == ["the client was closed during the call"]
    with pytest.warns(ResourceWarning, match="unclosed"):
        drop(held)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_first_call_that_is_interrupted_can_be_made_again(
    when: str, cake: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if when == "after":
            start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cake.invoices.page(row_limit=1)
    assert cake.invoices.page(row_limit=1).total_rows == 250


class Book:
    """A ledger of plain functions."""

    def __init__(self) -> None:
        self.lines: list[object] = []

    def before(self, intent: Intent) -> None:
        self.note(intent.operation)
        if intent.arguments.get("memo") == "refuse":
            raise LookupError("no such payout")

    def after(self, intent: Intent, outcome: Outcome) -> None:
        del intent
        self.note(outcome)

    def note(self, line: object) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.lines.append(line)


class AsyncBook(Book):
    """A ledger of the asynchronous client."""

    async def before(self, intent: Intent) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        self.lines.append(intent.operation)

    async def after(self, intent: Intent, outcome: Outcome) -> None:  # type: ignore[override]
        del intent
        self.lines.append(outcome)


def test_a_ledger_is_called_on_the_thread_of_the_call(sandbox: Sandbox) -> None:
    number = next(iter(sandbox.state.invoices))
    for book in (Book(), AsyncBook()):
        with connect(sandbox, ledger=book) as cake:
            cake.invoices.update(number, memo="x")
        assert book.lines == ["invoices.update", Outcome.DONE]
    with connect(sandbox, ledger=Book()) as cake, pytest.raises(NotSent, match="LookupError"):
        cake.invoices.update(number, memo="refuse")
    assert sandbox.state.invoices[number].memo == "x"


def test_a_ledger_is_told_of_the_write_of_an_interrupted_call(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _Question[object].run
    number, book = next(iter(sandbox.state.invoices)), Book()

    def interrupted(question: _Question[object]) -> None:
        if not book.lines:
            run(question)
        else:
            monkeypatch.undo()
            raise KeyboardInterrupt  # the question was taken, and is not begun

    monkeypatch.setattr(_Question, "run", interrupted)
    with (
        connect(sandbox, ledger=book) as cake,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        cake.invoices.update(number, memo="x")
    assert "done (intent" in caught.value.__notes__[0]
    assert book.lines == ["invoices.update", Outcome.DONE]


def test_a_write_in_flight_has_an_unknown_outcome_when_it_is_closed() -> None:
    sent = threading.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        sent.set()
        await anyio.sleep_forever()
        raise AssertionError

    book = Book()
    cake = Client("x.example", KEY, transport=httpx.MockTransport(answer), grace=0, ledger=book)
    closer = threading.Thread(target=lambda: (sent.wait(30), cake.close()))
    closer.start()
    with pytest.raises(OutcomeUnknown, match="closed during the call"):
        cake.invoices.update(1, memo="x")
    closer.join()
    assert book.lines == ["invoices.update", Outcome.UNKNOWN]


def test_a_ledger_can_close_the_client(sandbox: Sandbox) -> None:
    class Closing(Book):
        def before(self, intent: Intent) -> None:
            super().before(intent)
            cake.close()

    book = Closing()
    # The write may leave before the client is closed.
    with connect(sandbox, ledger=book) as cake, contextlib.suppress(ClosedError):
        cake.invoices.update(next(iter(sandbox.state.invoices)), memo="x")
    assert len(book.lines) == 2
    assert not threads()


def test_a_run_reads_its_plan_and_calls_back_on_the_thread_of_the_user(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    pending = [n for n, row in sandbox.state.invoices.items() if row.invoice_status == "pending"]
    ended: list[int] = []
    counted: list[int] = []
    closed: list[bool] = []

    def plan() -> Iterator[bulk.Call[aiocake.UpdatedInvoice]]:
        try:
            for number in pending:
                assert threading.current_thread() is threading.main_thread()
                # It may call the client, too.
                found = cake.invoices.get(number)
                yield cake.bulk.call(
                    cake.invoices.update, found.invoice_id, invoice_status="approved"
                )
        finally:
            closed.append(threading.current_thread() is threading.main_thread())

    def on_outcome(each: bulk.Ended[aiocake.UpdatedInvoice]) -> None:
        assert threading.current_thread() is threading.main_thread()
        ended.append(each.index)

    def on_progress(progress: bulk.Progress) -> None:
        assert threading.current_thread() is threading.main_thread()
        counted.append(progress.done)

    summary = cake.bulk.each(
        plan(), journal=tmp_path / "run.db", on_outcome=on_outcome, on_progress=on_progress
    )
    assert summary.complete
    assert sorted(ended) == list(range(len(pending)))
    assert counted[-1] == len(pending)
    assert closed == [True]
    again = cake.bulk.carry(tmp_path / "run.db", calls=plan, on_outcome=on_outcome)
    assert again.done == len(pending)
    assert cake.bulk.resume(tmp_path / "run.db").done == len(pending)


@pytest.mark.parametrize("callback", ["on_outcome", "on_progress"])
def test_an_error_of_a_callback_ends_the_run(callback: str, cake: Client, sandbox: Sandbox) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    calls = [cake.bulk.call(cake.invoices.update, n, memo="x") for n in sandbox.state.invoices]
    with pytest.raises(ZeroDivisionError):
        cake.bulk.each(calls, journal=None, limit=1, **{callback: fail})  # type: ignore[arg-type]
    assert cake.stats().in_flight == 0
    assert sum(row.memo == "x" for row in sandbox.state.invoices.values()) < len(calls)


async def _updates(client: aiocake.Client) -> Callable[..., Any]:
    return client.invoices.update


def test_bad_arguments_of_a_run_are_refused_as_there(cake: Client) -> None:
    made = cake.bulk.call(cake.invoices.update, 1, memo="x")
    with pytest.raises(ArgumentError, match=r"on_outcome: .*on_progress: "):
        cake.bulk.each([made], journal=None, on_outcome=1, on_progress=2)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="calls: must be an iterable"):
        cake.bulk.each(None, journal=None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="calls: "):
        cake.bulk.carry("x.db", calls=[made])  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="method: must be a method of a client"):
        cake.bulk.call(print, 1)
    with pytest.raises(ArgumentError, match=r"a blocking client has cake\.bulk\.call"):
        bulk.call(cake.invoices.update, 1, memo="x")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="only reads"):
        cake.bulk.call(cake.invoices.get, 1)
    with Client("other.cake.com", KEY) as other:
        for method in (other.invoices.update, other.run(_updates)):
            with pytest.raises(ArgumentError, match="method: must be one of this client: another"):
                cake.bulk.call(method, 1, memo="x")
    assert cake.bulk.call(cake.with_options(total=5).invoices.update, 1, memo="x") == made
