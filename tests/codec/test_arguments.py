"""Arguments are checked before anything is sent, and all that is wrong is said at once."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec import encode
from aiocake._operations.arguments import date_order
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import Parameter, ParameterKind
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


TOO_LONG = "must have at most 50 UTF-16 units"
INT = "must be an int"
ZONED = timezone(timedelta(hours=5))


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (ParameterKind.ID, 1, None),
        (ParameterKind.ID, 2**31 - 1, None),
        (ParameterKind.ID, Number.SEVEN, None),
        (ParameterKind.ID, 0, "must be from 1 to 2147483647"),
        (ParameterKind.ID, -1, "must be from 1 to 2147483647"),
        (ParameterKind.ID, 2**31, "must be from 1 to 2147483647"),
        (ParameterKind.ID, True, INT),
        (ParameterKind.ID, "1", INT),
        (ParameterKind.ID, 1.0, INT),
        (ParameterKind.ROW, 0, None),
        (ParameterKind.ROW, 50, None),
        (ParameterKind.ROW, 51, "must be from 0 to 50"),
        (ParameterKind.ROW, -1, "must be from 0 to 50"),
        (ParameterKind.ROW, False, INT),
        (ParameterKind.BYTE, 1, None),
        (ParameterKind.BYTE, 255, None),
        (ParameterKind.BYTE, 256, "must be from 1 to 255"),
        (ParameterKind.BYTE, 0, "0 is not taken: give SKIP"),
        (ParameterKind.BYTE, False, INT),
        (ParameterKind.TEXT, "a\tb\r\nc", None),
        (ParameterKind.TEXT, "é" * 50, None),
        (ParameterKind.TEXT, "a" * 51, TOO_LONG),
        (ParameterKind.TEXT, "😀" * 25, None),
        (ParameterKind.TEXT, "😀" * 26, TOO_LONG),
        (ParameterKind.TEXT, b"a", "must be a str"),
        (ParameterKind.TEXT, 1, "must be a str"),
        (ParameterKind.TEXT, InvoiceStatus.PAID, "must be a str"),
        *(
            (ParameterKind.TEXT, f"a{chr(code)}b", "XML cannot carry")
            for code in (0, 8, 11, 12, 14, 31)
        ),
        (ParameterKind.TEXT, "\ufffe", "XML cannot carry"),
        (ParameterKind.TEXT, "\uffff", "XML cannot carry"),
        (ParameterKind.TEXT, "\ud800", "XML cannot carry"),
        (ParameterKind.TEXT, "\x7f\x85\ue000\U0010ffff", None),
        (ParameterKind.MONEY, Decimal("20.01"), None),
        (ParameterKind.MONEY, Decimal("-0.01"), None),
        (ParameterKind.MONEY, Decimal("1E+3"), None),
        (ParameterKind.MONEY, 5, None),
        (ParameterKind.MONEY, Decimal("9" * 28), None),
        (ParameterKind.MONEY, 10**28 - 1, None),
        (ParameterKind.MONEY, Decimal("9" * 29), "at most 28 digits"),
        (ParameterKind.MONEY, 10**28, "at most 28 digits"),
        pytest.param(ParameterKind.MONEY, 10**5000, "at most 28 digits", id="huge"),
        (ParameterKind.MONEY, Decimal("1E+28"), "at most 28 digits"),
        (ParameterKind.MONEY, Decimal("1E+999999"), "at most 28 digits"),
        (ParameterKind.MONEY, Decimal("1E-999999"), "at most 28 digits"),
        (ParameterKind.MONEY, Decimal("0E-999999"), "at most 28 digits"),
        (ParameterKind.MONEY, Decimal("0." + "0" * 27 + "1"), "at most 28 digits"),
        (ParameterKind.MONEY, Decimal("NaN"), "must be a number"),
        (ParameterKind.MONEY, Decimal("sNaN"), "must be a number"),
        (ParameterKind.MONEY, Decimal("-Infinity"), "must be a number"),
        (ParameterKind.MONEY, 20.01, "must be a Decimal or an int, got float"),
        (ParameterKind.MONEY, True, "must be a Decimal or an int, got bool"),
        (ParameterKind.MONEY, "20.01", "must be a Decimal or an int, got str"),
        (ParameterKind.DATE, date(2024, 2, 29), None),
        (ParameterKind.DATE, datetime(2024, 2, 29, tzinfo=UTC), "a date without a time"),
        (ParameterKind.DATE, "2024-02-29", "a date without a time"),
        (ParameterKind.MODIFIED_DATE, date(2024, 2, 29), None),
        (ParameterKind.MODIFIED_DATE, datetime(2024, 2, 29, tzinfo=ZONED), "a date without a time"),
        (ParameterKind.MOMENT, datetime(2024, 2, 29, tzinfo=ZONED), None),
        (ParameterKind.MOMENT, datetime(2024, 2, 29), "with a time zone"),  # noqa: DTZ001 - it is refused
        (ParameterKind.MOMENT, date(2024, 2, 29), "with a time zone"),
        (ParameterKind.MOMENT, datetime(1, 1, 1, tzinfo=ZONED), "the years 1 to 9999"),
        (ParameterKind.BOOL, True, None),
        (ParameterKind.BOOL, False, None),
        (ParameterKind.BOOL, 1, "must be True or False"),
        (ParameterKind.BOOL, "true", "must be True or False"),
        (ParameterKind.CHOICE, InvoiceStatus.PAID, None),
        (ParameterKind.CHOICE, "paid", None),
        (ParameterKind.CHOICE, "Paid", "did you mean 'paid'?"),
        (ParameterKind.CHOICE, "piad", "did you mean 'paid'?"),
        (ParameterKind.CHOICE, "zzz", "must be one of pending, approved, paid, void"),
        (
            ParameterKind.CHOICE,
            InvoiceStatus("draft"),
            "must be one of pending, approved, paid, void",
        ),
        (ParameterKind.CHOICE, 2, "must be one of pending, approved, paid, void"),
        (ParameterKind.CHOICE, "paid,void", "must be one of"),
    ],
)
def test_each_kind_takes_what_it_can_send(
    api: Api, kind: ParameterKind, value: object, reason: str | None
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


@pytest.mark.parametrize("kind", ParameterKind)
def test_none_is_refused_everywhere(kind: ParameterKind) -> None:
    call = operation(Parameter(name="it", kind=kind, erasable=True, any_allowed=True))
    assert reasons(call, {"it": None}) == {
        "it": "None is not taken: leave the argument out, or give SKIP"
    }


def test_the_texts_that_mean_something_else_in_v1_are_texts_in_v2() -> None:
    it = Parameter(name="it", kind=ParameterKind.TEXT)
    assert "give SKIP to keep what is stored" in reasons(operation(it), {"it": ""})["it"]
    assert "give ERASE for that" in reasons(operation(it), {"it": "NULL"})["it"]
    assert reasons(operation(it), {"it": "null"}) == {}
    for text in ("", "NULL"):
        assert reasons(operation(it, api=Api.V2, method="POST"), {"it": text}) == {}


def test_dates_that_sql_server_cannot_keep_are_refused_in_v1_only() -> None:
    it = Parameter(name="it", kind=ParameterKind.DATE)
    early = {"it": date(1752, 12, 31)}
    assert reasons(operation(it), early) == {"it": "must not be before 1753-01-01"}
    assert reasons(operation(it), {"it": date(1753, 1, 1)}) == {}
    assert reasons(operation(it, api=Api.V2), early) == {}


def test_erase_and_any_are_taken_only_where_they_mean_something() -> None:
    plain = operation(
        Parameter(name="text", kind=ParameterKind.TEXT),
        Parameter(name="day", kind=ParameterKind.MODIFIED_DATE),
        Parameter(name="kind", kind=ParameterKind.BYTE),
    )
    assert reasons(plain, {"text": ERASE, "day": ERASE, "kind": ANY}) == {
        "text": "cannot be erased",
        "day": "cannot be erased",
        "kind": "ANY is not taken here: leave the argument out",
    }
    free = operation(
        Parameter(name="text", kind=ParameterKind.TEXT, erasable=True),
        Parameter(name="day", kind=ParameterKind.MODIFIED_DATE, erasable=True),
        Parameter(name="kind", kind=ParameterKind.BYTE, any_allowed=True),
    )
    assert reasons(free, {"text": ERASE, "day": ERASE, "kind": ANY}) == {}
    assert reasons(free, {"kind": 0}) == {"kind": "0 is not taken: give ANY"}


CALL = operation(
    Parameter(name="invoice_id", kind=ParameterKind.ID, required=True),
    Parameter(name="notes", kind=ParameterKind.TEXT, limit=250),
    Parameter(name="paid", kind=ParameterKind.BOOL),
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
    amount = Parameter(name="amount", kind=ParameterKind.MONEY)
    assert reasons(operation(amount), {}) == {"amount": "is required"}
    assert reasons(operation(amount, api=Api.V2), {}) == {}


def test_rules_over_several_arguments_come_last() -> None:
    call = operation(
        Parameter(name="start", kind=ParameterKind.DATE),
        Parameter(name="end", kind=ParameterKind.DATE),
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
        Parameter(name="n", kind=ParameterKind.TEXT, limit=3),
        Parameter(name="m", kind=ParameterKind.MONEY),
    )
    canary = f"canary{text}"
    with pytest.raises(ArgumentError) as caught:
        encode(call, {"n": canary, "m": amount}, Binding.GET)
    assert "canary" not in str(caught.value)
    assert "n" in {problem.name for problem in caught.value.problems}


def test_a_number_of_any_size_is_refused_without_writing_it_out() -> None:
    call = operation(Parameter(name="m", kind=ParameterKind.MONEY))
    for huge in (Decimal("1E+999999999999"), Decimal("-1E-999999999999")):
        assert reasons(call, {"m": huge}) == {"m": "must have at most 28 digits"}
