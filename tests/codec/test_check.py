"""Which answers are a no, and which no they are: neither the status nor the body alone says."""

import json
from decimal import Decimal
from typing import SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.codec import applied_likely, error_of, read_reply
from aiocake._codec.error_messages import error_from_message
from aiocake._codec.raw import error_of_raw
from aiocake._codec.reply import Reply
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import Money, Text
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    DecodeError,
    NotFound,
    RateLimited,
    RequestRejected,
    Restricted,
    ServerError,
    TipaltiError,
)
from aiocake.models import Currency, Invoice, MarkResult, Page, UpdatedInvoice
from aiocake.values import Idempotency

PAGE: Operation[Page[Invoice]] = Operation(
    name="invoices.page",
    api=Api.V2,
    path="/api/2/invoices.json",
    shape=ResponseShape.PAGE,
    element="invoices",
    model=Invoice,
    documented_in="",
)
UPDATE: Operation[UpdatedInvoice] = Operation(
    name="invoices.update",
    api=Api.V2,
    path="/api/2/update_invoice.json",
    parameters=(Text("memo", sensitive=True),),
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.ONE,
    element="invoice",
    model=UpdatedInvoice,
    documented_in="",
)
MARK: Operation[MarkResult] = Operation(
    name="affiliate_bills.mark_received",
    api=Api.V1,
    path="/api/1/accounting.asmx",
    call="MarkAffiliateBillAsReceived",
    parameters=(
        Money("invoiced_amount", sensitive=True),
        Text("notes", sensitive=True),
    ),
    idempotency=Idempotency.IDEMPOTENT,
    shape=ResponseShape.MARK,
    element="",
    model=MarkResult,
    documented_in="",
)
CURRENCIES: Operation[tuple[Currency, ...]] = Operation(
    name="reference.v1_currencies",
    api=Api.V1,
    path="/api/1/get.asmx",
    call="Currencies",
    shape=ResponseShape.ROWS,
    element="currencies",
    row="currency",
    model=Currency,
    documented_in="",
)

LOGIN = b"<!DOCTYPE html>\r\n<html><head><title>Log in</title></head></html>"
HELP = b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"></html>'


def answer(body: bytes | str, status: int = 200) -> Response:
    return Response(status, {}, body.encode() if isinstance(body, str) else body)


def reply(body: bytes | str, status: int = 200, *, show_sensitive: bool = False) -> Reply:
    return read_reply(answer(body, status), show_sensitive=show_sensitive)


def found(
    operation: Operation[object], body: bytes | str, status: int = 200
) -> tuple[type[CakeError] | None, str]:
    """The class and the text of the error that an answer holds."""
    error = error_of(operation, reply(body, status))
    if isinstance(error, ApiError):
        assert error.status == status
        return type(error), error.message
    if isinstance(error, DecodeError):
        assert error.status == status
    return (None, "") if error is None else (type(error), error.args[0])


def xml(success: str, message: str = "") -> str:
    reported = f"<message>{message}</message>" if message else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<mark_accounting_response '
        f'xmlns="http://cakemarketing.com/api/1/"><success>{success}</success>{reported}'
        "</mark_accounting_response>"
    )


