"""What cannot be sent is refused before anything is, and all that is wrong is named at once."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import respx

from aiocake import ANY, ERASE, ArgumentError, CakeError, Client, Outcome, Period
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

JANUARY: dict[str, Any] = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}
NOON = datetime(2024, 2, 15, 12, tzinfo=UTC)

UPDATE, CREATE, PAGE = "invoices.update", "invoices.create", "invoices.page"
RECEIVED, PAID = "affiliate_bills.mark_received", "affiliate_bills.mark_paid"
BUYER = "buyer_bills.mark_received"

#: A call, its arguments, and the names of those that are wrong.
Case = tuple[str, tuple[Any, ...], dict[str, Any], set[str]]
BAD: list[Case] = [
    # Ids
    *(
        ("invoices.get", (bad,), {}, {"invoice_id"})
        for bad in (0, -1, 2**31, True, 1.0, "4821", None)
    ),
    *((RECEIVED, (bad,), {"invoiced_amount": 1}, {"bill_id"}) for bad in (0, 2**31, True, None)),
    (PAGE, (), {"affiliate_id": None}, {"affiliate_id"}),
    (PAGE, (), {"advertiser_id": True}, {"advertiser_id"}),
    # Choices
    (PAGE, (), {"invoice_status": "pendign"}, {"invoice_status"}),
    (PAGE, (), {"invoice_status": "Pending"}, {"invoice_status"}),
    (PAGE, (), {"invoice_status": None}, {"invoice_status"}),
    (UPDATE, (1,), {"invoice_status": "done"}, {"invoice_status"}),
    # Dates
    (PAGE, (), {"start_date": date(2024, 2, 1), "end_date": date(2024, 1, 1)}, {"start_date"}),
    (PAGE, (), {"start_date": NOON}, {"start_date"}),
    (PAGE, (), {"start_date": "2024-01-01"}, {"start_date"}),
    (PAGE, (), {"period": Period.month(2024, 1), "start_date": date(2024, 1, 1)}, {"period"}),
    (PAGE, (), {"period": (date(2024, 1, 1), date(2024, 1, 2))}, {"period"}),
    (PAGE, (), {"period": None}, {"period"}),
    (CREATE, (), {"affiliate_id": 1, **JANUARY, "end_date": date(2023, 1, 1)}, {"start_date"}),
    (PAID, (1,), {"payment_date": NOON}, {"payment_date"}),
    (PAID, (1,), {"payment_date": date(1752, 1, 1)}, {"payment_date"}),
    (PAID, (1,), {"payment_date": ERASE}, {"payment_date"}),
    # Rows
    (PAGE, (), {"row_limit": 10_001}, {"row_limit"}),
    (PAGE, (), {"start_at_row": -1}, {"start_at_row"}),
    # An update
    (UPDATE, (1,), {}, {"invoice_status, memo, paid_at"}),
    (UPDATE, (1,), {"paid_at": NOON}, {"paid_at"}),
    (UPDATE, (1,), {"invoice_status": "approved", "paid_at": NOON}, {"paid_at"}),
    (UPDATE, (1,), {"invoice_status": "paid", "paid_at": NOON.replace(tzinfo=None)}, {"paid_at"}),
    (UPDATE, (1,), {"invoice_status": "paid", "paid_at": date(2024, 1, 1)}, {"paid_at"}),
    (UPDATE, (1,), {"memo": None}, {"memo"}),
    (UPDATE, (1,), {"memo": ERASE}, {"memo"}),
    (UPDATE, (1,), {"memo": "a\x00b"}, {"memo"}),
    # Amounts
    *(
        (RECEIVED, (1,), {"invoiced_amount": bad}, {"invoiced_amount"})
        for bad in (
            1.0,
            True,
            None,
            "1.00",
            "20,01",
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("-Infinity"),
            Decimal("1E+999999999"),
            10**28,
            # As many digits as would be written.
            Decimal("1E+28"),
            Decimal("1E-28"),
            Decimal("9" * 25 + ".0000"),
            Decimal("12345678901234567890123456.789"),
        )
    ),
    # Texts
    *(
        (RECEIVED, (1,), {"invoiced_amount": 1, name: bad}, {name})
        for name, bad in [
            ("invoice_number", "x" * 51),
            # Each is two UTF-16 units.
            ("invoice_number", "🍰" * 26),
            ("notes", "x" * 251),
            ("notes", "🍰" * 126),
            ("notes", "vertical\x0btab"),
            ("notes", "lone \ud83c surrogate"),
            ("notes", None),
            ("notes", ""),
            ("notes", "NULL"),
            ("notes", b"bytes"),
            ("notes", ANY),
        ]
    ),
    # The payment type: 0 means "keep" or "all" on the wire.
    *(
        (PAID, (1,), {"payment_date": date(2014, 6, 30), "payment_type_id": bad}, {name})
        for name in ["payment_type_id"]
        for bad in (0, 256, -1, True, None, ANY)
    ),
    (
        BUYER,
        (1,),
        {"payment_amount": 1, "apply_credit_to_buyer": 1},
        {"apply_credit_to_buyer"},
    ),
    *(
        (
            "affiliate_bills.export",
            (),
            {"period": Period.month(2014, 6), "paid_only": bad},
            {"paid_only"},
        )
        for bad in (0, "True", None)
    ),
    # All of them at once
    (
        RECEIVED,
        (0,),
        {"invoiced_amount": 1.5, "date_invoice_received": NOON, "notes": "x" * 251},
        {"bill_id", "invoiced_amount", "date_invoice_received", "notes"},
    ),
    # What does not fit together is named beside what is wrong by itself.
    *(
        (
            name,
            (),
            {
                "invoice_status": "payd",
                "start_date": date(2024, 2, 1),
                "end_date": date(2024, 1, 1),
            },
            {"invoice_status", "start_date"},
        )
        for name in ("invoices.find", PAGE)
    ),
    (PAGE, (), {"start_date": NOON, "end_date": date(2024, 1, 1)}, {"start_date"}),
    (UPDATE, (0,), {}, {"invoice_id", "invoice_status, memo, paid_at"}),
    (UPDATE, (0,), {"paid_at": NOON}, {"invoice_id", "paid_at"}),
    *(
        (
            name,
            (),
            {"period": None, "affiliate_id": 0, "row_limit": rows},
            {"period", "affiliate_id", "row_limit"},
        )
        for name in ("invoices.find", PAGE)
        for rows in (0, -1, 10_001, True, None, 1.5)
    ),
    (
        "affiliate_bills.export",
        (),
        {
            "billing_cycle": "yearly",
            "period": Period.month(2014, 6),
            "billing_period_end_date": date(2014, 7, 1),
            "payment_type_id": 0,
        },
        {"billing_cycle", "period", "payment_type_id"},
    ),
    ("affiliate_bills.export", (), {"period": Period.month(9999, 12)}, {"period"}),
    (
        "buyer_bills.export",
        (),
        {},
        {"billing_period_start_date", "billing_period_end_date"},
    ),
]


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_argument_is_named_and_nothing_is_sent(
    routed: Connect, router: respx.Router, case: Case
) -> None:
    name, arguments, named, wrong = case
    group, _, method = name.partition(".")
    async with routed() as cake:
        with pytest.raises(ArgumentError) as caught:
            await getattr(getattr(cake, group), method)(*arguments, **named)
    assert sorted(problem.name for problem in caught.value.problems) == sorted(wrong)
    for each in wrong:
        assert each in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert len(router.calls) == 0


async def test_lists_refuse_before_anything_is_sent(routed: Connect, router: respx.Router) -> None:
    async with routed() as cake:
        with pytest.raises(ArgumentError) as found:
            await cake.invoices.find(invoice_status="pendign", affiliate_id=0).collect()
        with pytest.raises(ArgumentError) as exported:
            await cake.affiliate_bills.export(
                billing_cycle="yearly", period=Period.month(2014, 6), payment_type_id=0
            ).collect()
    assert {each.name for each in found.value.problems} == {"invoice_status", "affiliate_id"}
    assert {each.name for each in exported.value.problems} == {"billing_cycle", "payment_type_id"}
    assert len(router.calls) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda cake: cake.invoices.find(affilate_id=1),
        lambda cake: cake.invoices.page(status="pending"),
        lambda cake: cake.invoices.update(1, invoice_state="paid"),
        lambda cake: cake.affiliate_bills.export(paid=True),
        lambda cake: cake.affiliate_bills.mark_received(1, amount=1),
        lambda cake: cake.invoices.update(1, "paid"),
    ],
)
async def test_a_misspelt_name_is_a_type_error(
    routed: Connect, call: Callable[[Client], object]
) -> None:
    async with routed() as cake:
        with pytest.raises(TypeError, match="argument"):
            call(cake)


async def test_a_reason_names_what_was_probably_meant(routed: Connect) -> None:
    async with routed() as cake:
        with pytest.raises(ArgumentError, match="did you mean 'pending'"):
            await cake.invoices.page(invoice_status="pendign")


async def test_a_refused_write_is_not_done_and_a_reason_shows_no_value(routed: Connect) -> None:
    async with routed() as cake:
        with pytest.raises(ArgumentError) as write:
            await cake.affiliate_bills.mark_received(345, invoiced_amount=1, notes="secret" * 50)
        with pytest.raises(CakeError) as read:
            await cake.invoices.get(0)
    assert write.value.outcome is Outcome.NOT_DONE
    assert write.value.operation == "affiliate_bills.mark_received"
    assert "secret" not in str(write.value) + repr(write.value)
    assert read.value.outcome is None


@pytest.mark.parametrize(
    "text", ["tab\tCR\rLF\n", "x" * 50, "🍰" * 25, "NULLABLE", "null", "NULL ", "(NULL)", " "]
)
async def test_what_is_allowed_is_sent_as_it_is(connect: Connect, text: str) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        await cake.affiliate_bills.mark_received(345, invoiced_amount=1, invoice_number=text)
    assert sandbox.state.affiliate_bills[345].invoice_number == text


@pytest.mark.parametrize(
    "amount",
    [Decimal("-0.01"), 10**28 - 1, Decimal("1E+2"), Decimal("0.0000000000000000000000001")],
)
async def test_amounts_arrive_exactly(connect: Connect, amount: Decimal | int) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        await cake.affiliate_bills.mark_received(345, invoiced_amount=amount)
    assert sandbox.state.affiliate_bills[345].invoiced_amount == amount
