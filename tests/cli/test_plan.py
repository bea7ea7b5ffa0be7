"""``aiocake plan`` and ``aiocake run``: what is written, what is shown, and what is refused."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
import shutil
import stat
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from aiocake.monthend import Plan
from aiocake.sandbox import Sandbox

PAYED = "invoice_status: must be one of pending, approved, paid, void; did you mean 'paid'?"
APPROVE = ("plan", "--period", "2024", "--status", "pending", "--set", "status=approved")
JUNE = ("--period", "2014-06")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pending(sandbox: Sandbox, year: int = 2024, *, payout: bool = True) -> list[int]:
    return [
        each.invoice_id
        for each in sandbox.state.invoices.values()
        if each.invoice_status == "pending"
        and each.end_date.year == year
        and (each.affiliate_id is not None) is payout
    ]


def numbers(plan: Plan) -> list[object]:
    return [row.arguments.get("invoice_id", row.arguments.get("bill_id")) for row in plan.rows]


def writes(sandbox: Sandbox) -> list[str]:
    return [each.operation for each in sandbox.state.requests if each.method != "GET"]


def test_a_plan_of_a_period_is_written_and_nothing_is_sent(cake, sandbox, folder: Path) -> None:
    ran = cake(*APPROVE, "--out", "year.plan", "--maker", "ada")
    assert (ran.code, ran.err) == (0, "")
    plan = Plan.read("year.plan")
    assert numbers(plan) == pending(sandbox)
    assert writes(sandbox) == []
    assert stat.S_IMODE((folder / "year.plan").stat().st_mode) == 0o600
    lines = ran.out.splitlines()
    count = len(plan.rows)
    assert lines[0] == (
        f"{count} rows for {plan.header.domain}: invoices.update invoice_status=approved"
    )
    assert [line.split()[:2] for line in lines[3 : 3 + len(plan.totals)]] == (
        [["payout", "pending"]] * len(plan.totals)
    )
    for total in plan.totals:
        assert f"{total.amount:,f}  {total.currency}" in ran.out
    assert "history: 2023-10, 2023-11, 2023-12, " in ran.out
    assert "caps: none" in ran.out
    assert f"hash: {plan.hash}" in ran.out
    assert "made by ada, expires " in ran.out
    assert "written to year.plan: it holds names and amounts, and only you can read it" in ran.out
    assert lines[-3:] == [
        "next, a second person: aiocake approve year.plan",
        "approved by its hash: aiocake apply PLAN --journal RUN.DB --hash HASH",
        "to approve it by keys: make it with --sign KEY",
    ]


def test_an_object_of_what_a_plan_comes_to(cake) -> None:
    words = (*APPROVE, "--max-rows", "9999", "--out", "year.plan", "--maker", "ada", "--json")
    ran = cake(*words)
    assert (ran.code, ran.err) == (0, "")
    plan, shown = Plan.read("year.plan"), json.loads(ran.out)
    assert (shown["plan"], shown["hash"], shown["rows"]) == ("year.plan", plan.hash, len(plan.rows))
    assert [Decimal(each["amount"]) for each in shown["totals"]] == [
        each.amount for each in plan.totals
    ]
    assert (shown["maker"], shown["signature"]) == ("ada", None)
    assert shown["caps"] == {"max_total": {}, "max_row": None, "max_rows": 9999}
    assert shown["expires_at"] == plan.header.expires_at.isoformat()
    assert json.loads(cake(*words).err)["exit_code"] == 2  # it is there now


def test_what_was_left_out_is_said(cake, sandbox) -> None:
    first = next(iter(sandbox.state.invoices.values()))
    first.start_date, first.end_date = date(2024, 12, 30), date(2025, 1, 5)
    revenue = pending(sandbox, payout=False)
    assert revenue
    ran = cake(*APPROVE, "--out", "a.plan")
    said = [line for line in ran.out.splitlines() if line.startswith("left out: ")]
    assert (
        "left out: 1 pending payout invoice, 1,250.00 USD (overlapping 2024-01-01..2024-12-31 "
        "without ending in it; --match overlaps plans them as well)"
    ) in said
    assert any("pending revenue invoice" in line and "--kind revenue" in line for line in said)
    assert cake(*APPROVE, "--out", "b.plan", "--match", "overlaps").code == 0
    assert set(numbers(Plan.read("b.plan"))) > set(numbers(Plan.read("a.plan")))
    assert cake(*APPROVE, "--out", "c.plan", "--kind", "revenue", "--history", "0").code == 0
    plan = Plan.read("c.plan")
    assert (numbers(plan), plan.header.history_months) == (revenue, ())
    assert cake(*APPROVE, "--out", "d.plan", "--kind", "both").code == 0
    assert len(Plan.read("d.plan").rows) == len(Plan.read("a.plan").rows) + len(revenue)


def test_caps_are_kept_and_shown(cake) -> None:
    caps = ("--max-row", "50000", "--max-rows", "500")
    totals = [f"--max-total={code}=500000" for code in ("USD", "EUR", "GBP", "JPY")]
    ran = cake(*APPROVE, "--out", "a.plan", *caps, *totals)
    assert ran.code == 0
    assert (
        "caps: at most 500,000 USD in total, 500,000 EUR in total, 500,000 GBP in total, "
        "500,000 JPY in total, 50,000 a row, 500 rows"
    ) in ran.out
    ran = cake(*APPROVE, "--out", "b.plan", "--max-total", "USD=1")
    assert (ran.code, ran.out) == (2, "")
    assert "aiocake: max_total: the payout rows in USD are above it\n" in ran.err
    assert ran.err.endswith("problems; nothing was sent\n")
    assert (
        "invoice 4821: its amount is above max_row"
        in cake(*APPROVE, "--out", "b.plan", "--max-row", "5").err
    )
    assert not Path("b.plan").exists()


def test_rows_of_a_file_are_planned(cake, sandbox) -> None:
    some = pending(sandbox)[:2]
    Path("rows.csv").write_text("\ufeffinvoice_id\r\n" + "".join(f"{n}\r\n" for n in some))
    words = ("plan", "--from", "rows.csv", "--set", "status=paid")
    ran = cake(*words, "--paid-at", "2024-02-15T10:00:00Z", "--out", "a.plan")
    assert (ran.code, ran.err) == (0, "")
    plan = Plan.read("a.plan")
    assert numbers(plan) == some
    assert plan.header.action == "invoices.update invoice_status=paid paid_at=2024-02-15T10:00:00Z"
    lines = [{"operation": "invoices.update", "invoice_id": n, "memo": "x"} for n in some]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    assert cake("plan", "--from", "rows.jsonl", "--out", "b.plan").code == 0
    assert [row.arguments["memo"] for row in Plan.read("b.plan").rows] == ["x", "x"]


def test_all_bad_rows_of_a_file_are_listed(cake, sandbox) -> None:
    Path("rows.csv").write_text("invoice_id,invoice_status\n4821,payed\n\nx,paid\n4822\n")
    ran = cake("plan", "--from", "rows.csv", "--out", "a.plan")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        f"aiocake: line 2: {PAYED}",
        "aiocake: line 4: invoice_id: is not a whole number",
        "aiocake: line 5: has 1 cells, but there are 2 columns",
        "aiocake: some rows cannot be planned: 3 problems; nothing was sent",
    ]
    assert sandbox.state.requests == []
    Path("rows.csv").write_text("invoice_id,invoice_status\n1,paid\n4821,pending\n")
    ran = cake("plan", "--from", "rows.csv", "--out", "a.plan")
    assert ran.err.splitlines()[:2] == [
        "aiocake: line 2: invoice 1: there is no such invoice",
        "aiocake: line 3: invoice 4821: is pending already",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("update",), "Missing option '--out'"),
        (("--out", "a.plan"), "--period, --status: needed, or --from with a file; --set: needed"),
        ((*APPROVE[1:], "--out", "there"), "--out: there exists already"),
        ((*APPROVE[1:], "--out", "a", "--from", "x"), "--status: cannot be combined with --from"),
        ((*APPROVE[1:], "--out", "a", "--set", "x"), "'x' is not a name and a value such as"),
        ((*APPROVE[1:], "--out", "a", "--set", "status=void"), "--set: names --status twice"),
        (
            (*APPROVE[1:], "--out", "a", "--set", "iban=1"),
            "--set: invoices.update has no iban: it has status, memo, paid-at\n",
        ),
        ((*APPROVE[1:], "--out", "a", "--set", "paidat=1"), "has no paidat: did you mean paid-at?"),
        (
            (*APPROVE[1:-1], "status=payed", "--out", "a"),
            f"--set: {PAYED.removeprefix('invoice_')}",
        ),
        ((*APPROVE[1:], "--out", "plans/"), "'plans/' is a directory: add the name of a file"),
        ((*APPROVE[1:], "--out", "a", "--paid-at", "2024-2-15"), "nor a time with its zone"),
        ((*APPROVE[1:], "--out", "a", "--kind", "all"), "'all' is not one of 'payout', 'revenue'"),
        ((*APPROVE[1:], "--out", "a", "--max-total", "50"), "'50' is not a currency and an amount"),
        ((*APPROVE[1:], "--out", "a", "--max-row", "1,0"), "'1,0' is not an amount such as"),
        ((*APPROVE[1:], "--out", "a", "--expires", "0"), "'0' is not a number of days"),
        ((*APPROVE[1:], "--out", "a", "--history", "30"), "a whole number from 0 to 24"),
        ((*APPROVE[1:], "--out", "a", "--after", "none"), "none cannot be read: No such file"),
        ((*APPROVE[1:], "--out", "a", "--after", "there"), "there is not a receipt"),
    ],
)
def test_what_does_not_go_together_is_refused(cake, sandbox, words, said: str) -> None:
    Path("there").touch()
    ran = cake("plan", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert sandbox.state.requests == []


def test_a_receipt_and_a_signature_go_into_the_plan(cake) -> None:
    tool = shutil.which("ssh-keygen")
    assert tool is not None
    subprocess.run([tool, "-q", "-t", "ed25519", "-N", "", "-f", "key"], check=True)
    Path("receipt.json").write_text('{"count": 3}')
    words = (*APPROVE, "--out", "a.plan", "--sign", "key", "--after", "receipt.json")
    ran = cake(*words, "--expires", "2")
    assert (ran.code, ran.err) == (0, "")
    header = Plan.read("a.plan").header
    assert header.after == {"count": 3}
    assert Path("key.pub").read_text().startswith(header.maker_key or "-")
    assert (header.expires_at - header.created_at).days == 2
    assert Path("a.plan.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    assert "signed by its maker: a.plan.sig" in ran.out
    Path("a.plan").unlink()
    assert "a.plan.sig exists already" in cake(*words).err


def test_invoices_to_be_created_are_planned(cake, sandbox) -> None:
    affiliates = list(sandbox.state.affiliates)[:3]
    Path("who.txt").write_text("".join(f"{each}\n" for each in affiliates))
    ran = cake(
        "plan", "create", "--affiliates", "who.txt", "--period", "2030-01", "--out", "a", yes=False
    )
    assert (ran.code, ran.err) == (0, "")
    rows = Plan.read("a").rows
    assert [dict(row.arguments) for row in rows] == [
        {"affiliate_id": each, "start_date": date(2030, 1, 1), "end_date": date(2030, 1, 31)}
        for each in affiliates
    ]
    assert "CAKE computes their totals when they are created" in ran.out
    assert writes(sandbox) == []


def test_bills_are_planned_from_a_file(cake, sandbox) -> None:
    Path("r.csv").write_text("bill_id,invoiced_amount\n345,5.10\n")
    words = ("--from", "r.csv", *JUNE, "--set", "date_invoice_received=2014-07-02")
    ran = cake("plan", "mark-received", *words, "--out", "a")
    assert (ran.code, ran.err) == (0, "")
    (row,) = Plan.read("a").rows
    assert dict(row.arguments) == {
        "bill_id": 345,
        "invoiced_amount": Decimal("5.10"),
        "date_invoice_received": date(2014, 7, 2),
    }
    Path("r.csv").write_text("bill_id,payment_amount\n1000000,5.10\n")
    words = ("--from", "r.csv", "--period", "2013-12..2015-01", "--partner", "advertiser")
    assert cake("plan", "mark-received", *words, "--out", "b").code == 0
    assert Plan.read("b").rows[0].operation == "advertiser_bills.mark_received"
    assert writes(sandbox) == []


def test_what_a_bank_has_paid_is_compared_with_the_bills(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    words = ("plan", "mark-paid", "--from", "bank.csv", *JUNE, "--payment-date", "2014-07-15")
    Path("bank.csv").write_text(f"bill_id,amount\n345,{bill.amount}\n")
    ran = cake(*words, "--out", "a.plan")
    assert (ran.code, ran.err) == (0, "")
    assert "bank.csv has 1 row and the same totals" in ran.out
    assert Plan.read("a.plan").totals[0].amount == bill.amount
    Path("bank.csv").write_text("bill_id,amount\n345,1.00\n12,5\n")
    ran = cake(*words, "--out", "b.plan")
    assert (ran.code, ran.out) == (2, "")
    differs = f"1.00 in the file, {bill.amount:,.2f} USD in CAKE"
    assert ran.err.splitlines() == [
        f"aiocake: line 2: amount is not that of bill 345: {differs}",
        "aiocake: line 3: matches no bill: 5 in the file",
        "aiocake: bank.csv does not agree with CAKE in 2 rows of 2: no plan was made",
    ]
    ran = cake(*words, "--out", "b.plan", "--match", "iban")
    assert (ran.code, "is not a list of columns among bill_id" in ran.err) == (2, True)


def test_rows_of_a_plan_are_shown_harmlessly(cake, sandbox) -> None:
    first = sandbox.state.invoices[4821]
    first.partner_name = '=HYPERLINK("http://x")\x1b[31m'
    assert cake(*APPROVE, "--out", "a.plan").code == 0
    table, lines, cells = (
        cake("plan", "show", "a.plan", "-f", form).out for form in ("table", "jsonl", "csv")
    )
    assert "\x1b" not in table + lines + cells
    row = json.loads(lines.splitlines()[0])
    assert (row["partner_name"], row["amount"]) == (first.partner_name, "1250.00")
    assert row["arguments"] == {"invoice_status": "approved"}
    (found, *_) = csv.DictReader(cells.splitlines())
    assert found["partner_name"].startswith("'=HYPERLINK")
    assert (found["record_id"], found["arguments"]) == ("4821", "invoice_status=approved")
    assert "1,250.00  USD" in table
    Path("a.plan").chmod(0o600)
    Path("a.plan").write_bytes(Path("a.plan").read_bytes().replace(b"1250.00", b"1250.01"))
    ran = cake("plan", "show", "a.plan")
    assert (ran.code, ran.out) == (2, "")
    assert "a.plan is not a plan as it was written: line " in ran.err


def test_two_plans_are_compared(cake, sandbox) -> None:
    sandbox.state.invoices[4821].partner_name = "Before\x1b"
    assert cake(*APPROVE, "--out", "a.plan").code == 0
    assert cake("plan", "diff", "a.plan", "a.plan", "-f", "jsonl").code == 0
    sandbox.state.invoices[4821].total_amount = Decimal("1300.5")
    others = pending(sandbox)
    sandbox.state.invoices[others[1]].invoice_status = "void"
    assert cake(*APPROVE, "--out", "b.plan").code == 0
    ran = cake("plan", "diff", "a.plan", "b.plan", "-f", "jsonl")
    assert (ran.code, ran.err) == (1, "")
    found = [json.loads(line) for line in ran.out.splitlines()]
    rows = {each["record_id"]: each for each in found if each["change"] != "header"}
    assert set(rows) == {4821, others[1]}
    assert {each["changed"] for each in found if each["change"] == "header"} >= {"totals", "rows"}
    assert rows[others[1]]["change"] == "removed"
    changed = rows[4821]
    assert (changed["change"], changed["changed"]) == ("changed", "amount")
    assert (changed["amount_before"], changed["amount"]) == ("1250.00", "1300.50")
    assert "\x1b" not in cake("plan", "diff", "a.plan", "b.plan").out


def test_lists_show_totals_in_place_of_rows(cake, sandbox) -> None:
    ran = cake("invoices", "list", "--totals", "-f", "jsonl")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert sum(each["count"] for each in found) == len(sandbox.state.invoices)
    assert {each["kind"] for each in found} == {"payout", "revenue"}
    first = cake("invoices", "list", "--totals").out.splitlines()[0]
    assert first.split() == ["kind", "invoice_status", "currency", "count", "amount"]
    for kind in ("affiliate", "advertiser", "buyer"):
        words = ("bills", kind, "export", "--period", "2013-12..2015-01", "--totals")
        found = [json.loads(line) for line in cake(*words, "-f", "jsonl").out.splitlines()]
        assert sum(each["count"] for each in found) == len(sandbox.state.bills(kind))


def test_a_file_is_run_gone_on_with_and_found_done(cake, sandbox) -> None:
    some = pending(sandbox)[:3]
    Path("calls.csv").write_text(
        "operation,invoice_id,invoice_status\n"
        + "".join(f"invoices.update,{n},approved\n" for n in some)
    )
    words = ("run", "calls.csv", "--journal", "run.db", "--yes", "-f", "jsonl")
    ran = cake(*words)
    assert (ran.code, json.loads(ran.out)["done"]) == (0, 3)
    assert len(writes(sandbox)) == 3
    assert {sandbox.state.invoices[n].invoice_status for n in some} == {"approved"}
    ran = cake(*words)
    assert (ran.code, json.loads(ran.out)["done"]) == (0, 3)
    assert len(writes(sandbox)) == 3
    Path("calls.csv").write_text(f"invoice_id,invoice_status\n{some[0]},paid\n")
    ran = cake(*words, "--operation", "invoices.update")
    assert (ran.code, ran.out) == (2, "")
    assert "call 0 of the plan differs from the journal" in ran.err
    assert len(writes(sandbox)) == 3


def test_no_row_is_sent_of_a_file_with_a_bad_one(cake, sandbox) -> None:
    Path("calls.csv").write_text(
        "invoice_id,invoice_status\n4821,approved\n4822,payed\n4821,paid\n"
    )
    words = ("run", "calls.csv", "--journal", "run.db", "--operation", "invoices.update", "--yes")
    ran = cake(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[0] == "aiocake: line 4: invoice 4821: repeats an earlier row"
    assert "line 3: invoice_status: must be one of" in ran.err
    Path("calls.csv").write_text("invoice_id,invoice_status\n")
    assert "the file has no rows" in cake(*words).err
    assert sandbox.state.requests == []
    assert not Path("run.db").exists()


def test_a_run_is_confirmed_on_a_terminal(cake, sandbox, typed) -> None:
    Path("calls.csv").write_text("invoice_id,invoice_status\n4821,approved\n")
    words = ("run", "calls.csv", "--journal", "run.db", "--operation", "invoices.update")
    typed("n\n")
    ran = cake(*words)
    assert ran.code == 1
    assert ": invoices.update invoice_status=approved, 1 calls: send? [y/N]" in ran.err
    assert writes(sandbox) == []


@pytest.mark.parametrize("rows", ["4822,approved\n", "4821,approved\n4822,approved\n", ""])
def test_a_file_that_is_saved_while_it_is_confirmed_is_not_sent(
    cake, sandbox, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    header = "invoice_id,invoice_status\n"
    Path("calls.csv").write_text(f"{header}4821,approved\n")
    monkeypatch.setattr(
        "aiocake.cli.run.confirm", lambda _: Path("calls.csv").write_text(header + rows)
    )
    ran = cake("run", "calls.csv", "--journal", "run.db", "--operation", "invoices.update")
    assert (ran.code, writes(sandbox)) == (2, [])
    assert "the file was changed after it was checked" in ran.err


def test_refused_calls_end_in_their_exit_code(cake, sandbox) -> None:
    Path("calls.csv").write_text("invoice_id,invoice_status\n4821,approved\n1,approved\n")
    words = ("run", "calls.csv", "--journal", "run.db", "--operation", "invoices.update", "--yes")
    ran = cake(*words, "-f", "jsonl")
    assert ran.code == 5
    assert (json.loads(ran.out)["done"], json.loads(ran.out)["failed"]) == (1, 1)
    assert sandbox.state.invoices[4821].invoice_status == "approved"
