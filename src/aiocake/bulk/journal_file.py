"""The SQLite file of a journal: created, or opened after checks that it can be used.

A run owns it by a lock of its own (:mod:`aiocake.bulk.ownership`), so that others can look at it
meanwhile: it is in WAL mode with shared memory, in which readers and the writer do not wait for
each other (https://www.sqlite.org/wal.html). Its tables are in :mod:`aiocake.bulk.journal_schema`.

An older aiocake locked the whole file instead. The two exclude each other: SQLite neither locks a
whole file that another process has open in WAL mode, nor reads a file that is locked.
"""

import json
import os
import platform
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, cast

import attrs

from aiocake import _clock
from aiocake._normalize import path_of
from aiocake._version import version
from aiocake.bulk.filesystem import accept, has_shared_memory
from aiocake.bulk.journal_schema import (
    SCHEMA,
    UNCHAINED,
    make_chain,
    make_tables,
    pragma,
    schema_of,
)
from aiocake.bulk.journal_store import (
    TABLES,
    Change,
    Changes,
    JournalPath,
    JournalPlace,
    NotBegun,
    Opening,
    Row,
    Value,
    exists_already,
    refuse_other,
    refuse_other_plan,
)
from aiocake.bulk.log_chain import (
    PLAN_ENTRY,
    Chain,
    LogEvent,
    PlanIdentity,
    identity_of,
    log_entry,
)
from aiocake.bulk.ownership import Owner, Ownership, lock_file, owner_of, take
from aiocake.errors import ArgumentError, JournalError, Problem

