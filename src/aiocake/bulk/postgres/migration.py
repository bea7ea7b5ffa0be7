"""Make the tables, or print the SQL that makes them."""

from typing import Any, cast

from aiocake.bulk.postgres.places import Books
from aiocake.bulk.postgres.schema import VERSION, creation, grants, quoted
from aiocake.errors import JournalError


def migration(schema: str, role: str | None) -> str:
    """Return the SQL that makes the tables of a schema, in one transaction."""
    granted = "" if role is None else f"\n{grants(schema, role)}"
    return f"BEGIN;\n\n{creation(schema)}{granted}\nCOMMIT;\n"


def migrate(books: Books, role: str | None) -> bool:
    """Make the tables of a schema, unless they are there. It waits.

    Returns:
        True if they were made.

    Raises:
        JournalError: They cannot be made, or those of another version are there.
    """
    import psycopg  # noqa: PLC0415 - an extra

    schema = books.schema
    problem = ""
    with books.connector.open() as connection:
        try:
            row = connection.execute("SELECT to_regclass(%s)", [f"{quoted(schema)}.meta"])
            if row.fetchone() != (None,):
                books.refuse_schema(connection)
                if role is not None:
                    connection.execute(cast("Any", grants(schema, role)))
                return False
            connection.execute(cast("Any", migration(schema, role)))
        except psycopg.Error as error:
            problem = books.connector.cleaned(error)
        else:
            return True
    raise JournalError(f"version {VERSION} of schema {schema} cannot be made: {problem}")
