"""Runs of writes, and their journals in SQLite as another program sees them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from aiocake import Client, bulk
from aiocake.bulk import Call
from aiocake.sandbox import Sandbox


def approvals(cake: Client, sandbox: Sandbox, count: int) -> list[Call[object]]:
    """Return calls that approve the first invoices of a sandbox, which are pending from now on."""
    numbers = list(sandbox.state.invoices)[:count]
    for number in numbers:
        sandbox.state.invoices[number].invoice_status = "pending"
    return [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query in a journal."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def change(path: Path, *statements: str) -> None:
    """Change a journal, as nobody should."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
