"""Bills from their fields: what is known is typed and exact, what is not is kept."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiocake.codec import _bills
from aiocake.codec._bills import bill_reader
from aiocake.errors import DecodeError
from aiocake.models import AdvertiserBill, AffiliateBill, BillAmount, BuyerBill, Partner

Read = Callable[[object, int], Any]

FIELDS: dict[str, Any] = {
    "bill_id": "345",
    "affiliate": {
        "affiliate_id": "67890",
        "affiliate_name": "Acme & Söhne",
        "account_status": {"account_status_id": "1", "account_status_name": "Active"},
        "account_managers": {"account_manager": {"contact_id": "7"}},
    },
    "bill_amount": {"currency_id": "2", "amount": "2415.0000", "formatted_amount": "$2,415.00"},
    "notes": "",
    "payment_date": None,
    "sent_payment": "yes",
}
BILL = AffiliateBill(
    bill_id=345,
    affiliate=Partner(
        id=67890,
        name="Acme & Söhne",
        account_status_id=1,
        account_status_name="Active",
        extra={"account_managers": {"account_manager": {"contact_id": "7"}}},
    ),
    bill_amount=BillAmount(
        amount=Decimal("2415.0000"), currency_id=2, formatted_amount="$2,415.00"
    ),
    sent_payment=True,
    extra={"notes": "", "payment_date": None},
)


@pytest.fixture
def read() -> Read:
    return bill_reader(AffiliateBill, "affiliate_bills")


def fields(**other: object) -> dict[str, Any]:
    """The fields of a bill; a double underscore goes one level down, a dash takes away."""
    made = deepcopy(FIELDS)
    for path, value in other.items():
        *outer, name = path.split("__")
        inner = made
        for each in outer:
            inner = inner[each]
        if value == "-":
            del inner[name]
        else:
            inner[name] = value
    return made


def test_what_is_known_is_typed_and_the_rest_is_kept(read: Read) -> None:
    assert read(fields(), 0) == BILL
    assert str(read(fields(), 0).bill_amount.amount) == "2415.0000"


def test_a_bill_can_be_in_a_set_and_is_told_from_one_with_another_extra(read: Read) -> None:
    assert {read(fields(), 0), BILL} == {BILL}
    assert read(fields(notes="x"), 0) != BILL


@pytest.mark.parametrize(
    ("model", "partner"),
    [(AffiliateBill, "affiliate"), (AdvertiserBill, "advertiser"), (BuyerBill, "buyer")],
)
def test_the_three_kinds_differ_by_their_partner(model: type[Any], partner: str) -> None:
    bill = bill_reader(model, f"{partner}_bills")(
        {
            "bill_id": "1",
            partner: {f"{partner}_id": "2", f"{partner}_name": "x", "affiliate_idea": "y"},
            "bill_amount": {"amount": "3"},
        },
        0,
    )
    assert type(bill) is model
    assert getattr(bill, partner) == Partner(id=2, name="x", extra={"affiliate_idea": "y"})


@pytest.mark.parametrize(
    ("amount", "value"),
    [
        ("-2415.0000", "-2415.0000"),
        ("0.0000", "0.0000"),
        ("-0.0000", "-0.0000"),
        ("0.1", "0.1"),
        ("12345678901234.12345678901234", "12345678901234.12345678901234"),
        ("9" * 28, "9" * 28),
        ("1E+3", "1E+3"),
        (Decimal("10.25"), "10.25"),
        (7, "7"),
    ],
)
def test_an_amount_is_exact(read: Read, amount: object, value: str) -> None:
    assert str(read(fields(bill_amount__amount=amount), 0).bill_amount.amount) == value


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20
    )
)
def test_any_amount_comes_back_as_it_was_written(amount: Decimal) -> None:
    read = bill_reader(AffiliateBill, "affiliate_bills")
    read_amount = read(fields(bill_amount__amount=format(amount, "f")), 0).bill_amount.amount
    assert read_amount.as_tuple() == amount.as_tuple()


@pytest.mark.parametrize(
    "amount",
    [
        *("", " 1", "1 ", "1,5", "1,234.50", "1_000", "NaN", "Infinity", "١٢", "1" * 29),
        *("1e999999", "0x1", "$1", "1\ufffd5", "--1", None, "-", {}, ["1", "1"], True, 1.5),
    ],
)
def test_an_amount_that_is_no_plain_number_is_refused(read: Read, amount: object) -> None:
    with pytest.raises(DecodeError) as caught:
        read(fields(bill_amount__amount=amount), 12)
    assert caught.value.path == "affiliate_bills[12].bill_amount.amount"


@pytest.mark.parametrize(
    "bill_id",
    ["", "0", "-1", "2147483648", "1.0", "1e3", "٣", " 1", "9" * 5000, None, "-", ["1", "2"], True],
)
def test_a_bill_that_cannot_be_marked_is_refused(read: Read, bill_id: object) -> None:
    with pytest.raises(DecodeError) as caught:
        read(fields(bill_id=bill_id), 3)
    assert caught.value.path == "affiliate_bills[3].bill_id"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("affiliate", {"affiliate": "-"}),
        ("affiliate", {"affiliate": ""}),
        ("affiliate", {"affiliate": None}),
        ("affiliate", {"affiliate": [{}, {}]}),
        ("affiliate.affiliate_id", {"affiliate__affiliate_id": "x"}),
        ("affiliate.affiliate_id", {"affiliate__affiliate_id": "2147483648"}),
        ("affiliate.affiliate_name", {"affiliate__affiliate_name": ["a", "b"]}),
        ("affiliate.affiliate_name", {"affiliate__affiliate_name": {"a": "b"}}),
        ("affiliate.account_status", {"affiliate__account_status": "Active"}),
        (
            "affiliate.account_status.account_status_id",
            {"affiliate__account_status__account_status_id": "one"},
        ),
        ("bill_amount", {"bill_amount": "-"}),
        ("bill_amount", {"bill_amount": "12"}),
        ("bill_amount.currency_id", {"bill_amount__currency_id": "USD"}),
        ("bill_amount.formatted_amount", {"bill_amount__formatted_amount": {}}),
    ],
)
def test_the_path_of_what_cannot_be_read_is_told(
    read: Read, path: str, change: dict[str, object]
) -> None:
    with pytest.raises(DecodeError) as caught:
        read(fields(**change), 7)
    assert caught.value.path == f"affiliate_bills[7].{path}"


@pytest.mark.parametrize("bill", ["", None, "x", [], ["a"], 3])
def test_a_bill_without_fields_is_refused(read: Read, bill: object) -> None:
    with pytest.raises(DecodeError) as caught:
        read(bill, 0)
    assert caught.value.path == "affiliate_bills[0]"


def test_what_may_be_absent_or_nil_is_none_and_empty_is_empty(read: Read) -> None:
    bill = read(
        fields(
            affiliate={"affiliate_id": None, "affiliate_name": ""},
            bill_amount={"amount": "1", "currency_id": "0", "formatted_amount": None},
            sent_payment="-",
        ),
        0,
    )
    assert bill.affiliate == Partner(name="")
    assert bill.bill_amount == BillAmount(amount=Decimal(1))
    assert bill.sent_payment is None


@pytest.mark.parametrize(
    ("value", "said"),
    [("yes", True), ("no", False), ("Yes", True), ("NO", False), ("true", True), (False, False)],
)
def test_whether_a_payment_was_noted(read: Read, value: object, said: bool) -> None:  # noqa: FBT001
    bill = read(fields(sent_payment=value), 0)
    assert bill.sent_payment is said
    assert "sent_payment" not in bill.extra


@pytest.mark.parametrize("value", ["partly", "", "0", {"a": "b"}, ["yes", "no"]])
def test_another_word_for_it_is_no_guess_and_is_kept(read: Read, value: object) -> None:
    bill = read(fields(sent_payment=value), 0)
    assert bill.sent_payment is None
    assert bill.extra["sent_payment"] == value


def test_nothing_that_is_there_is_lost(read: Read) -> None:
    bill = read(
        fields(
            bill_amount__tax="1.00",
            affiliate__account_status__since="2014",
            affiliate__vat="x",
            more=["a", {"b": None}],
        ),
        0,
    )
    assert bill.extra == {
        "notes": "",
        "payment_date": None,
        "more": ["a", {"b": None}],
        "bill_amount": {"tax": "1.00"},
    }
    assert bill.affiliate.extra["account_status"] == {"since": "2014"}
    assert bill.affiliate.extra["vat"] == "x"


def test_an_error_shows_a_value_only_when_it_may() -> None:
    bad = fields(bill_amount__amount="12.50 for Jane")
    for payloads in (False, True):
        read = bill_reader(AffiliateBill, "affiliate_bills", payloads=payloads)
        with pytest.raises(DecodeError) as caught:
            read(deepcopy(bad), 0)
        assert ("Jane" in str(caught.value)) is payloads
        assert ("12" in str(caught.value).replace("28", "")) is payloads


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["bill_id", "affiliate", "bill_amount", "amount", "affiliate_id", "x"]
                ),
                inner,
            )
        ),
    )
)
def test_fields_of_any_kind_are_read_or_refused(value: object) -> None:
    read = bill_reader(AffiliateBill, "affiliate_bills")
    with suppress(DecodeError):
        bill = read(value, 0)
        assert isinstance(bill.bill_amount.amount, Decimal)
        assert bill.bill_id > 0


#: Where a known value is, and what may be there in its place.
PLACES = (
    "bill_id",
    "sent_payment",
    "affiliate",
    "affiliate__affiliate_id",
    "affiliate__affiliate_name",
    "affiliate__account_status",
    "affiliate__account_status__account_status_id",
    "affiliate__account_status__account_status_name",
    "affiliate__account_status__more",
    "bill_amount__currency_id",
    "bill_amount__amount",
    "bill_amount__formatted_amount",
    "bill_amount__more",
    "bill_amount",
)
VALUES = (
    *("-", None, "", "0", "1", "007", "-1", "+1", "1 2", " 1", "999999999", "2147483647"),
    *("2147483648", "1.0", "1e2", "yes", "no", "YES", "true", "12.5000", "-0.0", "1,5", "\u0661"),
    *(0, 1, -1, True, Decimal(7), Decimal("1.50"), [], ["1", "2"], {}, {"a": "b"}),
)


@example(changes={"bill_id": Decimal(7)})
@example(changes={"bill_id": "1 2", "affiliate__affiliate_id": ""})
@given(changes=st.dictionaries(st.sampled_from(PLACES), st.sampled_from(VALUES), max_size=3))
def test_the_reading_of_plain_bills_gives_what_the_exact_one_does(
    changes: dict[str, object],
) -> None:
    value = FIELDS
    with suppress(KeyError, TypeError):  # one took away what another goes into
        value = fields(**changes)
    exact = read = None
    with suppress(_bills._Unfit):
        exact = AffiliateBill(**_bills._bill(deepcopy(value), "affiliate"))  # type: ignore[arg-type] # made so
    with suppress(DecodeError):
        read = bill_reader(AffiliateBill, "affiliate_bills")(deepcopy(value), 0)
    assert read == exact
    assert repr(read) == repr(exact)
