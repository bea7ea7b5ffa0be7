"""Drawings as SVG that can be read on light and on dark pages: lines, bars, and a flame graph.

Each is a text and a few shapes: no script, no font and no file from elsewhere.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.harness.results import figure
from benchmarks.harness.rounds import Cases
from benchmarks.harness.verdict import OURS, quartiles

WIDTH: Final = 760
_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px }
.quiet { fill: #57606a }
.rule { stroke: #8c959f; stroke-width: 1; opacity: .35 }
.whisker { stroke: #24292f; stroke-width: 1.5 }
.c0 { fill: #0969da; stroke: #0969da }
.c1 { fill: #bf5a00; stroke: #bf5a00 }
.c2 { fill: #1a7f37; stroke: #1a7f37 }
.c3 { fill: #8250df; stroke: #8250df }
.c4 { fill: #6e7781; stroke: #6e7781 }
.line { fill: none; stroke-width: 2.5 }
.bar, .name { stroke: none !important }
.flame { stroke: #fff; stroke-width: .6 }
.flame + text { fill: #1f1f1f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .quiet { fill: #9198a1 }
  .whisker { stroke: #e6edf3 }
  .c0 { fill: #4c9aff; stroke: #4c9aff }
  .c1 { fill: #f0883e; stroke: #f0883e }
  .c2 { fill: #3fb950; stroke: #3fb950 }
  .c3 { fill: #b083f0; stroke: #b083f0 }
  .c4 { fill: #9198a1; stroke: #9198a1 }
  .flame { stroke: #0d1117 }
}
"""
#: What each kind of frame of a flame graph is filled with.
_FLAMES: Final = {"aiocake": "#79b8ff", "library": "#ffab70", "python": "#d1d5da"}


