"""Make a plan: check each call, read the state of its record, and store both.

Calls and records come in different orders, and there may be many. They meet in a private database
of SQLite's in a temporary file, so that no more than the plan itself is held in memory.
"""

import getpass
import json
import os
import platform
import sqlite3
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing
from datetime import date, timedelta
from math import ceil
from typing import Any, Final, Literal, Protocol, TypedDict, cast, get_args, runtime_checkable

import attrs

from aiocake import _clock
from aiocake._normalize import class_name, guarded, normalized
from aiocake._operations.operation import Operation, executor_of
from aiocake.bulk.calls import Call, call
from aiocake.client import ClientView
from aiocake.endpoints import invoices
from aiocake.endpoints._paging import LARGE_PAGE
from aiocake.endpoints.invoices import in_period
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.models import Bill, Invoice, InvoiceKind, InvoiceStatus, Total
from aiocake.models.totals import Tally
from aiocake.monthend import plan_file
from aiocake.monthend.caps import Caps
from aiocake.monthend.draft import PlanDraft, Problems
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.history import History, history_of_bills, history_of_invoices
from aiocake.monthend.plan_file import MOST_ROWS, PlanText, too_many
from aiocake.monthend.reading import (
    BILLS,
    currencies_of,
    each_bill,
    each_invoice,
    some_invoices,
)
from aiocake.monthend.rows import OPERATIONS, PlannedRecord, Repeats, described
from aiocake.monthend.sources import CallFile
from aiocake.values import SKIP, Period, PeriodMatch, Skip

_INVOICES: Final = "invoices"
#: CAKE's flow of statuses.
_FLOW: Final = (InvoiceStatus.PENDING, InvoiceStatus.APPROVED, InvoiceStatus.PAID)
_MOST_MONTHS: Final = 24
_WEEK: Final = timedelta(days=7)
_NO_CAPS: Final = Caps()

InvoiceKindText = Literal["payout", "revenue"]

Calls = Iterable[Call[Any]] | AsyncIterable[Call[Any]]


@runtime_checkable
class PlacedCalls(Protocol):
    """Calls with their origins, such as ``"line 12"`` of a file."""

    def place(self, index: int, /) -> str:
        """Return where a call came from that was already yielded."""
        ...


@attrs.frozen
class LeftOut:
    """Invoices that match a plan's status but are not in it, and why.

    Attributes:
        overlapping: Totals of invoices that share a day with the period and do not match it.
        other_kinds: Totals of invoices that match it, of kinds that were not asked for.
    """

    overlapping: tuple[Total, ...] = ()
    other_kinds: tuple[Total, ...] = ()


class PlanTerms(TypedDict, total=False):
    """The terms of a plan: the options that all functions that make one take.

    Attributes:
        maker: Who makes the plan, as text; by default the user and host of this process.
        maker_key: The public SSH key of who makes it, where the plan is to be signed.
        expires_in: How long it may be applied; a week by default.
        caps: What it must not go beyond: checked now, and again when it is applied.
        history_months: How many months before the period to read, for an approver to compare with;
            3 by default, 0 for none.
        after: The receipt of what was done before, which the header repeats.
        kinds: The kinds of invoices that may be in it; payout alone by default.
    """

    maker: str | None
    maker_key: str | None
    expires_in: timedelta
    caps: Caps
    history_months: int
    after: Mapping[str, object] | None
    kinds: Collection[InvoiceKind | InvoiceKindText]


