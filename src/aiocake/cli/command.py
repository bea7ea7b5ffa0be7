"""Turn functions into commands, with a session and the options that all commands share.

A :class:`CommandSession` is one run of a command against an instance: it reads, writes and shows
records.
"""

import inspect
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import attrs

from aiocake import ArgumentError, Client, Invoice, InvoiceKind
from aiocake._operations.operation import ExportedBills
from aiocake.bulk import Call
from aiocake.cli.connection import BINDING_OPTION, CONNECTION_OPTIONS, Connection, files_of
from aiocake.cli.errors import Check, print_error
from aiocake.cli.formats import OutputFormat, RecordLayout
from aiocake.cli.help import paragraphs
from aiocake.cli.options import YES, Option
from aiocake.cli.output import OUTPUT_OPTIONS, Output
from aiocake.cli.prompts import Prompt, prompt_of
from aiocake.cli.terminal import Advance, bar, confirm, is_terminal, need_terminal
from aiocake.errors import Problem
from aiocake.models import Total
from aiocake.models.totals import Tally

P = ParamSpec("P")
T = TypeVar("T")

#: Reads records with a client, gives each to a function, and its progress to another.
Read = Callable[[Client, Callable[[T], object], Advance], Awaitable[None]]


@attrs.frozen
class CommandSession:
    """One run of a command against an instance.

    Attributes:
        connect: Gives the instance; asks for the key where nothing else gives it.
        output: Where records go.
        confirmed: True to send writes without asking.
    """

    connect: Callable[[], Connection]
    output: Output
    confirmed: bool

    def read(self, kind: RecordLayout[T], what: str, work: Read[T]) -> None:
        """Write the records of a long list as they arrive, with a bar beside a file.

        Args:
            kind: The kind of record.
            what: What the bar counts.
            work: Is called with a client, a function that takes a record, and one that takes the
                progress.
        """
        connection = self.connect()
        counts = itertools.count()
        with (
            self.output.records(kind) as write,
            bar(what, hidden=not self.output.goes_to_a_file) as advance,
        ):

            def counted(record: T) -> None:
                write(record)
                next(counts)

            connection.run(lambda client: work(client, counted, advance))
        if self.output.file is not None and is_terminal(sys.stderr):
            print_error(f"rows written to {self.output.file}: {next(counts):,}")

    def show_all(
        self, kind: RecordLayout[T], call: Callable[[Client], Awaitable[Iterable[T]]]
    ) -> None:
        """Write all records that a call returns."""
        connection = self.connect()
        with self.output.records(kind) as write:
            for record in connection.run(call):
                write(record)

    def show(self, kind: RecordLayout[T], call: Callable[[Client], Awaitable[T]]) -> None:
        """Write the one record that a call returns."""
        connection = self.connect()
        with self.output.record(kind) as write:
            write(connection.run(call))

    def write(
        self, kind: RecordLayout[T], prompt: Prompt, call: Callable[[Client], Call[T]]
    ) -> None:
        """Ask about a write, send it, and write the record that it returns.

        Raises:
            OutputError: The record could not be written; it says what became of the write.
            Interrupted: A signal came; it says what became of the write.
        """
        connection = self.connect()

        async def ask(client: Client) -> str:
            write: Call[Any] = call(client)  # refuses what cannot be sent
            need_terminal(sys.stdin)
            return await prompt_of(prompt, client, write)

        # A file that cannot be made is found out before anything is sent.
        with connection.accounted(), self.output.record(kind) as put:
            if not self.confirmed:
                confirm(f"{connection.run(ask)}, at {connection.domain}")
            put(connection.send(call))


def streamed(export: Callable[[Client], ExportedBills[T]]) -> Read[T]:
    """Return a reader of bills as they arrive."""

    async def work(client: Client, write: Callable[[T], object], advance: Advance) -> None:
        async with export(client) as bills:
            async for bill in bills:
                write(bill)
                advance(1, bills.row_count)

    return work


def chosen(read: Read[Invoice], kind: InvoiceKind | None, currency: str | None) -> Read[Invoice]:
    """Return a reader that keeps only the invoices of a kind and a currency."""
    if kind is None and currency is None:
        return read

    code = currency and currency.upper()

    async def work(client: Client, write: Callable[[Invoice], object], advance: Advance) -> None:
        def put(invoice: Invoice) -> None:
            if kind in {None, invoice.kind} and code in {None, (invoice.currency or "").upper()}:
                write(invoice)

        await read(client, put, advance)

    return work


class _Enough(Exception):
    """Stops a list once it has yielded enough records."""


def first(read: Read[T], most: int | None) -> Read[T]:
    """Return a reader that stops after a number of records."""
    if most is None:
        return read

    async def work(client: Client, write: Callable[[T], object], advance: Advance) -> None:
        passed = 0

        def put(record: T) -> None:
            nonlocal passed
            write(record)
            passed += 1
            if passed == most:
                raise _Enough

        with suppress(_Enough):
            await read(client, put, advance)

    return work


