"""The commands that call one operation each, built from its table and the catalogue's texts."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import typer

from aiocake import ERASE, SKIP, ArgumentError, Binding, Client, Invoice, InvoiceKind, bulk
from aiocake._codec.codec import prepare
from aiocake._operations import parameters as kinds
from aiocake._operations.arguments import matched_days, period_bounds
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import InvalidArgument, Parameter
from aiocake.cli import catalogue, parse
from aiocake.cli.catalogue import COMMANDS, GROUPS, CommandText, option_of
from aiocake.cli.command import CommandSession, Read, chosen, first, streamed, summed, with_session
from aiocake.cli.connection import binding_of
from aiocake.cli.errors import USAGE, AllErrors, Check, print_error
from aiocake.cli.examples import example_line
from aiocake.cli.formats import layout_of
from aiocake.cli.help import CommandGroup
from aiocake.cli.options import Option
from aiocake.cli.prompts import Prompt
from aiocake.cli.terminal import Advance
from aiocake.errors import Problem
from aiocake.models import Total
from aiocake.values import Idempotency

#: How the text of an option is read, and what stands for it in the help; a flag has neither.
_READERS: Final[Mapping[type[Parameter], tuple[Callable[[str], object], str]]] = {
    kinds.Id: (parse.number, "ID"),
    kinds.Row: (parse.number, "ROWS"),
    kinds.Byte: (parse.number, "ID"),
    kinds.Text: (parse.text, "TEXT"),
    kinds.Money: (parse.amount, "AMOUNT"),
    kinds.Date: (parse.day, "DATE"),
    kinds.ModifiedDate: (parse.day, "DATE"),
    kinds.Moment: (parse.moment, "TIME"),
}
_ERASERS: Final = "Erase what is stored"
#: Of ``--period`` and what goes with it.
_MATCH: Final = "match"
_LONGEST: Final = "longest"
_PERIOD: Final = "period"
_TOTALS: Final = "totals"
_LIMIT: Final = "limit"
_KIND: Final = "kind"
_CURRENCY: Final = "currency"
#: Options of lists, which are no parameters of a call.
_OF_LISTS: Final = frozenset({_TOTALS, _LIMIT, _KIND, _CURRENCY})
#: Lists that come in pages or as a stream.
_LISTS: Final = frozenset({ResponseShape.PAGE, ResponseShape.STREAM})


def add_to(app: typer.Typer) -> None:
    """Add the groups of commands, and the commands, to the application."""
    groups = {"": app}
    for path, text in GROUPS.items():
        groups[path] = typer.Typer(cls=CommandGroup, help=text)
        above, _, name = path.rpartition(" ")
        groups[above].add_typer(groups[path], name=name)
    for each in COMMANDS:
        function = _command(each)
        for path, panel in each.paths():
            group, _, name = path.rpartition(" ")
            add = groups[group].command(
                name,
                cls=AllErrors,
                help=each.help,
                epilog=example_line(path, each.example),
                rich_help_panel=panel,
            )
            add(function)
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    groups["bills"].command("mark-sent", hidden=True, context_settings=anything)(_sent_to_whom)


def _sent_to_whom() -> None:
    """Say which bills are sent: an affiliate's is received, then paid."""
    print_error("whose bill was sent? bills advertiser mark-sent, or bills buyer mark-sent")
    raise typer.Exit(USAGE)


def _command(text: CommandText) -> Callable[..., None]:
    operation = text.operation

    def run(session: CommandSession, **values: Any) -> None:  # noqa: ANN401 - of many types
        _carry_out(text, session, values)

    return with_session(
        run,
        [option.parameter() for option in _options(text)],
        writes=operation.idempotency is not Idempotency.SAFE,
        v1=operation.api is Api.V1,
        check=_check_of(text),
    )


# The options of a command.


