"""A plan is read as it was written, or not at all."""

import pickle
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake import ArgumentError, InvoiceKind, InvoiceStatus, Period, PlanError, Total
from aiocake.monthend import Caps, PartnerHistory, Plan, PlannedRecord, PlanRow
from aiocake.monthend.plan_file import A_PIECE
from aiocake.values import ERASE

from ..support.plan_files import HEADER, MADE, RECORD, approval, hashed, plan_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=4)
DAYS = st.dates(date(1800, 1, 1), date(2999, 12, 31))
IDS = st.integers(1, 2**31 - 1)
MOMENTS = st.datetimes(
    datetime(1800, 1, 1),  # noqa: DTZ001 - the zone is put to it
    datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
RECORDS = st.builds(
    PlannedRecord,
    kind=st.sampled_from(InvoiceKind),
    partner_id=st.none() | IDS,
    partner_name=st.none() | TEXTS,
    invoice_status=st.none() | st.sampled_from(InvoiceStatus) | NAMES.map(InvoiceStatus),
    amount=st.none() | AMOUNTS,
    currency=st.none() | TEXTS,
    start_date=st.none() | DAYS,
    end_date=st.none() | DAYS,
)
UPDATES = st.fixed_dictionaries(
    {"invoice_id": IDS},
    optional={"memo": TEXTS.filter(str.isprintable), "invoice_status": st.just("paid")},
).filter(lambda arguments: len(arguments) > 1)
PAID = st.fixed_dictionaries(
    {"invoice_id": IDS, "invoice_status": st.just("paid"), "paid_at": MOMENTS}
)
MARKS = st.fixed_dictionaries(
    {"bill_id": IDS, "invoiced_amount": AMOUNTS},
    optional={"notes": st.just(ERASE), "date_invoice_received": DAYS},
)
CREATES = st.fixed_dictionaries({"affiliate_id": IDS}).map(
    lambda arguments: {
        **arguments,
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 1, 31),
    }
)


def _row(operation: str, arguments: dict[str, object], record: PlannedRecord | None) -> PlanRow:
    return PlanRow(
        index=0, line=3, operation=operation, arguments=MappingProxyType(arguments), record=record
    )


ROWS = st.one_of(
    st.builds(_row, st.just("invoices.update"), UPDATES | PAID, RECORDS),
    st.builds(_row, st.just("affiliate_bills.mark_received"), MARKS, RECORDS),
    st.builds(_row, st.just("invoices.create"), CREATES, st.none()),
)
HISTORY = st.builds(
    PartnerHistory,
    kind=st.sampled_from(InvoiceKind),
    currency=st.none() | TEXTS,
    partner_id=st.none() | IDS,
    partner_name=st.none() | TEXTS,
    count=st.integers(0, 10**6),
    total=AMOUNTS,
    median=AMOUNTS,
    last_count=st.integers(0, 10**6),
    last_total=AMOUNTS,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.builds(
    attrs.evolve,
    st.just(HEADER),
    maker=TEXTS,
    maker_key=st.none() | TEXTS,
    created_at=MOMENTS.map(lambda moment: moment.replace(microsecond=0)),
    # None below the amounts of the rows: such a plan is refused.
    caps=st.builds(Caps, max_rows=st.integers(100, 10**9)),
    period=st.none() | st.builds(lambda day: Period(day, day), DAYS),
    history_months=st.lists(st.sampled_from(["2023-11", "2023-12"]), max_size=2).map(tuple),
    history=st.lists(HISTORY, max_size=3).map(tuple),
    after=st.none() | st.dictionaries(TEXTS, JSON, max_size=3),
)


def _identity(row: PlanRow) -> object:
    names = ("invoice_id", "bill_id", "affiliate_id")
    return row.operation, *(row.arguments.get(name) for name in names)


PLANS = st.builds(plan_of, st.lists(ROWS, max_size=5, unique_by=_identity), HEADERS)


@given(plan=PLANS)
def test_any_plan_is_read_as_it_was_written(plan: Plan) -> None:
    data = plan.to_bytes()
    read = Plan.from_bytes(data)
    assert read == plan
    assert hash(read) == hash(plan)
    assert read.to_bytes() == data
    assert read.header == plan.header
    assert list(read.rows) == list(plan.rows)
    assert [row.line for row in read.rows] == list(range(3, 3 + len(plan.rows)))
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301 - our own


@given(plan=PLANS, data=st.data())
def test_any_changed_byte_is_refused(plan: Plan, data: st.DataObject) -> None:
    whole = plan.to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["change", "remove", "insert", "cut"]))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    changed = {
        "change": whole[:at] + byte + whole[at + 1 :],
        "remove": whole[:at] + whole[at + 1 :],
        "insert": whole[:at] + byte + whole[at:],
        "cut": whole[:at],
    }[kind]
    if changed != whole:
        with pytest.raises(PlanError, match=r"line \d|max_"):
            Plan.from_bytes(changed)


