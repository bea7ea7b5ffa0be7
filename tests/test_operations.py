"""Every operation has a method, says what a repeat does, is in the sandbox and is documented."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiocake import COLUMNS, ArgumentError, Client, bulk, endpoints
from aiocake._operations.operation import Api, Operation, ResponseShape, operations_of
from aiocake.sandbox import Sandbox
from aiocake.values import Idempotency, Period

ROOT = Path(__file__).parents[1]
YEAR = Period(date(2014, 1, 1), date(2014, 12, 31))

#: What each public method is called with.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "invoices.find": ((), {"invoice_status": "pending"}),
    "invoices.page": ((), {"row_limit": 5}),
    "invoices.get": ((4821,), {}),
    "invoices.create": (
        (),
        {"affiliate_id": 67890, "start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)},
    ),
    "invoices.update": (
        (4821,),
        {"invoice_status": "paid", "paid_at": datetime(2024, 2, 15, 10, tzinfo=UTC)},
    ),
    "affiliate_bills.export": ((), {"period": YEAR}),
    "affiliate_bills.mark_received": ((345,), {"invoiced_amount": 20}),
    "affiliate_bills.mark_paid": ((345,), {"payment_date": date(2014, 6, 30)}),
    "advertiser_bills.export": ((), {"period": YEAR}),
    "advertiser_bills.mark_sent": ((1_000_000,), {"invoice_number": "A-17"}),
    "advertiser_bills.mark_received": ((1_000_000,), {"payment_amount": 20}),
    "buyer_bills.export": ((), {"period": YEAR}),
    "buyer_bills.mark_sent": ((2_000_000,), {"date_sent_invoice": date(2014, 6, 30)}),
    "buyer_bills.mark_received": ((2_000_000,), {"payment_amount": 20}),
    "reference.billing_cycles": ((), {}),
    "reference.payment_methods": ((), {}),
    "reference.currencies": ((), {}),
    "reference.payment_types": ((), {}),
    "reference.payment_settings": ((), {}),
    "reference.account_statuses": ((), {}),
    "reference.v1_billing_cycles": ((), {}),
    "reference.v1_currencies": ((), {}),
    "reference.exchange_rates": (
        (),
        {"start_date": date(2024, 1, 1), "end_date": date(2024, 3, 1)},
    ),
}
#: Methods that share the operation of another one.
SHARED = {"invoices.page": "invoices.find"}


def groups() -> dict[str, Any]:
    found = pkgutil.iter_modules(endpoints.__path__)
    return {
        each.name: importlib.import_module(f"aiocake.endpoints.{each.name}")
        for each in found
        if not each.name.startswith("_")
    }


def operations() -> dict[str, Operation[Any]]:
    found: dict[str, Operation[Any]] = {}
    for module in groups().values():
        for value in vars(module).values():
            if isinstance(value, Operation):
                assert value.name not in found, "two operations of one name"
                found[value.name] = value
    return found


def methods() -> dict[str, Callable[..., Any]]:
    """Every public method of every group, by the name that a caller writes."""
    found: dict[str, Callable[..., Any]] = {}
    for group, module in groups().items():
        (name,) = module.__all__
        for method, function in inspect.getmembers(getattr(module, name), inspect.isfunction):
            if not method.startswith("_"):
                found[f"{group}.{method}"] = function
    return found


OPERATIONS = operations()
METHODS = methods()


def test_the_walk_finds_what_there_is() -> None:
    assert len(OPERATIONS) >= 22
    assert set(METHODS) == set(OPERATIONS) | set(SHARED) == set(CALLS)


def test_a_group_names_the_operations_of_its_methods() -> None:
    found: dict[str, Operation[Any]] = {}
    for name, module in groups().items():
        (group,) = module.__all__
        for method, operation in operations_of(getattr(module, group)).items():
            found[f"{name}.{method}"] = operation
    assert found == OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_method_it_is_named_after(name: str) -> None:
    operation, method = OPERATIONS[name], METHODS[name]
    wire = {parameter.name for parameter in operation.parameters}
    made_of_others = {"self", "period", "match", "longest", "expect"}
    taken = set(inspect.signature(method).parameters) - made_of_others
    unsent = taken - wire
    assert not unsent, "an argument that goes nowhere"
    # find() asks for rows by itself, and by id there is a method of its own.
    assert wire - taken <= {"invoice_id", "start_at_row", "row_limit"} & wire
    assert operation.documented_in, "where CAKE documents it"


def test_tables_have_the_columns_of_each_model() -> None:
    assert {operation.model for operation in OPERATIONS.values()} <= set(COLUMNS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_docstring_with_all_its_sections(name: str) -> None:
    method = METHODS[name]
    text = inspect.getdoc(method) or ""
    assert text.partition("\n")[0].endswith(".")
    assert "\nReturns:\n" in text
    assert "\nRaises:\n" in text
    arguments = [each for each in inspect.signature(method).parameters if each != "self"]
    assert bool(arguments) == ("\nArgs:\n" in text)
    for argument in arguments:
        assert re.search(rf"^    {argument}: ", text, re.MULTILINE), argument
    hints = inspect.signature(method)
    assert hints.return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("name", METHODS)
def test_arguments_go_by_name_but_for_the_id(name: str) -> None:
    by_place = [
        parameter.name
        for parameter in inspect.signature(METHODS[name]).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY and parameter.name != "self"
    ]
    assert by_place in ([], ["invoice_id"], ["bill_id"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_a_repeat_does(name: str) -> None:
    operation = OPERATIONS[name]
    marks = operation.shape is ResponseShape.MARK
    writes = marks or operation.method != "GET"
    expected = Idempotency.IDEMPOTENT if writes else Idempotency.SAFE
    if name == "invoices.create":
        expected = Idempotency.NON_IDEMPOTENT
    assert operation.idempotency is expected
    once = operation.idempotency_of({"apply_credit_to_buyer": True}) is Idempotency.NON_IDEMPOTENT
    assert once == (name in {"invoices.create", "buyer_bills.mark_received"})


@pytest.mark.parametrize("name", METHODS)
def test_a_call_is_documented(name: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    reported = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert f"`{name}`" in reported or f"cake.{name}(" in reported
    operation = OPERATIONS[SHARED.get(name, name)]
    assert f"`{operation.call or operation.path}`" in reported


@pytest.mark.anyio
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_in_the_sandbox(name: str) -> None:
    sandbox = Sandbox()
    transport = httpx.ASGITransport(app=sandbox.app)
    arguments, named = CALLS[name]
    group, _, method = name.partition(".")
    async with Client("https://x.example", "SANDBOX-KEY", transport=transport) as cake:
        result = getattr(getattr(cake, group), method)(*arguments, **named)
        answer = await (result if inspect.isawaitable(result) else result.collect())
    operation = OPERATIONS[SHARED.get(name, name)]
    path = operation.path.rpartition("/")[2].removesuffix(".json")
    expected = operation.call if operation.api is Api.V1 else path
    assert {request.operation for request in sandbox.state.requests} == {expected}
    rows = getattr(answer, "items", answer)
    if isinstance(rows, list | tuple):
        assert rows
        assert {type(row) for row in rows} == {operation.model}
    elif name == "invoices.get":
        assert answer.invoice_id == 4821
    else:
        assert type(answer) is operation.model


@pytest.mark.anyio
@pytest.mark.parametrize("name", [each for each in CALLS if each not in SHARED])
async def test_a_write_that_is_kept_sends_what_its_method_sends(name: str) -> None:
    sandbox = Sandbox()
    arguments, named = CALLS[name]
    group, _, method = name.partition(".")
    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client("https://x.example", "SANDBOX-KEY", transport=transport) as cake:
        bound = getattr(getattr(cake, group), method)
        if OPERATIONS[name].idempotency is Idempotency.SAFE:
            with pytest.raises(ArgumentError, match=f"{method} only reads"):
                bulk.call(bound, *arguments, **named)
            return
        await bulk.call(bound, *arguments, **named).send()
        await bound(*arguments, **named)
    kept, sent = sandbox.state.requests
    assert (kept.operation, kept.arguments) == (sent.operation, sent.arguments)
    assert kept.arguments
