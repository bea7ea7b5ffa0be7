"""What a plan is made of: calls, what is true of each record, and the months before."""

from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from aiocake import (
    ApiError,
    ArgumentError,
    Client,
    InvoiceKind,
    InvoiceStatus,
    Period,
    PlanError,
    bulk,
)
from aiocake.bulk import Call
from aiocake.monthend import CallFile, Caps, LeftOut, Plan, PlanDiff, planning
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import InvoiceRecord

from ..support.clients import in_process

pytestmark = pytest.mark.anyio

JANUARY = Period.month(2024, 1)
JUNE = Period.month(2014, 6)
PAYOUT, REVENUE = InvoiceKind.PAYOUT, InvoiceKind.REVENUE


def sandbox(*records: InvoiceRecord, invoices: int = 0, bills: int = 0) -> Sandbox:
    """A sandbox that has these invoices."""
    made = Sandbox(invoices=invoices, bills=bills)
    for record in records:
        made.state.invoices[record.invoice_id] = record
    return made


def invoice(number: int, **fields: Any) -> InvoiceRecord:  # noqa: ANN401 - of many types
    settings: dict[str, Any] = {
        "invoice_id": number,
        "affiliate_id": 7,
        "advertiser_id": None,
        "partner_name": "Acme",
        "invoice_status": "pending",
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 1, 31),
        "total_amount": Decimal("10.10"),
        "currency": "USD",
        "billing_cycle": "monthly",
        **fields,
    }
    if settings["advertiser_id"] is not None:
        settings["affiliate_id"] = None
    return InvoiceRecord(**settings)


def approvals(cake: Client, *numbers: int) -> list[Call[Any]]:
    return [bulk.call(cake.invoices.update, n, invoice_status="approved") for n in numbers]


def reasons(error: PlanError) -> list[str]:
    return list(map(str, error.problems))


async def test_a_plan_of_calls_has_what_is_true_of_each_record() -> None:
    box = sandbox(invoice(1), invoice(2, total_amount=Decimal("-0.5000"), currency="EUR"))
    async with in_process(box) as cake:
        plan = await Plan.of(approvals(cake, 2, 1), cake, maker="ada")
    assert [row.arguments["invoice_id"] for row in plan.rows] == [2, 1]
    assert [str(row.record and row.record.amount) for row in plan.rows] == ["-0.50", "10.10"]
    record = plan.rows[1].record
    assert record is not None
    assert attrs.asdict(record) == {
        "kind": "payout",
        "partner_id": 7,
        "partner_name": "Acme",
        "invoice_status": "pending",
        "sent_payment": None,
        "amount": Decimal("10.10"),
        "currency": "USD",
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 1, 31),
    }
    header = plan.header
    assert (header.domain, header.maker, header.rows) == ("x.example", "ada", 2)
    assert header.expires_at - header.created_at == timedelta(days=7)
    assert (header.history_months, header.history, plan.left_out) == ((), (), None)
    assert box.state.invoices[1].invoice_status == "pending"
    assert Plan.from_bytes(plan.to_bytes()) == plan


@pytest.mark.parametrize("form", ["list", "generator", "asynchronous"])
async def test_calls_come_from_any_iterable(form: str) -> None:
    async with in_process(sandbox(invoice(1))) as cake:
        calls = approvals(cake, 1)

        def generated() -> Iterator[Call[Any]]:
            yield from calls

        async def asynchronous() -> AsyncIterator[Call[Any]]:
            for call in calls:
                yield call

        forms = {"list": calls, "generator": generated(), "asynchronous": asynchronous()}
        assert len((await Plan.of(forms[form], cake)).rows) == 1


async def test_all_bad_rows_are_named_and_nothing_is_sent() -> None:
    box = sandbox(
        invoice(1),
        invoice(2, invoice_status="approved"),
        invoice(3, invoice_status="paid"),
        invoice(4, invoice_status="void"),
        invoice(5, invoice_status="draft"),
        invoice(6, advertiser_id=9),
        invoice(8, total_amount=Decimal(5000)),
    )
    async with in_process(box) as cake:
        calls = approvals(cake, 1, 2, 3, 4, 5, 6, 7, 8)
        with pytest.raises(PlanError) as caught:
            await Plan.of(calls, cake, caps=Caps(max_row=4999))
        assert reasons(caught.value) == [
            "calls[1]: invoice 2: is approved already",
            "calls[2]: invoice 3: is paid, and would be set back to approved",
            "calls[3]: invoice 4: is void",
            "calls[4]: invoice 5: has a status that CAKE does not document: draft",
            "calls[5]: invoice 6: is a revenue invoice, of which none was requested",
            "calls[6]: invoice 7: there is no such invoice",
            "calls[7]: invoice 8: its amount is above max_row",
        ]
        plan = await Plan.of(approvals(cake, 6), cake, kinds=["revenue"])
        assert plan.totals[0].kind == "revenue"
        void = [bulk.call(cake.invoices.update, n, invoice_status="void") for n in (1, 2, 3)]
        with pytest.raises(PlanError, match=r"calls\[2\]: invoice 3: is paid, and cannot be void"):
            await Plan.of(void, cake)
        notes = [bulk.call(cake.invoices.update, n, memo="x") for n in (1, 3, 4, 5)]
        assert len((await Plan.of(notes, cake)).rows) == 4
    assert {each.method for each in box.state.requests} == {"GET"}


