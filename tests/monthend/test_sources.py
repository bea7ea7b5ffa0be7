"""Rows of a file of one's own: each is a call, or is named with its line."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake import ArgumentError, Client, PlanError
from aiocake.cli.text import spreadsheet_text
from aiocake.monthend import CallFile, draft
from aiocake.monthend.sources import RowFile
from aiocake.sandbox import Sandbox
from aiocake.values import ERASE

from ..support.clients import in_process

UPDATE, RECEIVED = "invoices.update", "affiliate_bills.mark_received"
BUYER = "buyer_bills.mark_received"


@pytest.fixture
def cake() -> Iterator[Client]:
    client = in_process(Sandbox(invoices=0, bills=0))
    yield client
    anyio.run(client.aclose)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def read(file: Path, cake: Client, operation: str | None) -> list[dict[str, object]]:
    return [dict(call.arguments) for call in CallFile(file, cake, operation=operation)]


def problems(file: Path, cake: Client, operation: str | None = UPDATE) -> list[str]:
    with pytest.raises(PlanError) as caught:
        read(file, cake, operation)
    return list(map(str, caught.value.problems))


def test_cells_are_values_of_the_parameters(cake: Client, file: Path) -> None:
    file.write_text(
        "bill_id,invoiced_amount,date_invoice_received,notes\n"
        '345,-1250.10,2014-07-01,"two\nlines, ""quoted"""\n'
        "\n"
        " 346 ,7,,\n"
    )
    assert read(file, cake, RECEIVED) == [
        {
            "bill_id": 345,
            "invoiced_amount": Decimal("-1250.10"),
            "date_invoice_received": date(2014, 7, 1),
            "notes": 'two\nlines, "quoted"',
        },
        {"bill_id": 346, "invoiced_amount": Decimal(7)},
    ]
    calls = CallFile(file, cake, operation=RECEIVED)
    assert [calls.place(at) for at, _ in enumerate(calls)] == ["line 2", "line 5"]
    file.write_text("invoice_id,invoice_status,paid_at\n1,paid,2024-02-15T10:00:00Z\n")
    assert read(file, cake, UPDATE)[0]["paid_at"] == datetime(2024, 2, 15, 10, tzinfo=UTC)
    file.write_text("bill_id,payment_amount,apply_credit_to_buyer\n1,5,false\n2,5,true\n")
    credited = [each["apply_credit_to_buyer"] for each in read(file, cake, BUYER)]
    assert credited == [False, True]


def test_json_lines_are_the_same(cake: Client, file: Path) -> None:
    file.write_text(
        '{"operation": "affiliate_bills.mark_received", "bill_id": 345, "invoiced_amount": 12.10}\n'
        "\n"
        '{"operation": "affiliate_bills.mark_received", "bill_id": "346", "invoiced_amount": "7",'
        ' "notes": {"mark": "ERASE"}, "date_invoice_received": {"date": "2014-07-01"}}\n'
        '{"operation": "invoices.update", "invoice_id": 1, "memo": "\\u00fc"}\n'
    )
    assert read(file, cake, None) == [
        {"bill_id": 345, "invoiced_amount": Decimal("12.10")},
        {
            "bill_id": 346,
            "invoiced_amount": Decimal(7),
            "notes": ERASE,
            "date_invoice_received": date(2014, 7, 1),
        },
        {"invoice_id": 1, "memo": "ü"},
    ]


