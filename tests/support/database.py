"""A schema for journals in a PostgreSQL of the tests' own, as fixtures."""

import itertools
from collections.abc import Iterator
from typing import Any

import anyio
import attrs
import psycopg  # noqa: TC002 - imported like the others
import pytest

from aiocake.bulk.postgres import Postgres

from .postgres import MISSING, Server, server

__all__ = ["Database", "database", "postgres"]


@attrs.frozen
class Database:
    """A schema of a PostgreSQL that runs for the tests.

    Attributes:
        server: The server.
        schema: The schema, with tables.
    """

    server: Server
    schema: str

    def books(self, **settings: Any) -> Postgres:  # noqa: ANN401 - of many types
        """Return runs in it, of clients whose transport is the test's."""
        given: dict[str, Any] = {
            "conninfo": self.server.conninfo(),
            "lease": 20.0,
            "allow_foreign_transport": True,
        }
        return Postgres(schema=self.schema, **(given | settings))

    def connect(self) -> "psycopg.Connection[Any]":
        """Connect as the owner of its tables, who finds them without the schema's name."""
        return self.server.connect(options=f"-c search_path={self.schema},public")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for all tests of one worker."""
    if MISSING:
        pytest.skip(MISSING)
    with server() as running:
        yield running


_schemas = itertools.count(1)


@pytest.fixture
def database(postgres: Server) -> Database:
    """A schema of its own for each test."""
    found = Database(postgres, f"books_{next(_schemas)}")
    anyio.run(found.books().migrate)
    return found
