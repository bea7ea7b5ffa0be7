"""Errors: one tree, plain values, which can be logged, pickled and copied and show no payload."""

import copy
import inspect
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from aiocake import Invoice, InvoiceStatus, errors
from aiocake.errors import (
    AlreadyExists,
    ApiError,
    ArgumentError,
    CakeError,
    Conflict,
    ConsistencyError,
    DeadlineExceeded,
    DecodeError,
    Intent,
    ListChanged,
    NotFound,
    Outcome,
    OutcomeUnknown,
    Problem,
    RateLimited,
)

INVOICE = Invoice(invoice_id=4821, invoice_status=InvoiceStatus.VOID, total_amount=Decimal("20.01"))
AT = datetime(2024, 2, 15, 10, tzinfo=UTC)


def intent(**fields: Any) -> Intent:  # noqa: ANN401 - whatever is tried
    given: dict[str, Any] = {
        "id": "11111111-2222-3333-4444-555555555555",
        "operation": "affiliate_bills.mark_received",
        "arguments": {"bill_id": 345, "invoiced_amount": Decimal("20.01"), "notes": "canary"},
        "at": AT,
        "attempts": 2,
        "hidden": frozenset({"invoiced_amount", "notes"}),
    }
    return Intent(**(given | fields))


def every_error() -> dict[str, CakeError]:
    """One of each kind, with all its fields set."""
    made: dict[str, CakeError] = {
        "ArgumentError": ArgumentError(Problem("a", "is bad"), Problem("b", "is worse")),
        "OutcomeUnknown": OutcomeUnknown(
            "may be done", intent=intent(), cause=NotFound("no", status=404), applied_likely=True
        ),
        "RateLimited": RateLimited("slow down", status=429, retry_after=3.5),
        "DecodeError": DecodeError("bad", path="a[0].b", snippet='{"a": …}', status=200),
        "ListChanged": ListChanged("moved", rows_read=5, total_rows=None),
        "AlreadyExists": AlreadyExists("there", existing=(4821, 4822)),
        "Conflict": Conflict("is void", found=INVOICE),
    }
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not (inspect.isclass(kind) and issubclass(kind, CakeError)) or name in made:
            continue
        made[name] = kind("text", status=500) if issubclass(kind, ApiError) else kind("text")
    for each in made.values():
        each.operation = "invoices.update"
        each.outcome = each.outcome or Outcome.NOT_DONE
    return made


ERRORS = every_error()


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    drawn: dict[str, str] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        bare = line.strip().lstrip("│├└─ ").split(" ")[0]
        if bare not in errors.__all__:
            continue
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
        branch[depth:] = [bare]
        drawn[bare] = branch[depth - 1] if depth > 0 else "Exception"
    real = {
        name: next(base.__name__ for base in getattr(errors, name).__mro__[1:]) for name in ERRORS
    }
    assert drawn == real
    assert len(drawn) > 20


@pytest.mark.parametrize("name", ERRORS)
def test_what_users_catch_it_by(name: str) -> None:
    error = ERRORS[name]
    assert isinstance(error, CakeError)
    assert isinstance(error, ValueError) is (name == "ArgumentError")
    assert isinstance(error, TimeoutError) is (name == "DeadlineExceeded")
    assert isinstance(error, ConsistencyError) is (
        name in {"AlreadyExists", "Conflict", "ConsistencyError", "ListChanged"}
    )


@pytest.mark.parametrize("name", ERRORS)
def test_it_comes_out_of_a_pickle_as_it_was(name: str) -> None:
    error = ERRORS[name]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - just made
        assert type(again) is type(error)
        assert (str(again), repr(again), again.args) == (str(error), repr(error), error.args)
        assert (again.operation, again.outcome) == (error.operation, error.outcome)
        fields, were = vars(again), vars(error)
        assert fields.keys() == were.keys()
        for field in fields.keys() - {"intent", "cause"}:
            assert fields[field] == were[field]
    assert b"canary" not in pickle.dumps(error)


