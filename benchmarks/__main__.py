"""Measure aiocake beside what a user would pick instead.

::

    python -m benchmarks run                 # all, under 10 minutes on two cores
    python -m benchmarks run page bills      # some
    python -m benchmarks run page --rounds 3 # a look: nothing is judged or stored
    python -m benchmarks plots               # plots and tables of the stored figures, into docs/
    python -m benchmarks guard               # count instructions, and compare with the figures here

Each benchmark is one file beside this one: what it measures, against what, and what is promised.
It prints medians and quartiles and stores its figures in ``results/NAME.json``. A rival that fails,
or answers with something else than it should, fails the benchmark; a promise that is missed does
not: whether it was says the machine, too.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks import BENCHMARKS, UNTIMED
from benchmarks.harness import results
from benchmarks.harness.processes import Failed, Skipped
from benchmarks.harness.verdict import ENOUGH


def run(names: list[str], rounds: int) -> bool:
    """Run benchmarks; return whether all of them could be measured."""
    untimed = [name for name in names if name in UNTIMED]
    well = [_run(name, rounds)() for name in names if name not in UNTIMED]
    with ThreadPoolExecutor() as threads:
        well += [show() for show in threads.map(lambda name: _run(name, rounds), untimed)]
    return all(well)


def _run(name: str, rounds: int) -> Callable[[], bool]:
    """Run a benchmark; return what shows and stores it, and tells whether it was measured."""
    begin = time.perf_counter()
    benchmark = importlib.import_module(f"benchmarks.{name}")

    def say(text: str, *, well: bool) -> bool:
        print(text, flush=True)
        return well

    try:
        cases = benchmark.run(rounds)
    except Skipped as reason:
        return partial(say, f"\n{name} skipped: {reason}", well=True)
    except Failed as failure:
        return partial(say, f"\n{name} FAILED: {failure}", well=False)
    taken = time.perf_counter() - begin

    def show() -> bool:
        found = results.result(
            name,
            title=benchmark.TITLE,
            unit=benchmark.UNIT,
            cases=cases,
            targets=benchmark.TARGETS,
            lacks=benchmark.LACKS,
        )
        results.show(found)
        if rounds >= ENOUGH:
            results.store(found)
        return say(f"  {taken:.0f} s", well=True)

    return show


def main() -> None:
    """Do what the command line says."""
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=lines[0])
    commands = parser.add_subparsers(dest="command", required=True)
    of_run = commands.add_parser("run", help="measure")
    of_run.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    of_run.add_argument("--rounds", type=int, default=ENOUGH)
    commands.add_parser("plots", help="draw the stored figures into docs/")
    of_guard = commands.add_parser("guard", help="count instructions, and compare")
    of_guard.add_argument("--update", action="store_true", help="store the counts instead")
    options = parser.parse_args()
    if options.command == "run":
        unknown = set(options.names) - set(BENCHMARKS)
        if unknown:
            of_run.error(f"no benchmark of that name: {', '.join(sorted(unknown))}")
        sys.exit(not run(options.names or list(BENCHMARKS), options.rounds))
    chosen = importlib.import_module(f"benchmarks.{options.command}")
    sys.exit(chosen.main(update=options.update) if options.command == "guard" else chosen.main())


if __name__ == "__main__":
    main()
