"""Places of a file that are locked: by one at a time, in one process and in two."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from aiocake import _file_lock
from aiocake._file_lock import LockFile

HOLDER = """
import sys
from pathlib import Path
from aiocake import _file_lock
_file_lock._KINDS = tuple(getattr(_file_lock, name) for name in sys.argv[2].split(","))
file = _file_lock.LockFile(Path(sys.argv[1]))
print(file.try_lock(7), flush=True)
sys.stdin.read()
"""


FORKED = """
import os, signal, sys
from pathlib import Path
from aiocake import _file_lock
_file_lock._KINDS = (getattr(_file_lock, sys.argv[2]),)
file = _file_lock.LockFile(Path(sys.argv[1]))
file.try_lock(7)
child = os.fork()
if not child:
    if sys.argv[3:]:
        file.close()
    print(os.getpid(), flush=True)
signal.pause()
"""


@pytest.fixture(params=["_Ranges", "_Files"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Linux's locks, and those of other systems."""
    name: str = request.param
    monkeypatch.setattr(_file_lock, "_KINDS", (getattr(_file_lock, name),))
    return name


@pytest.mark.usefixtures("kind")
def test_two_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    one, other = LockFile(tmp_path / "x"), LockFile(tmp_path / "x")
    assert one.try_lock(7)
    assert one.try_lock(7)  # it has it
    assert not other.try_lock(7)
    assert other.try_lock(8)
    one.unlock(7)
    assert other.try_lock(7)
    # One that is closed lets nothing of the others go.
    one.close()
    third = LockFile(tmp_path / "x")
    assert not third.try_lock(7)
    other.close()
    assert third.try_lock(7)
    third.close()


def test_a_process_that_is_killed_loses_its_locks(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    command = [sys.executable, "-c", HOLDER, str(path), kind]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        file = LockFile(path)
        assert not file.try_lock(7)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert file.try_lock(7)
        file.close()


@pytest.mark.parametrize("close", [[], ["close"]], ids=["left", "closed"])
def test_a_process_that_was_forked_has_no_part_in_them(
    kind: str, close: list[str], tmp_path: Path
) -> None:
    """It neither lets them go nor keeps them when the one that forked it is killed."""
    path = tmp_path / "x"
    command = [sys.executable, "-c", FORKED, str(path), kind, *close]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            file = LockFile(path)
            assert not file.try_lock(7)
            holder.kill()
            holder.wait()
            assert file.try_lock(7)
            file.close()
        finally:
            os.kill(child, signal.SIGKILL)


def test_closing_lets_go_what_a_forked_process_shares(kind: str, tmp_path: Path) -> None:
    del kind
    path = tmp_path / "x"
    one, other = LockFile(path), LockFile(path)
    assert one.try_lock(7)
    # As of a process that some other library has forked, past the hooks of os.fork.
    shared = [os.dup(each) for each in opened(path)]
    one.close()
    one.close()
    assert other.try_lock(7)
    other.close()
    for each in shared:
        os.close(each)


def opened(path: Path) -> list[int]:
    """The descriptors of a file, and of those beside it."""
    found: list[int] = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # of the folder itself
            if str(each.readlink()).startswith(str(path)):
                found.append(int(each.name))
    return found


@pytest.mark.usefixtures("kind")
def test_what_is_written_is_read_by_others_and_no_descriptor_is_left(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - a list
    one, other = LockFile(tmp_path / "x"), LockFile(tmp_path / "x")
    assert one.read() == b""
    one.write(2, b"abc")
    assert other.read() == b"\0\0abc"
    assert (other.read(3), other.read(3, 1), other.read(9)) == (b"bc", b"b", b"")
    assert one.try_lock(7)
    one.close()
    other.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - a list
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "use",
    [
        lambda file: file.try_lock(1),
        lambda file: file.unlock(1),
        lambda file: file.read(),
        lambda file: file.write(0, b"x"),
    ],
    ids=["try_lock", "unlock", "read", "write"],
)
def test_a_closed_one_does_nothing(use: Callable[[LockFile], object], tmp_path: Path) -> None:
    file = LockFile(tmp_path / "x")
    file.close()
    with pytest.raises(OSError, match="descriptor"):
        use(file)


def test_where_one_kind_does_not_work_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    one, other = LockFile(tmp_path / "x"), LockFile(tmp_path / "x")
    assert one.try_lock(7)
    assert not other.try_lock(7)
    one.close()
    other.close()


def test_locks_that_keep_nobody_out_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a list
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: b"")
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with pytest.raises(OSError, match="lock"):
        LockFile(tmp_path / "x")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a list


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LockFile(tmp_path / "x")
    monkeypatch.setattr(os, "write", lambda *_: 1)
    with pytest.raises(OSError, match="space"):
        file.write(0, b"abc")
    file.close()
