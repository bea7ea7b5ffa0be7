"""Convert records to plain values: a dict for JSON, or typed columns.

Money is text there. As a number of JSON it would be a float to most programs that read it, and
lose digits.
"""

import types
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from operator import attrgetter
from typing import Final, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import attrs

from aiocake.errors import ArgumentError, Problem
from aiocake.values import Period

__all__ = [
    "ColumnType",
    "Record",
    "cells",
    "column_types",
    "columns",
    "plain_value",
    "row",
    "to_dict",
]

#: Names of fields that say nothing without whose they are.
_BARE: Final = frozenset({"id", "name"})


class Record:
    """Base of the classes for what an instance sends, with a field for each value.

    Pydantic accepts a record as it is, so a handler of FastAPI can return one: the response holds
    what :func:`to_dict` returns.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, object]:
        """Return a schema as pydantic_core.core_schema makes them, without importing it."""
        del source, handler
        serialization = {"type": "function-plain", "function": to_dict}
        # By its name, it is described once in an OpenAPI document, under the class's own name.
        name = f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"
        return {"type": "is-instance", "cls": cls, "ref": name, "serialization": serialization}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, object]:
        """Return the JSON schema of the dicts of :func:`to_dict`."""
        del schema, handler
        return _schema_of_model(cls)


def to_dict(record: object, *, flat: bool = False) -> dict[str, object]:
    """Return a record as plain values, for ``json.dumps``, pandas and polars.

    An amount is a text with all of its digits (``"1250.10"``), a date or time is a text as ISO
    8601 has it, a period is one that :meth:`aiocake.Period.parse` takes, an enum is its text. The
    ``kind`` of an invoice and the ``period`` of a bill are among the fields.

    Args:
        record: An invoice, a bill, a row of a look-up list, the result of a write, or a page.
        flat: One level only, as the command writes CSV: the fields of a nested record stand
            beside the others, under the names that :func:`columns` returns.

    Returns:
        The values by field. A nested record is a dict, a sequence is a list.

    Raises:
        ArgumentError: ``record`` is no record.
    """
    model = _checked("record", type(record))
    found = cells(record) if flat else {name: getattr(record, name) for name in _fields(model)}
    return {name: plain_value(value) for name, value in found.items()}


def columns(model: type) -> tuple[str, ...]:
    """Return the names that ``to_dict(record, flat=True)`` has for every record of a class.

    A field of a nested record keeps its name, such as ``formatted_amount`` of a ``bill_amount``.
    Where that is the name of another column, too, or just ``id`` or ``name``, the name of its
    record is put before it: ``affiliate_id``.

    Args:
        model: The class, such as :class:`aiocake.Invoice`.

    Returns:
        The names, in the order of the fields.

    Raises:
        ArgumentError: ``model`` is no class of records.
    """
    return _layout(_checked("model", model)).names


class ColumnType(StrEnum):
    """The type of a column, by its name in SQL: DuckDB takes it as it is."""

    INTEGER = "BIGINT"
    """A whole number of up to 64 bits, such as an id."""
    DECIMAL = "DECIMAL(38, 10)"
    """An exact number. Amounts have two or four places, rates of exchange ten."""
    TEXT = "VARCHAR"
    """A text; also a status, or a period."""
    DATE = "DATE"
    """A date."""
    TIMESTAMP = "TIMESTAMP"
    """A date and time as the instance gives it; in UTC where it has a time zone."""
    BOOLEAN = "BOOLEAN"
    """True or false."""
    JSON = "JSON"
    """A text of JSON, such as the contacts of a bill's partner."""


def column_types(model: type) -> Mapping[str, ColumnType]:
    """Return the types of the :func:`columns` of a class.

    Args:
        model: The class, such as :class:`aiocake.Invoice`.

    Returns:
        The types by name, in the order of the columns.

    Raises:
        ArgumentError: ``model`` is no class of records.
    """
    layout = _layout(_checked("model", model))
    return types.MappingProxyType(dict(zip(layout.names, map(_type_of, layout.hints), strict=True)))


