"""How long ``from aiocake import Client, bulk`` takes, beside the libraries that it stands on."""

import subprocess
import sys
from functools import partial
from typing import Final

from benchmarks.harness.processes import Failed
from benchmarks.harness.rounds import Cases, interleaved
from benchmarks.harness.verdict import ENOUGH, OURS, Target

TITLE: Final = "from aiocake import Client, bulk"
UNIT: Final = "ms of CPU"
LIBRARIES: Final = "the libraries alone"
LACKS: Final = {
    LIBRARIES: "An SDK: it is `import attrs, cattrs, tenacity, anyio, msgspec, httptools`."
}
CASE: Final = "a fresh process"
TARGETS: Final = (Target(CASE, 2.0, LIBRARIES),)
#: Rounds, at least, if it is not a look.
ROUNDS: Final = 15
STATEMENTS: Final = {
    OURS: "from aiocake import Client, bulk",
    LIBRARIES: "import attrs, cattrs, tenacity, anyio, msgspec, httptools",
}


def duration(statement: str) -> float:
    """Return the ms of CPU that a statement takes in a fresh interpreter."""
    program = (
        f"import time; begin = time.process_time(); {statement}; "
        "print((time.process_time() - begin) * 1e3)"
    )
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - us
    if done.returncode:
        raise Failed(done.stderr.strip().rpartition("\n")[2])
    return float(done.stdout)


def run(rounds: int) -> Cases:
    """Measure."""
    ways = {way: partial(duration, statement) for way, statement in STATEMENTS.items()}
    interleaved(ways, 1)  # writes the .pyc files
    return {CASE: interleaved(ways, max(rounds, ROUNDS) if rounds >= ENOUGH else rounds)}
