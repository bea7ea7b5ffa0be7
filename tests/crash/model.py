"""The server, the disk and somebody else, as far as a run of writes can meet them."""

import json
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path

import attrs
import httpx
from hypothesis import strategies as st
from starlette.responses import Response

from aiocake.bulk.group_commit import GroupCommit
from aiocake.sandbox import InvoiceRecord, RecordedRequest, Sandbox

PERIODS = (
    (date(2030, 1, 1), date(2030, 1, 31)),
    (date(2030, 1, 15), date(2030, 2, 14)),  # overlaps the first and the next
    (date(2030, 2, 1), date(2030, 2, 28)),
)
AFFILIATES = 2
SOMEBODY = "somebody"


class Handling(Enum):
    """What becomes of a request."""

    FINE = "fine"
    REFUSED = "refused"  # a response with no, and not carried out
    FAILED = "failed"  # a response with 500, and not carried out
    UNSENT = "unsent"  # no connection
    LOST = "lost"  # carried out, and the response is lost
    LATE = "late"  # the same; but it shows in no list before the next has its response


class Somebody(Enum):
    """What somebody else does just before a request comes."""

    NOTHING = "nothing"
    VOIDS = "voids"  # the newest invoice
    CREATES = "creates"  # what the newest create was for


@attrs.frozen
class Luck:
    """What happens to the requests of one process, one after the other."""

    writes: list[Handling]
    reads: list[Handling]
    somebody: list[Somebody]


@attrs.frozen
class Create:
    affiliate: int
    period: int


@attrs.frozen
class Update:
    """Of the invoice of that number (from 0): its status, its note, or both."""

    invoice: int
    status: bool
    memo: bool


Step = Create | Update

steps = st.lists(
    st.one_of(
        # Mostly of one affiliate, so that creates meet.
        st.builds(Create, st.sampled_from([0, 0, 0, 1]), st.integers(0, len(PERIODS) - 1)),
        st.builds(Update, st.integers(0, 3), st.booleans(), st.booleans()).filter(
            lambda each: each.status or each.memo
        ),
    ),
    min_size=3,
    max_size=6,
    # An invoice is updated once: of two updates, one that is not done keeps the other back.
    unique_by=lambda each: each.invoice if isinstance(each, Update) else object(),
)
READS = [Handling.FINE] * 6 + [Handling.FAILED, Handling.UNSENT]
OTHERS = [Somebody.NOTHING] * 5 + [Somebody.VOIDS, Somebody.CREATES]
lucks = st.builds(
    Luck,
    writes=st.lists(st.sampled_from(Handling), min_size=4, max_size=10),
    reads=st.lists(st.sampled_from(READS), min_size=4, max_size=10),
    somebody=st.lists(st.sampled_from(OTHERS), min_size=6, max_size=16),
)


def copy(source: Path, target: Path) -> None:
    """A database as it is on the disk, with what it has in its log only."""
    for end in ("", "-wal"):
        Path(f"{target}{end}").unlink(missing_ok=True)
        if Path(f"{source}{end}").exists():
            shutil.copy(f"{source}{end}", f"{target}{end}")


@attrs.frozen
class Ways:
    """How a plan is made and carried out.

    Attributes:
        plan: What it holds.
        form: What gives it.
        on_existing: As of ``each``.
        limit: As of ``each``.
        pace: Turns of the event loop that a commit takes.
    """

    plan: list[Step]
    form: str
    on_existing: str
    limit: int
    pace: int


ways = st.builds(
    Ways,
    plan=steps,
    form=st.sampled_from(["list", "lazy", "asynchronous"]),
    on_existing=st.sampled_from(["skip", "create"]),
    limit=st.integers(1, 4),
    pace=st.sampled_from([1, 5, 50]),
)
lasts = st.none() | st.integers(0, 40)


