# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""What a run has created is looked at once more in the end: what is there twice is told."""

import re
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from starlette.responses import Response

from aiocake import AlreadyExists, Client, JournalError, bulk
from aiocake.bulk import Call, Double, Journal
from aiocake.events import DoubleFound
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio


def create(cake: Client, partner: int, month: int, days: int = 28) -> Call[object]:
    start, end = date(2030, month, 1), date(2030, month, days)
    return bulk.call(cake.invoices.create, affiliate_id=partner, start_date=start, end_date=end)


class Somebody:
    """Creates on another host what a run creates, as soon as it has."""

    def __init__(self, books, **other: object) -> None:
        self.made: list[int] = []
        self.left = 1
        self._books = books
        self._other = other
        books.state.on_response.append(self._follow)

    def create(self, partner: int, **period: object) -> int:
        invoices = self._books.state.invoices
        like = [each for each in invoices.values() if each.affiliate_id == partner][-1]
        number = invoices.next_id()
        invoices[number] = attrs.evolve(like, **(self._other | period | {"invoice_id": number}))
        self.made.append(number)
        return number

    def _follow(self, request, answer: Response) -> None:
        if request.operation == "invoice" and answer.status_code == 200 and self.left:
            self.left -= 1
            self.create(int(request.arguments["affiliate_id"]))


def lists(books) -> list[str | None]:
    """Whose invoices were listed."""
    return [
        each.arguments.get("affiliate_id")
        for each in books.state.requests
        if each.operation == "invoices"
    ]


