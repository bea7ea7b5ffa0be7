"""What each endpoint puts on the wire, and what it makes of the answer."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import parse_qsl

import httpx
import pytest
import respx

from aiocake import (
    ANY,
    ERASE,
    SKIP,
    ApiError,
    ArgumentError,
    AuthenticationError,
    BillAmount,
    Binding,
    CakeError,
    Client,
    ConsistencyError,
    CreatedInvoice,
    Invoice,
    InvoiceStatus,
    MarkResult,
    OutcomeUnknown,
    Partner,
    Period,
    UpdatedInvoice,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

KEY = ("api_key", "SANDBOX-KEY")
ROW = {
    "invoice_id": 4821,
    "affiliate_id": 67890,
    "affiliate_name": "Acme",
    "invoice_status": "pending",
    "total_amount": "1250.10",
    "currency": "USD",
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
}
PAGE = {"request_status": "Success", "total_rows": 1, "invoices": [ROW]}
INVOICE = Invoice(
    invoice_id=4821,
    affiliate_id=67890,
    affiliate_name="Acme",
    invoice_status=InvoiceStatus.PENDING,
    total_amount=Decimal("1250.10"),
    currency="USD",
    start_date=date(2024, 1, 1),
    end_date=date(2024, 1, 31),
)


def query(request: httpx.Request) -> list[tuple[str, str]]:
    return parse_qsl(request.url.query.decode(), keep_blank_values=True)


def mark(message: str) -> httpx.Response:
    return httpx.Response(
        200,
        text=f"<r xmlns='http://cakemarketing.com/api/1/'><success>true</success>"
        f"<message>{message}</message></r>",
        headers={"Content-Type": "text/xml"},
    )


async def test_the_first_rows_are_asked_for_without_a_number(
    routed: Connect, router: respx.Router
) -> None:
    """Instances that count from 1 may refuse row 0, or take it for one that nothing is in."""
    route = router.get("https://x.example/api/2/invoices.json").respond(json=PAGE)
    async with routed() as cake:
        await cake.invoices.get(4821)
        await cake.invoices.page()
        await cake.invoices.find().collect()
    sent = [{name for name, _ in query(call.request)} for call in route.calls]
    assert [names & {"start_at_row", "row_limit"} for names in sent] == [{"row_limit"}] * 3


async def test_an_instance_that_gives_none_of_the_rows_it_counts(
    routed: Connect, router: respx.Router
) -> None:
    page = {"request_status": "Success", "total_rows": 1, "invoices": []}
    router.get("https://x.example/api/2/invoices.json").respond(json=page)
    async with routed() as cake:
        with pytest.raises(ConsistencyError, match="1 rows match invoice 4821, but none came"):
            await cake.invoices.get(4821)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"error_code": 17}, ApiError),
        ({"Message": "Invalid API key"}, AuthenticationError),
        ({"reason": "Invalid API key", "code": 3}, AuthenticationError),
        ({"invoice": {"invoice_id": 1}}, OutcomeUnknown),
        ({"status": "paid"}, OutcomeUnknown),
    ],
)
async def test_a_no_is_one_whatever_names_its_reason_has(
    routed: Connect, router: respx.Router, fields: dict[str, object], kind: type[CakeError]
) -> None:
    answer = {"request_status": "Error", **fields}
    router.post("https://x.example/api/2/update_invoice.json").respond(json=answer)
    async with routed() as cake:
        with pytest.raises(kind):
            await cake.invoices.update(1, memo="x")


async def test_one_invoice_is_asked_for_by_a_number(routed: Connect, router: respx.Router) -> None:
    route = router.get("https://x.example/api/2/invoices.json").respond(json=PAGE)
    async with routed() as cake:
        with pytest.raises(ArgumentError, match="invoice_id"):
            await cake.invoices.get(SKIP)  # type: ignore[arg-type] # refused
    assert not route.called


@pytest.mark.parametrize("name", ["billing_cycle", "payment_method"])
async def test_a_look_up_whose_filter_the_instance_does_not_know(
    routed: Connect, router: respx.Router, name: str
) -> None:
    rows = [{f"{name}_id": number, f"{name}_name": str(number)} for number in (1, 2)]
    answer = {"request_status": "Success", f"{name}s": rows}
    router.get(f"https://x.example/api/2/{name}s.json").respond(json=answer)
    async with routed() as cake:
        look_up = getattr(cake.reference, f"{name}s")
        with pytest.raises(ConsistencyError, match=f"another {name}_id than was requested"):
            await look_up(**{f"{name}_id": 2})
        assert len(await look_up()) == 2


async def test_page(routed: Connect, router: respx.Router) -> None:
    route = router.get("https://x.example/api/2/invoices.json").respond(json=PAGE)
    async with routed() as cake:
        page = await cake.invoices.page(
            affiliate_id=67890,
            invoice_status=InvoiceStatus.PENDING,
            period=Period.month(2024, 1),
            start_at_row=7,
            row_limit=25,
        )
    assert page.items == (INVOICE,)
    assert (page.total_rows, page.start_at_row) == (1, 7)
    assert query(route.calls.last.request) == [
        KEY,
        ("affiliate_id", "67890"),
        ("invoice_status", "pending"),
        ("start_date", "2024-01-01"),
        ("end_date", "2024-01-31"),
        ("start_at_row", "7"),
        ("row_limit", "25"),
    ]
    assert route.call_count == 1


async def test_get(routed: Connect, router: respx.Router) -> None:
    route = router.get("https://x.example/api/2/invoices.json").respond(json=PAGE)
    async with routed() as cake:
        assert await cake.invoices.get(4821) == INVOICE
    assert query(route.calls.last.request)[:2] == [KEY, ("invoice_id", "4821")]


async def test_create(routed: Connect, router: respx.Router) -> None:
    made = {"invoice_id": 9, "affiliate_id": 3, "invoice_status": "pending", "total_amount": "1.50"}
    route = router.post("https://x.example/api/2/invoice.json").respond(
        json={"request_status": "Success", "invoice": made | {"currency": "USD"}}
    )
    async with routed() as cake:
        created = await cake.invoices.create(
            affiliate_id=3, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31), memo="J"
        )
    assert isinstance(created, CreatedInvoice)
    assert (created.invoice_id, created.total_amount) == (9, Decimal("1.50"))
    request = route.calls.last.request
    assert query(request) == [KEY]
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.content) == {
        "affiliate_id": 3,
        "start_date": "2024-01-01",
        "end_date": "2024-01-31",
        "memo": "J",
    }


async def test_update(routed: Connect, router: respx.Router) -> None:
    paid_at = datetime(2024, 2, 15, 10, tzinfo=UTC)
    route = router.post("https://x.example/api/2/update_invoice.json").respond(
        json={
            "request_status": "Success",
            "invoice": {
                "invoice_id": 4821,
                "invoice_status": "paid",
                "paid_at": "2024-02-15T10:00:00Z",
            },
        }
    )
    async with routed() as cake:
        updated = await cake.invoices.update(4821, invoice_status="paid", paid_at=paid_at)
    assert isinstance(updated, UpdatedInvoice)
    assert (updated.invoice_status, updated.paid_at) == (InvoiceStatus.PAID, paid_at)
    request = route.calls.last.request
    assert query(request) == [KEY]
    assert json.loads(request.content) == {
        "invoice_id": 4821,
        "invoice_status": "paid",
        "paid_at": "2024-02-15T10:00:00Z",
    }


async def test_an_empty_memo_is_sent(routed: Connect, router: respx.Router) -> None:
    route = router.post("https://x.example/api/2/update_invoice.json").respond(
        json={
            "request_status": "Success",
            "invoice": {"invoice_id": 1, "invoice_status": "void", "memo": ""},
        }
    )
    async with routed() as cake:
        await cake.invoices.update(1, memo="")
    assert json.loads(route.calls.last.request.content) == {"invoice_id": 1, "memo": ""}


async def test_mark_received_says_what_is_kept_and_what_is_erased(
    routed: Connect, router: respx.Router
) -> None:
    route = router.get(
        "https://x.example/api/1/accounting.asmx/MarkAffiliateBillAsReceived"
    ).respond(200, text=mark("Bill Marked As Received").text)
    async with routed() as cake:
        result = await cake.affiliate_bills.mark_received(
            345, invoiced_amount=Decimal("20.01"), notes=ERASE
        )
    assert result == MarkResult(bill_id=345, message="Bill Marked As Received", first=True)
    sent = dict(query(route.calls.last.request))
    assert sent["api_key"] == "SANDBOX-KEY"
    assert (sent["bill_id"], sent["invoiced_amount"]) == ("345", "20.01")
    assert sent["notes"] == "NULL"
    assert sent["invoice_number"] == ""
    assert sent["date_invoice_received_modification_type"] == "do_not_change"
    assert route.calls.last.request.headers["Cache-Control"] == "no-store"


async def test_mark_paid_again(routed: Connect, router: respx.Router) -> None:
    route = router.get("https://x.example/api/1/accounting.asmx/MarkAffiliateBillAsPaid").mock(
        return_value=mark("Affiliate Payment Updated")
    )
    async with routed() as cake:
        result = await cake.affiliate_bills.mark_paid(345, payment_date=date(2014, 6, 30))
    assert result.first is False
    sent = dict(query(route.calls.last.request))
    assert sent["payment_date"].startswith("2014-06-30")
    assert sent["payment_type_id"] == "0"


async def test_crediting_a_buyer_never_goes_by_get(routed: Connect, router: respx.Router) -> None:
    router.post("https://x.example/api/1/accounting.asmx").mock(
        return_value=httpx.Response(
            200,
            text="<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>"
            "<MarkBuyerBillAsReceivedResponse xmlns='http://cakemarketing.com/api/1/'>"
            "<MarkBuyerBillAsReceivedResult><success>true</success>"
            "<message>Bill Marked As Received</message><payment_amount>20.0000</payment_amount>"
            "</MarkBuyerBillAsReceivedResult></MarkBuyerBillAsReceivedResponse>"
            "</s:Body></s:Envelope>",
        )
    )
    async with routed(binding=Binding.GET) as cake:
        result = await cake.buyer_bills.mark_received(
            5, payment_amount=20, apply_credit_to_buyer=True
        )
    assert result.payment_amount == 20
    (call,) = router.calls
    assert b"SANDBOX-KEY" not in call.request.url.query
    assert b"<apply_credit_to_buyer>true</apply_credit_to_buyer>" in call.request.content


async def test_export(routed: Connect, router: respx.Router) -> None:
    bill = (
        "<affiliate_bill><bill_id>345</bill_id><affiliate><affiliate_id>7</affiliate_id>"
        "<affiliate_name>Acme</affiliate_name></affiliate><bill_amount><currency_id>1</currency_id>"
        "<amount>20.0100</amount><formatted_amount>$20.01</formatted_amount></bill_amount>"
        "<colour>red</colour></affiliate_bill>"
    )
    route = router.get("https://x.example/api/1/accounting.asmx/ExportAffiliateBills").respond(
        text="<r><success>true</success><row_count>1</row_count>"
        f"<affiliate_bills>{bill}</affiliate_bills></r>"
    )
    async with routed() as cake:
        (row,) = await cake.affiliate_bills.export(
            billing_cycle="monthly", period=Period.month(2014, 6), payment_type_id=ANY
        ).collect()
    assert row.bill_id == 345
    assert row.bill_amount == BillAmount(
        currency_id=1, amount=Decimal("20.0100"), formatted_amount="$20.01"
    )
    assert isinstance(row.affiliate, Partner)
    assert row.extra == {"colour": "red"}
    sent = dict(query(route.calls.last.request))
    assert sent["billing_cycle"] == "monthly"
    assert sent["billing_period_start_date"].startswith("2014-06-01")
    # v1's end is the day after the last.
    assert sent["billing_period_end_date"].startswith("2014-07-01")
    assert (sent["paid_only"], sent["payment_type_id"]) == ("false", "0")


async def test_look_ups(routed: Connect, router: respx.Router) -> None:
    router.get("https://x.example/api/2/billing_cycles.json").respond(
        json={
            "request_status": "Success",
            "billing_cycles": [{"billing_cycle_id": 3, "billing_cycle_name": "Monthly"}],
        }
    )
    router.get("https://x.example/api/1/get.asmx/PaymentTypes").respond(
        text="<r><success>true</success><row_count>1</row_count><payment_types><payment_type>"
        "<payment_type_id>4</payment_type_id><payment_type_name>Wire</payment_type_name>"
        "</payment_type></payment_types></r>"
    )
    async with routed() as cake:
        (cycle,) = await cake.reference.billing_cycles(billing_cycle_id=3)
        (kind,) = await cake.reference.payment_types()
    assert (cycle.billing_cycle_id, cycle.billing_cycle_name) == (3, "Monthly")
    assert (kind.payment_type_id, kind.payment_type_name) == (4, "Wire")
    assert query(router.calls[0].request) == [KEY, ("billing_cycle_id", "3")]
