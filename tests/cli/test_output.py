"""``--format`` and ``--out``: the format that fits; a file that is there whole or not at all."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.responses import Response

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
        ("a.table", "invoice_id  kind"),
        ("a.txt", "invoice_id  kind"),
        ("a", "invoice_id  kind"),
    ],
)
def test_the_format_is_what_the_files_name_ends_in(
    cake, tmp_path: Path, file: str, begins: str
) -> None:
    ran = cake(*LIST, "--out", tmp_path / file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert (tmp_path / file).read_text(encoding="utf-8").startswith(begins)
    assert nothing_else_in(tmp_path, file)


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


def test_a_folder_is_no_file_to_write_to(cake, sandbox, tmp_path: Path) -> None:
    ran = cake(*LIST, "--out", tmp_path)
    assert ran.code == 2
    assert "directory" in ran.err
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
    words = ["invoices", "update", "4821", "--memo", "x"]
    done = subprocess.run(
        [shutil.which("bash"), "-c", script, sys.executable, *words],
        env=dict(environment),
        check=False,
    )
    assert done.returncode == 0
    assert sandbox.state.invoices[4821].memo == "x"
