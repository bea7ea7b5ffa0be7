"""Pages are self-contained, nothing in them is code, and all of a text is there to be read."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._display import escaped
from aiocake.bulk.journal import EntryState, WorkSession
from aiocake.bulk.log_chain import Approval, LogHead, PlanIdentity
from aiocake.models import InvoiceKind, InvoiceStatus, Total
from aiocake.monthend import (
    Approvals,
    Audit,
    AuditedCall,
    Caps,
    Difference,
    Differences,
    Plan,
    Signature,
)
from aiocake.monthend.html_page import Lines, element, table
from aiocake.monthend.report_html import approval_page, audit_page

from ..support.plans import MONTHS, a_plan, history, row

EVIL = (
    "<script>alert(1)</script>",
    '"onmouseover="alert(1)',
    "'><img src=https://evil.example/x>",
    '=HYPERLINK("https://evil.example")',
    "\x1b[31mred\x07",
    "invoice_\u202egnp.exe",
    "&lt;b&gt;&#60;",
    "</style></td></table>",
    "]]><!-- -->",
)
AT = datetime(2024, 2, 1, 10, tzinfo=UTC)


class Page(HTMLParser):
    """Reads a page as strictly as it is written: what is opened is closed, in order."""

    EMPTY = frozenset({"meta", "rect"})
    ALLOWED: Mapping[str, frozenset[str]] = {
        "html": frozenset({"lang"}),
        "meta": frozenset({"charset", "http-equiv", "content", "name"}),
        "div": frozenset({"class"}),
        "span": frozenset({"class"}),
        "p": frozenset({"class"}),
        "th": frozenset({"scope", "class"}),
        "td": frozenset({"class", "data-of"}),
        "svg": frozenset({"viewbox", "preserveaspectratio", "aria-hidden"}),
        "rect": frozenset({"class", "width", "height"}),
        **dict.fromkeys(
            ("head", "title", "style", "body", "h1", "h2", "dl", "dt", "dd", "figure", "b"),
            frozenset[str](),
        ),
        **dict.fromkeys(("figcaption", "small", "table", "thead", "tbody", "tr"), frozenset[str]()),
    }

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.style = ""
        self.policy = ""
        self.declared: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        assert self.declared == ["DOCTYPE html"]

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert {name for name, _ in attributes} <= self.ALLOWED[tag]
        if tag not in self.EMPTY:
            self.open.append(tag)
        found = dict(attributes)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        elif data.strip():
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_pi = handle_comment
    unknown_decl = handle_comment


def plan_of(names: tuple[str, ...]) -> Plan:
    records = [
        row(f"{at + 1}00.00", partner=at, name=name, currency=name[:3] or "?")
        for at, name in enumerate(names)
    ]
    return a_plan(
        [*records, *records],
        maker=names[0],
        domain=names[-1] or "x",
        history_months=MONTHS,
        history=tuple(
            history("1.00", partner=at + 1, name=name, currency=name[:3] or "?", last="7.50")
            for at, name in enumerate(names)
        ),
        caps=Caps(max_rows=len(names) * 2, max_row=Decimal(len(names) * 100)),
        after={"made_at": names[0], "plan_hash": names[-1], "log": {"count": 1, "hash": "ab"}},
    )


def audit_of(names: tuple[str, ...]) -> Audit:
    call = AuditedCall(
        index=0,
        operation="invoices.update",
        record_id=4821,
        kind=InvoiceKind.PAYOUT,
        partner_id=1,
        partner_name="",
        amount=Decimal("100.25"),
        currency="USD",
        start_date=None,
        end_date=None,
        old_status="pending",
        new_status="approved",
        state=EntryState.DONE,
        attempts=1,
        sent_at=AT,
        answered_at=AT,
        message="done",
        user="",
        host="",
        arguments={},
    )
    return Audit(
        domain=names[0],
        audited_at=AT,
        plan=PlanIdentity(
            hash="ab" * 32,
            maker=names[0],
            approvals=tuple(Approval(principal=each, key=each) for each in names),
        ),
        sessions=tuple(
            WorkSession("2024-02-01", None, each, each, each, 1, each, running=False)
            for each in names
        ),
        entries=tuple(
            attrs.evolve(call, partner_name=each, message=each, user=each, host=each, currency=each)
            for each in names
        ),
        totals=tuple(
            Total(
                kind=InvoiceKind.PAYOUT,
                invoice_status=InvoiceStatus.APPROVED,
                currency=each,
                count=1,
                amount=Decimal("100.25"),
            )
            for each in names
        ),
        unpriced=2,
        log=LogHead(7, names[0]),
        unchained=3,
        receipts=0,
        integrity=names,
        completeness=names,
        verified=True,
        differences=tuple(
            Difference(
                index=0, record=each, state=EntryState.DONE, field=each, planned=each, found=each
            )
            for each in names
        ),
        unchecked=names,
    )


def pages(names: tuple[str, ...]) -> list[str]:
    plan = plan_of(names)
    approvals = Approvals(
        Signature(names[0], "SHA256:AA", 1), tuple(Signature(e, e, 2) for e in names)
    )
    found = Differences.of(plan)
    return [approval_page(plan, found, approvals), audit_page(audit_of(names), plan)]


def test_nothing_in_a_text_becomes_code_and_all_of_it_is_there() -> None:
    for text in pages(EVIL):
        page = Page(text)
        shown = "\n".join(page.texts)
        for each in EVIL:
            assert escaped(each) in shown
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", text)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=4))
def test_whatever_people_are_called(names: list[str]) -> None:
    for text in pages(tuple(names)):
        shown = "\n".join(Page(text).texts)
        for each in names:
            assert escaped(each).strip() in shown


def test_a_page_may_load_nothing_and_run_nothing() -> None:
    for text in pages(("Acme",)):
        page = Page(text)  # which knows no element or attribute that names another file
        digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        assert page.policy.split("; ") == [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
        assert not re.search(r"url\(|@import|//|expression|javascript:", text)
        assert "style=" not in text


def test_the_totals_are_drawn_to_one_scale_in_each_currency() -> None:
    plan = a_plan(
        [row("50.00"), row("9999.00", currency="EUR")],
        history_months=MONTHS,
        history=(history("200", last="200.00"), history("1", currency="EUR", last="0.01")),
    )
    text = approval_page(plan, Differences.of(plan))
    drawn = re.findall(r'<rect class="(\w+)" width="(\d+)"', text)
    assert drawn == [("now", "1000"), ("then", "4"), ("now", "250"), ("then", "1000")]
    shown = Page(text).texts
    at = shown.index("payout, USD")
    assert shown[at : at + 5] == ["payout, USD", "this plan", "50.00 USD", "2023-12", "200.00 USD"]


def test_amounts_of_any_size_are_drawn() -> None:
    for amount in ("0.00", "-5.00", "99999999999999999999999999999999999.99"):
        plan = a_plan([row(amount)], history_months=MONTHS, history=(history("3", last="-3.00"),))
        Page(approval_page(plan, Differences.of(plan)))


def test_each_row_of_a_plan_is_there_with_its_change() -> None:
    plan = a_plan([row("1.25"), row("2.50", partner=2, name=None)])
    shown = Page(approval_page(plan, Differences.of(plan))).texts
    at = shown.index("All rows (2)")
    assert shown[at + 1 :] == [
        *("line", "id", "kind", "partner", "partner name", "amount", "currency", "status"),
        *("3", "4821", "payout", "1", "Acme", "1.25", "USD", "pending → approved"),
        *("4", "4822", "payout", "2", "2.50", "USD", "pending → approved"),
    ]


def test_an_audit_says_integrity_and_completeness_apart() -> None:
    audit = attrs.evolve(
        audit_of(("Acme",)),
        integrity=(),
        completeness=(),
        unchecked=(),
        differences=(),
        receipts=1,
        unchained=0,
    )
    shown = Page(audit_page(audit)).texts
    for title, said in (
        ("Integrity", "The chain of the log holds."),
        ("Completeness", "Every call is there."),
        ("CAKE now", "All that was compared is as planned."),
    ):
        assert shown[shown.index(title) + 1] == said
    shown = Page(audit_page(attrs.evolve(audit, verified=False, log=None))).texts
    assert shown[shown.index("CAKE now") + 1] == "Not compared."
    assert shown[shown.index("Integrity") + 1].startswith("not known: ")
    at = shown.index("All calls (1)")
    assert (
        shown[at:][-12:]
        == [
            *("0", "invoice 4821", "invoices.update", "Acme", "payout 1", "100.25", "Acme"),
            *("pending → approved", "2024-02-01 10:00:00", "2024-02-01 10:00:00", "done", "Acme"),
        ]
        or shown[at:][-13:-1]
    )


def test_ten_thousand_rows() -> None:
    plan = a_plan([row(f"{at}.25", partner=at) for at in range(1, 10_001)])
    text = approval_page(plan, Differences.of(plan))
    assert text.count("<tr>") > 10_000
    assert len(text) < 6_000_000


@pytest.mark.parametrize("value", [Decimal(0), 0, "x", Lines(("", "small"))])
def test_a_column_is_left_out_only_without_any_value(value: object) -> None:
    assert "<th " in table(("one",), [(None,), (value,)])
    assert "<th " not in table(("one",), [(None,), ("",), (Lines(("", "")),)])


def test_only_what_was_made_as_markup_is_let_through() -> None:
    inner = element("b", "<i>")
    assert element("p", inner, "<u>", title='"') == (
        '<p title="&quot;"><b>&lt;i&gt;</b>&lt;u&gt;</p>'
    )
