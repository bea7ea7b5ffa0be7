"""On a terminal: writes ask first, bars show, tables fit, and names are no code."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import io
import os
import re
from contextlib import redirect_stdout
from decimal import Decimal

import pytest
from starlette.responses import Response

import aiocake
from aiocake.cli.app import run
from aiocake.cli.prompts import _is_far_off
from aiocake.cli.table import Screen, Table
from aiocake.sandbox import RecordedRequest

NOT_UTF_8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
JUNE = ("--period", "2014-06")
PAID = ("--payment-date", "2014-07-31")
UNSEEN = "(the bill was not looked up; --period looks it up)"
UPDATE = ("invoices", "update", 4821, "--status", "approved", "--memo", "by \u202ehand")


def written(sandbox) -> list[str]:
    """The writes that have come; before a question only reads do."""
    operations = [request.operation for request in sandbox.state.requests]
    return [name for name in operations if name != "invoices" and not name.startswith("Export")]


def on_screen(shown: str) -> str:
    """What is left in the last line once it was cleared, without codes."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown.rpartition("\x1b[2K")[2]).strip()


def test_a_write_asks_first_and_is_sent_when_confirmed(terminal, sandbox, stage) -> None:
    screen = terminal(*UPDATE)
    screen.read_until("[y/N] ")
    assert screen.shown == (
        "Update invoice 4821 (Acme Media Group, affiliate 67890, 1,250.00 USD, "
        '2024-01-01..2024-01-31): invoice status approved (now pending), memo "by \\u202ehand", '
        f"at {stage.url}? [y/N] "
    )
    assert written(sandbox) == []
    assert len(sandbox.state.requests) == 1
    screen.type("y\n")
    ran = screen.end()
    assert ran.code == 0
    assert "invoice_status  approved\n" in ran.out
    assert sandbox.state.invoices[4821].invoice_status == "approved"


def test_a_write_that_is_not_confirmed_is_not_sent(terminal, sandbox, tmp_path) -> None:
    screen = terminal(*UPDATE, "--out", tmp_path / "a.json")
    screen.read_until("[y/N] ")
    screen.type("n\n")
    ran = screen.end()
    assert ran.code == 1
    assert ran.out.endswith("? [y/N] n\naiocake: nothing was sent\n")
    assert written(sandbox) == []
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_the_input_is_no_confirmation(terminal, sandbox) -> None:
    screen = terminal(*UPDATE)
    screen.read_until("[y/N] ")
    screen.type("\x04")
    ran = screen.end()
    assert ran.code == 1
    assert ran.out.endswith("? [y/N] \naiocake: nothing was sent\n")
    assert written(sandbox) == []


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ("y\n", True),
        ("YES\n", True),
        ("\n", False),
        ("no\n", False),
        ("yo\n", False),
        ("y\x04\x04", True),
        ("\x04", False),
    ],
)
def test_nothing_but_yes_is_a_yes(cake, sandbox, typed, answer: str, sent: bool) -> None:  # noqa: FBT001 - a parameter of the test
    typed(answer)
    ran = cake(*UPDATE)
    assert ran.code == (0 if sent else 1)
    assert len(written(sandbox)) == sent
    assert ran.err.endswith("aiocake: nothing was sent\n") is not sent


@pytest.mark.parametrize(
    "words",
    [
        UPDATE,
        (
            *("invoices", "create", "--affiliate-id", 67890),
            *("--start-date", "2031-01-01", "--end-date", "2031-01-31"),
        ),
        ("bills", "mark-received", 345, "--invoiced-amount", 1),
        ("bills", "buyer", "mark-received", 2_000_000, "--payment-amount", 1),
    ],
    ids=lambda words: " ".join(map(str, words[:3])),
)
def test_where_nobody_can_be_asked_nothing_is_sent(cake, process, sandbox, words) -> None:
    for run_it in (cake, process):
        ran = run_it(*words, yes=False)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            "aiocake: nothing was sent: "
            "a write needs --yes when the standard input is not a terminal\n"
        )
    assert sandbox.state.requests == []
    assert process(*words, "-y").code == 0
    assert len(sandbox.state.requests) == 1


