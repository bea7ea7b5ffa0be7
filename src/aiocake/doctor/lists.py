"""Version 2: how an instance writes its list of invoices, counts its rows and filters them."""

from calendar import monthrange
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any, Final

from aiocake._codec.raw_response import RawResponse
from aiocake.doctor.diagnosis import Level
from aiocake.doctor.findings import Findings
from aiocake.doctor.probe import Probe, Row, fields_of, item_in, page_in
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    NotFound,
    RateLimited,
    Restricted,
)

_NOTHING: Final = "there are no invoices to determine it from"
#: An id that no record has: the highest that there can be.
_NOBODY: Final = 2**31 - 1
#: As many rows as the client asks for at most: usually, and in a list that does not hold still.
_LARGE, _LARGEST = 1_000, 10_000
#: Rows of a page by which a filter is tried.
_SOME: Final = 50
_TEXTS: Final = ("message", "error", "error_message", "errors", "reason", "error_description")
_WITH_TRAITS: Final = "the client does it by itself, with these traits"


class InvoiceList:
    """Examines the list of invoices.

    Args:
        probe: Sends the requests.
        findings: Takes what is found.
        response: The response to a request for its first three rows.
    """

    def __init__(self, probe: Probe, findings: Findings, response: RawResponse) -> None:
        self._probe = probe
        self._findings = findings
        self._first = page_in(response)
        #: As many rows of the beginning as were read at once.
        self._sample: Sequence[Row] = self._first.rows

    async def examine(self) -> None:
        """Look at everything, one after the other.

        Raises:
            CutShort: The instance takes no more calls, or time or requests are used up.
        """
        self._look_at_form()
        for topic, look in (
            ("first row", self._look_at_rows),
            ("page size", self._look_at_page_size),
        ):
            with self._findings.looking_at(topic):
                await look()
        self._look_at_total()
        await self._look_at_filters()
        with self._findings.looking_at("end date"):
            await self._look_at_end_date()

    # What one page shows.

    def _look_at_form(self) -> None:
        findings, first = self._findings, self._first
        where = {
            "flat": "beside request_status",
            "wrapped": "in response",
            "beside": "in response, total_rows beside it",
        }
        findings.ok(
            "envelope", f"{first.envelope}: {where[first.envelope]}", envelope=first.envelope
        )
        if not first.rows:
            findings.unknown("fields", _NOTHING)
            return
        row = first.rows[0]
        for fields, name in (("amount", "total_amount"), ("payout", "total_payout")):
            if name in row:
                findings.ok("fields", f"{fields}: {name}", invoice_fields=fields)
                break
        else:
            findings.add(
                "fields",
                Level.PROBLEM,
                "a row has neither total_amount nor total_payout",
                "such rows cannot be read: report the names of the fields to aiocake",
            )
            return
        money = "number" if isinstance(row[name], int | float) or _is_decimal(row[name]) else "text"
        findings.ok("amounts", f"a {money}: read exactly", money=money)
        self._look_at_status(row)

    def _look_at_status(self, row: Row) -> None:
        status = row.get("invoice_status")
        if not isinstance(status, str) or not status:
            text = "a row has no invoice_status"
            self._findings.add("statuses", Level.PROBLEM, text, "such rows cannot be read")
        elif status.islower():
            self._findings.ok("statuses", "in lower case", status_case="lower")
        elif status.istitle():
            self._findings.ok("statuses", "with a capital: read in any case", status_case="title")
        else:
            self._findings.unknown("statuses", "neither pending nor Pending: read in any case")

    # How rows are counted.

    async def _look_at_rows(self) -> None:
        findings, page = self._findings, self._probe.page
        for _ in range(3):
            ids = self._first.ids
            if not ids:
                findings.unknown("first row", _NOTHING)
                return
            third = (await page(start_at_row=2, row_limit=3)).ids
            first_row = _first_row(ids, third)
            if first_row is None:
                second = (await page(start_at_row=1, row_limit=3)).ids
                first_row = _by_second(ids, second)
            again = await page(row_limit=3)
            if again.ids == ids:
                break
            self._first = again
        else:
            findings.unknown("first row", "the list kept changing", "try again")
            return
        if first_row is None:
            findings.unknown("first row", "the pages at rows 1 and 2 do not fit together")
            return
        findings.filtered("row_limit", honoured=len(ids) <= 3)  # noqa: PLR2004 - as was asked for
        if first_row == _IGNORED:
            findings.filtered("start_at_row", honoured=False)
            findings.add(
                "first row",
                Level.PROBLEM,
                "start_at_row is ignored: each page is the first",
                "a list of more than one page cannot be read: it raises ConsistencyError",
            )
            return
        findings.filtered("start_at_row", honoured=True)
        findings.ok("first row", f"rows count from {first_row}", first_row=first_row)
        if first_row == 1:
            await self._look_at_row_zero()

    async def _look_at_row_zero(self) -> None:
        try:
            zero = (await self._probe.page(start_at_row=0, row_limit=1)).ids
        except ApiError:
            kind, text = "refused", "refused"
        else:
            kind = "first" if zero else "counts"
            text = "the first row, too" if zero else "counts, and holds nothing"
        self._findings.ok("row zero", f"{text}; the client never asks for it", row_zero=kind)

    async def _look_at_page_size(self) -> None:
        findings = self._findings
        if not self._sample:
            findings.unknown("page size", _NOTHING)
            return
        rows = _LARGE
        try:
            large = await self._probe.page(row_limit=rows)
        except ApiError as error:
            rows = 100
            large = await self._probe.page(row_limit=rows)
            text = f"more than {rows} rows a page are refused ({error})"
            findings.ok("page size", text, row_cap=rows, largest_page=len(large.rows))
            self._sample = large.rows
            return
        self._sample = large.rows
        size = len(large.rows)
        if size == rows and await self._has_more(size):
            with findings.looking_at("page size"):
                size = max(size, len((await self._probe.page(row_limit=_LARGEST)).rows))
            rows = _LARGEST
        if size < rows and await self._has_more(size):
            findings.ok("page size", f"at most {size} rows", row_cap=size, largest_page=size)
        else:
            findings.ok("page size", f"{size} rows at once, and no cap was met", largest_page=size)

    async def _has_more(self, rows: int) -> bool:
        """Return True if there are rows behind so many; False where nobody can tell."""
        first_row = self._findings.traits.first_row
        if first_row is None:
            return False
        return bool((await self._probe.page(start_at_row=rows + first_row, row_limit=1)).rows)

    def _look_at_total(self) -> None:
        total, rows = self._first.total, len(self._first.rows)
        if total is None:
            text = "total_rows is not there: a list ends with an empty page"
            self._findings.ok("total", text, total_rows="absent")
        elif total == rows < len(self._sample):
            text = "total_rows counts the page: a list ends with an empty page"
            self._findings.ok("total", text, total_rows="page")
        elif total < len(self._sample):
            self._findings.add(
                "total",
                Level.PROBLEM,
                f"total_rows is {total}, and a page has {len(self._sample)} rows",
                "try again: if it stays so, lists raise ListChanged",
            )
        else:
            self._findings.ok("total", f"{total} invoices", total_rows="list")

    # Filters.

    async def _look_at_filters(self) -> None:
        findings = self._findings
        if not self._sample:
            findings.unknown("filters", _NOTHING)
            return
        first = self._sample[0]
        for name in ("invoice_id", "affiliate_id", "advertiser_id", "invoice_status"):
            value = _other(self._sample, name)
            there = value is not None
            if value is None:
                value = _another_status(first) if name == "invoice_status" else _NOBODY
            with findings.looking_at("filters"):
                await self._try(name, value, there=there)
        for name, day in (("start_date", "2999-01-01"), ("end_date", "1900-01-01")):
            with findings.looking_at("filters"):
                by: dict[str, str | int] = {name: day, "row_limit": _SOME}
                found = (await self._probe.page(**by)).rows
                findings.filtered(name, honoured=not found)
        self._tell_filters()

    async def _try(self, name: str, value: str | int, *, there: bool) -> None:
        """Ask for the rows of a value that the first row of the list has not."""
        try:
            found = (await self._probe.page(**{name: value, "row_limit": _SOME})).rows
        except NotFound:
            found = ()
        others = any(_normal(row.get(name)) != _normal(value) for row in found)
        if found or not there:
            self._findings.filtered(name, honoured=not others)
            return
        self._findings.add(
            "filters",
            Level.PROBLEM,
            f"{name}={value} finds nothing, and there is such an invoice",
            f"lists by {name} cannot be trusted here: list without the filter, and filter yourself",
        )

    def _tell_filters(self) -> None:
        findings = self._findings
        paging = {"start_at_row", "row_limit"}
        filters, honoured = findings.ignored - paging, findings.honoured - paging
        if not filters:
            findings.ok("filters", f"honoured: {', '.join(sorted(honoured))}")
            return
        mended = filters - {"invoice_id"}
        if mended:
            names = ", ".join(sorted(mended))
            advice = "keep the traits (--save, or Client(traits=…)): without them, such lists raise"
            findings.add("filters", Level.WARNING, f"ignored: {names}; {_WITH_TRAITS}", advice)
        if "invoice_id" in filters:
            advice = "no single invoice can be read: list them"
            findings.add("filters", Level.PROBLEM, "ignored: invoice_id", advice)

    # Periods.

    async def _look_at_end_date(self) -> None:
        findings = self._findings
        periods = [found for row in self._sample if (found := _period(row)) is not None]
        if not periods:
            findings.unknown("end date", "rows show no period" if self._sample else _NOTHING)
            return
        shown = _how_shown([(start, end) for start, end, _ in periods])
        start, end, number = periods[-1]
        finds: bool | None = None
        if {"invoice_id", "start_date", "end_date"} <= findings.honoured:
            there = await self._probe.page(
                start_date=str(start), end_date=str(end), invoice_id=number, row_limit=2
            )
            finds = bool(there.rows)
        if shown == "inclusive" and finds is not False:
            findings.ok("end date", "inclusive: the last day of a period", end_date="inclusive")
        elif shown == "exclusive" or finds is False:
            findings.know(end_date="exclusive")
            findings.add(
                "end date",
                Level.PROBLEM,
                "exclusive: the day after the last"
                + (", though rows show the last" if shown == "inclusive" else ""),
                "give start_date and end_date in place of a period, the day after the last: a "
                "period misses what ends on its last day, and is refused with these traits. "
                "create() takes end_date so, too",
            )
        else:
            findings.unknown("end date", "the periods of the invoices do not show it")


