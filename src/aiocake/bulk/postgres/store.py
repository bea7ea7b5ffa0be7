"""The journal of one run in PostgreSQL, owned by this process or opened to be read.

Every write is fenced: it is carried out only while this process owns the run, by the database's own
clock and in the epoch in which it was taken. A process that lost the run raises
:class:`JournalLost` and sends nothing more. A broken connection is reopened as long as the lease
lasts. If the response to a commit was lost, the number of its group shows whether it went through;
that is read before anything else is written, and so before anything is sent.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from aiocake.bulk.journal_store import Changes, Claimed, ClaimedElsewhere, Row, Value
from aiocake.bulk.log_chain import Chain
from aiocake.bulk.ownership import Owner
from aiocake.bulk.postgres.connections import Connector, Unreachable, carry_out, is_passing
from aiocake.bulk.postgres.groups import ChangeGroup
from aiocake.bulk.postgres.lease import (
    Keeper,
    Lease,
    answered_within,
    clock,
    cut_after,
    shut_down,
)
from aiocake.bulk.postgres.schema import quoted, tables
from aiocake.errors import JournalError, JournalLost

if TYPE_CHECKING:
    import psycopg

#: Seconds between two tries to reach the database: the first, and the most.
_SHORTEST, _LONGEST = 0.05, 1.0
#: Seconds that a database gets to take a run back: the lease ends by itself.
_TO_GIVE_BACK = 5.0
#: Seconds that a reader waits for so many rows: the first of them may need a sort of all.
_TO_READ, _AT_ONCE = 60.0, 500

_RENEW: Final = """\
UPDATE {s}.run SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE run = %(run)s AND epoch = %(epoch)s AND lease_until > clock_timestamp() RETURNING run"""
#: With its lock: a commit that is still under way is waited for.
_STATE: Final = """\
SELECT epoch, written, lease_until > clock_timestamp() FROM {s}.run WHERE run = %(run)s
FOR NO KEY UPDATE"""
_GIVE_BACK: Final = """\
WITH given AS (
    UPDATE {s}.run SET lease_until = clock_timestamp(), owner = NULL
    WHERE run = %(run)s AND epoch = %(epoch)s RETURNING run
)
DELETE FROM {s}.claim AS c USING given, {s}.call AS k
WHERE c.run = given.run AND k.run = c.run AND k.place = c.place
    AND k.state NOT IN ('sending', 'unknown')"""
_CLAIM: Final = """\
SELECT outcome, holder, moved, alone FROM {s}.take_claim(%(run)s::bigint, %(epoch)s::bigint,
    %(place)s::bigint, %(partner)s::bigint, daterange(%(first)s::date, %(last)s::date, '[]'))"""
_NUMBERS: Final = """\
SELECT p.partner, CASE WHEN EXISTS (
    SELECT FROM {s}.claim AS c
    WHERE c.domain = p.domain AND c.partner = p.partner AND c.run <> %(run)s
) THEN -1 ELSE p.number END
FROM {s}.partner AS p JOIN {s}.run AS r ON r.domain = p.domain WHERE r.run = %(run)s"""


class PostgresStore:
    """The journal of a run that this process owns.

    Args:
        connector: Opens connections.
        connection: One that is open.
        schema: The schema.
        run: The run, by its number in the database.
        name: The run, as messages name it.
        epoch: How often it was taken, this time included.
        lease: The view of this process of its lease.
        owner: Who it is.
        judged_in: Seconds in which a create of an earlier session may still arrive.
        claimed: The places of the creates that have a claim.
    """

    is_chained = has_looks = True

    def __init__(  # noqa: PLR0913 - what it is
        self,
        connector: Connector,
        connection: "psycopg.Connection[Any]",
        *,
        schema: str,
        run: int,
        name: str,
        epoch: int,
        lease: Lease,
        owner: Owner,
        judged_in: float = 0.0,
        claimed: frozenset[int] = frozenset(),
        notes: tuple[str, ...] = (),
    ) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        self.log: Chain = Chain()
        self.plan: Chain = Chain()
        self.run = epoch
        self.name = name
        self.owners: frozenset[Owner] = frozenset({owner})
        self.failures: tuple[type[Exception], ...] = (psycopg.Error,)
        self.deadline = lease
        self.notes = notes
        self.lost: str | None = None
        self._connector = connector
        self._connection: psycopg.Connection[Any] | None = connection
        self._schema = quoted(schema)
        self._names = tables(schema, run)
        self._of = {"run": run, "epoch": epoch, "lease": lease.asked_for}
        self._lease = lease
        self._judged_at = clock() + judged_in
        self._claimed = set(claimed)
        self._written = 0
        self._statements: dict[str, str] = {}
        self._one = threading.RLock()
        self._closing = threading.Event()
        #: What the last try met.
        self._why = ""
        self._keeper = Keeper(lease, self.renew, self._cut)

    @property
    def claims(self) -> "PostgresStore":
        """Return what keeps the creates of all runs apart: this."""
        return self

    def seconds_to_judge(self) -> float:
        """Return the seconds in which a create of an earlier session may still arrive."""
        return max(0.0, self._judged_at - clock())

    def unusable(self, error: Exception) -> JournalError:
        """Convert an error of the database to the one to raise."""
        if isinstance(error, JournalError):
            return error
        return JournalError(f"{self.name} cannot be used: {self._connector.cleaned(error)}")

    # Writing.

    def write(self, changes: Changes) -> None:
        """Write changes in one transaction; when this returns, they are on the disk."""
        group = ChangeGroup.of(changes)
        group.freed &= self._claimed
        self._carry_out(group.statement(self._schema), group.values())
        self._claimed -= group.freed

    def begin(self, session: Mapping[str, object], changes: Changes) -> None:
        """Record that a session has begun.

        Args:
            session: Its columns.
            changes: What else is written down with it.
        """
        group = ChangeGroup.of(changes)
        values = {**group.values(), **session}
        self._carry_out(group.statement(self._schema, began=True), values)

    def _carry_out(self, statement: str, values: Mapping[str, object]) -> None:
        number = self._written + 1
        values = {**values, **self._of, "written": number}
        first: float | None = None
        with self._one:
            for asked_at in self._tries():
                first = asked_at if first is None else first
                try:
                    done = self._rows(statement, values)
                    # Where the fence holds, a try before may be there, whose response was lost.
                    if not done:
                        self._refuse_missing(number)
                except Exception as error:  # noqa: BLE001 - sorted there
                    self._failed(error)
                else:
                    self._written = number
                    # An earlier attempt may be the one that renewed the lease.
                    self._lease.renewed(asked_at if done else first)
                    return
        raise self._gone()

    def _refuse_missing(self, number: int) -> None:
        if self._held() != number:
            raise JournalError(f"{self.name} is damaged: a group of changes is missing")

    def renew(self) -> None:
        """Renew the lease."""
        with self._one:
            for asked_at in self._tries():
                try:
                    if self._rows(_RENEW, self._of):
                        self._lease.renewed(asked_at)
                    else:
                        self._held()
                except Exception as error:  # noqa: BLE001 - the same
                    self._failed(error)
                else:
                    return

    def _held(self) -> int:
        """Return the number of the last group in the database.

        Raises:
            JournalLost: The run is not this process's any more.
        """
        # None where somebody has deleted the run.
        epoch, written, held = next(iter(self._rows(_STATE, self._of)), (None, 0, False))
        if epoch is None:
            self._lose("it is not in the database any more")
        elif epoch != self._of["epoch"]:
            self._lose("another process has taken it over")
        elif not held:
            self._lose("its lease has ended")
        if self.lost is not None:
            raise self._gone()
        return int(written)

    # Claims.

    def take(self, place: int, partner: int, first: date, last: date) -> Claimed | ClaimedElsewhere:
        """Claim a create before its partner's records are looked at."""
        values = {"place": place, "partner": partner, "first": first, "last": last}
        ((outcome, holder, moved, alone),) = self._retried(_CLAIM, {**values, **self._of})
        if outcome == "lost":
            with self._one:
                try:
                    self._held()
                except Exception as error:  # noqa: BLE001 - the same
                    self._failed(error)
            raise self._gone()
        if outcome == "claimed":
            self._claimed.add(place)
            return Claimed(moved, alone)
        return ClaimedElsewhere(f"pg:{holder}", in_doubt=outcome == "doubt")

    def numbers(self) -> dict[int, int]:
        """Return the number of each partner; -1 where another run has a claim."""
        return dict(self._retried(_NUMBERS, self._of))

    # Reading.

    def read(self, query: str, *values: Value) -> Iterator[Row]:
        """Yield the rows of a query."""
        text = query.format_map(self._names).replace("?", "%s")
        yield from self._retried(text, values or None)

    def _retried(self, text: str, values: Any) -> list[Row]:  # noqa: ANN401 - of psycopg
        """Return the rows of a statement that may be carried out twice."""
        with self._one:
            for _ in self._tries():
                try:
                    return self._rows(text, values)
                except Exception as error:  # noqa: BLE001 - the same
                    self._failed(error)
        raise self._gone()

    # The connection.

    def _tries(self) -> Iterator[float]:
        """Yield the time of each attempt, as long as this process owns the run."""
        wait = 0.0
        while self.lost is None and not self._closing.wait(wait):
            asked_at = clock()
            if self._lease.left() <= 0:
                break
            try:
                if self._connection is None:
                    self._connection = self._connector.open()
                    asked_at = clock()
                    # That takes long at times, and who would cut this one off has done its work.
                    if self._lease.left() <= 0:
                        break
            except Unreachable as error:
                self._why = str(error)
            else:
                yield asked_at
            wait = min(max(2 * wait, _SHORTEST), _LONGEST)

    def _gone(self) -> JournalLost:
        """Return the error for a run that this process may no longer own."""
        if self.lost is None:
            self._lose("its lease has ended, and the database was not reached")
        why = f" ({self._why})" if self._why else ""
        return JournalLost(f"{self.name} is lost to this process: {self.lost}{why}")

    def _lose(self, why: str) -> None:
        if self.lost is None:
            self.lost = why
        self._lease.end()
        self._keeper.stop()

    def _rows(self, text: str, values: Any) -> list[Row]:  # noqa: ANN401 - of psycopg
        known = self._statements.get(text)
        if known is None:
            known = self._statements[text] = text.replace("{s}", self._schema)
        connection = cast("psycopg.Connection[Any]", self._connection)
        return carry_out(connection, known, values)

    def _failed(self, error: Exception) -> None:
        """Close a connection that has failed, for another one to be opened.

        Raises:
            JournalError: That would not help.
        """
        if not is_passing(error):
            raise self.unusable(error) from None
        self._why = self._connector.cleaned(error)
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _cut(self) -> None:
        """Close the connection, because the lease has ended."""
        if self.lost is None:
            self.lost = "its lease has ended, and the database was not reached"
        self._lease.end()
        connection = self._connection
        if connection is not None:
            shut_down(connection)

    def close(self) -> None:
        """Release the run, so that others need not wait for the end of the lease."""
        self._keeper.stop()
        self._closing.set()
        # Whoever renews the lease may wait for a database that hangs, and this would do so next.
        with cut_after(_TO_GIVE_BACK, lambda: self._connection), self._one:
            connection = self._connection
            if connection is None:
                return
            with suppress(Exception):
                if self.lost is None and self._lease.left() > 0:
                    carry_out(connection, _GIVE_BACK.replace("{s}", self._schema), self._of)
            with suppress(Exception):
                connection.close()
            self._connection = None
            self._lease.end()