def test_what_is_wrong_with_a_write_is_said_before_that_it_needs_yes(cake, sandbox) -> None:
    ran = cake("invoices", "update", 4821, yes=False)
    assert ran.code == 2
    assert "--yes" not in ran.err
    assert sandbox.state.requests == []


def test_a_terminal_is_asked_wherever_the_output_goes(terminal, sandbox, tmp_path) -> None:
    with (tmp_path / "out").open("w") as out:
        screen = terminal(*UPDATE, stdout=out.fileno())
        screen.read_until("[y/N] ")
        screen.type("n\n")
        assert screen.end().code == 1
    assert written(sandbox) == []


def test_ctrl_c_at_the_question_sends_nothing(terminal, sandbox, tmp_path) -> None:
    screen = terminal(*UPDATE, "--out", tmp_path / "a.json")
    screen.read_until("[y/N] ")
    screen.interrupt()
    ran = screen.end()
    assert ran.code == 130
    assert ran.out.endswith("^C\naiocake: interrupted; nothing was sent\n")
    assert written(sandbox) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "question"),
    [
        pytest.param(
            (
                *("invoices", "create", "--affiliate-id", 67890, "--memo", "January"),
                *("--start-date", "2024-01-01", "--end-date", "2024-01-31"),
            ),
            "Create an invoice (within these dates already: 4821, pending, 1,250.00 USD, "
            "2024-01-01..2024-01-31): affiliate id 67890 (Acme Media Group), start date "
            '2024-01-01, end date 2024-01-31, memo "January", at ',
            id="create",
        ),
        pytest.param(
            ("bills", "mark-received", 345, "--invoiced-amount", "020.10", "--erase-notes"),
            f"Mark affiliate bill 345 as received {UNSEEN}: "
            "invoiced amount 20.10, notes erased, at ",
            id="received",
        ),
        pytest.param(
            ("bills", "mark-paid", 345, "--payment-date", "2014-07-31", "--payment-type-id", 2),
            f"Mark affiliate bill 345 as paid {UNSEEN}: payment date 2014-07-31, "
            "payment type id 2, at ",
            id="paid",
        ),
        pytest.param(
            ("bills", "advertiser", "mark-sent", 1_000_000),
            f"Mark advertiser bill 1000000 as sent {UNSEEN}, at ",
            id="sent",
        ),
        pytest.param(
            ("bills", "buyer", "mark-received", 2_000_000, "--payment-amount", "-5"),
            f"Mark buyer bill 2000000 as received {UNSEEN}: payment amount -5, at ",
            id="received-of-a-buyer",
        ),
        pytest.param(
            (
                *("bills", "buyer", "mark-received", 2_000_000, "--payment-amount", "5.00"),
                *("--apply-credit-to-buyer", "--invoice-number", "A-1"),
            ),
            "Mark buyer bill 2000000 as received AND CREDIT THE AMOUNT TO THE BUYER, which moves "
            f"money each time {UNSEEN}: payment amount "
            '5.00, invoice number "A-1", at ',
            id="credited-to-a-buyer",
        ),
    ],
)
def test_a_question_says_all_that_will_be_set(cake, sandbox, typed, words, question: str) -> None:
    typed("n\n")
    ran = cake(*words)
    assert ran.code == 1
    assert ran.err.startswith(question)
    assert written(sandbox) == []


@pytest.mark.parametrize("yes", ["--yes", "-y"])
def test_yes_asks_nothing_and_reads_nothing(cake, sandbox, typed, yes: str) -> None:
    typed("n\n")
    ran = cake(*UPDATE, yes)
    assert (ran.code, ran.err) == (0, "")
    assert sandbox.state.invoices[4821].invoice_status == "approved"
    assert [request.operation for request in sandbox.state.requests] == written(sandbox)
    assert cake("bills", "mark-paid", 345, *PAID, *JUNE, yes).code == 0
    assert [request.operation for request in sandbox.state.requests] == written(sandbox)


def asked(ran) -> str:
    """The question, without the instance."""
    assert (ran.code, ran.out) == (1, "")
    return ran.err.partition(", at http")[0]


