"""Ctrl-C while a call is in flight: 130, and what became of a write."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import signal

import anyio
import pytest

from aiocake.cli._writes import Writes
from aiocake.errors import Intent, Outcome

UPDATE = ("invoices", "update", 4821, "--memo", "x")
WAITING = "\naiocake: waiting up to 5 s for what becomes of {}; Ctrl-C again ends it at once\n"


def test_a_read_ends_at_once_and_leaves_no_file(interrupted, tmp_path) -> None:
    ran = interrupted("invoices", "list", "--out", tmp_path / "a.json")
    assert (ran.code, ran.out, ran.err) == (130, "", "aiocake: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        pytest.param(UPDATE, "invoices.update", id="update"),
        pytest.param(
            (
                *("invoices", "create", "--affiliate-id", 67890),
                *("--start-date", "2024-01-01", "--end-date", "2024-01-31"),
            ),
            "invoices.create",
            id="create",
        ),
    ],
)
def test_a_write_that_is_answered_in_time_is_done(interrupted, words, operation: str) -> None:
    ran = interrupted(*words)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == WAITING.format(operation) + f"aiocake: interrupted; {operation}: done\n"


def test_a_write_that_is_not_waited_for_is_unknown(interrupted, sandbox) -> None:
    ran = interrupted(*UPDATE, times=2)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == (
        WAITING.format("invoices.update")
        + "aiocake: interrupted; invoices.update: unknown whether it was done\n"
    )
    assert sandbox.state.invoices[4821].memo == "x"


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
        "; 3 invoices.update: done; invoices.update: not done"
        "; invoices.update: unknown whether it was done"
    )


def test_ctrl_c_reacts_as_before_once_a_run_is_over(cake) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert cake(*UPDATE).code == 0
    assert signal.getsignal(signal.SIGINT) is before
