"""The runs of a schema: create one, take one over when its lease has ended, or read one."""

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import uuid4

import attrs

from aiocake._version import version
from aiocake.bulk.journal_file import now, this_process
from aiocake.bulk.journal_store import (
    Change,
    Changes,
    JournalPlace,
    JournalStore,
    NotBegun,
    Opening,
    Row,
    exists_already,
    refuse_other,
    refuse_other_plan,
)
from aiocake.bulk.log_chain import (
    PLAN_ENTRY,
    Chain,
    LogEvent,
    PlanIdentity,
    identity_of,
    log_entry,
)
from aiocake.bulk.ownership import Owner
from aiocake.bulk.postgres.connections import Connector, carry_out, is_passing
from aiocake.bulk.postgres.lease import Lease, answered_within, clock
from aiocake.bulk.postgres.schema import VERSION, quoted, tables
from aiocake.bulk.postgres.store import PostgresStore, PostgresView
from aiocake.errors import ArgumentError, JournalError, PlanError, Problem

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

#: How often a statement that opens a run is tried, and the seconds between.
_TRIES, _PAUSE = 3, 0.2
#: Seconds that each step may take which opens a journal.
PATIENCE: Final = 30.0
#: Seconds that a response may take where no client says how long.
_ANSWER_TIME: Final = 60.0

_FIND: Final = """\
SELECT r.run, r.domain, r.plan_hash, r.epoch, r.owner = %(owner)s::uuid,
    extract(epoch FROM r.lease_until - clock_timestamp())::float8,
    s.who, s.host, s.pid, s.started_at
FROM {s}.run AS r LEFT JOIN {s}.session AS s ON s.run = r.run AND s.epoch = r.epoch
WHERE r.name = %(name)s"""
_WITH_PLAN: Final = "SELECT name FROM {s}.run WHERE plan_hash = %(plan_hash)s"
_CREATE: Final = """\
WITH made AS (
    INSERT INTO {s}.run (name, domain, plan_hash, created_at, epoch, owner, lease_until,
        answer_time)
    VALUES (%(name)s, %(domain)s, %(plan_hash)s, %(created_at)s, 1, %(owner)s::uuid,
        clock_timestamp() + make_interval(secs => %(lease)s), %(answer_time)s)
    ON CONFLICT DO NOTHING RETURNING run
), began AS (
    INSERT INTO {s}.session (run, epoch, started_at, who, host, pid, version)
    SELECT run, 1, %(since)s, %(user)s, %(host)s, %(pid)s, %(aiocake)s FROM made
), logged AS (
    INSERT INTO {s}.log (run, entry, place, session, at, what, intent, detail, hash)
    SELECT made.run, x.* FROM made, unnest(%(log_entry)s::bigint[], %(log_place)s::bigint[],
        %(log_session)s::bigint[], %(log_at)s::text[], %(log_what)s::text[],
        %(log_intent)s::text[], %(log_detail)s::text[], %(log_hash)s::bytea[]) AS x
)
SELECT run FROM made"""
#: A run that was given back has nothing on its way; of any other, its last owner may have sent
#: until the end of its time.
_TAKE: Final = """\
WITH taken AS (
    UPDATE {s}.run SET epoch = epoch + 1, owner = %(owner)s::uuid, written = 0,
        judge_from = greatest(judge_from, CASE WHEN owner IS NULL THEN clock_timestamp()
            ELSE lease_until + make_interval(secs => answer_time) END),
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
        answer_time = %(answer_time)s
    WHERE run = %(run)s AND lease_until <= clock_timestamp()
    RETURNING run, epoch, extract(epoch FROM judge_from - clock_timestamp())::float8 AS judged_in
), freed AS (
    DELETE FROM {s}.claim AS c USING taken, {s}.call AS k
    WHERE c.run = taken.run AND k.run = c.run AND k.place = c.place
        AND k.state NOT IN ('sending', 'unknown')
)
SELECT epoch, judged_in FROM taken"""
_TAKEN: Final = """\
SELECT epoch, extract(epoch FROM judge_from - clock_timestamp())::float8 FROM {s}.run
WHERE run = %(run)s AND owner = %(owner)s::uuid"""
_VERSION: Final = "SELECT value FROM {s}.meta WHERE name = 'version'"
_SETTINGS: Final = """\
SELECT current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('full_page_writes'), current_setting('server_version_num')::int"""
_OLDEST: Final = 120_000


