"""A whole small response of XML as a tree of elements, by their local names.

CAKE's namespaces and the roots of its responses are irregular, so elements go by local names.
"""

from collections.abc import Callable
from typing import Final
from xml.parsers import expat

import attrs

from aiocake._codec.xml.bounded_parser import (
    MAX_DEPTH,
    XmlFeed,
    is_nil,
    local,
    longer,
    refuse_child,
    without_marks,
)
from aiocake.errors import DecodeError

#: A year of exchange rates between twenty currencies has less.
_MAX_ELEMENTS: Final = 1_000_000


@attrs.frozen(weakref_slot=False)
class XmlElement:
    """An element of a response.

    Attributes:
        name: Its local name.
        text: Its text; empty when it is empty, None when it is nil or holds elements.
        nil: Whether it says ``xsi:nil="true"``.
        children: The elements in it.
        repaired: How many characters of the text were spelt as halves of a surrogate pair.
    """

    name: str
    text: str | None = None
    nil: bool = False
    children: "tuple[XmlElement, ...]" = ()
    repaired: int = attrs.field(default=0, repr=False)

    def find(self, name: str) -> "XmlElement | None":
        """Return the first child of a name."""
        return next((child for child in self.children if child.name == name), None)


class _Tree:
    """Reads elements into a tree: what is around the root holds it alone."""

    def __init__(self) -> None:
        self.lossy = False
        self._count = 0
        #: What holds the children of each element around the open one.
        self._open: list[list[XmlElement]] = []
        self._inner: list[XmlElement] = []
        #: The text of the open one so far; None when it is nil.
        self._text: str | None = ""

    def attach(self, parser: expat.XMLParserType) -> Callable[[], bool]:
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._add
        parser.EndElementHandler = self._end
        return lambda: bool(self._open or self._inner)

    def _start(self, _: str, attributes: dict[str, str]) -> None:
        if not self._inner and self._open and (self._text is None or len(self._open) >= MAX_DEPTH):
            refuse_child(nil=self._text is None)
        self._open.append(self._inner)
        self._inner = []
        self._text = None if attributes and is_nil(attributes) else ""

    def _add(self, text: str) -> None:
        self._text = longer(self._text, text)

    def _end(self, name: str) -> None:
        children, text, repaired = tuple(self._inner), self._text, 0
        nil = text is None and not children
        if children:
            text = None
        elif text is not None:
            text, repaired = without_marks(text)
        self._text = ""
        self._inner = self._open.pop()
        self._inner.append(XmlElement(local(name), text, nil, children, repaired))
        self._count += 1
        if self._count > _MAX_ELEMENTS:
            raise DecodeError(f"an answer of over {_MAX_ELEMENTS} elements")

    def root(self) -> XmlElement:
        """Return the root of a whole document."""
        return self._inner[0]


def parse(body: bytes) -> XmlElement:
    """Return the root of a whole body of XML.

    Raises:
        DecodeError: The body is no XML of UTF-8, has a document type, or is beyond a bound.
    """
    return parse_counting(body)[0]


def parse_counting(body: bytes) -> tuple[XmlElement, int]:
    """Return the root of a body as :func:`parse` does, and how many illegal references it had."""
    tree = _Tree()
    feed = XmlFeed(tree)
    feed.feed(body)
    feed.close()
    return tree.root(), feed.dropped
