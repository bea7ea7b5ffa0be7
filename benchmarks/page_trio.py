"""The page on trio, where few rivals run: beside aiocake as it was over httpcore2."""

from typing import Final

from benchmarks.harness.over_http import CALLS, compare
from benchmarks.harness.processes import BEFORE, COMMIT, source_at
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target
from benchmarks.page import UNIT, WAYS, expected

__all__ = ["LACKS", "TARGETS", "TITLE", "UNIT", "run"]

TITLE: Final = "A typed page of 100 invoices, trio"
LACKS: Final = {BEFORE: "The same promises, over httpcore2."}
TARGETS: Final = tuple(Target(f"{at_once} at once", 0.45, BEFORE) for at_once in CALLS)


def run(rounds: int) -> Cases:
    """Measure."""
    ways = {OURS: WAYS[OURS], BEFORE: WAYS[OURS]}
    with source_at(COMMIT) as source:
        return compare(ways, rounds, expected(), loop="trio", sources={BEFORE: source})
