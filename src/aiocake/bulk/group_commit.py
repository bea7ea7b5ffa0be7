"""Group commit: write to a journal off the event loop, one commit for all concurrent changes.

Changes reach the disk in the order in which they were added, and a group is atomic: SQLite's
transactions are atomic (https://www.sqlite.org/atomiccommit.html), and so are PostgreSQL's. A
commit returns when the data has reached the disk: with SQLite's ``synchronous=FULL``, and with
PostgreSQL's ``synchronous_commit=on``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from aiocake._background import BackgroundTask
from aiocake.bulk.journal_store import Change, JournalStore, Row, Value
from aiocake.errors import JournalError  # noqa: TC001 - imported like the others

#: A thread's work costs more than these turns of the event loop, in which others join the group:
#: where the disk is quick, groups were of one or two.
_TURNS: Final = 4

#: The states of calls whose request has left.
_SENT: Final = frozenset({"done", "unknown"})

T = TypeVar("T")


class _Group:
    __slots__ = ("changes", "written")

    def __init__(self) -> None:
        self.changes: list[tuple[Change, Sequence[Value]]] = []
        self.written = anyio.Event()


class GroupCommit:
    """Hands changes to a journal's store, in a thread.

    Args:
        store: The journal, for the sole use of this object.
    """

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._one = anyio.CapacityLimiter(1)
        self._next = self._current = _Group()
        self._job: BackgroundTask[None] | None = None
        #: The error that broke it; nothing is written any more then.
        self.error: JournalError | None = None
        #: The places of calls that were carried out, or may have been, which could not be written
        #: down for that.
        self.unwritten: set[int] = set()

    def add(self, change: Change, *values: Value) -> None:
        """Queue a change; it is carried out soon."""
        self._next.changes.append((change, values))
        if self._idle:
            self._job = BackgroundTask(self._work())

    async def flush(self) -> None:
        """Wait until all that was added before is on the disk.

        Raises:
            JournalError: It cannot be written: the disk is full, or fails.
        """
        # The last change is in the next group, or else in the one that is being written.
        group = self._next if self._next.changes else self._current
        if not self._idle:
            await group.written.wait()
        if self.error is not None:
            raise type(self.error)(str(self.error))

    @property
    def _idle(self) -> bool:
        return self._job is None or self._job.done

    async def read(self, query: str, *values: Value) -> list[Row]:
        """Return the rows of a query, which sees all that was flushed.

        Raises:
            JournalError: It cannot be read.
        """
        return await self.run(lambda store: list(store.read(query, *values)))

    async def run(self, work: Callable[[JournalStore], T]) -> T:
        """Return what a function finds, called in the thread of the store.

        Raises:
            JournalError: It cannot be read.
        """
        job = partial(work, self._store)
        try:
            # In a task of its own: cancelled or not, the store is not closed meanwhile.
            return await BackgroundTask(anyio.to_thread.run_sync(job, limiter=self._one)).result()
        except self._store.failures as error:
            raise self._store.unusable(error) from None

    async def aclose(self) -> None:
        """Write all pending changes and close the connection, even if cancelled."""
        ending = BackgroundTask(self._end())
        with anyio.CancelScope(shield=True):
            await ending.result()

    async def _end(self) -> None:
        if self._job is not None:
            await self._job.result()
        await anyio.to_thread.run_sync(self._store.close, limiter=self._one)

    async def _work(self) -> None:
        while self._next.changes:
            for _ in range(_TURNS):
                await anyio.lowlevel.checkpoint()
            self._current, self._next = self._next, _Group()
            group = self._current
            if self.error is None:
                try:
                    await anyio.to_thread.run_sync(self._write, group.changes, limiter=self._one)
                # Whatever it is: a group that never counts as written would be waited for forever.
                except Exception as error:  # noqa: BLE001
                    self.error = self._store.unusable(error)
            if self.error is not None:
                self._note_unwritten(group)
            group.written.set()

    def _write(self, changes: list[tuple[Change, Sequence[Value]]]) -> None:
        self._store.write(changes)

    def _note_unwritten(self, group: _Group) -> None:
        for change, values in group.changes:
            if change is Change.ENDED:
                state, _, place = values
                note = self.unwritten.add if state in _SENT else self.unwritten.discard
                note(int(str(place)))
