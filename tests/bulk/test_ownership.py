# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""One run at a time goes on with a journal; anybody can look at it meanwhile."""

import fcntl
import getpass
import os
import platform
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from aiocake import JournalError, bulk
from aiocake.bulk import Journal, journal_file
from aiocake.bulk import ownership as ownership_module
from aiocake.bulk.journal import EntryState
from aiocake.bulk.ownership import Owner, lock_file, owner_of, take
from aiocake.sandbox import Sandbox

ME = Owner("me", "here", 1, "2030-01-01T00:00:00.000+00:00")


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@contextmanager
def older(path: Path) -> Iterator[sqlite3.Connection]:
    """What an aiocake does that locks the whole file."""
    with closing(
        sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    ) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        yield connection


@pytest.mark.anyio
async def test_a_run_that_is_alive_can_be_looked_at_as_it_is_at_one_moment(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    looks: list[Journal] = []

    async def look(_: object) -> None:
        looks.append(await Journal.open(path))

    books.state.on_request.append(look)
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:3]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        assert (await bulk.each(calls, journal=path, limit=1)).complete
    # What each saw then it sees now.
    for before, journal in enumerate(looks):
        counts = await journal.counts()
        assert counts.get(EntryState.DONE, 0) == before
        assert counts[EntryState.SENDING] == 1
        assert await journal.size() == 3
        assert [each.state for each in await journal.entries()][before] is EntryState.SENDING
        (session,) = await journal.sessions()
        assert session.running
        assert (session.pid, session.host) == (os.getpid(), platform.node())
        await journal.aclose()
    async with await Journal.open(path) as journal:
        (session,) = await journal.sessions()
        assert not session.running
        assert session.ended_at
    assert names(tmp_path) == {"run.db"}


@pytest.mark.anyio
async def test_looking_writes_nothing(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 4821, memo="x")], journal=path)
    before = path.read_bytes()
    async with await Journal.open(path) as journal:
        journal.mark_complete()
        with pytest.raises(JournalError):
            await journal.flush()
    assert path.read_bytes() == before
    assert names(tmp_path) == {"run.db"}


@pytest.mark.anyio
async def test_in_use_names_who_holds_it(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    (tmp_path / "link.db").symlink_to(path)
    refused: list[str] = []

    async def meanwhile(_: object) -> None:
        for each in (path, tmp_path / "link.db"):
            with pytest.raises(JournalError) as caught:
                await bulk.resume(each, cake)
            refused.append(str(caught.value))

    books.state.on_request.append(meanwhile)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path)).complete
    with closing(sqlite3.connect(path)) as connection:
        ((since,),) = connection.execute("SELECT started_at FROM runs").fetchall()
    who = f"{getpass.getuser()} on {platform.node()}, process {os.getpid()}, since {since}"
    assert refused == [
        f"{path} is in use by another run: {who}",
        f"{tmp_path / 'link.db'} is in use by another run: {who}",
    ]


@pytest.mark.anyio
async def test_an_older_aiocake_is_refused_beside_a_run_and_refuses_one(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "_TO_OPEN", 0.0)
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    refused: list[str] = []

    def meanwhile(_: object) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked") as caught, older(path):
            pass
        refused.append(str(caught.value))

    books.state.on_request.append(meanwhile)
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in (4821, 999)]
        assert (await bulk.each(calls, journal=path)).failed == 1
        assert len(refused) == 2
        assert (await bulk.resume(path, cake)).failed == 1
        assert len(refused) == 3
        with older(path):
            for attempt in (bulk.resume(path, cake), Journal.open(path)):
                with pytest.raises(JournalError, match="a run of an older aiocake"):
                    await attempt
        assert (await bulk.resume(path, cake)).failed == 1
        with older(path):  # and it can go on with what this one has left
            pass
    assert names(tmp_path) == {"run.db"}


def test_an_older_aiocake_is_refused_from_the_moment_a_journal_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    file = journal_file.create(path, "x.example", for_tests=True)
    with pytest.raises(sqlite3.OperationalError, match="locked"), older(path):
        pass
    file.close()
    file = journal_file.open_existing(path, "x.example", for_tests=True)
    with pytest.raises(sqlite3.OperationalError, match="locked"), older(path):
        pass
    file.close()
    with older(path):
        pass


