"""Convert the values of a response to the fields of a model, exactly, by cattrs.

The models know no format, so whatever a response may look like is said here, once for JSON and XML:

- a number may be a text of one, in ASCII digits; an amount is exact and bounded;
- an id is positive; in a field that may be empty, 0 names nothing, as .NET writes an absent number;
- a date may have a time behind it, which is dropped;
- an open enum keeps a value that it does not know; fields that no model has are passed over;
- ``total_payout`` is ``total_amount`` under the name that newer pages of CAKE give it;
- a currency may be its code alone.

What only decorates a response is read leniently first: see :mod:`aiocake._codec.leniency`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar, cast

import attrs
from cattrs import AttributeValidationNote, ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from aiocake._codec.leniency import Leniency, is_optional, members, without_surrogates
from aiocake._codec.numbers import parse_decimal, parse_int
from aiocake._operations.parameters import MAX_INT
from aiocake.errors import DecodeError
from aiocake.models import Currency

T = TypeVar("T")

#: Other names of a field.
ALIASES: Final[Mapping[str, str]] = {"total_payout": "total_amount"}
#: Records that may be a text alone, and which of their fields it is then.
BARE: Final[Mapping[type[object], str]] = {Currency: "currency_abbr"}
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_TRUTH: Final[Mapping[object, bool]] = {"true": True, "1": True, "false": False, "0": False}


def structure(fields: object, cls: type[T], path: str, leniency: Leniency | None = None) -> T:
    """Return a model made of the fields of a response.

    Args:
        fields: By name.
        cls: The model.
        path: Where in the response they are.
        leniency: How what only decorates is read; None for as strictly as all else.

    Raises:
        DecodeError: A field is missing or cannot be read; the error has its path.
    """
    if leniency is not None and isinstance(fields, dict):
        fields = _leniently(cast("Mapping[str, object]", fields), cls, path, leniency)
    try:
        return converter.structure(fields, cls)
    except ClassValidationError as error:
        name, reason = _first(error)
        where = f"{path}.{name}".strip(".")
        raise DecodeError(reason, path=where) from None
    except ValueError as error:
        raise DecodeError(f"a value {error}", path=path) from None


def _leniently(
    fields: Mapping[str, object], cls: type[Any], path: str, leniency: Leniency
) -> dict[str, object]:
    """Return the fields of a record as the strict reading of a model takes them."""
    read = dict(fields)
    for member in members(cls):
        name = member.name
        value = read.get(name)
        if value is None:
            continue
        where = f"{path}.{name}" if path else name
        if member.nested:
            if isinstance(value, dict):
                nested = cast("Mapping[str, object]", value)
                read[name] = _leniently(nested, member.type, where, leniency)
            continue
        if isinstance(value, str) and not member.decides:
            if member.type is str and (value or not member.optional):
                value = leniency.text(value, where)
            elif member.optional:
                value = leniency.value(value, where)
            else:
                value = leniency.stripped(value, where)
        if leniency.unreadable and member.decorates and value is not None:
            try:
                converter.structure(value, member.type)
            except ValueError:
                value = None
                leniency.note(where)
        read[name] = value
    return read


def count(value: object, path: str, leniency: Leniency | None = None) -> int | None:
    """Return a number of rows; None if the response has none, or an empty one.

    Raises:
        DecodeError: It is no integer of at least 0.
    """
    if leniency is not None:
        value = leniency.value(value, path)
    if value is None:
        return None
    try:
        number = _int(value)
    except ValueError as error:
        raise DecodeError(f"a value {error}", path=path) from None
    if number < 0:
        raise DecodeError("a number of rows below 0", path=path)
    return number


def count_of(
    fields: Mapping[str, object], name: str, leniency: Leniency | None = None
) -> int | None:
    """Return how many rows a response says there are, inside of ``response`` or beside it.

    No page shows on which side of the wrapper the number stands.

    Args:
        fields: Of the response.
        name: The name of the number.
        leniency: How it is read: one that is empty is absent.

    Raises:
        DecodeError: It is no integer of at least 0, or another one on each side.
    """
    inner = fields.get("response")
    numbers = {count(fields.get(name), name, leniency)}
    if isinstance(inner, dict):
        within = cast("dict[str, object]", inner)
        numbers.add(count(within.get(name), f"response.{name}", leniency))
    numbers.discard(None)
    if len(numbers) > 1:
        raise DecodeError("it occurs twice, with different values", path=name)
    return next(iter(numbers), None)


def _first(error: ClassValidationError) -> tuple[str, str]:
    """Return the path of the first field that is wrong, and the reason."""
    for inner, note in error.group_exceptions()[0]:
        return _reason(inner, note)
    return "", "a record that the model refuses"


def _reason(error: Exception, note: AttributeValidationNote) -> tuple[str, str]:
    if isinstance(error, ClassValidationError):
        name, reason = _first(error)
        return f"{note.name}.{name}".strip("."), reason
    if isinstance(error, KeyError):
        return note.name, "a field is missing"
    return note.name, f"a value {error}" if isinstance(error, ValueError) else "a value is wrong"


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_int(value)
    raise _Unfit(value, "an integer")


def read_id(value: object, _: object = None) -> int:
    """Return an id. The second argument is the type that cattrs gives with a value.

    Raises:
        ValueError: It is none.
    """
    number = value if type(value) is int else _int(value)
    if not 1 <= number <= MAX_INT:
        raise ValueError("is not an id: not positive, or beyond 32 bits")
    return number


def read_optional_id(value: object, _: object = None) -> int | None:
    """Return an id; None if there is none, or 0. The second argument is as :func:`read_id`'s.

    Raises:
        ValueError: It is no id.
    """
    number = None if value is None else _int(value)
    return read_id(number) if number else None


_ID: Final = override(struct_hook=read_id)
_OPTIONAL_ID: Final = override(struct_hook=read_optional_id)


def read_decimal(value: object) -> Decimal:
    """Return an amount, exact.

    Raises:
        ValueError: It is no number, or beyond the bounds of one.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        return parse_decimal(value)
    raise _Unfit(value, "a number")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Unfit(value, "a text")
    if without_surrogates(value) is not value:
        raise ValueError("holds half a character (a lone surrogate)")
    return value


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise _Unfit(value, "true or false")