class Life:
    """One process: from its start to its end, or to a kill."""

    def __init__(self, books: "Books", path: Path, luck: Luck, last: int | None) -> None:
        self.books = books
        self.path = path
        self._luck = (iter(luck.reads), iter(luck.writes), iter(luck.somebody))
        self.left = last
        self.dead = False
        #: What the disk holds at the moment of the kill.
        self.remains = path.with_name(f"{path.stem}+.db")
        self.reported: dict[int, object] = {}

    def moment(self) -> None:
        """One of the moments in which it may be killed. The disk does not change meanwhile."""
        if self.left is None or self.dead:
            return
        self.left -= 1
        if self.left < 0:
            self.dead = True
            copy(self.path, self.remains)

    def write(self, original: Callable[..., None], writer: GroupCommit, statements: object) -> None:
        """A commit."""
        self.moment()
        original(writer, statements)
        self.moment()

    async def carry(
        self,
        request: httpx.Request,
        carry_out: Callable[[httpx.Request], Awaitable[httpx.Response]],
    ) -> httpx.Response:
        """A request."""
        self.moment()
        reads, writes, others = self._luck
        self.books.meanwhile(next(others, Somebody.NOTHING), request)
        handling = next(reads if request.method == "GET" else writes, Handling.FINE)
        if self.dead or handling is Handling.UNSENT:
            raise httpx.ConnectError("nobody is there")
        if handling is Handling.REFUSED:
            return httpx.Response(400, json={"request_status": "Error", "message": "No."})
        if handling is Handling.FAILED:
            return httpx.Response(500, text="Timeout expired.")
        if handling is Handling.LATE and request.url.path == "/api/2/invoice.json":
            self.books.late.append(request)
        else:
            response = await carry_out(request)
        self.moment()
        if self.dead or handling in {Handling.LOST, Handling.LATE}:
            raise httpx.ReadError("gone")
        return response


class Books(httpx.AsyncBaseTransport):
    """The server, what was asked of it in secret, and the way to it."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(invoices=0, bills=0)
        self.state = self.sandbox.state
        self.affiliates = list(self.state.affiliates)[:AFFILIATES]
        self.updated: list[int] = []
        #: Creates whose answers were lost, and that are not carried out yet.
        self.late: list[httpx.Request] = []
        #: Affiliate and period of the newest create.
        self.asked_for: tuple[int, date, date] | None = None
        #: The invoices that each call has made; how often each invoice was updated.
        self.made: dict[str, list[int]] = {}
        self.updates: Counter[int] = Counter()
        self.state.on_response.append(self._note)
        self._app = httpx.ASGITransport(app=self.sandbox.app)
        self.life: Life | None = None

    def renew(self) -> None:
        """Begin with four invoices, to be updated."""
        self.state.invoices.clear()
        self.late.clear()
        self.made.clear()
        self.updates.clear()
        for year in range(2020, 2024):
            self.add(self.affiliates[0], date(year, 1, 1), date(year, 1, 31), "")
        self.updated = list(self.state.invoices)
        self.asked_for = None

    def add(self, affiliate: int, start: date, end: date, memo: str) -> None:
        """An invoice that was made otherwise."""
        number = self.state.invoices.next_id()
        self.state.invoices[number] = InvoiceRecord(
            invoice_id=number,
            affiliate_id=affiliate,
            advertiser_id=None,
            partner_name="A",
            invoice_status="pending",
            start_date=start,
            end_date=end,
            total_amount=Decimal(1),
            currency="USD",
            billing_cycle="monthly",
            memo=memo,
        )

    def meanwhile(self, somebody: Somebody, request: httpx.Request) -> None:
        """What somebody does while a run is on."""
        if request.url.path == "/api/2/invoice.json":
            sent = json.loads(request.content)
            start, end = (date.fromisoformat(sent[each]) for each in ("start_date", "end_date"))
            self.asked_for = (sent["affiliate_id"], start, end)
        if somebody is Somebody.CREATES and self.asked_for is not None:
            self.add(*self.asked_for, SOMEBODY)
        if somebody is Somebody.VOIDS:
            newest = max(self.state.invoices)
            if newest not in self.updated:
                self.state.invoices[newest].invoice_status = "void"

    def _note(self, request: RecordedRequest, response: Response) -> None:
        if response.status_code != 200:
            return
        if request.operation == "invoice":
            self.made.setdefault(str(request.arguments["memo"]), []).append(
                max(self.state.invoices)
            )
        if request.operation == "update_invoice":
            self.updates[int(str(request.arguments["invoice_id"]))] += 1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self.life is not None
        return await self.life.carry(request, self._carry_out)

    async def _carry_out(self, request: httpx.Request) -> httpx.Response:
        response = await self._whole(request)
        if request.method == "GET":
            late, self.late = self.late, []
            for each in late:
                await self._whole(each)
        return response

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        response = await self._app.handle_async_request(request)
        return httpx.Response(response.status_code, content=await response.aread())
