"""Rounds: in each of them every way is measured once, so that all share the noise."""

import random
from collections.abc import Callable, Mapping

#: What each way took in each round.
Rounds = dict[str, list[float]]
#: The rounds of each case, such as "8 at once".
Cases = dict[str, Rounds]


def interleaved(ways: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Measure each way so many times."""
    taken: Rounds = {name: [] for name in ways}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            taken[name].append(ways[name]())
    return taken
