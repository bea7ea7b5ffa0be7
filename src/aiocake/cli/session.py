"""What the commands that call an instance share: how they read, and how they write."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import attrs

from aiocake import Binding, Client
from aiocake._operations.operation import ExportedBills
from aiocake.bulk import Call
from aiocake.cli.connection import Connection
from aiocake.cli.formats import OutputFormat, RecordLayout
from aiocake.cli.output import Output
from aiocake.cli.progress import Advance, bar

T = TypeVar("T")


@attrs.frozen
class CommandSession:
    """One run of a command against an instance.

    Attributes:
        connect: Gives the instance, once the command's own options are seen to be right.
        output: Where records go.
        confirmed: Whether writes are sent without asking.
        binding: The form of v1 calls that was asked for.
    """

    connect: Callable[[], Connection]
    output: Output
    confirmed: bool
    binding: Binding | None

    @classmethod
    def rehearsal(cls) -> "CommandSession":
        """One that finds out what is wrong with arguments, and sends and writes nothing."""
        return cls(
            Connection.rehearsal, Output(OutputFormat.TABLE, None), confirmed=True, binding=None
        )

    def read(
        self,
        kind: RecordLayout[T],
        what: str,
        work: Callable[[Client, Callable[[T], object], Advance], Awaitable[None]],
    ) -> None:
        """Write all records of a long list as they come, with a bar beside a file.

        Args:
            kind: The kind of record.
            what: What the bar counts.
            work: Gets a client, what takes a record, and what is told the progress.
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
        """Write all records that a call gives."""
        connection = self.connect()
        with self.output.records(kind) as write:
            for record in connection.run(call):
                write(record)

    def show(self, kind: RecordLayout[T], call: Callable[[Client], Awaitable[T]]) -> None:
        """Write the one record that a call gives."""
        connection = self.connect()
        with self.output.record(kind) as write:
            write(connection.run(call))

    def write(self, kind: RecordLayout[T], what: str, call: Callable[[Client], Call[T]]) -> None:
        """Have a write confirmed, send it, and write the record that it gives.

        Args:
            kind: The kind of record.
            what: What is going to be done, without what is set by it.
            call: The write.

        Raises:
            OutputError: The answer could not be written; it says what became of the write.
            Interrupted: A signal came; the same.
        """
        connection = self.connect()
        # A file that cannot be made is found out before anything is sent.
        with connection.accounted(), self.output.record(kind) as write:
            if not self.confirmed:
                connection.confirm(what, call)
            write(connection.send(call))
