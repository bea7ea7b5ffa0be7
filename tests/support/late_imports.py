"""Print each module that a call loads once its first request has left.

Run in a fresh Python, with the name of the call: whatever ran before has loaded it already.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiocake import CakeError, Client, Period, RetryPolicy, bulk

INVOICE = {
    "invoice_id": 4821,
    "affiliate_id": 7,
    "invoice_status": "pending",
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
    "total_amount": "12.50",
    "currency": "USD",
}
PAGE = json.dumps({"request_status": "Success", "invoices": [INVOICE], "total_rows": 1})
DONE = json.dumps(
    {"request_status": "Success", "invoice": INVOICE | {"invoice_status": "approved"}}
)
BILLS = (
    '<Response xmlns="http://cakemarketing.com/api/1/"><success>true</success><affiliate_bills>'
    "<affiliate_bill><bill_id>1</bill_id><affiliate><affiliate_id>7</affiliate_id></affiliate>"
    "<bill_amount><currency_id>1</currency_id><amount>12.50</amount></bill_amount>"
    "<notes>A &amp; B</notes></affiliate_bill></affiliate_bills></Response>"
)
#: What comes in place of the first answers: no answer, a page of HTML, a throttled response.
FAILURES = [None, "500 Oops\r\nContent-Type: text/html", "429 Slow\r\nRetry-After: 0"]

late: list[str] = []
left = False


def look(event: str, arguments: tuple[object, ...]) -> None:
    """Note a module that is loaded: one that has been is not looked for, so nothing is said."""
    if left and event == "import":
        late.append(str(arguments[0]))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection; a create is carried out, and its response lost."""
    global left  # noqa: PLW0603 - as the interpreter, there is one
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            left = True
            _, _, length = head.lower().partition(b"content-length: ")
            await reader.readexactly(int(length.partition(b"\r")[0] or 0))
            status = FAILURES.pop(0) if FAILURES else "200 OK"
            if status is None or b" /api/2/invoice.json" in head:
                break
            body = BILLS if b"/api/1/" in head else PAGE if head.startswith(b"GET") else DONE
            body = body if status == "200 OK" else "<html>"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    writer.close()


async def find(cake: Client) -> object:
    """Read a list."""
    return await cake.invoices.find().collect()


async def update(cake: Client) -> object:
    """Update an invoice."""
    return await cake.invoices.update(4821, invoice_status="approved")


async def create(cake: Client) -> object:
    """Create an invoice; nobody learns what became of it."""
    return await cake.invoices.create(
        affiliate_id=7, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31)
    )


async def export(cake: Client) -> object:
    """Export bills."""
    return await cake.affiliate_bills.export(period=Period.month(2024, 1)).collect()


async def request(cake: Client) -> object:
    """Call an endpoint without a method."""
    response = await cake.request("GET", "/api/2/invoices.json", repeatable=True)
    return response.json()


async def each(cake: Client) -> object:
    """Run writes with a journal: one is done, and nobody learns what became of the other."""
    calls: list[bulk.Call[Any]] = [
        bulk.call(cake.invoices.update, 4821, invoice_status="approved"),
        bulk.call(
            cake.invoices.create,
            affiliate_id=8,
            start_date=date(2024, 1, 1),
            end_date=date(2024, 1, 31),
        ),
    ]
    with TemporaryDirectory() as folder:
        return await bulk.each(
            calls,
            journal=Path(folder) / "run.journal",
            settle=0.01,
            allow_unknown_filesystem=True,
        )


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    each.__name__: each for each in (find, update, create, export, request, each)
}


async def main() -> None:
    """Make one call, and print what it loaded late."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    retry = RetryPolicy(attempts=9, base=1e-6, throttle_base=1e-6, cap=1e-6)
    async with server, Client(f"http://127.0.0.1:{port}", "key", retry=retry) as cake:
        try:
            result = await CALLS[sys.argv[1]](cake)
        except CakeError as error:
            result = type(error).__name__
    sys.stdout.write(f"{result}\nloaded late: {late}\n")


sys.addaudithook(look)
asyncio.run(main())
