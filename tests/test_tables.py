"""Records as tables and files: pandas, polars, DuckDB, pyarrow and openpyxl lose nothing of them.

One module, since importing all of these takes seconds. What is read is compared with the state of
the sandbox, not with what aiocake read.
"""
# ruff: noqa: ANN001, ANN401 - fixtures of many types, and values that are wrong

import ast
import inspect
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import attrs
import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aiocake
from aiocake import COLUMNS, AffiliateBill, ArgumentError, ColumnType, ExchangeRate, Invoice
from aiocake.cli.app import run
from aiocake.sandbox import InvoiceRecord, Sandbox, serve

from .support.pages import blocks, language

KEY = "canary-K3Y"
NAMES = [
    "=cmd|' /C calc'!A0",
    "'apostrophe",
    'two "quotes", a comma; and \\ a backslash',
    "line\nfeed and\r\nboth, and \r alone",
    "a\ttab, and blanks  ",
    " blank before",
    "日本🍰 👩\u200d👩\u200d👧 e\u0301",
    "\u202eright to left \u200f\u05d0",
    "\x1b[31mred\x07",
    "<r><t>rich</t></r>",
    "_x0041_ &amp; <b>",
    "NA",
    "null",
    "1250.00",
    "-5",
    "2024-01-01",
    "true",
    "#N/A",
    "\ufeffmark",
]
AMOUNTS = [
    "0.10",
    "-0.01",
    "9999999999999.99",
    "12345678901234567.89",
    "12345678901234567890123456.78",
    "99999.99",
    "1E+3",
    "-1250.10",
    "0",
]


@pytest.fixture(scope="module")
def hostile() -> Iterator[Sandbox]:
    """Serve a sandbox with names and amounts that a format can lose."""
    sandbox = Sandbox(invoices=len(NAMES) + len(AMOUNTS), bills=12, api_key=KEY)
    invoices = list(sandbox.state.invoices.values())
    for invoice, name in zip(invoices, NAMES, strict=False):
        invoice.partner_name = name
    for invoice, amount in zip(reversed(invoices), AMOUNTS, strict=False):
        invoice.total_amount = Decimal(amount)
    invoices[1].start_date = invoices[1].end_date = date(1899, 12, 31)
    with serve(sandbox) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAKE_DOMAIN", url)
        patch.setenv("CAKE_API_KEY", KEY)
        yield sandbox


@pytest.fixture(scope="module")
def expected(hostile: Sandbox) -> list[dict[str, object]]:
    return list(map(row_of, hostile.state.invoices.values()))


def row_of(invoice: InvoiceRecord) -> dict[str, object]:
    """What the columns of an invoice of the sandbox have to be."""
    payout = invoice.affiliate_id is not None
    return {
        "kind": "payout" if payout else "revenue",
        "invoice_id": invoice.invoice_id,
        "invoice_status": invoice.invoice_status,
        "total_amount": invoice.total_amount,
        "affiliate_id": invoice.affiliate_id,
        "affiliate_name": invoice.partner_name if payout else None,
        "advertiser_id": invoice.advertiser_id,
        "advertiser_name": None if payout else invoice.partner_name,
        "start_date": invoice.start_date,
        "end_date": invoice.end_date,
        "currency": invoice.currency,
        **dict.fromkeys(("currency_symbol", "invoice_date", "billing_cycle_name", "payment_type")),
    }


def written(folder: Path, name: str, *words: str) -> Path:
    assert run(["invoices", "list", "--out", str(folder / name), *words]) == 0
    return folder / name


# Reading CSV exactly, as docs/data.md has it.


def by_duckdb(file: Path) -> list[dict[str, object]]:
    found = duckdb.read_csv(str(file), dtype=dict(COLUMNS[Invoice]), allow_quoted_nulls=False)
    return found.to_arrow_table().to_pylist()


def by_polars(file: Path) -> list[dict[str, object]]:
    types = {
        ColumnType.INTEGER: pl.Int64,
        ColumnType.DECIMAL: pl.Decimal(38, 10),
        ColumnType.DATE: pl.Date,
    }
    overrides = {name: types.get(each, pl.String) for name, each in COLUMNS[Invoice].items()}
    return pl.read_csv(file, schema_overrides=overrides).to_dicts()