async def look_at_errors(probe: Probe, findings: Findings) -> None:
    """Look at how version 2 refuses a call: one for an invoice whose number is none."""
    response = await probe.get("/api/2/invoices.json", invoice_id="x", row_limit=1)
    error = probe.refusal_of(response)
    if isinstance(error, AuthenticationError | RateLimited | Restricted):
        raise error
    if error is None:
        findings.unknown("errors", "an invoice_id that is not a number is not refused")
        return
    status: Any = "ok" if response.status == 200 else "typed"  # noqa: PLR2004 - HTTP's OK
    findings.know(error_status=status)
    fields: Row = {}
    with suppress(CakeError):
        fields = fields_of(response)
    if not fields:
        findings.unknown("errors", f"HTTP {response.status}, and no JSON")
        return
    field = next((name for name in _TEXTS if name in fields), None)
    reported = fields.get("request_status")
    reported = reported if isinstance(reported, str) else None
    findings.ok(
        "errors",
        f"HTTP {response.status}, request_status {reported or 'not there'}, text in "
        f"{field or 'no field that is known'}",
        error_field=field,
        error_request_status=None if reported is None else probe.transport.scrub(reported),
    )


async def look_at_payment_methods(probe: Probe, findings: Findings) -> None:
    """Look at the names of a payment method's fields."""
    response = await probe.get("/api/2/payment_methods.json")
    if (error := probe.refusal_of(response)) is not None:
        raise error
    found = item_in(response, "payment_methods")
    if found is None:
        findings.unknown("payment methods", "there are none")
    elif "payment_method_id" in found:
        findings.ok("payment methods", "by payment_method_id", payment_method_fields="method")
    else:
        findings.ok("payment methods", "by payment_type_id", payment_method_fields="type")


