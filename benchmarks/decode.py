"""Decoding a page of invoices: with guards, beside readings without."""

import gc
import time
from collections.abc import Callable
from typing import Final

import httpx

from benchmarks.harness.answers import page
from benchmarks.harness.calls import facts
from benchmarks.harness.processes import Failed
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import OURS, Target
from benchmarks.rivals import decode_cattrs, decode_ours, typed_msgspec, typed_pydantic

TITLE: Final = "Decoding a page of invoices"
UNIT: Final = "µs of CPU an invoice"
MSGSPEC: Final = "msgspec Structs, bare"
PYDANTIC: Final = "pydantic"
CATTRS: Final = "cattrs over orjson"
DICTS: Final = "httpx .json(): dicts only"
_GUARDS: Final = "Accepts an amount such as 1e3 or 1_000, a key that is there twice, and an error."
LACKS: Final = {
    MSGSPEC: _GUARDS,
    PYDANTIC: f"{_GUARDS} {typed_pydantic.LACKS}",
    CATTRS: f"{_GUARDS} {decode_cattrs.LACKS}",
    DICTS: "Amounts and dates stay texts; nothing is checked.",
}
CALLS: Final = {100: 100, 10_000: 2}
TARGETS: Final = tuple(
    Target(f"{rows:,} invoices", most, rival)
    for rows in CALLS
    for rival, most in ((MSGSPEC, 2.0), (PYDANTIC, 0.8), (CATTRS, 0.45))
)
READINGS: Final[dict[str, Callable[[bytes], object]]] = {
    OURS: decode_ours.read,
    MSGSPEC: lambda body: typed_msgspec.decode(body).invoices,
    PYDANTIC: lambda body: typed_pydantic.Page.model_validate_json(body).invoices,
    CATTRS: decode_cattrs.read,
    DICTS: lambda body: httpx.Response(200, content=body).json()["invoices"],
}


def run(rounds: int) -> Cases:
    """Measure."""
    cases: Cases = {}
    for rows, calls in CALLS.items():
        body = page(0, rows, rows)
        expected = facts(READINGS[OURS](body))
        for way, read in READINGS.items():
            if way != DICTS and facts(read(body)) != expected:
                raise Failed(f"{way} reads something else")
        ways = {way: _timed(read, body, calls, rows) for way, read in READINGS.items()}
        cases[f"{rows:,} invoices"] = interleaved(ways, rounds)
    return cases


def _timed(
    read: Callable[[bytes], object], body: bytes, calls: int, rows: int
) -> Callable[[], float]:
    def timed() -> float:
        gc.collect()
        begin = time.process_time()
        for _ in range(calls):
            read(body)
        return (time.process_time() - begin) / calls / rows * 1e6

    return timed