def cells(record: object) -> dict[str, object]:
    """Return the values of a record by column: an amount is a Decimal, a sequence is plain.

    Args:
        record: A record, such as an invoice.
    """
    layout = _layout(cast("type[attrs.AttrsInstance]", type(record)))
    if layout.single:
        return dict(zip(layout.names, layout.get(record), strict=True))
    found = dict(zip(layout.names, _read(layout, record), strict=True))
    for name, value in found.items():
        if isinstance(value, tuple):
            found[name] = _of_collection(cast("Collection[object]", value))
    for name, path in layout.merged:
        outer = cast("Mapping[str, object]", found[name])
        found[name] = {**outer, path[0]: _at(record, path)}
    return found


def row(record: object) -> Collection[object]:
    """Return the values of a record as :func:`cells` does, in the order of the columns.

    Args:
        record: A record, such as an invoice.
    """
    layout = _layout(cast("type[attrs.AttrsInstance]", type(record)))
    return layout.get(record) if layout.single else cells(record).values()


def _checked(name: str, model: object) -> type[attrs.AttrsInstance]:
    if isinstance(model, type) and attrs.has(model):
        return model
    provided = model.__name__ if isinstance(model, type) else type(model).__name__
    raise ArgumentError(Problem(name, f"must be one of aiocake's records, got {provided}"))


def plain_value(value: object) -> object:
    """Return a value of a record as :func:`to_dict` writes it.

    Args:
        value: The value of one of its fields.
    """
    kind: type = type(value)
    return _form(kind).write(value)


@attrs.frozen(eq=False)
class _Form:
    """The form of a type of values in JSON.

    Attributes:
        write: Makes a plain value of one.
        schema: The JSON schema of the plain value.
    """

    write: Callable[..., object]
    schema: Mapping[str, object]


def _itself(value: object) -> object:
    return value


def _of_mapping(value: Mapping[object, object]) -> object:
    return {str(name): plain_value(each) for name, each in value.items()}


def _of_enum(value: Enum) -> object:
    return plain_value(value.value)


def _of_amount(value: Decimal) -> object:
    return format(value, "f")


def _of_collection(value: Collection[object]) -> object:
    return [plain_value(each) for each in value]


#: The first that fits counts: a bool is an int, an enum of texts a text, a datetime a date.
_FORMS: Final[Mapping[type, _Form]] = {
    type(None): _Form(_itself, {"type": "null"}),
    bool: _Form(bool, {"type": "boolean"}),
    int: _Form(int, {"type": "integer"}),
    float: _Form(float, {"type": "number"}),
    str: _Form(str.__str__, {"type": "string"}),
    Decimal: _Form(_of_amount, {"type": "string", "format": "decimal"}),
    datetime: _Form(datetime.isoformat, {"type": "string", "format": "date-time"}),
    date: _Form(date.isoformat, {"type": "string", "format": "date"}),
    Period: _Form(str, {"type": "string"}),
    Enum: _Form(_of_enum, {}),
    Mapping: _Form(_of_mapping, {"type": "object"}),
    Collection: _Form(_of_collection, {"type": "array"}),
}


@cache
def _form(kind: type) -> _Form:
    if _is_nested(kind):
        return _Form(to_dict, {})
    return next((form for each, form in _FORMS.items() if issubclass(kind, each)), _Form(str, {}))


Path: TypeAlias = tuple[str, ...]


@attrs.frozen(eq=False)
class _Layout:
    """The columns of the records of a class.

    Attributes:
        names: The names of the columns.
        hints: The annotations of their values.
        paths: Where the value of each of them is.
        merged: Mappings within nested records that have the name of an outer one, such as
            ``extra``: this name, and where they are. They stand within the outer one.
        get: Reads the paths at once, while no nested record is None.
        single: True if each value is a single one, of the record itself.
    """

    names: tuple[str, ...]
    hints: tuple[object, ...]
    paths: tuple[Path, ...]
    merged: tuple[tuple[str, Path], ...]
    get: Callable[[object], tuple[object, ...]]
    single: bool


@cache
def _layout(model: type[attrs.AttrsInstance]) -> _Layout:
    found = _paths(model)
    outer = {path[0] for path in found if len(path) == 1}
    merged = tuple(
        (path[-1], path)
        for path, kind in found.items()
        if len(path) > 1 and path[-1] in outer and get_origin(kind) is Mapping
    )
    paths = tuple(path for path in found if (path[-1], path) not in merged)
    last = [path[-1] for path in paths]
    names = (
        _joined(path) if path[-1] in _BARE or last.count(path[-1]) > 1 else path[-1]
        for path in paths
    )
    hints = tuple(found[path] for path in paths)
    types = {_type_of(hint) for hint in hints}
    single = len(paths) > 1 and {len(path) for path in paths} == {1}
    single = single and ColumnType.JSON not in types
    get = attrgetter(*map(".".join, paths))
    return _Layout(tuple(names), hints, paths, merged, get, single)


