"""``aiocake bills affiliate``: what is owed to affiliates, received and paid."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

import typer

from aiocake import ANY, SKIP, AffiliateBill, BillingCycleName, bulk
from aiocake.cli import parse
from aiocake.cli.command import command
from aiocake.cli.options import (
    BillId,
    Cycle,
    InvoiceNumber,
    InvoiceReceived,
    Notes,
    PaymentType,
    PeriodOf2014,
    VerificationCode,
    amount_option,
    day_option,
    flag,
)
from aiocake.cli.records import MARKED, bill
from aiocake.cli.session import CommandSession

app = typer.Typer(help="Affiliates' bills: export, mark-received, mark-paid.")


@command(v1=True)
def export(
    session: CommandSession,
    *,
    period: PeriodOf2014,
    billing_cycle: Cycle = "all",
    paid_only: Annotated[bool, flag("Only bills that are paid.", "--paid-only")] = False,
    payment_type_id: Annotated[
        int | None,
        typer.Option(metavar="ID", help="Only bills paid by this type.", show_default=False),
    ] = None,
) -> None:
    """Write the bills of a billing period."""
    session.stream(
        bill(AffiliateBill),
        lambda client: client.affiliate_bills.export(
            billing_cycle=BillingCycleName(billing_cycle),
            period=period,
            paid_only=paid_only,
            payment_type_id=ANY if payment_type_id is None else payment_type_id,
        ),
    )


@command(writes=True, v1=True)
def mark_received(  # noqa: PLR0913 - options
    session: CommandSession,
    bill_id: BillId,
    *,
    invoiced_amount: Annotated[Decimal, amount_option("The amount on the affiliate's invoice")],
    date_invoice_received: InvoiceReceived = SKIP,
    invoice_number: InvoiceNumber = SKIP,
    notes: Notes = SKIP,
) -> None:
    """Note that an affiliate's own invoice for a bill has come."""
    session.write(
        MARKED,
        f"Mark affiliate bill {bill_id} as received",
        lambda client: bulk.call(
            client.affiliate_bills.mark_received,
            bill_id,
            invoiced_amount=invoiced_amount,
            date_invoice_received=date_invoice_received,
            invoice_number=invoice_number,
            notes=notes,
        ),
    )


@command(writes=True, v1=True)
def mark_paid(  # noqa: PLR0913 - options
    session: CommandSession,
    bill_id: BillId,
    *,
    payment_date: Annotated[date, day_option("When it was paid.")],
    payment_type_id: PaymentType = None,
    invoice_number: InvoiceNumber = SKIP,
    verification_code: VerificationCode = SKIP,
    notes: Notes = SKIP,
) -> None:
    """Note that an affiliate's bill was paid."""
    session.write(
        MARKED,
        f"Mark affiliate bill {bill_id} as paid",
        lambda client: bulk.call(
            client.affiliate_bills.mark_paid,
            bill_id,
            payment_date=payment_date,
            payment_type_id=parse.or_skip(payment_type_id),
            invoice_number=invoice_number,
            verification_code=verification_code,
            notes=notes,
        ),
    )


#: By name, as ``aiocake bills`` has them too.
COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "export": export,
    "mark-received": mark_received,
    "mark-paid": mark_paid,
}
for _name, _function in COMMANDS.items():
    app.command(_name)(_function)
