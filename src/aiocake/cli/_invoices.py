"""``aiocake invoices``: list, get, create, update."""

from datetime import date, datetime
from typing import Annotated

import typer

from aiocake import Client, Invoice, InvoiceStatus, Period
from aiocake.cli import _parse as parse
from aiocake.cli._connection import (
    ApiKeyOption,
    Connection,
    DomainOption,
    KeyFileOption,
    YesOption,
)
from aiocake.cli._output import FormatOption, OutOption, Output
from aiocake.cli._progress import bar
from aiocake.cli._records import CREATED, INVOICE, UPDATED
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
def list_(  # noqa: PLR0913 - options
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
    form: FormatOption = None,
    out: OutOption = None,
    domain: DomainOption = None,
    key_file: KeyFileOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """List invoices: all that match, or an error."""
    output = Output(form, out)

    async def work(client: Client) -> None:
        found = client.invoices.find(
            affiliate_id=parse.or_skip(affiliate_id),
            advertiser_id=parse.or_skip(advertiser_id),
            invoice_status=_status(status),
            period=parse.or_skip(period),
            start_date=parse.or_skip(start_date),
            end_date=parse.or_skip(end_date),
            row_limit=row_limit,
        )
        with output.records(INVOICE) as records, bar("invoices", hidden=output.on_terminal) as move:
            async with found.pages() as pages:
                async for page in pages:
                    for invoice in page.items:
                        records.write(invoice)
                    move(len(page.items), page.total_rows)

    Connection.of(domain, key_file, api_key).run(work)


@app.command()
def get(  # noqa: PLR0913 - options
    invoice_id: InvoiceId,
    *,
    form: FormatOption = None,
    out: OutOption = None,
    domain: DomainOption = None,
    key_file: KeyFileOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Show one invoice."""

    async def work(client: Client) -> Invoice:
        return await client.invoices.get(invoice_id)

    invoice = Connection.of(domain, key_file, api_key).run(work)
    Output(form, out).record(INVOICE, invoice)


@app.command()
def create(  # noqa: PLR0913 - options
    *,
    affiliate_id: Annotated[int, typer.Option(help="Whom it pays.", show_default=False)],
    start_date: Annotated[date, parse.day_option("--start-date", "The first day of its period.")],
    end_date: Annotated[
        date, parse.day_option("--end-date", "The last day of its period, included.")
    ],
    memo: Memo = None,
    yes: YesOption = False,
    form: FormatOption = None,
    out: OutOption = None,
    domain: DomainOption = None,
    key_file: KeyFileOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Create an invoice. Doing it twice makes two."""
    connection = Connection.of(domain, key_file, api_key)
    what = f"Create an invoice for affiliate {affiliate_id}, {start_date} to {end_date}"
    connection.ask(what, yes=yes)
    created = connection.run(
        lambda client: client.invoices.create(
            affiliate_id=affiliate_id,
            start_date=start_date,
            end_date=end_date,
            memo=parse.or_skip(memo),
        )
    )
    Output(form, out).record(CREATED, created)


@app.command()
def update(  # noqa: PLR0913 - options
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
    yes: YesOption = False,
    form: FormatOption = None,
    out: OutOption = None,
    domain: DomainOption = None,
    key_file: KeyFileOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Set an invoice's status, note or time of payment."""
    connection = Connection.of(domain, key_file, api_key)
    new = {"status": status, "memo": memo, "paid at": paid_at}
    changes = ", ".join(f"{name} {value}" for name, value in new.items() if value is not None)
    connection.ask(f"Update invoice {invoice_id}: {changes or 'nothing'}", yes=yes)
    updated = connection.run(
        lambda client: client.invoices.update(
            invoice_id,
            invoice_status=_status(status),
            memo=parse.or_skip(memo),
            paid_at=parse.or_skip(paid_at),
        )
    )
    Output(form, out).record(UPDATED, updated)


def _status(text: str | None) -> InvoiceStatus | Skip:
    return SKIP if text is None else InvoiceStatus(text)
