"""The result of an audit: every call with all known facts, and the problems of the run."""

from datetime import date, datetime
from decimal import Decimal

import attrs

from aiocake.bulk.journal import EntryState, WorkSession
from aiocake.bulk.log_chain import LogHead, PlanIdentity
from aiocake.errors import JournalError
from aiocake.models import InvoiceKind, Total
from aiocake.monthend.receipt import Receipt


@attrs.frozen(kw_only=True)
class AuditedCall:
    """A call of a run: what was sent, the response, and how it was resolved.

    Attributes:
        index: Its place in the plan, from 0.
        operation: The operation's name, such as ``"invoices.update"``.
        record_id: The invoice or bill; of a create, the invoice that it made. None if it made none.
        kind: Payout or revenue; None if nothing says.
        partner_id: Who is paid, or who pays; None if nothing says.
        partner_name: Their name; None if nothing says.
        amount: The amount, exact; None if nothing says.
        currency: Its currency; None if nothing says.
        start_date: The first day of the period; None if nothing says.
        end_date: The last day, included.
        old_status: The status that the invoice had when it was planned; None if nothing says.
        new_status: The status that the call sets; of a create, the one that it was made with.
            None if it sets none.
        state: The state of the call.
        attempts: How often it was about to be sent.
        sent_at: When it was about to be sent for the first time; None if it never was.
        answered_at: When its outcome was known; None if it is not.
        message: How it ended, in words.
        user: The user of the process that learned the outcome, or else sent it.
        host: The machine of that process.
        arguments: All arguments of the call, by CAKE's names.
    """

    index: int
    operation: str
    record_id: int | None
    kind: InvoiceKind | None
    partner_id: int | None
    partner_name: str | None
    amount: Decimal | None
    currency: str | None
    start_date: date | None
    end_date: date | None
    old_status: str | None
    new_status: str | None
    state: EntryState
    attempts: int
    sent_at: datetime | None
    answered_at: datetime | None
    message: str
    user: str | None
    host: str | None
    arguments: dict[str, object] = attrs.field(repr=False, hash=False)

    @property
    def record(self) -> str:
        """Return what the call is about, in words."""
        what = "invoice" if self.operation.startswith("invoices.") else "bill"
        return f"{what} {'(new)' if self.record_id is None else self.record_id}"


@attrs.frozen(kw_only=True)
class Difference:
    """Something in CAKE that is not as the plan says.

    Attributes:
        index: The call's place in the plan, from 0.
        record: What the call is about, such as ``"invoice 4821"``.
        state: The state of the call.
        field: What differs, such as ``"invoice_status"``.
        planned: What it was to be, as text.
        found: What it is, as text.
    """

    index: int
    record: str
    state: EntryState
    field: str
    planned: str
    found: str

    def __str__(self) -> str:
        return (
            f"call {self.index}, {self.record} ({self.state}): {self.field} is {self.found}, "
            f"not {self.planned}"
        )


@attrs.frozen(kw_only=True)
class Audit:
    """The result of auditing a run: what it did, and whether its journal can be trusted.

    Attributes:
        domain: The instance that the run is for.
        audited_at: When it was audited, in UTC.
        plan: The plan that was carried out, with who made and approved it; None of a run without.
        sessions: Who worked on it, where and when, in order.
        entries: All calls, in the order of the plan.
        totals: The totals of what was done, by kind, new status and currency.
        unpriced: How many of the calls that were done have no known amount, and are in no total.
        log: The end of the log; None if the log is no chain.
        unchained: How many entries of the log were written before it was a chain.
        receipts: How many receipts it was compared with.
        integrity: What is not as it was written; empty if nothing is wrong.
        completeness: What is missing, or does not follow from the log; empty if nothing is.
        verified: True if every call was compared with CAKE.
        differences: What is otherwise in CAKE than the plan says.
        unchecked: What could not be compared with CAKE, and why.
    """

    domain: str
    audited_at: datetime
    plan: PlanIdentity | None
    sessions: tuple[WorkSession, ...]
    entries: tuple[AuditedCall, ...] = attrs.field(repr=lambda entries: f"<{len(entries)}>")
    totals: tuple[Total, ...]
    unpriced: int
    log: LogHead | None
    unchained: int
    receipts: int
    integrity: tuple[str, ...]
    completeness: tuple[str, ...]
    verified: bool = False
    differences: tuple[Difference, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Return True if nothing is wrong: all is as written, complete, and so in CAKE."""
        return not (self.integrity or self.completeness or self.differences)

    def receipt(self) -> Receipt:
        """Return the receipt of the run as it is.

        Raises:
            JournalError: The log is no chain.
        """
        if self.log is None:
            raise JournalError("there is no receipt of a journal whose log is no chain: resume it")
        return Receipt(
            domain=self.domain,
            log=self.log,
            totals=self.totals,
            plan_hash=None if self.plan is None else self.plan.hash,
            approvals=() if self.plan is None else self.plan.approvals,
        )
