"""Each thing that CAKE's documents disagree on, one by one."""

from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest

from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[[Sandbox], httpx.AsyncClient]
Ask = Callable[..., Any]


@pytest.fixture
def ask(connect: Connect) -> Ask:
    async def ask(dialect: Dialect, path: str = "invoices", **query: object) -> dict[str, Any]:
        async with connect(Sandbox(dialect=dialect)) as client:
            response = await client.get(f"/api/2/{path}.json", params=dict(client.params) | query)
        read: dict[str, Any] = response.json()
        return read

    return ask


async def test_wrapped_puts_the_data_into_response(ask: Ask) -> None:
    answer = await ask(Dialect(envelope="wrapped"), invoice_id=4821)
    assert list(answer) == ["request_status", "response"]
    assert answer["response"]["invoices"][0]["invoice_id"] == 4821
    assert answer["response"]["total_rows"] == 1


async def test_payout_fields_are_those_of_the_newer_pages(ask: Ask) -> None:
    answer = await ask(Dialect(invoice_fields="payout"), invoice_id=4821)
    assert answer["invoices"][0] == {
        "invoice_id": 4821,
        "affiliate_id": 67890,
        "affiliate_name": "Acme Media Group",
        "invoice_status": "pending",
        "invoice_date": "2024-01-31",
        "billing_cycle_name": "Monthly",
        "payment_type": "Wire Transfer",
        "total_payout": "1250.00",
        "currency_symbol": "$",
    }


async def test_payment_methods_may_have_ids_of_their_own(ask: Ask) -> None:
    answer = await ask(Dialect(payment_method_fields="method"), "payment_methods")
    assert answer["payment_methods"][1] == {
        "payment_method_id": 2,
        "payment_method_name": "Wire Transfer",
        "payment_type_id": 2,
    }


async def test_a_status_may_be_capitalised(ask: Ask) -> None:
    answer = await ask(Dialect(status_case="title"), invoice_status="pending")
    assert {row["invoice_status"] for row in answer["invoices"]} == {"Pending"}


async def test_money_may_be_an_exact_number(connect: Connect) -> None:
    sandbox = Sandbox(dialect=Dialect(money="number"))
    async with connect(sandbox) as client:
        text = (await client.get("/api/2/invoices.json")).text
    assert '"total_amount":1250.00,' in text


async def test_a_server_that_counts_from_1_reads_0_as_1(ask: Ask) -> None:
    counts_from_1 = Dialect(first_row=1)
    answers = [await ask(counts_from_1, start_at_row=row, row_limit=3) for row in (0, 1, 3)]
    ids = [[row["invoice_id"] for row in answer["invoices"]] for answer in answers]
    assert ids[0] == ids[1] == [4821, 4822, 4823]
    assert ids[2] == [4823, 4824, 4825]


async def test_a_cap_gives_fewer_rows_than_asked_for(ask: Ask) -> None:
    answer = await ask(Dialect(row_cap=7), row_limit=100)
    assert len(answer["invoices"]) == 7
    assert answer["total_rows"] == 200


async def test_an_exclusive_end_is_the_day_after_the_last(connect: Connect) -> None:
    sandbox = Sandbox(dialect=Dialect(end_date="exclusive"))
    body = {"affiliate_id": 67890, "start_date": "2030-01-01", "end_date": "2030-02-01"}
    async with connect(sandbox) as client:
        await client.post("/api/2/invoice.json", json=body)
        query = {**client.params, "start_date": "2030-01-01"}
        found = await client.get("/api/2/invoices.json", params=query | {"end_date": "2030-02-01"})
        missed = await client.get("/api/2/invoices.json", params=query | {"end_date": "2030-01-31"})
    assert found.json()["invoices"][0]["end_date"] == "2030-02-01"
    assert str(sandbox.state.invoices[5021].end_date) == "2030-01-31"
    assert missed.json()["total_rows"] == 0


@pytest.mark.parametrize(
    "query",
    [{"affiliate_id": 67890}, {"invoice_status": "paid"}, {"start_date": "2024-06-01"}],
)
async def test_a_filter_that_is_not_known_is_ignored(ask: Ask, query: dict[str, object]) -> None:
    ignoring = Dialect(ignored_filters=frozenset(query))
    assert (await ask(ignoring, **query))["total_rows"] == 200
    assert (await ask(Dialect(), **query))["total_rows"] < 200