def test_a_question_about_a_revenue_invoice_names_who_pays(cake, sandbox, typed) -> None:
    invoice = next(each for each in sandbox.state.invoices.values() if each.advertiser_id)
    invoice.invoice_status = "approved"
    typed("n\n")
    assert asked(cake("invoices", "update", invoice.invoice_id, "--status", "paid")) == (
        f"Update invoice {invoice.invoice_id} ({invoice.partner_name}, advertiser "
        f"{invoice.advertiser_id}, {invoice.total_amount:,f} {invoice.currency}, "
        f"{invoice.start_date}..{invoice.end_date}): invoice status paid (now approved)"
    )


@pytest.mark.parametrize(
    ("affiliate", "days", "said"),
    [
        pytest.param(
            67890,
            ("2031-01-01", "2031-01-31"),
            "(within these dates already: none): affiliate id 67890 (Acme Media Group), ",
            id="none-of-these-dates",
        ),
        pytest.param(
            1,
            ("2031-01-01", "2031-01-31"),
            "(within these dates already: none): affiliate id 1 (it has no invoice yet), ",
            id="none-at-all",
        ),
    ],
)
def test_a_question_about_a_create_says_what_there_is(  # noqa: PLR0913, PLR0917 - cases
    cake, sandbox, typed, affiliate: int, days, said: str
) -> None:
    typed("n\n")
    dates = ("--start-date", days[0], "--end-date", days[1])
    ran = cake("invoices", "create", "--affiliate-id", affiliate, *dates)
    assert asked(ran).startswith(f"Create an invoice {said}start date {days[0]}")
    assert written(sandbox) == []


def test_a_question_about_a_create_lists_three_invoices_at_most(cake, sandbox, typed) -> None:
    for invoice in sandbox.state.invoices.values():
        invoice.affiliate_id = 67890
    typed("n\n")
    dates = ("--start-date", "2020-01-01", "--end-date", "2031-01-31")
    said = asked(cake("invoices", "create", "--affiliate-id", 67890, *dates))
    assert "; and others): affiliate id" in said
    assert len(re.findall(r"\d[,;] (?:pending|approved|paid|void), ", said)) == 3


@pytest.mark.parametrize(
    ("kind", "words", "partner"),
    [
        ("affiliate", ("mark-received", "--invoiced-amount"), "affiliate 67890"),
        ("advertiser", ("mark-received", "--payment-amount"), "advertiser "),
        ("buyer", ("mark-received", "--payment-amount"), "buyer "),
    ],
)
@pytest.mark.parametrize(
    ("factor", "far"), [("0.49", True), ("0.5", False), ("2", False), ("2.01", True), ("-1", True)]
)
def test_a_question_about_a_bill_that_was_looked_up_says_what_is_far_off(  # noqa: PLR0913, PLR0917 - cases
    cake,
    sandbox,
    typed,
    kind: str,
    words,
    partner: str,
    factor: str,
    far: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    bill = next(iter(sandbox.state.bills(kind).values()))
    bill.amount = Decimal("1000.00")
    amount = bill.amount * Decimal(factor)
    typed("n\n")
    ran = cake("bills", kind, words[0], bill.bill_id, words[1], f"{amount:f}", *JUNE)
    said = asked(ran)
    assert said.startswith(
        f"Mark {kind} bill {bill.bill_id} as received ({bill.partner.name}, {partner}"
    )
    assert "1,000.00, 2014-06-01..2014-06-30): " in said
    assert said.endswith(f"{amount:f} (far off: the bill is $1,000.00)" if far else f"{amount:f}")
    assert written(sandbox) == []


@pytest.mark.parametrize(
    ("amount", "of", "far"),
    [
        ("-300", "-100", True),
        ("-200", "-100", False),
        ("-49", "-100", True),
        ("0", "0", False),
        ("0.01", "0", True),
    ],
)
def test_far_off_is_above_twice_or_below_half(amount: str, of: str, far: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert _is_far_off(Decimal(amount), Decimal(of)) is far


def test_a_question_says_that_a_bill_was_paid_already(cake, typed) -> None:
    assert cake("bills", "mark-paid", 345, *PAID).code == 0
    typed("n\n")
    said = asked(cake("bills", "mark-paid", 345, *PAID, *JUNE))
    assert ", 2014-06-01..2014-06-30, payment recorded already): payment date" in said


def test_a_question_says_that_a_bill_is_not_there(cake, typed) -> None:
    typed("n\n")
    said = asked(cake("bills", "mark-paid", 345, *PAID, "--period", "2014-07"))
    assert said.startswith(
        "Mark affiliate bill 345 as paid (there is no such bill in 2014-07-01..2014-07-31): "
    )


@pytest.mark.parametrize(
    ("words", "question"),
    [
        pytest.param(
            UPDATE,
            "Update invoice 4821 (it could not be read: ",
            id="update",
        ),
        pytest.param(
            ("bills", "mark-paid", 345, "--payment-date", "2014-07-31", "--period", "2014-06"),
            "Mark affiliate bill 345 as paid (it could not be read: ",
            id="bill",
        ),
    ],
)
def test_a_write_can_be_confirmed_though_its_record_cannot_be_read(
    cake, sandbox, typed, words, question: str
) -> None:
    def broken(request: RecordedRequest) -> Response | None:
        read = request.operation == "invoices" or request.operation.startswith("Export")
        return Response("out of order", 404) if read else None

    sandbox.state.on_request.append(broken)
    typed("y\n")
    ran = cake(*words)
    assert ran.err.startswith(question)
    assert "status 404" in ran.err
    assert ran.code == 0
    assert len(written(sandbox)) == 1


def test_an_invoice_that_is_not_there_is_said_in_the_question(cake, sandbox, typed) -> None:
    typed("n\n")
    ran = cake("invoices", "update", 1, "--memo", "x")
    assert asked(ran).startswith("Update invoice 1 (it could not be read: ")
    assert written(sandbox) == []


def test_a_read_only_client_asks_nothing(cake, sandbox, typed, monkeypatch) -> None:
    monkeypatch.setenv("CAKE_READ_ONLY", "1")
    typed("y\n")
    ran = cake(*UPDATE)
    assert ran.code == 2
    assert "[y/N]" not in ran.err
    assert sandbox.state.requests == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("update", 4821), "aiocake: --status, --memo, --paid-at: ", id="nothing"),
        pytest.param(
            (
                *("create", "--affiliate-id", 67890),
                *("--start-date", "2024-01-02", "--end-date", "2024-01-01"),
            ),
            "aiocake: --start-date: must not be after --end-date",
            id="backwards",
        ),
    ],
)
def test_nobody_is_asked_about_a_write_that_cannot_be_sent(
    cake, sandbox, typed, words, said: str
) -> None:
    typed("y\n")
    ran = cake("invoices", *words)
    assert ran.code == 2
    assert ran.err.startswith(said)
    assert sandbox.state.requests == []