ENVELOPE = (
    '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
    "<MarkResponse><MarkResult><success>false</success><message>%s</message>"
    "</MarkResult></MarkResponse></soap:Body></soap:Envelope>"
)
MESSAGES = [
    ("Invalid API key", AuthenticationError),
    ("invalid api KEY.", AuthenticationError),
    ("Invalid Bill ID", NotFound),
    ("Billing ID does not exist", NotFound),
    ("Invoice not found", NotFound),
    ("Bills processed by Tipalti may not be updated", TipaltiError),
    ("Restricted", Restricted),
    ("Invalid Notes", ApiError),
    ("Invalid Invoice Number", ApiError),
    ("Payment Type ID does not exist", ApiError),
    ("Access is restricted to Mondays", ApiError),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_a_text_of_cakes_is_an_error_of_its_own(message: str, kind: type[ApiError]) -> None:
    error = error_from_message(message, 200)
    assert type(error) is kind
    assert (error.message, error.status) == (message, 200)


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
@pytest.mark.parametrize(
    "form",
    [
        '{"request_status": "Error", "message": "%s"}',
        '{"request_status": "failed", "error": "%s"}',
        '{"request_status": "Failure", "error_message": "%s"}',
        '{"request_status": "Error", "errors": ["%s"]}',
        '{"request_status": "Error", "errors": [{"message": "%s"}]}',
        '{"request_status": "Error", "errors": {"affiliate_id": "%s"}}',
        '{"request_status": "Error", "response": {"message": "%s"}}',
        '{"success": false, "message": "%s"}',
        '{"success": "False", "message": "%s"}',
        '{"d": {"success": false, "message": "%s"}}',
        '\ufeff{"message": "%s", "request_status": "Error"}',
        xml("false", "%s"),
        f"\ufeff{xml('False', '%s')}",
        ENVELOPE,
    ],
)
@pytest.mark.parametrize("operation", [PAGE, UPDATE, MARK, CURRENCIES], ids=lambda it: it.name)
def test_a_200_can_say_no(
    operation: Operation[object], form: str, message: str, kind: type[ApiError]
) -> None:
    assert found(operation, form.replace("%s", message)) == (kind, message)


@pytest.mark.parametrize(
    "body",
    [
        '{"request_status": "Success", "x": 1}',
        '{"request_status": "success"}',
        '{"x": 1, "request_status": "SUCCESS"}',
        '\ufeff {"request_status": "Success"}',
        '{"success": true}',
        '{"success": "true"}',
        '{"d": {"success": true}}',
        '{"response": {"success": true}}',
        xml("true"),
        xml("True", "Bill Successfully Updated"),
        xml("1"),
    ],
)
@pytest.mark.parametrize("operation", [PAGE, UPDATE, MARK, CURRENCIES], ids=lambda it: it.name)
@pytest.mark.parametrize("status", [200, 201])
def test_a_success_says_so(operation: Operation[object], body: str, status: int) -> None:
    assert found(operation, body, status) == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        '{"invoice": {"invoice_id": 1}}',
        '{"request_status": null, "message": "Bill Successfully Updated"}',
        "<a><message>Bill Successfully Updated</message></a>",
        '"Bill Successfully Updated"',
        '{"d": "Bill Successfully Updated"}',
        "<string>Bill Successfully Updated</string>",
        "<a/>",
    ],
)
def test_what_does_not_say_that_it_was_done_was_not_known_to_be(body: str) -> None:
    silent = "the response does not say whether the call was carried out"
    for operation in (PAGE, UPDATE, MARK):
        assert found(operation, body) == (DecodeError, silent)
    # Some look-ups of v1 have no `success`.
    assert found(CURRENCIES, body) == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        '"Invalid API key"',
        '{"d": "Invalid API key"}',
        '{"message": "Invalid API key"}',
        "<string>Invalid API key</string>",
    ],
)
def test_a_known_text_is_a_no_by_itself(body: str) -> None:
    for operation in (PAGE, UPDATE, MARK, CURRENCIES):
        assert found(operation, body) == (AuthenticationError, "Invalid API key")


def test_a_yes_and_a_no_in_one_answer_are_a_no() -> None:
    body = '{"request_status": "Success", "success": false, "message": "Invalid Notes"}'
    assert found(UPDATE, body) == (ApiError, "Invalid Notes")


def test_a_no_without_a_reason_is_one_too() -> None:
    assert found(MARK, xml("false")) == (ApiError, "CAKE refused the call without a reason")
    assert found(UPDATE, '{"request_status": "Error"}')[0] is ApiError
    assert found(UPDATE, '{"request_status": "Error", "invoice": null}')[0] is ApiError