async def test_total_rows_may_be_missing(ask: Ask) -> None:
    assert list(await ask(Dialect(total_rows=False))) == ["request_status", "invoices"]


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        (Dialect(), 200, {"request_status": "Error", "message": "Invalid API key"}),
        (
            Dialect(error_field="error", error_request_status="Failure"),
            200,
            {"request_status": "Failure", "error": "Invalid API key"},
        ),
        (
            Dialect(error_field="errors", error_status="typed"),
            401,
            {"request_status": "Error", "errors": ["Invalid API key"]},
        ),
    ],
)
async def test_an_error_has_the_status_and_the_field_of_the_dialect(
    connect: Connect, dialect: Dialect, status: int, body: dict[str, object]
) -> None:
    async with connect(Sandbox(dialect=dialect, api_key="another")) as client:
        response = await client.get("/api/2/invoices.json")
    assert (response.status_code, response.json()) == (status, body)


@pytest.mark.parametrize(
    ("body", "status"),
    [({"invoice_id": 1}, 404), ({"invoice_id": "x"}, 400), ({"invoice_id": 4821}, 200)],
)
async def test_typed_errors_tell_what_is_not_there_from_what_is_wrong(
    connect: Connect, body: dict[str, object], status: int
) -> None:
    async with connect(Sandbox(dialect=Dialect(error_status="typed"))) as client:
        assert (await client.post("/api/2/update_invoice.json", json=body)).status_code == status


async def test_v1_may_answer_in_json(connect: Connect) -> None:
    sandbox = Sandbox(dialect=Dialect(v1_format="json"))
    query = {
        "billing_cycle": "all",
        "billing_period_start_date": "2014-01-01",
        "billing_period_end_date": "2015-01-01",
        "paid_only": "false",
        "payment_type_id": "0",
    }
    url = "/api/1/accounting.asmx/ExportAffiliateBills"
    async with connect(sandbox) as client:
        good = (await client.get(url, params=dict(client.params) | query)).json()
        bad = (await client.get(url, params=query | {"api_key": "wrong"})).json()
        look_up = await client.get("/api/1/get.asmx/BillingCycles")
    assert good["request_status"] == "Success"
    assert good["response"]["affiliate_bills"][0]["affiliate"]["affiliate_id"] == 67890
    assert bad["request_status"] == "Error"
    assert bad["response"]["message"] == "Invalid API key"
    assert look_up.text.startswith("<?xml")


async def test_look_ups_may_have_no_success(connect: Connect) -> None:
    sandbox = Sandbox(dialect=Dialect(lookup_success=False))
    async with connect(sandbox) as client:
        assert "success" not in (await client.get("/api/1/get.asmx/PaymentTypes")).text
        refused = await client.get("/api/1/get.asmx/PaymentTypes", params={"api_key": "no"})
    assert "<success>false</success>" in refused.text


@pytest.mark.parametrize(("name", "dialect"), Dialect.all().items())
async def test_every_dialect_can_be_paged_to_the_end(
    connect: Connect, name: str, dialect: Dialect
) -> None:
    sandbox = Sandbox(invoices=23, dialect=dialect)
    seen: list[int] = []
    async with connect(sandbox) as client:
        while True:
            query = {**client.params, "start_at_row": dialect.first_row + len(seen), "row_limit": 5}
            answer = (await client.get("/api/2/invoices.json", params=query)).json()
            rows = answer.get("response", answer)["invoices"]
            if not rows:
                break
            seen += [row["invoice_id"] for row in rows]
    assert seen == list(sandbox.state.invoices), name


def test_every_disagreement_is_among_the_dialects_by_itself() -> None:
    dialects = list(Dialect.all().values())
    default = Dialect()
    # What row 0 is matters only where rows count from 1.
    needs = {"row_zero": Dialect(first_row=1)}
    for field in attrs.fields(Dialect):
        base = needs.get(field.name, default)
        alone = [
            dialect
            for dialect in dialects
            if attrs.evolve(dialect, **{field.name: getattr(base, field.name)}) == base
            and dialect != base
        ]
        assert alone, field.name
    assert dialects[0] == default
    assert len(set(dialects)) == len(dialects)
