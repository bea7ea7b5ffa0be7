"""Records as plain values: money stays text, ``kind`` is there, and columns have stable names."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter

from aiocake import (
    AffiliateBill,
    ArgumentError,
    BillAmount,
    CreatedInvoice,
    Invoice,
    InvoiceStatus,
    MarkResult,
    Page,
    Partner,
    PaymentType,
    UpdatedInvoice,
    columns,
    models,
    to_dict,
)
from aiocake.records import Record

INVOICE = Invoice(
    invoice_id=1,
    invoice_status=InvoiceStatus("Paid"),
    total_amount=Decimal("1250.10"),
    advertiser_id=7,
    start_date=date(2024, 1, 1),
)
BILL = AffiliateBill(
    bill_id=345,
    affiliate=Partner(id=67890, name="Acme", account_status_name="Active", extra={"a": [None]}),
    bill_amount=BillAmount(amount=Decimal("1E+3"), currency_id=1),
    sent_payment=False,
    billing_period_start_date=date(2014, 6, 1),
    billing_period_end_date=date(2014, 7, 1),
    extra={"notes": "x"},
)
MARKED = (
    *("invoice_number", "payment_type_id", "payment_type_name", "verification_code", "notes"),
    *("invoiced_amount", "date_invoice_received", "payment_date"),
)
MODELS = [
    each
    for each in vars(models).values()
    # What is expected of a record is none.
    if isinstance(each, type) and attrs.has(each) and each is not models.Expect
]


class Strange(str):
    """A text of another library."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<strange>"


class Level(Enum):
    HIGH = Decimal("0.10")


@attrs.frozen
class Inner(Record):
    currency_id: int
    code: str


@attrs.frozen
class Outer(Record):
    id: int
    base_currency: Inner
    quote_currency: Inner | None
    flags: frozenset[bool]
    level: Level
    _hidden: int = 3


OUTER = Outer(1, Inner(2, Strange("EUR")), None, frozenset({True}), Level.HIGH)


def test_an_invoice_is_what_json_has_and_its_amount_a_text() -> None:
    plain = to_dict(INVOICE)
    assert list(plain) == ["kind", *(field.name for field in attrs.fields(Invoice))]
    given = {name: value for name, value in plain.items() if value is not None}
    assert given == {
        "kind": "revenue",
        "invoice_id": 1,
        "invoice_status": "paid",
        "total_amount": "1250.10",
        "advertiser_id": 7,
        "start_date": "2024-01-01",
    }
    assert {type(value) for value in plain.values()} == {str, int, type(None)}
    assert json.loads(json.dumps(plain)) == plain
    assert to_dict(INVOICE, flat=True) == plain


def test_an_unknown_status_and_a_time_with_its_zone_are_kept() -> None:
    paid_at = datetime(2024, 2, 15, 10, tzinfo=UTC)
    plain = to_dict(
        UpdatedInvoice(invoice_id=1, invoice_status=InvoiceStatus("Draft"), paid_at=paid_at)
    )
    assert (plain["invoice_status"], plain["paid_at"]) == ("Draft", "2024-02-15T10:00:00+00:00")
    created = CreatedInvoice(
        invoice_id=1,
        affiliate_id=2,
        invoice_status=InvoiceStatus.PENDING,
        total_amount=Decimal("-0.10"),
    )
    assert to_dict(created)["total_amount"] == "-0.10"


def test_what_is_nested_is_nested_and_never_has_an_exponent() -> None:
    assert to_dict(BILL) == {
        "bill_id": 345,
        "affiliate": {
            "id": 67890,
            "name": "Acme",
            "account_status_id": None,
            "account_status_name": "Active",
            "account_managers": [],
            "contacts": [],
            "billing_cycle_id": None,
            "billing_cycle_name": None,
            "extra": {"a": [None]},
        },
        "bill_amount": {"amount": "1000", "currency_id": 1, "formatted_amount": None},
        "sent_payment": False,
        "period": "2014-06-01..2014-06-30",
        "billing_period_start_date": "2014-06-01",
        "billing_period_end_date": "2014-07-01",
        **dict.fromkeys(MARKED),
        "extra": {"notes": "x"},
    }


def test_columns_say_whose_an_id_or_a_name_is() -> None:
    flat = to_dict(BILL, flat=True)
    assert tuple(flat) == columns(AffiliateBill)
    assert (flat["affiliate_id"], flat["affiliate_name"]) == (67890, "Acme")
    assert (flat["amount"], flat["account_status_name"]) == ("1000", "Active")
    assert flat["extra"] == {"notes": "x", "affiliate": {"a": [None]}}


