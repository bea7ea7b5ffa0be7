"""Advertisers' bills of v1: sent, then received.

Sources: CAKE's pages "ACCOUNTING ExportAdvertiserBills", "ACCOUNTING MarkAdvertiserBillAsSent" and
"ACCOUNTING MarkAdvertiserBillAsReceived", API version 1.
"""

from datetime import date
from decimal import Decimal

from aiocake._operations.arguments import period_bounds
from aiocake._operations.operation import Api, Endpoints, ExportedBills, Operation, ResponseShape
from aiocake.endpoints._parameters import EXPORTED, IN_ORDER, NOTES, RECEIVED, SENT, SERVICE
from aiocake.models import AdvertiserBill, BillingCycleName, BillingCycleText, MarkResult
from aiocake.values import SKIP, Erase, Idempotency, Period, Skip

__all__ = ["AdvertiserBills"]

EXPORT = Operation[AdvertiserBill](
    name="advertiser_bills.export",
    api=Api.V1,
    path=SERVICE,
    call="ExportAdvertiserBills",
    parameters=EXPORTED,
    shape=ResponseShape.STREAM,
    element="advertiser_bills",
    row="advertiser_bill",
    model=AdvertiserBill,
    rules=(IN_ORDER,),
    documented_in="ACCOUNTING ExportAdvertiserBills API Version 1",
)

MARK_SENT = Operation[MarkResult](
    name="advertiser_bills.mark_sent",
    api=Api.V1,
    path=SERVICE,
    call="MarkAdvertiserBillAsSent",
    parameters=SENT,
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.MARK,
    element="",
    model=MarkResult,
    echoed=("bill_id",),
    documented_in="ACCOUNTING MarkAdvertiserBillAsSent API Version 1",
)

MARK_RECEIVED = Operation[MarkResult](
    name="advertiser_bills.mark_received",
    api=Api.V1,
    path=SERVICE,
    call="MarkAdvertiserBillAsReceived",
    parameters=(
        *RECEIVED,
        NOTES,
    ),
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.MARK,
    element="",
    model=MarkResult,
    echoed=("bill_id",),
    documented_in="ACCOUNTING MarkAdvertiserBillAsReceived API Version 1",
)


class AdvertiserBills(Endpoints, operations=(EXPORT, MARK_SENT, MARK_RECEIVED)):
    """``client.advertiser_bills``: what advertisers owe the platform, sent and received."""

    __slots__ = ()

    def export(
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
    ) -> ExportedBills[AdvertiserBill]:
        """The bills of a period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.

        Returns:
            Bills for ``async with`` and ``async for``, and ``.collect()``. Nothing is sent before
            one of these. In the block of ``async with``, ``.success``, ``.message`` and
            ``.row_count`` are known before the first bill.

        Raises:
            ArgumentError: An argument cannot be sent.
            ApiError: Once it is sent: it was refused, and no bill was given.
            DecodeError: While reading: a body that was cut short, after the bills that came;
                ``.rows_read`` says how many.
            DeadlineExceeded: While reading: the rest did not come in time; the same.
        """
        start, end = period_bounds(
            period, billing_period_start_date, billing_period_end_date, exclusive_end=True
        )
        return self._stream(
            EXPORT,
            billing_cycle=billing_cycle,
            billing_period_start_date=start,
            billing_period_end_date=end,
        )

    async def mark_sent(
        self,
        bill_id: int,
        *,
        date_sent_invoice: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Note that the invoice for a bill was sent to the advertiser.

        Args:
            bill_id: The bill; :meth:`export` gives it.
            date_sent_invoice: When it was sent.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing left: safe to send again.
            OutcomeUnknown: It may have been marked.
            ApiError: It was refused.
        """
        return await self._call(
            MARK_SENT,
            bill_id=bill_id,
            invoice_number=invoice_number,
            date_sent_invoice=date_sent_invoice,
            notes=notes,
        )

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
        """Note that an advertiser's payment for a bill has come.

        Args:
            bill_id: The bill; :meth:`export` gives it.
            payment_amount: The amount that came; nothing means "keep".
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the invoice, of at most 50 UTF-16 units.
            verification_code: Of at most 50 UTF-16 units.
            date_payment_received: When it came.
            notes: Of at most 250 UTF-16 units.

        Returns:
            CAKE's message, whether the bill was marked for the first time, and the amounts of
            payment and bill where the instance sends them.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing left: safe to send again.
            OutcomeUnknown: It may have been marked.
            ApiError: It was refused.
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
