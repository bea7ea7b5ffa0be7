"""Write records as XLSX, with XlsxWriter, a row at a time.

Excel keeps 15 digits of a number: one that has more is written as a text, and the sheet says so.
Texts are never formulas.
"""

import importlib
import json
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final, Generic, TypeVar

from aiocake import ColumnType, Invoice
from aiocake._display import places_of
from aiocake.cli.destination import OutputError, refused, refused_aside
from aiocake.cli.formats import RecordLayout
from aiocake.cli.sink import Sink
from aiocake.models import Bill, Total
from aiocake.models.totals import Tally
from aiocake.records import plain_value

T = TypeVar("T")

# Source: "Excel specifications and limits", a page of Microsoft.
MOST_ROWS: Final = 1_048_576
_MOST_DIGITS: Final = 15
_MOST_NOTES: Final = 2
_MOST_CHARACTERS: Final = 32_767
#: Excel takes 1900 for a leap year, so that dates before this one are a day off.
_FIRST_DATE: Final = date(1900, 3, 1)
_DATE: Final = "yyyy-mm-dd"
_WIDTHS: Final[Mapping[ColumnType | None, int]] = {
    ColumnType.DECIMAL: 16,
    ColumnType.INTEGER: 13,
    ColumnType.DATE: 13,
    ColumnType.TIMESTAMP: 20,
}
_USUAL: Final = 22


@contextmanager
def workbook(
    stream: BinaryIO, kind: RecordLayout[T], say: Callable[[str], object]
) -> Generator[Callable[[T], None]]:
    """Write records of a kind; the file is complete when the block ends well.

    Args:
        stream: Where it goes.
        kind: The kind of record.
        say: Is given what a person has to know of the file.

    Yields:
        A function that takes records one by one.

    Raises:
        OutputError: A text is longer than a cell can be; or the stream, or the folder for temporary
            files, cannot be written to.
    """
    library = importlib.import_module("xlsxwriter")
    sink = Sink(stream)
    with ExitStack() as stack:
        with refused_aside:
            # A folder of its own, which goes whatever becomes of the file.
            made = tempfile.TemporaryDirectory(prefix="aiocake-", ignore_cleanup_errors=True)
            folder = stack.enter_context(made)
            book = library.Workbook(sink, {"constant_memory": True, "tmpdir": folder})
            sheets = _Sheets(book, kind)
        try:
            yield sheets.write
            with refused_aside:
                notes = sheets.finish()
                book.close()
        except library.exceptions.FileCreateError as error:  # it cannot be written
            with refused:
                raise error.args[0] from None
        except library.exceptions.FileSizeError:
            raise OutputError("it is more than XLSX can hold: use csv or parquet") from None
        finally:
            sink.abandon()
            for sheet in book.worksheets():
                sheet.row_data_fh.close()
        for note in notes:
            say(note)