def _options(text: CommandText) -> list[Option]:
    """Return the options of a command, those that are required first."""
    operation = text.operation
    found = list(_of_parameters(text))
    if operation.shape is ResponseShape.MARK:
        found.append(_period(catalogue.PERIOD_OF_A_BILL))
    if operation.model is Invoice and operation.shape in _LISTS:
        found += [
            Option(_KIND, catalogue.KIND, parse.one_of(InvoiceKind), "|".join(InvoiceKind)),
            Option(_CURRENCY, catalogue.CURRENCY, parse.text, "CODE"),
        ]
    if operation.shape in _LISTS:
        found.append(Option(_LIMIT, catalogue.LIMIT, parse.count, "ROWS"))
        if layout_of(operation.model).added_up:
            found.append(Option(_TOTALS, catalogue.TOTALS))
    return sorted(found, key=lambda option: (option.panel == _ERASERS, not option.required))


def _of_parameters(text: CommandText) -> Iterator[Option]:
    operation = text.operation
    dates, hidden = _dates(operation), catalogue.set_by_client(operation)
    for each in operation.parameters:
        if each.name in hidden:
            continue
        if dates and each.name == dates[0]:
            yield from _of_period(operation)
        if each.name in dates and operation.api is Api.V1:  # whose end is the day after the last
            continue
        yield _option(text, each)
        if each.erasable:
            dated = isinstance(each, kinds.Date)
            what = "date" if dated else each.name.replace("_", " ")
            yield Option(f"erase_{each.name}", f"Erase the stored {what}.", panel=_ERASERS)


def _option(text: CommandText, parameter: Parameter) -> Option:
    name = parameter.name
    help_ = text.helps.get(name) or catalogue.HELPS[name]
    if isinstance(parameter, kinds.Bool):
        return Option(name, help_)
    default = catalogue.DEFAULTS.get(name)
    read: Callable[[str], object]
    called = option_of(name)
    positional = not called.startswith("-")
    if isinstance(parameter, kinds.Choice):
        known = [each.value for each in parameter.choices]
        read, metavar = parameter.choices, name.rpartition("_")[2].upper()
        help_ = f"{help_}: {', '.join(known[:-1])} or {known[-1]}."
    else:
        read, metavar = _READERS[type(parameter)]
    return Option(
        name,
        help_,
        read,
        called if positional else metavar,
        names=() if positional else (called,),
        default=default,
        required=parameter.required and default is None,
        positional=positional,
    )


def _dates(operation: Operation[Any]) -> tuple[str, ...]:
    """Return the names of the two dates that ``--period`` stands for."""
    if operation.shape not in {ResponseShape.PAGE, ResponseShape.STREAM}:
        return ()
    return tuple(each.name for each in operation.parameters if each.name in catalogue.DATES)


def _of_period(operation: Operation[Any]) -> Iterator[Option]:
    if operation.api is Api.V1:
        yield _period(catalogue.PERIOD_OF_BILLS, required=True)
        return
    yield _period(catalogue.PERIOD_OF_INVOICES)
    yield Option(_MATCH, catalogue.MATCH, str, "MATCH", default="inside")
    yield Option(_LONGEST, catalogue.LONGEST, parse.days, "DAYS")


def _period(text: str, *, required: bool = False) -> Option:
    return Option(_PERIOD, text, parse.period, "PERIOD", required=required)


# The values of the options, as arguments.


