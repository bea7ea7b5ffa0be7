"""Match the rows of a bank's file of payments with the bills that they pay."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

import attrs

from aiocake._normalize import guarded, normalized
from aiocake.bulk.calls import Call
from aiocake.client import ClientView
from aiocake.endpoints.affiliate_bills import MARK_PAID
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.models import AffiliateBill, Bill, InvoiceKind, Total
from aiocake.models.totals import Tally
from aiocake.monthend.draft import MOST_PROBLEMS, Problems
from aiocake.monthend.plan_file import MOST_ROWS, too_many
from aiocake.monthend.reading import currencies_of, each_bill
from aiocake.monthend.rows import PlannedRecord
from aiocake.monthend.sources import (
    RowFile,
    SourceRow,
    amount,
    call_of,
    checked_columns,
    number,
)
from aiocake.values import Period

AMOUNT: Final = "amount"
CURRENCY: Final = "currency"
#: The columns by which a bill is found, and how a cell of each is read.
_KEYS: Final = ("bill_id", "affiliate_id", "invoice_number")
_CHANGED: Final = "was changed while it was read"
MATCHES: Final = (*_KEYS, AMOUNT, CURRENCY)


@attrs.frozen(kw_only=True)
class Mismatch:
    """A row of the file that matches no bill in CAKE.

    Attributes:
        line: Its line.
        reason: What is wrong, without names and amounts.
        bill_id: The bill; None where none was found, or several.
        amount: The amount in the file.
        bill_amount: The amount of the bill.
        currency: The currency of the bill.
    """

    line: int
    reason: str
    bill_id: int | None = None
    amount: Decimal | None = None
    bill_amount: Decimal | None = None
    currency: str | None = None


@attrs.frozen
class _Payable:
    """The bill that a payment is compared with."""

    bill_id: int
    amount: Decimal
    currency: str | None
    paid: bool | None


@attrs.frozen(eq=False)
class BankFile:
    """A file of bank payments, matched row by row with the bills of a period.

    Made by :meth:`match`. Its calls mark the bills as paid, for :meth:`Plan.of`; they are given
    only if each row was matched.

    Attributes:
        rows: How many rows the file has.
        totals: The control totals of its amounts, by the currencies of the bills.
        mismatches: The rows that pay no bill as it stands in CAKE.
    """

    rows: int
    totals: tuple[Total, ...]
    mismatches: tuple[Mismatch, ...]
    _file: RowFile
    _cake: ClientView
    _match: tuple[str, ...]
    _ignored: frozenset[str]
    _arguments: Mapping[str, object]
    _bills: "array[int]"
    _lines: "array[int]"
    _prints: "array[int]"

    @classmethod
    async def match(  # noqa: PLR0913 - by name
        cls,
        path: str | Path,
        cake: ClientView,
        *,
        period: Period,
        match: Iterable[str] = ("bill_id", AMOUNT),
        arguments: Mapping[str, object] | None = None,
        ignore: Iterable[str] = (),
    ) -> "BankFile":
        """Match each row of a file with a bill of one export of the period.

        Args:
            path: A CSV file with a header, or JSON lines. Beside the columns to match by, it has
                those of ``cake.affiliate_bills.mark_paid``, such as ``payment_date``.
            cake: The client to read by.
            period: The billing period of the bills.
            match: The columns to match by: ``bill_id``, ``affiliate_id`` or ``invoice_number``
                find the bill; ``amount`` and ``currency`` must be those of the bill.
            arguments: Arguments that all rows have, such as a ``payment_date``.
            ignore: Names of columns that are not read.

        Raises:
            ArgumentError: There is no such column to match by.
            PlanError: The file cannot be read; with the lines.
            CakeError: CAKE refused a call, or no readable response came.
        """
        names = _names(match)
        keys = tuple(name for name in names if name in _KEYS) or (AMOUNT,)
        bills = await _bills(cake, period, keys)
        matcher = _Matcher(names, keys, bills)
        file, ignored = RowFile(path), frozenset(ignore)
        problems = Problems(f"{file.path} cannot be used")
        known = {each.name for each in MARK_PAID.parameters} - {MARK_PAID.record}
        known |= ignored | set(names)
        for row in checked_columns(file, known, problems):
            if matcher.rows == MOST_ROWS:
                problems.add(f"line {row.line}", too_many())
                break
            matcher.take(row, problems)
        problems.refuse()
        if not matcher.rows:
            raise PlanError(f"{file.path} has no rows")
        return cls(
            matcher.rows,
            matcher.tally.totals(),
            tuple(matcher.mismatches),
            file,
            cake,
            names,
            ignored,
            dict(arguments or {}),
            matcher.bills,
            matcher.lines,
            matcher.prints,
        )

    def __iter__(self) -> Iterator[Call[Any]]:
        """Yield the calls, one for each row.

        Raises:
            PlanError: Some rows were not matched, or the file was changed; with the lines.
        """
        if self.mismatches:
            raise PlanError(
                f"{self._file.path} does not agree with CAKE",
                *(Problem(f"line {each.line}", each.reason) for each in self.mismatches),
            )
        problems = Problems(f"{self._file.path} cannot be used")
        read = 0
        for index, row in enumerate(self._file):
            if index >= self.rows or _print(row) != self._prints[index]:
                raise self._file.broken(row.line, _CHANGED)
            read += 1
            try:
                yield self._call(index, row)
            except ValueError as error:
                problems.add(f"line {row.line}", str(error))
        if read < self.rows:
            raise self._file.broken(self._lines[read], _CHANGED)
        problems.refuse()

    def place(self, index: int) -> str:
        """Return the line of a row, such as ``"line 12"``.

        Args:
            index: The place of its call.
        """
        return f"line {self._lines[index]}"

    def _call(self, index: int, row: SourceRow) -> Call[Any]:
        unread = {*self._match, *self._ignored}
        cells = {name: each for name, each in row.cells.items() if name not in unread}
        more = {**self._arguments, MARK_PAID.record: self._bills[index]}
        return call_of(MARK_PAID.name, cells, more, self._cake)


class _Matcher:
    """Finds the bill of each row, and adds up the rows."""

    def __init__(
        self,
        names: tuple[str, ...],
        keys: tuple[str, ...],
        bills: Mapping[tuple[object, ...], list[_Payable]],
    ) -> None:
        self._names = names
        self._keys = keys
        self._bills = bills
        self._taken: dict[int, int] = {}
        self.rows = 0
        self.tally = Tally()
        self.mismatches: list[Mismatch] = []
        self.bills = array("q")
        self.lines = array("q")
        self.prints = array("q")

    def take(self, row: SourceRow, problems: Problems) -> None:
        """Add a row: unreadable values are problems, disagreeing ones are mismatches."""
        self.rows += 1
        self.lines.append(row.line)
        self.prints.append(_print(row))
        self.bills.append(0)
        reason = row.reason or _missing(self._names, row.cells)
        found: dict[str, object] = {}
        try:
            if not reason:
                found = {name: _read(name, row.cells[name]) for name in self._names}
        except ValueError as error:
            reason = str(error)
        if reason:
            problems.add(f"line {row.line}", reason)
            return
        mismatch = self._mismatch(row.line, found)
        if mismatch is not None and len(self.mismatches) < MOST_PROBLEMS:
            self.mismatches.append(mismatch)

    def _mismatch(self, line: int, found: Mapping[str, object]) -> Mismatch | None:
        stated = cast("Decimal | None", found.get(AMOUNT))
        bills = self._bills.get(tuple(found[name] for name in self._keys), [])
        if len(bills) != 1:
            reason = f"matches {len(bills)} bills of the period" if bills else "matches no bill"
            return Mismatch(line=line, reason=reason, amount=stated)
        (bill,) = bills
        self.bills[-1] = bill.bill_id
        self.tally.add_amount(
            (InvoiceKind.PAYOUT, None, bill.currency), bill.amount if stated is None else stated
        )
        reason = ""
        if stated is not None and stated != bill.amount:
            reason = f"amount is not that of bill {bill.bill_id}"
        elif CURRENCY in found and found[CURRENCY] != bill.currency:
            reason = f"currency is not that of bill {bill.bill_id}"
        elif bill.paid:
            reason = f"bill {bill.bill_id} is marked as paid already"
        elif (before := self._taken.setdefault(bill.bill_id, line)) != line:
            reason = f"bill {bill.bill_id} is paid by line {before} as well"
        if not reason:
            return None
        return Mismatch(
            line=line,
            reason=reason,
            bill_id=bill.bill_id,
            amount=stated,
            bill_amount=bill.amount,
            currency=bill.currency,
        )


def _print(row: SourceRow) -> int:
    """Return a number by which a row is known when the file is read again."""
    return hash((row.line, repr(sorted(row.cells.items(), key=lambda cell: cell[0]))))


def _names(match: Iterable[str]) -> tuple[str, ...]:
    names = guarded("match", lambda: tuple(normalized(each) for each in match))
    if not names or set(names) - set(MATCHES) or names == (CURRENCY,):
        reason = f"must name columns among {', '.join(MATCHES)}, and not the currency alone"
        raise ArgumentError(Problem("match", reason))
    return cast("tuple[str, ...]", names)


async def _bills(
    cake: ClientView, period: Period, keys: tuple[str, ...]
) -> dict[tuple[object, ...], list[_Payable]]:
    """Return the bills of a period by what they are found by."""
    currencies = await currencies_of(cake)
    found: dict[tuple[object, ...], list[_Payable]] = {}

    def visit(bill: Bill) -> None:
        bill = cast("AffiliateBill", bill)
        record = PlannedRecord.of_bill(bill, currencies)
        values: dict[str, object] = {
            "bill_id": bill.bill_id,
            "affiliate_id": bill.affiliate.id,
            "invoice_number": bill.invoice_number,
            AMOUNT: bill.bill_amount.amount,
        }
        one = _Payable(bill.bill_id, bill.bill_amount.amount, record.currency, bill.sent_payment)
        found.setdefault(tuple(values[name] for name in keys), []).append(one)

    await each_bill(cake, "affiliate_bills", period, visit)
    return found


def _missing(names: tuple[str, ...], cells: Mapping[str, object]) -> str:
    missing = [name for name in names if name not in cells]
    return f"{', '.join(missing)}: is missing" if missing else ""


def _read(name: str, cell: object) -> object:
    """Return what a cell means.

    Raises:
        ValueError: It cannot be read; the message names the column.
    """
    text = format(cell, "f") if isinstance(cell, Decimal) else str(cell).strip()
    try:
        if name == AMOUNT:
            return amount(text)
        return number(text) if name in {"bill_id", "affiliate_id"} else text
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
