"""Create the tables, or print the SQL that creates them."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiocake.bulk.postgres.lease import answered_within
from aiocake.bulk.postgres.places import PATIENCE, Books
from aiocake.bulk.postgres.schema import VERSION, creation, grants, quoted
from aiocake.errors import JournalError

if TYPE_CHECKING:
    import psycopg


def migration(schema: str, role: str | None) -> str:
    """Return the SQL that creates the tables of a schema, in one transaction."""
    granted = "" if role is None else f"\n{grants(schema, role)}"
    return f"BEGIN;\n\n{creation(schema)}{granted}\nCOMMIT;\n"


def migrate(books: Books, role: str | None) -> bool:
    """Create the tables of a schema, unless they exist. Blocks.

    Returns:
        True if they were made.

    Raises:
        JournalError: They cannot be made, or those of another version are there.
    """
    import psycopg  # noqa: PLC0415 - an extra

    schema = books.schema
    problem, there = "", False
    with books.connector.open() as connection:
        try:
            with answered_within(PATIENCE, lambda: connection, f"schema {schema}"):
                there = _is_there(books, connection)
                if there:
                    books.refuse_schema(connection)
                    if role is not None:
                        connection.execute(cast("Any", grants(schema, role)))
                    return False
                connection.execute(cast("Any", migration(schema, role)))
        except psycopg.Error as error:
            problem = books.connector.cleaned(error)
            with suppress(psycopg.Error):
                connection.rollback()
                if not there and _is_there(books, connection):
                    problem = ""  # somebody else has made them at the same moment
        else:
            return True
    if not problem:
        return migrate(books, role)
    raise JournalError(f"version {VERSION} of schema {schema} cannot be made: {problem}")


def _is_there(books: Books, connection: "psycopg.Connection[Any]") -> bool:
    name = f"{quoted(books.schema)}.meta"
    return connection.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,)
