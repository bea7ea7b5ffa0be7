"""Show plans on the screen: totals, all rows, and how two plans differ."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast

import attrs
import typer

from aiocake._display import money
from aiocake.cli.command import with_output
from aiocake.cli.formats import Fields, OutputFormat, RecordLayout, layout_of
from aiocake.cli.options import PlanArgument
from aiocake.cli.output import Output, say_lines, say_object, say_out, screen
from aiocake.cli.table import Table
from aiocake.models import Total
from aiocake.monthend import Caps, Plan, PlanDiff, PlanHeader, PlanRow
from aiocake.monthend.rows import OPERATIONS
from aiocake.values import Period


def show_made(plan: Plan, file: Path, notes: Iterable[str], *, signed: bool) -> None:
    """Show the totals of a new plan.

    Args:
        plan: The plan.
        file: Where it was written.
        notes: What a person should know of it.
        signed: True if its maker has signed it.
    """
    header, on = plan.header, screen()
    say_lines([f"{counted(header.rows, 'row')} for {header.domain}: {header.action}"], on)
    if plan.totals:
        say_out(_table(plan.totals))
    say_lines([*notes, *_lines(plan, file, signed=signed)], on)


def show_outcome(plan: Plan, file: Path, notes: Iterable[str], *, signed: bool) -> None:
    """Show the same as an object."""
    header, caps = plan.header, plan.header.caps
    layout = layout_of(Total)
    say_object(
        {
            "plan": str(file),
            "hash": plan.hash,
            "domain": header.domain,
            "action": header.action,
            "rows": header.rows,
            "totals": [layout.json(each) for each in plan.totals],
            "history_months": list(header.history_months),
            "caps": {
                "max_total": {name: f"{most:f}" for name, most in caps.max_total.items()},
                "max_row": None if caps.max_row is None else f"{caps.max_row:f}",
                "max_rows": caps.max_rows,
            },
            "maker": header.maker,
            "expires_at": header.expires_at.isoformat(),
            "signature": f"{file}.sig" if signed else None,
            "notes": list(notes),
        }
    )


def _lines(plan: Plan, file: Path, *, signed: bool) -> Iterator[str]:
    header = plan.header
    if header.history_months:
        months = ", ".join(header.history_months)
        yield f"history: {months}, {counted(len(header.history), 'partner')}"
    yield f"caps: {_caps(header)}"
    yield f"made by {header.maker}, expires {header.expires_at:%Y-%m-%d %H:%M} UTC"
    yield f"hash: {plan.hash}"
    yield f"written to {file}: it holds names and amounts, and only you can read it (0600)"
    if signed:
        yield f"signed by its maker: {file}.sig"
    yield f"next, a second person: aiocake approve {shlex.quote(str(file))}"
    if not signed:
        yield "approved by its hash: aiocake apply PLAN --journal RUN.DB --hash HASH"
        yield "to approve it by keys: make it with --sign KEY"


def _table(totals: Iterable[Total]) -> str:
    table = Table(("kind", "status", "count", "amount", "currency"), screen())
    rows = [
        table.row((each.kind, each.invoice_status, each.count, each.amount, each.currency))
        for each in totals
    ]
    return ("".join(rows) + table.end()).rstrip("\n")


def left_out(plan: Plan, period: Period, match: str) -> Iterator[str]:
    """Yield the records that were read but are not in the plan."""
    left = plan.left_out
    if left is None:
        return
    how = {"ends_in": "ending in it", "inside": "lying within it"}.get(match, "")
    for each in left.overlapping:
        why = f"overlapping {period} without {how}; --match overlaps plans them as well"
        yield f"left out: {_total(each)} ({why})"
    for each in left.other_kinds:
        yield f"left out: {_total(each)} (--kind {each.kind} plans them)"


def _total(each: Total) -> str:
    kind = f"{each.invoice_status} {each.kind} invoice"
    return f"{counted(each.count, kind)}, {money(each.amount, each.currency)}"


def _caps(header: PlanHeader) -> str:
    caps = header.caps
    limits = [f"{money(most, currency)} in total" for currency, most in caps.max_total.items()]
    if caps.max_row is not None:
        limits.append(f"{money(caps.max_row, None)} a row")
    if caps.max_rows is not None:
        limits.append(f"{caps.max_rows} rows")
    return f"at most {', '.join(limits)}" if limits else "none"


def counted(number: int, what: str) -> str:
    """Return a number of things: ``1 row``, ``2 rows``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _row_fields(row: PlanRow) -> dict[str, object]:
    record = row.record
    number = OPERATIONS[row.operation].record
    values = {name: _cell(value) for name, value in row.arguments.items() if name != number}
    return {
        "line": row.line,
        "operation": row.operation,
        "record_id": row.arguments.get(number) if number else None,
        "arguments": values,
        "kind": record and record.kind.value,
        "invoice_status": record and record.invoice_status and record.invoice_status.value,
        "partner_id": record.partner_id if record else row.arguments.get("affiliate_id"),
        "partner_name": record and record.partner_name,
        "start_date": record and record.start_date,
        "end_date": record and record.end_date,
        "amount": record and record.amount,
        "currency": record and record.currency,
    }


def _cell(value: object) -> object:
    return value if isinstance(value, bool | int) else str(value)


def _as_json(fields: Fields) -> Fields:
    plain: dict[str, object] = {}
    for name, value in fields.items():
        is_plain = value is None or isinstance(value, bool | int | dict)
        plain[name] = value if is_plain else format(cast("Any", value), _FORMS.get(name, ""))
    return plain


_FORMS: Final = {"amount": "f", "amount_before": "f"}


