"""The rows of a long list of XML, each as soon as it is whole; all around them is kept, too."""

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast
from xml.parsers import expat

from aiocake.codec._xml_feed import Builder, local, without_marks
from aiocake.errors import DecodeError

__all__ = ["Rows"]

T = TypeVar("T")

_TWICE: Final = "the list is there twice"


class Rows(Builder[dict[str, object]], Generic[T]):
    """Reads elements into fields: by local name, a text, None when nil, a dict or a list of these.

    Args:
        element: The name of the list.
        row: The name of one row in it.
        read: Makes what is given of a row's fields, which are its own, and its number from 0.

    Attributes:
        ready: The rows that were read and not taken yet.
        count: How many were read.
        before: The fields before the list; None as long as it has not begun.
        around: The fields before and behind the list.
        ended: Whether the list has ended.
    """

    _parser: expat.XMLParserType

    __slots__ = (
        "_element",
        "_list",
        "_parser",
        "_read",
        "_row",
        "around",
        "before",
        "count",
        "ended",
        "ready",
    )

    def __init__(self, element: str, row: str, read: Callable[[object, int], T]) -> None:
        super().__init__(dict)
        self._element = element
        self._row = row
        self._read = read
        self._list: dict[str, object] | None = None
        self.ready: deque[T] = deque()
        self.count = 0
        self.before: dict[str, object] | None = None
        self.around: dict[str, object] = {}
        self.ended = False

    def attach(self, parser: expat.XMLParserType) -> None:
        super().attach(parser)
        # Inside of the list no element has to be looked at twice.
        parser.StartElementHandler = self._start_around
        self._parser = parser

    def _start_around(self, name: str, attributes: dict[str, str]) -> None:
        self.start(name, attributes)
        if local(name) == self._element and self._text is not None:
            if self._list is not None:
                raise DecodeError(_TWICE, path=self._element)
            self._list = self._inner = {}
            self.around = self._open[-1]
            self.before = dict(self.around)
            self._hand_starts_to(self.start)

    def end(self, name: str) -> None:
        value: object = self._inner
        if value is None:
            value = without_marks(self._text) if self.lossy else self._text
        elif value is self._list:
            self.ended = True
            self._hand_starts_to(self._start_around)
        self._text = ""
        self._inner = outer = self._open.pop()
        if ":" in name:
            name = local(name)
        if outer is self._list:
            self._end_row(name, value)
        elif name in outer:
            outer[name] = _again(outer[name], value)
        else:
            outer[name] = value

    def _end_row(self, name: str, value: object) -> None:
        if name != self._row:
            message = f"an element that is no {self._row}"
            raise DecodeError(message, path=f"{self._element}[{self.count}]")
        self.ready.append(self._read(value, self.count))
        self.count += 1

    def _hand_starts_to(self, handler: Callable[[str, dict[str, str]], None]) -> None:
        self._parser.StartElementHandler = handler


def _again(before: object, value: object) -> list[object]:
    """The values of an element that is there more than once."""
    if isinstance(before, list):
        values = cast("list[object]", before)
        values.append(value)
        return values
    return [before, value]