class _Sheets(Generic[T]):
    """The rows of a workbook; a sheet that is full is followed by another."""

    def __init__(self, book: Any, kind: RecordLayout[T]) -> None:  # noqa: ANN401 - a library without annotations
        self._book = book
        self._kind = kind
        self._names = kind.csv_columns
        self._read = kind.reader()
        self._currency = next(
            (at for at, name in enumerate(self._names) if name == "currency"), None
        )
        self._head = book.add_format({"bold": True, "bottom": 1})
        self._plain, self._bold = book.add_format(), book.add_format({"bold": True})
        self._formats: dict[tuple[str, bool], Any] = {}
        self._tally = Tally()
        self._rounded = 0
        self._count = 0
        self._sheet: Any = None
        self._row = 0
        self._begin()

    def write(self, record: T) -> None:
        """Add the row of a record."""
        if self._row >= MOST_ROWS:
            self._begin()
        if self._kind.added_up and isinstance(record, Invoice | Bill):
            self._tally.add(record)
        self._count += 1
        values = tuple(self._read(record))
        currency = None if self._currency is None else values[self._currency]
        places = places_of(currency if isinstance(currency, str) else None)
        with refused_aside:
            self._put(values, places)

    def finish(self) -> list[str]:
        """Add the totals, and what a person has to know of the file.

        Returns:
            The latter.
        """
        self._filtered()
        totals = self._tally.totals() if self._kind.added_up else ()
        if self._row + 1 + len(totals) + _MOST_NOTES > MOST_ROWS:
            self._begin()
        self._row += 1
        for total in totals:
            self._put(self._values_of(total), places_of(total.currency), bold=True)
        notes = list(self._notes())
        for note in notes:
            self._sheet.write_string(self._row, 0, note)
            self._row += 1
        return notes

    def _values_of(self, total: Total) -> list[object]:
        found = {
            "kind": total.kind,
            "invoice_status": total.invoice_status,
            "currency": total.currency,
            "currency_id": total.currency,
            "total_amount": total.amount,
            "amount": total.amount,
        }
        label = next((name for name in self._names if name not in found), "")
        return [
            found.get(n, f"Total of {total.count:,}" if n == label else None) for n in self._names
        ]

    def _notes(self) -> Iterator[str]:
        if self._rounded:
            yield (
                f"{self._rounded:,} of the numbers are texts, since they have more than "
                f"{_MOST_DIGITS} digits: Excel would round them"
            )
        if (sheets := len(self._book.worksheets())) > 1:
            yield f"a sheet of Excel has {MOST_ROWS:,} rows: the records are in {sheets} sheets"

    def _begin(self) -> None:
        """Begin a sheet."""
        self._filtered()
        number = len(self._book.worksheets()) + 1
        title = self._kind.sheet
        self._sheet = self._book.add_worksheet(title if number == 1 else f"{title} {number}")
        types = self._kind.types or {}
        for at, name in enumerate(self._names):
            width = _WIDTHS.get(types.get(name), _USUAL)
            self._sheet.set_column(at, at, max(width, len(name) + 2))
        for at, name in enumerate(self._names):
            self._sheet.write_string(0, at, name, self._head)
        self._sheet.freeze_panes(1, 0)
        self._row = 1

    def _filtered(self) -> None:
        """Offer to filter the rows of a sheet: not their totals."""
        if self._sheet is not None and self._row > 1:
            self._sheet.autofilter(0, 0, self._row - 1, len(self._names) - 1)

    def _put(self, values: Sequence[object], places: int, *, bold: bool = False) -> None:
        for at, value in enumerate(values):
            if value is not None:
                self._cell(at, value, places, bold=bold)
        self._row += 1

    def _cell(self, at: int, value: object, places: int, *, bold: bool) -> None:
        sheet, row = self._sheet, self._row
        match value:
            case bool():
                sheet.write_boolean(row, at, value)
            case int() if abs(value) < 10**_MOST_DIGITS:
                sheet.write_number(row, at, value, self._format("0", bold=bold))
            case Decimal() if value.is_finite() and _digits(value) <= _MOST_DIGITS:
                shown = max(places, _places(value))
                form = f"#,##0.{'0' * shown}".rstrip(".")
                sheet.write_number(row, at, float(value), self._format(form, bold=bold))
            case date() if _is_date_of_excel(value):
                form = _DATE if not isinstance(value, datetime) else f"{_DATE} hh:mm:ss"
                sheet.write_datetime(row, at, value, self._format(form, bold=bold))
            case _:
                self._rounded += isinstance(value, int | Decimal)
                plain = plain_value(value)
                text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
                form = self._bold if bold else self._plain
                if sheet.write_string(row, at, text, form):
                    raise OutputError(
                        f"row {self._count} does not fit into XLSX: {self._names[at]} must "
                        f"have at most {_MOST_CHARACTERS:,} characters; use csv or parquet"
                    )
                if text.startswith("<r>") and text.endswith("</r>"):
                    # XlsxWriter would write that as the XML of a rich text. A rich text it writes
                    # as it is.
                    sheet.write_rich_string(row, at, text[0], form, text[1:], form)

    def _format(self, form: str, *, bold: bool) -> Any:  # noqa: ANN401 - as above
        found = self._formats.get((form, bold))
        if found is None:
            found = self._book.add_format({"num_format": form, "bold": bold})
            self._formats[form, bold] = found
        return found


def _digits(number: Decimal) -> int:
    """Return how many significant digits a number has, without the zeros at its end."""
    digits = number.as_tuple().digits
    if len(digits) <= _MOST_DIGITS:
        return len(digits)
    return len("".join(map(str, digits)).strip("0"))


def _places(number: Decimal) -> int:
    """Return how many decimal places a number has, without the zeros at its end."""
    return len(format(number, "f").partition(".")[2].rstrip("0"))


def _is_date_of_excel(value: date) -> bool:
    if not isinstance(value, datetime):
        return value >= _FIRST_DATE
    exact = value.tzinfo is None and not value.microsecond
    return exact and value.date() >= _FIRST_DATE