#: What is written down, in SQLite's words. Nothing is claimed here.
_STATEMENTS: Final[Mapping[Change, str]] = {
    Change.PLANNED: "INSERT INTO calls (place, digest, call, hash) VALUES (?, ?, ?, ?)",
    Change.WHOLE: "INSERT OR IGNORE INTO meta VALUES ('whole', ?)",
    Change.SENDING: "UPDATE calls SET state = 'sending', intent = ?, before = ?, detail = NULL"
    " WHERE place = ?",
    Change.ENDED: "UPDATE calls SET state = ?, detail = ? WHERE place = ?",
    Change.LOOKED: "INSERT OR REPLACE INTO looks (place, ours, theirs, run, at)"
    " VALUES (?, ?, ?, ?, ?)",
    Change.STOPPED: "UPDATE runs SET ended_at = ?, stopped = ? WHERE run = ?",
    Change.LOGGED: "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}
_NAMES: Final = {**dict(zip(TABLES, TABLES, strict=True)), "is_not": "IS NOT"}

#: Seconds to wait for a lock of another program's: to open the file, and to write to it.
_TO_OPEN: Final = 2.0
_TO_WRITE: Final = 10.0


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _inode_of(file: "JournalFile") -> tuple[int, int] | None:
    return _inode(file.path)


@attrs.frozen
class JournalFile:
    """A journal's file that is open.

    Attributes:
        connection: The connection to it.
        path: Its path; symbolic links are followed.
        run: The number of this run; 0 for a reader.
        ownership: The lock of this run; None for a reader.
        owners: Who worked on it when it was opened.
        schema: The number of its schema.
        log: The chain of its log; empty for a reader.
        plan: The chain of its calls; empty for a reader.
    """

    connection: sqlite3.Connection
    path: Path = attrs.field(converter=_real)
    run: int
    ownership: Ownership | None
    owners: frozenset[Owner]
    schema: int = SCHEMA
    log: Chain = attrs.field(factory=Chain)
    plan: Chain = attrs.field(factory=Chain)
    _opened: tuple[int, int] | None = attrs.field(
        init=False, default=attrs.Factory(_inode_of, takes_self=True)
    )
    failures: tuple[type[Exception], ...] = attrs.field(init=False, default=(sqlite3.Error,))
    #: It is owned by a lock, to the end; and other runs on this host are kept away by another one.
    deadline: None = attrs.field(init=False, default=None)
    claims: None = attrs.field(init=False, default=None)
    notes: tuple[str, ...] = attrs.field(init=False, default=())

    @property
    def is_chained(self) -> bool:
        """Return True if its log is a chain."""
        return self.schema > UNCHAINED

    @property
    def has_looks(self) -> bool:
        """Return True if it records which creates were checked for doubles."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'looks'"
        return self.connection.execute(query).fetchone() is not None

    def write(self, changes: Changes) -> None:
        """Write changes in one transaction; when this returns, they are on the disk."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._refuse_moved()
            self._refuse_outdated()
            for change, values in changes:
                if change in _STATEMENTS:
                    execute(_STATEMENTS[change], values)
            execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                execute("ROLLBACK")
            raise

    def read(self, query: str, *values: Value) -> Iterator[Row]:
        """Yield the rows of a query."""
        with closing(self.connection.execute(query.format_map(_NAMES), values)) as cursor:
            yield from cursor

    @staticmethod
    def seconds_to_judge() -> float:
        """Return 0: its lock says that no earlier session sends any more."""
        return 0.0

    def unusable(self, error: Exception) -> JournalError:
        """Convert an error of SQLite to the one to raise: the disk is full, or fails."""
        return _unusable(self.path, error)

    def _refuse_moved(self) -> None:
        # Its lock and its -wal go by its name: under another one somebody may go on with it, and
        # does not see what is written here.
        if not self.is_at_its_path:
            raise JournalError(
                f"{self.path} was moved, renamed or removed during its run. Restore its name "
                f"before you resume it: {self.path.name}-wal contains what was written last"
            )

    def _refuse_outdated(self) -> None:
        # Whatever became of the lock: once another run has begun, this one writes, and so sends,
        # no more.
        if self.connection.execute("SELECT max(run) FROM runs").fetchone() != (self.run,):
            raise JournalError("another run has taken it over")

    @property
    def is_at_its_path(self) -> bool:
        """Return True if the path still names the file that was opened."""
        return self._opened is not None and _inode(self.path) == self._opened

    def close(self) -> None:
        """Close the file, and release its lock."""
        try:
            self.connection.close()
        finally:
            if self.ownership is not None:
                self.ownership.release()


def now() -> str:
    """Return the time in UTC as text that sorts."""
    return _clock.now().isoformat(timespec="milliseconds")


def this_process() -> Owner:
    """Return who works on a journal from now on."""
    return Owner(storable(_user()), storable(platform.node()), os.getpid(), now())


def storable(text: str) -> str:
    """Return a text as the file can hold it: half a surrogate pair is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refuse_place(path: Path, *, for_tests: bool = False, allow_unknown: bool = False) -> None:
    """Refuse a path at which no journal can be made. Makes nothing.

    Args:
        path: Where.
        for_tests: Accept a filesystem in memory.
        allow_unknown: Accept any filesystem.

    Raises:
        JournalError: It is on a filesystem that a journal is not safe on, or there is no folder
            that can be written to.
    """
    accept(path, for_tests=for_tests, allowed=None, allow_unknown=allow_unknown)
    if not path.parent.is_dir():
        raise JournalError(f"cannot create {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise JournalError(f"cannot create {path}: {path.parent} cannot be written to")


def create(
    path: Path,
    domain: str,
    *,
    plan: PlanIdentity | None = None,
    for_tests: bool = False,
    allow_unknown: bool = False,
) -> JournalFile:
    """Make a new journal, readable by its owner alone.

    Args:
        path: Where; a file of no bytes may be there.
        domain: The instance that the run is for.
        plan: The plan that the run carries out, if it has an identity.
        for_tests: Accept a filesystem in memory.
        allow_unknown: Accept any filesystem.

    Returns:
        The file, with a run begun.

    Raises:
        JournalError: There is a file already, or it cannot be made.
    """
    if os.path.exists(path):  # noqa: PTH110 - of Path it may raise
        _reuse(path)
    kind = accept(path, for_tests=for_tests, allowed=None, allow_unknown=allow_unknown)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        _reuse(path)
    except OSError as error:
        raise JournalError(f"cannot create {path}: {error.strerror}") from None
    try:
        with ExitStack() as stack:
            ownership, connection = _owned(path, stack)
            connection.execute("BEGIN EXCLUSIVE")
            if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise _taken(path)
            make_tables(connection)
            about = {"domain": domain, "created_at": now()}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", about.items())
            file = JournalFile(connection, path, 1, ownership, frozenset({ownership.owner}))
            _write(file, LogEvent.CREATED, about)
            _begin(file, ownership.owner, kind, plan)
            stack.pop_all()
    except sqlite3.DatabaseError as error:
        raise (_taken(path) if _is_foreign(error) else _unusable(path, error)) from None
    return file


def open_existing(
    path: Path,
    domain: str,
    *,
    plan: PlanIdentity | None = None,
    for_tests: bool = False,
    allow_unknown: bool = False,
) -> JournalFile:
    """Open a journal to continue its run.

    Args:
        path: Where it is.
        domain: The instance that it must be for.
        plan: The plan that it must be of; None for any.
        for_tests: Accept a filesystem in memory.
        allow_unknown: Accept any filesystem; else only the type accepted for this journal before.

    Returns:
        The file, with a run begun.

    Raises:
        JournalError: It is missing, in use, damaged, no journal, of another instance or plan, or
            of a newer version. It is left as it is.
    """
    _refuse_odd(path)
    try:
        with ExitStack() as stack:
            _refuse_renamed(path)
            ownership, connection = _owned(path, stack)
            schema = _identify(connection, path)
            refuse_other(_domain(connection, path), path, domain)
            if plan is not None:
                kept = plan_of(connection) if schema > UNCHAINED else None
                refuse_other_plan(kept, path, plan)
            allowed = _allowed(connection)
            kind = accept(path, for_tests=for_tests, allowed=allowed, allow_unknown=allow_unknown)
            connection.execute("BEGIN IMMEDIATE")
            ((run,),) = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs")
            file = JournalFile(
                connection,
                path,
                run,
                ownership,
                frozenset({ownership.owner}),
                log=_end_of(connection, "log"),
                plan=_end_of(connection, "calls"),
            )
            if schema == UNCHAINED:
                _write(file, LogEvent.CHAINED, make_chain(connection, file.log, file.plan))
            _begin(file, ownership.owner, kind, plan)
            stack.pop_all()
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    return file


def view(path: Path, *, allow_unknown: bool = False) -> JournalFile:
    """Open a journal to read it: all reads see its state of now, whatever a run writes meanwhile.

    Args:
        path: Where it is.
        allow_unknown: Accept any filesystem; else only the type accepted for this journal before.

    Raises:
        JournalError: It is missing, damaged, no journal, of a newer version, or locked.
    """
    _refuse_odd(path)
    owners = [_owner(path)]
    if owners[0] is not None and not has_shared_memory(path):
        raise _in_use(path, owners[0])
    try:
        with ExitStack() as stack:
            _refuse_renamed(path)
            connection = _connect(path)
            stack.callback(connection.close)
            connection.execute("BEGIN")
            pragma(connection, "schema_version")  # all later reads see what this one sees
            owners.append(_owner(path))
            schema = _identify(connection, path)
            _domain(connection, path)
            allowed = _allowed(connection)
            accept(path, for_tests=True, allowed=allowed, allow_unknown=allow_unknown)
            stack.pop_all()
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    alive = frozenset(each for each in owners if each is not None)
    return JournalFile(connection, path, 0, None, alive, schema)


def files_of(path: Path) -> tuple[Path, ...]:
    """Return a journal's file and those that may be beside it: SQLite's and the lock."""
    real = Path(os.path.realpath(path))
    beside = (real.with_name(f"{real.name}{end}") for end in ("-wal", "-shm", "-journal"))
    return (path, *beside, lock_file(real))


def reason(error: Exception) -> str:
    """Return why SQLite failed, and how to fix it."""
    if _is_busy(error):
        return (
            "another program has locked it: a database browser with unsaved changes, a run of an "
            "older aiocake, or a live run that began when the file had another name"
        )
    if _code(error) == sqlite3.SQLITE_CANTOPEN:
        return (
            f"{error}: the journal must be readable and its folder writable; if that is not "
            "possible, copy it, with its -wal file, to a folder that is"
        )
    return str(error)


def _is_busy(error: Exception) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: Exception) -> int | None:
    """Return SQLite's code of an error; None for other errors."""
    if not isinstance(error, sqlite3.Error):
        return None
    # Errors of the module itself have no code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _reuse(path: Path) -> None:
    """Refuse a file that is not the beginning of a journal; make one that is private."""
    # A device or a pipe has no bytes either, and its mode is no business of ours.
    if not path.is_file():
        raise _irregular(path)
    # A kill while a journal was made leaves what SQLite takes back by its rollback journal.
    if path.stat().st_size and not _rollback(path).exists():
        raise _taken(path)
    try:
        path.chmod(0o600)
    except OSError as error:
        raise JournalError(f"cannot restrict access to {path}: {error.strerror}") from None


def _refuse_odd(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except OSError as error:
        raise JournalError(f"{path} cannot be used: {error.strerror}") from None
    if status is None:
        raise NotBegun(f"no such file: {path}")
    if not stat.S_ISREG(status.st_mode):
        raise _irregular(path)
    if not status.st_size:
        raise _empty(path)
    if status.st_nlink > 1:
        raise JournalError(
            f"{path} is one of {status.st_nlink} names of a file (hard links), but SQLite's files "
            "beside it depend on the name: remove the other names, or use a copy"
        )


def _refuse_renamed(path: Path) -> None:
    """Refuse a file that another process opened under another name.

    The lock of a run, and what SQLite keeps beside the file, go by its name: neither would see the
    other. SQLite's lock is the file's own. Whoever has it under this name has a -shm beside it.

    Raises:
        sqlite3.OperationalError: Another process has opened it.
    """
    real = _real(path)
    if not has_shared_memory(real) or real.with_name(f"{real.name}-shm").exists():
        return
    with closing(sqlite3.connect(real, timeout=_TO_OPEN, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            if _is_busy(error):
                raise
            # Whoever opens the journal finds and reports all other problems.


def _owned(path: Path, stack: ExitStack) -> tuple[Ownership, sqlite3.Connection]:
    """Lock a journal and connect to it, until the stack is closed."""
    owner = this_process()
    try:
        ownership = take(_beside(path), owner)
    except OSError as error:
        raise JournalError(f"{path} cannot be locked: {error.strerror}") from None
    if ownership is None:
        raise _in_use(path, _owner(path))
    stack.callback(ownership.release)
    connection = _connect(path)
    stack.callback(connection.close)
    return ownership, connection


def _owner(path: Path) -> Owner | None:
    try:
        return owner_of(_beside(path))
    except OSError as error:
        raise JournalError(f"cannot find out if {path} is in use: {error.strerror}") from None


def _beside(path: Path) -> Path:
    """Return the file to lock: beside the journal itself, by whatever link it was named."""
    return lock_file(_real(path))


def _connect(path: Path) -> sqlite3.Connection:
    # As a whole path: SQLite takes some names (":memory:") for no file at all.
    connection = sqlite3.connect(
        path.absolute(),
        timeout=_TO_OPEN,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
    )
    try:
        if not has_shared_memory(path):
            # Before the first access: then none is used, and the lock on the whole file is kept.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from None
    return connection


def _identify(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema of a journal; refuse a file that is none."""
    if not pragma(connection, "page_count"):
        raise _empty(path)
    return schema_of(connection, path)


def _domain(connection: sqlite3.Connection, path: Path) -> str:
    rows = connection.execute("SELECT value FROM meta WHERE name = 'domain'").fetchall()
    if not rows:
        raise JournalError(f"{path} is damaged: it does not name its instance")
    return str(rows[0][0])


def plan_of(connection: sqlite3.Connection) -> PlanIdentity | None:
    """Return the plan that a run carries out, as it was approved last; None if it has no identity.

    Raises:
        JournalError: The entry cannot be read.
    """
    row = connection.execute(PLAN_ENTRY.format_map(_NAMES)).fetchone()
    return None if row is None else identity_of(*row)


def _allowed(connection: sqlite3.Connection) -> str | None:
    """Return the type of the filesystem that was taken although a journal is not safe on it."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'unknown_filesystem'").fetchone()
    return None if row is None else str(row[0])


def _begin(file: JournalFile, owner: Owner, kind: str | None, plan: PlanIdentity | None) -> None:
    """Record who works on it from now on, and on which filesystem; end the transaction.

    Args:
        file: In a transaction.
        owner: Who works on it.
        kind: The type of the filesystem if it is not a safe one.
        plan: The plan, as it is approved now.
    """
    connection = file.connection
    if kind is not None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('unknown_filesystem', ?)", (kind,))
    who = {"user": owner.user, "host": owner.host, "pid": owner.pid, "aiocake": version()}
    connection.execute(
        "INSERT INTO runs (run, started_at, user, host, pid, aiocake) VALUES (?, ?, ?, ?, ?, ?)",
        (file.run, owner.since, *who.values()),
    )
    detail = {**who, "unknown_filesystem": kind, **file.plan.head}
    _write(file, LogEvent.BEGAN, detail, at=owner.since)
    if plan is not None:
        _write(file, LogEvent.PLAN, plan.to_detail())
    connection.execute("COMMIT")
    # A run may have been killed when its journal was made, and this was not yet set.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("SELECT 1 FROM runs").fetchone()  # from here on nobody locks it as a whole
    connection.execute(f"PRAGMA busy_timeout = {round(_TO_WRITE * 1000)}")


def _write(
    file: JournalFile, what: LogEvent, detail: dict[str, Any], *, at: str | None = None
) -> None:
    entry = log_entry(file.log, file.run, what.value, json.dumps(detail), at=at or now())
    file.connection.execute(_STATEMENTS[Change.LOGGED], entry)


def _end_of(connection: sqlite3.Connection, table: str) -> Chain:
    """Return the end of a chain; an empty one where the table has none."""
    if "hash" not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
        return Chain()
    query = f"SELECT rowid, hash FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - ours
    row = connection.execute(query).fetchone()
    if row is None:
        return Chain()
    # The first call has place 0, the first entry is number 1.
    return Chain(row[0] + (table == "calls"), row[1] if isinstance(row[1], bytes) else b"")


def _user() -> str:
    try:
        import getpass  # noqa: PLC0415 - a module of terminals

        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have it
        return str(os.getuid())


def _rollback(path: Path) -> Path:
    """Return the path of SQLite's rollback journal (https://www.sqlite.org/tempfiles.html)."""
    return path.with_name(f"{path.name}-journal")


def _irregular(path: Path) -> JournalError:
    kind = "a directory" if path.is_dir() else "not a regular file"
    return JournalError(f"{path} is {kind}")


def _taken(path: Path) -> JournalError:
    return exists_already(path)


def _empty(path: Path) -> JournalError:
    return NotBegun(f"{path} is empty: its run had not begun")


def _is_foreign(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_NOTADB


def _in_use(path: Path, owner: Owner | None) -> JournalError:
    who = "" if owner is None else f": {owner}"
    return JournalError(f"{path} is in use by another run{who}")


def _unusable(path: Path, error: Exception) -> JournalError:
    return JournalError(f"{path} cannot be used: {reason(error)}")


@attrs.frozen
class FilePlace(JournalPlace):
    """The path of a journal's file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def files(self) -> tuple[Path, ...]:
        """Return its file, and those of SQLite and of the lock, as :func:`files_of` does."""
        return files_of(self.path)

    def exists(self) -> bool:
        """Return True if there is a file."""
        return self.path.exists()

    def create(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalFile:
        """Make the file, as :func:`create` does."""
        allow, for_tests = opening.allow_unknown, opening.for_tests
        return create(self.path, domain, plan=plan, for_tests=for_tests, allow_unknown=allow)

    def take(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalFile:
        """Open the file to continue its run, as :func:`open_existing` does."""
        allow, for_tests = opening.allow_unknown, opening.for_tests
        return open_existing(self.path, domain, plan=plan, for_tests=for_tests, allow_unknown=allow)

    def view(self, opening: Opening) -> JournalFile:
        """Open the file to read it, as :func:`view` does."""
        return view(self.path, allow_unknown=opening.allow_unknown)


def place_of(name: str, value: JournalPath) -> JournalPlace:
    """Return where a journal is.

    Args:
        name: The name of the argument.
        value: A path, or the run of a database.

    Raises:
        ArgumentError: It is neither.
    """
    # By its type: what a caller passes may claim to be of any class, or raise when it is asked.
    if issubclass(type(value), JournalPlace):
        return cast("JournalPlace", value)
    path = path_of(name, value)
    if path.parts[:1] in {("postgres:",), ("postgresql:",)}:
        # Not repeated: it may hold a password.
        text = (
            "must be a path or a run of a database, not a URL: "
            "aiocake.bulk.postgres.Postgres(conninfo=…).run(name); for commands, pg:NAME with "
            "PGHOST, PGSERVICE and the like in the environment"
        )
        raise ArgumentError(Problem(name, text))
    return FilePlace(path)
