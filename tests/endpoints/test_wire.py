"""Golden files: what each operation puts on the wire, in each form that it can have.

``tests/endpoints/wire`` has one for each group; ``python tests/endpoints/test_wire.py`` writes them
anew. Read the diff beside CAKE's pages: a request that changed is a changed contract.

Left out are headers that say nothing of the operation, and XML is broken into lines.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from inspect import iscoroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiocake import ERASE, CakeError, Client, Period, RetryPolicy
from aiocake.values import Binding

FOLDER = Path(__file__).with_name("wire")
#: Their values are of the connection, the version or the length.
LEFT_OUT = {"host", "user-agent", "accept-encoding", "content-length"}
JANUARY = Period.month(2024, 1)
JUNE = Period.month(2014, 6)
MADE = {"affiliate_id": 67890, "start_date": JANUARY.start, "end_date": JANUARY.end}
TEXTS: dict[str, Any] = {"invoice_number": "Ä&<17>", "notes": "two lines\nand 東京"}
RECEIVED: dict[str, Any] = {
    "payment_amount": Decimal("-20.0100"),
    "payment_type_id": 3,
    "verification_code": "V 1",
    "date_payment_received": date(2014, 6, 30),
    **TEXTS,
}

#: What each method is called with: as little as it takes, then all, then what erases.
CALLS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "invoices.find": [
        ((), {}),
        ((), {"affiliate_id": 7, "invoice_status": "pending", "period": JANUARY, "row_limit": 500}),
        ((), {"period": JANUARY, "match": "ends_in", "longest": timedelta(days=7)}),
    ],
    "invoices.page": [((), {}), ((), {"advertiser_id": 9, "start_at_row": 100, "row_limit": 50})],
    "invoices.get": [((4821,), {})],
    "invoices.create": [((), MADE), ((), {**MADE, "memo": 'Jänner "24"'})],
    "invoices.update": [
        ((4821,), {"memo": ""}),
        (
            (4821,),
            {
                "invoice_status": "paid",
                "memo": "東京",
                "paid_at": datetime(2024, 2, 15, 10, tzinfo=UTC),
            },
        ),
    ],
    "affiliate_bills.export": [
        ((), {"period": JUNE}),
        (
            (),
            {
                "billing_cycle": "bimonthly",
                "billing_period_start_date": JUNE.start,
                "billing_period_end_date": JUNE.exclusive_end,
                "paid_only": True,
                "payment_type_id": 3,
            },
        ),
    ],
    "affiliate_bills.mark_received": [
        ((345,), {"invoiced_amount": 20}),
        (
            (345,),
            {
                "invoiced_amount": Decimal("20.01"),
                "date_invoice_received": date(2014, 6, 1),
                **TEXTS,
            },
        ),
        (
            (345,),
            {
                "invoiced_amount": Decimal("20.01"),
                "date_invoice_received": ERASE,
                "invoice_number": ERASE,
                "notes": ERASE,
            },
        ),
    ],
    "affiliate_bills.mark_paid": [
        ((345,), {"payment_date": date(2014, 6, 30)}),
        (
            (345,),
            {
                "payment_date": date(2014, 6, 30),
                "payment_type_id": 255,
                "verification_code": ERASE,
                **TEXTS,
            },
        ),
    ],
    "advertiser_bills.export": [((), {"period": JUNE, "billing_cycle": "weekly"})],
    "advertiser_bills.mark_sent": [
        ((1,), {}),
        ((1,), {"date_sent_invoice": date(2014, 6, 30), **TEXTS}),
        ((1,), {"date_sent_invoice": ERASE, "invoice_number": ERASE, "notes": ERASE}),
    ],
    "advertiser_bills.mark_received": [((1,), {"payment_amount": 20}), ((1,), RECEIVED)],
    "buyer_bills.export": [((), {"period": JUNE})],
    "buyer_bills.mark_sent": [((2,), {"date_sent_invoice": date(2014, 6, 30)})],
    "buyer_bills.mark_received": [
        ((2,), {"payment_amount": 20}),
        ((2,), {**RECEIVED, "apply_credit_to_buyer": True}),
    ],
    "reference.billing_cycles": [((), {}), ((), {"billing_cycle_id": 3})],
    "reference.payment_methods": [((), {}), ((), {"payment_method_id": 3})],
    "reference.currencies": [((), {})],
    "reference.payment_types": [((), {})],
    "reference.payment_settings": [((), {})],
    "reference.account_statuses": [((), {})],
    "reference.v1_billing_cycles": [((), {})],
    "reference.v1_currencies": [((), {})],
    "reference.exchange_rates": [
        ((), {"start_date": date(2024, 1, 1), "end_date": date(2024, 3, 1)})
    ],
}


class Wire:
    """Takes requests, keeps each as text, and refuses all of them."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        line, *headers = head.strip().split("\r\n")
        length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.requests.append(shown(line, headers, body))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self.handle, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def shown(line: str, headers: list[str], body: bytes) -> str:
    """Return a request as readable text: one parameter a line, and one element a line."""
    method, target, version = line.split(" ")
    assert version == "HTTP/1.1"
    url = urlsplit(target)
    lines = [f"{method} {url.path}"]
    if url.query:
        lines += [f"    {each}" for each in f"?{url.query}".replace("&", "\n&").split("\n")]
    lines += sorted(each for each in headers if each.partition(":")[0].lower() not in LEFT_OUT)
    text = body.decode()
    if text.startswith("<"):
        broken = re.sub(r"<(\w+)>\n</\1>", r"<\1></\1>", re.sub(r">(?=<)", ">\n", text))
        lines += ["", *broken.splitlines()]
    elif text.startswith("{"):
        lines += ["", text]
    elif text:
        lines += ["", *text.replace("&", "\n&").split("\n")]
    return "\n".join(lines)