@pytest.mark.anyio
async def test_who_looks_at_a_journal_is_not_in_the_way(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = [*list(books.state.invoices)[:50], 999]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        assert (await bulk.each(calls, journal=path)).failed == 1
        with closing(sqlite3.connect(path, isolation_level=None)) as browser:
            browser.execute("BEGIN")
            before = browser.execute("SELECT count(*) FROM log").fetchall()
            assert (await bulk.resume(path, cake)).failed == 1
            assert browser.execute("SELECT count(*) FROM log").fetchall() == before
            browser.execute("COMMIT")
            assert browser.execute("SELECT count(*) FROM log").fetchall() > before
            assert (await bulk.resume(path, cake)).failed == 1
    assert names(tmp_path) == {"run.db"}


@pytest.mark.anyio
async def test_a_program_that_keeps_a_lock_is_named_as_the_cause(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "_TO_OPEN", 0.0)
    monkeypatch.setattr(journal_file, "_TO_WRITE", 0.0)
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    cause = r"another program has locked it: a database browser with unsaved"
    async with books.client() as cake:
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in (4821, 4822, 4823)]
        with closing(
            sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        ) as browser:

            def change(_: object) -> None:
                if not browser.in_transaction:
                    browser.execute("BEGIN IMMEDIATE")

            books.state.on_request.append(change)
            with pytest.raises(JournalError, match=f"run.db cannot be used: {cause}"):
                await bulk.each(calls, journal=path, limit=1)
            # The first went, and no other.
            assert len(books.state.requests) == 1
            with pytest.raises(JournalError, match=f"cannot be used: {cause}"):
                await bulk.resume(path, cake)
            async with await Journal.open(path) as journal:
                assert await journal.counts() == {EntryState.SENDING: 1, EntryState.PLANNED: 2}
                (session,) = await journal.sessions()
                assert not session.running
            browser.execute("ROLLBACK")
            books.state.on_request.clear()
            assert (await bulk.resume(path, cake)).complete


@pytest.mark.anyio
async def test_a_run_whose_lock_somebody_removed_sends_no_more_once_another_has_begun(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:20]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]

        async def meanwhile(_: object) -> None:
            books.state.on_request.clear()
            lock_file(path).unlink()
            assert (await bulk.resume(path, cake)).complete

        books.state.on_request.append(meanwhile)
        with pytest.raises(JournalError, match="another run has taken it over"):
            await bulk.each(calls, journal=path, limit=1)
    # The one that was on its way, which the other sent as well, since it can be repeated.
    assert len(books.writes) == len(calls) + 1


@pytest.mark.anyio
@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("link", [False, True])
async def test_a_run_whose_journal_is_renamed_sends_no_more(
    ledgers, tmp_path: Path, *, replaced: bool, link: bool
) -> None:
    books, path, moved = ledgers(Sandbox()), tmp_path / "run.db", tmp_path / "moved.db"
    given = tmp_path / "link.db" if link else path
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:20]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]

        def rename(_: object) -> None:
            books.state.on_request.clear()
            path.rename(moved)
            if replaced:
                path.write_bytes(b"")

        if link:
            path.touch()
            given.symlink_to(path)
        books.state.on_request.append(rename)
        with pytest.raises(JournalError, match=r"was moved, renamed or removed .* run\.db-wal"):
            await bulk.each(calls, journal=given, limit=1)
        assert len(books.writes) == 1
        moved.rename(path)
        async with await Journal.open(given) as journal:
            assert await journal.counts() == {EntryState.SENDING: 1, EntryState.PLANNED: 19}
        assert (await bulk.resume(given, cake)).complete


@pytest.mark.anyio
async def test_a_journal_that_was_renamed_is_in_use_while_its_run_is_alive(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "_TO_OPEN", 0.0)
    books, path, moved = ledgers(Sandbox()), tmp_path / "run.db", tmp_path / "moved.db"
    refused: list[str] = []

    async def meanwhile(_: object) -> None:
        path.rename(moved)
        for attempt in (bulk.resume(moved, cake), Journal.open(moved)):
            with pytest.raises(
                JournalError, match="began when the file had another name"
            ) as caught:
                await attempt
            refused.append(str(caught.value))
        moved.rename(path)

    books.state.on_request.append(meanwhile)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path)).complete
    assert len(refused) == 2
    assert len(books.writes) == 1
    assert names(tmp_path) == {"run.db"}


