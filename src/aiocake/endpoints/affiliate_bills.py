"""Affiliates' bills of v1: received, then paid.

Sources: CAKE's pages "ACCOUNTING ExportAffiliateBills", "ACCOUNTING MarkAffiliateBillAsReceived"
and "ACCOUNTING MarkAffiliateBillAsPaid", API version 1.
"""

from datetime import date
from decimal import Decimal

from aiocake._operations.operation import Endpoints, ExportedBills
from aiocake._operations.parameters import Bool, Byte, Date, ModifiedDate, Money
from aiocake.endpoints._bills import (
    INVOICE_NUMBER,
    NOTES,
    VERIFICATION_CODE,
    export_filters,
    export_operation,
    mark_operation,
)
from aiocake.models import AffiliateBill, BillingCycleName, BillingCycleText, MarkResult
from aiocake.values import ANY, SKIP, Any_, Erase, Period, Skip

__all__ = ["AffiliateBills"]

EXPORT = export_operation(
    "affiliate_bills.export",
    "ExportAffiliateBills",
    AffiliateBill,
    (
        Bool("paid_only", required=True),
        Byte("payment_type_id", any_allowed=True),
    ),
)
MARK_RECEIVED = mark_operation(
    "affiliate_bills.mark_received",
    "MarkAffiliateBillAsReceived",
    (
        INVOICE_NUMBER,
        Money("invoiced_amount", required=True, sensitive=True),
        ModifiedDate("date_invoice_received", erasable=True),
        NOTES,
    ),
)
MARK_PAID = mark_operation(
    "affiliate_bills.mark_paid",
    "MarkAffiliateBillAsPaid",
    (
        Byte("payment_type_id"),
        INVOICE_NUMBER,
        VERIFICATION_CODE,
        Date("payment_date", required=True),
        NOTES,
    ),
)


class AffiliateBills(Endpoints, operations=(EXPORT, MARK_RECEIVED, MARK_PAID)):
    """``client.affiliate_bills``: what the platform owes affiliates, received and paid."""

    __slots__ = ()

    def export(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
        paid_only: bool = False,
        payment_type_id: int | Any_ = ANY,
    ) -> ExportedBills[AffiliateBill]:
        """Export the bills of a billing period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.
            paid_only: Only bills that are paid.
            payment_type_id: Only bills paid by this type, 1 to 255.

        Returns:
            Bills for ``async with`` and ``async for``, and ``.collect()``. Nothing is sent before
            one of them begins. In the block of ``async with``, ``.success``, ``.message`` and
            ``.row_count`` are known before the first bill.

        Raises:
            ArgumentError: An argument cannot be sent.
            ApiError: Once it is sent: CAKE refused the export, and no bill was read.
            DecodeError: While reading: a body that was cut short, after the bills that came;
                ``.rows_read`` says how many.
            DeadlineExceeded: While reading: not all came in time; the bills that came were read.
        """
        return self._stream(
            EXPORT,
            **export_filters(
                billing_cycle, period, billing_period_start_date, billing_period_end_date
            ),
            paid_only=paid_only,
            payment_type_id=payment_type_id,
        )

    async def mark_received(
        self,
        bill_id: int,
        *,
        invoiced_amount: Decimal | int,
        date_invoice_received: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as received: the affiliate's own invoice has come.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            invoiced_amount: The amount on the affiliate's invoice; no value keeps the old one.
            date_invoice_received: When it came.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            TipaltiError: The affiliate is paid through Tipalti.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return await self._call(
            MARK_RECEIVED,
            bill_id=bill_id,
            invoice_number=invoice_number,
            invoiced_amount=invoiced_amount,
            date_invoice_received=date_invoice_received,
            notes=notes,
        )

    async def mark_paid(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        bill_id: int,
        *,
        payment_date: date,
        payment_type_id: int | Skip = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        verification_code: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as paid.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            payment_date: When it was paid.
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the affiliate's invoice, of at most 50 UTF-16 units.
            verification_code: The code of the payment, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether a payment was recorded for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            TipaltiError: The affiliate is paid through Tipalti.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return await self._call(
            MARK_PAID,
            bill_id=bill_id,
            payment_type_id=payment_type_id,
            invoice_number=invoice_number,
            verification_code=verification_code,
            payment_date=payment_date,
            notes=notes,
        )
