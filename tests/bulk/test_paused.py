# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""A run whose server asks to wait for an hour: it stops, says until when, and can be resumed."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from starlette.responses import Response

from aiocake import RateLimited, RetryPolicy, Throttle, bulk
from aiocake.bulk import Failed, Unknown
from aiocake.bulk.journal import EntryState
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import RecordedRequest

from ..support.runs import approvals

pytestmark = pytest.mark.anyio


@attrs.define
class Quota:
    """Lets so many requests in, and then says to wait for an hour.

    Attributes:
        left: How many more it lets in.
        only: The operations that it counts; all by default.
        refused: How many it did not let in.
    """

    left: int
    only: frozenset[str] | None = None
    refused: int = 0

    def __call__(self, request: RecordedRequest) -> Response | None:
        if self.only is not None and request.operation not in self.only:
            return None
        self.left -= 1
        if self.left >= 0:
            return None
        self.refused += 1
        return Response("Daily limit reached", 429, headers={"Retry-After": "3600"})


def limited(sandbox: Sandbox, left: int, *only: str) -> Quota:
    quota = Quota(left, frozenset(only) or None)
    sandbox.state.on_request.insert(0, quota)
    return quota


def says_until_when(stopped: str | None, began: datetime) -> None:
    found = re.fullmatch(
        r"the server asks to wait \(HTTP 429\): "
        r"the client is paused until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC",
        stopped or "",
    )
    assert found is not None, stopped
    until = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    assert timedelta(-1) <= until - began - timedelta(hours=1) < timedelta(minutes=1)


@pytest.mark.parametrize("with_journal", [True, False])
async def test_it_stops_says_until_when_and_goes_on(
    ledgers,
    tmp_path: Path,
    with_journal: bool,  # noqa: FBT001 - by pytest
) -> None:
    sandbox = Sandbox()
    quota = limited(sandbox, 5, "update_invoice")  # of the looks before, more are let in
    path = tmp_path / "run.db" if with_journal else None
    reported: list[object] = []
    began = datetime.now(UTC)
    async with ledgers(sandbox).client(retry=None) as cake:
        summary = await bulk.each(
            approvals(cake, sandbox, 60), journal=path, on_outcome=reported.append
        )
        # What was on its way.
        assert 1 <= quota.refused <= 4
        assert (summary.done, summary.failed, summary.unknown) == (5, quota.refused, 0)
        assert summary.unsent == 55 - quota.refused
        says_until_when(summary.stopped, began)
        assert len(reported) == 5 + quota.refused
        for problem in summary.problems:
            assert isinstance(problem, Failed)
            assert isinstance(problem.error, RateLimited)
            assert problem.error.sent
        if path is None:
            return
        async with await bulk.Journal.open(path) as book:
            (session,) = [each for each in await book.sessions() if each.ended_at]
            assert session.stopped == summary.stopped
            assert len(await book.entries(EntryState.PLANNED)) == summary.unsent
        # As long as the pause goes on, nothing is sent, and nothing is lost.
        sent = len(sandbox.state.requests)
        again = await bulk.resume(path, cake)
        assert len(sandbox.state.requests) == sent
        assert (again.done, again.failed) == (5, quota.refused)
        assert again.unsent == summary.unsent
        # Those that failed before are still to be done, and say why.
        assert [each.index for each in again.problems] == [each.index for each in summary.problems]
        for problem in again.problems:
            assert isinstance(problem, Failed)
            assert str(problem.error).startswith(
                "it failed in an earlier run, and was not sent again: RateLimited: "
            )
        says_until_when(again.stopped, began)
        sandbox.state.on_request.remove(quota)
        cake.end_pause()
        last = await bulk.resume(path, cake)
        assert (last.done, last.complete, last.stopped) == (60, True, None)


