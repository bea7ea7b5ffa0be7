"""Compare an invoice with an update: as expected, updated already, or something else.

Source of the statuses: CAKE's page "How to Manage Invoices via the CAKE API". One other page has a
draft before pending.
"""

import calendar
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, cast

from aiocake._operations.conditions import Comparison, WriteCondition
from aiocake.models import Expect, Invoice, InvoiceStatus

_DRAFT: Final = "draft"
#: The statuses of an invoice in their order; void cancels.
_FLOW: Final = (_DRAFT, InvoiceStatus.PENDING, InvoiceStatus.APPROVED, InvoiceStatus.PAID)
_AS_EXPECTED: Final = Comparison((), applied=False)
_STATUS: Final = "invoice_status"
_SENSITIVE: Final = frozenset({"total_amount"})


def compare(
    record: Invoice,
    arguments: Mapping[str, object],
    condition: WriteCondition,
    *,
    show_sensitive: bool,
) -> Comparison:
    """Compare an invoice with an update and its condition.

    Args:
        record: The invoice as it was read.
        arguments: Those of the update.
        condition: What is expected of the invoice.
        show_sensitive: Whether the differences may name amounts.
    """
    expect = cast("Expect | None", condition.expect)
    stated = {} if expect is None else expect.stated()
    wanted, now = arguments.get(_STATUS), record.invoice_status
    off = [name for name, value in stated.items() if _value(record, name) != value]
    misplaced = condition.flow and _STATUS not in stated and wanted is not None
    misplaced = misplaced and not _may_follow(now.casefold(), str(wanted))
    if not off and not misplaced and now != wanted:
        return _AS_EXPECTED
    differences = [
        f"{name} is another"
        if name in _SENSITIVE and not show_sensitive
        else f"{name} is {_shown(_value(record, name))}, not {_shown(stated[name])}"
        for name in off
    ]
    if misplaced:
        differences.append(f"{_STATUS} is {now}, which a run does not set to {wanted}")
    applied: bool | None = False
    if now == wanted and set(off) <= {_STATUS}:
        # No list shows a note, or when an invoice was paid.
        applied = True if set(arguments) == {"invoice_id", _STATUS} else None
    return Comparison(tuple(differences), applied)


def _value(record: Invoice, name: str) -> object:
    value = getattr(record, name)
    # A plan has what the instance shows, which may be a symbol of three letters, such as CHF.
    return record.currency_symbol if name == "currency" and value is None else value


def _may_follow(now: str, wanted: str) -> bool:
    """Return True if a run may set an invoice from one status to another by itself."""
    if now not in _FLOW:
        return False
    if wanted == InvoiceStatus.VOID:
        return now != InvoiceStatus.PAID
    return _FLOW.index(now) < _FLOW.index(wanted)


def _shown(value: object) -> str:
    return "not shown" if value is None else str(value)


def listed_with(found: Sequence[Invoice]) -> dict[str, object] | None:
    """Return the filters of a list in which invoices lie that are alike: status and month.

    None where they are not. Where the instance shows no dates, the status is all there is.
    """
    if len({(each.invoice_status, _month(each.end_date)) for each in found}) != 1:
        return None
    if not found[0].invoice_status.known:
        return None  # which no instance may be asked for
    filters: dict[str, object] = {_STATUS: found[0].invoice_status}
    starts = [each.start_date for each in found if each.start_date is not None]
    ends = [each.end_date for each in found if each.end_date is not None]
    if len(starts) == len(ends) == len(found):
        filters["start_date"] = min(starts).replace(day=1)
        last = max(ends)
        filters["end_date"] = last.replace(day=calendar.monthrange(last.year, last.month)[1])
    return filters


def _month(day: date | None) -> tuple[int, int] | None:
    return None if day is None else (day.year, day.month)
