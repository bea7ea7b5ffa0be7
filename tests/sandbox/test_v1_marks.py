"""The six calls that change a bill, and CAKE's own refusals."""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import pytest

from aiocake.sandbox import BillRecord, Sandbox

from ..support.v1 import CallV1

pytestmark = pytest.mark.anyio


ALL: Final = ("get", "form", "soap11", "soap12")
SENT: Final = {
    "invoice_number": "A-17",
    "date_sent_invoice": "2014-06-30",
    "date_sent_invoice_modification_type": "change",
    "notes": "ok",
}
RECEIVED: Final = {
    "payment_amount": "12.5",
    "payment_type_id": "2",
    "invoice_number": "A-17",
    "verification_code": "V-1",
    "date_payment_received": "2014-06-30",
    "date_payment_received_modification_type": "change",
    "notes": "ok",
}
UPDATED: Final = "Bill Successfully Updated"
# Operation, what it is sent, its bill, and what it says first and after that.
MARKS: Final = (
    (
        "MarkAffiliateBillAsReceived",
        {
            "invoice_number": "A-17",
            "invoiced_amount": "20.01",
            "date_invoice_received": "2014-06-30",
            "date_invoice_received_modification_type": "change",
            "notes": "ok",
        },
        345,
        "Bill Marked As Received",
        UPDATED,
    ),
    (
        "MarkAffiliateBillAsPaid",
        {
            "payment_type_id": "2",
            "invoice_number": "A-17",
            "verification_code": "V-1",
            "payment_date": "2014-06-30",
            "notes": "ok",
        },
        345,
        "Affiliate Payment Added",
        "Affiliate Payment Updated",
    ),
    ("MarkAdvertiserBillAsSent", SENT, 1_000_000, "Bill Marked As Invoice Sent", UPDATED),
    ("MarkAdvertiserBillAsReceived", RECEIVED, 1_000_000, "Bill Marked As Received", UPDATED),
    ("MarkBuyerBillAsSent", SENT, 2_000_000, "Bill Marked As Invoice Sent", UPDATED),
    (
        "MarkBuyerBillAsReceived",
        RECEIVED | {"apply_credit_to_buyer": "false"},
        2_000_000,
        "Bill Marked As Received",
        UPDATED,
    ),
)
EACH: Final = pytest.mark.parametrize(
    ("operation", "values", "bill_id", "first", "again"), MARKS, ids=[mark[0] for mark in MARKS]
)


def stored_bill(sandbox: Sandbox, bill_id: int) -> BillRecord:
    tables = (
        sandbox.state.affiliate_bills,
        sandbox.state.advertiser_bills,
        sandbox.state.buyer_bills,
    )
    return next(table[bill_id] for table in tables if bill_id in table)


@pytest.mark.parametrize("binding", ALL)
@EACH
async def test_a_mark_stores_all_and_tells_the_first_time_from_the_next(  # noqa: PLR0913, PLR0917 - a table
    sandbox: Sandbox,
    call_v1: CallV1,
    binding: str,
    operation: str,
    values: Mapping[str, str],
    bill_id: int,
    first: str,
    again: str,
) -> None:
    bill = stored_bill(sandbox, bill_id)
    sent = {"bill_id": str(bill_id), **values}
    for message in (first, again, again):
        response = await call_v1(binding, operation, sent)
        assert f"<success>true</success><message>{message}</message>" in response.text
    assert (bill.invoice_number, bill.notes) == ("A-17", "ok")
    dates = {
        bill.date_invoice_received,
        bill.date_sent_invoice,
        bill.date_payment_received,
        bill.payment_date,
    }
    assert dates == {None, datetime(2014, 6, 30)}
    if "payment_amount" in values:
        assert bill.payment_amount == Decimal("12.5")
        assert "<payment_amount>12.5000</payment_amount>" in response.text
        assert f"<bill_amount>{bill.amount:.4f}</bill_amount>" in response.text
    if "verification_code" in values:
        assert (bill.verification_code, bill.payment_type_id) == ("V-1", 2)
    assert sandbox.state.requests[-1].operation == operation


@EACH
async def test_a_date_is_kept_changed_or_removed_and_texts_likewise(  # noqa: PLR0913, PLR0917 - a table
    sandbox: Sandbox,
    call_v1: CallV1,
    operation: str,
    values: Mapping[str, str],
    bill_id: int,
    first: str,
    again: str,
) -> None:
    del first, again
    bill = stored_bill(sandbox, bill_id)
    typed = [name for name in values if name.endswith("_modification_type")]
    sent = {"bill_id": str(bill_id), **values}
    await call_v1("get", operation, sent)
    kept = {"invoice_number": "", "notes": ""} | dict.fromkeys(typed, "do_not_change")
    await call_v1("get", operation, sent | kept)
    assert (bill.invoice_number, bill.notes) == ("A-17", "ok")
    for name in typed:
        date_name = name.removesuffix("_modification_type")
        assert getattr(bill, date_name) == datetime(2014, 6, 30)
        await call_v1("get", operation, sent | {name: "remove"})
        assert getattr(bill, date_name) is None


