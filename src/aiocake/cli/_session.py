"""What the commands that call an instance share: their options, and how they read and write."""

import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import attrs
import typer

from aiocake import Client
from aiocake.cli._connection import ApiKeyOption, Connection, DomainOption, KeyFileOption
from aiocake.cli._formats import Format, Kind
from aiocake.cli._output import FormatOption, OutOption, Output, OutputError
from aiocake.cli._progress import Advance, bar
from aiocake.values import ERASE, SKIP

__all__ = ["Session", "changes", "reading", "writing"]

T = TypeVar("T")
P = ParamSpec("P")

YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask first, as it is done on a terminal.")
]


@attrs.frozen
class Session:
    """One run of a command against an instance.

    Attributes:
        connect: Gives the instance, once the command's own options are seen to be right.
        output: Where records go.
        confirmed: Whether writes are sent without asking.
    """

    connect: Callable[[], Connection]
    output: Output
    confirmed: bool = False

    @classmethod
    def of(  # noqa: PLR0913 - the options that commands share
        cls,
        *,
        form: Format | None,
        out: Path | None,
        domain: str | None,
        key_file: Path | None,
        api_key: str | None,
        yes: bool = False,
    ) -> "Session":
        """The session that the shared options describe."""
        return cls(partial(Connection.of, domain, key_file, api_key), Output.of(form, out), yes)

    def read(
        self,
        kind: Kind[T],
        what: str,
        work: Callable[[Client, Callable[[T], object], Advance], Awaitable[None]],
    ) -> None:
        """Write all records of a list as they come, with a bar.

        Args:
            kind: The kind of record.
            what: What the bar counts.
            work: Gets a client, what takes a record, and what is told the progress.
        """
        connection = self.connect()
        with (
            self.output.records(kind) as write,
            bar(what, hidden=self.output.on_terminal) as advance,
        ):
            connection.run(lambda client: work(client, write, advance))

    def show(self, kind: Kind[T], call: Callable[[Client], Awaitable[T]]) -> None:
        """Write the one record that a call gives."""
        connection = self.connect()
        with self.output.record(kind) as write:
            write(connection.run(call))

    def write(self, kind: Kind[T], what: str, call: Callable[[Client], Awaitable[T]]) -> None:
        """Have a write confirmed, send it, and write the record that it gives.

        Args:
            kind: The kind of record.
            what: What is going to be written, as a question without its mark.
            call: The write.

        Raises:
            OutputError: The answer could not be written; it says what became of the write.
        """
        connection = self.connect()
        try:
            # A file that cannot be made is found out before anything is sent.
            with self.output.record(kind) as write:
                if not self.confirmed:
                    connection.confirm(what, call)
                write(connection.run(call))
        except OutputError as error:
            message = f"{error}{connection.writes}"
            raise OutputError(message) from None


def changes(**values: object) -> str:
    """What else a write sets, as the rest of a question: what is skipped is left out.

    Args:
        values: The values by their names.
    """
    return "".join(
        f", {name.replace('_', ' ')} {_in_words(value)}"
        for name, value in values.items()
        if value is not SKIP
    )


def _in_words(value: object) -> str:
    if value is ERASE:
        return "erased"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _option(name: str, annotation: object, default: object = None) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


_SHARED: Final = (
    _option("form", FormatOption),
    _option("out", OutOption),
    _option("domain", DomainOption),
    _option("key_file", KeyFileOption),
    _option("api_key", ApiKeyOption),
)
_YES: Final = _option("yes", YesOption, default=False)


def reading(command: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
    """Give a command the options of a read, as a session."""
    return _with_options(command, _SHARED)


def writing(command: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
    """Give a command the options of a write, as a session."""
    return _with_options(command, (_YES, *_SHARED))


def _with_options(
    command: Callable[Concatenate[Session, P], None], options: tuple[inspect.Parameter, ...]
) -> Callable[P, None]:
    signature = inspect.signature(command, eval_str=True)
    _, *own = signature.parameters.values()

    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # Typer gives each of them, by the signature below.
        shared: dict[str, Any] = {option.name: kwargs.pop(option.name) for option in options}
        command(Session.of(**shared), *args, **kwargs)

    offered = [*own, *options]
    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__annotations__ = {option.name: option.annotation for option in offered}
    vars(run)["__signature__"] = signature.replace(parameters=offered)
    return run
