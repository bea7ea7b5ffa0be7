"""Draw the stored figures, and write them into README.md and docs/performance.md.

What is written stands between ``<!-- figures -->`` and ``<!-- end of figures -->``; all else on the
pages is written by hand.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import bills, memory, page, where
from benchmarks.harness import drawing
from benchmarks.harness.processes import ROOT
from benchmarks.harness.results import Stored, figure, stored
from benchmarks.harness.verdict import OURS, quartiles, ratios

README: Final = ROOT / "README.md"
PAGE: Final = ROOT / "docs" / "performance.md"
DRAWINGS: Final = ROOT / "docs" / "performance"
_PLACE: Final = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main() -> int:
    """Draw and write; return the status of the process."""
    found = stored()
    DRAWINGS.mkdir(exist_ok=True)
    for name, each in found.items():
        if name != "where":
            draw = drawing.lines if len(each["cases"]) == 3 and _is_of_calls(each) else drawing.bars
            _save(f"{name}.svg", draw(each["title"], each["unit"], each["cases"]))
    if where.STACKS.exists():
        _save("where.svg", drawing.flame("Where the time of a typed page goes", _stacks()))
    _put(PAGE, "\n\n".join(_sections(found)))
    _put(README, "\n\n".join(_summary(found)))
    return 0


def _is_of_calls(each: Stored) -> bool:
    return each["name"].startswith("page") and len(next(iter(each["cases"].values()))) > 2


def _stacks() -> dict[str, int]:
    lines = where.STACKS.read_text(encoding="utf-8").splitlines()
    return {stack: int(count) for stack, _, count in (line.rpartition(" ") for line in lines)}


def _save(name: str, text: str) -> None:
    (DRAWINGS / name).write_text(text, encoding="utf-8")


def _put(page_: Path, text: str) -> None:
    whole = page_.read_text(encoding="utf-8")
    put, count = _PLACE.subn(lambda place: f"{place[1]}{text}\n{place[2]}", whole)
    if count != 1:
        raise RuntimeError(f"{page_.name} has no place for figures")
    page_.write_text(put, encoding="utf-8")


def _sections(found: Mapping[str, Stored]) -> Iterator[str]:
    """Yield the section of each benchmark."""
    for name, each in found.items():
        yield f"### {each['title']}"
        if name == "where":
            yield f"![{each['title']}](performance/where.svg)"
            continue
        yield f"![{each['title']}: {each['unit']}](performance/{name}.svg)"
        yield "\n".join(_table(each))
        if each["targets"]:
            yield "\n".join(_promises(each))
        if each["lacks"]:
            yield "\n".join(f"- What *{way}* lacks: {lack}" for way, lack in each["lacks"].items())
        machine = each["machine"]
        yield (
            f"{machine['python']}, {machine['cores']} cores of {machine['processor']}; "
            f"`nox -s bench -- {name}`."
        )


def _table(each: Stored) -> Iterator[str]:
    yield f"| | {each['unit']}, median | quartiles | {OURS} ÷ this |"
    yield "|---|--:|--:|--:|"
    for case, rounds in each["cases"].items():
        yield f"| **{case}** | | | |"
        for way, values in rounds.items():
            lower, median, upper = map(figure, quartiles(values))
            spread = f"{lower} to {upper}" if len(values) > 1 else ""
            ratio = ""
            if way != OURS and OURS in rounds and min(values) > 0:
                ratio = figure(quartiles(ratios(rounds, OURS, way))[1])
            yield f"| {way} | {median} | {spread} | {ratio} |"


def _promises(each: Stored) -> Iterator[str]:
    yield "| promise | at most | found | |"
    yield "|---|--:|--:|---|"
    for target in each["targets"]:
        against = f" ÷ {target['rival']}" if target["rival"] else ""
        yield (
            f"| {target['case']}: {target['ours']}{against} | {figure(target['most'])} | "
            f"{figure(target['median'])} | {target['verdict']} |"
        )


def _summary(found: Mapping[str, Stored]) -> Iterator[str]:
    """Yield the picture of README.md, and a sentence for each of its figures."""
    if "page" in found:
        yield f"![{page.TITLE}: {page.UNIT}](docs/performance/page.svg)"
    sentences = list(_sentences(found))
    if sentences:
        yield "\n".join(f"- {sentence}" for sentence in sentences)


def _sentences(found: Mapping[str, Stored]) -> Iterator[str]:
    if "page" in found:
        rounds = found["page"]["cases"]["8 at once"]
        cost = figure(quartiles(rounds[OURS])[1])
        times = [
            f"{figure(1 / _ratio(found['page'], '8 at once', rival))} times less than {rival}"
            for rival in ("httpx + pydantic", "httpx2 + pydantic")
        ]
        aiohttp = figure(_ratio(found["page"], "8 at once", page.AIOHTTP))
        yield (
            f"A typed page of 100 invoices takes {cost} µs of CPU with 8 calls at once: "
            f"{' and '.join(times)}, and {aiohttp} times that of {page.AIOHTTP} by hand."
        )
    if "bills" in found:
        lean, zeep = (_ratio(found["bills"], bills.CASE, way) for way in (bills.EXPAT, "zeep"))
        yield (
            f"An export of bills takes {figure(lean)} times the CPU of a lean handler for "
            f"expat by hand, and {figure(1 / zeep)} times less than zeep."
        )
    if "memory" in found:
        cases = found["memory"]["cases"]
        paged = figure(max(cases[memory.PAGED][OURS]))
        exported = figure(max(cases[memory.EXPORTED][OURS]))
        yield (
            f"Paging through a million invoices takes {paged} MB above an idle client, an export "
            f"of 200,000 bills {exported} MB."
        )
    if "paging" in found:
        cases = found["paging"]["cases"]
        shares = ", ".join(
            f"{1 / quartiles(rounds[OURS])[1]:.0%} with {case}" for case, rounds in cases.items()
        )
        yield f"Of the ideal rate of a list whose pages take 20 ms, it reaches {shares}."


def _ratio(each: Mapping[str, Any], case: str, rival: str) -> float:
    return quartiles(ratios(each["cases"][case], OURS, rival))[1]
