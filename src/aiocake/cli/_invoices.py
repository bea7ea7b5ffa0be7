"""``aiocake invoices``: list, get, create, update."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

import typer

from aiocake import Client, Invoice, InvoiceStatus, Period
from aiocake.cli import _parse as parse
from aiocake.cli._progress import Advance
from aiocake.cli._records import CREATED, INVOICE, UPDATED
from aiocake.cli._session import Session, changes, reading, writing
from aiocake.values import SKIP, Skip

__all__ = ["app"]

app = typer.Typer(help="Invoices (API version 2).", rich_markup_mode=None)

_STATUSES = "pending, approved, paid or void"
InvoiceId = Annotated[int, typer.Argument(help="The invoice.", show_default=False)]
Status = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help=_STATUSES, show_default=False)
]
Memo = Annotated[str | None, typer.Option("--memo", help="A note.", show_default=False)]


@app.command("list")
@reading
def list_(  # noqa: PLR0913 - options
    session: Session,
    *,
    affiliate_id: Annotated[int | None, typer.Option(help="Only of this affiliate.")] = None,
    advertiser_id: Annotated[int | None, typer.Option(help="Only of this advertiser.")] = None,
    status: Status = None,
    period: Annotated[
        Period | None,
        typer.Option(
            parser=parse.period,
            metavar="PERIOD",
            help="As in 2024-01, or 2024-01-01..2024-01-15, both days included.",
        ),
    ] = None,
    start_date: Annotated[
        date | None, parse.day_option("--start-date", "In place of --period.")
    ] = None,
    end_date: Annotated[
        date | None, parse.day_option("--end-date", "In place of --period; included.")
    ] = None,
    row_limit: Annotated[int, typer.Option(help="Rows of one page.")] = 100,
) -> None:
    """List invoices: all that match, or an error."""

    async def work(client: Client, write: Callable[[Invoice], object], advance: Advance) -> None:
        found = client.invoices.find(
            affiliate_id=parse.or_skip(affiliate_id),
            advertiser_id=parse.or_skip(advertiser_id),
            invoice_status=_status(status),
            period=parse.or_skip(period),
            start_date=parse.or_skip(start_date),
            end_date=parse.or_skip(end_date),
            row_limit=row_limit,
        )
        async with found.pages() as pages:
            async for page in pages:
                for invoice in page.items:
                    write(invoice)
                advance(len(page.items), page.total_rows)

    session.read(INVOICE, "invoices", work)


@app.command()
@reading
def get(session: Session, invoice_id: InvoiceId) -> None:
    """Show one invoice."""
    session.show(INVOICE, lambda client: client.invoices.get(invoice_id))


@app.command()
@writing
def create(
    session: Session,
    *,
    affiliate_id: Annotated[int, typer.Option(help="Whom it pays.", show_default=False)],
    start_date: Annotated[date, parse.day_option("--start-date", "The first day of its period.")],
    end_date: Annotated[
        date, parse.day_option("--end-date", "The last day of its period, included.")
    ],
    memo: Memo = None,
) -> None:
    """Create an invoice. Doing it twice makes two."""
    new_memo = parse.or_skip(memo)
    session.write(
        CREATED,
        f"Create an invoice for affiliate {affiliate_id}, {start_date} to {end_date}"
        f"{changes(memo=new_memo)}",
        lambda client: client.invoices.create(
            affiliate_id=affiliate_id, start_date=start_date, end_date=end_date, memo=new_memo
        ),
    )


@app.command()
@writing
def update(
    session: Session,
    invoice_id: InvoiceId,
    *,
    status: Status = None,
    memo: Memo = None,
    paid_at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse.moment,
            metavar="TIME",
            help="When it was paid, as in 2024-02-15T10:00:00Z; with --status paid.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Set an invoice's status, note or time of payment."""
    new_status = _status(status)
    new_memo, new_time = parse.or_skip(memo), parse.or_skip(paid_at)
    session.write(
        UPDATED,
        f"Update invoice {invoice_id}{changes(status=new_status, memo=new_memo, paid_at=new_time)}",
        lambda client: client.invoices.update(
            invoice_id, invoice_status=new_status, memo=new_memo, paid_at=new_time
        ),
    )


def _status(text: str | None) -> InvoiceStatus | Skip:
    return SKIP if text is None else InvoiceStatus(text)
