"""Locks on numbered places of a file, which the system releases when their process ends.

Two that have opened the file exclude each other, in one process as well as in two: on Linux by
locks of the open file description (``F_OFD_SETLK``,
https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html), on Windows by those of the handle.
Plain locks of POSIX would not do: they are a process's, and closing any descriptor of the file
drops them. Other systems lock whole files of the place's number (``flock``), which exclude alike.
"""

import errno
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

#: Where the places begin in the file: behind all data, since Windows keeps others from reading
#: what is locked.
_BEGIN: Final = 1 << 30
#: The place that is locked to see whether locks work here.
_TRIAL: Final = (1 << 30) - 1
_CLOSED: Final = -1
#: As the length of a range, in fcntl(2).
_TO_THE_END: Final = 0


class LockFile:
    """A file open for reading, writing and locking places of it. A missing one is created.

    Args:
        path: The path of the file.

    Raises:
        OSError: It cannot be opened, or its file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            self._locks = _working(path, self._descriptor)
        except BaseException:
            os.close(self._descriptor)
            raise
        _open.add(self)

    def try_lock(self, place: int) -> bool:
        """Lock a place; return False when another holder has locked it.

        Raises:
            OSError: The file system has failed.
        """
        self._refuse_closed()
        return self._locks.try_lock(place)

    def unlock(self, place: int) -> None:
        """Unlock a place.

        Raises:
            OSError: The file system has failed.
        """
        self._refuse_closed()
        self._locks.unlock(place)

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """Return ``size`` bytes from ``start``, or all that follow it.

        Raises:
            OSError: The file system has failed.
        """
        self._refuse_closed()
        os.lseek(self._descriptor, start, os.SEEK_SET)
        left = os.fstat(self._descriptor).st_size - start if size is None else size
        return os.read(self._descriptor, max(left, 0))

    def write(self, start: int, data: bytes) -> None:
        """Write bytes at ``start``. They survive the process at once, a loss of power only later.

        Raises:
            OSError: The file system has failed, or is full.
        """
        self._refuse_closed()
        os.lseek(self._descriptor, start, os.SEEK_SET)
        if os.write(self._descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # only a part of it went in

    def close(self) -> None:
        """Unlock all places and close the file. Any later use raises an OSError."""
        if self._descriptor != _CLOSED:
            with suppress(OSError):  # closing lets them go as well, where no other has them
                self._locks.unlock_all()
            self.forget()

    def forget(self) -> None:
        """Close the file without unlocking: the process that it is shared with keeps the locks."""
        if self._descriptor != _CLOSED:
            self._locks.forget()
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def _refuse_closed(self) -> None:
        if self._descriptor == _CLOSED:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _Locks(Protocol):
    def try_lock(self, place: int) -> bool: ...
    def unlock(self, place: int) -> None: ...
    def unlock_all(self) -> None: ...
    def forget(self) -> None: ...


if sys.platform == "win32":
    import msvcrt

    class _Ranges:
        """Locks of one handle of a file."""

        def __init__(self, path: Path, descriptor: int) -> None:
            del path
            self._descriptor = descriptor

        def try_lock(self, place: int) -> bool:
            os.lseek(self._descriptor, _BEGIN + place, os.SEEK_SET)
            try:
                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                return False
            return True

        def unlock(self, place: int) -> None:
            os.lseek(self._descriptor, _BEGIN + place, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_UNLCK, 1)

        def unlock_all(self) -> None:
            """Do nothing: closing the handle unlocks them, and no other process has it."""

        def forget(self) -> None:
            """Do nothing: only the file itself is open."""

    _KINDS: Final = (_Ranges,)
else:
    import fcntl

    class _Ranges:
        """Locks of one open file description, on Linux."""

        def __init__(self, path: Path, descriptor: int) -> None:
            del path
            self._descriptor = descriptor
            self._set: int = fcntl.F_OFD_SETLK

        def try_lock(self, place: int) -> bool:
            try:
                self._call(fcntl.F_WRLCK, place)
            except (BlockingIOError, PermissionError):  # POSIX allows either
                return False
            return True

        def unlock(self, place: int) -> None:
            self._call(fcntl.F_UNLCK, place)

        def unlock_all(self) -> None:
            self._call(fcntl.F_UNLCK, 0, _TO_THE_END)

        def forget(self) -> None:
            """Do nothing: only the file itself is open."""

        def _call(self, kind: int, place: int, length: int = 1) -> None:
            # struct flock: type, whence, start, length, and a process id that has to be 0.
            provided = struct.pack("hhqqi0q", kind, os.SEEK_SET, _BEGIN + place, length, 0)
            fcntl.fcntl(self._descriptor, self._set, provided)

    class _Files:
        """A file for each place that is locked, beside the file itself."""

        def __init__(self, path: Path, descriptor: int) -> None:
            del descriptor
            self._path = path
            self._locked: dict[int, int] = {}

        def try_lock(self, place: int) -> bool:
            if place in self._locked:
                return True
            path = self._path.with_name(f"{self._path.name}.{place}")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except BaseException:
                os.close(descriptor)
                raise
            self._locked[place] = descriptor
            return True

        def unlock(self, place: int) -> None:
            descriptor = self._locked.pop(place)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # of whoever shares it, too
            finally:
                os.close(descriptor)

        def unlock_all(self) -> None:
            while self._locked:
                self.unlock(next(iter(self._locked)))

        def forget(self) -> None:
            while self._locked:
                os.close(self._locked.popitem()[1])

    # Only Linux's layout of what F_OFD_SETLK takes is known here.
    _KINDS: Final = (_Ranges, _Files) if sys.platform == "linux" else (_Files,)


def _working(path: Path, descriptor: int) -> _Locks:
    """Return the first kind of locks that works on a file.

    Raises:
        OSError: None of them works.
    """
    *others, last = _KINDS
    for kind in others:
        with suppress(OSError):
            return _tried(kind, path, descriptor)
    return _tried(last, path, descriptor)


def _tried(kind: Callable[[Path, int], _Locks], path: Path, descriptor: int) -> _Locks:
    """Return locks of a kind, once a second one was seen to be kept out by them."""
    locks = kind(path, descriptor)
    if not locks.try_lock(_TRIAL):  # another tries them at this moment, so they work
        return locks
    second = os.open(path, os.O_RDWR)
    try:
        other = kind(path, second)
        if other.try_lock(_TRIAL):
            other.unlock(_TRIAL)
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    finally:
        os.close(second)
        locks.unlock(_TRIAL)
    return locks


def _forget_all() -> None:
    for file in list(_open):
        file.forget()


_open: Final[WeakSet[LockFile]] = WeakSet()
if sys.platform != "win32":
    # A forked process shares the open files: it would keep the locks when its parent has ended.
    os.register_at_fork(after_in_child=_forget_all)