@attrs.frozen
class Books:
    """Where runs are, and how they are opened.

    Attributes:
        connector: Opens connections.
        schema: The schema.
        lease: The seconds that a run may send without a response of the database.
        allow_foreign: Whether a transport is accepted that cannot hold back a first byte.
    """

    connector: Connector = attrs.field(repr=False)
    schema: str
    lease: float
    allow_foreign: bool

    def text(self, statement: str) -> Any:  # noqa: ANN401 - psycopg wants a literal
        """Return a statement with the name of the schema in it."""
        return cast("Any", statement.replace("{s}", quoted(self.schema)))

    def refuse_schema(self, connection: "psycopg.Connection[Any]") -> None:
        """Refuse a schema without tables, with those of another version, or out of reach.

        Raises:
            JournalError: It cannot be used.
        """
        import psycopg  # noqa: PLC0415 - an extra

        found: object = None
        problem = ""
        try:
            row = connection.execute(self.text(_VERSION)).fetchone()
            found = None if row is None else row[0]
        except psycopg.errors.InsufficientPrivilege as error:
            problem = (
                f"{self.connector.cleaned(error)}; let the owner of the schema carry out what "
                "aiocake journal migrate --role prints"
            )
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            pass
        if problem:
            raise JournalError(f"schema {self.schema} cannot be used: {problem}")
        if found is None:
            raise JournalError(
                f"schema {self.schema} has no tables of aiocake: aiocake journal migrate makes them"
            )
        if found != str(VERSION):
            raise JournalError(
                f"schema {self.schema} has version {found}, but this version of aiocake uses "
                f"version {VERSION}"
            )


