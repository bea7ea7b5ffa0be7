# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The ledger in the application's own database: nothing is sent that it has not recorded."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest

from aiocake import Client, NotSent, Outcome, OutcomeUnknown
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

JANUARY = {"start_date": "2024-01-01", "end_date": "2024-01-31"}


def run(examples, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(examples / "ledger_sqlite.py")
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, check=False
    )


def test_it_runs(examples) -> None:
    done = run(examples)
    assert done.returncode == 0, done.stderr
    lines = [re.sub(r"intent \S{36}", "intent ID", line) for line in done.stdout.splitlines()]
    assert lines[:7] == [
        "in doubt: 0",
        "affiliate 67890: invoice 1",
        "affiliate 67891: unknown: look at intent ID",
        "affiliate 67892: invoice 3",
        "affiliate 67890: nothing was sent: this payout is not due",
        "affiliate 67891: nothing was sent: this payout is not due",
        "affiliate 67892: nothing was sent: this payout is not due",
    ]
    assert lines[7] == "in doubt: 1"
    assert lines[9].startswith("        perhaps it is invoice 2 of ")


def test_a_crash_within_a_write_is_found_at_the_next_start(examples, tmp_path) -> None:
    database = str(tmp_path / "books.db")
    crashed = run(examples, "--database", database, "--crash")
    assert crashed.returncode == 3, crashed.stderr
    assert crashed.stdout.splitlines() == ["in doubt: 0", "affiliate 67890: invoice 1"]
    with sqlite3.connect(database) as db:
        left = db.execute("SELECT id, operation FROM intents WHERE outcome IS NULL").fetchall()
    db.close()
    ((intent, operation),) = left
    assert operation == "invoices.create"
    again = run(examples, "--database", database)
    assert again.returncode == 0, again.stderr
    lines = again.stdout.splitlines()
    assert lines[0] == "in doubt: 1"
    assert lines[1].endswith(f"intent {intent}")
    assert "affiliate 67891: nothing was sent: this payout is not due" in lines


@pytest.fixture
def module(example) -> ModuleType:
    return example("ledger_sqlite")


@pytest.fixture
def books(module, tmp_path) -> Iterator[Any]:
    made = module.Books(str(tmp_path / "books.db"))
    yield made
    made.close()


def client(module, books, sandbox: Sandbox, **settings: object) -> Client:
    transport = httpx.ASGITransport(app=sandbox.app)
    ledger = module.PayoutLedger(books)
    return Client("x.example", "SANDBOX-KEY", transport=transport, ledger=ledger, **settings)  # type: ignore[arg-type] # they are what they are


async def add_payout(books, affiliate_id: int) -> None:
    row = affiliate_id, *JANUARY.values()
    text = "INSERT INTO payouts (affiliate_id, start_date, end_date) VALUES (?, ?, ?)"
    await books.transaction(lambda db: db.execute(text, row))


async def rows(books, text: str) -> list[tuple[object, ...]]:
    return await books.transaction(lambda db: db.execute(text).fetchall())


async def create(cake: Client, module, affiliate_id: int) -> None:
    january = module.JANUARY
    await cake.invoices.create(
        affiliate_id=affiliate_id, start_date=january.start, end_date=january.end
    )


async def test_intent_and_claim_are_there_when_the_write_arrives(module, books) -> None:
    sandbox, seen = Sandbox(invoices=0), []

    async def look(_: object) -> None:
        seen.append(await rows(books, "SELECT state, outcome FROM payouts, intents"))

    sandbox.state.on_request.append(look)
    await add_payout(books, 67890)
    async with client(module, books, sandbox) as cake:
        await create(cake, module, 67890)
    assert seen == [[("sending", None)]]
    assert await rows(books, "SELECT state, outcome FROM payouts, intents") == [
        ("invoiced", "done")
    ]


async def test_what_is_not_due_is_not_sent_and_leaves_no_intent(module, books) -> None:
    sandbox = Sandbox(invoices=0)
    async with client(module, books, sandbox) as cake:
        with pytest.raises(NotSent) as caught:
            await create(cake, module, 67890)
    assert isinstance(caught.value.__cause__, LookupError)
    assert sandbox.state.requests == []
    assert await rows(books, "SELECT * FROM intents") == []


async def test_a_refused_write_is_due_again_and_an_unknown_one_is_not(module, books) -> None:
    sandbox = Sandbox(invoices=0)
    await add_payout(books, 67890)
    await add_payout(books, 1)
    async with client(module, books, sandbox) as cake:
        with pytest.raises(Exception, match="Affiliate not found"):
            await create(cake, module, 1)
        sandbox.fail_next("lost", times=None)
        with pytest.raises(OutcomeUnknown):
            await create(cake, module, 67890)
    found = await rows(books, "SELECT affiliate_id, state FROM payouts ORDER BY affiliate_id")
    assert found == [(1, "due"), (67890, "unknown")]
    assert await rows(books, "SELECT outcome FROM intents ORDER BY began") == [
        ("not_done",),
        ("unknown",),
    ]


@pytest.mark.parametrize("grace", [0.0, 20.0])
async def test_a_cancelled_write_has_its_outcome_in_the_ledger(module, books, grace) -> None:
    sandbox, arrived, go_on = Sandbox(invoices=0), anyio.Event(), anyio.Event()

    async def hold(*_: object) -> None:
        arrived.set()
        await go_on.wait()

    sandbox.state.on_response.append(hold)
    await add_payout(books, 67890)
    async with client(module, books, sandbox, grace=grace) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(create, cake, module, 67890)
            await arrived.wait()
            group.cancel_scope.cancel()
            if grace:
                go_on.set()
        outcome = Outcome.DONE if grace else Outcome.UNKNOWN
        assert await rows(books, "SELECT outcome FROM intents") == [(outcome.value,)]
