"""Write to the file that ``--out`` names: replace it atomically where that is possible.

A regular file is replaced as a whole once all of it is there, so that a run that fails leaves the
old one. Where its folder does not allow that, all is collected elsewhere and copied into it at the
end. Everything else is written to as it comes: a descriptor (``/dev/fd/3``), a pipe, a device.
"""

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, BinaryIO, Final, cast

from aiocake.cli.errors import print_error

#: Where a process finds its own descriptors by number, and those of other processes.
_DESCRIPTORS: Final = re.compile(r"/dev/fd|/proc/(self|thread-self|\d+)(?:/task/\d+)?/fd")
#: As many links as Linux follows.
_MOST_LINKS: Final = 40
#: What says that a file cannot be replaced, though it may be written to: of its folder, of a mount
#: point, of a file that is open elsewhere on Windows.
_NOT_REPLACED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What each SQLite database begins with (https://www.sqlite.org/fileformat.html).
_DATABASE: Final = b"SQLite format 3\0"
#: Bytes that are collected in memory before they go to the folder for temporary files.
_IN_MEMORY: Final = 1 << 24
_WRITE: Final = os.O_WRONLY | getattr(os, "O_BINARY", 0)
_CREATE: Final = _WRITE | os.O_CREAT | os.O_EXCL


class OutputError(Exception):
    """The output cannot be written."""


class _OutputErrors:
    """Turns operating system errors into output errors, except for a closed pipe.

    A class, because it is entered for each row: a generator takes four times as long.

    Args:
        what: What cannot be written.
        remedy: What to do about it.
    """

    __slots__ = ("_remedy", "_what")

    def __init__(self, what: str, remedy: str = "") -> None:
        self._what = what
        self._remedy = remedy

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = f"{error.strerror}{self._remedy}"
            raise OutputError(f"{self._what} cannot be written: {reason}") from None
        if isinstance(error, UnicodeEncodeError):
            reason = "a text has half of a character, which UTF-8 cannot"
            raise OutputError(f"{self._what} cannot be written: {reason}") from None


refused: Final = _OutputErrors("the output")
#: Of what a library collects before it writes it: another disk, perhaps.
refused_aside: Final = _OutputErrors(
    "the folder for temporary files", ": set TMPDIR to another one"
)


class Destination:
    """A stream that bytes are written to as they come.

    Attributes:
        stream: Where they go.
        notice: A warning to show before anything is written.
    """

    notice: str | None = None

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def finish(self) -> None:
        """Move the complete output to its place."""
        self.stream.flush()

    def close(self) -> None:
        """Close it, and ignore errors, which were reported before."""
        with suppress(OSError):
            self.stream.close()


class _Replaced(Destination):
    """A regular file: a new one is written beside it and replaces it."""

    def __init__(self, descriptor: int, aside: Path, file: Path) -> None:
        super().__init__(_binary(descriptor))
        self._aside = aside
        self._file = file

    def finish(self) -> None:
        super().finish()
        os.fsync(self.stream.fileno())
        try:
            self._aside.replace(self._file)
        except OSError as error:
            if error.errno not in _NOT_REPLACED or not self._file.exists():
                raise
            print_error(f"{self._file} {_in_place(error)}")
            with (
                self._aside.open("rb") as written,
                _binary(os.open(self._file, _WRITE)) as target,
            ):
                _copy(written, target)

    def close(self) -> None:
        super().close()
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)


class _InPlace(Destination):
    """A regular file that cannot be replaced: it is overwritten once the output is complete."""

    def __init__(self, descriptor: int, why: OSError) -> None:
        spool = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close()
        super().__init__(cast("BinaryIO", spool))
        self._target = _binary(descriptor)
        self.notice = _in_place(why)

    def finish(self) -> None:
        self.stream.seek(0)
        _copy(self.stream, self._target)

    def close(self) -> None:
        super().close()
        with suppress(OSError):
            self._target.close()


@contextmanager
def destination(file: Path) -> Generator[Destination]:
    """Open what a path names.

    Args:
        file: The path. A link is followed, and stays.

    Raises:
        OSError: It cannot be written to, or is a database.
    """
    _refuse_database(file)
    found = _opened(_behind(file))
    try:
        yield found
    finally:
        found.close()


def goes_on(stream: IO[str] | IO[bytes]) -> bool:
    """Return True if a stream appends to what is in a file already."""
    try:
        number = stream.fileno()
        found = os.fstat(number)
        return stat.S_ISREG(found.st_mode) and (
            os.lseek(number, 0, os.SEEK_CUR) > 0 or (found.st_size > 0 and _appends(number))
        )
    except (OSError, ValueError):  # there is no file behind it
        return False


def _appends(number: int) -> bool:
    if sys.platform == "win32":  # where a shell has moved to the end of such a file
        return False
    import fcntl  # noqa: PLC0415

    return bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND)


