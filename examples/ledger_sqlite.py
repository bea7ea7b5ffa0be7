"""A ledger of writes in the application's own database, and payouts that are created once.

A payout is claimed in the transaction that records the intent to create its invoice, before
anything is sent. So no other worker can send a payout that is in flight or whose outcome is
unknown; and after a crash the database says what has to be checked.
"""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from aiocake import Intent, Outcome, Period

T = TypeVar("T")

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
        UNIQUE (affiliate_id, start_date, end_date)
    );
"""
#: Longer than a call and its grace can take.
LONGEST: Final = timedelta(minutes=5)
#: The state of a payout after each outcome.
STATES: Final = {Outcome.DONE: "invoiced", Outcome.NOT_DONE: "due", Outcome.UNKNOWN: "unknown"}


class NotDue(Exception):
    """The payout is being sent, was sent already, or has an unknown outcome."""


class Books:
    """The application's database: one connection, used by one thread at a time.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._turn = anyio.CapacityLimiter(1)

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run some work in a thread, as one transaction: if it raises, nothing is kept."""

        def run() -> T:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                return work(self._db)

        # Not cancellable once it has begun: a cancellation waits for its end.
        return await anyio.to_thread.run_sync(run, limiter=self._turn)

    async def add_payout(self, affiliate_id: int, period: Period) -> None:
        """Note that a payout is due, unless it is noted already."""
        row = affiliate_id, str(period.start), str(period.end)
        text = "INSERT OR IGNORE INTO payouts (affiliate_id, start_date, end_date) VALUES (?, ?, ?)"
        await self.transaction(lambda db: db.execute(text, row))

    async def in_doubt(self) -> list[dict[str, Any]]:
        """Return the writes whose outcome is unknown: a person has to check each.

        One that has no outcome for long was cut off by a crash. One that began just now may be on
        its way, from this worker or another.
        """
        text = (
            "SELECT id, operation, arguments, began FROM intents"
            " WHERE outcome = 'unknown' OR (outcome IS NULL AND began < ?) ORDER BY began"
        )
        before = (_now() - LONGEST).isoformat()
        rows = await self.transaction(lambda db: db.execute(text, (before,)).fetchall())
        names = ("intent", "operation", "arguments", "began")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class PayoutLedger:
    """A ledger for ``Client(ledger=…)``: called before and after each write.

    Args:
        books: Where it records them.
    """

    def __init__(self, books: Books) -> None:
        self._books = books

    async def before(self, intent: Intent) -> None:
        """Claim the payout and record the intent. If this raises, nothing is sent."""
        values = intent.arguments
        arguments = json.dumps(dict(values), default=str)
        row = intent.id, intent.operation, arguments, _now().isoformat()

        def note(db: sqlite3.Connection) -> None:
            text = "INSERT INTO intents (id, operation, arguments, began) VALUES (?, ?, ?, ?)"
            db.execute(text, row)
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
                raise NotDue

        await self._books.transaction(note)

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record the outcome. No cancellation of the caller interrupts this."""

        def note(db: sqlite3.Connection) -> None:
            db.execute("UPDATE intents SET outcome = ? WHERE id = ?", (outcome, intent.id))
            db.execute(
                "UPDATE payouts SET state = ? WHERE intent = ?", (STATES[outcome], intent.id)
            )

        await self._books.transaction(note)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
