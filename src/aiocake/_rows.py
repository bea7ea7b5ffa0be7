"""Whether the rows of a list of invoices are what was asked for."""

from collections.abc import Mapping
from datetime import date

from aiocake.models import Invoice

__all__ = ["mismatch", "wrong_date"]


def mismatch(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """What tells that a row was not asked for: its partner, the kind of it, or its status."""
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


def wrong_date(row: Invoice, filters: Mapping[str, object]) -> str | None:
    """What looks wrong about a row's dates; no page says exactly how CAKE compares them."""
    start, end = filters.get("start_date"), filters.get("end_date")
    if isinstance(start, date) and row.start_date is not None and row.start_date < start:
        return f"invoice {row.invoice_id} starts on {row.start_date}, before {start}"
    if isinstance(end, date) and row.end_date is not None and row.end_date > end:
        return f"invoice {row.invoice_id} ends on {row.end_date}, after {end}"
    return None
