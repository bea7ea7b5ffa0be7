# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Runs in PostgreSQL: what is refused, who has a run, and what keeps creates apart."""

import os
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import anyio
import psycopg
import pytest

from aiocake import (
    ArgumentError,
    Client,
    ConfigurationError,
    JournalError,
    JournalLost,
    PlanError,
    bulk,
)
from aiocake.bulk import Call, Journal, PlanIdentity
from aiocake.bulk.journal import EntryState
from aiocake.bulk.journal_store import Claimed, ClaimedElsewhere, Opening
from aiocake.bulk.postgres import Postgres, PostgresRun
from aiocake.bulk.postgres.connections import is_passing
from aiocake.bulk.postgres.lease import Lease, clock
from aiocake.bulk.postgres.store import PostgresStore, PostgresView
from aiocake.events import PartnerBusy
from aiocake.quota import QuotaRequest, QuotaUnavailable
from aiocake.sandbox import Sandbox

from ..support.loops import one_loop
from ..support.scripted import free_port

pytestmark = pytest.mark.anyio
__all__ = ["one_loop"]

JANUARY = (date(2030, 1, 1), date(2030, 1, 31))


def update(cake: Client, *numbers: int) -> list[Call[Any]]:
    return [bulk.call(cake.invoices.update, number, memo="x") for number in numbers]


# What is refused: one clear error each, nothing sent.


async def refused(ledgers, where, error: type[Exception], match: str) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        calls = update(cake, 4821)
        for work in (
            lambda: bulk.each(calls, journal=where),
            lambda: bulk.resume(where, cake),
            lambda: bulk.carry(where, cake, calls=lambda: calls),
        ):
            with pytest.raises(error, match=match) as met:
                await work()
            assert "\n" not in str(met.value)
    assert books.state.requests == []


async def test_a_server_that_is_not_there(ledgers) -> None:
    conninfo = f"host=127.0.0.1 port={free_port()} password=hunter2 connect_timeout=2"
    books = Postgres(conninfo=conninfo, allow_foreign_transport=True)
    await refused(ledgers, books.run("x"), JournalError, "no connection to PostgreSQL: ")


async def test_a_schema_without_tables(ledgers, postgres) -> None:
    books = Postgres(conninfo=postgres.conninfo(), schema="nothing", allow_foreign_transport=True)
    match = "schema nothing has no tables of aiocake: aiocake journal migrate makes them"
    await refused(ledgers, books.run("x"), JournalError, match)


async def test_a_schema_of_another_version(ledgers, database) -> None:
    with database.connect() as connection:
        connection.execute("UPDATE meta SET value = '7' WHERE name = 'version'")
    match = "has version 7, but this version of aiocake uses version 1"
    await refused(ledgers, database.books().run("x"), JournalError, match)
    with pytest.raises(JournalError, match=match):
        await database.books().migrate()


