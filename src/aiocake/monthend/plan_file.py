"""The format of plan files, version 1: canonical JSON lines, and their hash.

UTF-8, line feeds, one JSON object a line, its names sorted and no blanks between; money as text
with all of its digits, dates as ISO 8601 has them, times in UTC and whole seconds::

    {"aiocake_plan":1}
    {"action":"invoices.update invoice_status=approved","after":null,"caps":…,"totals":[…]}
    {"arguments":{"invoice_id":4821,"invoice_status":"approved"},"operation":…,"record":{…}}
    {"sha256":"…"}

The second line is the header, the last one has the SHA-256 of all bytes before it, and between them
is a line for each row. There is one way only to write a plan: each line that is read is written
again and compared, so that what was shown is what was signed, to the byte.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Any, BinaryIO, Final, cast

import attrs
import msgspec

from aiocake._codec.preparation import validator
from aiocake.bulk.calls import tagged, untagged
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.models.totals import Tally
from aiocake.monthend.caps import CapCheck, Caps
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.rows import OPERATIONS, Action, PlannedRecord, PlanRow, Repeats
from aiocake.values import Period

#: What the first line says.
VERSION: Final = 1
#: The lines before the first row.
HEAD: Final = 2
FIRST_LINE: Final = b'{"aiocake_plan":1}\n'
#: So many lines of rows are one piece of bytes: each alone would take 33 bytes more.
A_PIECE: Final = 256
#: No line is as long; what is, is no plan.
_LONGEST: Final = 1 << 26
#: More rows are for more than one plan, and for more than one approver.
MOST_ROWS: Final = 250_000
#: So many problems are looked for before a file is given up.
_MOST_PROBLEMS: Final = 100
_LAST: Final = b'{"sha256":"'

_encode: Final = msgspec.json.Encoder(order="sorted").encode


# Writing.


def row_line(
    operation: str, arguments: Mapping[str, object], record: PlannedRecord | None
) -> bytes:
    """Return the line of a row."""
    return joined_line(call_text(operation, arguments), record_text(record))


def call_text(operation: str, arguments: Mapping[str, object]) -> bytes:
    """Return the part of a row's line that has the call.

    Raises:
        UnicodeEncodeError: A text cannot be written in UTF-8.
    """
    written = {name: tagged(value) for name, value in arguments.items()}
    return _encode({"arguments": written, "operation": operation})


def record_text(record: PlannedRecord | None) -> bytes:
    """Return the part of a row's line that has the record."""
    return _encode(None if record is None else _plain(record))


def joined_line(call: bytes, record: bytes) -> bytes:
    """Return the line of a row of its two parts: ``record`` sorts behind the names of a call."""
    return b'%b,"record":%b}\n' % (call[:-1], record)


def head_of(header: PlanHeader) -> bytes:
    """Return the lines before the rows."""
    return FIRST_LINE + _header_line(header)


def last_line(sha256: str) -> bytes:
    """Return the line after the rows."""
    return _line({"sha256": sha256})


def _header_line(header: PlanHeader) -> bytes:
    fields = {
        field.name: _json(getattr(header, field.name))
        for field in attrs.fields(PlanHeader)
        if field.name != "version"
    }
    return _line(fields)


def _line(fields: Mapping[str, object]) -> bytes:
    return _encode(fields) + b"\n"


_RECORD: Final = tuple(field.name for field in attrs.fields(PlannedRecord))
_values_of: Final = attrgetter(*_RECORD)


def _plain(record: PlannedRecord) -> dict[str, object]:
    values = cast("tuple[object, ...]", _values_of(record))
    fields = dict(zip(_RECORD, values, strict=True))
    if record.amount is not None:
        fields["amount"] = format(record.amount, "f")
    return fields


