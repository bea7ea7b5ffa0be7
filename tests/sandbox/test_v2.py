"""v2 as CAKE's page "How to Manage Invoices via the CAKE API" has it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[[Sandbox], httpx.AsyncClient]
LIST = "/api/2/invoices.json"
CREATE = "/api/2/invoice.json"
UPDATE = "/api/2/update_invoice.json"


async def read(client: httpx.AsyncClient, path: str = LIST, **query: object) -> dict[str, Any]:
    response = await client.get(path, params=dict(client.params) | query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    return response.json()


async def write(client: httpx.AsyncClient, path: str, **body: object) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 200
    return response.json()


async def test_the_pages_own_sample_is_answered_as_shown(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect(sandbox) as client:
        answer = await read(client, invoice_id=4821)
    assert answer == {
        "request_status": "Success",
        "invoices": [
            {
                "invoice_id": 4821,
                "affiliate_id": 67890,
                "affiliate_name": "Acme Media Group",
                "invoice_status": "pending",
                "start_date": "2024-01-01",
                "end_date": "2024-01-31",
                "total_amount": "1250.00",
                "currency": "USD",
            }
        ],
        "total_rows": 1,
    }


async def test_a_page_has_100_rows_by_default_and_rows_count_from_0(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect(sandbox) as client:
        first = await read(client)
        second = await read(client, start_at_row=100, row_limit=100)
        beyond = await read(client, start_at_row=200)
    ids = [row["invoice_id"] for row in first["invoices"] + second["invoices"]]
    assert ids == list(sandbox.state.invoices)
    assert beyond["invoices"] == []
    assert first["total_rows"] == second["total_rows"] == beyond["total_rows"] == 200


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({"affiliate_id": 67890}, lambda r: r.affiliate_id == 67890),
        ({"advertiser_id": 501}, lambda r: r.advertiser_id == 501),
        ({"invoice_status": "paid"}, lambda r: r.invoice_status == "paid"),
        ({"invoice_status": "Paid"}, lambda r: r.invoice_status == "paid"),
        ({"start_date": "2024-06-01"}, lambda r: str(r.start_date) >= "2024-06-01"),
        ({"end_date": "2024-01-31"}, lambda r: str(r.end_date) <= "2024-01-31"),
        (
            {"affiliate_id": 67890, "invoice_status": "pending"},
            lambda r: r.affiliate_id == 67890 and r.invoice_status == "pending",
        ),
    ],
)
async def test_a_filter_gives_the_rows_that_match_and_no_others(
    sandbox: Sandbox, connect: Connect, query: dict[str, object], holds: Callable[[Any], bool]
) -> None:
    async with connect(sandbox) as client:
        answer = await read(client, row_limit=1000, **query)
    expected = [key for key, record in sandbox.state.invoices.items() if holds(record)]
    assert [row["invoice_id"] for row in answer["invoices"]] == expected
    assert answer["total_rows"] == len(expected)
    assert 0 < len(expected) < 200


async def test_a_change_is_seen_by_the_next_page(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(sandbox) as client:
        before = await read(client, invoice_status="pending")
        sandbox.state.invoices[4821].invoice_status = "approved"
        after = await read(client, invoice_status="pending")
        del sandbox.state.invoices[4822]
        fewer = await read(client)
    assert after["total_rows"] == before["total_rows"] - 1
    assert fewer["total_rows"] == 199


async def test_the_data_has_both_kinds_and_what_is_awkward(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect(sandbox) as client:
        rows = (await read(client, row_limit=200))["invoices"]
    assert {"affiliate_id" in row for row in rows} == {True, False}
    assert all(("affiliate_id" in row) != ("advertiser_id" in row) for row in rows)
    assert {row["currency"] for row in rows} == {"USD", "EUR", "GBP", "JPY"}
    assert {row["invoice_status"] for row in rows} == {"pending", "approved", "paid", "void"}
    assert any(row["total_amount"].startswith("-") for row in rows)
    names = "".join(row.get("affiliate_name") or row["advertiser_name"] for row in rows)
    assert all(part in names for part in ("=", "[/]", "\x1b", "ż", "🍰"))


async def test_creating_twice_makes_two_with_the_same_total(
    sandbox: Sandbox, connect: Connect
) -> None:
    body = {"affiliate_id": 67890, "start_date": "2024-01-01", "end_date": "2024-01-31"}
    async with connect(sandbox) as client:
        first = await write(client, CREATE, **body, memo="January 2024 manual invoice")
        second = await write(client, CREATE, **body)
    assert first["request_status"] == "Success"
    assert list(first["invoice"]) == [
        "invoice_id",
        "affiliate_id",
        "invoice_status",
        "total_amount",
        "currency",
    ]
    assert first["invoice"] | {"invoice_id": 5022} == second["invoice"]
    stored = sandbox.state.invoices[5021]
    assert stored.memo == "January 2024 manual invoice"
    assert stored.total_amount == Decimal(first["invoice"]["total_amount"]) > 0
    assert len(sandbox.state.invoices) == 202


async def test_an_update_answers_with_what_was_set(sandbox: Sandbox, connect: Connect) -> None:
    paid = {"invoice_id": 4821, "invoice_status": "paid", "paid_at": "2024-02-15T10:00:00Z"}
    async with connect(sandbox) as client:
        answer = await write(client, UPDATE, **paid)
        noted = await write(client, UPDATE, invoice_id=4821, memo="by wire")
    assert answer == {"request_status": "Success", "invoice": paid}
    assert noted["invoice"] == {"invoice_id": 4821, "invoice_status": "paid", "memo": "by wire"}
    stored = sandbox.state.invoices[4821]
    assert (stored.invoice_status, stored.memo) == ("paid", "by wire")
    assert stored.paid_at == "2024-02-15T10:00:00Z"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (CREATE, {}, "affiliate_id is required"),
        (CREATE, {"affiliate_id": 1}, "start_date is required"),
        (
            CREATE,
            {"affiliate_id": 1, "start_date": "2024-01-01", "end_date": "2024-01-31"},
            "Affiliate not found",
        ),
        (
            CREATE,
            {"affiliate_id": 67890, "start_date": "2024-02-01", "end_date": "2024-01-31"},
            "Invalid date range",
        ),
        (
            CREATE,
            {"affiliate_id": "67890", "start_date": "2024-01-01", "end_date": "2024-01-31"},
            "Invalid affiliate_id",
        ),
        (
            CREATE,
            {"affiliate_id": 67890, "start_date": "01/01/2024", "end_date": "2024-01-31"},
            "Invalid start_date",
        ),
        (UPDATE, {"invoice_status": "paid"}, "invoice_id is required"),
        (UPDATE, {"invoice_id": 1}, "Invoice not found"),
        (UPDATE, {"invoice_id": 4821, "invoice_status": "payed"}, "Invalid invoice_status"),
        (UPDATE, {"invoice_id": 4821, "paid_at": "2024-02-15"}, "Invalid paid_at"),
        (UPDATE, {"invoice_id": 4821, "paid_at": "2024-02-30T10:00:00Z"}, "Invalid paid_at"),
        (UPDATE, {"invoice_id": 4821, "memo": 5}, "Invalid memo"),
        (UPDATE, {"invoice_id": True}, "Invalid invoice_id"),
    ],
)
async def test_a_write_that_is_refused_changes_nothing(
    sandbox: Sandbox, connect: Connect, path: str, body: dict[str, object], message: str
) -> None:
    before = sandbox.state.changes.count
    async with connect(sandbox) as client:
        answer = await write(client, path, **body)
    assert answer == {"request_status": "Error", "message": message}
    assert sandbox.state.changes.count == before


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"invoice_id": "abc"}, "Invalid invoice_id"),
        ({"row_limit": "-1"}, "Invalid row_limit"),
        ({"affiliate_id": "99999999999"}, "Invalid affiliate_id"),
        ({"affiliate_id": "9999999999"}, "Invalid affiliate_id"),
        ({"start_date": "2024-13-01"}, "Invalid start_date"),
        ({"invoice_status": "open"}, "Invalid invoice_status"),
        ({"api_key": "wrong"}, "Invalid API key"),
        ({"api_key": ""}, "Invalid API key"),
    ],
)
async def test_a_bad_query_is_refused(
    sandbox: Sandbox, connect: Connect, query: dict[str, str], message: str
) -> None:
    async with connect(sandbox) as client:
        assert await read(client, **query) == {"request_status": "Error", "message": message}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"a": NaN}', b"[" * 200_000])
async def test_a_body_that_is_no_object_is_refused(
    sandbox: Sandbox, connect: Connect, body: bytes
) -> None:
    async with connect(sandbox) as client:
        answer = (await client.post(CREATE, content=body)).json()
    assert answer == {"request_status": "Error", "message": "Invalid JSON"}


async def test_an_invoice_that_is_not_there_is_an_empty_list(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect(sandbox) as client:
        answer = await read(client, invoice_id=1)
    assert (answer["invoices"], answer["total_rows"]) == ([], 0)


async def test_the_look_ups_are_those_of_the_page(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(sandbox) as client:
        cycles = await read(client, "/api/2/billing_cycles.json")
        one = await read(client, "/api/2/billing_cycles.json", billing_cycle_id=2)
        methods = await read(client, "/api/2/payment_methods.json")
        wire = await read(client, "/api/2/payment_methods.json", payment_method_id=2)
        currencies = await read(client, "/api/2/currencies.json")
    assert cycles == {
        "request_status": "Success",
        "billing_cycles": [
            {"billing_cycle_id": 1, "billing_cycle_name": "Weekly"},
            {"billing_cycle_id": 2, "billing_cycle_name": "Bi-Weekly"},
            {"billing_cycle_id": 3, "billing_cycle_name": "Monthly"},
        ],
    }
    assert one["billing_cycles"] == cycles["billing_cycles"][1:2]
    assert methods["payment_methods"][0] == {"payment_type_id": 1, "payment_type_name": "Check"}
    assert wire["payment_methods"] == methods["payment_methods"][1:2]
    assert [item["currency_abbr"] for item in currencies["currencies"]][:2] == ["USD", "EUR"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", LIST, 405),
        ("GET", CREATE, 405),
        ("GET", "/api/2/tax_classes.json", 404),
        ("GET", "/api/2/invoices", 404),
        ("GET", "/nowhere", 404),
    ],
)
async def test_what_is_no_operation_is_recorded_as_none(
    sandbox: Sandbox, connect: Connect, method: str, path: str, status: int
) -> None:
    async with connect(sandbox) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert sandbox.state.requests[-1].operation is None
