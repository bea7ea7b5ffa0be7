# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""A journal that is not as it was written, has an odd name, or is cancelled while it is opened."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from aiocake import ArgumentError, JournalError, bulk
from aiocake.bulk import Journal
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DELETE FROM meta", "damaged: it does not name its instance"),
        (
            "UPDATE calls SET state = 'dine' WHERE place = 1",
            "damaged: a call has the unknown state 'dine'",
        ),
        ("UPDATE calls SET call = replace(call, 'memo', 'mamo')", "damaged: call 0 is not the one"),
        ("UPDATE calls SET call = '{'", "damaged: call 0 is not the one"),
    ],
)
async def test_what_was_not_written_so_is_damaged(
    ledgers, tmp_path: Path, change: str, message: str
) -> None:
    await _sends_nothing_of(ledgers(Sandbox()), tmp_path / "run.db", change, message)


async def test_a_call_for_another_invoice_than_was_planned_is_not_sent(
    ledgers, tmp_path: Path
) -> None:
    books = ledgers(Sandbox())
    change = """UPDATE calls SET call = replace(call, '"invoice_id": 4821', '"invoice_id": 4822')"""
    await _sends_nothing_of(books, tmp_path / "run.db", change, "damaged: call 0 is not the one")


async def _sends_nothing_of(books, path: Path, change: str, message: str) -> None:
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:3]
        await bulk.each(
            [bulk.call(cake.invoices.update, n, memo="x") for n in numbers], journal=path
        )
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE calls SET state = 'planned'")
            connection.execute(change)
            connection.commit()
        books.state.requests.clear()
        for _ in range(2):  # a connection that was left open would keep its lock
            with pytest.raises(JournalError, match=message):
                await bulk.resume(path, cake)
    assert books.state.requests == []


async def test_a_key_that_an_answer_repeats_is_not_written_down(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    memo = "seen at /api/2/update_invoice.json?api_key=SANDBOX-KEY"
    invoice = {"invoice_id": 4821, "memo": memo}
    books.state.on_request.append(
        lambda _: JSONResponse({"request_status": "Success", "invoice": invoice})
    )
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path)).complete
    written = path.read_bytes()
    assert b"update_invoice.json" in written
    assert b"SANDBOX-KEY" not in written


async def test_a_list_that_is_refused_leaves_no_journal_in_the_way(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, 4821, memo=memo) for memo in "abb"]
        with pytest.raises(ArgumentError, match="is repeated"):
            await bulk.each(calls, journal=path)
        assert not path.exists()
        assert (await bulk.each(calls[:2], journal=path)).complete
        assert (await bulk.resume(path, cake, calls=calls[:2])).done == 2


async def test_a_file_of_somebody_else_is_refused() -> None:
    with pytest.raises(JournalError, match="cannot restrict access"):
        await bulk.each([], journal="/proc/self/environ")  # empty, and its mode is nobody's to set


async def test_a_name_that_means_no_file_to_sqlite_is_a_file_all_the_same(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = ledgers(Sandbox())
    monkeypatch.chdir(tmp_path)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=":memory:")).complete
        assert (tmp_path / ":memory:").stat().st_size
        assert (await bulk.resume(":memory:", cake)).done == 1


def test_an_opening_that_is_cancelled_natively_lets_the_lock_go(ledgers, tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    async def main() -> None:
        async with ledgers(Sandbox()).client() as cake:
            call = bulk.call(cake.invoices.update, 4821, memo="x")
            await bulk.each([call], journal=path)
            errors: list[BaseException] = []  # whose frames hold what was opened
            for turns in range(30):
                task = asyncio.create_task(bulk.resume(path, cake))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError as error:
                    errors.append(error)
                await (await Journal.open(path)).aclose()
            assert errors

    asyncio.run(main())
