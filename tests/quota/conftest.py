"""The stores of shared quotas: in memory, in Redis and in PostgreSQL, each fresh for a test."""

import itertools
import time
from collections.abc import Callable, Iterator

import anyio
import attrs
import pytest

from aiocake.bulk.postgres import Postgres
from aiocake.quota import QuotaStore

from ..support import postgres, redis_server
from ..support.quota_memory import MemoryQuota
from ..support.redis_server import RedisServer

_names = (f"key-{number}" for number in itertools.count())


@attrs.frozen
class Place:
    """A quota in a store.

    Attributes:
        make: Return the store, for one more process.
    """

    make: Callable[[], QuotaStore]
    opened: list[QuotaStore] = attrs.field(factory=list)

    def open(self) -> QuotaStore:
        """Return the store, for one more process; it is closed after the test."""
        self.opened.append(self.make())
        return self.opened[-1]


@pytest.fixture(scope="session")
def redis_place() -> Iterator[RedisServer]:
    if redis_server.MISSING:
        pytest.skip(redis_server.MISSING)
    with redis_server.redis_server() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_place() -> Iterator[postgres.Server]:
    if postgres.MISSING:
        pytest.skip(postgres.MISSING)
    with postgres.server() as running:
        books = Postgres(conninfo=running.conninfo())
        anyio.run(books.migrate)
        yield running


@pytest.fixture(params=["memory", "redis", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A quota that nobody has used."""
    place = _place(request, next(_names))
    yield place
    for store in place.opened:
        store.close()


def _place(request: pytest.FixtureRequest, name: str) -> Place:
    if request.param == "memory":
        memory = MemoryQuota(time.time)
        return Place(lambda: memory)
    if request.param == "redis":
        from aiocake.quota import Redis  # noqa: PLC0415 - an extra

        url = request.getfixturevalue("redis_place").url
        return Place(lambda: Redis(url, name=name))
    server = request.getfixturevalue("postgres_place")
    return Place(lambda: Postgres(conninfo=server.conninfo()).pace(name))
