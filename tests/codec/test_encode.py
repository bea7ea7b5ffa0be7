"""What is sent: each fact of ASP.NET's and CAKE's, in each binding in which it matters."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import (
    Bool,
    Byte,
    Choice,
    Date,
    Id,
    ModifiedDate,
    Moment,
    Money,
    Row,
    Text,
)
from aiocake.errors import ArgumentError
from aiocake.models import BillingCycleName, InvoiceStatus, MarkResult, UpdatedInvoice
from aiocake.sandbox.messages import pairs
from aiocake.sandbox.v1.bindings import bind_element, bind_pairs, parse
from aiocake.sandbox.v1.operations import OPERATIONS
from aiocake.values import ANY, ERASE, Binding, Idempotency

from ..support.requests import encode

CAKE = "http://cakemarketing.com/api/1/"

RECEIVED: Operation[MarkResult] = Operation(
    name="buyer_bills.mark_received",
    api=Api.V1,
    path="/api/1/accounting.asmx",
    call="MarkBuyerBillAsReceived",
    parameters=(
        Id("bill_id", required=True),
        Money("payment_amount", required=True, sensitive=True),
        Byte("payment_type_id"),
        Text("invoice_number", erasable=True, limit=50),
        Text("verification_code", erasable=True, limit=50),
        ModifiedDate("date_payment_received", erasable=True),
        Bool("apply_credit_to_buyer"),
        Text("notes", erasable=True, limit=250, sensitive=True),
    ),
    idempotency=Idempotency.IDEMPOTENT,
    non_idempotent_if=lambda arguments: arguments.get("apply_credit_to_buyer") is True,
    shape=ResponseShape.MARK,
    element="",
    model=MarkResult,
    documented_in="",
)
EXPORT: Operation[object] = Operation(
    name="affiliate_bills.export",
    api=Api.V1,
    path="/api/1/accounting.asmx",
    call="ExportAffiliateBills",
    parameters=(
        Choice("billing_cycle", BillingCycleName),
        Date("billing_period_start_date"),
        Date("billing_period_end_date"),
        Bool("paid_only"),
        Byte("payment_type_id", any_allowed=True),
    ),
    shape=ResponseShape.STREAM,
    element="affiliate_bills",
    row="affiliate_bill",
    model=object,
    documented_in="",
)
REQUIRED = {"bill_id": 345, "payment_amount": Decimal("20.01")}
SOAP = (Binding.SOAP11, Binding.SOAP12)
PLAIN = (Binding.GET, Binding.POST)


def with_key(request: Request) -> Request:
    """The request as it would leave, the key unescaped: a tag or an ``&`` would show."""
    at = request.key_offset
    assert request.key_placement is not KeyPlacement.QUERY
    body = request.body[:at] + b"KEY" + request.body[at:]
    return Request(request.operation, request.method, request.path, body=body)


def sent(request: Request) -> dict[str, str]:
    """The parameters in the order in which they are sent, and the place of the key."""
    if request.key_placement is KeyPlacement.QUERY:
        at = request.key_offset
        text = request.query[:at] + "KEY" + request.query[at:]
    elif request.key_placement is KeyPlacement.FORM:
        text = with_key(request).body.decode()
    else:
        call = ET.fromstring(with_key(request).body)[0][0]  # noqa: S314 - it is our own
        assert all(child.tag.startswith(f"{{{CAKE}}}") for child in call)
        return {child.tag.removeprefix(f"{{{CAKE}}}"): child.text or "" for child in call}
    return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))


def mark(binding: Binding, **arguments: object) -> dict[str, str]:
    return sent(encode(RECEIVED, {**REQUIRED, **arguments}, binding))


@pytest.mark.parametrize("binding", Binding)
def test_every_parameter_is_sent_in_order_and_what_is_skipped_keeps_what_is_stored(
    binding: Binding,
) -> None:
    day = "2000-01-01T00:00:00" if binding in SOAP else "2000-01-01"
    assert list(mark(binding).items()) == [
        ("api_key", "KEY"),
        ("bill_id", "345"),
        ("payment_amount", "20.01"),
        ("payment_type_id", "0"),
        ("invoice_number", ""),
        ("verification_code", ""),
        ("date_payment_received", day),
        ("date_payment_received_modification_type", "do_not_change"),
        ("apply_credit_to_buyer", "false"),
        ("notes", ""),
    ]


@pytest.mark.parametrize("binding", PLAIN)
def test_by_get_and_form_the_text_null_erases(binding: Binding) -> None:
    values = mark(binding, notes=ERASE, date_payment_received=ERASE)
    assert values["notes"] == "NULL"
    assert values["date_payment_received"] == "2000-01-01"
    assert values["date_payment_received_modification_type"] == "remove"


@pytest.mark.parametrize("binding", SOAP)
def test_by_soap_an_element_that_is_not_there_erases(binding: Binding) -> None:
    values = mark(binding, notes=ERASE, date_payment_received=ERASE)
    assert "notes" not in values
    assert "invoice_number" in values
    assert values["date_payment_received"] == "2000-01-01T00:00:00"
    assert values["date_payment_received_modification_type"] == "remove"


@pytest.mark.parametrize("binding", Binding)
def test_a_date_is_written_year_first_without_a_zone(binding: Binding) -> None:
    values = mark(binding, date_payment_received=date(2014, 6, 1))
    time = "T00:00:00" if binding in SOAP else ""
    assert values["date_payment_received"] == f"2014-06-01{time}"
    assert values["date_payment_received_modification_type"] == "change"


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("20.01"), "20.01"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E-27"), "0." + "0" * 26 + "1"),
        (Decimal("-1234567.8900"), "-1234567.8900"),
        (0, "0"),
        (Decimal("-12.50"), "-12.50"),
        (7, "7"),
        (10**28 - 1, "9" * 28),
        (Decimal("9" * 28), "9" * 28),
    ],
)
def test_an_amount_is_plain_digits_with_a_point(
    binding: Binding, amount: Decimal | int, text: str
) -> None:
    assert mark(binding, payment_amount=amount)["payment_amount"] == text


@pytest.mark.parametrize("binding", Binding)
def test_a_bool_is_true_or_false_in_small_letters(binding: Binding) -> None:
    assert mark(binding, apply_credit_to_buyer=True)["apply_credit_to_buyer"] == "true"
    assert mark(binding, apply_credit_to_buyer=False)["apply_credit_to_buyer"] == "false"


@pytest.mark.parametrize("binding", Binding)
def test_an_export_sends_its_filters_as_they_are(binding: Binding) -> None:
    arguments = {
        "billing_cycle": BillingCycleName.MONTHLY,
        "billing_period_start_date": date(2012, 8, 1),
        "billing_period_end_date": date(2012, 9, 1),
        "payment_type_id": ANY,
    }
    time = "T00:00:00" if binding in SOAP else ""
    assert sent(encode(EXPORT, arguments, binding)) == {
        "api_key": "KEY",
        "billing_cycle": "monthly",
        "billing_period_start_date": f"2012-08-01{time}",
        "billing_period_end_date": f"2012-09-01{time}",
        "paid_only": "false",
        "payment_type_id": "0",
    }


def test_a_get_of_v1() -> None:
    request = encode(RECEIVED, REQUIRED, Binding.GET)
    assert (request.method, request.path) == (
        "GET",
        "/api/1/accounting.asmx/MarkBuyerBillAsReceived",
    )
    assert request.query.startswith("api_key=&bill_id=345&")
    assert (request.key_placement, request.key_offset) == (KeyPlacement.QUERY, len("api_key="))
    assert request.body == b""
    assert request.query_limit == 2048
    assert request.operation == "buyer_bills.mark_received"


def test_a_get_that_writes_is_for_no_cache() -> None:
    no_store = ("Cache-Control", "no-store")
    assert encode(RECEIVED, REQUIRED, Binding.GET).headers == (no_store,)
    period = {
        "billing_cycle": "all",
        "billing_period_start_date": date(2012, 8, 1),
        "billing_period_end_date": date(2012, 9, 1),
    }
    assert encode(EXPORT, period, Binding.GET).headers == ()


def test_a_form_of_v1() -> None:
    request = encode(RECEIVED, REQUIRED, Binding.POST)
    assert (request.method, request.path) == (
        "POST",
        "/api/1/accounting.asmx/MarkBuyerBillAsReceived",
    )
    assert request.query == ""
    assert request.body.startswith(b"api_key=&bill_id=345&")
    assert (request.key_placement, request.key_offset) == (KeyPlacement.FORM, len("api_key="))
    assert request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    assert request.query_limit is None


@pytest.mark.parametrize(
    ("binding", "namespace", "headers"),
    [
        (
            Binding.SOAP11,
            "http://schemas.xmlsoap.org/soap/envelope/",
            (
                ("Content-Type", "text/xml; charset=utf-8"),
                ("SOAPAction", f'"{CAKE}MarkBuyerBillAsReceived"'),
            ),
        ),
        (
            Binding.SOAP12,
            "http://www.w3.org/2003/05/soap-envelope",
            (("Content-Type", "application/soap+xml; charset=utf-8"),),
        ),
    ],
)
def test_a_soap_call_of_v1(
    binding: Binding, namespace: str, headers: tuple[tuple[str, str], ...]
) -> None:
    request = encode(RECEIVED, REQUIRED, binding)
    assert (request.method, request.path) == ("POST", "/api/1/accounting.asmx")
    assert request.headers == headers
    assert request.key_placement is KeyPlacement.ENVELOPE
    assert request.body[: request.key_offset].endswith(b"<api_key>")
    assert request.body[request.key_offset :].startswith(b"</api_key>")
    envelope = ET.fromstring(request.body)  # noqa: S314 - it is our own
    assert envelope.tag == f"{{{namespace}}}Envelope"
    assert envelope[0].tag == f"{{{namespace}}}Body"
    assert envelope[0][0].tag == f"{{{CAKE}}}MarkBuyerBillAsReceived"


def test_a_call_that_must_not_be_repeated_never_goes_by_get() -> None:
    once = {**REQUIRED, "apply_credit_to_buyer": True}
    by_get, by_soap = encode(RECEIVED, once, Binding.GET), encode(RECEIVED, once, Binding.SOAP12)
    assert by_get == by_soap
    assert encode(RECEIVED, once, Binding.POST).key_placement is KeyPlacement.FORM
    assert ("SOAPAction", f'"{CAKE}MarkBuyerBillAsReceived"') in encode(
        RECEIVED, once, Binding.SOAP11
    ).headers
    again = {**REQUIRED, "apply_credit_to_buyer": False}
    assert encode(RECEIVED, again, Binding.GET).method == "GET"


@pytest.mark.parametrize("binding", PLAIN)
@pytest.mark.parametrize("text", ["a<b", "a<!--", "</b", "<?xml", "&#60;", "&#x3c;", "a&#"])
def test_what_asp_net_takes_for_markup_is_refused_by_get_and_form(
    binding: Binding, text: str
) -> None:
    with pytest.raises(ArgumentError, match=r"notes: .* send it by Binding\.SOAP12") as caught:
        encode(RECEIVED, {**REQUIRED, "notes": text}, binding)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("text", ["a < b", "<3", "a<", "& #", "&amp;", "&", "a>b"])
def test_other_angles_and_ampersands_go_by_any_binding(binding: Binding, text: str) -> None:
    assert mark(binding, notes=text)["notes"] == text


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize("text", ["<b>&#8364;]]>", "a\r\nb\rc", "日本😀", "\"'", "  a  ", "\t"])
def test_by_soap_any_text_is_written_so_that_a_parser_reads_the_same(
    binding: Binding, text: str
) -> None:
    assert mark(binding, notes=text)["notes"] == text


@pytest.mark.parametrize("binding", SOAP)
def test_by_soap_white_space_alone_says_that_it_counts(binding: Binding) -> None:
    body = encode(RECEIVED, {**REQUIRED, "notes": " \t\r\n", "invoice_number": " x "}, binding).body
    assert b'<notes xml:space="preserve"> \t&#13;\n</notes>' in body
    assert b"<invoice_number> x </invoice_number>" in body
    assert body.count(b"xml:space") == 1


UPDATE: Operation[UpdatedInvoice] = Operation(
    name="invoices.update",
    api=Api.V2,
    method="POST",
    path="/api/2/update_invoice.json",
    parameters=(
        Id("invoice_id", required=True),
        Choice("invoice_status", InvoiceStatus),
        Text("memo", sensitive=True),
        Moment("paid_at"),
    ),
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.ONE,
    element="invoice",
    model=UpdatedInvoice,
    echoed=("invoice_id", "invoice_status"),
    documented_in="",
)
LIST: Operation[object] = Operation(
    name="invoices.page",
    api=Api.V2,
    path="/api/2/invoices.json",
    parameters=(
        Id("affiliate_id"),
        Choice("invoice_status", InvoiceStatus),
        Date("start_date"),
        Row("start_at_row"),
    ),
    shape=ResponseShape.PAGE,
    element="invoices",
    model=object,
    documented_in="",
)


def test_a_get_of_v2_holds_only_what_was_given() -> None:
    arguments = {
        "start_at_row": 0,
        "invoice_status": InvoiceStatus.PENDING,
        "start_date": date(2024, 1, 1),
    }
    request = encode(LIST, arguments, Binding.SOAP12)
    assert request == Request(
        "invoices.page",
        "GET",
        "/api/2/invoices.json",
        query="api_key=&invoice_status=pending&start_date=2024-01-01&start_at_row=0",
        key_placement=KeyPlacement.QUERY,
        key_offset=8,
    )
    assert encode(LIST, {}, Binding.GET).query == "api_key="


def test_a_post_of_v2_is_json_with_the_key_in_the_query() -> None:
    arguments = {
        "paid_at": datetime(2024, 2, 15, 11, tzinfo=timezone(timedelta(hours=1))),
        "memo": 'a"é\n',
        "invoice_id": 4821,
        "invoice_status": "paid",
    }
    request = encode(UPDATE, arguments, Binding.GET)
    assert (request.method, request.path) == ("POST", "/api/2/update_invoice.json")
    assert (request.query, request.key_placement, request.key_offset) == (
        "api_key=",
        KeyPlacement.QUERY,
        8,
    )
    assert request.headers == (("Content-Type", "application/json"),)
    assert list(msgspec.json.decode(request.body).items()) == [
        ("invoice_id", 4821),
        ("invoice_status", "paid"),
        ("memo", 'a"é\n'),
        ("paid_at", "2024-02-15T10:00:00Z"),
    ]


def test_an_empty_memo_is_sent_as_it_is() -> None:
    request = encode(UPDATE, {"invoice_id": 1, "memo": ""}, Binding.GET)
    assert request.body == b'{"invoice_id":1,"memo":""}'


def test_a_fraction_of_a_second_is_kept() -> None:
    moment = datetime(2024, 2, 15, 10, 0, 0, 120_000, tzinfo=UTC)
    request = encode(UPDATE, {"invoice_id": 1, "paid_at": moment}, Binding.GET)
    assert msgspec.json.decode(request.body)["paid_at"] == "2024-02-15T10:00:00.120000Z"


TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters="".join(map(chr, [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])),
    ),
    min_size=1,
    max_size=50,
).filter(lambda text: text != "NULL" and len(text.encode("utf-16-le")) <= 100)
DAYS = st.dates(date(1753, 1, 1))
AMOUNTS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4
)


def read_back(request: Request) -> Mapping[str, object]:
    """What the sandbox, another reading of the same pages, makes of it."""
    operation = OPERATIONS["MarkBuyerBillAsReceived"]
    if request.key_placement is KeyPlacement.ENVELOPE:
        return bind_element(operation, parse(request.body).children[0].children[0])
    in_query = request.key_placement is KeyPlacement.QUERY
    raw = request.query.encode() if in_query else request.body
    return bind_pairs(operation, pairs(raw), "QueryString" if in_query else "Form")


@pytest.mark.parametrize("binding", Binding)
@given(
    bill_id=st.integers(1, 2**31 - 1),
    amount=AMOUNTS,
    kind=st.integers(1, 255),
    day=DAYS,
    number=TEXTS,
    notes=TEXTS,
)
def test_the_sandbox_reads_the_values_that_were_given(  # noqa: PLR0913, PLR0917 - one for each argument
    binding: Binding,
    bill_id: int,
    amount: Decimal,
    kind: int,
    day: date,
    number: str,
    notes: str,
) -> None:
    arguments: dict[str, object] = {
        "bill_id": bill_id,
        "payment_amount": amount,
        "payment_type_id": kind,
        "date_payment_received": day,
        "invoice_number": number,
        "notes": notes,
        "verification_code": ERASE,
    }
    try:
        request = encode(RECEIVED, arguments, binding)
    except ArgumentError:
        # ASP.NET takes the text for markup by GET and form.
        assume(binding in SOAP)
        raise
    read = read_back(request)
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - v1's times have no zone
    assert read == {
        "api_key": "",
        "bill_id": bill_id,
        "payment_amount": amount,
        "payment_type_id": kind,
        "invoice_number": number,
        "verification_code": None if binding in SOAP else "NULL",
        "date_payment_received": midnight,
        "date_payment_received_modification_type": "change",
        "apply_credit_to_buyer": False,
        "notes": notes,
    }
