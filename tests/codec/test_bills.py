"""Bills from their fields: what is known is typed and exact, what is not is kept."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given
from hypothesis import strategies as st

from aiocake._codec import bills
from aiocake._codec.bills import bill_decoder
from aiocake._codec.leniency import Leniency
from aiocake.errors import DecodeError
from aiocake.models import (
    AccountManager,
    AdvertiserBill,
    AffiliateBill,
    BillAmount,
    BuyerBill,
    Contact,
    Partner,
)
from aiocake.values import Period

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
    "billing_period_start_date": "2014-06-01T00:00:00",
    "billing_period_end_date": "2014-07-01T00:00:00",
    "invoice_number": "A-17",
    "invoiced_amount": "20.0100",
    "date_invoice_received": "2014-07-02T00:00:00",
    "payment_type_id": "2",
    "notes": "",
    "payment_date": None,
    "colour": "red",
    "sent_payment": "yes",
}
BILL = AffiliateBill(
    bill_id=345,
    affiliate=Partner(
        id=67890,
        name="Acme & Söhne",
        account_status_id=1,
        account_status_name="Active",
        account_managers=(AccountManager(contact_id=7),),
    ),
    bill_amount=BillAmount(
        amount=Decimal("2415.0000"), currency_id=2, formatted_amount="$2,415.00"
    ),
    billing_period_start_date=date(2014, 6, 1),
    billing_period_end_date=date(2014, 7, 1),
    invoice_number="A-17",
    invoiced_amount=Decimal("20.0100"),
    date_invoice_received=date(2014, 7, 2),
    payment_type_id=2,
    sent_payment=True,
    extra={"colour": "red"},
)


@pytest.fixture
def read() -> Read:
    return bill_decoder(AffiliateBill, "affiliate_bills", Leniency())


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
    assert read(fields(colour="blue"), 0) != BILL


@pytest.mark.parametrize(
    ("model", "partner"),
    [(AffiliateBill, "affiliate"), (AdvertiserBill, "advertiser"), (BuyerBill, "buyer")],
)
def test_the_three_kinds_differ_by_their_partner(model: type[Any], partner: str) -> None:
    bill = bill_decoder(model, f"{partner}_bills", Leniency())(
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
    read = bill_decoder(AffiliateBill, "affiliate_bills", Leniency())
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


def test_what_may_be_absent_nil_or_empty_is_none(read: Read) -> None:
    bill = read(
        fields(
            affiliate={"affiliate_id": None, "affiliate_name": ""},
            bill_amount={"amount": "1", "currency_id": "0", "formatted_amount": None},
            sent_payment="-",
        ),
        0,
    )
    assert bill.affiliate == Partner()
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
        "colour": "red",
        "more": ["a", {"b": None}],
        "bill_amount": {"tax": "1.00"},
    }
    assert bill.affiliate.extra["account_status"] == {"since": "2014"}
    assert bill.affiliate.extra["vat"] == "x"


ADVERTISER: dict[str, Any] = {
    "bill_id": "1",
    "advertiser": {},
    "bill_amount": {"amount": "3"},
    "payment_amount": "-3.5000",
    "date_sent_invoice": "2014-07-02T00:00:00",
    "date_payment_received": "2014-07-20",
    "payment_type": {"payment_type_id": "2", "payment_type_name": "Wire"},
    "verification_code": "0042",
    "notes": " paid ",
}


@pytest.mark.parametrize(("model", "kind"), [(AdvertiserBill, "advertiser"), (BuyerBill, "buyer")])
def test_a_payers_bill_has_what_marking_it_sets(model: type[Any], kind: str) -> None:
    given = deepcopy(ADVERTISER)
    given[kind] = given.pop("advertiser")
    bill = bill_decoder(model, f"{kind}_bills", Leniency())(given, 0)
    assert bill == model(
        bill_id=1,
        bill_amount=BillAmount(amount=Decimal(3)),
        payment_amount=Decimal("-3.5000"),
        date_sent_invoice=date(2014, 7, 2),
        date_payment_received=date(2014, 7, 20),
        payment_type_id=2,
        payment_type_name="Wire",
        verification_code="0042",
        notes=" paid ",
        **{kind: Partner()},
    )


ANN = {"contact_id": "7", "contact_name": "Ann"}
CARL = {"contact_id": "8", "contact_type": "Primary", "first_name": "Carl", "last_name": ""}


def test_what_is_nested_in_a_partner_is_typed(read: Read) -> None:
    managers = {"account_manager": [dict(ANN), {"contact_id": "9", "contact_name": None}]}
    billing = {
        "contacts": {"contact": dict(CARL)},
        "billing_cycle": {"billing_cycle_id": "3", "billing_cycle_name": "Monthly"},
    }
    changes = {"affiliate__account_managers": managers, "affiliate__affiliate_billing": billing}
    partner = read(fields(**changes), 0).affiliate
    assert partner.account_managers == (
        AccountManager(contact_id=7, contact_name="Ann"),
        AccountManager(contact_id=9),
    )
    assert partner.contacts == (Contact(contact_id=8, contact_type="Primary", first_name="Carl"),)
    assert (partner.billing_cycle_id, partner.billing_cycle_name) == (3, "Monthly")
    assert partner.extra == {}
    # JSON has its lists without an element for each row.
    changes["affiliate__account_managers"] = [dict(ANN)]
    assert read(fields(**changes), 0).affiliate.account_managers[0].contact_name == "Ann"


@pytest.mark.parametrize(
    ("managers", "billing"),
    [
        ({"account_manager": [ANN, ANN | {"telephone": "5"}]}, {"contacts": {"contact": "Carl"}}),
        ({"account_manager": ANN | {"contact_id": "x"}}, {"billing_cycle": "Monthly"}),
        ({"account_manager": ANN, "more": "1"}, {"billing_cycle": {"name": "Monthly"}}),
        ({"account_manager": {"contact_name": {"a": "b"}}}, {"contacts": [["Carl"]]}),
        ({"account_manager": ANN | {"contact_id": True}}, {"contacts": 5}),
        ("Ann", "Monthly"),
        ({"manager": ANN}, {"contacts": {"contact": CARL | {"contact_type": {"id": "1"}}}}),
        ("", {"billing_cycle": ""}),
        (None, {}),
    ],
)
def test_what_is_nested_in_another_way_stays_as_it_came(
    read: Read, managers: object, billing: object
) -> None:
    changes = {"affiliate__account_managers": managers, "affiliate__affiliate_billing": billing}
    partner = read(fields(**deepcopy(changes)), 0).affiliate
    assert partner.account_managers == partner.contacts == ()
    assert partner.billing_cycle_id is None
    kept = {"account_managers": managers, "affiliate_billing": billing}
    assert partner.extra == {name: value for name, value in kept.items() if value != {}}


def test_an_instance_may_leave_all_of_that_out(read: Read) -> None:
    bill = read({"bill_id": "1", "affiliate": {}, "bill_amount": {"amount": "3"}}, 0)
    assert bill == AffiliateBill(
        bill_id=1, affiliate=Partner(), bill_amount=BillAmount(amount=Decimal(3))
    )
    assert bill.period is None


def test_a_period_has_its_last_day_included(read: Read) -> None:
    assert read(fields(), 0).period == Period.month(2014, 6)
    assert read(fields(billing_period_end_date="2014-06-01"), 0).period is None
    assert read(fields(billing_period_start_date=None), 0).period is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("payment_date", "0000-00-00"),
        ("payment_date", "not yet"),
        ("payment_date", ["2014-06-01", "2014-06-02"]),
        ("notes", {"note": "a"}),
        ("notes", ["a", "b"]),
        ("invoice_number", {"invoice_number": "5"}),
        ("payment_type_id", "Wire"),
        ("payment_type", "Wire"),
        ("payment_type_name", {"a": "b"}),
    ],
)
def test_what_was_noted_on_a_bill_in_another_way_is_kept(name: str, value: object) -> None:
    lenient = Leniency()
    read = bill_decoder(AffiliateBill, "affiliate_bills", lenient)
    bill = read(fields(**{name: value}), 0)
    assert bill.extra == {"colour": "red", name: value}
    assert getattr(bill, name, None) is None
    assert (f"affiliate_bills.{name}" in lenient.fields) is (name != "payment_type")


@pytest.mark.parametrize("amount", ["1,5", "$1", "NaN", ["1", "1"], {}, True, " 1"])
def test_an_amount_that_is_not_plain_is_refused_though_it_may_be_absent(
    read: Read, amount: object
) -> None:
    with pytest.raises(DecodeError) as caught:
        read(fields(invoiced_amount=amount), 3)
    assert caught.value.path == "affiliate_bills[3].invoiced_amount"


def test_an_amount_may_have_its_currency_beside_it(read: Read) -> None:
    amount = {"currency_id": "2", "amount": "7.0000"}
    bill = read(fields(invoiced_amount=dict(amount)), 0)
    assert str(bill.invoiced_amount) == "7.0000"
    assert bill.extra["invoiced_amount"] == {"currency_id": "2"}
    with pytest.raises(DecodeError) as caught:
        read(fields(invoiced_amount=amount | {"amount": "x"}), 0)
    assert caught.value.path == "affiliate_bills[0].invoiced_amount.amount"


def test_white_space_of_xml_around_a_value_is_nothing_and_is_noted() -> None:
    lenient = Leniency(spaces=True)
    read = bill_decoder(AffiliateBill, "affiliate_bills", lenient)
    spaced = fields(
        bill_id="\n  345\n ",
        bill_amount__amount=" 2415.0000 ",
        bill_amount__currency_id="\t2",
        affiliate__affiliate_id=" 67890",
        invoiced_amount="20.0100\r\n",
        payment_date=" ",
        billing_period_start_date=" 2014-06-01T00:00:00 ",
        sent_payment=" yes ",
        notes=None,
    )
    assert read(spaced, 0) == BILL
    assert lenient.count == 8
    assert "affiliate_bills.bill_amount.amount" in lenient.fields
    # White space is a part of a text.
    assert read(fields(notes=" "), 0).notes == " "


def test_an_error_shows_a_value_only_when_it_may() -> None:
    bad = fields(bill_amount__amount="12.50 for Jane")
    for show_sensitive in (False, True):
        read = bill_decoder(
            AffiliateBill, "affiliate_bills", Leniency(), show_sensitive=show_sensitive
        )
        with pytest.raises(DecodeError) as caught:
            read(deepcopy(bad), 0)
        assert ("Jane" in str(caught.value)) is show_sensitive
        assert ("12" in str(caught.value).replace("28", "")) is show_sensitive


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
    read = bill_decoder(AffiliateBill, "affiliate_bills", Leniency())
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
    "billing_period_end_date",
    "invoice_number",
    "invoiced_amount",
    "payment_date",
    "payment_type",
    "payment_type_id",
    "payment_type_name",
    "notes",
)
VALUES = (
    *("-", None, "", "0", "1", "007", "-1", "+1", "1 2", " 1", "999999999", "2147483647"),
    *("2147483648", "1.0", "1e2", "yes", "no", "YES", "true", "12.5000", "-0.0", "1,5", "\u0661"),
    *("2014-06-30", "2014-06-30T00:00:00", "0000-00-00", {"amount": "1.5"}),
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
    noted, plainly = Leniency(), Leniency()
    with suppress(bills._FieldError):
        optional = bills._optional(AffiliateBill, "affiliate")
        reading = bills._Exact("affiliate_bills", "affiliate", optional, noted)
        exact = AffiliateBill(**reading.bill(deepcopy(value)))  # type: ignore[arg-type] # made so
    with suppress(DecodeError):
        read_bill = bill_decoder(AffiliateBill, "affiliate_bills", plainly)
        read = read_bill(deepcopy(value), 0)
    assert read == exact
    if read is not None:
        assert sorted(plainly.fields) == sorted(noted.fields)
        assert plainly.count == noted.count
    assert repr(read) == repr(exact)


def bill_of(amount: str, **other: object) -> AffiliateBill:
    return AffiliateBill(
        bill_id=1,
        affiliate=Partner(id=2),
        bill_amount=BillAmount(amount=Decimal(amount), currency_id=1),
        sent_payment=False,
        **other,  # type: ignore[arg-type] # of any field
    )


def test_a_fingerprint_is_of_all_that_a_payment_is_decided_by() -> None:
    fingerprint = bills.fingerprint_of(AffiliateBill)
    bill = bill_of("10.50")
    others = (
        bill_of("10.51"),
        bill_of("-10.50"),
        evolve(bill, affiliate=Partner(id=3)),
        evolve(bill, affiliate=Partner()),
        evolve(bill, sent_payment=True),
        evolve(bill, sent_payment=None),
        evolve(bill, bill_amount=BillAmount(amount=Decimal("10.50"), currency_id=2)),
    )
    assert fingerprint(bill) not in {fingerprint(other) for other in others}
    # Written in another way, with another contact: a copy.
    assert fingerprint(bill) == fingerprint(bill_of("10.5000", notes="x"))


@pytest.mark.parametrize(
    ("one", "other"),
    [("-1", "-2"), ("-1.00", "-2.00"), ("1", "-1"), ("1234567.89", "1234567.88")],
)
def test_amounts_that_differ_have_other_fingerprints(one: str, other: str) -> None:
    fingerprint = bills.fingerprint_of(AffiliateBill)
    with localcontext(prec=3):  # of the user's own
        assert fingerprint(bill_of(one)) != fingerprint(bill_of(other))


@pytest.mark.parametrize("kind", [AffiliateBill, AdvertiserBill, BuyerBill])
def test_a_plain_bill_is_one_of_its_frozen_class(kind: type[Any]) -> None:
    partner = kind.__name__.removesuffix("Bill").lower()
    given = {
        "bill_id": "1",
        partner: {
            f"{partner}_id": "2",
            f"{partner}_name": "x",
            "account_status": {"account_status_id": "1", "account_status_name": "Active"},
        },
        "bill_amount": {"currency_id": "2", "amount": "3.5", "formatted_amount": "$3.50"},
        "sent_payment": "no",
    }
    bill = bill_decoder(kind, f"{partner}_bills", Leniency())(given, 0)
    for record in (bill, getattr(bill, partner), bill.bill_amount):
        assert pickle.loads(pickle.dumps(record)) == record == deepcopy(record)  # noqa: S301 - ours
        assert evolve(record) == record
        assert hash(evolve(record)) == hash(record)
        with pytest.raises(FrozenInstanceError):
            record.extra = {}
    assert (type(bill), type(bill.bill_amount)) == (kind, BillAmount)


@pytest.mark.parametrize("extra", [{}, {"payment_type": {"payment_type_id": "3"}}])
def test_ids_are_read_alike_from_texts_and_numbers(extra: dict[str, object]) -> None:
    read = bill_decoder(AffiliateBill, "affiliate_bills", Leniency())
    texts = fields(bill_amount__currency_id="0", **extra)
    numbers = fields(
        bill_id=345, affiliate__affiliate_id=67890, bill_amount__currency_id=0, **extra
    )
    assert read(numbers, 0) == read(texts, 0)
