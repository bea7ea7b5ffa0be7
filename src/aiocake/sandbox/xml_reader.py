"""XML from a caller, read without trust: expat, no doctype, a bounded depth."""

from typing import Final
from xml.parsers import expat

import attrs

_DEPTH: Final = 64


class NotXml(Exception):
    """The body is no XML, or XML that is refused."""


@attrs.define(eq=False)
class Element:
    """An element: its namespace, its local name, and what is in it."""

    namespace: str
    name: str
    attributes: dict[str, str]
    line: int
    column: int
    children: "list[Element]" = attrs.field(factory=list["Element"])
    texts: list[str] = attrs.field(factory=list[str])

    @property
    def text(self) -> str:
        """Return the element's own text."""
        return "".join(self.texts)

    def child(self, namespace: str, name: str) -> "Element | None":
        """Return the first child of a name, or None."""
        for child in self.children:
            if (child.namespace, child.name) == (namespace, name):
                return child
        return None


class _Builder:
    def __init__(self, charset: str | None) -> None:
        self.parser = expat.ParserCreate(charset, namespace_separator=" ")
        self.document = Element("", "", {}, 0, 0)
        self.open = [self.document]
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text

    def doctype(self, name: str, *_: object) -> None:
        raise NotXml(f"a document type is not accepted: {name}")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) > _DEPTH:
            raise NotXml("too deep")
        namespace, _, local = name.rpartition(" ")
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        element = Element(namespace, local, attributes, line, column)
        self.open[-1].children.append(element)
        self.open.append(element)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        self.open[-1].texts.append(text)


def parse(body: bytes, charset: str | None = None) -> Element:
    """Read a document.

    Args:
        body: The document.
        charset: Its encoding, where the content type names one.

    Returns:
        The root.

    Raises:
        NotXml: It is not well formed, has a document type, is too deep, or its encoding is
            unknown.
    """
    try:
        builder = _Builder(charset)
        builder.parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotXml(str(error)) from error
    return builder.document.children[0]
