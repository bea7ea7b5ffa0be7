"""What a run of writes came to: its problems, on lines of their own, and the exit code."""

from typing import Any, Final

from aiocake.bulk import Double, Failed, Skipped, Summary, Unknown
from aiocake.cli.errors import print_error, text_of

#: How many of a run's problems are said one by one.
_MOST_SAID: Final = 20
#: The worst that is true of a run decides.
DOUBLE, UNKNOWN, REFUSED, UNFINISHED, CONFLICTS = 9, 7, 5, 1, 10


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
    """Write what a person has to know of a run on the standard error."""
    for problem in summary.problems[:_MOST_SAID]:
        print_error(problem_text(problem))
    if len(summary.problems) > _MOST_SAID:
        print_error("and more: aiocake journal export lists all of them")
    for double in summary.doubles[:_MOST_SAID]:
        print_error(f"{double_text(double)}; void one of them")
    if len(summary.doubles) > _MOST_SAID:
        print_error("and more: aiocake journal show lists all of them")
    if summary.conflicts:
        print_error(f"not as expected, and left as they are: {summary.conflicts}")
    for note in summary.notes:
        print_error(note)
    if summary.stopped is not None:
        print_error(f"stopped: {summary.stopped}")
    if not summary.plan_read:
        print_error("the plan was not read to its end: only the program that made it has the rest")


def problem_text(problem: Failed[Any] | Unknown[Any] | Skipped[Any]) -> str:
    """Return a call that was not carried out, and why."""
    call = f"call {problem.index}, {problem.call.describe()}"
    if isinstance(problem, Failed):
        return f"{call}: not done: {text_of(problem.error)}"
    if isinstance(problem, Unknown):
        among = f" (candidates: {_ids(problem.candidates)})" if problem.candidates else ""
        return f"{call}: outcome unknown: {problem.reason}{among}"
    if problem.conflict:
        return f"{call}: skipped: {problem.reason}"
    return f"{call}: skipped, since there is already {_ids(problem.existing)}"


def double_text(double: Double) -> str:
    """Return what was created twice."""
    return (
        f"call {double.index} was created twice: it created {double.ours}, "
        f"and there is {_ids(double.theirs)}"
    )


def _ids(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