@pytest.mark.parametrize(
    "body",
    [
        '{"request_status": "Suxcess", "invoice": {"invoice_id": 4821}}',
        '{"request_status": "Suxcess", "response": {"invoice": {"invoice_id": 4821}}}',
        '{"request_status": "Suxcess", "message": "Bill Marked As Received"}',
        '{"request_status": "Suxcess", "response": {"message": " affiliate payment ADDED"}}',
    ],
)
def test_a_no_that_otherwise_is_a_yes_is_neither(body: str) -> None:
    for operation in (UPDATE, MARK):
        assert found(operation, body)[0] is DecodeError


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429])
@pytest.mark.parametrize("body", ['{"request_status": "Success"}', xml("true")])
def test_a_yes_with_the_status_of_a_no_is_neither(body: str, status: int) -> None:
    for operation in (UPDATE, MARK):
        assert found(operation, body, status)[0] is DecodeError


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "nothing in place of a response"),
        (b"\xef\xbb\xbf \r\n", "nothing in place of a response"),
        (LOGIN, "a page of HTML in place of a response"),
        (HELP, "a page of HTML in place of a response"),
        (b"  <HTML>", "a page of HTML in place of a response"),
        (b"ok", "plain text in place of a response"),
        (b"null", "JSON that is not an object"),
        (b"[]", "JSON that is not an object"),
        (b'{"request_status": "Success"', "not JSON"),
        (b'{"request_status": "Success"} x', "not JSON"),
        (b'{"request_status": "Success", "request_status": "Success"}', "JSON with a value that"),
        (b'{"request_status": "Succ\xff"}', "not UTF-8"),
        (b'{"request_status": 1}', "a value is not a text"),
        (b'{"success": "maybe"}', "a value is neither true nor false"),
        (b"<a><success>maybe</success></a>", "a value is neither true nor false"),
        (b"<a><success>true</a>", ""),
        ('{"request_status": "Success"}'.encode("utf-16"), "plain text"),
    ],
)
@pytest.mark.parametrize("operation", [UPDATE, MARK, CURRENCIES], ids=lambda it: it.name)
def test_what_cannot_be_read_is_no_success(
    operation: Operation[object], body: bytes, text: str
) -> None:
    kind, reported = found(operation, body)
    assert kind is DecodeError
    assert text in reported


FAULT_11 = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    "<soap:Fault><faultcode>soap:%s</faultcode><faultstring>%s</faultstring><detail />"
    "</soap:Fault></soap:Body></soap:Envelope>"
)
FAULT_12 = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
    '<s:Value>s:%s</s:Value></s:Code><s:Reason><s:Text xml:lang="en">%s</s:Text></s:Reason>'
    "</s:Fault></s:Body></s:Envelope>"
)


@pytest.mark.parametrize("status", [500, 400, 200])
@pytest.mark.parametrize(
    ("form", "code", "kind"),
    [
        (FAULT_11, "Client", RequestRejected),
        (FAULT_11, "Client.Authentication", RequestRejected),
        (FAULT_11, "MustUnderstand", RequestRejected),
        (FAULT_11, "Server", ServerError),
        (FAULT_12, "Sender", RequestRejected),
        (FAULT_12, "VersionMismatch", RequestRejected),
        (FAULT_12, "Receiver", ServerError),
        (FAULT_12, "", ServerError),
    ],
)
def test_a_soap_fault_says_whose_it_is(
    form: str, code: str, kind: type[ApiError], status: int
) -> None:
    text = "Server was unable to read request. ---&gt; There is an error in XML document (1, 2)."
    body = form % (code, text)
    shown = "Server was unable to read request. ---> There is an error in XML document (1, 2)."
    assert found(MARK, body, status) == (kind, shown)


@pytest.mark.parametrize(
    "text",
    [
        "Missing parameter: notes.",
        "Cannot convert abc to System.Int32.\r\nParameter name: type ---&gt; Input string was not.",
        "A potentially dangerous Request.Form value was detected (notes=&quot;&lt;b&quot;).",
        "Request format is unrecognized for URL unexpectedly ending in &#39;/MarkBill&#39;.",
        "Request format is invalid: text/plain.",
    ],
)
def test_a_500_of_the_binder_is_final_and_unescaped(text: str) -> None:
    kind, reported = found(MARK, f"{text}\r\n", 500)
    assert kind is RequestRejected
    assert "&" not in reported
    page = f"<html><head><title>{text}</title></head><body>{text}</body></html>"
    # ASP.NET's page has it as its title.
    assert found(MARK, page, 500) == (RequestRejected, reported)