def _arguments(
    operation: Operation[Any], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the arguments of the client's method, and the problems of combining them."""
    erasers = {each.name: f"erase_{each.name}" for each in operation.parameters if each.erasable}
    problems: list[Problem] = []
    arguments = {
        name: value
        for name, value in values.items()
        if value is not None and name not in erasers.values()
    }
    for name, eraser in erasers.items():
        if values.get(eraser):
            if name in arguments:
                problems.append(Problem(name, f"cannot be combined with {option_of(eraser)}"))
            arguments[name] = ERASE
    return arguments, problems


def _check_of(text: CommandText) -> Check:
    operation = text.operation
    known = {each.name: each for each in operation.parameters}

    def check(values: Mapping[str, Any], unread: frozenset[str]) -> list[Problem]:
        own = {option.name for option in _options(text)} - _OF_LISTS
        arguments, problems = _arguments(operation, {name: values.get(name) for name in own})
        binding = binding_of(values)
        problems += _refuse_get(operation, arguments, values.get("binding"))
        for name, value in arguments.items():
            if name in known and (reason := _reason(operation, known[name], value)):
                arguments[name] = InvalidArgument((Problem(name, reason),))
        # The problem of an option that cannot be read is reported already.
        arguments |= dict.fromkeys(unread & own, InvalidArgument(()))
        _put_dates(operation, arguments, unread)
        try:
            prepare(operation, arguments, binding)
        except ArgumentError as error:
            problems += error.problems
        return [each for each in problems if unread.isdisjoint(each.name.split(", "))]

    return check


def _refuse_get(
    operation: Operation[Any], arguments: Mapping[str, Any], binding: Binding | None
) -> list[Problem]:
    if binding is not Binding.GET:
        return []
    return [
        Problem("binding", f"get cannot be combined with {option_of(name)}, which moves money")
        for name, value in arguments.items()
        if value is True and operation.idempotency_of({name: value}) is not operation.idempotency
    ]


def _reason(operation: Operation[Any], parameter: Parameter, value: object) -> str | None:
    """Return why a value is refused, if the client's reason would name Python's SKIP and ERASE."""
    name = parameter.name
    if isinstance(parameter, kinds.Byte) and value == 0:
        return "0 is not allowed: leave the option out"
    if not isinstance(parameter, kinds.Text) or operation.api is not Api.V1:
        return None
    if value == "":
        return f"an empty text is not allowed: {option_of(f'erase_{name}')} erases the stored value"
    if value == "NULL":
        return (
            "the text 'NULL' is not allowed, since CAKE erases the stored value by it: "
            f"{option_of(f'erase_{name}')} does that"
        )
    return None


def _put_dates(
    operation: Operation[Any], arguments: dict[str, Any], unread: frozenset[str]
) -> None:
    """Replace a period by its dates."""
    dates = _dates(operation)
    period = arguments.pop(_PERIOD, SKIP)
    match, longest = arguments.pop(_MATCH, "inside"), arguments.pop(_LONGEST, SKIP)
    if not dates:
        return
    start, end = (arguments.get(name, SKIP) for name in dates)
    if not unread.isdisjoint({_PERIOD, _MATCH, _LONGEST, *dates}):
        # An option of the period is missing, so only each date by itself can be checked.
        first, last = (InvalidArgument(()) if each is SKIP else each for each in (start, end))
    elif operation.api is Api.V1:
        first, last = period_bounds(period, start, end, exclusive_end=True)
    else:
        first, last = matched_days(period, start, end, match, longest)
    arguments |= dict(zip(dates, (first, last), strict=True))


# What a command does.


def _carry_out(text: CommandText, session: CommandSession, values: dict[str, Any]) -> None:
    operation = text.operation
    period = values.pop(_PERIOD, None) if operation.shape is ResponseShape.MARK else None
    of_list = {name: values.pop(name, None) for name in _OF_LISTS}
    arguments, _ = _arguments(operation, values)
    layout = layout_of(operation.model)
    group, _, name = operation.name.partition(".")

    def method(client: Client) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(getattr(client, group), name)
        return found

    def call(client: Client) -> Any:  # noqa: ANN401 - of any operation
        return method(client)(**arguments)

    async def pages(client: Client, write: Callable[[object], object], advance: Advance) -> None:
        async with call(client).pages() as found:
            async for page in found:
                for record in page.items:
                    write(record)
                advance(len(page.items), page.total_rows)

    if operation.idempotency is not Idempotency.SAFE:
        session.write(
            layout, Prompt(text, period), lambda client: bulk.call(method(client), **arguments)
        )
        return
    match operation.shape:
        case ResponseShape.PAGE | ResponseShape.STREAM:
            read: Read[Any] = pages if operation.shape is ResponseShape.PAGE else streamed(call)
            read = chosen(read, of_list[_KIND], of_list[_CURRENCY])
            read = first(read, of_list[_LIMIT])
            what = operation.element.rpartition("_")[2]
            if of_list[_TOTALS]:
                session.read(layout_of(Total), what, summed(read))
            else:
                session.read(layout, what, read)
        case ResponseShape.ROWS:
            session.show_all(layout, call)
        case _:
            session.show(layout, call)
