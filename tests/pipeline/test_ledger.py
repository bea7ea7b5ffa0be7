"""What a ledger is told of each write, and what it changes: nothing but whether one is sent."""

import asyncio
import logging
import pickle
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import anyio
import httpx
import pytest
import trio

from aiocake import (
    ApiError,
    ArgumentError,
    CakeError,
    Client,
    Intent,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    ServerError,
    Timeouts,
)
from aiocake.errors import ClosedError
from aiocake.events import AttemptEnded, Event

from ..support.peer import Held, Peer, Step, done, lost, page, says, unreached

pytestmark = pytest.mark.anyio

Call = Callable[[Client], Awaitable[object]]


def create(cake: Client) -> Awaitable[object]:
    return cake.invoices.create(
        affiliate_id=7, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31), memo="canary note"
    )


def update(cake: Client) -> Awaitable[object]:
    return cake.invoices.update(1, memo="canary note")


class Book:
    """A ledger that keeps what it is told, along with how many requests had come by then."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.reported: list[tuple[str, int, Intent, Outcome | None]] = []

    async def before(self, intent: Intent) -> None:
        await anyio.lowlevel.checkpoint()
        self.reported.append(("before", len(self._peer.requests), intent, None))

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        await anyio.lowlevel.checkpoint()
        self.reported.append(("after", len(self._peer.requests), intent, outcome))

    @property
    def lines(self) -> list[tuple[str, int, Outcome | None]]:
        return [(what, requests, outcome) for what, requests, _, outcome in self.reported]


async def test_it_is_told_before_and_after() -> None:
    peer = Peer(done())
    book = Book(peer)
    begun = datetime.now(UTC)
    async with peer.client(ledger=book) as cake:
        await create(cake)
    assert book.lines == [("before", 0, None), ("after", 1, Outcome.DONE)]
    before, after = (intent for _, _, intent, _ in book.reported)
    assert before.id == after.id
    assert before.operation == "invoices.create"
    assert before.arguments == {
        "affiliate_id": 7,
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 1, 31),
        "memo": "canary note",
    }
    assert before.at is not None
    assert begun <= before.at <= datetime.now(UTC)
    assert "canary" not in repr(before) + repr(before.shown())
    assert b"canary" not in pickle.dumps(before)


@pytest.mark.parametrize(
    ("call", "steps", "requests", "outcome", "error"),
    [
        (create, [lost], 1, Outcome.UNKNOWN, OutcomeUnknown),
        (create, [unreached], 3, Outcome.NOT_DONE, NotSent),
        (create, [says("no", 500)], 1, Outcome.UNKNOWN, OutcomeUnknown),
        (update, [lost, done()], 2, Outcome.DONE, None),
        (update, [lost], 3, Outcome.UNKNOWN, OutcomeUnknown),
        (
            update,
            [says({"success": False, "message": "Not found"}, 404)],
            1,
            Outcome.NOT_DONE,
            NotFound,
        ),
        (
            update,
            [lost, says({"success": False, "message": "not found"}, 404)],
            2,
            Outcome.UNKNOWN,
            OutcomeUnknown,
        ),
        (update, [says("?")], 1, Outcome.UNKNOWN, OutcomeUnknown),
    ],
)
async def test_it_is_told_what_the_caller_is_told(
    call: Call,
    steps: list[Step],
    requests: int,
    outcome: Outcome,
    error: type[CakeError] | None,
) -> None:
    peer = Peer(*steps)
    book = Book(peer)
    raised: CakeError | None = None
    async with peer.client(ledger=book) as cake:
        try:
            await call(cake)
        except CakeError as caught:
            raised = caught
        unknowns = cake.stats().unknowns
    assert book.lines == [("before", 0, None), ("after", requests, outcome)]
    assert (None if raised is None else type(raised)) is error
    if raised is not None:
        assert raised.outcome is outcome
    assert unknowns == (outcome is Outcome.UNKNOWN)
    if isinstance(raised, OutcomeUnknown):
        assert raised.intent.id == book.reported[0][2].id
        assert raised.intent.attempts == requests


async def test_reads_are_nothing_to_it() -> None:
    peer = Peer(page(1))
    book = Book(peer)
    async with peer.client(ledger=book) as cake:
        await cake.invoices.get(1)
        await cake.invoices.find().collect()
        await cake.request("GET", "/api/2/x.json", repeatable=True)
    assert book.reported == []


async def test_a_write_that_is_refused_at_once_is_none() -> None:
    peer = Peer(done())
    book = Book(peer)
    async with peer.client(ledger=book) as cake:
        with pytest.raises(ArgumentError):
            await cake.invoices.update(0, memo="x")
    async with peer.client(ledger=book, read_only=True) as cake:
        with pytest.raises(ArgumentError):
            await update(cake)
    assert book.reported == []


async def test_it_hears_of_what_is_refused_when_the_key_is_in_place() -> None:
    peer = Peer(done())
    book = Book(peer)
    async with peer.client(ledger=book) as cake:
        with pytest.raises(ArgumentError, match="SOAP12") as caught:
            await cake.affiliate_bills.mark_received(1, invoiced_amount=1, notes="日" * 250)
    assert caught.value.outcome is Outcome.NOT_DONE
    assert caught.value.operation == "affiliate_bills.mark_received"
    assert book.lines == [("before", 0, None), ("after", 0, Outcome.NOT_DONE)]


async def test_it_hears_nothing_of_a_closed_client() -> None:
    peer = Peer(done())
    book = Book(peer)
    cake = peer.client(ledger=book)
    await cake.aclose()
    with pytest.raises(ClosedError) as caught:
        await update(cake)
    assert caught.value.outcome is Outcome.NOT_DONE
    assert book.lines == []


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ApiError("no", status=500)]
)
async def test_nothing_is_sent_when_it_raises_before(error: Exception) -> None:
    peer = Peer(done())

    class Full(Book):
        async def before(self, intent: Intent) -> None:
            await super().before(intent)
            if len(self.reported) == 1:
                raise error

    book = Full(peer)
    async with peer.client(ledger=book) as cake:
        with pytest.raises(NotSent, match=type(error).__name__) as caught:
            await update(cake)
        assert caught.value.__cause__ is error
        assert caught.value.outcome is Outcome.NOT_DONE
        assert caught.value.operation == "invoices.update"
        assert peer.requests == []
        await update(cake)
        assert cake.stats().unknowns == 0
    assert len(peer.requests) == 1


class Failing(Book):
    async def after(self, intent: Intent, outcome: Outcome) -> None:
        await super().after(intent, outcome)
        raise OSError(28, f"cannot store {intent.arguments}")


@pytest.mark.parametrize("show_sensitive", [False, True])
async def test_what_it_raises_after_is_logged_and_changes_nothing(
    show_sensitive: bool,  # noqa: FBT001 - what is tried
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer = Peer(done(), says("no", 500))
    book = Failing(peer)
    async with peer.client(ledger=book, show_sensitive=show_sensitive) as cake:
        assert await update(cake)
        with pytest.raises(OutcomeUnknown) as caught:
            await create(cake)
        assert isinstance(caught.value.cause, ServerError)
    assert [outcome for _, _, outcome in book.lines] == [
        None,
        Outcome.DONE,
        None,
        Outcome.UNKNOWN,
    ]
    records = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.name for each in records] == ["aiocake", "aiocake"]
    (_, _, first, _), (_, _, second, _) = book.reported[::2]
    for record, intent, outcome in zip(
        records, (first, second), (Outcome.DONE, Outcome.UNKNOWN), strict=True
    ):
        reported = record.getMessage()
        assert intent.id in reported
        assert intent.operation in reported
        assert outcome in reported
        assert "OSError" in reported
    # What the ledger was to store is a payload.
    assert ("canary note" in caplog.text) is show_sensitive


async def cancelled_while_sending(
    cake: Client, call: Call, held: Held, scope: anyio.CancelScope
) -> None:
    async def run() -> None:
        with scope:
            await call(cake)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await held.begun.wait()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        held.go_on.set()


async def test_a_failing_ledger_does_not_break_a_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held, scope = Held(done()), anyio.CancelScope()
    peer = Peer(held)
    async with peer.client(ledger=Failing(peer)) as cake:
        await cancelled_while_sending(cake, update, held, scope)
        assert scope.cancelled_caught
    assert "OSError" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has scopes only
async def test_a_second_cancellation_does_not_cut_what_it_is_told(anyio_backend: str) -> None:
    assert anyio_backend == "asyncio"
    reported, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    held = Held(done())
    peer = Peer(held)

    class Slow(Book):
        async def after(self, intent: Intent, outcome: Outcome) -> None:
            reported.set()
            await go_on.wait()
            await super().after(intent, outcome)
            ended.set()

    book = Slow(peer)
    async with peer.client(ledger=book) as cake:
        task = asyncio.ensure_future(create(cake))
        await held.begun.wait()
        task.cancel()
        held.go_on.set()
        await reported.wait()
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()
    assert book.lines == [("before", 0, None), ("after", 1, Outcome.DONE)]


def test_ctrl_c_on_trio_leaves_a_write_its_grace() -> None:
    """It is raised right in the caller there, while asyncio cancels the task."""

    async def interrupting(request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        await anyio.wait_all_tasks_blocked()
        answer = done()(request)
        assert isinstance(answer, httpx.Response)
        return answer

    book = Book(peer := Peer(interrupting))

    async def main() -> None:
        async with peer.client(ledger=book) as cake:
            await update(cake)

    with pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert book.lines == [("before", 0, None), ("after", 1, Outcome.DONE)]


def test_a_listener_that_ends_the_program_on_trio_leaves_a_write_its_record() -> None:
    """It does as the write is cut at its deadline: after it was sent, and before it has ended."""

    def listen(event: Event) -> None:
        if isinstance(event, AttemptEnded):
            raise SystemExit

    async def main() -> None:
        nonlocal book
        book = Book(peer := Peer(Held(done())))
        async with peer.client(ledger=book, on_event=listen, timeouts=Timeouts(total=0.05)) as cake:
            await update(cake)

    book: Book | None = None
    with pytest.raises(SystemExit):
        trio.run(main)
    assert book is not None
    assert book.lines == [("before", 0, None), ("after", 1, Outcome.UNKNOWN)]


async def test_it_sees_each_of_many_writes_once() -> None:
    peer = Peer(done())
    book = Book(peer)
    async with peer.client(ledger=book) as cake, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(update, cake)
    per_call: dict[str, list[Any]] = {}
    for what, _, intent, outcome in book.reported:
        per_call.setdefault(intent.id, []).append((what, outcome))
    assert len(per_call) == 20
    assert all(each == [("before", None), ("after", Outcome.DONE)] for each in per_call.values())
