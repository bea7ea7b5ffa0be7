"""Look-ups of v2 and v1: what an instance calls its cycles, methods, types and currencies.

CAKE advises to keep these lists and to refresh them daily.
"""

from datetime import date
from typing import TypeVar

from aiocake._operations.arguments import date_order
from aiocake._operations.operation import Api, Endpoints, Operation, ResponseShape, Rule
from aiocake._operations.parameters import Date, Id, Parameter
from aiocake.models import (
    AccountStatus,
    BillingCycle,
    Currency,
    ExchangeRate,
    PaymentMethod,
    PaymentSetting,
    PaymentType,
)
from aiocake.values import SKIP, Skip

__all__ = ["Reference"]

R = TypeVar("R")

_PAGE = "How to Manage Invoices via the CAKE API"

BILLING_CYCLES = Operation[tuple[BillingCycle, ...]](
    name="reference.billing_cycles",
    api=Api.V2,
    path="/api/2/billing_cycles.json",
    parameters=(Id("billing_cycle_id"),),
    shape=ResponseShape.ROWS,
    element="billing_cycles",
    model=BillingCycle,
    echoed=("billing_cycle_id",),
    documented_in=_PAGE,
)

PAYMENT_METHODS = Operation[tuple[PaymentMethod, ...]](
    name="reference.payment_methods",
    api=Api.V2,
    path="/api/2/payment_methods.json",
    parameters=(Id("payment_method_id"),),
    shape=ResponseShape.ROWS,
    element="payment_methods",
    model=PaymentMethod,
    echoed=("payment_method_id",),
    documented_in=_PAGE,
)

CURRENCIES = Operation[tuple[Currency, ...]](
    name="reference.currencies",
    api=Api.V2,
    path="/api/2/currencies.json",
    shape=ResponseShape.ROWS,
    element="currencies",
    model=Currency,
    documented_in=_PAGE,
)


def _of_v1(
    name: str,
    call: str,
    row: str,
    model: type[R],
    parameters: tuple[Parameter, ...] = (),
    *rules: Rule,
) -> Operation[tuple[R, ...]]:
    """Return the operation of a look-up of v1, whose list is called like it."""
    return Operation(
        name=f"reference.{name}",
        api=Api.V1,
        path="/api/1/get.asmx",
        call=call,
        parameters=parameters,
        shape=ResponseShape.ROWS,
        element=name.removeprefix("v1_"),
        row=row,
        model=model,
        rules=rules,
        documented_in=f"GET {call} API Version 1",
    )


PAYMENT_TYPES = _of_v1("payment_types", "PaymentTypes", "payment_type", PaymentType)
PAYMENT_SETTINGS = _of_v1("payment_settings", "PaymentSettings", "payment_setting", PaymentSetting)
ACCOUNT_STATUSES = _of_v1("account_statuses", "AccountStatuses", "account_status", AccountStatus)
V1_BILLING_CYCLES = _of_v1("v1_billing_cycles", "BillingCycles", "billing_cycle", BillingCycle)
V1_CURRENCIES = _of_v1("v1_currencies", "Currencies", "currency", Currency)
EXCHANGE_RATES = _of_v1(
    "exchange_rates",
    "ExchangeRates",
    "exchange_rate",
    ExchangeRate,
    (Date("start_date", required=True), Date("end_date", required=True)),
    date_order("start_date", "end_date"),
)


class Reference(
    Endpoints,
    operations=(
        BILLING_CYCLES,
        PAYMENT_METHODS,
        CURRENCIES,
        PAYMENT_TYPES,
        PAYMENT_SETTINGS,
        ACCOUNT_STATUSES,
        V1_BILLING_CYCLES,
        V1_CURRENCIES,
        EXCHANGE_RATES,
    ),
):
    """``client.reference``: ids and names of an instance. Ids differ between instances."""

    __slots__ = ()

    async def billing_cycles(
        self, *, billing_cycle_id: int | Skip = SKIP
    ) -> tuple[BillingCycle, ...]:
        """List how often partners can be billed.

        Args:
            billing_cycle_id: Only this one.

        Returns:
            The billing cycles.

        Raises:
            ConsistencyError: The instance does not know the filter: others came, too.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(BILLING_CYCLES, billing_cycle_id=billing_cycle_id)

    async def payment_methods(
        self, *, payment_method_id: int | Skip = SKIP
    ) -> tuple[PaymentMethod, ...]:
        """List the ways in which partners can be paid.

        Args:
            payment_method_id: Only this one.

        Returns:
            The payment methods.

        Raises:
            ConsistencyError: The instance does not know the filter: others came, too.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(PAYMENT_METHODS, payment_method_id=payment_method_id)

    async def currencies(self) -> tuple[Currency, ...]:
        """List the currencies. Two of CAKE's pages name this call, none shows its response.

        Returns:
            The currencies.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(CURRENCIES)

    async def payment_types(self) -> tuple[PaymentType, ...]:
        """List the ways in which money is sent: the meaning of v1's ``payment_type_id``.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(PAYMENT_TYPES)

    async def payment_settings(self) -> tuple[PaymentSetting, ...]:
        """List the currencies in which affiliates can be paid.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(PAYMENT_SETTINGS)

    async def account_statuses(self) -> tuple[AccountStatus, ...]:
        """List the statuses that a partner's account can have.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(ACCOUNT_STATUSES)

    async def v1_billing_cycles(self) -> tuple[BillingCycle, ...]:
        """List how often partners can be billed, by v1.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(V1_BILLING_CYCLES)

    async def v1_currencies(self) -> tuple[Currency, ...]:
        """List the currencies of the instance, by v1.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(V1_CURRENCIES)

    async def exchange_rates(self, *, start_date: date, end_date: date) -> tuple[ExchangeRate, ...]:
        """List the exchange rates between the instance's currencies (v1).

        Args:
            start_date: From this day on.
            end_date: Until this day.

        Returns:
            The rates.

        Raises:
            ArgumentError: An argument cannot be sent.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return await self._call(EXCHANGE_RATES, start_date=start_date, end_date=end_date)
