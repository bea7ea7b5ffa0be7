"""What it costs to read an export of bills, beside other ways to read the same file.

    python benchmarks/bills.py                      # 200,000 bills, about 200 MB
    python benchmarks/bills.py --rows 20000
    python benchmarks/bills.py --only aiocake "export()" "by hand, HTTP"

Each way runs in a process of its own, and the rounds are interleaved, so that a busy machine slows
all of them alike. What is compared is CPU time for each bill, as a ratio to a handler for expat
that is written by hand and builds the very objects of aiocake, as the way by lxml does, too;
"expat" does nothing with what it finds. "export()" is the whole of it: a client, over HTTP, from a
server in another process; "by hand, HTTP" is the same handler behind httpx. The memory is what the
process held at most, above what it held before its first call. xsdata and zeep build objects of
their own and hold all of them, so they get a shorter file. Needs httpx, lxml, xsdata and zeep, and
/proc for the memory.
"""

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from bills_otherwise import (
    CAKE,
    STORE,
    by_hand,
    by_hand_http,
    by_lxml,
    by_xsdata,
    by_zeep,
    chunks,
    nothing,
)

from aiocake import Client, Period
from aiocake._codec.exports import BillStream
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.models import AffiliateBill

EXPORT: Operation[AffiliateBill] = Operation(
    name="affiliate_bills.export",
    api=Api.V1,
    path="/api/1/accounting.asmx",
    call="ExportAffiliateBills",
    shape=ResponseShape.STREAM,
    element="affiliate_bills",
    row="affiliate_bill",
    model=AffiliateBill,
    documented_in="",
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
    "<affiliate_billing><billing_cycle>"
    f'<billing_cycle_id xmlns="{STORE}">3</billing_cycle_id>'
    f'<billing_cycle_name xmlns="{STORE}">Monthly</billing_cycle_name>'
    "</billing_cycle></affiliate_billing></affiliate>"
    "<bill_amount><currency_id>1</currency_id><amount>{amount}</amount>"
    "<formatted_amount>${amount}</formatted_amount></bill_amount>"
    "<invoice_number>A-{id}</invoice_number>"
    '<invoiced_amount xsi:nil="true" /><verification_code /><notes>paid in two parts</notes>'
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


def export(url: str, take: Callable[[AffiliateBill], None]) -> None:
    """Ours, all of it: a call over HTTP."""

    async def read() -> None:
        async with (
            Client(url, "SANDBOX-KEY") as cake,
            cake.affiliate_bills.export(period=Period.month(2014, 6)) as bills,
        ):
            async for bill in bills:
                take(bill)

    asyncio.run(read())


WAYS: dict[str, Callable[[Any, Callable[[Any], None]], None]] = {
    "by hand": by_hand,
    "aiocake": aiocake,
    "by hand, HTTP": by_hand_http,
    "export()": export,
    "expat": nothing,
    "lxml": by_lxml,
    "xsdata": by_xsdata,
    "zeep": by_zeep,
}
BY_HTTP = ("by hand, HTTP", "export()")
WHOLE_TREE = ("xsdata", "zeep")
#: What aiocake promises of an export of 200,000 bills.
MOST_CPU = 1.3
MOST_MEMORY = 24.0


def held(what: str) -> int:
    """What this process holds ("VmRSS"), or held at most ("VmHWM"), in bytes."""
    found = re.search(rf"{what}:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


@contextmanager
def served(file: Path) -> Iterator[str]:
    """A server that answers every call with a file, as IIS does: with its length, in one body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            with file.open("rb") as opened:
                shutil.copyfileobj(opened, self.wfile, 1 << 16)

        def log_message(self, *_: object) -> None:
            """No log: a query holds the key."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def measure(way: str, source: str, warm: str, rows: int) -> None:
    """Read in one way, and print what it cost as JSON: the work of a child process."""
    idle = held("VmRSS")
    as_given = str if way in BY_HTTP else Path
    WAYS[way](as_given(warm), lambda _: None)  # loads what the first use loads
    read = 0

    def take(_: object) -> None:
        nonlocal read
        read += 1

    begin = time.process_time()
    WAYS[way](as_given(source), take)
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
    ways = ["by hand", *(name for name in WAYS if name in only and name != "by hand")]
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = {count: Path(folder) / f"{count}.xml" for count in {1, rows, tree_rows}}
        for count, file in files.items():
            with file.open("wb") as opened:
                opened.writelines(pieces(count))
        urls = {count: stack.enter_context(served(file)) for count, file in files.items()}
        size = files[rows].stat().st_size / 1e6
        for _ in range(repeat):
            for way in ways:
                sources: Any = urls if way in BY_HTTP else files
                count = tree_rows if way in WHOLE_TREE else rows
                runs[way].append(run(way, str(sources[count]), str(sources[1]), count))
    print(f"{rows} bills, {size:.0f} MB; least of {repeat} interleaved rounds")
    print(f"    {'':<14}{'bills':>9}{'CPU a bill':>14}{'by hand = 1':>14}{'above idle':>13}")
    cpu, memory = {}, {}
    for way in ways:
        count = tree_rows if way in WHOLE_TREE else rows
        cpu[way] = min(cost["cpu"] for cost in runs[way]) / count * 1e6
        memory[way] = max(cost["memory"] for cost in runs[way]) / 1e6
        ratio = cpu[way] / cpu["by hand"]
        print(f"    {way:<14}{count:9}{cpu[way]:11.1f} µs{ratio:14.2f}{memory[way]:10.1f} MB")
    judge(cpu, memory)


def judge(cpu: dict[str, float], memory: dict[str, float]) -> None:
    """Say what became of the promises."""
    for ours, theirs in (("aiocake", "by hand"), ("export()", "by hand, HTTP")):
        if ours in cpu and theirs in cpu:
            ratio = cpu[ours] / cpu[theirs]
            word = "kept" if ratio <= MOST_CPU else "BROKEN"
            print(f"{ours}: {ratio:.2f} times {theirs}, at most {MOST_CPU}: {word}")
    if "export()" in memory:
        word = "kept" if memory["export()"] < MOST_MEMORY else "BROKEN"
        above = f"{memory['export()']:.1f} MB above the idle process"
        print(f"export(): {above}, under {MOST_MEMORY:.0f}: {word}")


def run(way: str, source: str, warm: str, rows: int) -> dict[str, float]:
    """Measure one way in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, source, warm, "--rows", str(rows)]
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
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, options.rows)
    else:
        tree_rows = min(options.rows, options.tree_rows)
        compare(options.rows, tree_rows, options.only, options.repeat)


if __name__ == "__main__":
    main()
