"""What can be expected of an invoice."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from aiocake import SKIP, ArgumentError, Expect, InvoiceStatus


def test_it_holds_exact_values_and_what_is_left_out_is_not_stated() -> None:
    expect = Expect(invoice_status="pending", total_amount=100, currency="USD")
    assert expect.stated() == {
        "invoice_status": "pending",
        "total_amount": 100,
        "currency": "USD",
    }
    assert type(expect.invoice_status) is InvoiceStatus
    assert expect.affiliate_id is SKIP
    assert expect == Expect(
        invoice_status=InvoiceStatus.PENDING, total_amount=Decimal("100.00"), currency="USD"
    )


def test_a_status_that_was_read_can_be_expected_whatever_it_is() -> None:
    expect = Expect(invoice_status=InvoiceStatus("draft"), total_amount=Decimal("1.50"))
    assert expect.stated() == {"invoice_status": "draft", "total_amount": Decimal("1.50")}
    assert type(expect.stated()["invoice_status"]) is str
    assert Expect.of(expect.stated()) == expect


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Expect, "invoice_status, total_amount, currency, .*: give at least one"),
        (lambda: Expect(invoice_status="aproved"), "did you mean 'approved'"),  # type: ignore[arg-type]
        (lambda: Expect(invoice_status=None), "got NoneType"),  # type: ignore[arg-type]
        (lambda: Expect(total_amount=1.5), "must be a Decimal or an int, got float"),  # type: ignore[arg-type]
        (lambda: Expect(total_amount=True), "got bool"),
        (lambda: Expect(total_amount=Decimal("NaN")), "must be a number"),
        (lambda: Expect(total_amount=Decimal("1E+999999999")), "at most 28 digits"),
        (lambda: Expect(total_amount=Decimal("1E-999999")), "at most 28 digits"),
        (lambda: Expect(currency=""), "must not be empty"),
        (lambda: Expect(currency=1), "must be a str, got int"),  # type: ignore[arg-type]
        (lambda: Expect(affiliate_id=0), "must be from 1"),
        (lambda: Expect(advertiser_id="7"), "must be an int, got str"),  # type: ignore[arg-type]
    ],
)
def test_what_no_invoice_can_be_is_refused(make: Callable[[], Expect], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        make()


def test_all_that_is_wrong_is_named() -> None:
    with pytest.raises(ArgumentError) as caught:
        Expect(invoice_status="x", affiliate_id=-1)  # type: ignore[arg-type]
    assert [each.name for each in caught.value.problems] == ["invoice_status", "affiliate_id"]