def summed(read: Read[Any]) -> Read[Total]:
    """Return a reader that yields the totals of the records instead of the records."""

    async def work(client: Client, write: Callable[[Total], object], advance: Advance) -> None:
        tally = Tally()
        await read(client, tally.add, advance)
        for total in tally.totals():
            write(total)

    return work


YES_OPTION: Final = Option(
    "yes",
    YES,
    names=("--yes", "-y"),
)


def _no_problems(values: Mapping[str, Any], unread: frozenset[str]) -> list[Problem]:
    del values, unread
    return []


def with_session(
    function: Callable[..., None],
    own: Iterable[inspect.Parameter],
    *,
    writes: bool = False,
    v1: bool = False,
    check: Check = _no_problems,
) -> Callable[..., None]:
    """Return a command that calls an instance.

    Args:
        function: Gets a session first, and the values of its own options by name.
        own: The parameters of its own options.
        writes: True to ask before anything is sent.
        v1: True if it calls API version 1, so that the binding can be chosen.
        check: Checks the values of its own options.
    """
    shared = [
        *([YES_OPTION] if writes else []),
        *OUTPUT_OPTIONS,
        *CONNECTION_OPTIONS,
        *([BINDING_OPTION] if v1 else []),
    ]

    def run(**values: Any) -> None:  # noqa: ANN401 - of many types
        ours = {option.name: values.pop(option.name) for option in shared}
        connect = partial(Connection.of, ours)
        session = CommandSession(connect, _output(ours), confirmed=ours.get("yes", False))
        function(session, **values)

    def problems(values: Mapping[str, Any], unread: frozenset[str]) -> list[Problem]:
        return [*_problems_of_output(values, unread), *check(values, unread)]

    return _shown(run, function, [*own, *(option.parameter() for option in shared)], problems)


def with_connection(
    function: Callable[..., None],
    own: Iterable[inspect.Parameter],
    *,
    check: Check = _no_problems,
) -> Callable[..., None]:
    """Return a command that calls an instance and shows no records.

    Args:
        function: Gets a function that connects first, and the values of its own options by name.
        own: The parameters of its own options.
        check: Checks the values of its own options.
    """
    shared = [*CONNECTION_OPTIONS, BINDING_OPTION]

    def run(**values: Any) -> None:  # noqa: ANN401 - of many types
        ours = {option.name: values.pop(option.name) for option in shared}
        function(partial(Connection.of, ours), **values)

    return _shown(run, function, [*own, *(option.parameter() for option in shared)], check)


def command(
    *, writes: bool = False
) -> Callable[[Callable[Concatenate[CommandSession, P], None]], Callable[..., None]]:
    """Turn a function of a session and options into a command."""
    return lambda function: with_session(function, _own(function), writes=writes)


def with_output(function: Callable[Concatenate[Output, P], None]) -> Callable[..., None]:
    """Turn a function of an output and options into a command."""

    def run(**values: Any) -> None:  # noqa: ANN401 - of many types
        ours = {option.name: values.pop(option.name) for option in OUTPUT_OPTIONS}
        write: Callable[..., None] = function
        write(_output(ours), **values)

    offered = [*_own(function), *(option.parameter() for option in OUTPUT_OPTIONS)]
    return _shown(run, function, offered, _problems_of_output)


def _own(function: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())[1:]


def _shown(
    run: Callable[..., None],
    function: Callable[..., None],
    offered: list[inspect.Parameter],
    check: Check,
) -> Callable[..., None]:
    """Give a function the name, help and options of a command, by which Typer knows it."""
    run.__name__ = function.__name__
    run.__doc__ = paragraphs(function.__doc__)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in offered}
    # Typer passes all of them by name.
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in offered]
    vars(run)["__signature__"] = inspect.Signature(by_name)
    vars(run)["check"] = check
    return run


def _output(values: Mapping[str, Any]) -> Output:
    form = values["form"]
    if values["json"]:
        if form not in {None, OutputFormat.JSON}:
            raise ArgumentError(Problem("json", f"cannot be combined with --format {form}"))
        form = OutputFormat.JSON
    passed = {name: values[name] for name in ("excel", "raw", "columns", "template")}
    return Output.of(form, values["out"], **passed)


def _problems_of_output(values: Mapping[str, Any], unread: frozenset[str]) -> list[Problem]:
    if not unread.isdisjoint(option.name for option in OUTPUT_OPTIONS):
        return []
    try:
        output = _output(values)
        if "domain" in values:
            output.spare(*files_of(values))
    except ArgumentError as error:
        return list(error.problems)
    return []