def by_pandas(file: Path) -> list[dict[str, object]]:
    types = {
        ColumnType.INTEGER: pd.ArrowDtype(pa.int64()),
        ColumnType.DATE: pd.ArrowDtype(pa.date32()),
    }
    columns = COLUMNS[Invoice].items()
    text = pd.ArrowDtype(pa.string())
    amounts = [name for name, each in columns if each is ColumnType.DECIMAL]
    frame = pd.read_csv(
        file,
        dtype={name: types.get(each, text) for name, each in columns if name not in amounts},
        converters=dict.fromkeys(amounts, lambda cell: Decimal(cell) if cell else None),
        keep_default_na=False,
        na_values=[""],
    )
    return pa.Table.from_pandas(frame, preserve_index=False).to_pylist()


def test_raw_csv_is_read_back_whole(hostile, expected, tmp_path: Path) -> None:
    del hostile
    file = written(tmp_path, "a.csv", "--raw")
    for read in (by_duckdb, by_polars, by_pandas):
        assert read(file) == expected, read.__name__


def test_guarded_csv_differs_from_raw_csv_by_what_spreadsheets_and_terminals_obey(
    hostile, expected, tmp_path: Path
) -> None:
    del hostile
    found = by_duckdb(written(tmp_path, "a.csv"))
    names = {"affiliate_name", "advertiser_name"}
    for row, whole in zip(found, expected, strict=True):
        assert {n: row[n] for n in row if n not in names} == {
            n: whole[n] for n in whole if n not in names
        }
        name = row["affiliate_name"] or row["advertiser_name"]
        assert isinstance(name, str)
        assert name.isprintable() or {*name} & {"\u200d"}
        assert not name.startswith(("=", "-", "\t"))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.ndjson"])
def test_compressed_or_not_a_file_has_the_same_rows(
    hostile, expected, tmp_path: Path, name: str
) -> None:
    del hostile
    words = ("--raw",) if ".csv" in name else ()
    file = written(tmp_path, name, *words)
    if ".csv" in name:
        assert by_polars(file) == expected
        return
    columns = {n: str(each) for n, each in COLUMNS[Invoice].items()}
    found = duckdb.read_json(str(file), columns=columns, format="newline_delimited")
    assert found.to_arrow_table().to_pylist() == expected


def test_parquet_is_read_back_whole(hostile, expected, tmp_path: Path) -> None:
    del hostile
    file = written(tmp_path, "a.parquet")
    frame = pd.read_parquet(file, dtype_backend="pyarrow")
    assert pq.read_table(file).to_pylist() == expected
    assert pl.read_parquet(file).to_dicts() == expected
    assert duckdb.read_parquet(str(file)).to_arrow_table().to_pylist() == expected
    assert pa.Table.from_pandas(frame, preserve_index=False).to_pylist() == expected
    kinds = {field.name: str(field.type) for field in pq.read_schema(file)}
    assert (kinds["total_amount"], kinds["start_date"]) == ("decimal128(38, 10)", "date32[day]")


def test_xlsx_is_read_back_whole_and_has_totals(hostile, expected, tmp_path: Path, capsys) -> None:
    del hostile
    file = written(tmp_path, "a.xlsx")
    sheet = openpyxl.load_workbook(file).active
    head, *rows = sheet.iter_rows(values_only=True)
    assert head == tuple(COLUMNS[Invoice])
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", f"A1:O{len(expected) + 1}")
    records = [dict(zip(head, row, strict=True)) for row in rows]
    end = records.index(dict.fromkeys(head))
    assert list(map(of_excel, records[:end], expected)) == expected
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    totals, note = records[end + 1 : -1], records[-1]["kind"]
    texts = sum(isinstance(each["total_amount"], str) for each in records)
    assert texts > 2, "some of the totals, too"
    assert note.startswith(f"{texts} of the numbers are texts, since they have more than 15 digits")
    assert capsys.readouterr().err == f"aiocake: {note}\n"
    assert {(t["kind"], t["invoice_status"], t["currency"]) for t in totals} == {
        (row["kind"], row["invoice_status"], row["currency"]) for row in expected
    }
    for total in totals:
        same = [r for r in expected if all(r[n] == total[n] for n in ("kind", "currency"))]
        same = [r for r in same if r["invoice_status"] == total["invoice_status"]]
        assert total["invoice_id"] == f"Total of {len(same)}"
        assert Decimal(str(total["total_amount"])) == sum(r["total_amount"] for r in same)


