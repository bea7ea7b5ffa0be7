"""A write as a value: compared, printed, kept as JSON, and refused at once if it cannot be sent."""

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake import ERASE, SKIP, ArgumentError, Client, Intent, InvoiceStatus, bulk
from aiocake.bulk import Call
from aiocake.sandbox import Sandbox

JUNE = date(2014, 6, 30)


@pytest.fixture(scope="module")
def cake() -> Iterator[Client]:
    client = Client("x.example", "K", transport=httpx.MockTransport(_never))
    yield client
    client._closed = True  # nothing was opened


def _never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request)


def calls(cake: Client) -> list[tuple[Call[Any], Call[Any]]]:
    """Pairs of equal calls that are given in two ways."""
    paid_at = datetime(2024, 2, 15, 10, tzinfo=UTC)
    return [
        (
            bulk.call(cake.invoices.update, 4821, invoice_status="approved"),
            bulk.call(
                cake.invoices.update,
                invoice_id=4821,
                invoice_status=InvoiceStatus.APPROVED,
                memo=SKIP,
            ),
        ),
        (
            bulk.call(cake.invoices.update, 1, invoice_status="paid", paid_at=paid_at),
            bulk.call(
                cake.invoices.update,
                1,
                invoice_status="paid",
                paid_at=paid_at.astimezone(timezone(timedelta(hours=9))),
            ),
        ),
        (
            bulk.call(cake.affiliate_bills.mark_received, 3, invoiced_amount=20, notes=ERASE),
            bulk.call(
                cake.affiliate_bills.mark_received, 3, notes=ERASE, invoiced_amount=Decimal("20.00")
            ),
        ),
        (
            bulk.call(cake.affiliate_bills.mark_received, 3, invoiced_amount=0),
            bulk.call(cake.affiliate_bills.mark_received, 3, invoiced_amount=Decimal("-0.0")),
        ),
        (
            bulk.call(cake.affiliate_bills.mark_paid, 3, payment_date=JUNE, payment_type_id=2),
            bulk.call(cake.affiliate_bills.mark_paid, 3, payment_type_id=2, payment_date=JUNE),
        ),
        (
            bulk.call(
                cake.buyer_bills.mark_received, 3, payment_amount=1, apply_credit_to_buyer=True
            ),
            bulk.call(
                cake.buyer_bills.mark_received, 3, apply_credit_to_buyer=True, payment_amount=1
            ),
        ),
    ]


def test_equal_calls_are_equal_in_every_way(cake: Client) -> None:
    pairs = calls(cake)
    for one, other in pairs:
        assert one == other
        assert hash(one) == hash(other)
        assert one.digest() == other.digest()
    assert len({one.digest() for one, _ in pairs}) == len(pairs)
    assert len({one for one, _ in pairs}) == len(pairs)


def test_a_call_comes_back_from_json_as_it_was(cake: Client) -> None:
    for one, other in calls(cake):
        for call in (one, other):
            again = Call.from_json(call.to_json(), cake)
            assert again == call
            assert again.digest() == call.digest()
            assert again.to_json() == call.to_json()
            assert again.describe(show_sensitive=True) == call.describe(show_sensitive=True)


@given(
    # ASP.NET refuses what looks like markup by GET, the binding of this client.
    text=st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&\ufffe\uffff")
    ),
    amount=st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-9, max_value=9**9
    ),
    day=st.dates(min_value=date(1753, 1, 1)),
)
def test_any_value_comes_back_from_json(
    cake: Client, text: str, amount: Decimal, day: date
) -> None:
    notes = text if text not in {"", "NULL"} and len(text.encode("utf-16-le")) <= 500 else ERASE
    call = bulk.call(
        cake.affiliate_bills.mark_received,
        1,
        invoiced_amount=amount,
        date_invoice_received=day,
        notes=notes,
    )
    again = Call.from_json(call.to_json(), cake)
    assert dict(again.arguments) == dict(call.arguments)
    assert again.digest() == call.digest()


def test_it_shows_no_names_notes_and_amounts_unless_asked(cake: Client) -> None:
    call = bulk.call(
        cake.affiliate_bills.mark_received, 3, invoiced_amount=Decimal("20.01"), notes="canary"
    )
    shown = "affiliate_bills.mark_received(bill_id=3, invoiced_amount={}, notes={})"
    assert repr(call) == f"<Call {shown.format('<hidden>', '<hidden>')}>"
    assert str(call) == repr(call)
    assert call.describe(show_sensitive=True) == shown.format("20.01", "'canary'")