@given(plan=PLANS, data=st.data())
def test_a_plan_of_which_the_hash_was_made_to_fit_is_canonical_or_refused(
    plan: Plan, data: st.DataObject
) -> None:
    whole = plan.to_bytes()
    lines = whole.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(b"".join(lines[:-1])) - 2))
    byte = data.draw(st.sampled_from(list(b' 0123456789"{}[],:\\abntuE.-+eTZ')))
    changed = hashed(whole[:at] + bytes([byte]) + whole[at + 1 :])
    try:
        read = Plan.from_bytes(changed)
    except PlanError:
        return
    assert read.to_bytes() == changed


HEADER_LINE = (
    '{"action":"invoices.update invoice_status=approved","after":null,'
    '"caps":{"max_row":null,"max_rows":null,"max_total":{}},'
    '"created_at":"2024-02-01T10:00:00Z","domain":"x.example",'
    '"expires_at":"2024-02-08T10:00:00Z","history":[],"history_months":[],'
    '"maker":"ada@accounts","maker_key":null,"period":"2024-01-01..2024-01-31","rows":1,'
    '"totals":[{"amount":"10.10","count":1,"currency":"USD","invoice_status":"pending",'
    '"kind":"payout"}]}\n'
)
ROW_LINE = (
    '{"arguments":{"invoice_id":4821,"invoice_status":"approved"},'
    '"operation":"invoices.update","record":{"amount":"10.10","currency":"USD",'
    '"end_date":"2024-01-31","invoice_status":"pending","kind":"payout","partner_id":7,'
    '"partner_name":"Acme","sent_payment":null,"start_date":"2024-01-01"}}\n'
)


def test_the_file_is_as_documented() -> None:
    plan = plan_of([approval(4821)])
    assert plan.to_bytes().decode().splitlines(keepends=True)[:3] == [
        '{"aiocake_plan":1}\n',
        HEADER_LINE,
        ROW_LINE,
    ]
    assert plan.to_bytes().endswith(f'{{"sha256":"{plan.hash}"}}\n'.encode())
    assert repr(plan) == (
        f"<Plan invoices.update invoice_status=approved, 1 rows, for x.example, {plan.hash[:12]}>"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"rows":2', b'"rows":3', "line 2: rows is not what the rows come to"),
        (b'"amount":"20.20"', b'"amount":"20.21"', "line 2: totals is not"),
        (b"invoice_status=approved", b"invoice_status=void", "line 2: action is not"),
        (b'"invoice_id":2', b'"invoice_id":1', "line 4: repeats an earlier row"),
        (b"invoices.update", b"invoices.delete", "line 3: is of an operation"),
        (b'"invoice_status":"approved"}', b'"invoice_status":"payed"}', "line 3: invoice_status"),
        (b'"currency":"USD","end', b'"currency": "USD","end', "line 3: is not as aiocake"),
        (b'"amount":"10.10","currency":"USD","end', b'"amount":10.1,"currency":"USD","end', "3"),
        (b'"amount":"10.10"', b'"amount":"1E+1"', "line 3: is not as aiocake"),
        (b'"partner_id":7', b'"partner_id":true', "line 3: is not as aiocake"),
        (b"Acme", b"\xff", "line 3: is not as aiocake"),
        (b"Acme", b"\\u0041cme", "line 3: is not as aiocake"),
        (b"Acme", b"A\ncme", "line 3: is not as aiocake"),
        (b'"caps":{', b'"caps":{"max_row":"1",', "line 2: is not as aiocake"),
        (b'"max_row":null', b'"max_row":"1"', "line 3: its amount is above max_row"),
        (b'"max_total":{}', b'"max_total":{"EUR":"1"}', "max_total: names no USD"),
        (b'"period":"2024-01-01..2024-01-31"', b'"period":"2024-01"', "line 2: is not as aiocake"),
        (b'"aiocake_plan":1', b'"aiocake_plan":2', "line 1: is of version 2"),
        (b"\n", b"\r\n", "line 1: ends in CR LF"),
    ],
)
def test_what_no_plan_would_have_is_refused_even_if_the_hash_fits(
    old: bytes, new: bytes, said: str
) -> None:
    data = plan_of([approval(1), approval(2)]).to_bytes()
    assert old in data
    with pytest.raises(PlanError, match=said):
        Plan.from_bytes(hashed(data.replace(old, new)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: b"", "line 1: the file is empty"),
        (lambda data: b"\xef\xbb\xbf" + data, "line 1: begins with a byte order mark"),
        (lambda _: b"invoice_id\n1\n", "line 1: is not the first line of a plan"),
        (lambda data: data.replace(b"\n", b"\r\n"), "line 1: ends in CR LF"),
        (lambda data: data.splitlines(keepends=True)[0], "line 2: is missing"),
        (lambda data: b"".join(data.splitlines(keepends=True)[:-1]), "line 5: is missing"),
        (lambda data: data[:-1], "line 5: is cut off"),
        (lambda data: data + b"\n", "line 6: stands after the last line"),
        (lambda data: data.replace(b"10.10", b"99.10"), "line 5: the hash is not that"),
    ],
)
def test_a_damaged_file_says_where(change: Callable[[bytes], bytes], said: str) -> None:
    data = plan_of([approval(1), approval(2)]).to_bytes()
    with pytest.raises(PlanError, match=said):
        Plan.from_bytes(change(data))