def test_an_unknown_write_comes_out_of_a_pickle_without_its_payload() -> None:
    again = pickle.loads(pickle.dumps(ERRORS["OutcomeUnknown"]))  # noqa: S301 - just made
    assert isinstance(again, OutcomeUnknown)
    assert again.outcome is Outcome.UNKNOWN
    assert again.applied_likely
    assert isinstance(again.cause, NotFound)
    assert (again.cause.status, again.cause.message) == (404, "no")
    assert again.intent.arguments == {
        "bill_id": 345,
        "invoiced_amount": "<hidden>",
        "notes": "<hidden>",
    }
    assert (again.intent.id, again.intent.at, again.intent.attempts) == (intent().id, AT, 2)


def test_a_copy_of_an_intent_keeps_what_a_pickle_hides() -> None:
    whole = intent()
    for same in (copy.copy(whole), copy.deepcopy(whole), copy.deepcopy([whole])[0]):
        assert same == whole
        assert same.arguments["notes"] == "canary"
    assert len({whole, intent()}) == 1


def test_what_an_intent_shows() -> None:
    assert repr(intent()) == (
        "<Intent 11111111-2222-3333-4444-555555555555 affiliate_bills.mark_received("
        "bill_id=345, invoiced_amount=<hidden>, notes=<hidden>)>"
    )
    assert str(intent()) == repr(intent())
    shown = intent(hidden=frozenset())
    assert "notes='canary'" in repr(shown)
    assert shown.shown() == dict(shown.arguments)
    assert intent().shown()["bill_id"] == 345
    bare = Intent("1", "x.y")
    assert (repr(bare), bare.at, bare.attempts) == ("<Intent 1 x.y()>", None, 0)
    assert pickle.loads(pickle.dumps(bare)) == bare  # noqa: S301 - just made


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ERRORS["ArgumentError"], "a: is bad; b: is worse"),
        (ApiError("no", status=200), "no (HTTP 200)"),
        (DecodeError("bad"), "bad"),
        (DecodeError("bad", path="x[1]"), "bad at x[1]"),
        (DecodeError("bad", snippet="<r>"), "bad: <r>"),
        (DecodeError("bad", path="x", snippet="<r>"), "bad at x: <r>"),
        (DeadlineExceeded("late"), "late"),
    ],
)
def test_what_it_says(error: CakeError, text: str) -> None:
    assert str(error) == text


def test_fields_that_are_not_given() -> None:
    plain = CakeError("x")
    assert (plain.outcome, plain.operation) == (None, None)
    assert RateLimited("x", status=429).retry_after is None
    assert RateLimited("x", status=429).sent is True
    bare = DecodeError("x")
    assert (bare.path, bare.snippet, bare.status) == ("", "", None)
    unknown = OutcomeUnknown("x", intent=intent(), cause=plain)
    assert (unknown.applied_likely, unknown.outcome) == (False, Outcome.UNKNOWN)
    assert ArgumentError().problems == ()


def hush(text: str) -> str:
    return text.replace("canary", "<key>")


def test_scrubbing_reaches_every_text() -> None:
    cause = DecodeError("canary", path="canary", snippet="canary canary", status=1)
    cause.operation = "invoices.create"
    error = OutcomeUnknown("it is canary", intent=intent(), cause=cause)
    error.scrub(hush)
    assert error.args == ("it is <key>",)
    assert vars(cause) == {
        "path": "<key>",
        "snippet": "<key> <key>",
        "status": 1,
        "operation": "invoices.create",
    }
    assert cause.args == ("<key>",)
    assert error.outcome is Outcome.UNKNOWN
    refused = ApiError("no canary", status=200)
    refused.scrub(hush)
    assert (refused.message, str(refused)) == ("no <key>", "no <key> (HTTP 200)")
    odd = CakeError("canary", 5)
    odd.scrub(hush)
    assert odd.args == ("<key>", 5)


@pytest.mark.parametrize("name", ERRORS)
def test_it_holds_plain_values(name: str) -> None:
    # An invoice holds such values and no more.
    plain = (str, int, float, bool, type(None), tuple, Intent, Invoice, CakeError)
    assert all(isinstance(value, plain) for value in vars(ERRORS[name]).values())


def test_an_outcome_is_its_text() -> None:
    assert [str(each) for each in Outcome] == ["done", "not_done", "unknown"]
