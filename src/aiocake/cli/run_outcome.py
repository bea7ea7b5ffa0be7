"""Run writes, and report the outcome: problems, summary, exit code."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import attrs
import typer

from aiocake import Client, Outcome
from aiocake._operations.parameters import format_value
from aiocake.bulk import Call, Double, Failed, Skipped, Summary, Unknown
from aiocake.bulk.journal_store import JournalPlace
from aiocake.bulk.options import OnProgress
from aiocake.cli.connection import Connection
from aiocake.cli.destination import OutputError
from aiocake.cli.errors import (
    code_of,
    print_error,
    print_object,
    reports_in_json,
    silence_output,
    text_of,
)
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.cli.output import Output
from aiocake.cli.terminal import run_bar
from aiocake.monthend.rows import OPERATIONS, described

#: How many of a run's problems are listed.
_MOST_LISTED: Final = 20
#: The worst that is true of a run decides.
DOUBLE, UNKNOWN, REFUSED, UNFINISHED, CONFLICTS = 9, 7, 5, 1, 10
_MEANINGS: Final = {
    DOUBLE: "something was created twice",
    UNKNOWN: "the outcome of a call is unknown",
    REFUSED: "calls were refused",
    UNFINISHED: "calls are left",
    CONFLICTS: "records were not as expected",
}


def run_and_report(
    output: Output,
    connection: Connection,
    work: Callable[[Client, OnProgress], Awaitable[Summary]],
    journal: JournalPlace,
) -> NoReturn:
    """Run writes, and show their summary.

    Args:
        output: Where the summary goes.
        connection: The instance.
        work: Runs it.
        journal: Its journal.

    Raises:
        typer.Exit: Always; with the exit code.
    """
    code = 0

    async def with_bar(client: Client) -> Summary:
        with run_bar() as progress:
            return await work(client, progress)

    try:
        with connection.accounted(journal), output.record(SUMMARY) as write:
            summary = connection.run(with_bar)
            # What the run ends in is known before the record is written, which may fail.
            code = exit_code(summary)
            report_problems(summary)
            write(summary)
    except BrokenPipeError:
        silence_output()
    except OutputError as error:
        print_error(str(error))
        code = code or code_of(error)
    raise typer.Exit(code)


def exit_code(summary: Summary) -> int:
    """Return the exit code of a run: 0 if nothing is left to do."""
    if summary.complete:
        return 0
    if summary.doubles:
        return DOUBLE
    if summary.unknown:
        return UNKNOWN
    if summary.failed:
        return REFUSED
    left = summary.unsent or summary.unlooked or not summary.plan_read
    return UNFINISHED if left else CONFLICTS


def report_problems(summary: Summary) -> None:
    """Report the problems of a run on the standard error."""
    if reports_in_json():
        _report_in_json(summary)
        return
    for problem in summary.problems[:_MOST_LISTED]:
        print_error(problem_text(problem))
    if len(summary.problems) > _MOST_LISTED:
        print_error("and more: aiocake journal export lists all of them")
    for double in summary.doubles[:_MOST_LISTED]:
        print_error(f"{double_text(double)}; void one of them")
    if len(summary.doubles) > _MOST_LISTED:
        print_error("and more: aiocake journal show lists all of them")
    if summary.conflicts:
        print_error(f"not as expected, and left as they are: {summary.conflicts}")
    for note in summary.notes:
        print_error(note)
    if summary.stopped is not None:
        print_error(f"stopped: {summary.stopped}")
    if not summary.plan_read:
        print_error("the plan was not read to its end: only the program that made it has the rest")


def _report_in_json(summary: Summary) -> None:
    """Write one object, if anything is left to do; docs/cli.md explains each field."""
    code = exit_code(summary)
    if not code:
        return
    print_object(
        {
            "type": "RunProblems",
            "message": _MEANINGS[code],
            "exit_code": code,
            "problems": [_problem_fields(each) for each in summary.problems],
            "doubles": [attrs.asdict(each) for each in summary.doubles],
            "notes": list(summary.notes),
            "stopped": summary.stopped,
        }
    )


def _problem_fields(problem: Failed[Any] | Unknown[Any] | Skipped[Any]) -> dict[str, object]:
    fields: dict[str, object] = {
        "index": problem.index,
        "operation": problem.call.operation,
        "what": call_text(problem.call),
        "outcome": Outcome.UNKNOWN if isinstance(problem, Unknown) else Outcome.NOT_DONE,
    }
    if isinstance(problem, Failed):
        return fields | {"type": type(problem.error).__name__, "reason": text_of(problem.error)}
    fields["type"] = type(problem).__name__
    if isinstance(problem, Unknown):
        return fields | {"reason": problem.reason, "candidates": list(problem.candidates)}
    return fields | {"reason": problem.reason, "existing": list(problem.existing)}


def problem_text(problem: Failed[Any] | Unknown[Any] | Skipped[Any]) -> str:
    """Describe a call that was not carried out, and why."""
    call = f"call {problem.index}, {call_text(problem.call)}"
    if isinstance(problem, Failed):
        return f"{call}: not done: {text_of(problem.error)}"
    if isinstance(problem, Unknown):
        among = f" (candidates: {_ids(problem.candidates)})" if problem.candidates else ""
        return f"{call}: outcome unknown: {problem.reason}{among}"
    if problem.conflict:
        return f"{call}: skipped: {problem.reason}"
    return f"{call}: skipped, since there is already {_ids(problem.existing)}"


def call_text(call: Call[Any]) -> str:
    """Return a call in words: ``invoices.update of invoice 4821, invoice status paid``."""
    operation = OPERATIONS.get(call.operation)
    if operation is None:
        return call.describe()
    about = described(operation, call.arguments)
    left_out = {operation.record, operation.create_lookup and operation.create_lookup.owner}
    settings = [
        f"{name.replace('_', ' ')} {format_value(value)}"
        for name, value in call.arguments.items()
        if name not in left_out | call.sensitive
    ]
    return ", ".join([f"{operation.name} of {about}", *settings])


def double_text(double: Double) -> str:
    """Describe an invoice that was created twice."""
    return (
        f"call {double.index} was created twice: it created {double.ours}, "
        f"and there is {_ids(double.theirs)}"
    )


def _ids(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _fields(summary: Summary) -> Fields:
    return {
        **attrs.asdict(summary, recurse=False),
        "problems": [problem_text(each) for each in summary.problems],
        "doubles": [attrs.asdict(each) for each in summary.doubles],
        "notes": list(summary.notes),
    }


def _in_short(summary: Summary) -> Fields:
    counted = {"problems": len(summary.problems), "doubles": len(summary.doubles)}
    return {**_fields(summary), **counted, "notes": "; ".join(summary.notes) or None}


_NAMES: Final = tuple(field.name for field in attrs.fields(Summary))
SUMMARY: Final = RecordLayout(
    json=_fields,
    csv=_in_short,
    csv_columns=_NAMES,
    to_table=_in_short,
    table_columns=_NAMES,
)
