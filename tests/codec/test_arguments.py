"""Arguments are checked before anything is sent, and all that is wrong is said at once."""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._operations.arguments import date_order
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import (
    Bool,
    Byte,
    Choice,
    Date,
    Id,
    ModifiedDate,
    Moment,
    Money,
    Parameter,
    Row,
    Text,
)
from aiocake.errors import ArgumentError, Problem
from aiocake.models import InvoiceStatus
from aiocake.values import ANY, ERASE, SKIP, Binding

from ..support.requests import encode


def operation(*parameters: Parameter, api: Api = Api.V1, **more: object) -> Operation[object]:
    return Operation(
        name="tests.call",
        api=api,
        path="/api/1/accounting.asmx",
        call="Call",
        parameters=parameters,
        shape=ResponseShape.MARK,
        element="",
        model=object,
        documented_in="",
        **more,  # type: ignore[arg-type]  # what a test adds
    )


def reasons(call: Operation[object], arguments: Mapping[str, object]) -> dict[str, str]:
    """What is wrong, by name; of nothing wrong an empty dict."""
    try:
        encode(call, arguments, Binding.SOAP12)
    except ArgumentError as error:
        return {problem.name: problem.reason for problem in error.problems}
    return {}


class Number(IntEnum):
    SEVEN = 7


class Letter(StrEnum):
    A = "a"


FLAGS = ("required", "sensitive", "erasable")