def test_all_bad_lines_are_named() -> None:
    data = plan_of([approval(number) for number in range(1, 30)]).to_bytes()
    with pytest.raises(PlanError) as caught:
        Plan.from_bytes(data.replace(b"Acme", b"Acme\\u0020"))
    assert [each.name for each in caught.value.problems] == [f"line {n}" for n in range(3, 32)]
    assert "and 19 more" in str(caught.value)


def test_a_plan_is_written_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    plan, file = plan_of([approval(1)]), tmp_path / "january.plan"
    plan.write(file)
    assert Plan.read(file) == plan
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(PlanError, match="exists already"):
        plan.write(str(file))
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such file"):
        Plan.read(tmp_path / "none")
    with pytest.raises(PlanError, match="cannot be read"):
        Plan.read(tmp_path)
    with pytest.raises(PlanError, match="cannot be written"):
        plan_of([]).write(tmp_path / "none" / "x")
    (tmp_path / "x").write_text("no")
    with pytest.raises(PlanError, match=r"x is not a plan: line 1"):
        Plan.read(tmp_path / "x")
    with pytest.raises(ArgumentError, match="data: must be bytes"):
        Plan.from_bytes("x")  # type: ignore[arg-type] # that is the point


def test_rows_are_a_sequence() -> None:
    many = A_PIECE * 2 + 3
    plan = plan_of([approval(number) for number in range(1, many + 1)])
    rows = Plan.from_bytes(plan.to_bytes()).rows
    assert len(rows) == many
    assert [row.arguments["invoice_id"] for row in rows] == list(range(1, many + 1))
    for at in (0, 1, A_PIECE - 1, A_PIECE, many - 1, -1, -many):
        assert rows[at].arguments["invoice_id"] == range(1, many + 1)[at]
        assert rows[at].index == range(many)[at]
    assert [row.index for row in rows[A_PIECE - 1 : A_PIECE + 1]] == [A_PIECE - 1, A_PIECE]
    with pytest.raises(IndexError):
        rows[many]


def test_a_row_knows_what_it_expects() -> None:
    expect = pytest.importorskip("aiocake.models.expect").Expect
    row = approval(1)
    assert row.expect == expect(
        invoice_status="pending", total_amount=Decimal("10.10"), currency="USD", affiliate_id=7
    )
    revenue = approval(1, kind=InvoiceKind.REVENUE, currency="€")
    assert revenue.expect == expect(
        invoice_status="pending", total_amount=Decimal("10.10"), advertiser_id=7
    )
    assert attrs.evolve(row, operation="affiliate_bills.mark_paid").expect is None
    assert attrs.evolve(row, record=None).expect is None