def of_excel(row: dict[str, Any], wanted: dict[str, object]) -> dict[str, object]:
    """Return what Excel has in a row, as Python's own values."""
    amount, start = row["total_amount"], row["start_date"]
    assert isinstance(amount, str) is (len(str(wanted["total_amount"])) > 16)
    if isinstance(start, str):  # before Excel's first date
        start = datetime.fromisoformat(start)
    found = {**row, "total_amount": Decimal(str(amount)), "start_date": start.date()}
    found["end_date"] = found["start_date"] if start.year < 1900 else row["end_date"].date()
    for name in ("affiliate_name", "advertiser_name"):
        if found[name] is not None:
            found[name] = openpyxl.utils.escape.unescape(found[name])
    return found


def test_numbers_of_a_sheet_show_the_places_of_their_currency(tmp_path: Path) -> None:
    sandbox = Sandbox(invoices=4, api_key=KEY)
    shown = {"JPY": "1500", "KWD": "1500.5", "USD": "1500.5", "EUR": "1500.5678"}
    for invoice, (currency, amount) in zip(
        sandbox.state.invoices.values(), shown.items(), strict=True
    ):
        invoice.currency, invoice.total_amount = currency, Decimal(amount)
    bill = next(iter(sandbox.state.affiliate_bills.values()))
    with serve(sandbox) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAKE_DOMAIN", url)
        patch.setenv("CAKE_API_KEY", KEY)
        file = written(tmp_path, "a.xlsx")
        bill.amount = Decimal("8472.0123")
        words = ["bills", "export", "--period", "2014-06", "--out", str(tmp_path / "b.xlsx")]
        assert run(words) == 0
    rows = openpyxl.load_workbook(file)["invoices"]
    forms = {rows.cell(at, 11).value: rows.cell(at, 4).number_format for at in range(2, 6)}
    assert forms == {"JPY": "#,##0", "KWD": "#,##0.000", "USD": "#,##0.00", "EUR": "#,##0.0000"}
    bills = openpyxl.load_workbook(tmp_path / "b.xlsx")["bills"]
    place = list(COLUMNS[AffiliateBill]).index("amount") + 1
    assert (bills.cell(2, place).value, bills.cell(2, place).number_format) == (
        8472.0123,
        "#,##0.0000",
    )


# Tables in Python.


@pytest.fixture(scope="module")
def read(hostile: Sandbox) -> dict[str, list[Any]]:
    """Records as the client reads them."""
    del hostile

    async def collected() -> dict[str, list[Any]]:
        async with aiocake.Client.from_env() as cake:
            return {
                "invoices": await cake.invoices.find().collect(),
                "bills": await cake.affiliate_bills.export(
                    period=aiocake.Period.year(2014)
                ).collect(),
                "rates": await cake.reference.exchange_rates(
                    start_date=date(2024, 1, 1), end_date=date(2024, 3, 1)
                ),
            }

    return anyio.run(collected)


def test_a_table_is_exact_for_each_library(read, expected) -> None:
    rows = aiocake.table(read["invoices"])
    assert repr(rows) == f"<RecordTable of {len(expected)} rows, 15 columns>"
    assert rows.columns == COLUMNS[Invoice]
    assert list(rows) == expected
    assert pl.DataFrame(rows).to_dicts() == expected
    assert pa.table(rows).to_pylist() == expected
    assert pa.schema(rows).names == list(COLUMNS[Invoice])
    assert duckdb.sql("FROM rows").to_arrow_table().to_pylist() == expected
    for frame in (pd.DataFrame(rows), pd.DataFrame.from_arrow(rows)):
        assert list(frame["total_amount"]) == [row["total_amount"] for row in expected]
        assert list(frame["start_date"]) == [row["start_date"] for row in expected]
        assert list(frame["kind"]) == [row["kind"] for row in expected]
    exact = pa.table(rows).to_pandas(types_mapper=pd.ArrowDtype)
    assert pa.Table.from_pandas(exact, preserve_index=False).to_pylist() == expected


def test_a_table_of_bills_or_rates_has_all_that_they_have(read, hostile) -> None:
    bills = pl.DataFrame(aiocake.table(read["bills"]))
    assert bills.columns == list(aiocake.columns(AffiliateBill))
    stored = hostile.state.affiliate_bills
    assert dict(zip(bills["bill_id"], bills["amount"], strict=True)) == {
        bill.bill_id: bill.amount for bill in stored.values()
    }
    contacts = json.loads(bills["contacts"][0])
    assert contacts[0]["last_name"] == next(iter(stored.values())).partner.contact_last_name
    rates = pl.DataFrame(aiocake.table(read["rates"]))
    assert list(rates["rate"]) == [rate.rate for rate in read["rates"]]
    assert list(rates["start_date"]) == [rate.start_date for rate in read["rates"]]
    assert {str(rate).count("0") > 6 for rate in rates["rate"]} == {True}, "ten places"


