"""Applying a plan: checked whole, carried out row by row, once."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import anyio
import httpx
import pytest

from aiocake import Client, Period, bulk
from aiocake.errors import JournalError, PlanError
from aiocake.monthend import Caps, Plan
from aiocake.monthend.apply import Applied, apply, resume_plan
from aiocake.monthend.stale import stale_rows
from aiocake.sandbox import Sandbox

from ..support.clients import KEY, in_process

pytestmark = pytest.mark.anyio

JANUARY = Period.month(2024, 1)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(api_key=KEY)


@pytest.fixture
async def cake(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with in_process(sandbox, "sandbox.example") as client:
        yield client


def crowd(sandbox: Sandbox) -> None:
    """Have all payout invoices pending in January."""
    for record in sandbox.state.invoices.values():
        record.invoice_status = "pending"
        record.start_date, record.end_date = JANUARY.start, JANUARY.end


@pytest.fixture
def january(sandbox: Sandbox) -> Sandbox:
    crowd(sandbox)
    return sandbox


async def approving(cake: Client, **terms: object) -> Plan:
    return await Plan.updates(
        cake,
        period=JANUARY,
        invoice_status="pending",
        set={"invoice_status": "approved"},
        history_months=0,
        **terms,  # type: ignore[arg-type]
    )


def status_of(sandbox: Sandbox, number: int) -> str:
    return sandbox.state.invoices[number].invoice_status


def numbers_of(plan: Plan) -> list[int]:
    return [int(str(row.arguments["invoice_id"])) for row in plan.rows]


def set_status(sandbox: Sandbox, number: int, status: str) -> None:
    sandbox.state.invoices[number].invoice_status = status


async def applied(plan: Plan, cake: Client, journal: Path, **more: object) -> Applied:
    return await apply(plan, cake, journal=journal, approvals=0, **more)  # type: ignore[arg-type]


async def test_a_plan_is_carried_out_and_its_totals_agree(
    january: Sandbox, cake: Client, tmp_path: Path
) -> None:
    plan = await approving(cake)
    found = await applied(plan, cake, tmp_path / "run.db")
    assert found.summary.complete
    assert found.summary.done == len(plan.rows) > 50
    assert {status_of(january, number) for number in numbers_of(plan)} == {"approved"}
    assert sum(each.amount for each in found.done) == sum(each.amount for each in plan.totals)
    assert {each.invoice_status for each in found.done} == {"approved"}
    assert found.receipt.plan_hash == plan.hash
    assert found.receipt.totals == found.done


async def test_what_somebody_changed_meanwhile_is_skipped(
    january: Sandbox, cake: Client, tmp_path: Path
) -> None:
    plan = await approving(cake)
    void, dearer, *_ = numbers_of(plan)
    set_status(january, void, "void")
    january.state.invoices[dearer].total_amount += Decimal(1)
    stale = await stale_rows(plan, cake)
    assert [plan.rows[each.index].arguments["invoice_id"] for each in stale] == [void, dearer]
    found = await applied(plan, cake, tmp_path / "run.db")
    assert (found.summary.conflicts, found.summary.skipped) == (2, 2)
    assert not found.summary.complete
    assert (status_of(january, void), status_of(january, dearer)) == ("void", "pending")
    assert found.summary.done == len(plan.rows) - 2


async def test_strict_is_all_or_nothing(january: Sandbox, cake: Client, tmp_path: Path) -> None:
    plan = await approving(cake)
    set_status(january, numbers_of(plan)[3], "void")
    with pytest.raises(PlanError, match="line 6: invoice status is void, planned was pending"):
        await applied(plan, cake, tmp_path / "run.db", strict=True)
    assert not (tmp_path / "run.db").exists()
    assert {status_of(january, n) for n in numbers_of(plan)} == {"pending", "void"}


async def test_a_plan_is_single_use(january: Sandbox, cake: Client, tmp_path: Path) -> None:
    plan = await approving(cake)
    await applied(plan, cake, tmp_path / "run.db")
    for number in numbers_of(plan):
        set_status(january, number, "pending")
    with pytest.raises(PlanError, match=r"applied before, with the journal .*run\.db"):
        await applied(plan, cake, tmp_path / "another.db")
    sent = len(january.state.requests)
    again = await applied(plan, cake, tmp_path / "run.db")
    assert again.summary.done == len(plan.rows)
    assert len(january.state.requests) == sent
    assert {status_of(january, number) for number in numbers_of(plan)} == {"pending"}


async def test_a_journal_that_cannot_be_made_does_not_use_up_the_plan(
    january: Sandbox, cake: Client, tmp_path: Path
) -> None:
    plan = await approving(cake)
    with pytest.raises(JournalError, match="there is no folder"):
        await applied(plan, cake, tmp_path / "mistyped" / "run.db")
    assert {status_of(january, number) for number in numbers_of(plan)} == {"pending"}
    assert (await applied(plan, cake, tmp_path / "run.db")).summary.complete


async def test_a_journal_of_another_plan_is_refused(
    january: Sandbox, cake: Client, tmp_path: Path
) -> None:
    first = await approving(cake, maker="ada")
    await applied(first, cake, tmp_path / "run.db")
    for number in numbers_of(first):
        set_status(january, number, "pending")
    second = await approving(cake, maker="ben")
    with pytest.raises(JournalError, match="belongs to plan"):
        await applied(second, cake, tmp_path / "run.db")
    assert {status_of(january, number) for number in numbers_of(first)} == {"pending"}
    # It can still be applied, with a journal of its own.
    assert (await applied(second, cake, tmp_path / "own.db")).summary.complete


@pytest.mark.parametrize("what", ["hash", "domain", "expired", "approvals"])
async def test_what_must_not_be_applied(
    january: Sandbox,
    cake: Client,
    tmp_path: Path,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = await approving(cake)
    sent = len(january.state.requests)
    given: dict[str, object] = {"approvals": 0}
    if what == "hash":
        given["hash"] = "0" * 64
    elif what == "domain":
        data = plan.to_bytes().replace(b"sandbox.example", b"another.example")
        plan = rehashed(data)
    elif what == "expired":
        monkeypatch.setattr("aiocake._clock.now", lambda: plan.header.expires_at)
    else:
        given |= {"approvals": 1, "signers": tmp_path / "signers"}
        (tmp_path / "signers").write_text("")
    with pytest.raises(PlanError):
        await apply(plan, cake, journal=tmp_path / "run.db", **given)  # type: ignore[arg-type]
    assert len(january.state.requests) == sent
    assert not (tmp_path / "run.db").exists()


def rehashed(data: bytes) -> Plan:
    """Return a plan whose lines were changed, with the hash that they have now."""
    before = b"".join(data.splitlines(keepends=True)[:-1])
    return Plan.from_bytes(before + b'{"sha256":"%s"}\n' % sha256(before).hexdigest().encode())


async def test_caps_are_checked_again(january: Sandbox, cake: Client, tmp_path: Path) -> None:
    plan = await approving(cake, caps=Caps(max_rows=1_000))
    data = plan.to_bytes().replace(b'"max_rows":1000', b'"max_rows":1')
    with pytest.raises(PlanError, match="max_rows: there are 143 rows"):
        await applied(rehashed(data), cake, tmp_path / "run.db")
    assert {status_of(january, number) for number in numbers_of(plan)} == {"pending"}


async def test_a_bill_that_is_not_as_planned_is_skipped(
    sandbox: Sandbox, cake: Client, tmp_path: Path
) -> None:
    june = Period.month(2014, 6)
    bills = (await cake.affiliate_bills.export(period=june).collect())[:6]
    when = june.end
    plan = await Plan.of(
        [bulk.call(cake.affiliate_bills.mark_paid, b.bill_id, payment_date=when) for b in bills],
        cake,
        period=june,
        history_months=0,
    )
    stored = sandbox.state.bills("affiliate")
    odd = bills[2].bill_id
    stored[odd].amount += 1
    found = await applied(plan, cake, tmp_path / "run.db")
    assert (found.summary.done, found.summary.conflicts) == (len(bills) - 1, 1)
    (problem,) = found.summary.problems
    assert isinstance(problem, bulk.Skipped)
    assert "amount is" in problem.reason


async def test_it_is_resumed_from_the_journal_alone(
    january: Sandbox, cake: Client, tmp_path: Path
) -> None:
    plan = await approving(cake)
    file = tmp_path / "january.plan"
    plan.write(file)

    def stop(progress: bulk.Progress) -> None:
        if progress.done >= 10:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await apply(file, cake, journal=tmp_path / "run.db", approvals=0, on_progress=stop)
    left = [n for n in numbers_of(plan) if status_of(january, n) == "pending"]
    assert left
    set_status(january, left[-1], "void")
    found = await resume_plan(tmp_path / "run.db", cake)
    assert found.summary.done == len(plan.rows) - 1
    assert found.summary.conflicts == 1
    assert status_of(january, left[-1]) == "void"


class Cut(httpx.AsyncBaseTransport):
    """Carries a mark out, or loses it, and never answers: the run is cancelled then."""

    def __init__(self, sandbox: Sandbox, *, carried_out: bool = True) -> None:
        self._inner = httpx.ASGITransport(app=sandbox.app)
        self._carried_out = carried_out
        self.scope = anyio.CancelScope()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        marks = b"MarkAffiliateBill" in request.url.raw_path
        if self._carried_out or not marks:
            response = await self._inner.handle_async_request(request)
            if not marks:
                return response
        self.scope.cancel()
        return await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("change", "end"),
    [(None, "done"), ("amount", "unknown"), ("undone", "again"), ("another day", "unknown")],
)
async def test_a_mark_that_was_on_its_way_is_looked_at(
    sandbox: Sandbox, tmp_path: Path, change: str | None, end: str
) -> None:
    june = Period.month(2014, 6)
    async with in_process(sandbox, "sandbox.example") as cake:
        bill = (await cake.affiliate_bills.export(period=june).collect())[0]
        call = bulk.call(cake.affiliate_bills.mark_paid, bill.bill_id, payment_date=june.end)
        plan = await Plan.of([call], cake, period=june, history_months=0)
    cut = Cut(sandbox)
    async with in_process(sandbox, "sandbox.example", transport=cut, grace=0) as cake:
        with cut.scope:
            await applied(plan, cake, tmp_path / "run.db")
    assert cut.scope.cancelled_caught
    stored = sandbox.state.bills("affiliate")[bill.bill_id]
    assert "paid" in stored.marked
    if change == "amount":
        stored.amount += 1
    elif change == "undone":
        stored.marked, stored.payment_date = frozenset(), None
    elif change == "another day":
        stored.payment_date = datetime(2014, 6, 3)  # noqa: DTZ001 - CAKE knows no zones
    del sandbox.state.requests[:]
    async with in_process(sandbox, "sandbox.example") as cake:
        found = await applied(plan, cake, tmp_path / "run.db")
    sent = [each.operation for each in sandbox.state.requests]
    marks = sent.count("MarkAffiliateBillAsPaid")
    exports = sent.count("ExportAffiliateBills")
    assert (marks, exports) == (end == "again", 2)
    summary = found.summary
    assert (summary.done, summary.unknown) == ((0, 1) if end == "unknown" else (1, 0))
    assert bool(found.audit.differences) == (change == "another day")


async def test_what_a_bill_had_before_does_not_show_that_it_was_marked(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The number was noted long ago; an amount that was never set is in no export."""
    june = Period.month(2014, 6)
    stored = next(
        each
        for each in sandbox.state.bills("affiliate").values()
        if june.start <= each.start_date < june.end and each.invoiced_amount is None
    )
    stored.invoice_number = "A-17"
    async with in_process(sandbox, "sandbox.example") as cake:
        call = bulk.call(
            cake.affiliate_bills.mark_received,
            stored.bill_id,
            invoiced_amount=20,
            invoice_number="A-17",
        )
        plan = await Plan.of([call], cake, period=june, history_months=0)
    cut = Cut(sandbox, carried_out=False)
    async with in_process(sandbox, "sandbox.example", transport=cut, grace=0) as cake:
        with cut.scope:
            await applied(plan, cake, tmp_path / "run.db")
    assert cut.scope.cancelled_caught
    async with in_process(sandbox, "sandbox.example") as cake:
        found = await applied(plan, cake, tmp_path / "run.db")
    assert (found.summary.done, stored.invoiced_amount) == (1, 20)
