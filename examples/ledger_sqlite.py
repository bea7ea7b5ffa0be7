"""Pay each affiliate once: the ledger of writes is kept in the application's own database.

    python examples/ledger_sqlite.py
    python examples/ledger_sqlite.py --database books.db --crash    # dies in the middle of a write
    python examples/ledger_sqlite.py --database books.db            # and finds it at the next start

A payout is claimed in the same transaction that records the intent to create its invoice, before
anything is sent. So no other part of the application can send a payout that is in flight or whose
outcome is unknown, and after a crash the database says what has to be checked. The example runs
against the sandbox, in which one response is lost.
"""

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response

import aiocake
from aiocake import Client, Outcome, Period
from aiocake.errors import Intent
from aiocake.sandbox import RecordedRequest, Sandbox, serve

T = TypeVar("T")

JANUARY: Final = Period.month(2024, 1)
#: The number of the create whose response is lost.
LOST: Final = 2
SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS intents (
        id TEXT PRIMARY KEY,
        operation TEXT NOT NULL,
        arguments TEXT NOT NULL,
        began TEXT NOT NULL,
        outcome TEXT                        -- NULL: no outcome was recorded
    );
    CREATE TABLE IF NOT EXISTS payouts (
        affiliate_id INTEGER NOT NULL,
        start_date TEXT NOT NULL,
        end_date TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'due',  -- due, sending, invoiced, unknown
        intent TEXT REFERENCES intents (id),
        invoice_id INTEGER,
        UNIQUE (affiliate_id, start_date, end_date)
    );
"""
#: The state of a payout after each outcome.
STATES: Final = {Outcome.DONE: "invoiced", Outcome.NOT_DONE: "due", Outcome.UNKNOWN: "unknown"}


class Books:
    """The application's database: one connection, used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._turn = anyio.CapacityLimiter(1)

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run some work in a thread, as one transaction: if it raises, nothing is kept."""

        def run() -> T:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                value = work(self._db)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return value

        # Not cancellable once it has begun: a cancellation waits for its end.
        return await anyio.to_thread.run_sync(run, limiter=self._turn)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class PayoutLedger:
    """A ledger for ``Client(ledger=…)``: called before and after each write."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def before(self, intent: Intent) -> None:
        """Claim the payout and record the intent. If this raises, nothing is sent."""
        values = intent.arguments

        def note(db: sqlite3.Connection) -> None:
            arguments = json.dumps(dict(values), default=str)
            began = datetime.now(UTC).isoformat()
            row = intent.id, intent.operation, arguments, began
            db.execute(
                "INSERT INTO intents (id, operation, arguments, began) VALUES (?,?,?,?)", row
            )
            if intent.operation != "invoices.create":
                return
            claimed = db.execute(
                "UPDATE payouts SET state = 'sending', intent = ?"
                " WHERE affiliate_id = ? AND start_date = ? AND end_date = ? AND state = 'due'",
                (
                    intent.id,
                    values["affiliate_id"],
                    str(values["start_date"]),
                    str(values["end_date"]),
                ),
            )
            if claimed.rowcount != 1:
                raise LookupError("this payout is not due")

        await self._books.transaction(note)

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record the outcome. The client shields this from the cancellation of its caller."""

        def note(db: sqlite3.Connection) -> None:
            db.execute("UPDATE intents SET outcome = ? WHERE id = ?", (outcome, intent.id))
            db.execute(
                "UPDATE payouts SET state = ? WHERE intent = ?", (STATES[outcome], intent.id)
            )

        await self._books.transaction(note)


def recover(db: sqlite3.Connection) -> None:
    """Mark the writes that a crash cut off as unknown. To be called at the start."""
    db.execute("UPDATE intents SET outcome = 'unknown' WHERE outcome IS NULL")
    db.execute("UPDATE payouts SET state = 'unknown' WHERE state = 'sending'")


def in_doubt(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return the writes whose outcome is unknown: a person has to check each."""
    return db.execute(
        "SELECT id, operation, arguments FROM intents WHERE outcome = 'unknown' ORDER BY began"
    ).fetchall()


async def show_doubts(cake: Client, books: Books) -> None:
    """Print the writes in doubt, each with the invoices that it may have created."""
    rows = await books.transaction(in_doubt)
    print(f"in doubt: {len(rows)}")
    for intent, operation, text in rows:
        print(f"    {operation} {text}, intent {intent}")
        if operation != "invoices.create":
            continue
        arguments = json.loads(text)
        async for invoice in cake.invoices.find(
            affiliate_id=arguments["affiliate_id"],
            start_date=date.fromisoformat(arguments["start_date"]),
            end_date=date.fromisoformat(arguments["end_date"]),
        ):
            print(f"        perhaps it is invoice {invoice.invoice_id} of {invoice.total_amount}")


async def pay(cake: Client, books: Books, affiliate_id: int) -> str:
    """Create the invoice of a payout. Return the outcome in words."""
    try:
        created = await cake.invoices.create(
            affiliate_id=affiliate_id, start_date=JANUARY.start, end_date=JANUARY.end
        )
    except aiocake.OutcomeUnknown as unknown:
        return f"unknown: look at intent {unknown.intent.id}"
    except aiocake.NotSent as not_sent:
        return f"nothing was sent: {not_sent.__cause__ or not_sent}"
    except aiocake.CakeError as refused:
        return f"refused: {refused}"
    number = created.invoice_id
    await books.transaction(
        lambda db: db.execute(
            "UPDATE payouts SET invoice_id = ? WHERE affiliate_id = ? AND state = 'invoiced'",
            (number, affiliate_id),
        )
    )
    return f"invoice {number}"


async def run(url: str, database: str, affiliates: list[int]) -> None:
    """Show what is in doubt, then pay what is due."""
    books = Books(database)
    try:
        async with Client(url, "SANDBOX-KEY", ledger=PayoutLedger(books)) as cake:
            await books.transaction(recover)
            await show_doubts(cake, books)
            due = [(each, str(JANUARY.start), str(JANUARY.end)) for each in affiliates]
            await books.transaction(
                lambda db: db.executemany(
                    "INSERT OR IGNORE INTO payouts (affiliate_id, start_date, end_date)"
                    " VALUES (?, ?, ?)",
                    due,
                )
            )
            for affiliate_id in (*affiliates, *affiliates):  # twice: by mistake
                print(f"affiliate {affiliate_id}: {await pay(cake, books, affiliate_id)}")
            await show_doubts(cake, books)
    finally:
        books.close()


def sandbox(*, crash: bool) -> Sandbox:
    """Return a sandbox that loses the response to the second create, or ends the process there."""
    made = Sandbox(invoices=0)
    created = 0

    def lose(request: RecordedRequest, response: Response) -> Response | None:
        nonlocal created
        del response
        if request.path != "/api/2/invoice.json":
            return None
        created += 1
        if created != LOST:
            return None
        if crash:
            sys.stdout.flush()
            os._exit(3)
        return PlainTextResponse("the proxy lost the response", 502)

    made.state.on_response.append(lose)
    return made


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description="Pay each affiliate once.")
    parser.add_argument("--database", help="where the application keeps its books")
    parser.add_argument("--crash", action="store_true", help="end the process in a write")
    options = parser.parse_args()
    made = sandbox(crash=options.crash)
    affiliates = sorted(made.state.affiliates)[:3]
    with tempfile.TemporaryDirectory() as folder, serve(made) as url:
        anyio.run(run, url, options.database or str(Path(folder) / "books.db"), affiliates)


if __name__ == "__main__":
    main()
