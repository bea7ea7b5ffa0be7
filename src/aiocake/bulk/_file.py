"""The SQLite file of a journal: made, or opened with all that speaks against using it said.

The file names itself by ``PRAGMA application_id`` and its schema by ``PRAGMA user_version``
(https://www.sqlite.org/pragma.html). It is locked exclusively for as long as it is open, so that a
second process cannot run the same plan; a process that is killed loses the lock.
"""

import getpass
import os
import platform
import re
import sqlite3
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from aiocake.errors import JournalError

__all__ = ["create", "network_filesystem", "now", "open_existing", "written"]

#: "CAKE" in ASCII.
_APPLICATION: Final = 0x43414B45
_SCHEMA: Final = 1

#: Which creates were looked at for doubles, and those that were found. An earlier aiocake knows
#: nothing of it and can go on with the file all the same, so the schema keeps its number.
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
    # The plan, and how each call stands.
    """CREATE TABLE calls (
        place INTEGER PRIMARY KEY, digest BLOB NOT NULL, call TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'planned', intent TEXT, before TEXT, detail TEXT
    )""",
    """CREATE VIEW standing AS
        SELECT place, call, state, intent, before, detail FROM calls ORDER BY place""",
    # All that ever happened to each call, in order.
    """CREATE TABLE log (
        entry INTEGER PRIMARY KEY, place INTEGER NOT NULL, run INTEGER NOT NULL, at TEXT NOT NULL,
        what TEXT NOT NULL, intent TEXT, detail TEXT
    )""",
    _LOOKS,
)

#: File systems on which SQLite's locks cannot be relied on
#: (https://www.sqlite.org/faq.html#q5), as Linux names them.
_NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)


def now() -> str:
    """The time in UTC, as text that sorts."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def written(text: str) -> str:
    """A text as the file can hold it: what is no Unicode (half of a pair) is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def create(path: Path, domain: str) -> tuple[sqlite3.Connection, int]:
    """Make a new journal, readable by its owner alone.

    Args:
        path: Where; a file of no bytes may be there.
        domain: The instance that the run is of.

    Returns:
        The connection, and the number of this run.

    Raises:
        JournalError: There is a file already, or it cannot be made.
    """
    _refuse_network(path)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        # A device or a pipe has no bytes either, and its mode is no business of ours.
        if not path.is_file():
            message = f"{path} is no file"
            raise JournalError(message) from None
        # A kill while a journal was made leaves what SQLite takes back by its rollback journal.
        if path.stat().st_size and not _rollback(path).exists():
            raise _taken(path) from None
        try:
            path.chmod(0o600)
        except OSError as error:
            message = f"{path} cannot be kept from others: {error.strerror}"
            raise JournalError(message) from None
    except OSError as error:
        message = f"{path} cannot be made: {error.strerror}"
        raise JournalError(message) from None
    connection = _connect(path)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise _taken(path)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        for table in _TABLES:
            connection.execute(table)
        connection.execute(
            "INSERT INTO meta VALUES ('domain', ?), ('created_at', ?)", (domain, now())
        )
        run = _begin(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise (_taken(path) if _is_foreign(error) else _unusable(path, error)) from None
    except JournalError:
        connection.close()
        raise
    return connection, run


def open_existing(path: Path, domain: str | None) -> tuple[sqlite3.Connection, int]:
    """Open a journal to go on with it, or (without a domain) to look at it.

    Args:
        path: Where it is.
        domain: The instance that it must be of; None for any, and then no run begins.

    Returns:
        The connection, and the number of this run, or 0.

    Raises:
        JournalError: It is missing, in use, damaged, no journal, of another instance or of a
            newer version. It is left as it is.
    """
    if not path.is_file():
        message = f"{path} is no file"
        raise JournalError(message)
    if not path.stat().st_size:
        raise _empty(path)
    _refuse_network(path)
    connection = _connect(path)
    try:
        _identify(connection, path)
        kept = _domain(connection, path)
        run = 0
        if domain is not None:
            _refuse_other(kept, path, domain)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_LOOKS)
            run = _begin(connection)
            connection.execute("COMMIT")
            # The run may have been killed when its journal was made, and this was not yet set.
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection, run


def _connect(path: Path) -> sqlite3.Connection:
    # As a whole path: SQLite takes some names (":memory:") for no file at all.
    connection = sqlite3.connect(
        path.absolute(),
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
    )
    try:
        # Before the first access: then no shared memory is used, and the lock is kept.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from None
    return connection


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    if not _pragma(connection, "page_count"):
        raise _empty(path)
    connection.execute("BEGIN IMMEDIATE")  # takes the lock, and keeps it
    connection.execute("COMMIT")
    if _pragma(connection, "application_id") != _APPLICATION:
        message = f"{path} is no journal of aiocake"
        raise JournalError(message)
    schema = _pragma(connection, "user_version")
    if schema != _SCHEMA:
        message = f"{path} is of schema {schema}; this version of aiocake knows {_SCHEMA}"
        raise JournalError(message)
    found = str(_pragma(connection, "quick_check(1)"))
    if found != "ok":
        message = f"{path} is damaged: {found}"
        raise JournalError(message)


def _domain(connection: sqlite3.Connection, path: Path) -> str:
    rows = connection.execute("SELECT value FROM meta WHERE name = 'domain'").fetchall()
    if not rows:
        message = f"{path} is damaged: it names no instance"
        raise JournalError(message)
    return str(rows[0][0])


def _refuse_other(kept: str, path: Path, domain: str) -> None:
    if kept not in {domain, ""}:
        message = f"{path} is of {kept}, not of {domain}"
        raise JournalError(message)


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    value: object = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _begin(connection: sqlite3.Connection) -> int:
    who = (
        now(),
        written(_user()),
        written(platform.node()),
        os.getpid(),
        metadata.version("aiocake"),
    )
    cursor = connection.execute(
        "INSERT INTO runs (started_at, user, host, pid, aiocake) VALUES (?, ?, ?, ?, ?)", who
    )
    return cursor.lastrowid or 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have it
        return str(os.getuid())


def _rollback(path: Path) -> Path:
    """Where SQLite keeps what undoes a transaction (https://www.sqlite.org/tempfiles.html)."""
    return path.with_name(f"{path.name}-journal")


def _taken(path: Path) -> JournalError:
    return JournalError(f"{path} is there already: resume it, or give another name")


def _empty(path: Path) -> JournalError:
    return JournalError(f"{path} is empty: the run had not begun")


def _is_foreign(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_NOTADB


def _unusable(path: Path, error: sqlite3.Error) -> JournalError:
    if "locked" in str(error):
        return JournalError(f"{path} is in use by a run that is alive")
    return JournalError(f"{path} cannot be used: {error}")


def _refuse_network(path: Path) -> None:
    kind = network_filesystem(path)
    if kind is not None:
        message = f"{path} is on a network drive ({kind}), whose locks cannot be relied on"
        raise JournalError(message)


def network_filesystem(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The kind of the network drive that a path is on; None for a local one, or where unknown.

    Args:
        path: A file, which need not be there.
        mounts: The table of mounts, as Linux has it (proc(5)); other systems have none.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return r"\\" if str(path.absolute()).startswith(r"\\") else None
    place = path.absolute().parent.resolve() / path.name
    best, kind = Path("/"), ""
    for line in lines:
        _, folder, found, *_ = line.split(" ")
        mount = Path(_unescaped(folder))
        if place.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, found
    return kind if kind in _NETWORK else None


def _unescaped(name: str) -> str:
    """A name of the table of mounts: blanks in it are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)
