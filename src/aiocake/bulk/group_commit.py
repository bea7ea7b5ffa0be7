"""Writes to SQLite off the event loop, in groups: one commit for all that came meanwhile.

What was added first is on the disk first, and a group is there whole or not at all (SQLite's
transactions are atomic: https://www.sqlite.org/atomiccommit.html). With ``synchronous=FULL`` a
commit returns when the data has reached the disk.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from aiocake._background import BackgroundTask, spawn
from aiocake.bulk.journal_file import JournalFile, Value, reason
from aiocake.errors import JournalError

#: A thread's work costs more than these turns of the event loop, in which others join the group:
#: where the disk is quick, groups were of one or two.
_TURNS: Final = 4

T = TypeVar("T")

Statement = tuple[str, Sequence[Value]]


class _Group:
    __slots__ = ("statements", "written")

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.written = anyio.Event()


class GroupCommit:
    """Hands statements to a journal's connection, in a thread.

    Args:
        file: The journal, for the sole use of this object.
    """

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._connection = file.connection
        self._one = anyio.CapacityLimiter(1)
        self._next = self._current = _Group()
        self._job: BackgroundTask[None] | None = None
        #: The error that broke it; nothing is written any more then.
        self.error: JournalError | None = None

    def add(self, statement: str, *values: Value) -> None:
        """Queue a statement; it is carried out soon."""
        self._next.statements.append((statement, values))
        if self._idle:
            self._job = spawn(self._work())

    async def flush(self) -> None:
        """Wait until all that was added before is on the disk.

        Raises:
            JournalError: It cannot be written: the disk is full, or fails.
        """
        # The last statement is in the next group, or else in the one that is being written.
        group = self._next if self._next.statements else self._current
        if not self._idle:
            await group.written.wait()
        if self.error is not None:
            raise JournalError(str(self.error))

    @property
    def _idle(self) -> bool:
        return self._job is None or self._job.done

    async def read(self, query: str, *values: Value) -> list[tuple[Value, ...]]:
        """Return the rows of a query, which sees all that was flushed.

        Raises:
            JournalError: It cannot be read.
        """

        def rows(connection: sqlite3.Connection) -> list[tuple[Value, ...]]:
            with closing(connection.execute(query, values)) as cursor:
                return cursor.fetchall()

        return await self.run(rows)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a function that only reads finds, called in the thread of the connection.

        Raises:
            JournalError: It cannot be read.
        """
        job = partial(work, self._connection)
        try:
            # In a task of its own: cancelled or not, the connection is not closed meanwhile.
            return await spawn(anyio.to_thread.run_sync(job, limiter=self._one)).result()
        except sqlite3.Error as error:
            raise _unusable(error) from None

    async def aclose(self) -> None:
        """Write what is left, and close the connection. No cancellation interrupts it."""
        ending = spawn(self._end())
        with anyio.CancelScope(shield=True):
            await ending.result()

    async def _end(self) -> None:
        if self._job is not None:
            await self._job.result()
        await anyio.to_thread.run_sync(self._file.close, limiter=self._one)

    async def _work(self) -> None:
        while self._next.statements:
            for _ in range(_TURNS):
                await anyio.lowlevel.checkpoint()
            self._current, self._next = self._next, _Group()
            group = self._current
            if self.error is None:
                try:
                    await anyio.to_thread.run_sync(self._write, group.statements, limiter=self._one)
                # Whatever it is: a group that never counts as written would be waited for forever.
                except Exception as error:  # noqa: BLE001
                    self.error = _unusable(error)
            group.written.set()

    def _write(self, statements: list[Statement]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._refuse_moved()
            self._refuse_outdated()
            for statement, values in statements:
                execute(statement, values)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _refuse_moved(self) -> None:
        # Its lock and its -wal go by its name: under another one somebody may go on with it, and
        # does not see what is written here.
        if not self._file.is_at_its_path:
            raise JournalError(
                f"{self._file.path} was moved, renamed or removed during its run. Restore its name "
                f"before you resume it: {self._file.path.name}-wal contains what was written last"
            )

    def _refuse_outdated(self) -> None:
        # Whatever became of the lock: once another run has begun, this one writes, and so sends,
        # no more.
        if self._connection.execute("SELECT max(run) FROM runs").fetchone() != (self._file.run,):
            raise JournalError("another run has taken it over")


def _unusable(error: Exception) -> JournalError:
    return JournalError(f"the journal cannot be used: {reason(error)}")
