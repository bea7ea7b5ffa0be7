"""aiocake's export of bills."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiocake import Client, Period
from benchmarks.harness.answers import KEY

LACKS = "nothing: this is what is measured"


def bills(url: str, take: Callable[[Any], None]) -> None:
    """Read an export."""
    asyncio.run(_read(url, take))


async def _read(url: str, take: Callable[[Any], None]) -> None:
    async with (
        Client(url, KEY) as cake,
        cake.affiliate_bills.export(period=Period.month(2014, 6)) as bills,
    ):
        async for bill in bills:
            take(bill)
