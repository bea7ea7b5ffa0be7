"""``aiocake run``: send the rows of a file, without a plan and its approval."""

from array import array
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from aiocake import Client, bulk
from aiocake.bulk import Call, Journal, Summary
from aiocake.bulk.journal_store import JournalPlace, NotBegun
from aiocake.bulk.options import OnProgress
from aiocake.bulk.plan import CallPlan
from aiocake.cli import parse
from aiocake.cli.command import CommandSession, command
from aiocake.cli.journal import AllowOption
from aiocake.cli.options import SettleOption
from aiocake.cli.run_outcome import run_and_report
from aiocake.cli.terminal import confirm
from aiocake.errors import PlanError, Problem
from aiocake.monthend import CallFile
from aiocake.monthend.rows import OPERATIONS, Action, Repeats, described

#: So many calls are written down as a whole before the first is sent; more of them while they are
#: read, so that they are not all in memory.
_AS_A_WHOLE: Final = 20_000
_OPERATIONS: Final = ", ".join(OPERATIONS)


@command(writes=True)
def carry_out(  # noqa: PLR0913 - by name
    session: CommandSession,
    calls: Annotated[
        Path,
        typer.Argument(
            metavar="CALLS",
            help="A CSV or JSONL file: parameters as columns, and the operation, if --operation "
            "does not say it.",
            show_default=False,
        ),
    ],
    *,
    journal: Annotated[
        JournalPlace,
        typer.Option(
            parser=parse.journal,
            metavar="RUN.DB",
            help="The journal: a new file, or that of the same run to continue it; or pg:NAME "
            "for a run in PostgreSQL.",
            show_default=False,
        ),
    ],
    operation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"The operation of all rows: {_OPERATIONS}.",
            show_default=False,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of the file to ignore. May be repeated.",
            show_default=False,
        ),
    ] = None,
    settle: SettleOption = 60.0,
    allow_unknown_filesystem: AllowOption = False,
) -> None:
    """Send the rows of a file, without approval: start a run, or continue it.

    All rows are checked before the first is sent. The same command starts the run, continues it
    after a crash, and reports when it is done. For a second person's approval, make a plan.

    Exit codes: 0 all done; 10 all done, but records that were not as expected were skipped; 9
    something was created twice; 7 the outcome of a call is unknown; 5 calls were refused; 1 calls
    are left.
    """
    output = session.output
    output.spare(calls, *journal.files())
    connection = session.connect()

    def file_of(client: Client) -> CallFile:
        return CallFile(calls, client, operation=operation, ignore=ignore or ())

    async def check(client: Client) -> tuple["array[int]", str]:
        checked = _checked(file_of(client))
        await _compare(file_of(client), journal, allow=allow_unknown_filesystem)
        return checked

    prints, what = connection.run(check)
    count = len(prints)
    if not session.confirmed:
        confirm(f"At {connection.domain}: {what}, {count:,} calls: send")

    async def work(client: Client, on_progress: OnProgress) -> Summary:
        file = _as_checked(file_of(client), prints)
        return await bulk.carry(
            journal,
            client,
            calls=lambda: list(file) if count <= _AS_A_WHOLE else _one_by_one(file),
            settle=settle,
            on_progress=on_progress,
            allow_unknown_filesystem=allow_unknown_filesystem,
        )

    run_and_report(output, connection, work, journal)


def _checked(file: CallFile) -> tuple["array[int]", str]:
    """Return a number for each call in a file, by which it is known again, and what they do.

    Raises:
        PlanError: Some rows are no calls, or repeat an earlier one; with all of them.
    """
    action, repeats = Action(), Repeats()
    problems: list[Problem] = []
    prints = array("q")
    try:
        for call in file:
            operation = OPERATIONS[call.operation]
            action.add(operation, call.arguments)
            if repeats.add(operation, call.arguments):
                what = described(operation, call.arguments)
                place = file.place(len(prints))
                problems.append(Problem(place, f"{what}: repeats an earlier row"))
            prints.append(hash(call.digest()))
    except PlanError as error:
        raise PlanError(error.args[0], *problems, *error.problems) from None
    if problems:
        raise PlanError("the file cannot be used", *problems)
    if not prints:
        raise PlanError("there is nothing to do: the file has no rows")
    return prints, str(action)


def _as_checked(file: CallFile, prints: "array[int]") -> Iterator[Call[Any]]:
    """Yield the calls of a file, which is read again, as long as they are those that were checked.

    Somebody may save the file while the question stands whether to send it.

    Raises:
        PlanError: One is another, or there are more or fewer.
    """
    count = 0
    for count, call in enumerate(file, start=1):
        if count > len(prints) or hash(call.digest()) != prints[count - 1]:
            raise PlanError("the file was changed after it was checked", _at(file.place(count - 1)))
        yield call
    if count < len(prints):
        raise PlanError("the file was changed after it was checked", _at("the end"))


def _at(place: str) -> Problem:
    return Problem(place, "is not what was checked")


async def _compare(file: CallFile, path: JournalPlace, *, allow: bool) -> None:
    """Compare the file with the journal, which may have another plan by the same name.

    Raises:
        JournalError: They differ; the first difference is shown.
    """
    try:
        journal = await Journal.open(path, allow_unknown_filesystem=allow)
    except NotBegun:
        return
    async with journal:
        if not await journal.is_complete():
            return  # the run itself compares what is there
        plan = CallPlan(file, None)
        plan.domain = await journal.domain()
        await plan.catch_up(journal, whole=True)


async def _one_by_one(file: Iterator[Call[Any]]) -> AsyncGenerator[Call[Any]]:
    for call in file:
        yield call