class PostgresView:
    """The journal of a run as it is at one moment.

    Args:
        connector: Takes secrets out of an error.
        connection: One that is open; it is closed with this.
        schema: The schema.
        run: The run, by its number in the database.
        name: The run, as messages name it.
        owners: Who works on it.
    """

    run = 0
    is_chained = has_looks = True
    deadline = claims = None
    notes: tuple[str, ...] = ()

    def __init__(  # noqa: PLR0913 - what it is
        self,
        connector: Connector,
        connection: "psycopg.Connection[Any]",
        *,
        schema: str,
        run: int,
        name: str,
        owners: frozenset[Owner],
    ) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        self.log: Chain = Chain()
        self.plan: Chain = Chain()
        self.owners = owners
        self.failures: tuple[type[Exception], ...] = (psycopg.Error,)
        self._connector, self._connection = connector, connection
        self._names = tables(schema, run)
        self._name = name

    def write(self, changes: Changes) -> None:  # noqa: ARG002 - as of the other
        """Refuse to write to a view."""
        raise JournalError(f"{self._name} was opened to be read")

    def read(self, query: str, *values: Value) -> Iterator[Row]:
        """Yield the rows of a query, as they come."""
        text = query.format_map(self._names).replace("?", "%s")
        with self._connection.cursor() as cursor:
            rows = cursor.stream(cast("Any", text), values or None)
            while found := self._next_of(rows):
                yield from found

    def _next_of(self, rows: Iterator[Row]) -> list[Row]:
        with answered_within(_TO_READ, lambda: self._connection, self._name):
            return list(islice(rows, _AT_ONCE))
        raise AssertionError  # which no type checker knows

    @staticmethod
    def seconds_to_judge() -> float:
        """Return 0: nothing is sent."""
        return 0.0

    def unusable(self, error: Exception) -> JournalError:
        """Convert an error of the database to the one to raise."""
        if isinstance(error, JournalError):
            return error
        return JournalError(f"{self._name} cannot be read: {self._connector.cleaned(error)}")

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self._connection.close()
