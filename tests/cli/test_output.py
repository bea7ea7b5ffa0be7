"""``--format`` and ``--out``: the format that fits; a file that is there whole or not at all."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from starlette.responses import Response

from aiocake.cli import destination

LIST = ("invoices", "list", "--row-limit", 10)
OLD = "what was there before\n"


def nothing_else_in(folder: Path, *files: str) -> bool:
    return sorted(entry.name for entry in folder.iterdir()) == sorted(files)


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        ("a.csv", "kind,invoice_id,"),
        ("a.CSV", "kind,invoice_id,"),
        ("a.json", '[\n{"kind": "payout"'),
        ("a.jsonl", '{"kind": "payout"'),
        ("a.ndjson", '{"kind": "payout"'),
        ("a.table", "invoice  kind"),
        ("a.txt", "invoice  kind"),
        ("a", "invoice  kind"),
        (".csv", "kind,invoice_id,"),
        ("a.", "invoice  kind"),
    ],
)
def test_the_format_is_what_the_files_name_ends_in(
    cake, tmp_path: Path, file: str, begins: str
) -> None:
    ran = cake(*LIST, "--out", tmp_path / file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (tmp_path / file).read_text(encoding="utf-8").startswith(begins)
    assert nothing_else_in(tmp_path, file)


@pytest.mark.parametrize("name", ["2024.01", "a.JSON5"])
def test_a_name_that_ends_in_no_format_is_refused(cake, sandbox, tmp_path: Path, name: str) -> None:
    ran = cake(*LIST, "--out", tmp_path / name)
    assert ran.code == 2
    assert (
        f"--out: unknown extension of {name}: give --format, or use one of .csv, .json" in ran.err
    )
    assert nothing_else_in(tmp_path)
    assert sandbox.state.requests == []
    assert cake("invoices", "get", 4821, "-o", tmp_path / name, "-f", "csv").code == 0
    assert nothing_else_in(tmp_path, name)


@pytest.mark.parametrize("name", ["a.XLS", "a.ods", "a.tsv", "a.zip"])
@pytest.mark.parametrize("form", [(), ("-f", "csv")])
def test_a_name_of_something_else_is_refused_whatever_the_format(
    cake, sandbox, tmp_path: Path, name: str, form: tuple[str, ...]
) -> None:
    ran = cake(*LIST, "--out", tmp_path / name, *form)
    assert ran.code == 2
    assert f"--out: no format fits {name}: use one of" in ran.err
    assert "--format" not in ran.err
    assert nothing_else_in(tmp_path)
    assert sandbox.state.requests == []


def test_a_database_is_not_written_over(process, sandbox, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x)")
    before = file.read_bytes()
    (tmp_path / "link.csv").symlink_to(file)
    with file.open("ab") as log:
        number = log.fileno()
        for out in (file, tmp_path / "link.csv", f"/dev/fd/{number}"):
            ran = process(*LIST, "-f", "csv", "--out", out, pass_fds=[number])
            assert ran.code == 2
            assert f"{out} cannot be written: it is an SQLite database" in ran.err
    assert (file.read_bytes(), sandbox.state.requests) == (before, [])


@pytest.mark.parametrize("name", ["CAKE_API_KEY_FILE", "CAKE_CA_FILE", "--key-file"])
def test_a_file_that_is_needed_to_connect_is_not_written_over(
    cake, sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "key"
    file.write_text("canary-K3Y")
    (tmp_path / "link").symlink_to(file)
    words = (name, file) if name.startswith("--") else ()
    if not words:
        monkeypatch.setenv(name, str(file))
    for out in (file, tmp_path / "link"):
        for command in (LIST, ("invoices", "update", 4821, "--memo", "x")):
            ran = cake(*command, *words, "--out", out)
            assert ran.code == 2
            assert f"--out: {out} is {file}, which the command needs" in ran.err
    assert (file.read_text(), sandbox.state.requests) == ("canary-K3Y", [])


def test_a_format_that_is_named_goes_before_the_files_name(cake, tmp_path: Path) -> None:
    assert cake(*LIST, "-o", tmp_path / "a.csv", "-f", "json").code == 0
    assert len(json.loads((tmp_path / "a.csv").read_text(encoding="utf-8"))) == 40


def test_a_run_that_fails_half_way_leaves_the_old_file_as_it_was(
    cake, sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "a.json"
    file.write_text(OLD)
    asked = []

    def fail_later(request) -> Response | None:
        asked.append(request)
        return Response("{") if len(asked) > 2 else None

    sandbox.state.on_request.append(fail_later)
    ran = cake(*LIST, "--out", file)
    assert ran.code == 8
    assert len(asked) > 2
    assert file.read_text() == OLD
    assert nothing_else_in(tmp_path, "a.json")


def test_a_run_that_is_refused_makes_no_file(cake, tmp_path: Path) -> None:
    assert cake("invoices", "get", 1, "--out", tmp_path / "a.json").code == 4
    assert nothing_else_in(tmp_path)


def test_a_file_is_replaced_and_who_may_read_it_stays(cake, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(OLD)
    file.chmod(0o600)
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    assert cake(*LIST, "--out", link).code == 0
    assert len(file.read_text(encoding="utf-8").splitlines()) == 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert link.is_symlink()
    assert nothing_else_in(tmp_path, "a.jsonl", "link.jsonl")


def test_a_file_that_cannot_be_made_is_said_before_a_write_is_sent(
    cake, sandbox, tmp_path: Path
) -> None:
    ran = cake("invoices", "update", 4821, "--memo", "x", "-o", tmp_path / "no" / "a.json")
    assert ran.code == 2
    assert "cannot be written: No such file or directory (see aiocake invoices" in ran.err
    assert sandbox.state.requests == []


def test_all_that_is_wrong_with_the_output_and_the_rest_is_said_at_once(cake, tmp_path) -> None:
    ran = cake(*LIST[:2], "--out", tmp_path / "a.ods", "--row-limit", 0, "--period", "x")
    assert ran.code == 2
    for name in ("--out: no format fits a.ods", "--row-limit: must be", "--period"):
        assert name in ran.err


def test_csv_for_excel_begins_with_its_mark(cake, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    assert cake(*LIST, "--out", file, "--excel").code == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbfkind,invoice_id,")
    assert cake(*LIST, "-f", "csv", "--excel").out.startswith("\ufeffkind,")
    for words in (("--out", tmp_path / "a.json"), ("-f", "table"), ()):
        ran = cake(*LIST, "--excel", *words)
        assert ran.code == 2
        assert ran.err.startswith("aiocake: --excel: works with CSV only, not with ")
    assert nothing_else_in(tmp_path, "a.csv")


@pytest.mark.parametrize("mode", ["a", "r+"])
@pytest.mark.parametrize("out", ["-", "/dev/fd/{}"])
def test_the_mark_is_not_put_into_the_middle_of_a_file(
    process, tmp_path: Path, mode: str, out: str
) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    for _ in range(2):
        with file.open(mode) as log:
            if mode != "a":
                os.lseek(log.fileno(), 0, os.SEEK_END)
            number = log.fileno()
            words = (*LIST, "-f", "csv", "--excel", "--out", out.format(number))
            assert process(*words, stdout=log, pass_fds=[number]).code == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert file.read_bytes().count(b"\xef\xbb\xbf") == 1


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_a_descriptor_is_written_to_and_what_was_there_stays(
    process, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "log"
    file.write_text(OLD)
    (tmp_path / "link").symlink_to("link2")
    with file.open("a") as log:
        (tmp_path / "link2").symlink_to(f"/dev/fd/{log.fileno()}")
        out = tmp_path / name.format(log.fileno())
        ran = process(*LIST, "-f", "jsonl", "--out", out, pass_fds=[log.fileno()])
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    assert (first, len(rest)) == (OLD.strip(), 40)
    assert nothing_else_in(tmp_path, "log", "link", "link2")


def test_a_descriptor_goes_on_where_it_stands(process, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        log.write(OLD)
        log.flush()
        out = f"/dev/fd/{log.fileno()}"
        assert process("invoices", "get", 4821, "-o", out, pass_fds=[log.fileno()]).code == 0
        log.write("behind it\n")
    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[0], lines[-1]) == (OLD.strip(), "behind it")
    assert len(lines) > 5


def test_a_pipe_by_its_descriptor_is_written_to(environment) -> None:
    script = '"$0" -m aiocake invoices list -f jsonl --out >(wc -l) | cat'
    done = subprocess.run(
        [shutil.which("bash"), "-c", script, sys.executable],
        env=dict(environment),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "40")


def test_the_standard_error_can_be_named(process) -> None:
    ran = process("invoices", "get", 4821, "-f", "jsonl", "--out", "/dev/stderr")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads(ran.err)["invoice_id"] == 4821


def test_the_log_of_another_process_is_not_written_over(process, tmp_path: Path) -> None:
    # As of a container, whose own output is that of its first process.
    file = tmp_path / "log"
    file.write_text(OLD)
    with file.open("a") as log:
        out = f"/proc/{os.getpid()}/fd/{log.fileno()}"
        assert process("invoices", "get", 4821, "-o", out, "-f", "jsonl").code == 0
    first, second = file.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["invoice_id"]) == (OLD.strip(), 4821)


def test_a_descriptor_that_cannot_be_written_to_is_said_before_a_write(
    process, sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text(OLD)
    words = ("invoices", "update", 4821, "--memo", "x", "-o")
    with (tmp_path / "a").open() as read_only:
        number = read_only.fileno()
        ran = process(*words, f"/dev/fd/{number}", pass_fds=[number])
        assert ran.code == 2
        assert "cannot be written: It is open for reading only" in ran.err
    ran = process(*words, "/dev/fd/99")
    assert ran.code == 2
    assert "/dev/fd/99 cannot be written: Bad file descriptor" in ran.err
    assert sandbox.state.requests == []


def test_a_link_that_leads_nowhere_is_where_the_file_is_made(cake, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    link = tmp_path / "a.jsonl"
    link.symlink_to(Path("folder", "b"))
    assert cake(*LIST, "--out", link).code == 0
    assert len((folder / "b").read_text("utf-8").splitlines()) == 40
    assert link.is_symlink()
    assert nothing_else_in(folder, "b")
    turning = tmp_path / "c.csv"
    turning.symlink_to("c.csv")
    ran = cake(*LIST, "--out", turning)
    assert ran.code == 2
    assert "Too many levels of symbolic links" in ran.err


def test_a_long_name_is_written_to(cake, tmp_path: Path) -> None:
    name = f"{'n' * 250}.csv"
    assert cake(*LIST, "--out", tmp_path / name).code == 0
    assert nothing_else_in(tmp_path, name)


def refusing(monkeypatch: pytest.MonkeyPatch, number: int, *, when: str) -> None:
    """Have the system say no where a file is made beside another, as it cannot be had here."""
    opens = os.open

    def refuse(path, *how: int, **more: object) -> int:
        if str(path).endswith(when):
            raise OSError(number, os.strerror(number))
        return opens(path, *how, **more)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_where_the_folder_lets_nothing_be_replaced_the_file_is_written_over(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(OLD * 10_000)
    same = file.stat().st_ino
    refusing(monkeypatch, number, when=".part")
    ran = cake(*LIST, "--out", file)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == (
        f"aiocake: {file} cannot be replaced ({os.strerror(number)}): it is overwritten once the "
        "output is complete\n"
    )
    assert len(file.read_text("utf-8").splitlines()) == 40
    assert file.stat().st_ino == same
    assert nothing_else_in(tmp_path, "a.jsonl")


def test_a_file_that_is_written_over_stays_as_it_was_when_the_run_fails(
    cake, sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_text(OLD)
    refusing(monkeypatch, errno.EACCES, when=".part")
    sandbox.state.on_request.append(lambda _: Response("{"))
    ran = cake(*LIST, "--out", file)
    assert ran.code == 8
    assert "cannot be replaced (Permission denied)" in ran.err
    assert file.read_text() == OLD


def test_a_file_that_is_written_over_stays_as_it_was_when_the_disk_is_full(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_text(OLD)
    refusing(monkeypatch, errno.EACCES, when=".part")

    def full(descriptor: int, offset: int, length: int) -> None:
        os.ftruncate(descriptor, offset + length // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    ran = cake(*LIST, "--out", file)
    assert ran.code == 1
    assert ran.err.endswith("aiocake: the output cannot be written: No space left on device\n")
    assert file.read_text() == OLD


def test_a_mount_point_is_noticed_before_anything_is_read(
    cake, sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of a file that is mounted into a container: no test may mount one.
    file = tmp_path / "a.jsonl"
    file.write_text(OLD)
    monkeypatch.setattr(destination, "_mount", str)  # each descriptor on a mount of its own
    said = []
    monkeypatch.setattr(
        "aiocake.cli.output.print_error",
        lambda text: said.append((text, len(sandbox.state.requests))),
    )
    assert cake(*LIST, "--out", file).code == 0
    ((text, requests),) = said
    assert "cannot be replaced (Device or resource busy)" in text
    assert requests == 0
    assert len(file.read_text("utf-8").splitlines()) == 40
    assert nothing_else_in(tmp_path, "a.jsonl")


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EPERM, errno.EXDEV])
def test_what_was_read_is_not_lost_where_only_the_replacing_shows_that_it_cannot_be(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(OLD * 10_000)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", refuse)
    ran = cake(*LIST, "--out", file)
    assert ran.code == 0
    assert f"cannot be replaced ({os.strerror(number)})" in ran.err
    assert len(file.read_text("utf-8").splitlines()) == 40
    assert nothing_else_in(tmp_path, "a.jsonl")


def test_a_file_whose_owner_cannot_be_kept_is_written_over(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(OLD)
    same = file.stat().st_ino
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if found.st_ino != same:
            return found
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:]])

    def refuse(*_: int) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fstat", of_another)
    monkeypatch.setattr(os, "fchown", refuse)
    ran = cake(*LIST, "--out", file)
    assert ran.code == 0
    assert "cannot be replaced (Operation not permitted)" in ran.err
    assert file.stat().st_ino == same
    assert nothing_else_in(tmp_path, "a.jsonl")


def test_in_a_folder_such_as_tmp_a_file_of_others_is_written_over(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(OLD)
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    ran = cake(*LIST, "--out", file)
    assert ran.code == 0
    assert "cannot be replaced (Operation not permitted)" in ran.err
    assert len(file.read_text("utf-8").splitlines()) == 40


def test_a_file_that_may_not_be_written_to_is_refused_and_not_replaced(
    cake, sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(OLD)
    file.chmod(0o444)
    refusing(monkeypatch, errno.EACCES, when="a.csv")  # root may write to any
    ran = cake(*LIST, "--out", file)
    assert ran.code == 2
    assert f"{file} cannot be written: Permission denied" in ran.err
    assert (file.read_text(), sandbox.state.requests) == (OLD, [])


def test_a_folder_is_no_file_to_write_to(cake, sandbox, tmp_path: Path) -> None:
    for folder in (tmp_path, f"{tmp_path}/new/"):
        ran = cake(*LIST, "--out", folder)
        assert ran.code == 2
        assert "is a directory: add the name of a file" in ran.err
    assert list(tmp_path.iterdir()) == []
    assert sandbox.state.requests == []


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_the_standard_output_can_be_named(cake, name: str) -> None:
    assert len(cake(*LIST, "--out", name, "-f", "jsonl").out.splitlines()) == 40


def test_a_file_behind_the_standard_output_is_not_written_over(process, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(OLD)
    with file.open("a") as log:
        ran = process("invoices", "get", 4821, "-o", "/dev/stdout", "-f", "jsonl", stdout=log)
    assert ran.code == 0
    first, second = file.read_text(encoding="utf-8").splitlines()
    assert first == OLD.strip()
    assert json.loads(second)["invoice_id"] == 4821


def test_a_pipe_is_written_to_and_not_replaced(process, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [shutil.which("cat"), pipe], stdout=subprocess.PIPE, encoding="utf-8"
    ) as reader:
        assert process(*LIST, "--out", pipe, "-f", "jsonl").code == 0
        read, _ = reader.communicate(timeout=60)
    assert len(read.splitlines()) == 40
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_is_an_error_and_a_write_that_was_sent_is_said_to_be_done(
    cake, sandbox
) -> None:
    ran = cake("invoices", "list", "--out", "/dev/full")
    assert (ran.code, ran.err) == (
        1,
        "aiocake: the output cannot be written: No space left on device\n",
    )
    ran = cake("invoices", "update", 4821, "--memo", "x", "--out", "/dev/full")
    assert (ran.code, ran.err) == (
        1,
        "aiocake: the output cannot be written: No space left on device; invoices.update: done\n",
    )
    assert sandbox.state.invoices[4821].memo == "x"


def test_a_full_disk_behind_the_standard_output_is_an_error(process) -> None:
    with Path("/dev/full").open("w") as full:
        ran = process("invoices", "get", 4821, stdout=full)
    assert ran.code == 1
    assert ran.err == "aiocake: the output cannot be written: No space left on device\n"


def test_a_file_whose_disk_fills_up_is_not_put_in_place(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_text(OLD)

    def fail(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    # The one thing that cannot be had here: a disk of its own that is full.
    monkeypatch.setattr(os, "fsync", fail)
    ran = cake(*LIST, "--out", file)
    assert (ran.code, file.read_text()) == (1, OLD)
    assert ran.err == "aiocake: the output cannot be written: No space left on device\n"
    assert nothing_else_in(tmp_path, "a.json")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["invoices", "list", "-f", "jsonl"], id="list"),
        pytest.param(["--help"], id="help"),
    ],
)
def test_a_closed_pipe_is_no_error(environment, words: list[str]) -> None:
    script = 'set -o pipefail; "$0" -m aiocake "$@" | head -1'
    done = subprocess.run(
        [shutil.which("bash"), "-c", script, sys.executable, *words],
        env=dict(environment),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("words", ["invoices list", "--help", "--version", "demo"])
def test_a_pipe_that_was_closed_before_anything_was_written_is_no_error(
    process, words: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = process(*words.split(), stdout=writer)
    os.close(writer)
    assert (ran.code, ran.err) == (0, "")


def test_closed_streams_are_no_error(environment, sandbox) -> None:
    script = '"$0" -m aiocake "$@" <&- >&- 2>&-'
    words = ["invoices", "update", "4821", "--memo", "x", "--yes"]
    done = subprocess.run(
        [shutil.which("bash"), "-c", script, sys.executable, *words],
        env=dict(environment),
        check=False,
    )
    assert done.returncode == 0
    assert sandbox.state.invoices[4821].memo == "x"