@pytest.mark.parametrize(
    "body",
    [
        "System.NullReferenceException: Object reference not set to an instance of an object.",
        "System.Exception: Missing parameter: notes.",
        "Cannot convert this bill.",
        "<html><title>Runtime Error</title></html>",
        '{"message": "An error has occurred."}',
        '{"request_status": "Error", "message": "oops"}',
        '{"request_status": "Succ',
        xml("false", "oops"),
        "",
    ],
)
def test_any_other_500_may_have_been_carried_out(body: str) -> None:
    assert found(MARK, body, 500)[0] is ServerError
    assert found(UPDATE, body, 502)[0] is ServerError


@pytest.mark.parametrize(
    "text",
    [
        "Method not found: 'Void Cake.Billing.Notify(Int32)'.",
        "The template of the e-mail was not found",
        "The Tipalti service did not answer in time",
        "Could not notify Tipalti: Invalid Bill ID 5 at line 3",
    ],
)
def test_a_failure_that_quotes_a_known_text_is_a_failure(text: str) -> None:
    """It may have been met after the call was carried out."""
    for body in (json.dumps({"message": text}), f"<string>{text}</string>"):
        assert found(UPDATE, body, 500) == (ServerError, text)
        assert found(MARK, body)[0] is DecodeError  # a 200 that says neither yes nor no
    no = json.dumps({"success": False, "message": text})
    assert found(UPDATE, no)[0] in {NotFound, TipaltiError}


@pytest.mark.parametrize("body", ["", "oops", str(LOGIN), '{"message": "oops"}'])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRejected),
        (401, AuthenticationError),
        (403, RequestRejected),
        (405, RequestRejected),
        (409, RequestRejected),
        (410, RequestRejected),
        (411, RequestRejected),
        (413, RequestRejected),
        (414, RequestRejected),
        (415, RequestRejected),
        (417, RequestRejected),
        (422, RequestRejected),
        (429, RateLimited),
        (431, RequestRejected),
        (500, ServerError),
        (501, ServerError),
        (502, ServerError),
        (503, RateLimited),
        (504, ServerError),
        (599, ServerError),
    ],
)
def test_a_status_says_no_whatever_the_body_is(
    status: int, kind: type[ApiError], body: str
) -> None:
    for operation in (PAGE, UPDATE, MARK):
        assert found(operation, body, status)[0] is kind


@pytest.mark.parametrize(("message", "kind"), MESSAGES[:7])
@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_a_known_text_counts_more_than_its_status(
    status: int, message: str, kind: type[ApiError]
) -> None:
    assert found(UPDATE, json.dumps({"message": message}), status) == (kind, message)
    assert found(MARK, xml("false", message), status) == (kind, message)


#: By which an application refuses before it acts; a 404 only in JSON.
REFUSALS = {400, 401, 403, 404, 405, 409, 410, 411, 413, 414, 415, 417, 422, 429, 431}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "stream timeout",
        str(LOGIN),
        '{"message": "oops"}',
        '{"message": "Invalid API key"}',
        '{"request_status": "Error", "message": "Restricted"}',
        '{"request_status": "Success"}',
        xml("true"),
        xml("false", "Invalid Bill ID"),
        FAULT_11 % ("Client", "no"),
        FAULT_12 % ("Sender", "Invalid API key"),
        "Missing parameter: notes.",
    ],
)
def test_any_other_status_says_nothing_whatever_the_body_is(body: str) -> None:
    """Who gave it is not known, nor whether the request had been passed on."""
    others = {*range(400, 500)} - REFUSALS | {501, 502, 504, 505, 507, 511, 520, 524, 599}
    for status in others:
        for operation in (PAGE, UPDATE, MARK, CURRENCIES):
            assert found(operation, body, status)[0] is ServerError
        for idempotency in Idempotency:
            assert type(error_of_raw(reply(body, status), idempotency)) is ServerError


def test_a_404_is_cakes_only_in_json_or_in_its_words() -> None:
    assert found(UPDATE, '{"message": "no"}', 404) == (NotFound, "no")
    assert found(UPDATE, "{}", 404) == (NotFound, "Not Found")
    for body in ("", "not found", LOGIN, "<html>404 - File or directory not found.</html>"):
        assert found(MARK, body, 404)[0] is DecodeError