def test_a_read_asks_nothing(cake, typed) -> None:
    typed("n\n")
    ran = cake("invoices", "get", 4821)
    assert (ran.code, ran.err) == (0, "")


def test_a_bar_shows_on_a_terminal_beside_a_file(terminal, tmp_path) -> None:
    ran = terminal("invoices", "list", "--out", tmp_path / "a.csv").end()
    assert ran.code == 0
    assert "invoices" in ran.out
    assert "40/40" in ran.out
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 41


def test_a_bar_shows_on_a_terminal_beside_a_file_behind_the_output(terminal, tmp_path) -> None:
    bills = tmp_path / "bills.jsonl"
    with bills.open("w") as file:
        words = ("bills", "export", "--period", "2014-06", "-f", "jsonl")
        ran = terminal(*words, stdout=file.fileno()).end()
    lines = bills.read_text(encoding="utf-8").splitlines()
    assert ran.code == 0
    assert "bills" in ran.out
    assert lines
    assert all(line.startswith('{"bill_id": ') for line in lines)


@pytest.mark.parametrize("words", [("invoices", "list", "-f", "jsonl"), ("demo",)], ids=str)
def test_no_bar_is_in_the_way_of_who_reads_a_pipe(terminal, words) -> None:
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        screen = terminal(*words, stdout=writer)
        os.close(writer)
        assert pipe.read()
    ran = screen.end()
    assert (ran.code, ran.out) == (0, "")


def test_a_bar_is_gone_before_an_error_or_an_interruption_is_said(
    terminal, held, sandbox, tmp_path
) -> None:
    words = ("invoices", "list", "--out", tmp_path / "a.csv")
    screen = terminal(*words)
    screen.read_until("0/?")
    assert held.carried_out.wait(60)
    screen.interrupt()
    ran = screen.end()
    assert ran.code == 130
    assert on_screen(ran.out) == "aiocake: interrupted"
    held.go_on.set()
    sandbox.state.api_keys.clear()
    assert on_screen(terminal(*words).end().out).startswith("aiocake: key rejected")


