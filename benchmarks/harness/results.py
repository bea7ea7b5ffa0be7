"""The figures of a benchmark: printed, and stored as JSON."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from benchmarks import BENCHMARKS
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, Target, judged, quartiles, ratios

FOLDER: Final = Path(__file__).parents[1] / "results"
_LIBRARIES: Final = (
    "aiohttp",
    "anyio",
    "cattrs",
    "httpcore2",
    "httptools",
    "httpx",
    "httpx2",
    "msgspec",
    "orjson",
    "pandas",
    "pyarrow",
    "pydantic",
    "trio",
    "uvloop",
    "xlsxwriter",
    "xsdata",
    "zeep",
)

Stored = dict[str, Any]


def result(  # noqa: PLR0913 - what there is to say of a benchmark
    name: str,
    *,
    title: str,
    unit: str,
    cases: Cases,
    targets: Sequence[Target],
    lacks: Mapping[str, str],
) -> Stored:
    """Return all that is to be kept of a benchmark."""
    return {
        "name": name,
        "title": title,
        "unit": unit,
        "machine": machine(),
        "libraries": dict(_versions()),
        "cases": cases,
        "targets": [judged(target, cases) for target in targets],
        "lacks": dict(lacks),
    }


def machine() -> dict[str, object]:
    """Return what the figures were taken on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def store(found: Stored) -> None:
    """Write it down."""
    FOLDER.mkdir(exist_ok=True)
    rounded = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.5g}"))
    text = json.dumps(rounded, indent=1, ensure_ascii=False)
    (FOLDER / f"{found['name']}.json").write_text(text + "\n", encoding="utf-8")


def stored() -> dict[str, Stored]:
    """Return what was written down, by name, in the order of the benchmarks."""
    paths = {name: FOLDER / f"{name}.json" for name in BENCHMARKS}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.exists()
    }


def show(found: Stored) -> None:
    """Print a table for each case, then the targets."""
    print(f"\n{found['name']}: {found['title']} ({found['unit']}; median, quartiles)")
    for case, rounds in found["cases"].items():
        print(f"  {case}")
        for way, values in rounds.items():
            lower, median, upper = quartiles(values)
            line = f"    {way:<34}{figure(median):>10}   {figure(lower)} to {figure(upper)}"
            if way != OURS and OURS in rounds:
                ratio = quartiles(ratios(rounds, OURS, way))[1]
                line += f"   aiocake / this {figure(ratio)}"
            print(line)
    for target in found["targets"]:
        print(f"  {sentence(target)}: {target['verdict']}")


def sentence(target: Mapping[str, Any]) -> str:
    """Return what is promised and what was found, in words."""
    against = f" / {target['rival']}" if target["rival"] else ""
    spread = f"{figure(target['lower'])} to {figure(target['upper'])}"
    found = f"{figure(target['median'])} ({spread}), at most {figure(target['most'])}"
    return f"{target['case']}, {target['ours']}{against}: {found}"


def figure(value: float) -> str:
    """Return a number as it is printed: three digits of it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