def test_two_nested_records_of_one_class_have_columns_of_their_own() -> None:
    assert columns(Outer) == (
        "id",
        "base_currency_id",
        "base_currency_code",
        "quote_currency_id",
        "quote_currency_code",
        "flags",
        "level",
    )
    assert to_dict(OUTER, flat=True) == {
        "id": 1,
        "base_currency_id": 2,
        "base_currency_code": "EUR",
        "quote_currency_id": None,
        "quote_currency_code": None,
        "flags": [True],
        "level": "0.10",
    }
    code = to_dict(Inner(1, Strange("EUR")))["code"]
    assert (type(code), code) == (str, "EUR")


def test_a_page_and_a_result_are_records_too() -> None:
    page = Page(items=(INVOICE,), total_rows=None, start_at_row=0)
    assert to_dict(page) == {"items": [to_dict(INVOICE)], "total_rows": None, "start_at_row": 0}
    assert to_dict(MarkResult(bill_id=1, message="x", first=True))["first"] is True
    assert to_dict(PaymentType(payment_type_id=1, payment_type_name="Wire")) == {
        "payment_type_id": 1,
        "payment_type_name": "Wire",
    }


@pytest.mark.parametrize(
    "other", [None, 1, {}, [INVOICE], Invoice], ids=lambda each: type(each).__name__
)
def test_what_is_no_record_is_refused(other: object) -> None:
    with pytest.raises(ArgumentError, match=r"^record: must be one of aiocake's records, got "):
        to_dict(other)
    with pytest.raises(ArgumentError, match=r"^model: must be one of aiocake's records, got "):
        columns(type(other))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_model_is_a_record_with_a_schema_of_all_that_is_written(model: type[Record]) -> None:
    assert issubclass(model, Record)
    assert len(set(columns(model))) == len(columns(model))
    for mode in ("validation", "serialization"):
        schema = TypeAdapter(model).json_schema(mode=mode)
        assert (schema["type"], schema["title"]) == ("object", model.__name__)
        assert {"number"}.isdisjoint(json.dumps(schema).split('"'))


def test_no_page_of_rows_is_shown_whole() -> None:
    page = Page(items=(INVOICE,) * 10_000, total_rows=10_000, start_at_row=0)
    assert repr(page) == "Page(items=<10000>, total_rows=10000, start_at_row=0)"


class Report(BaseModel):
    invoice: Invoice
    bills: list[AffiliateBill]


def test_pydantic_takes_records_and_writes_money_as_text() -> None:
    report = Report(invoice=INVOICE, bills=[BILL])
    assert report.invoice is INVOICE
    plain = {"invoice": to_dict(INVOICE), "bills": [to_dict(BILL)]}
    assert report.model_dump() == plain
    assert json.loads(report.model_dump_json()) == plain
    with pytest.raises(ValueError, match="instance of Invoice"):
        Report(invoice=BILL, bills=[])  # type: ignore[arg-type] # that is the point
    properties = TypeAdapter(Invoice).json_schema()["properties"]
    assert properties["total_amount"] == {"type": "string", "format": "decimal"}
    assert properties["start_date"] == {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]
    }


def handlers() -> FastAPI:
    app = FastAPI()

    @app.get("/annotated")
    async def annotated() -> Invoice:
        return INVOICE

    @app.get("/list")
    async def many() -> list[Invoice]:
        return [INVOICE]

    @app.get("/page")
    async def page() -> Page[Invoice]:
        return Page(items=(INVOICE,), total_rows=1, start_at_row=0)

    @app.get("/model", response_model=AffiliateBill)
    async def model() -> object:
        return BILL

    @app.get("/plain")
    async def plain() -> dict[str, object]:
        return to_dict(INVOICE)

    return app


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("annotated", lambda: to_dict(INVOICE)),
        ("list", lambda: [to_dict(INVOICE)]),
        ("page", lambda: {"items": [to_dict(INVOICE)], "total_rows": 1, "start_at_row": 0}),
        ("model", lambda: to_dict(BILL)),
        ("plain", lambda: to_dict(INVOICE)),
    ],
)
def test_a_handler_of_fastapi_returns_records(path: str, expected: Callable[[], Any]) -> None:
    with TestClient(handlers()) as client:
        assert client.get(f"/{path}").json() == expected()


def test_the_openapi_page_describes_a_record_once_with_money_as_text() -> None:
    with TestClient(handlers()) as client:
        page = client.get("/openapi.json").json()
    described = page["paths"]["/annotated"]["get"]["responses"]["200"]
    schema = described["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Invoice"}
    schema = page["components"]["schemas"]["Invoice"]
    assert schema["properties"]["total_amount"] == {"type": "string", "format": "decimal"}
    assert set(schema["required"]) == set(to_dict(INVOICE))
