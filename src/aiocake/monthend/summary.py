"""Describe a plan and its differences in words, for the screen and the HTML page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, cast

import attrs

from aiocake import _clock
from aiocake._display import money
from aiocake._operations.parameters import format_value
from aiocake.models.totals import exact_sum
from aiocake.monthend.approvals import Approvals, SignedPlan, maker_fingerprint
from aiocake.monthend.caps import Caps
from aiocake.monthend.differences import (
    Differences,
    F,
    More,
    PartnerFinding,
    TotalBeside,
    shortened,
)
from aiocake.monthend.rows import OPERATIONS, PlanRow
from aiocake.monthend.signatures import Signature

#: So many lines of a file are named one by one.
_MOST_LINES: Final = 6

#: The columns of a partner.
_WHO: Final = ("kind", "currency", "partner", "partner_name")

Facts = tuple[tuple[str, str], ...]


@attrs.frozen
class Section:
    """A table of what was found.

    Attributes:
        title: What it shows.
        columns: The names of its columns, with underscores.
        rows: A value for each column: a text, a number, an amount, or None.
        notes: What stands below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    notes: tuple[str, ...] = ()


def facts_of(plan: SignedPlan, at: datetime | None = None) -> Facts:
    """Return what a plan is: names, and a text for each.

    Args:
        plan: The plan.
        at: The time at which it is looked at; None for now.
    """
    header = plan.header
    key = maker_fingerprint(plan)
    over = (at or _clock.now()) >= header.expires_at
    found = {
        "action": header.action,
        "period": None if header.period is None else str(header.period),
        "instance": header.domain,
        "rows": f"{header.rows:,}",
        "made": f"{when(header.created_at)} by {header.maker}" + (f", key {key}" if key else ""),
        "expires": f"{when(header.expires_at)}{': IT HAS EXPIRED' if over else ''}",
        "caps": _caps(header.caps) or "none",
        "after": None if header.after is None else _receipt(header.after),
        "hash": plan.hash,
    }
    return tuple((name, text) for name, text in found.items() if text is not None)


def signers_of(approvals: Approvals) -> Facts:
    """Return who has signed a plan."""
    maker = approvals.maker
    return (
        ("signed by the maker", "not yet" if maker is None else _signature(maker)),
        ("approved by", ", ".join(map(_signature, approvals.approvers)) or "nobody yet"),
    )


def sections_of(found: Differences) -> tuple[Section, ...]:
    """Return what there is to see of a plan; what was not found is left out."""
    return tuple(section for section in _sections(found) if section.rows or section.notes)


def not_found(found: Differences) -> str | None:
    """Return what was looked for and not found, as a sentence; None if nothing."""
    _, *looked_for = _sections(found)
    titles = [each.title.partition(" (")[0] for each in looked_for if not each.rows]
    return f"None of these: {', '.join(map(_small, titles))}." if titles else None


def when(time: datetime) -> str:
    """Return a time as people read it, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def row_settings(row: PlanRow) -> str:
    """Return what a row sets, but for the status of an invoice."""
    left_out = {OPERATIONS[row.operation].record, "invoice_status"}
    return ", ".join(
        f"{name} {format_value(value)}"
        for name, value in row.arguments.items()
        if name not in left_out
    )


def change(total: TotalBeside) -> Decimal | None:
    """Return how much a total is above last month's; None if no history was read."""
    if total.last_amount is None:
        return None
    return exact_sum(total.amount, total.last_amount.copy_negate())


def more_text(more: More) -> str:
    """Return what is not shown of a list."""
    amount = "" if more.amount is None else f": {money(more.amount, more.currency)}"
    return f"and {more.count:,} more, {more.kind}{amount}"