async def test_a_role_without_rights_and_one_with_just_enough(ledgers, database) -> None:
    with database.connect() as connection:
        connection.execute(f"CREATE ROLE {database.schema}_worker LOGIN")
        # As careful owners have it.
        functions = f"ALL FUNCTIONS IN SCHEMA {database.schema}"
        connection.execute(f"REVOKE EXECUTE ON {functions} FROM PUBLIC")
    role = f"{database.schema}_worker"
    books = database.books(conninfo=database.server.conninfo(user=role))
    match = f"schema {database.schema} cannot be used: permission denied .+ migrate --role"
    await refused(ledgers, books.run("x"), JournalError, match)
    assert await database.books().migrate(role=role) is False
    its = ledgers(Sandbox())
    async with its.client() as cake:
        summary = await bulk.carry(books.run("x"), cake, calls=lambda: update(cake, 4821, 4822))
        assert summary.complete
        creates = [
            bulk.call(
                cake.invoices.create, affiliate_id=n, start_date=JANUARY[0], end_date=JANUARY[1]
            )
            for n in its.affiliates(2)
        ]
        assert (await bulk.carry(books.run("y"), cake, calls=lambda: creates)).complete
    with database.server.connect(options=f"-c search_path={database.schema}") as connection:
        connection.execute(f"SET ROLE {role}")
        for change in ("UPDATE log SET what = 'x'", "DELETE FROM log", "TRUNCATE log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change)


async def test_the_log_is_append_only_for_its_owner_as_well(database) -> None:
    with database.connect() as connection:
        for change in ("UPDATE log SET what = 'x'", "DELETE FROM log", "TRUNCATE log"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(change)


@pytest.mark.parametrize("table", ["meta", "run"])
async def test_a_database_that_does_not_answer_when_a_run_is_opened(
    ledgers, database, monkeypatch, table
) -> None:
    for module in ("places", "migration"):
        monkeypatch.setattr(f"aiocake.bulk.postgres.{module}.PATIENCE", 0.2)
    with database.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {table}")
        match = r"pg:x: the database did not answer within 0\.2 s"
        await refused(ledgers, database.books().run("x"), JournalError, match)
        match = rf"schema {database.schema}: the database did not answer within 0\.2 s"
        if table == "meta":
            with pytest.raises(JournalError, match=match):
                await database.books().migrate()


@pytest.mark.parametrize("work", ["verify_log", "entries", "counts"])
async def test_a_server_that_stands_still_while_a_journal_is_read(
    database, monkeypatch, work
) -> None:
    monkeypatch.setattr("aiocake.bulk.postgres.store._TO_READ", 0.2)
    async with await opened(database, "x"):
        pass
    async with await Journal.open(database.books().run("x")) as journal:
        assert await journal.size() == 1
        assert isinstance(journal._store, PostgresView)
        server = journal._store._connection.info.backend_pid
        os.kill(server, signal.SIGSTOP)
        try:
            with pytest.raises(JournalError, match=r"^pg:x: the database did not answer within"):
                await getattr(journal, work)()
        finally:
            os.kill(server, signal.SIGCONT)


async def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(database) -> None:
    async with await opened(database, "x") as journal:
        async with await Journal.open(database.books().run("x")) as reader:
            journal.ended(0, EntryState.FAILED, None, None)
            await journal.flush()
            assert await reader.counts() == {EntryState.PLANNED: 1}
        async with await Journal.open(database.books().run("x")) as reader:
            assert await reader.counts() == {EntryState.FAILED: 1}


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        (
            {"conninfo": "postgres//u:hunter2@h"},
            ConfigurationError,
            "conninfo: is not a connection",
        ),
        ({"conninfo": "password=hunter2", "connect": print}, ConfigurationError, "one of the two"),
        ({"schema": "", "lease": 0}, ArgumentError, "lease: must be .+ at least 0.1"),
        ({"schema": "x" * 64}, ArgumentError, "schema: must have 1 to 63"),
        ({"schema": "100%"}, ArgumentError, "schema: must have no %"),
        ({"connect": "x"}, ArgumentError, "connect: must be a function"),
        ({"allow_foreign_transport": "no"}, ArgumentError, "must be True or False"),
    ],
)
def test_settings_that_cannot_be_used(settings, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match) as met:
        Postgres(**settings)
    assert "hunter2" not in "".join(traceback.format_exception(met.value))


@pytest.mark.parametrize("name", ["", " x", "x\n", "x" * 201, 7])
def test_names_that_are_none(name: Any) -> None:  # noqa: ANN401 - what it must not be
    with pytest.raises(ArgumentError, match="name: must"):
        Postgres().run(name)


async def test_no_secret_is_shown() -> None:
    books = Postgres(conninfo=f"host=127.0.0.1 port={free_port()} user=u password=hunter2")
    run = books.run("x")
    shown = [repr(books), str(books), repr(run), str(run)]
    with pytest.raises(JournalError) as met:
        await Journal.open(run)
    error: BaseException | None = met.value
    while error is not None:
        shown.append("".join(traceback.format_exception(error)))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            shown += map(repr, frame.f_locals.values())
        error = error.__context__
    assert not [each for each in shown if "hunter2" in each]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
async def test_a_connection_string_is_no_journal(ledgers, scheme: str) -> None:
    url = f"{scheme}://someone:hunter2@somewhere/books"
    match = r"(journal|path): must be a path or a run of a database, not a URL: .+\(conninfo=…\)"
    await refused(ledgers, url, ArgumentError, match)
    with pytest.raises(ArgumentError, match=match) as met:
        await Journal.open(url)
    assert "hunter2" not in str(met.value)


