"""``aiocake journal migrate`` and ``release``, for journals in PostgreSQL."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Final

import typer

from aiocake import ArgumentError
from aiocake.bulk import Journal
from aiocake.bulk.journal import Entry, EntryState
from aiocake.bulk.journal_store import JournalPlace
from aiocake.cli.errors import print_error
from aiocake.cli.formats import Fields
from aiocake.cli.journal import File
from aiocake.cli.options import JsonOption, YesOption
from aiocake.cli.output import say_object, say_out
from aiocake.cli.signals import run
from aiocake.cli.terminal import confirm
from aiocake.errors import Problem

#: How many creates are listed.
_MOST_LISTED: Final = 20


def migrate(
    *,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            metavar="",
            help="Run the SQL, unless the tables exist.",
            show_default=False,
        ),
    ] = False,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="A role that carries out runs and does not own the tables: grant what it needs. "
            "It cannot change the log.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the SQL that creates the tables for journals in PostgreSQL, or run it with --apply.

    The environment variables of libpq say where the database is: PGHOST, PGDATABASE, PGSERVICE,
    PGPASSFILE and others. The schema is CAKE_JOURNAL_SCHEMA, by default aiocake.
    """
    from aiocake.bulk.postgres import Postgres  # noqa: PLC0415 - an extra

    schema = os.environ.get("CAKE_JOURNAL_SCHEMA") or "aiocake"
    books = Postgres(schema=schema)
    sql = books.migration(role=role).rstrip()
    made = run(partial(books.migrate, role=role)) if apply else False
    if as_json:
        say_object({"schema": schema, "role": role, "made": made, "sql": None if apply else sql})
    elif not apply:
        say_out(sql)
    elif made:
        print_error(f"schema {schema} was made")
    else:
        print_error(f"schema {schema} is up to date")


def release(file: File, *, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Let other runs create where this run has left the outcome of a create unknown.

    A create in doubt keeps all other runs of the same database from creating for its partner and
    overlapping days, until this run is resumed and finds out what became of it. Release it only
    once you have seen in CAKE what that is. The log keeps that it was released.
    """
    doubts, domain = run(partial(_doubts, file))
    if not doubts:
        if as_json:
            say_object(_outcome(file, (), 0))
        else:
            print_error(f"{file}: the outcome of no create is unknown: there is nothing to release")
        return
    for entry, partner in doubts[:_MOST_LISTED]:
        print_error(f"in doubt: call {entry.index}, for affiliate {partner}")
    if len(doubts) > _MOST_LISTED:
        print_error(f"and {len(doubts) - _MOST_LISTED} more")
    if not yes:
        count = f"{len(doubts)} create{'' if len(doubts) == 1 else 's'}"
        confirm(
            f"At {domain}: let other runs create in place of {count} of {file}",
            "nothing was released",
        )
    seen = {entry.index: entry.intent for entry, _ in doubts}
    released = run(partial(_release, file, domain, seen))
    if as_json:
        say_object(_outcome(file, doubts, released))
        return
    print_error(f"released: {released}; the outcome is still unknown: resume the run")
    if released < len(doubts):
        print_error(f"not released: {len(doubts) - released}, which have changed state meanwhile")


def _outcome(file: JournalPlace, doubts: Iterable[tuple[Entry, object]], released: int) -> Fields:
    """Return what came of it, with the creates that were in doubt when somebody was asked."""
    found = [{"index": entry.index, "affiliate_id": partner} for entry, partner in doubts]
    return {
        "journal": str(file),
        "in_doubt": found,
        "released": released,
        "moved_on": len(found) - released,
    }


async def _doubts(file: JournalPlace) -> tuple[list[tuple[Entry, object]], str]:
    """Return the creates in doubt of a run, with their partners, and its instance."""
    if file.files():
        raise ArgumentError(
            Problem("RUN.DB", "only runs in PostgreSQL hold others back: name one as pg:NAME")
        )
    found: list[tuple[Entry, object]] = []
    async with await Journal.open(file) as journal:
        domain = await journal.domain()
        place = -1
        states = (EntryState.SENDING, EntryState.UNKNOWN)
        while entries := await journal.entries(*states, after=place):
            place = entries[-1].index
            for entry in entries:
                # Creates alone know what was there before.
                call = json.loads(entry.call)
                if entry.before is not None:
                    found.append((entry, call["arguments"].get("affiliate_id")))
    return found, domain


async def _release(file: JournalPlace, domain: str, seen: Mapping[int, str | None]) -> int:
    """Release the creates that were in doubt when the prompt was shown; return how many."""
    released, place = 0, -1
    async with await Journal.open(file, domain) as journal:
        states = (EntryState.SENDING, EntryState.UNKNOWN)
        while entries := await journal.entries(*states, after=place):
            place = entries[-1].index
            for entry in entries:
                if entry.index in seen and seen[entry.index] == entry.intent:
                    journal.release(entry.index)
                    released += 1
        journal.stopped("creates were released")
        await journal.flush()
    return released
