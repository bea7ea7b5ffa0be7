"""Connections to PostgreSQL without visible secrets: sync ones of psycopg, one for each journal.

psycopg's own async connection knows asyncio only (https://github.com/psycopg/psycopg/issues/29), so
a journal uses a sync one in a thread, on trio as well.

Nothing that is done with a connection outlives a statement, but for the read transaction of who
looks at a journal. So PgBouncer may stand in between, with a pool for each transaction: no prepared
statement, LISTEN, session lock or setting is used.
"""

from collections.abc import Callable  # noqa: TC003 - imported like the others
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

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
#: The classes and codes of errors after which the same may go well: the connection failed, the
#: server is starting, stopping or a standby, or somebody's time-out or lock was in the way.
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING: Final = ("08", "40", "57P", "57014", "55P03", "25006", "53300")


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
                connection: psycopg.Connection[Any] = opened
                _prepare(connection)
                return connection
            text = f"connect: must return a psycopg.Connection, got {class_name(opened)}"
        except psycopg.Error as error:
            text = self.cleaned(error)
        except Exception as error:  # noqa: BLE001 - the caller's, whose text may hold anything
            text = f"connect: it raised {type(error).__name__}"
        # Not where psycopg's own error is known: its frames hold the password.
        raise Unreachable(f"no connection to PostgreSQL: {text}")

    def cleaned(self, error: Exception) -> str:
        """Return the message of an error on one line, without the password."""
        diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
        text = " ".join(str(diagnosis or error).split())
        password = self.parameters.get("password")
        return text.replace(str(password), "<password>") if password else text


def _prepare(connection: "psycopg.Connection[Any]") -> None:
    from psycopg.rows import tuple_row  # noqa: PLC0415 - the same

    connection.autocommit = True
    connection.prepare_threshold = None
    connection.row_factory = tuple_row


def connector(
    conninfo: str | None, connect: "Callable[[], psycopg.Connection[Any]] | None"
) -> Connector:
    """Return a connector for a connection string or a function.

    Args:
        conninfo: A connection string of libpq, or a URL; None for libpq's own environment.
        connect: Opens a connection; in place of ``conninfo``.

    Raises:
        ConfigurationError: The extra is missing, or the string is none of libpq's.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same
    except ImportError as error:
        raise ConfigurationError(
            f"{error.name or 'psycopg'} is missing: pip install 'aiocake[postgres]'"
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
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return code.startswith(_PASSING)
