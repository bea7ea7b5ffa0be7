"""A whole small response of XML as a tree of elements, by their local names.

CAKE's namespaces and the roots of its responses are irregular, so elements go by local names.
"""

from typing import Final

import attrs

from aiocake._codec.xml.bounded_parser import Builder, XmlFeed, local, without_marks
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


class _Tree(Builder[list[XmlElement]]):
    __slots__ = ("_count",)

    def __init__(self) -> None:
        super().__init__(list)
        self._count = 0

    def end(self, name: str) -> None:
        children = self._inner
        text, nil, repaired = self._text, False, 0
        if children:
            text = None
        elif text is None:
            nil = True
        else:
            text, repaired = without_marks(text)
        self._text = ""
        self._inner = outer = self._open.pop()
        outer.append(XmlElement(local(name), text, nil, tuple(children or ()), repaired))
        self._count += 1
        if self._count > _MAX_ELEMENTS:
            raise DecodeError(f"an answer of over {_MAX_ELEMENTS} elements")

    def root(self) -> XmlElement:
        """Return the root of a whole document."""
        return (self._inner or [])[0]


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
