"""Fuzz with atheris: all targets one after the other, or one.

    python fuzz/run.py SECONDS [TARGET ...]

It begins with the seeds of fuzz/seeds.py and with what was kept in fuzz/corpus. An input that is a
finding is kept there as ``crash-…``; to see it again without atheris::

    python -c "import sys; sys.path.insert(0, 'fuzz'); import targets; \
        targets.TARGETS['page'](open('fuzz/corpus/page/crash-…', 'rb').read())"
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
#: Longer inputs show little new, and are slow.
LONGEST: Final = 8192
_DONE: Final = re.compile(
    r"^#([0-9]+)\s+DONE\s+cov: ([0-9]+) ft: ([0-9]+) corp: ([0-9]+)/\S+ .*?exec/s: ([0-9]+)",
    re.MULTILINE,
)


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target, in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["aiocake", "json", "html"]):
        from targets import TARGETS
    from seeds import TOKENS, seeds

    corpus = HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    words = HERE / "corpus" / "words.dict"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS), encoding="ascii")
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-dict={words}",
        f"-artifact_prefix={corpus}/",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup([name, *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def report(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own and print a line: whether there was no finding."""
    command = [sys.executable, __file__, "--here", name, str(seconds)]
    with subprocess.Popen(  # noqa: S603 - itself
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        output, _ = child.communicate()
    done = _DONE.search(output)
    if child.returncode == 0 and done is not None:
        runs, coverage, features, inputs, rate = map(int, done.groups())
        print(f"{name:<12}{runs:>12,}{rate:>10,}{coverage:>10,}{features:>10,}{inputs:>8,}")
        return True
    print(f"{name:<12} FOUND SOMETHING (or broke):")
    print("    " + "\n    ".join(output.splitlines()[-40:]))
    return False


def main() -> None:
    """Do what the command line says."""
    if sys.argv[1] == "--here":
        fuzz(sys.argv[2], int(sys.argv[3]))
        return
    seconds = int(sys.argv[1])
    sys.path.insert(0, str(HERE))
    from targets import TARGETS

    names = sys.argv[2:] or list(TARGETS)
    print(f"{seconds} s each")
    print(f"{'target':<12}{'runs':>12}{'a second':>10}{'coverage':>10}{'features':>10}{'kept':>8}")
    fine = [report(name, seconds) for name in names]
    if not all(fine):
        sys.exit(1)


if __name__ == "__main__":
    main()