@attrs.frozen(kw_only=True)
class Terms:
    """The terms of a plan, checked.

    Attributes:
        header: The header, without what follows from the rows and the history.
        kinds: The kinds of invoices that may be in the plan.
        history_months: How many months to read before the period.
    """

    header: PlanHeader
    kinds: frozenset[InvoiceKind]
    history_months: int

    @classmethod
    def of(  # noqa: PLR0913 - by name
        cls,
        cake: ClientView,
        period: Period | None,
        *,
        maker: str | None = None,
        maker_key: str | None = None,
        expires_in: timedelta = _WEEK,
        caps: Caps = _NO_CAPS,
        history_months: int = 3,
        after: Mapping[str, object] | None = None,
        kinds: Collection[InvoiceKind | InvoiceKindText] = (InvoiceKind.PAYOUT,),
    ) -> "Terms":
        """Check the arguments of a plan.

        Raises:
            ArgumentError: Some are not what they have to be; with all of them.
        """
        checks: dict[str, Callable[[], object]] = {
            "period": lambda: _checked(period, Period, or_none=True),
            "maker": lambda: _checked(default_maker() if maker is None else maker, str),
            "maker_key": lambda: _checked(maker_key, str, or_none=True),
            "expires_in": lambda: _checked(expires_in, timedelta),
            "caps": lambda: _checked(caps, Caps),
            "history_months": lambda: _months(history_months),
            "after": lambda: None if after is None else _as_json(after),
            "kinds": lambda: _kinds(kinds),
        }
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, check in checks.items():
            try:
                found[name] = guarded(name, check)
            except ArgumentError as error:
                problems += [Problem(name, each.reason) for each in error.problems]
        now = _clock.now().replace(microsecond=0)
        if "expires_in" in found:
            try:
                found["expires_at"] = (now + found["expires_in"]).replace(microsecond=0)
            except OverflowError:
                found["expires_at"] = now
            if found["expires_at"] <= now:
                problems.append(Problem("expires_in", "must be a time from a second on"))
        if problems:
            raise ArgumentError(*problems)
        header = PlanHeader(
            domain=executor_of(cake.invoices).domain,
            action="",
            maker=found["maker"],
            maker_key=found["maker_key"],
            created_at=now,
            expires_at=found["expires_at"],
            caps=found["caps"],
            period=found["period"],
            rows=0,
            after=found["after"],
        )
        return cls(header=header, kinds=found["kinds"], history_months=found["history_months"])