async def test_what_no_plan_may_hold_is_refused_before_anything_is_read() -> None:
    box = sandbox(bills=3)
    async with in_process(box) as cake, in_process(box, "y.example") as other:
        credit = bulk.call(
            cake.buyer_bills.mark_received, 1, payment_amount=1, apply_credit_to_buyer=True
        )
        paid = bulk.call(cake.affiliate_bills.mark_paid, 345, payment_date=date(2024, 2, 1))
        calls = [*approvals(cake, 1, 1), credit, *approvals(other, 2), paid]
        with pytest.raises(PlanError) as caught:
            await Plan.of(calls, cake)
        assert reasons(caught.value) == [
            "calls[1]: invoice 1: repeats an earlier row",
            "calls[2]: apply_credit_to_buyer moves money each time it is sent: not in a plan",
            "calls[3]: is for y.example, not for x.example",
            "calls[4]: bills are looked up in their billing period: give period",
        ]
        with pytest.raises(PlanError, match="nothing to plan"):
            await Plan.of([], cake)
        with pytest.raises(ArgumentError, match=r"calls\[1\]: must be made by bulk\.call"):
            await Plan.of([*approvals(cake, 1), 5], cake)  # type: ignore[list-item] # that is the point
        with pytest.raises(ArgumentError, match="calls: must be an iterable of calls, got int"):
            await Plan.of(5, cake)  # type: ignore[arg-type] # that is the point
    assert box.state.requests == []


async def test_the_same_create_twice_is_refused_and_has_no_record() -> None:
    async with in_process(sandbox()) as cake:

        def create(affiliate: int, day: int = 31) -> Call[Any]:
            return bulk.call(
                cake.invoices.create,
                affiliate_id=affiliate,
                start_date=date(2024, 1, 1),
                end_date=date(2024, 1, day),
            )

        with pytest.raises(PlanError, match=r"calls\[2\]: affiliate 8: repeats an earlier row"):
            await Plan.of([create(7), create(8), create(8)], cake)
        plan = await Plan.of([create(7), create(7, 15)], cake)
        with pytest.raises(PlanError, match=r"affiliate 7: its amount is not known"):
            await Plan.of([create(7)], cake, caps=Caps(max_row=1))
    assert [row.record for row in plan.rows] == [None, None]
    assert plan.totals == ()