def test_no_bar_shows_where_the_records_do(terminal) -> None:
    ran = terminal("invoices", "list", "--affiliate-id", 67890).end()
    assert ran.code == 0
    assert ran.out.startswith("invoice  kind")
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


@pytest.mark.parametrize("columns", [100, 80, 60])
def test_a_narrow_table_goes_without_what_it_can_spare(terminal, sandbox, columns: int) -> None:
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = "Twelve wide."
    first, _, *rows = terminal("invoices", "list", columns=columns).end().out.splitlines()
    heads = first.split()
    assert (heads[0], heads[-3:]) == ("invoice", ["end", "amount", "ccy"])
    assert "status" in heads
    assert "start" not in heads
    assert len(rows) == len(sandbox.state.invoices)
    assert max(map(len, rows)) <= columns


@pytest.mark.parametrize("columns", [40, 24])
def test_where_a_table_does_not_fit_each_record_is_a_block(terminal, sandbox, columns: int) -> None:
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = "A name"
    shown = terminal("invoices", "list", columns=columns).end().out
    blocks = shown.rstrip("\n").split("\n\n")
    assert len(blocks) == len(sandbox.state.invoices)
    assert max(map(len, shown.splitlines())) <= columns
    stored = sandbox.state.invoices[4821]
    wanted = (
        f"invoice_id: 4821\nkind: payout\ninvoice_status: {stored.invoice_status}\n"
        f"affiliate_id: {stored.affiliate_id}\naffiliate_name: A name\n"
        f"start_date: {stored.start_date}\nend_date: {stored.end_date}\n"
        f"total_amount: {stored.total_amount:,f}\ncurrency: {stored.currency}"
    )
    assert wanted in {block.replace(":\n  ", ": ") for block in blocks}


def test_a_single_record_that_is_wide_is_a_block(terminal) -> None:
    ran = terminal("invoices", "update", 4821, "--memo", "so long " * 9, "--yes", columns=60).end()
    assert "invoice_id: 4821\n" in ran.out
    assert "memo:\n  so long so long" in ran.out


def test_a_narrow_list_of_nothing_says_so(terminal, sandbox) -> None:
    sandbox.state.invoices.clear()
    assert terminal("invoices", "list", columns=60).end().out == "(none)\n"


def test_a_longer_amount_behind_those_that_were_measured_is_not_wrapped() -> None:
    table = Table(("id", "amount"), Screen(20, "utf-8"))
    rows = [(number, Decimal("1.00")) for number in range(500)]
    lines = "".join(map(table.row, rows))
    assert lines.splitlines()[:3] == ["id   amount", "───  ──────", "0      1.00"]
    assert table.row((1, Decimal("123456789012.00"))) == "\nid: 1\namount:\n  123,456,789,012.00\n"


def test_a_terminal_that_is_not_in_utf_8_is_shown_what_it_has(
    terminal, sandbox, monkeypatch
) -> None:
    for name, value in NOT_UTF_8.items():
        monkeypatch.setenv(name, value)
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = "日本日本日本日本"
    header, rule, first, *_ = terminal("invoices", "list").end().out.splitlines()
    assert set(rule) == {"-", " "}
    assert r"\u65e5\u672c" in first
    assert header.index("start") == first.index("20")
    cut = terminal("invoices", "list", columns=110).end().out.splitlines()[2]
    assert r"\u65e5\u6..." in cut


def test_an_argument_that_the_locale_cannot_decode_is_said_to_be_such(
    process, sandbox, monkeypatch
) -> None:
    for name, value in NOT_UTF_8.items():
        monkeypatch.setenv(name, value)
    ran = process("invoices", "update", 4821, "--memo", "日本")
    assert ran.code == 2
    assert ran.err == (
        "aiocake: Invalid value for '--memo': it cannot be decoded in this locale, whose encoding "
        "is ascii: one of UTF-8 is needed, such as LC_ALL=C.UTF-8 "
        "(see aiocake invoices update --help)\n"
    )
    assert sandbox.state.requests == []


def test_help_shows_on_a_terminal(terminal) -> None:
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
