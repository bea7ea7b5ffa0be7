"""One self-contained page of HTML: no script, and nothing from elsewhere.

Texts become HTML in one place: :func:`element` escapes every text that it is given, and lets
through only what it has made itself. The page says to the browser what it may do (its content
security policy), which is: nothing, but use the one style sheet that is in it.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

import attrs

from aiocake._display import escaped

#: How wide the picture of a bar is, in its own units.
_BAR: Final = 1000
#: Texts of so many characters, such as a date with its time, stay on one line.
_SHORT: Final = 22
_ROUGH: Final = Context(prec=6)

_STYLE: Final = """
:root { --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --wash: #f6f8fa;
  --now: #1f5fb4; --then: #afb8c1; --bad: #b42318; --good: #1a6e34; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem; max-width: 78rem; color: var(--ink); background: #fff;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
p { margin: .5rem 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem;
  margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
.soft { color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem;
  margin-top: 1rem; }
figure { margin: 0; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: 6px;
  break-inside: avoid; }
figcaption { margin-bottom: .4rem; font-weight: 600; }
.bar { display: grid; grid-template-columns: 4.5rem 1fr; align-items: center; gap: 0 .6rem; }
.bar svg { width: 100%; height: .8rem; display: block; }
.bar b { grid-column: 2; font-weight: 400; font-variant-numeric: tabular-nums; }
.now { fill: var(--now); }
.then { fill: var(--then); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.w { white-space: nowrap; }
td:last-child { min-width: 7rem; }
td small { display: block; font-size: .9em; color: var(--soft); }
tr { break-inside: avoid; }
@media screen and (max-width: 44rem) {
  body { padding: 1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  thead { display: none; }
  table, tbody { display: block; }
  tr { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: .5rem 0;
    border-bottom: 1px solid var(--line); }
  td { padding: 0; border: 0; text-align: left; overflow-wrap: anywhere; }
  td::before { content: attr(data-of) " "; color: var(--soft); }
  td.name { flex-basis: 100%; order: -1; font-weight: 600; }
  td.name::before { content: none; }
  td:empty { display: none; }
  td small { display: inline; margin-left: .4rem; }
}
@page { size: A4; margin: 14mm 12mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 9pt; }
  h2 { break-after: avoid; }
  thead { display: table-header-group; }
  th, td { padding: .2rem .4rem; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)
#: Elements that have no end.
_EMPTY: Final = frozenset({"meta", "rect"})


class Markup(str):
    """A text of HTML made by this module."""

    __slots__ = ()


@attrs.frozen
class Lines:
    """A cell of several lines, the first one large.

    Attributes:
        texts: The lines; empty ones are left out.
        whole: True if no line may be broken.
    """

    texts: tuple[str, ...]
    whole: bool = False

    def __bool__(self) -> bool:
        return any(self.texts)


def element(name: str, /, *children: str, **attributes: str) -> Markup:
    """Return an element.

    Args:
        name: Its name.
        *children: What is in it. Texts are escaped, and :class:`Markup` is not.
        **attributes: Its attributes; underscores stand for hyphens, and one at the end is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(each if isinstance(each, Markup) else _text(each) for each in children)
    return Markup(f"<{name}{written}>" if name in _EMPTY else f"<{name}{written}>{inner}</{name}>")


def page(title: str, *sections: str) -> str:
    """Return the whole page.

    Args:
        title: Its title, and its first heading.
        *sections: What follows.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        # A style sheet is no text: it would not be one any more with its quotes escaped.
        Markup(f"<style>{_STYLE}</style>"),
    )
    body = element("body", element("h1", title), *sections)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Return names with a text for each."""
    return element(
        "dl",
        *(
            each
            for name, text in pairs
            for each in (element("dt", name.replace("_", " ")), element("dd", text))
        ),
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table. Columns without any value are left out.

    Args:
        columns: The names of its columns, with underscores.
        rows: A value for each column. Amounts stand to the right; None is an empty cell.
    """
    values = list(rows)
    used = [at for at in range(len(columns)) if any(map(_is_there, (row[at] for row in values)))]
    names = {at: columns[at].replace("_", " ") for at in used}
    body = [
        Markup(f"{element('tr', *(_cell(name, row[at]) for at, name in names.items()))}\n")
        for row in values
    ]
    amounts = {at for row in values[:1] for at in used if isinstance(row[at], Decimal)}
    head = [
        element("th", name, scope="col", **({"class_": "n"} if at in amounts else {}))
        for at, name in names.items()
    ]
    return element(
        "table", element("thead", element("tr", *head)), Markup("\n"), element("tbody", *body)
    )


def bars(title: str, values: Sequence[tuple[str, Decimal, str]]) -> Markup:
    """Return amounts of one currency as bars, drawn to one scale.

    Args:
        title: What they are of.
        values: For each its name, the amount, and the amount in words. The first is the one that
            the others stand beside.
    """
    largest = max((amount.copy_abs() for _, amount, _ in values), default=Decimal(0))
    drawn = [
        element(
            "div",
            element("span", name, class_="soft"),
            _bar(amount, largest, "now" if at == 0 else "then"),
            element("b", words),
            class_="bar",
        )
        for at, (name, amount, words) in enumerate(values)
    ]
    return element("figure", element("figcaption", title), *drawn)


def _bar(amount: Decimal, largest: Decimal, kind: str) -> Markup:
    # Rounded for the eye only; the amount stands below it.
    width = int(_ROUGH.multiply(_ROUGH.divide(amount.copy_abs(), largest), _BAR)) if largest else 0
    # Even a very small amount can be seen.
    width = max(width, 4) if amount else 0
    return element(
        "svg",
        element("rect", class_=kind, width=str(width), height="10"),
        viewBox=f"0 0 {_BAR} 10",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _cell(name: str, value: object) -> Markup:
    if not _is_there(value):
        return element("td")
    if isinstance(value, Decimal):
        return element("td", format(value, ",f"), class_="n", data_of=name)
    lines = value if isinstance(value, Lines) else Lines((str(value),))
    first, *others = filter(None, lines.texts)
    whole = lines.whole or (not others and len(first) <= _SHORT)
    kind = "name" if name.endswith("name") else "w" if whole else ""
    small = [element("small", each) for each in others]
    return element("td", first, *small, **({"class_": kind} if kind else {}), data_of=name)


def _is_there(value: object) -> bool:
    return value is not None and (bool(value) or isinstance(value, Decimal | int))


@lru_cache(1024)  # most texts of a long table stand in it many times
def _text(text: str) -> str:
    return html.escape(escaped(text), quote=True)