def default_maker() -> str:
    """Return who runs this process, and where: ``"ada@accounts-1"``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have it
        user = str(os.getuid())
    return f"{user}@{platform.node()}".encode("utf-8", "backslashreplace").decode("utf-8")


def _checked(value: object, kind: type, *, or_none: bool = False) -> object:
    if or_none and value is None:
        return None
    exact = normalized(value)
    if not issubclass(type(exact), kind) or exact == "":
        raise ArgumentError(Problem("", f"must be a {kind.__name__}, got {class_name(value)}"))
    if isinstance(exact, str):
        exact.encode()  # half of a surrogate pair has no place in a file
    return exact


def _kinds(value: object) -> frozenset[InvoiceKind]:
    known = {each.value: each for each in InvoiceKind}
    passed = [normalized(each) for each in cast("Iterable[object]", value)]
    if not passed or any(each not in known for each in passed):
        raise ArgumentError(Problem("", "must name payout or revenue, or both, in a list"))
    return frozenset(known[str(each)] for each in passed)


def _months(value: object) -> int:
    exact = normalized(value)
    if type(exact) is not int or not 0 <= exact <= _MOST_MONTHS:
        raise ArgumentError(Problem("", f"must be a whole number from 0 to {_MOST_MONTHS}"))
    return exact


def _as_json(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ArgumentError(Problem("", f"must be a JSON object, got {class_name(value)}"))
    text = json.dumps(dict(cast("Mapping[str, object]", value)), ensure_ascii=False)
    exact: dict[str, object] = json.loads(text.encode())
    return exact


# A plan of calls.


async def plan_of_calls(calls: Calls, cake: ClientView, terms: Terms) -> PlanText:
    """Return the plan of some calls, with what is true of each record now.

    Raises:
        PlanError: Some calls cannot be planned; with all of them.
    """
    with closing(_CallsAndRecords()) as kept:
        place = calls.place if isinstance(calls, PlacedCalls) else _place_in_list
        await _take(calls, place, kept, terms.header)
        groups = kept.groups()
        marked, period = groups & BILLS, terms.header.period
        currencies = await currencies_of(cake) if marked else {}
        if _INVOICES in groups:
            await _read_invoices(cake, kept, period)
        for group in sorted(marked):
            assert period is not None  # noqa: S101 - _take() has seen to that
            await _read_bills(cake, kept, group, period, currencies)
        draft = PlanDraft(terms.header)
        problems = Problems("some rows cannot be planned")
        for found in kept.rows():
            row, reason = draft.add(*found)
            operation = OPERATIONS[row.operation]
            reason = _misfit(operation, row.arguments, row.record, terms) or reason
            if reason:
                what = described(operation, row.arguments)
                problems.add(place(row.index), f"{what}: {reason}")
        problems.refuse()
    if period is None or not terms.history_months:
        history = History()
    elif groups & BILLS == groups:
        history = await history_of_bills(cake, period, terms.history_months, marked, currencies)
    else:
        history = await history_of_invoices(cake, period, terms.history_months, terms.kinds)
    return draft.text(history)


def _place_in_list(index: int) -> str:
    return f"calls[{index}]"


async def _take(
    calls: Calls,
    place: Callable[[int], str],
    kept: "_CallsAndRecords",
    header: PlanHeader,
) -> None:
    """Store the calls, checked as far as possible without reading anything."""
    problems = Problems("some rows cannot be planned")
    repeats = Repeats()
    count = 0
    if isinstance(calls, CallFile) and calls.longer_than(MOST_ROWS):
        raise PlanError("the file cannot be planned", Problem("the last lines", too_many()))
    try:
        async with aclosing(_iterated(calls)) as passed:
            async for value in passed:
                if not issubclass(type(value), Call):  # isinstance would ask a value for its class
                    raise ArgumentError(Problem(f"calls[{count}]", "must be made by bulk.call"))
                each = cast("Call[Any]", value)
                reason = too_many() if count == MOST_ROWS else _refused(each, header, repeats)
                if reason:
                    problems.add(place(count), reason)
                else:
                    kept.add(count, each)
                count += 1
                if count > MOST_ROWS:
                    break
    except PlanError as error:
        if isinstance(calls, PlacedCalls):
            for problem in error.problems:
                problems.add(problem.name, problem.reason)
            problems.refuse()
        raise
    problems.refuse()
    if not count:
        raise PlanError("there is nothing to plan: no call was given")


async def _iterated(calls: object) -> AsyncGenerator[object]:
    if isinstance(calls, AsyncIterable):
        passed = aiter(cast("AsyncIterable[object]", calls))
        try:
            async for each in passed:
                yield each
        finally:
            if isinstance(passed, AsyncGenerator):
                await cast("AsyncGenerator[object]", passed).aclose()
    elif isinstance(calls, Iterable):
        for each in cast("Iterable[object]", calls):
            yield each
    else:
        raise ArgumentError(
            Problem("calls", f"must be an iterable of calls, got {class_name(calls)}")
        )


def _refused(each: Call[Any], header: PlanHeader, repeats: Repeats) -> str:
    """Return why a call cannot be in a plan, whatever its record is like; empty if it can."""
    operation = OPERATIONS.get(each.operation)
    if operation is None:
        return f"no plan may hold {each.operation}"
    reason = ""
    if each.executor.domain != header.domain:
        reason = f"is for {each.executor.domain}, not for {header.domain}"
    elif operation.idempotency_of(each.arguments) is not operation.idempotency:
        reason = "apply_credit_to_buyer moves money each time it is sent: not in a plan"
    elif _group(each.operation) in BILLS and header.period is None:
        reason = "bills are looked up in their billing period: give period"
    elif each.expect is not None:
        reason = "must not have an expect: the plan's own is what is true when it is made"
    elif repeats.add(operation, each.arguments):
        reason = f"{described(operation, each.arguments)}: repeats an earlier row"
    return reason


def _misfit(
    operation: Operation[Any],
    arguments: Mapping[str, object],
    record: PlannedRecord | None,
    terms: Terms,
) -> str:
    """Return why a call does not fit to its record; empty if it does."""
    if operation.create_lookup is not None:
        return ""
    if record is None:
        if _group(operation.name) in BILLS:
            return f"there is no such bill in {terms.header.period}"
        return "there is no such invoice"
    if operation is not invoices.UPDATE:
        return ""
    if record.kind not in terms.kinds:
        return f"is a {record.kind} invoice, of which none was requested"
    wanted = arguments.get("invoice_status")
    return "" if wanted is None else _beyond(record.invoice_status, InvoiceStatus(str(wanted)))


def _beyond(now: InvoiceStatus | None, wanted: InvoiceStatus) -> str:
    """Return why a status is not to be followed by another; empty if it may."""
    if now == wanted:
        return f"is {now} already"
    if now == InvoiceStatus.VOID:
        return "is void"
    if now not in _FLOW:
        return f"has a status that CAKE does not document: {now!s:.40}"
    if wanted == InvoiceStatus.VOID:
        return "is paid, and cannot be voided" if now == InvoiceStatus.PAID else ""
    if _FLOW.index(InvoiceStatus(now)) > _FLOW.index(wanted):
        return f"is {now}, and would be set back to {wanted}"
    return ""


async def _read_invoices(cake: ClientView, kept: "_CallsAndRecords", period: Period | None) -> None:
    """Read the invoices of the calls: by the list of the period, then one by one, or all of them.

    What takes the fewer requests: a page has as many invoices as it has, and a single one takes
    a request of its own.
    """

    def visit(invoice: Invoice) -> None:
        kept.put(_INVOICES, invoice.invoice_id, lambda: PlannedRecord.of_invoice(invoice))

    missing = kept.missing(_INVOICES)
    if not missing:
        return
    at_once = executor_of(cake.invoices).concurrency
    if period is not None and missing > at_once:
        days: dict[str, date] = {"start_date": period.start, "end_date": period.end}
        await each_invoice(cake, visit, days)
        missing = kept.missing(_INVOICES)
    if missing > at_once:
        rows = (await cake.invoices.page(row_limit=1)).total_rows
        if rows is None or ceil(rows / LARGE_PAGE) < missing:
            await each_invoice(cake, visit, {})
            return
    await some_invoices(cake, kept.missing_numbers(_INVOICES), visit)


async def _read_bills(
    cake: ClientView,
    kept: "_CallsAndRecords",
    group: str,
    period: Period,
    currencies: Mapping[int, str],
) -> None:
    def visit(bill: Bill) -> None:
        kept.put(group, bill.bill_id, lambda: PlannedRecord.of_bill(bill, currencies))

    await each_bill(cake, group, period, visit)


def _group(operation: str) -> str:
    return operation.partition(".")[0]


class _CallsAndRecords:
    """Where calls and records meet: rows of a temporary database, by place and by record."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8000"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(
            "CREATE TABLE kept (place INTEGER PRIMARY KEY, owner TEXT, number INTEGER, call BLOB, "
            "record BLOB)"
        )
        self._database.execute("CREATE INDEX of_record ON kept (owner, number)")
        self._database.execute("BEGIN")
        self._groups: set[str] = set()

    def close(self) -> None:
        """Delete the file."""
        self._database.close()

    def add(self, place: int, each: Call[Any]) -> None:
        """Add a call; a create has no record."""
        group = _group(each.operation)
        operation = OPERATIONS[each.operation]
        number = each.arguments[operation.record] if operation.record else None
        text = plan_file.call_text(each.operation, each.arguments)
        self._database.execute(
            "INSERT INTO kept VALUES (?, ?, ?, ?, NULL)",
            (place, group if operation.record else "", number, text),
        )
        self._groups.add(group)

    def put(self, group: str, number: int, record: Callable[[], PlannedRecord | None]) -> None:
        """Attach a record to its calls, if there are any."""
        of_record = (group, number)
        where = "WHERE owner = ? AND number = ?"
        found = self._database.execute(f"SELECT 1 FROM kept {where}", of_record)  # noqa: S608 - of our own texts
        if found.fetchone() is not None and (made := record()) is not None:
            text = plan_file.record_text(made)
            self._database.execute(f"UPDATE kept SET record = ? {where}", (text, *of_record))  # noqa: S608 - as above

    def groups(self) -> set[str]:
        """Return the groups of endpoints that the calls are of."""
        return self._groups

    def missing(self, group: str) -> int:
        """Return how many calls of a group have no record yet."""
        found: tuple[int] = self._database.execute(
            "SELECT count(*) FROM kept WHERE owner = ? AND record IS NULL", (group,)
        ).fetchone()
        return found[0]

    def missing_numbers(self, group: str) -> list[int]:
        """Return the records that are missing."""
        found = self._database.execute(
            "SELECT number FROM kept WHERE owner = ? AND record IS NULL", (group,)
        )
        return [number for (number,) in found]

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each call and its record as the two parts of a row's line."""
        found = self._database.execute("SELECT call, record FROM kept ORDER BY place")
        for written, record in found:
            yield written, record or plan_file.record_text(None)


