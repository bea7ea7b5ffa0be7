"""What may be sent: every argument is checked before anything is, and all that is wrong is said.

ASP.NET takes a great deal without a word: an amount with a comma is a hundred times as much, a
date is read month first, a misspelt element becomes a zero, and the answer is "success". So what
could be read in two ways does not leave.
"""

import difflib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from aiocake._codec import scalars
from aiocake._normalize import class_name, normalized
from aiocake._operations.arguments import InvalidArgument
from aiocake._operations.operation import Api, Operation
from aiocake._operations.parameters import Parameter, ParameterKind
from aiocake.errors import ArgumentError, Problem
from aiocake.values import ANY, ERASE, SKIP

#: What v1 has a way to leave alone: every parameter of it is sent on each call.
SKIPPABLE: Final = frozenset(
    {
        ParameterKind.TEXT,
        ParameterKind.BYTE,
        ParameterKind.BOOL,
        ParameterKind.MODIFIED_DATE,
        ParameterKind.ROW,
    }
)

_NONE: Final = "None is not taken: leave the argument out, or give SKIP"


def validate(operation: Operation[object], arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments as they are sent, when all of them may be.

    Args:
        operation: The operation.
        arguments: By name; SKIP is as good as not given.

    Returns:
        The arguments without those that are SKIP, as exact built-in values.

    Raises:
        ArgumentError: Names every argument that is missing, unknown or cannot be sent, and whatever
            does not fit together.
    """
    provided = {name: value for name, value in arguments.items() if value is not SKIP}
    table = {parameter.name: parameter for parameter in operation.parameters}
    problems = [_unknown(name, table) for name in provided if name not in table]
    for parameter in operation.parameters:
        name = parameter.name
        if name not in provided:
            if _needed(operation.api, parameter):
                problems.append(Problem(name, "is required"))
            continue
        # A rule sees what is wrong, too: as what it is not.
        value = provided[name] = _taken(operation.api, parameter, provided[name])
        if isinstance(value, InvalidArgument):
            problems += [each for each in value.problems if each not in problems]
    # Of what is wrong by itself nothing more is said.
    named = {problem.name for problem in problems}
    found = (rule(provided) for rule in operation.rules)
    problems += [each for each in found if each is not None and each.name not in named]
    if problems:
        raise ArgumentError(*problems)
    return provided


def _taken(api: Api, parameter: Parameter, value: object) -> object:
    """Return the value as it is sent, or why it is not."""
    if type(value) is InvalidArgument:
        return value
    try:
        # A member of an enum is a slip where any text will do.
        member = parameter.kind is ParameterKind.TEXT and isinstance(value, Enum)
        exact = value if member else normalized(value)
        reason = _reason(api, parameter, exact)
    except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
        exact, reason = None, f"cannot be read: it raised {class_name(error)}"
    return exact if reason is None else InvalidArgument((Problem(parameter.name, reason),))


def _unknown(name: str, table: Mapping[str, Parameter]) -> Problem:
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return Problem(name, f"there is no such argument{hint}")


def _needed(api: Api, parameter: Parameter) -> bool:
    return parameter.required or (api is Api.V1 and parameter.kind not in SKIPPABLE)


def _reason(api: Api, parameter: Parameter, value: object) -> str | None:
    if value is None:
        return _NONE
    if value is ERASE:
        return None if parameter.erasable else "cannot be erased"
    if value is ANY:
        return None if parameter.any_allowed else "ANY is not taken here: leave the argument out"
    if api is Api.V1 and parameter.kind in _OF_V1:
        return _CHECKS[parameter.kind](value, parameter) or _OF_V1[parameter.kind](value)
    return _CHECKS[parameter.kind](value, parameter)


_Check = Callable[[object, Parameter], str | None]

_CHECKS: Final[Mapping[ParameterKind, _Check]] = {
    ParameterKind.ID: lambda value, _: scalars.check_int(value, 1, scalars.MAX_INT),
    ParameterKind.ROW: lambda value, its: scalars.check_int(
        value, its.at_least, its.limit or scalars.MAX_INT
    ),
    ParameterKind.BYTE: lambda value, its: scalars.check_byte(value, anything=its.any_allowed),
    ParameterKind.TEXT: lambda value, its: scalars.check_text(value, its.limit),
    ParameterKind.MONEY: lambda value, _: scalars.check_money(value),
    ParameterKind.DATE: lambda value, _: scalars.check_date(value),
    ParameterKind.MODIFIED_DATE: lambda value, _: scalars.check_date(value),
    ParameterKind.MOMENT: lambda value, _: scalars.check_datetime(value),
    ParameterKind.BOOL: lambda value, _: scalars.check_bool(value),
    ParameterKind.CHOICE: lambda value, its: scalars.check_choice(value, its.choices),
}
_OF_V1: Final[Mapping[ParameterKind, Callable[[object], str | None]]] = {
    ParameterKind.TEXT: scalars.check_v1_text,
    ParameterKind.DATE: scalars.check_v1_date,
    ParameterKind.MODIFIED_DATE: scalars.check_v1_date,
}
