"""``aiocake invoices``: what is sent, what is stored, and what is shown."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from datetime import date
from decimal import Decimal

import pytest


def listed(ran) -> list[dict]:
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_list_gives_all_invoices_over_several_pages(cake, sandbox) -> None:
    found = listed(cake("invoices", "list", "--row-limit", 7, "--format", "json"))
    assert [row["invoice_id"] for row in found] == list(sandbox.state.invoices)
    assert sum(request.operation == "invoices" for request in sandbox.state.requests) > 5


def test_list_filters_by_each_option(cake, sandbox) -> None:
    def ids(*words: object) -> set[int]:
        return {row["invoice_id"] for row in listed(cake("invoices", "list", "-f", "json", *words))}

    def stored(matches) -> set[int]:
        found = {i.invoice_id for i in sandbox.state.invoices.values() if matches(i)}
        assert found
        return found

    assert ids("--affiliate-id", 67890) == stored(lambda i: i.affiliate_id == 67890)
    advertiser = next(i.advertiser_id for i in sandbox.state.invoices.values() if i.advertiser_id)
    assert ids("--advertiser-id", advertiser) == stored(lambda i: i.advertiser_id == advertiser)
    assert ids("--status", "Paid") == stored(lambda i: i.invoice_status == "paid")
    january = stored(lambda i: i.start_date >= date(2024, 1, 1) and i.end_date <= date(2024, 1, 31))
    assert ids("--period", "2024-01") == january
    assert ids("--period", "2024-01-01..2024-01-31") == january
    quarter = stored(lambda i: i.start_date >= date(2024, 1, 1) and i.end_date <= date(2024, 3, 31))
    assert ids("--period", "2024-Q1", "--match", "inside") == quarter
    ends_in = stored(lambda i: date(2024, 1, 1) <= i.end_date <= date(2024, 1, 31))
    assert ids("--period", "2024-01", "--match", "ends_in") == ends_in
    assert ids("--period", "2024-01", "--match", "ends_in", "--longest", 31) == ends_in
    overlapping = stored(
        lambda i: i.start_date <= date(2024, 1, 31) and i.end_date >= date(2024, 1, 1)
    )
    assert ids("--period", "2024-01", "--match", "overlaps") == overlapping
    assert january <= ends_in <= overlapping
    assert ids("--start-date", "2024-01-01", "--end-date", "2024-01-31") == january


def test_list_is_a_table_unless_something_else_is_said(cake) -> None:
    ran = cake("invoices", "list", "--affiliate-id", 67890, "--status", "pending")
    names, rule, first = ran.out.splitlines()[:3]
    heads = "invoice kind status affiliate its name start end amount ccy"
    assert names.split() == heads.split()
    assert set(rule) == {"─", " "}
    assert first.split("  ")[0] == "4821"
    assert "1,250.00" in first
    # Amounts are lined up at their right.
    assert first.index("1,250.00") + len("1,250.00") == names.index("ccy") - 2


def test_a_list_without_a_match_is_empty_in_each_format(cake) -> None:
    nothing = ("invoices", "list", "--affiliate-id", 1, "--format")
    assert cake(*nothing, "json").out == "[]\n"
    assert cake(*nothing, "jsonl").out == ""
    assert len(cake(*nothing, "csv").out.splitlines()) == 1
    assert len(cake(*nothing, "table").out.splitlines()) == 2


def test_get_shows_one_invoice(cake) -> None:
    found = json.loads(cake("invoices", "get", 4821, "--format", "json").out)
    assert found["invoice_id"] == 4821
    assert found["kind"] == "payout"
    assert found["total_amount"] == "1250.00"
    table = cake("invoices", "get", 4821).out.splitlines()
    assert table[0].split() == ["field", "value"]
    assert "total_amount    1,250.00" in table
    assert not any(line.startswith("advertiser_id") for line in table), "it has none"


def test_create_makes_one_and_shows_it(cake, sandbox) -> None:
    before = set(sandbox.state.invoices)
    words = ("--affiliate-id", 67890, "--start-date", "2024-01-01", "--end-date", "2024-01-31")
    ran = cake("invoices", "create", *words, "--memo", "January", "--format", "json")
    (number,) = set(sandbox.state.invoices) - before
    made = sandbox.state.invoices[number]
    assert (made.affiliate_id, made.memo) == (67890, "January")
    assert (made.start_date, made.end_date) == (date(2024, 1, 1), date(2024, 1, 31))
    shown = json.loads(ran.out)
    assert shown["invoice_id"] == number
    assert Decimal(shown["total_amount"]) == made.total_amount
    assert cake("invoices", "create", *words).code == 0
    assert len(set(sandbox.state.invoices) - before) == 2


def test_update_sets_what_is_given_and_nothing_else(cake, sandbox) -> None:
    invoice = sandbox.state.invoices[4821]
    assert cake("invoices", "update", 4821, "--memo", "by hand").code == 0
    assert (invoice.memo, invoice.invoice_status) == ("by hand", "pending")
    assert cake("invoices", "update", 4821, "--status", "approved").code == 0
    assert (invoice.memo, invoice.invoice_status) == ("by hand", "approved")
    ran = cake(
        "invoices",
        "update",
        4821,
        "--status",
        "paid",
        "--paid-at",
        "2024-02-15T11:00:00+01:00",
        "--format",
        "csv",
    )
    assert (invoice.invoice_status, invoice.paid_at) == ("paid", "2024-02-15T10:00:00Z")
    (row,) = csv.DictReader(ran.out.splitlines())
    assert (row["invoice_id"], row["invoice_status"]) == ("4821", "paid")
    assert row["paid_at"] == "2024-02-15 10:00:00+00:00"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["list", "--state", "paid"], "No such option: --state", id="misspelt"),
        pytest.param(["list", "--status", "payed"], "--status: must be one of", id="status"),
        pytest.param(
            ["list", "--start-date", "2024-02-01", "--end-date", "2024-01-01"],
            "--start-date: must not be after --end-date",
            id="start-after-end",
        ),
        pytest.param(["list", "--period", "2024-02..2024-01"], "--period", id="two-months"),
        pytest.param(
            ["list", "--period", "soon"],
            "'soon' is not a period: write it as 2024, 2024-Q1, 2024-01 or 2024-01-01..2024-01-15",
            id="no-period",
        ),
        pytest.param(
            ["list", "--period", "2024-02-02..2024-02-01"],
            "its first day must not be after its last",
            id="period-backwards",
        ),
        pytest.param(["list", "--period", "2024-13"], "months are 01 to 12", id="month-13"),
        pytest.param(
            ["list", "--period", "2024", "--match", "inside of"],
            "--match: must be one of 'inside', 'overlaps', 'ends_in'",
            id="match",
        ),
        pytest.param(
            ["list", "--match", "ends_in"], "--match: goes with a period only", id="match-alone"
        ),
        pytest.param(
            ["list", "--period", "2024", "--longest", "31"],
            "--longest: goes with --match overlaps or ends_in only",
            id="longest-alone",
        ),
        pytest.param(
            ["list", "--period", "2024", "--match", "ends_in", "--longest", "0"],
            "'0' is not a number of days such as 31",
            id="longest-0",
        ),
        pytest.param(["list", "--period", "2024-01-01.."], "--period", id="half-a-period"),
        pytest.param(["list", "--start-date", "01-02-2024"], "such as 2024-01-31", id="day-first"),
        pytest.param(
            ["list", "--affiliate-id", "0", "--advertiser-id", "-1"],
            "--affiliate-id: must be from 1 to 2147483647; --advertiser-id: must be",
            id="both-named",
        ),
        pytest.param(["get", "x"], "Invalid value for", id="no-number"),
        pytest.param(["get"], "Missing argument", id="no-id"),
        pytest.param(["get", "1", "2"], "unexpected extra argument", id="two-ids"),
        pytest.param(["update", "4821"], "an update must set one of these", id="sets-nothing"),
        pytest.param(
            ["update", "4821", "--paid-at", "2024-02-15T10:00:00Z"],
            "--paid-at: is allowed with --status paid only",
            id="not-paid",
        ),
        pytest.param(
            ["update", "4821", "--status", "paid", "--paid-at", "2024-02-15T10:00:00"],
            "nor a time with its zone",
            id="no-zone",
        ),
        pytest.param(
            ["update", "4821", "--status", "paid", "--paid-at", "noon"],
            "nor a time with its zone",
            id="no-time",
        ),
        pytest.param(
            ["create", "--affiliate-id", "1", "--start-date", "2024-01-01"],
            "Missing option '--end-date'",
            id="no-end",
        ),
        pytest.param([], "Missing command", id="no-command"),
        pytest.param(["delete"], "No such command 'delete'", id="no-such-command"),
    ],
)
def test_bad_arguments_are_named_on_one_line_and_nothing_is_sent(
    cake, sandbox, words: list[str], said: str
) -> None:
    ran = cake("invoices", *words)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.startswith("aiocake: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert sandbox.state.requests == []


def test_an_error_of_the_command_line_names_the_help_that_tells_more(cake) -> None:
    said = cake("invoices", "list", "--state", "paid").err
    assert said.endswith("(see aiocake invoices list --help)\n")
