"""What the approver of a plan should see: the differences from earlier months, not all rows.

Somebody who approves 400 rows reads none of them. What goes wrong at month end shows elsewhere: in
a total that is not like last month's, in somebody who was never paid before, in an amount that is
far above the usual or too round to be a sum of conversions, in one that is there twice, in somebody
who is missing.

All of it follows from the plan alone, whose header has the history: an approver needs no key. Sums
are exact; payouts and revenue are never added to each other, nor one currency to another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final, Protocol, TypeVar

import attrs

from aiocake.models import InvoiceKind
from aiocake.models.totals import exact_sum
from aiocake.monthend.caps import Caps
from aiocake.monthend.plan import Plan
from aiocake.monthend.rows import PlanRow

#: So many of each kind and currency are shown, the largest; of the others their number and sum.
MOST_SHOWN: Final = 5
#: What a Mark call writes beside the bill's own amount.
_WRITTEN: Final = ("invoiced_amount", "payment_amount")
#: From so much on an amount can be a round sum, if no more than its first digits are not zero.
_LEAST_ROUND: Final = Decimal(100)
_ROUND_DIGITS: Final = 2


class Observation(Protocol):
    """The fields of all findings about a plan, by which they are sorted and shortened."""

    @property
    def kind(self) -> InvoiceKind:
        """Return payout or revenue."""
        ...

    @property
    def currency(self) -> str | None:
        """Return the currency of the amount."""
        ...

    @property
    def amount(self) -> Decimal | None:
        """Return the amount; None if it is not known yet."""
        ...


F = TypeVar("F", bound=Observation)


@attrs.frozen(kw_only=True)
class TotalBeside:
    """The total of one kind and currency, beside last month's.

    Attributes:
        kind: Payout or revenue.
        currency: The currency.
        count: How many rows there are.
        amount: The sum of their amounts.
        last_count: How many there were last month; None if no history was read.
        last_amount: The sum of these; None if no history was read.
    """

    kind: InvoiceKind
    currency: str | None
    count: int
    amount: Decimal
    last_count: int | None
    last_amount: Decimal | None


@attrs.frozen(kw_only=True)
class PartnerFinding:
    """Something about a partner.

    Attributes:
        kind: Payout or revenue.
        currency: The currency; None of creates, whose amount CAKE works out.
        partner_id: The partner.
        partner_name: Their name.
    """

    kind: InvoiceKind
    currency: str | None
    partner_id: int | None
    partner_name: str | None


@attrs.frozen(kw_only=True)
class FirstTimePayee(PartnerFinding):
    """A partner that is not in the history in this currency.

    Attributes:
        count: How many rows they have.
        amount: The sum of these; None if it is not known yet.
        line: The first of their lines in the plan's file.
        known_in: The currencies in which they are in the history.
    """

    count: int
    amount: Decimal | None
    line: int
    known_in: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class RowAmount(PartnerFinding):
    """The amount of one row.

    Attributes:
        line: The row's line in the plan's file.
        amount: The amount.
        beside: What it is shown beside: the partner's median, or the amount that a Mark call
            writes; None for a round sum.
    """

    line: int
    amount: Decimal
    beside: Decimal | None = None


@attrs.frozen(kw_only=True)
class EqualAmounts(PartnerFinding):
    """Rows of one partner that have the same amount.

    Attributes:
        amount: The amount of each row.
        lines: Their lines in the plan's file.
    """

    amount: Decimal
    lines: tuple[int, ...]


@attrs.frozen(kw_only=True)
class MissingPartner(PartnerFinding):
    """A partner of last month that has no row in the plan.

    Attributes:
        count: How many invoices, or bills, they had last month.
        amount: The sum of these.
    """

    count: int
    amount: Decimal


@attrs.frozen(kw_only=True)
class CapUse:
    """A cap of which nine tenths or more are used.

    Attributes:
        cap: Its name: ``"max_total"``, ``"max_row"`` or ``"max_rows"``.
        kind: Payout or revenue; None of ``max_rows``.
        currency: The currency; None of ``max_rows``.
        limit: The cap.
        used: What the plan comes to.
    """

    cap: str
    kind: InvoiceKind | None
    currency: str | None
    limit: Decimal
    used: Decimal


@attrs.frozen(kw_only=True)
class Differences:
    """The changes of a plan that its approver should see.

    Each list is in the order of kind and currency, in these by money, the largest first.

    Attributes:
        last_month: The month that the totals are beside, such as ``"2023-12"``; None if no history
            was read: then nobody is listed as new, unusual or missing.
        history_months: All months of the history.
        totals: The totals.
        unpriced: How many rows have no amount yet, such as creates.
        first_time: Partners that are not in the history.
        above_median: Rows above three times the partner's own median, with that median.
        equal_amounts: Equal amounts to one partner.
        round_sums: Amounts of one or two digits with nothing but zeros behind them, from 100 on.
        amounts_differ: Rows that write another amount than their bill has, with the written one.
        missing: Partners of last month that have no row; of the kinds that the plan has.
        near_caps: Caps of which nine tenths or more are used.
    """

    last_month: str | None
    history_months: tuple[str, ...]
    totals: tuple[TotalBeside, ...]
    unpriced: int
    first_time: tuple[FirstTimePayee, ...]
    above_median: tuple[RowAmount, ...]
    equal_amounts: tuple[EqualAmounts, ...]
    round_sums: tuple[RowAmount, ...]
    amounts_differ: tuple[RowAmount, ...]
    missing: tuple[MissingPartner, ...]
    near_caps: tuple[CapUse, ...]

    @classmethod
    def of(cls, plan: Plan) -> "Differences":
        """Return what the approver of a plan should see.

        Args:
            plan: The plan. Its rows are read once.
        """
        reading = _Reading(plan)
        for row in plan.rows:
            reading.add(row)
        return reading.differences()


@attrs.frozen(kw_only=True)
class More:
    """The rest of a list that is not shown.

    Attributes:
        kind: Payout or revenue.
        currency: The currency.
        count: How many there are.
        amount: The sum of their amounts; None if one is not known yet.
    """

    kind: InvoiceKind
    currency: str | None
    count: int
    amount: Decimal | None


def shortened(found: Sequence[F], most: int = MOST_SHOWN) -> Iterator[tuple[list[F], More | None]]:
    """Yield the rows to show of each kind and currency, and how many more there are.

    Args:
        found: A list of :class:`Differences`.
        most: So many are shown; one more is shown in the place of "and 1 more".
    """
    for (kind, currency), group in groupby(found, key=lambda each: (each.kind, each.currency)):
        items = list(group)
        shown = items if len(items) <= most + 1 else items[:most]
        rest = items[len(shown) :]
        amounts = [each.amount for each in rest if each.amount is not None]
        amount = _sum(amounts) if len(amounts) == len(rest) else None
        more = More(kind=kind, currency=currency, count=len(rest), amount=amount)
        yield shown, more if rest else None


_Key = tuple[InvoiceKind, str | None]
_Partner = tuple[InvoiceKind, str | None, int | None]


class _Reading:
    """Looks at the rows of a plan, one after the other.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        header = plan.header
        self._months = header.history_months
        self._history = {
            (each.kind, each.currency, each.partner_id): each for each in header.history
        }
        self._known: defaultdict[tuple[InvoiceKind, int | None], set[str]] = defaultdict(set)
        for each in header.history:
            self._known[each.kind, each.partner_id].add(each.currency or "?")
        self._caps = _CapReading(header.caps)
        self._kinds: set[InvoiceKind] = set()
        self._sums: dict[_Key, tuple[int, Decimal]] = {}
        self._unpriced = 0
        self._partners: dict[_Partner, FirstTimePayee] = {}
        self._amounts: defaultdict[tuple[_Partner, Decimal], list[int]] = defaultdict(list)
        self._above: list[RowAmount] = []
        self._round: list[RowAmount] = []
        self._differ: list[RowAmount] = []

    def add(self, row: PlanRow) -> None:
        record = row.record
        if record is None:  # a create, of an affiliate: CAKE works out the rest
            partner = row.arguments.get("affiliate_id")
            number = partner if isinstance(partner, int) else None
            kind, currency, name, amount = InvoiceKind.PAYOUT, None, None, None
        else:
            kind, currency, amount = record.kind, record.currency, record.amount
            number, name = record.partner_id, record.partner_name
        self._kinds.add(kind)
        self._caps.add(kind, currency, amount)
        key = (kind, currency, number)
        seen = self._partners.get(key)
        if seen is None:
            self._partners[key] = FirstTimePayee(
                kind=kind,
                currency=currency,
                partner_id=number,
                partner_name=name,
                count=1,
                amount=amount,
                line=row.line,
            )
        else:
            both = None if seen.amount is None or amount is None else exact_sum(seen.amount, amount)
            self._partners[key] = attrs.evolve(seen, count=seen.count + 1, amount=both)
        if amount is None:
            self._unpriced += 1
            return
        count, total = self._sums.get((kind, currency), (0, Decimal(0)))
        self._sums[kind, currency] = (count + 1, exact_sum(total, amount))
        self._amounts[key, amount].append(row.line)
        found = RowAmount(
            kind=kind,
            currency=currency,
            partner_id=number,
            partner_name=name,
            line=row.line,
            amount=amount,
        )
        before = self._history.get(key)
        if before is not None and before.median > 0 and amount > _tripled(before.median):
            self._above.append(attrs.evolve(found, beside=before.median))
        if _is_round(amount):
            self._round.append(found)
        for name in _WRITTEN:
            written = row.arguments.get(name)
            if isinstance(written, int | Decimal) and written != amount:
                self._differ.append(attrs.evolve(found, beside=Decimal(written)))

    def differences(self) -> Differences:
        return Differences(
            last_month=max(self._months, default=None),
            history_months=self._months,
            totals=tuple(self._totals()),
            unpriced=self._unpriced,
            first_time=_in_order(self._first_time()),
            above_median=_in_order(self._above),
            equal_amounts=_in_order(self._equal()),
            round_sums=_in_order(self._round),
            amounts_differ=_in_order(self._differ),
            missing=_in_order(self._missing()),
            near_caps=tuple(self._caps.near()),
        )

    def _totals(self) -> Iterator[TotalBeside]:
        counts: Counter[_Key] = Counter()
        lasts: dict[_Key, Decimal] = {}
        for each in self._history.values():
            if each.kind in self._kinds and each.last_count:
                key = (each.kind, each.currency)
                counts[key] += each.last_count
                lasts[key] = exact_sum(lasts.get(key, Decimal(0)), each.last_total)
        read = bool(self._months)
        for key in sorted(self._sums.keys() | lasts.keys(), key=_group):
            count, amount = self._sums.get(key, (0, Decimal(0)))
            yield TotalBeside(
                kind=key[0],
                currency=key[1],
                count=count,
                amount=amount,
                last_count=counts[key] if read else None,
                last_amount=lasts.get(key, Decimal(0)) if read else None,
            )

    def _first_time(self) -> Iterator[FirstTimePayee]:
        for key, payee in self._partners.items() if self._months else ():
            known = self._known.get((payee.kind, payee.partner_id), set())
            # A create says no currency, so any will do.
            if key not in self._history and not (known and payee.currency is None):
                yield attrs.evolve(payee, known_in=tuple(sorted(known)))

    def _equal(self) -> Iterator[EqualAmounts]:
        for (key, amount), lines in self._amounts.items():
            if len(lines) > 1 and amount:
                kind, currency, number = key
                yield EqualAmounts(
                    kind=kind,
                    currency=currency,
                    partner_id=number,
                    partner_name=self._partners[key].partner_name,
                    amount=amount,
                    lines=tuple(lines),
                )

    def _missing(self) -> Iterator[MissingPartner]:
        # Creates say no currency.
        there = {(kind, number) for kind, currency, number in self._partners if currency is None}
        for key, each in self._history.items():
            if (
                each.last_count
                and each.kind in self._kinds
                and key not in self._partners
                and (each.kind, each.partner_id) not in there
            ):
                yield MissingPartner(
                    kind=each.kind,
                    currency=each.currency,
                    partner_id=each.partner_id,
                    partner_name=each.partner_name,
                    count=each.last_count,
                    amount=each.last_total,
                )