async def test_what_connect_does_is_its_own_business(database) -> None:
    def wrong() -> Any:  # noqa: ANN401 - no connection
        return "no connection"

    def failing() -> Any:  # noqa: ANN401 - the same
        raise OSError("password=hunter2")

    def none_of_libpq() -> Any:  # noqa: ANN401 - the same
        return psycopg.connect("postgres//someone:hunter2@somewhere")

    for connect, match in (
        (wrong, "got str"),
        (failing, "it raised OSError"),
        (none_of_libpq, "it raised ProgrammingError"),
    ):
        with pytest.raises(JournalError, match=match) as met:
            await Journal.open(Postgres(connect=connect).run("x"))
        assert "hunter2" not in "".join(traceback.format_exception(met.value))
    books = Postgres(schema=database.schema, connect=database.server.connect)
    with pytest.raises(JournalError, match="there is no run x"):
        await Journal.open(books.run("x"))


async def test_a_transport_that_cannot_hold_back_a_first_byte(ledgers, database) -> None:
    books = database.books(allow_foreign_transport=False)
    await refused_by_transport(ledgers, books.run("x"))


async def refused_by_transport(ledgers, where) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        with pytest.raises(ArgumentError, match=r"journal: .+allow_foreign_transport=True"):
            await bulk.carry(where, cake, calls=lambda: update(cake, 4821))
    assert books.state.requests == []


# Who has a run.


async def test_a_lease_that_was_taken_away_ends_the_run(ledgers, database) -> None:
    books, where = ledgers(Sandbox()), database.books().run("x")
    async with books.client() as cake:

        def taken(_: object) -> None:
            with database.connect() as connection:
                connection.execute("UPDATE run SET epoch = epoch + 1")

        with pytest.raises(JournalLost, match=r"pg:x is lost .+ another process has taken it over"):
            await bulk.each(
                update(cake, 4821, 4822, 4823), journal=where, limit=1, on_outcome=taken
            )
        assert len(books.writes) == 1
        # What it did not write down is in doubt for whoever goes on.
        with database.connect() as connection:
            connection.execute("UPDATE run SET lease_until = clock_timestamp()")
        summary = await bulk.resume(where, cake)
        assert (summary.done, summary.complete) == (3, True)


async def test_a_database_that_does_not_answer_ends_the_run_with_its_lease(
    ledgers, database
) -> None:
    books, where = ledgers(Sandbox()), database.books(lease=0.3).run("x")
    async with books.client(timeouts=_quick()) as cake:
        with database.server.connect() as other:

            def locked(_: object) -> None:
                other.execute("BEGIN")
                other.execute(f"SELECT 1 FROM {database.schema}.run FOR UPDATE")  # noqa: S608 - ours

            with pytest.raises(JournalLost, match="its lease has ended"):
                await bulk.each(update(cake, 4821, 4822), journal=where, limit=1, on_outcome=locked)
    assert len(books.writes) == 1


def test_a_database_that_hangs_keeps_nobody_who_closes(database, monkeypatch) -> None:
    monkeypatch.setattr("aiocake.bulk.postgres.store._TO_GIVE_BACK", 0.1)
    store = database.books().run("x").create("d", None, Opening())
    with database.connect() as other, other.transaction():
        other.execute("SELECT 1 FROM run FOR UPDATE")
        # Waits for that, and has the store meanwhile.
        renewing = threading.Thread(target=store.renew)
        renewing.start()
        store.close()
        renewing.join()


async def test_tables_that_two_make_at_once(postgres) -> None:
    books = [Postgres(conninfo=postgres.conninfo(), schema="at_once") for _ in range(2)]
    made: list[bool] = []

    async def make(each: Postgres) -> None:
        made.append(await each.migrate())

    async with anyio.create_task_group() as group:
        with postgres.connect() as other, other.transaction():
            # Both have found none by then, and wait for this one, which goes back.
            other.execute("CREATE SCHEMA at_once")
            for each in books:
                group.start_soon(make, each)
            await _waiting(postgres, 2)
            raise psycopg.Rollback
    assert sorted(made) == [False, True]


async def _waiting(postgres, count: int) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with postgres.connect() as connection:
        while connection.execute(query).fetchone() != (count,):
            await anyio.lowlevel.checkpoint()


