"""``aiocake apply``: carry out an approved plan, row by row, unchanged."""

import os
import shlex
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final, NoReturn

import attrs
import typer

from aiocake import ArgumentError, Client, JournalError
from aiocake._display import money
from aiocake._operations.operation import executor_of
from aiocake.bulk import Journal
from aiocake.bulk.journal_store import JournalPlace
from aiocake.bulk.options import OnProgress
from aiocake.cli import parse
from aiocake.cli.audit import CALLS
from aiocake.cli.command import CommandSession, command
from aiocake.cli.connection import Connection
from aiocake.cli.destination import OutputError, destination
from aiocake.cli.errors import code_of, print_error, silence_output
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.cli.journal import AllowOption, unfinished
from aiocake.cli.options import PlanArgument, SettleOption
from aiocake.cli.output import Output
from aiocake.cli.run_outcome import exit_code, report_problems
from aiocake.cli.signals import run
from aiocake.cli.terminal import confirm, run_bar
from aiocake.errors import Problem
from aiocake.models import Total
from aiocake.monthend import Applied, ApprovedPlan, Plan, approved, stale_rows
from aiocake.monthend import apply as apply_plan
from aiocake.monthend.approvals import signature_file
from aiocake.profiles import Profile

_CONFLICTS: Final = 10
_DIFFERENT: Final = 1
#: The line of control totals of rows whose amount the plan does not know.
_UNPRICED: Final = "not priced"
#: How many rows that would be skipped are listed.
_MOST_LISTED: Final = 20

JournalOption = Annotated[
    JournalPlace,
    typer.Option(
        parser=parse.journal,
        metavar="RUN.DB",
        help="The journal of the run: a new file, or the one this plan was started with; or "
        "pg:NAME for a run in PostgreSQL.",
        show_default=False,
    ),
]
ApprovalsOption = Annotated[
    int | None,
    typer.Option(
        parser=parse.number,
        metavar="NUMBER",
        help="How many people must have approved the plan, not counting its maker; 0 for none. "
        "It can raise the number of the profile, not lower it.",
        show_default=False,
    ),
]
SignersOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The people whose signatures count: an allowed_signers file of ssh-keygen.",
        show_default=False,
    ),
]
RevokedOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keys that no longer count, as a KRL or a list of public keys.",
        show_default=False,
    ),
]
HashOption = Annotated[
    str | None,
    typer.Option(
        metavar="HASH",
        help="The hash that the plan must have: approval without keys, such as from a ticket.",
        show_default=False,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Check the plan and read what is true now; send nothing.",
        show_default=False,
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        metavar="",
        help="Send nothing at all if any record is not as planned when the run begins.",
        show_default=False,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        parser=parse.output_file,
        metavar="FILE",
        help="Write the outcome of each row to FILE: .csv, .json or .jsonl.",
        show_default=False,
    ),
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option(
        parser=parse.output_file,
        metavar="FILE",
        help="Write the receipt to FILE, to be kept away from the journal.",
        show_default=False,
    ),
]


@command(writes=True)
def apply(  # noqa: PLR0913 - one for each option
    session: CommandSession,
    plan_file: PlanArgument,
    *,
    journal: JournalOption,
    approvals: ApprovalsOption = None,
    signers: SignersOption = None,
    revoked: RevokedOption = None,
    hash: HashOption = None,  # noqa: A002 - what it is called everywhere
    dry_run: DryRunOption = False,
    strict: StrictOption = False,
    settle: SettleOption = 60.0,
    report: ReportOption = None,
    receipt: ReceiptOption = None,
    allow_unknown_filesystem: AllowOption = False,
) -> None:
    """Apply a plan. Rows whose record is not as planned are skipped, with the reason.

    The same command starts it, continues it after a crash, and says when it is done.

    Exit codes: 0 all done; 10 all done, but rows that were not as planned were skipped; 9 something
    was created twice; 7 the outcome of a call is unknown; 5 calls were refused; 1 calls are left.
    """
    connection = session.connect()
    profile = connection.profile
    needed = needed_approvals(approvals, hash, profile)
    if profile is not None:
        signers, revoked = signers or profile.signers, revoked or profile.revoked
    _spare(session.output, plan_file, journal, signers, revoked, report, receipt)

    async def check(client: Client) -> ApprovedPlan:
        domain = executor_of(client.invoices).domain
        return await approved(
            plan_file, domain, approvals=needed, signers=signers, revoked=revoked, hash=hash
        )

    checked = connection.run(check)
    _say_plan(checked, needed)
    if dry_run:
        _rehearse(connection, checked.plan)
    _say_progress(journal)
    if not session.confirmed:
        rows = checked.plan.header.rows
        confirm(f"At {connection.domain}: apply {rows:,} row{'' if rows == 1 else 's'}")

    async def work(client: Client, on_progress: OnProgress) -> Applied:
        return await apply_plan(
            plan_file,
            client,
            journal=journal,
            approvals=needed,
            signers=signers,
            revoked=revoked,
            # The file may have become another while the question was open.
            hash=checked.plan.hash,
            strict=strict,
            settle=settle,
            on_progress=on_progress,
            allow_unknown_filesystem=allow_unknown_filesystem,
        )

    apply_and_report(session.output, connection, work, journal, report, receipt)