@pytest.mark.parametrize("row", ["1\n", '{"invoice_id":1}\n'], ids=["csv", "jsonl"])
async def test_a_file_of_too_many_rows_is_refused_by_counting_its_lines(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_ROWS", 4)
    file = anyio.Path(tmp_path / "rows")
    async with in_process(sandbox()) as cake:
        calls = CallFile(str(file), cake, operation="invoices.update", arguments={"memo": "x"})
        await file.write_text(("invoice_id\n" if row == "1\n" else row) + row * 5)
        with pytest.raises(PlanError, match="the last lines: a plan has at most"):
            await Plan.of(calls, cake)
        assert not calls.longer_than(5)
        await file.write_text('invoice_id,memo\n1,"a\nb\nc\nd\ne\nf"\n')
        assert not calls.longer_than(4)


async def test_a_plan_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_ROWS", 2)
    box = sandbox(*map(invoice, range(1, 5)))
    async with in_process(box) as cake:
        with pytest.raises(PlanError, match=r"calls\[2\]: a plan has at most"):
            await Plan.of((call for call in approvals(cake, 1, 2, 3, 4)), cake)
        assert box.state.requests == []
        with pytest.raises(PlanError, match="invoice 3: a plan has at most"):
            await Plan.updates(
                cake,
                period=JANUARY,
                invoice_status="pending",
                set={"invoice_status": "approved"},
            )


@pytest.mark.parametrize(
    ("count", "period", "most"),
    [(3, None, 3), (3, JANUARY, 3), (400, None, 3), (400, JANUARY, 2)],
)
async def test_records_are_read_by_few_requests(
    count: int, period: Period | None, most: int
) -> None:
    box = sandbox(*map(invoice, range(1, 1001)))
    async with in_process(box) as cake:
        calls = approvals(cake, *range(1, count + 1))
        plan = await Plan.of(calls, cake, period=period, history_months=0)
    assert len(plan.rows) == count
    assert len(box.state.requests) <= most


async def test_what_the_period_does_not_show_is_read_one_by_one() -> None:
    later = invoice(50, start_date=date(2024, 1, 29), end_date=date(2024, 2, 4))
    box = sandbox(*map(invoice, range(1, 41)), later)
    async with in_process(box) as cake:
        plan = await Plan.of(
            approvals(cake, *range(1, 41), 50), cake, period=JANUARY, history_months=0
        )
    assert len(plan.rows) == 41
    assert len(box.state.requests) == 2


async def test_an_error_of_a_single_read_is_itself() -> None:
    box = sandbox(invoice(1), invoice(2))
    async with in_process(box) as cake:
        box.state.api_keys = {"another"}
        with pytest.raises(ApiError):
            await Plan.of(approvals(cake, 1, 2), cake)


async def test_updates_takes_each_invoice_that_ends_in_the_period() -> None:
    crossing = {"start_date": date(2024, 1, 29), "end_date": date(2024, 2, 4)}
    into = {"start_date": date(2023, 12, 28), "end_date": date(2024, 1, 3)}
    box = sandbox(
        invoice(1),
        invoice(2, **into),
        invoice(3, **crossing, total_amount=Decimal(3)),
        invoice(4, **crossing, currency="EUR", total_amount=Decimal(4)),
        invoice(5, invoice_status="approved"),
        invoice(6, advertiser_id=9, total_amount=Decimal(6)),
        invoice(7, start_date=date(2024, 2, 1), end_date=date(2024, 2, 29)),
        invoice(8, advertiser_id=9, **crossing),
    )

    async def planned(**terms: Any) -> tuple[list[object], LeftOut | None]:  # noqa: ANN401 - of many types
        async with in_process(box) as cake:
            plan = await Plan.updates(
                cake,
                period=JANUARY,
                invoice_status="pending",
                set={"invoice_status": "paid"},
                **terms,
            )
        assert plan.header.action == "invoices.update invoice_status=paid"
        return [row.arguments["invoice_id"] for row in plan.rows], plan.left_out

    numbers, left = await planned()
    assert numbers == [1, 2]
    assert left is not None
    assert [(each.currency, each.count, each.amount) for each in left.overlapping] == [
        ("EUR", 1, 4),
        ("USD", 1, 3),
    ]
    assert [(each.kind, each.count, each.amount) for each in left.other_kinds] == [
        ("revenue", 1, 6)
    ]
    assert (await planned(match="inside"))[0] == [1]
    assert (await planned(match="overlaps"))[0] == [1, 2, 3, 4]
    assert (await planned(kinds=[REVENUE]))[0] == [6]
    assert (await planned(kinds=["payout", "revenue"], longest=timedelta(days=31)))[0] == [1, 2, 6]


async def test_updates_and_calls_make_the_same_plan() -> None:
    box = sandbox(invoices=1500)
    async with in_process(box) as cake:
        first = await Plan.updates(
            cake, period=JANUARY, invoice_status="pending", set={"invoice_status": "approved"}
        )
        numbers = [int(str(row.arguments["invoice_id"])) for row in first.rows]
        second = await Plan.of(approvals(cake, *numbers), cake, period=JANUARY)
        assert not PlanDiff.between(first, second)
        assert len(numbers) > 5
        assert first.header.history
        third = await Plan.of(
            [*approvals(cake, *numbers[1:]), bulk.call(cake.invoices.update, 5000, memo="x")],
            cake,
            period=JANUARY,
            kinds=InvoiceKind,
        )
    box.state.invoices[numbers[1]].total_amount = Decimal(1)
    async with in_process(box) as cake:
        fourth = await Plan.of(approvals(cake, *numbers), cake, period=JANUARY, maker="other")
    diff = PlanDiff.between(first, third)
    assert [row.arguments["invoice_id"] for row in diff.removed] == numbers[:1]
    assert [row.arguments["invoice_id"] for row in diff.added] == [5000]
    assert diff.changed == ()
    diff = PlanDiff.between(first, fourth)
    assert [before.arguments["invoice_id"] for before, _ in diff.changed] == numbers[1:2]
    assert diff.header == ("maker", "totals")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"set": {"invoice_status": "payed"}}, "invoice_status: must be one of"),
        ({"set": {}}, "an update must set one of these"),
        ({"set": {"invoice_id": 5}}, "set: must not name an invoice"),
        ({"set": {"status": "paid"}}, "set: does not fit invoices.update"),
        ({"set": 5}, "set: cannot be read"),
        ({"match": "within"}, "match: must be one of"),
        ({"period": None}, "period: is required"),
        ({"period": "2024-01"}, "period: must be a Period, got str"),
        ({"invoice_status": "open"}, "invoice_status: must be one of"),
        ({"maker": ""}, "maker: must be a str, got str"),
        ({"maker": "\ud800"}, "maker: cannot be read"),
        ({"expires_in": 7}, "expires_in: must be a timedelta, got int"),
        ({"expires_in": timedelta(0)}, "expires_in: must be a time from a second on"),
        ({"history_months": 25}, "history_months: must be a whole number from 0 to 24"),
        ({"caps": {}}, "caps: must be a Caps, got dict"),
        ({"after": []}, "after: must be a JSON object, got list"),
        ({"after": {"a": object()}}, "after: cannot be read"),
        ({"kinds": "payout"}, "kinds: must name payout or revenue"),
        ({"kinds": []}, "kinds: must name payout or revenue"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_read(
    wrong: dict[str, Any], said: str
) -> None:
    box = sandbox(invoice(1))
    settings: dict[str, Any] = {
        "period": JANUARY,
        "invoice_status": "pending",
        "set": {"invoice_status": "approved"},
    }
    async with in_process(box) as cake:
        with pytest.raises(ArgumentError, match=said):
            await Plan.updates(cake, **{**settings, **wrong})
    assert box.state.requests == []


async def test_bad_terms_are_named_together() -> None:
    async with in_process(sandbox()) as cake:
        with pytest.raises(ArgumentError) as caught:
            await Plan.of([], cake, history_months=-1, maker="", kinds="x")
    assert [each.name for each in caught.value.problems] == ["maker", "history_months", "kinds"]


async def test_nothing_pending_is_no_plan() -> None:
    async with in_process(sandbox(invoice(1, invoice_status="paid"))) as cake:
        with pytest.raises(PlanError, match="nothing to plan: no pending invoice matches"):
            await Plan.updates(
                cake,
                period=JANUARY,
                invoice_status="pending",
                set={"invoice_status": "approved"},
            )


async def test_the_history_is_of_the_months_before() -> None:
    def of(number: int, month: int, amount: str, **fields: Any) -> InvoiceRecord:  # noqa: ANN401 - of many types
        period = Period.month(2023, month)
        days = {"start_date": period.start, "end_date": period.end, **fields}
        return invoice(number, total_amount=Decimal(amount), invoice_status="paid", **days)

    box = sandbox(
        invoice(1),
        of(2, 9, "1000"),  # four months before
        of(3, 10, "100"),
        of(4, 11, "200.01"),
        of(5, 11, "300"),
        of(6, 12, "400"),
        of(7, 12, "7", currency="EUR"),
        of(8, 12, "8", affiliate_id=8, partner_name="Other"),
        of(9, 12, "9", advertiser_id=8),
        of(10, 12, "10", start_date=date(2023, 10, 1)),  # of a quarter
        of(12, 12, "12", end_date=date(2024, 1, 2)),  # it ends in the period
    )
    box.state.invoices[11] = of(11, 12, "11")
    box.state.invoices[11].invoice_status = "void"
    async with in_process(box) as cake:

        async def history(**terms: Any) -> Plan:  # noqa: ANN401 - of many types
            return await Plan.of(approvals(cake, 1), cake, period=JANUARY, **terms)

        three, one, none = [await history(history_months=n) for n in (3, 1, 0)]
        revenue = await history(kinds=list(InvoiceKind))
    assert three.header.history_months == ("2023-10", "2023-11", "2023-12")
    assert [
        (h.currency, h.partner_id, h.partner_name, h.count, h.total, h.median, h.last_count,
         h.last_total)
        for h in three.header.history
    ] == [
        ("EUR", 7, "Acme", 1, 7, 7, 1, 7),
        ("USD", 7, "Acme", 5, Decimal("1010.01"), Decimal("200.01"), 2, 410),
        ("USD", 8, "Other", 1, 8, 8, 1, 8),
    ]  # fmt: skip
    assert one.header.history_months == ("2023-12",)
    assert [(h.count, h.total, h.median) for h in one.header.history][1] == (2, 410, 205)
    assert (none.header.history_months, none.header.history) == ((), ())
    assert [h.kind for h in revenue.header.history] == ["payout"] * 3 + ["revenue"]


async def test_marks_are_planned_from_one_export_of_the_period() -> None:
    box = sandbox(bills=60)
    async with in_process(box) as cake:
        bills = await cake.affiliate_bills.export(period=JUNE).collect()
        calls = [
            bulk.call(
                cake.affiliate_bills.mark_received,
                bill.bill_id,
                invoiced_amount=bill.bill_amount.amount,
            )
            for bill in bills
        ]
        box.state.requests.clear()
        plan = await Plan.of(calls, cake, period=JUNE, history_months=0)
        assert [each.operation for each in box.state.requests] == [
            "Currencies",
            "ExportAffiliateBills",
        ]
        with pytest.raises(PlanError, match=r"calls\[0\]: bill 1: there is no such bill in 2014-"):
            await Plan.of(
                [bulk.call(cake.affiliate_bills.mark_paid, 1, payment_date=date(2014, 7, 1))],
                cake,
                period=JUNE,
            )
        with_history = await Plan.of(calls, cake, period=JUNE)
    records = [row.record for row in plan.rows]
    assert [record and record.amount for record in records] == [
        bill.bill_amount.amount for bill in bills
    ]
    first = records[0]
    assert first is not None
    assert (first.kind, first.currency, first.invoice_status) == ("payout", "USD", None)
    assert (first.start_date, first.end_date) == (date(2014, 6, 1), date(2014, 6, 30))
    assert {total.currency for total in plan.totals} == {"USD", "EUR", "JPY"}
    assert plan.rows[0].expect is None
    assert with_history.header.history_months == ("2014-03", "2014-04", "2014-05")
    assert {each.currency for each in with_history.header.history} <= {"USD", "EUR", "GBP", "JPY"}
    assert with_history.header.history


async def test_revenue_bills_need_no_asking() -> None:
    box = sandbox(bills=10)
    async with in_process(box) as cake:
        year = Period(date(2013, 12, 1), date(2015, 1, 31))
        calls: list[Call[Any]] = [
            bulk.call(cake.advertiser_bills.mark_sent, 1_000_000),
            bulk.call(cake.buyer_bills.mark_received, 2_000_000, payment_amount=5),
        ]
        plan = await Plan.of(calls, cake, period=year, history_months=1)
    assert [row.record and row.record.kind for row in plan.rows] == ["revenue", "revenue"]


async def test_bills_of_an_instance_without_currencies_keep_its_ids() -> None:
    box = sandbox(bills=3)

    async def refuse(request: Any) -> Any:  # noqa: ANN401 - the sandbox's
        from starlette.responses import PlainTextResponse  # noqa: PLC0415

        return PlainTextResponse("no", 404) if request.operation == "Currencies" else None

    box.state.on_request.append(refuse)
    async with in_process(box) as cake:
        plan = await Plan.of(
            [bulk.call(cake.affiliate_bills.mark_received, 345, invoiced_amount=5)],
            cake,
            period=JUNE,
            history_months=0,
        )
    assert plan.totals[0].currency == "currency_id 1"


async def test_an_invoice_that_names_no_partner_is_in_no_plan() -> None:
    box = sandbox(invoice(1, affiliate_id=None), invoice(2))
    async with in_process(box) as cake:
        with pytest.raises(PlanError, match="invoice 1: names neither affiliate nor advertiser"):
            await Plan.updates(
                cake,
                period=JANUARY,
                invoice_status="pending",
                set={"invoice_status": "approved"},
            )
        with pytest.raises(PlanError, match=r"calls\[0\]: invoice 1: "):
            await Plan.of(approvals(cake, 1), cake)


async def test_terms_reach_the_header() -> None:
    async with in_process(sandbox(invoice(1, partner_name="\x1b[31m=HYPERLINK()"))) as cake:
        plan = await Plan.of(
            approvals(cake, 1),
            cake,
            maker="ada",
            maker_key="ssh-ed25519 AAAA",
            expires_in=timedelta(hours=1, microseconds=5),
            caps=Caps(max_rows=5),
            after={"head": {"count": 3, "hash": "ab"}},
        )
    header = Plan.from_bytes(plan.to_bytes()).header
    assert (header.maker, header.maker_key) == ("ada", "ssh-ed25519 AAAA")
    assert header.expires_at - header.created_at == timedelta(hours=1)
    assert (header.caps.max_rows, header.after) == (5, {"head": {"count": 3, "hash": "ab"}})
    assert plan.rows[0].record is not None
    assert plan.rows[0].record.partner_name == "\x1b[31m=HYPERLINK()"
    assert plan.rows[0].record.invoice_status is InvoiceStatus.PENDING
