"""aiohttp + json, for a write."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.harness.answers import KEY

LACKS = (
    "Says of a write that failed neither that it was done nor that it was not; checks neither what "
    "is sent nor that the answer is about that invoice; stops writing when its caller is cancelled."
)


@asynccontextmanager
async def updates(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Set the status of an invoice."""
    params = {"api_key": KEY}
    body = {"invoice_id": 4821, "invoice_status": "approved"}
    connector = aiohttp.TCPConnector(limit=at_once, ssl=tls or True)
    async with aiohttp.ClientSession(url, connector=connector) as http:

        async def call() -> object:
            answer = http.post("/api/2/update_invoice.json", params=params, json=body)
            async with answer as response:
                response.raise_for_status()
                return (await response.json())["invoice"]

        yield call
