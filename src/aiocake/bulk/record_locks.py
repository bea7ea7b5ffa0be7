"""Locks by which calls that set one record are sent one after the other, in the plan's order.

Sent side by side, "approved" may arrive after "paid" and undo it. For the same reason a call is
kept back while one before it for the same record is not done: that one will be sent again, and
would set the record back to what it was to be before.
"""

from collections import deque
from typing import Any

import anyio

from aiocake.bulk.calls import Call

#: The group of endpoints, and the number.
Record = tuple[str, object]


def record_of(call: Call[Any]) -> Record | None:
    """Return the record that a call sets; None for a create."""
    name = call.table.record
    return (call.operation.partition(".")[0], call.arguments[name]) if name else None


class RecordLocks:
    """Makes the calls for each record wait for each other.

    Every call takes a lock, and next to none waits for one. An ``anyio.Lock`` for each record
    would cost each call ten times as much.
    """

    def __init__(self) -> None:
        self._busy: set[Record] = set()
        self._waiting: dict[Record, deque[anyio.Event]] = {}
        #: The first call for a record that is not done; what is behind it is not sent before it.
        self._undone: dict[Record, int] = {}

    async def acquire(self, record: Record, index: int) -> bool:
        """Wait until earlier calls for a record have ended; first come, first served.

        It does not let other tasks run unless there is something to wait for.

        Returns:
            True if all calls before that place were carried out.
        """
        if record not in self._busy:
            self._busy.add(record)
        else:
            turn = anyio.Event()
            queue = self._waiting.setdefault(record, deque())
            queue.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():
                    self.release(record)
                else:
                    queue.remove(turn)
                raise
        return self._undone.get(record, index) >= index

    def release(self, record: Record) -> None:
        """Resume the next call for a record."""
        queue = self._waiting.get(record)
        if queue:
            queue.popleft().set()
        else:
            self._waiting.pop(record, None)
            self._busy.remove(record)

    def mark_done(self, record: Record, index: int) -> None:
        """Record that the call at a place was carried out."""
        if self._undone.get(record) == index:
            del self._undone[record]

    def mark_undone(self, record: Record, index: int) -> None:
        """Record that the call at a place failed, or may have."""
        self._undone[record] = min(index, self._undone.get(record, index))
