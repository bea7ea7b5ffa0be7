"""What a kill leaves of a journal that was being made, and of one whose run could not say why."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from aiocake import Client, JournalError, bulk
from aiocake.bulk import Call
from aiocake.bulk.journal_file import create
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def client(sandbox: Sandbox) -> Client:
    return Client("x.example", "SANDBOX-KEY", transport=httpx.ASGITransport(app=sandbox.app))


def update(cake: Client, memo: str = "x") -> Call[object]:
    return bulk.call(cake.invoices.update, 4821, memo=memo)


def copy(source: Path, target: Path) -> None:
    for end in ("", "-journal", "-wal"):
        if source.with_name(source.name + end).exists():
            shutil.copy(source.with_name(source.name + end), target.with_name(target.name + end))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """The disk in the middle of the transaction that makes a journal."""
    making, killed = tmp_path / "making.db", tmp_path / "killed.db"
    with closing(sqlite3.connect(making, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that pages get to the disk before the end
        connection.execute("BEGIN EXCLUSIVE")
        for number in range(50):
            connection.execute(f"CREATE TABLE t{number} (a, b, c)")
        copy(making, killed)
    assert killed.stat().st_size
    assert (tmp_path / "killed.db-journal").stat().st_size
    return killed


async def test_a_run_can_begin_on_what_a_kill_left_of_a_journal(half_made: Path) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as cake:
        assert (await bulk.each([update(cake)], journal=half_made)).complete
        assert (await bulk.resume(half_made, cake)).complete
    assert len(sandbox.state.requests) == 1
    assert mode(half_made) == 0o600


async def test_a_journal_that_was_not_made_to_its_end_is_of_a_run_that_had_not_begun(
    half_made: Path,
) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as cake:
        for _ in range(2):
            with pytest.raises(JournalError, match="is empty: its run had not begun"):
                await bulk.resume(half_made, cake)
    assert sandbox.state.requests == []


async def test_the_file_of_somebody_else_is_refused_whatever_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    (tmp_path / "theirs.db-journal").write_bytes(b"")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
    for content in (path.read_bytes(), b"no database at all"):
        path.write_bytes(content)
        async with client(Sandbox()) as cake:
            with pytest.raises(JournalError, match="exists already"):
                await bulk.each([update(cake)], journal=path)
        assert path.read_bytes() == content


async def test_a_journal_that_was_killed_as_soon_as_it_was_made_is_gone_on_with_in_wal(
    tmp_path: Path,
) -> None:
    path, sandbox = tmp_path / "run.db", Sandbox()
    async with client(sandbox) as cake:
        file = create(path, "x.example", for_tests=True)
        file.connection.execute("PRAGMA journal_mode = DELETE")
        file.close()
        modes: set[object] = set()

        def look(_: object) -> None:
            modes.add((tmp_path / "run.db-wal").exists())

        sandbox.state.on_request.append(look)
        assert (await bulk.resume(path, cake, calls=[update(cake)])).complete
    assert modes == {True}


async def test_a_reason_that_is_no_unicode_costs_no_outcome(tmp_path: Path) -> None:
    path, sandbox = tmp_path / "run.db", Sandbox()

    def refuse(_: object) -> None:
        raise LookupError("\udcff")

    async with client(sandbox) as cake:
        with pytest.raises(LookupError, match="\udcff"):
            await bulk.each([update(cake)], journal=path, on_outcome=refuse)
        assert (await bulk.resume(path, cake)).complete
    assert len(sandbox.state.requests) == 1
    with closing(sqlite3.connect(path)) as connection:
        reasons = connection.execute("SELECT stopped FROM runs ORDER BY run").fetchall()
    assert reasons == [(r"LookupError: \udcff",), (None,)]
