"""``aiocake audit``: show what a run did, who ran it when, and if its journal can be trusted."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from aiocake import ArgumentError, Client, Period, monthend, to_dict
from aiocake._display import money
from aiocake.bulk.journal import EntryState, WorkSession
from aiocake.cli import parse
from aiocake.cli.command import CommandSession, command
from aiocake.cli.errors import print_error
from aiocake.cli.formats import Fields, OutputFormat, RecordLayout
from aiocake.cli.journal import AllowOption, File, plan_text
from aiocake.cli.signals import run
from aiocake.errors import Problem
from aiocake.models import Total
from aiocake.monthend import Audit, AuditedCall, Plan, Receipt

_DIFFERENT, _BROKEN = 1, 8
#: How many calls that are not done are listed.
_MOST_LISTED: Final = 20


@command()
def audit(  # noqa: PLR0913 - all by name
    session: CommandSession,
    file: File,
    *,
    receipt: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A receipt of the run, kept elsewhere, to compare the journal with. May be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The plan that was carried out, for partners, amounts and what was true then.",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            metavar="",
            help="Compare every call with what CAKE has now, and list the differences.",
            show_default=False,
        ),
    ] = False,
    period: Annotated[
        Period | None,
        typer.Option(
            parser=parse.period,
            metavar="PERIOD",
            help="With --verify: the billing period of the bills that were marked, such as "
            "2024-01. Default: that of --plan.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            parser=parse.output_file,
            metavar="FILE",
            help="Also write the report as an HTML page. It contains names and amounts.",
            show_default=False,
        ),
    ] = None,
    allow_unknown_filesystem: AllowOption = False,
) -> None:
    """Show what a run did: who, when, on which host, from which plan, and with what outcome.

    Reports separately whether the journal is as it was written (integrity: its log is a chain of
    hashes), whether nothing is missing (completeness), and with --verify what differs in CAKE now.

    Exit codes: 0 if nothing is wrong, 8 if the log or a receipt does not hold, 1 if something is
    missing, not finished, or different in CAKE.
    """
    needed = [*file.files(), *(receipt or ()), *([] if plan is None else [plan])]
    session.output.spare(*needed, *([] if html is None else [html]))
    if html is not None and os.path.realpath(html) in map(os.path.realpath, needed):
        raise ArgumentError(Problem("html", f"{html} is a file that the command needs"))
    planned = None if plan is None else Plan.read(plan)
    auditing = partial(
        monthend.audit,
        file,
        plan=planned,
        receipts=[Receipt.read(each) for each in receipt or ()],
        verify=verify,
        period=period,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )

    async def with_client(client: Client) -> Audit:
        return await auditing(client)

    found = session.connect().run(with_client) if verify else run(auditing)
    if html is not None:
        from aiocake.cli.approving import write_page  # noqa: PLC0415 - no other command waits for it
        from aiocake.monthend.report_html import audit_page  # noqa: PLC0415 - the same

        write_page(html, audit_page(found, planned))
    _write(session, found)
    for line in _summary_lines(found):
        print_error(line)
    raise typer.Exit(_BROKEN if found.integrity else 0 if found.clean else _DIFFERENT)


def _write(session: CommandSession, found: Audit) -> None:
    if session.output.form is OutputFormat.JSON:
        with session.output.record(_WHOLE) as write_one:
            write_one(found)
        return
    with session.output.records(CALLS) as write:
        for call in found.entries:
            write(call)


def _summary_lines(found: Audit) -> Iterator[str]:
    """Yield the lines above and below the rows."""
    count = len(found.entries)
    head = "" if found.log is None else f"; log of {found.log.count} entries, {found.log.hash}"
    yield f"{count} call{'' if count == 1 else 's'} for {found.domain or 'no instance'}{head}"
    yield (
        "no plan was approved: the run was started without one"
        if found.plan is None
        else plan_text(found.plan)
    )
    for number, each in enumerate(found.sessions, 1):
        yield f"session {number}: {_session(each)}"
    for total in found.totals:
        yield f"done: {_total(total)}"
    if found.unpriced:
        yield f"done: {found.unpriced} more, whose amount is not in the journal"
    yield from _not_done(found)
    yield from _integrity(found)
    yield from (f"completeness: {each}" for each in found.completeness)
    if not found.completeness:
        yield "completeness: every call is there, and its state follows from the log"
    yield from (f"different in CAKE: {each}" for each in found.differences)
    if found.verified and not found.differences:
        yield "in CAKE, everything that could be compared is as planned"
    yield from (f"not compared with CAKE: {each}" for each in found.unchecked)


def _not_done(found: Audit) -> Iterator[str]:
    """Yield the calls that are not done, which are hard to find in a long table."""
    left = [each for each in found.entries if each.state is not EntryState.DONE]
    for each in left[:_MOST_LISTED]:
        why = "" if each.message == each.state.value else f": {each.message}"
        yield f"{each.state}: call {each.index}, {each.record}{why}"
    if len(left) > _MOST_LISTED:
        yield f"and {len(left) - _MOST_LISTED} more that are not done"


def _integrity(found: Audit) -> Iterator[str]:
    yield from (f"integrity: {each}" for each in found.integrity)
    if found.log is None:
        yield (
            "integrity: unknown: an older aiocake wrote the log without a chain; the chain begins "
            "when the run is resumed"
        )
        return
    if found.unchained:
        yield (
            f"integrity: the first {found.unchained} entries of the log were written without a "
            "chain: it vouches for them only since the run was resumed"
        )
    if not found.integrity:
        kept = f", and so {_receipts(found.receipts)}" if found.receipts else ""
        yield f"integrity: the chain of the log holds{kept}"
    if not found.receipts:
        yield "integrity: there is no receipt: without one, a cut off end of the log does not show"


def _receipts(count: int) -> str:
    return "does the receipt" if count == 1 else f"do the {count} receipts"


def _session(each: WorkSession) -> str:
    unfinished = f", not finished ({'still running' if each.running else 'killed'})"
    end = f" to {each.ended_at}" if each.ended_at else unfinished
    why = f": {each.stopped}" if each.stopped else ""
    by = f"{each.user} on {each.host} (process {each.pid}, aiocake {each.version})"
    return f"{each.started_at}{end}, {by}{why}"


def _total(total: Total) -> str:
    words = " ".join(each for each in (total.kind, total.invoice_status) if each)
    return f"{words or 'kind unknown'}: {total.count}, {money(total.amount, total.currency)}"


_COLUMNS: Final = (
    "index", "operation", "record_id", "kind", "partner_id", "partner_name", "amount", "currency",
    "start_date", "end_date", "old_status", "new_status", "state", "attempts", "sent_at",
    "answered_at", "message", "user", "host", "arguments",
)  # fmt: skip


def _call_fields(call: AuditedCall) -> Fields:
    return to_dict(call)


def _call_in_columns(call: AuditedCall) -> Fields:
    # As numbers and dates, which a spreadsheet takes for what they are.
    exact = {name: getattr(call, name) for name in ("amount", "start_date", "end_date")}
    return {**to_dict(call), **exact}


def _call_in_short(call: AuditedCall) -> Fields:
    old, new = call.old_status, call.new_status
    at = call.answered_at or call.sent_at
    return {
        **_call_in_columns(call),
        "record": call.record,
        "status": f"{old} to {new}" if old and new else new or old,
        "partner": call.partner_id,
        "at": None if at is None else f"{at:%Y-%m-%d %H:%M}",
    }


CALLS: Final = RecordLayout(
    json=_call_fields,
    csv=_call_in_columns,
    csv_columns=_COLUMNS,
    to_table=_call_in_short,
    table_columns=(
        "index", "record", "kind", "partner", "amount", "currency", "status", "state", "at",
        "message",
    ),
    table_spare=("at", "index", "message", "partner"),
    table_heads={"currency": "ccy"},
)  # fmt: skip


_WHOLE: Final = RecordLayout[Audit](
    json=to_dict, csv=to_dict, csv_columns=(), to_table=to_dict, table_columns=()
)