@attrs.frozen
class PostgresRun(JournalPlace):
    """A run in PostgreSQL, by its name. Made by :meth:`aiocake.bulk.postgres.Postgres.run`."""

    books: Books = attrs.field(repr=False)
    name: str

    def __str__(self) -> str:
        return f"pg:{self.name}"

    def create(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalStore:
        """Begin a new run."""
        self._refuse_transport(opening)
        return _Opener(self, opening).create(domain, plan)

    def take(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalStore:
        """Take over a run whose lease has ended or was released."""
        self._refuse_transport(opening)
        return _Opener(self, opening).take(domain, plan)

    def view(self, opening: Opening) -> JournalStore:
        """Open a run to read it as it is now, whoever owns it."""
        return _Opener(self, opening).view()

    def _refuse_transport(self, opening: Opening) -> None:
        executor = opening.executor
        if executor is None or executor.holds_first_byte or self.books.allow_foreign:
            return
        raise ArgumentError(
            Problem(
                "journal",
                "a transport of yours does not tell when the first byte of a write leaves, so a "
                "process that stood still could send beside the one that took its run over: use "
                "aiocake's own, or accept the risk with Postgres(allow_foreign_transport=True)",
            )
        )


class _Opener:
    """Opens the journal of a run over a connection of its own. Its methods block."""

    def __init__(self, place: PostgresRun, opening: Opening) -> None:
        self._place, self._books = place, place.books
        executor = opening.executor
        self._answer_time = _ANSWER_TIME if executor is None else executor.longest_write
        self._lease = Lease(place.books.lease, self._answer_time)
        self._values: dict[str, Any] = {
            "name": place.name,
            # What tells this process, and this opening, from all others.
            "owner": str(uuid4()),
            "lease": self._lease.asked_for,
            "answer_time": self._answer_time,
        }
        self._owner = this_process()
        self._session = {
            "since": self._owner.since,
            "user": self._owner.user,
            "host": self._owner.host,
            "pid": self._owner.pid,
            "aiocake": version(),
        }
        self._began = {name: self._session[name] for name in ("user", "host", "pid", "aiocake")}
        self._connection: psycopg.Connection[Any] | None = None
        self._notes: tuple[str, ...] = ()

    def create(self, domain: str, plan: PlanIdentity | None) -> PostgresStore:
        """Make the run, owned by this process."""
        log, calls = Chain(), Chain()
        about = {"domain": domain, "created_at": now()}
        detail = {**self._began, "unknown_filesystem": None, **calls.head}
        entries = [
            log_entry(log, 1, LogEvent.CREATED.value, json.dumps(about), at=about["created_at"]),
            log_entry(log, 1, LogEvent.BEGAN.value, json.dumps(detail), at=self._owner.since),
        ]
        if plan is not None:
            what = LogEvent.PLAN.value
            entries.append(log_entry(log, 1, what, json.dumps(plan.to_detail()), at=now()))
        names = ("entry", "place", "session", "at", "what", "intent", "detail", "hash")
        columns = [list(column) for column in zip(*entries, strict=True)]
        values = {
            **self._values,
            **self._session,
            **about,
            "plan_hash": None if plan is None else plan.hash,
            **{f"log_{name}": column for name, column in zip(names, columns, strict=True)},
        }
        try:
            asked_at = clock()  # before the first try: it may be the one that was carried out
            rows = self._rows(_CREATE, values)
            run = int(rows[0][0]) if rows else self._made_before(values)
            self._lease.renewed(asked_at)
            return self._store(run, 1, log, calls)
        except BaseException:
            self._close()
            raise

    def _made_before(self, values: dict[str, Any]) -> int:
        """Return the run that an earlier attempt created, if its response was lost.

        Raises:
            JournalError: Somebody else has made it.
            PlanError: A run of another name carries out the plan.
        """
        found = self._rows(_FIND, values)
        if not found:
            ((other,),) = self._rows(_WITH_PLAN, values) or [("another name",)]
            raise PlanError(
                f"nothing was sent: this plan was applied before, with the journal pg:{other}: "
                "resume that run, or make a new plan of what is left"
            )
        if found[0][4]:
            return int(found[0][0])
        if found[0][5] > 0:
            raise self._in_use(found[0])
        raise exists_already(self._place)

    def take(self, domain: str, plan: PlanIdentity | None) -> PostgresStore:
        """Make this process the owner of the run."""
        try:
            found = self._found()
            refuse_other(found[1], self._place, domain)
            values = {**self._values, "run": found[0]}
            if plan is not None:
                refuse_other_plan(self._plan_of(found[0]), self._place, plan)
            asked_at = clock()  # as above
            epoch, judged_in = self._taken(values)
            self._lease.renewed(asked_at)
            # From here on nobody else writes: what is read now is the end of both chains.
            names = tables(self._books.schema, found[0])
            log, calls = (self._end_of(names[table], key) for table, key in _CHAINS)
            claims = self._rows("SELECT place FROM {s}.claim WHERE run = %(run)s", values)
            claimed = frozenset(place for (place,) in claims)
            store = self._store(found[0], epoch, log, calls, judged_in, claimed)
        except BaseException:
            self._close()
            raise
        try:
            store.begin(self._session, self._beginning(store, plan))
        except BaseException:
            store.close()
            raise
        return store

    def _taken(self, values: dict[str, Any]) -> Row:
        """Take the run; return its epoch, and how long creates of earlier ones may still arrive.

        Raises:
            JournalError: Another process has it.
        """
        # The second by a try before, whose response was lost.
        rows = self._rows(_TAKE, values) or self._rows(_TAKEN, values)
        if not rows:
            raise self._in_use(self._found())
        return rows[0]

    def _beginning(self, store: PostgresStore, plan: PlanIdentity | None) -> Changes:
        detail = {**self._began, "unknown_filesystem": None, **store.plan.head}
        what = [(LogEvent.BEGAN, detail, self._owner.since)]
        if plan is not None:
            what.append((LogEvent.PLAN, plan.to_detail(), now()))
        return [
            (
                Change.LOGGED,
                log_entry(store.log, store.run, event.value, json.dumps(text), at=at),
            )
            for event, text, at in what
        ]

    def view(self) -> PostgresView:
        """Open the run to read it as it is now."""
        try:
            return self._tried(self._viewed, "read")
        except BaseException:
            self._close()
            raise

    def _viewed(self) -> PostgresView:
        with self._in_time():
            connection = self._connected()
            # All later reads see what this one sees.
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = self._first(self._once(_FIND, self._values))
        owner = Owner(str(found[6]), str(found[7]), int(found[8] or 0), str(found[9]))
        alive = found[5] > 0 and found[6] is not None
        return PostgresView(
            self._books.connector,
            connection,
            schema=self._books.schema,
            run=found[0],
            name=str(self._place),
            owners=frozenset({owner}) if alive else frozenset(),
        )

    def _found(self) -> Row:
        """Return the row of the run.

        Raises:
            NotBegun: There is none.
        """
        return self._first(self._rows(_FIND, self._values))

    def _first(self, found: list[Row]) -> Row:
        if not found:
            raise NotBegun(f"there is no run {self._place.name} in schema {self._books.schema}")
        return found[0]

    def _plan_of(self, run: int) -> PlanIdentity | None:
        text = PLAN_ENTRY.format_map(tables(self._books.schema, run))
        rows = self._rows(text, None)
        return identity_of(*rows[0]) if rows else None

    def _end_of(self, table: str, key: str) -> Chain:
        rows = self._rows(f"SELECT {key}, hash FROM {table} AS t ORDER BY {key} DESC LIMIT 1", None)  # noqa: S608 - ours
        if not rows:
            return Chain()
        # The first call has place 0, the first entry is number 1.
        return Chain(rows[0][0] + (key == "place"), rows[0][1])

    def _in_use(self, found: Row) -> JournalError:
        owner = Owner(str(found[6]), str(found[7]), int(found[8] or 0), str(found[9]))
        who = "" if found[6] is None else f": {owner}"
        left = f"unless that renews it, its lease ends in {max(found[5], 0):.0f} s"
        return JournalError(f"{self._place} is in use by another run{who}; {left}")

    def _store(  # noqa: PLR0913, PLR0917 - what is known of it
        self,
        run: int,
        epoch: int,
        log: Chain,
        calls: Chain,
        judged_in: float = 0.0,
        claimed: frozenset[int] = frozenset(),
    ) -> PostgresStore:
        connection = self._connected()
        store = PostgresStore(
            self._books.connector,
            connection,
            schema=self._books.schema,
            run=run,
            name=str(self._place),
            epoch=epoch,
            lease=self._lease,
            owner=self._owner,
            judged_in=judged_in,
            claimed=claimed,
            notes=self._notes,
        )
        self._connection = None  # which is the store's from here on
        store.log, store.plan = log, calls
        return store

    # The connection.

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            self._connection = self._books.connector.open()
            self._books.refuse_schema(self._connection)
            self._notes = _notes(self._connection.execute(cast("Any", _SETTINGS)).fetchone())
        return self._connection

    def _in_time(self) -> AbstractContextManager[None]:
        return answered_within(PATIENCE, lambda: self._connection, self._place)

    def _rows(self, text: str, values: Any) -> list[Row]:  # noqa: ANN401 - of psycopg
        """Return the rows of a statement that may be carried out twice.

        Raises:
            JournalError: It failed.
        """
        return self._tried(lambda: self._once(text, values), "used")

    def _once(self, text: str, values: Any) -> list[Row]:  # noqa: ANN401 - the same
        with self._in_time():
            return carry_out(self._connected(), self._books.text(text), values)
        raise AssertionError  # which no type checker knows

    def _tried(self, work: Callable[[], T], use: str) -> T:
        """Return what a function returns, called again over another connection if that may help.

        Raises:
            JournalError: It failed.
        """
        import psycopg  # noqa: PLC0415 - an extra

        left = _TRIES
        while True:
            left -= 1
            try:
                return work()
            except psycopg.Error as error:
                if not (left and is_passing(error)):
                    text = self._books.connector.cleaned(error)
                    raise JournalError(f"{self._place} cannot be {use}: {text}") from None
            self._close()
            threading.Event().wait(_PAUSE)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


#: The tables that are chains, and what numbers their rows.
_CHAINS: Final = (("log", "entry"), ("calls", "place"))


def _notes(settings: Row | None) -> tuple[str, ...]:
    """Return the summary's notes about a server that may lose what it has committed."""
    if settings is None:
        return ()
    commit, fsync, pages, number = settings
    if number < _OLDEST:
        raise JournalError("PostgreSQL 12 or later is needed for journals")
    off = [
        f"{name}={value}"
        for name, value in (
            ("synchronous_commit", commit),
            ("fsync", fsync),
            ("full_page_writes", pages),
        )
        if value == "off"
    ]
    if not off:
        return ()
    return (f"the database may lose what it has committed, as it is set to {', '.join(off)}",)
