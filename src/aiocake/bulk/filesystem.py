"""Find the filesystem that a journal is on, and refuse one where a journal is not safe.

An intent has to be on the disk before its request leaves, and no second run may go on with the same
plan: so ``fsync`` and locks have to hold (https://www.sqlite.org/faq.html#q5). They are known to
hold on a disk of this machine. They may not on a network drive, on a bucket that is mounted (what
was synced may be uploaded only when the file is closed), or on a folder that a virtual machine
shares.
"""

import os
import re
from pathlib import Path
from typing import Final

from aiocake.errors import JournalError

#: On a disk of this machine, as Linux names them. An overlay is gone with its container, which the
#: documentation says.
_LOCAL: Final = frozenset(
    {
        "bcachefs",
        "btrfs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "fuseblk",
        "jfs",
        "ntfs3",
        "overlay",
        "vfat",
        "xfs",
        "zfs",
    }
)
_MEMORY: Final = frozenset({"ramfs", "tmpfs"})
#: In place of a type: a file that is a mount of its own.
_BIND: Final = "bind"

_MOUNTS: Final = Path("/proc/self/mounts")
_MOUNT_IDS: Final = Path("/proc/self/mountinfo")


def accept(path: Path, *, for_tests: bool, allowed: str | None, allow_unknown: bool) -> str | None:
    """Refuse a path on a filesystem that a journal is not safe on.

    Args:
        path: The journal, which need not exist.
        for_tests: Accept one in memory.
        allowed: The type that was accepted for this journal before.
        allow_unknown: Accept any.

    Returns:
        The type that was accepted although a journal is not safe on it; None for a safe one.

    Raises:
        JournalError: It is refused, with its type and the reason.
    """
    kind = network_filesystem(path)
    if kind is None or (for_tests and kind in _MEMORY):
        return None
    if allow_unknown or kind == allowed:
        return kind
    if kind in _MEMORY:
        reason = f"on {kind}, which is in memory and lost in a crash. Use a local disk"
    elif kind == _BIND:
        reason = "mounted as a single file, without SQLite's files beside it. Mount its folder"
    else:
        reason = (
            f"on {kind}, where locks and fsync may not work: a crash could lose what was sent. "
            "Use a local disk"
        )
    raise JournalError(
        f"{path} is {reason}, or accept the risk with allow_unknown_filesystem=True "
        "(--allow-unknown-filesystem)"
    )


def has_shared_memory(path: Path) -> bool:
    """Return True if programs that have a file open can share memory through a file beside it."""
    kind = network_filesystem(path)
    return kind is None or kind in _MEMORY


def network_filesystem(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the filesystem of a path if a journal is not known to be safe on it.

    Args:
        path: A file, which need not be there. Symbolic links are followed.
        mounts: The table of mounts, as Linux has it (proc(5)); other systems have none.

    Returns:
        The type, such as ``"nfs4"``, or ``"bind"`` for a file that is mounted by itself. None for
        a safe one; and where there is not a table, for all but a Windows network path.
    """
    place = Path(os.path.realpath(path))
    try:
        found = (_by_mount_id(place) if mounts == _MOUNTS else None) or _by_prefix(place, mounts)
    except OSError:
        return r"\\" if str(path.absolute()).startswith(r"\\") else None
    kind, alone = found
    if kind.partition(".")[0] != "fuseblk" and kind not in _LOCAL:
        return kind
    return _BIND if alone else None


def _by_mount_id(place: Path) -> tuple[str, bool] | None:
    """Return the type of the mount that the kernel uses for a path, and if it is of the file alone.

    This is exact however mounts lie over each other. None if the kernel does not say.
    """
    try:
        table = _MOUNT_IDS.read_text(encoding="utf-8", errors="surrogateescape")
        kinds = {
            line.split(" ", 1)[0]: line.rpartition(" - ")[2].split(" ", 1)[0]
            for line in table.splitlines()
        }
        folder = _mount_id(next(each for each in place.parents if each.is_dir()))
        file = _mount_id(place) if place.exists() else folder
        return kinds[file], file != folder
    except (OSError, LookupError):
        return None


def _mount_id(place: Path) -> str:
    # By O_PATH the file is not opened: closing it would let go SQLite's locks on it (fcntl(2)).
    descriptor = os.open(place, os.O_PATH)
    try:
        text = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    finally:
        os.close(descriptor)
    return next(line.split()[1] for line in text.splitlines() if line.startswith("mnt_id:"))


def _by_prefix(place: Path, mounts: Path) -> tuple[str, bool]:
    """Return the type of the deepest mount above a path, and if it is of the file alone.

    Of mounts at one point the last is on top.
    """
    best, kind = Path("/"), ""
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, folder, found, *_ = line.split(" ")
        mount = Path(_unescaped(folder))
        if place.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, found
    return kind, best == place


def _unescaped(name: str) -> str:
    """Return a name of the table of mounts, in which blanks and the like are written in octal."""
    raw = re.sub(
        rb"\\([0-7]{3})",
        lambda found: bytes([int(found[1], 8) & 0xFF]),
        name.encode("utf-8", "surrogateescape"),
    )
    return os.fsdecode(raw)
