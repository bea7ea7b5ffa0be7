"""Read calls from the rows of a CSV or JSON lines file.

A column has the name of a parameter of the method, such as ``bill_id``. A spreadsheet is not to be
trusted with money: it turns dates around, puts commas into amounts and drops zeros. So what could
be read in two ways is refused, with its line, and nothing is guessed.
"""

import csv
import json
import re
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import attrs

from aiocake._normalize import path_of
from aiocake._operations import parameters as kinds
from aiocake._operations.parameters import Parameter
from aiocake.bulk.calls import Call, Instance, rebuild, untagged
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.monthend.draft import Problems
from aiocake.monthend.rows import OPERATIONS

#: The column that names the operation of each row.
OPERATION: Final = "operation"
#: Of a line, in bytes: a file without line ends would be one.
_LONGEST: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
#: What an apostrophe is put before, so that a spreadsheet takes it for no formula. It is taken off.
_GUARDED: Final = re.compile(r"'[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d{1,28}(\.\d{1,28})?", re.ASCII)
#: One and a quarter, or, where a point groups thousands, a thousand and two hundred and fifty.
_TWO_WAYS: Final = re.compile(r"-?\d{1,3}\.\d{3}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@attrs.frozen
class SourceRow:
    """A row of a file.

    Attributes:
        line: Its first line, from 1.
        cells: What it has by column: texts of CSV, values of JSON. An empty cell is left out.
        reason: Why it cannot be read; empty if it can.
    """

    line: int
    cells: Mapping[str, object]
    reason: str = ""


class RowFile:
    """The rows of a CSV file with a header, or of a file of JSON lines; read on each iteration.

    Args:
        path: The file.
        bare: The name of the only column, where the file may be a list of values without a header.
    """

    def __init__(self, path: str | Path, *, bare: str | None = None) -> None:
        self.path: Path = path_of("path", path)
        self._bare = bare
        #: The line of the header and its names, once it was read; None of JSON lines.
        self.header: tuple[int, list[str]] | None = None

    def __iter__(self) -> Iterator[SourceRow]:
        """Yield the rows.

        Raises:
            PlanError: The file cannot be read, or its form is broken; with the line.
        """
        try:
            with self.path.open("rb") as stream:
                yield from self._rows(_TextLines(stream))
        except FileNotFoundError:
            raise PlanError(f"no such file: {self.path}") from None
        except OSError as error:
            raise PlanError(f"{self.path} cannot be read: {error.strerror}") from None

    def longer_than(self, rows: int) -> bool:
        """Return True if there are surely more rows, by counting lines; quick for any size."""
        count = 0
        with suppress(OSError), self.path.open("rb") as stream:
            lines_are_rows = stream.read(1) == b"{"
            while block := stream.read(1 << 20):
                # Within quotes a cell may have several lines.
                if not lines_are_rows and b'"' in block:
                    return False
                count += block.count(b"\n")
        return count > rows + 1

    def broken(self, line: int, reason: str) -> PlanError:
        """Return the error for a file that cannot be read on."""
        return PlanError(f"{self.path} cannot be read", Problem(f"line {line}", reason))

    def _rows(self, lines: "_TextLines") -> Iterator[SourceRow]:
        try:
            first = lines.peek()
            if first.lstrip().startswith("{"):
                yield from _json_rows(lines)
            else:
                yield from self._csv_rows(lines, first)
        except _BrokenError as error:
            raise self.broken(max(lines.count, 1), str(error)) from None

    def _csv_rows(self, lines: "_TextLines", first: str) -> Iterator[SourceRow]:
        reader = csv.reader(lines, strict=True)
        header: list[str] = []
        self.header = None
        if self._bare is not None and _NUMBER.fullmatch(first.strip()):
            header = [self._bare]
        while True:
            begins = lines.count + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise _BrokenError(f"is not CSV: {error}") from None
            if cells is None:
                return
            if not any(cells):
                continue
            if header:
                yield _csv_row(begins, header, cells)
            else:
                header = _header(cells)
                self.header = begins, header


class _BrokenError(Exception):
    """The form of a file is broken; the message says how."""


class _TextLines:
    """The lines of a file as texts, with their ends; counts them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._again: str | None = None
        self.count = 0

    def __iter__(self) -> "_TextLines":
        return self

    def __next__(self) -> str:
        if self._again is not None:
            line, self._again = self._again, None
            self.count += 1
            return line
        data = self._stream.readline(_LONGEST)
        if not data:
            raise StopIteration
        self.count += 1
        if len(data) == _LONGEST:
            raise _BrokenError("is longer than a megabyte")
        if self.count == 1:
            if data.startswith(_UTF_16):
                raise _BrokenError("is in UTF-16: save the file as UTF-8")
            data = data.removeprefix(_BOM)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _BrokenError("is not in UTF-8") from None

    def peek(self) -> str:
        """Return the first line that is not blank, which is given once more."""
        for line in self:
            if line.strip():
                self._again = line
                self.count -= 1
                return line
        raise _BrokenError("is empty")


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and ";" in names[0]:
        raise _BrokenError("has semicolons between its columns: commas are needed")
    if "" in names:
        raise _BrokenError(f"has no name for column {names.index('') + 1}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _BrokenError(f"names a column twice: {', '.join(map(_shown, twice))}")
    return names


def _csv_row(line: int, header: list[str], cells: list[str]) -> SourceRow:
    if len(cells) != len(header):
        reason = f"has {len(cells)} cells, but there are {len(header)} columns"
        return SourceRow(line, {}, reason)
    found = {name: _bare(cell) for name, cell in zip(header, cells, strict=True) if cell}
    return SourceRow(line, found)


def _bare(cell: str) -> str:
    """Return a cell without the apostrophe that our own CSV guards spreadsheets with."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _json_rows(lines: _TextLines) -> Iterator[SourceRow]:
    for line in lines:
        if not line.strip():
            continue
        try:
            found: object = json.loads(
                line,
                parse_float=Decimal,
                parse_constant=_refuse_constant,
                object_pairs_hook=_once,
            )
        except (ValueError, ArithmeticError, RecursionError) as error:
            reason = str(error) if isinstance(error, _DuplicateNameError) else "is not JSON"
            yield SourceRow(lines.count, {}, reason)
            continue
        if isinstance(found, dict):
            yield SourceRow(lines.count, cast("dict[str, object]", found))
        else:
            yield SourceRow(lines.count, {}, "is not a JSON object")


class _DuplicateNameError(ValueError):
    """A JSON object has a name twice."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateNameError("names a field twice")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


# Texts as values.


def number(text: str) -> int:
    """Return the whole number that a text is.

    Raises:
        ValueError: It is none; the message says so.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a whole number")
    return int(text)


def amount(text: str) -> Decimal:
    """Return the amount that a text is.

    Raises:
        ValueError: It is none; the message says so.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError("is not an amount in plain digits such as 1250.00, without commas")
    return Decimal(text)


def _amount_to_send(text: str) -> Decimal:
    """Return the amount that a text is; one that nothing else is compared with.

    Raises:
        ValueError: It is none, or may be two; the message says so.
    """
    if _TWO_WAYS.fullmatch(text):
        raise ValueError("has three decimals, which may be thousands: give two, or four")
    return amount(text)


def day(text: str) -> date:
    """Return the date that a text is.

    Raises:
        ValueError: It is none; the message says so.
    """
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("is not a date such as 2024-01-31")


def moment(text: str) -> datetime:
    """Return the time that a text is.

    Raises:
        ValueError: It is none; the message says so.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("is not a time with its zone such as 2024-02-15T10:00:00Z")
    return found


def _yes_or_no(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return text == "true"


_READERS: Final[Mapping[type[Parameter], Callable[[str], object]]] = {
    kinds.Id: number,
    kinds.Byte: number,
    kinds.Money: _amount_to_send,
    kinds.Date: day,
    kinds.ModifiedDate: day,
    kinds.Moment: moment,
    kinds.Bool: _yes_or_no,
}


def value_of(parameter: Parameter, value: object) -> object:
    """Return what a cell means for a parameter; the client's own checks follow.

    Args:
        parameter: The parameter.
        value: A text; of JSON, any value, also one as :meth:`Call.to_json` writes it.

    Raises:
        ValueError: It cannot be read as such; the message says so.
    """
    if isinstance(value, dict):
        try:
            return untagged(cast("dict[str, str]", value))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise ValueError("is an object, and none that a call has") from None
    read = _READERS.get(type(parameter))
    if read is None or not isinstance(value, str):
        return value
    return read(value.strip())


# Rows as calls.


class CallFile:
    """The calls of a file, one for each row; read on each iteration.

    ::

        calls = CallFile("received.csv", cake, operation="affiliate_bills.mark_received")
        plan = await Plan.of(calls, cake, period=Period.month(2024, 1))

    A CSV file has a header that names its columns by the parameters of the method; a file of JSON
    lines has an object in each line. An empty cell is left out. Without ``operation``, a column of
    this name says it for each row.

    Args:
        path: The file.
        cake: The client that is to send the calls.
        operation: The operation of all rows, such as ``"invoices.update"``.
        arguments: Arguments that all rows have, beside their own.
        ignore: Names of columns that are not read.
        bare: The name of the only column, where the file may be a list of values without a header.

    Raises:
        ArgumentError: There is no such operation, or no plan may hold it.
    """

    def __init__(  # noqa: PLR0913 - by name
        self,
        path: str | Path,
        cake: Instance,
        *,
        operation: str | None = None,
        arguments: Mapping[str, object] | None = None,
        ignore: Iterable[str] = (),
        bare: str | None = None,
    ) -> None:
        self._rows = RowFile(path, bare=bare)
        self._cake = cake
        self._operation = operation
        self._arguments = dict(arguments or {})
        self._ignored = frozenset(ignore)
        self._lines = array("L")
        if operation is not None and operation not in OPERATIONS:
            raise ArgumentError(
                Problem(OPERATION, f"must be one of {', '.join(OPERATIONS)}"),
            )

    def __iter__(self) -> Iterator[Call[Any]]:
        """Yield the calls.

        Raises:
            PlanError: Some rows cannot be read as calls: raised at the end, with all of them.
        """
        problems = Problems(f"{self._rows.path} cannot be used")
        self._lines = array("L")
        for row in checked_columns(self._rows, self._columns(), problems):
            try:
                call = self._call(row)
            except ValueError as error:  # an ArgumentError is one
                problems.add(f"line {row.line}", str(error))
                continue
            self._lines.append(row.line)
            yield call
        problems.refuse()

    def longer_than(self, rows: int) -> bool:
        """Return True if there are surely more rows, without reading them as calls.

        Args:
            rows: More than how many.
        """
        return self._rows.longer_than(rows)

    def place(self, index: int) -> str:
        """Return the line of a call that was already yielded, such as ``"line 12"``.

        Args:
            index: The place of the call.
        """
        return f"line {self._lines[index]}"

    def _columns(self) -> set[str]:
        names = OPERATIONS if self._operation is None else (self._operation,)
        own = {each.name for name in names for each in OPERATIONS[name].parameters}
        if self._operation is None:
            own.add(OPERATION)
        return own | self._ignored

    def _call(self, row: SourceRow) -> Call[Any]:
        if row.reason:
            raise ValueError(row.reason)
        cells = {name: each for name, each in row.cells.items() if name not in self._ignored}
        name = self._operation
        if name is None:
            name = cast("str", cells.pop(OPERATION, ""))
            if name not in OPERATIONS:
                reason = "names no operation that a plan may hold" if name else "has no operation"
                raise ValueError(f"{reason}: one of {', '.join(OPERATIONS)}")
        return call_of(name, cells, self._arguments, self._cake)


def checked_columns(
    rows: RowFile, known: Collection[str], problems: Problems
) -> Iterator[SourceRow]:
    """Yield the rows of a file; a column of an unknown name is a problem of the header."""
    checked = False
    for row in rows:
        if not checked and rows.header is not None:
            line, names = rows.header
            for name in names:
                if name not in known:
                    problems.add(f"line {line}", f"{_shown(name)}: {_no_column(known)}")
            known = {*known, *names}  # once is enough
        checked = True
        yield row


def call_of(
    operation: str, cells: Mapping[str, object], more: Mapping[str, object], cake: Instance
) -> Call[Any]:
    """Return the call of a row.

    Args:
        operation: The operation.
        cells: The row's own arguments.
        more: Other arguments.
        cake: The client that is to send it.

    Raises:
        ValueError: It cannot be sent, or an argument is given twice.
    """
    arguments = arguments_of(operation, cells)
    twice = sorted(arguments.keys() & more.keys())
    if twice:
        raise ValueError(f"{', '.join(twice)}: is given for all rows as well")
    arguments |= more
    missing = [
        Problem(each.name, "is required")
        for each in OPERATIONS[operation].parameters
        # A flag has a default: the method's.
        if each.required and each.name not in arguments and not isinstance(each, kinds.Bool)
    ]
    if missing:
        raise ArgumentError(*missing)
    return rebuild(operation, arguments, cake)


def arguments_of(operation: str, cells: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments that the cells of a row are.

    Raises:
        ArgumentError: Some cannot be read; with all of them.
    """
    known = {each.name: each for each in OPERATIONS[operation].parameters}
    found: dict[str, object] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        if name not in known:
            problems.append(Problem(_shown(name), _no_column(known)))
            continue
        try:
            found[name] = value_of(known[name], cell)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise ArgumentError(*problems)
    return found


def _no_column(known: Iterable[str]) -> str:
    return f"is not one of the columns that are read: {', '.join(sorted(known))}"


def _shown(name: str) -> str:
    return ascii(name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…")


_MOST_SHOWN: Final = 40
