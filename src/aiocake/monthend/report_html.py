"""The page that an approver reads on a phone, and the one that an auditor files.

Each is one self-contained file (:mod:`aiocake.monthend.html_page`).
"""

from collections.abc import Iterator

from aiocake._display import money
from aiocake.monthend.approvals import Approvals
from aiocake.monthend.differences import Differences
from aiocake.monthend.html_page import Markup, bars, element, facts, page, table
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
)

_ROWS = (
    "line", "operation", "id", "kind", "partner", "partner_name", "amount", "currency", "status",
    "sets",
)  # fmt: skip


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
