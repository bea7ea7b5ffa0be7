"""Totals are exact, and of one kind, status and currency each."""

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake import (
    AdvertiserBill,
    AffiliateBill,
    ArgumentError,
    BillAmount,
    Invoice,
    InvoiceKind,
    InvoiceStatus,
    Total,
    to_dict,
    totals,
)
from aiocake.models import Partner

AMOUNTS = st.decimals(min_value=-(10**20), max_value=10**20, places=8)


def invoice(amount: str | Decimal, **fields: Any) -> Invoice:  # noqa: ANN401 - of many types
    settings: dict[str, Any] = {"affiliate_id": 7, "currency": "USD", **fields}
    return Invoice(
        invoice_id=1,
        invoice_status=settings.pop("invoice_status", InvoiceStatus.PAID),
        total_amount=Decimal(amount),
        **settings,
    )


def test_kinds_statuses_and_currencies_are_never_added_up() -> None:
    found = totals(
        [
            invoice("0.1"),
            invoice("0.20"),
            invoice("1", currency="EUR"),
            invoice("2", affiliate_id=None, advertiser_id=7),
            invoice("3", invoice_status=InvoiceStatus("draft")),
            invoice("4", currency=None, currency_symbol="€"),
            invoice("5", currency=None),
            invoice("6", affiliate_id=None),
        ]
    )
    assert [
        (each.kind, each.invoice_status, each.currency, each.count, str(each.amount))
        for each in found
    ] == [
        (None, "paid", "USD", 1, "6"),
        ("payout", "draft", "USD", 1, "3"),
        ("payout", "paid", None, 1, "5"),
        ("payout", "paid", "EUR", 1, "1"),
        ("payout", "paid", "USD", 2, "0.30"),
        ("payout", "paid", "€", 1, "4"),
        ("revenue", "paid", "USD", 1, "2"),
    ]
    assert totals([]) == ()


def test_bills_are_by_the_ids_of_their_currencies() -> None:
    def amount(text: str, currency: int | None) -> BillAmount:
        return BillAmount(amount=Decimal(text), currency_id=currency)

    partner = Partner(id=7)
    found = totals(
        [
            AffiliateBill(bill_id=1, bill_amount=amount("-1.5", 1), affiliate=partner),
            AffiliateBill(bill_id=2, bill_amount=amount("1", 2), affiliate=partner),
            AdvertiserBill(bill_id=3, bill_amount=amount("2", None), advertiser=partner),
        ]
    )
    assert found == (
        Total(kind=InvoiceKind.PAYOUT, invoice_status=None, currency="currency_id 1", count=1,
              amount=Decimal("-1.5")),
        Total(kind=InvoiceKind.PAYOUT, invoice_status=None, currency="currency_id 2", count=1,
              amount=Decimal(1)),
        Total(kind=InvoiceKind.REVENUE, invoice_status=None, currency=None, count=1,
              amount=Decimal(2)),
    )  # fmt: skip
    assert to_dict(found[0])["amount"] == "-1.5"


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=20))
def test_no_context_rounds_a_total(amounts: list[Decimal]) -> None:
    with decimal.localcontext(prec=3):
        (found,) = totals(map(invoice, amounts))
    assert Fraction(found.amount) == sum(map(Fraction, amounts))
    assert found.count == len(amounts)


@pytest.mark.parametrize("other", [None, 5, "x", {}])
def test_what_is_no_invoice_and_no_bill_is_refused(other: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(ArgumentError, match=r"^records\[1\]: must be an invoice or a bill, got "):
        totals([invoice("1"), other])
