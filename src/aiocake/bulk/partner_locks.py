"""Locks by which one run on a host at a time creates for a partner; others wait and list again.

A file in the user's state folder for each instance. Each partner has a place in it, which a run
locks from its look at the partner's records until the end of its create is known, and a row:

====== ======================================================================
bytes
====== ======================================================================
8      the partner
8      a number that moves with each create: what was listed before is out of date
8      until when (seconds since 1970) a create whose end is not known may still show up;
       infinite while one is on its way, 0 where there is none
====== ======================================================================

A process that is killed loses its locks, while its rows stay: the next run finds the place free,
the number moved, and a create on its way that nobody waits for. The end of that is given the same
time to show up as a run gives to its own lost creates (``settle``), and then the partner is listed
again. Rows have to outlive a process, not a loss of power, so nothing waits for the disk.

**No deadlock.** Whoever holds a partner waits for a response, the journal's disk and the time of
``settle``, and for nothing that another holder could keep: a create needs one partner, is behind
those before it for the same partner before it asks for the lock, and lets go before ``on_outcome``
is called. The rows are added under a lock of their own, which is let go without waiting. So no run
that waits is waited for.

The lock is polled. Waiting for it in a thread could not be cancelled.
"""

import errno
import math
import os
import re
import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio
import attrs
import platformdirs

from aiocake._file_lock import LockFile
from aiocake.bulk.filesystem import has_shared_memory, network_filesystem

_ROW: Final = struct.Struct("<QQd")
_NUMBERS: Final = 1 << 64
#: The place of the lock under which rows are added.
_ROWS: Final = (1 << 30) - 2
#: Seconds between two questions for a lock: the first, and the most.
_SHORTEST, _LONGEST = 0.002, 0.1
#: Characters that a file's name may not have on some systems, and its greatest length.
_ODD: Final = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_NAME: Final = 200


@attrs.define
class _Held:
    """A partner that is locked.

    Attributes:
        place: The place of its row.
        number: The number in its row.
        until: The time in its row, regardless of creates in flight.
        on_the_way: How many creates of this run are in flight.
    """

    place: int
    number: int = 0
    until: float = 0.0
    on_the_way: int = 0


