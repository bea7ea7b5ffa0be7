"""The audit of a run: what was done, whether its journal can be trusted, and what CAKE says."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from aiocake import ArgumentError, Client, Expect, JournalError, Period, RetryPolicy, Throttle, bulk
from aiocake.bulk import Approval, PlanIdentity, Stop
from aiocake.models import InvoiceKind, InvoiceStatus, Total
from aiocake.monthend import Audit, Plan, Receipt, audit
from aiocake.sandbox import InvoiceRecord, Sandbox

from ..support.loops import ONE_LOOP
from ..support.runs import change

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(invoices=200, bills=30)


@pytest.fixture
async def cake(sandbox: Sandbox) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client(
        "x.example",
        "SANDBOX-KEY",
        transport=transport,
        retry=RetryPolicy(attempts=1),
        throttle=Throttle(concurrency=4),
    ) as cake:
        yield cake


def pending(sandbox: Sandbox, count: int) -> list[InvoiceRecord]:
    """Payout invoices that are pending, of one month and of one currency."""
    found = [
        each
        for each in sandbox.state.invoices.values()
        if each.invoice_status == "pending" and each.affiliate_id is not None
    ][:count]
    for each in found:
        each.start_date, each.end_date = date(2024, 1, 1), date(2024, 1, 31)
        each.currency = "USD"
    assert len(found) == count
    return found


async def plan_of(cake: Client, invoices: list[InvoiceRecord], **terms: Any) -> Plan:  # noqa: ANN401 - of many types
    calls = [
        bulk.call(cake.invoices.update, each.invoice_id, invoice_status="approved")
        for each in invoices
    ]
    return await Plan.of(calls, cake, history_months=0, maker="Anna", **terms)


APPROVED = (Approval(principal="bob@example.com", key="SHA256:bob"),)


async def applied(cake: Client, plan: Plan, path: Path, **options: Any) -> bulk.Summary:  # noqa: ANN401 - the same
    identity = PlanIdentity(hash=plan.hash, maker="Anna", approvals=APPROVED)
    calls = [row.call(cake) for row in plan.rows]
    return await bulk.each(calls, journal=path, identity=identity, **options)


def requests(sandbox: Sandbox) -> list[str]:
    found = [each.operation for each in sandbox.state.requests]
    sandbox.state.requests.clear()
    return found


async def test_it_tells_who_did_what_by_which_plan(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 3)
    plan = await plan_of(cake, invoices)
    invoices[1].invoice_status = "void"
    assert (await applied(cake, plan, path, limit=1)).conflicts == 1
    found = await audit(path, plan=plan)
    assert found.plan == PlanIdentity(hash=plan.hash, maker="Anna", approvals=APPROVED)
    assert found.domain == "x.example"
    (session,) = found.sessions
    first, second, third = found.entries
    assert (first.operation, first.record, first.kind) == (
        "invoices.update", f"invoice {invoices[0].invoice_id}", "payout",
    )  # fmt: skip
    assert first.partner_id == invoices[0].affiliate_id
    assert first.partner_name == invoices[0].partner_name
    assert (first.amount, first.currency) == (invoices[0].total_amount, "USD")
    assert (first.start_date, first.end_date) == (date(2024, 1, 1), date(2024, 1, 31))
    assert (first.old_status, first.new_status, first.state) == ("pending", "approved", "done")
    assert (first.user, first.host) == (session.user, session.host)
    assert first.attempts == 1
    assert first.sent_at is not None
    assert first.answered_at is not None
    assert first.sent_at <= first.answered_at
    assert first.message == "answered"
    assert (second.state, second.attempts, second.sent_at) == ("skipped", 0, None)
    assert "void" in second.message
    assert third.state == "done"
    amount = invoices[0].total_amount + invoices[2].total_amount
    assert found.totals == (
        Total(
            kind=InvoiceKind.PAYOUT,
            invoice_status=InvoiceStatus.APPROVED,
            currency="USD",
            count=2,
            amount=amount,
        ),
    )
    assert (found.integrity, found.completeness, found.unpriced) == ((), (), 0)
    assert found.clean
    assert not found.verified
    # Without the plan, the journal says what each call expected.
    without = await audit(path)
    names = {"partner_name": None, "start_date": None, "end_date": None}
    assert without.entries == tuple(attrs.evolve(each, **names) for each in found.entries)
    assert without.totals == found.totals


async def test_a_run_without_plan_or_expectation_is_audited_as_far_as_its_journal_tells(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 2)
    partner = invoices[0].affiliate_id
    assert partner is not None
    sandbox.fail_next("gateway", operation="invoice")
    start, end = date(2030, 1, 1), date(2030, 1, 31)
    calls: list[Any] = [
        bulk.call(cake.invoices.update, invoices[0].invoice_id, memo="x"),
        bulk.call(cake.invoices.create, affiliate_id=partner, start_date=start, end_date=end),
        bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=Decimal("5.50")),
        bulk.call(cake.invoices.update, 999, memo="x"),
        bulk.call(cake.invoices.update, invoices[1].invoice_id, memo="x"),
    ]
    stop = Stop(failed=1, unknown=2)
    summary = await bulk.each(calls, journal=path, limit=1, stop_after=stop, settle=0)
    assert (summary.done, summary.failed, summary.unsent) == (3, 1, 1)
    found = await audit(path)
    assert found.plan is None
    update, create, mark, failed, planned = found.entries
    assert (update.kind, update.amount, update.old_status) == (None, None, None)
    made = max(sandbox.state.invoices)
    assert (create.record_id, create.kind, create.partner_id) == (made, "payout", partner)
    assert create.message == f"found as {made}"
    assert (create.start_date, create.end_date, create.attempts) == (start, end, 1)
    assert (mark.record, mark.kind, mark.amount) == ("bill 345", "payout", Decimal("5.50"))
    assert mark.message == "Bill Marked As Received"
    assert (failed.state, failed.message[:9]) == ("failed", "NotFound:")
    assert (planned.state, planned.answered_at, planned.user) == ("planned", None, None)
    assert found.completeness == ("1 call was not sent",)
    assert found.unpriced == 2
    assert [(each.kind, each.count) for each in found.totals] == [("payout", 1)]


async def test_what_is_in_doubt_or_was_not_read_to_its_end_is_incomplete(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 1)
    sandbox.fail_next("gateway", times=None)

    def calls() -> Any:  # noqa: ANN401 - a generator
        yield bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=5)
        yield bulk.call(cake.invoices.update, invoices[0].invoice_id, memo="x")
        raise LookupError

    with pytest.raises(LookupError):
        await bulk.each(calls(), journal=path, limit=1, settle=0)
    found = await audit(path)
    assert found.completeness == (
        "the plan was not read to its end",
        "2 calls were sent, and nothing shows with what outcome",
    )
    assert not found.clean


async def test_receipts_show_an_end_that_was_cut_off_and_a_log_that_was_written_anew(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 2)
    plan = await plan_of(cake, invoices)
    await applied(cake, plan, path, limit=1)
    receipt = (await audit(path)).receipt()
    assert (receipt.plan_hash, receipt.approvals) == (plan.hash, APPROVED)
    assert receipt.totals == (await audit(path)).totals
    assert (await audit(path, receipts=[receipt])).integrity == ()
    name = f"the receipt of {receipt.made_at:%Y-%m-%d %H:%M:%S}"
    last = receipt.log.count
    wrong = attrs.evolve(
        receipt,
        domain="y.example",
        plan_hash="b" * 64,
        totals=(),
        log=attrs.evolve(receipt.log, hash="c"),
    )
    assert (await audit(path, receipts=[receipt, wrong])).integrity == (
        f"{name} is for y.example, not for x.example",
        f"entry {last} of the log is not the one of {name}",
        f"{name} is of plan {'b' * 64}",
        f"the totals of {name} are not those of the journal",
    )
    await bulk.resume(path, cake)  # the log goes on: the receipt is of its beginning
    found = await audit(path, receipts=[receipt])
    assert (found.integrity, found.receipts) == ((), 1)
    change(path, "DELETE FROM log WHERE run = 2", "DELETE FROM runs WHERE run = 2")
    change(path, "DELETE FROM log WHERE what = 'stopped'", "UPDATE runs SET ended_at = NULL")
    assert (await audit(path)).integrity == ()
    assert (await audit(path, receipts=[receipt])).integrity == (
        f"entry {last} of the log is missing: {name} has {last}",
    )
    change(path, "DELETE FROM log WHERE place = 1")
    assert (await audit(path, receipts=[receipt])).integrity == (
        f"entries {last - 2} to {last} of the log are missing: {name} has {last}",
    )


async def test_a_journal_is_compared_with_its_plan(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    invoices = pending(sandbox, 4)
    plan, shorter = await plan_of(cake, invoices), await plan_of(cake, invoices[:2])
    await applied(cake, shorter, tmp_path / "short.db")
    found = await audit(tmp_path / "short.db", plan=plan)
    assert found.integrity == (f"the journal is of plan {shorter.hash}, not of {plan.hash}",)
    assert found.completeness == ("2 of the plan's rows are not in the journal",)
    identity = PlanIdentity(hash=plan.hash)
    calls = [
        bulk.call(cake.invoices.update, invoices[0].invoice_id, invoice_status="approved"),
        plan.rows[1].call(cake),
        bulk.call(cake.invoices.update, invoices[3].invoice_id, memo="x"),
    ]
    await bulk.each(calls, journal=tmp_path / "other.db", identity=identity)
    found = await audit(tmp_path / "other.db", plan=plan)
    assert found.integrity == (
        "call 0 is not the one of line 3 of the plan",  # it expects nothing
        "call 2 is not the one of line 5 of the plan",
    )
    assert found.completeness == ("1 of the plan's rows are not in the journal",)


async def test_each_update_is_compared_with_cake_by_one_list(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 20)
    plan = await plan_of(cake, invoices)
    voided, wrong, gone, paid, other = (
        invoices[3],
        invoices[5],
        invoices[7],
        invoices[9],
        invoices[11],
    )
    voided.invoice_status = "void"
    assert (await applied(cake, plan, path)).conflicts == 1
    sandbox.state.requests.clear()
    found = await audit(path, cake, plan=plan, verify=True)
    assert requests(sandbox) == ["invoices", "invoices"]  # how many there are, and all of them
    assert [str(each) for each in found.differences] == [
        f"call 3, invoice {voided.invoice_id} (skipped): invoice_status is void, not approved"
    ]
    assert (found.verified, found.unchecked, found.clean) == (True, (), False)
    wrong.total_amount += 1
    del sandbox.state.invoices[gone.invoice_id]
    paid.invoice_status = "paid"
    other.currency = "EUR"
    found = await audit(path, cake, plan=plan, verify=True)
    amount = invoices[5].total_amount
    assert [str(each) for each in found.differences] == [
        f"call 3, invoice {voided.invoice_id} (skipped): invoice_status is void, not approved",
        f"call 5, invoice {wrong.invoice_id} (done): total_amount is {amount}, not {amount - 1}",
        f"call 7, invoice {gone.invoice_id} (done): it is not there, not there",
        f"call 9, invoice {paid.invoice_id} (done): invoice_status is paid, not approved",
        f"call 11, invoice {other.invoice_id} (done): currency is EUR, not USD",
    ]


async def test_without_the_plan_updates_are_compared_as_they_expected(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 8)
    await applied(cake, await plan_of(cake, invoices), path)
    invoices[2].invoice_status = "void"
    sandbox.state.requests.clear()
    found = await audit(path, cake, verify=True)
    # The approved ones as a list, the one that is not among them by itself.
    assert requests(sandbox) == ["invoices"] * 3
    assert [each.index for each in found.differences] == [2]


async def test_a_few_updates_are_read_one_by_one_and_the_last_of_an_invoice_counts(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 2)
    number = invoices[0].invoice_id
    calls = [
        bulk.call(cake.invoices.update, number, invoice_status="approved"),
        bulk.call(cake.invoices.update, number, invoice_status="paid"),
        bulk.call(cake.invoices.update, invoices[1].invoice_id, memo="x"),
    ]
    await bulk.each(calls, journal=path)
    sandbox.state.requests.clear()
    found = await audit(path, cake, verify=True)
    assert requests(sandbox) == ["invoices"] * 2
    assert (found.differences, found.unchecked) == ((), ("1 updates set nothing that CAKE shows",))
    invoices[0].invoice_status = "approved"
    found = await audit(path, cake, verify=True)
    assert [str(each) for each in found.differences] == [
        f"call 1, invoice {number} (done): invoice_status is approved, not paid"
    ]


async def test_an_update_is_of_another_partner_if_cake_says_so(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 2)
    first, second = invoices
    expect = Expect(affiliate_id=first.affiliate_id or 0, total_amount=first.total_amount)
    call = bulk.call(cake.invoices.update, first.invoice_id, invoice_status="paid", expect=expect)
    await bulk.each([call], journal=path)
    first.affiliate_id = second.affiliate_id = 1
    (found,) = (await audit(path, cake, verify=True)).differences
    assert (found.field, found.found) == ("partner_id", "1")


@pytest.mark.parametrize("many", [False, True])
async def test_each_create_has_to_be_there_once(
    cake: Client, sandbox: Sandbox, tmp_path: Path, *, many: bool
) -> None:
    path = tmp_path / "run.db"
    partners = list(sandbox.state.affiliates)[: 8 if many else 3]
    start, end = date(2030, 1, 1), date(2030, 1, 31)
    there = await cake.invoices.create(affiliate_id=partners[0], start_date=start, end_date=end)
    calls = [
        bulk.call(cake.invoices.create, affiliate_id=each, start_date=start, end_date=end)
        for each in partners
    ]
    assert (await bulk.each(calls, journal=path)).skipped == 1
    sandbox.state.requests.clear()
    found = await audit(path, cake, verify=True)
    assert (found.differences, found.unchecked) == ((), ())
    assert requests(sandbox) == ["invoices"] * 3
    theirs = await cake.invoices.create(affiliate_id=partners[1], start_date=end, end_date=end)
    ours = {each.partner_id: each.record_id for each in found.entries}
    one, two = ours[partners[1]] or 0, ours[partners[2]] or 0
    field = "invoices of its period"
    await cake.invoices.update(two, invoice_status="void")
    await cake.invoices.update(there.invoice_id, invoice_status="void")
    found = await audit(path, cake, verify=True)
    assert [str(each) for each in found.differences] == [
        "call 0, invoice (new) (skipped): invoices of its period is none, not 1",
        f"call 1, invoice {one} (done): {field} is {one}, {theirs.invoice_id}, not {one}",
        f"call 2, invoice {two} (done): {field} is none, not {two}",
    ]


async def test_marks_of_bills_are_compared_by_one_export_of_the_period(
    cake: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    bills = [each for each in sandbox.state.affiliate_bills.values() if not each.partner.tipalti][
        :3
    ]
    period = Period(date(2014, 6, 1), date(2014, 6, 30))
    for each in bills:
        each.start_date, each.end_date = period.start, date(2014, 7, 1)
    first, second, third = bills
    calls: list[Any] = [
        bulk.call(
            cake.affiliate_bills.mark_received, first.bill_id, invoiced_amount=Decimal("5.50")
        ),
        bulk.call(cake.affiliate_bills.mark_paid, second.bill_id, payment_date=date(2014, 7, 2)),
        bulk.call(cake.affiliate_bills.mark_paid, third.bill_id, payment_date=date(2014, 7, 2)),
        bulk.call(cake.affiliate_bills.mark_received, 99, invoiced_amount=1),
    ]
    await bulk.each(calls, journal=path, limit=1)
    found = await audit(path, cake, verify=True)
    assert found.unchecked == ("4 marks of affiliate_bills need the billing period",)
    sandbox.state.requests.clear()
    found = await audit(path, cake, verify=True, period=period)
    assert len(requests(sandbox)) == 1
    missing = "call 3, bill 99 (failed): it is not there, not in the export of the period"
    assert [str(each) for each in found.differences] == [missing]
    first.invoiced_amount = Decimal(6)
    third.marked = frozenset()
    third.payment_date = None
    found = await audit(path, cake, verify=True, period=period)
    said = [str(each) for each in found.differences]
    assert said[0] == f"call 0, bill {first.bill_id} (done): invoiced_amount is 6.0000, not 5.50"
    assert f"call 2, bill {third.bill_id} (done): sent_payment is False, not True" in said
    assert said[-1] == missing


async def test_a_journal_without_a_chain_is_audited_and_says_so(
    cake: Client, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    path.write_bytes((Path(__file__).parents[1] / "bulk" / "journals" / "schema-1.db").read_bytes())
    found = await audit(path)
    assert (found.log, found.unchained, found.integrity) == (None, 7, ())
    assert found.completeness == (
        "1 call was not sent",
        "1 call was sent, and nothing shows with what outcome",
    )
    with pytest.raises(JournalError, match="no receipt of a journal whose log is no chain"):
        found.receipt()
    await bulk.resume(path, cake, settle=0)
    assert (await audit(path)).unchained == 7
    receipt = (await audit(path)).receipt()
    path.write_bytes((Path(__file__).parents[1] / "bulk" / "journals" / "schema-1.db").read_bytes())
    (said,) = (await audit(path, receipts=(receipt,))).integrity
    assert said.endswith("cannot be compared: the log is no chain")


async def test_what_cannot_be_read_raises(cake: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 1)
    with pytest.raises(JournalError, match="no such file"):
        await audit(path)
    await applied(cake, await plan_of(cake, invoices), path)
    with pytest.raises(ArgumentError, match="cake: must be a client, to verify; receipts: must be"):
        await audit(path, verify=True, receipts=["x"])  # type: ignore[list-item]
    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client("y.example", "SANDBOX-KEY", transport=transport) as other:
        with pytest.raises(JournalError, match=r"belongs to instance x\.example"):
            await audit(path, other, verify=True)


@ONE_LOOP
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE calls SET call = '{'",
        "UPDATE calls SET call = '[]'",
        """UPDATE calls SET call = '{"operation": 5, "arguments": {"x": {"decimal": "a"}}}'""",
        "UPDATE calls SET detail = '[1]'",
        "UPDATE calls SET detail = '{'",
        "UPDATE log SET at = 'x'",
        "UPDATE log SET run = 7",
        "UPDATE log SET what = 'x'",
        "UPDATE log SET detail = '[1]'",
        "DELETE FROM runs",
    ],
)  # fmt: skip
async def test_a_journal_that_was_changed_is_audited_all_the_same(
    cake: Client, sandbox: Sandbox, tmp_path: Path, statement: str
) -> None:
    path, invoices = tmp_path / "run.db", pending(sandbox, 2)
    plan = await plan_of(cake, invoices)
    await applied(cake, plan, path)
    change(path, statement)
    found = await audit(path, plan=plan)
    assert found.integrity or found.completeness
    assert len(found.entries) == 2


async def test_a_receipt_is_read_as_it_was_written(tmp_path: Path) -> None:
    audited = Audit(
        domain="x.example",
        audited_at=datetime.now(UTC),
        plan=PlanIdentity(hash="a" * 64, approvals=APPROVED),
        sessions=(),
        entries=(),
        totals=(
            Total(kind=None, invoice_status=None, currency=None, count=1, amount=Decimal("1.50")),
        ),
        unpriced=0,
        log=bulk.LogHead(5, "f" * 64),
        unchained=0,
        receipts=0,
        integrity=(),
        completeness=(),
    )
    receipt = audited.receipt()
    file = tmp_path / "receipt.json"
    file.write_text(receipt.to_json() + "\n")
    assert Receipt.read(file) == receipt
    plain = json.loads(receipt.to_json())
    assert plain["aiocake_receipt"] == 1
    assert plain["totals"][0]["amount"] == "1.50"
    assert plain == receipt.to_dict()
    for text, message in (
        ("", "is not a receipt of aiocake"),
        ("[]", "is not a receipt of aiocake"),
        (receipt.to_json().replace('"hash"', '"hush"'), "is not a receipt of aiocake"),
        (receipt.to_json().replace('"count":1', '"count":"1"'), "is not a receipt of aiocake"),
        (receipt.to_json().replace('receipt":1', 'receipt":2'), "is a receipt of version 2, but"),
    ):
        file.write_text(text)
        with pytest.raises(JournalError, match=message):
            Receipt.read(file)
    file.write_bytes(b"\xff\xff")
    with pytest.raises(JournalError, match="is not a receipt"):
        Receipt.read(file)
    with pytest.raises(JournalError, match="cannot be read: No such file"):
        Receipt.read(tmp_path / "none")
