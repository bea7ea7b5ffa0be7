# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""``carry``: one line that begins a run, goes on with it, or finds that it is done."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from starlette.responses import Response

from aiocake import ArgumentError, Client, JournalError, bulk
from aiocake.bulk import Call, Journal, PlanIdentity, Stop
from aiocake.bulk.journal_file import create
from aiocake.sandbox import Sandbox

from ..support.runs import change

pytestmark = pytest.mark.anyio


class Plan:
    """Makes a plan, and counts how often it is asked for one."""

    def __init__(self, cake: Client, *numbers: int) -> None:
        self.calls: list[Call[Any]] = [
            bulk.call(cake.invoices.update, number, memo="x") for number in numbers
        ]
        self.made = 0

    def __call__(self) -> list[Call[Any]]:
        self.made += 1
        return self.calls


def never() -> list[Call[Any]]:
    raise AssertionError


async def test_it_begins_a_run_and_then_says_that_it_is_done_without_a_request(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        plan = Plan(cake, 4821, 4822)
        first = await bulk.carry(path, cake, calls=plan)
        assert (first.done, first.complete, plan.made) == (2, True, 1)
        books.state.requests.clear()
        before = path.read_bytes()
        assert await bulk.carry(path, cake, calls=never) == first
        assert books.state.requests == []
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["run.db"]  # noqa: PTH208 - a list


async def test_it_goes_on_with_what_is_left_without_asking_for_the_plan(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        plan = Plan(cake, 4821, 999, 4822)
        first = await bulk.carry(path, cake, calls=plan, limit=1, stop_after=Stop(failed=1))
        assert (first.done, first.failed, first.unsent) == (1, 1, 1)
        second = await bulk.carry(path, cake, calls=never)
        assert (second.done, second.failed) == (2, 1)
        books.state.requests.clear()
        third = await bulk.carry(path, cake, calls=never)  # what failed is tried again
        assert (third.failed, len(books.state.requests)) == (1, 1)


async def test_the_same_plan_is_asked_for_again_where_its_writing_was_interrupted(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        plan = Plan(cake, 4821, 4822, 4823)
        async with await Journal.create(path, "x.example", for_tests=True) as journal:
            journal.plan(0, plan.calls[0].digest(), plan.calls[0].to_json())
        written: list[int] = []

        async def look(_: object) -> None:
            async with await Journal.open(path) as journal:
                assert await journal.is_complete()
                written.append(await journal.size())

        books.state.on_request.append(look)
        summary = await bulk.carry(path, cake, calls=plan, limit=1)
        assert (summary.done, summary.complete, plan.made) == (3, True, 1)
        assert written == [3, 3, 3]  # a list is on the disk as a whole before anything is sent
        assert [each.arguments["invoice_id"] for each in books.writes] == [4821, 4822, 4823]
        assert (await bulk.carry(path, cake, calls=never)).complete
        async with await Journal.open(path) as journal:
            found = await journal.verify_log()
            assert (found.integrity, found.completeness) == ((), ())


async def test_a_list_with_a_repetition_behind_what_was_written_is_refused_before_anything_is_sent(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        plan = Plan(cake, 4821, 4822, 4822)
        async with await Journal.create(path, "x.example", for_tests=True) as journal:
            journal.plan(0, plan.calls[0].digest(), plan.calls[0].to_json())
        with pytest.raises(ArgumentError, match=r"calls\[2\]: is repeated"):
            await bulk.carry(path, cake, calls=plan)
    assert books.state.requests == []


@pytest.mark.parametrize("left", ["nothing", "an empty file", "a half-made file", "no plan"])
async def test_a_kill_at_the_start_leaves_what_it_begins_on(
    ledgers, tmp_path: Path, left: str
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    if left == "an empty file":
        path.touch()
    elif left == "a half-made file":
        making = tmp_path / "making.db"
        with closing(sqlite3.connect(making, isolation_level=None)) as connection:
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("BEGIN EXCLUSIVE")
            for number in range(50):
                connection.execute(f"CREATE TABLE t{number} (a, b, c)")
            path.write_bytes(making.read_bytes())
            (tmp_path / "run.db-journal").write_bytes((tmp_path / "making.db-journal").read_bytes())
    elif left == "no plan":
        create(path, "x.example", for_tests=True).close()
    async with books.client() as cake:
        plan = Plan(cake, 4821)
        assert (await bulk.carry(path, cake, calls=plan)).complete
        assert (await bulk.carry(path, cake, calls=never)).complete
    assert len(books.state.requests) == 1


async def test_a_plan_is_made_in_any_way(ledgers, tmp_path: Path) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = Plan(cake, 4821, 4822).calls

        async def later() -> list[Call[Any]]:
            return calls

        def lazily() -> Iterator[Call[Any]]:
            yield from calls

        async def streamed() -> AsyncIterator[Call[Any]]:
            for each in calls:
                yield each

        async def nothing() -> AsyncIterator[Call[Any]]:
            for each in calls[:0]:
                yield each

        async def later_streamed() -> AsyncIterator[Call[Any]]:
            return streamed()

        ways: list[tuple[Any, int]] = [
            (later, 2), (lazily, 2), (streamed, 2), (later_streamed, 2), (list, 0), (nothing, 0),
        ]  # fmt: skip
        for make, count in ways:
            path = tmp_path / f"{make.__name__}.db"
            summary = await bulk.carry(path, cake, calls=make)
            assert (summary.done, summary.complete) == (count, True)
            books.state.requests.clear()
            assert await bulk.carry(path, cake, calls=never) == summary
            assert books.state.requests == []


async def test_a_generator_that_was_not_read_to_its_end_is_asked_for_again(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls = Plan(cake, 4821, 4822, 4823).calls
        broken = [True]

        def make() -> Iterator[Call[Any]]:
            yield calls[0]
            if broken.pop():
                raise LookupError
            yield from calls[1:]

        broken.insert(0, False)
        with pytest.raises(LookupError):
            await bulk.carry(path, cake, calls=make)
        assert (await bulk.carry(path, cake, calls=make)).done == 3
    assert len(books.writes) == 3


async def test_what_is_for_another_instance_is_refused(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    transport = httpx.ASGITransport(app=books.sandbox.app)
    async with (
        books.client() as cake,
        Client("y.example", "SANDBOX-KEY", transport=transport) as other,
    ):
        theirs = Plan(other, 4821)

        async def streamed() -> AsyncIterator[Call[Any]]:
            for each in theirs.calls:
                yield each

        for make in (theirs, lambda: iter(theirs.calls), streamed):
            with pytest.raises(ArgumentError, match=r"calls\[0\]: is for y.example, not for x.ex"):
                await bulk.carry(path, cake, calls=make)
            assert not path.exists()
        assert (await bulk.carry(path, cake, calls=Plan(cake, 4821))).complete
        with pytest.raises(JournalError, match=r"belongs to instance x\.example"):
            await bulk.carry(path, other, calls=never)


async def test_a_journal_of_another_plan_is_refused_even_if_it_is_done(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    one, other = PlanIdentity(hash="a" * 64), PlanIdentity(hash="b" * 64)
    async with books.client() as cake:
        assert (await bulk.carry(path, cake, calls=Plan(cake, 4821), identity=one)).complete
        with pytest.raises(JournalError, match=f"belongs to plan {one.hash}"):
            await bulk.carry(path, cake, calls=never, identity=other)
        assert (await bulk.carry(path, cake, calls=never, identity=one)).complete
        plain = tmp_path / "plain.db"
        await bulk.carry(plain, cake, calls=Plan(cake, 4821))
        with pytest.raises(JournalError, match="its run carries out no plan"):
            await bulk.carry(plain, cake, calls=never, identity=one)


async def test_creates_that_were_not_checked_for_doubles_are_not_done(
    ledgers, january, tmp_path: Path
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    (number,) = books.affiliates(1)
    async with books.client() as cake:

        def make() -> list[Call[Any]]:
            return [january(cake, number)]

        assert (await bulk.carry(path, cake, calls=make)).complete
        books.state.requests.clear()
        assert (await bulk.carry(path, cake, calls=never)).complete
        assert books.state.requests == []
        change(path, "DELETE FROM looks")
        assert (await bulk.carry(path, cake, calls=never, on_existing="create")).complete
        assert books.state.requests == []
        assert (await bulk.carry(path, cake, calls=never)).complete
        assert [each.operation for each in books.state.requests] == ["invoices"]
        change(path, "UPDATE looks SET theirs = '[77]'")  # somebody else's, voided since then
        assert (await bulk.carry(path, cake, calls=never)).complete
        assert len(books.state.requests) == 2


async def test_what_was_skipped_is_done(ledgers, january, tmp_path: Path) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    (number,) = books.affiliates(1)
    async with books.client() as cake:
        await january(cake, number).send()
        first = await bulk.carry(path, cake, calls=lambda: [january(cake, number)])
        assert (first.skipped, len(first.problems)) == (1, 1)
        books.state.requests.clear()
        second = await bulk.carry(path, cake, calls=never)
        assert (second.skipped, second.complete, second.problems) == (1, True, ())
    assert books.state.requests == []


async def test_conflicts_are_told_again_and_nothing_is_sent(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    first, second = list(books.state.invoices.values())[:2]
    first.invoice_status, second.invoice_status = "paid", "pending"
    async with books.client() as cake:

        def make() -> list[Call[Any]]:
            return [
                bulk.call(cake.invoices.update, each.invoice_id, invoice_status="approved")
                for each in (first, second)
            ]

        begun = await bulk.carry(path, cake, calls=make)
        assert (begun.done, begun.conflicts, begun.complete) == (1, 1, False)
        books.state.requests.clear()
        again = await bulk.carry(path, cake, calls=never, on_conflict="overwrite")
        assert books.state.requests == []
        assert again == attrs.evolve(begun, oldest_look=None)


async def test_a_run_that_is_alive_is_not_carried_on(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    refused: list[str] = []

    async def meanwhile(_: object) -> Response | None:
        with pytest.raises(JournalError) as caught:
            await bulk.carry(path, cake, calls=never)
        refused.append(str(caught.value))
        return None

    books.state.on_request.append(meanwhile)
    async with books.client() as cake:
        assert (await bulk.carry(path, cake, calls=Plan(cake, 4821))).complete
    assert "is in use by another run" in refused[0]


async def test_bad_arguments_are_refused_whatever_the_journal_says(ledgers, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with ledgers(Sandbox()).client() as cake:
        for _ in range(2):
            with pytest.raises(ArgumentError, match="calls: must be a function, got list"):
                await bulk.carry(path, cake, calls=[])  # type: ignore[arg-type]
            with pytest.raises(ArgumentError, match="limit: must be a whole number"):
                await bulk.carry(path, cake, calls=never, limit=0)
            with pytest.raises(ArgumentError, match="cake: must be a client"):
                await bulk.carry(path, None, calls=never)  # type: ignore[arg-type]
            await bulk.carry(path, cake, calls=lambda: Plan(cake, 4821).calls)
        for made in (None, 5):
            with pytest.raises(ArgumentError, match="calls: must be an iterable of calls"):
                await bulk.carry(tmp_path / "x.db", cake, calls=lambda made=made: made)  # type: ignore[arg-type,return-value,misc]
        with pytest.raises(ArgumentError, match=r"calls\[0\]: must be made by bulk.call"):
            await bulk.carry(tmp_path / "x.db", cake, calls=lambda: [5])  # type: ignore[arg-type,list-item,return-value]
