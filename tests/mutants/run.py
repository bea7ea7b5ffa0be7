"""Change the code that decides about money, a little at a time, and see that a test notices.

    python tests/mutants/run.py                                   all, some half an hour
    python tests/mutants/run.py 'aiocake._transport.retry_after*'    some, by their names

mutmut makes the changes ("mutants") that pyproject.toml's ``tool.mutmut`` says. One that no test
notices has to be in survivors.toml, with the reason why it changes nothing that counts; so has one
that is only noticed since its tests do not end, or a busy machine would notice what tests do not.
One that is not there, or fewer than nine of ten noticed in a file, ends this with 1.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

ROOT: Final = Path(__file__).parents[2]
MUTANTS: Final = ROOT / "mutants"
LISTED: Final = Path(__file__).parent / "survivors.toml"
LEAST: Final = 0.9
#: A mutant can try again for ever, and keep all that it met.
BYTES: Final = 4 << 30

#: A function, without its module, and what stands there and what in its place.
Change = tuple[str, str, str]


def mutate(*names: str, children: int = 2) -> None:
    """Make the mutants that changed since the last time, and try them, or those of some names."""
    log = MUTANTS / "run.log"
    MUTANTS.mkdir(exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *names],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "AIOCAKE_EXAMPLES": "few"},
            check=False,
        )
    if done.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
        sys.exit("\n".join(("mutmut failed:", *tail)))


def results() -> Iterator[tuple[str, str, str]]:
    """Each mutant: its file, its name, and what became of it."""
    for meta in sorted(MUTANTS.glob("src/**/*.py.meta")):
        file = str(meta.relative_to(MUTANTS)).removesuffix(".meta")
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        for name, code in codes.items():
            yield file, name, status_by_exit_code[code]


def change_of(file: str, name: str) -> Change:
    """Return what a mutant changes, whatever its number and wherever the function is."""
    mangled = name.rpartition(".")[2]
    function = re.sub(r"__mutmut_[0-9]+$", "", mangled).removeprefix("x")
    function = function.removeprefix("_").replace("\u01c1", ".").strip(".")
    lines = get_diff_for_mutant(name, path=file).splitlines()[2:]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+"
    )
    return function, before, after


def listed() -> dict[str, dict[Change, str]]:
    """The mutants that are known to survive, or not to end, and why."""
    found = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    return {
        kind: {
            (each["function"], each["before"], each["after"]): each["reason"]
            for each in found.get(kind, [])
        }
        for kind in ("survivor", "endless")
    }


def main() -> None:
    """Mutate, compare and print."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    os.nice(10)
    mutate(*sys.argv[1:])
    known = listed()
    # A busy machine lets tests run out of time that would have ended: those are tried again alone.
    late = [
        name
        for file, name, status in results()
        if status == "timeout" and change_of(file, name) not in known["endless"]
    ]
    if late:
        mutate(*late, children=1)
    files: dict[str, Counter[str]] = {}
    met: dict[str, set[Change]] = {"survivor": set(), "endless": set()}
    for file, name, status in results():
        if status == "not checked" and sys.argv[1:]:
            continue
        counts = files.setdefault(file, Counter())
        if status in {"killed", "segfault"}:
            counts["noticed"] += 1
            continue
        change = change_of(file, name)
        # Where a machine is busy, what nobody notices may also run out of time.
        ended = status != "timeout" or change in known["survivor"]
        kind = "survivor" if ended else "endless"
        met[kind].add(change)
        counts["noticed" if change in known["endless"] else status] += 1
    for file, counts in files.items():
        print(f"{file:<42}{line(counts)}")
    print(f"{'all':<42}{line(sum(files.values(), Counter()))}")
    for reason, count in Counter(known["survivor"].values()).most_common():
        print(f"{count:>4} listed: {reason}")
    new = [(kind, each) for kind, found in met.items() for each in found - set(known[kind])]
    for kind, (function, before, after) in sorted(new):
        print(f"\nNOT LISTED, {kind}:\n    {function}\n    - {before}\n    + {after}")
    for change in () if sys.argv[1:] else sorted(set(known["survivor"]) - met["survivor"]):
        print("\nlisted, but noticed or not there:\n    {}\n    - {}\n    + {}".format(*change))
    if new or any(counts["noticed"] < LEAST * counts.total() for counts in files.values()):
        sys.exit(1)


def line(counts: Counter[str]) -> str:
    """Some counts in a line."""
    others = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if what != "noticed")
    share = counts["noticed"] / counts.total()
    return f"{counts['noticed']:>5} of {counts.total():<5} noticed, {share:6.1%}   {others}"


if __name__ == "__main__":
    main()
