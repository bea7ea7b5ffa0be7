"""The calls that are tried in each case, and what a CAKE in good order answers to them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import attrs
import pytest

from aiocake.client import ClientView
from aiocake.models import AffiliateBill, CreatedInvoice, Invoice, MarkResult, UpdatedInvoice
from aiocake.values import Idempotency

from ..support.scripted import Connection, Script
from ._canary import AMOUNT, NOTE

__all__ = [
    "AFFILIATE",
    "BILL",
    "CALLS",
    "CREATE",
    "CREDIT",
    "EACH",
    "EXPORT",
    "FIND",
    "GET",
    "ID",
    "JSON",
    "LOOK_UP",
    "MARK",
    "PASSING",
    "READS",
    "UPDATE",
    "WRITES",
    "Call",
    "call_of",
    "cut",
    "each",
    "http",
    "obedient",
    "right",
    "soap11",
    "soap12",
    "wrong",
]

ID: Final = 4821
AFFILIATE: Final = 67890
BILL: Final = 345

_GOT: Final = (
    b'{"request_status":"Success","invoices":[{"invoice_id":4821,"affiliate_id":67890,'
    b'"invoice_status":"approved","total_amount":"1250.00","currency":"USD"}],"total_rows":1}'
)
_UPDATED: Final = (
    b'{"request_status":"Success","invoice":{"invoice_id":4821,"invoice_status":"approved"}}'
)
_CREATED: Final = (
    b'{"request_status":"Success","invoice":{"invoice_id":9001,"affiliate_id":67890,'
    b'"invoice_status":"pending","total_amount":"1250.00","currency":"USD"}}'
)
_XML: Final = b'<?xml version="1.0" encoding="utf-8"?>\r\n'
_MARKED: Final = (
    _XML + b'<mark_response xmlns="http://cakemarketing.com/api/1/"><success>true</success>'
    b"<message>Bill Marked As Received</message></mark_response>"
)
_CREDITED: Final = (
    _XML + b'<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
    b'<MarkBuyerBillAsReceivedResponse xmlns="http://cakemarketing.com/api/1/">'
    b"<MarkBuyerBillAsReceivedResult><success>true</success>"
    b"<message>Bill Marked As Received</message>"
    b"</MarkBuyerBillAsReceivedResult></MarkBuyerBillAsReceivedResponse>"
    b"</soap:Body></soap:Envelope>"
)
_EXPORTED: Final = (
    _XML
    + b"<export_response><success>true</success><row_count>2</row_count><affiliate_bills>"
    + b"".join(
        b"<affiliate_bill><bill_id>%d</bill_id><affiliate><affiliate_id>67890</affiliate_id>"
        b"<affiliate_name>A</affiliate_name></affiliate><bill_amount><amount>2415.0000</amount>"
        b"</bill_amount></affiliate_bill>" % number
        for number in (345, 346)
    )
    + b"</affiliate_bills></export_response>"
)
_LOOKED_UP: Final = (
    _XML + b"<payment_types_response><success>true</success><row_count>1</row_count>"
    b"<payment_types><payment_type><payment_type_id>7</payment_type_id>"
    b"<payment_type_name>Wire</payment_type_name></payment_type></payment_types>"
    b"</payment_types_response>"
)


@attrs.frozen(eq=False)
class Call:
    """A call of the public client.

    Attributes:
        name: For the test's name.
        idempotency: What sending it again does.
        operation: Its name.
        make: Makes it.
        arguments: What it is made with.
        body: What the answer to it holds.
        is_right: Whether that is what it gave.
    """

    name: str
    idempotency: Idempotency
    operation: str
    make: Callable[[ClientView], Awaitable[object]]
    arguments: Mapping[str, object]
    body: bytes
    is_right: Callable[[object], bool]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.idempotency is Idempotency.SAFE

    @property
    def once(self) -> bool:
        """Whether it must never be sent again."""
        return self.idempotency is Idempotency.NON_IDEMPOTENT

    @property
    def xml(self) -> bool:
        """Whether it is answered in XML."""
        return self.body.startswith(_XML)

    def __repr__(self) -> str:
        return f"<Call {self.name}>"


async def _export(cake: ClientView) -> object:
    day = date(2014, 6, 1)
    bills = cake.affiliate_bills.export(
        billing_period_start_date=day, billing_period_end_date=date(2014, 7, 1)
    )
    return await bills.collect()


_DAYS: Final = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}
_MADE: Final = {"affiliate_id": AFFILIATE, **_DAYS, "memo": NOTE}
_SET: Final = {"invoice_status": "approved", "memo": NOTE}
_NOTED: Final = {"invoiced_amount": Decimal(AMOUNT), "notes": NOTE}
_PAID: Final = {
    "payment_amount": Decimal(AMOUNT),
    "apply_credit_to_buyer": True,
    "notes": NOTE,
}


def _is_the_invoice(value: object) -> bool:
    return isinstance(value, Invoice) and value.invoice_id == ID


GET: Final = Call(
    "get",
    Idempotency.SAFE,
    "invoices.get",
    lambda cake: cake.invoices.get(ID),
    {},
    _GOT,
    _is_the_invoice,
)
FIND: Final = Call(
    "find",
    Idempotency.SAFE,
    "invoices.find",
    lambda cake: cake.invoices.find(affiliate_id=AFFILIATE).collect(),
    {},
    _GOT,
    lambda value: isinstance(value, list) and len(value) == 1 and _is_the_invoice(value[0]),
)
EXPORT: Final = Call(
    "export",
    Idempotency.SAFE,
    "affiliate_bills.export",
    _export,
    {},
    _EXPORTED,
    lambda value: (
        isinstance(value, list)
        and [bill.bill_id for bill in value if isinstance(bill, AffiliateBill)] == [BILL, BILL + 1]
    ),
)
LOOK_UP: Final = Call(
    "look-up",
    Idempotency.SAFE,
    "reference.payment_types",
    lambda cake: cake.reference.payment_types(),
    {},
    _LOOKED_UP,
    lambda value: isinstance(value, tuple) and len(value) == 1,
)
UPDATE: Final = Call(
    "update",
    Idempotency.IDEMPOTENT,
    "invoices.update",
    lambda cake: cake.invoices.update(ID, **_SET),  # type: ignore[arg-type] # they are what they are
    {"invoice_id": ID, **_SET},
    _UPDATED,
    lambda value: isinstance(value, UpdatedInvoice) and value.invoice_id == ID,
)
MARK: Final = Call(
    "mark",
    Idempotency.IDEMPOTENT,
    "affiliate_bills.mark_received",
    lambda cake: cake.affiliate_bills.mark_received(BILL, **_NOTED),  # type: ignore[arg-type] # the same
    {"bill_id": BILL, **_NOTED},
    _MARKED,
    lambda value: isinstance(value, MarkResult) and value.bill_id == BILL,
)
CREATE: Final = Call(
    "create",
    Idempotency.NON_IDEMPOTENT,
    "invoices.create",
    lambda cake: cake.invoices.create(**_MADE),  # type: ignore[arg-type] # the same
    _MADE,
    _CREATED,
    lambda value: isinstance(value, CreatedInvoice) and value.invoice_id == 9001,
)
CREDIT: Final = Call(
    "credit",
    Idempotency.NON_IDEMPOTENT,
    "buyer_bills.mark_received",
    lambda cake: cake.buyer_bills.mark_received(BILL, **_PAID),  # type: ignore[arg-type] # the same
    {"bill_id": BILL, **_PAID},
    _CREDITED,
    lambda value: isinstance(value, MarkResult) and value.bill_id == BILL,
)

READS: Final = (GET, FIND)
WRITES: Final = (UPDATE, MARK, CREATE, CREDIT)
CALLS: Final = (*READS, *WRITES)
#: What is answered in JSON.
JSON: Final = (GET, FIND, UPDATE, CREATE)


def each(*calls: Call) -> pytest.MarkDecorator:
    """Run a test once with each of the calls."""
    return pytest.mark.parametrize("call", calls, ids=lambda call: call.name)


EACH: Final = each(*CALLS)
#: Whether what is wrong is put right before the first retry.
PASSING: Final = pytest.mark.parametrize("passing", [False, True], ids=["lasting", "passing"])

_BY_PATH: Final = {
    b"/api/2/invoices.json": GET,
    b"/api/2/update_invoice.json": UPDATE,
    b"/api/2/invoice.json": CREATE,
    b"/api/1/accounting.asmx/MarkAffiliateBillAsReceived": MARK,
    b"/api/1/accounting.asmx/ExportAffiliateBills": EXPORT,
    b"/api/1/accounting.asmx": CREDIT,
    b"/api/1/get.asmx/PaymentTypes": LOOK_UP,
}


def call_of(request: bytes) -> Call:
    """Which of the calls a request is."""
    return _BY_PATH[request.split(b" ", 2)[1].partition(b"?")[0]]


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer of HTTP."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def soap11(code: str, text: str = "Server was unable to process request.") -> bytes:
    """A Fault of SOAP 1.1."""
    return (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f"<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring>"
        "<detail/></soap:Fault></soap:Body></soap:Envelope>"
    ).encode()


def soap12(code: str, text: str = "Server was unable to process request.") -> bytes:
    """A Fault of SOAP 1.2."""
    return (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
        f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{text}</soap:Text></soap:Reason>'
        "</soap:Fault></soap:Body></soap:Envelope>"
    ).encode()


def right(request: bytes) -> bytes:
    """The answer of a CAKE in good order."""
    call = call_of(request)
    kind = "text/xml" if call.xml else "application/json"
    return http(call.body, f"Content-Type: {kind}; charset=utf-8")


def obedient(connection: Connection) -> None:
    """Answer each request as a CAKE in good order does."""
    while request := connection.request():
        connection.send(right(request))


def wrong(answer: Callable[[bytes], bytes]) -> Script:
    """A server that answers so, until it is told to go on in good order."""

    def script(connection: Connection) -> None:
        while request := connection.request():
            healed = connection.server.go_on.is_set()
            connection.send((right if healed else answer)(request))

    return script


def cut(answer: Callable[[bytes], bytes], *, reset: bool = False) -> Script:
    """A server that answers so and ends the connection, until it is told to go on."""

    def script(connection: Connection) -> None:
        request = connection.request()
        if not request:
            return
        if connection.server.go_on.is_set():
            connection.send(right(request))
            obedient(connection)
            return
        connection.send(answer(request))
        if reset:
            connection.reset()

    return script
