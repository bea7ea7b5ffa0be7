"""Look-ups of v2: what an instance calls its cycles, methods and currencies.

CAKE advises to keep these lists and to refresh them daily.
"""

from aiocake._operation import Api, Endpoints, Kind, Operation, Parameter, Shape
from aiocake.models import BillingCycle, Currency, PaymentMethod
from aiocake.values import SKIP, Skip

__all__ = ["Reference"]

_PAGE = "How to Manage Invoices via the CAKE API"

BILLING_CYCLES = Operation[tuple[BillingCycle, ...]](
    name="reference.billing_cycles",
    api=Api.V2,
    path="/api/2/billing_cycles.json",
    parameters=(Parameter(name="billing_cycle_id", kind=Kind.ID),),
    shape=Shape.ROWS,
    element="billing_cycles",
    model=BillingCycle,
    page=_PAGE,
)

PAYMENT_METHODS = Operation[tuple[PaymentMethod, ...]](
    name="reference.payment_methods",
    api=Api.V2,
    path="/api/2/payment_methods.json",
    parameters=(Parameter(name="payment_method_id", kind=Kind.ID),),
    shape=Shape.ROWS,
    element="payment_methods",
    model=PaymentMethod,
    page=_PAGE,
)

CURRENCIES = Operation[tuple[Currency, ...]](
    name="reference.currencies",
    api=Api.V2,
    path="/api/2/currencies.json",
    shape=Shape.ROWS,
    element="currencies",
    model=Currency,
    page=_PAGE,
)


class Reference(Endpoints):
    """``client.reference``: ids and names of an instance. Ids differ between instances."""

    __slots__ = ()

    async def billing_cycles(
        self, *, billing_cycle_id: int | Skip = SKIP
    ) -> tuple[BillingCycle, ...]:
        """How often partners can be billed.

        Args:
            billing_cycle_id: Only this one.

        Returns:
            The billing cycles.

        Raises:
            CakeError: It was refused, or no answer that can be read came.
        """
        return await self._call(BILLING_CYCLES, billing_cycle_id=billing_cycle_id)

    async def payment_methods(
        self, *, payment_method_id: int | Skip = SKIP
    ) -> tuple[PaymentMethod, ...]:
        """The ways in which partners can be paid.

        Args:
            payment_method_id: Only this one.

        Returns:
            The payment methods.

        Raises:
            CakeError: It was refused, or no answer that can be read came.
        """
        return await self._call(PAYMENT_METHODS, payment_method_id=payment_method_id)

    async def currencies(self) -> tuple[Currency, ...]:
        """The currencies of the instance. Two of CAKE's pages name this, none shows its answer.

        Returns:
            The currencies.

        Raises:
            CakeError: It was refused, or no answer that can be read came.
        """
        return await self._call(CURRENCIES)
