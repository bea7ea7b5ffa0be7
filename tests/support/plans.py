"""Plans without a client: rows by what an approver sees of them."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiocake.models import InvoiceKind, InvoiceStatus
from aiocake.monthend import PartnerHistory, Plan, PlanHeader, PlannedRecord, PlanRow
from aiocake.monthend.plan_file import Control, head_of, last_line, row_line

FIRST_LINE = 3
MONTHS = ("2023-10", "2023-11", "2023-12")


def row(
    amount: str | None,
    *,
    partner: int = 1,
    name: str | None = "Acme",
    currency: str | None = "USD",
    kind: InvoiceKind = InvoiceKind.PAYOUT,
) -> PlannedRecord:
    """What was true of an invoice that is going to be approved."""
    return PlannedRecord(
        kind=kind,
        partner_id=partner,
        partner_name=name,
        invoice_status=InvoiceStatus.PENDING,
        amount=None if amount is None else Decimal(amount),
        currency=currency,
    )


def history(
    *medians: str,
    partner: int = 1,
    name: str = "Acme",
    currency: str = "USD",
    kind: InvoiceKind = InvoiceKind.PAYOUT,
    last: str | None = None,
) -> PartnerHistory:
    """What a partner had: one invoice of these amounts in each month, the last one's last."""
    amounts = sorted(map(Decimal, medians))
    return PartnerHistory(
        kind=kind,
        currency=currency,
        partner_id=partner,
        partner_name=name,
        count=len(amounts),
        total=sum(amounts, Decimal(0)),
        median=amounts[len(amounts) // 2],
        last_count=0 if last is None else 1,
        last_total=Decimal(last or 0),
    )


def a_plan(
    records: Iterable[PlannedRecord | PlanRow] = (),
    *,
    good_for: timedelta = timedelta(days=7),
    **header: Any,  # noqa: ANN401 - its fields
) -> Plan:
    """A plan that approves the invoices of these records."""
    now = datetime.now(UTC).replace(microsecond=0)
    fields: Mapping[str, Any] = {
        "domain": "yourdomain.cake.com",
        "action": "",
        "maker": "maria@example.com",
        "created_at": now - timedelta(days=8),
        "expires_at": now + good_for,
        "rows": 0,
        **header,
    }
    control = Control(PlanHeader(**fields))
    lines: list[bytes] = []
    for index, record in enumerate(records or [row("100.25")]):
        if isinstance(record, PlanRow):
            each = record
        else:
            each = PlanRow(
                index=index,
                line=index + FIRST_LINE,
                operation="invoices.update",
                arguments={"invoice_id": 4821 + index, "invoice_status": InvoiceStatus.APPROVED},
                record=record,
            )
        control.add(each)
        lines.append(row_line(each.operation, each.arguments, each.record))
    data = b"".join([head_of(control.header()), *lines])
    return Plan.from_bytes(data + last_line(hashlib.sha256(data).hexdigest()))
