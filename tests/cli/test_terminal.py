"""On a terminal: writes ask first, bars show, tables fit, and names are no code."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import io
import os
from contextlib import redirect_stdout

import pytest

import aiocake
from aiocake.cli._app import run

UPDATE = ("invoices", "update", 4821, "--status", "approved", "--memo", "by \u202ehand")


def test_a_write_asks_first_and_is_sent_when_confirmed(terminal, sandbox, stage) -> None:
    screen = terminal(*UPDATE)
    screen.read_until("[y/N] ")
    assert screen.shown == (
        f"Update invoice 4821, status approved, memo by \\u202ehand, at {stage.url}? [y/N] "
    )
    assert sandbox.state.requests == []
    screen.type("y\n")
    ran = screen.end()
    assert ran.code == 0
    assert "invoice_status  approved\n" in ran.out
    assert sandbox.state.invoices[4821].invoice_status == "approved"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param("n\n", "? [y/N] n\naiocake: nothing was sent\n", id="no"),
        pytest.param("\n", "? [y/N] \naiocake: nothing was sent\n", id="enter"),
        pytest.param("yo\n", "? [y/N] yo\naiocake: nothing was sent\n", id="not-quite-yes"),
        pytest.param("\x04", "? [y/N] \naiocake: nothing was sent\n", id="end-of-input"),
    ],
)
def test_a_write_that_is_not_confirmed_is_not_sent(
    terminal, sandbox, tmp_path, typed: str, said: str
) -> None:
    screen = terminal(*UPDATE, "--out", tmp_path / "a.json")
    screen.read_until("[y/N] ")
    screen.type(typed)
    ran = screen.end()
    assert ran.code == 1
    assert ran.out.endswith(said)
    assert sandbox.state.requests == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_the_question_sends_nothing(terminal, sandbox, tmp_path) -> None:
    screen = terminal(*UPDATE, "--out", tmp_path / "a.json")
    screen.read_until("[y/N] ")
    screen.interrupt()
    ran = screen.end()
    assert ran.code == 130
    assert ran.out.endswith("^C\naiocake: interrupted; nothing was sent\n")
    assert sandbox.state.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "question"),
    [
        pytest.param(
            (
                *("invoices", "create", "--affiliate-id", 67890, "--memo", "January"),
                *("--start-date", "2024-01-01", "--end-date", "2024-01-31"),
            ),
            "Create an invoice for affiliate 67890, 2024-01-01 to 2024-01-31, memo January, at ",
            id="create",
        ),
        pytest.param(
            ("bills", "mark-received", 345, "--invoiced-amount", "020.10", "--erase-notes"),
            "Mark bill 345 as received, invoiced amount 20.10, notes erased, at ",
            id="received",
        ),
        pytest.param(
            ("bills", "mark-paid", 345, "--payment-date", "2014-07-31", "--payment-type-id", 2),
            "Mark bill 345 as paid on 2014-07-31, payment type id 2, at ",
            id="paid",
        ),
    ],
)
def test_a_question_says_all_that_will_be_set(terminal, sandbox, words, question: str) -> None:
    screen = terminal(*words)
    screen.read_until("[y/N] ")
    assert screen.shown.startswith(question)
    screen.type("n\n")
    assert screen.end().code == 1
    assert sandbox.state.requests == []


def test_yes_asks_nothing(terminal, sandbox) -> None:
    ran = terminal(*UPDATE, "--yes").end()
    assert ran.code == 0
    assert "[y/N]" not in ran.out
    assert sandbox.state.invoices[4821].invoice_status == "approved"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("update", 4821), "aiocake: invoice_status, memo, paid_at: ", id="nothing"),
        pytest.param(
            (
                *("create", "--affiliate-id", 67890),
                *("--start-date", "2024-01-02", "--end-date", "2024-01-01"),
            ),
            "aiocake: start_date: must not be after end_date",
            id="backwards",
        ),
    ],
)
def test_nobody_is_asked_about_a_write_that_cannot_be_sent(
    terminal, sandbox, words, said: str
) -> None:
    ran = terminal("invoices", *words).end()
    assert ran.code == 2
    assert ran.out.startswith(said)
    assert sandbox.state.requests == []


def test_a_read_asks_nothing(terminal) -> None:
    ran = terminal("invoices", "get", 4821).end()
    assert (ran.code, "[y/N]" in ran.out) == (0, False)


def test_a_bar_shows_on_a_terminal_beside_a_file(terminal, tmp_path) -> None:
    ran = terminal("invoices", "list", "--out", tmp_path / "a.csv").end()
    assert ran.code == 0
    assert "invoices" in ran.out
    assert "40/40" in ran.out
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 41


def test_a_bar_shows_on_a_terminal_beside_a_pipe_and_not_in_it(terminal) -> None:
    reader, writer = os.pipe()
    screen = terminal("bills", "export", "--period", "2014-06", "-f", "jsonl", stdout=writer)
    os.close(writer)
    ran = screen.end()
    with open(reader, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        lines = pipe.read().splitlines()
    assert ran.code == 0
    assert "bills" in ran.out
    assert lines
    assert all(line.startswith('{"bill_id": ') for line in lines)


def test_no_bar_shows_where_the_records_do(terminal) -> None:
    ran = terminal("invoices", "list", "--affiliate-id", 67890).end()
    assert ran.code == 0
    assert ran.out.startswith("invoice_id  kind")
    assert "\x1b" not in ran.out


def test_no_bar_shows_where_there_is_no_terminal(process, tmp_path) -> None:
    ran = process("invoices", "list", "--out", tmp_path / "a.csv")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_names_are_no_code_to_a_terminal(terminal, sandbox) -> None:
    name = "\x1b]0;owned\x07\x1b[31mRed\x1b[0m [red]Ltd[/red] [/]"
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = name
    ran = terminal("invoices", "list").end()
    assert ran.code == 0
    assert "\\x1b]0;owned\\x07\\x1b[31mRed\\x1b[0m [red]Ltd[/red] [/]" in ran.out
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_a_table_fits_its_terminal_by_cutting_names_only(terminal, sandbox) -> None:
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = "A name that goes on and on 日本 " * 5
    narrow = terminal("invoices", "list", columns=120).end().out.splitlines()
    assert max(map(len, narrow)) <= 120
    assert "…" in narrow[2]
    assert "1,250.00" in narrow[2]
    squeezed = terminal("invoices", "list", columns=60).end().out
    assert "1,250.00" in squeezed
    assert "A name that…" in squeezed


def test_help_of_each_command_shows_on_a_terminal(terminal) -> None:
    ran = terminal("--help", columns=100).end()
    assert ran.code == 0
    for word in ("invoices", "bills", "sandbox", "demo", "CAKE_API_KEY_FILE", "130 Ctrl-C"):
        assert word in ran.out


def test_no_words_at_all_show_the_help(cake) -> None:
    ran = cake()
    assert ran.code == 2
    assert "Usage: aiocake" in ran.out


def test_the_output_can_be_any_stream(environment) -> None:
    del environment
    with redirect_stdout(io.StringIO()) as out:
        assert run(["invoices", "get", "4821", "-f", "json"]) == 0
    assert '"invoice_id": 4821' in out.getvalue()


def test_the_version_is_the_packages(cake, process) -> None:
    for ran in (cake("--version"), process("--version")):
        assert (ran.code, ran.out) == (0, f"aiocake {aiocake.__version__}\n")
