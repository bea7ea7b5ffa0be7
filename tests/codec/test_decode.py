"""Successes become values: of every shape, exactly, and of what was asked for."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.codec import decode, error_of, read_reply
from aiocake._codec.leniency import Leniency
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.errors import CakeError, ConsistencyError, DecodeError, ServerError
from aiocake.models import (
    BillingCycle,
    CreatedInvoice,
    Currency,
    Invoice,
    InvoiceStatus,
    MarkResult,
    Page,
    PaymentMethod,
    UpdatedInvoice,
)
from aiocake.values import Idempotency

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"


def v2(shape: ResponseShape, element: str, model: type[object], *echoed: str) -> Operation[object]:
    return Operation(
        name=f"tests.{element}",
        api=Api.V2,
        path="/api/2/x.json",
        shape=shape,
        element=element,
        model=model,
        echoed=echoed,
        idempotency=Idempotency.IDEMPOTENT if shape is ResponseShape.ONE else Idempotency.SAFE,
        documented_in="",
    )


def v1(shape: ResponseShape, element: str = "", row: str = "", *echoed: str) -> Operation[object]:
    return Operation(
        name="tests.v1",
        api=Api.V1,
        path="/api/1/get.asmx",
        shape=shape,
        element=element,
        row=row,
        model={"currencies": Currency, "billing_cycles": BillingCycle}.get(element, MarkResult),
        echoed=echoed,
        idempotency=Idempotency.IDEMPOTENT if shape is ResponseShape.MARK else Idempotency.SAFE,
        documented_in="",
    )


PAGE = v2(ResponseShape.PAGE, "invoices", Invoice)
CREATE = v2(ResponseShape.ONE, "invoice", CreatedInvoice, "affiliate_id")
UPDATE = v2(ResponseShape.ONE, "invoice", UpdatedInvoice, "invoice_id", "invoice_status", "paid_at")
CYCLES = v2(ResponseShape.ROWS, "billing_cycles", BillingCycle)
METHODS = v2(ResponseShape.ROWS, "payment_methods", PaymentMethod)
CURRENCIES = v1(ResponseShape.ROWS, "currencies", "currency")
MARK = v1(ResponseShape.MARK, "", "", "bill_id")
OPERATIONS = (PAGE, CREATE, UPDATE, CYCLES, METHODS, CURRENCIES, MARK)


def read(
    operation: Operation[object],
    body: str | bytes,
    arguments: Mapping[str, object] | None = None,
    *,
    repeated: bool = False,
) -> object:
    raw = body.encode() if isinstance(body, str) else body
    reply = read_reply(Response(200, {}, raw))
    return decode(operation, arguments or {}, reply, repeated=repeated)


def refused(
    operation: Operation[object], body: str | bytes, arguments: Mapping[str, object] | None = None
) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(operation, body, arguments)
    assert caught.value.status == 200
    return caught.value


FLAT = (
    '{"request_status": "Success", "invoices": [{"invoice_id": 4821, "affiliate_id": 67890, '
    '"affiliate_name": "Acme Media Group", "invoice_status": "pending", '
    '"start_date": "2024-01-01", "end_date": "2024-01-31", "total_amount": "1250.00", '
    '"currency": "USD"}], "total_rows": 1}'
)
ACME = Invoice(
    invoice_id=4821,
    affiliate_id=67890,
    affiliate_name="Acme Media Group",
    invoice_status=InvoiceStatus.PENDING,
    start_date=date(2024, 1, 1),
    end_date=date(2024, 1, 31),
    total_amount=Decimal("1250.00"),
    currency="USD",
)
WRAPPED = (
    '{"request_status": "Success", "response": {"invoices": [{"invoice_id": 7, "invoice_date": '
    '"2024-01-31", "invoice_status": "Approved", "advertiser_id": 5, "total_payout": 12.5, '
    '"billing_cycle_name": "Weekly", "currency_symbol": "€", "payment_type": "Wire"}], '
    '"total_rows": 30}}'
)


def test_the_page_of_cakes_first_sample() -> None:
    page = read(PAGE, FLAT, {"start_at_row": 25})
    assert page == Page(items=(ACME,), total_rows=1, start_at_row=25)
    assert isinstance(page, Page)
    assert str(page.items[0].total_amount) == "1250.00"


def test_a_page_in_the_newer_envelope_under_the_newer_names() -> None:
    invoice = Invoice(
        invoice_id=7,
        invoice_status=InvoiceStatus.APPROVED,
        total_amount=Decimal("12.5"),
        advertiser_id=5,
        currency_symbol="€",
        invoice_date=date(2024, 1, 31),
        billing_cycle_name="Weekly",
        payment_type="Wire",
    )
    assert read(PAGE, WRAPPED) == Page(items=(invoice,), total_rows=30, start_at_row=0)


@pytest.mark.parametrize(
    ("around", "total"),
    [
        ('{"request_status":"Success","invoices":[]}', None),
        ('{"request_status":"Success","invoices":[],"total_rows":null}', None),
        ('{"request_status":"Success","invoices":[],"total_rows":0}', 0),
        ('{"total_rows":"12","invoices":[],"request_status":"SUCCESS"}', 12),
        ('\ufeff{"success":true,"response":{"invoices":[],"total_rows":3}}', 3),
        # No page shows on which side of the wrapper it stands.
        ('{"request_status":"Success","total_rows":4,"response":{"invoices":[]}}', 4),
        ('{"request_status":"Success","response":{"total_rows":"5"},"invoices":[]}', 5),
        ('{"success":true,"total_rows":6,"response":{"invoices":[],"total_rows":6}}', 6),
    ],
)
def test_an_empty_page(around: str, total: int | None) -> None:
    assert read(PAGE, around) == Page(items=(), total_rows=total, start_at_row=0)


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("total_rows", "-1", "total_rows"),
        ("total_rows", "1.5", "total_rows"),
        ("total_rows", "true", "total_rows"),
        ("total_rows", '"many"', "total_rows"),
        ("total_rows", '" "', "total_rows"),
        ("invoices", "null", "invoices"),
        ("invoices", "{}", "invoices"),
        ("invoices", '"x"', "invoices"),
        ("invoices", "[1]", "invoices[0]"),
        ("invoices", "[null]", "invoices[0]"),
    ],
)
def test_what_is_around_the_rows_is_checked(field: str, value: str, path: str) -> None:
    other = '"invoices": [], ' if field == "total_rows" else ""
    error = refused(PAGE, f'{{"request_status": "Success", {other}"{field}": {value}}}')
    assert error.path == path


@pytest.mark.parametrize(
    ("around", "total", "fields"),
    [
        ('"invoices":[],"total_rows":""', None, ("total_rows",)),
        ('"response":{"invoices":[],"total_rows":""}', None, ("response.total_rows",)),
        ('"total_rows":"","response":{"invoices":[],"total_rows":5}', 5, ("total_rows",)),
    ],
)
def test_an_empty_number_of_rows_is_absent(
    around: str, total: int | None, fields: tuple[str, ...]
) -> None:
    lenient = Leniency()
    body = f'{{"request_status":"Success",{around}}}'.encode()
    page = decode(PAGE, {}, read_reply(Response(200, {}, body)), leniency=lenient)
    assert page == Page(items=(), total_rows=total, start_at_row=0)
    assert lenient.fields == fields


def test_two_numbers_of_rows_that_differ_are_refused() -> None:
    both = '{"request_status":"Success","total_rows":4,"response":{"invoices":[],"total_rows":5}}'
    assert refused(PAGE, both).path == "total_rows"


@pytest.mark.parametrize("name", ["total_rows", "row_count"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_short_list_with_fewer_rows_than_it_says_is_refused(name: str, wrapped: bool) -> None:  # noqa: FBT001 - a parameter
    rows = '"billing_cycles":[{"billing_cycle_id":1,"billing_cycle_name":"Weekly"}]'
    rows = f'"response":{{{rows}}}' if wrapped else rows
    assert len(read(CYCLES, f'{{"request_status":"Success",{rows},"{name}":1}}')) == 1
    error = refused(CYCLES, f'{{"request_status":"Success",{rows},"{name}":5}}')
    assert f"1 rows where {name} is 5" in str(error)


def test_a_list_that_is_missing_or_there_twice_is_refused() -> None:
    assert refused(PAGE, '{"request_status": "Success"}').path == "invoices"
    both = '{"request_status": "Success", "invoices": [], "response": {"invoices": []}}'
    assert refused(PAGE, both).path == "invoices"


@pytest.mark.parametrize(
    ("was", "is_now", "path"),
    [
        ('"total_amount": "1250.00"', '"x": 1', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": null', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": "NaN"', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": "1,234.50"', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": "1_000"', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": " 12.5 "', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": "١٢"', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": "1e29"', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": true', "total_amount"),
        ('"total_amount": "1250.00"', '"total_amount": []', "total_amount"),
        ('"total_amount": "1250.00"', f'"total_amount": "{"9" * 29}"', "total_amount"),
        ('"invoice_id": 4821', '"invoice_id": 0', "invoice_id"),
        ('"invoice_id": 4821', '"invoice_id": -5', "invoice_id"),
        ('"invoice_id": 4821', '"invoice_id": 2147483648', "invoice_id"),
        ('"invoice_id": 4821', '"invoice_id": 1.0', "invoice_id"),
        ('"invoice_id": 4821', '"invoice_id": true', "invoice_id"),
        ('"invoice_id": 4821', '"invoice_id": "x"', "invoice_id"),
        ('"affiliate_id": 67890', '"affiliate_id": -1', "affiliate_id"),
        ('"invoice_status": "pending"', '"invoice_status": 1', "invoice_status"),
        ('"invoice_status": "pending"', '"invoice_status": null', "invoice_status"),
        ('"2024-01-01"', '"2024-13-01"', "start_date"),
        ('"2024-01-01"', '"01-06-2014"', "start_date"),
        ('"2024-01-01"', "20240101", "start_date"),
        ('"Acme Media Group"', "5", "affiliate_name"),
        ('"invoice_status": "pending"', r'"invoice_status": "p\ud800"', "invoice_status"),
        ('"total_amount": "1250.00"', '"total_amount": ""', "total_amount"),
        ('"2024-01-01"', '" 2024-01-01"', "start_date"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(was: str, is_now: str, path: str) -> None:
    row = '{"invoice_id": 1, "invoice_status": "paid", "total_amount": "1"}, '
    body = FLAT.replace("[", f"[{row * 3}", 1).replace(was, is_now)
    error = refused(PAGE, body)
    assert error.path == f"invoices[3].{path}"
    assert "Acme" not in str(error)
    wrapped = body.replace('"invoices"', '"response": {"invoices"') + "}"
    assert refused(PAGE, wrapped).path == f"response.invoices[3].{path}"


@pytest.mark.parametrize(
    ("was", "is_now", "field", "value"),
    [
        ('"1250.00"', "1250.00", "total_amount", Decimal("1250.00")),
        ('"1250.00"', "1e2", "total_amount", Decimal(100)),
        ('"1250.00"', '"1E2"', "total_amount", Decimal(100)),
        ('"1250.00"', "-0", "total_amount", Decimal(0)),
        ('"1250.00"', '"-0.00"', "total_amount", Decimal(0)),
        ('"1250.00"', "0.1", "total_amount", Decimal("0.1")),
        ('"1250.00"', '"-12.3456"', "total_amount", Decimal("-12.3456")),
        ('"1250.00"', f'"{"9" * 26}.99"', "total_amount", Decimal(f"{'9' * 26}.99")),
        ("4821", '"4821"', "invoice_id", 4821),
        ("67890", "0", "affiliate_id", None),
        ("67890", "null", "affiliate_id", None),
        ('"2024-01-01"', '"2024-01-01T00:00:00"', "start_date", date(2024, 1, 1)),
        ('"2024-01-01"', '"2024-01-01T23:30:00-08:00"', "start_date", date(2024, 1, 1)),
        ('"2024-01-01"', "null", "start_date", None),
        ('"pending"', '"PENDING"', "invoice_status", InvoiceStatus.PENDING),
        ('"pending"', '"draft"', "invoice_status", "draft"),
        ('"USD"', '"USD", "unknown": {"a": [1, {"b": null}]}', "currency", "USD"),
    ],
)
def test_what_is_written_otherwise_is_read_exactly(
    was: str, is_now: str, field: str, value: object
) -> None:
    page = read(PAGE, FLAT.replace(was, is_now))
    assert isinstance(page, Page)
    assert getattr(page.items[0], field) == value


def test_amounts_are_never_floats() -> None:
    page = read(PAGE, FLAT.replace('"1250.00"', "0.30000000000000004"))
    assert isinstance(page, Page)
    assert str(page.items[0].total_amount) == "0.30000000000000004"


def test_one_record_in_either_envelope() -> None:
    record = (
        '{"invoice_id": 4822, "affiliate_id": 67890, "invoice_status": "pending", '
        '"total_amount": "980.50", "currency": "USD"}'
    )
    created = CreatedInvoice(
        invoice_id=4822,
        affiliate_id=67890,
        invoice_status=InvoiceStatus.PENDING,
        total_amount=Decimal("980.50"),
        currency="USD",
    )
    flat = f'{{"request_status": "Success", "invoice": {record}}}'
    wrapped = f'{{"request_status": "Success", "response": {{"invoice": {record}}}}}'
    for body in (flat, wrapped, wrapped.replace("total_amount", "total_payout")):
        assert read(CREATE, body, {"affiliate_id": 67890}) == created
    missing = refused(CREATE, flat.replace('"invoice_id": 4822, ', ""))
    assert (missing.path, missing.args[0]) == ("invoice.invoice_id", "a field is missing")
    assert "980.50" not in str(missing)


def updated(fields: str, **arguments: object) -> object:
    return read(UPDATE, f'{{"request_status": "Success", "invoice": {{{fields}}}}}', arguments)


def test_an_update_gives_back_what_was_set() -> None:
    moment = datetime(2024, 2, 15, 10, tzinfo=UTC)
    fields = '"invoice_id": 4821, "invoice_status": "Paid", "paid_at": "2024-02-15T10:00:00Z"'
    assert updated(
        fields, invoice_id=4821, invoice_status="paid", paid_at=moment
    ) == UpdatedInvoice(invoice_id=4821, invoice_status=InvoiceStatus.PAID, paid_at=moment)


@pytest.mark.parametrize(
    ("fields", "arguments", "name"),
    [
        ('"invoice_id": 4822', {"invoice_id": 4821}, "invoice_id"),
        (
            '"invoice_id": 1, "invoice_status": "approved"',
            {"invoice_id": 1, "invoice_status": InvoiceStatus.PAID},
            "invoice_status",
        ),
        (
            '"invoice_id": 1, "paid_at": "2024-02-15T11:00:00Z"',
            {"invoice_id": 1, "paid_at": datetime(2024, 2, 15, 10, tzinfo=UTC)},
            "paid_at",
        ),
    ],
)
def test_an_answer_of_something_else_is_refused(
    fields: str, arguments: dict[str, object], name: str
) -> None:
    with pytest.raises(ConsistencyError, match=f"another {name} than was requested"):
        updated(fields, **arguments)


def test_what_the_answer_does_not_name_is_not_compared() -> None:
    asked = {"invoice_id": 1, "invoice_status": "paid"}
    assert updated('"invoice_id": 1', **asked) == UpdatedInvoice(invoice_id=1)
    local = updated('"invoice_id": 1, "paid_at": "2024-02-15T02:00:00"', invoice_id=1)
    assert isinstance(local, UpdatedInvoice)
    assert local.paid_at == datetime(2024, 2, 15, 2)  # noqa: DTZ001 - the instance's own time
    moment = datetime(2024, 2, 15, 10, tzinfo=UTC)
    fields = '"invoice_id": 1, "paid_at": "2024-02-15T02:00:00"'
    assert updated(fields, invoice_id=1, paid_at=moment) == local


def test_short_lists_of_v2() -> None:
    cycles = '{"request_status": "Success", "billing_cycles": [%s]}'
    rows = '{"billing_cycle_id": 1, "billing_cycle_name": "Weekly"}'
    assert read(CYCLES, cycles % "") == ()
    assert read(CYCLES, cycles % rows) == (
        BillingCycle(billing_cycle_id=1, billing_cycle_name="Weekly"),
    )
    methods = (
        '{"request_status": "Success", "response": {"payment_methods": [{"payment_type_id": 1, '
        '"payment_type_name": "Check"}, {"payment_method_id": 2, "payment_method_name": "Wire", '
        '"payment_type_id": 3}]}}'
    )
    assert read(METHODS, methods) == (
        PaymentMethod(payment_type_id=1, payment_type_name="Check"),
        PaymentMethod(payment_method_id=2, payment_method_name="Wire", payment_type_id=3),
    )


def lookup(inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<currencies_response '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns="http://cakemarketing.com/api/1/">{inside}</currencies_response>'
    )


EURO = (
    '<currency><currency_id xmlns="API:id_name_store">1</currency_id>'
    '<currency_symbol xmlns="API:id_name_store">€</currency_symbol>'
    '<currency_name xmlns="API:id_name_store" />'
    '<currency_abbr xsi:nil="true" /></currency>'
)


@pytest.mark.parametrize("verdict", ["<success>true</success><row_count>1</row_count>", ""])
def test_a_look_up_of_v1_with_and_without_a_verdict(verdict: str) -> None:
    body = lookup(f"{verdict}<currencies>{EURO}</currencies>")
    assert read(CURRENCIES, body) == (
        Currency(currency_id=1, currency_symbol="€", currency_name=None, currency_abbr=None),
    )


def test_lists_of_v1_that_are_empty_short_or_missing() -> None:
    assert read(CURRENCIES, lookup("<success>true</success><currencies />")) == ()
    assert read(CURRENCIES, lookup("\n <currencies>\n </currencies>\n")) == ()
    short = lookup(f"<row_count>2</row_count><currencies>{EURO}</currencies>")
    assert "1 rows where row_count is 2" in str(refused(CURRENCIES, short))
    assert refused(CURRENCIES, lookup("<success>true</success>")).path == "currencies"
    other = lookup(f"<currencies>{EURO}<rate>1</rate></currencies>")
    assert refused(CURRENCIES, other).path == "currencies"
    unread = lookup(f"<currencies>{EURO}{EURO.replace('>1<', '>x<')}</currencies>")
    assert refused(CURRENCIES, unread).path == "currencies[1].currency_id"
    twice = lookup(f"<currencies>{EURO.replace('<currency_name', '<currency_id')}</currencies>")
    assert "an element twice" in str(refused(CURRENCIES, twice))
    assert refused(CURRENCIES, "<string>x</string>").args[0] == "a response without any fields"


def marked(message: str, more: str = "") -> str:
    return (
        "<markaffiliatebillsaspaid_accounting_response><success>true</success>"
        f"<message>{message}</message>{more}</markaffiliatebillsaspaid_accounting_response>"
    )


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("Bill Marked As Received", True),
        ("Bill Marked As Invoice Sent", True),
        ("Affiliate Payment Added", True),
        ("affiliate payment added ", True),
        ("Bill Successfully Updated", False),
        ("Affiliate Payment Updated", False),
        ("Done", None),
    ],
)
def test_a_mark_tells_whether_it_was_the_first(message: str, first: bool | None) -> None:  # noqa: FBT001
    result = MarkResult(bill_id=345, message=message, first=first)
    assert read(MARK, marked(message), {"bill_id": 345}) == result
    again = read(MARK, marked(message), {"bill_id": 345}, repeated=True)
    assert again == attrs.evolve(result, first=None)


def test_the_amounts_of_a_mark() -> None:
    amounts = "<payment_amount>2415.0000</payment_amount><bill_amount>-1.5000</bill_amount>"
    result = read(MARK, marked("Bill Successfully Updated", amounts), {"bill_id": 1})
    assert isinstance(result, MarkResult)
    assert str(result.payment_amount) == "2415.0000"
    assert str(result.bill_amount) == "-1.5000"
    nested = "<payment_amount/><bill_amount><amount>3.00</amount></bill_amount>"
    result = read(MARK, marked("x", nested), {"bill_id": 1})
    assert isinstance(result, MarkResult)
    assert (result.payment_amount, result.bill_amount) == (None, Decimal("3.00"))
    wrong = marked("x", "<bill_amount>1,5</bill_amount>")
    assert refused(MARK, wrong, {"bill_id": 1}).path == "bill_amount"


ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><MarkResponse>'
    "<MarkResult><success>true</success><message>%s</message></MarkResult></MarkResponse>"
    "</s:Body></s:Envelope>"
)


@pytest.mark.parametrize(
    "body",
    [
        '{"request_status": "Success", "response": {"bill_id": 345, "message": "%s"}}',
        '{"request_status": "Success", "response": {"bill_id": "345"}, "message": "%s"}',
        '{"request_status": "Success", "message": "%s"}',
        '{"d": {"success": true, "message": "%s"}}',
        ENVELOPE,
    ],
)
def test_a_mark_can_be_answered_in_other_ways(body: str) -> None:
    message = "Bill Marked As Received"
    result = MarkResult(bill_id=345, message=message, first=True)
    assert read(MARK, body.replace("%s", message), {"bill_id": 345}) == result


def test_a_mark_of_another_bill_is_refused() -> None:
    body = '{"request_status": "Success", "response": {"bill_id": 346}}'
    with pytest.raises(ConsistencyError, match="another bill_id"):
        read(MARK, body, {"bill_id": 345})


def test_an_answer_that_says_no_is_not_read() -> None:
    body = '{"request_status": "Success", "success": false, "invoices": []}'
    assert "both success and failure" in str(refused(PAGE, body))


def test_the_snippet_is_of_the_place_that_is_wrong() -> None:
    row = '{"invoice_id": 1, "invoice_status": "paid", "total_amount": %s}, '
    rows = row % '"1"' * 40 + row % "[]"
    body = f'{{"request_status": "Success", "invoices": [{rows[:-2]}]}}'
    error = refused(PAGE, body)
    assert error.path == "invoices[40].total_amount"
    assert '"total_amount": []' in error.snippet


@pytest.mark.parametrize(
    ("name", "operation", "values"),
    [
        (
            "currencies",
            CURRENCIES,
            (
                Currency(
                    currency_id=1, currency_symbol="€", currency_name="Euro", currency_abbr="EUR"
                ),
            ),
        ),
        (
            "billing_cycles",
            v1(ResponseShape.ROWS, "billing_cycles", "billing_cycle"),
            tuple(
                BillingCycle(billing_cycle_id=number, billing_cycle_name=name)
                for number, name in ((1, "Weekly"), (2, "Bi-Monthly"), (3, "Monthly"))
            ),
        ),
    ],
)
def test_answers_of_a_real_instance(
    name: str, operation: Operation[object], values: tuple[object, ...]
) -> None:
    recording = RECORDINGS / f"{name}.soap12.xml"
    if not recording.exists():
        pytest.skip("the recordings of a real instance are not beside this checkout")
    reply = read_reply(Response(200, {}, recording.read_bytes()))
    assert error_of(operation, reply) is None
    assert decode(operation, {}, reply) == values


def test_the_fault_of_a_real_instance() -> None:
    recording = RECORDINGS / "exchange_rates.soap12.xml"
    if not recording.exists():
        pytest.skip("the recordings of a real instance are not beside this checkout")
    error = error_of(CURRENCIES, read_reply(Response(500, {}, recording.read_bytes())))
    assert isinstance(error, ServerError)
    assert "---> SqlDateTime overflow" in error.message


PIECES = st.sampled_from(
    [
        b'{"request_status":"Success",',
        b'"invoices":[',
        b'{"invoice_id":1,"invoice_status":"paid","total_amount":',
        b'"1.00"}',
        b"NaN}",
        b"1e999999}",
        b"9" * 5000,
        b"]",
        b"}",
        b',"total_rows":',
        b"1",
        b"<a>",
        b"</a>",
        b"<success>true</success>",
        b"<currencies>",
        b"</currencies>",
        b"\xef\xbb\xbf",
        b"[" * 2000,
        b'{"d":',
        b'"invoice":{',
        b"null",
        b"&#xB;",
        b"<!DOCTYPE a>",
        b"\xff",
    ]
)


@given(st.binary() | st.lists(PIECES, max_size=8).map(b"".join))
def test_whatever_comes_is_read_or_is_an_error_of_ours(body: bytes) -> None:
    for operation in OPERATIONS:
        reply = read_reply(Response(200, {}, body))
        error = error_of(operation, reply)
        assert error is None or isinstance(error, CakeError)
        # Whatever else it raised would end the test.
        with suppress(DecodeError, ConsistencyError):
            decode(operation, {"bill_id": 1, "invoice_id": 1}, reply)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"request_status":"Success","invoices":' + b"[" * 100_000,
        b'{"request_status":"Success","x":' + b"[" * 100 + b"]" * 100 + b',"invoices":[]}',
        b'{"request_status":"Success","invoices":[],"x":' + b"9" * 5000 + b"}",
        b'{"request_status":"Success","invoices":[],"x":1e999999}',
        b'{"request_status":"Success","invoices":[],"x":NaN}',
    ],
    ids=range(7),
)
def test_absurd_json_is_refused_where_it_is_read_exactly(body: bytes) -> None:
    refused(CREATE, body)