async def captured(name: str, binding: Binding, arguments: dict[str, Any], *ids: int) -> list[str]:
    """Return the requests of a call."""
    wire = Wire()
    group, _, method = name.partition(".")
    async with (
        wire.served() as url,
        Client(url, "KEY", binding=binding, retry=RetryPolicy(attempts=1)) as cake,
    ):
        with suppress(CakeError):
            called = getattr(getattr(cake, group), method)(*ids, **arguments)
            await (called if iscoroutine(called) else called.collect())
    return wire.requests


async def written() -> dict[str, str]:
    """Return the text of each file."""
    files: dict[str, list[str]] = defaultdict(list)
    for name, calls in CALLS.items():
        group, _, method = name.partition(".")
        for ids, arguments in calls:
            given = ", ".join(
                [*map(str, ids), *(f"{key}={value!r}" for key, value in arguments.items())]
            )
            blocks: dict[str, list[str]] = defaultdict(list)
            for binding in Binding:
                request, *_ = await captured(name, binding, arguments, *ids)
                blocks[request].append(binding)
            files[group].append(f"### {method}({given})")
            for request, bindings in blocks.items():
                form = "" if len(bindings) == len(Binding) else f"[{', '.join(bindings)}]\n"
                files[group].append(f"{form}{request}")
    return {group: "\n\n".join(blocks) + "\n" for group, blocks in files.items()}


def test_requests_are_those_of_the_golden_files() -> None:
    for group, text in asyncio.run(written()).items():
        golden = (FOLDER / f"{group}.txt").read_text(encoding="utf-8")
        assert text == golden, "changed: see python tests/endpoints/test_wire.py"


def test_every_method_has_a_request() -> None:
    cake = Client("x.example", "KEY")
    methods = {
        f"{group}.{method}"
        for group, endpoints in vars(cake).items()
        if not group.startswith("_")
        for method in dir(endpoints)
        if not method.startswith("_")
    }
    asyncio.run(cake.aclose())
    assert methods == set(CALLS)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for group, text in asyncio.run(written()).items():
        (FOLDER / f"{group}.txt").write_text(text, encoding="utf-8")
