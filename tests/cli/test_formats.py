"""Texts of others reach neither a terminal nor a spreadsheet as code; amounts stay amounts."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from starlette.responses import JSONResponse

from aiocake.cli.text import escaped, escaped_json, spreadsheet_text
from aiocake.sandbox import InvoiceRecord

ROWS = ("invoices", "list", "--affiliate-id", 67890)
FORMULAS = [
    "=HYPERLINK(0)",
    "+1 Traffic",
    "-Minus-",
    "@Social",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",  # noqa: RUF001 - wide forms, which spreadsheets in East Asia fold
    "＋1",  # noqa: RUF001 - the same
    "－1",  # noqa: RUF001 - the same
    "＠x",  # noqa: RUF001 - the same
]


@pytest.fixture
def named(sandbox) -> Callable[[str], list[InvoiceRecord]]:
    """Give every invoice of one affiliate a name."""

    def name(text: str) -> list[InvoiceRecord]:
        found = [i for i in sandbox.state.invoices.values() if i.affiliate_id == 67890]
        for invoice in found:
            invoice.partner_name = text
        return found

    return name


@pytest.mark.parametrize("name", FORMULAS)
def test_no_text_begins_a_formula_in_a_spreadsheet(cake, named, name: str) -> None:
    found = named(name)
    rows = list(csv.DictReader(cake(*ROWS, "-f", "csv").out.splitlines()))
    assert len(rows) == len(found)
    assert {row["affiliate_name"] for row in rows} == {f"'{escaped(name)}"}


def test_amounts_and_dates_are_no_text_of_a_spreadsheet(cake, named) -> None:
    found = named("Acme")
    found[0].total_amount = Decimal("-1234567.80")
    row = next(csv.DictReader(cake(*ROWS, "-f", "csv").out.splitlines()))
    assert row["total_amount"] == "-1234567.80"
    assert row["start_date"] == "2024-01-01"
    assert row["affiliate_name"] == "Acme"
    assert row["advertiser_id"] == ""


def test_a_bills_texts_begin_no_formula_either(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.notes, bill.amount = "=1+1", Decimal("-20.01")
    words = ("bills", "export", "--period", "2014-06", "-f", "csv")
    row = next(csv.DictReader(cake(*words).out.splitlines()))
    assert row["amount"] == "-20.0100"
    assert row["formatted_amount"] == "($20.01)"
    assert row["notes"] == "'=1+1"
    assert row["extra"].startswith("{")


def test_money_is_text_in_json(cake, named) -> None:
    found = named("Acme")
    found[0].total_amount = Decimal("0.10")
    whole = json.loads(cake(*ROWS, "-f", "json").out)[0]
    line = json.loads(cake(*ROWS, "-f", "jsonl").out.splitlines()[0])
    one = json.loads(cake("invoices", "get", 4821, "-f", "json").out)
    assert whole["total_amount"] == line["total_amount"] == one["total_amount"] == "0.10"


def test_json_lines_have_one_record_each(cake, named) -> None:
    found = named("two\nlines\u2028three")
    lines = cake(*ROWS, "-f", "jsonl").out.splitlines()
    assert [json.loads(line)["affiliate_name"] for line in lines] == ["two\nlines\u2028three"] * (
        len(found)
    )


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_no_control_character_comes_out_in_any_format(cake, named, form: str) -> None:
    named("\x1b[31mRed\x07 \u202emoc\x9b2J [red]bold[/] \u200bx")
    out = cake(*ROWS, "-f", form).out
    for unsafe in "\x1b\x07\u202e\x9b\u200b":
        assert unsafe not in out
    assert "[red]bold[/]" in out


def test_a_table_shows_what_is_unsafe_as_an_escape(cake, named) -> None:
    named("\x1b[31mRed")
    assert "\\x1b[31mRed" in cake(*ROWS).out
    assert "\\x1b[31mRed" in cake("invoices", "get", 4821).out


def test_errors_are_escaped_too(cake, sandbox) -> None:
    ran = cake("invoices", "list", "--status", "\x1b[31m")
    assert "\x1b" not in ran.err
    ran = cake("invoices", "list", "--\x1b[31m")
    assert "\x1b" not in ran.err
    assert sandbox.state.requests == []
    refusal = JSONResponse({"request_status": "Error", "message": "\x1b\u202eno\nno"})
    sandbox.state.on_request.append(lambda _: refusal)
    ran = cake("invoices", "list")
    assert ran.code == 5
    # Line ends and ESC are taken out below already.
    assert ran.err == "aiocake: refused: \\u202eno no (HTTP 200)\n"


def test_names_keep_what_they_are_written_with(cake, named) -> None:
    name = "Zażółć 日本🍰 👩\u200d👩\u200d👧 می\u200cخواهم"  # noqa: RUF001 - Persian
    named(name)
    assert name in cake(*ROWS).out
    assert name in cake(*ROWS, "-f", "json").out
    assert name in cake(*ROWS, "-f", "csv").out


def test_a_table_is_lined_up_also_where_characters_are_wide(cake, named) -> None:
    found = named("日本")
    found[0].partner_name = "plain"
    lines = cake(*ROWS).out.splitlines()
    # Each of the two characters takes two columns.
    columns = [line.replace("日本", "abcd").index("2024-01") for line in lines[2:3]]
    assert columns == [lines[0].index("start ")]


def test_more_rows_than_the_table_is_measured_by_come_all(cake, sandbox, stage) -> None:
    stage.sandbox = type(sandbox)(invoices=1_203, api_key="canary-K3Y")
    name = "longer than any of those by which the widths were set, and shown whole"
    last = list(stage.sandbox.state.invoices.values())[-1]
    last.partner_name = name
    lines = cake("invoices", "list").out.splitlines()
    assert name in lines[-1]
    assert len(lines) == 2 + 1_203
    assert [line.split()[0] for line in lines[2:]] == list(map(str, stage.sandbox.state.invoices))


def test_half_of_a_pair_is_written_out() -> None:
    assert escaped("a\ud800b") == "a\\ud800b"
    text = "a\ud800b\U000e0001"
    assert escaped_json(text) == "a\\ud800b\\udb40\\udc01"
    assert json.loads(f'"{escaped_json(text)}"') == text
    assert spreadsheet_text("\ud800") == "\\ud800"
