"""A response to a write that says yes and no, or is of something else, is neither yes nor no."""

from contextlib import nullcontext
from datetime import date
from decimal import Decimal

import attrs
import pytest

from aiocake._codec.codec import decode, error_of, read_reply
from aiocake._codec.invoice_pages import decode_invoice_page
from aiocake._messages import Response
from aiocake._operations.operation import Operation
from aiocake._pipeline.retry import is_refusal
from aiocake.endpoints.advertiser_bills import MARK_RECEIVED as PAYMENT
from aiocake.endpoints.affiliate_bills import MARK_RECEIVED
from aiocake.endpoints.buyer_bills import MARK_RECEIVED as CREDIT
from aiocake.endpoints.invoices import CREATE, FIND, GET, UPDATE
from aiocake.endpoints.reference import BILLING_CYCLES, PAYMENT_METHODS
from aiocake.errors import CakeError, ConsistencyError, DecodeError

ARGUMENTS: dict[str, dict[str, object]] = {
    CREATE.name: {
        "affiliate_id": 7,
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 1, 31),
    },
    UPDATE.name: {"invoice_id": 1, "invoice_status": "paid"},
    MARK_RECEIVED.name: {"bill_id": 5, "invoiced_amount": Decimal(10)},
    PAYMENT.name: {"bill_id": 5, "payment_amount": Decimal("20.01")},
    CREDIT.name: {"bill_id": 5, "payment_amount": Decimal(10), "apply_credit_to_buyer": True},
}
MADE = (
    '"invoice": {"invoice_id": 9, "affiliate_id": 7, "invoice_status": "pending", '
    '"total_amount": "5.00"%s}'
)
PAID = (
    '{"request_status": "Error", "message": "mail failed", "response": {"invoice": '
    '{"invoice_id": 1, "invoice_status": "%s"}}}'
)
EXPORT = (
    "<export_affiliate_bills_accounting_response><success>true</success><row_count>0</row_count>"
    "<affiliate_bills /></export_affiliate_bills_accounting_response>"
)
QUOTED = "Server was unable to process request. ---> "


def soap(inside: str) -> str:
    name = "http://www.w3.org/2003/05/soap-envelope"
    return f'<s:Envelope xmlns:s="{name}"><s:Body>{inside}</s:Body></s:Envelope>'


def fault(code: str, text: str) -> str:
    return soap(
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason>"
        f'<s:Text xml:lang="en">{text}</s:Text></s:Reason></s:Fault>'
    )


CALL = "MarkBuyerBillAsReceived"
FAULT = "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code></s:Fault>"
LIKE_YES = (
    "",
    "null",
    "OK",
    "200",
    "Succeeded",
    "SuccessWithWarnings",
    "Request successful",
    "Invoice created",
)
LIKE_NO = ("Error", "Unsuccessful", "Not saved", "Update failed", "Incomplete", "Invalid request")


def result(name: str) -> str:
    return soap(
        f"<{name}Response><{name}Result><success>true</success>"
        f"<message>Bill Successfully Updated</message></{name}Result></{name}Response>"
    )


def verdict(operation: Operation[object], status: int, body: str) -> str:
    reply = read_reply(Response(status, {}, body.encode()))
    error = error_of(operation, reply, ARGUMENTS[operation.name])
    try:
        if error is None:
            decode(operation, ARGUMENTS[operation.name], reply)
            return "done"
    except CakeError as unreadable:
        error = unreadable
    return "not done" if is_refusal(error) else "unknown"


