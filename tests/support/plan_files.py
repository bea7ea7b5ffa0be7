"""Plans without an instance, and their bytes with a hash that fits."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import attrs

from aiocake import InvoiceKind, InvoiceStatus, Period
from aiocake.monthend import Plan, PlanHeader, PlannedRecord, PlanRow
from aiocake.monthend.draft import PlanDraft
from aiocake.monthend.history import History
from aiocake.monthend.plan_file import HEAD, call_text, last_line, record_text

MADE: Final = datetime(2024, 2, 1, 10, tzinfo=UTC)
HEADER: Final = PlanHeader(
    domain="x.example",
    action="",
    maker="ada@accounts",
    created_at=MADE,
    expires_at=MADE + timedelta(days=7),
    period=Period.month(2024, 1),
    rows=0,
)
RECORD: Final = PlannedRecord(
    kind=InvoiceKind.PAYOUT,
    partner_id=7,
    partner_name="Acme",
    invoice_status=InvoiceStatus.PENDING,
    amount=Decimal("10.10"),
    currency="USD",
    start_date=date(2024, 1, 1),
    end_date=date(2024, 1, 31),
)


def approval(number: int, **record: Any) -> PlanRow:  # noqa: ANN401 - of the record's fields
    """Return the row that approves an invoice, which is like RECORD but for these fields."""
    return PlanRow(
        index=0,
        line=HEAD + 1,
        operation="invoices.update",
        arguments=MappingProxyType({"invoice_id": number, "invoice_status": "approved"}),
        record=attrs.evolve(RECORD, **record),
    )


def plan_of(rows: Iterable[PlanRow], header: PlanHeader = HEADER) -> Plan:
    """Return the plan of some rows."""
    draft = PlanDraft(header)
    for row in rows:
        _, reason = draft.add(call_text(row.operation, row.arguments), record_text(row.record))
        assert not reason, reason
    return Plan(draft.text(History(header.history_months, header.history)))


def hashed(data: bytes) -> bytes:
    """Return the bytes of a plan with the last line that fits to those before it."""
    lines = data.splitlines(keepends=True)[:-1]
    return b"".join(lines) + last_line(hashlib.sha256(b"".join(lines)).hexdigest())
