"""The lock by which a run owns its journal; it ends with the process, however that ends.

The lock is on a file beside the journal, which nobody else opens, so that it is independent of
SQLite's own: others may look at the journal meanwhile. It is a lock of the open file (flock(2)) and
not of the process, so that a second run of the same process is refused as well, and closing some
other descriptor does not let it go (as fcntl(2) would have it). The file says who holds it.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

import attrs

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


#: How often, and after how many seconds, a lock is tried again: looking who holds one takes it for
#: a moment.
_TRIES: Final = 20
_PAUSE: Final = 0.01
#: Windows locks bytes, which nobody can read then: one far behind the text.
_BYTE: Final = 1 << 30


@attrs.frozen
class Owner:
    """Who works on a journal.

    Attributes:
        user: The user of the process.
        host: The machine.
        pid: The process.
        since: When the run began, in UTC.
    """

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user} on {self.host}, process {self.pid}, since {self.since}"


class Ownership:
    """A lock that is held. Made by :func:`take`.

    Args:
        path: The file that is locked.
        descriptor: The open file, to which the lock belongs.
        owner: Who holds it.
    """

    def __init__(self, path: Path, descriptor: int, owner: Owner) -> None:
        self.owner = owner
        self._path = path
        self._descriptor: int | None = descriptor
        _held.add(self)

    def release(self) -> None:
        """Remove the file and release the lock."""
        if self._descriptor is None:
            return
        # While it is locked: whoever opened it before finds out that it is gone (see take).
        with suppress(OSError):  # Windows removes no file that is open
            self._path.unlink()
        self.forget()
        if sys.platform == "win32":
            with suppress(OSError):  # somebody has it by now
                self._path.unlink()

    def forget(self) -> None:
        """Close the file; where a forked process shares it, the lock stays with the others."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_file(journal: Path) -> Path:
    """Return the path of the file whose lock is the ownership of a journal."""
    return journal.with_name(f"{journal.name}-owner")


def take(path: Path, owner: Owner) -> Ownership | None:
    """Take a lock for as long as this process lives, or until it is released.

    Args:
        path: The file to lock; it is made if it is not there.
        owner: Who takes it.

    Returns:
        The lock; None if somebody else holds it.

    Raises:
        OSError: The file cannot be made, or the filesystem has no locks.
    """
    for _ in range(_TRIES):
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            locked = _lock(descriptor, shared=False)
            if locked and _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps(attrs.asdict(owner)).encode())
                ownership = Ownership(path, descriptor, owner)
                descriptor = -1
                return ownership
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if not locked:
            time.sleep(_PAUSE)
    return None


def owner_of(path: Path) -> Owner | None:
    """Return who holds the lock of a file; None if nobody does, or the holder is not known yet.

    Raises:
        OSError: The file cannot be read, or the filesystem has no locks.
    """
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if _lock(descriptor, shared=True):
                if _is_at(descriptor, path):
                    return None
                continue
            text = file.read()
        with suppress(ValueError, TypeError):
            return Owner(**json.loads(text))
        time.sleep(_PAUSE)
    return None


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Try to lock an open file; return False if somebody else has locked it.

    Raises:
        OSError: The filesystem has no locks.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return True if an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _forget_all() -> None:
    for ownership in list(_held):
        ownership.forget()


_held: Final[WeakSet[Ownership]] = WeakSet()
if sys.platform != "win32":
    # A forked process shares the open files: it would keep the lock when its parent has ended.
    os.register_at_fork(after_in_child=_forget_all)
