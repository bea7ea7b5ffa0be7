"""Comparing, hashing and printing by fields, without methods made for each class.

attrs writes these methods for each class and compiles them whenever a program starts, which takes
half of the time of making the class. There are dozens of records and events, and most programs
compare or print none of them.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import attrs

T = TypeVar("T")

Read = Callable[[object], object]


def by_fields(model: type[T]) -> type[T]:
    """Add comparing, hashing and printing to an attrs class made with ``eq=False, repr=False``.

    They are equal if they are of the same class and their fields are, they are hashed by their
    fields, and their ``repr`` shows them.
    """
    methods: dict[str, object] = {"__eq__": _is_equal, "__hash__": _hash_of, "__repr__": _shown}
    for name, method in methods.items():
        setattr(model, name, method)
    return model


def _is_equal(self: object, other: object) -> object:
    model: type = type(self)
    compared = _readers(model)[0]
    return compared(self) == compared(other) if type(other) is model else NotImplemented


def _hash_of(self: object) -> int:
    model: type = type(self)
    return hash((model, _readers(model)[1](self)))


def _shown(self: object) -> str:
    model: type[Any] = type(self)
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(model)
    texts = [
        f"{field.name}={(field.repr if callable(field.repr) else repr)(getattr(self, field.name))}"
        for field in fields
        if field.repr
    ]
    return f"{model.__qualname__.rpartition('>.')[2]}({', '.join(texts)})"


@cache
def _readers(model: type[Any]) -> tuple[Read, Read]:
    """Return what reads the fields that count when instances are compared, or hashed."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(model)
    compared = [field.name for field in fields if field.eq]
    hashed = [field.name for field in fields if (field.eq if field.hash is None else field.hash)]
    return attrgetter(*compared), attrgetter(*hashed)