def _quick() -> Any:  # noqa: ANN401 - Timeouts
    from aiocake import Timeouts  # noqa: PLC0415 - of this alone

    return Timeouts(total=0.7, connect=0.5, read=0.7)


async def test_a_run_that_was_not_given_back_is_taken_when_its_lease_has_ended(
    ledgers, database
) -> None:
    books, where = ledgers(Sandbox()), database.books().run("x")
    async with books.client() as cake:
        journal = await Journal.create(where, "x.example")
        for index, call in enumerate(update(cake, 4821)):
            journal.plan(index, call.digest(), call.to_json())
        journal.mark_complete()
        await journal.flush()
        match = r"pg:x is in use by another run: .+; unless that renews it, its lease ends in \d+ s"
        with pytest.raises(JournalError, match=match):
            await bulk.resume(where, cake)
        with database.connect() as connection:
            connection.execute("UPDATE run SET lease_until = clock_timestamp()")
        assert (await bulk.resume(where, cake)).complete
        journal.stopped(None)
        with pytest.raises(JournalLost, match="another process has taken it over"):
            await journal.flush()
        await journal.aclose()
    async with await Journal.open(where) as journal:
        assert (await journal.verify_log()).integrity == ()


async def test_creates_of_a_lost_session_are_judged_when_none_can_arrive_any_more(
    ledgers, database, january
) -> None:
    where = database.books().run("x")
    books = ledgers()
    async with books.client() as cake:
        call = january(cake, books.affiliates(1)[0])
        journal = await Journal.create(where, "x.example", executor=call.executor)
        journal.plan(0, call.digest(), call.to_json())
        journal.mark_complete()
        journal.sending(0, "intent", [])
        await journal.flush()
        with database.connect() as connection:
            connection.execute("UPDATE run SET lease_until = clock_timestamp() - interval '59.5 s'")
        async with await Journal.open(where, "x.example", executor=call.executor) as taken:
            # Its last owner gave an answer 60 seconds.
            assert 0 < taken.seconds_to_judge() <= 0.5
        async with await Journal.open(where, "x.example", executor=call.executor) as again:
            assert again.seconds_to_judge() <= 0.5  # which giving it back does not make longer
        assert (await bulk.resume(where, cake, settle=0)).complete
        assert len(books.periods()) == 1
        await journal.aclose()


# A connection that fails, at whichever statement.


class Failing:
    """Fails the nth statement of a run's connection, or has the server end that one before it."""

    def __init__(self, database, monkeypatch, error: type[Exception] | None) -> None:
        self.left = 0
        execute = psycopg.Cursor.execute

        def failing(cursor: Any, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - psycopg's
            if self.left and cursor.connection.info.get_parameters().get("application_name"):
                self.left -= 1
                if not self.left and error is not None:
                    raise error("said by a test")
                if not self.left:
                    with database.server.connect() as other:
                        other.execute(
                            "SELECT pg_terminate_backend(%s, 5000)",
                            [cursor.connection.info.backend_pid],
                        )
            return execute(cursor, *given, **more)

        monkeypatch.setattr(psycopg.Cursor, "execute", failing)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("created", None),
        ("taken", None),
        ("taken", psycopg.errors.DiskFull),
        ("read", None),
    ],
)
async def test_a_connection_that_fails_while_a_run_is_opened(
    database, monkeypatch, how: str, error: type[Exception] | None
) -> None:
    monkeypatch.setattr("aiocake.bulk.postgres.places._PAUSE", 0)
    failing, books, nth, left = Failing(database, monkeypatch, error), database.books(), 0, 0
    while left == 0:
        nth += 1
        run, refused = books.run(f"run {nth}"), ""
        if how != "created":
            await (await Journal.create(run, "x.example")).aclose()
        failing.left = nth
        try:
            if how == "created":
                journal = await Journal.create(run, "x.example")
            else:
                journal = await Journal.open(run, "x.example" if how == "taken" else None)
        except JournalError as met:  # and nothing else
            refused = str(met)
        left, failing.left = failing.left, 0  # some is left where there are no more statements
        assert bool(refused) == (error is not None and left == 0), (nth, refused)
        assert "said by a test" in refused or not refused
        if not refused:
            await journal.aclose()
    assert nth > 3


