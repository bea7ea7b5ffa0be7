"""What the client itself costs: calls over a transport that answers at once, without a network.

The transport is one of httpx. What it takes by itself, with its requests and responses, is the same
for every client, so it is measured as well and taken off.
"""

import asyncio
import gc
import time
from functools import partial
from typing import Final

import httpx

from benchmarks.harness.answers import KEY, UPDATED, page
from benchmarks.harness.processes import BEFORE, COMMIT, Worker, source_at
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "The client itself, without a network"
UNIT: Final = "µs of CPU a call"
TRANSPORT: Final = "the transport alone"
LACKS: Final = {
    BEFORE: "The same promises, over httpcore2.",
    TRANSPORT: "A client: a request of httpx, its response, and nothing of it checked or decoded.",
}
OWN: Final = "less the transport"
TARGETS: Final = (Target(f"a page of one invoice, {OWN}", 0.6, BEFORE),)
#: Rows of the list that is read page by page.
LIST: Final = 150


class AtOnce(httpx.AsyncBaseTransport):
    """A transport that answers at once."""

    def __init__(self, rows: int = 1) -> None:
        self._rows = rows

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        if request.method == "POST":
            return httpx.Response(200, content=UPDATED)
        start, limit = (
            int(request.url.params.get(name, default))
            for name, default in (("start_at_row", "0"), ("row_limit", "100"))
        )
        return httpx.Response(200, content=page(start, limit, self._rows))


def cpu(call: str, calls: int = 300) -> float:
    """Return the µs of CPU of a call, of the copy of aiocake that this process imports."""
    from aiocake import Client  # noqa: PLC0415 - a process imports one copy

    async def measured() -> float:
        async with Client("127.0.0.1", KEY, transport=AtOnce()) as cake:
            for count in (calls, calls):
                gc.collect()
                begin = time.process_time()
                for _ in range(count):
                    if call == "an update":
                        await cake.invoices.update(4821, invoice_status="approved")
                    else:
                        await cake.invoices.page()
            return (time.process_time() - begin) / calls * 1e6

    return asyncio.run(measured())


def cpu_of_transport(call: str, calls: int = 300) -> float:
    """Return the µs of CPU that the transport takes for the request of a call, without a client."""
    url = f"http://127.0.0.1/api/2/invoices.json?api_key={KEY}"
    updates = call == "an update"
    content = b'{"invoice_id": 4821, "invoice_status": "approved"}' if updates else b""

    async def measured() -> float:
        transport = AtOnce()
        for count in (calls, calls):
            gc.collect()
            begin = time.process_time()
            for _ in range(count):
                method = "POST" if updates else "GET"
                request = httpx.Request(method, httpx.URL(url), content=content)
                async for _ in (await transport.handle_async_request(request)).stream:
                    pass
        return (time.process_time() - begin) / calls * 1e6

    return asyncio.run(measured())


def run(rounds: int) -> Cases:
    """Measure."""
    function, cases = "benchmarks.machinery:cpu", Cases()
    with (
        source_at(COMMIT) as source,
        Worker(function) as now,
        Worker(function, source) as before,
        Worker("benchmarks.machinery:cpu_of_transport") as transport,
    ):
        workers = {OURS: now, BEFORE: before, TRANSPORT: transport}
        for call in ("a page of one invoice", "an update"):
            ways = {way: partial(worker.ask, call=call) for way, worker in workers.items()}
            taken = cases[call] = interleaved(ways, rounds)
            cases[f"{call}, {OWN}"] = {
                way: [all_ - its for all_, its in zip(taken[way], taken[TRANSPORT], strict=True)]
                for way in (OURS, BEFORE)
            }
    return cases
