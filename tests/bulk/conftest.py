"""Runs of writes against a sandbox whose answers get lost, and calls for them."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from aiocake import Client, RetryPolicy, Throttle, bulk
from aiocake.bulk import Call
from aiocake.bulk.journal_store import JournalPath
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import RecordedRequest

from ..support.database import Database, database, postgres

__all__ = ["database", "postgres"]


class Ledgers:
    """A sandbox whose answers get lost where a test says so, and clients of it."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox or Sandbox(invoices=0)
        self.state = self.sandbox.state
        self._lost: list[tuple[Callable[[RecordedRequest], bool], bool, int]] = []
        self.state.on_request.append(self._before)
        self.state.on_response.append(self._after)

    def client(self, **settings: object) -> Client:
        """A client that does not retry."""
        given: dict[str, object] = {
            "transport": httpx.ASGITransport(app=self.sandbox.app),
            "retry": RetryPolicy(attempts=1),
            "throttle": Throttle(concurrency=4),
        }
        return Client("x.example", "SANDBOX-KEY", **(given | settings))  # type: ignore[arg-type] # they are what they are

    def lose(
        self, which: Callable[[RecordedRequest], bool], *, done: bool, status: int = 502
    ) -> None:
        """Lose the answer of the first request of a kind, carried out or not, and say this."""
        self._lost.append((which, done, status))

    @property
    def writes(self) -> list[RecordedRequest]:
        """The requests that were to change something."""
        return [each for each in self.state.requests if each.operation not in _READS]

    def periods(self) -> list[tuple[int, str, str]]:
        """Affiliate and period of each invoice that is not void and was made by a test."""
        return sorted(
            (each.affiliate_id or 0, each.start_date.isoformat(), each.end_date.isoformat())
            for each in self.state.invoices.values()
            if each.invoice_status != "void" and each.start_date.year == 2030
        )

    def affiliates(self, count: int) -> list[int]:
        """Some affiliates that there are."""
        return list(self.state.affiliates)[:count]

    def _take(self, request: RecordedRequest, *, done: bool) -> Response | None:
        for each in self._lost:
            if each[1] is done and each[0](request):
                self._lost.remove(each)
                return Response("gone", each[2])
        return None

    def _before(self, request: RecordedRequest) -> Response | None:
        return self._take(request, done=False)

    def _after(self, request: RecordedRequest, _: Response) -> Response | None:
        return self._take(request, done=True)


_READS = {"invoices", "billing_cycles", "payment_methods", "currencies"}


@pytest.fixture
def ledgers() -> type[Ledgers]:
    return Ledgers


@pytest.fixture
def january() -> Callable[[Client, int], Call[object]]:
    """Makes calls that create an affiliate's invoice of January."""

    def make(cake: Client, affiliate_id: int) -> Call[object]:
        return bulk.call(
            cake.invoices.create,
            affiliate_id=affiliate_id,
            start_date=date(2030, 1, 1),
            end_date=date(2030, 1, 31),
        )

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> JournalPath:
    """Where a new journal is to be: in each of the databases."""
    if request.param == "sqlite":
        return tmp_path / "run.db"
    found: Database = request.getfixturevalue("database")
    return found.books().run("payouts")
