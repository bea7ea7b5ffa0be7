"""``aiocake bills``: what is sent, what is stored, and what is shown."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import json
from datetime import date, datetime
from decimal import Decimal

import pytest


def exported(ran) -> list[dict]:
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(line) for line in ran.out.splitlines()]


def test_export_gives_the_bills_of_a_period(cake, sandbox) -> None:
    def ids(*words: object) -> list[int]:
        ran = cake("bills", "export", "-f", "jsonl", *words)
        return [bill["bill_id"] for bill in exported(ran)]

    def stored(matches) -> list[int]:
        bills = sandbox.state.affiliate_bills.values()
        found = [bill.bill_id for bill in bills if matches(bill)]
        assert found
        return found

    year = ("--period", "2013-12-01..2015-01-31")  # weeks cross a year's end
    assert ids(*year) == stored(lambda _: True)
    assert ids(*year, "--billing-cycle", "weekly") == stored(
        lambda bill: bill.partner.billing_cycle == "weekly"
    )
    assert ids(*year, "--paid-only") == stored(lambda bill: "paid" in bill.marked)
    some = next(iter(sandbox.state.affiliate_bills.values())).partner.payment_type_id
    assert ids(*year, "--payment-type-id", some) == stored(
        lambda bill: bill.partner.payment_type_id == some
    )
    # The last day of June is in it: v1 is asked for all before the first of July.
    assert ids("--period", "2014-06") == stored(
        lambda bill: bill.start_date >= date(2014, 6, 1) and bill.end_date <= date(2014, 7, 1)
    )


def test_a_bill_is_whole_as_json_and_flat_as_csv(cake, sandbox) -> None:
    stored = sandbox.state.affiliate_bills[345]
    words = ("bills", "export", "--period", "2014-06")
    bill = exported(cake(*words, "-f", "jsonl"))[0]
    assert bill["affiliate"]["id"] == stored.partner.partner_id
    assert bill["affiliate"]["extra"]["affiliate_billing"]["billing_cycle"]
    assert Decimal(bill["bill_amount"]["amount"]) == stored.amount
    assert isinstance(bill["bill_amount"]["amount"], str)
    assert bill["sent_payment"] is False
    assert bill["extra"]["billing_period_start_date"] == "2014-06-01T00:00:00"
    row = next(csv.DictReader(cake(*words, "-f", "csv").out.splitlines()))
    assert row["affiliate_name"] == "Acme Media Group"
    assert Decimal(row["amount"]) == stored.amount
    assert row["sent_payment"] == "false"
    assert json.loads(row["extra"])["affiliate"]["affiliate_billing"]
    table = cake(*words).out.splitlines()
    assert "2014-06-01T00:00:00" in table[2]
    assert "no" in table[2].split()


def test_mark_received_sets_what_is_given_keeps_and_erases(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    first = cake(
        *("bills", "mark-received", 345, "--invoiced-amount", "20.01", "--invoice-number", "A-17"),
        *("--date-invoice-received", "2014-07-10", "--notes", "by phone", "-f", "json"),
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
    kept = cake("bills", "mark-received", 345, "--invoiced-amount", -5)
    assert "Bill Successfully Updated" in kept.out
    assert bill.invoiced_amount == Decimal(-5)
    assert (bill.invoice_number, bill.notes) == ("A-17", "by phone")
    assert bill.date_invoice_received is not None
    erase = ("--erase-date-invoice-received", "--erase-invoice-number", "--erase-notes")
    assert cake("bills", "mark-received", 345, "--invoiced-amount", 5, *erase).code == 0
    assert (bill.invoice_number, bill.notes, bill.date_invoice_received) == (None, None, None)


def test_mark_paid_sets_what_is_given_keeps_and_erases(cake, sandbox) -> None:
    bill = sandbox.state.affiliate_bills[345]
    paid = ("bills", "mark-paid", 345, "--payment-date", "2014-07-31")
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["export"], "Missing option '--period'", id="no-period"),
        pytest.param(
            ["export", "--period", "2014-06", "--billing-cycle", "daily"],
            "billing_cycle: must be one of weekly, bimonthly, monthly, all",
            id="cycle",
        ),
        pytest.param(
            ["export", "--period", "2014-06", "--payment-type-id", "256"],
            "payment_type_id: must be from 1 to 255",
            id="type",
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
            "invoiced_amount: must have at most 28 digits",
            id="29-digits",
        ),
        pytest.param(
            ["mark-received", "345", "--invoiced-amount", "1", "--notes", "x", "--erase-notes"],
            "--notes: does not go together with --erase-notes",
            id="set-and-erased",
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
        pytest.param(["mark-paid", "345"], "Missing option '--payment-date'", id="no-date"),
        pytest.param(
            ["mark-paid", "345", "--payment-date", "31-07-2014"], "such as 2024-01-31", id="day"
        ),
    ],
)
def test_bad_arguments_are_named_on_one_line_and_nothing_is_sent(
    cake, sandbox, words: list[str], said: str
) -> None:
    ran = cake("bills", *words)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.startswith("aiocake: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert sandbox.state.requests == []
