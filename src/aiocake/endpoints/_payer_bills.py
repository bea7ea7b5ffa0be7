"""Bills that a partner has to pay, advertisers' and buyers': sent, then received."""

from datetime import date
from typing import Final, Generic, TypeVar

from aiocake._operations.operation import Endpoints, ExportedBills, Operation, operations_of
from aiocake._operations.parameters import Byte, ModifiedDate, Money
from aiocake.endpoints._bills import INVOICE_NUMBER, NOTES, VERIFICATION_CODE, export_filters
from aiocake.models import BillingCycleName, BillingCycleText, MarkResult
from aiocake.values import SKIP, Erase, Period, Skip

B = TypeVar("B")

SENT: Final = (
    INVOICE_NUMBER,
    ModifiedDate("date_sent_invoice", erasable=True),
    NOTES,
)
#: Without the notes, which come last.
RECEIVED: Final = (
    Money("payment_amount", required=True, sensitive=True),
    Byte("payment_type_id"),
    INVOICE_NUMBER,
    VERIFICATION_CODE,
    ModifiedDate("date_payment_received", erasable=True),
)


class PayerBills(Endpoints, Generic[B]):
    """The methods that both groups share; each group names its own operations."""

    __slots__ = ()

    def export(
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
    ) -> ExportedBills[B]:
        """Export the bills of a billing period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.

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
        operation: Operation[B] = operations_of(type(self))["export"]
        return self._stream(
            operation,
            **export_filters(
                billing_cycle, period, billing_period_start_date, billing_period_end_date
            ),
        )

    async def mark_sent(
        self,
        bill_id: int,
        *,
        date_sent_invoice: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark the bill's invoice as sent to the partner who has to pay.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            date_sent_invoice: When it was sent.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return await self._call(
            operations_of(type(self))["mark_sent"],
            bill_id=bill_id,
            invoice_number=invoice_number,
            date_sent_invoice=date_sent_invoice,
            notes=notes,
        )