@pytest.mark.anyio
async def test_a_journal_under_two_names_is_refused(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 999, memo="x")], journal=path)
        (tmp_path / "other.db").hardlink_to(path)
        for attempt in (bulk.resume(tmp_path / "other.db", cake), Journal.open(path)):
            with pytest.raises(JournalError, match=r"one of 2 names of a file \(hard links\)"):
                await attempt
        (tmp_path / "other.db").unlink()
        assert (await bulk.resume(path, cake)).failed == 1


@pytest.mark.anyio
async def test_what_a_kill_left_of_a_lock_is_nobodys(ledgers, tmp_path: Path) -> None:
    """Also where the process that was killed had forked another, which lives on."""
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 999, memo="x")], journal=path)
        async with await anyio.open_process([sys.executable, "-c", HOLD, str(path)]) as process:
            assert process.stdout is not None
            child = int(await process.stdout.receive())
            try:
                with pytest.raises(
                    JournalError, match=f"another run: .* process {process.pid}, since"
                ):
                    await bulk.resume(path, cake)
                async with await Journal.open(path) as journal:
                    assert [each.running for each in await journal.sessions()] == [False, True]
                process.kill()
                await process.wait()
                assert "run.db-owner" in names(tmp_path)
                async with await Journal.open(path) as journal:
                    assert [each.running for each in await journal.sessions()] == [False, False]
                assert (await bulk.resume(path, cake)).failed == 1
            finally:
                os.kill(child, signal.SIGKILL)
                if process.returncode is None:
                    process.kill()
    assert names(tmp_path) == {"run.db"}


HOLD = """
import os, signal, sys
from pathlib import Path
from aiocake.bulk.journal_file import open_existing
file = open_existing(Path(sys.argv[1]), "x.example", for_tests=True)
child = os.fork()
if not child:
    file.ownership.release()
    signal.pause()
print(child, flush=True)
signal.pause()
"""


def test_a_lock_that_was_released_while_it_was_opened_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = tmp_path / "run.db-owner", ownership_module._lock
    released: list[bool] = []

    def late(descriptor: int, *, shared: bool) -> bool:
        if not released:
            released.append(shared)
            path.unlink()
        return lock(descriptor, shared=shared)

    monkeypatch.setattr(ownership_module, "_lock", late)
    ownership = take(path, ME)
    assert ownership is not None
    assert owner_of(path) == ME
    ownership.release()
    ownership.release()
    assert not path.exists()
    released.clear()
    path.touch()
    assert owner_of(path) is None


def test_looking_who_holds_a_lock_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.db-owner"
    looking = os.open(path, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _: os.close(looking))
    ownership = take(path, ME)
    assert ownership is not None
    ownership.release()


@pytest.mark.anyio
async def test_who_has_no_name_yet_is_in_use_all_the_same(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 999, memo="x")], journal=path)
        with lock_file(path).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(JournalError, match=r"is in use by another run$"):
                await bulk.resume(path, cake)


@pytest.mark.anyio
async def test_a_lock_that_cannot_be_had_is_told(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    (tmp_path / "kept").touch()
    async with books.client() as cake:
        await bulk.each([bulk.call(cake.invoices.update, 999, memo="x")], journal=path)
        # Somebody else's file is not written to by the name of ours.
        lock_file(path).symlink_to(tmp_path / "kept")
        with pytest.raises(JournalError, match="cannot be locked: Too many levels"):
            await bulk.resume(path, cake)
        assert (tmp_path / "kept").read_bytes() == b""
        lock_file(path).unlink()

        def no_locks(*_: object) -> None:
            raise OSError(38, "Function not implemented")

        lock_file(path).touch()
        monkeypatch.setattr(fcntl, "flock", no_locks)
        with pytest.raises(JournalError, match="cannot be locked: Function not implemented"):
            await bulk.resume(path, cake)
        with pytest.raises(JournalError, match=r"cannot find out if .* is in use: Function"):
            await Journal.open(path)


def test_a_copy_is_of_no_run_that_is_alive(tmp_path: Path) -> None:
    async def main() -> None:
        file = journal_file.create(tmp_path / "run.db", "x.example", for_tests=True)
        try:
            for end in ("", "-wal"):
                shutil.copy(tmp_path / f"run.db{end}", tmp_path / f"copy.db{end}")
            async with await Journal.open(tmp_path / "copy.db") as journal:
                assert [each.running for each in await journal.sessions()] == [False]
        finally:
            file.close()

    anyio.run(main)
