"""The way back from the bank: each row pays the bill that it names, as it stands in CAKE."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from aiocake import ArgumentError, ConsistencyError, Period, PlanError
from aiocake.monthend import BankFile, Plan
from aiocake.sandbox import Sandbox

from ..support.clients import in_process
from ..support.peer import Peer, says

pytestmark = pytest.mark.anyio

JUNE = Period.month(2014, 6)
PAID = {"payment_date": date(2014, 7, 15)}


@pytest.fixture
def box() -> Sandbox:
    """A sandbox whose first bills are of June, of two currencies, and of which the last is paid."""
    made = Sandbox(bills=5)
    for at, bill in enumerate(made.state.affiliate_bills.values()):
        bill.start_date, bill.end_date = date(2014, 6, 1), date(2014, 7, 1)
        bill.amount = Decimal(f"{at + 1}00.10")
        bill.invoice_number = f"A-{at}"
        bill.marked = frozenset({"paid"}) if at == 4 else frozenset()
        bill.payment_date = None
    return made


async def match(box: Sandbox, file: Path, text: str, *names: str, **more: object) -> BankFile:
    await anyio.Path(file).write_text(text)
    async with in_process(box) as cake:
        return await BankFile.match(
            file,
            cake,
            period=JUNE,
            match=names or ("bill_id", "amount"),
            arguments=PAID,
            **more,  # type: ignore[arg-type] # they are what they are
        )


async def test_rows_that_agree_become_a_plan_of_the_same_totals(
    box: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "bank.csv"
    file.write_text("bill_id,amount,verification_code\n346,200.1000,B\n345,100.10,\n")
    async with in_process(box) as cake:
        bank = await BankFile.match(file, cake, period=JUNE, arguments=PAID)
        plan = await Plan.of(bank, cake, period=JUNE, history_months=0)
    assert (bank.rows, bank.mismatches) == (2, ())
    assert plan.totals == bank.totals
    assert [(total.currency, total.count, total.amount) for total in bank.totals] == [
        ("EUR", 1, Decimal("200.10")),
        ("USD", 1, Decimal("100.10")),
    ]
    assert [dict(row.arguments) for row in plan.rows] == [
        {"bill_id": 346, "verification_code": "B", **PAID},
        {"bill_id": 345, **PAID},
    ]


async def test_every_row_that_does_not_agree_is_listed(box: Sandbox, tmp_path: Path) -> None:
    text = "bill_id,amount\n345,100.10\n346,200.11\n1,5\n349,500.10\n345,100.10\n347,300.10\n"
    bank = await match(box, tmp_path / "bank.csv", text)
    assert bank.rows == 6
    assert [
        (each.line, each.bill_id, each.reason, each.amount, each.bill_amount, each.currency)
        for each in bank.mismatches
    ] == [
        (3, 346, "amount is not that of bill 346", Decimal("200.11"), Decimal("200.10"), "EUR"),
        (4, None, "matches no bill", Decimal(5), None, None),
        (5, 349, "bill 349 is marked as paid already", Decimal("500.10"), Decimal("500.10"), "USD"),
        (6, 345, "bill 345 is paid by line 2 as well", Decimal("100.10"), Decimal("100.10"), "USD"),
    ]
    with pytest.raises(
        PlanError, match="does not agree with CAKE: line 3: amount is not"
    ) as caught:
        list(bank)
    assert len(caught.value.problems) == 4
    assert "200" not in str(caught.value)
    async with in_process(box) as cake:
        with pytest.raises(PlanError, match="line 3: amount is not that of bill 346"):
            await Plan.of(bank, cake, period=JUNE)


async def test_bills_are_found_by_what_the_file_has(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "bank.csv"
    bank = await match(box, file, "invoice_number,amount\nA-1,200.10\n", "invoice_number", "amount")
    assert [call.arguments["bill_id"] for call in bank] == [346]
    bank = await match(box, file, "amount,currency\n100.10,USD\n", "amount", "currency")
    assert [call.arguments["bill_id"] for call in bank] == [345]
    bank = await match(box, file, "bill_id,currency\n346,USD\n", "bill_id", "currency")
    assert bank.mismatches[0].reason == "currency is not that of bill 346"
    affiliate = box.state.affiliate_bills[345].partner.partner_id
    bank = await match(
        box, file, f"affiliate_id,iban\n{affiliate},X\n", "affiliate_id", ignore=["iban"]
    )
    assert [call.arguments["bill_id"] for call in bank] == [345]
    box.state.affiliate_bills[346].partner = box.state.affiliate_bills[345].partner
    bank = await match(box, file, f"affiliate_id\n{affiliate}\n", "affiliate_id")
    assert bank.mismatches[0].reason == "matches 2 bills of the period"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bill_id,amount\n345,\n", "line 2: amount: is missing"),
        ('bill_id,amount\n345,"1,000.00"\n', "line 2: amount: is not an amount in plain digits"),
        ("bill_id,amount\nx,1\n", "line 2: bill_id: is not a whole number"),
        ("bill_id,amount,iban\n345,100.10,X\n", "line 1: 'iban': is not one of the columns"),
        ("bill_id\n345\n", "line 2: amount: is missing"),
        ("bill_id,amount\n345\n", "line 2: has 1 cells, but there are 2 columns"),
        ("", "line 1: is empty"),
        ("bill_id,amount\n", "has no rows"),
    ],
)
async def test_a_file_that_cannot_be_read_says_where(
    box: Sandbox, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        await match(box, tmp_path / "bank.csv", text)


async def test_bad_values_beside_the_match_are_found_by_the_plan(
    box: Sandbox, tmp_path: Path
) -> None:
    text = "bill_id,amount,payment_date,payment_type_id\n345,100.10,2014-07-01,999\n"
    bank = await match(box, tmp_path / "bank.csv", text)
    with pytest.raises(PlanError, match="line 2: payment_date: is given for all rows as well"):
        list(bank)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("\n345,100.10,A\n346,200.10,B\n", 3),
        ("346,200.10,B\n345,100.10,A\n", 2),
        ("345,100.10,A\n346,200.10,C\n", 3),
        ("345,100.10,A\n", 3),
        ("345,100.10,A\n346,200.10,B\n347,300.10,C\n", 4),
    ],
    ids=["moved", "sorted", "changed", "cut", "longer"],
)
async def test_a_file_that_changes_meanwhile_is_refused(
    box: Sandbox, tmp_path: Path, rows: str, line: int
) -> None:
    file, header = tmp_path / "bank.csv", "bill_id,amount,verification_code\n"
    bank = await match(box, file, f"{header}345,100.10,A\n346,200.10,B\n")
    assert len(list(bank)) == 2
    file.write_text(f"{header}{rows}")
    with pytest.raises(PlanError, match=f"line {line}: was changed while it was read"):
        list(bank)


@pytest.mark.parametrize("names", [("iban",), ("currency",), (5,)])
async def test_there_are_few_columns_to_match_by(
    box: Sandbox, tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(ArgumentError, match="match: must name columns among bill_id"):
        await match(box, tmp_path / "bank.csv", "x", *names)


async def test_a_bill_of_another_month_is_not_paid_in_its_place(tmp_path: Path) -> None:
    """An instance that ignores the period would have May's bill paid for June's."""
    may = "<billing_period_start_date>2014-05-01T00:00:00</billing_period_start_date>"
    may += "<billing_period_end_date>2014-06-01T00:00:00</billing_period_end_date>"
    bill = f"<bill_id>345</bill_id><affiliate><affiliate_id>9</affiliate_id></affiliate>{may}"
    bill += "<bill_amount><amount>100.10</amount></bill_amount>"
    listed = f"<affiliate_bills><affiliate_bill>{bill}</affiliate_bill></affiliate_bills>"
    file = tmp_path / "bank.csv"
    file.write_text("affiliate_id,amount\n9,100.10\n")
    answer = says(f"<r><success>true</success><row_count>1</row_count>{listed}</r>")
    async with Peer(says("no", 404), answer).client() as cake:
        with pytest.raises(ConsistencyError, match="bill 345 is of 2014-05"):
            await BankFile.match(file, cake, period=JUNE, match=("affiliate_id", "amount"))
