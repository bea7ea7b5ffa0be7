"""The process of a :class:`~benchmarks.harness.processes.Worker`: a line in, a line out."""

import importlib
import json
import os
import sys
import traceback


def main() -> None:
    """Call a function with each line of arguments, until there are no more."""
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not taken for an answer
    for line in sys.stdin:
        try:
            found = {"found": function(**json.loads(line))}
        except Exception as error:  # noqa: BLE001 - whatever it is, it fails the benchmark
            found = {"failed": told(error)}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def told(error: BaseException) -> str:
    """Return the error in one line; of many at once, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return traceback.format_exception_only(error)[-1].strip()


if __name__ == "__main__":
    main()