REFUSALS: Final = (
    ("api_key", "no", "Invalid API key"),
    ("api_key", "K" * 51, "Invalid API key"),
    ("invoice_number", "x" * 51, "Invalid Invoice Number"),
    ("notes", "x" * 251, "Invalid Notes"),
    ("verification_code", "x" * 51, "Invalid Verification Code"),
    ("payment_type_id", "6", "Payment Type ID does not exist"),
)


@pytest.mark.parametrize(
    ("operation", "values", "bill_id", "wrong", "message"),
    [
        (operation, values, bill_id, {name: text}, message)
        for operation, values, bill_id, _, _ in MARKS
        for name, text, message in REFUSALS
        if name in {"api_key", *values}
    ],
)
async def test_cakes_own_refusals_are_200_and_change_nothing(  # noqa: PLR0913, PLR0917 - a table
    sandbox: Sandbox,
    call_v1: CallV1,
    operation: str,
    values: Mapping[str, str],
    bill_id: int,
    wrong: Mapping[str, str],
    message: str,
) -> None:
    before = sandbox.state.changes.count
    response = await call_v1("get", operation, {"bill_id": str(bill_id), **values, **wrong})
    assert response.status_code == 200
    assert f"<success>false</success><message>{message}</message>" in response.text
    assert sandbox.state.changes.count == before


@EACH
async def test_a_bill_that_is_not_there_is_refused(  # noqa: PLR0913, PLR0917 - a table
    call_v1: CallV1,
    operation: str,
    values: Mapping[str, str],
    bill_id: int,
    first: str,
    again: str,
) -> None:
    del bill_id, first, again
    response = await call_v1("soap12", operation, {"bill_id": "1", **values})
    paid = operation == "MarkAffiliateBillAsPaid"
    message = "Billing ID does not exist" if paid else "Invalid Bill ID"
    assert f"<success>false</success><message>{message}</message>" in response.text


@pytest.mark.parametrize("number", [0, 1])
async def test_a_bill_paid_through_tipalti_cannot_be_changed(
    sandbox: Sandbox, call_v1: CallV1, number: int
) -> None:
    operation, values, *_ = MARKS[number]
    bill = next(b for b in sandbox.state.affiliate_bills.values() if b.partner.tipalti)
    before = sandbox.state.changes.count
    response = await call_v1("get", operation, {"bill_id": str(bill.bill_id), **values})
    assert "<message>Bills processed by Tipalti may not be updated</message>" in response.text
    assert sandbox.state.changes.count == before


async def test_payment_type_0_keeps_what_is_stored(sandbox: Sandbox, call_v1: CallV1) -> None:
    bill = sandbox.state.affiliate_bills[345]
    bill.payment_type_id = 3
    operation, values, *_ = MARKS[1]
    await call_v1("get", operation, {"bill_id": "345", **values, "payment_type_id": "0"})
    assert bill.payment_type_id == 3


async def test_an_amount_has_no_value_that_means_keep(sandbox: Sandbox, call_v1: CallV1) -> None:
    operation, values, *_ = MARKS[0]
    await call_v1("get", operation, {"bill_id": "345", **values})
    await call_v1("get", operation, {"bill_id": "345", **values, "invoiced_amount": "0"})
    assert sandbox.state.affiliate_bills[345].invoiced_amount == 0


@pytest.mark.parametrize("binding", ALL)
async def test_a_credit_to_a_buyer_moves_money_each_time(
    sandbox: Sandbox, call_v1: CallV1, binding: str
) -> None:
    bill = sandbox.state.buyer_bills[2_000_000]
    values = {"bill_id": "2000000", **RECEIVED, "apply_credit_to_buyer": "true"}
    await call_v1(binding, "MarkBuyerBillAsReceived", values | {"apply_credit_to_buyer": "false"})
    assert sandbox.state.credits == {}
    await call_v1(binding, "MarkBuyerBillAsReceived", values)
    await call_v1(binding, "MarkBuyerBillAsReceived", values)
    assert sandbox.state.credits == {bill.partner.partner_id: Decimal(25)}
    assert bill.payment_amount == Decimal("12.5")