def test_a_system_without_threads_refuses_a_run(database, monkeypatch) -> None:
    start, left = threading.Thread.start, [0]
    refused: list[str] = []

    def starting(thread: threading.Thread) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    store = None
    while store is None:
        left[0] = len(refused) + 1
        run = database.books().run(f"run {len(refused)}")
        try:
            store = run.create("x.example", None, Opening())
        except JournalError as met:
            refused.append(str(met))
    left[0] = 0
    store.close()
    assert len(refused) == 3  # one who cuts off, and two of the lease
    assert all("can't start new thread" in each for each in refused)
    for thread in threading.enumerate():
        if thread.name.startswith("aiocake lease"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (psycopg.InternalError("got no result from the query"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), False),
        (psycopg.errors.DiskFull(""), False),
        (psycopg.errors.AdminShutdown(""), True),
    ],
)
def test_which_errors_pass(error: Exception, passes: bool) -> None:  # noqa: FBT001 - parametrized
    assert is_passing(error) is passes


# The outbox.


async def test_a_plan_is_there_if_the_transaction_commits(ledgers, database) -> None:
    its, books = ledgers(Sandbox()), database.books()
    async with its.client() as cake:
        calls = update(cake, 4821, 4822)
        async with await psycopg.AsyncConnection.connect(database.server.conninfo()) as connection:
            await books.plan("x", calls, connection=connection)
            with pytest.raises(JournalError, match="there is no run x"):
                await bulk.resume(books.run("x"), cake)
            await connection.rollback()
            with pytest.raises(JournalError, match="there is no run x"):
                await bulk.resume(books.run("x"), cake)
            await books.plan("x", iter(calls), connection=connection)
            await connection.commit()
            with pytest.raises(JournalError, match="pg:x exists already"):
                await books.plan("x", calls, connection=connection)
            await connection.execute("SELECT 1")  # the transaction can go on
        summary = await bulk.carry(books.run("x"), cake, calls=list)
        assert (summary.done, summary.complete) == (2, True)
    async with await Journal.open(books.run("x")) as journal:
        found = await journal.verify_log()
        assert (found.integrity, found.completeness) == ((), ())


async def test_a_plan_over_a_sync_connection_and_what_is_no_transaction(ledgers, database) -> None:
    its, books = ledgers(Sandbox()), database.books()
    async with its.client() as cake:
        calls = update(cake, 4821, 4821)
        with database.server.connect() as connection:
            with pytest.raises(ArgumentError, match="connection: must be in a transaction"):
                await books.plan("x", calls, connection=connection)
            with connection.transaction():
                with pytest.raises(ArgumentError, match=r"calls\[1\]: is repeated"):
                    await books.plan("x", calls, connection=connection)
                await books.plan("x", calls[:1], connection=connection)
        with pytest.raises(ArgumentError, match="connection: must be a psycopg"):
            await books.plan("y", calls, connection="x")  # type: ignore[arg-type]
        assert (await bulk.resume(books.run("x"), cake)).complete


async def test_a_transaction_that_cannot_go_on_plans_nothing(ledgers, database) -> None:
    its, books = ledgers(Sandbox()), database.books()

    def ending(connection: Any) -> Any:  # noqa: ANN401 - psycopg's
        yield call
        with database.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        raise ValueError("the caller's own")

    async with its.client() as cake:
        (call,) = update(cake, 4821)
        with psycopg.connect(database.server.conninfo()) as connection:
            with pytest.raises(psycopg.errors.UndefinedColumn):
                connection.execute("SELECT nothing")
            with pytest.raises(JournalError, match=r"pg:x cannot be planned: .+ is aborted"):
                await books.plan("x", [call], connection=connection)
            connection.rollback()
            with pytest.raises(ValueError, match="the caller's own"):
                await books.plan("x", ending(connection), connection=connection)
            with pytest.raises(JournalError, match="pg:x cannot be planned: the connection is"):
                await books.plan("x", [call], connection=connection)


# Creates of different runs.


async def opened(database, name: str, *states: EntryState) -> Journal:
    """A run with a create, which is in a state."""
    journal = await Journal.create(database.books().run(name), "x.example")
    journal.plan(0, b"0" * 16, "{}")
    for state in states:
        if state is EntryState.SENDING:
            journal.sending(0, "intent", [])
        else:
            journal.ended(0, state, "intent", None)
    await journal.flush()
    return journal