class PartnerLocks:
    """The locks of one run. Nothing is opened before the first create.

    Args:
        domain: The instance.
        settle: Seconds in which a create of unknown outcome may still appear.
    """

    def __init__(self, domain: str, settle: float) -> None:
        #: Why there are no locks; None if there are, or none was needed yet.
        self.trouble: str | None = None
        self._domain = domain
        self._settle = settle
        self._file: LockFile | None = None
        self._is_over = False
        #: Where the row of each partner is, and how many rows were read.
        self._places: dict[int, int] = {}
        self._read = 0
        self._held: dict[int, _Held] = {}
        #: Until when creates of this run may show up, by partner: it knows of them otherwise.
        self._own: dict[int, float] = {}

    def numbers(self) -> dict[int, int]:
        """Return the number of each partner; -1 where a create may still show up."""
        with self._failing():
            now = time.time()
            return {
                partner: -1 if until > now else number
                for partner, number, until in _rows_of(self._opened().read())
            }
        return {}

    async def take(self, partner: int, busy: Callable[[float | None], None]) -> int:
        """Wait until no other run on this host creates for a partner, and lock it.

        Args:
            partner: The partner.
            busy: Called before this waits, with the seconds, or with None for as long as another
                run takes.

        Returns:
            The partner's number: a list that was read at another one is out of date. 0 where there
            are no locks.
        """
        with self._failing():
            file = self._opened()
            place = await self._place(file, partner)
            await self._lock(file, place, lambda: busy(None))
            self._held[partner] = held = _Held(place)
            try:
                return await self._settled(file, partner, held, busy)
            except BaseException:
                self.give(partner)
                raise
        return 0

    def leaves(self, partner: int) -> int:
        """Record that a create is about to be sent, and return the partner's new number."""
        held = self._held.get(partner)
        if held is None:
            return 0
        held.on_the_way += 1
        with self._failing():
            # One after the other: whoever reads the rows meanwhile, and not as a whole, must not
            # take the new number for that of a create which has ended.
            self._write(partner, held, math.inf)
            held.number = (held.number + 1) % _NUMBERS
            self._write(partner, held, math.inf)
            return held.number
        return 0

    def ended(self, partner: int, *, known: bool) -> None:
        """Record that a create has ended, and if its outcome is known."""
        held = self._held.get(partner)
        if held is None:
            return
        held.on_the_way -= 1
        if not known:
            held.until = self._own[partner] = time.time() + self._settle
        if not held.on_the_way:
            with self._failing():
                self._write(partner, held, held.until)

    def give(self, partner: int) -> None:
        """Release a partner; do nothing if it is not held."""
        held = self._held.pop(partner, None)
        if held is not None:
            with self._failing():
                self._opened().unlock(held.place)

    def begin_settling(self, partner: int) -> None:
        """Start the time in which a create that a killed run has sent for a partner may show up."""
        with self._failing():
            file = self._opened()
            self._learn(file)
            place = self._places.get(partner)
            if place is None or partner in self._held or not file.try_lock(place):
                return
            _, number, until = _row_of(file, place)
            if until == math.inf:
                self._write(partner, _Held(place, number), time.time() + self._settle)
            file.unlock(place)

    def close(self) -> None:
        """Release all partners, and lock no more."""
        self._is_over = True
        self._held.clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def _settled(
        self, file: LockFile, partner: int, held: _Held, busy: Callable[[float | None], None]
    ) -> int:
        """Wait until creates of a killed run for a locked partner would have shown up."""
        _, held.number, held.until = _row_of(file, held.place)
        now = time.time()
        if held.until > now and held.until != self._own.get(partner):
            if held.until == math.inf:
                held.until = now + self._settle
            # Whatever was listed before is out of date, for everybody.
            held.number = (held.number + 1) % _NUMBERS
            self._write(partner, held, held.until)
            # A clock that was set back must not make it longer than it has to be.
            seconds = min(held.until - now, self._settle)
            busy(seconds)
            await anyio.sleep(seconds)
        return held.number

    @staticmethod
    async def _lock(file: LockFile, place: int, busy: Callable[[], None] | None = None) -> None:
        wait = _SHORTEST
        while not file.try_lock(place):
            if busy is not None:
                busy()
                busy = None
            await anyio.sleep(wait)
            wait = min(2 * wait, _LONGEST)

    async def _place(self, file: LockFile, partner: int) -> int:
        """Return where the row of a partner is; it is added where it is missing."""
        self._learn(file)
        if partner not in self._places:
            await self._lock(file, _ROWS)
            self._learn(file)
            if partner not in self._places:
                file.write(self._read * _ROW.size, _ROW.pack(partner, 0, 0.0))
            file.unlock(_ROWS)
            self._learn(file)
        return self._places[partner]

    def _learn(self, file: LockFile) -> None:
        """Read the rows that were added since the last time."""
        for partner, *_ in _rows_of(file.read(self._read * _ROW.size)):
            self._places.setdefault(partner, self._read)
            self._read += 1

    def _write(self, partner: int, held: _Held, until: float) -> None:
        row = _ROW.pack(partner, held.number, until)
        self._opened().write(held.place * _ROW.size, row)

    def _opened(self) -> LockFile:
        if self._file is None:
            if self._is_over:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._file = LockFile(_path(self._domain))
        return self._file

    @contextmanager
    def _failing(self) -> Generator[None]:
        """Continue without locks when they are unavailable."""
        try:
            yield
        except OSError as error:
            if not self._is_over:
                self.close()
                self.trouble = _reason(error)


def _rows_of(data: bytes) -> Iterator[tuple[int, int, float]]:
    # A part of a row, which a full disk may leave, is no row.
    return _ROW.iter_unpack(data[: len(data) - len(data) % _ROW.size])


def _row_of(file: LockFile, place: int) -> tuple[int, int, float]:
    data = file.read(place * _ROW.size, _ROW.size)
    partner, number, until = _ROW.unpack(data.ljust(_ROW.size, b"\0"))
    return partner, number, until


def _path(domain: str) -> Path:
    """Return the file of an instance, in a folder that only its user can read.

    Raises:
        OSError: There can be none, or none whose locks can be relied on.
    """
    folder = platformdirs.user_state_path("aiocake")
    if not folder.is_absolute():  # the home folder is unknown
        raise OSError("there is no state folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    path = folder / f"{_ODD.sub('_', domain)[:_LONGEST_NAME]}.partners"
    if not has_shared_memory(path):
        raise OSError(f"{folder} is on {network_filesystem(path)}, where locks may not work")
    return path


def _reason(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
