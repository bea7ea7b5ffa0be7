"""Ctrl-C keeps the grace of a write and tells its outcome; a fork gets a clear error.

With real signals, in a process of its own.
"""

import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGINT nor fork")
UPDATE = "invoices.update(invoice_id=4821, invoice_status='approved')"
UNKNOWN = f"{UPDATE}: outcome unknown: look before you send it again (intent ID)"


def test_interrupts_and_forks(tmp_path: Path) -> None:
    said: dict[str, list[str]] = defaultdict(list)
    program = ""
    command = [sys.executable, str(Path(__file__).with_name("programs.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "interrupt\n":
                process.send_signal(signal.SIGINT)
            elif line.startswith("# "):
                program = line[2:-1]
            else:
                said[program].append(re.sub(r"intent [\w-]{36}", "intent ID", line[:-1]))
    assert process.returncode == 0
    assert said == {
        "done": [
            "KeyboardInterrupt",
            f"{UPDATE}: done (intent ID)",
            "['before invoices.update', 'after invoices.update DONE'] 0 in flight",
            "then approved",
        ],
        "unknown": [
            "KeyboardInterrupt",
            UNKNOWN,
            "['before invoices.update', 'after invoices.update UNKNOWN'] 1 unknown",
        ],
        "twice": ["KeyboardInterrupt", UNKNOWN, "['before invoices.update']", "0 threads"],
        "listing": ["KeyboardInterrupt", "0 in flight, then 60 rows"],
        "run": [
            "KeyboardInterrupt",
            "invoices.update: 5 done",
            "resumed: True",
            "each once: True",
        ],
        "forked": [
            (
                "the client was used before a fork, which does not copy its thread: make one in "
                "each process"
            ),
            "one that was not used yet works: True",
            "child ended with 0",
            "parent goes on: True",
        ],
    }
