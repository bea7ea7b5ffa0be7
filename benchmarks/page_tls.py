"""The page over TLS: every client verifies the server's certificate."""

from typing import Final

from benchmarks.harness.over_http import CALLS, compare
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.page import AIOHTTP, UNIT, WAYS, expected
from benchmarks.page import LACKS as LACKS_OF_PAGE

__all__ = ["LACKS", "TARGETS", "TITLE", "UNIT", "run"]

TITLE: Final = "A typed page of 100 invoices, over TLS, asyncio"
LACKS: Final = {AIOHTTP: LACKS_OF_PAGE[AIOHTTP]}
TARGETS: Final = tuple(Target(f"{at_once} at once", 1.3, AIOHTTP) for at_once in CALLS)


def run(rounds: int) -> Cases:
    """Measure."""
    ways = {way: WAYS[way] for way in (OURS, AIOHTTP)}
    return compare(ways, rounds, expected(), tls=True)
