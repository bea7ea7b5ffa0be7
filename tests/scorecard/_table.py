"""The cases, and the table that tells how each of them ended."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

__all__ = ["BACKENDS", "CASES", "LEFT_OUT", "Score", "lines"]

BACKENDS: Final = ("asyncio", "trio")

#: What goes wrong, by case.
CASES: Final[Mapping[str, str]] = {
    "C01": "connection refused, no such host, too slow to connect",
    "C04": "first address dead, second alive",
    "C05": "bad port or URL, plain http to a host that is not loopback",
    "C06": "TLS untrusted, expired, wrong name, peer without TLS",
    "C07": "TLS handshake stalls, is reset",
    "C09": "TLS record corrupted after sending",
    "C10": "no slot free, deadline passed in the queue",
    "C11": "proxy refuses, 407, 502 on CONNECT, reset during CONNECT",
    "C13": "the CONNECT line has no path, query or key",
    "S01": "reset or end on accept",
    "S03": "reset after the headers, before the body",
    "S04": "reset, end, half-close after the whole request",
    "S07": "no answer",
    "S08": "server never reads",
    "S09": "early 413 and close",
    "S10": "illegal header value, control character in an argument",
    "S11": "idle connection closed before use, and in the race",
    "S13": "cut at a random byte",
    "H01": "headers or body drip a byte at a time; endless 1xx",
    "H04": "garbage, two Content-Lengths, CL and TE, 200 kB header, 101, 299, 600",
    "H07": "surplus answer, body beyond its Content-Length, 204 with a body",
    "H09": "3xx",
    "B01": "body truncated: Content-Length, chunked, up to EOF, gzip",
    "B06": "gzip bomb, stacked and unknown encodings, above the cap, endless chunks",
    "B09": "200 with HTML",
    "B10": "wrong charset, bad UTF-8, UTF-16, BOM",
    "J01": "NaN, Infinity, 1e999999, 5000 digits, 100k nesting",
    "J02": "a key twice in one object",
    "J03": "trailing data, empty body, null, []",
    "J04": "unknown enum value, extra field",
    "J05": "missing required field",
    "J06": "money as 0.1+0.2, 1,234.50, -0, 1e2",
    "J07": "200 that says no",
    "J08": "answer of another invoice, status or filter",
    "J09": "list changes, counts from 1, is short, ignores start_at_row, miscounts",
    "J10": "an empty optional value, half a character, space around XML numbers",
    "X01": "billion laughs, quadratic, external entity, external DTD",
    "X02": "200k nesting, 200k attributes, 30 MB text",
    "X03": "truncated XML, NUL, utf-7, wrong encoding",
    "X04": "illegal character reference in a text",
    "X05": "SOAP Faults, 500 text/plain, 400 and 415 with an empty body",
    "X06": "export with fewer bills than its row_count",
    "T01": "429, 503 with seconds, date, ms or nothing; Restricted",
    "T02": "Retry-After nan, inf, -5, 1e400, past date, year 9999",
    "T04": "500, 502, 504 with JSON or HTML",
    "T05": "400, 401, 403, 404 in JSON, 405, 409 to 411, 413 to 415, 417, 422, 431",
    "T06": "full outage for 60 s at 200 calls/s",
    "T07": "100 tasks throttled at once",
    "T08": "4 processes share a quota, clocks 0.5 s off",
    "T09": "the store of a shared quota hung, killed, restarted; SCRIPT FLUSH",
    "T10": "408, 421, 425, 499 and any other 4xx; one left on an idle connection",
    "T11": "Retry-After of an hour, in a run and among 100 gathered calls",
    "T12": "300 calls gathered at a server that takes 0.1 s, deadline 2 s",
    "K01": "cancelled at each await, by scope and natively, once and twice",
    "K02": "200 cancels at once, small pool",
    "K03": "deadline during a wait",
    "K04": "aclose with calls in flight, use after close, second loop, fork",
    "K05": "two clients, two keys, Set-Cookie",
    "K06": "a canary key and note, echoed in every way",
}

#: The cases that have no test yet, and why.
LEFT_OUT: Final[Mapping[str, str]] = {}


@attrs.define
class Score:
    """How the tests of one case on one backend ended."""

    passed: int = 0
    failed: int = 0
    slowest: float = 0.0

    @property
    def good(self) -> bool:
        """Whether there were tests and all of them passed."""
        return self.passed > 0 and not self.failed

    def __str__(self) -> str:
        if self.failed:
            return f"{self.failed} of {self.failed + self.passed} FAILED"
        return f"ok {self.passed:>3}" if self.passed else "NO TEST"


def lines(scores: Mapping[tuple[str, str], Score]) -> Iterable[str]:
    """The lines of the table, with the count as the last one."""
    width = max(map(len, CASES.values()))
    yield f"case | {'fault':<{width}} | {'asyncio':<8} | {'trio':<8} | slowest call"
    good = 0
    for case, fault in CASES.items():
        if case in LEFT_OUT:
            yield f"{case:<4} | {fault:<{width}} | left out: {LEFT_OUT[case]}"
            continue
        both = [scores.get((case, backend), Score()) for backend in BACKENDS]
        good += all(each.good for each in both)
        cells = " | ".join(f"{each!s:<8}" for each in both)
        slowest = max(each.slowest for each in both)
        yield f"{case:<4} | {fault:<{width}} | {cells} | {slowest:.2f} s"
    yield f"{good} of {len(CASES)} cases passed on both backends, {len(LEFT_OUT)} left out"
