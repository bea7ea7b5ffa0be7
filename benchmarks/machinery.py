"""What the client itself costs: calls over a transport that answers at once, without a network."""

import asyncio
import gc
import time
from typing import Final

import httpx

from benchmarks.harness.answers import KEY, UPDATED, page
from benchmarks.harness.processes import BEFORE, COMMIT, Worker, source_at
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target

TITLE: Final = "The client itself, without a network"
UNIT: Final = "µs of CPU a call"
LACKS: Final = {BEFORE: "The same promises, over httpcore2."}
TARGETS: Final = (Target("a page of one invoice", 0.6, BEFORE),)
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


def run(rounds: int) -> Cases:
    """Measure."""
    function = "benchmarks.machinery:cpu"
    with source_at(COMMIT) as source, Worker(function) as now, Worker(function, source) as before:
        return {
            call: interleaved(
                {
                    OURS: lambda call=call: now.ask(call=call),
                    BEFORE: lambda call=call: before.ask(call=call),
                },
                rounds,
            )
            for call in ("a page of one invoice", "an update")
        }
