"""Journals in PostgreSQL: for runs that more than one machine may go on with (extra: ``postgres``).

::

    books = Postgres()  # PGHOST, PGSERVICE and the like say where
    summary = await bulk.carry(books.run("payouts-2024-01"), cake, calls=january)

One process has a run at a time, by a lease that it renews. If it is killed, stands still or loses
the database, the lease ends, and the next one that asks for the run goes on with it. Creates of all
runs of a schema that are on their way or in doubt exclude each other by partner and period.

The database is asked by psycopg's sync connection in a thread, so that this works on asyncio and
on trio, and through PgBouncer, with a pool for each transaction as well.
"""

from aiocake.bulk.postgres.books import Postgres
from aiocake.bulk.postgres.places import PostgresRun

__all__ = ["Postgres", "PostgresRun"]
