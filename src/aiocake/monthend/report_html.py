"""The HTML pages for approvers and auditors.

Each is one self-contained file (:mod:`aiocake.monthend.html_page`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aiocake._display import money
from aiocake.bulk.journal import WorkSession
from aiocake.bulk.log_chain import Approval
from aiocake.models import InvoiceKind
from aiocake.models.totals import exact_sum
from aiocake.monthend.approvals import Approvals
from aiocake.monthend.audited import Audit, AuditedCall, Difference
from aiocake.monthend.differences import Differences, TotalBeside
from aiocake.monthend.html_page import Lines, Markup, bars, element, facts, page, table
from aiocake.monthend.plan import Plan
from aiocake.monthend.rows import OPERATIONS
from aiocake.monthend.summary import (
    Facts,
    Section,
    facts_of,
    not_found,
    row_settings,
    sections_of,
    signers_of,
    when,
)

_ROWS: Final = (
    "line", "operation", "id", "kind", "partner", "partner_name", "amount", "currency", "status",
    "sets",
)  # fmt: skip
_CALLS: Final = (
    "call", "record", "partner_name", "amount", "currency", "status", "sent,_answered", "outcome",
)  # fmt: skip

_Key = tuple[InvoiceKind | None, str | None]


def approval_page(plan: Plan, found: Differences, approvals: Approvals | None = None) -> str:
    """Return a page that shows what an approver has to see of a plan, and all of its rows.

    Args:
        plan: The plan.
        found: What differs from the months before.
        approvals: Who has signed; None if that was not looked at.
    """
    signed: Facts = (("signatures", "not checked"),) if approvals is None else signers_of(approvals)
    return page(
        f"Plan: {plan.header.action}",
        facts((*facts_of(plan), *signed)),
        *_differences(found),
        element("h2", f"All rows ({plan.header.rows:,})"),
        table(_ROWS, _rows(plan)),
    )


def audit_page(audit: Audit, plan: Plan | None = None) -> str:
    """Return a page that shows what a run did, and whether its journal can be trusted.

    Args:
        audit: What the audit has found.
        plan: The plan that was carried out; with it, totals stand beside those of the plan and of
            the month before.
    """
    return page(
        f"Audit: {audit.domain}",
        facts(_audit_facts(audit)),
        *_findings(audit),
        element("h2", "Totals of what was done"),
        table(
            ("kind", "status", "currency", "calls", "amount"),
            [
                (e.kind, e.invoice_status, e.currency, Decimal(e.count), e.amount)
                for e in audit.totals
            ],
        ),
        *(
            [element("p", f"{audit.unpriced:,} more were done, whose amount is not known.")]
            if audit.unpriced
            else []
        ),
        element("div", *_done_beside(audit, plan), class_="charts"),
        element("h2", "Who worked on it"),
        table(("began", "ended", "by", "stopped"), map(_session, audit.sessions)),
        element("h2", f"All calls ({len(audit.entries):,})"),
        table(_CALLS, map(_call, audit.entries)),
    )


def _differences(found: Differences) -> Iterator[Markup]:
    totals, *others = sections_of(found)
    yield from _section(totals)
    yield _charts(found)
    for section in others:
        yield from _section(section)
    none = not_found(found)
    if none is not None:
        yield element("p", none, class_="soft")


def _section(section: Section) -> Iterator[Markup]:
    yield element("h2", section.title)
    if section.rows:
        yield table(section.columns, section.rows)
    for note in section.notes:
        yield element("p", note)


def _charts(found: Differences) -> Markup:
    """Return the totals as bars: each kind and currency by itself."""
    drawn = [
        bars(
            f"{each.kind}, {each.currency or 'no currency'}",
            [
                ("this plan", each.amount, money(each.amount, each.currency)),
                *(
                    []
                    if each.last_amount is None or found.last_month is None
                    else [
                        (
                            found.last_month,
                            each.last_amount,
                            money(each.last_amount, each.currency),
                        )
                    ]
                ),
            ],
        )
        for each in found.totals
    ]
    return element("div", *drawn, class_="charts")


def _rows(plan: Plan) -> Iterator[tuple[object, ...]]:
    """Yield the cells of each row; the operation only where there are several."""
    several = len({row.operation for row in plan.rows}) > 1
    for row in plan.rows:
        record = row.record
        before = None if record is None else record.invoice_status
        after = row.arguments.get("invoice_status")
        yield (
            row.line,
            row.operation if several else None,
            row.arguments.get(OPERATIONS[row.operation].record),
            *(
                (None, row.arguments.get("affiliate_id"), None, None, None)
                if record is None
                else (
                    *(record.kind, record.partner_id, record.partner_name),
                    *(record.amount, record.currency),
                )
            ),
            None if after is None else f"{before or '?'} → {after}",
            row_settings(row),
        )


# The parts of an audit.


def _audit_facts(audit: Audit) -> Facts:
    plan, log = audit.plan, audit.log
    states = Counter(call.state for call in audit.entries)
    approved = "nobody" if plan is None else ", ".join(map(_approval, plan.approvals)) or "nobody"
    return (
        ("calls", ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none"),
        ("audited", when(audit.audited_at)),
        ("plan", "none: a run of its own" if plan is None else plan.hash),
        ("made by", "unknown" if plan is None else plan.maker or "unknown"),
        ("approved by", approved),
        ("log", "no chain" if log is None else f"{log.count:,} entries, {log.hash}"),
        ("receipts", "none" if not audit.receipts else f"{audit.receipts} compared"),
    )


def _findings(audit: Audit) -> Iterator[Markup]:
    """Yield the findings on the journal's integrity and completeness, and the differences."""
    unknown = () if audit.log is not None else ("not known: the log was written without a chain",)
    yield from _finding("Integrity", (*audit.integrity, *unknown), "the chain of the log holds")
    if not audit.receipts:
        yield element(
            "p", "Without a receipt, an end that was cut off does not show.", class_="soft"
        )
    if audit.unchained and audit.log is not None:
        yield element(
            "p",
            f"The first {audit.unchained:,} entries were written without a chain.",
            class_="soft",
        )
    yield from _finding("Completeness", audit.completeness, "every call is there")
    if not audit.verified:
        yield from (element("h2", "CAKE now"), element("p", "Not compared.", class_="soft"))
        return
    yield from _finding(
        "CAKE now", audit.unchecked, "all that was compared is as planned", bad=audit.differences
    )