UNKNOWN = [
    # A server that failed on the way quotes what it could not do or reach.
    (CREATE, 500, '{"message": "Saved, but the payment gateway said: invalid API key"}'),
    (CREATE, 500, '{"message": "Restricted: the account manager was not told"}'),
    (CREDIT, 500, fault("Receiver", f"{QUOTED}Tipalti did not answer")),
    (CREDIT, 500, fault("Receiver", f"{QUOTED}mail service: Invalid API key")),
    (CREDIT, 200, fault("Receiver", "Restricted by the mail service")),
    # Or says in the words of .NET that it gave up half-way.
    (CREATE, 200, '{"success": false, "message": "Execution Timeout Expired.  The timeout…"}'),
    (CREDIT, 200, "<r><success>false</success><message>The operation has timed out</message></r>"),
    # It has not finished.
    (CREATE, 200, '{"request_status": "Queued", "message": "Your request was queued"}'),
    # Yes and no.
    (CREATE, 200, '{"request_status": "Success", "success": false}'),
    (CREATE, 200, '{"request_status": "Success", "response": {"success": false}}'),
    (CREATE, 200, '{"request_status": "Error", "message": "mail failed", ' + MADE % "" + "}"),
    (
        UPDATE,
        200,
        PAID % "Paid",
    ),
    (MARK_RECEIVED, 200, "<r><success>true</success><message>Invalid Bill ID</message></r>"),
    (CREATE, 200, '{"request_status": "Success", "error": "could not save", ' + MADE % "" + "}"),
    (
        UPDATE,
        200,
        '{"request_status": "Success", "Errors": ["locked"], "invoice": {"invoice_id": 1}}',
    ),
    (
        UPDATE,
        200,
        '{"success": true, "message": "Not saved: locked", "invoice": {"invoice_id": 1}}',
    ),
    (MARK_RECEIVED, 200, "<r><success>true</success><message>Could not be saved</message></r>"),
    (MARK_RECEIVED, 200, "<r><success>true</success><error>locked</error></r>"),
    (MARK_RECEIVED, 200, "<r><success>false</success><success>true</success></r>"),
    (
        MARK_RECEIVED,
        200,
        "<r><success>false</success><message>Bill Successfully Updated</message></r>",
    ),
    (
        MARK_RECEIVED,
        200,
        '{"request_status": "Success", "response": {"success": false, "message": "mail failed"}}',
    ),
    (CREATE, 200, '{"request_status": "Error", "message": "mail failed", "invoice_id": 9}'),
    (CREATE, 200, '{"success": false, "message": "mail", "Invoice": {"Invoice_ID": 9}}'),
    (CREATE, 200, '{"success": false, "message": "Invoice created, but the mail failed"}'),
    (CREATE, 200, '{"success": false, "message": "Not marked; the invoice successfully made"}'),
    (CREDIT, 200, soap(f"{FAULT}<{CALL}Response />")),
    (CREDIT, 200, soap(f"<{CALL}Response />{FAULT}")),
    # Another word than CAKE's, which is no "no".
    *((CREATE, 200, f'{{"request_status": "{word}", "message": "x"}}') for word in LIKE_YES),
    # What a server says that met something on the way, whatever it was.
    (CREATE, 500, '{"message": "Mail template not found"}'),
    (CREATE, 200, '{"success": false, "message": "An unexpected error occurred."}'),
    (CREATE, 200, '{"request_status": "Error", "message": "Internal server error"}'),
    # An answer to something else, or of something else.
    (
        UPDATE,
        200,
        '{"request_status": "Success", "invoice": {"invoice_id": 1, "InvoiceStatus": "void"}}',
    ),
    (MARK_RECEIVED, 200, '{"request_status": "Success", "response": {"Bill_ID": "6"}}'),
    (
        PAYMENT,
        200,  # whose culture takes a point for a thousands separator
        (
            "<r><success>true</success><message>Bill Successfully Updated</message>"
            "<payment_amount>2001.0000</payment_amount></r>"
        ),
    ),
    (CREDIT, 200, result("MarkAffiliateBillAsPaid")),
    (MARK_RECEIVED, 200, EXPORT),
    (
        MARK_RECEIVED,
        200,
        '{"request_status": "Success", "response": {"bill": {"bill_id": 6}, "message": "ok"}}',
    ),
    (
        CREATE,
        200,
        '{"request_status": "Success", '
        + MADE % ', "start_date": "2024-02-01", "end_date": "2024-02-29"'
        + "}",
    ),
]
REFUSED = [
    *((CREATE, 200, f'{{"request_status": "{word}", "message": "x"}}') for word in LIKE_NO),
    (CREATE, 500, '{"message": "Affiliate 7 not found"}'),
    (MARK_RECEIVED, 200, '{"success": true, "Success": false, "message": "Invalid Notes"}'),
    (CREATE, 200, '{"success": false, "message": "The error occurred in affiliate_id"}'),
    (CREATE, 200, '{"success": false, "message": "The invoice could not be successfully created"}'),
    (CREATE, 200, '{"success": false, "message": "Invoice was not created successfully"}'),
    (CREATE, 500, '{"message": "Error: Invalid API Key."}'),
    (CREATE, 500, '{"message": "Restricted"}'),
    (CREDIT, 500, fault("Receiver", f"{QUOTED}Invalid API Key")),
    (CREDIT, 500, fault("Sender", "Tipalti bills are not for you")),
    (CREDIT, 500, fault("Receiver", "Bills processed by Tipalti may not be updated")),
    # In whatever case its name is.
    (
        MARK_RECEIVED,
        200,
        '{"request_status": "Success", "Success": false, "Message": "Invalid Bill ID"}',
    ),
    (
        UPDATE,
        200,
        PAID % "pending",
    ),
]
DONE = [
    (UPDATE, 200, '{"request_status": " success. ", "invoice": {"invoice_id": 1}}'),
    (
        UPDATE,
        200,
        (
            '{"request_status": "Success", "error": null, "errors": [], "error_message": "None", '
            '"message": "Invoice 1 saved without errors", "invoice": {"invoice_id": "1"}}'
        ),
    ),
    (
        PAYMENT,
        200,
        (
            "<r><success>true</success><message>Bill Successfully Updated</message><error />"
            "<payment_amount>20.0099</payment_amount></r>"
        ),
    ),
    (CREDIT, 200, result("MarkBuyerBillAsReceived")),
    (
        CREATE,
        200,  # an instance may count the end of a period, or its zone, differently
        '{"request_status": "Success", '
        + MADE % ', "start_date": "2023-12-31T19:00:00", "end_date": "2024-02-01"'
        + "}",
    ),
]