def test_each_class_of_records_has_columns_with_types() -> None:
    for model, columns in COLUMNS.items():
        assert tuple(columns) == aiocake.columns(model)
        assert set(columns.values()) <= set(ColumnType)
    assert COLUMNS[ExchangeRate]["rate"] == "DECIMAL(38, 10)"
    assert Invoice in COLUMNS
    assert str not in COLUMNS
    assert ", Invoice, " in repr(COLUMNS)


def changed(read: dict[str, list[Any]], **fields: object) -> Invoice:
    return attrs.evolve(read["invoices"][0], **fields)


@pytest.mark.parametrize(
    ("records", "model", "reason"),
    [
        pytest.param(
            lambda r: [*r["invoices"], r["bills"][0]],
            None, r"records\[28\]: must be of Invoice, as the others", id="mixed",
        ),
        pytest.param(
            lambda r: r["bills"], Invoice, r"records\[0\]: must be of Invoice", id="other"
        ),
        pytest.param(lambda _: [], None, "model: is needed", id="empty"),
        pytest.param(lambda _: [], str, "model: must be of a class in COLUMNS", id="model"),
        pytest.param(lambda _: [1], None, r"records\[0\]: must be of a class in COLUMNS", id="int"),
        pytest.param(lambda r: r["invoices"][0], None, "records: must be an iterable", id="one"),
        pytest.param(
            lambda r: [changed(r, total_amount=Decimal("0.12345678901"))],
            None, r"records\[0\]\.total_amount: must have at most 10 decimal places", id="places",
        ),
        pytest.param(
            lambda r: [*r["invoices"], changed(r, total_amount=Decimal("1E28"))],
            None, r"records\[28\]\.total_amount: must have", id="digits",
        ),
        pytest.param(
            lambda r: [changed(r, invoice_id=2**63)],
            None, r"records\[0\]\.invoice_id: must be a whole number of at most 64 bits", id="id",
        ),
        pytest.param(
            lambda r: [changed(r, affiliate_name="\ud800")],
            None, r"records\[0\]\.affiliate_name: must be a text that UTF-8 can encode", id="half",
        ),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(
    read, records: Callable[[Any], Any], model: Any, reason: str
) -> None:
    with pytest.raises(ArgumentError, match=f"^{reason}"):
        aiocake.table(records(read), model)


def test_an_empty_table_has_columns_and_numbers_at_the_border_fit(read) -> None:
    assert pl.DataFrame(aiocake.table([], Invoice)).schema["total_amount"] == pl.Decimal(38, 10)
    wide = f"{'9' * 28}.{'9' * 10}"
    most = [wide, f"-{wide}", "0E-30", f"1.5{'0' * 20}"]
    rows = [changed(read, total_amount=Decimal(each)) for each in most]
    assert [row["total_amount"] for row in aiocake.table(rows)] == list(map(Decimal, most))
    many = aiocake.table(read["invoices"] * 100)
    assert len(list(many)) == len(many) == 100 * len(read["invoices"])


def test_without_pyarrow_it_is_said_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; import aiocake\n"
        "try: aiocake.table([], aiocake.Invoice)\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "aiocake.table needs pyarrow: pip install 'aiocake[parquet]'\n"


# The page about it.


def test_the_page_about_data_is_true(hostile, tmp_path: Path, monkeypatch) -> None:
    del hostile
    monkeypatch.chdir(tmp_path)
    kinds = {"sh", "python", "toml"}
    found = [(language(each), str(each.parsed)) for each in blocks("docs/data.md", *kinds)]
    assert {kind for kind, _ in found} == kinds
    names: dict[str, Any] = {"aiocake": aiocake}

    async def python(code: str) -> None:
        compiled = compile(code, "data.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(compiled, names)  # noqa: S307 - our own page
        if inspect.iscoroutine(made):
            await made

    async def with_client(code: str) -> None:
        async with aiocake.Client.from_env() as names["cake"]:
            await python(code)

    for kind, code in found:
        if kind == "toml":
            Path("mine.toml").write_text(code, "utf-8")
        elif kind == "python":
            anyio.run(with_client, code)
        else:
            for line in code.splitlines():
                name, *words = shlex.split(line)
                assert (name, run(words)) == ("aiocake", 0), line
                out = Path(words[words.index("--out") + 1])
                assert out.stat().st_size > 100, line
