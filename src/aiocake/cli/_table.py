"""A table for people, lined up by its first rows, so that a long one needs no memory."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from rich.cells import cell_len, set_cell_size

from aiocake.cli._text import escaped

__all__ = ["Table", "shown"]

_SAMPLE: Final = 500
_GAP: Final = "  "
#: Columns of text that people typed: only these are cut, and never below this width.
_CUT: Final = "_name"
_LEAST: Final = 12


class Table:
    """The text of a table, row by row.

    Args:
        names: The columns' names.
        width: How wide a line may be; names are cut to fit, numbers and dates never. None for
            any width.
    """

    def __init__(self, names: Sequence[str], width: int | None) -> None:
        self._names = names
        self._width = width
        self._waiting: list[Sequence[object]] = []
        self._widths: list[int] = []

    def row(self, values: Sequence[object]) -> str:
        """The lines that this row adds: none while the widths are not known."""
        if self._widths:
            return self._line(values)
        self._waiting.append(values)
        return self._begin() if len(self._waiting) >= _SAMPLE else ""

    def end(self) -> str:
        """The lines that are left."""
        return "" if self._widths else self._begin()

    def _begin(self) -> str:
        rows = self._waiting
        self._waiting = []
        self._widths = self._measured(rows)
        rule = ["─" * width for width in self._widths]
        return "".join(map(self._line, [self._names, rule, *rows]))

    def _measured(self, rows: Sequence[Sequence[object]]) -> list[int]:
        columns: Iterable[tuple[object, ...]] = zip(self._names, *rows, strict=True)
        widths = [max(cell_len(shown(value)) for value in column) for column in columns]
        if self._width is None:
            return widths
        surplus = sum(widths) + len(_GAP) * (len(widths) - 1) - self._width
        for at, name in enumerate(self._names):
            if surplus > 0 and name.endswith(_CUT):
                cut = min(surplus, max(0, widths[at] - _LEAST))
                widths[at] -= cut
                surplus -= cut
        return widths

    def _line(self, values: Sequence[object]) -> str:
        cells = map(self._cell, self._names, values, self._widths)
        return _GAP.join(cells).rstrip() + "\n"

    def _cell(self, name: str, value: object, width: int) -> str:
        text = shown(value)
        length = cell_len(text)
        if isinstance(value, Decimal):
            return " " * (width - length) + text
        if length <= width:
            return text + " " * (width - length)
        if self._width is not None and name.endswith(_CUT):
            return set_cell_size(text, width - 1) + "…"
        return text


def shown(value: object) -> str:
    """A value as people read it, with nothing in it that a terminal might obey."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return format(value, ",f")
        case date():
            return str(value)
        case _:
            return escaped(str(value))
