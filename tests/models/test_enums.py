"""Open enums keep what they do not know; invoices say which way their money goes."""

import copy
import pickle
from decimal import Decimal
from types import MappingProxyType

import pytest

from aiocake import AffiliateBill, BillAmount, BillingCycleName, Invoice, InvoiceKind, InvoiceStatus
from aiocake.models import Partner
from aiocake.models.enums import OpenEnum


@pytest.mark.parametrize("text", ["paid", "Paid", "PAID", "pAiD"])
def test_case_is_folded(text: str) -> None:
    status = InvoiceStatus(text)
    assert status is InvoiceStatus.PAID
    assert status.known
    assert (status, str(status), status.value, status.name) == ("paid", "paid", "paid", "PAID")


@pytest.mark.parametrize("text", ["draft", "Draft", "", "in review", "Zürich"])
def test_an_unknown_value_is_kept_as_it_came(text: str) -> None:
    status = InvoiceStatus(text)
    assert isinstance(status, InvoiceStatus)
    assert (status, str(status), status.value, status.name) == (text, text, text, text)
    assert not status.known
    assert status not in list(InvoiceStatus)
    assert hash(status) == hash(text)
    assert InvoiceStatus(status) == status


def test_without_the_private_map_of_values_case_is_folded_all_the_same() -> None:
    shorten = vars(OpenEnum)["__init_subclass__"].__func__
    members = list(InvoiceStatus)
    shorten(members)  # which has no such map
    for kept in (MappingProxyType({}), None):

        class Other(list[InvoiceStatus]):
            _value2member_map_ = kept

        shorten(Other(members))

    class Plain(OpenEnum):
        PAID = "paid"

    for spelling in ("Paid", "PAID"):
        del Plain._value2member_map_[spelling]
        assert Plain(spelling) is Plain.PAID


def test_an_unknown_value_is_not_remembered() -> None:
    InvoiceStatus("draft")
    assert [each.value for each in InvoiceStatus] == ["pending", "approved", "paid", "void"]
    assert "draft" not in InvoiceStatus._value2member_map_


@pytest.mark.parametrize("text", ["paid", "Draft"])
def test_a_value_comes_out_of_a_pickle_as_it_was(text: str) -> None:
    status = InvoiceStatus(text)
    for again in (pickle.loads(pickle.dumps(status)), copy.deepcopy(status)):  # noqa: S301 - just made
        assert again == status
        assert type(again) is InvoiceStatus
        assert again.known is status.known
    assert (pickle.loads(pickle.dumps(status)) is status) is status.known  # noqa: S301 - the same


@pytest.mark.parametrize("value", [1, None, b"paid", 1.5])
def test_what_is_no_text_is_no_value(value: object) -> None:
    with pytest.raises(ValueError, match="InvoiceStatus"):
        InvoiceStatus(value)


def test_each_enum_has_its_own_values() -> None:
    assert BillingCycleName("Weekly") is BillingCycleName.WEEKLY
    assert not BillingCycleName("paid").known
    assert not InvoiceStatus("weekly").known


@pytest.mark.parametrize(
    ("affiliate", "advertiser", "kind"),
    [
        (7, None, InvoiceKind.PAYOUT),
        (None, 7, InvoiceKind.REVENUE),
        (None, None, None),
        (7, 8, None),
        # An id of 0 is an id.
        (0, None, InvoiceKind.PAYOUT),
    ],
)
def test_which_way_the_money_goes(
    affiliate: int | None, advertiser: int | None, kind: InvoiceKind | None
) -> None:
    invoice = Invoice(
        invoice_id=1,
        invoice_status=InvoiceStatus.PAID,
        total_amount=Decimal("-1.50"),
        affiliate_id=affiliate,
        advertiser_id=advertiser,
    )
    assert invoice.kind is kind


def test_a_bill_has_a_hash_whatever_else_it_holds() -> None:
    bills = [
        AffiliateBill(
            bill_id=345,
            bill_amount=BillAmount(amount=Decimal("1.0000")),
            affiliate=Partner(id=7, extra={"contacts": ["x"]}),
            extra={"colour": "red"},
        )
        for _ in range(2)
    ]
    assert len(set(bills)) == 1
    assert pickle.loads(pickle.dumps(bills[0])) == bills[0]  # noqa: S301 - just made
    with pytest.raises(AttributeError):
        bills[0].bill_id = 1  # type: ignore[misc] # frozen
