"""An update of an invoice over HTTP, beside one by hand that is not safe."""

from typing import Final

from benchmarks.harness.over_http import compare
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.rivals import aiohttp_json

TITLE: Final = "An update over HTTP, asyncio"
UNIT: Final = "µs of CPU a call"
RIVAL: Final = "aiohttp + json, no safety"
LACKS: Final = {RIVAL: aiohttp_json.LACKS}
TARGETS: Final = (Target("8 at once", 1.6, RIVAL),)
WAYS: Final = {
    OURS: "benchmarks.rivals.ours:updates",
    RIVAL: "benchmarks.rivals.aiohttp_json:updates",
}


def run(rounds: int) -> Cases:
    """Measure."""
    expected = {"invoice_id": 4821, "invoice_status": "approved"}
    return compare(WAYS, rounds, expected, calls={8: 1000})
