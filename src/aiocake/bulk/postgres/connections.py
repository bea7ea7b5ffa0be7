"""Connections to PostgreSQL without visible secrets: sync ones of psycopg, one for each journal.

psycopg's own async connection knows asyncio only (https://github.com/psycopg/psycopg/issues/29), so
a journal uses a sync one in a thread, on trio as well.

Nothing that is done with a connection outlives a statement, but for the read transaction of who
looks at a journal. So PgBouncer may stand in between, with a pool for each transaction: no prepared
statement, LISTEN or session lock is used, and no setting but two that PgBouncer keeps for each
client, where the role's are others (:data:`_NEEDED`). What a role or a database has for its default
(``ALTER ROLE … SET default_transaction_isolation``) reaches each transaction, so each says its
isolation itself: see :data:`READ_COMMITTED`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from aiocake._normalize import class_name
from aiocake.errors import ConfigurationError, JournalError

if TYPE_CHECKING:
    import psycopg

#: Seconds to wait for a connection, unless the connection string says otherwise.
_TO_CONNECT: Final = "10"
#: What else is asked for, with the same exception: to notice soon that a server has gone.
_DEFAULTS: Final = {
    "application_name": "aiocake",
    "connect_timeout": _TO_CONNECT,
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
#: What a role may have otherwise, and a session must not. PgBouncer keeps both for each client
#: (https://www.pgbouncer.org/config.html, "track_extra_parameters"). Plans and names are of any
#: letters; and where backslashes escape, psycopg escapes those of a bytea[] twice.
_NEEDED: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
#: Of a transaction that may only read.
_READ_ONLY: Final = "25006"
#: The classes and codes of errors after which the same may go well: the connection failed, the
#: server is starting, stopping or a standby, or somebody's time-out or lock was in the way.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING: Final = ("08", "40", "57P", "57014", "55P03", _READ_ONLY, "53300")
#: Goes before a statement, in one message with it: both are one transaction then, which is over
#: when its response comes (https://www.postgresql.org/docs/current/protocol-flow.html, "Multiple
#: Statements in a Simple Query"). With the values as literals, since no other kind of message has
#: two statements.
READ_COMMITTED: Final = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n"


class Unreachable(JournalError):
    """The database cannot be reached, at least not now."""


@attrs.frozen(repr=False)
class Connector:
    """Opens connections.

    Attributes:
        parameters: Those of libpq; what they do not say, its environment does.
        connect: Opens a connection in place of that.
    """

    parameters: dict[str, Any]
    connect: "Callable[[], psycopg.Connection[Any]] | None"

    def __repr__(self) -> str:
        return "Connector()"

    def open(self) -> "psycopg.Connection[Any]":
        """Open a connection that commits each statement by itself.

        Raises:
            Unreachable: It cannot be opened.
        """
        import psycopg  # noqa: PLC0415 - an extra

        try:
            opened: object
            if self.connect is not None:
                opened = self.connect()
            else:
                opened = psycopg.Connection.connect(**self.parameters)
            if isinstance(opened, psycopg.Connection):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
                return _prepared(opened)
            text = f"connect: must return a psycopg.Connection, got {class_name(opened)}"
        except Exception as error:  # noqa: BLE001 - the caller's too, whose text may hold anything
            text = f"connect: it raised {type(error).__name__}"
            # One of a connection string repeats it, with the password in it.
            if isinstance(error, psycopg.Error) and not isinstance(error, psycopg.ProgrammingError):
                text = self.cleaned(error)
        # Not where psycopg's own error is known: its frames hold the password.
        raise Unreachable(f"no connection to PostgreSQL: {text}")

    def cleaned(self, error: Exception) -> str:
        """Return the message of an error on one line, without the password."""
        diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
        text = " ".join(str(diagnosis or error).split())
        if getattr(error, "sqlstate", None) == _READ_ONLY:
            text += " (default_transaction_read_only is on, or the server is a standby)"
        password = self.parameters.get("password")
        return text.replace(str(password), "<password>") if password else text


def _prepared(connection: "psycopg.Connection[Any]") -> "psycopg.Connection[Any]":
    """Return a connection as all use it; close it if it cannot be."""
    from psycopg.rows import tuple_row  # noqa: PLC0415 - the same

    try:
        connection.autocommit = True
        connection.prepare_threshold = None
        connection.row_factory = tuple_row
        for name, value in _NEEDED.items():
            if (connection.info.parameter_status(name) or value).upper() != value.upper():
                connection.execute(cast("Any", f"SET {name} TO {value}"))
    except BaseException:
        connection.close()
        raise
    return connection


def carry_out(
    connection: "psycopg.Connection[Any]",
    statement: str,
    values: Mapping[str, object] | Sequence[object] | None = None,
) -> list[tuple[Any, ...]]:
    """Carry one statement out, in a transaction of its own if there is none; return its rows.

    It sees what others commit while it waits for them, as ``READ COMMITTED`` has it. With a
    stricter default of the role's it would end in error 40001 instead, whenever it had to wait.

    Raises:
        psycopg.Error: It failed: nothing of it was carried out, or its response is lost.
    """
    import psycopg  # noqa: PLC0415 - an extra

    alone = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(cast("Any", READ_COMMITTED * alone + statement), values)
        if alone:
            cursor.nextset()
        return cursor.fetchall() if cursor.description else []


def connector(
    conninfo: str | None, connect: "Callable[[], psycopg.Connection[Any]] | None"
) -> Connector:
    """Return a connector for a connection string or a function.

    Args:
        conninfo: A connection string of libpq, or a URL; None for libpq's own environment.
        connect: Opens a connection; in place of ``conninfo``.

    Raises:
        ModuleNotFoundError: The extra is missing.
        ConfigurationError: The string is none of libpq's.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same
    except ImportError as error:
        # Where psycopg finds no libpq it says so without a name, and the extra brings one.
        missing = error.name or "psycopg"
        raise ModuleNotFoundError(
            f"aiocake.bulk.postgres: {missing} missing: pip install 'aiocake[postgres]'",
            name=missing,
        ) from None
    if connect is not None and conninfo is not None:
        raise ConfigurationError("conninfo and connect: give one of the two")
    known: dict[str, Any] | None = None
    with suppress(psycopg.Error, TypeError, ValueError, AttributeError):
        known = conninfo_to_dict(conninfo or "")
    if known is None:  # and not where libpq says what it could not read: the string itself
        raise ConfigurationError("conninfo: is not a connection string or URL of libpq")
    return Connector({**_DEFAULTS, **known}, connect)


def is_passing(error: Exception) -> bool:
    """Return True if a retry over another connection, or a moment later, may succeed."""
    import psycopg  # noqa: PLC0415 - an extra

    if not isinstance(error, psycopg.Error):
        return False
    code = error.sqlstate
    if code is None:
        # Said by psycopg or libpq: of the connection, unless it is of the statement.
        return not isinstance(error, psycopg.DataError | psycopg.ProgrammingError)
    return code.startswith(_PASSING)
