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
LOOPS: Final = "the libraries, asyncio and ssl"
LACKS: Final = {
    LIBRARIES: "An SDK: it is `import attrs, cattrs, tenacity, anyio, msgspec, httptools`.",
    LOOPS: "A client: it is the same, with `asyncio` and `ssl`.",
}
CASE: Final = "a fresh process"
#: The import leaves to the first client what only calls need. So that nobody takes that for a
#: saving, it is shown here; nothing is promised of it.
WITH_CLIENT: Final = 'with the first client: Client("127.0.0.1", key)'
TARGETS: Final = (Target(CASE, 2.0, LIBRARIES),)
#: Rounds, at least, if it is not a look.
ROUNDS: Final = 15
_OURS: Final = "from aiocake import Client, bulk"
_LIBRARIES: Final = "import attrs, cattrs, tenacity, anyio, msgspec, httptools"
STATEMENTS: Final = {
    CASE: {OURS: _OURS, LIBRARIES: _LIBRARIES},
    WITH_CLIENT: {
        OURS: f"{_OURS}; Client('127.0.0.1', 'key')._closed = True",
        LOOPS: f"{_LIBRARIES}, asyncio, ssl",
    },
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
    count = max(rounds, ROUNDS) if rounds >= ENOUGH else rounds
    found: Cases = {}
    for case, statements in STATEMENTS.items():
        ways = {way: partial(duration, statement) for way, statement in statements.items()}
        interleaved(ways, 1)  # writes the .pyc files
        found[case] = interleaved(ways, count)
    return found
