"""What an approver has to see of a plan: exactly that, by kind and currency."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake.models import InvoiceKind
from aiocake.monthend import Caps, Differences, PlanRow
from aiocake.monthend.differences import shortened

from ..support.plans import FIRST_LINE, MONTHS, a_plan, history, row

PAYOUT, REVENUE = InvoiceKind.PAYOUT, InvoiceKind.REVENUE


def test_totals_stand_beside_last_months() -> None:
    plan = a_plan(
        [
            row("100.25"),
            row("50.00", partner=2),
            row("7.01", currency="EUR"),
            row("3.33", kind=REVENUE),
        ],
        history_months=MONTHS,
        history=(
            history("90", "80", last="80.10"),
            history("60", partner=2, last="60.01"),
            history("1", partner=3, currency="EUR"),
            history("5", partner=3, kind=REVENUE, currency="GBP", last="5.05"),
        ),
    )
    found = Differences.of(plan)
    assert found.last_month == "2023-12"
    assert [
        (each.kind, each.currency, each.count, each.amount, each.last_count, each.last_amount)
        for each in found.totals
    ] == [
        (PAYOUT, "EUR", 1, Decimal("7.01"), 0, Decimal(0)),
        (PAYOUT, "USD", 2, Decimal("150.25"), 2, Decimal("140.11")),
        (REVENUE, "GBP", 0, Decimal(0), 1, Decimal("5.05")),
        (REVENUE, "USD", 1, Decimal("3.33"), 0, Decimal(0)),
    ]


def test_kinds_that_a_plan_does_not_have_are_nobodys_loss() -> None:
    plan = a_plan(
        [row("1.00")],
        history_months=MONTHS,
        history=(history("1", last="1"), history("5", kind=REVENUE, partner=9, last="5")),
    )
    found = Differences.of(plan)
    assert [each.kind for each in found.totals] == [PAYOUT]
    assert found.missing == ()


def test_without_a_history_nobody_is_new_or_missing() -> None:
    found = Differences.of(a_plan([row("500.00")]))
    assert (found.last_month, found.history_months) == (None, ())
    assert (found.first_time, found.above_median, found.missing) == ((), (), ())
    assert [(each.last_count, each.last_amount) for each in found.totals] == [(None, None)]
    assert len(found.round_sums) == 1


def test_payees_that_are_not_in_the_history() -> None:
    plan = a_plan(
        [
            row("10.10"),
            row("20.20", partner=2, name="New"),
            row("30.30", partner=2, name="New"),
            row("99.99", partner=3, name="Newer"),
            row("5.05", currency="EUR"),
        ],
        history_months=MONTHS,
        history=(history("10"),),
    )
    assert [
        (each.partner_id, each.currency, each.count, each.amount, each.line, each.known_in)
        for each in Differences.of(plan).first_time
    ] == [
        (1, "EUR", 1, Decimal("5.05"), FIRST_LINE + 4, ("USD",)),
        (3, "USD", 1, Decimal("99.99"), FIRST_LINE + 3, ()),
        (2, "USD", 2, Decimal("50.50"), FIRST_LINE + 1, ()),
    ]


@pytest.mark.parametrize(
    ("amount", "median", "above"),
    [
        ("300.00", "100", False),
        ("300.01", "100", True),
        ("0.01", "0", False),
        ("-900", "-100", False),
        ("99999999999999999999999999999.01", "33333333333333333333333333333", True),
        ("99999999999999999999999999999.00", "33333333333333333333333333333", False),
    ],
)
def test_rows_above_three_times_their_own_median(amount: str, median: str, *, above: bool) -> None:
    plan = a_plan([row(amount)], history_months=MONTHS, history=(history(median),))
    with localcontext(prec=3):  # as a caller may have set it
        found = Differences.of(plan).above_median
    assert [(each.amount, each.beside) for each in found] == (
        [(Decimal(amount), Decimal(median))] if above else []
    )


def test_the_median_is_that_of_the_same_partner_kind_and_currency() -> None:
    plan = a_plan(
        [row("500.01")],
        history_months=MONTHS,
        history=(
            history("400"),
            history("1", currency="EUR"),
            history("1", kind=REVENUE),
            history("1", partner=2),
        ),
    )
    assert Differences.of(plan).above_median == ()


def test_equal_amounts_to_one_payee() -> None:
    plan = a_plan(
        [
            row("10.50"),
            row("10.5"),
            row("10.50", partner=2),
            row("10.50", currency="EUR"),
            row("0.00"),
            row("0.00"),
            row("10.500"),
        ]
    )
    assert [
        (each.partner_id, each.currency, each.amount, each.lines)
        for each in Differences.of(plan).equal_amounts
    ] == [(1, "USD", Decimal("10.5"), (FIRST_LINE, FIRST_LINE + 1, FIRST_LINE + 6))]


@pytest.mark.parametrize(
    ("amount", "is_round"),
    [
        ("100", True),
        ("99", False),
        ("99.00", False),
        ("1200.00", True),
        ("1230.00", False),
        ("12300", False),
        ("45000.000", True),
        ("-5000", True),
        ("5000.01", False),
        ("1000000", True),
        ("0.00", False),
    ],
)
def test_round_sums(amount: str, *, is_round: bool) -> None:
    assert bool(Differences.of(a_plan([row(amount)])).round_sums) is is_round


def test_who_was_there_last_month_and_is_not_now() -> None:
    plan = a_plan(
        [row("1.00"), row("1.00", partner=2, currency="EUR")],
        history_months=MONTHS,
        history=(
            history("1", last="1"),
            history("2", partner=2, last="2"),
            history("9", partner=3, last="9"),
            history("8", partner=4),  # not last month
        ),
    )
    assert [
        (each.partner_id, each.currency, each.count, each.amount)
        for each in Differences.of(plan).missing
    ] == [(3, "USD", 1, Decimal(9)), (2, "USD", 1, Decimal(2))]


def test_caps_that_are_nearly_reached() -> None:
    caps = Caps(
        max_total={"USD": Decimal(1000), "EUR": Decimal(1000)}, max_row=Decimal(600), max_rows=4
    )
    records = [row("-539.99"), row("360.01"), row("899.99", currency="EUR"), row("1.00")]
    found = Differences.of(a_plan(records, caps=Caps())).near_caps
    assert found == ()
    records[2] = row("599.99", currency="EUR")
    near = Differences.of(a_plan(records, caps=caps)).near_caps
    assert [(each.cap, each.currency, each.limit, each.used) for each in near] == [
        ("max_total", "USD", Decimal(1000), Decimal("901.00")),
        ("max_row", "EUR", Decimal(600), Decimal("599.99")),
        ("max_rows", None, Decimal(4), Decimal(4)),
    ]
    records[0] = row("-540.00")  # exactly nine tenths
    near = Differences.of(a_plan(records, caps=caps)).near_caps
    assert ("max_row", "USD", Decimal("540.00")) in [(e.cap, e.currency, e.used) for e in near]


def test_a_mark_that_writes_another_amount_than_its_bill_has() -> None:
    def mark(written: str | int, index: int) -> PlanRow:
        return PlanRow(
            index=index,
            line=index + FIRST_LINE,
            operation="affiliate_bills.mark_received",
            arguments={"bill_id": index + 1, "invoiced_amount": Decimal(written)},
            record=row("100.00"),
        )

    plan = a_plan([mark("100", 0), mark("100.01", 1)])
    (found,) = Differences.of(plan).amounts_differ
    assert (found.line, found.amount) == (FIRST_LINE + 1, Decimal("100.00"))
    assert found.beside == Decimal("100.01")


def test_creates_have_no_amount_yet() -> None:
    def create(affiliate: int, index: int) -> PlanRow:
        arguments = {
            "affiliate_id": affiliate,
            "start_date": date(2024, 1, 1),
            "end_date": date(2024, 1, 31),
        }
        return PlanRow(
            index=index,
            line=index + FIRST_LINE,
            operation="invoices.create",
            arguments=arguments,
            record=None,
        )

    plan = a_plan(
        [create(1, 0), create(7, 1)],
        history_months=MONTHS,
        history=(history("10", last="10"), history("20", partner=2, last="20")),
    )
    found = Differences.of(plan)
    assert found.unpriced == 2
    assert [(each.partner_id, each.amount) for each in found.first_time] == [(7, None)]
    assert [each.partner_id for each in found.missing] == [2]


def test_long_lists_are_cut_by_kind_and_currency() -> None:
    records = [
        *(row(f"{amount}00.00", partner=amount) for amount in range(1, 10)),
        *(row(f"{amount}00.00", partner=amount, currency="EUR") for amount in range(1, 7)),
    ]
    found = Differences.of(a_plan(records)).round_sums
    assert len(found) == 15
    (euros, none), (dollars, more) = shortened(found)
    assert [str(each.amount) for each in euros] == [f"{n}00.00" for n in (6, 5, 4, 3, 2, 1)]
    assert none is None
    assert [str(each.amount) for each in dollars] == [f"{n}00.00" for n in (9, 8, 7, 6, 5)]
    assert more is not None
    assert (more.kind, more.currency, more.count, more.amount) == (
        PAYOUT,
        "USD",
        4,
        Decimal("1000.00"),
    )


_amounts = st.decimals(min_value=-10_000, max_value=10_000, places=2)


@given(
    st.lists(
        st.tuples(_amounts, st.integers(1, 4), st.sampled_from(["USD", "EUR"])),
        min_size=1,
        max_size=20,
    ),
    st.lists(
        st.tuples(_amounts, st.integers(1, 6), st.sampled_from(["USD", "EUR", "GBP"])),
        max_size=10,
        unique_by=lambda each: each[1:],
    ),
)
def test_everybody_is_accounted_for(
    rows: Sequence[tuple[Decimal, int, str]], before: Sequence[tuple[Decimal, int, str]]
) -> None:
    """Each partner is known, new or missing; totals are those of the rows and of last month."""
    plan = a_plan(
        [row(str(amount), partner=who, currency=currency) for amount, who, currency in rows],
        history_months=MONTHS,
        history=tuple(
            history(str(amount), partner=who, currency=currency, last=str(amount))
            for amount, who, currency in before
        ),
    )
    found = Differences.of(plan)
    now, then = {each[1:] for each in rows}, {each[1:] for each in before}
    assert {(each.partner_id, each.currency) for each in found.first_time} == now - then
    assert {(each.partner_id, each.currency) for each in found.missing} == then - now
    for total in found.totals:
        assert total.amount == sum((a for a, _, c in rows if c == total.currency), Decimal(0))
        assert total.last_amount == sum(
            (a for a, _, c in before if c == total.currency), Decimal(0)
        )
    assert sum(total.count for total in found.totals) == len(rows)
