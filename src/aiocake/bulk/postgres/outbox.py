"""The outbox: write a plan in a transaction of the caller's."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, cast

import anyio.to_thread

from aiocake._normalize import class_name
from aiocake.bulk.journal_file import now
from aiocake.bulk.journal_store import exists_already
from aiocake.bulk.log_chain import Chain, LogEvent, log_entry, planned
from aiocake.bulk.plan import CallPlan, Calls, DuplicateFilter
from aiocake.bulk.postgres.places import Books, PostgresRun
from aiocake.errors import ArgumentError, JournalError, Problem

#: How many calls are written at once.
_AT_ONCE: Final = 500

_MAKE: Final = """\
INSERT INTO {s}.run (name, domain, created_at) VALUES (%(name)s, %(domain)s, %(created_at)s)
ON CONFLICT DO NOTHING RETURNING run"""
_ADD: Final = """\
INSERT INTO {s}.call (run, place, digest, call, hash, state)
SELECT %(run)s, x.*, 'planned' FROM unnest(%(place)s::bigint[], %(digest)s::bytea[],
    %(call)s::text[], %(hash)s::bytea[]) AS x"""
_END: Final = """\
WITH ended AS (UPDATE {s}.run SET whole_at = %(at)s WHERE run = %(run)s)
INSERT INTO {s}.log (run, entry, place, session, at, what, intent, detail, hash)
SELECT %(run)s, x.* FROM unnest(%(entry)s::bigint[], %(of)s::bigint[], %(session)s::bigint[],
    %(ats)s::text[], %(what)s::text[], %(intent)s::text[], %(detail)s::text[],
    %(hash)s::bytea[]) AS x"""


async def plan_in(
    books: Books, place: PostgresRun, calls: Calls[Any], connection: object, *, allow_repeats: bool
) -> None:
    """Write a plan over a connection of the caller's, as ``Postgres.plan`` says."""
    session = _session_of(connection)
    repeats = None if allow_repeats else DuplicateFilter()
    try:
        plan = CallPlan(calls, repeats)
        try:
            first = await plan.peek()
            plan.domain = "" if first is None else first.executor.domain
            async with session.savepoint(place):
                await _write(books, place, plan, session)
        finally:
            await plan.aclose()
    finally:
        if repeats is not None:
            repeats.close()


async def _write(books: Books, place: PostgresRun, plan: CallPlan, session: "_Session") -> None:
    created_at = now()
    values = {"name": place.name, "domain": plan.domain, "created_at": created_at}
    rows = await session.execute(books.text(_MAKE), values, rows=True)
    if not rows:
        raise exists_already(place)
    run = rows[0][0]
    chain = Chain()
    waiting: list[tuple[int, bytes, str, bytes]] = []
    async with aclosing(plan.batches()) as batches:
        async for items in batches:
            for item in items:
                digest, text = item.call.digest(), item.call.to_json()
                hash_ = chain.add(*planned(item.index, digest, text))
                waiting.append((item.index, digest, text, hash_))
            if len(waiting) >= _AT_ONCE:
                await _add(books, run, waiting, session)
    await _add(books, run, waiting, session)
    log, at = Chain(), now()
    about = json.dumps({"domain": plan.domain, "created_at": created_at})
    # By no session of the run: it has not begun.
    entries = [
        log_entry(log, 0, LogEvent.CREATED.value, about, at=created_at),
        log_entry(log, 0, LogEvent.WHOLE.value, json.dumps(chain.head), at=at),
    ]
    names = ("entry", "of", "session", "ats", "what", "intent", "detail", "hash")
    columns = [list(column) for column in zip(*entries, strict=True)]
    ended: dict[str, object] = {"run": run, "at": at}
    ended |= dict(zip(names, columns, strict=True))
    await session.execute(books.text(_END), ended)


async def _add(
    books: Books, run: int, waiting: list[tuple[int, bytes, str, bytes]], session: "_Session"
) -> None:
    if waiting:
        places, digests, calls, hashes = (list(each) for each in zip(*waiting, strict=True))
        values = {"run": run, "place": places, "digest": digests, "call": calls, "hash": hashes}
        await session.execute(books.text(_ADD), values)
        waiting.clear()


class _Session:
    """A connection of the caller's, of either kind."""

    def __init__(self, connection: Any, *, is_async: bool) -> None:  # noqa: ANN401 - of psycopg
        self._connection = connection
        self._is_async = is_async

    async def execute(
        self,
        text: Any,  # noqa: ANN401 - psycopg wants a literal
        values: Mapping[str, object] | None = None,
        *,
        rows: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Execute a statement; return its rows."""
        from psycopg.rows import tuple_row  # noqa: PLC0415 - an extra

        if self._is_async:
            async with self._connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(text, values, prepare=False)
                return await cursor.fetchall() if rows else []

        def work() -> list[tuple[Any, ...]]:
            with self._connection.cursor(row_factory=tuple_row) as cursor:
                cursor.execute(text, values, prepare=False)
                return cast("list[tuple[Any, ...]]", cursor.fetchall()) if rows else []

        return await anyio.to_thread.run_sync(work)

    @asynccontextmanager
    async def savepoint(self, place: PostgresRun) -> AsyncGenerator[None]:
        """Roll back the block if it fails; the transaction can continue."""
        import psycopg  # noqa: PLC0415 - an extra

        problem = ""
        try:
            await self.execute("SAVEPOINT aiocake_plan")
            try:
                yield
            except BaseException:
                # What went wrong is said, not that a connection which has ended takes nothing back.
                with anyio.CancelScope(shield=True), suppress(psycopg.Error):
                    await self.execute("ROLLBACK TO SAVEPOINT aiocake_plan")
                raise
            await self.execute("RELEASE SAVEPOINT aiocake_plan")
        except psycopg.Error as error:
            problem = place.books.connector.cleaned(error)
        if problem:
            raise JournalError(f"{place} cannot be planned: {problem}")


def _session_of(connection: object) -> _Session:
    """Return a connection of the caller's, in a transaction.

    Raises:
        ArgumentError: It is none, or would commit each statement by itself.
    """
    import psycopg  # noqa: PLC0415 - an extra

    if not isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        raise ArgumentError(
            Problem(
                "connection",
                "must be a psycopg.Connection or psycopg.AsyncConnection, got "
                f"{class_name(connection)}",
            )
        )
    its = cast("Any", connection)
    idle = its.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    if its.autocommit and idle:
        raise ArgumentError(
            Problem("connection", "must be in a transaction: it commits each statement by itself")
        )
    if its.info.parameter_status("standard_conforming_strings") == "off":
        # psycopg would write other bytes than those of the hashes.
        raise ArgumentError(Problem("connection", "must have standard_conforming_strings on"))
    return _Session(its, is_async=isinstance(connection, psycopg.AsyncConnection))