def test_a_file_may_come_from_a_spreadsheet(cake: Client, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfinvoice_id,memo\r\n1,'=SUM(A1)\r\n2,'quoted'\r\n3,'-5\r\n")
    assert [each["memo"] for each in read(file, cake, UPDATE)] == ["=SUM(A1)", "'quoted'", "-5"]


@given(text=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=9))
def test_what_our_own_csv_has_guarded_is_as_it_was(text: str) -> None:
    guarded = spreadsheet_text(text)
    if text.startswith("'"):  # which is not ours to take off, unless it stands before a formula
        return
    import csv  # noqa: PLC0415
    import io  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    lines = io.StringIO()
    csv.writer(lines).writerows([["memo"], [guarded]])
    with tempfile.NamedTemporaryFile() as kept:
        Path(kept.name).write_text(lines.getvalue(), newline="")
        rows = list(RowFile(kept.name))
    assert [row.cells for row in rows] == [{"memo": text}]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ('1,"1,250.00",', "invoiced_amount: is not an amount in plain digits such as 1250.00"),
        ("1,1.250,00,", "has 4 cells, but there are 3 columns"),
        ("1,1e3,", "invoiced_amount: is not an amount"),
        ("1,$5,", "invoiced_amount: is not an amount"),
        ("1,+5,", "invoiced_amount: is not an amount"),
        ("1,1.250,", "invoiced_amount: has three decimals, which may be thousands"),
        ("1,-12.500,", "invoiced_amount: has three decimals, which may be thousands"),
        ("1,\u0665,", "invoiced_amount: is not an amount"),
        ("1,5,01/02/2024", "date_invoice_received: is not a date such as 2024-01-31"),
        ("1,5,2024-02-30", "date_invoice_received: is not a date"),
        ("1,5,20240201", "date_invoice_received: is not a date"),
        ("1,5,2024-W05-1", "date_invoice_received: is not a date"),
        ("x,5,", "bill_id: is not a whole number"),
        ("1.0,5,", "bill_id: is not a whole number"),
        ("0,5,", "bill_id: must be"),
        ("1,,", "invoiced_amount: is required"),
        ("1", "has 1 cells, but there are 3 columns"),
    ],
)
def test_a_bad_cell_is_named_with_its_line(cake: Client, file: Path, cells: str, said: str) -> None:
    file.write_text(f"bill_id,invoiced_amount,date_invoice_received\n8,5,\n{cells}\n9,x,\n")
    found = problems(file, cake, RECEIVED)
    assert found[0].startswith(f"line 3: {said}"), found
    assert found[1:] == [
        "line 4: invoiced_amount: is not an amount in plain digits such as 1250.00, without commas"
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: is empty"),
        (b"\n \r\n", "line 2: is empty"),
        (b"\xef\xbb\xbf", "line 1: is empty"),
        (b"invoice_id;memo\n1;x\n", "line 1: has semicolons between its columns"),
        (b"invoice_id,memo,memo\n", "line 1: names a column twice: 'memo'"),
        (b"invoice_id,,memo\n", "line 1: has no name for column 2"),
        (b"invoice_id,memo\n1,\xff\n", "line 2: is not in UTF-8"),
        ("invoice_id,memo\n".encode("utf-16"), "line 1: is in UTF-16"),
        (b'invoice_id,memo\n1,"x\n', "line 2: is not CSV"),
        (b'invoice_id,memo\n1,"x"y\n', "line 2: is not CSV"),
        (b"invoice_id,memo\n1," + b"x" * (1 << 20), "line 2: is longer than a megabyte"),
    ],
)
def test_a_file_of_a_broken_form_says_where(
    cake: Client, file: Path, data: bytes, said: str
) -> None:
    file.write_bytes(data)
    found = problems(file, cake)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_unknown_columns_are_named_once_and_can_be_left_out(cake: Client, file: Path) -> None:
    file.write_text("invoice_id,memo,iban,\x1b[31m\n1,x,A,B\n2,y,C,D\n")
    found = problems(file, cake)
    where = "is not one of the columns that are read: invoice_id, invoice_status, memo, paid_at"
    assert found[:2] == [f"line 1: 'iban': {where}", f"line 1: '\\x1b[31m': {where}"]
    calls = CallFile(file, cake, operation=UPDATE, ignore=["iban", "\x1b[31m"])
    assert [dict(each.arguments) for each in calls] == [
        {"invoice_id": 1, "memo": "x"},
        {"invoice_id": 2, "memo": "y"},
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "is not a JSON object"),
        ("{", "is not JSON"),
        ('{"invoice_id": 1, "invoice_id": 2}', "names a field twice"),
        ('{"invoice_id": NaN}', "is not JSON"),
        ('{"invoice_id": 1, "memo": null}', "memo: None is not taken"),
        ('{"invoice_id": 1.5, "memo": "x"}', "invoice_id: must be"),
        ('{"invoice_id": 1, "memo": {"a": 1}}', "memo: is an object, and none that a call has"),
        ('{"invoice_id": 1, "memo": {"a": 1, "b": 2}}', "memo: is an object"),
        ('{"invoice_id": 1, "memo": []}', "memo: must be"),
        ('{"invoice_id": 1, "mem": "x"}', "'mem': is not one of the columns"),
        ('{"invoice_id": 1}', "invoice_status, memo, paid_at: an update must set one"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_of_json_is_named(cake: Client, file: Path, line: str, said: str) -> None:
    file.write_text(f'{{"invoice_id": 1, "memo": "x"}}\n{line}\n')
    (found,) = problems(file, cake)
    assert found.startswith(f"line 2: {said}"), found


def test_a_column_may_say_the_operation(cake: Client, file: Path) -> None:
    file.write_text("operation,invoice_id,memo\ninvoices.update,1,x\ninvoices.get,1,x\n,1,x\n")
    found = problems(file, cake, None)
    assert found[0].startswith("line 3: names no operation that a plan may hold: one of invoices.")
    assert found[1].startswith("line 4: has no operation: one of")
    assert "'operation'" in problems(file, cake)[0]
    with pytest.raises(ArgumentError, match=r"operation: must be one of invoices\.update"):
        CallFile(file, cake, operation="invoices.get")


def test_what_is_set_on_all_rows_is_no_column(cake: Client, file: Path) -> None:
    file.write_text("invoice_id,memo\n1,x\n2,\n")
    calls = CallFile(file, cake, operation=UPDATE, arguments={"memo": "all"})
    with pytest.raises(PlanError, match="line 2: memo: is given for all rows as well"):
        list(calls)


def test_a_list_of_ids_needs_no_header(cake: Client, file: Path) -> None:
    month = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}

    def affiliates() -> Iterator[object]:
        file_of = CallFile(
            file, cake, operation="invoices.create", arguments=month, bare="affiliate_id"
        )
        return (call.arguments["affiliate_id"] for call in file_of)

    for text in ("7\n8\n", "\ufeff7\r\n8\r\n", "affiliate_id\n7\n8\n", '{"affiliate_id":7}\n'):
        file.write_text(text, newline="")
        assert next(affiliates()) == 7


def test_no_more_problems_are_listed_than_anybody_reads(
    cake: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "MOST_PROBLEMS", 5)
    file.write_text("invoice_id\n" + "1\n" * 100)
    found = problems(file, cake)
    assert (len(found), found[-1]) == (6, "and more: the rest was not looked at")


def test_a_file_that_cannot_be_read_is_named(cake: Client, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such file"):
        read(tmp_path / "none", cake, UPDATE)
    with pytest.raises(PlanError, match="cannot be read"):
        read(tmp_path, cake, UPDATE)
