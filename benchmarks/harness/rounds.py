"""Rounds: in each of them every way is measured once, so that all share the noise."""

import random
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

#: What each way took in each round.
Rounds = dict[str, list[float]]
#: The rounds of each case, such as "8 at once".
Cases = dict[str, Rounds]


def interleaved(
    ways: Mapping[str, Callable[[], float]], rounds: int, together: Collection[str] = ()
) -> Rounds:
    """Measure each way so many times.

    Args:
        ways: By name, what measures once.
        rounds: How many times.
        together: Ways that are measured at the same time, each in a process of its own: slow ones,
            whose figure is CPU.
    """
    taken: Rounds = {name: [] for name in ways}
    turns = [[name] for name in ways if name not in together]
    turns += [list(together)] if together else []
    with ThreadPoolExecutor() as threads:
        for _ in range(rounds):
            for turn in random.sample(turns, len(turns)):
                for name, value in zip(
                    turn, threads.map(lambda name: ways[name](), turn), strict=True
                ):
                    taken[name].append(value)
    return taken
