"""The header of a plan: its purpose, maker, expiry and totals."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from aiocake.models import Total
from aiocake.monthend.caps import Caps
from aiocake.monthend.history import PartnerHistory
from aiocake.values import Period


@attrs.frozen(kw_only=True)
class PlanHeader:
    """The header of a plan.

    Attributes:
        version: The version of the file's form.
        domain: The instance that the plan is for.
        action: What its rows do, such as ``"invoices.update invoice_status=approved"``.
        maker: Who made it, as text.
        maker_key: The maker's public SSH key, ``"ssh-ed25519 AAAA…"``; None of a plan that is not
            to be signed.
        created_at: When it was made, in UTC.
        expires_at: From when on it must not be applied.
        caps: What it must not go beyond.
        period: The billing period; None if it is of none.
        history_months: The months that the history is of, such as ``"2023-12"``.
        history: What each partner had in these months.
        totals: The control totals of its rows, by kind, status and currency. Rows whose amount is
            not known yet, such as creates, are not among them.
        rows: How many rows there are.
        after: The receipt of what was done before, as JSON; None if there is none.
    """

    version: int = 1
    domain: str
    action: str
    maker: str
    maker_key: str | None = None
    created_at: datetime
    expires_at: datetime
    caps: Caps = attrs.field(factory=Caps)
    period: Period | None = None
    history_months: tuple[str, ...] = ()
    history: tuple[PartnerHistory, ...] = ()
    totals: tuple[Total, ...] = ()
    rows: int
    after: Mapping[str, object] | None = attrs.field(default=None, hash=False)
