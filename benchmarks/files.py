"""Writing invoices that are in memory to a file, beside what one would write by hand.

What reading them takes is left out: ``page`` and ``paging`` measure it; and ``memory`` measures
whole runs of the command.
"""

import csv
import gc
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.harness.processes import Worker
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "Invoices to a file"
UNIT: Final = "µs of CPU a row"
ROWS: Final = 20_000
#: A sheet takes pandas twenty times as long as CSV.
SHEET: Final = 2_500
BY_HAND: Final = "csv.writer"
PANDAS: Final = "pandas"
PYARROW: Final = "pyarrow"
CSV: Final = f"CSV of {ROWS:,}"
XLSX: Final = f"XLSX of {SHEET:,}"
PARQUET: Final = f"Parquet of {ROWS:,}"
LACKS: Final = {
    BY_HAND: "No guard against formulas; no kind; a file that is half there if the run fails.",
    PANDAS: "Holds all rows, and a copy of them; amounts of XLSX are floats that Excel rounds, "
    "without totals or the places of a currency.",
    PYARROW: "Holds all rows as dicts, and a copy of them.",
}
TARGETS: Final = (
    Target(CSV, 2.0, BY_HAND),
    Target(CSV, 1.3, PANDAS),
    Target(XLSX, 0.8, PANDAS),
    Target(PARQUET, 1.6, PYARROW),
)


def invoices() -> list[Any]:
    """Return invoices whose names repeat and whose amounts do not."""
    from aiocake import Invoice, InvoiceStatus  # noqa: PLC0415 - not in the process that compares

    chance = Random(1)
    return [
        Invoice(
            invoice_id=4_821 + at,
            invoice_status=chance.choice(list(InvoiceStatus)),
            total_amount=Decimal(chance.randint(1, 10**7)).scaleb(-2),
            affiliate_id=67_890 + at % 400,
            affiliate_name=f"Prime Traffic, {at % 400}",
            start_date=date(2024, 1 + at % 12, 1),
            end_date=date(2024, 1 + at % 12, 28),
            currency=chance.choice(("USD", "EUR", "GBP")),
        )
        for at in range(ROWS)
    ]


def ours(rows: list[Any], file: Path) -> None:
    """Write by the command."""
    from aiocake import Invoice  # noqa: PLC0415 - not in the process that compares
    from aiocake.cli.formats import layout_of  # noqa: PLC0415 - the same
    from aiocake.cli.output import Output  # noqa: PLC0415 - the same

    with Output.of(None, file).records(layout_of(Invoice)) as write:
        for row in rows:
            write(row)


def by_hand(rows: list[Any], file: Path) -> None:
    """Write what is shown of a row, a row at a time."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(_NAMES)
        lines.writerows([getattr(row, name) for name in _NAMES] for row in rows)


def by_pandas(rows: list[Any], file: Path) -> None:
    """Write by a data frame."""
    import pandas as pd  # noqa: PLC0415 - only in the process of this one

    frame = pd.DataFrame([[getattr(row, name) for name in _NAMES] for row in rows], columns=_NAMES)
    if file.suffix == ".csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_excel(file, index=False, engine="xlsxwriter")


def by_pyarrow(rows: list[Any], file: Path) -> None:
    """Write by a table of Arrow."""
    import pyarrow as pa  # noqa: PLC0415 - only in the process of this one
    import pyarrow.parquet as pq  # noqa: PLC0415 - the same

    kinds = {"invoice_id": pa.int64(), "total_amount": pa.decimal128(38, 10)}
    kinds |= {"affiliate_id": pa.int64(), "advertiser_id": pa.int64()}
    kinds |= dict.fromkeys(("start_date", "end_date", "invoice_date"), pa.date32())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in _NAMES])
    found = [{name: getattr(row, name) for name in _NAMES} for row in rows]
    pq.write_table(pa.Table.from_pylist(found, schema=schema), file, row_group_size=50_000)


_NAMES: Final = (
    *("invoice_id", "invoice_status", "total_amount", "affiliate_id", "affiliate_name"),
    *("advertiser_id", "advertiser_name", "start_date", "end_date", "currency"),
    *("currency_symbol", "invoice_date", "billing_cycle_name", "payment_type"),
)
_WRITERS: Final[Mapping[str, Callable[[list[Any], Path], None]]] = {
    OURS: ours,
    BY_HAND: by_hand,
    PANDAS: by_pandas,
    PYARROW: by_pyarrow,
}
_rows: list[Any] = []


def cpu(way: str, ending: str) -> float:
    """Return the µs of CPU that writing takes, for each row."""
    if not _rows:
        _rows.extend(invoices()[: SHEET if ending == "xlsx" else ROWS])
        cpu(way, ending)  # imports, and what is built once
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a.{ending}"
        gc.collect()
        begin = time.process_time()
        _WRITERS[way](_rows, file)
        taken = time.process_time() - begin
        if file.stat().st_size < len(_rows):
            raise AssertionError(f"{file.stat().st_size} bytes")
    return taken / len(_rows) * 1e6


def run(rounds: int) -> Cases:
    """Measure."""
    cases: Cases = {}
    for case, ending, rivals in (
        (CSV, "csv", (BY_HAND, PANDAS)),
        (XLSX, "xlsx", (PANDAS,)),
        (PARQUET, "parquet", (PYARROW,)),
    ):
        with ExitStack() as stack:
            ways = {
                way: stack.enter_context(Worker("benchmarks.files:cpu", way=way, ending=ending))
                for way in (OURS, *rivals)
            }
            asked = {way: partial(worker.ask) for way, worker in ways.items()}
            cases[case] = interleaved(asked, rounds)
    return cases
