"""Caps: the limits of a plan. They are part of what is signed."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import cast

import attrs

from aiocake._normalize import class_name, guarded, normalized
from aiocake.errors import ArgumentError, Problem
from aiocake.models.totals import exact_sum
from aiocake.monthend.rows import PlanRow


def _exact_totals(passed: object) -> Mapping[str, Decimal]:
    name = "max_total"
    items = guarded(name, lambda: dict(cast("Mapping[str, Decimal]", passed)).items())
    found: dict[str, Decimal] = {}
    for currency, amount in items:
        exact = guarded(name, partial(normalized, currency))
        if type(exact) is not str or not exact:
            raise ArgumentError(Problem(name, "must name currencies, such as 'USD'"))
        found[exact] = _exact_amount(name, amount)
    return MappingProxyType(found)


def _exact_amount(name: str, passed: object) -> Decimal:
    exact = guarded(name, lambda: normalized(passed))
    if type(exact) is int:
        exact = Decimal(exact)
    if type(exact) is not Decimal or not exact.is_finite() or exact < 0:
        reason = f"must be a Decimal or an int of at least 0, got {class_name(passed)}"
        raise ArgumentError(Problem(name, reason))
    return exact


def _exact_row(passed: object) -> Decimal | None:
    return None if passed is None else _exact_amount("max_row", passed)


def _exact_rows(passed: object) -> int | None:
    exact = guarded("max_rows", lambda: normalized(passed))
    if exact is not None and (type(exact) is not int or exact < 0):
        raise ArgumentError(Problem("max_rows", "must be a whole number of at least 0"))
    return exact


@attrs.frozen(kw_only=True)
class Caps:
    """Upper limits of a plan.

    Amounts count by their size: a bill of -100 counts as 100. A row counts by the larger of what
    its record has and what it sets, such as the ``payment_amount`` of a mark.

    Attributes:
        max_total: The largest total, by currency, of each kind. If it names any currency, amounts
            in others are refused.
        max_row: The largest amount of one row, in whatever currency.
        max_rows: The largest number of rows.

    Raises:
        ArgumentError: One is no amount or number, or negative.
    """

    max_total: Mapping[str, Decimal] = attrs.field(
        factory=dict[str, Decimal], converter=_exact_totals, hash=False
    )
    max_row: Decimal | None = attrs.field(default=None, converter=_exact_row)
    max_rows: int | None = attrs.field(default=None, converter=_exact_rows)

    def __bool__(self) -> bool:
        return self.on_amounts or self.max_rows is not None

    @property
    def on_amounts(self) -> bool:
        """Return True if there is a cap on amounts."""
        return bool(self.max_total) or self.max_row is not None

    def check(self, rows: Iterable[PlanRow]) -> list[Problem]:
        """Return what is above the caps, each with its line or its total; no amounts.

        Args:
            rows: The rows, with their records as they are to be checked.
        """
        checked = CapCheck(self)
        found: list[Problem] = []
        for row in rows:
            reason = checked.add(row)
            if reason:
                found.append(Problem(f"line {row.line}", reason))
        return [*found, *checked.problems()]


class CapCheck:
    """Checks rows one by one."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._rows = 0
        self._totals: dict[tuple[str, str], Decimal] = {}

    def add(self, row: PlanRow) -> str:
        """Count a row; return why it is above the caps by itself, or an empty text."""
        caps, record = self._caps, row.record
        self._rows += 1
        if not caps.on_amounts:
            return ""
        if record is None or record.amount is None:
            return "its amount is not known, so no cap on amounts can be kept"
        if record.currency is None and caps.max_total:
            return "its currency is not known, so max_total cannot be kept"
        # A mark may set an amount of its own, whatever that of the bill is.
        passed = [each for each in row.arguments.values() if isinstance(each, Decimal)]
        size = max(map(abs, (record.amount, *passed)))
        key = record.kind, record.currency or ""
        self._totals[key] = exact_sum(self._totals.get(key, Decimal(0)), size)
        if caps.max_row is not None and size > caps.max_row:
            return "its amount is above max_row"
        return ""

    def problems(self) -> list[Problem]:
        """Return which caps all of the rows together are above."""
        caps, found = self._caps, list[Problem]()
        if caps.max_rows is not None and self._rows > caps.max_rows:
            found.append(Problem("max_rows", f"there are {self._rows} rows"))
        if not caps.max_total:
            return found
        for (kind, currency), total in sorted(self._totals.items()):
            most = caps.max_total.get(currency)
            if most is None:
                found.append(Problem("max_total", f"names no {currency}, which {kind} rows have"))
            elif total > most:
                found.append(Problem("max_total", f"the {kind} rows in {currency} are above it"))
        return found
