"""Month end: plan writes, approve the plan, apply it, and audit the run.

A plan is a file. It holds every call, what was true of its record when the plan was made, and the
totals that follow from it::

    period = Period.month(2024, 1)
    plan = await Plan.updates(
        cake,
        period=period,
        invoice_status="pending",
        match="ends_in",
        set={"invoice_status": "approved"},
    )
    plan.write("january.plan")
"""

from aiocake.monthend.apply import Applied, ApprovedPlan, apply, approved, resume_plan
from aiocake.monthend.approvals import Approvals, read_signatures, require
from aiocake.monthend.audit import audit
from aiocake.monthend.audited import Audit, AuditedCall, Difference
from aiocake.monthend.bank import BankFile, Mismatch
from aiocake.monthend.caps import Caps
from aiocake.monthend.diff import PlanDiff
from aiocake.monthend.differences import Differences
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.history import PartnerHistory
from aiocake.monthend.plan import InvoiceSettings, Plan
from aiocake.monthend.planning import LeftOut, PlanTerms
from aiocake.monthend.receipt import Receipt
from aiocake.monthend.rows import PlannedRecord, PlanRow
from aiocake.monthend.signatures import Signature
from aiocake.monthend.sources import CallFile
from aiocake.monthend.stale import StaleRow, stale_rows

__all__ = [
    "Applied",
    "Approvals",
    "ApprovedPlan",
    "Audit",
    "AuditedCall",
    "BankFile",
    "CallFile",
    "Caps",
    "Difference",
    "Differences",
    "InvoiceSettings",
    "LeftOut",
    "Mismatch",
    "PartnerHistory",
    "Plan",
    "PlanDiff",
    "PlanHeader",
    "PlanRow",
    "PlanTerms",
    "PlannedRecord",
    "Receipt",
    "Signature",
    "StaleRow",
    "apply",
    "approved",
    "audit",
    "read_signatures",
    "require",
    "resume_plan",
    "stale_rows",
]
