"""Attacks on each reader end in errors, within CPU that an attack that works would use up at once.

The limit is a watchdog and no measure: what is attacked here takes seconds for all attacks
together, and took hours for one of them before its reader was bounded.
"""

import re
import resource
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parents[2] / "fuzz" / "attacks.py"
CPU_SECONDS = 300


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def test_all_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(FILE)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert len(lines) > 90
    assert [each for each in lines if re.match(r" *[0-9.]+ ms  [^:]+: .*: \w+", each) is None] == []
    for attack in ("billion laughs", "quadratic", "chain of 100,000 entities", "external entity"):
        assert any(f"{attack}: DecodeError: " in each for each in lines)