@pytest.mark.parametrize("kind", [Bool, Byte, Date, Id, Row, Text, partial(Choice, choices=Letter)])
def test_a_parameter_is_what_it_is_told_to_be_and_no_more(kind: Callable[..., Parameter]) -> None:
    told = [kind("a", **flags) for flags in ({}, *({flag: True} for flag in FLAGS))]
    assert [each.name for each in told] == ["a"] * 4
    assert [[getattr(each, flag) for flag in FLAGS] for each in told] == [
        [False, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    with pytest.raises(TypeError, match="requird"):
        kind("a", requird=True)


def test_rows_are_counted_from_0_and_a_choice_tells_its_texts() -> None:
    assert Row("a").check(0) == 0
    assert Choice("a", Letter).choices is Letter


TOO_LONG = "must have at most 50 UTF-16 units"
INT = "must be an int"
ZONED = timezone(timedelta(hours=5))
KINDS: Mapping[type[Parameter], Parameter] = {
    Id: Id("it", required=True),
    Row: Row("it", limit=50, required=True),
    Byte: Byte("it", required=True),
    Text: Text("it", limit=50, required=True),
    Money: Money("it", required=True),
    Date: Date("it", required=True),
    ModifiedDate: ModifiedDate("it", required=True),
    Moment: Moment("it", required=True),
    Bool: Bool("it", required=True),
    Choice: Choice("it", InvoiceStatus, required=True),
}


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Id, 1, None),
        (Id, 2**31 - 1, None),
        (Id, Number.SEVEN, None),
        (Id, 0, "must be from 1 to 2147483647"),
        (Id, -1, "must be from 1 to 2147483647"),
        (Id, 2**31, "must be from 1 to 2147483647"),
        (Id, True, INT),
        (Id, "1", INT),
        (Id, 1.0, INT),
        (Row, 0, None),
        (Row, 50, None),
        (Row, 51, "must be from 0 to 50"),
        (Row, -1, "must be from 0 to 50"),
        (Row, False, INT),
        (Byte, 1, None),
        (Byte, 255, None),
        (Byte, 256, "must be from 1 to 255"),
        (Byte, 0, "0 is not taken: give SKIP"),
        (Byte, False, INT),
        (Text, "a\tb\r\nc", None),
        (Text, "é" * 50, None),
        (Text, "a" * 51, TOO_LONG),
        (Text, "😀" * 25, None),
        (Text, "😀" * 26, TOO_LONG),
        (Text, b"a", "must be a str"),
        (Text, 1, "must be a str"),
        (Text, InvoiceStatus.PAID, "must be a str"),
        *((Text, f"a{chr(code)}b", "XML cannot carry") for code in (0, 8, 11, 12, 14, 31)),
        (Text, "\ufffe", "XML cannot carry"),
        (Text, "\uffff", "XML cannot carry"),
        (Text, "\ud800", "XML cannot carry"),
        (Text, "\x7f\x85\ue000\U0010ffff", None),
        (Money, Decimal("20.01"), None),
        (Money, Decimal("-0.01"), None),
        (Money, Decimal("1E+3"), None),
        (Money, 5, None),
        (Money, Decimal("9" * 28), None),
        (Money, 10**28 - 1, None),
        (Money, Decimal("9" * 29), "at most 28 digits"),
        (Money, 10**28, "at most 28 digits"),
        pytest.param(Money, 10**5000, "at most 28 digits", id="huge"),
        (Money, Decimal("1E+28"), "at most 28 digits"),
        (Money, Decimal("1E+999999"), "at most 28 digits"),
        (Money, Decimal("1E-999999"), "at most 28 digits"),
        (Money, Decimal("0E-999999"), "at most 28 digits"),
        (Money, Decimal("0." + "0" * 27 + "1"), "at most 28 digits"),
        (Money, Decimal("NaN"), "must be a number"),
        (Money, Decimal("sNaN"), "must be a number"),
        (Money, Decimal("-Infinity"), "must be a number"),
        (Money, 20.01, "must be a Decimal or an int, got float"),
        (Money, True, "must be a Decimal or an int, got bool"),
        (Money, "20.01", "must be a Decimal or an int, got str"),
        (Date, date(2024, 2, 29), None),
        (Date, datetime(2024, 2, 29, tzinfo=UTC), "a date without a time"),
        (Date, "2024-02-29", "a date without a time"),
        (ModifiedDate, date(2024, 2, 29), None),
        (ModifiedDate, datetime(2024, 2, 29, tzinfo=ZONED), "a date without a time"),
        (Moment, datetime(2024, 2, 29, tzinfo=ZONED), None),
        (Moment, datetime(2024, 2, 29), "with a time zone"),  # noqa: DTZ001 - it is refused
        (Moment, date(2024, 2, 29), "with a time zone"),
        (Moment, datetime(1, 1, 1, tzinfo=ZONED), "the years 1 to 9999"),
        (Bool, True, None),
        (Bool, False, None),
        (Bool, 1, "must be True or False"),
        (Bool, "true", "must be True or False"),
        (Choice, InvoiceStatus.PAID, None),
        (Choice, "paid", None),
        (Choice, "Paid", "did you mean 'paid'?"),
        (Choice, "piad", "did you mean 'paid'?"),
        (Choice, "zzz", "must be one of pending, approved, paid, void"),
        (
            Choice,
            InvoiceStatus("draft"),
            "must be one of pending, approved, paid, void",
        ),
        (Choice, 2, "must be one of pending, approved, paid, void"),
        (Choice, "paid,void", "must be one of"),
    ],
)
def test_each_kind_takes_what_it_can_send(
    api: Api, kind: type[Parameter], value: object, reason: str | None
) -> None:
    call = operation(KINDS[kind], api=api)
    found = reasons(call, {"it": value})
    if reason is None:
        assert found == {}
    else:
        assert list(found) == ["it"]
        assert reason in found["it"]


@pytest.mark.parametrize("kind", KINDS)
def test_none_is_refused_everywhere(kind: type[Parameter]) -> None:
    it = copy(KINDS[kind])
    vars(it)["erasable"] = True
    call = operation(it)
    assert reasons(call, {"it": None}) == {
        "it": "None is not taken: leave the argument out, or give SKIP"
    }


def test_the_texts_that_mean_something_else_in_v1_are_texts_in_v2() -> None:
    it = Text("it")
    assert "give SKIP to keep what is stored" in reasons(operation(it), {"it": ""})["it"]
    assert "give ERASE for that" in reasons(operation(it), {"it": "NULL"})["it"]
    assert reasons(operation(it), {"it": "null"}) == {}
    for text in ("", "NULL"):
        assert reasons(operation(it, api=Api.V2, method="POST"), {"it": text}) == {}