def _in_line(fields: Fields) -> Fields:
    arguments = cast("Mapping[str, object]", fields["arguments"])
    return {**fields, "arguments": " ".join(f"{name}={each}" for name, each in arguments.items())}


_HEADS: Final = {
    "record_id": "record",
    "arguments": "sets",
    "invoice_status": "status",
    "partner_id": "partner",
    "partner_name": "name",
    "amount_before": "before",
    "currency": "ccy",
}
_ROW: Final = RecordLayout[PlanRow](
    json=lambda row: _as_json(_row_fields(row)),
    csv=lambda row: _in_line(_row_fields(row)),
    csv_columns=(
        "line", "operation", "record_id", "arguments", "kind", "invoice_status", "partner_id",
        "partner_name", "start_date", "end_date", "amount", "currency",
    ),
    to_table=lambda row: _in_line(_row_fields(row)),
    table_columns=(
        "line", "record_id", "arguments", "kind", "invoice_status", "partner_id", "partner_name",
        "amount", "currency",
    ),
    table_spare=("partner_id", "kind", "partner_name"),
    table_heads=_HEADS,
)  # fmt: skip


@with_output
def show(output: Output, plan: PlanArgument) -> None:
    """Show every row of a plan. `aiocake approve` shows what a second person has to see."""
    output.spare(plan)
    found = Plan.read(plan)
    with output.records(_ROW) as write:
        for row in found.rows:
            write(row)


@attrs.frozen
class _PlanChange:
    """A difference between two plans: a row, or a field of the header.

    Attributes:
        what: ``removed``, ``added`` or ``changed``; of the header ``header``.
        before: The row of the first plan, or the value of the field in it.
        after: That of the second.
        name: The field.
    """

    what: str
    before: PlanRow | str | None
    after: PlanRow | str | None
    name: str | None = None


def _header_text(plan: Plan, name: str) -> str:
    """Return the value of a field of a header, in short."""
    value: object = getattr(plan.header, name)
    if value is None or value == ():
        return "none"
    if isinstance(value, Caps):
        return _caps(plan.header)
    if isinstance(value, Mapping):
        return "a receipt"
    if name == "totals":
        return "; ".join(map(_total, plan.header.totals))
    if name == "history":
        return counted(len(plan.header.history), "partner")
    return ", ".join(plan.header.history_months) if name == "history_months" else str(value)


def _diff_fields(change: _PlanChange) -> dict[str, object]:
    before, after = change.before, change.after
    if not isinstance(before, PlanRow) and not isinstance(after, PlanRow):
        return {
            **dict.fromkeys(_DIFF_COLUMNS),
            "change": change.what,
            "changed": change.name,
            "before": before,
            "after": after,
        }
    row = cast("PlanRow", after or before)
    fields = _row_fields(row)
    old = _row_fields(before) if isinstance(before, PlanRow) and after is not None else fields
    changed = [name for name in _COMPARED if fields[name] != old[name]]
    return {
        **dict.fromkeys(_DIFF_COLUMNS),
        "change": change.what,
        "operation": fields["operation"],
        "record_id": fields["record_id"],
        "kind": fields["kind"],
        "partner_id": fields["partner_id"],
        "partner_name": fields["partner_name"],
        "amount_before": old["amount"] if before is not None else None,
        "amount": fields["amount"] if after is not None else None,
        "currency": fields["currency"],
        "changed": " ".join(changed) or None,
    }


def _diff_in_table(change: _PlanChange) -> dict[str, object]:
    """Return the fields of a table, which has no room for the values of the header."""
    fields = _diff_fields(change)
    if change.what == _HEADER:
        fields["changed"] = f"{change.name}: {change.before} -> {change.after}"
    return fields


_HEADER: Final = "header"
_COMPARED: Final = (
    "arguments", "kind", "invoice_status", "partner_id", "partner_name", "start_date", "end_date",
    "amount", "currency",
)  # fmt: skip
_DIFF_COLUMNS: Final = (
    "change", "operation", "record_id", "kind", "partner_id", "partner_name", "amount_before",
    "amount", "currency", "changed", "before", "after",
)  # fmt: skip
_DIFF: Final = RecordLayout[_PlanChange](
    json=lambda change: _as_json(_diff_fields(change)),
    csv=_diff_fields,
    csv_columns=_DIFF_COLUMNS,
    to_table=_diff_in_table,
    table_columns=tuple(
        name for name in _DIFF_COLUMNS if name not in {"operation", "before", "after"}
    ),
    table_spare=("partner_id", "kind", "partner_name"),
    table_heads=_HEADS,
)


@with_output
def diff(
    output: Output,
    first: Annotated[Path, typer.Argument(metavar="A", help="A plan.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="The plan to compare it with.", show_default=False)
    ],
) -> None:
    """Show how two plans differ: rows that are removed, added or changed, and the header.

    Exit codes: 0 if they do not differ, 1 if they do.
    """
    output.spare(first, second)
    one, other = Plan.read(first), Plan.read(second)
    found = PlanDiff.between(one, other)
    header = [
        _PlanChange(_HEADER, _header_text(one, name), _header_text(other, name), name)
        for name in found.header
    ]
    if output.form is OutputFormat.TABLE and output.file is None:
        # They are too long for a column.
        say_lines((f"{each.name}: {each.before} -> {each.after}" for each in header), screen())
        header = []
    with output.records(_DIFF) as write:
        for each in header:
            write(each)
        for row in found.removed:
            write(_PlanChange("removed", row, None))
        for row in found.added:
            write(_PlanChange("added", None, row))
        for before, after in found.changed:
            write(_PlanChange("changed", before, after))
    if found:
        raise typer.Exit(1)
