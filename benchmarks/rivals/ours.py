"""aiocake, by its public API: the package that is installed, or an older copy before it."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiocake import Client, Throttle
from benchmarks.harness.answers import KEY, ROWS

LACKS = "nothing: this is what is measured"


def _client(url: str, at_once: int, tls: ssl.SSLContext | None) -> Client:
    return Client(url, KEY, throttle=Throttle(concurrency=at_once), ssl_context=tls)


@asynccontextmanager
async def pages(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Read a page."""
    async with _client(url, at_once, tls) as cake:

        async def call() -> object:
            return (await cake.invoices.page(row_limit=ROWS)).items

        yield call


@asynccontextmanager
async def updates(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Set the status of an invoice."""
    async with _client(url, at_once, tls) as cake:
        yield lambda: cake.invoices.update(4821, invoice_status="approved")