def needed_approvals(approvals: int | None, plan_hash: str | None, profile: Profile | None) -> int:
    """Return how many approvals are needed: never fewer than the profile asks for.

    Raises:
        ArgumentError: Nothing says so, or the number is below 0.
    """
    least = None if profile is None else profile.approvals
    if approvals is not None and approvals < 0:
        raise ArgumentError(Problem("approvals", "must be at least 0"))
    if approvals is not None or least is not None:
        return max(approvals or 0, least or 0)
    if plan_hash is not None:
        return 0
    raise ArgumentError(
        Problem(
            "approvals",
            "say how many people must have approved the plan, 0 for nobody; or give --hash",
        )
    )


def apply_and_report(  # noqa: PLR0913, PLR0917 - each is needed
    output: Output,
    connection: Connection,
    work: Callable[[Client, OnProgress], Awaitable[Applied]],
    journal: JournalPlace,
    report: Path | None,
    receipt: Path | None,
) -> NoReturn:
    """Carry out a plan and show the result.

    Args:
        output: Where the control totals go.
        connection: The instance.
        work: Carries out the plan.
        journal: The journal of the run.
        report: The file for the outcome of each row.
        receipt: The file for the receipt.

    Raises:
        typer.Exit: Always; with the exit code.
    """
    code = 0

    async def with_bar(client: Client) -> Applied:
        with run_bar() as progress:
            return await work(client, progress)

    try:
        with connection.accounted(journal), output.records(_TOTALS) as write:
            found = connection.run(with_bar)
            # What the run ends in is known before anything is written, which may fail.
            code = exit_code(found.summary)
            for line in _compared(found):
                write(line)
        _say_end(found, journal, code)
        code = code or (_DIFFERENT if found.audit.differences else 0)
        if report is not None:
            with Output.of(None, report).records(CALLS) as put:
                for call in found.audit.entries:
                    put(call)
        if receipt is not None:
            _write(receipt, found.receipt.to_json() + "\n")
    except BrokenPipeError:
        silence_output()
    except OutputError as error:
        print_error(str(error))
        code = code or code_of(error)
    raise typer.Exit(code)


def _say_end(found: Applied, journal: JournalPlace, code: int) -> None:
    """Report the problems of a run of a plan, and show its receipt."""
    report_problems(found.summary)
    if found.audit.unpriced:
        print_error(f"done: {found.audit.unpriced} more, whose amount CAKE did not report")
    if code in {1, 5, 7}:
        print_error(f"to continue: the same command, or aiocake resume {shlex.quote(str(journal))}")
    for difference in found.audit.differences[:_MOST_LISTED]:
        print_error(f"different in CAKE: {difference}")
    receipt = found.receipt
    print_error(f"receipt of a log of {receipt.log.count:,} entries:")
    print_error(f"plan {receipt.plan_hash}")
    print_error(f"log {receipt.log.hash}")


def _spare(output: Output, plan_file: Path, journal: JournalPlace, *others: Path | None) -> None:
    """Refuse to write over what the command needs, or twice to one file."""
    signers, revoked, report, receipt = others
    needed = [plan_file, signature_file(plan_file), *journal.files()]
    needed += [each for each in (signers, revoked) if each is not None]
    output.spare(*needed, *(each for each in (report, receipt) if each is not None))
    for name, file in (("report", report), ("receipt", receipt)):
        if file is None:
            continue
        for each in needed if name == "report" else [*needed, *filter(None, [report])]:
            if os.path.realpath(file) == os.path.realpath(each):
                raise ArgumentError(Problem(name, f"{file} is {each}, which the command needs"))
    if report is not None:
        Output.of(None, report)