def _refuse_database(file: Path) -> None:
    """Refuse to write over a database, such as a journal: it is never what was meant."""
    begins = b""
    with suppress(OSError):  # it cannot be read; whether it can be written to is seen later
        if file.is_file():
            with file.open("rb", buffering=0) as opened:
                at = opened.tell()  # on some systems it shares this with the descriptor it names
                opened.seek(0)
                begins = opened.read(len(_DATABASE))
                opened.seek(at)
    if begins == _DATABASE:
        raise OSError(errno.EPERM, "it is an SQLite database")


def _behind(file: Path) -> Path:
    """Return the path without links; that of a descriptor is no link, though it looks like one."""
    for _ in range(_MOST_LINKS):
        file = Path(os.path.realpath(file.parent), file.name)
        if _descriptor(file) or not file.is_symlink():
            return file
        file = file.parent / file.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _descriptor(file: Path) -> re.Match[str] | None:
    return _DESCRIPTORS.fullmatch(str(file.parent)) if file.name.isdecimal() else None


def _opened(file: Path) -> Destination:
    descriptor = _descriptor(file)
    if descriptor is not None:
        own = descriptor[1] in {None, "self", "thread-self", str(os.getpid())}
        return Destination(_binary(_own(int(file.name)) if own else _others(file)))
    try:
        opened = os.open(file, _WRITE)
    except FileNotFoundError:
        aside = _aside(file)
        return _Replaced(os.open(aside, _CREATE, 0o666), aside, file)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        return Destination(_binary(opened))
    aside = _aside(file)
    try:
        beside = _like(opened, file, aside)
    except OSError as error:
        if error.errno in _NOT_REPLACED:
            return _InPlace(opened, error)
        os.close(opened)
        raise
    os.close(opened)
    return _Replaced(beside, aside, file)


def _own(number: int) -> int:
    """Duplicate a descriptor of this process: opening its file again would write over it."""
    # Windows has neither.
    import fcntl  # noqa: PLC0415

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "It is open for reading only")
    return os.dup(number)


def _others(file: Path) -> int:
    """Open a descriptor of another process, such as the standard output of a container."""
    return os.open(file, os.O_WRONLY | os.O_APPEND)


def _aside(file: Path) -> Path:
    return file.with_name(f".aiocake-{secrets.token_hex(4)}.part")


def _like(opened: int, file: Path, aside: Path) -> int:
    """Make a file that can take the place of another: same owner, same permissions.

    Args:
        opened: The other file.
        file: The other file's path.
        aside: The path of the new file.

    Returns:
        The new file's descriptor.

    Raises:
        OSError: It cannot; nothing is left behind.
    """
    found = os.fstat(opened)
    _refuse_sticky(found, file.parent)
    beside = os.open(aside, _CREATE, 0o600)
    try:
        _refuse_mount_point(opened, beside)
        made = os.fstat(beside)
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            os.fchown(beside, found.st_uid, found.st_gid)
        _copy_attributes(file, aside)
        aside.chmod(stat.S_IMODE(found.st_mode))
    except BaseException:
        os.close(beside)
        aside.unlink()
        raise
    return beside


def _refuse_sticky(found: os.stat_result, folder: Path) -> None:
    """Refuse a file of others in a folder such as /tmp: it may be written to but not replaced."""
    place = folder.stat()
    if place.st_mode & stat.S_ISVTX and os.geteuid() not in {0, place.st_uid, found.st_uid}:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _refuse_mount_point(opened: int, beside: int) -> None:
    if _mount(opened) != _mount(beside):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _mount(descriptor: int) -> str | None:
    """Return the mount of an open file (proc(5)): one that is mounted itself cannot be replaced."""
    with suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines():
            if line.startswith("mnt_id:"):
                return line
    return None


def _copy_attributes(file: Path, to: Path) -> None:
    """Copy access control lists and the like, where there are any, as far as it is allowed."""
    with suppress(OSError, AttributeError):  # only Linux has them in Python
        for name in os.listxattr(file):
            with suppress(OSError):
                os.setxattr(to, name, os.getxattr(file, name))


def _copy(written: BinaryIO, target: BinaryIO) -> None:
    """Write over a file, which stays unchanged if the disk has no room for all of it."""
    number = target.fileno()
    before, after = os.fstat(number).st_size, written.seek(0, os.SEEK_END)
    if after > before and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(number, before, after - before)
        except OSError as error:
            if error.errno in _FULL:
                os.ftruncate(number, before)
                raise
    written.seek(0)
    shutil.copyfileobj(written, target)
    target.flush()
    os.ftruncate(number, after)
    os.fsync(number)


def _in_place(error: OSError) -> str:
    return f"cannot be replaced ({error.strerror}): it is overwritten once the output is complete"


def _binary(descriptor: int) -> BinaryIO:
    return os.fdopen(descriptor, "wb")
