"""``Postgres``: the runs of a schema, and the outbox that plans one in the caller's transaction."""

from collections.abc import Callable  # noqa: TC003 - imported like the others
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from aiocake._normalize import (
    FUNCTION,
    YES_OR_NO,
    Wanted,
    a_number,
    class_name,
    guarded,
    misfit,
    normalized,
    or_none,
    real,
)
from aiocake.bulk.plan import Calls
from aiocake.bulk.postgres.connections import connector
from aiocake.bulk.postgres.migration import migrate, migration
from aiocake.bulk.postgres.outbox import plan_in
from aiocake.bulk.postgres.pace import PostgresPace
from aiocake.bulk.postgres.places import Books, PostgresRun
from aiocake.errors import ArgumentError, Problem

if TYPE_CHECKING:
    import psycopg

#: PostgreSQL cuts longer names.
_LONGEST_NAME: Final = 63
_LONGEST_RUN: Final = 200
_LEASE: Final = a_number("a number of seconds, at least 0.1", least=0.1)
_TEXT: Final[Wanted] = ((lambda value: type(normalized(value)) is str), "a text")


class Postgres:
    """Runs in a schema of PostgreSQL.

    Where the database is, libpq's own environment says (``PGHOST``, ``PGSERVICE``, ``PGPASSFILE``
    and the like: https://www.postgresql.org/docs/current/libpq-envars.html), unless ``conninfo`` or
    ``connect`` does. No repr, message or traceback shows a connection string.

    Args:
        schema: The schema that ``aiocake journal migrate`` has made.
        lease: Seconds that a run may go on sending without a response of the database. When its
            process is killed, nobody else has it before this and the client's ``Timeouts.total``
            are over.
        conninfo: A connection string of libpq, or a URL.
        connect: Opens a ``psycopg.Connection``, in place of that. It is called in a thread, and
            for each new connection.
        allow_foreign_transport: Accept a client with a transport of yours, which cannot be held
            back right before the first byte of a write.

    Raises:
        ModuleNotFoundError: psycopg is missing, which the extra ``postgres`` brings.
        ConfigurationError: ``conninfo`` is none of libpq's.
        ArgumentError: Another argument is invalid.
    """

    def __init__(
        self,
        *,
        schema: str = "aiocake",
        lease: float = 30.0,
        conninfo: str | None = None,
        connect: "Callable[[], psycopg.Connection[Any]] | None" = None,
        allow_foreign_transport: bool = False,
    ) -> None:
        wanted: dict[str, tuple[object, Wanted]] = {
            "schema": (schema, _TEXT),
            "lease": (lease, _LEASE),
            "conninfo": (conninfo, or_none(_TEXT)),
            "connect": (connect, or_none(FUNCTION)),
            "allow_foreign_transport": (allow_foreign_transport, YES_OR_NO),
        }
        problems = [
            Problem(name, reason)
            for name, (value, must) in wanted.items()
            if (reason := misfit(value, must))
        ]
        text = str(schema)
        if not problems and (unfit := _unfit(text)):
            problems.append(Problem("schema", unfit))
        if problems:
            raise ArgumentError(*problems)
        self._books = Books(
            connector(conninfo, connect),
            str(normalized(schema)),
            float(real(lease) or 0.0),
            allow_foreign_transport,
        )

    def __repr__(self) -> str:
        return f"Postgres(schema={self._books.schema!r}, lease={self._books.lease:g})"

    def run(self, name: str) -> PostgresRun:
        """Return a run by its name, for ``journal=``. Does not connect.

        Args:
            name: Any printable text of at most 200 characters, such as ``"payouts-2024-01"``.

        Raises:
            ArgumentError: The name is none.
        """
        return PostgresRun(self._books, _name(name))

    def pace(self, name: str) -> PostgresPace:
        """Return a quota that processes share, by its name, for ``Throttle(shared=…)``.

        Asks nothing. See :mod:`aiocake.quota`.

        Args:
            name: Any printable text of at most 200 characters. Give all processes that share one
                API key the same.

        Raises:
            ArgumentError: The name is none.
        """
        return PostgresPace(self._books, _name(name))

    async def plan(
        self,
        name: str,
        calls: Calls[Any],
        *,
        connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]",
        allow_repeats: bool = False,
    ) -> None:
        """Write the plan of a new run in a transaction of yours. Sends and commits nothing.

        The run is there if, and only if, that transaction commits; then any process can go on with
        it, by :func:`aiocake.bulk.resume` or :func:`aiocake.bulk.carry`. This is an outbox: what
        your own tables say and what will be sent cannot disagree.

        ::

            async with await psycopg.AsyncConnection.connect() as connection:
                await connection.execute("UPDATE payouts SET …")
                await books.plan("payouts-2024-01", calls, connection=connection)

        Args:
            name: The name of the run.
            calls: All of its calls, made by :func:`aiocake.bulk.call`.
            connection: A connection of psycopg in a transaction: an async one, on asyncio, or a
                sync one, which is used in a thread meanwhile. Of SQLAlchemy, that is
                ``connection.connection.driver_connection``.
            allow_repeats: As in :func:`aiocake.bulk.each`.

        Raises:
            ArgumentError: A call is invalid, or the connection is none, or in no transaction.
                Nothing was written.
            JournalError: There is a run of this name, or the schema cannot be used. What was
                written is taken back, up to where this was called.
        """
        await plan_in(self._books, self.run(name), calls, connection, allow_repeats=allow_repeats)

    def migration(self, *, role: str | None = None) -> str:
        """Return the SQL that creates the tables. Does not connect.

        Args:
            role: A role that is to carry out runs, and that does not own the tables: it may not
                change the log.
        """
        return migration(self._books.schema, role)

    async def migrate(self, *, role: str | None = None) -> bool:
        """Create the tables, unless they exist.

        Args:
            role: As in :meth:`migration`.

        Returns:
            True if they were made.

        Raises:
            JournalError: They cannot be made, or those of another version are there.
        """
        return await anyio.to_thread.run_sync(migrate, self._books, role)


def _unfit(schema: str) -> str | None:
    """Return why a text cannot be the name of a schema; None if it can."""
    if not (0 < len(schema.encode()) <= _LONGEST_NAME and schema.isprintable()):
        return f"must have 1 to {_LONGEST_NAME} printable bytes"
    # They stand for something in statements.
    return "must have no %, ?, { or }" if set("%?{}") & set(schema) else None


def _name(name: object) -> str:
    """Return the name of a run or a quota."""
    text = guarded("name", lambda: normalized(name))
    if type(text) is not str:
        raise ArgumentError(Problem("name", f"must be a text, got {class_name(name)}"))
    if not (0 < len(text) <= _LONGEST_RUN and text.isprintable() and text.strip() == text):
        raise ArgumentError(Problem("name", f"must have 1 to {_LONGEST_RUN} printable characters"))
    return text


def named_run(name: str, schema: str | None = None) -> PostgresRun:
    """Return the run that a command names as ``pg:NAME``.

    Raises:
        ModuleNotFoundError: psycopg is missing.
        ArgumentError: The name or the schema is none.
    """
    books = Postgres() if schema is None else Postgres(schema=schema)
    return books.run(name)
