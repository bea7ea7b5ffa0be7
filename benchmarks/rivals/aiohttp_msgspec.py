"""aiohttp + msgspec: what is picked where speed counts."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.harness.answers import KEY, ROWS
from benchmarks.rivals.typed_msgspec import decode

LACKS = (
    "Runs on asyncio only; accepts an amount such as 1e3 or 1_000; reads a body of any size; "
    "sends a GET a second time by itself, CAKE's GETs that write too."
)


@asynccontextmanager
async def pages(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Read a page."""
    params = {"api_key": KEY, "row_limit": str(ROWS)}
    connector = aiohttp.TCPConnector(limit=at_once, ssl=tls or True)
    async with aiohttp.ClientSession(url, connector=connector) as http:

        async def call() -> object:
            async with http.get("/api/2/invoices.json", params=params) as response:
                response.raise_for_status()
                return decode(await response.read()).invoices

        yield call
