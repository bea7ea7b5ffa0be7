"""Where the time of a typed page goes: samples of a process that reads pages, 8 at once.

py-spy looks at it 500 times a second from outside, so that the calls are not slowed down. It sees
frames of Python; what is done in C counts for the frame that called it.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

from benchmarks.harness.processes import ROOT, Failed, Worker, server
from benchmarks.harness.results import FOLDER
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import ENOUGH, OURS, Target

TITLE: Final = "Samples of a process that reads typed pages"
UNIT: Final = "samples"
LACKS: Final[dict[str, str]] = {}
TARGETS: Final[tuple[Target, ...]] = ()
STACKS: Final = FOLDER / "where.txt"
SECONDS: Final = 6


def folded(raw: str) -> Counter[str]:
    """Return how often each stack was seen, from the call down, as ``module function;…``."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_frame(each) for each in stack.split(";")]
        starts = [at for at, frame in enumerate(frames) if frame.endswith(" _work")]
        # What the event loop does between the calls belongs to them, too.
        kept = frames[starts[0] + 1 :] if starts else _of_loop(frames)
        # The frame that makes the call is the benchmark's.
        kept = [frame for frame in kept if not frame.startswith("benchmarks/")]
        if kept:
            found[";".join(kept)] += int(count)
    return found


def _of_loop(frames: list[str]) -> list[str]:
    loops = [at for at, frame in enumerate(frames) if frame.endswith("_run_once")]
    return ["the event loop", *frames[loops[0] + 1 :]] if loops else []


def _frame(text: str) -> str:
    """Return "package/module function" of "function (path:line)"."""
    function, _, place = text.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for root in ("site-packages/", "src/", f"python{sys.version_info[0]}.{sys.version_info[1]}/"):
        path = path.rpartition(root)[2]
    return f"{path.removesuffix('.py')} {function}"


def run(rounds: int) -> Cases:
    """Sample, once, and keep the stacks beside the figures."""
    with tempfile.TemporaryDirectory() as folder, server() as url:
        raw = Path(folder) / "stacks.txt"
        with Worker(
            "benchmarks.harness.calls:cpu", opens="benchmarks.rivals.ours:pages", url=url, at_once=8
        ) as worker:
            calls = int(SECONDS * 1.2e6 / worker.ask(calls=400))
            command = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "500"]
            command += ["--format", "raw", "--duration", str(SECONDS), "--output", str(raw)]
            command += ["--pid", str(worker.pid)]
            with subprocess.Popen(command, cwd=ROOT, stdout=DEVNULL, stderr=PIPE, text=True) as spy:  # noqa: S603 - a tool
                worker.ask(calls=calls)
                _, told = spy.communicate(timeout=60)
        if spy.returncode:
            raise Failed(f"py-spy: {told.strip()}")
        stacks = folded(raw.read_text(encoding="utf-8"))
    lines = (f"{stack} {count}\n" for stack, count in sorted(stacks.items()))
    if rounds >= ENOUGH:
        FOLDER.mkdir(exist_ok=True)
        STACKS.write_text("".join(lines), encoding="utf-8")
    return {"8 at once": {OURS: [float(stacks.total())]}}