# A plan of all invoices of a period and a status.


async def plan_of_updates(  # noqa: PLR0913 - by name
    cake: ClientView,
    terms: Terms,
    *,
    invoice_status: str,
    match: PeriodMatch,
    longest: timedelta | Skip,
    settings: Mapping[str, object],
) -> tuple[PlanText, LeftOut]:
    """Return the plan of setting all invoices of a period and a status.

    Raises:
        ArgumentError: An argument cannot be sent.
        PlanError: There is no such invoice, or some cannot be planned; with all of them.
    """
    period = terms.header.period
    if period is None:
        raise ArgumentError(Problem("period", "is required"))
    model = _settings(cake, settings)
    chosen = _chosen(period, match)
    # All that share a day with it, whatever was asked for: so what is left out is known.
    found = cake.invoices.find(
        invoice_status=cast("InvoiceStatus", invoice_status),
        period=period,
        match="overlaps",
        longest=longest,
    )
    selection = _Selection(terms, model, chosen)
    async with found.pages() as pages:
        async for page in pages:
            for invoice in page.items:
                selection.take(invoice)
    selection.problems.refuse()
    if not selection.draft.rows:
        raise PlanError(f"there is nothing to plan: no {invoice_status} invoice matches")
    history = History()
    if terms.history_months:
        history = await history_of_invoices(cake, period, terms.history_months, terms.kinds)
    return selection.draft.text(history), selection.left_out()


