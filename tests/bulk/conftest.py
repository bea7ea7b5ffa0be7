"""A server of one list, with what CAKE's documents disagree on and what may happen meanwhile."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import anyio
import attrs
import httpx
import pytest
from starlette.responses import Response

from aiocake import Client, RetryPolicy, Throttle, bulk
from aiocake.bulk import Call
from aiocake.paging import Pager, PageRequest
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import RecordedRequest


@attrs.frozen
class Answer:
    """One page, as a fetch gives it."""

    items: tuple[int, ...]
    total_rows: int | None
    start_at_row: int


@attrs.define(kw_only=True)
class Server:
    """A list of row ids.

    ``total`` is "right", "missing", "page" (the count of the page itself) or by how many rows it
    is wrong. ``shorten(start, limit)`` is how many rows a page has, ``fail(start)`` its error.
    ``changes`` are applied one by one, each before the answer of that number (from 0).
    ``delays`` are how many turns of the event loop the answer of a request waits, cyclically.
    """

    rows: list[int]
    first_row: int = 0
    cap: int | None = None
    total: str | int = "right"
    ignores_start: bool = False
    ignores_limit: bool = False
    shorten: Callable[[int, int], int] = lambda _, row_limit: row_limit
    fail: Callable[[int], Exception | None] = lambda _: None
    changes: dict[int, Callable[[list[int]], None]] = attrs.field(factory=dict)
    delays: Sequence[int] = (0,)
    requests: list[tuple[int, int]] = attrs.field(factory=list)
    answers: list[Answer] = attrs.field(factory=list)
    active: int = 0
    most_active: int = 0
    anomalies: list[tuple[str, str, str]] = attrs.field(factory=list)
    always: set[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.always = set(self.rows)

    async def fetch(self, ask: PageRequest) -> Answer:
        number = len(self.requests)
        self.requests.append((ask.start_at_row, ask.row_limit))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            for _ in range(self.delays[number % len(self.delays)]):
                await anyio.lowlevel.checkpoint()
            return self.answer(ask.start_at_row, ask.row_limit)
        finally:
            self.active -= 1

    def answer(self, start_at_row: int, row_limit: int) -> Answer:
        change = self.changes.get(len(self.answers))
        if change is not None:
            change(self.rows)
            self.always &= set(self.rows)
        error = self.fail(start_at_row)
        if error is not None:
            raise error
        begin = 0 if self.ignores_start else max(start_at_row - self.first_row, 0)
        size = len(self.rows) if self.ignores_limit else self.shorten(start_at_row, row_limit)
        if self.cap is not None:
            size = min(size, self.cap)
        items = tuple(self.rows[begin : begin + size])
        self.answers.append(Answer(items, self._total_rows(items), start_at_row))
        return self.answers[-1]

    def _total_rows(self, items: tuple[int, ...]) -> int | None:
        match self.total:
            case "missing":
                return None
            case "page":
                return len(items)
            case int(wrong):
                return max(len(self.rows) + wrong, 0)
            case _:
                return len(self.rows)

    def pager(  # noqa: PLR0913 - as the Pager
        self,
        *,
        row_limit: int = 9,
        limit: int = 4,
        matches: Callable[[int], str | None] = lambda _: None,
        wrong_date: Callable[[int], str | None] | None = None,
        select: Callable[[int], bool] | None = None,
        adaptive: bool = False,
        fallback: int | None = None,
    ) -> Pager[int]:
        return Pager(
            self.fetch,
            row_id=lambda row: row,
            matches=matches,
            wrong_date=wrong_date,
            select=select,
            row_limit=row_limit,
            adaptive=adaptive,
            fallback=fallback,
            limit=limit,
            operation="invoices.find",
            anomaly=lambda operation, what, detail: self.anomalies.append(
                (operation, what, detail)
            ),
        )

    def reported(self) -> list[str]:
        return [what for _, what, _ in self.anomalies]


@pytest.fixture(scope="session")
def make_server() -> Callable[..., Server]:
    """Make a server of the rows given, or of so many."""

    def make(rows: int | Iterable[int], **dialect: object) -> Server:
        ids = range(1, rows + 1) if isinstance(rows, int) else rows
        return Server(rows=list(ids), **dialect)

    return make


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
