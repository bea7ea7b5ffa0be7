"""Read decorative values leniently, so that a malformed one does not fail the response.

An id, a status, an amount and a yes or no carry the verdict, and are read as strictly as ever. Of
the rest:

- an empty text in an optional field is absent: a date, an id, a text, an amount or a number of
  rows;
- half a surrogate pair becomes U+FFFD, the replacement character;
- in XML, white space around a number, a date or a boolean is nothing, as XML Schema has it;
- in the response to a write, a date or a text that cannot be read is absent: the write was carried
  out all the same, and to call it unknown would have it sent again.

Each of these is noted, so that an event can tell it.
"""

import re
import types
from datetime import date
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, cast, get_args, get_origin

import attrs

from aiocake.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: White space of XML, and of JSON: the same four.
SPACE: Final = " \t\r\n"
#: A surrogate that is no part of a pair: a text of Python's holds no pairs.
_HALF: Final = re.compile("[\ud800-\udfff]")
_ROW: Final = re.compile(r"\[[0-9]+\]")
#: Paths that an event names; the names of what is not modelled are the server's own.
_MOST_FIELDS: Final = 50


class Leniency:
    """Reads one response leniently, and notes which of its fields needed it.

    Args:
        spaces: Whether white space around values is nothing: in XML.
        unreadable: Whether a date or a text that cannot be read is absent: of a write.

    Attributes:
        count: How many values were read leniently.
    """

    __slots__ = ("_fields", "count", "spaces", "unreadable")

    def __init__(self, *, spaces: bool = False, unreadable: bool = False) -> None:
        self.spaces = spaces
        self.unreadable = unreadable
        self.count = 0
        self._fields: dict[str, None] = {}

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the paths of these fields, without the numbers of rows."""
        return tuple(self._fields)

    def note(self, path: str, count: int = 1) -> None:
        """Count the times that a field was read leniently."""
        self.count += count
        if len(self._fields) < _MOST_FIELDS:
            self._fields[_ROW.sub("", path) if "[" in path else path] = None

    def stripped(self, value: T, path: str) -> T:
        """Return a value without the white space around it, where that is nothing."""
        if not self.spaces or not isinstance(value, str):
            return value
        inner = value.strip(SPACE)
        if len(inner) == len(value):
            return value
        self.note(path)
        return cast("T", inner)

    def value(self, value: object, path: str) -> object:
        """Return what may be absent: the value without white space around it, or None."""
        if isinstance(value, str) and not (value.strip(SPACE) if self.spaces else value):
            self.note(path)
            return None
        return self.stripped(value, path)

    def text(self, value: str, path: str) -> str:
        """Return a text without halves of surrogate pairs."""
        whole = without_surrogates(value)
        if whole is not value:
            self.note(path)
        return whole

    def texts(self, value: object, path: str) -> object:
        """Return a value of JSON whose texts, at any depth, have no halves of surrogate pairs.

        Raises:
            DecodeError: Two keys of one object differ in nothing else.
        """
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, list):
            return [self.texts(each, path) for each in cast("list[object]", value)]
        if isinstance(value, dict):
            provided = cast("dict[str, object]", value)
            read = {
                (plain := self.text(name, path)): self.texts(each, f"{path}.{plain}")
                for name, each in provided.items()
            }
            if len(read) != len(provided):
                raise DecodeError(
                    "two keys that differ in half a character alone (a lone surrogate)", path=path
                )
            return read
        return value


@attrs.frozen(eq=False)
class FieldInfo:
    """A field of a model, as far as leniency goes.

    Attributes:
        name: Its name.
        type: Its type, without None.
        optional: Whether it may be None.
        decorates: Whether a success is one without it: an optional date or text.
        decides: Whether it carries the verdict: a status.
        nested: Whether it is a record of its own.
    """

    name: str
    type: type[Any]
    optional: bool
    decorates: bool
    decides: bool
    nested: bool


def _members(cls: type[Any]) -> tuple[FieldInfo, ...]:
    return tuple(_member(attribute.name, attribute.type) for attribute in attrs.fields(cls))


#: Returns the fields of a model. There are few models.
members: Final = cast("Callable[[type[Any]], tuple[FieldInfo, ...]]", cache(_members))


def _member(name: str, kind: Any) -> FieldInfo:  # noqa: ANN401 - whatever is annotated
    optional = is_optional(kind)
    plain: Any = kind
    if optional:
        (plain,) = (each for each in get_args(kind) if each is not type(None))
    return FieldInfo(
        name,
        plain,
        optional,
        decorates=optional and (plain is str or issubclass(plain, date)),
        decides=isinstance(plain, type) and issubclass(plain, StrEnum),
        nested=attrs.has(cast("type[Any]", plain)),
    )


def is_optional(kind: object) -> bool:
    """Return whether a field of this type may be None."""
    return get_origin(kind) in {Union, types.UnionType} and type(None) in get_args(kind)


def without_surrogates(text: str) -> str:
    """Return a text with U+FFFD in place of each half of a surrogate pair; mostly itself."""
    if text.isascii() or _HALF.search(text) is None:
        return text
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)
