"""Compare the rows of a list of invoices with the filters that were asked for."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import cast

from aiocake.errors import ConsistencyError, DecodeError
from aiocake.models import Invoice
from aiocake.values import Period, PeriodMatch, Skip


def filter_mismatch(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """Return what is wrong with a row: its partner, the kind of partner, or its status."""
    for name, other in (("affiliate_id", "advertiser_id"), ("advertiser_id", "affiliate_id")):
        if name not in filters:
            continue
        found = getattr(row, name)
        if found is None and getattr(row, other) is not None:
            return f"invoice {row.invoice_id} has no {name}, but {filters[name]} was asked for"
        if found is not None and found != filters[name]:
            return f"invoice {row.invoice_id} has {name} {found}, not {filters[name]}"
    status = filters.get("invoice_status", row.invoice_status)
    if row.invoice_status != status:
        return f"invoice {row.invoice_id} is {row.invoice_status}, not {status}"
    return None


def date_mismatch(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """Return what is odd about a row's dates; no page says exactly how CAKE compares them."""
    start, end = filters.get("start_date"), filters.get("end_date")
    if isinstance(start, date) and row.start_date is not None and row.start_date < start:
        return f"invoice {row.invoice_id} starts on {row.start_date}, before {start}"
    if isinstance(end, date) and row.end_date is not None and row.end_date > end:
        return f"invoice {row.invoice_id} ends on {row.end_date}, after {end}"
    return None


def in_period(
    period: Period | Skip, match: PeriodMatch, longest: timedelta | Skip
) -> Callable[[Invoice], bool] | None:
    """Return a function that decides if an invoice matches a period; None where the server does.

    Args:
        period: The period, checked by nobody yet, as the next two are.
        match: How an invoice's own period has to match.
        longest: The longest period that an invoice can have.

    Returns:
        A function that raises DecodeError where the date is missing that decides, and
        ConsistencyError for an invoice that is longer than ``longest``: it shows that the server
        was asked for too few.
    """
    # isinstance() and == would call methods of a value that is neither.
    if type(match) is not str or match == "inside" or not issubclass(type(period), Period):
        return None
    first, last = cast("Period", period).start, cast("Period", period).end

    def select(row: Invoice) -> bool:
        start, end = row.start_date, row.end_date
        if isinstance(longest, timedelta) and start and end and end - start > longest:
            raise ConsistencyError(
                f"invoice {row.invoice_id} runs from {start} to {end}, which is longer than "
                f"longest, {longest.days} days: others may have been left out"
            )
        if match == "ends_in":
            return first <= _day(row, "end_date", end, match) <= last
        if (start is not None and start > last) or (end is not None and end < first):
            return False
        _day(row, "start_date", start, match)
        _day(row, "end_date", end, match)
        return True

    return select


def _day(row: Invoice, name: str, value: date | None, match: PeriodMatch) -> date:
    if value is None:
        raise DecodeError(
            f"invoice {row.invoice_id} has no {name}, which match={match!r} needs",
            path=f"invoices.{name}",
        )
    return value
