"""Advertisers' bills of v1: sent, then received.

Sources: CAKE's pages "ACCOUNTING ExportAdvertiserBills", "ACCOUNTING MarkAdvertiserBillAsSent" and
"ACCOUNTING MarkAdvertiserBillAsReceived", API version 1.
"""

from datetime import date
from decimal import Decimal

from aiocake.endpoints._bills import (
    NOTES,
    RECEIVED,
    SENT,
    PayerBills,
    export_operation,
    mark_operation,
)
from aiocake.models import AdvertiserBill, MarkResult
from aiocake.values import SKIP, Erase, Skip

__all__ = ["AdvertiserBills"]

EXPORT = export_operation("advertiser_bills.export", "ExportAdvertiserBills", AdvertiserBill)
MARK_SENT = mark_operation("advertiser_bills.mark_sent", "MarkAdvertiserBillAsSent", SENT)
MARK_RECEIVED = mark_operation(
    "advertiser_bills.mark_received", "MarkAdvertiserBillAsReceived", (*RECEIVED, NOTES)
)


class AdvertiserBills(PayerBills[AdvertiserBill], operations=(EXPORT, MARK_SENT, MARK_RECEIVED)):
    """``client.advertiser_bills``: what advertisers owe the platform, sent and received."""

    __slots__ = ()

    async def mark_received(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        bill_id: int,
        *,
        payment_amount: Decimal | int,
        payment_type_id: int | Skip = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        verification_code: str | Skip | Erase = SKIP,
        date_payment_received: date | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as received: the advertiser's payment has come.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            payment_amount: The amount that came; no value keeps the old one.
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the invoice, of at most 50 UTF-16 units.
            verification_code: The code of the payment, of at most 50 UTF-16 units.
            date_payment_received: When it came.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, whether the bill was marked for the first time, and the amounts of
            payment and bill where the instance sends them.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return await self._call(
            MARK_RECEIVED,
            bill_id=bill_id,
            payment_amount=payment_amount,
            payment_type_id=payment_type_id,
            invoice_number=invoice_number,
            verification_code=verification_code,
            date_payment_received=date_payment_received,
            notes=notes,
        )
