"""What is promised of a benchmark, and what became of it."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.harness.rounds import Cases, Rounds

#: Fewer rounds than these are a look: nothing is judged by them.
ENOUGH: Final = 9
OURS: Final = "aiocake"


@dataclass(frozen=True)
class Target:
    """What is promised.

    Attributes:
        case: The case, such as "8 at once".
        most: What the median may be at most: of ours, or of ours divided by the rival's in the
            same round.
        rival: The way to compare with; empty for none.
        ours: Our way.
        rounds: Rounds that are needed to judge it: one where the figure hardly varies.
    """

    case: str
    most: float
    rival: str = ""
    ours: str = OURS
    rounds: int = ENOUGH


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, median, upper


def ratios(rounds: Rounds, ours: str, rival: str) -> list[float]:
    """Return ours divided by the rival's, round by round."""
    return [mine / its for mine, its in zip(rounds[ours], rounds[rival], strict=True)]


def judged(target: Target, cases: Cases) -> dict[str, Any]:
    """Return a target with the figures of it, and "met", "met (within the quartiles)" or "MISSED".

    A target that lies within the quartiles counts as met: more rounds might show either.
    """
    rounds = cases[target.case]
    values = rounds[target.ours]
    if target.rival:
        values = ratios(rounds, target.ours, target.rival)
    lower, median, upper = quartiles(values)
    verdict = "MISSED"
    if median <= target.most:
        verdict = "met"
    elif lower <= target.most:
        verdict = "met (within the quartiles)"
    if len(values) < target.rounds:
        verdict = "not judged"
    return {
        **asdict(target),
        "median": median,
        "lower": lower,
        "upper": upper,
        "verdict": verdict,
    }
