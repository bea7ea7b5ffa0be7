"""The rows of a long XML list, each as soon as it is complete, and the fields around the list."""

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast
from xml.parsers import expat

from aiocake._codec.leniency import Leniency
from aiocake._codec.xml.bounded_parser import (
    MAX_DEPTH,
    is_nil,
    local,
    longer,
    refuse_child,
    without_marks,
)
from aiocake.errors import DecodeError

T = TypeVar("T")

_TWICE: Final = "the list occurs twice"


class Rows(Generic[T]):
    """Reads elements into fields: by local name, a text, None when nil, a dict or a list of these.

    Args:
        element: The name of the list.
        row: The name of one row in it.
        read: Makes what is given of a row's fields, which are its own, and its number from 0;
            None of a row that is left out.
        leniency: Notes characters that were spelt as halves of a surrogate pair.

    Attributes:
        lossy: Whether there are marks in the body.
        ready: The rows that were read and not taken yet.
        count: How many were read, those that were left out among them.
        before: The fields before the list; None as long as it has not begun.
        around: The fields before and behind the list.
        ended: Whether the list has ended.
        is_between: Returns whether the list is the innermost element that is open.
        drop_text: Drops the text before a row, as the tag that begins one does.
    """

    def __init__(
        self,
        element: str,
        row: str,
        read: Callable[[object, int], T | None],
        leniency: Leniency | None = None,
    ) -> None:
        self._element = element
        self._row = row
        self._read = read
        self._leniency = Leniency() if leniency is None else leniency
        self.lossy = False
        self.ready: deque[T] = deque()
        self.count = 0
        self.before: dict[str, object] | None = None
        self.around: dict[str, object] = {}
        self.ended = False
        self.is_between: Callable[[], bool] = lambda: False
        self.drop_text: Callable[[], None] = lambda: None

    def attach(self, parser: expat.XMLParserType) -> Callable[[], bool]:  # noqa: C901, PLR0915 - they share variables
        """Attach the handlers to a parser; return a function that says if the root has begun.

        The handlers are closures, since a variable of one costs a fraction of an attribute, and
        there are thirty elements in each of 200,000 bills; inside of the list they do less.
        """
        element = self._element
        #: What holds the children of each element around the open one.
        opened: list[dict[str, object]] = []
        #: What holds the children of the open one; None as long as it has none.
        inner: dict[str, object] | None = {}
        #: The text of the open one so far; None when it is nil.
        text: str | None = ""
        listed: dict[str, object] | None = None

        def start(_: str, attributes: dict[str, str]) -> None:
            nonlocal inner, text
            if inner is None:
                # Its first child makes an element one more level of depth.
                if text is None or len(opened) >= MAX_DEPTH:
                    refuse_child(nil=text is None)
                inner = {}
            opened.append(inner)
            inner = None
            text = ""
            # Most that have any attribute have a namespace and nothing else.
            if attributes and (len(attributes) > 1 or "xmlns" not in attributes):
                text = None if is_nil(attributes) else ""

        def start_around(name: str, attributes: dict[str, str]) -> None:
            nonlocal inner, listed
            start(name, attributes)
            if text is not None and local(name) == element:
                if listed is not None:
                    raise DecodeError(_TWICE, path=element)
                listed = inner = {}
                self.around = opened[-1]
                self.before = dict(self.around)
                parser.StartElementHandler = start
                parser.EndElementHandler = end

        def data(more: str) -> None:
            nonlocal text
            text = longer(text, more) if text or text is None else more

        def end(name: str) -> None:
            nonlocal inner, text
            value: object
            if inner is None:
                value = text
            elif inner is not listed:
                value = inner
            else:
                self.ended = True
                parser.StartElementHandler = start_around
                parser.EndElementHandler = end_around
                end_around(name)
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

        def end_around(name: str) -> None:
            nonlocal inner, text
            value: object = inner
            if inner is None:
                # In the list, they are taken out of a whole row.
                value = _without_marks(text, local(name), self._leniency) if self.lossy else text
            text = ""
            inner = opened.pop()
            _put(inner, local(name), value)

        def drop_text() -> None:
            nonlocal text
            text = ""

        parser.StartElementHandler = start_around
        parser.CharacterDataHandler = data
        parser.EndElementHandler = end_around
        self.drop_text = drop_text
        self.is_between = lambda: inner is listed and listed is not None
        return lambda: bool(opened or inner)

    def _end_row(self, name: str, value: object) -> None:
        if name != self._row:
            raise DecodeError(
                f"an element that is not a {self._row}", path=f"{self._element}[{self.count}]"
            )
        if self.lossy:
            value = _without_marks(value, self._element, self._leniency)
        self.take(value)

    def take(self, fields: object) -> None:
        """Take the fields of the next row.

        Raises:
            DecodeError: They cannot be read.
        """
        row = self._read(fields, self.count)
        if row is not None:
            self.ready.append(row)
        self.count += 1


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
