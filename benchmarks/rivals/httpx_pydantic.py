"""httpx + pydantic: what most people write today."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from benchmarks.harness.answers import KEY, ROWS
from benchmarks.rivals.typed_pydantic import Page

LACKS = (
    "An amount that is sent as a number goes through a float; 1_000 is accepted as an amount; "
    "reads a body of any size; its log at INFO and its exceptions hold the key."
)


@asynccontextmanager
async def pages(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Read a page."""
    limits = httpx.Limits(
        max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=60
    )
    params = {"api_key": KEY, "row_limit": ROWS}
    verify = tls or False  # over plain HTTP, no certificates are read for nothing
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60, verify=verify) as http:

        async def call() -> object:
            response = await http.get("/api/2/invoices.json", params=params)
            response.raise_for_status()
            return Page.model_validate_json(response.content).invoices

        yield call
