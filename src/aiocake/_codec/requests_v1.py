"""v1 as it is sent: one table of parameters, of which each binding is a way to write it.

ASMX binds by exact name and wants every parameter of the operation on every call, so what is
skipped is sent as the value that keeps what is stored. By SOAP a parameter that is not there
becomes null, 0 or the year 1 without a word. Source: CAKE's pages on ``accounting.asmx``, and
ASP.NET's System.Web.Services.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from aiocake._codec.scalars import format_value
from aiocake._operations.operation import Operation
from aiocake._operations.parameters import Parameter, ParameterKind
from aiocake.errors import ArgumentError, Problem
from aiocake.values import ANY, ERASE, Erase

#: A date has to be there, and to parse, even where its modification type makes no use of it.
_SOME_DATE: Final = "2000-01-01"
_KEPT: Final[Mapping[ParameterKind, str]] = {
    ParameterKind.TEXT: "",
    ParameterKind.BYTE: "0",
    ParameterKind.ROW: "0",
    ParameterKind.BOOL: "false",
    ParameterKind.MODIFIED_DATE: _SOME_DATE,
}
# The start of a tag or of a character reference, as ASP.NET's request validation sees it.
_MARKUP: Final = re.compile(r"<[A-Za-z!/?]|&#")


@attrs.frozen
class SentArgument:
    """One parameter on its way: its text, or ERASE for a text that is to be null."""

    name: str
    kind: ParameterKind
    text: str | Erase


def sent_arguments(
    operation: Operation[object], arguments: Mapping[str, object]
) -> Iterator[SentArgument]:
    """Every parameter of an operation, in the order of its table.

    Args:
        operation: The operation.
        arguments: Checked.
    """
    for parameter in operation.parameters:
        if parameter.kind is ParameterKind.MODIFIED_DATE:
            yield from _modified(parameter, arguments)
        else:
            yield SentArgument(parameter.name, parameter.kind, _text(parameter, arguments))


def _text(parameter: Parameter, arguments: Mapping[str, object]) -> str | Erase:
    if parameter.name not in arguments:
        return _KEPT[parameter.kind]
    value = arguments[parameter.name]
    if value is ERASE:
        return ERASE
    return "0" if value is ANY else format_value(value)


def _modified(parameter: Parameter, arguments: Mapping[str, object]) -> Iterator[SentArgument]:
    text = _text(parameter, arguments)
    how = "remove" if text is ERASE else "change"
    if parameter.name not in arguments:
        how = "do_not_change"
    day = _SOME_DATE if text is ERASE else text
    yield SentArgument(parameter.name, ParameterKind.DATE, day)
    yield SentArgument(f"{parameter.name}_modification_type", ParameterKind.CHOICE, how)


def refuse_markup(operation: Operation[object], arguments: Mapping[str, object]) -> None:
    """Refuse texts that ASP.NET does not let through by GET and form.

    Raises:
        ArgumentError: A text looks like markup to ASP.NET's request validation.
    """
    problems = [
        Problem(
            parameter.name,
            "holds '<' before a letter, '!', '/' or '?', or '&#', which ASP.NET refuses by GET "
            "and form: send it by Binding.SOAP12",
        )
        for parameter in operation.parameters
        if parameter.kind is ParameterKind.TEXT
        and isinstance(text := arguments.get(parameter.name), str)
        and _MARKUP.search(text)
    ]
    if problems:
        raise ArgumentError(*problems)
