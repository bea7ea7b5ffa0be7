# ruff: noqa: ANN001 - fixtures come from a conftest, whose types cannot be imported
"""Writes whose connections are cut, reset or garbled at a random byte: no verdict is ever wrong.

Nor where a gateway gives up a request, before it has passed it on or after that. The server carries
calls out and keeps books, so that what is said can be held against what was done. One seed is one
call on one client, with one to three attempts that break. Repeat one by
``nox -s campaign -- --seed N``.
"""

from collections.abc import Callable, Coroutine
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import pytest

from aiocake import Client, OutcomeUnknown
from aiocake.errors import ApiError, CakeError, NotSent, Outcome
from aiocake.models import MarkResult

from ..support.clients import NO_BACKOFF

pytestmark = pytest.mark.anyio

KEY = "CAMPAIGN-KEY"
JANUARY = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}

Call = Callable[[Client], Coroutine[Any, Any, object]]

CALLS: dict[str, Call] = {
    "create": lambda cake: cake.invoices.create(affiliate_id=67890, memo="January", **JANUARY),
    "update": lambda cake: cake.invoices.update(4821, invoice_status="approved", memo="by hand"),
    "mark": lambda cake: cake.affiliate_bills.mark_paid(
        345, payment_date=date(2014, 6, 30), notes="wired"
    ),
    "credit": lambda cake: cake.buyer_bills.mark_received(
        77, payment_amount=Decimal("20.01"), apply_credit_to_buyer=True, notes="wired"
    ),
}
#: What must not be sent twice, and so must not be carried out twice.
ONCE = {"create", "credit"}


def target_of(name: str, books) -> bool:
    """Whether the books hold what the call was to bring about, once where once is meant."""
    if name == "create":
        sent = {"affiliate_id": 67890, "start_date": "2024-01-01", "end_date": "2024-01-31"}
        return books.created == [sent | {"memo": "January"}]
    if name == "update":
        return (books.status, books.memo) == ("approved", "by hand")
    if name == "mark":
        last = books.marks[-1] if books.marks else {}
        return (last.get("bill_id"), last.get("payment_date")) == ("345", "2014-06-30")
    (mark,) = books.marks or ({},)
    return (mark.get("payment_amount"), mark.get("apply_credit_to_buyer")) == ("20.01", "true")


def said_wrong(name: str, case, value: object, error: CakeError | None) -> str:
    """What is wrong with a verdict, held against what the server did; empty when nothing is."""
    done = len(case.books.done)
    if name in ONCE and (len(case.whole) > 1 + case.moods.count("429") or done > 1):
        return f"sent {len(case.whole)} times, carried out {done} times"
    if error is None:
        return done_wrong(name, case, value)
    if error.outcome is Outcome.NOT_DONE:
        if isinstance(error, NotSent):
            return "nothing was sent, but something came" if case.begun else ""
        known = isinstance(error, ApiError)
        return f"not done, but carried out {done} times" if done or not known else ""
    return "" if isinstance(error, OutcomeUnknown) else f"{error.outcome} is not said so"


def done_wrong(name: str, case, value: object) -> str:
    """What is wrong with a success."""
    done = len(case.books.done)
    if not target_of(name, case.books):
        return "done, but the books do not hold it"
    if isinstance(value, MarkResult) and value.first is not None and value.first != (done == 1):
        return f"first={value.first}, and it was carried out {done} times"
    return ""


async def one_seed(server, name: str, seed: int, count) -> str:
    case = server.begin(seed)
    value: object = None
    error: CakeError | None = None
    domain, trusting = f"http://{server.host}", None
    if case.dice.tls:
        domain, trusting = server.host, server.trusting
    async with Client(domain, KEY, retry=NO_BACKOFF, ssl_context=trusting) as cake:
        with anyio.fail_after(30):
            try:
                value = await CALLS[name](cake)
            except CakeError as raised:
                error = raised
            case.healed = True
            await cake.invoices.page()  # whatever happened, the next call works
        stats = cake.stats()
        if stats.in_flight or stats.waiting:
            return f"a slot was lost: {stats}"
    server.end(case)
    wrong = said_wrong(name, case, value, error)
    verdict = "done" if error is None else type(error).__name__
    count(f"{name}: {verdict}")
    count("verdicts")
    count("answers of gateways after it was done", sum("after" in mood for mood in case.moods))
    count("answers of gateways before", sum("before" in mood for mood in case.moods))
    count("wrong verdicts", bool(wrong))
    return wrong and f"{wrong}; said: {error!r}; {case.dice}; done: {case.books.done}"


@pytest.mark.parametrize("name", CALLS)
async def test_no_verdict_is_wrong(server, name, seeds, count) -> None:
    wrong = [(seed, said) for seed in seeds if (said := await one_seed(server, name, seed, count))]
    again = "".join(
        f"\n  nox -s campaign -- -k {name} --seed {seed}: {said}" for seed, said in wrong
    )
    assert not wrong, f"{len(wrong)} of {len(seeds)} verdicts are wrong:{again}"
