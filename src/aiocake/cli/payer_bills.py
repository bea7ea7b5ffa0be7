"""``aiocake bills advertiser`` and ``aiocake bills buyer``: what is owed by them, and was paid."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Protocol, TypeVar

import typer

from aiocake import (
    SKIP,
    AdvertiserBill,
    ArgumentError,
    BillingCycleName,
    Binding,
    BuyerBill,
    Client,
    Erase,
    MarkResult,
    Period,
    Skip,
    bulk,
)
from aiocake._operations.operation import ExportedBills
from aiocake.cli import parse
from aiocake.cli.command import command
from aiocake.cli.options import (
    BillId,
    Cycle,
    InvoiceNumber,
    InvoiceSent,
    Notes,
    PaymentAmount,
    PaymentReceived,
    PaymentType,
    PeriodOf2014,
    VerificationCode,
    flag,
)
from aiocake.cli.records import MARKED, bill
from aiocake.cli.session import CommandSession
from aiocake.errors import Problem
from aiocake.models import Bill

BillT = TypeVar("BillT", bound=Bill)

advertiser = typer.Typer(help="Advertisers' bills: export, mark-sent, mark-received.")
buyer = typer.Typer(help="Buyers' bills: export, mark-sent, mark-received.")


class Payers(Protocol[BillT]):
    """What advertisers' and buyers' bills have in common."""

    def export(self, *, billing_cycle: BillingCycleName, period: Period) -> ExportedBills[BillT]:
        """The bills of a period."""
        ...

    async def mark_sent(
        self,
        bill_id: int,
        *,
        date_sent_invoice: date | Skip | Erase,
        invoice_number: str | Skip | Erase,
        notes: str | Skip | Erase,
    ) -> MarkResult:
        """Note that the invoice for a bill was sent."""
        ...


def _add_what_both_have(
    app: typer.Typer, payer: str, model: type[BillT], bills: Callable[[Client], Payers[BillT]]
) -> None:
    @app.command(help="Write the bills of a billing period.")
    @command(v1=True)
    def export(
        session: CommandSession, *, period: PeriodOf2014, billing_cycle: Cycle = "all"
    ) -> None:
        session.stream(
            bill(model),
            lambda client: bills(client).export(
                billing_cycle=BillingCycleName(billing_cycle), period=period
            ),
        )

    @app.command(help=f"Note that the invoice for a bill was sent to the {payer}.")
    @command(writes=True, v1=True)
    def mark_sent(
        session: CommandSession,
        bill_id: BillId,
        *,
        date_sent_invoice: InvoiceSent = SKIP,
        invoice_number: InvoiceNumber = SKIP,
        notes: Notes = SKIP,
    ) -> None:
        session.write(
            MARKED,
            f"Mark {payer} bill {bill_id} as sent",
            lambda client: bulk.call(
                bills(client).mark_sent,
                bill_id,
                date_sent_invoice=date_sent_invoice,
                invoice_number=invoice_number,
                notes=notes,
            ),
        )


_add_what_both_have(
    advertiser, "advertiser", AdvertiserBill, lambda client: client.advertiser_bills
)
_add_what_both_have(buyer, "buyer", BuyerBill, lambda client: client.buyer_bills)


@advertiser.command("mark-received")
@command(writes=True, v1=True)
def advertiser_mark_received(  # noqa: PLR0913 - options
    session: CommandSession,
    bill_id: BillId,
    *,
    payment_amount: PaymentAmount,
    date_payment_received: PaymentReceived = SKIP,
    payment_type_id: PaymentType = None,
    invoice_number: InvoiceNumber = SKIP,
    verification_code: VerificationCode = SKIP,
    notes: Notes = SKIP,
) -> None:
    """Note that an advertiser's payment for a bill has come."""
    session.write(
        MARKED,
        f"Mark advertiser bill {bill_id} as received",
        lambda client: bulk.call(
            client.advertiser_bills.mark_received,
            bill_id,
            payment_amount=payment_amount,
            payment_type_id=parse.or_skip(payment_type_id),
            invoice_number=invoice_number,
            verification_code=verification_code,
            date_payment_received=date_payment_received,
            notes=notes,
        ),
    )


@buyer.command("mark-received")
@command(writes=True, v1=True)
def buyer_mark_received(  # noqa: PLR0913 - options
    session: CommandSession,
    bill_id: BillId,
    *,
    payment_amount: PaymentAmount,
    apply_credit_to_buyer: Annotated[
        bool,
        flag(
            "Credit the amount to the buyer's account, too. That moves money each time it is "
            "sent: it is never sent twice by itself, and never by GET.",
            "--apply-credit-to-buyer",
        ),
    ] = False,
    date_payment_received: PaymentReceived = SKIP,
    payment_type_id: PaymentType = None,
    invoice_number: InvoiceNumber = SKIP,
    verification_code: VerificationCode = SKIP,
    notes: Notes = SKIP,
) -> None:
    """Note that a buyer's payment for a bill has come."""
    if apply_credit_to_buyer and session.binding is Binding.GET:
        raise ArgumentError(
            Problem(
                "binding",
                "get does not go together with --apply-credit-to-buyer, which moves money",
            )
        )
    what = f"Mark buyer bill {bill_id} as received"
    if apply_credit_to_buyer:
        what += " AND CREDIT THE AMOUNT TO THE BUYER, which moves money each time"
    session.write(
        MARKED,
        what,
        lambda client: bulk.call(
            client.buyer_bills.mark_received,
            bill_id,
            payment_amount=payment_amount,
            payment_type_id=parse.or_skip(payment_type_id),
            invoice_number=invoice_number,
            verification_code=verification_code,
            date_payment_received=date_payment_received,
            apply_credit_to_buyer=apply_credit_to_buyer,
            notes=notes,
        ),
    )
