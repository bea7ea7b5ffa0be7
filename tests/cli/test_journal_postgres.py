"""The commands on runs in PostgreSQL, each named as ``pg:NAME``."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import anyio
import pytest
from psycopg.conninfo import conninfo_to_dict

from aiocake import Client, RetryPolicy, bulk
from aiocake.bulk import Journal
from aiocake.bulk.journal import EntryState
from aiocake.bulk.journal_store import Claimed
from aiocake.bulk.postgres import Postgres
from aiocake.cli import journal_database

from ..support.database import Database, database, postgres

__all__ = ["database", "postgres"]

KEY = "canary-K3Y"


@pytest.fixture(autouse=True)
def libpq(
    database: Database,
    environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """Say by libpq's environment where the database is, as its users do."""
    del environment
    known = conninfo_to_dict(database.server.conninfo())
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}
    for name, variable in names.items():
        monkeypatch.setenv(variable, str(known[name]))
    monkeypatch.setenv("CAKE_JOURNAL_SCHEMA", database.schema)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return database


def test_a_run_begins_goes_on_and_is_shown(cake, sandbox) -> None:
    Path("calls.csv").write_text("invoice_id,memo\n4821,a\n4822,b\n", encoding="utf-8")
    run = ("run", "calls.csv", "--operation", "invoices.update", "--journal", "pg:march", "--yes")
    ran = cake(*run)
    assert (ran.code, ran.err) == (0, "")
    sandbox.state.requests.clear()
    assert cake(*run).code == 0
    assert sandbox.state.requests == []
    shown = json.loads(cake("journal", "show", "pg:march", "-f", "json").out)
    assert (shown["done"], shown["running"]) == (2, False)
    exported = cake("journal", "export", "pg:march", "-f", "jsonl").out.splitlines()
    assert [json.loads(each)["state"] for each in exported] == ["done", "done"]
    assert cake("resume", "pg:march").code == 0
    audited = cake("audit", "pg:march")
    assert audited.code == 0
    assert "the chain of the log holds" in audited.err


def test_a_plan_is_applied_once_on_whatever_host(cake, sandbox, monkeypatch, tmp_path) -> None:
    plan = ("plan", "--period", "2024", "--status", "pending", "--set", "status=approved")
    assert cake(*plan, "--out", "year.plan", "--maker", "ada").code == 0
    apply = ("apply", "year.plan", "--approvals", 0, "--yes", "--receipt", "receipt.json")
    ran = cake(*apply, "--journal", "pg:year")
    assert ran.code == 0, ran.err
    sandbox.state.requests.clear()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another host"))
    ran = cake(*apply[:-2], "--journal", "pg:other")
    assert ran.code == 2
    assert "applied before, with the journal pg:year" in ran.err
    assert not [each for each in sandbox.state.requests if each.method != "GET"]
    ran = cake("audit", "pg:year", "--receipt", "receipt.json")
    assert ran.code == 0, ran.err
    assert cake("resume", "pg:year").code == 0


def test_migrate_prints_the_sql_or_carries_it_out(cake, libpq: Database, monkeypatch) -> None:
    monkeypatch.setenv("CAKE_JOURNAL_SCHEMA", "printed")
    ran = cake("journal", "migrate", "--role", "worker")
    assert (ran.code, ran.err) == (0, "")
    with libpq.server.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS printed CASCADE")
        connection.execute("DROP ROLE IF EXISTS worker")
        connection.execute("CREATE ROLE worker")
        connection.execute(ran.out)
        connection.execute("DROP SCHEMA printed CASCADE")
    shown = json.loads(cake("journal", "migrate", "--json").out)
    assert (shown["schema"], shown["role"], shown["made"]) == ("printed", None, False)
    assert "CREATE TABLE" in shown["sql"]
    ran = cake("journal", "migrate", "--apply")
    assert (ran.code, ran.out, ran.err) == (0, "", "aiocake: schema printed was made\n")
    ran = cake("journal", "migrate", "--apply", "--json")
    assert json.loads(ran.out) == {"schema": "printed", "role": None, "made": False, "sql": None}
    ran = cake("journal", "migrate", "--apply")
    assert (ran.code, ran.err) == (0, "aiocake: schema printed is up to date\n")


def test_a_missing_extra_is_said(cake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for words in (("migrate",), ("show", "pg:march")):
        ran = cake("journal", *words)
        assert (ran.code, ran.out) == (2, "")
        assert "psycopg missing: pip install 'aiocake[postgres]'" in ran.err


def test_release_asks_and_is_logged_and_lets_others_create(
    cake, sandbox, stage, libpq: Database
) -> None:
    books = Postgres(conninfo=libpq.server.conninfo(), schema=libpq.schema)
    january = (date(2030, 1, 1), date(2030, 1, 31))

    async def doubt() -> None:
        async with Client(stage.url, KEY, retry=RetryPolicy(attempts=1)) as client:
            call = bulk.call(
                client.invoices.create,
                affiliate_id=67890,
                start_date=january[0],
                end_date=january[1],
            )
            domain = call.executor.domain
        async with await Journal.create(books.run("a"), domain) as journal:
            journal.plan(0, call.digest(), call.to_json())
            journal.mark_complete()
            await journal.claim(0, 67890, *january)
            journal.sending(0, "intent", [])
            journal.ended(0, EntryState.UNKNOWN, "intent", {"reason": "x", "candidates": []})

    anyio.run(doubt)
    ran = cake("journal", "release", "pg:a", yes=False)
    assert ran.code == 2
    assert "nothing was released" in ran.err
    # Somebody was asked about another attempt than the one that is in doubt now.
    _, domain = anyio.run(journal_database._doubts, books.run("a"))
    assert anyio.run(journal_database._release, books.run("a"), domain, {0: "older"}) == 0
    ran = cake("journal", "release", "pg:a", "--yes", "--json")
    assert (ran.code, json.loads(ran.err)) == (0, {"note": "in doubt: call 0, for affiliate 67890"})
    assert json.loads(ran.out) == {
        "journal": "pg:a",
        "in_doubt": [{"index": 0, "affiliate_id": 67890}],
        "released": 1,
        "moved_on": 0,
    }

    async def claimed() -> object:
        async with await Journal.open(books.run("a")) as journal:
            log = await journal.log()
            assert [each.detail for each in log if each.what == "released"] == ['{"call": 0}']
            assert (await journal.verify_log()).integrity == ()
            domain = await journal.domain()
        async with await Journal.create(books.run("b"), domain) as journal:
            return await journal.claim(0, 67890, *january)

    assert isinstance(anyio.run(claimed), Claimed)
    assert sandbox.state.requests == []
    assert "only runs in PostgreSQL" in cake("journal", "release", "run.db", "--yes").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("journal", "show", "pg:"), "name: must have 1 to 200 printable characters"),
        (("journal", "show", "pg:nothing"), "there is no run nothing in schema"),
        (("resume", "pg:nothing"), "there is no run nothing in schema"),
    ],
)
def test_what_is_refused(cake, words: tuple[str, ...], said: str) -> None:
    ran = cake(*words)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) <= 3
