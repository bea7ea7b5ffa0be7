"""The rows of a long list of XML, each as soon as it is whole; all around them is kept, too."""

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast
from xml.parsers import expat

from aiocake._codec.leniency import Leniency
from aiocake._codec.xml.bounded_parser import (
    MAX_DEPTH,
    Builder,
    is_nil,
    local,
    longer,
    refuse_child,
    without_marks,
)
from aiocake.errors import DecodeError

T = TypeVar("T")

_TWICE: Final = "the list is there twice"


class Rows(Builder[dict[str, object]], Generic[T]):
    """Reads elements into fields: by local name, a text, None when nil, a dict or a list of these.

    Args:
        element: The name of the list.
        row: The name of one row in it.
        read: Makes what is given of a row's fields, which are its own, and its number from 0;
            None of a row that is left out.
        leniency: Notes characters that were spelt as halves of a surrogate pair.

    Attributes:
        ready: The rows that were read and not taken yet.
        count: How many were read, those that were left out among them.
        before: The fields before the list; None as long as it has not begun.
        around: The fields before and behind the list.
        ended: Whether the list has ended.
    """

    _parser: expat.XMLParserType

    __slots__ = (
        "_element",
        "_leniency",
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

    def __init__(
        self,
        element: str,
        row: str,
        read: Callable[[object, int], T | None],
        leniency: Leniency | None = None,
    ) -> None:
        super().__init__(dict)
        self._leniency = Leniency() if leniency is None else leniency
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
        self._parser = parser

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element around the list, or the list."""
        super().start(name, attributes)
        if local(name) == self._element and self._text is not None:
            if self._list is not None:
                raise DecodeError(_TWICE, path=self._element)
            self._list = self._inner = {}
            self.around = self._open[-1]
            self.before = dict(self.around)
            self._hand_over(self._list)

    def end(self, name: str) -> None:
        value: object = self._inner
        if value is None:
            value = self._text
            if self.lossy:
                value = _without_marks(value, local(name), self._leniency)
        self._text = ""
        self._inner = outer = self._open.pop()
        _put(outer, local(name), value)

    def _hand_over(self, listed: dict[str, object]) -> None:  # noqa: C901 - three that share variables
        """Inside of the list, do what :class:`Builder` does by functions of its own.

        A variable of a closure costs a fraction of an attribute, and there are thirty elements in
        each of 200,000 bills. A function shared by both would cost a call for each element.
        """
        opened: list[dict[str, object]] = []
        inner: dict[str, object] | None = listed
        text: str | None = ""
        room = MAX_DEPTH - len(self._open)

        def start(_: str, attributes: dict[str, str]) -> None:
            nonlocal inner, text
            if inner is None:
                if text is None or len(opened) >= room:
                    refuse_child(nil=text is None)
                inner = {}
            opened.append(inner)
            inner = None
            text = ""
            # Most that have any attribute have a namespace and nothing else.
            if attributes and (len(attributes) > 1 or "xmlns" not in attributes):
                text = None if is_nil(attributes) else ""

        def data(more: str) -> None:
            nonlocal text
            text = longer(text, more) if text or text is None else more

        def end(name: str) -> None:
            nonlocal inner, text
            value: object = text if inner is None else inner
            if not opened:
                self._list_ended(name)
                return
            text = ""
            inner = outer = opened.pop()
            if ":" in name:
                name = local(name)
            if outer is listed:
                self._end_row(name, value)
            elif name in outer:
                _put(outer, name, value)
            else:
                outer[name] = value

        self._hand_to(start, data, end)

    def _list_ended(self, name: str) -> None:
        self.ended = True
        self._hand_to(self.start, self.text, self.end)
        self.end(name)

    def _end_row(self, name: str, value: object) -> None:
        if name != self._row:
            raise DecodeError(
                f"an element that is no {self._row}", path=f"{self._element}[{self.count}]"
            )
        if self.lossy:
            value = _without_marks(value, self._element, self._leniency)
        row = self._read(value, self.count)
        if row is not None:
            self.ready.append(row)
        self.count += 1

    def _hand_to(
        self,
        start: Callable[[str, dict[str, str]], None],
        text: Callable[[str], None],
        end: Callable[[str], None],
    ) -> None:
        self._parser.StartElementHandler = start
        self._parser.CharacterDataHandler = text
        self._parser.EndElementHandler = end


def _put(fields: dict[str, object], name: str, value: object) -> None:
    fields[name] = _again(fields[name], value) if name in fields else value


def _without_marks(value: object, path: str, leniency: Leniency) -> object:
    """Return a row without the characters that could not be read, in all of its texts."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {
            name: _without_marks(inner, f"{path}.{name}", leniency)
            for name, inner in fields.items()
        }
    if isinstance(value, list):
        return [_without_marks(inner, path, leniency) for inner in cast("list[object]", value)]
    if not isinstance(value, str):
        return value
    text, mended = without_marks(value)
    if mended:
        leniency.note(path, mended)
    return text


def _again(before: object, value: object) -> list[object]:
    """Return the values of an element that is there more than once."""
    if isinstance(before, list):
        values = cast("list[object]", before)
        values.append(value)
        return values
    return [before, value]