def test_totals_are_by_kind_status_and_currency() -> None:
    rows = [
        approval(1),
        approval(2, amount=Decimal("-0.1")),
        approval(3, currency="EUR"),
        approval(4, kind=InvoiceKind.REVENUE),
        approval(5, amount=None),
    ]
    pending = InvoiceStatus.PENDING
    assert plan_of(rows).totals == (
        Total(kind=InvoiceKind.PAYOUT, invoice_status=pending, currency="EUR", count=1,
              amount=Decimal("10.10")),
        Total(kind=InvoiceKind.PAYOUT, invoice_status=pending, currency="USD", count=2,
              amount=Decimal("10.00")),
        Total(kind=InvoiceKind.REVENUE, invoice_status=pending, currency="USD", count=1,
              amount=Decimal("10.10")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        (Caps(max_rows=2), ["max_rows: there are 3 rows"]),
        (Caps(max_row=10), [f"line {line}: its amount is above max_row" for line in (3, 4, 5)]),
        (Caps(max_row=Decimal("10.10"), max_rows=3, max_total={"USD": Decimal("30.30")}), []),
        (Caps(max_total={"USD": Decimal("30.29")}), ["max_total: the payout rows in USD are"]),
        (Caps(max_total={"EUR": 1}), ["max_total: names no USD, which payout rows have"]),
        (Caps(max_total={"USD": 0}), ["max_total: the payout rows in USD are above it"]),
        (Caps(), []),
    ],
)
def test_caps_name_what_is_above_them(caps: Caps, said: list[str]) -> None:
    rows = [attrs.evolve(approval(n), index=n, line=n + 3) for n in range(3)]
    # A negative amount counts by its size: it takes nothing off a total.
    rows[1] = attrs.evolve(rows[1], record=attrs.evolve(RECORD, amount=Decimal("-10.10")))
    found = list(map(str, caps.check(rows)))
    assert len(found) == len(said)
    assert all(map(str.startswith, found, said))
    assert not any("10.10" in each for each in found)


def test_a_cap_on_amounts_needs_amounts() -> None:
    rows = [
        approval(1, amount=None),
        approval(2, currency=None),
        attrs.evolve(approval(3), record=None),
    ]
    assert [each.reason for each in Caps(max_total={"USD": 1}).check(rows)] == [
        "its amount is not known, so no cap on amounts can be kept",
        "its currency is not known, so max_total cannot be kept",
        "its amount is not known, so no cap on amounts can be kept",
    ]
    assert Caps(max_rows=9).check(rows) == []


def test_a_mark_counts_by_the_amount_that_it_sets() -> None:
    mark = attrs.evolve(
        approval(1),
        operation="advertiser_bills.mark_received",
        arguments=MappingProxyType({"bill_id": 1, "payment_amount": Decimal(1000)}),
    )
    assert [str(each) for each in Caps(max_row=999).check([mark])] == [
        "line 3: its amount is above max_row"
    ]
    assert Caps(max_row=1000).check([mark]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_row": 1.5}, {"max_row": -1}, {"max_row": Decimal("NaN")}, {"max_rows": -1},
        {"max_rows": True}, {"max_total": {"USD": 1.5}}, {"max_total": {"": 1}},
        {"max_total": {1: 1}}, {"max_total": 5}, {"max_total": {"USD": Decimal("Infinity")}},
    ],
)  # fmt: skip
def test_caps_are_exact(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"^{next(iter(wrong))}"):
        Caps(**wrong)


def test_a_call_that_a_plan_keeps_is_the_call_that_was_given() -> None:
    mark = {"bill_id": 1, "invoiced_amount": Decimal("1E+3"), "notes": ERASE}
    plan = plan_of([_row("affiliate_bills.mark_received", mark, RECORD)])
    (row,) = Plan.from_bytes(plan.to_bytes()).rows
    assert dict(row.arguments) == mark
    assert str(row.arguments["invoiced_amount"]) == "1E+3"
    with pytest.raises(TypeError):
        row.arguments["bill_id"] = 2  # type: ignore[index] # it is read-only


def test_the_action_says_what_all_rows_have_in_common() -> None:
    other = _row(
        "invoices.update", {"invoice_id": 2, "invoice_status": "void", "memo": "x"}, RECORD
    )
    paid = _row(
        "affiliate_bills.mark_paid", {"bill_id": 1, "payment_date": date(2024, 2, 1)}, RECORD
    )
    assert plan_of([approval(1)]).header.action == "invoices.update invoice_status=approved"
    assert plan_of([other, approval(1), paid]).header.action == (
        "affiliate_bills.mark_paid payment_date=2024-02-01, invoices.update"
    )
    assert MADE + timedelta(days=7) == plan_of([]).header.expires_at