async def test_a_double_is_told_kept_and_gone_when_it_is_voided(
    ledgers, tmp_path: Path, caplog
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    one, other = books.affiliates(2)
    somebody = Somebody(books)
    reported: list[Any] = []
    async with books.client(on_event=reported.append) as cake:
        calls = [create(cake, one, 1), create(cake, other, 1), create(cake, one, 2)]
        summary = await bulk.each(calls, journal=path, limit=1)
        (theirs,) = somebody.made
        ours = min(books.state.invoices)
        double = Double(0, ours, (theirs,))
        assert (summary.doubles, summary.complete, summary.done) == ((double,), False, 3)
        assert (summary.unlooked, summary.notes, summary.stopped) == (0, (), None)
        found = [each for each in reported if isinstance(each, DoubleFound)]
        assert found == [DoubleFound("invoices.create", 0, ours, (theirs,))]
        assert f"call 0 was created twice: record {ours} was created, and there is {theirs}" in (
            caplog.text
        )
        async with await Journal.open(path) as journal:
            assert await journal.doubles() == [double]
        # It is looked at again, and it alone.
        books.state.requests.clear()
        assert (await bulk.resume(path, cake)).doubles == (double,)
        assert lists(books) == [str(one)]
        books.state.invoices[theirs].invoice_status = "void"
        summary = await bulk.resume(path, cake)
        assert (summary.doubles, summary.complete) == ((), True)
        books.state.requests.clear()
        assert (await bulk.resume(path, cake)).complete
        assert books.state.requests == []


@pytest.mark.parametrize(
    ("theirs", "is_double"),
    [
        ({}, True),
        ({"start_date": date(2030, 1, 28), "end_date": date(2030, 2, 3)}, True),
        ({"start_date": date(2030, 1, 29), "end_date": date(2030, 1, 31)}, False),
        ({"invoice_status": "void"}, False),
        ({"invoice_status": "paid"}, True),
        ({"affiliate_id": None, "advertiser_id": 1}, False),
    ],
    ids=["same", "overlaps", "beside", "void", "paid", "revenue"],
)
async def test_what_is_a_double(ledgers, theirs: dict[str, object], *, is_double: bool) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    Somebody(books, **theirs)
    async with books.client() as cake:
        summary = await bulk.each([create(cake, partner, 1)], journal=None)
    assert bool(summary.doubles) is is_double
    assert summary.complete is not is_double


@pytest.mark.parametrize("name", ["no-affiliate-filter", "newer-pages", "first-row-1-cap-7"])
async def test_doubles_are_found_in_each_kind_of_list(ledgers, name: str) -> None:
    books = ledgers(Sandbox(invoices=60, dialect=Dialect.all()[name]))
    partners = books.affiliates(3)
    if books.sandbox.dialect.invoice_fields == "payout":
        books.state.invoices.clear()
    somebody = Somebody(books)
    async with books.client() as cake:
        calls = [create(cake, partner, 1) for partner in partners]
        summary = await bulk.each(iter(calls), journal=None, limit=1)
    assert [each.theirs for each in summary.doubles] == [tuple(somebody.made)]


async def test_neither_what_was_there_nor_what_the_run_made_is_a_double(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    (partner,) = books.affiliates(1)
    async with books.client() as cake:
        await create(cake, partner, 1).send()
        calls = [create(cake, partner, month) for month in (1, 2)] * 2
        kept = await bulk.each(
            calls, journal=path, on_existing="create", allow_repeats=True, limit=1
        )
        assert (kept.done, kept.doubles, kept.complete) == (4, (), True)
        # An earlier life did not look; this one does, and they are all its own.
        summary = await bulk.resume(path, cake)
    assert (summary.doubles, summary.complete) == ((), True)


async def test_where_creating_all_the_same_was_asked_for_nobody_looks(ledgers) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    Somebody(books)
    async with books.client() as cake:
        summary = await bulk.each([create(cake, partner, 1)], journal=None, on_existing="create")
    assert (summary.doubles, summary.complete) == ((), True)
    assert len(lists(books)) == 2  # how many there are, and the partner's


async def test_where_nothing_was_created_nobody_looks(ledgers) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    async with books.client() as cake:
        assert (await bulk.each([create(cake, partner, 1)], journal=None)).done == 1
        number = max(books.state.invoices)
        books.state.requests.clear()
        calls = [create(cake, partner, 1), bulk.call(cake.invoices.update, number, memo="x")]
        summary = await bulk.each(iter(calls), journal=None)
    assert (summary.done, summary.skipped) == (1, 1)
    assert lists(books) == [str(partner)]


async def test_one_list_is_read_where_that_takes_fewer_requests(ledgers) -> None:
    books = ledgers(Sandbox(invoices=301))
    partners = books.affiliates(5)
    async with books.client() as cake:
        await bulk.each([create(cake, partner, 1) for partner in partners], journal=None)
        # How many, all, and all in the end; all are two pages each, since one might be cut off.
        assert lists(books) == [None] * 5
        books.state.requests.clear()
        await bulk.each([create(cake, partners[0], 2)], journal=None)
        assert lists(books) == [None, str(partners[0]), str(partners[0])]
        books.state.requests.clear()
        await bulk.each(iter([create(cake, partner, 3) for partner in partners]), journal=None)
        assert lists(books)[5:] == [None] * 3


async def test_a_lost_create_that_was_found_is_ours(ledgers) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    books.lose(lambda request: request.operation == "invoice", done=True)
    somebody = Somebody(books)
    somebody.left = 0
    looks = []

    def late(request) -> None:
        # Somebody creates it, too, when the lost one was found.
        if request.operation == "invoices":
            looks.append(request)
            if len(looks) == 5:  # how many; the look; twice for what was lost; the last
                somebody.create(partner)

    books.state.on_request.append(late)
    async with books.client() as cake:
        summary = await bulk.each([create(cake, partner, 1)], journal=None, settle=0)
    ours = min(books.state.invoices)
    assert (summary.done, summary.doubles) == (1, (Double(0, ours, tuple(somebody.made)),))


async def test_a_create_that_stays_unknown_is_not_its_own_double(ledgers) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    books.lose(lambda request: request.operation == "invoice", done=True)
    somebody = Somebody(books)
    somebody.left = 0

    def twin(request) -> None:
        if request.operation == "invoices" and books.writes and not somebody.made:
            period = {"start_date": date(2030, 1, 1), "end_date": date(2030, 1, 28)}
            somebody.create(one, **period)

    books.state.on_request.append(twin)
    async with books.client() as cake:
        calls = [create(cake, one, 1), create(cake, one, 2), create(cake, other, 1)]
        summary = await bulk.each(calls, journal=None, settle=0, limit=1)
    assert (summary.done, summary.unknown, summary.doubles) == (2, 1, ())
    (problem,) = summary.problems
    assert set(somebody.made) < set(problem.candidates)


@pytest.mark.parametrize("journal", [True, False])
async def test_a_look_that_fails_is_said_and_made_up_for(
    ledgers, tmp_path: Path, *, journal: bool
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    one, other = books.affiliates(2)
    somebody = Somebody(books)

    def fail(request) -> Response | None:
        done = len(books.writes) == 2
        return Response("down", 500) if done and request.operation == "invoices" else None

    books.state.on_request.append(fail)
    async with books.client() as cake:
        calls = [create(cake, one, 1), create(cake, other, 1)]
        summary = await bulk.each(calls, journal=path if journal else None, limit=1)
        assert (summary.done, summary.unlooked, summary.complete) == (2, 2, False)
        (note,) = summary.notes
        assert note.startswith("2 of the creates were not checked for doubles: ")
        assert "ServerError" in note
        assert note in repr(summary)
        if journal:
            books.state.on_request.remove(fail)
            summary = await bulk.resume(path, cake)
            assert [each.theirs for each in summary.doubles] == [tuple(somebody.made)]
            assert (summary.unlooked, summary.notes) == (0, ())


async def test_a_look_that_meets_a_pause_says_until_when(ledgers) -> None:
    books = ledgers()

    def refuse(request) -> Response | None:
        if not books.writes or request.operation != "invoices":
            return None
        return Response("Daily limit reached", 429, headers={"Retry-After": "3600"})

    books.state.on_request.append(refuse)
    async with books.client() as cake:
        (partner,) = books.affiliates(1)
        summary = await bulk.each([create(cake, partner, 1)], journal=None)
    assert (summary.done, summary.unlooked) == (1, 1)
    (note,) = summary.notes
    found = re.search(
        r"RateLimited: .*; the server asks to wait until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$",
        note,
    )
    assert found is not None, note
    until = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    assert timedelta(minutes=59) < until - datetime.now(UTC) < timedelta(minutes=61)


@pytest.mark.parametrize("fault", ["cancelled", "raised", "stopped", "exists"])
async def test_a_run_that_is_broken_off_looks_all_the_same(
    ledgers, tmp_path: Path, fault: str
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    one, other, third = books.affiliates(3)
    somebody = Somebody(books)
    async with books.client() as cake:
        with anyio.CancelScope() as scope:

            def on_outcome(ended: object) -> None:
                del ended
                if fault == "cancelled":
                    scope.cancel()
                elif fault == "raised":
                    raise LookupError

            calls = [create(cake, one, 1), create(cake, other, 1)]
            if fault == "exists":
                await create(cake, other, 1).send()
                somebody.left = 1
            if fault == "stopped":
                calls[1] = bulk.call(cake.invoices.update, 999, memo="x")
            calls.append(create(cake, third, 1))
            try:
                await bulk.each(
                    calls,
                    journal=path,
                    limit=1,
                    on_outcome=on_outcome,
                    on_existing="raise",
                    stop_after=bulk.Stop(failed=1),
                )
            except (LookupError, AlreadyExists):
                assert fault in {"raised", "exists"}
        async with await Journal.open(path) as journal:
            (double,) = await journal.doubles()
            assert double.theirs == tuple(somebody.made[-1:])


async def test_a_cancelled_look_is_made_up_for_and_bounded(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["aiocake.bulk.execution"], "_LAST_LOOK", 0.01)
    books, path = ledgers(), tmp_path / "run.db"
    (partner,) = books.affiliates(1)
    somebody = Somebody(books)

    async def hang(request) -> None:
        if books.writes and request.operation == "invoices":
            scope.cancel()
            await anyio.sleep_forever()

    books.state.on_request.append(hang)
    async with books.client() as cake:
        with anyio.CancelScope() as scope:
            await bulk.each([create(cake, partner, 1)], journal=path)
        assert scope.cancelled_caught
        books.state.on_request.remove(hang)
        summary = await bulk.resume(path, cake)
    assert [each.theirs for each in summary.doubles] == [tuple(somebody.made)]


#: What makes a journal one of schema 1, as the first aiocake left it.
BEFORE = (
    "DROP TABLE looks",
    "DELETE FROM log WHERE place IS NULL OR what = 'looked'",
    "ALTER TABLE log DROP COLUMN hash",
    "ALTER TABLE calls DROP COLUMN hash",
    "PRAGMA user_version = 1",
)


async def test_a_journal_of_an_aiocake_that_did_not_look(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    (partner,) = books.affiliates(1)
    somebody = Somebody(books)
    async with books.client() as cake:
        assert (await bulk.each([create(cake, partner, 1)], journal=path)).doubles
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in BEFORE:
                connection.execute(statement)
        async with await Journal.open(path) as journal:
            assert await journal.doubles() == []
        summary = await bulk.resume(path, cake)
        assert [each.theirs for each in summary.doubles] == [tuple(somebody.made)]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE calls SET detail = '{}'")
        with pytest.raises(JournalError, match="does not say what call 0 created"):
            await bulk.resume(path, cake)
