"""What the commands that call an instance share: how they read, and how they write."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import attrs

from aiocake import Client
from aiocake._operations.operation import ExportedBills
from aiocake.bulk import Call
from aiocake.cli.connection import Connection
from aiocake.cli.formats import RecordLayout
from aiocake.cli.output import Output
from aiocake.cli.progress import Advance, bar
from aiocake.cli.prompts import Prompt, prompt_of
from aiocake.cli.terminal import confirm, need_terminal

T = TypeVar("T")


@attrs.frozen
class CommandSession:
    """One run of a command against an instance.

    Attributes:
        connect: Gives the instance; asks for the key where nothing else gives it.
        output: Where records go.
        confirmed: Whether writes are sent without asking.
    """

    connect: Callable[[], Connection]
    output: Output
    confirmed: bool

    def read(
        self,
        kind: RecordLayout[T],
        what: str,
        work: Callable[[Client, Callable[[T], object], Advance], Awaitable[None]],
    ) -> None:
        """Write the records of a long list as they arrive, with a bar beside a file.

        Args:
            kind: The kind of record.
            what: What the bar counts.
            work: Is called with a client, a function that takes a record, and one that takes the
                progress.
        """
        connection = self.connect()
        with (
            self.output.records(kind) as write,
            bar(what, hidden=not self.output.goes_to_a_file) as advance,
        ):
            connection.run(lambda client: work(client, write, advance))

    def stream(self, kind: RecordLayout[T], export: Callable[[Client], ExportedBills[T]]) -> None:
        """Write bills as they arrive, with a bar beside a file."""

        async def work(client: Client, write: Callable[[T], object], advance: Advance) -> None:
            async with export(client) as bills:
                async for bill in bills:
                    write(bill)
                    advance(1, bills.row_count)

        self.read(kind, "bills", work)

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