def read_date(value: object) -> date:
    """Return the day of a date, or of a date and time.

    Raises:
        ValueError: It is none.
    """
    # The day as written: a time zone does not shift it.
    return _datetime(value).date()


def _datetime(value: object) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value) is not None:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            # The message of the error would repeat the value.
            pass
    raise _Unfit(value, "a date")


class _Unfit(ValueError):
    """A value that is not what it has to be."""

    def __init__(self, value: object, what: str) -> None:
        super().__init__(f"is null, not {what}" if value is None else f"is not {what}")


def _enum(value: object, cls: type[StrEnum]) -> StrEnum:
    # Only a text beyond ASCII can have half of a surrogate pair in it; no known value has one.
    return cls(value if isinstance(value, str) and value.isascii() else _text(value))


def _model(made: Converter, cls: type[object]) -> Callable[[object, type[object]], object]:
    attributes = attrs.fields(cast("type[attrs.AttrsInstance]", cls))
    # Any: the function takes options of its own by name, too.
    ids: dict[str, Any] = {
        attribute.name: _OPTIONAL_ID if is_optional(attribute.type) else _ID
        for attribute in attributes
        if attribute.name.endswith("_id")
    }
    read = make_dict_structure_fn(cls, made, **ids)
    names = {attribute.name for attribute in attributes}
    aliases = {other: name for other, name in ALIASES.items() if name in names}
    bare = BARE.get(cls)

    def structured(value: object, kind: type[object]) -> object:
        if bare is not None and isinstance(value, str) and value.strip():
            return kind(**{bare: value.strip()})
        if not isinstance(value, dict):
            raise _Unfit(value, "an object")
        fields = cast("dict[str, object]", value)
        if bare is not None and "currency_id" not in fields:
            raise ValueError("names no currency: it has neither an id nor is it a code alone")
        for other, name in aliases.items():
            if name not in fields and other in fields:
                fields = {**fields, name: fields[other]}
        return read(fields, kind)

    return structured


def _made() -> Converter:
    made = Converter()
    made.register_structure_hook(int, lambda value, _: _int(value))
    made.register_structure_hook(str, lambda value, _: _text(value))
    made.register_structure_hook(bool, lambda value, _: _bool(value))
    made.register_structure_hook(Decimal, lambda value, _: read_decimal(value))
    made.register_structure_hook(date, lambda value, _: read_date(value))
    made.register_structure_hook(datetime, lambda value, _: _datetime(value))
    made.register_structure_hook(StrEnum, _enum)
    made.register_structure_hook_factory(attrs.has, partial(_model, made))
    return made


converter: Final = _made()
