"""Answers of a real instance, through a client, as typed values."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from aiocake import (
    AccountStatus,
    BillingCycle,
    Binding,
    Client,
    Currency,
    ExchangeRate,
    PaymentSetting,
    PaymentType,
    ServerError,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]
LookUp = Callable[[Client], Awaitable[tuple[object, ...]]]

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"


EURO = Currency(currency_id=2, currency_symbol="€", currency_name="Euro", currency_abbr="EUR")
DOLLAR = Currency(
    currency_id=1, currency_symbol="$", currency_name="US Dollar", currency_abbr="USD"
)


async def rates(cake: Client) -> tuple[ExchangeRate, ...]:
    return await cake.reference.exchange_rates(
        start_date=date(2014, 1, 1), end_date=date(2014, 2, 1)
    )


def client_of(connect: Connect, name: str, status: int = 200) -> tuple[Client, list[httpx.Request]]:
    """A client that is answered by a recording, and what it asked."""
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real instance are not beside this checkout")
    body = (RECORDINGS / f"{name}.soap12.xml").read_bytes()
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(
            status, content=body, headers={"Content-Type": "application/soap+xml; charset=utf-8"}
        )

    return connect(transport=httpx.MockTransport(answer), binding=Binding.SOAP12), asked


@pytest.mark.parametrize(
    ("name", "look_up", "values"),
    [
        (
            "account_statuses",
            lambda cake: cake.reference.account_statuses(),
            [
                AccountStatus(account_status_id=number, account_status_name=name)
                for number, name in ((1, "Active"), (2, "Inactive"), (3, "Pending"))
            ],
        ),
        (
            "billing_cycles",
            lambda cake: cake.reference.v1_billing_cycles(),
            [
                BillingCycle(billing_cycle_id=number, billing_cycle_name=name)
                for number, name in ((1, "Weekly"), (2, "Bi-Monthly"), (3, "Monthly"))
            ],
        ),
        (
            "currencies",
            lambda cake: cake.reference.v1_currencies(),
            [
                Currency(
                    currency_id=1, currency_symbol="€", currency_name="Euro", currency_abbr="EUR"
                )
            ],
        ),
        ("empty_response", rates, []),
        (
            "exchange_rates_two",
            rates,
            [
                ExchangeRate(
                    base_currency=base,
                    quote_currency=quote,
                    start_date=datetime(2020, 7, 1),  # noqa: DTZ001 - v1's times have no zone
                    end_date=datetime(2020, 8, 1),  # noqa: DTZ001 - the same
                    rate=Decimal(rate),
                )
                for base, quote, rate in (
                    (EURO, DOLLAR, "1.1353212100"),
                    (DOLLAR, EURO, "0.8808080000"),
                )
            ],
        ),
        (
            "payment_settings",
            lambda cake: cake.reference.payment_settings(),
            [
                PaymentSetting(
                    payment_setting_id=number, payment_setting_name=f"Pay affiliate in {name}"
                )
                for number, name in (
                    (1, "system default currency"),
                    (2, "offer's currency"),
                    (3, "affiliate's currency"),
                )
            ],
        ),
        (
            "payment_types",
            lambda cake: cake.reference.payment_types(),
            [
                PaymentType(payment_type_id=number, payment_type_name=name)
                for number, name in (
                    (1, "Check"),
                    (2, "Wire"),
                    (3, "ACH"),
                    (4, "PayPal"),
                    (5, "Credit Card"),
                    (7, "Payoneer"),
                )
            ],
        ),
    ],
)
async def test_an_answer_is_typed(
    connect: Connect, name: str, look_up: LookUp, values: list[object]
) -> None:
    client, asked = client_of(connect, name)
    async with client as cake:
        assert list(await look_up(cake)) == values
    assert len(asked) == 1


@pytest.mark.parametrize("status", [200, 500])
async def test_a_receiver_fault_is_the_servers_and_may_pass(connect: Connect, status: int) -> None:
    client, asked = client_of(connect, "exchange_rates", status)
    async with client as cake:
        with pytest.raises(ServerError, match="---> SqlDateTime overflow") as caught:
            await rates(cake)
    assert caught.value.status == status
    assert len(asked) == 3


async def test_no_recording_is_left_out() -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real instance are not beside this checkout")
    assert {each.name.partition(".")[0] for each in RECORDINGS.iterdir()} == {
        *("account_statuses", "billing_cycles", "currencies", "empty_response"),
        *("exchange_rates", "exchange_rates_two", "payment_settings", "payment_types"),
    }
