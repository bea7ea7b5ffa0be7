"""Marking bills: what the answer must be of, and what must never be sent twice or by GET."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from aiocake import (
    Binding,
    Client,
    ConsistencyError,
    MarkResult,
    NotFound,
    OutcomeUnknown,
    ServerError,
)
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]
Mark = Callable[[Client, int], Awaitable[MarkResult]]

#: Each call on a bill: the id of one that there is, and the message of the first and of each next.
MARKS: Mapping[str, tuple[int, str, str, Mark]] = {
    "affiliate_bills.mark_received": (
        345,
        "Bill Marked As Received",
        "Bill Successfully Updated",
        lambda cake, bill: cake.affiliate_bills.mark_received(bill, invoiced_amount=1),
    ),
    "affiliate_bills.mark_paid": (
        345,
        "Affiliate Payment Added",
        "Affiliate Payment Updated",
        lambda cake, bill: cake.affiliate_bills.mark_paid(bill, payment_date=date(2014, 6, 30)),
    ),
    "advertiser_bills.mark_sent": (
        1_000_000,
        "Bill Marked As Invoice Sent",
        "Bill Successfully Updated",
        lambda cake, bill: cake.advertiser_bills.mark_sent(bill),
    ),
    "advertiser_bills.mark_received": (
        1_000_000,
        "Bill Marked As Received",
        "Bill Successfully Updated",
        lambda cake, bill: cake.advertiser_bills.mark_received(bill, payment_amount=1),
    ),
    "buyer_bills.mark_sent": (
        2_000_000,
        "Bill Marked As Invoice Sent",
        "Bill Successfully Updated",
        lambda cake, bill: cake.buyer_bills.mark_sent(bill),
    ),
    "buyer_bills.mark_received": (
        2_000_000,
        "Bill Marked As Received",
        "Bill Successfully Updated",
        lambda cake, bill: cake.buyer_bills.mark_received(bill, payment_amount=1),
    ),
}


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("name", MARKS)
async def test_the_result_says_which_bill_and_whether_it_was_the_first_time(
    connect: Connect, name: str, binding: Binding
) -> None:
    bill, first, again, mark = MARKS[name]
    async with connect(Sandbox(), binding=binding) as cake:
        results = [await mark(cake, bill), await mark(cake, bill)]
        with pytest.raises(NotFound):
            await mark(cake, 999)
    assert [(each.bill_id, each.message, each.first) for each in results] == [
        (bill, first, True),
        (bill, again, False),
    ]


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("group", ["advertiser_bills", "buyer_bills"])
async def test_the_amounts_come_where_they_are_sent(
    connect: Connect, group: str, binding: Binding
) -> None:
    sandbox = Sandbox()
    table = getattr(sandbox.state, group)
    (bill, *_) = table
    async with connect(sandbox, binding=binding) as cake:
        result = await getattr(cake, group).mark_received(bill, payment_amount=Decimal("20.01"))
    assert result.payment_amount == Decimal("20.01")
    assert result.bill_amount == table[bill].amount
    assert {type(result.payment_amount), type(result.bill_amount)} == {Decimal}


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("name", MARKS)
async def test_after_a_retry_that_may_have_arrived_nobody_knows_whether_it_was_the_first(
    connect: Connect, name: str, binding: Binding
) -> None:
    bill, _, again, mark = MARKS[name]
    sandbox = Sandbox()
    sandbox.fail_next("gateway")
    async with connect(sandbox, binding=binding) as cake:
        result = await mark(cake, bill)
    assert (result.bill_id, result.message, result.first) == (bill, again, None)
    assert len(sandbox.state.requests) == 2


@pytest.mark.parametrize("binding", Binding)
async def test_a_credit_to_a_buyer_is_sent_once_and_never_by_get(
    connect: Connect, binding: Binding
) -> None:
    sandbox = Sandbox()
    sandbox.fail_next("gateway")
    async with connect(sandbox, binding=binding) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.buyer_bills.mark_received(
                2_000_000, payment_amount=Decimal("5.25"), apply_credit_to_buyer=True
            )
    (request,) = sandbox.state.requests
    assert request.method == "POST"
    assert request.query == []
    # It was carried out, once, and nobody claims that it was not.
    assert sandbox.state.credits == {901: Decimal("5.25")}
    assert isinstance(caught.value.cause, ServerError)
    assert caught.value.intent.arguments["payment_amount"] == Decimal("5.25")


@pytest.mark.parametrize("binding", Binding)
async def test_a_credit_goes_by_soap_12_in_place_of_get_and_else_by_the_binding_chosen(
    connect: Connect, binding: Binding
) -> None:
    sandbox = Sandbox()
    async with connect(sandbox, binding=binding) as cake:
        await cake.buyer_bills.mark_received(
            2_000_000, payment_amount=1, apply_credit_to_buyer=True
        )
        await cake.buyer_bills.mark_received(2_000_000, payment_amount=1)
    credit, plain = sandbox.state.requests
    kinds = {
        Binding.GET: "application/soap+xml",
        Binding.POST: "application/x-www-form-urlencoded",
        Binding.SOAP11: "text/xml",
        Binding.SOAP12: "application/soap+xml",
    }
    assert credit.headers["content-type"].partition(";")[0] == kinds[binding]
    assert plain.method == ("GET" if binding is Binding.GET else "POST")
    applied = [each.arguments["apply_credit_to_buyer"] for each in (credit, plain)]
    assert applied == [True, False]


ANSWERS: Mapping[str, Callable[[int], Mapping[str, Any]]] = {
    "xml": lambda bill: {
        "text": f"<r><success>true</success><message>Bill Successfully Updated</message>"
        f"<bill_id>{bill}</bill_id></r>"
    },
    "json": lambda bill: {
        "json": {
            "request_status": "Success",
            "response": {"bill_id": bill, "message": "Bill Successfully Updated"},
        }
    },
}


@pytest.mark.parametrize("form", ANSWERS)
@pytest.mark.parametrize("name", MARKS)
async def test_an_answer_that_names_another_bill_is_no_success(
    connect: Connect, name: str, form: str
) -> None:
    _, _, _, mark = MARKS[name]
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, **ANSWERS[form](7 if len(asked) == 1 else 8))

    async with connect(transport=httpx.MockTransport(answer)) as cake:
        assert (await mark(cake, 7)).bill_id == 7
        with pytest.raises(OutcomeUnknown) as caught:
            await mark(cake, 7)
    assert isinstance(caught.value.cause, ConsistencyError)
    assert len(asked) == 2
