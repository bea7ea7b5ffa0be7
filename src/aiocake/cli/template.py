"""Select, order and rename columns: ``--columns`` and ``--template``.

A template is a file of TOML::

    raw = true                      # CSV for a program: as with --raw

    [where]                         # only rows with this value; or with one of a list
    kind = "payout"

    [[column]]
    name = "Supplier"               # as it is called in the file
    from = "affiliate_name"         # a column of the records

    [[column]]
    name = "Due"
    from = "end_date"
    add_days = 30
    date = "%d/%m/%Y"               # as strftime of Python has it

    [[column]]
    name = "Account"
    value = "400"                   # the same in each row
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Context, Decimal, Inexact
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import attrs
import typer

from aiocake import ArgumentError, ColumnType
from aiocake.cli.destination import OutputError
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.errors import Problem
from aiocake.records import plain_value

T = TypeVar("T")

_SHIPPED: Final = resources.files("aiocake.cli") / "templates"
_ENDING: Final = ".toml"
_KEYS: Final = ("raw", "where", "column")
_COLUMN_KEYS: Final = ("name", "from", "value", "date", "add_days", "decimals")
_MOST_PLACES: Final = 10
_EXACT: Final = Context(prec=100, traps=[Inexact])
_SAMPLE: Final = date(2024, 1, 31)
#: What is added up, of invoices and of bills.
_AMOUNTS: Final = frozenset({"total_amount", "amount"})
_DATES: Final = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP})


@attrs.frozen(kw_only=True)
class TemplateColumn:
    """A column of a file.

    Attributes:
        name: Its name in the file.
        source: The column of the records that it shows; None if it has the same value in each row.
        value: That value.
        date: How a date is written, as strftime has it; None for ISO 8601.
        add_days: Days that are added to a date.
        decimals: How many decimal places a number has; None for as many as it has.
    """

    name: str
    source: str | None = None
    value: str | int | bool | None = None
    date: str | None = None
    add_days: int = 0
    decimals: int | None = None

    def of(self, fields: Fields) -> object:
        """Return the value of the column in a row.

        Raises:
            OutputError: A number has more places than the column.
        """
        if self.source is None:
            return self.value
        value = fields[self.source]
        if isinstance(value, date):
            if self.add_days:
                value += timedelta(days=self.add_days)
            return value if self.date is None else value.strftime(self.date)
        if isinstance(value, Decimal) and self.decimals is not None:
            try:
                return _EXACT.quantize(value, Decimal(1).scaleb(-self.decimals))
            except Inexact:
                raise OutputError(
                    f"a number of {self.source} has more than {self.decimals} decimal places, as "
                    f"the template has for {self.name}: nothing is rounded"
                ) from None
        return value

    def type_of(self, types: Mapping[str, ColumnType]) -> ColumnType:
        """Return the type of the column, by the types of the records'."""
        if self.source is None:
            if isinstance(self.value, bool):
                return ColumnType.BOOLEAN
            return ColumnType.INTEGER if isinstance(self.value, int) else ColumnType.TEXT
        return ColumnType.TEXT if self.date is not None else types[self.source]


@attrs.frozen
class Template:
    """The columns of a file, and which records are in it.

    Attributes:
        title: What the option was given.
        columns: The columns, in order.
        where: The values that a column of a record may have; other records are left out.
        raw: True for CSV whose texts are as CAKE sent them.
    """

    title: str
    columns: tuple[TemplateColumn, ...]
    where: Mapping[str, frozenset[str]] = attrs.field(factory=dict[str, frozenset[str]])
    raw: bool = False

    def applied(self, kind: RecordLayout[T]) -> RecordLayout[T]:
        """Return the layout of records with the columns of the template.

        Raises:
            ArgumentError: It names a column that the records do not have, or a form that does not
                fit the column.
        """
        problems = [Problem("template", f"{self.title}: {each}") for each in self._problems(kind)]
        if problems:
            raise ArgumentError(*problems)
        types = kind.types and {each.name: each.type_of(kind.types) for each in self.columns}

        def fields(record: T) -> Fields:
            found = kind.csv(record)
            return {each.name: each.of(found) for each in self.columns}

        changed = _with(kind, tuple(each.name for each in self.columns), fields, types)
        keep = partial(self._keeps, kind.csv) if self.where else None
        return attrs.evolve(changed, keep=keep, added_up=False)

    def _keeps(self, fields: Callable[[T], Fields], record: T) -> bool:
        found = fields(record)
        return all(_as_text(found[name]) in values for name, values in self.where.items())

    def _problems(self, kind: RecordLayout[Any]) -> Iterator[str]:
        used = [(f"column {each.name!r}", each.source) for each in self.columns if each.source]
        used += [("where", name) for name in self.where]
        unknown = {name: where for where, name in used if name not in kind.csv_columns}
        if len(unknown) > 1:  # it is of another kind of record: one line says so
            names, known = ", ".join(map(repr, unknown)), ", ".join(kind.csv_columns)
            yield f"it is for other records: there are no columns {names}; the columns are {known}"
        else:
            for name, where in unknown.items():
                yield f"{where}: {_unknown(name, kind.csv_columns)}"
        for each in self.columns:
            found = (kind.types or {}).get(each.source or "")
            if found is None:
                continue
            if (each.date is not None or each.add_days) and found not in _DATES:
                yield f"column {each.name!r}: {each.source} is not a date"
            if each.decimals is not None and found is not ColumnType.DECIMAL:
                yield f"column {each.name!r}: {each.source} is not an amount"


