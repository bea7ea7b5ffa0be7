# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The journal: what it holds, what it refuses, and how a run goes on from it."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio
import trio.testing

from aiocake import Client, JournalError, Outcome, bulk
from aiocake.bulk import Call, Done, Journal, Stop
from aiocake.bulk.journal import EntryState, _opened
from aiocake.bulk.journal_file import JournalFile
from aiocake.cli.errors import code_of
from aiocake.sandbox import Sandbox

from ..support.loops import ONE_LOOP
from ..support.runs import rows

pytestmark = pytest.mark.anyio


async def test_it_holds_the_plan_each_intent_and_each_outcome_and_not_the_key(
    ledgers, january, tmp_path: Path
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    one, other = books.affiliates(2)
    async with books.client() as cake:
        calls = [
            january(cake, one),
            january(cake, other),
            bulk.call(cake.invoices.update, 9, memo="x"),
        ]
        summary = await bulk.each(calls, journal=path, limit=1)
        assert (summary.done, summary.failed) == (2, 1)
        assert [
            Call.from_json(str(row[0]), cake) for row in rows(path, "SELECT call FROM calls")
        ] == calls
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"SANDBOX-KEY" not in path.read_bytes()
    assert os.listdir(tmp_path) == ["run.db"]  # noqa: PTH208 - a list
    assert rows(path, "SELECT state FROM calls ORDER BY place") == [
        ("done",),
        ("done",),
        ("failed",),
    ]
    log = rows(path, "SELECT place, what, intent IS NOT NULL FROM log ORDER BY entry")
    assert log == [
        (None, "created", 0), (None, "began", 0), (None, "whole", 0),
        (0, "sending", 1), (0, "done", 1), (1, "sending", 1), (1, "done", 1),
        (2, "sending", 1), (2, "failed", 1), (0, "looked", 0), (1, "looked", 0),
        (None, "stopped", 0),
    ]  # fmt: skip
    details = [
        json.loads(str(row[0])) for row in rows(path, "SELECT detail FROM calls ORDER BY place")
    ]
    assert details[0]["result"]["affiliate_id"] == str(one)
    assert details[2]["error"] == "NotFound"
    ((domain,),) = rows(path, "SELECT value FROM meta WHERE name = 'domain'")
    assert domain == "x.example"
    ((user, host, pid, ended, stopped),) = rows(
        path, "SELECT user, host, pid, ended_at, stopped FROM runs"
    )
    assert (pid, stopped) == (os.getpid(), None)
    assert user
    assert host
    assert ended


async def test_what_was_kept_back_and_an_empty_plan_are_written_down(
    ledgers, january, tmp_path: Path
) -> None:
    books = ledgers()
    (number,) = books.affiliates(1)
    async with books.client() as cake:
        there = await january(cake, number).send()
        summary = await bulk.each([january(cake, number)], journal=tmp_path / "run.db")
        assert summary.skipped == 1
        summary = await bulk.resume(tmp_path / "run.db", cake)
        assert (summary.skipped, summary.complete) == (1, True)
        (tmp_path / "none.db").touch()  # as a process that is killed at once leaves it
        assert (await bulk.each(iter(()), journal=tmp_path / "none.db")).complete
        assert (await bulk.resume(tmp_path / "none.db", cake)).complete
    ((detail,),) = rows(tmp_path / "run.db", "SELECT detail FROM calls")
    assert json.loads(str(detail)) == {"existing": [there.invoice_id]}
    assert (tmp_path / "none.db").stat().st_mode & 0o777 == 0o600


@ONE_LOOP
async def test_it_can_be_read(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = list(range(900, 1600))
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        await bulk.each(calls, journal=path)
        await bulk.resume(path, cake, stop_after=None)
    async with await Journal.open(path) as journal:
        assert await journal.domain() == "x.example"
        assert await journal.is_complete()
        assert await journal.counts() == {EntryState.FAILED: 700}
        assert await journal.size() == 700
        first, second = await journal.sessions()
        assert first.stopped == "calls that failed: 20 (last: NotFound)"
        assert second.stopped is None
        assert (first.pid, first.host) == (os.getpid(), second.host)
        assert first.started_at < str(first.ended_at) <= second.started_at
        entries = await journal.entries()
        entries += await journal.entries(EntryState.FAILED, after=entries[-1].index)
        assert [entry.index for entry in entries] == list(range(700))
        assert all(entry.intent for entry in entries)
        assert await journal.entries(EntryState.DONE, EntryState.UNKNOWN) == []
        async with await Journal.open(path) as other:
            assert await other.counts() == {EntryState.FAILED: 700}
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE calls")
    async with await Journal.open(path) as journal:
        with pytest.raises(JournalError, match="cannot be used"):
            await journal.entries()


async def test_an_intent_is_on_the_disk_before_its_request_leaves(
    ledgers, january, tmp_path: Path
) -> None:
    books, path = ledgers(), tmp_path / "run.db"
    seen: list[tuple[object, ...]] = []

    def look(request) -> None:
        if request.operation == "invoice":
            # As a crash would leave it.
            for name in ("run.db", "run.db-wal"):
                shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
            seen.extend(
                rows(tmp_path / "copy-run.db", "SELECT state, before FROM calls WHERE place = 0")
            )

    books.state.on_request.append(look)
    async with books.client() as cake:
        await bulk.each([january(cake, books.affiliates(1)[0])], journal=path)
    assert seen == [("sending", "[]")]


async def test_a_call_that_is_cancelled_while_its_intent_is_written_is_not_sent(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    reached, flush = anyio.Event(), Journal.flush

    async def never(journal: Journal) -> None:
        if ((await journal.entries())[-1:] or [None])[0]:
            reached.set()
            await anyio.sleep_forever()
        await flush(journal)

    async with books.client() as cake, anyio.create_task_group() as tasks:
        call = bulk.call(cake.invoices.update, 4821, memo="x")

        async def run() -> None:
            await bulk.each([call], journal=path)

        monkeypatch.setattr(Journal, "flush", never)
        tasks.start_soon(run)
        await reached.wait()
        monkeypatch.setattr(Journal, "flush", flush)
        tasks.cancel_scope.cancel()
    assert books.state.requests == []
    assert rows(path, "SELECT state FROM calls") == [("planned",)]
    assert rows(path, "SELECT stopped FROM runs") == [("interrupted",)]


@ONE_LOOP
@pytest.mark.parametrize("listed", [True, False])
async def test_a_list_is_written_down_as_a_whole_and_all_else_as_it_is_taken(
    ledgers, tmp_path: Path, *, listed: bool
) -> None:
    books, path = ledgers(Sandbox(invoices=200)), tmp_path / "run.db"
    books.state.on_request.append(lambda _: books.state.api_keys.clear())
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in books.state.invoices]
        plan = calls if listed else iter(calls)
        summary = await bulk.each(plan, journal=path, limit=2)
        assert summary.plan_read is listed
        ((count,),) = rows(path, "SELECT count(*) FROM calls")
        assert count == 200 if listed else count < 100
        assert summary.unsent == count - summary.failed
        books.state.api_keys.add("SANDBOX-KEY")
        books.state.on_request.pop()
        if listed:
            summary = await bulk.resume(path, cake, limit=1)
            assert (summary.done, summary.complete) == (200, True)
        else:
            summary = await bulk.resume(path, cake, limit=1)
            assert (summary.done, summary.plan_read, summary.complete) == (count, False, False)
            summary = await bulk.resume(path, cake, calls=iter(calls), limit=1)
            assert (summary.done, summary.plan_read, summary.complete) == (200, True, True)
    sent = [each.arguments["invoice_id"] for each in books.writes][-200:]
    assert sent == sorted(sent)


async def test_a_resumed_run_takes_the_same_plan_only(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls = [
            bulk.call(cake.invoices.update, n, memo="x") for n in list(books.state.invoices)[:5]
        ]
        await bulk.each(calls, journal=path)
        other = bulk.call(cake.invoices.update, calls[1].arguments["invoice_id"], memo="y")
        mark = bulk.call(cake.affiliate_bills.mark_received, 3, invoiced_amount=1)
        books.state.requests.clear()
        for plan, message in (
            ([calls[0], other], "call 1 of the plan .*: invoices.update with memo$"),
            ([*calls[:2], calls[4]], "call 2 .*: invoices.update with invoice_id .* instead of"),
            ([mark], "call 0 .*: affiliate_bills.mark_received instead of invoices.update"),
            (calls[:3], "more calls than the plan, which has 3"),
            ([*calls, mark], "more calls than the journal, whose plan has 5"),
            ([], "more calls than the plan, which has 0"),
        ):
            with pytest.raises(JournalError, match=message):
                await bulk.resume(path, cake, calls=plan)
        assert books.state.requests == []
        assert (await bulk.resume(path, cake, calls=calls)).complete


async def test_what_failed_is_sent_again_and_what_is_done_is_not(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = [*list(books.state.invoices)[:3], 999]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        assert (await bulk.each(calls, journal=path)).failed == 1
        books.state.requests.clear()
        ends: list[object] = []
        summary = await bulk.resume(path, cake, on_outcome=ends.append)
        assert (summary.done, summary.failed) == (3, 1)
        assert [each.index for each in ends] == [3]
        assert len(books.state.requests) == 1
        books.state.invoices[999] = attrs.evolve(books.state.invoices[numbers[0]], invoice_id=999)
        assert (await bulk.resume(path, cake)).complete


@pytest.mark.parametrize("done", [True, False])
async def test_a_run_that_was_killed_goes_on(
    ledgers, january, tmp_path: Path, *, done: bool
) -> None:
    """The disk as it is in the moment in which a create is on its way."""
    books, killed = ledgers(), tmp_path / "killed.db"
    numbers = books.affiliates(4)

    def kill(request, _: object = None) -> None:
        if (
            request.operation == "invoice"
            and len(books.periods()) == 1 + done
            and not killed.exists()
        ):
            for end in ("", "-wal"):
                shutil.copy(tmp_path / f"run.db{end}", tmp_path / f"killed.db{end}")
            if not done:
                raise ConnectionAbortedError

    (books.state.on_response if done else books.state.on_request).append(kill)
    async with books.client() as cake:
        await bulk.each(
            [january(cake, n) for n in numbers],
            journal=tmp_path / "run.db",
            limit=1,
            stop_after=Stop(unknown=1),
            settle=0,
        )
        for number in [n for n, each in books.state.invoices.items()][1 + done :]:
            del books.state.invoices[number]  # as if it had been killed then
        ends: list[object] = []
        summary = await bulk.resume(killed, cake, settle=0, on_outcome=ends.append)
        assert summary.complete
        assert len(books.periods()) == 4
        assert len({each[0] for each in books.periods()}) == 4
        found = [each for each in ends if isinstance(each, Done) and each.found is not None]
        assert len(found) == done
        assert rows(killed, "SELECT DISTINCT state FROM calls") == [("done",)]


async def test_a_second_run_on_the_same_journal_is_refused(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    refused: list[JournalError] = []

    async def meanwhile(_: object) -> None:
        if not refused:
            for attempt in (bulk.each([], journal=path), bulk.resume(path, cake)):
                with pytest.raises(JournalError) as caught:
                    await attempt
                refused.append(caught.value)

    books.state.on_request.append(meanwhile)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path)).complete
    assert "exists already" in str(refused[0])
    assert "is in use by another run" in str(refused[1])


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:-100] = os.urandom(len(data) - 4096 - 100)
    path.write_bytes(data)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@ONE_LOOP
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b"not a database, but long enough" * 100), "cannot be used"),
        (lambda path: (path.unlink(), _foreign(path)), "is not a journal of aiocake"),
        (_newer, "has schema 99"),
        (_damaged, "damaged|malformed|cannot be used"),
        (_cut, "damaged|malformed|cannot be used"),
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
    ids=["no database", "foreign", "newer", "damaged", "cut", "missing", "empty"],
)
async def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(
    ledgers, tmp_path: Path, spoil, message: str
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in [*books.state.invoices][:20]]
        await bulk.each(calls, journal=path)
        spoil(path)
        before = path.read_bytes() if path.exists() else None
        books.state.requests.clear()
        with pytest.raises(JournalError, match=message):
            await bulk.resume(path, cake)
        if before:
            with pytest.raises(JournalError, match="exists already"):
                await bulk.each(calls, journal=path)
        assert (path.read_bytes() if path.exists() else None) == before
    assert books.state.requests == []


