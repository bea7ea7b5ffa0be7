"""v1's look-ups as typed rows: from answers of a real instance, and from the sandbox."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiocake._codec.codec import decode, error_of, read_reply
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.errors import DecodeError, ServerError
from aiocake.models import (
    AccountStatus,
    BillingCycle,
    Currency,
    ExchangeRate,
    PaymentSetting,
    PaymentType,
)
from aiocake.sandbox import Dialect, Sandbox

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
MODELS: dict[str, tuple[str, type[Any]]] = {
    "account_statuses": ("account_status", AccountStatus),
    "billing_cycles": ("billing_cycle", BillingCycle),
    "currencies": ("currency", Currency),
    "exchange_rates": ("exchange_rate", ExchangeRate),
    "payment_settings": ("payment_setting", PaymentSetting),
    "payment_types": ("payment_type", PaymentType),
}


def look_up(element: str) -> Operation[tuple[Any, ...]]:
    row, model = MODELS[element]
    return Operation(
        name=f"reference.{element}",
        api=Api.V1,
        path="/api/1/get.asmx",
        call=element.title().replace("_", ""),
        shape=ResponseShape.ROWS,
        element=element,
        row=row,
        model=model,
        documented_in="",
    )


def rows(element: str, body: bytes) -> tuple[Any, ...]:
    """The rows of an answer that holds no error."""
    reply = read_reply(Response(200, {}, body))
    assert error_of(look_up(element), reply) is None
    return decode(look_up(element), {}, reply)


def recording(name: str) -> bytes:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real instance are not there")
    return (RECORDINGS / f"{name}.soap12.xml").read_bytes()


@pytest.mark.parametrize(
    ("element", "first", "count"),
    [
        ("account_statuses", AccountStatus(account_status_id=1, account_status_name="Active"), 3),
        ("billing_cycles", BillingCycle(billing_cycle_id=1, billing_cycle_name="Weekly"), 3),
        (
            "currencies",
            Currency(currency_id=1, currency_symbol="€", currency_name="Euro", currency_abbr="EUR"),
            1,
        ),
        (
            "payment_settings",
            PaymentSetting(
                payment_setting_id=1,
                payment_setting_name="Pay affiliate in system default currency",
            ),
            3,
        ),
        ("payment_types", PaymentType(payment_type_id=1, payment_type_name="Check"), 6),
    ],
)
def test_an_answer_of_a_real_instance_is_typed(element: str, first: object, count: int) -> None:
    read = rows(element, recording(element))
    assert read[0] == first
    assert len(read) == count


def test_ids_are_the_instances_own() -> None:
    assert [each.payment_type_id for each in rows("payment_types", recording("payment_types"))] == [
        *range(1, 6),
        7,
    ]


def test_a_recorded_empty_list_is_no_rows() -> None:
    assert rows("exchange_rates", recording("empty_response")) == ()


def test_a_recorded_receiver_fault_is_the_servers() -> None:
    response = Response(500, {}, recording("exchange_rates"))
    for status in (200, 500):
        error = error_of(look_up("exchange_rates"), read_reply(Response(status, {}, response.body)))
        assert type(error) is ServerError
        assert "SqlDateTime overflow" in error.message
        assert "--->" in error.message


RATE = (
    "<r><success>true</success><row_count>1</row_count><exchange_rates><exchange_rate>"
    "<base_currency>USD</base_currency><quote_currency>EUR</quote_currency>"
    "<start_date>2014-06-01T00:00:00</start_date><end_date>2014-06-02T00:00:00.25</end_date>"
    "<rate>0.7340000000</rate></exchange_rate></exchange_rates></r>"
)


def test_a_rate_is_exact_and_its_times_have_no_zone() -> None:
    (rate,) = rows("exchange_rates", RATE.encode())
    assert rate == ExchangeRate(
        base_currency=Currency(currency_abbr="USD"),
        quote_currency=Currency(currency_abbr="EUR"),
        start_date=datetime(2014, 6, 1),  # noqa: DTZ001 - v1's times have no zone
        end_date=datetime(2014, 6, 2, 0, 0, 0, 250_000),  # noqa: DTZ001 - the same
        rate=Decimal("0.7340000000"),
    )
    assert str(rate.rate) == "0.7340000000"


def test_the_currencies_of_a_recorded_rate_are_elements_of_their_own() -> None:
    euro = Currency(currency_id=2, currency_symbol="€", currency_name="Euro", currency_abbr="EUR")
    dollar = Currency(
        currency_id=1, currency_symbol="$", currency_name="US Dollar", currency_abbr="USD"
    )
    first, second = rows("exchange_rates", recording("exchange_rates_two"))
    assert (first.base_currency, first.quote_currency) == (euro, dollar)
    assert (second.base_currency, second.quote_currency) == (dollar, euro)
    assert [str(each.rate) for each in (first, second)] == ["1.1353212100", "0.8808080000"]


def test_a_look_up_may_say_nothing_of_its_success() -> None:
    silent = RATE.replace("<success>true</success>", "")
    assert rows("exchange_rates", silent.encode()) == rows("exchange_rates", RATE.encode())


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("0.7340000000", "0,734", "exchange_rates[0].rate"),
        ("0.7340000000", "7&#xB;34", "exchange_rates[0].rate"),
        ("2014-06-01T00:00:00", "01/06/2014", "exchange_rates[0].start_date"),
        ("<row_count>1<", "<row_count>2<", "exchange_rates"),
        ("<base_currency>USD</base_currency>", "", "exchange_rates[0].base_currency"),
        ("<base_currency>USD<", "<base_currency><", "exchange_rates[0].base_currency"),
        (
            "<base_currency>USD<",
            "<base_currency><currency_abbr>USD</currency_abbr><",
            "exchange_rates[0].base_currency",
        ),
        (
            "<quote_currency>EUR<",
            "<quote_currency><currency_id>x</currency_id><",
            "exchange_rates[0].quote_currency.currency_id",
        ),
    ],
)
def test_a_rate_that_cannot_be_read_is_refused(before: str, after: str, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        rows("exchange_rates", RATE.replace(before, after).encode())
    assert caught.value.path == path


@pytest.mark.anyio
@pytest.mark.parametrize("element", MODELS)
@pytest.mark.parametrize("dialect", [Dialect(), Dialect(v1_format="json")])
async def test_what_the_sandbox_looks_up_is_typed(element: str, dialect: Dialect) -> None:
    sandbox = Sandbox(dialect=dialect)
    url = f"http://sandbox/api/1/get.asmx/{look_up(element).call}"
    query = {"api_key": "SANDBOX-KEY"}
    if element == "exchange_rates":
        query |= {"start_date": "2014-01-01", "end_date": "2014-02-01"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
        response = await client.get(url, params=query)
    read = rows(element, response.content)
    assert len(read) > 0
    assert {type(each) for each in read} == {MODELS[element][1]}
