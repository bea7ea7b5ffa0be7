"""Parameters, operations and methods that the groups of v1's bills share.

Source: CAKE's pages "ACCOUNTING …, API Version 1", which list each argument in this order.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, Generic, TypeVar

from aiocake._operations.arguments import date_order, period_bounds
from aiocake._operations.operation import (
    Api,
    Endpoints,
    ExportedBills,
    Operation,
    ResponseShape,
    operations_of,
)
from aiocake._operations.parameters import (
    Byte,
    Choice,
    Date,
    Id,
    ModifiedDate,
    Money,
    Parameter,
    Text,
)
from aiocake.models import BillingCycleName, BillingCycleText, MarkResult
from aiocake.values import SKIP, Erase, Idempotency, Period, Skip

B = TypeVar("B")

_SERVICE: Final = "/api/1/accounting.asmx"

_BILL_ID: Final = Id("bill_id", required=True)
INVOICE_NUMBER: Final = Text("invoice_number", erasable=True, limit=50, sensitive=True)
VERIFICATION_CODE: Final = Text("verification_code", erasable=True, limit=50, sensitive=True)
NOTES: Final = Text("notes", erasable=True, limit=250, sensitive=True)
#: The first parameters of every export.
_EXPORT_FILTERS: Final = (
    Choice("billing_cycle", BillingCycleName, required=True),
    Date("billing_period_start_date", required=True),
    Date("billing_period_end_date", required=True),
)


def export_operation(
    name: str, call: str, model: type[B], filters: tuple[Parameter, ...] = ()
) -> Operation[B]:
    """Return the operation that exports the bills of a billing period.

    Args:
        name: The operation's name, such as ``"buyer_bills.export"``. The group is also the
            element around the bills, and in the singular that of each bill.
        call: CAKE's name of it.
        model: The class of a bill.
        filters: The parameters that follow those of every export.
    """
    bills = name.partition(".")[0]
    return Operation[B](
        name=name,
        api=Api.V1,
        path=_SERVICE,
        call=call,
        parameters=(*_EXPORT_FILTERS, *filters),
        shape=ResponseShape.STREAM,
        element=bills,
        row=bills.removesuffix("s"),
        model=model,
        rules=(date_order("billing_period_start_date", "billing_period_end_date"),),
        documented_in=f"ACCOUNTING {call} API Version 1",
    )


def mark_operation(
    name: str,
    call: str,
    parameters: tuple[Parameter, ...],
    *,
    non_idempotent_if: Callable[[Mapping[str, object]], bool] | None = None,
) -> Operation[MarkResult]:
    """Return the operation that marks a bill.

    Args:
        name: The operation's name, such as ``"buyer_bills.mark_sent"``.
        call: CAKE's name of it.
        parameters: Its parameters after ``bill_id``.
        non_idempotent_if: Returns True for arguments with which a call must not be repeated.
    """
    return Operation[MarkResult](
        name=name,
        api=Api.V1,
        path=_SERVICE,
        call=call,
        parameters=(_BILL_ID, *parameters),
        idempotency=Idempotency.IDEMPOTENT,
        non_idempotent_if=non_idempotent_if,
        shape=ResponseShape.MARK,
        element="",
        model=MarkResult,
        echoed=("bill_id",),
        documented_in=f"ACCOUNTING {call} API Version 1",
    )


def export_filters(
    billing_cycle: BillingCycleName | BillingCycleText,
    period: Period | Skip,
    billing_period_start_date: date | Skip,
    billing_period_end_date: date | Skip,
) -> dict[str, object]:
    """Return the arguments of an export from those of its method; v1's end is exclusive."""
    start, end = period_bounds(
        period, billing_period_start_date, billing_period_end_date, exclusive_end=True
    )
    return {
        "billing_cycle": billing_cycle,
        "billing_period_start_date": start,
        "billing_period_end_date": end,
    }


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
            notes: Notes, of at most 250 UTF-16 units.

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
