"""``aiocake invoices``: list, get, create, update."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Annotated, cast

import typer

from aiocake import Client, Invoice, InvoiceStatus, Period, Skip, bulk
from aiocake.cli import parse
from aiocake.cli.command import command
from aiocake.cli.options import day_option, period_option, text_option
from aiocake.cli.progress import Advance
from aiocake.cli.records import CREATED, INVOICE, UPDATED
from aiocake.cli.session import CommandSession
from aiocake.values import SKIP, PeriodMatch

app = typer.Typer(help="Invoices: list, get, create, update (API version 2).")

_STATUSES = "pending, approved, paid or void"
InvoiceId = Annotated[int, typer.Argument(help="The invoice.", show_default=False)]
Status = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help=_STATUSES, show_default=False)
]
Memo = Annotated[str | None, text_option("A note.")]


@app.command("list")
@command()
def list_(  # noqa: PLR0913 - options
    session: CommandSession,
    *,
    affiliate_id: Annotated[
        int | None, typer.Option(metavar="ID", help="Only of this affiliate.")
    ] = None,
    advertiser_id: Annotated[
        int | None, typer.Option(metavar="ID", help="Only of this advertiser.")
    ] = None,
    status: Status = None,
    period: Annotated[
        Period | None,
        period_option("2024-01", "Only those whose own period lies entirely within this one"),
    ] = None,
    match: Annotated[
        str,
        typer.Option(
            metavar="MATCH",
            help="With --period: inside, overlaps (they share a day), or ends_in (the last day is "
            "in it). A week across a month's end is inside of neither month; with ends_in each "
            "invoice is in one.",
        ),
    ] = "inside",
    longest: Annotated[
        timedelta | None,
        typer.Option(
            parser=parse.days,
            metavar="DAYS",
            help="The longest period that an invoice can have: --match overlaps and ends_in read "
            "fewer invoices then.",
            show_default=False,
        ),
    ] = None,
    start_date: Annotated[date | None, day_option("In place of --period.")] = None,
    end_date: Annotated[date | None, day_option("In place of --period; included.")] = None,
    row_limit: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            help="Rows of one page; by default 100 or more.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List invoices: all that match, or an error."""

    async def work(client: Client, write: Callable[[Invoice], object], advance: Advance) -> None:
        found = client.invoices.find(
            affiliate_id=parse.or_skip(affiliate_id),
            advertiser_id=parse.or_skip(advertiser_id),
            invoice_status=_status(status),
            period=parse.or_skip(period),
            match=cast("PeriodMatch", match),  # which is checked there
            longest=parse.or_skip(longest),
            start_date=parse.or_skip(start_date),
            end_date=parse.or_skip(end_date),
            row_limit=parse.or_skip(row_limit),
        )
        async with found.pages() as pages:
            async for page in pages:
                for invoice in page.items:
                    write(invoice)
                advance(len(page.items), page.total_rows)

    session.read(INVOICE, "invoices", work)


@app.command()
@command()
def get(session: CommandSession, invoice_id: InvoiceId) -> None:
    """Show one invoice."""
    session.show(INVOICE, lambda client: client.invoices.get(invoice_id))


@app.command()
@command(writes=True)
def create(
    session: CommandSession,
    *,
    affiliate_id: Annotated[
        int, typer.Option(metavar="ID", help="Whom it pays.", show_default=False)
    ],
    start_date: Annotated[date, day_option("The first day of its period.")],
    end_date: Annotated[date, day_option("The last day of its period, included.")],
    memo: Memo = None,
) -> None:
    """Create an invoice. Doing it twice makes two."""
    session.write(
        CREATED,
        "Create an invoice",
        lambda client: bulk.call(
            client.invoices.create,
            affiliate_id=affiliate_id,
            start_date=start_date,
            end_date=end_date,
            memo=parse.or_skip(memo),
        ),
    )


@app.command()
@command(writes=True)
def update(
    session: CommandSession,
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
    session.write(
        UPDATED,
        f"Update invoice {invoice_id}",
        lambda client: bulk.call(
            client.invoices.update,
            invoice_id,
            invoice_status=_status(status),
            memo=parse.or_skip(memo),
            paid_at=parse.or_skip(paid_at),
        ),
    )


def _status(text: str | None) -> InvoiceStatus | Skip:
    return SKIP if text is None else InvoiceStatus(text)