@pytest.mark.parametrize(
    ("operation", "status", "body", "wanted"),
    [
        (*each, wanted)
        for wanted, cases in (("unknown", UNKNOWN), ("not done", REFUSED), ("done", DONE))
        for each in cases
    ],
)
def test_the_verdict(operation: Operation[object], status: int, body: str, wanted: str) -> None:
    assert verdict(operation, status, body) == wanted


@pytest.mark.parametrize("name", ["Success", "Request_Status"])
def test_a_page_that_says_no_in_another_case_is_no_page(name: str) -> None:
    body = f'{{"request_status": "Success", "{name}": "False", "invoices": [{{"invoice_id": 1, '
    body += '"invoice_status": "paid", "total_amount": "1.00"}], "total_rows": 1}'
    reply = read_reply(Response(200, {}, body.encode()))
    with pytest.raises(CakeError):
        decode(FIND, {}, reply)


@pytest.mark.parametrize(
    "beside",
    [
        '"error": "Timeout expired"',
        '"message": "Restricted"',
        '"ErrorMessage": "no connection"',
        '"total_rows": 0, "errors": [{"message": "Invalid API key"}]',
    ],
)
def test_a_list_beside_an_error_is_no_list(beside: str) -> None:
    """Rows may be missing: to take it for empty would pay a partner twice."""
    for rows in ("", '{"invoice_id": 1, "invoice_status": "paid", "total_amount": "1.00"}'):
        body = f'{{"request_status": "Success", "invoices": [{rows}], {beside}}}'
        reply = read_reply(Response(200, {}, body.encode()))
        with pytest.raises(DecodeError, match="both success and failure"):
            decode(FIND, {}, reply)
    listed = f'{{"request_status": "Success", "billing_cycles": [], {beside}}}'
    reply = read_reply(Response(200, {}, listed.encode()))
    assert isinstance(error_of(BILLING_CYCLES, reply), DecodeError)


def test_a_list_may_have_a_text_beside_it() -> None:
    body = '{"request_status": "Success", "message": "Invoices not found", "invoices": []}'
    reply = read_reply(Response(200, {}, body.encode()))
    assert error_of(FIND, reply) is None
    assert decode(FIND, {}, reply).items == ()
    # An empty one costs nothing.
    page = b'{"request_status": "Success", "message": %s, "invoices": [], "total_rows": 1}'
    assert [decode_invoice_page(page % each) for each in (b"null", b'""')] == [((), 1)] * 2
    assert decode_invoice_page(page % b'"Restricted"') is None


def test_rows_for_one_id_are_of_one_record() -> None:
    """Some instances name no method in its row, so only their number shows an unknown filter.

    Many rows may be of one value that is not their own id.
    """
    row = '{"payment_type_id": %d, "payment_type_name": "x"}'
    body = '{"request_status": "Success", "payment_methods": [%s, %s]}'
    for other, refused in ((2, True), (1, False)):
        reply = read_reply(Response(200, {}, (body % (row % 1, row % other)).encode()))
        with pytest.raises(ConsistencyError) if refused else nullcontext():
            assert len(decode(PAYMENT_METHODS, {"payment_method_id": 3}, reply)) == 2
        by_type = attrs.evolve(PAYMENT_METHODS, echoed=("account_status_id",))
        assert len(decode(by_type, {"account_status_id": 3}, reply)) == 2


def test_an_invoice_that_comes_twice_and_differs_is_none() -> None:
    row = '{{"invoice_id": 1, "invoice_status": "{}", "total_amount": "1.00"}}'
    body = '{"request_status": "Success", "invoices": [%s, %s], "total_rows": 2}'
    for other, refused in (("pending", True), ("paid", False)):
        both = body % (row.format("paid"), row.format(other))
        reply = read_reply(Response(200, {}, both.encode()))
        with pytest.raises(ConsistencyError) if refused else nullcontext():
            assert decode(GET, {"invoice_id": 1}, reply).invoice_status == "paid"
