# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Where a journal may be: on a disk of this machine, and nowhere else unless somebody says so."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aiocake import ArgumentError, Client, JournalError, RetryPolicy, bulk
from aiocake.bulk import Journal, filesystem
from aiocake.bulk.filesystem import network_filesystem
from aiocake.sandbox import Sandbox

LOCAL = {
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "f2fs",
    "bcachefs",
    "jfs",
    "ntfs3",
    "exfat",
    "vfat",
    "fuseblk",
    "fuseblk.ntfs-3g",
    "overlay",
}
OTHERS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "davfs",
    "vboxsf",
    "prl_fs",
    "virtiofs",
    "fuse",
    "fuse.sshfs",
    "fuse.gcsfuse",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.mount-s3",
    "fuse.blobfuse2",
    "fuse.ceph-fuse",
    "fuse.vmhgfs-fuse",
    "fuse.juicefs",
    "fuse.goofys",
    "squashfs",
    "proc",
    "autofs",
    "ext4.x",
    "a-kind-of-tomorrow",
    "tmpfs",
    "ramfs",
}


@pytest.mark.parametrize("kind", sorted(LOCAL | OTHERS))
def test_what_is_not_known_to_be_a_disk_of_this_machine_is_not_taken(
    tmp_path: Path, kind: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nsomething /data {kind} rw 0 0\n")
    found = network_filesystem(Path("/data/not/there/yet/run.db"), mounts)
    assert found == (None if kind in LOCAL else kind)
    mounts.write_text(f"something / {kind} rw 0 0\n/dev/vda /data ext4 rw 0 0\n")
    assert network_filesystem(Path("/data/run.db"), mounts) is None


def test_it_is_the_deepest_mount_that_counts_and_of_those_at_one_point_the_last(
    tmp_path: Path,
) -> None:
    mounts, link, real = tmp_path / "mounts", tmp_path / "link", tmp_path / "real"
    mounts.write_text(
        "server:/deep /home/me/deep nfs rw 0 0\n"
        "/dev/vda / ext4 rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "/dev/vdb /home/local btrfs rw,subvol=/@home 0 0\n"
        "//nas/x /mnt/with\\040blank\\011and\\134tab cifs rw 0 0\n"
        "//nas/y /mnt/Büro\\040ü cifs rw 0 0\n"
        "systemd-1 /auto autofs rw 0 0\n"
        "/dev/vdc /auto xfs rw 0 0\n"
        "/dev/vdd /twice ext4 rw 0 0\n"
        "bucket /twice fuse.gcsfuse rw 0 0\n"
        f"server:/real {real} nfs4 rw 0 0\n"
        "/dev/vda /one/run.db ext4 rw 0 0\n"
        "server:/one /two/run.db nfs4 rw 0 0\n"
    )
    real.mkdir()
    link.symlink_to(real)
    (tmp_path / "run.db").symlink_to(real / "run.db")
    for path, kind in (
        ("/home/me/run.db", "nfs4"),
        ("/home/me/deep/run.db", "nfs"),
        ("/home/local/run.db", None),
        ("/home/local/../run.db", "nfs4"),
        ("/homes/run.db", None),
        ("/mnt/with blank\tand\\tab/run.db", "cifs"),
        ("/mnt/Büro ü/run.db", "cifs"),
        ("/auto/run.db", None),
        ("/twice/run.db", "fuse.gcsfuse"),
        ("/run.db", None),
        (link / "run.db", "nfs4"),
        (tmp_path / "run.db", "nfs4"),
        # What SQLite keeps beside a file that is mounted by itself is elsewhere.
        ("/one/run.db", "bind"),
        ("/two/run.db", "nfs4"),
    ):
        assert network_filesystem(Path(path), mounts) == kind, path
    assert network_filesystem(tmp_path / "run.db", tmp_path / "none") is None


def test_the_kernel_is_asked_which_mount_a_path_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network_filesystem(Path("/proc/self/run.db")) == "proc"
    here = filesystem._mount_id(tmp_path)
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(filesystem, "_MOUNT_IDS", table)
    path = tmp_path / "run.db"
    # Whatever lies over it by its name.
    rest = f"0:1 / {tmp_path} rw,relatime master:1 - ext4 /dev/vdb rw"
    for kind in ("xfs", "fuse.sshfs"):
        table.write_text(f"{here} 1 0:2 / /elsewhere rw - {kind} x rw\n{here}9 1 {rest}\n")
        expected = None if kind == "xfs" else kind
        assert network_filesystem(path) == expected
        assert network_filesystem(tmp_path / "not" / "there" / "yet") == expected
    # And by its name where the kernel does not tell.
    table.write_text("")
    assert network_filesystem(Path("/proc/self/run.db")) == "proc"
    ids = {tmp_path: here, path: "another"}
    monkeypatch.setattr(filesystem, "_mount_id", ids.__getitem__)
    table.write_text(f"{here} 1 0:2 / / rw - ext4 x rw\nanother 1 0:2 / /x rw - ext4 x rw\n")
    path.touch()
    assert network_filesystem(path) == "bind"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has every path be on a filesystem of a type."""
    return lambda kind: monkeypatch.setattr(
        filesystem, "network_filesystem", lambda *_: None if kind in LOCAL else kind
    )


def meta(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT value FROM meta WHERE name = 'unknown_filesystem'"
        ).fetchall()


@pytest.mark.anyio
async def test_a_journal_elsewhere_is_refused_by_name_and_taken_when_that_is_allowed(
    ledgers, tmp_path: Path, on
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = [*list(books.state.invoices)[:2], 999]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]
        on("nfs4")
        for plan in (calls, []):
            with pytest.raises(JournalError) as caught:
                await bulk.each(plan, journal=path)
            assert f"{path} is on nfs4, where locks and fsync may not work" in str(caught.value)
            assert "allow_unknown_filesystem=True (--allow-unknown-" in str(caught.value)
        assert books.state.requests == []
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - a list
        summary = await bulk.each(calls, journal=path, allow_unknown_filesystem=True)
        assert (summary.done, summary.failed) == (2, 1)
        assert meta(path) == [("nfs4",)]
        # It is not asked for again on the same, but on another.
        assert (await bulk.resume(path, cake)).failed == 1
        async with await Journal.open(path) as journal:
            assert await journal.unknown_filesystem() == "nfs4"
        on("fuse.gcsfuse")
        sent = len(books.state.requests)
        before = path.read_bytes()
        for attempt in (bulk.resume(path, cake), Journal.open(path)):
            with pytest.raises(JournalError, match=r"is on fuse\.gcsfuse, where"):
                await attempt
        assert path.read_bytes() == before
        assert len(books.state.requests) == sent
        async with await Journal.open(path, allow_unknown_filesystem=True):
            pass
        assert meta(path) == [("nfs4",)]
        assert (await bulk.resume(path, cake, allow_unknown_filesystem=True)).failed == 1
        assert meta(path) == [("fuse.gcsfuse",)]
        on("ext4")
        assert (await bulk.resume(path, cake)).failed == 1
        for word in ("no", 1, None):
            with pytest.raises(ArgumentError, match="allow_unknown_filesystem: must be True"):
                await bulk.resume(path, cake, allow_unknown_filesystem=word)
            with pytest.raises(ArgumentError, match="allow_unknown_filesystem: must be True"):
                await bulk.each(calls, journal=None, allow_unknown_filesystem=word)


@pytest.mark.anyio
async def test_a_file_that_is_mounted_by_itself_is_refused_with_the_reason(
    ledgers, tmp_path: Path, on
) -> None:
    on("bind")
    async with ledgers(Sandbox()).client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        with pytest.raises(JournalError, match=r"mounted as a single file.*Mount its folder"):
            await bulk.each([call], journal=tmp_path / "run.db")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
async def test_memory_is_taken_of_a_test_only(ledgers, tmp_path: Path, on, kind: str) -> None:
    on(kind)
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with Client("x.example", "SANDBOX-KEY") as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        with pytest.raises(JournalError, match=f"is on {kind}, which is in memory"):
            await bulk.each([call], journal=path)
    assert not path.exists()
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path)).complete
        assert (await bulk.resume(path, cake)).complete
        async with await Journal.open(path) as journal:
            assert await journal.unknown_filesystem() is None
    async with Client("x.example", "SANDBOX-KEY") as cake:
        with pytest.raises(JournalError, match=f"is on {kind}, which is in memory"):
            await bulk.resume(path, cake)
        assert (await bulk.resume(path, cake, allow_unknown_filesystem=True)).complete
    for number, host in enumerate(("127.0.0.1:1", "http://[::1]:1", "localhost:1")):
        async with Client(host, "SANDBOX-KEY", retry=RetryPolicy(attempts=1)) as cake:
            call = bulk.call(cake.invoices.update, 4821, memo="x")
            summary = await bulk.each([call], journal=tmp_path / f"{number}.db")
            assert summary.failed == 1


@pytest.mark.anyio
async def test_where_memory_may_not_be_shared_a_run_keeps_all_others_out(
    ledgers, tmp_path: Path, on
) -> None:
    on("nfs4")
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    refused: list[str] = []

    async def look(_: object) -> None:
        with pytest.raises(JournalError, match=r"is in use by another run: .* process"):
            await Journal.open(path)
        assert not (tmp_path / "run.db-shm").exists()
        with (
            closing(sqlite3.connect(path, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked") as caught,
        ):
            other.execute("SELECT * FROM calls")
        refused.append(str(caught.value))

    books.state.on_request.append(look)
    async with books.client() as cake:
        call = bulk.call(cake.invoices.update, 4821, memo="x")
        assert (await bulk.each([call], journal=path, allow_unknown_filesystem=True)).complete
    assert refused