async def test_creates_on_their_way_exclude_each_other(database) -> None:
    async with await opened(database, "a") as a, await opened(database, "b") as b:
        assert await a.claim(0, 7, *JANUARY) == Claimed(0, alone=True)
        found = await b.claim(0, 7, date(2030, 1, 31), date(2030, 2, 3))
        assert found == ClaimedElsewhere("pg:a", in_doubt=False)
        assert isinstance(await b.claim(0, 8, *JANUARY), Claimed)
        # Days that do not overlap; but what was listed may change by the other.
        assert await b.claim(0, 7, date(2030, 2, 1), date(2030, 2, 3)) == Claimed(1, alone=False)
        assert (await a.claimed_numbers())[7] == -1
        b.unclaim(0)
        await b.flush()
        assert await a.claimed_numbers() == {7: 2, 8: 1}


async def test_who_has_lost_its_run_claims_nothing(database, monkeypatch) -> None:
    a = await opened(database, "a")
    with database.connect() as connection:
        connection.execute("UPDATE run SET lease_until = clock_timestamp()")
    rows = PostgresStore._rows

    def cut(store: PostgresStore, text: str, values: object) -> object:
        if "FOR NO KEY UPDATE" in text:  # the look at why, as the end of the lease cuts it off
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return rows(store, text, values)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresStore, "_rows", cut)
        with pytest.raises(JournalLost, match="pg:a is lost to this process"):
            await a.claim(0, 7, *JANUARY)
    await a.aclose()


async def test_a_create_in_doubt_is_claimed_until_it_is_resolved(database) -> None:
    async with await opened(database, "b") as b:
        a = await opened(database, "a", EntryState.SENDING)
        assert isinstance(await a.claim(0, 7, *JANUARY), Claimed)
        a.ended(0, EntryState.UNKNOWN, "intent", None)
        await a.flush()
        doubt = ClaimedElsewhere("pg:a", in_doubt=True)
        assert await b.claim(0, 7, *JANUARY) == doubt
        await a.aclose()
        assert await b.claim(0, 7, *JANUARY) == doubt  # whoever has the run, or nobody
        async with await Journal.open(database.books().run("a"), "x.example") as again:
            again.ended(0, EntryState.DONE, None, {"found": 1})
            await again.flush()
        assert isinstance(await b.claim(0, 7, *JANUARY), Claimed)


async def test_a_claim_of_a_process_that_is_gone_ends_with_its_lease(database) -> None:
    async with await opened(database, "b") as b:
        for name, state, found in (
            ("planned", [], Claimed),
            ("sending", [EntryState.SENDING], ClaimedElsewhere),
        ):
            a = await opened(database, name, *state)
            partner = 7 + len(state)
            await a.claim(0, partner, *JANUARY)
            with database.connect() as connection:
                connection.execute(
                    "UPDATE run SET lease_until = clock_timestamp() WHERE name = %s", [name]
                )
            met = await b.claim(0, partner, *JANUARY)
            assert isinstance(met, found)
            assert not isinstance(met, ClaimedElsewhere) or met.in_doubt
            await a.aclose()


async def test_without_the_extension_the_row_of_the_partner_keeps_creates_apart(database) -> None:
    with database.connect() as connection:
        there = connection.execute("SELECT 1 FROM pg_constraint WHERE conname = 'claim_apart'")
        assert there.fetchone(), "the extension is there: the constraint is tested as well"
        await refuses_overlap(database)
        connection.execute("ALTER TABLE claim DROP CONSTRAINT claim_apart")
    journals = [await opened(database, f"run-{n}") for n in range(4)]
    found: list[object] = []

    async def take(journal: Journal) -> None:
        found.append(await journal.claim(0, 7, *JANUARY))

    async with anyio.create_task_group() as group:
        for journal in journals:
            group.start_soon(take, journal)
    assert len([each for each in found if isinstance(each, Claimed)]) == 1
    for journal in journals:
        await journal.aclose()


async def refuses_overlap(database) -> None:
    insert = "INSERT INTO claim (run, place, domain, partner, period) VALUES (%s, 0, 'x', 7, %s)"
    with database.connect() as connection:
        connection.execute(insert, [1, "[2030-01-01,2030-02-01)"])
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.execute(insert, [2, "[2030-01-31,2030-02-03)"])
        connection.execute("DELETE FROM claim")