def _json(value: object) -> object:
    """Return a value of a header as JSON has it."""
    kind: type = type(value)
    if kind in _TEXTS:
        return _TEXTS[kind](value)
    if isinstance(value, tuple):
        return [_json(each) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        return {name: _json(each) for name, each in cast("Mapping[str, object]", value).items()}
    if attrs.has(kind):
        return {field.name: _json(getattr(value, field.name)) for field in attrs.fields(kind)}
    return value


def _moment(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_TEXTS: Final[Mapping[type, Callable[[Any], str]]] = {
    Decimal: lambda amount: format(amount, "f"),
    datetime: _moment,
    Period: str,
}


# Reading.


@attrs.frozen
class _RowLine:
    """A line of a row."""

    arguments: dict[str, Any]
    operation: str
    record: PlannedRecord | None


@attrs.frozen
class _LastLine:
    sha256: str


@attrs.frozen
class _CapsLine:
    """The caps as a header has them."""

    max_row: Decimal | None
    max_rows: int | None
    max_total: dict[str, Decimal]


_decode_row: Final = msgspec.json.Decoder(_RowLine).decode
_decode_last: Final = msgspec.json.Decoder(_LastLine).decode
_decode_any: Final = msgspec.json.Decoder(dict[str, Any]).decode
#: What decoding may raise of bytes that nobody wrote as a plan.
_UNREADABLE: Final = (ValueError, LookupError, TypeError, ArithmeticError, RecursionError)


def read_row(line: bytes, index: int) -> PlanRow:
    """Return the row of a line that is known to be good."""
    found = _decode_row(line)
    arguments = {name: untagged(value) for name, value in found.arguments.items()}
    return PlanRow(
        index=index,
        line=index + HEAD + 1,
        operation=found.operation,
        arguments=MappingProxyType(arguments),
        record=found.record,
    )


class Control:
    """The summary of the rows: their number, what they do, and their totals.

    Args:
        header: The header that they have to fit to; only its caps are looked at here.
    """

    def __init__(self, header: PlanHeader) -> None:
        self._tally = Tally()
        self._action = Action()
        self._caps = CapCheck(header.caps)
        self._repeats = Repeats()
        self._header = header
        self.rows: int = 0

    def add(self, row: PlanRow) -> str:
        """Add a row; return why the plan cannot contain it, or an empty text."""
        self.rows += 1
        operation, record = OPERATIONS[row.operation], row.record
        self._action.add(operation, row.arguments)
        if record is not None and record.amount is not None:
            key = record.kind, record.invoice_status, record.currency
            self._tally.add_amount(key, record.amount)
        above = self._caps.add(row)
        if self._repeats.add(operation, row.arguments):
            return "repeats an earlier row"
        return above

    def above(self) -> list[Problem]:
        """Return which caps all of the rows together are above."""
        return self._caps.problems()

    def header(self) -> PlanHeader:
        """Return the header with what follows from the rows."""
        return attrs.evolve(
            self._header,
            action=str(self._action),
            rows=self.rows,
            totals=self._tally.totals(),
        )


@attrs.frozen(kw_only=True)
class PlanText:
    """A plan as it is in its file.

    Attributes:
        header: The header.
        head: The lines before the rows.
        pieces: The lines of the rows, many to a piece.
        hash: The hash that the last line says.
    """

    header: PlanHeader
    head: bytes
    pieces: tuple[bytes, ...]
    hash: str


def read(stream: BinaryIO) -> PlanText:
    """Read a plan.

    Args:
        stream: Its bytes.

    Raises:
        PlanError: It is no plan, or not as it was written; with the lines.
    """
    lines = _lines(stream)
    header, head = _read_head(next(lines, b""), next(lines, b""))
    control = Control(header)
    digest = hashlib.sha256(head)
    problems: list[Problem] = []
    pieces: list[bytes] = []
    piece: list[bytes] = []
    last = b""
    for line in lines:
        if line.startswith(_LAST):
            last = line
            break
        reason = _row_problem(line, control)
        if control.rows > MOST_ROWS:
            reason = too_many()
        if reason:
            problems.append(Problem(f"line {control.rows + HEAD}", reason))
        if len(problems) >= _MOST_PROBLEMS or control.rows > MOST_ROWS:
            break
        digest.update(line)
        piece.append(line)
        if len(piece) == A_PIECE:
            pieces.append(b"".join(piece))
            piece.clear()
    pieces.append(b"".join(piece))
    if not problems:
        problems += _end_problems(last, next(lines, None), header, control, digest.hexdigest())
    if problems:
        raise PlanError("not a plan as it was written", *problems)
    return PlanText(header=header, head=head, pieces=tuple(pieces), hash=digest.hexdigest())


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_LONGEST):
        yield line


def _read_head(first: bytes, second: bytes) -> tuple[PlanHeader, bytes]:
    if first != FIRST_LINE:
        raise PlanError("not a plan", Problem("line 1", _first_problem(first)))
    try:
        header = _header(_decode_any(second))
        reason = "" if _header_line(header) == second else _changed(second)
    except (*_UNREADABLE, ArgumentError):
        header, reason = None, _changed(second)
    if header is None or reason:
        raise PlanError("not a plan as it was written", Problem("line 2", reason))
    return header, first + second


def _first_problem(line: bytes) -> str:
    if not line:
        return "the file is empty"
    if line.startswith(b"\xef\xbb\xbf"):
        return "begins with a byte order mark (BOM), which no plan has"
    if line == FIRST_LINE.replace(b"\n", b"\r\n"):
        return _changed(line)
    try:
        found = _decode_any(line)
    except _UNREADABLE:
        found = {}
    version = found.get("aiocake_plan")
    if type(version) is int and version != VERSION:
        return f"is of version {version}, but this version of aiocake reads version {VERSION} only"
    return "is not the first line of a plan"


def _header(found: dict[str, Any]) -> PlanHeader:
    """Return the header of the second line's values; they are compared with it later."""
    caps = msgspec.convert(found["caps"], _CapsLine)
    period: object = found["period"]
    if not isinstance(period, str | None):
        raise TypeError
    simple = {name: value for name, value in found.items() if name not in {"caps", "period"}}
    return attrs.evolve(
        msgspec.convert(simple, PlanHeader),
        caps=Caps(max_total=caps.max_total, max_row=caps.max_row, max_rows=caps.max_rows),
        period=None if period is None else Period.parse(period),
    )


def _row_problem(line: bytes, control: Control) -> str:
    """Return what is wrong with the line of a row; empty if nothing is."""
    try:
        row = read_row(line, control.rows)
        written = row_line(row.operation, row.arguments, row.record)
    except _UNREADABLE:
        row, written = None, b""
    if row is None or written != line:
        control.rows += 1
        return _changed(line)
    if row.operation not in OPERATIONS:
        control.rows += 1
        return "is of an operation that no plan may hold"
    return control.add(row) or _call_problem(row)


_VALIDATORS: Final = {name: validator(each) for name, each in OPERATIONS.items()}


def _call_problem(row: PlanRow) -> str:
    """Return why the call of a row cannot be sent; empty if it can."""
    try:
        _VALIDATORS[row.operation](row.arguments)
    except ArgumentError as error:
        return str(error)
    return ""


def _end_problems(
    last: bytes, behind: bytes | None, header: PlanHeader, control: Control, sha256: str
) -> Iterator[Problem]:
    """Yield what is wrong with the last line, and with the header as one of these rows."""
    place = f"line {control.rows + HEAD + 1}"
    if not last:
        yield Problem(place, "is missing: the file was cut off")
        return
    if last != last_line(sha256):
        yield Problem(place, _last_problem(last))
        return
    if behind is not None:
        yield Problem(f"line {control.rows + HEAD + 2}", "stands after the last line of the plan")
    follows = control.header()
    for name in ("action", "rows", "totals"):
        if getattr(follows, name) != getattr(header, name):
            yield Problem("line 2", f"{name} is not what the rows come to")
    yield from control.above()


def _last_problem(line: bytes) -> str:
    try:
        found = _decode_last(line)
    except _UNREADABLE:
        return _changed(line)
    if last_line(found.sha256) != line:
        return _changed(line)
    return "the hash is not that of the lines before it: something was changed"


def _changed(line: bytes) -> str:
    if line.endswith(b"\r\n"):
        return "ends in CR LF, which an editor or a transfer has made of LF"
    if not line.endswith(b"\n"):
        return "is cut off" if line else "is missing: the file was cut off"
    return "is not as aiocake writes it"


def too_many() -> str:
    """Return why a row is one too many."""
    return f"a plan has at most {MOST_ROWS:,} rows: make several"


def rows_of(piece: bytes) -> list[bytes]:
    """Return the lines of a piece."""
    return piece.split(b"\n")[:-1]


def bytes_of(text: PlanText) -> Iterator[bytes]:
    """Yield the bytes of a file, piece by piece."""
    return chain((text.head,), text.pieces, (last_line(text.hash),))
