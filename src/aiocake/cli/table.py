"""A table for people, aligned by its first rows, so that a long one needs no memory.

Columns that can be empty are left out while they are. On a terminal that is too narrow, names are
cut first, then columns are left out that are empty or that a list can spare. Where that is not
enough, each record is a block with a line for each field that it has: amounts, dates and ids are
never cut, nor wrapped.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import attrs
from rich.cells import cell_len, set_cell_size

from aiocake import _display
from aiocake.cli.text import escaped

_SAMPLE: Final = 500
_GAP: Final = "  "
#: Columns of texts of people and of errors: only these are cut, and never below this width.
_CUT: Final = ("_name", "message")
_LEAST: Final = 12
_RULE: Final = "─"
_MORE: Final = "…"


@attrs.frozen
class Screen:
    """A terminal that a table is shown on.

    Attributes:
        width: How many columns it has.
        encoding: What is written to it is in this encoding, with escapes for what it has not.
    """

    width: int
    encoding: str

    def shown(self, text: str) -> str:
        """Return a text as the terminal shows it."""
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def mark(self, mark: str, plain: str) -> str:
        """Return a mark, or a plain one if the terminal does not have it."""
        return mark if self.shown(mark) == mark else plain


class Table:
    """The text of a table, row by row.

    Args:
        names: The columns' names.
        screen: The terminal; None if the table may have any width and any character.
        paired: True if each row is the name and the value of one field of a single record.
        spare: The columns that a narrow terminal goes without, the first of them first.
        heads: Shorter names of columns, for the head of the table.
        optional: The columns that are left out while no row has a value for them.
    """

    def __init__(  # noqa: PLR0913 - by name
        self,
        names: Sequence[str],
        screen: Screen | None,
        *,
        paired: bool = False,
        spare: Sequence[str] = (),
        heads: Mapping[str, str] | None = None,
        optional: Sequence[str] = (),
    ) -> None:
        self._names = names
        self._heads_of: Mapping[str, str] = heads or {}
        self._spare = spare
        self._optional = optional
        #: The columns that are shown.
        self._kept = list(range(len(names)))
        self._screen = screen
        self._paired = paired
        self._rule = screen.mark(_RULE, "-") if screen else _RULE
        self._more = screen.mark(_MORE, "...") if screen else _MORE
        self._waiting: list[Sequence[object]] = []
        self._measured = False
        #: The columns for which no row has a value, of those that were measured.
        self._unset: list[int] = []
        #: None where the terminal is too narrow.
        self._widths: list[int] | None = None
        self._blocks = 0

    def row(self, values: Sequence[object]) -> str:
        """Return the lines that this row adds: none while the widths are not known."""
        if self._measured:
            return self._line(values)
        self._waiting.append(values)
        return self._begin() if len(self._waiting) >= _SAMPLE else ""

    def end(self) -> str:
        """Return the lines that are left."""
        return "" if self._measured else self._begin()

    def _begin(self) -> str:
        rows = self._waiting
        self._waiting = []
        self._measured = True
        if self._screen is not None and not rows:
            return "(none)\n"
        self._unset = [
            at
            for at, name in enumerate(self._names)
            if rows and name in self._optional and all(row[at] is None for row in rows)
        ]
        self._kept = [at for at in self._kept if at not in self._unset]
        self._widths = self._fitting(rows)
        if self._widths is None and len(rows) < _SAMPLE:
            # What no row has is left out first; a row to come may have it.
            self._kept = [at for at in self._kept if any(self._text(row[at]) for row in rows)]
            self._widths = self._fitting(rows)
        for name in self._spare:
            if self._widths is not None:
                break
            self._kept = [at for at in self._kept if self._names[at] != name]
            self._widths = self._fitting(rows)
        if self._widths is None:
            return "".join(map(self._block, rows))
        rule = [self._rule * width for width in self._widths]
        head = "".join(
            _GAP.join(cells).rstrip() + "\n" for cells in (self._heads(self._widths), rule)
        )
        return head + "".join(map(self._line, rows))

    def _fitting(self, rows: Sequence[Sequence[object]]) -> list[int] | None:
        columns = [(self._head(at), *(row[at] for row in rows)) for at in self._kept]
        widths = [max(cell_len(self._text(value)) for value in column) for column in columns]
        if self._screen is None:
            return widths
        surplus = sum(widths) + len(_GAP) * (len(widths) - 1) - self._screen.width
        for at, kept in enumerate(self._kept):
            if surplus > 0 and self._names[kept].endswith(_CUT):
                cut = min(surplus, max(0, widths[at] - _LEAST))
                widths[at] -= cut
                surplus -= cut
        return widths if surplus <= 0 else None

    def _line(self, values: Sequence[object]) -> str:
        # A row behind those that were measured can have a value where they have none.
        if self._widths is None or any(values[at] is not None for at in self._unset):
            return self._block(values)
        kept = [(self._names[at], values[at]) for at in self._kept]
        cells = [
            self._cell(name, value, width)
            for (name, value), width in zip(kept, self._widths, strict=True)
        ]
        line = _GAP.join(cells).rstrip()
        # Or a longer amount.
        if self._screen is not None and cell_len(line) > self._screen.width:
            return self._block(values)
        return line + "\n"

    def _heads(self, widths: Sequence[int]) -> list[str]:
        kept = zip(self._kept, widths, strict=True)
        return [self._cell(self._names[at], self._head(at), width) for at, width in kept]

    def _head(self, at: int) -> str:
        name = self._names[at]
        # The short head of a name needs the id in front of it, which says whose name it is.
        owner = name.removesuffix("_name")
        if owner != name and all(self._names[kept] != f"{owner}_id" for kept in self._kept):
            return owner if name in self._heads_of else name
        return self._heads_of.get(name, name)

    def _block(self, values: Sequence[object]) -> str:
        if self._paired:
            name, value = values
            return self._field(str(name), value)
        self._blocks += 1
        between = "\n" if self._blocks > 1 or self._widths is not None else ""
        places = (at for at, value in enumerate(values) if self._text(value))
        return between + "".join(self._field(self._names[at], values[at]) for at in places)

    def _field(self, name: str, value: object) -> str:
        line = f"{name}: {self._text(value)}".rstrip()
        if self._screen is not None and cell_len(line) > self._screen.width:
            return f"{name}:\n{_GAP}{self._text(value)}\n"
        return line + "\n"

    def _cell(self, name: str, value: object, width: int) -> str:
        text = self._text(value)
        length = cell_len(text)
        if isinstance(value, Decimal):
            return " " * (width - length) + text
        if length <= width:
            return text + " " * (width - length)
        if self._screen is not None and name.endswith(_CUT):
            return set_cell_size(text, width - len(self._more)) + self._more
        return text

    def _text(self, value: object) -> str:
        text = shown(value)
        return text if self._screen is None or text.isascii() else self._screen.shown(text)


def shown(value: object) -> str:
    """Return a value as people read it, with control characters escaped."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _display.amount_text(value)
        case date():
            return str(value)
        case _:
            return escaped(str(value))