async def test_a_create_that_another_run_has_in_doubt_is_not_sent(
    ledgers, database, january
) -> None:
    its, books = ledgers(), database.books()
    async with its.client() as cake:
        calls = [january(cake, its.affiliates(1)[0])]
        its.lose(lambda each: each.operation == "invoice", done=False)
        its.lose(lambda each: each.operation == "invoices" and bool(its.writes), done=False)
        first = await bulk.carry(books.run("a"), cake, calls=lambda: calls, settle=0)
        assert first.unknown == 1
        its.state.requests.clear()
        second = await bulk.carry(books.run("b"), cake, calls=lambda: calls, settle=0)
        assert second.failed == 1
        (problem,) = second.problems
        assert "is unknown in pg:a: resume that run" in str(problem.error)
        assert "aiocake journal release pg:a" in str(problem.error)
        assert its.writes == []
        assert (await bulk.resume(books.run("a"), cake, settle=0)).complete
        third = await bulk.carry(books.run("b"), cake, calls=lambda: calls, settle=0)
        assert (third.skipped, third.complete) == (1, True)
        assert len(its.periods()) == 1


async def test_a_create_that_waits_names_the_run_that_it_waits_for(
    ledgers, database, january
) -> None:
    its, books = ledgers(), database.books()
    (partner,) = its.affiliates(1)
    busy: list[PartnerBusy] = []
    async with await opened(database, "a") as other:
        await other.claim(0, partner, *JANUARY)

        def told(event: object) -> None:
            if isinstance(event, PartnerBusy):
                busy.append(event)
                other.unclaim(0)

        async with its.client(on_event=told) as cake:
            calls = [january(cake, partner)]
            assert (await bulk.each(calls, journal=books.run("b"))).complete
    assert [(each.partner, each.seconds, each.run) for each in busy] == [(partner, None, "pg:a")]


async def test_a_plan_that_was_approved_is_carried_out_by_one_run(ledgers, database) -> None:
    its, books = ledgers(Sandbox()), database.books()
    identity = PlanIdentity(hash="a" * 64)
    async with its.client() as cake:
        await bulk.each(update(cake, 4821), journal=books.run("a"), identity=identity)
        with pytest.raises(PlanError, match="applied before, with the journal pg:a"):
            await bulk.each(update(cake, 4821), journal=books.run("b"), identity=identity)


async def test_a_commit_whose_answer_is_lost_is_read_back(ledgers, database, monkeypatch) -> None:
    its, where = ledgers(Sandbox()), database.books().run("x")
    rows, lost = PostgresStore._rows, [0]

    def losing(store: PostgresStore, text: str, values: object) -> object:
        found = rows(store, text, values)
        if "written = " in text and lost[0] < 3:
            lost[0] += 1
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return found

    monkeypatch.setattr(PostgresStore, "_rows", losing)
    async with its.client() as cake:
        assert (await bulk.each(update(cake, 4821, 4822), journal=where)).complete
    assert lost == [3]
    async with await Journal.open(where) as journal:
        found = await journal.verify_log()
        assert (found.integrity, found.completeness) == ((), ())


async def test_a_commit_that_is_read_back_has_renewed_the_lease_when_it_was_first_sent(
    database, monkeypatch
) -> None:
    later = [0.0]
    monkeypatch.setattr("aiocake.bulk.postgres.store.clock", lambda: clock() + later[0])
    rows = PostgresStore._rows
    async with await opened(database, "x") as journal:

        def losing(store: PostgresStore, text: str, values: object) -> object:
            found = rows(store, text, values)
            if "written = " in text and not later[0]:
                later[0] = 7.0
                raise psycopg.OperationalError("server closed the connection unexpectedly")
            return found

        monkeypatch.setattr(PostgresStore, "_rows", losing)
        begun = clock()
        journal.ended(0, EntryState.FAILED, None, None)
        await journal.flush()
        lease = journal._store.deadline
        assert isinstance(lease, Lease)
        # Not from the second try, seven seconds later.
        assert lease.left() <= begun + 0.95 * lease.asked_for - clock() + 3.0


