"""``aiocake bills``: what is sent, what is stored, and what is shown, of each kind."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from datetime import date, datetime
from decimal import Decimal

import pytest

KINDS = ["affiliate", "advertiser", "buyer"]
FIRST = {"affiliate": 345, "advertiser": 1_000_000, "buyer": 2_000_000}
YEAR = ("--period", "2013-12-01..2015-01-31")  # weeks cross a year's end
BINDINGS = ["get", "post", "soap11", "soap12"]
MARKS = [
    ("affiliate", "mark-received", ("--invoiced-amount", "20.01")),
    ("affiliate", "mark-paid", ("--payment-date", "2014-07-31")),
    ("advertiser", "mark-sent", ("--date-sent-invoice", "2014-07-02")),
    ("advertiser", "mark-received", ("--payment-amount", "20.01")),
    ("buyer", "mark-sent", ("--date-sent-invoice", "2014-07-02")),
    ("buyer", "mark-received", ("--payment-amount", "20.01")),
]


def exported(ran) -> list[dict]:
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def stored(sandbox, kind: str, matches=lambda _: True) -> list[int]:
    found = [bill.bill_id for bill in sandbox.state.bills(kind).values() if matches(bill)]
    assert found
    return found


def form_of(request) -> str:
    """The binding in which a request came."""
    if request.method == "GET":
        return "get"
    if request.headers["content-type"].startswith("application/x-www-form-urlencoded"):
        return "post"
    return "soap11" if "soapaction" in request.headers else "soap12"


@pytest.mark.parametrize("kind", KINDS)
def test_export_gives_the_bills_of_a_period(cake, sandbox, kind: str) -> None:
    def ids(*words: object) -> list[int]:
        ran = cake("bills", kind, "export", "-f", "jsonl", *words)
        return [bill["bill_id"] for bill in exported(ran)]

    assert ids(*YEAR) == stored(sandbox, kind)
    assert ids(*YEAR, "--billing-cycle", "Monthly") == stored(
        sandbox, kind, lambda bill: bill.partner.billing_cycle == "monthly"
    )
    # The last day of June is in it: v1 is asked for all before the first of July.
    assert ids("--period", "2014-06") == stored(
        sandbox,
        kind,
        lambda bill: bill.start_date >= date(2014, 6, 1) and bill.end_date <= date(2014, 7, 1),
    )


def test_affiliates_bills_can_be_filtered_by_payment(cake, sandbox) -> None:
    def ids(*words: object) -> list[int]:
        ran = cake("bills", "affiliate", "export", "-f", "jsonl", *YEAR, *words)
        return [bill["bill_id"] for bill in exported(ran)]

    some = sandbox.state.affiliate_bills[345].partner.payment_type_id
    assert ids("--paid-only") == stored(sandbox, "affiliate", lambda bill: "paid" in bill.marked)
    assert ids("--payment-type-id", some) == stored(
        sandbox, "affiliate", lambda bill: bill.partner.payment_type_id == some
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_bill_is_whole_as_json_and_flat_in_rows(cake, sandbox, kind: str) -> None:
    made = sandbox.state.bills(kind)[FIRST[kind]]
    words = ("bills", kind, "export", "--period", "2014-06")
    bill = json.loads(cake(*words, "-f", "json").out)[0]
    assert list(bill)[:3] == ["bill_id", "period", kind]
    assert (bill[kind]["id"], bill[kind]["name"]) == (made.partner.partner_id, made.partner.name)
    assert bill[kind]["billing_cycle_name"] == "Monthly"
    assert bill[kind]["account_managers"] == [
        {"contact_id": 11, "contact_name": made.partner.manager}
    ]
    assert isinstance(bill["bill_amount"]["amount"], str)
    assert Decimal(bill["bill_amount"]["amount"]) == made.amount
    assert bill["sent_payment"] is False
    assert bill["period"] == "2014-06-01..2014-06-30"
    assert bill["billing_period_start_date"] == "2014-06-01"
    assert bill["extra"] == {}
    row = next(csv.DictReader(cake(*words, "-f", "csv").out.splitlines()))
    assert row[f"{kind}_name"] == "Acme Media Group"
    assert Decimal(row["amount"]) == made.amount
    assert row["sent_payment"] == "false"
    # Rows have the same names in each format.
    line = exported(cake(*words, "-f", "jsonl"))[0]
    assert list(line) == list(row)
    assert line["contacts"] == bill[kind]["contacts"]
    assert set(row) >= set(bill) - {kind, "bill_amount"}
    assert row["billing_period_end_date"] == bill["billing_period_end_date"] == "2014-07-01"
    assert json.loads(row["contacts"]) == bill[kind]["contacts"]
    names, _, first = cake(*words).out.splitlines()[:3]
    assert names.split()[:4] == ["bill", kind, "name", "period"]
    assert "2014-06-01..2014-06-30" in first
    assert "no" in first.split()


def test_affiliates_bills_go_without_the_kind_as_well(cake, sandbox) -> None:
    words = ("export", "--period", "2014-06")
    assert cake("bills", *words) == cake("bills", "affiliate", *words)
    assert cake("bills", "mark-received", 345, "--invoiced-amount", 7).code == 0
    assert cake("bills", "mark-paid", 345, "--payment-date", "2014-07-31").code == 0
    bill = sandbox.state.affiliate_bills[345]
    assert bill.invoiced_amount == 7
    assert bill.marked == {"received", "paid"}


def test_an_affiliates_bill_is_received(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    mark = ("bills", "affiliate", "mark-received", 345, "--invoiced-amount")
    first = cake(
        *(*mark, "20.01", "--invoice-number", "A-17", "--notes", "by phone"),
        *("--date-invoice-received", "2014-07-10", "-f", "json"),
    )
    assert json.loads(first.out) == {
        "bill_id": 345,
        "message": "Bill Marked As Received",
        "first": True,
        "payment_amount": None,
        "bill_amount": None,
    }
    assert bill.invoiced_amount == Decimal("20.01")
    assert bill.date_invoice_received == datetime(2014, 7, 10)  # noqa: DTZ001 - v1 has no zones
    assert (bill.invoice_number, bill.notes) == ("A-17", "by phone")
    kept = cake(*mark, -5)
    assert "Bill Successfully Updated" in kept.out
    assert bill.invoiced_amount == Decimal(-5)
    assert (bill.invoice_number, bill.notes) == ("A-17", "by phone")
    assert bill.date_invoice_received is not None
    erase = ("--erase-date-invoice-received", "--erase-invoice-number", "--erase-notes")
    assert cake(*mark, 5, *erase).code == 0
    assert (bill.invoice_number, bill.notes, bill.date_invoice_received) == (None, None, None)


def test_an_affiliates_bill_is_paid(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    paid = ("bills", "affiliate", "mark-paid", 345, "--payment-date", "2014-07-31")
    first = cake(
        *(*paid, "--payment-type-id", 2, "--invoice-number", "A-17"),
        *("--verification-code", "V-1", "--notes", "by wire"),
    )
    assert "Affiliate Payment Added" in first.out
    assert bill.payment_date == datetime(2014, 7, 31)  # noqa: DTZ001 - v1 has no zones
    assert (bill.payment_type_id, bill.verification_code) == (2, "V-1")
    assert (bill.invoice_number, bill.notes) == ("A-17", "by wire")
    assert cake(*paid).code == 0
    assert (bill.payment_type_id, bill.verification_code) == (2, "V-1")
    assert (bill.invoice_number, bill.notes) == ("A-17", "by wire")
    erase = ("--erase-verification-code", "--erase-invoice-number", "--erase-notes")
    assert cake(*paid, *erase).code == 0
    assert (bill.invoice_number, bill.notes, bill.verification_code) == (None, None, None)


@pytest.mark.parametrize("kind", ["advertiser", "buyer"])
def test_an_advertisers_or_buyers_bill_is_sent(cake, sandbox, kind: str) -> None:
    bill = sandbox.state.bills(kind)[FIRST[kind]]
    mark = ("bills", kind, "mark-sent", bill.bill_id)
    first = cake(
        *(*mark, "--date-sent-invoice", "2014-07-02", "--invoice-number", "A-17"),
        *("--notes", "by mail"),
    )
    assert "Bill Marked As Invoice Sent" in first.out
    assert bill.date_sent_invoice == datetime(2014, 7, 2)  # noqa: DTZ001 - v1 has no zones
    assert (bill.invoice_number, bill.notes, bill.marked) == ("A-17", "by mail", {"sent"})
    assert cake(*mark).code == 0
    assert (bill.invoice_number, bill.notes) == ("A-17", "by mail")
    assert bill.date_sent_invoice is not None
    erase = ("--erase-date-sent-invoice", "--erase-invoice-number", "--erase-notes")
    assert cake(*mark, *erase).code == 0
    assert (bill.invoice_number, bill.notes, bill.date_sent_invoice) == (None, None, None)


@pytest.mark.parametrize("kind", ["advertiser", "buyer"])
def test_an_advertisers_or_buyers_bill_is_received(cake, sandbox, kind: str) -> None:
    bill = sandbox.state.bills(kind)[FIRST[kind]]
    mark = ("bills", kind, "mark-received", bill.bill_id, "--payment-amount")
    first = cake(
        *(*mark, "20.01", "--date-payment-received", "2014-08-02", "--payment-type-id", 2),
        *("--invoice-number", "A-17", "--verification-code", "V-1", "--notes", "by wire"),
        *("-f", "json"),
    )
    shown = json.loads(first.out)
    assert shown["first"] is True
    assert Decimal(shown["payment_amount"]) == bill.payment_amount == Decimal("20.01")
    assert Decimal(shown["bill_amount"]) == bill.amount
    assert bill.date_payment_received == datetime(2014, 8, 2)  # noqa: DTZ001 - v1 has no zones
    assert (bill.payment_type_id, bill.verification_code) == (2, "V-1")
    assert (bill.invoice_number, bill.notes, bill.marked) == ("A-17", "by wire", {"received"})
    assert cake(*mark, 1).code == 0
    assert (bill.payment_type_id, bill.verification_code) == (2, "V-1")
    erase = (
        *("--erase-date-payment-received", "--erase-invoice-number"),
        *("--erase-verification-code", "--erase-notes"),
    )
    assert cake(*mark, 1, *erase).code == 0
    assert (bill.invoice_number, bill.notes, bill.verification_code) == (None, None, None)
    assert bill.date_payment_received is None
    assert sandbox.state.credits == {}


def test_a_credit_is_applied_each_time_and_never_by_get(cake, sandbox) -> None:
    bill = sandbox.state.buyer_bills[2_000_000]
    mark = ("bills", "buyer", "mark-received", bill.bill_id, "--payment-amount", "20.01")
    credit = (*mark, "--apply-credit-to-buyer")
    assert cake(*credit).code == 0
    assert cake(*credit, "--binding", "post").code == 0
    assert sandbox.state.credits == {bill.partner.partner_id: Decimal("40.02")}
    assert [form_of(request) for request in sandbox.state.requests] == ["soap12", "post"]
    ran = cake(*credit, "--binding", "get")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "aiocake: --binding: get cannot be combined with --apply-credit-to-buyer, which moves "
        "money\n"
    )
    assert len(sandbox.state.requests) == 2
    assert cake(*mark, "--binding", "get").code == 0
    assert sandbox.state.credits == {bill.partner.partner_id: Decimal("40.02")}


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_bills_are_exported_in_each_binding(cake, sandbox, kind: str, binding: str) -> None:
    ran = cake("bills", kind, "export", *YEAR, "-f", "jsonl", "--binding", binding)
    assert [bill["bill_id"] for bill in exported(ran)] == stored(sandbox, kind)
    assert [form_of(request) for request in sandbox.state.requests] == [binding]


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize(("kind", "mark", "words"), MARKS)
def test_bills_are_marked_in_each_binding(  # noqa: PLR0913, PLR0917 - cases
    cake, sandbox, kind: str, mark: str, words, binding: str
) -> None:
    note = "Ü & 日本"
    ran = cake("bills", kind, mark, FIRST[kind], *words, "--notes", note, "--binding", binding)
    assert (ran.code, ran.err) == (0, "")
    assert sandbox.state.bills(kind)[FIRST[kind]].notes == note
    assert [form_of(request) for request in sandbox.state.requests] == [binding]


def test_calls_go_by_get_unless_something_else_is_said(cake, sandbox) -> None:
    assert cake("bills", "export", "--period", "2014-06").code == 0
    assert cake("bills", "mark-received", 345, "--invoiced-amount", 1).code == 0
    assert {form_of(request) for request in sandbox.state.requests} == {"get"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["export"], "Missing option '--period'", id="no-period"),
        pytest.param(["buyer", "export"], "Missing option '--period'", id="no-period-of-buyers"),
        pytest.param(
            ["export", "--period", "2014-06", "--billing-cycle", "daily"],
            "--billing-cycle: must be one of weekly, bimonthly, monthly, all",
            id="cycle",
        ),
        pytest.param(
            ["export", "--period", "2014-06", "--payment-type-id", "256"],
            "--payment-type-id: must be from 1 to 255",
            id="type",
        ),
        pytest.param(
            ["export", "--period", "2014-06", "--binding", "SOAP"],
            "'SOAP' is not one of 'get', 'post', 'soap11', 'soap12'",
            id="binding",
        ),
        pytest.param(["mark-received", "345"], "Missing option '--invoiced-amount'", id="amount"),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "20,01"],
            "'20,01' is not an amount such as 1250.00",
            id="comma",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1e3"], "is not an amount", id="exponent"
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "NaN"], "is not an amount", id="nan"
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "٢٠"],
            "is not an amount",
            id="arabic-digits",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1" * 29],
            "--invoiced-amount: must have at most 28 digits",
            id="29-digits",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", "x", "--erase-notes"],
            "--notes: cannot be combined with --erase-notes",
            id="set-and-erased",
        ),
        pytest.param(
            [
                *("buyer", "mark-sent", "1", "--date-sent-invoice", "2014-07-02"),
                "--erase-date-sent-invoice",
            ],
            "--date-sent-invoice: cannot be combined with --erase-date-sent-invoice",
            id="date-set-and-erased",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", ""], "notes:", id="empty"
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", "NULL"],
            "notes:",
            id="null",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", "x" * 251],
            "notes:",
            id="251-units",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", "界" * 250],
            "soap",
            id="too-long-for-get",
        ),
        pytest.param(["mark-paid", "345"], "Missing option '--payment-date'", id="no-date"),
        pytest.param(
            ["mark-paid", "345", "--payment-date", "31-07-2014"], "such as 2024-01-31", id="day"
        ),
        # What one kind has and another has not.
        pytest.param(
            ["advertiser", "mark-paid", "1"], "No such command 'mark-paid'", id="advertiser-paid"
        ),
        pytest.param(["buyer", "mark-paid", "1"], "No such command 'mark-paid'", id="buyer-paid"),
        pytest.param(
            ["affiliate", "mark-sent", "1"], "No such command 'mark-sent'", id="affiliate-sent"
        ),
        pytest.param(
            ["mark-sent", "1", "--notes", "x"],
            "whose bill was sent? bills advertiser mark-sent, or bills buyer mark-sent",
            id="sent-by-nobody",
        ),
        pytest.param(
            ["buyer", "export", "--period", "2014-06", "--paid-only"],
            "No such option: --paid-only",
            id="paid-only",
        ),
        pytest.param(
            ["affiliate", "mark-received", "1", "--payment-amount", "1"],
            "No such option: --payment-amount",
            id="payment-of-an-affiliate",
        ),
        pytest.param(
            ["advertiser", "mark-received", "1", "--invoiced-amount", "1"],
            "No such option: --invoiced-amount",
            id="invoice-of-an-advertiser",
        ),
        pytest.param(
            [
                *("advertiser", "mark-received", "1", "--payment-amount", "1"),
                "--apply-credit-to-buyer",
            ],
            "No such option: --apply-credit-to-buyer",
            id="credit-of-an-advertiser",
        ),
        pytest.param(["publisher", "export"], "No such command 'publisher'", id="no-kind"),
    ],
)
def test_bad_arguments_are_named_on_one_line_and_nothing_is_sent(
    cake, sandbox, words: list[str], said: str
) -> None:
    ran = cake("bills", *words)
    assert ran.code == 2
    assert said.lower() in ran.err.lower()
    assert ran.err.startswith("aiocake: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert sandbox.state.requests == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_bill_that_is_not_there_is_not_found(cake, kind: str) -> None:
    amount = "--invoiced-amount" if kind == "affiliate" else "--payment-amount"
    ran = cake("bills", kind, "mark-received", 1, amount, 1)
    assert ran.code == 4
    assert ran.err.startswith("aiocake: not found: ")
