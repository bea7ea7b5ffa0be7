"""The lease by which a process owns a run.

The database says until when, by its own clock. The process has a view of its own, which ends first:
it counts from *before* the request that renewed the lease was sent, less a margin, on a clock that
goes on while the machine sleeps (``CLOCK_BOOTTIME``; where there is none, such as on macOS and
Windows, on ``time.monotonic()``, which may stand still then).

A write must have its response before the lease ends, or whoever takes the run over could send the
next one beside it. So the lease in the database is longer than the setting by the time that an
answer may take, and no first byte of a write leaves in that last part (:meth:`Lease.has_passed`).
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Final

from aiocake.errors import JournalError

#: Of the time of a lease, for clocks that do not go at the same pace.
_MARGIN: Final = 0.05
#: So often in the time of its setting a lease is renewed.
_TIMES: Final = 3


def clock() -> float:
    """Return the seconds of a clock that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Lease:
    """The view that a process has of its lease.

    Args:
        seconds: How long a run may send without a response of the database.
        answer_time: How long the response to a write may take.
    """

    def __init__(self, seconds: float, answer_time: float) -> None:
        self.every: float = seconds / _TIMES
        #: What the database is asked for: with the margin, which a long answer would use up else.
        self.asked_for: float = (seconds + answer_time) / (1 - _MARGIN)
        self.renewed_at: float = clock()
        self._until = -inf
        self._over = False
        self._one = threading.Lock()

    def renewed(self, asked_at: float) -> None:
        """Record that the database has renewed the lease.

        Args:
            asked_at: When the request was about to be sent.
        """
        self.renewed_at = asked_at
        with self._one:
            if not self._over:
                self._until = asked_at + self.asked_for * (1 - _MARGIN)

    def end(self) -> None:
        """End the lease now: nothing more is sent."""
        with self._one:
            self._over = True
            self._until = -inf

    def left(self) -> float:
        """Return the seconds that are left of it; at most 0 if it has ended."""
        return self._until - clock()

    def has_passed(self, seconds: float) -> bool:
        """Return True if a write must not be sent any more whose response may take so long."""
        return clock() + seconds > self._until


class Keeper:
    """Renews a lease as long as its run lives, and closes the connection when the lease has ended.

    In threads of its own: a program that keeps the event loop busy does not lose its run by that,
    and neither does one whose database does not answer hang for longer than its lease.

    Args:
        lease: The lease.
        renew: Renews it; may wait.
        cut: Is called once, when it has ended: ends what waits for the database.
    """

    def __init__(
        self, lease: Lease, renew: Callable[[], object], cut: Callable[[], object]
    ) -> None:
        self._lease, self._renew, self._cut = lease, renew, cut
        self._ended = threading.Event()
        try:
            for work in (self._keep, self._watch):
                name = f"aiocake lease {work.__name__}"
                _start(threading.Thread(target=work, name=name, daemon=True))
        except JournalError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop renewing."""
        self._ended.set()

    def _keep(self) -> None:
        every = self._lease.every
        wait = every
        while not self._ended.wait(wait):
            idle = clock() - self._lease.renewed_at
            if idle >= every:
                with suppress(Exception):  # the next write says it
                    self._renew()
                idle = 0.0
            wait = max(every - idle, every / 10)

    def _watch(self) -> None:
        while not self._ended.wait(max(self._lease.left(), 0.0)):
            if self._lease.left() <= 0:
                with suppress(Exception):
                    self._cut()
                return


@contextmanager
def cut_after(seconds: float, connection: Callable[[], Any]) -> Generator[threading.Event]:
    """Close a connection if the block takes too long, since a server may hang.

    Args:
        seconds: How long the block may take.
        connection: Returns the connection that it waits for; None if there is none.

    Yields:
        An event, which is set if it took longer.

    Raises:
        JournalError: There is no thread for it.
    """
    late = threading.Event()

    def cut() -> None:
        late.set()
        with suppress(Exception):
            shut_down(connection())

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    _start(timer)
    try:
        yield late
    finally:
        timer.cancel()


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:  # the system has no more, or Python is about to end
        raise JournalError(f"the database cannot be asked: {error}") from None


@contextmanager
def answered_within(seconds: float, connection: Callable[[], Any], who: object) -> Generator[None]:
    """End what waits for the database for too long, where no lease does so.

    A lock of somebody's may last for ever, PgBouncer lets in where its server hangs, and so does a
    server whose processes stand still: the system answers for it.

    Args:
        seconds: How long the block may take.
        connection: As of :func:`cut_after`.
        who: What waits, as the message names it.

    Raises:
        JournalError: It took too long.
    """
    with cut_after(seconds, connection) as late:
        try:
            yield
        except Exception:
            if not late.is_set():
                raise
        else:
            return
    raise JournalError(f"{who}: the database did not answer within {seconds:g} s")


def shut_down(connection: Any) -> None:  # noqa: ANN401 - of psycopg
    """Shut down a connection; another thread that waits for it gets an error at once."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as its:
        its.shutdown(socket.SHUT_RDWR)