@pytest.mark.parametrize("left", [0, 1, 3])
async def test_a_create_whose_look_is_refused_stays_planned(ledgers, january, left) -> None:
    ledger = ledgers()
    limited(ledger.sandbox, left, "invoices")
    began = datetime.now(UTC)
    async with ledger.client(retry=None, throttle=Throttle(concurrency=1)) as cake:
        calls = [january(cake, affiliate) for affiliate in ledger.affiliates(8)]
        # A generator: no partner is looked at ahead of the others.
        summary = await bulk.each((call for call in calls), journal=None)
        says_until_when(summary.stopped, began)
    assert summary.done == len(ledger.periods()) == left
    assert (summary.unknown, summary.skipped) == (0, 0)
    # The look that was answered so is one call that failed; all others are as if not taken.
    assert summary.failed == 1
    assert not summary.plan_read


async def test_what_may_be_done_stays_unknown(ledgers, tmp_path: Path) -> None:
    ledger = ledgers(Sandbox())
    path = tmp_path / "run.db"
    is_write = lambda request: request.operation == "update_invoice"  # noqa: E731 - short
    ledger.lose(is_write, done=True)
    async with ledger.client(throttle=Throttle(concurrency=1)) as cake:
        calls = approvals(cake, ledger.sandbox, 5)
        stop = bulk.Stop(unknown=1)
        first = await bulk.each(calls, journal=path, stop_after=stop)
        assert (first.done, first.unknown, first.unsent) == (0, 1, 4)
    # Whatever it looks at first, the pause is what it meets.
    for left in range(3):
        quota = limited(ledger.sandbox, left)
        async with ledger.client(retry=RetryPolicy(attempts=1)) as cake:
            for _ in range(left):
                await cake.invoices.page()
            with pytest.raises(RateLimited):
                await cake.invoices.page()
            writes = len(ledger.writes)
            again = await bulk.resume(path, cake)
            assert again.stopped is not None
            assert (again.done, again.unknown, again.unsent, again.failed) == (0, 1, 4, 0)
            assert len(ledger.writes) == writes
            assert isinstance(again.problems[0], Unknown)
        ledger.state.on_request.remove(quota)
    async with ledger.client() as cake:
        assert (await bulk.resume(path, cake)).complete


async def test_what_waits_to_be_sent_again_stays_unknown(ledgers, tmp_path: Path) -> None:
    """Two that may be done are sent again: one meets the pause while the other waits for a turn."""
    ledger = ledgers(Sandbox())
    path = tmp_path / "run.db"
    for _ in range(2):
        ledger.lose(lambda request: request.operation == "update_invoice", done=False)
    async with ledger.client(throttle=Throttle(concurrency=1)) as cake:
        numbers = list(ledger.state.invoices)[:2]
        calls = [bulk.call(cake.invoices.update, number, memo="x") for number in numbers]
        first = await bulk.each(calls, journal=path, stop_after=bulk.Stop(unknown=2))
        assert first.unknown == 2
    quota = limited(ledger.sandbox, 0, "update_invoice")
    async with ledger.client(throttle=Throttle(concurrency=1)) as cake:
        again = await bulk.resume(path, cake, limit=2)
    assert quota.refused == 1
    assert (again.done, again.failed, again.unknown, again.unsent) == (0, 0, 2, 0)
    assert again.stopped is not None
    async with await bulk.Journal.open(path) as book:
        assert len(await book.entries(EntryState.UNKNOWN)) == 2


async def test_a_record_that_is_set_twice_is_set_in_its_order_afterwards(
    ledgers, tmp_path: Path
) -> None:
    sandbox = Sandbox()
    quota = limited(sandbox, 1, "update_invoice")
    path = tmp_path / "run.db"
    async with ledgers(sandbox).client(retry=None) as cake:
        number, other = list(sandbox.state.invoices)[:2]
        for each in (number, other):
            sandbox.state.invoices[each].invoice_status = "pending"
        calls = [
            bulk.call(cake.invoices.update, other, invoice_status="approved"),
            *(
                bulk.call(cake.invoices.update, number, invoice_status=status)
                for status in ("approved", "paid")
            ),
        ]
        summary = await bulk.each(calls, journal=path)
        assert summary.done == 1
        sandbox.state.on_request.remove(quota)
        cake.end_pause()
        assert (await bulk.resume(path, cake)).complete
    assert sandbox.state.invoices[number].invoice_status == "paid"