class _Selection:
    """Selects from the invoices that overlap a period those that match, and plans them.

    Args:
        terms: What is asked for.
        model: What is to be set on each, as arguments of a call; the invoice's number is another.
        chosen: Returns True for an invoice that matches the period.
    """

    def __init__(
        self, terms: Terms, model: Mapping[str, object], chosen: Callable[[Invoice], bool]
    ) -> None:
        self._terms = terms
        self._model = model
        self._chosen = chosen
        self._overlapping, self._others = Tally(), Tally()
        self.draft = PlanDraft(terms.header)
        self.problems = Problems("some invoices cannot be planned")

    def take(self, invoice: Invoice) -> None:
        """Take an invoice."""
        chosen, asked_for = self._chosen(invoice), invoice.kind in self._terms.kinds
        if chosen and (asked_for or invoice.kind is None):
            self._plan(invoice)
        elif chosen:
            self._others.add(invoice)
        elif asked_for:
            self._overlapping.add(invoice)

    def left_out(self) -> LeftOut:
        """Return what was not planned."""
        return LeftOut(self._overlapping.totals(), self._others.totals())

    def _plan(self, invoice: Invoice) -> None:
        place = f"invoice {invoice.invoice_id}"
        if self.draft.rows == MOST_ROWS:
            raise PlanError("too many invoices", Problem(place, too_many()))
        record = PlannedRecord.of_invoice(invoice)
        arguments = {**self._model, "invoice_id": invoice.invoice_id}
        _, reason = self.draft.add(
            plan_file.call_text(invoices.UPDATE.name, arguments), plan_file.record_text(record)
        )
        if record is None:
            reason = "names neither affiliate nor advertiser, or both"
        else:
            reason = _misfit(invoices.UPDATE, arguments, record, self._terms) or reason
        if reason:
            self.problems.add(place, reason)


def _settings(cake: ClientView, settings: Mapping[str, object]) -> dict[str, object]:
    """Return what is to be set, checked as the client checks it."""
    passed = guarded("set", lambda: dict(settings))
    if "invoice_id" in passed:
        raise ArgumentError(Problem("set", "must not name an invoice: it is set on all"))
    try:
        return dict(call(cake.invoices.update, 1, **cast("dict[str, Any]", passed)).arguments)
    except TypeError as error:
        raise ArgumentError(Problem("set", f"does not fit invoices.update: {error}")) from None


def _chosen(period: Period, match: PeriodMatch) -> Callable[[Invoice], bool]:
    """Return a function that decides if an invoice that overlaps a period matches it.

    Raises:
        ArgumentError: There is no such way to match.
    """
    if match not in get_args(PeriodMatch):
        raise ArgumentError(Problem("match", "must be one of 'inside', 'overlaps', 'ends_in'"))
    if match != "inside":
        return in_period(period, match, SKIP) or (lambda _: True)

    def inside(invoice: Invoice) -> bool:
        start, end = invoice.start_date, invoice.end_date
        return start is not None and end is not None and period.start <= start and end <= period.end

    return inside
