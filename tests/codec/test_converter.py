"""How values become fields of models, and what is said of those that do not."""

from datetime import date, datetime
from decimal import Decimal

import attrs
import pytest

from aiocake._codec.converter import structure
from aiocake.errors import DecodeError


@attrs.frozen(kw_only=True)
class Amount:
    amount: Decimal
    currency_id: int | None = None


@attrs.frozen(kw_only=True)
class Bill:
    bill_id: int
    rows: int = 0
    paid: bool | None = None
    bill_amount: Amount | None = None
    day: date | None = None
    at: datetime | None = None


@attrs.frozen
class Positive:
    number: int = attrs.field(validator=attrs.validators.gt(0))


@pytest.mark.parametrize(
    ("value", "paid"),
    [("true", True), ("TRUE", True), ("1", True), ("0", False), (False, False), (None, None)],
)
def test_true_and_false_may_be_texts(value: object, paid: bool | None) -> None:  # noqa: FBT001
    assert structure({"bill_id": 1, "paid": value}, Bill, "").paid is paid


def test_numbers_may_be_texts() -> None:
    fields = {"bill_id": "7", "rows": "-3", "bill_amount": {"amount": "5.0", "currency_id": "0"}}
    assert structure(fields, Bill, "") == Bill(
        bill_id=7, rows=-3, bill_amount=Amount(amount=Decimal("5.0"), currency_id=None)
    )


def test_moments_are_read_as_they_stand() -> None:
    times = {"day": "2012-09-01T00:00:00", "at": "2012-09-01 10:30:00.1234567"}
    bill = structure({"bill_id": 1, **times}, Bill, "")
    assert bill.day == date(2012, 9, 1)
    assert bill.at == datetime(2012, 9, 1, 10, 30, 0, 123456)  # noqa: DTZ001 - v1's times are so


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({}, "row.bill_id", "a field is missing"),
        ({"bill_id": 1, "rows": None}, "row.rows", "a value is null, not an integer"),
        ({"bill_id": 1, "rows": True}, "row.rows", "a value is not an integer"),
        ({"bill_id": 1, "rows": "9" * 29}, "row.rows", "a value is not an integer of at most"),
        ({"bill_id": 1, "paid": "yes"}, "row.paid", "a value is not true or false"),
        ({"bill_id": 1, "paid": 1}, "row.paid", "a value is not true or false"),
        ({"bill_id": 1, "bill_amount": {}}, "row.bill_amount.amount", "a field is missing"),
        ({"bill_id": 1, "bill_amount": 5}, "row.bill_amount", "a value is not an object"),
        ({"bill_id": 1, "bill_amount": {"amount": 1.5}}, "row.bill_amount.amount", "not a number"),
        ({"bill_id": 1, "day": "2024-02-30"}, "row.day", "a value is not a date"),
        ({"bill_id": 1, "at": "2024-02-20T25:00:00"}, "row.at", "a value is not a date"),
        ([], "row", "a value is not an object"),
        (None, "row", "a value is null, not an object"),
    ],
)
def test_the_path_and_the_reason_are_told(fields: object, path: str, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(fields, Bill, "row")
    assert caught.value.path == path
    assert reason in caught.value.args[0]


def test_a_record_that_its_model_refuses_is_one_that_cannot_be_read() -> None:
    with pytest.raises(DecodeError, match="a record that the model refuses at row"):
        structure({"number": 0}, Positive, "row")
