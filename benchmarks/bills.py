"""What it costs to read an export of bills, beside other ways to read the same file.

    python benchmarks/bills.py                      # 200,000 bills, about 200 MB
    python benchmarks/bills.py --rows 20000
    python benchmarks/bills.py --only aiocake expat

Each way runs in a process of its own. What is compared is CPU time for each bill, as a ratio to a
handler for expat that is written by hand and builds the very objects of aiocake, as the way by lxml
does, too; "expat" does nothing with what it finds. xsdata and zeep build objects of their own and
hold all of them, so they get a shorter file. Needs lxml, xsdata and zeep, and /proc for the memory.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from bills_otherwise import CAKE, STORE, by_hand, by_lxml, by_xsdata, by_zeep, chunks, nothing

from aiocake._operation import Api, Operation, Shape
from aiocake.codec.stream import BillStream
from aiocake.models import AffiliateBill

EXPORT: Operation[AffiliateBill] = Operation(
    name="affiliate_bills.export",
    api=Api.V1,
    path="/api/1/accounting.asmx",
    call="ExportAffiliateBills",
    shape=Shape.STREAM,
    element="affiliate_bills",
    row="affiliate_bill",
    model=AffiliateBill,
    page="",
)
BEFORE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    f'<soap:Body><ExportAffiliateBillsResponse xmlns="{CAKE}"><ExportAffiliateBillsResult>'
    "<success>true</success><row_count>{rows}</row_count><affiliate_bills>"
)
AFTER = (
    "</affiliate_bills></ExportAffiliateBillsResult></ExportAffiliateBillsResponse>"
    "</soap:Body></soap:Envelope>"
)
BILL = (
    "<affiliate_bill><bill_id>{id}</bill_id><affiliate>"
    f'<affiliate_id xmlns="{STORE}">{{partner}}</affiliate_id>'
    f'<affiliate_name xmlns="{STORE}">Müller &amp; Söhne {{partner}}</affiliate_name>'
    f'<account_status><account_status_id xmlns="{STORE}">1</account_status_id>'
    f'<account_status_name xmlns="{STORE}">Active</account_status_name></account_status>'
    "<account_managers><account_manager><contact_id>7</contact_id>"
    "<contact_name>Ann Example</contact_name></account_manager></account_managers>"
    "<affiliate_billing><contacts><contact><contact_id>7</contact_id>"
    "<contact_type>Accounting</contact_type></contact></contacts><billing_cycle>"
    f'<billing_cycle_id xmlns="{STORE}">3</billing_cycle_id>'
    f'<billing_cycle_name xmlns="{STORE}">Monthly</billing_cycle_name>'
    "</billing_cycle></affiliate_billing></affiliate>"
    "<billing_period_start_date>2014-06-01T00:00:00</billing_period_start_date>"
    "<billing_period_end_date>2014-07-01T00:00:00</billing_period_end_date>"
    "<bill_amount><currency_id>1</currency_id><amount>{amount}</amount>"
    "<formatted_amount>${amount}</formatted_amount></bill_amount>"
    "<invoice_number>A-{id}</invoice_number>"
    '<invoiced_amount xsi:nil="true" /><date_invoice_received xsi:nil="true" />'
    "<payment_date>2014-07-15T00:00:00</payment_date><payment_type_id>2</payment_type_id>"
    "<verification_code /><notes>paid in two parts</notes>"
    "<sent_payment>{sent}</sent_payment></affiliate_bill>"
)


def pieces(rows: int) -> Iterator[bytes]:
    """The export, piece by piece."""
    yield BEFORE.format(rows=rows).encode()
    for start in range(0, rows, 1000):
        yield "".join(
            BILL.format(
                id=number + 1,
                partner=number % 997 + 1,
                amount=f"{number * 7 % 90_000 - 500}.{number % 100:02}00",
                sent="yes" if number % 3 else "no",
            )
            for number in range(start, min(start + 1000, rows))
        ).encode()
    yield AFTER.encode()


async def arriving(file: Path) -> AsyncIterator[bytes]:
    """The same, for a loop."""
    for chunk in chunks(file):
        yield chunk


def aiocake(file: Path, take: Callable[[AffiliateBill], None]) -> None:
    """Ours."""

    async def read() -> None:
        stream = BillStream(EXPORT, 200, {}, arriving(file))
        assert await stream.head() is None
        async for bill in stream:
            take(bill)

    asyncio.run(read())


WAYS: dict[str, Callable[[Path, Callable[[Any], None]], None]] = {
    "aiocake": aiocake,
    "by hand": by_hand,
    "expat": nothing,
    "lxml": by_lxml,
    "xsdata": by_xsdata,
    "zeep": by_zeep,
}
WHOLE_TREE = ("xsdata", "zeep")


def held(what: str) -> int:
    """What this process holds ("VmRSS"), or held at most ("VmHWM"), in bytes."""
    found = re.search(rf"{what}:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def measure(way: str, file: Path, rows: int) -> None:
    """Read the file in one way, and print what it cost as JSON: the work of a child process."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.xml"
        small.write_bytes(b"".join(pieces(1)))
        WAYS[way](small, lambda _: None)  # loads what the first use loads
    idle = held("VmRSS")
    read = 0

    def take(_: object) -> None:
        nonlocal read
        read += 1

    begin = time.process_time()
    WAYS[way](file, take)
    taken = time.process_time() - begin
    assert read == rows
    print(json.dumps({"cpu": taken, "memory": held("VmHWM") - idle}))


def refuse_unequal() -> None:
    """Aiocake and the handler written by hand must build equal objects."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "equal.xml"
        file.write_bytes(b"".join(pieces(2000)))
        ours: list[AffiliateBill] = []
        aiocake(file, ours.append)
        assert len(ours) == 2000
        for way in (by_hand, by_lxml):
            theirs: list[AffiliateBill] = []
            way(file, theirs.append)
            assert theirs == ours


def compare(rows: int, tree_rows: int, only: list[str], repeat: int) -> None:
    """Measure each way, and print it."""
    refuse_unequal()
    with tempfile.TemporaryDirectory() as folder:
        files = {count: Path(folder) / f"{count}.xml" for count in (rows, tree_rows)}
        for count, file in files.items():
            with file.open("wb") as opened:
                opened.writelines(pieces(count))
        print(f"{rows} bills, {files[rows].stat().st_size / 1e6:.0f} MB; least of {repeat} runs")
        print(f"    {'':<10}{'bills':>9}{'CPU a bill':>14}{'by hand = 1':>14}{'above idle':>13}")
        unit = 0.0
        for way in ["by hand", *(name for name in only if name != "by hand")]:
            count = tree_rows if way in WHOLE_TREE else rows
            runs = [run(way, files[count], count) for _ in range(repeat)]
            cpu = min(cost["cpu"] for cost in runs) / count * 1e6
            memory = max(cost["memory"] for cost in runs) / 1e6
            unit = unit or cpu
            print(f"    {way:<10}{count:9}{cpu:11.1f} µs{cpu / unit:14.2f}{memory:10.1f} MB")


def run(way: str, file: Path, rows: int) -> dict[str, float]:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, str(file), "--rows", str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - us
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--tree-rows", type=int, default=10_000, help="for xsdata and zeep")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, file = options.measure
        measure(way, Path(file), options.rows)
    else:
        tree_rows = min(options.rows, options.tree_rows)
        compare(options.rows, tree_rows, options.only, options.repeat)


if __name__ == "__main__":
    main()