def test_it_is_frozen_and_not_pickled(cake: Client) -> None:
    call = bulk.call(cake.invoices.update, 1, memo="x")
    with pytest.raises(AttributeError):
        call.operation = "invoices.create"
    with pytest.raises(TypeError):
        call.arguments["memo"] = "y"
    with pytest.raises(TypeError, match="JSON"):
        pickle.dumps(call)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda cake: cake.invoices.get, "only reads"),
        (lambda cake: cake.invoices.page, "only reads"),
        (lambda cake: cake.invoices.find, "only reads"),
        (lambda cake: cake.reference.currencies, "only reads"),
        (lambda cake: cake.invoices._call, "a method of a client"),
        (lambda cake: cake.request, "a method of a client"),
        (lambda cake: cake.aclose, "a method of a client"),
        (lambda _: len, "a method of a client"),
        (lambda _: print, "a method of a client"),
        (lambda cake: lambda *_: cake.invoices.update(1, memo="x"), "a method of a client"),
        (lambda cake: type(cake.invoices).update, "a method of a client"),
    ],
)
def test_only_a_clients_own_writes_can_be_called_so(
    cake: Client, method: Callable[[Client], Any], message: str
) -> None:
    arguments = (1,) if method(cake) == cake.invoices.get else ()
    with pytest.raises(ArgumentError, match=message):
        bulk.call(method(cake), *arguments)


def test_what_cannot_be_sent_is_refused_at_once(cake: Client) -> None:
    with pytest.raises(ArgumentError, match=r"invoice_id.*invoice_status"):
        bulk.call(cake.invoices.update, 0, invoice_status="payed")
    with pytest.raises(TypeError, match="invoice_state"):
        bulk.call(cake.invoices.update, 1, invoice_state="paid")
    with pytest.raises(ArgumentError, match="float"):
        bulk.call(cake.affiliate_bills.mark_received, 1, invoiced_amount=0.1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        '{"operation": "invoices.update"}',
        '{"operation": "invoices.update", "arguments": {"invoice_id": 0, "memo": "x"}}',
        '{"operation": "invoices.update", "arguments": {"invoice_id": 1, "mem": "x"}}',
        '{"operation": "invoices.update", "arguments": {"invoice_id": {"date": "x"}, "memo": "x"}}',
        '{"operation": "invoices.update", "arguments": {"invoice_id": {"odd": "x"}, "memo": "x"}}',
        '{"operation": "invoices.get", "arguments": {"invoice_id": 1}}',
        '{"operation": "invoices._call", "arguments": {}}',
        '{"operation": "invoices", "arguments": {}}',
        '{"operation": "aclose", "arguments": {}}',
        '{"operation": "_engine.run", "arguments": {}}',
        '{"operation": "os.system", "arguments": {"command": "x"}}',
    ],
)
def test_what_is_no_kept_call_is_refused(cake: Client, text: str) -> None:
    with pytest.raises(ArgumentError):
        Call.from_json(text, cake)


def test_the_call_of_an_intent(cake: Client) -> None:
    call = bulk.call(cake.invoices.update, 7, invoice_status="approved", memo="canary")
    intent = Intent("i", call.operation, dict(call.arguments), hidden=frozenset({"memo"}))
    assert Call.of(intent, cake) == call
    with pytest.raises(ArgumentError, match="memo: is hidden"):
        Call.of(pickle.loads(pickle.dumps(intent)), cake)  # noqa: S301 - just made


@pytest.mark.anyio
async def test_a_call_is_sent_like_its_method() -> None:
    sandbox = Sandbox()
    async with Client(
        "x.example", "SANDBOX-KEY", transport=httpx.ASGITransport(app=sandbox.app)
    ) as cake:
        call = bulk.call(cake.invoices.update, 4821, invoice_status="approved")
        assert sandbox.state.requests == []
        assert await call.send() == await cake.invoices.update(4821, invoice_status="approved")
    first, second = sandbox.state.requests
    assert first.arguments == second.arguments
