"""A signal while a call is in flight: 128 and its number, and what became of a write."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from aiocake.cli.signals import Interrupted, raising
from aiocake.cli.writes import Writes
from aiocake.errors import Intent, Outcome

UPDATE = ("invoices", "update", 4821, "--memo", "x")
CREATE = (
    *("invoices", "create", "--affiliate-id", 67890),
    *("--start-date", "2024-01-01", "--end-date", "2024-01-31"),
)
WAITING = "\naiocake: waiting up to 5 s for the result of {}; Ctrl-C again ends it at once\n"

each_signal = pytest.mark.parametrize(
    "by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda by: by.name
)


def made_in(sandbox) -> str:
    invoice = sandbox.state.invoices[max(sandbox.state.invoices)]
    return f"invoice {invoice.invoice_id}, {invoice.total_amount:,f} {invoice.currency}"


def waiting(operation: str, by: int) -> str:
    if by == signal.SIGINT:
        return WAITING.format(operation)
    return WAITING.format(operation).replace("; Ctrl-C again ends it at once", "").lstrip()


@each_signal
def test_a_read_ends_at_once_and_leaves_no_file(interrupted, tmp_path, by: int) -> None:
    ran = interrupted("invoices", "list", "--out", tmp_path / "a.json", by=by)
    assert (ran.code, ran.out, ran.err) == (128 + by, "", "aiocake: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@each_signal
@pytest.mark.parametrize(
    "words", [pytest.param(UPDATE, id="update"), pytest.param(CREATE, id="create")]
)
def test_a_write_that_is_answered_in_time_is_done(
    interrupted, sandbox, tmp_path, words, by: int
) -> None:
    ran = interrupted(*words, "--out", tmp_path / "a.json", by=by)
    assert (ran.code, ran.out) == (128 + by, "")
    operation = f"{words[0]}.{words[1]}"
    made = f": {made_in(sandbox)}" if words is CREATE else ""
    assert ran.err == (waiting(operation, by) + f"aiocake: interrupted; {operation}: done{made}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_is_not_waited_for_is_unknown(interrupted, sandbox) -> None:
    ran = interrupted(*UPDATE, times=2)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == (
        waiting("invoices.update", signal.SIGINT)
        + "aiocake: interrupted; invoices.update: outcome unknown\n"
    )
    assert sandbox.state.invoices[4821].memo == "x"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP], ids=lambda by: by.name)
def test_a_program_that_sends_a_signal_twice_does_not_end_the_waiting(interrupted, by) -> None:
    ran = interrupted(*UPDATE, times=2, by=by)  # as timeout(1) does
    reported = "aiocake: interrupted; invoices.update: done\n"
    assert (ran.code, ran.err) == (128 + by, waiting("invoices.update", by) + reported)


def test_only_ctrl_c_again_breaks_off_what_a_signal_ends(interruptible) -> None:
    del interruptible
    with raising():
        with pytest.raises(Interrupted) as ended:
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 143
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored(interrupted) -> None:
    ran = interrupted(*UPDATE, by=signal.SIGHUP, ignoring=signal.SIGHUP)  # as nohup has it
    assert (ran.code, ran.err) == (0, "")
    assert "4821" in ran.out


def test_where_ctrl_c_is_ignored_sigterm_is_not(interrupted) -> None:
    # As a shell that is no terminal's has it for what it runs in the background.
    ran = interrupted(*UPDATE, by=signal.SIGTERM, ignoring=signal.SIGINT)
    assert ran.code == 143
    assert ran.err.endswith("aiocake: interrupted; invoices.update: done\n")


def test_a_terminal_that_hangs_up_leaves_no_file(terminal, held, tmp_path) -> None:
    screen = terminal("invoices", "list", "--out", tmp_path / "a.json")
    assert held.carried_out.wait(60)
    screen.hang_up()
    assert screen.process.wait(60) == 129
    assert list(tmp_path.iterdir()) == []


def test_where_the_output_cannot_be_written_a_create_says_what_it_made(process, sandbox) -> None:
    with Path("/dev/full").open("w") as full:
        ran = process(*CREATE, stdout=full)
    assert ran.code == 1
    assert ran.err == (
        "aiocake: the output cannot be written: No space left on device; "
        f"invoices.create: done: {made_in(sandbox)}\n"
    )


def test_where_nobody_reads_the_output_a_create_says_what_it_made(process, sandbox) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = process(*CREATE, stdout=writer)
    os.close(writer)
    reported = (
        f"aiocake: the output was closed by its reader; invoices.create: done: {made_in(sandbox)}\n"
    )
    assert (ran.code, ran.err) == (0, reported)


def test_ctrl_c_on_a_terminal_reaches_the_command(terminal, held) -> None:
    screen = terminal(*UPDATE, "--yes")
    assert held.carried_out.wait(60)
    screen.interrupt()
    screen.read_until("Ctrl-C again ends it at once\n")
    held.go_on.set()
    ran = screen.end()
    assert ran.code == 130
    assert ran.out.endswith("aiocake: interrupted; invoices.update: done\n")


def test_where_ctrl_c_is_ignored_it_stays_ignored(cake, sandbox) -> None:
    def interrupt(request) -> None:
        del request
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sandbox.state.on_request.append(interrupt)
        assert cake(*UPDATE).code == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_many_writes_are_counted() -> None:
    writes = Writes()
    intents = [Intent(str(number), "invoices.update") for number in range(5)]
    for intent in intents:
        anyio.run(writes.before, intent)
    assert writes.open == ["invoices.update"]
    for intent in intents[:3]:
        anyio.run(writes.after, intent, Outcome.DONE)
    anyio.run(writes.after, intents[3], Outcome.NOT_DONE)
    assert str(writes) == (
        "; 3 invoices.update: done; invoices.update: not done; invoices.update: outcome unknown"
    )


def test_ctrl_c_while_modules_are_loaded_shows_no_traceback(interruptible) -> None:
    del interruptible
    program = (
        "import os, signal, sys\n"
        "class Loading:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'aiocake.cli.app':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Loading())\n"
        "from _aiocake_command import main\n"
        "main()\n"
    )
    words = [sys.executable, "-c", program, "--version"]
    ended = subprocess.run(words, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_ctrl_c_reacts_as_before_once_a_run_is_over(cake) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert cake(*UPDATE).code == 0
    assert signal.getsignal(signal.SIGINT) is before
