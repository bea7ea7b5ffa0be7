"""What each partner had in the months before: what an approver compares a plan with."""

from decimal import Decimal

import attrs

from aiocake.models import InvoiceKind


@attrs.frozen(kw_only=True)
class PartnerHistory:
    """A partner's invoices, or bills, in the months before the plan's period.

    Void ones are left out.

    Attributes:
        kind: Payout or revenue.
        currency: The currency of the amounts.
        partner_id: The partner.
        partner_name: Their name.
        count: How many there are in all of the months.
        total: The sum of their amounts, exact.
        median: The median of their amounts, exact.
        last_count: How many there are in the last month before the plan's period.
        last_total: The sum of these.
    """

    kind: InvoiceKind
    currency: str | None
    partner_id: int | None
    partner_name: str | None
    count: int
    total: Decimal
    median: Decimal
    last_count: int
    last_total: Decimal