def _say_plan(checked: ApprovedPlan, needed: int) -> None:
    """Show which plan it is, who made it and who approved it."""
    plan, people = checked.plan, checked.approvals
    header = plan.header
    print_error(f"plan {plan.hash}")
    print_error(
        f"{header.action}, made by {header.maker} on {header.created_at:%Y-%m-%d %H:%M} UTC"
    )
    if people.maker is not None:
        names = ", ".join(each.principal for each in people.approvers)
        print_error(f"signed by {people.maker.principal}, approved by {names}")
    elif not needed:
        print_error("approved by nobody: no approvals were required")
    for total in plan.totals:
        print_error(f"planned: {_total_text(total)}")


def _say_progress(journal: JournalPlace) -> None:
    """Show what is left of a run that was started; problems of its journal are reported later."""
    if not journal.exists():
        return
    with suppress(JournalError):
        left = run(partial(unfinished, partial(Journal.open, journal), with_plan=False))
        print_error(f"left: {left}" if left else "everything was sent before: nothing is left")


def _rehearse(connection: Connection, plan: Plan) -> NoReturn:
    """Report the rows that would be skipped now."""
    stale = connection.run(partial(stale_rows, plan))
    for row in stale[:_MOST_LISTED]:
        print_error(f"line {row.line} would be skipped: {row.reason}")
    if len(stale) > _MOST_LISTED:
        print_error(f"and {len(stale) - _MOST_LISTED} more")
    left = plan.header.rows - len(stale)
    print_error(f"{left:,} of {plan.header.rows:,} rows would be sent; nothing was sent")
    creates = sum(row.record is None for row in plan.rows)
    if creates:
        what = "create" if creates == 1 else "creates"
        print_error(
            f"not looked at: {creates:,} {what}, whose partner may have an invoice of that period "
            "already; apply looks before it sends each"
        )
    print_error("not looked at: what a journal says was sent before")
    raise typer.Exit(_CONFLICTS if stale else 0)


def _total_text(total: Total) -> str:
    words = " ".join(each for each in (total.kind, total.invoice_status) if each)
    return f"{words or 'kind unknown'}: {total.count:,}, {money(total.amount, total.currency)}"


@attrs.frozen(kw_only=True)
class _Compared:
    """The control totals of one kind and currency: as planned, and as done."""

    kind: str | None
    currency: str | None
    planned: int = 0
    planned_amount: object = None
    done: int = 0
    done_amount: object = None


def _compared(found: Applied) -> Iterator[_Compared]:
    """Yield planned and carried out totals, by kind and currency."""
    sums: dict[tuple[str | None, str | None], dict[str, int | object]] = {}
    for name, totals in (("planned", found.planned), ("done", found.done)):
        for total in totals:
            line = sums.setdefault((total.kind, total.currency), {})
            count, amount = line.get(name, 0), line.get(f"{name}_amount", 0)
            line[name] = count + total.count  # type: ignore[operator]
            line[f"{name}_amount"] = amount + total.amount  # type: ignore[operator]
    for kind, currency in sorted(sums, key=lambda key: (key[0] or "", key[1] or "")):
        yield _Compared(kind=kind, currency=currency, **sums[kind, currency])  # type: ignore[arg-type]
    # Creates, whose amounts are known only once they are done.
    unpriced = len(found.audit.entries) - sum(total.count for total in found.planned)
    if unpriced:
        yield _Compared(kind=_UNPRICED, currency=None, planned=unpriced, done=found.audit.unpriced)


def _fields(line: _Compared) -> Fields:
    return attrs.asdict(line)


def _plain_fields(line: _Compared) -> Fields:
    fields = attrs.asdict(line)
    amounts = ("planned_amount", "done_amount")
    return {
        name: format(value, "f") if name in amounts and value is not None else value
        for name, value in fields.items()
    }


_COLUMNS: Final = tuple(field.name for field in attrs.fields(_Compared))
_TOTALS: Final = RecordLayout(
    json=_plain_fields,
    csv=_fields,
    csv_columns=_COLUMNS,
    to_table=_fields,
    table_columns=_COLUMNS,
)


def _write(file: Path, text: str) -> None:
    """Write a file that its owner alone can read."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with destination(file) as place:
            place.stream.write(text.encode())
            place.finish()
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror}") from None
