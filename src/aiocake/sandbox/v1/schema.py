"""The elements of v1's responses, and how they are written as XML.

As .NET's XmlSerializer has it: a text that is null is left out, an empty one is ``<notes />``,
a number or date that is null is ``xsi:nil="true"``, an empty list is ``<bills />``, and a
control character becomes a reference that no XML parser takes.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias
from xml.sax.saxutils import escape

import attrs

from aiocake.sandbox.messages import Json, is_object

CAKE: Final = "http://cakemarketing.com/api/1/"
STORE: Final = "API:id_name_store"

LeafKind: TypeAlias = Literal["text", "int", "byte", "bool", "moment", "money", "rate"]

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PLACES: Final = {"money": ".4f", "rate": ".10f"}


class Shared(dict[str, Json]):
    """A part of many responses: written once, then copied."""

    written: str | None = None


@attrs.frozen
class Leaf:
    """An element with a text.

    Attributes:
        name: Its name.
        kind: What it holds; money has four places, a rate ten.
        stored: True if it is in the namespace of CAKE's id and name pairs.
    """

    name: str
    kind: LeafKind = "text"
    stored: bool = False

    def write(self, value: Json) -> str:
        """Write the element as XML, or nothing for a text that is null."""
        namespace = f' xmlns="{STORE}"' if self.stored else ""
        if value is None:
            return "" if self.kind == "text" else f'<{self.name}{namespace} xsi:nil="true" />'
        text = _text(value, self.kind)
        if not text:
            return f"<{self.name}{namespace} />"
        return f"<{self.name}{namespace}>{text}</{self.name}>"


@attrs.frozen
class Struct:
    """An element with elements in it."""

    name: str
    members: "tuple[Shape, ...]"

    def write(self, value: Json) -> str:
        """Write the element as XML, or nothing when it is null."""
        if not is_object(value):
            return ""
        if isinstance(value, Shared):
            if value.written is None:
                value.written = self._whole(value)
            return value.written
        return self._whole(value)

    def _whole(self, value: Mapping[str, Json]) -> str:
        inner = "".join([member.write(value.get(member.name)) for member in self.members])
        return f"<{self.name}>{inner}</{self.name}>"

    def pieces(self, value: Mapping[str, Json]) -> Iterator[str]:
        """Write what is inside the element, piece by piece; long lists are not held in memory."""
        for member in self.members:
            if isinstance(member, ListOf):
                yield from member.pieces(value.get(member.name))
            else:
                yield member.write(value.get(member.name))


@attrs.frozen
class ListOf:
    """An element around any number of equal ones."""

    name: str
    item: Struct

    def write(self, value: Json) -> str:
        """Write the element as XML, or nothing when it is null."""
        return "".join(self.pieces(value))

    def pieces(self, value: Json) -> Iterator[str]:
        """Write the element as XML, an item at a time."""
        if value is None or isinstance(value, str | int | Decimal | date) or is_object(value):
            return
        empty = True
        for item in value:
            if empty:
                yield f"<{self.name}>"
                empty = False
            yield self.item.write(item)
        yield f"<{self.name} />" if empty else f"</{self.name}>"


Shape: TypeAlias = Leaf | Struct | ListOf


def _text(value: Json, kind: LeafKind) -> str:
    if isinstance(value, str):
        return _ILLEGAL.sub(lambda found: f"&#x{ord(found[0]):X};", escape(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, _PLACES.get(kind, "f"))
    if isinstance(value, datetime):
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    return str(value)
