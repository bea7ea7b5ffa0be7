"""A Django command: approve the pending invoices of a month, with a record in the own database.

Put it into ``yourapp/management/commands/approve_invoices.py``, and the table into a migration::

    python manage.py approve_invoices 2024-01 january.db

Start it again after a crash: it goes on where it was. Ctrl-C waits for the writes that have left,
and the last lines of the traceback tell what became of them.
"""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from aiocake import Expect, Intent, Outcome, Period, UpdatedInvoice, bulk
from aiocake.blocking import Client

TABLE = """
    CREATE TABLE cake_writes (
        intent CHAR(36) PRIMARY KEY, operation TEXT NOT NULL, invoice INTEGER, outcome TEXT
    )
"""


class CakeWrites:
    """Records each write in a table: it is called on the thread whose connection Django has."""

    def before(self, intent: Intent) -> None:
        """Record what is about to be sent; if this fails, it is not sent."""
        row = (intent.id, intent.operation, str(intent.arguments.get("invoice_id")))
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO cake_writes VALUES (%s, %s, %s, NULL)", row)

    def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record how it ended."""
        with connection.cursor() as cursor:
            update = "UPDATE cake_writes SET outcome = %s WHERE intent = %s"
            cursor.execute(update, (outcome.value, intent.id))


class Command(BaseCommand):
    """``approve_invoices``."""

    help = "Approve the pending invoices whose period ends in a month."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the month, and the journal of the run."""
        parser.add_argument("month", type=Period.parse, help="such as 2024-01")
        parser.add_argument("journal", help="records the run: a new file, or that of one to go on")

    def handle(self, *_: object, month: Period, journal: str, **__: object) -> None:
        """Approve them, as far as they are as they were listed."""
        with Client.from_env(ledger=CakeWrites()) as cake:

            def plan() -> list[bulk.Call[UpdatedInvoice]]:
                """List the invoices: only if the journal does not have the plan yet."""
                pending = cake.invoices.find(
                    invoice_status="pending", period=month, match="ends_in"
                )
                return [
                    cake.bulk.call(
                        cake.invoices.update,
                        each.invoice_id,
                        invoice_status="approved",
                        expect=Expect(invoice_status="pending", total_amount=each.total_amount),
                    )
                    for each in pending
                ]

            summary = cake.bulk.carry(journal, calls=plan)
        for problem in summary.problems:
            self.stderr.write(str(problem))
        self.stdout.write(f"{summary.done} approved, {summary.skipped} skipped")
        if not summary.complete:
            raise CommandError(f"start it again: {summary.stopped or 'it is not finished'}")
