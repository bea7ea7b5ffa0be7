"""Check all arguments of a call before anything is sent, and report all problems at once."""

from collections.abc import Callable, Collection, Mapping

from aiocake._operations.operation import Api, Operation
from aiocake._operations.parameters import InvalidArgument
from aiocake.errors import ArgumentError, Problem
from aiocake.values import SKIP

Validate = Callable[[Mapping[str, object]], dict[str, object]]


def validator(operation: Operation[object]) -> Validate:
    """Return the function that checks the arguments of an operation.

    It takes them by name, where SKIP is as good as not given, and returns those that are not SKIP,
    as exact built-in values. It raises an ArgumentError that names every argument that is missing,
    unknown or cannot be sent, and whatever does not fit together.
    """
    v1 = operation.api is Api.V1
    checks = {parameter.name: parameter.check for parameter in operation.parameters}
    needed = {
        parameter.name
        for parameter in operation.parameters
        if parameter.required or (v1 and parameter.kept is None)
    }
    rules = operation.rules

    def validate(arguments: Mapping[str, object]) -> dict[str, object]:
        provided: dict[str, object] = {}
        fits = True
        for name, value in arguments.items():
            if value is SKIP:
                continue
            check = checks.get(name)
            exact = InvalidArgument(()) if check is None else check(value, v1=v1)
            if type(exact) is InvalidArgument:
                fits = False
            provided[name] = exact
        fits = fits and needed <= provided.keys()
        problems = [] if fits else _problems(provided, checks, needed)
        # Of what is wrong by itself nothing more is said. A rule sees it: as what it is not.
        named = {problem.name for problem in problems}
        for rule in rules:
            found = rule(provided)
            if found is not None and found.name not in named:
                problems.append(found)
        if problems:
            raise ArgumentError(*problems)
        return provided

    return validate


def _problems(
    provided: Mapping[str, object], known: Collection[str], needed: Collection[str]
) -> list[Problem]:
    """Return the problems of each argument by itself."""
    problems: list[Problem] = []
    for name in provided:
        if name not in known:
            import difflib  # noqa: PLC0415 - only where somebody mistypes

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(Problem(name, f"there is no such argument{hint}"))
    for name in known:
        value = provided.get(name)
        if isinstance(value, InvalidArgument):
            problems += [each for each in value.problems if each not in problems]
        elif name in needed and name not in provided:
            problems.append(Problem(name, "is required"))
    return problems