def selected(kind: RecordLayout[T], names: Sequence[str]) -> RecordLayout[T]:
    """Return the layout of records with some of its columns, in the order given.

    Raises:
        ArgumentError: There is no column of that name.
    """
    known = kind.csv_columns
    problems = [Problem("columns", _unknown(name, known)) for name in names if name not in known]
    if problems:
        raise ArgumentError(*problems)

    def fields(record: T) -> Fields:
        found = kind.csv(record)
        return {name: found[name] for name in names}

    types = kind.types and {name: kind.types[name] for name in names}
    added_up = kind.added_up and not _AMOUNTS.isdisjoint(names)
    return attrs.evolve(_with(kind, tuple(names), fields, types), added_up=added_up)


def _with(
    kind: RecordLayout[T],
    names: tuple[str, ...],
    fields: Callable[[T], Fields],
    types: Mapping[str, ColumnType] | None,
) -> RecordLayout[T]:
    def plain(record: T) -> Fields:
        return {name: plain_value(value) for name, value in fields(record).items()}

    return attrs.evolve(
        kind,
        json=plain,
        jsonl=plain,
        csv=fields,
        csv_columns=names,
        values=None,
        to_table=fields,
        table_columns=names,
        table_spare=(),
        optional=(),
        types=types,
    )


def _as_text(value: object) -> str:
    return "" if value is None else str(plain_value(value))


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    better = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(known)}"
    return f"there is no column {name!r}; {better}"


# Templates as files.


def shipped() -> dict[str, Traversable]:
    """Return the templates that are shipped, by name."""
    files = {each.name: each for each in _SHIPPED.iterdir() if each.name.endswith(_ENDING)}
    return {name.removesuffix(_ENDING): files[name] for name in sorted(files)}


def template(text: str) -> Template:
    """Read a template: a file, or the name of one that is shipped.

    Raises:
        typer.BadParameter: There is none, or it cannot be used.
    """
    own = shipped()
    file = Path(text)
    try:
        if text in own:
            content = own[text].read_text("utf-8")
        elif file.exists():
            content = file.read_text("utf-8")
        else:
            names = ", ".join(own)
            raise typer.BadParameter(
                f"{text} is neither a file nor a template; the templates are {names}"
            )
        found = tomllib.loads(content)
    except OSError as error:
        raise typer.BadParameter(f"{text} cannot be read: {error.strerror}") from None
    except ValueError as error:  # of UTF-8, or of TOML
        raise typer.BadParameter(f"{text} is not TOML: {error}") from None
    read, problems = _read(text, found)
    if problems:
        raise typer.BadParameter("; ".join(f"{text}: {each}" for each in problems))
    return read


def _read(title: str, found: Mapping[str, Any]) -> tuple[Template, list[str]]:
    """Return a template and its problems."""
    problems = [*_strange(found, _KEYS)]
    raw, where, tables = found.get("raw", False), found.get("where", {}), found.get("column")
    if type(raw) is not bool:
        problems.append("raw must be true or false")
    if not isinstance(where, dict):
        problems.append("where must be a table of columns and values")
        where = {}
    if not isinstance(tables, list) or not tables:
        problems.append("it must have a [[column]] at least")
        tables = []
    columns: list[TemplateColumn] = []
    for number, each in enumerate(cast("list[object]", tables), 1):
        if not isinstance(each, dict):
            problems.append(f"column {number} must be a table")
            continue
        values = cast("dict[str, Any]", each)
        wrong = list(_problems_of_column(values))
        problems += (f"column {number}: {reason}" for reason in wrong)
        if not wrong:
            columns.append(TemplateColumn(source=values.pop("from", None), **values))
    names = [each.name for each in columns]
    problems += (f"two columns are called {name!r}" for name in {*names} if names.count(name) > 1)
    wanted = {
        name: frozenset(map(_as_text, cast("list[object]", value)))
        if isinstance(value, list)
        else frozenset({_as_text(value)})
        for name, value in cast("dict[str, object]", where).items()
    }
    return Template(title, tuple(columns), wanted, raw=raw is True), problems


def _problems_of_column(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _strange(values, _COLUMN_KEYS)
    if not isinstance(values.get("name"), str):
        yield "name must be a text"
    if ("from" in values) == ("value" in values):
        yield "give either from, a column of the records, or value"
    if not isinstance(values.get("from", ""), str):
        yield "from must be the name of a column"
    if type(values.get("value", "")) not in {str, int, bool}:
        yield "value must be a text, a whole number, true or false"
    form = values.get("date", "")
    if not isinstance(form, str) or ("date" in values and not _shows(form)):
        yield "date must be a form such as %d/%m/%Y"
    if type(values.get("add_days", 0)) is not int:
        yield "add_days must be a whole number"
    places = values.get("decimals", 0)
    if type(places) is not int or not 0 <= places <= _MOST_PLACES:
        yield f"decimals must be a whole number from 0 to {_MOST_PLACES}"
    if "from" not in values and not {"date", "add_days", "decimals"}.isdisjoint(values):
        yield "date, add_days and decimals are for a column with from"


def _shows(form: str) -> bool:
    """Return True if a form of dates shows something of a date."""
    try:
        return _SAMPLE.strftime(form) != form
    except ValueError:
        return False


def _strange(values: Mapping[str, object], known: Sequence[str]) -> Iterator[str]:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name!r} is not known" + (f"; did you mean {near[0]!r}?" if near else "")
