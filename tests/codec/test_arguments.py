"""Arguments are checked before anything is sent, and all that is wrong is said at once."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._given import in_order
from aiocake._operation import Api, Kind, Operation, Parameter, Shape
from aiocake.codec import encode
from aiocake.errors import ArgumentError, Problem
from aiocake.models import InvoiceStatus
from aiocake.values import ANY, ERASE, SKIP, Binding


def operation(*parameters: Parameter, api: Api = Api.V1, **more: object) -> Operation[object]:
    return Operation(
        name="tests.call",
        api=api,
        path="/api/1/accounting.asmx",
        call="Call",
        parameters=parameters,
        shape=Shape.MARK,
        element="",
        model=object,
        page="",
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


TOO_LONG = "must have at most 50 UTF-16 units"
INT = "must be an int"
ZONED = timezone(timedelta(hours=5))


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Kind.ID, 1, None),
        (Kind.ID, 2**31 - 1, None),
        (Kind.ID, Number.SEVEN, None),
        (Kind.ID, 0, "must be from 1 to 2147483647"),
        (Kind.ID, -1, "must be from 1 to 2147483647"),
        (Kind.ID, 2**31, "must be from 1 to 2147483647"),
        (Kind.ID, True, INT),
        (Kind.ID, "1", INT),
        (Kind.ID, 1.0, INT),
        (Kind.ROW, 0, None),
        (Kind.ROW, 50, None),
        (Kind.ROW, 51, "must be from 0 to 50"),
        (Kind.ROW, -1, "must be from 0 to 50"),
        (Kind.ROW, False, INT),
        (Kind.BYTE, 1, None),
        (Kind.BYTE, 255, None),
        (Kind.BYTE, 256, "must be from 1 to 255"),
        (Kind.BYTE, 0, "0 is not taken: give SKIP"),
        (Kind.BYTE, False, INT),
        (Kind.TEXT, "a\tb\r\nc", None),
        (Kind.TEXT, "é" * 50, None),
        (Kind.TEXT, "a" * 51, TOO_LONG),
        (Kind.TEXT, "😀" * 25, None),
        (Kind.TEXT, "😀" * 26, TOO_LONG),
        (Kind.TEXT, b"a", "must be a str"),
        (Kind.TEXT, 1, "must be a str"),
        (Kind.TEXT, InvoiceStatus.PAID, "must be a str"),
        *((Kind.TEXT, f"a{chr(code)}b", "XML cannot carry") for code in (0, 8, 11, 12, 14, 31)),
        (Kind.TEXT, "\ufffe", "XML cannot carry"),
        (Kind.TEXT, "\uffff", "XML cannot carry"),
        (Kind.TEXT, "\ud800", "XML cannot carry"),
        (Kind.TEXT, "\x7f\x85\ue000\U0010ffff", None),
        (Kind.MONEY, Decimal("20.01"), None),
        (Kind.MONEY, Decimal("-0.01"), None),
        (Kind.MONEY, Decimal("1E+3"), None),
        (Kind.MONEY, 5, None),
        (Kind.MONEY, Decimal("9" * 28), None),
        (Kind.MONEY, 10**28 - 1, None),
        (Kind.MONEY, Decimal("9" * 29), "at most 28 digits"),
        (Kind.MONEY, 10**28, "at most 28 digits"),
        pytest.param(Kind.MONEY, 10**5000, "at most 28 digits", id="huge"),
        (Kind.MONEY, Decimal("1E+28"), "at most 28 digits"),
        (Kind.MONEY, Decimal("1E+999999"), "at most 28 digits"),
        (Kind.MONEY, Decimal("1E-999999"), "at most 28 digits"),
        (Kind.MONEY, Decimal("0E-999999"), "at most 28 digits"),
        (Kind.MONEY, Decimal("0." + "0" * 27 + "1"), "at most 28 digits"),
        (Kind.MONEY, Decimal("NaN"), "must be a number"),
        (Kind.MONEY, Decimal("sNaN"), "must be a number"),
        (Kind.MONEY, Decimal("-Infinity"), "must be a number"),
        (Kind.MONEY, 20.01, "must be a Decimal or an int, got float"),
        (Kind.MONEY, True, "must be a Decimal or an int, got bool"),
        (Kind.MONEY, "20.01", "must be a Decimal or an int, got str"),
        (Kind.DATE, date(2024, 2, 29), None),
        (Kind.DATE, datetime(2024, 2, 29, tzinfo=UTC), "a date without a time"),
        (Kind.DATE, "2024-02-29", "a date without a time"),
        (Kind.MODIFIED_DATE, date(2024, 2, 29), None),
        (Kind.MODIFIED_DATE, datetime(2024, 2, 29, tzinfo=ZONED), "a date without a time"),
        (Kind.MOMENT, datetime(2024, 2, 29, tzinfo=ZONED), None),
        (Kind.MOMENT, datetime(2024, 2, 29), "with a time zone"),  # noqa: DTZ001 - it is refused
        (Kind.MOMENT, date(2024, 2, 29), "with a time zone"),
        (Kind.MOMENT, datetime(1, 1, 1, tzinfo=ZONED), "the years 1 to 9999"),
        (Kind.BOOL, True, None),
        (Kind.BOOL, False, None),
        (Kind.BOOL, 1, "must be True or False"),
        (Kind.BOOL, "true", "must be True or False"),
        (Kind.CHOICE, InvoiceStatus.PAID, None),
        (Kind.CHOICE, "paid", None),
        (Kind.CHOICE, "Paid", "did you mean 'paid'?"),
        (Kind.CHOICE, "piad", "did you mean 'paid'?"),
        (Kind.CHOICE, "zzz", "must be one of pending, approved, paid, void"),
        (Kind.CHOICE, InvoiceStatus("draft"), "must be one of pending, approved, paid, void"),
        (Kind.CHOICE, 2, "must be one of pending, approved, paid, void"),
        (Kind.CHOICE, "paid,void", "must be one of"),
    ],
)
def test_each_kind_takes_what_it_can_send(
    api: Api, kind: Kind, value: object, reason: str | None
) -> None:
    call = operation(
        Parameter(name="it", kind=kind, required=True, limit=50, choices=InvoiceStatus), api=api
    )
    found = reasons(call, {"it": value})
    if reason is None:
        assert found == {}
    else:
        assert list(found) == ["it"]
        assert reason in found["it"]


@pytest.mark.parametrize("kind", Kind)
def test_none_is_refused_everywhere(kind: Kind) -> None:
    call = operation(Parameter(name="it", kind=kind, erasable=True, anything=True))
    assert reasons(call, {"it": None}) == {
        "it": "None is not taken: leave the argument out, or give SKIP"
    }


def test_the_texts_that_mean_something_else_in_v1_are_texts_in_v2() -> None:
    it = Parameter(name="it", kind=Kind.TEXT)
    assert "give SKIP to keep what is stored" in reasons(operation(it), {"it": ""})["it"]
    assert "give ERASE for that" in reasons(operation(it), {"it": "NULL"})["it"]
    assert reasons(operation(it), {"it": "null"}) == {}
    for text in ("", "NULL"):
        assert reasons(operation(it, api=Api.V2, method="POST"), {"it": text}) == {}


def test_dates_that_sql_server_cannot_keep_are_refused_in_v1_only() -> None:
    it = Parameter(name="it", kind=Kind.DATE)
    early = {"it": date(1752, 12, 31)}
    assert reasons(operation(it), early) == {"it": "must not be before 1753-01-01"}
    assert reasons(operation(it), {"it": date(1753, 1, 1)}) == {}
    assert reasons(operation(it, api=Api.V2), early) == {}


def test_erase_and_any_are_taken_only_where_they_mean_something() -> None:
    plain = operation(
        Parameter(name="text", kind=Kind.TEXT),
        Parameter(name="day", kind=Kind.MODIFIED_DATE),
        Parameter(name="kind", kind=Kind.BYTE),
    )
    assert reasons(plain, {"text": ERASE, "day": ERASE, "kind": ANY}) == {
        "text": "cannot be erased",
        "day": "cannot be erased",
        "kind": "ANY is not taken here: leave the argument out",
    }
    free = operation(
        Parameter(name="text", kind=Kind.TEXT, erasable=True),
        Parameter(name="day", kind=Kind.MODIFIED_DATE, erasable=True),
        Parameter(name="kind", kind=Kind.BYTE, anything=True),
    )
    assert reasons(free, {"text": ERASE, "day": ERASE, "kind": ANY}) == {}
    assert reasons(free, {"kind": 0}) == {"kind": "0 is not taken: give ANY"}


CALL = operation(
    Parameter(name="invoice_id", kind=Kind.ID, required=True),
    Parameter(name="notes", kind=Kind.TEXT, limit=250),
    Parameter(name="paid", kind=Kind.BOOL),
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
    amount = Parameter(name="amount", kind=Kind.MONEY)
    assert reasons(operation(amount), {}) == {"amount": "is required"}
    assert reasons(operation(amount, api=Api.V2), {}) == {}


def test_rules_over_several_arguments_come_last() -> None:
    call = operation(
        Parameter(name="start", kind=Kind.DATE),
        Parameter(name="end", kind=Kind.DATE),
        rules=(in_order("start", "end"), lambda _: Problem("end", "no")),
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
        Parameter(name="n", kind=Kind.TEXT, limit=3), Parameter(name="m", kind=Kind.MONEY)
    )
    canary = f"canary{text}"
    with pytest.raises(ArgumentError) as caught:
        encode(call, {"n": canary, "m": amount}, Binding.GET)
    assert "canary" not in str(caught.value)
    assert "n" in {problem.name for problem in caught.value.problems}


def test_a_number_of_any_size_is_refused_without_writing_it_out() -> None:
    call = operation(Parameter(name="m", kind=Kind.MONEY))
    for huge in (Decimal("1E+999999999999"), Decimal("-1E-999999999999")):
        assert reasons(call, {"m": huge}) == {"m": "must have at most 28 digits"}
