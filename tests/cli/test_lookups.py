"""``aiocake lookups``: what an instance calls things, by both versions of the API."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from datetime import datetime
from decimal import Decimal

import pytest

from aiocake import Currency, ExchangeRate
from aiocake.cli.formats import OutputFormat, layout_of, writer
from aiocake.cli.table import Screen
from aiocake.testing import make_invoice

V1 = {
    "payment-types": ("PaymentTypes", ["payment_type_id", "payment_type_name"], 6),
    "payment-settings": ("PaymentSettings", ["payment_setting_id", "payment_setting_name"], 3),
    "account-statuses": ("AccountStatuses", ["account_status_id", "account_status_name"], 3),
    "v1-billing-cycles": ("BillingCycles", ["billing_cycle_id", "billing_cycle_name"], 3),
    "v1-currencies": (
        "Currencies",
        ["currency_id", "currency_symbol", "currency_name", "currency_abbr"],
        4,
    ),
    "exchange-rates": (
        "ExchangeRates",
        ["base_currency", "quote_currency", "start_date", "end_date", "rate"],
        6,
    ),
}
V2 = {
    "billing-cycles": ("billing_cycles", ["billing_cycle_id", "billing_cycle_name"], 3),
    "payment-methods": (
        "payment_methods",
        [
            "payment_type_id",
            "payment_type_name",
            "payment_method_id",
            "payment_method_name",
        ],
        3,
    ),
    "currencies": (
        "currencies",
        ["currency_id", "currency_symbol", "currency_name", "currency_abbr"],
        4,
    ),
}
DAYS = ("--start-date", "2024-01-01", "--end-date", "2024-03-01")


@pytest.mark.parametrize("name", [*V1, *V2])
def test_a_look_up_gives_all_rows_in_each_format(cake, sandbox, name: str) -> None:
    operation, columns, count = {**V1, **V2}[name]
    words = ("lookups", name, *(DAYS if name == "exchange-rates" else ()))
    rows = json.loads(cake(*words, "-f", "json").out)
    assert len(rows) == count
    assert [list(row) for row in rows] == [columns] * count
    lines = [json.loads(line) for line in cake(*words, "-f", "jsonl").out.splitlines()]
    listed = list(csv.DictReader(cake(*words, "-f", "csv").out.splitlines()))
    flat = list(listed[0])
    assert [list(line) for line in lines] == [flat] * count
    assert flat == columns or name == "exchange-rates", "it has records within records"
    table = cake(*words).out.splitlines()
    assert table[0].split() == flat or name == "exchange-rates", "its heads are short"
    assert len(table) == 2 + count
    assert len(listed) == count
    assert {request.operation for request in sandbox.state.requests} == {operation}


def test_rates_are_exact_and_times_have_no_zone(cake) -> None:
    rows = json.loads(cake("lookups", "exchange-rates", *DAYS, "-f", "json").out)
    assert rows[0] == {
        "base_currency": {
            "currency_id": 1,
            "currency_symbol": "$",
            "currency_name": "US Dollar",
            "currency_abbr": "USD",
        },
        "quote_currency": {
            "currency_id": 2,
            "currency_symbol": "€",
            "currency_name": "Euro",
            "currency_abbr": "EUR",
        },
        "start_date": "2024-01-01T00:00:00",
        "end_date": "2024-02-01T00:00:00",
        "rate": "0.9214000000",
    }
    row = next(
        csv.DictReader(cake("lookups", "exchange-rates", *DAYS, "-f", "csv").out.splitlines())
    )
    assert row["base_currency_abbr"] == "USD"
    assert row["quote_currency_abbr"] == "EUR"
    table = cake("lookups", "exchange-rates", *DAYS).out
    assert table.startswith("base id  base symbol  base name  base  quote id  quote symbol  ")
    assert "USD" in table


def test_lists_fit_in_80_columns() -> None:
    dollars = Currency(
        currency_id=1, currency_symbol="$", currency_name="US Dollar", currency_abbr="USD"
    )
    yen = Currency(
        currency_id=4, currency_symbol="¥", currency_name="Japanese Yen", currency_abbr="JPY"
    )
    noon = datetime(2024, 1, 1, 12)  # noqa: DTZ001 - as CAKE has it, without a zone
    rate = ExchangeRate(
        base_currency=dollars,
        quote_currency=yen,
        start_date=noon,
        end_date=noon,
        rate=Decimal("149.5201"),
    )
    head, rule, row, *_ = in_table(rate, 80)
    assert head.split() == ["base", "id", "base", "quote", "start", "end", "rate"]
    assert row.split()[:3] == ["1", "USD", "JPY"]
    assert len(rule) <= 80
    head, _, row, *_ = in_table(make_invoice(affiliate_name="Acme Media Group " * 3), 60)
    assert head.split() == ["invoice", "status", "affiliate", "end", "amount", "ccy"]
    assert "Acme Media" in row


def in_table(record: object, width: int) -> list[str]:
    made = writer(OutputFormat.TABLE, layout_of(type(record)), screen=Screen(width, "utf-8"))
    return (made.row(record) + made.end()).splitlines()


@pytest.mark.parametrize(
    ("name", "option"),
    [("billing-cycles", "billing_cycle_id"), ("payment-methods", "payment_method_id")],
)
def test_one_of_version_2_can_be_asked_for(cake, sandbox, name: str, option: str) -> None:
    ran = cake("lookups", name, f"--{option.replace('_', '-')}", 2, "-f", "jsonl")
    assert ran.code == 0
    assert dict(sandbox.state.requests[0].query)[option] == "2"
    assert len(ran.out.splitlines()) == 1


@pytest.mark.parametrize("binding", ["get", "post", "soap11", "soap12"])
@pytest.mark.parametrize("name", V1)
def test_version_1_is_asked_in_each_binding(cake, sandbox, name: str, binding: str) -> None:
    words = ("lookups", name, *(DAYS if name == "exchange-rates" else ()))
    ran = cake(*words, "-f", "jsonl", "--binding", binding)
    assert (ran.code, len(ran.out.splitlines())) == (0, V1[name][2])
    (request,) = sandbox.state.requests
    assert request.method == ("GET" if binding == "get" else "POST")
    kind = request.headers.get("content-type", "")
    assert ("soap+xml" in kind, "soapaction" in request.headers, "form" in kind) == (
        binding == "soap12",
        binding == "soap11",
        binding == "post",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "Missing command", id="no-name"),
        pytest.param(["tax-classes"], "No such command 'tax-classes'", id="unknown"),
        pytest.param(["currencies", "--binding", "get"], "No such option: --binding", id="v2"),
        pytest.param(["exchange-rates"], "Missing option '--start-date'", id="no-days"),
        pytest.param(
            ["exchange-rates", "--start-date", "2024-02-01", "--end-date", "2024-01-01"],
            "--start-date: must not be after --end-date",
            id="backwards",
        ),
        pytest.param(
            ["billing-cycles", "--billing-cycle-id", "0"], "--billing-cycle-id: must be", id="zero"
        ),
    ],
)
def test_bad_arguments_are_named_on_one_line_and_nothing_is_sent(
    cake, sandbox, words: list[str], said: str
) -> None:
    ran = cake("lookups", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert sandbox.state.requests == []