def _sections(found: Differences) -> Iterator[Section]:
    months = ", ".join(found.history_months)
    yield _totals(found)
    if found.history_months:
        yield _section(
            f"First-time payees (in none of {months})",
            (*_WHO, "rows", "amount", "line", "known_in"),
            found.first_time,
            lambda each: (
                *_who(each),
                Decimal(each.count),
                each.amount,
                each.line,
                ", ".join(each.known_in),
            ),
        )
        yield _section(
            "Rows above 3 times their own median",
            (*_WHO, "amount", "median", "line"),
            found.above_median,
            lambda each: (
                *_who(each),
                each.amount,
                each.beside,
                each.line,
            ),
        )
    yield _section(
        "Equal amounts to one payee",
        (*_WHO, "amount", "times", "lines"),
        found.equal_amounts,
        lambda each: (
            *_who(each),
            each.amount,
            Decimal(len(each.lines)),
            _lines(each.lines),
        ),
    )
    yield _section(
        "Round sums",
        (*_WHO, "amount", "line"),
        found.round_sums,
        lambda each: (
            *_who(each),
            each.amount,
            each.line,
        ),
    )
    yield _section(
        "Amounts that are not the bill's",
        (*_WHO, "written", "bill", "line"),
        found.amounts_differ,
        lambda each: (
            *_who(each),
            each.beside,
            each.amount,
            each.line,
        ),
    )
    if found.history_months:
        yield _section(
            f"In {found.last_month} and not in this plan",
            (*_WHO, "count", "amount"),
            found.missing,
            lambda each: (
                *_who(each),
                Decimal(each.count),
                each.amount,
            ),
        )
    yield Section(
        "Caps that are nearly reached (nine tenths or more)",
        ("cap", "kind", "currency", "limit", "used"),
        tuple(
            (each.cap, each.kind, each.currency, each.limit, each.used) for each in found.near_caps
        ),
    )


def _totals(found: Differences) -> Section:
    notes: list[str] = []
    if found.unpriced:
        notes.append(f"{found.unpriced:,} rows have no amount yet: CAKE works it out.")
    columns = ("kind", "currency", "rows", "amount")
    if found.last_month is None:
        notes.append("No history was read: nobody is known to be new, unusual or missing.")
        rows = [(e.kind, e.currency, Decimal(e.count), e.amount) for e in found.totals]
        return Section("Totals", columns, tuple(rows), tuple(notes))
    beside = [
        (
            *(each.kind, each.currency, Decimal(each.count), each.amount),
            *(Decimal(each.last_count or 0), each.last_amount, change(each)),
        )
        for each in found.totals
    ]
    return Section(
        f"Totals (beside {found.last_month})",
        (*columns, "last_rows", "last_amount", "change"),
        tuple(beside),
        tuple(notes),
    )


def _section(
    title: str,
    columns: tuple[str, ...],
    found: Sequence[F],
    cells: Callable[[F], tuple[object, ...]],
) -> Section:
    rows: list[tuple[object, ...]] = []
    notes: list[str] = []
    for shown, more in shortened(found):
        rows += map(cells, shown)
        if more is not None:
            notes.append(more_text(more))
    return Section(title, columns, tuple(rows), tuple(notes))


def _who(found: PartnerFinding) -> tuple[object, ...]:
    return found.kind, found.currency, found.partner_id, found.partner_name


def _lines(lines: Sequence[int]) -> str:
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return f"{', '.join(map(str, lines[:_MOST_LINES]))}{more}"


def _caps(caps: Caps) -> str:
    limits = [f"total {money(amount, currency)}" for currency, amount in caps.max_total.items()]
    if caps.max_row is not None:
        limits.append(f"row {money(caps.max_row, None)}")
    if caps.max_rows is not None:
        limits.append(f"{caps.max_rows:,} rows")
    return ", ".join(limits)


def _receipt(receipt: Mapping[str, object]) -> str:
    """Return a receipt on one line: when it was made, and of what."""
    log = receipt.get("log")
    head: Mapping[str, object] = {}
    if isinstance(log, Mapping):
        head = cast("Mapping[str, object]", log)
    return (
        f"the receipt of {receipt.get('made_at', '?')}: plan {receipt.get('plan_hash') or 'none'}, "
        f"log {head.get('count', '?')} {head.get('hash', '?')}"
    )


def _signature(signature: Signature) -> str:
    return f"{signature.principal} ({signature.key})"


def _small(title: str) -> str:
    return title[:1].lower() + title[1:]
