"""The sandbox: one application that responds as an instance of CAKE would."""

import inspect
from collections import deque
from datetime import date, timedelta
from decimal import Decimal
from http import HTTPStatus
from random import Random

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from aiocake.sandbox.data import (
    CURRENCY_BY_ID,
    days_of,
    exact,
    fill,
    month_of,
    partner_of,
    period_total,
    settle,
)
from aiocake.sandbox.dialect import Dialect
from aiocake.sandbox.faults import Exchange, FaultName, Faults
from aiocake.sandbox.messages import Call, Incoming, pairs
from aiocake.sandbox.state import (
    BillRecord,
    InvoiceRecord,
    PartnerKind,
    RecordedRequest,
    State,
)
from aiocake.sandbox.v1.operations import OPERATIONS as V1_OPERATIONS
from aiocake.sandbox.v1.service import Asmx
from aiocake.sandbox.v2 import OPERATIONS as V2_OPERATIONS
from aiocake.sandbox.v2 import V2

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_MAX_QUERY = 2048


class Sandbox:
    """A CAKE that runs here: both APIs over made-up, deterministic data.

    Attributes:
        app: The ASGI application, for ``httpx.ASGITransport`` or any ASGI server. It runs on
            asyncio and on trio.
        state: What is stored, and each request as it came. Tests may read and change it.
        dialect: Which of the documents it follows.
        latency: How many seconds a response takes.
        jitter: The share of ``latency`` by which a response may be earlier or later.
        rate_limit: How many calls are admitted in how many seconds; None for no limit.
    """

    app: ASGIApp
    state: State
    dialect: Dialect

    def __init__(  # noqa: PLR0913 - all of them keywords with defaults
        self,
        *,
        invoices: int = 200,
        bills: int = 50,
        seed: int = 1,
        period: str | None = None,
        api_key: str = "SANDBOX-KEY",
        dialect: Dialect | None = None,
        latency: float = 0.0,
        jitter: float = 0.0,
        rate_limit: tuple[int, float] | None = None,
    ) -> None:
        """Make the data; nothing is started.

        Args:
            invoices: How many invoices v2 has, payout and revenue together.
            bills: How many affiliate bills v1 has; of the other two kinds a fifth as many each.
            seed: Chooses the data: the same for the same seed and sizes.
            period: A month such as ``"2024-01"``, for a month end: a quarter of the invoices are of
                this month, most of them pending, and the others are of the three months before,
                paid; all bills are of this month. By default they are spread over years.
            api_key: The key that is valid. More can be added to ``state.api_keys``.
            dialect: What the documents disagree on; by default the page "How to Manage
                Invoices via the CAKE API".
            latency: Seconds that a response takes.
            jitter: The share of ``latency`` by which a response may be earlier or later, 0 to 1.
            rate_limit: Calls and seconds: calls above that number in any window of that length are
                refused, by v1 as "Restricted", by v2 with 429.

        Raises:
            ValueError: The period is no month, or a size is below 0.
        """
        if min(invoices, bills) < 0:
            raise ValueError(f"invoices={invoices} and bills={bills} must be at least 0")
        self.dialect = dialect or Dialect()
        self.latency = latency
        self.jitter = jitter
        self.rate_limit = rate_limit
        self.state = State.empty(api_key=api_key)
        month = None if period is None else month_of(period)
        fill(self.state, invoices=invoices, bills=bills, seed=seed, period=month)
        self._v2 = V2(self.state, self.dialect, seed)
        self._asmx = Asmx(self.state, self.dialect)
        self._chance = Random(seed)  # noqa: S311 - jitter, no secret
        self._admitted: deque[float] = deque()
        self._faults = Faults()
        self._seed = seed
        self.app = Starlette(routes=[Route("/{path:path}", self._respond, methods=_METHODS)])

    def add_invoice(  # noqa: PLR0913 - all of them keywords with defaults
        self,
        *,
        invoice_id: int | None = None,
        affiliate_id: int | None = None,
        advertiser_id: int | None = None,
        invoice_status: str = "pending",
        total_amount: Decimal | int | str | None = None,
        currency: str | None = None,
        period: str | tuple[date, date] = "2024-01",
        memo: str | None = None,
    ) -> InvoiceRecord:
        """Add an invoice; what is not given fits what is.

        Args:
            invoice_id: Its id; by default the one after the highest.
            affiliate_id: Who is paid; by default the first affiliate, if no advertiser is given. An
                affiliate of an unknown id is added.
            advertiser_id: Who pays: it is a revenue invoice then.
            invoice_status: ``pending``, ``approved``, ``paid`` or ``void``.
            total_amount: The amount; by default what CAKE would compute for a new invoice.
            currency: The currency's code; by default the partner's.
            period: A month such as ``"2024-01"``, or the first and the last day, included.
            memo: Its note.

        Returns:
            The record, which can be changed.

        Raises:
            ValueError: The period or the amount is none, or both partners are given.
        """
        if affiliate_id is not None and advertiser_id is not None:
            raise ValueError("an invoice is of an affiliate or of an advertiser, never of both")
        payout = advertiser_id is None
        kind: PartnerKind = "affiliate" if payout else "advertiser"
        partner = partner_of(self.state, kind, affiliate_id if payout else advertiser_id)
        start, end = days_of(period)
        if total_amount is None:
            total_amount = period_total(self._seed, partner, start, end)
        record = InvoiceRecord(
            invoice_id=self.state.invoices.next_id() if invoice_id is None else invoice_id,
            affiliate_id=partner.partner_id if payout else None,
            advertiser_id=None if payout else partner.partner_id,
            partner_name=partner.name,
            invoice_status=invoice_status,
            start_date=start,
            end_date=end,
            total_amount=exact("total_amount", total_amount),
            currency=currency or CURRENCY_BY_ID[partner.currency_id].code,
            billing_cycle=partner.billing_cycle,
            memo=memo,
            paid_at=f"{end}T10:00:00Z" if invoice_status == "paid" else None,
        )
        self.state.invoices[record.invoice_id] = record
        return record

    def add_bill(  # noqa: PLR0913 - all of them keywords with defaults
        self,
        kind: PartnerKind = "affiliate",
        *,
        bill_id: int | None = None,
        partner_id: int | None = None,
        amount: Decimal | int | str | None = None,
        period: str | tuple[date, date] = "2014-06",
        notes: str | None = None,
        settled: bool = False,
    ) -> BillRecord:
        """Add a bill, which nothing was noted on yet.

        Args:
            kind: ``affiliate``, ``advertiser`` or ``buyer``.
            bill_id: Its id; by default the one after the highest.
            partner_id: The partner; by default the first. One of an unknown id is added.
            amount: Its amount, in the partner's currency.
            period: A month such as ``"2014-06"``, or the first and the last day, included.
            notes: Its notes.
            settled: True if it was received and paid; an advertiser's or a buyer's, sent and
                received.

        Returns:
            The record, which can be changed.

        Raises:
            ValueError: The period, the amount or the kind is none.
        """
        partner, table = partner_of(self.state, kind, partner_id), self.state.bills(kind)
        start, end = days_of(period)
        if amount is None:
            amount = period_total(self._seed, partner, start, end)
        bill = BillRecord(
            bill_id=table.next_id() if bill_id is None else bill_id,
            partner=partner,
            start_date=start,
            end_date=end + timedelta(days=1),
            amount=exact("amount", amount),
            notes=notes,
        )
        if settled:
            settle(bill)
        table[bill.bill_id] = bill
        return bill

    def fail_next(
        self, fault: FaultName, *, times: int | None = 1, operation: str | None = None
    ) -> None:
        """Have a fault happen to the next request; further ones follow in the order of the calls.

        Args:
            fault: Its name, such as ``"lost"``: :data:`aiocake.sandbox.FAULTS` explains each. A
                call of the SDK that meets it once is mostly retried, and succeeds.
            times: To how many requests in a row it happens. A client makes three attempts at a
                call. None: to each, until :meth:`recover`.
            operation: The operation whose requests count, as ``RecordedRequest.operation`` has
                it: ``update_invoice``, ``MarkAffiliateBillAsPaid``. None: those of all.

        Raises:
            ValueError: There is no such fault or operation, or the number is below 1.
        """
        known = (*V2_OPERATIONS, *V1_OPERATIONS)
        if operation is not None and operation not in known:
            there = ", ".join(known)
            raise ValueError(f"{operation!r} is not an operation of the sandbox; there are {there}")
        self._faults.add(fault, times, operation)

    def recover(self) -> None:
        """Forget the faults that have not happened yet."""
        self._faults.clear()

    async def _respond(self, request: Request) -> Response:
        arrived = anyio.current_time()
        incoming = Incoming(
            method=request.method,
            path=request.url.path,
            query=request.scope["query_string"],
            headers=dict(request.headers),
            body=await request.body(),
            url=str(request.url.replace(query="")),
        )
        call = self._resolve(incoming)
        recorded = RecordedRequest(
            method=incoming.method,
            path=incoming.path,
            query=pairs(incoming.query),
            headers=incoming.headers,
            body=incoming.body,
            operation=call.operation,
            arguments=call.arguments,
            time=arrived,
        )
        kept = self.state.requests
        kept.append(recorded)
        del kept[: -self.state.keep_requests]
        response = await self._carry_out(request, call, recorded)
        if self.latency:
            takes = self.latency * (1 + self.jitter * self._chance.uniform(-1, 1))
            await anyio.sleep_until(arrived + takes)
        return response

    async def _carry_out(self, request: Request, call: Call, recorded: RecordedRequest) -> Response:
        for before in self.state.on_request:
            early = before(recorded)
            if inspect.isawaitable(early):
                early = await early
            if early is not None:
                return early
        if (fault := self._faults.take(call.operation)) is not None:
            response = await fault.play(Exchange(request, call))
        elif self._admit(recorded.time):
            response = call.run()
        else:
            response = call.refuse(HTTPStatus.TOO_MANY_REQUESTS, "Restricted")
        for after in self.state.on_response:
            other = after(recorded, response)
            if inspect.isawaitable(other):
                other = await other
            response = other or response
        return response

    def _admit(self, now: float) -> bool:
        if self.rate_limit is None:
            return True
        calls, seconds = self.rate_limit
        while self._admitted and self._admitted[0] <= now - seconds:
            self._admitted.popleft()
        if len(self._admitted) >= calls:
            return False
        self._admitted.append(now)
        return True

    def _resolve(self, incoming: Incoming) -> Call:
        if len(incoming.query) >= _MAX_QUERY:
            return _refusal(
                404,
                "The request filtering module is configured to deny a request "
                "where the query string is too long.",
            )
        if incoming.path.startswith("/api/2/"):
            return self._v2.resolve(incoming)
        return self._asmx.resolve(incoming) or _refusal(404, "File or directory not found.")


def _refusal(status: int, text: str) -> Call:
    """Return a refusal of IIS itself, in HTML."""

    def run() -> Response:
        return HTMLResponse(
            "<!DOCTYPE html><html><head><title>IIS Detailed Error</title></head>"
            f"<body><h2>HTTP Error {status}</h2><p>{text}</p></body></html>",
            status,
        )

    return Call(operation=None, arguments={}, run=run, refuse=lambda _status, _text: run())