class _CapReading:
    """Adds up what the caps limit: amounts by their size."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._rows = 0
        self._totals: dict[_Key, Decimal] = {}
        self._largest: dict[_Key, Decimal] = {}

    def add(self, kind: InvoiceKind, currency: str | None, amount: Decimal | None) -> None:
        self._rows += 1
        if amount is not None:
            key, size = (kind, currency), amount.copy_abs()
            self._totals[key] = exact_sum(self._totals.get(key, Decimal(0)), size)
            self._largest[key] = max(self._largest.get(key, size), size)

    def near(self) -> Iterator[CapUse]:
        caps = self._caps
        uses = [
            *(
                ("max_total", key, caps.max_total.get(key[1] or ""), used)
                for key, used in self._totals.items()
            ),
            *(("max_row", key, caps.max_row, used) for key, used in self._largest.items()),
        ]
        for cap, (kind, currency), limit, used in uses:
            if limit is not None and _is_near(used, limit):
                yield CapUse(cap=cap, kind=kind, currency=currency, limit=limit, used=used)
        if caps.max_rows is not None and _is_near(Decimal(self._rows), Decimal(caps.max_rows)):
            yield CapUse(
                cap="max_rows",
                kind=None,
                currency=None,
                limit=Decimal(caps.max_rows),
                used=Decimal(self._rows),
            )


def _is_near(used: Decimal, limit: Decimal) -> bool:
    """Return True if nine tenths of a limit are used, or more."""
    return _sum([used] * 10) >= _sum([limit] * 9)


def _is_round(amount: Decimal) -> bool:
    """Return True for amounts such as 500, 1200 and 45000.00, whatever their sign."""
    if amount.copy_abs() < _LEAST_ROUND:
        return False
    digits = "".join(map(str, amount.as_tuple().digits)).strip("0")
    return len(digits) <= _ROUND_DIGITS


def _tripled(amount: Decimal) -> Decimal:
    return _sum([amount] * 3)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = exact_sum(total, amount)
    return total


def _group(key: _Key) -> tuple[str, str]:
    return key[0], key[1] or ""


def _in_order(found: Iterable[F]) -> tuple[F, ...]:
    """Return what was found by kind and currency, and in these by money, the largest first."""
    by_money = sorted(found, key=_size, reverse=True)
    return tuple(sorted(by_money, key=lambda each: _group((each.kind, each.currency))))


def _size(found: Observation) -> Decimal:
    return Decimal(-1) if found.amount is None else found.amount.copy_abs()
