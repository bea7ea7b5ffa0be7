"""The tables of a journal's SQLite file, and how those of an older aiocake become them.

The file names itself by ``PRAGMA application_id`` and its schema by ``PRAGMA user_version``
(https://www.sqlite.org/pragma.html).

The log is a chain of hashes (:mod:`aiocake.bulk.log_chain`). A journal of schema 1 has none: it is
read as it is, and becomes one of schema 2 when its run is resumed.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final

from aiocake.bulk.log_chain import Chain, planned
from aiocake.errors import JournalError

#: "CAKE" in ASCII.
APPLICATION: Final = 0x43414B45
SCHEMA: Final = 2
#: The schema whose log is no chain.
UNCHAINED: Final = 1

#: All that ever happened, in order: to each call, and (without a place) to the run.
_LOG: Final = """CREATE TABLE log (
        entry INTEGER PRIMARY KEY, place INTEGER, run INTEGER NOT NULL, at TEXT NOT NULL,
        what TEXT NOT NULL, intent TEXT, detail TEXT, hash BLOB NOT NULL
    )"""
#: The creates that were checked for doubles, and those that were found.
_LOOKS: Final = """CREATE TABLE IF NOT EXISTS looks (
        place INTEGER PRIMARY KEY, ours INTEGER NOT NULL, theirs TEXT NOT NULL,
        run INTEGER NOT NULL, at TEXT NOT NULL
    )"""

_TABLES: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE runs (
        run INTEGER PRIMARY KEY, started_at TEXT NOT NULL, ended_at TEXT, stopped TEXT,
        user TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, aiocake TEXT NOT NULL
    )""",
    # The plan, and the state of each call.
    """CREATE TABLE calls (
        place INTEGER PRIMARY KEY, digest BLOB NOT NULL, call TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'planned', intent TEXT, before TEXT, detail TEXT, hash BLOB
    )""",
    """CREATE VIEW standing AS
        SELECT place, call, state, intent, before, detail FROM calls ORDER BY place""",
    _LOG,
    _LOOKS,
)


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a new journal, in a transaction that has begun."""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    for table in _TABLES:
        connection.execute(table)


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the number of the schema of a file that is not empty.

    Raises:
        JournalError: It is no journal, damaged, or of a newer version.
    """
    if pragma(connection, "application_id") != APPLICATION:
        raise JournalError(f"{path} is not a journal of aiocake")
    schema = pragma(connection, "user_version")
    if not isinstance(schema, int) or not UNCHAINED <= schema <= SCHEMA:
        raise JournalError(
            f"{path} has schema {schema}, but this version of aiocake reads schemas "
            f"{UNCHAINED} to {SCHEMA} only"
        )
    found = str(pragma(connection, "quick_check(1)"))
    if found != "ok":
        raise JournalError(f"{path} is damaged: {found}")
    return schema


def pragma(connection: sqlite3.Connection, name: str) -> object:
    """Return the value of a setting of SQLite's, or what a check of its says."""
    value: object = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def make_chain(connection: sqlite3.Connection, log: Chain, plan: Chain) -> dict[str, Any]:
    """Make the log of a journal of schema 1 a chain, in a transaction that has begun.

    Args:
        connection: The connection to it.
        log: The chain of its log, which is extended.
        plan: The chain of its calls, which is extended.

    Returns:
        What the log has to say: that it was none before, and what was there then.
    """
    connection.execute("ALTER TABLE calls ADD COLUMN hash BLOB")
    rows = connection.execute("SELECT place, digest, call FROM calls ORDER BY place")
    hashes = [(plan.add(*planned(*row)), row[0]) for row in rows]
    connection.executemany("UPDATE calls SET hash = ? WHERE place = ?", hashes)
    connection.execute("ALTER TABLE log RENAME TO unchained")
    connection.execute(_LOG)
    for row in connection.execute("SELECT * FROM unchained ORDER BY entry"):
        log.count = row[0] - 1
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, log.add(*row)))
    connection.execute("DROP TABLE unchained")
    connection.execute(_LOOKS)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    about = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    runs = connection.execute("SELECT * FROM runs ORDER BY run").fetchall()
    return {"entries": log.count, "meta": about, "runs": runs, **plan.head}
