"""A quota in PostgreSQL, beside the runs: one function call for each request.

The function locks the row of the quota, reads the database's clock, and changes the row, all in one
statement that commits by itself. What it writes need not be on the disk at once: after a crash of
the server all processes return to it together, at the pace that is known then
(:mod:`aiocake.quota.store`). So it does not wait for the disk, and a question costs a round trip.
"""

import os
import selectors
import threading
import time
from typing import TYPE_CHECKING, Final

import attrs

from aiocake.bulk.postgres.connections import READ_COMMITTED, Unreachable
from aiocake.bulk.postgres.schema import quoted
from aiocake.quota import QuotaReply, QuotaRequest, QuotaUnavailable

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGconn, PGresult

    from aiocake.bulk.postgres.places import Books

#: Seconds that a response may take.
_PATIENCE: Final = 0.3
#: libpq waits no shorter for a connection: seconds.
_TO_CONNECT: Final = {"connect_timeout": "2"}
#: What was sent is acknowledged within milliseconds, or the network is gone; and the version of
#: libpq that knows this.
_ACKNOWLEDGED: Final = {"tcp_user_timeout": "1000"}
_SINCE: Final = 120_000
_ASK: Final = READ_COMMITTED + "SELECT * FROM {s}.take_turns("  # noqa: S608 - ours


class PostgresPace:
    """A quota in a schema of PostgreSQL, for ``Throttle(shared=…)``. It may serve several clients.

    Made by :meth:`aiocake.bulk.postgres.Postgres.pace`.
    """

    def __init__(self, books: "Books", name: str) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        connector = books.connector
        parameters = {**connector.parameters, **_TO_CONNECT}
        if psycopg.pq.version() >= _SINCE:
            parameters |= _ACKNOWLEDGED
        self._connector = attrs.evolve(connector, parameters=parameters)
        self._statement = _ASK.replace("{s}", quoted(books.schema)).encode()
        self._schema, self._name = books.schema, name
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    @property
    def where(self) -> str:
        """Return where the quota is."""
        return f"schema {self._schema} of PostgreSQL"

    def __repr__(self) -> str:
        return f"<pace {self._name!r} in {self.where}>"

    def ask(self, request: QuotaRequest, /) -> QuotaReply:
        """Carry out a request. Called in the client's thread for its store.

        Raises:
            QuotaUnavailable: The database is not there, is slow, or refuses.
        """
        import psycopg  # noqa: PLC0415 - an extra

        if self._process != os.getpid():
            self._leave_to_parent()
        with self._lock:
            try:
                if self._connection is not None and _has_ended(self._connection):
                    self._close()
                if self._connection is None:
                    self._connection = self._connector.open()
                return self._exchange(self._connection.pgconn, request)
            except Unreachable as error:
                reason = str(error)
            except psycopg.Error as error:
                reason = f"{self.where}: {self._connector.cleaned(error)}"
            # A response that comes later must not be taken for the next one's.
            self._close()
        raise QuotaUnavailable(reason)

    def close(self) -> None:
        """Close the connection. The next request opens another one."""
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _leave_to_parent(self) -> None:
        """Abandon the connection and lock that a fork has copied."""
        if self._connection is not None:
            _parents.append(self._connection)
        self._connection, self._lock, self._process = None, threading.Lock(), os.getpid()

    def _exchange(self, connection: "PGconn", request: QuotaRequest) -> QuotaReply:
        values = (
            self._name,
            request.member,
            request.turns,
            request.interval,
            request.slack,
            request.pause,
            request.refuse,
            request.status,
            request.end_pause,
            request.learned,
            request.version,
            request.refused,
            request.returning,
        )
        literals = b", ".join(_literal(connection, value) for value in values)
        connection.send_query(self._statement + literals + b")")
        return _read(_result(connection))


#: Connections of the process from which this one was forked: closed here, they would end there.
_parents: Final[list[object]] = []


def _has_ended(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Return True if an idle connection is of no use: the server has closed it, or said so."""
    return connection.closed or _is_readable(connection.pgconn, 0)


def _literal(connection: "PGconn", value: float | str | None) -> bytes:
    from psycopg.pq import Escaping  # noqa: PLC0415 - an extra

    if value is None:
        return b"NULL"
    return Escaping(connection).escape_literal(str(value).encode())


def _is_readable(connection: "PGconn", within: float) -> bool:
    with selectors.DefaultSelector() as selector:  # select() knows no number above 1023
        selector.register(connection.socket, selectors.EVENT_READ)
        return bool(selector.select(within))


def _result(connection: "PGconn") -> "PGresult":
    """Wait for the result of a statement, the last one of its message.

    Raises:
        psycopg.OperationalError: There is none in time.
    """
    import psycopg  # noqa: PLC0415 - an extra
    from psycopg.pq import ExecStatus  # noqa: PLC0415 - the same

    ends = time.monotonic() + _PATIENCE
    result: PGresult | None = None
    while True:
        while connection.is_busy():
            left = ends - time.monotonic()
            if left <= 0 or not _is_readable(connection, left):
                raise psycopg.OperationalError("no response in time")
            connection.consume_input()
        following = connection.get_result()
        if following is None:
            break
        result = following
    if result is None or result.status != ExecStatus.TUPLES_OK:
        message = b"" if result is None else result.error_message
        raise psycopg.DatabaseError(message.decode(errors="replace").partition("\n")[0])
    return result


def _read(result: "PGresult") -> QuotaReply:
    texts = [result.get_value(0, column) for column in range(result.nfields)]
    now, base, due, pause, refuse, span, away = (float(text or 0) for text in texts[:7])
    pauses, status, version, admitted, span_admitted, members = (
        int(text or 0) for text in texts[7:13]
    )
    learned = texts[13]
    return QuotaReply(
        now=now,
        base=base,
        due=due,
        pauses=pauses,
        pause=pause,
        refuse=refuse,
        status=status,
        version=version,
        learned=None if learned is None else learned.decode(),
        admitted=admitted,
        span_admitted=span_admitted,
        span=span,
        members=members,
        away=away,
    )
