"""Journals in PostgreSQL: for runs that more than one machine may resume (extra: ``postgres``).

::

    books = Postgres()  # PGHOST, PGSERVICE and the like say where
    summary = await bulk.carry(books.run("payouts-2024-01"), cake, calls=january)

One process owns a run at a time, by a lease that it renews. If it is killed, hangs or loses the
database, the lease ends, and the next process that opens the run continues it. Creates of all runs
of a schema that are in flight or in doubt exclude each other by partner and period.

psycopg's sync connection runs in a thread, so that this works on asyncio and on trio, and through
PgBouncer, in transaction pooling mode as well.
"""

from aiocake.bulk.postgres.books import Postgres
from aiocake.bulk.postgres.places import PostgresRun

__all__ = ["Postgres", "PostgresRun"]