def _svg(height: float, shapes: Sequence[str], title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">'
    )
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", *shapes, "</svg>", ""]
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def lines(title: str, unit: str, cases: Cases) -> str:
    """Draw the median of each way over the cases, on a logarithmic scale."""
    left, right, top, bottom = 60.0, 190.0, 56.0, 330.0
    ways = list(next(iter(cases.values())))
    medians = {way: [quartiles(rounds[way])[1] for rounds in cases.values()] for way in ways}
    every = [value for values in medians.values() for value in values]
    low, high = math.log10(min(every) * 0.8), math.log10(max(every) * 1.2)

    def at(value: float) -> float:
        return bottom - (math.log10(value) - low) / (high - low) * (bottom - top)

    shapes = [_text(0, 18, title, "title"), _text(0, 38, f"{unit}, logarithmic", "small quiet")]
    for mark in _marks(10**low, 10**high):
        shapes.append(f'<path class="rule" d="M{left} {at(mark):.1f}H{WIDTH - right}"/>')
        shapes.append(_text(left - 8, at(mark) + 4, f"{mark:,.0f}", "small quiet", "end"))
    step = (WIDTH - left - right) / (len(cases) - 1)
    for place, case in enumerate(cases):
        anchor = ("start", "middle")[0 < place < len(cases) - 1]
        anchor = "end" if place == len(cases) - 1 else anchor
        shapes.append(_text(left + place * step, bottom + 22, case, "small quiet", anchor))
    names = _apart([(at(values[-1]), way) for way, values in medians.items()])
    for number, (way, values) in enumerate(medians.items()):
        points = [(left + place * step, at(value)) for place, value in enumerate(values)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        shapes.append(f'<path class="line c{number}" style="fill:none" d="M{path}"/>')
        shapes += (
            f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points
        )
        name = f"{way}, {figure(values[-1])}"
        shapes.append(_text(WIDTH - right + 12, names[way] + 4, name, f"name c{number}"))
    return _svg(bottom + 36, shapes, title)


def _marks(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (
            digit * 10.0**power for digit in (1, 2, 5) if low <= digit * 10.0**power <= high
        )


def _apart(wanted: list[tuple[float, str]], gap: float = 17) -> Mapping[str, float]:
    """Return where names are put so that none covers another."""
    placed: dict[str, float] = {}
    below = -math.inf
    for y, name in sorted(wanted):
        below = max(y, below + gap)
        placed[name] = below
    return placed


def bars(title: str, unit: str, cases: Cases) -> str:
    """Draw a bar for each way in each case, with the quartiles."""
    left, right = 250.0, 70.0
    shapes = [_text(0, 18, title, "title"), _text(0, 38, unit, "small quiet")]
    y = 52.0
    for case, rounds in cases.items():
        y += 20
        shapes.append(_text(0, y, case, "small quiet"))
        y += 6
        spread = {way: quartiles(values) for way, values in rounds.items()}
        most = max(upper for _, _, upper in spread.values()) or 1.0
        scale = (WIDTH - left - right) / most
        for way, (lower, median, upper) in spread.items():
            kind = "c0" if way == OURS else "c4"
            shapes.append(_text(left - 10, y + 14, way, "", "end"))
            shapes.append(
                f'<rect class="bar {kind}" x="{left}" y="{y + 3}" '
                f'width="{max(median * scale, 1):.1f}" height="14" rx="2"/>'
            )
            if upper > lower:
                shapes.append(
                    f'<path class="whisker" d="M{left + lower * scale:.1f} {y + 10}'
                    f'H{left + upper * scale:.1f}"/>'
                )
            shapes.append(_text(left + upper * scale + 8, y + 14, figure(median), "small"))
            y += 21
    return _svg(y + 10, shapes, title)


@dataclass
class Frame:
    """A frame of a flame graph: how many samples are in it, and in what it calls."""

    samples: int = 0
    calls: dict[str, "Frame"] = field(default_factory=dict)


def flame(title: str, stacks: Mapping[str, int], smallest: float = 0.004) -> str:
    """Draw stacks: the callers above, each as wide as its share of the samples."""
    root = Frame()
    for stack, count in stacks.items():
        frame = root
        frame.samples += count
        for name in stack.split(";"):
            frame = frame.calls.setdefault(name, Frame())
            frame.samples += count
    top, height = 66.0, 17.0
    legend = "blue: aiocake; orange: libraries; grey: Python's own and the event loop"
    shapes = [
        _text(0, 18, title, "title"),
        _text(
            0, 38, "as wide as their share of the time, callers above what they call", "small quiet"
        ),
        _text(0, 54, legend, "small quiet"),
    ]
    deepest = 0

    def draw(frame: Frame, x: float, depth: int) -> None:
        nonlocal deepest
        for name, call in sorted(frame.calls.items(), key=lambda each: -each[1].samples):
            share = call.samples / root.samples
            if share < smallest:
                continue
            deepest = max(deepest, depth)
            shapes.extend(_flame(name, share, x, top + depth * height, height))
            draw(call, x, depth + 1)
            x += share * WIDTH

    draw(root, 0.0, 0)
    return _svg(top + (deepest + 1) * height + 8, shapes, title)


def _flame(name: str, share: float, x: float, y: float, height: float) -> Iterator[str]:
    module, _, function = name.rpartition(" ")
    kind = "python"
    if module.startswith("aiocake"):
        kind = "aiocake"
    elif "/" in module and not module.startswith("asyncio"):
        kind = "library"
    width = share * WIDTH
    yield (
        f'<rect class="flame" fill="{_FLAMES[kind]}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height}"><title>{escape(name)}: {share:.1%}</title></rect>'
    )
    letters = int(width / 6.2) - 1
    if letters > 3:
        text = function if len(function) <= letters else f"{function[: letters - 1]}…"
        yield (
            f'<text class="small" style="fill:#1f1f1f" x="{x + 3:.1f}" y="{y + 12.5:.1f}">'
            f"{escape(text)}</text>"
        )