_IGNORED: Final = -1


def _first_row(ids: Sequence[str], third: Sequence[str]) -> int | None:
    """Return the number of the first row, by what begins at row 2; None if that does not tell."""
    if not third:
        return None
    if third[0] == ids[0]:
        return _IGNORED
    return next((2 - at for at, each in enumerate(ids[1:3], 1) if each == third[0]), None)


def _by_second(ids: Sequence[str], second: Sequence[str]) -> int | None:
    """Return the number of the first row, by what begins at row 1, where row 2 did not tell."""
    if second[:1] == ids[:1]:
        return 1
    return 0 if len(ids) == 1 or second[:1] == ids[1:2] else None


def _is_decimal(value: object) -> bool:
    return type(value).__name__ == "Decimal"


def _normal(value: object) -> str:
    return str(value).strip().casefold()


def _other(rows: Sequence[Row], name: str) -> Any:  # noqa: ANN401 - of a response
    """Return a value that the first row has not, of the last row that has one."""
    first = _normal(rows[0].get(name))
    for row in reversed(rows):
        value = row.get(name)
        if value is not None and _normal(value) != first:
            return _normal(value) if isinstance(value, str) else value
    return None


def _another_status(row: Row) -> str:
    return "void" if _normal(row.get("invoice_status")) != "void" else "paid"


def _period(row: Row) -> tuple[date, date, Any] | None:
    try:
        start, end = (date.fromisoformat(str(row.get(name))) for name in ("start_date", "end_date"))
    except ValueError:
        return None
    return (start, end, row.get("invoice_id")) if start <= end else None


def _how_shown(periods: Sequence[tuple[date, date]]) -> str | None:
    """Return whether end dates are last days, by the months, halves and weeks among periods."""
    inclusive = sum(_is_cycle(start, end) for start, end in periods)
    exclusive = sum(
        _is_cycle(start, end - timedelta(days=1)) for start, end in periods if end > start
    )
    if inclusive > 9 * exclusive:
        return "inclusive"
    return "exclusive" if exclusive > 9 * inclusive else None


def _is_cycle(start: date, end: date) -> bool:
    """Return True for a month, the half of one, or a week."""
    last = monthrange(end.year, end.month)[1]
    if (start.day, end.day) in {(1, 15), (1, last), (16, last)}:
        return (start.year, start.month) == (end.year, end.month)
    return end - start == timedelta(days=6)
