"""``aiocake audit`` and ``aiocake resume``."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from pathlib import Path

import anyio
import pytest

from aiocake import Client, RetryPolicy, bulk
from aiocake.bulk import Approval, PlanIdentity, Stop
from aiocake.monthend import Plan, audit

from ..support.runs import change

KEY = "canary-K3Y"


@pytest.fixture
def plan(stage, sandbox, environment, tmp_path: Path) -> Path:
    """A plan that approves four pending invoices; the second payee has an odd name."""
    del environment
    found = [
        each
        for each in sandbox.state.invoices.values()
        if each.invoice_status == "pending" and each.affiliate_id is not None
    ][:4]
    for each in found:
        each.currency = "USD"
    found[1].partner_name = "=HYPERLINK(1)\x1b[31m"

    async def make() -> Plan:
        async with Client(stage.url, KEY) as cake:
            calls = [
                bulk.call(cake.invoices.update, each.invoice_id, invoice_status="approved")
                for each in found
            ]
            return await Plan.of(calls, cake, history_months=0, maker="Anna")

    path = tmp_path / "january.plan"
    anyio.run(make).write(path)
    return path


@pytest.fixture
def journal(stage, sandbox, plan: Path, tmp_path: Path) -> Path:
    """The journal of its run, during which somebody voided the third invoice."""
    path, read = tmp_path / "run.db", Plan.read(plan)
    numbers = [int(str(row.arguments["invoice_id"])) for row in read.rows]
    sandbox.state.invoices[numbers[2]].invoice_status = "void"
    identity = PlanIdentity(
        hash=read.hash, maker="Anna", approvals=(Approval(principal="bob", key="SHA256:b"),)
    )

    async def apply() -> bulk.Summary:
        async with Client(stage.url, KEY, retry=RetryPolicy(attempts=1)) as cake:
            calls = [row.call(cake) for row in read.rows]
            return await bulk.each(calls, journal=path, limit=1, identity=identity)

    assert anyio.run(apply).conflicts == 1
    sandbox.state.requests.clear()
    return path


def test_it_shows_what_was_done_by_whom_and_says_whether_it_can_be_trusted(
    cake, journal: Path, plan: Path, sandbox
) -> None:
    ran = cake("audit", journal, "--plan", plan)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split()[:4] == ["index", "record", "kind", "partner"]
    assert "pending to approved" in lines[2]
    assert "skipped" in lines[4]
    hash_ = Plan.read(plan).hash
    said = [line.removeprefix("aiocake: ") for line in ran.err.splitlines()]
    assert said[0].startswith("4 calls for 127.0.0.1:")
    assert said[1] == f"plan {hash_}, made by Anna, approved by bob (SHA256:b)"
    assert said[2].startswith("session 1: ")
    assert said[3].startswith("done: payout approved: 3, ")
    assert said[3].endswith(" USD")
    assert said[4].startswith("skipped: call 2, invoice ")
    assert said[5:] == [
        "integrity: the chain of the log holds",
        "integrity: there is no receipt: without one, a cut off end of the log does not show",
        "completeness: every call is there, and its state follows from the log",
    ]
    assert sandbox.state.requests == []


def test_its_rows_are_written_in_each_format_and_none_of_it_as_code(
    cake, journal: Path, plan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit.csv"
    assert cake("audit", journal, "--plan", plan, "--out", out).code == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["state"] for row in rows] == ["done", "done", "skipped", "done"]
    assert rows[1]["partner_name"] == r"'=HYPERLINK(1)\x1b[31m"
    assert (rows[0]["old_status"], rows[0]["new_status"]) == ("pending", "approved")
    assert json.loads(rows[0]["arguments"])["invoice_status"] == "approved"
    ran = cake("audit", journal, "--plan", plan, "-f", "jsonl")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["index"] for each in found] == [0, 1, 2, 3]
    assert found[0]["amount"] == rows[0]["amount"]
    whole = json.loads(cake("audit", journal, "-f", "json").out)
    assert whole["plan"]["approvals"] == [{"principal": "bob", "key": "SHA256:b"}]
    assert len(whole["entries"]) == 4
    assert whole["integrity"] == []
    table = cake("audit", journal, "--plan", plan).out
    assert "\x1b" not in table + ran.out + out.read_text()


def test_it_is_written_to_a_page_that_only_its_owner_can_read(
    cake, journal: Path, plan: Path, tmp_path: Path
) -> None:
    page = tmp_path / "audit.html"
    ran = cake("audit", journal, "--plan", plan, "--html", page)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 6
    text = page.read_text()
    assert "bob" in text
    assert "=HYPERLINK(1)" in text
    assert page.stat().st_mode & 0o777 == 0o600


def test_verify_lists_exactly_what_is_otherwise_in_cake(
    cake, journal: Path, plan: Path, sandbox
) -> None:
    ran = cake("audit", journal, "--plan", plan, "--verify")
    assert ran.code == 1
    different = [line for line in ran.err.splitlines() if "different in CAKE" in line]
    number = Plan.read(plan).rows[2].arguments["invoice_id"]
    said = f"call 2, invoice {number} (skipped): invoice_status is void, not approved"
    assert different == [f"aiocake: different in CAKE: {said}"]
    sandbox.state.invoices[number].invoice_status = "approved"
    ran = cake("audit", journal, "--verify")
    assert ran.code == 0
    assert "aiocake: in CAKE, everything that could be compared is as planned" in ran.err
    sandbox.state.api_keys.clear()
    assert cake("audit", journal, "--verify").code == 3


@pytest.mark.parametrize(
    ("statements", "code", "said"),
    [
        (
            ["UPDATE log SET detail = replace(detail, 'approved', 'paid') WHERE entry = 6"],
            8,
            "integrity: entry 6 of the log (done of call 0) is not what was written there",
        ),
        (
            [
                "UPDATE log SET entry = -6 WHERE entry = 6",
                "UPDATE log SET entry = 6 WHERE entry = 7",
                "UPDATE log SET entry = 7 WHERE entry = -6",
            ],
            8,
            "integrity: entries 6 and 7 of the log have changed places",
        ),
        (
            ["DELETE FROM log WHERE entry > 11", "UPDATE runs SET ended_at = NULL"],
            8,
            "integrity: entry 12 of the log is missing: the receipt of ",
        ),
        (
            ["UPDATE calls SET state = 'planned', detail = NULL WHERE place = 2"],
            1,
            "completeness: call 2 is planned, but by entry 9 of the log it is skipped",
        ),
    ],
    ids=["a row changed", "two rows swapped", "the tail cut off", "a state changed"],
)
def test_what_was_changed_is_named_and_has_an_exit_code(  # noqa: PLR0913, PLR0917 - fixtures
    cake, journal: Path, tmp_path: Path, statements: list[str], code: int, said: str
) -> None:
    async def receipt() -> str:
        return (await audit(journal)).receipt().to_json()

    file = tmp_path / "receipt.json"
    file.write_text(anyio.run(receipt))
    ran = cake("audit", journal, "--receipt", file, "--receipt", file)
    assert ran.code == 0
    assert "integrity: the chain of the log holds, and so do the 2 receipts" in ran.err
    change(journal, *statements)
    ran = cake("audit", journal, "--receipt", file)
    assert ran.code == code
    assert f"aiocake: {said}" in ran.err


def test_what_cannot_be_audited_is_refused(cake, journal: Path, plan: Path, tmp_path: Path) -> None:
    for words, said in (
        (("audit", tmp_path / "none.db"), "no such file"),
        (("audit", journal, "--receipt", plan), f"{plan} is not a receipt of aiocake"),
        (("audit", journal, "--plan", journal), f"{journal} is not a plan"),
        (("audit", journal, "-f", "json", "--out", journal), "which the command needs"),
        (("audit", journal, "--receipt", "x.json", "--out", "x.json"), "which the command needs"),
        (("audit", journal, "--period", "x"), "--period"),
        (("audit", journal, "--html", journal), "is a file that the command needs"),
        (("audit", journal, "--html", "x.csv", "--out", "x.csv"), "which the command needs"),
    ):
        ran = cake(*words)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err


def test_a_journal_of_an_older_aiocake_says_that_its_log_is_no_chain(cake, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    kept = Path(__file__).parents[1] / "bulk" / "journals" / "schema-1.db"
    path.write_bytes(kept.read_bytes())
    ran = cake("audit", path)
    assert ran.code == 1
    assert "no plan was approved: the run was started without one" in ran.err
    assert "integrity: unknown: an older aiocake wrote the log without a chain" in ran.err
    assert "done: 1 more, whose amount is not in the journal" in ran.err
    assert "completeness: 1 call was not sent" in ran.err
    assert "not finished (killed)" in ran.err


def test_resume_says_of_what_by_whom_and_under_which_approval(
    cake, stage, sandbox, plan: Path, tmp_path: Path
) -> None:
    path, read = tmp_path / "stopped.db", Plan.read(plan)
    identity = PlanIdentity(
        hash=read.hash,
        maker="Anna",
        approvals=(Approval(principal="bob", key="SHA256:b"),),
        file=str(plan),
    )
    sandbox.state.api_keys.clear()

    async def apply() -> None:
        async with Client(stage.url, KEY, retry=RetryPolicy(attempts=1)) as client:
            calls = [row.call(client) for row in read.rows]
            stop = Stop(failed=1)
            await bulk.each(calls, journal=path, identity=identity, limit=1, stop_after=stop)

    anyio.run(apply)
    sandbox.state.api_keys.add(KEY)
    ran = cake("resume", path, "-f", "json")
    assert ran.code == 0
    assert sum(each["done"] for each in json.loads(ran.out)) == 4
    line = json.loads(ran.err.splitlines()[0])["note"]
    assert line.startswith("resuming at ")
    assert "invoices.update (invoice_status approved)" in line
    assert ", begun just now (" in line
    assert line.endswith(f", of plan {read.hash}, made by Anna, approved by bob (SHA256:b)")
    again = cake("resume", path)
    assert (again.code, again.out.count("\n")) == (0, 2 + len(json.loads(ran.out)))
