"""XLSX, Parquet, compressed files, `--raw`, `--columns`, `--template`, and what is refused.

What is read back from them is in tests/test_tables.py.
"""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import gzip
import importlib.util
import io
import json
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from starlette.responses import JSONResponse

from aiocake.cli import output, workbook

LIST = ("invoices", "list", "--row-limit", 10)
BILLS = ("bills", "export", "--period", "2014-06")


def nothing_else_in(folder: Path, *files: str) -> bool:
    return sorted(entry.name for entry in folder.iterdir()) == sorted(files)


@pytest.fixture
def wide(sandbox) -> None:
    """Have the next list hold an amount with more places than a column of Parquet."""
    row = {"invoice_id": 1, "invoice_status": "paid", "currency": "USD", "affiliate_id": 1}
    answer = {"request_status": "Success", "total_rows": 1}
    answer["invoices"] = [{**row, "total_amount": "0.12345678901"}]  # type: ignore[assignment]
    sandbox.state.on_request.append(lambda _: JSONResponse(answer))


def test_the_same_records_are_the_same_file(cake, tmp_path: Path) -> None:
    for name in ("a.csv.gz", "a.ndjson.gz", "a.json.gz"):
        plain = tmp_path / name.removesuffix(".gz")
        for file in (tmp_path / name, tmp_path / f"again-{name}", plain):
            assert cake(*LIST, "--out", file).code == 0
        packed = (tmp_path / name).read_bytes()
        assert packed == (tmp_path / f"again-{name}").read_bytes()
        assert gzip.decompress(packed) == plain.read_bytes()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-o", "a.xlsx.gz"), "--out: only .csv.gz, .json.gz and .jsonl.gz are compressed, not"),
        (("-o", "a.gz"), "--out: only .csv.gz, .json.gz and .jsonl.gz are compressed, not table"),
        (("-o", "a.xlsx", "-f", "csv"), "--out: a.xlsx would not be what its name says: csv"),
        (("-o", "a.csv", "-f", "parquet"), "--out: a.csv would not be what its name says: parquet"),
        (("-o", "a.tsv"), "--out: no format fits a.tsv: use one of the extensions .csv, .json,"),
        (("-o", "a.json", "--raw"), "--raw: works with CSV only, not with json"),
        (("-o", "a.csv", "--raw", "--excel"), "--raw: cannot be combined with --excel"),
        (("--columns", "kind,kind"), "'--columns': kind may be given once only"),
        (("--columns", "kind,"), "'--columns': 'kind,' is not a list of names"),
        (
            ("--columns", "kind", "--template", "xero-bills"),
            "--columns: cannot be combined with --template",
        ),
        (
            ("--columns", "invoice_id,total_amuont"),
            "--columns: there is no column 'total_amuont'; did you mean 'total_amount'?",
        ),
        (("--columns", "x"), "--columns: there is no column 'x'; the columns are kind, invoice_id"),
        (
            ("--template", "xero"),
            "xero is neither a file nor a template; the templates are xero-bills, ",
        ),
        (
            ("--template", "xero-bills"),
            "--template: xero-bills: it is for other records: there are no columns 'bill_id', ",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_is_one_line_and_nothing_is_sent(  # noqa: PLR0913, PLR0917 - fixtures
    cake, sandbox, tmp_path: Path, monkeypatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cake(*LIST, *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert reason in ran.err
    assert sandbox.state.requests == []
    assert nothing_else_in(tmp_path)


@pytest.mark.parametrize(
    ("form", "library", "extra"),
    [("xlsx", "xlsxwriter", "excel"), ("parquet", "pyarrow", "parquet")],
)
def test_an_extra_that_is_missing_is_one_line(  # noqa: PLR0913, PLR0917 - fixtures
    cake, sandbox, tmp_path: Path, monkeypatch, form: str, library: str, extra: str
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(output, "find_spec", lambda name: None if name == library else there(name))
    ran = cake(*LIST, "--out", tmp_path / f"a.{form}")
    assert (ran.code, ran.err) == (
        2,
        f"aiocake: --format: {form} needs {library}: pip install 'aiocake[{extra}]'\n",
    )
    assert sandbox.state.requests == []


def test_a_terminal_is_shown_neither_bytes_nor_raw_texts(terminal, sandbox) -> None:
    ran = terminal(*LIST, "-f", "parquet").end()
    assert (ran.code, ran.out) == (
        2,
        "aiocake: --format: a terminal cannot show parquet: use --out\n",
    )
    ran = terminal(*LIST, "-f", "csv", "--raw").end()
    assert (ran.code, ran.out) == (
        2,
        "aiocake: --raw: a terminal would interpret control characters: use --out, or a pipe\n",
    )
    assert sandbox.state.requests == []


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
def test_a_pipe_takes_what_a_file_does(process, cake, tmp_path: Path, form: str) -> None:
    with (tmp_path / "piped").open("wb") as file:
        assert process(*LIST, "-f", form, stdout=file).code == 0
    assert cake(*LIST, "-o", tmp_path / f"a.{form}").code == 0
    files = (tmp_path / "piped", tmp_path / f"a.{form}")
    if form == "parquet":
        first, second = map(pq.read_table, files)
        assert first.equals(second)
        return
    first, second = (
        list(openpyxl.load_workbook(io.BytesIO(file.read_bytes())).active.values) for file in files
    )
    assert first == second


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.csv.gz"])
def test_a_disk_that_is_full_is_one_line_and_leaves_what_was_there(
    cake, tmp_path: Path, monkeypatch, name: str
) -> None:
    form = ("-f", name.split(".")[1])
    full = "aiocake: the output cannot be written: No space left on device\n"
    ran = cake(*LIST, *form, "--out", "/dev/full")
    assert (ran.code, ran.err) == (1, full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    if name == "a.xlsx":
        ran = cake(*LIST, "--out", tmp_path / name)
        assert (ran.code, ran.err) == (
            1,
            (
                "aiocake: the folder for temporary files cannot be written: "
                "No such file or directory: set TMPDIR to another one\n"
            ),
        )
        assert nothing_else_in(tmp_path)


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.csv.gz"])
def test_a_run_that_fails_leaves_the_old_file_and_nothing_beside_it(
    cake, sandbox, tmp_path: Path, monkeypatch, name: str
) -> None:
    file = tmp_path / name
    file.write_text("old")
    beside = tmp_path / "temporary"
    beside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(beside))

    def fail(_: object) -> JSONResponse | None:
        return JSONResponse({}, 404) if len(sandbox.state.requests) > 2 else None

    sandbox.state.on_request.append(fail)
    ran = cake(*LIST, "--out", file)
    assert ran.code not in {0, 2}
    assert ran.err.count("\n") == 1
    assert file.read_text() == "old"
    assert nothing_else_in(tmp_path, name, "temporary")
    assert nothing_else_in(beside)


def test_what_does_not_fit_into_parquet_is_refused_and_never_rounded(
    cake, wide, tmp_path: Path
) -> None:
    del wide
    ran = cake(*LIST, "--out", tmp_path / "a.parquet")
    assert ran.code == 1
    assert ran.err == (
        "aiocake: row 1 does not fit into Parquet: total_amount must have at most 10 decimal "
        "places, and 28 digits before; use csv or jsonl\n"
    )
    assert nothing_else_in(tmp_path)


def test_a_text_that_is_longer_than_a_cell_is_refused(cake, sandbox, tmp_path: Path) -> None:
    bill = next(iter(sandbox.state.affiliate_bills.values()))
    bill.notes = "🍰" * 16_383 + "x"  # each takes two of the 32,767
    assert cake(*BILLS, "--out", tmp_path / "a.xlsx").code == 0
    bill.notes += "x"
    ran = cake(*BILLS, "--out", tmp_path / "b.xlsx")
    assert ran.code == 1
    assert ran.err == (
        "aiocake: row 1 does not fit into XLSX: notes must have at most 32,767 characters; use csv "
        "or parquet\n"
    )
    assert nothing_else_in(tmp_path, "a.xlsx")


def test_a_sheet_that_is_full_is_followed_by_another(cake, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 16)
    ran = cake(*LIST, "--out", tmp_path / "a.xlsx", "--columns", "invoice_id,currency")
    assert ran.code == 0
    assert ran.err == "aiocake: a sheet of Excel has 16 rows: the records are in 3 sheets\n"
    sheets = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets
    assert [sheet.title for sheet in sheets[:3]] == ["invoices", "invoices 2", "invoices 3"]
    assert [sheet.cell(1, 1).value for sheet in sheets] == ["invoice_id"] * len(sheets)
    ids = [row[0] for sheet in sheets for row in sheet.values if isinstance(row[0], int)]
    assert len(set(ids)) == 40


@pytest.mark.parametrize("name", ["<r></r>", "<r> <t>a</t> &amp; </r>", "<r>", "<r>a</r>b"])
def test_a_text_is_not_taken_for_the_xml_of_a_workbook(
    cake, sandbox, tmp_path: Path, name: str
) -> None:
    for invoice in sandbox.state.invoices.values():
        invoice.partner_name = name
    file = tmp_path / "a.xlsx"
    assert cake("invoices", "list", "--out", file, "--columns", "affiliate_name").code == 0
    names = [row[0] for row in openpyxl.load_workbook(file).active.values]
    assert set(names[1:]) - {None} == {name}


# Which columns.


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "xlsx", "parquet"])
def test_columns_are_those_that_are_asked_for(cake, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"a.{form}"
    wanted = ["currency", "total_amount", "invoice_id"]
    assert cake(*LIST, "--columns", ",".join(wanted), "--out", file).code == 0
    if form == "xlsx":
        names = [cell.value for cell in openpyxl.load_workbook(file).active[1]]
    elif form == "parquet":
        names = pq.read_schema(file).names
    elif form == "json":
        names = list(json.loads(file.read_text("utf-8"))[0])
    elif form == "jsonl":
        names = list(json.loads(file.read_text("utf-8").splitlines()[0]))
    else:
        names = file.read_text("utf-8").splitlines()[0].replace(",", " ").split()
    # The heads of a table are short.
    assert names == (["ccy", "amount", "invoice"] if form == "table" else wanted)


def test_columns_of_one_record_and_of_totals(cake) -> None:
    assert cake("invoices", "get", 4821, "--columns", "total_amount").out.splitlines()[2:] == [
        "total_amount  1,250.00"
    ]
    out = cake("invoices", "list", "--totals", "--columns", "amount,count", "-f", "csv").out
    assert out.splitlines()[0] == "amount,count"


def test_bills_for_xero(cake, sandbox, tmp_path: Path) -> None:
    file = tmp_path / "bills.csv"
    assert (
        cake("bills", "export", "--period", 2014, "--template", "xero-bills", "-o", file).code == 0
    )
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    found = {int(row["*InvoiceNumber"]): row for row in rows}
    stored = sandbox.state.affiliate_bills
    assert len(found) > 20
    for number, row in found.items():
        bill = stored[number]
        last = bill.end_date - timedelta(days=1)
        # XML has no ESC.
        assert row["*ContactName"] == bill.partner.name.replace("\x1b", ""), "raw, for Xero"
        assert row["*InvoiceDate"] == f"{last:%d/%m/%Y}"
        assert row["*DueDate"] == f"{last + timedelta(days=30):%d/%m/%Y}"
        assert (row["*Quantity"], Decimal(row["*UnitAmount"])) == ("1", bill.amount)


def test_a_payout_is_a_bill_for_xero_and_revenue_is_none(cake, sandbox, tmp_path: Path) -> None:
    file = tmp_path / "bills.csv"
    ran = cake(*LIST, "--template", "xero-payouts", "-o", file)
    payouts = [i for i in sandbox.state.invoices.values() if i.affiliate_id is not None]
    left = len(sandbox.state.invoices) - len(payouts)
    assert (ran.code, ran.err) == (0, f"aiocake: the template left {left} records out\n")
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert [int(row["*InvoiceNumber"]) for row in rows] == [i.invoice_id for i in payouts]
    assert [row["Currency"] for row in rows] == [i.currency for i in payouts]


def test_a_template_of_ones_own(cake, sandbox, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        where = { invoice_status = ["pending", "approved"] }
        [[column]]
        name = "Due"
        from = "end_date"
        add_days = 1
        [[column]]
        name = "Betrag"
        from = "total_amount"
        decimals = 4
        [[column]]
        name = "Account"
        value = 400
        """,
        "utf-8",
    )
    ran = cake(*LIST, "--template", own, "-f", "csv")
    stored = [
        i for i in sandbox.state.invoices.values() if i.invoice_status in {"pending", "approved"}
    ]
    assert ran.out.splitlines()[1:] == [
        f"{i.end_date + timedelta(days=1)},{i.total_amount:.4f},400" for i in stored
    ]
    assert cake(*LIST, "--template", own, "-o", tmp_path / "a.parquet").code == 0
    kinds = [str(field.type) for field in pq.read_schema(tmp_path / "a.parquet")]
    assert kinds == ["date32[day]", "decimal128(38, 10)", "int64"]
    own.write_text(own.read_text("utf-8").replace("decimals = 4", "decimals = 0"), "utf-8")
    ran = cake(*LIST, "--template", own, "-f", "csv", "-o", tmp_path / "a.csv")
    assert ran.code == 1
    assert "a number of total_amount has more than 0 decimal places" in ran.err
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x", "is not TOML: "),
        ("[[column]]\nname = '\\xff'\nfrom = 'kind'\nvalue = '1'", "column 1: give either from"),
        ("raw = 1", "raw must be true or false; {file}: it must have a [[column]] at least"),
        ("columns = []", "'columns' is not known; did you mean 'column'?"),
        (
            "[[column]]\nname = 'a'\nform = 'b'",
            "column 1: 'form' is not known; did you mean 'from'?",
        ),
        ("[[column]]\nname = 'a'\nfrom = 'end_date'\ndate = 'd'", "date must be a form such as"),
        ("[[column]]\nname = 'a'\nvalue = 1.5", "column 1: value must be a text, a whole number"),
        ("[[column]]\nname = 'a'\nvalue = 1\nadd_days = 1", "are for a column with from"),
        ("[[column]]\nname = 'a'\nfrom = 'kind'\ndecimals = 11", "a whole number from 0 to 10"),
        ("[[column]]\nname = 'a'\nfrom = 'kind'\nadd_days = 1", "column 'a': kind is not a date"),
        ("[[column]]\nname = 'a'\nfrom = 'kind'\ndecimals = 1", "'a': kind is not an amount"),
        (
            "[where]\nknd = 'payout'\n[[column]]\nname = 'a'\nfrom = 'kind'",
            "where: there is no column 'knd'; did you mean 'kind'?",
        ),
        ("[[column]]\nname = 'a'\nvalue = 1\n" * 2, "two columns are called 'a'"),
    ],
)
def test_what_is_wrong_with_a_template_is_one_line(
    cake, sandbox, tmp_path: Path, content: str, reason: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(content, "utf-8")
    ran = cake(*LIST, "--template", own)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert str(own) in ran.err
    assert reason.format(file=own) in ran.err
    assert sandbox.state.requests == []


def test_what_the_command_itself_reports_is_text_in_parquet(cake, tmp_path: Path) -> None:
    assert cake("doctor", "--out", tmp_path / "a.parquet").code == 0
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.num_rows > 3
    assert {str(kind) for kind in table.schema.types} == {"string"}
