"""A web backend of one instance: one client for all requests, which honest responses come from.

::

    export CAKE_DOMAIN=yourdomain.cake.com CAKE_API_KEY=… BOOKS=books.db
    uvicorn --app-dir examples web_backend:app
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import attrs
from cancel_on_disconnect import CancelOnDisconnect
from error_responses import add_error_responses
from fastapi import Depends, FastAPI, HTTPException, Request
from ledger_sqlite import Books, NotDue, PayoutLedger
from pydantic import BaseModel

from aiocake import (
    SKIP,
    Client,
    ClientView,
    CreatedInvoice,
    Invoice,
    InvoiceStatus,
    NotSent,
    Period,
    Throttle,
    UpdatedInvoice,
)


class State(TypedDict):
    """What all requests share."""

    cake: Client
    books: Books


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Open the books and a client when a worker starts, and close them when it ends.

    The client is closed first: it gives writes that have left their grace, and records them.
    """
    with closing(Books(os.environ.get("BOOKS", "books.db"))) as books:
        # A person is waiting: rather refuse than queue for long.
        throttle = Throttle(concurrency=8, max_waiting=int(os.environ.get("MAX_WAITING", "32")))
        async with Client.from_env(throttle=throttle, ledger=PayoutLedger(books)) as cake:
            yield {"cake": cake, "books": books}


async def client_of(request: Request) -> ClientView:
    """Return the client, with deadlines below the browser's."""
    cake: Client = request.state.cake
    return cake.with_options(total=15.0, queue=2.0)


async def books_of(request: Request) -> Books:
    """Return the books."""
    books: Books = request.state.books
    return books


Cake = Annotated[ClientView, Depends(client_of)]
Ledger = Annotated[Books, Depends(books_of)]

app = FastAPI(lifespan=lifespan)
app.add_middleware(CancelOnDisconnect)
add_error_responses(app)


@app.get("/invoices")
async def invoices(
    cake: Cake, status: InvoiceStatus | None = None, affiliate_id: int | None = None
) -> list[Invoice]:
    """Return the invoices: all of them, or an error. Amounts are texts."""
    found = cake.invoices.find(
        invoice_status=SKIP if status is None else status,
        affiliate_id=SKIP if affiliate_id is None else affiliate_id,
    )
    return await found.collect()


@app.get("/invoices/{invoice_id}")
async def invoice(cake: Cake, invoice_id: int) -> Invoice:
    """Return an invoice."""
    return await cake.invoices.get(invoice_id)


@app.post("/invoices/{invoice_id}/approve")
async def approve(cake: Cake, invoice_id: int) -> UpdatedInvoice:
    """Approve an invoice."""
    return await cake.invoices.update(invoice_id, invoice_status="approved")


class Payout(BaseModel):
    """A payout of one month."""

    affiliate_id: int
    year: int
    month: int


@app.post("/payouts", status_code=HTTPStatus.CREATED)
async def pay(cake: Cake, books: Ledger, payout: Payout) -> CreatedInvoice:
    """Create the invoice of a payout, once, however often this is called."""
    period = Period.month(payout.year, payout.month)
    await books.add_payout(payout.affiliate_id, period)
    try:
        return await cake.invoices.create(
            affiliate_id=payout.affiliate_id, start_date=period.start, end_date=period.end
        )
    except NotSent as error:
        if isinstance(error.__cause__, NotDue):  # raised by the ledger
            raise HTTPException(HTTPStatus.CONFLICT, "This payout is not due.") from None
        raise


@app.get("/doubts")
async def doubts(books: Ledger) -> list[dict[str, Any]]:
    """Return the writes whose outcome is unknown: a person has to check each."""
    return await books.in_doubt()


@app.get("/health")
async def health(cake: Cake) -> dict[str, Any]:
    """Return what the client is doing. Sends nothing to CAKE."""
    return attrs.asdict(cake.stats())