def _finding(
    title: str, findings: Iterable[str], good: str, bad: Sequence[Difference] = ()
) -> Iterator[Markup]:
    yield element("h2", title)
    lines = list(findings)
    if not lines and not bad:
        yield element("p", f"{good[:1].upper()}{good[1:]}.", class_="good")
    if bad:
        yield element("p", f"{len(bad):,} not as planned:", class_="bad")
        columns = ("call", "record", "state", "what", "planned", "found")
        yield table(
            columns, [(e.index, e.record, e.state, e.field, e.planned, e.found) for e in bad]
        )
    yield from (element("p", line, class_="bad") for line in lines)


def _done_beside(audit: Audit, plan: Plan | None) -> Iterator[Markup]:
    """Yield the totals done, of each kind and currency, beside the plan and the last month."""
    done: dict[_Key, Decimal] = {}
    for total in audit.totals:
        key = (total.kind, total.currency)
        done[key] = exact_sum(done.get(key, Decimal(0)), total.amount)
    found = None if plan is None else Differences.of(plan)
    planned: dict[_Key, TotalBeside] = {}
    for each in () if found is None else found.totals:
        planned[each.kind, each.currency] = each
    for kind, currency in sorted(
        {*done, *planned}, key=lambda each: (each[0] or "", each[1] or "")
    ):
        beside = planned.get((kind, currency))
        values = [("done", done.get((kind, currency), Decimal(0)))]
        if found is not None:
            values.append(("plan", Decimal(0) if beside is None else beside.amount))
            if found.last_month is not None and beside is not None:
                values.append((found.last_month, beside.last_amount or Decimal(0)))
        yield bars(
            f"{kind or 'kind unknown'}, {currency or 'no currency'}",
            [(name, amount, money(amount, currency)) for name, amount in values],
        )


def _session(session: WorkSession) -> tuple[object, ...]:
    unfinished = "still running" if session.running else "killed"
    by = f"{session.user} on {session.host}, process {session.pid}, aiocake {session.version}"
    return session.started_at, session.ended_at or unfinished, by, session.stopped


def _call(call: AuditedCall) -> tuple[object, ...]:
    """Return the cells of a call: what belongs together stands in one, to fit a sheet of paper."""
    partner = " ".join(str(each) for each in (call.kind, call.partner_id) if each is not None)
    old, new = call.old_status, call.new_status
    people = " on ".join(each for each in (call.user, call.host) if each)
    return (
        call.index,
        Lines((call.record, call.operation)),
        Lines((call.partner_name or "", partner)),
        call.amount,
        call.currency,
        f"{old or '?'} → {new}" if new else None,
        Lines((_moment(call.sent_at), _moment(call.answered_at)), whole=True),
        Lines((call.state, "" if call.message == call.state else call.message, people)),
    )


def _moment(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _approval(approval: Approval) -> str:
    return f"{approval.principal} ({approval.key})"
