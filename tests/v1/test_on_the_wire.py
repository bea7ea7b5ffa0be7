"""The very bytes of a v1 call in each binding, as IIS and ASP.NET are to get them."""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aiocake import ANY, ERASE, Binding, Client, Period

from ..support.scripted import Connection, Server

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

KEY = "k+/=&<'"
ANSWER = (
    b"<r><success>true</success><message>Bill Successfully Updated</message>"
    b"<row_count>0</row_count><affiliate_bills /><payment_types /></r>"
)
MARK = "/api/1/accounting.asmx/MarkBuyerBillAsReceived"
EXPORT = "/api/1/accounting.asmx/ExportAffiliateBills"
TYPES = "/api/1/get.asmx/PaymentTypes"
URL_KEY = "api_key=k%2B%2F%3D%26%3C%27"
MARKED = (
    f"{URL_KEY}&bill_id=345&payment_amount=-1000.50&payment_type_id=0&invoice_number=%20%2B%25%26"
    "&verification_code=&date_payment_received=2014-06-01&date_payment_received_modification_type="
    "change&apply_credit_to_buyer=false&notes=NULL"
)
EXPORTED = (
    f"{URL_KEY}&billing_cycle=monthly&billing_period_start_date=2014-06-01"
    "&billing_period_end_date=2014-07-01&paid_only=true&payment_type_id=0"
)
SOAP_KEY = "<api_key>k+/=&amp;&lt;&apos;</api_key>"
SOAP_MARKED = (
    f'<MarkBuyerBillAsReceived xmlns="http://cakemarketing.com/api/1/">{SOAP_KEY}'
    "<bill_id>345</bill_id><payment_amount>-1000.50</payment_amount>"
    "<payment_type_id>0</payment_type_id><invoice_number> +%&amp;</invoice_number>"
    "<verification_code></verification_code>"
    "<date_payment_received>2014-06-01T00:00:00</date_payment_received>"
    "<date_payment_received_modification_type>change</date_payment_received_modification_type>"
    "<apply_credit_to_buyer>false</apply_credit_to_buyer></MarkBuyerBillAsReceived>"
)
SOAP_EXPORTED = (
    f'<ExportAffiliateBills xmlns="http://cakemarketing.com/api/1/">{SOAP_KEY}'
    "<billing_cycle>monthly</billing_cycle>"
    "<billing_period_start_date>2014-06-01T00:00:00</billing_period_start_date>"
    "<billing_period_end_date>2014-07-01T00:00:00</billing_period_end_date>"
    "<paid_only>true</paid_only><payment_type_id>0</payment_type_id></ExportAffiliateBills>"
)
SOAP_TYPES = f'<PaymentTypes xmlns="http://cakemarketing.com/api/1/">{SOAP_KEY}</PaymentTypes>'
FORM = "application/x-www-form-urlencoded"


def envelope(namespace: str, inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{namespace}"><soap:Body>{inside}</soap:Body></soap:Envelope>'
    )


def soap11(call: str, inside: str) -> tuple[str, dict[str, str], str]:
    action = f'"http://cakemarketing.com/api/1/{call}"'
    headers = {"content-type": "text/xml; charset=utf-8", "soapaction": action}
    page = "get" if call == "PaymentTypes" else "accounting"
    body = envelope("http://schemas.xmlsoap.org/soap/envelope/", inside)
    return f"POST /api/1/{page}.asmx", headers, body


def soap12(call: str, inside: str) -> tuple[str, dict[str, str], str]:
    page = "get" if call == "PaymentTypes" else "accounting"
    body = envelope("http://www.w3.org/2003/05/soap-envelope", inside)
    return f"POST /api/1/{page}.asmx", {"content-type": "application/soap+xml; charset=utf-8"}, body


#: The request line but for its version, the headers beside the usual ones, and the body.
EXPECTED: dict[Binding, list[tuple[str, dict[str, str], str]]] = {
    Binding.GET: [
        (f"GET {MARK}?{MARKED}", {"cache-control": "no-store"}, ""),
        (f"GET {EXPORT}?{EXPORTED}", {}, ""),
        (f"GET {TYPES}?{URL_KEY}", {}, ""),
    ],
    Binding.POST: [
        (f"POST {MARK}", {"content-type": FORM}, MARKED),
        (f"POST {EXPORT}", {"content-type": FORM}, EXPORTED),
        (f"POST {TYPES}", {"content-type": FORM}, URL_KEY),
    ],
    Binding.SOAP11: [
        soap11("MarkBuyerBillAsReceived", SOAP_MARKED),
        soap11("ExportAffiliateBills", SOAP_EXPORTED),
        soap11("PaymentTypes", SOAP_TYPES),
    ],
    Binding.SOAP12: [
        soap12("MarkBuyerBillAsReceived", SOAP_MARKED),
        soap12("ExportAffiliateBills", SOAP_EXPORTED),
        soap12("PaymentTypes", SOAP_TYPES),
    ],
}


@pytest.fixture
def server() -> Iterator[Server]:
    def script(connection: Connection) -> None:
        while connection.request():
            connection.answer(ANSWER, "Content-Type: text/xml; charset=utf-8")

    server = Server(script)
    yield server
    server.close()


def parsed(raw: bytes) -> tuple[str, dict[str, str], str]:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.decode("ascii").split("\r\n")
    named = [each.split(": ", 1) for each in headers]
    assert len({name.lower() for name, _ in named}) == len(named)
    return line, {name.lower(): text for name, text in named}, body.decode()


@pytest.mark.parametrize("binding", Binding)
async def test_these_bytes_go_over_the_wire(
    connect: Connect, server: Server, binding: Binding
) -> None:
    given: dict[str, Any] = {
        "api_key": KEY,
        "binding": binding,
        "user_agent": "tests",
        "domain": server.url,
    }
    async with connect(**given) as cake:
        await cake.buyer_bills.mark_received(
            345,
            payment_amount=Decimal("-1000.50"),
            invoice_number=" +%&",
            date_payment_received=date(2014, 6, 1),
            notes=ERASE,
        )
        await cake.affiliate_bills.export(
            billing_cycle="monthly",
            period=Period.month(2014, 6),
            paid_only=True,
            payment_type_id=ANY,
        ).collect()
        assert await cake.reference.payment_types() == ()
    assert len(server.requests) == 3
    for raw, (line, own, body) in zip(server.requests, EXPECTED[binding], strict=True):
        expected = {
            "host": f"127.0.0.1:{server.port}",
            "user-agent": "tests",
            "accept-encoding": "gzip, deflate",
            **own,
        }
        if body:
            # IIS answers a POST without a length with 411, and none waits for "100 Continue".
            expected["content-length"] = str(len(body.encode()))
        assert parsed(raw) == (f"{line} HTTP/1.1", expected, body)


@pytest.mark.parametrize("binding", Binding)
async def test_a_text_of_any_script_is_utf_8(
    connect: Connect, server: Server, binding: Binding
) -> None:
    async with connect(domain=server.url, binding=binding) as cake:
        await cake.affiliate_bills.mark_received(345, invoiced_amount=1, notes="é日🍰")
    (raw,) = server.requests
    percent = b"notes=%C3%A9%E6%97%A5%F0%9F%8D%B0"
    plain = "<notes>é日🍰</notes>".encode()
    assert (percent if binding in {Binding.GET, Binding.POST} else plain) in raw
