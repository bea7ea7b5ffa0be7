"""What makes a command of a function: its signature, with the options that all share.

A function gets a :class:`Session` first, which is made of the shared options; Typer is shown its
other parameters and these options.
"""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer
from typer.models import OptionInfo

from aiocake import ArgumentError, Binding
from aiocake._environment import files_of_environment
from aiocake.cli.connection import ApiKeyOption, Connection, DomainOption, KeyFileOption
from aiocake.cli.options import Erasable, flag
from aiocake.cli.output import ExcelOption, FormatOption, OutOption, Output
from aiocake.cli.session import CommandSession
from aiocake.cli.usage_errors import rehearsing
from aiocake.errors import Problem

P = ParamSpec("P")

YesOption = Annotated[
    bool, flag("Do not ask first. Needed where the input is not a terminal.", "--yes", "-y")
]
BindingOption = Annotated[
    Binding | None,
    typer.Option(
        help="How calls of API version 1 are sent; by GET unless said otherwise.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]


def command(
    *, writes: bool = False, v1: bool = False, rehearsed: bool = True
) -> Callable[[Callable[Concatenate[CommandSession, P], None]], Callable[P, None]]:
    """Make a command of a function that takes a session first.

    Args:
        writes: Whether it writes, so that it is asked first.
        v1: Whether it calls API version 1, so that its form can be chosen.
        rehearsed: Whether all that it does is done by the client, so that it can be run without
            a key to find out what is wrong with its arguments.

    Returns:
        What makes it.
    """
    options = (*(_WRITES if writes else ()), *_SHARED, *(_V1 if v1 else ()))
    return lambda function: _with_options(function, options, rehearsed=rehearsed)


def _with_options(
    function: Callable[Concatenate[CommandSession, P], None],
    options: tuple[inspect.Parameter, ...],
    *,
    rehearsed: bool,
) -> Callable[P, None]:
    signature = inspect.signature(function, eval_str=True)
    _, *own = signature.parameters.values()
    erasable = [parameter.name for parameter in own if _mark(parameter)]

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # Typer gives each of them, by the signature below.
        provided: dict[str, Any] = kwargs
        shared: dict[str, Any] = {option.name: provided.pop(option.name) for option in options}
        clashes: list[Problem] = []
        for name in erasable:
            erase = bool(provided.pop(f"erase_{name}"))
            if erase and provided[name] is not None:
                clashes.append(Erasable.clash(name))
            provided[name] = Erasable.chosen(provided[name], erase=erase)
        try:
            output = Output.of(shared.pop("form"), shared.pop("out"), excel=shared.pop("excel"))
        except ArgumentError as error:
            clashes += error.problems
        else:
            if not (clashes or rehearsing.get()):
                function(_session(output, **shared), *args, **kwargs)
                return
        with _joined(clashes):
            function(CommandSession.rehearsal(), *args, **kwargs)

    offered = [*(part for parameter in own for part in _parts(parameter)), *options]
    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in offered}
    vars(run)["can_be_rehearsed"] = rehearsed
    vars(run)["__signature__"] = signature.replace(parameters=offered)
    return run


@contextmanager
def _joined(problems: list[Problem]) -> Generator[None]:
    """Add these problems to those that a rehearsal ends in."""
    try:
        yield
    except ArgumentError as error:
        raise ArgumentError(*problems, *error.problems) from None
    except Exception:
        if not problems:
            raise
        raise ArgumentError(*problems) from None


def _session(  # noqa: PLR0913 - the options that commands share
    output: Output,
    *,
    domain: str | None,
    key_file: Path | None,
    api_key: str | None,
    yes: bool = False,
    binding: Binding | None = None,
) -> CommandSession:
    output.spare(*files_of_environment(), *([] if key_file is None else [key_file]))
    connect = partial(Connection.of, domain, key_file, api_key, binding or Binding.GET)
    return CommandSession(connect, output, yes, binding)


def _mark(parameter: inspect.Parameter) -> Erasable | None:
    marks = getattr(parameter.annotation, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Erasable)), None)


def _parts(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """A parameter as it is offered: one that can be erased is two."""
    mark = _mark(parameter)
    if mark is None:
        return [parameter]
    return [
        _keyword(parameter.name, Annotated[mark.kind | None, mark.option]),
        _keyword(
            f"erase_{parameter.name}",
            Annotated[bool, _eraser(parameter.name, mark)],
            default=False,
        ),
    ]


def _eraser(name: str, mark: Erasable) -> OptionInfo:
    option = f"--erase-{name.replace('_', '-')}"
    return flag(f"Erase {mark.what}.", option, panel="Erase what is stored")


def _keyword(name: str, annotation: object, default: object = None) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


_SHARED: Final = (
    _keyword("form", FormatOption),
    _keyword("out", OutOption),
    _keyword("excel", ExcelOption, default=False),
    _keyword("domain", DomainOption),
    _keyword("key_file", KeyFileOption),
    _keyword("api_key", ApiKeyOption),
)
_WRITES: Final = (_keyword("yes", YesOption, default=False),)
_V1: Final = (_keyword("binding", BindingOption),)