#: The first that fits counts: a bool is an int, an enum of texts a text, a datetime a date.
_COLUMN_TYPES: Final[Mapping[type, ColumnType]] = {
    bool: ColumnType.BOOLEAN,
    int: ColumnType.INTEGER,
    Decimal: ColumnType.DECIMAL,
    datetime: ColumnType.TIMESTAMP,
    date: ColumnType.DATE,
    str: ColumnType.TEXT,
    Enum: ColumnType.TEXT,
    Period: ColumnType.TEXT,
}


def _type_of(hint: object) -> ColumnType:
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and get_origin(each) is None:
            for kind, found in _COLUMN_TYPES.items():
                if issubclass(each, kind):
                    return found
        elif get_origin(each) not in {Union, types.UnionType}:
            break  # a sequence or a mapping; what is in it does not count
    return ColumnType.JSON


def _read(layout: _Layout, record: object) -> tuple[object, ...]:
    if len(layout.paths) > 1:
        with suppress(AttributeError):
            return layout.get(record)
    return tuple(_at(record, path) for path in layout.paths)


def _joined(path: Path) -> str:
    """Return the names of a path as one; words that end one and begin the next stand once."""
    words: list[str] = []
    for name in path:
        more = name.split("_")
        shared = (n for n in range(len(words), -1, -1) if words[len(words) - n :] == more[:n])
        words += more[next(shared) :]
    return "_".join(words)


def _at(record: object, path: Path) -> object:
    for name in path:
        record = None if record is None else getattr(record, name)
    return record


def _paths(model: type[attrs.AttrsInstance]) -> dict[Path, object]:
    """Return the paths to the values of a record, and their types."""
    found: dict[Path, object] = {}
    for name, kind in _fields(model).items():
        nested = [each for each in (kind, *get_args(kind)) if _is_nested(_class_of(each))]
        if nested and get_origin(kind) in {None, Union, types.UnionType}:
            inner = _paths(cast("type[attrs.AttrsInstance]", nested[0]))
            found |= {(name, *path): each for path, each in inner.items()}
        else:
            found[name,] = kind
    return found


def _is_nested(kind: type) -> bool:
    """Return True for a class of records, False for one of single values."""
    return attrs.has(kind) and kind not in _FORMS


def _class_of(kind: object) -> type:
    return kind if isinstance(kind, type) else type(kind)


@cache
def _fields(model: type[attrs.AttrsInstance]) -> dict[str, object]:
    """Return the types of a class's fields and properties.

    First come its own properties, then the id, the properties of its bases, its own fields, and
    those of its bases.
    """
    hints = get_type_hints(model)
    fields = attrs.fields(model)
    own = sorted(fields, key=lambda field: field.inherited and field is not fields[0])
    names = [field.name for field in own if not field.name.startswith("_")]
    first = {name: hints[name] for name in names[:1]}
    inherited: dict[str, object] = {}
    for base in model.__mro__[1:]:
        inherited |= _properties(base)
    return {**_properties(model), **first, **inherited, **{name: hints[name] for name in names}}


def _properties(model: type) -> dict[str, object]:
    """Return the types of the properties of a class of records, such as an invoice's kind."""
    if not issubclass(model, Record):
        return {}
    return {
        name: get_type_hints(each.fget)["return"]
        for name, each in vars(model).items()
        if isinstance(each, property)
    }


def _schema_of_model(model: type) -> dict[str, object]:
    fields = _fields(_checked("model", model))
    return {
        "type": "object",
        "title": model.__name__,
        "properties": {name: _schema(kind) for name, kind in fields.items()},
        "required": list(fields),
    }


def _schema(kind: object) -> dict[str, object]:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return {"anyOf": [_schema(part) for part in parts]}
    base = cast("object", origin) or kind
    if not isinstance(base, type):  # of a type variable nothing is known
        return {}
    if _is_nested(base):
        return _schema_of_model(base)
    schema = dict(_form(base).schema)
    return {**schema, "items": _schema(parts[0])} if schema.get("type") == "array" else schema
