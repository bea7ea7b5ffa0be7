"""``aiocake bills``: export, mark-received, mark-paid."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated

import typer

from aiocake import ANY, AffiliateBill, BillingCycleName, Client, Period
from aiocake.cli import _parse as parse
from aiocake.cli._progress import Advance
from aiocake.cli._records import BILL, MARKED
from aiocake.cli._session import Session, changes, reading, writing

__all__ = ["app"]

app = typer.Typer(help="Affiliates' bills (API version 1).", rich_markup_mode=None)

BillId = Annotated[int, typer.Argument(help="The bill.", show_default=False)]
InvoiceNumber = Annotated[
    str | None,
    typer.Option("--invoice-number", help="Of the affiliate's invoice.", show_default=False),
]
Notes = Annotated[str | None, typer.Option("--notes", help="A note.", show_default=False)]
EraseInvoiceNumber = Annotated[
    bool, typer.Option("--erase-invoice-number", help="Erase the stored invoice number.")
]
EraseNotes = Annotated[bool, typer.Option("--erase-notes", help="Erase the stored note.")]


@app.command()
@reading
def export(
    session: Session,
    *,
    period: Annotated[
        Period,
        typer.Option(
            parser=parse.period,
            metavar="PERIOD",
            help="As in 2014-06, or 2014-06-01..2014-06-15, both days included.",
            show_default=False,
        ),
    ],
    billing_cycle: Annotated[
        str, typer.Option(metavar="CYCLE", help="weekly, bimonthly, monthly or all")
    ] = "all",
    paid_only: Annotated[
        bool, typer.Option("--paid-only", help="Only bills that are paid.")
    ] = False,
    payment_type_id: Annotated[
        int | None, typer.Option(help="Only of this payment type.", show_default=False)
    ] = None,
) -> None:
    """Write the bills of a billing period."""

    async def work(
        client: Client, write: Callable[[AffiliateBill], object], advance: Advance
    ) -> None:
        found = client.affiliate_bills.export(
            billing_cycle=BillingCycleName(billing_cycle),
            period=period,
            paid_only=paid_only,
            payment_type_id=ANY if payment_type_id is None else payment_type_id,
        )
        async with found as bills:
            async for bill in bills:
                write(bill)
                advance(1, None)

    session.read(BILL, "bills", work)


@app.command()
@writing
def mark_received(  # noqa: PLR0913 - options
    session: Session,
    bill_id: BillId,
    *,
    invoiced_amount: Annotated[
        Decimal,
        typer.Option(
            parser=parse.amount,
            metavar="AMOUNT",
            help="The amount on the affiliate's invoice, as in 1250.00.",
            show_default=False,
        ),
    ],
    received: Annotated[
        date | None, parse.day_option("--date-invoice-received", "When it came.")
    ] = None,
    invoice_number: InvoiceNumber = None,
    notes: Notes = None,
    erase_received: Annotated[
        bool, typer.Option("--erase-date-invoice-received", help="Erase the stored date.")
    ] = False,
    erase_invoice_number: EraseInvoiceNumber = False,
    erase_notes: EraseNotes = False,
) -> None:
    """Note that an affiliate's own invoice for a bill has come."""
    new_date = parse.or_erased("date-invoice-received", received, erase=erase_received)
    new_number = parse.or_erased("invoice-number", invoice_number, erase=erase_invoice_number)
    new_notes = parse.or_erased("notes", notes, erase=erase_notes)
    details = changes(
        invoiced_amount=invoiced_amount,
        date_invoice_received=new_date,
        invoice_number=new_number,
        notes=new_notes,
    )
    session.write(
        MARKED,
        f"Mark bill {bill_id} as received{details}",
        lambda client: client.affiliate_bills.mark_received(
            bill_id,
            invoiced_amount=invoiced_amount,
            date_invoice_received=new_date,
            invoice_number=new_number,
            notes=new_notes,
        ),
    )


@app.command()
@writing
def mark_paid(  # noqa: PLR0913 - options
    session: Session,
    bill_id: BillId,
    *,
    payment_date: Annotated[date, parse.day_option("--payment-date", "When it was paid.")],
    payment_type_id: Annotated[
        int | None, typer.Option(help="How it was paid, 1 to 255.", show_default=False)
    ] = None,
    invoice_number: InvoiceNumber = None,
    verification_code: Annotated[
        str | None, typer.Option(help="Of the payment.", show_default=False)
    ] = None,
    notes: Notes = None,
    erase_invoice_number: EraseInvoiceNumber = False,
    erase_verification_code: Annotated[
        bool, typer.Option("--erase-verification-code", help="Erase the stored code.")
    ] = False,
    erase_notes: EraseNotes = False,
) -> None:
    """Note that a bill was paid."""
    new_type = parse.or_skip(payment_type_id)
    new_number = parse.or_erased("invoice-number", invoice_number, erase=erase_invoice_number)
    new_code = parse.or_erased(
        "verification-code", verification_code, erase=erase_verification_code
    )
    new_notes = parse.or_erased("notes", notes, erase=erase_notes)
    details = changes(
        payment_type_id=new_type,
        invoice_number=new_number,
        verification_code=new_code,
        notes=new_notes,
    )
    session.write(
        MARKED,
        f"Mark bill {bill_id} as paid on {payment_date}{details}",
        lambda client: client.affiliate_bills.mark_paid(
            bill_id,
            payment_date=payment_date,
            payment_type_id=new_type,
            invoice_number=new_number,
            verification_code=new_code,
            notes=new_notes,
        ),
    )