async def test_a_journal_of_another_instance_is_refused(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 4821, memo="x")], journal=path)
    transport = httpx.ASGITransport(app=books.sandbox.app)
    async with Client("y.example", "SANDBOX-KEY", transport=transport) as other:
        with pytest.raises(
            JournalError, match=r"belongs to instance x\.example, but .* for y\.example"
        ):
            await bulk.resume(path, other)


async def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "run.db", tmp_path):
        with pytest.raises(JournalError, match=r"cannot create|is a directory"):
            await bulk.each([], journal=path)


async def test_a_place_that_cannot_be_looked_at_is_told(ledgers, tmp_path: Path) -> None:
    loop, long = tmp_path / "loop", tmp_path / ("x" * 300)
    loop.symlink_to(loop)
    async with ledgers(Sandbox()).client() as cake:
        for path, message in (
            (loop, "not a regular file"),
            (long, "cannot create .*: File name too long"),
        ):
            with pytest.raises(JournalError, match=message):
                await bulk.each([], journal=path)
            for attempt in (bulk.resume(path, cake), Journal.open(path)):
                with pytest.raises(JournalError, match="cannot be used: "):
                    await attempt


async def test_what_is_no_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o644)
    with pytest.raises(JournalError, match="is not a regular file"):
        await bulk.each([], journal=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


FULL = """
import anyio, httpx, resource, sys
from aiocake import Client, JournalError, Outcome, bulk
from aiocake.sandbox import Sandbox

async def main(path):
    sandbox = Sandbox(invoices=3000)
    transport = httpx.ASGITransport(sandbox.app)
    async with Client("x.example", "SANDBOX-KEY", transport=transport) as cake:
        calls = (bulk.call(cake.invoices.update, n, memo="m" * 200) for n in sandbox.state.invoices)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            await bulk.each(calls, journal=path)
        except JournalError as error:
            print(len(sandbox.state.requests), error)

anyio.run(main, sys.argv[1])
"""


def test_a_full_disk_stops_before_sending_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    # Coverage could not write what it has seen, either.
    environment = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    sent, _, message = ended.stdout.partition(" ")
    assert message.startswith(f"{path.resolve()} cannot be used: ")
    begun = rows(path, "SELECT count(DISTINCT place) FROM log WHERE what = 'sending'")[0][0]
    assert 0 < int(sent) <= int(str(begun)) < 3000


async def test_a_disk_that_is_full_in_the_middle_names_what_was_sent(
    ledgers, january, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is in no journal, so it is in the error; a resumed run finds it out."""
    books = ledgers()
    (number,) = books.affiliates(1)
    write = JournalFile.write

    def full(self: JournalFile, changes: object) -> None:
        if books.state.invoices:  # it was carried out by now
            raise sqlite3.OperationalError("database or disk is full")
        write(self, changes)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalFile, "write", full)
    async with books.client() as cake:
        with pytest.raises(
            JournalError, match=r"full; sent, but .+ not recorded: call 0"
        ) as caught:
            await bulk.each([january(cake, number)], journal=tmp_path / "run.db")
        assert (caught.value.outcome, code_of(caught.value)) == (Outcome.UNKNOWN, 7)
        monkeypatch.undo()
        assert (await bulk.resume(tmp_path / "run.db", cake, settle=0)).complete
    assert len(books.writes) == 1


def test_ctrl_c_on_trio_closes_a_journal_that_is_being_opened() -> None:
    """Or its file would keep its lock: it is raised right in the caller there."""
    closed: list[bool] = []

    class Store:
        def close(self) -> None:
            closed.append(True)

    def open_() -> Any:  # noqa: ANN401 - it is only closed
        signal.raise_signal(signal.SIGINT)
        trio.from_thread.run(trio.testing.wait_all_tasks_blocked)
        return Store()

    with pytest.raises(KeyboardInterrupt):
        trio.run(_opened, open_)
    assert closed