@pytest.mark.parametrize("status", [100, 101, 202, 204, 206, 299, 600, 999])
def test_an_odd_status_is_no_answer(status: int) -> None:
    kind, text = found(UPDATE, '{"request_status": "Success"}', status)
    assert (kind, text) == (DecodeError, f"a response with the status {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed_and_not_told_whereto(status: int) -> None:
    response = Response(status, {"location": "https://elsewhere/?api_key=K"}, b"moved there")
    error = error_of(UPDATE, read_reply(response))
    assert isinstance(error, DecodeError)
    assert "redirect" in str(error)
    assert "elsewhere" not in str(error)
    assert "moved" not in str(error)


def test_an_error_hides_what_it_repeats_of_the_callers_own() -> None:
    notes, amount = "Canary & sons, Ltd.", Decimal("1234.50")
    arguments = {"notes": notes, "invoiced_amount": amount}
    body = (
        f"Cannot convert {notes} to System.Byte.\r\nParameter name: type ---> 1234.50, Canary & so"
    )
    hidden = error_of(MARK, reply(body.replace("&", "&amp;"), 500), arguments)
    assert isinstance(hidden, RequestRejected)
    assert "Canary" not in str(hidden) + repr(hidden) + hidden.message
    assert "1234.50" not in str(hidden)
    assert hidden.message.startswith("Cannot convert <hidden> to System.Byte.")
    open_reply = reply(body.replace("&", "&amp;"), 500, show_sensitive=True)
    shown = error_of(MARK, open_reply, arguments)
    assert isinstance(shown, RequestRejected)
    assert "Canary & sons" in shown.message


def test_a_short_text_is_hidden_as_a_word_only() -> None:
    error = error_of(MARK, reply(xml("false", "a bad a-b abc a")), {"notes": "a"})
    assert isinstance(error, ApiError)
    assert error.message == "<hidden> bad <hidden>-b abc <hidden>"


class Sliced(str):
    """A text that counts how often a part of it is taken."""

    __slots__ = ("count",)

    def __getitem__(self, part: SupportsIndex | slice) -> str:
        self.count = getattr(self, "count", 0) + 1
        return super().__getitem__(part)


def test_a_long_text_is_looked_for_no_further_than_a_message_is_long() -> None:
    note = Sliced("Canary " * 1_000)
    body = json.dumps({"success": False, "message": note})
    error = error_of(UPDATE, reply(body), {"memo": note})
    assert isinstance(error, ApiError)
    assert "Canary" not in error.message
    assert note.count <= 300


def test_a_message_is_one_line_of_bounded_length() -> None:
    kind, text = found(UPDATE, json.dumps({"success": False, "message": "a\r\n\x00b " * 999}))
    assert kind is ApiError
    assert text.startswith("a b a b")
    assert len(text) == 300


def test_the_snippet_shows_values_only_when_it_is_told_to() -> None:
    body = '{"request_status": "Success", "invoice": {"memo": "Canary", "x": NaN}}'
    hidden = error_of(UPDATE, reply(body))
    shown = error_of(UPDATE, reply(body, show_sensitive=True))
    assert isinstance(hidden, DecodeError)
    assert isinstance(shown, DecodeError)
    assert "Canary" not in str(hidden)
    assert '"memo"' in hidden.snippet
    assert "Canary" in shown.snippet


@pytest.mark.parametrize(
    ("body", "status", "likely"),
    [
        (b'{"request_status": "Success", "invoi', 200, True),
        (b"", 200, True),
        (b"<a><success>true", 200, True),
        (LOGIN, 200, False),
        (b'{"request_status": "Success"}', 299, False),
        (b"", 302, False),
    ],
)
def test_what_an_unreadable_answer_still_tells(body: bytes, status: int, likely: bool) -> None:  # noqa: FBT001
    assert applied_likely(answer(body, status)) is likely


@given(st.binary() | st.text().map(str.encode), st.integers(0, 999))
def test_any_bytes_with_any_status_are_judged(body: bytes, status: int) -> None:
    for operation in (PAGE, UPDATE, MARK, CURRENCIES):
        error = error_of(operation, reply(body, status))
        assert error is None or isinstance(error, CakeError)
        if operation.idempotency is not Idempotency.SAFE and not body.strip().startswith(
            (b"{", b"<")
        ):
            assert error is not None
