"""Parameters and operations that the groups of v1's bills share.

Source: CAKE's pages "ACCOUNTING …, API Version 1", which list each argument in this order.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, TypeVar

from aiocake._operations.arguments import date_order, period_bounds
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import Choice, Date, Id, Parameter, Text
from aiocake.models import BillingCycleName, BillingCycleText, MarkResult
from aiocake.values import Idempotency, Period, Skip

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
