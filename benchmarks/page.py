"""A typed page of 100 invoices over HTTP, on asyncio, beside what a user would pick instead."""

from typing import Final

from benchmarks.harness.answers import ROWS, invoice
from benchmarks.harness.over_http import compare
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.rivals import aiohttp_msgspec, floor, httpx2_pydantic, httpx_pydantic

TITLE: Final = "A typed page of 100 invoices, asyncio"
UNIT: Final = "µs of CPU a call"
AIOHTTP: Final = "aiohttp + msgspec"
LACKS: Final = {
    AIOHTTP: aiohttp_msgspec.LACKS,
    "httpx + pydantic": httpx_pydantic.LACKS,
    "httpx2 + pydantic": httpx2_pydantic.LACKS,
    "the floor": floor.LACKS,
}
TARGETS: Final = (
    Target("8 at once", 1.2, AIOHTTP),
    Target("100 at once", 1.15, AIOHTTP),
    Target("500 at once", 1.15, AIOHTTP),
    Target("8 at once", 1 / 3, "httpx + pydantic"),
    Target("100 at once", 1 / 6, "httpx + pydantic"),
    Target("500 at once", 1 / 8, "httpx + pydantic"),
    Target("8 at once", 1 / 2.5, "httpx2 + pydantic"),
    Target("100 at once", 1 / 4, "httpx2 + pydantic"),
    Target("500 at once", 1 / 10, "httpx2 + pydantic"),
)
WAYS: Final = {
    OURS: "benchmarks.rivals.ours:pages",
    AIOHTTP: "benchmarks.rivals.aiohttp_msgspec:pages",
    "httpx + pydantic": "benchmarks.rivals.httpx_pydantic:pages",
    "httpx2 + pydantic": "benchmarks.rivals.httpx2_pydantic:pages",
    "the floor": "benchmarks.rivals.floor:pages",
}
SLOW: Final = ("httpx + pydantic", "httpx2 + pydantic")


def expected() -> list[dict[str, object]]:
    """Return what each way has to answer."""
    rows = [invoice(number) for number in range(ROWS)]
    return [{**row, "total_amount": f"Decimal {row['total_amount']}"} for row in rows]


def run(rounds: int) -> Cases:
    """Measure."""
    return compare(WAYS, rounds, expected(), slow=SLOW)
