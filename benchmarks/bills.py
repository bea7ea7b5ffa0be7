"""An export of bills from XML over HTTP, all of it: a kilobyte a bill.

The memory of one of 200,000 is measured by ``memory``; the CPU of a bill does not depend on size.
"""

import contextlib
import gc
import hashlib
import importlib
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, Final

from benchmarks.harness.processes import Failed, Worker, server
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "An export of bills from XML over HTTP"
UNIT: Final = "µs of CPU a bill"
EXPAT: Final = "lean expat by hand"
ROWS: Final = 15_000
#: zeep and xsdata hold everything, so they get a shorter one, which is in their favour.
ROWS_OF_A_TREE: Final = 2_000
WAYS: Final = {
    OURS: "bills_ours",
    EXPAT: "bills_expat",
    "zeep": "bills_zeep",
    "xsdata": "bills_xsdata",
}
TREES: Final = ("zeep", "xsdata")
LACKS: Final = {
    EXPAT: "No limit for anything a server sends, document types and entities included; does not "
    "notice an export that is cut short or says that it failed; knows no other form of a bill.",
    "zeep": "Holds the whole body, its tree and all objects at once; is not async.",
    "xsdata": "Holds the whole body and all objects at once; is not async; dates stay texts here.",
}
CASE: Final = f"{ROWS:,} bills"
TARGETS: Final = (
    Target(CASE, 1.2, EXPAT),
    Target(CASE, 1 / 7, "zeep"),
    Target(CASE, 1 / 9, "xsdata"),
)


def cpu(way: str, url: str, rows: int) -> float:
    """Return the µs of CPU that reading costs, for each bill."""
    read = 0

    def take(_: object) -> None:
        nonlocal read
        read += 1

    bills = _bills(way)
    gc.collect()
    begin = time.process_time()
    bills(url, take)
    taken = time.process_time() - begin
    if read != rows:
        raise AssertionError(f"{read} of {rows} bills")
    return taken / rows * 1e6


def answer(way: str, url: str) -> str:
    """Return a hash of what every way finds in the bills of an export."""
    found = hashlib.sha256()

    def take(bill: Any) -> None:  # noqa: ANN401 - of one class or another
        partner = bill.affiliate
        number = partner.id if hasattr(partner, "id") else partner.affiliate_id
        name = partner.name if hasattr(partner, "id") else partner.affiliate_name
        amount = bill.bill_amount.amount
        if not isinstance(amount, Decimal):
            raise TypeError("the amount is not exact")
        found.update(repr((bill.bill_id, number, name, amount, bill.invoice_number)).encode())

    _bills(way)(url, take)
    return found.hexdigest()


def _bills(way: str) -> Callable[[str, Callable[[Any], None]], None]:
    bills: Callable[[str, Callable[[Any], None]], None] = importlib.import_module(
        f"benchmarks.rivals.{WAYS[way]}"
    ).bills
    return bills


def run(rounds: int) -> Cases:
    """Measure."""
    with contextlib.ExitStack() as stack:
        few = stack.enter_context(server("--bills", "100"))
        whole = stack.enter_context(server("--bills", str(ROWS)))
        shorter = stack.enter_context(server("--bills", str(ROWS_OF_A_TREE)))
        hashes = {}
        ways = {}
        for way in WAYS:
            worker = stack.enter_context(Worker("benchmarks.bills:answer", way=way))
            hashes[way] = worker.ask(url=few)
            worker = stack.enter_context(Worker("benchmarks.bills:cpu", way=way))
            worker.ask(url=few, rows=100)
            url, rows = (shorter, ROWS_OF_A_TREE) if way in TREES else (whole, ROWS)
            ways[way] = partial(worker.ask, url=url, rows=rows)
        if len(set(hashes.values())) != 1:
            raise Failed(f"the ways read different bills: {hashes}")
        return {CASE: interleaved(ways, rounds)}
