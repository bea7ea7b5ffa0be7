# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""What a journal promises, wherever it is: the same tests on SQLite and on PostgreSQL."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiocake import Client, JournalError, bulk
from aiocake.bulk import Call, Journal, PlanIdentity, Stop
from aiocake.bulk.journal import EntryState
from aiocake.sandbox import Sandbox

from ..support.loops import one_loop

pytestmark = pytest.mark.anyio
__all__ = ["one_loop"]


def updates(cake: Client, *numbers: int, memo: str = "x") -> list[Call[Any]]:
    return [bulk.call(cake.invoices.update, number, memo=memo) for number in numbers]


def never() -> list[Call[Any]]:
    raise AssertionError


async def holds(place) -> None:
    """The log is a chain, and all else follows from it."""
    async with await Journal.open(place) as journal:
        found = await journal.verify_log()
        assert (found.integrity, found.completeness) == ((), ())


async def test_carry_begins_a_run_and_then_says_that_it_is_done(ledgers, place) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = updates(cake, 4821, 4822)
        first = await bulk.carry(place, cake, calls=lambda: calls)
        assert (first.done, first.complete, first.notes) == (2, True, ())
        books.state.requests.clear()
        assert await bulk.carry(place, cake, calls=never) == first
        assert books.state.requests == []
    async with await Journal.open(place) as journal:
        assert await journal.domain() == "x.example"
        assert await journal.is_complete()
        assert await journal.counts() == {EntryState.DONE: 2}
        (session,) = await journal.sessions()
        assert (session.ended_at is not None, session.stopped, session.running) == (
            True,
            None,
            False,
        )
        log = [each.what for each in await journal.log()]
        assert log[:3] == ["created", "began", "whole"]
        assert sorted(log[3:7]) == ["done", "done", "sending", "sending"]
        assert log[7:] == ["stopped"]
        entries = await journal.entries()
        assert [each.index for each in entries] == [0, 1]
        assert all(each.intent and each.detail for each in entries)
    await holds(place)


async def test_a_journal_that_is_there_is_refused(ledgers, place) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        await bulk.each(updates(cake, 4821), journal=place)
        books.state.requests.clear()
        with pytest.raises(JournalError, match=r"exists already: go on with its run by"):
            await bulk.each(updates(cake, 4822), journal=place)
    assert books.state.requests == []


async def test_a_journal_that_is_not_there_is_not_resumed(ledgers, place) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        with pytest.raises(JournalError, match=r"no such file|there is no run payouts in"):
            await bulk.resume(place, cake)
    assert books.state.requests == []


async def test_a_run_goes_on_with_what_is_left(ledgers, place) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = updates(cake, 4821, 999, 4822)
        first = await bulk.each(calls, journal=place, limit=1, stop_after=Stop(failed=1))
        assert (first.done, first.failed, first.unsent) == (1, 1, 1)
        second = await bulk.resume(place, cake)
        assert (second.done, second.failed) == (2, 1)
        async with await Journal.open(place) as journal:
            stopped = [each.stopped for each in await journal.sessions()]
            assert stopped == ["calls that failed: 1 (last: NotFound)", None]
    await holds(place)


async def test_a_plan_that_is_read_while_it_runs_goes_on_where_it_broke_off(ledgers, place) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = updates(cake, 4821, 4822, 4823)

        def breaking() -> Any:  # noqa: ANN401 - a generator
            yield from calls[:2]
            raise OSError

        with pytest.raises(OSError):  # noqa: PT011 - the plan's own
            await bulk.each(breaking(), journal=place)
        with pytest.raises(JournalError, match="call 1 of the plan differs from the journal"):
            await bulk.resume(place, cake, calls=[calls[0], calls[2]])
        summary = await bulk.resume(place, cake, calls=iter(calls))
        assert (summary.done, summary.complete) == (3, True)
    await holds(place)


async def test_another_instance_and_another_plan_are_refused(ledgers, place) -> None:
    books = ledgers(Sandbox())
    ours = PlanIdentity(hash="a" * 64, maker="Ann")
    async with books.client() as cake:
        await bulk.each(updates(cake, 4821), journal=place, identity=ours)
        with pytest.raises(JournalError, match=f"belongs to plan {'a' * 64}, not to {'b' * 64}"):
            await bulk.resume(place, cake, identity=PlanIdentity(hash="b" * 64))
    with pytest.raises(JournalError, match=r"belongs to instance x\.example"):
        await Journal.open(place, "y.example")
    async with await Journal.open(place) as journal:
        assert await journal.plan_identity() == ours
    await holds(place)


async def test_a_second_run_waits_for_the_end_of_the_first_and_a_reader_for_nothing(
    ledgers, place
) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        seen: list[object] = []

        async def look(_: object) -> None:
            with pytest.raises(JournalError, match=r"is in use by another run: .+, process \d+"):
                await bulk.resume(place, cake)
            async with await Journal.open(place) as journal:
                (session,) = await journal.sessions()
                seen.append(session.running)

        await bulk.each(updates(cake, 4821, 4822), journal=place, limit=1, on_outcome=look)
        assert seen == [True, True]
        assert (await bulk.resume(place, cake)).complete  # it was given back


async def test_a_create_whose_answer_was_lost_is_found_and_not_sent_again(
    ledgers, place, january
) -> None:
    books = ledgers()
    async with books.client() as cake:
        books.lose(lambda each: each.operation == "invoice", done=True)
        calls = [january(cake, each) for each in books.affiliates(2)]
        summary = await bulk.each(calls, journal=place, settle=0)
        assert (summary.done, summary.unknown, summary.complete) == (2, 0, True)
        assert len(books.periods()) == 2
    await holds(place)
    async with await Journal.open(place) as journal:
        details = [each.detail or "" for each in await journal.entries()]
        assert sum('"found"' in each for each in details) == 1
        assert [theirs for _, theirs in await journal.creates()] == [(), ()]


async def test_doubles_are_kept(ledgers, place, january) -> None:
    books = ledgers()
    async with books.client() as cake:
        (affiliate,) = books.affiliates(1)

        async def twice(_: object) -> None:
            await january(cake, affiliate).send()

        summary = await bulk.each([january(cake, affiliate)], journal=place, on_outcome=twice)
        assert len(summary.doubles) == 1
        async with await Journal.open(place) as journal:
            assert tuple(await journal.doubles()) == summary.doubles
    await holds(place)


async def test_a_changed_entry_of_the_log_shows(ledgers, place, request) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        await bulk.each(updates(cake, 4821), journal=place)
    change = "UPDATE log SET detail = '{}' WHERE what = 'done'"
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as connection, connection:
            connection.execute(change)
    else:
        with request.getfixturevalue("database").connect() as connection:
            connection.execute("ALTER TABLE log DISABLE TRIGGER append_only")
            connection.execute(change)
    async with await Journal.open(place) as journal:
        found = await journal.verify_log()
    assert any("is not what was written there" in each for each in found.integrity)
    assert found.completeness  # the state of the call follows from another entry
