"""The most memory that 500 tenants take above one: each has a client that made a call over TLS.

Their connections stay open. Needs Linux, as ``memory`` does.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.harness.answers import KEY
from benchmarks.harness.processes import certificates, once, server
from benchmarks.harness.resident import forget_peak, held
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target

if TYPE_CHECKING:
    from aiocake import ClientView

TITLE: Final = "Memory of 500 tenants above one"
UNIT: Final = "MB"
TENANTS: Final = 500
APART: Final = "Clients with a TLS context each"
LACKS: Final = {APART: "They stay open until the program closes each."}
CASE: Final = f"{TENANTS} tenants, each after a call over TLS"
TARGETS: Final = (Target(CASE, 40, rounds=1),)


def above_one(way: str, url: str, authority: str) -> float:
    """Return the MB that this process held at most, above what it held with one tenant."""
    calls = _of_a_pool(url, authority) if way == OURS else _of_each(url, authority)

    async def measure() -> float:
        one = 0.0
        async for _ in calls:
            one = one or forget_peak()
        return held("VmHWM") - one

    return asyncio.run(measure())


async def _of_a_pool(url: str, authority: str) -> AsyncGenerator[None]:
    """Make a call of each tenant, over one pool."""
    from aiocake import ClientPool, Tenant  # noqa: PLC0415 - not in the process that compares

    async def key_of(_: Tenant) -> str:
        return KEY

    async with ClientPool(key_of, allowed_domains=[url], ssl_context=_context(authority)) as pool:
        for number in range(TENANTS):
            async with pool.client(url, tenant=str(number)) as cake:
                yield await _call(cake)
        assert pool.stats().open == TENANTS


async def _of_each(url: str, authority: str) -> AsyncGenerator[None]:
    """Make a call of each tenant, over clients that know nothing of each other."""
    from aiocake import Client  # noqa: PLC0415 - not in the process that compares

    async with AsyncExitStack() as stack:
        for _ in range(TENANTS):
            client = Client(url, KEY, ssl_context=_context(authority))
            yield await _call(await stack.enter_async_context(client))


async def _call(cake: "ClientView") -> None:
    assert len((await cake.invoices.page(row_limit=1)).items) == 1


def _context(authority: str) -> ssl.SSLContext:
    """Return a context of certifi's authorities and the server's own."""
    import certifi  # noqa: PLC0415 - not in the process that compares

    context = ssl.create_default_context(cafile=certifi.where())
    context.load_verify_locations(authority)
    return context


def run(rounds: int) -> Cases:
    """Measure, each in a fresh process; once, for it hardly varies."""
    del rounds
    function = "benchmarks.tenants:above_one"
    with certificates() as tls, server(tls=tls) as url:
        arguments = {"url": url, "authority": str(tls.authority)}
        ways = (OURS, APART)
        return {CASE: {way: [once(function, way=way, **arguments)] for way in ways}}