async def test_a_server_that_may_lose_what_it_has_committed_is_told_of(ledgers, database) -> None:
    its = ledgers(Sandbox())
    conninfo = f"{database.server.conninfo()} options='-c synchronous_commit=off'"
    async with its.client() as cake:
        where = database.books(conninfo=conninfo).run("x")
        summary = await bulk.each(update(cake, 4821), journal=where)
    (note,) = summary.notes
    assert "may lose what it has committed, as it is set to synchronous_commit=off" in note


# What a role or a database has for its defaults.

#: None of them is ours to know: each has been seen with somebody.
DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "search_path": "",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
    "client_encoding": "SQL_ASCII",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "idle_in_transaction_session_timeout": "20s",
    "statement_timeout": "20s",
    "extra_float_digits": "0",
}


@pytest.fixture
def role(database) -> str:
    """A role that carries out runs, whose defaults a test sets."""
    role = f"{database.schema}_role"
    with database.connect() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
    anyio.run(lambda: database.books().migrate(role=role))
    return role


async def test_whatever_the_defaults_of_a_role_are_runs_go_on(
    ledgers, database, role, january
) -> None:
    conninfo = database.server.conninfo(user=role)
    with database.connect() as connection:
        for name, value in DEFAULTS.items():
            connection.execute(f"ALTER ROLE {role} SET {name} TO '{value}'")
    its, others = ledgers(), ledgers(Sandbox())
    books = [database.books(conninfo=conninfo).run(name) for name in ("kühn", "雪\\'", "c")]
    async with its.client() as cake, others.client() as other:
        calls = [january(cake, each) for each in its.affiliates(4)]

        async def carry(where: PostgresRun) -> None:
            summary = await bulk.carry(where, cake, calls=lambda: calls, settle=0)
            assert summary.complete, [str(each.error) for each in summary.problems]

        async with anyio.create_task_group() as group:
            for where in books:  # whose creates meet
                group.start_soon(carry, where)
        texts = ["a\\'b", "$1 %s {NULL}", 'grün "雪"']
        memos = [bulk.call(other.invoices.update, 4821, memo=each) for each in texts]
        where = database.books(conninfo=conninfo).run("memos")
        assert (await bulk.carry(where, other, calls=lambda: memos)).done == len(texts)
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            with pytest.raises(ArgumentError, match="must have standard_conforming_strings on"):
                await database.books().plan("x", memos, connection=connection)
    assert len(its.periods()) == len(calls)
    for each in (*books, where):
        async with await Journal.open(each) as journal:
            found = await journal.verify_log()
            assert (found.integrity, found.completeness) == ((), ())


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_whatever_its_isolation_is_a_quota_is_asked_once(database, role, isolation) -> None:
    conninfo = database.server.conninfo(user=role)
    with database.connect() as connection:
        connection.execute(f"ALTER ROLE {role} SET default_transaction_isolation TO '{isolation}'")

    def ask(number: int) -> list[float]:
        store = database.books(conninfo=conninfo).pace("it's \\ 雪")
        learned = "it's \\ 雪"
        replies = [
            store.ask(QuotaRequest(member=f"{number}", turns=1, interval=0.01, learned=learned))
            for _ in range(40)
        ]
        store.close()
        assert replies[0].learned in {learned, None}
        return [reply.now + reply.due for reply in replies]

    with ThreadPoolExecutor(4) as pool:
        due = sorted(at for own in pool.map(ask, range(4)) for at in own)
    assert len(due) == len({round(at, 3) for at in due}) == 160


async def test_a_role_that_may_only_read_is_told_so(database, role) -> None:
    with database.connect() as connection:
        connection.execute(f"ALTER ROLE {role} SET default_transaction_read_only TO on")
    books = database.books(conninfo=database.server.conninfo(user=role))
    async with await Journal.create(database.books().run("x"), "x.example"):
        pass
    match = "in a read-only transaction .default_transaction_read_only is on, or the server is a"
    async with await Journal.open(books.run("x")) as journal:  # which reads only
        assert await journal.domain() == "x.example"
    with pytest.raises(JournalError, match=match):
        await Journal.create(books.run("y"), "x.example")
    with pytest.raises(QuotaUnavailable, match="read-only transaction"):
        books.pace("x").ask(QuotaRequest(member="a"))