def test_dates_that_sql_server_cannot_keep_are_refused_in_v1_only() -> None:
    it = Date("it")
    early = {"it": date(1752, 12, 31)}
    assert reasons(operation(it), early) == {"it": "must not be before 1753-01-01"}
    assert reasons(operation(it), {"it": date(1753, 1, 1)}) == {}
    assert reasons(operation(it, api=Api.V2), early) == {}


def test_erase_and_any_are_taken_only_where_they_mean_something() -> None:
    plain = operation(
        Text("text"),
        ModifiedDate("day"),
        Byte("kind"),
    )
    assert reasons(plain, {"text": ERASE, "day": ERASE, "kind": ANY}) == {
        "text": "cannot be erased",
        "day": "cannot be erased",
        "kind": "ANY is not taken here: leave the argument out",
    }
    free = operation(
        Text("text", erasable=True),
        ModifiedDate("day", erasable=True),
        Byte("kind", any_allowed=True),
    )
    assert reasons(free, {"text": ERASE, "day": ERASE, "kind": ANY}) == {}
    assert reasons(free, {"kind": 0}) == {"kind": "0 is not taken: give ANY"}


CALL = operation(
    Id("invoice_id", required=True),
    Text("notes", limit=250),
    Bool("paid"),
)


def test_every_problem_is_named_in_one_error() -> None:
    with pytest.raises(ArgumentError) as caught:
        encode(CALL, {"notes": "a\x00", "paid": 1, "note": "x", "zzz": 1}, Binding.GET)
    assert {problem.name for problem in caught.value.problems} == {
        "invoice_id",
        "notes",
        "paid",
        "note",
        "zzz",
    }
    assert "note: there is no such argument; did you mean 'notes'?" in str(caught.value)
    assert "zzz: there is no such argument; invoice_id: is required" in str(caught.value)


def test_skip_is_as_good_as_not_given() -> None:
    assert reasons(CALL, {"invoice_id": 1, "notes": SKIP}) == {}
    assert reasons(CALL, {"invoice_id": SKIP}) == {"invoice_id": "is required"}


def test_what_v1_cannot_leave_alone_has_to_be_given() -> None:
    amount = Money("amount")
    assert reasons(operation(amount), {}) == {"amount": "is required"}
    assert reasons(operation(amount, api=Api.V2), {}) == {}


def test_rules_over_several_arguments_come_last() -> None:
    call = operation(
        Date("start"),
        Date("end"),
        rules=(date_order("start", "end"), lambda _: Problem("end", "no")),
    )
    late, early = date(2024, 2, 1), date(2024, 1, 1)
    assert reasons(call, {"start": late, "end": early}) == {
        "start": "must not be after end",
        "end": "no",
    }
    assert reasons(call, {"start": early, "end": late}) == {"end": "no"}
    # Of what is wrong by itself nothing more is said.
    no_date = "must be a date without a time, got"
    assert reasons(call, {"start": late, "end": "x"}) == {"end": f"{no_date} str"}
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert reasons(call, {"start": late, "end": noon}) == {"end": f"{no_date} datetime"}
    assert reasons(call, {"start": noon, "end": early}) == {
        "start": f"{no_date} datetime",
        "end": "no",
    }


@given(st.text(min_size=4), st.decimals(allow_nan=True))
def test_no_error_repeats_a_value(text: str, amount: Decimal) -> None:
    call = operation(
        Text("n", limit=3),
        Money("m"),
    )
    canary = f"canary{text}"
    with pytest.raises(ArgumentError) as caught:
        encode(call, {"n": canary, "m": amount}, Binding.GET)
    assert "canary" not in str(caught.value)
    assert "n" in {problem.name for problem in caught.value.problems}


def test_a_number_of_any_size_is_refused_without_writing_it_out() -> None:
    call = operation(Money("m"))
    for huge in (Decimal("1E+999999999999"), Decimal("-1E-999999999999")):
        assert reasons(call, {"m": huge}) == {"m": "must have at most 28 digits"}
