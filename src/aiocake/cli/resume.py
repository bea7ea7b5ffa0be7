"""``aiocake resume``: continue a run that was stopped, cancelled or killed."""

from functools import partial
from pathlib import Path
from typing import NoReturn

from aiocake import ArgumentError, Client, JournalError, bulk
from aiocake.bulk import Journal, Summary
from aiocake.bulk.journal_store import JournalPlace
from aiocake.bulk.options import OnProgress
from aiocake.cli.apply import ReceiptOption, ReportOption, apply_and_report
from aiocake.cli.command import CommandSession, command
from aiocake.cli.connection import Connection
from aiocake.cli.errors import print_error
from aiocake.cli.journal import AllowOption, File, in_use, read_status, unfinished
from aiocake.cli.options import SettleOption
from aiocake.cli.output import Output
from aiocake.cli.run_outcome import run_and_report
from aiocake.cli.signals import run
from aiocake.cli.terminal import confirm
from aiocake.errors import Problem
from aiocake.monthend import Applied, resume_plan


@command(writes=True)
def resume(  # noqa: PLR0913 - one for each option
    session: CommandSession,
    file: File,
    *,
    settle: SettleOption = 60.0,
    report: ReportOption = None,
    receipt: ReceiptOption = None,
    allow_unknown_filesystem: AllowOption = False,
) -> None:
    """Resume a run: find out the outcome of its calls, and send those that were not carried out.

    The run of a plan continues under the same approval: the plan and its signatures are checked
    again.

    Exit codes: 0 all done; 10 all done, but records that were not as expected were skipped; 9
    something was created twice; 7 the outcome of a call is unknown; 5 calls were refused; 1 calls
    are left.
    """
    output = session.output
    output.spare(*file.files())
    opening = partial(Journal.open, file, allow_unknown_filesystem=allow_unknown_filesystem)
    status = run(partial(read_status, opening))
    if status.running is not None:
        raise JournalError(in_use(file, status.running))
    left = run(partial(unfinished, opening))
    connection = session.connect()
    if left is not None and session.confirmed:
        print_error(f"resuming at {connection.domain}: {left}")
    elif left is not None:
        confirm(f"At {connection.domain}: {left}: resume")
    if status.plan is not None:
        _resume_plan(
            session.output, connection, file, settle, report, receipt, allow_unknown_filesystem
        )
    for name, given in (("report", report), ("receipt", receipt)):
        if given is not None:
            raise ArgumentError(Problem(name, "is for the run of a plan; use aiocake audit"))

    async def work(client: Client, on_progress: OnProgress) -> Summary:
        return await bulk.resume(
            file,
            client,
            settle=settle,
            on_progress=on_progress,
            allow_unknown_filesystem=allow_unknown_filesystem,
        )

    run_and_report(output, connection, work, file)


def _resume_plan(  # noqa: PLR0913, PLR0917 - each is needed
    output: Output,
    connection: Connection,
    journal: JournalPlace,
    settle: float,
    report: Path | None,
    receipt: Path | None,
    allow_unknown: bool,  # noqa: FBT001 - of one call
) -> NoReturn:
    async def work(client: Client, on_progress: OnProgress) -> Applied:
        least = 0 if connection.profile is None else connection.profile.approvals or 0
        return await resume_plan(
            journal,
            client,
            approvals=least,
            settle=settle,
            on_progress=on_progress,
            allow_unknown_filesystem=allow_unknown,
        )

    apply_and_report(output, connection, work, journal, report, receipt)
