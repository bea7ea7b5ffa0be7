"""What fuzzing begins with: the sandbox's answers in all dialects, and what is odd but known."""

import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Final

import anyio
import httpx

from aiocake import Binding, CakeError, Client, Period
from aiocake.sandbox import Dialect, Sandbox

__all__ = ["TOKENS", "seeds"]

IMF: Final = b"Mon, 23 Nov 2026 04:21:19 GMT"
ODD: Final = (
    b"",
    b"null",
    b"[]",
    b"\xef\xbb\xbf{}",
    b'{"request_status":"Success","invoices":[],"total_rows":0}',
    b'{"request_status":"Failed","errors":["no",{"message":"not found"}]}',
    b'{"d":"Invalid API key"}',
    b"<r><success>false</success><message>Restricted</message></r>",
    b"<string>Invalid API key</string>",
    b'<?xml version="1.0"?><!DOCTYPE a><a/>',
    b"<r><a>x&#xB;<![CDATA[&#xB;]]><!-- &#xB; --></a></r>",
    b"Missing parameter: notes.",
    b"Cannot convert abc to System.Int32.\r\nParameter name: type ---&gt; no",
    b"<!DOCTYPE html><html><title>A potentially dangerous Request.Form</title></html>",
    b"<Envelope><Body><Fault><faultcode>e:Client</faultcode><faultstring>no</faultstring></Fault>",
    b"<Envelope><Body><Fault><faultcode>a:Client</faultcode></Fault></Body></Envelope>",
    b"<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body><e:Fault><e:Code>%b"
    % b"<e:Value>e:Receiver</e:Value></e:Code></e:Fault></e:Body></e:Envelope>",
)
WAITS: Final = (
    b"120\n\n",
    b"\n1500\n",
    IMF + b"\n\n" + IMF,
    b"Sun, 31 Dec 9999 23:59:59 GMT\n\n" + IMF,
    b"-5\n0\n",
    b"1e400\nnan\n",
)


#: Words that atheris puts in here and there.
TOKENS: Final = (
    *(b'"%b":' % name for name in (b"invoices", b"total_amount", b"total_payout", b"total_rows")),
    *(b'"%b":' % name for name in (b"invoice_id", b"affiliate_id", b"advertiser_id", b"response")),
    *(b'"%b":' % name for name in (b"request_status", b"success", b"message", b"errors", b"d")),
    *(b"null", b"true", b"1e28", b"1E-29", b"-0", b"NaN", b"0.1", b"\\u0061", b"\\ud800"),
    *(b"&#xB;", b"&#11;", b"&#x0;", b"&#xD800;", b"&amp;", b"<![CDATA[", b"]]>", b"<!--", b"-->"),
    *(b"<?x ", b"?>", b"<!DOCTYPE ", b' xsi:nil="true"', b"<success>", b"</success>"),
    *(b"<row_count>", b"<affiliate_bills>", b"<affiliate_bill>", b"<Fault>", b"<faultcode>"),
    *(b"Cannot convert ", b" to a.\r\nParameter name: ", b"Missing parameter: ", b"<title>"),
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"Connection: close"),
    *(b"Transfer-Encoding: chunked", b"5\r\nhello\r\n", b"0\r\n\r\n", b"HTTP/1.1 100\r\n\r\n"),
    *(b" GMT", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"%25", b"&amp;amp;", b"\\\\"),
)


@cache
def answers() -> tuple[bytes, ...]:
    """The bodies of the sandbox's answers to all calls, in all dialects, each once."""
    return tuple(dict.fromkeys(anyio.run(collected)))


async def collected() -> list[bytes]:
    """The bodies, as they come."""
    bodies: list[bytes] = []
    for name, dialect in Dialect.all().items():
        sandbox = Sandbox(invoices=3, bills=3, dialect=dialect)
        sandbox.state.on_response.append(lambda _, answer: bodies.append(bytes(answer.body)))
        transport = httpx.ASGITransport(app=sandbox.app)
        for binding in Binding if name == "default" else (Binding.GET,):
            async with Client(
                "x.example", "SANDBOX-KEY", transport=transport, binding=binding
            ) as cake:
                for call in calls(cake):
                    with suppress(CakeError):
                        await call()
    return bodies


def calls(cake: Client) -> Iterator[Callable[[], Awaitable[object]]]:
    """One call of each operation."""
    month = Period(date(2010, 1, 1), date(2030, 1, 1))
    yield lambda: cake.invoices.page(row_limit=2)
    yield lambda: cake.invoices.create(
        affiliate_id=67890, start_date=month.start, end_date=month.end
    )
    yield lambda: cake.invoices.update(1, invoice_status="paid", paid_at=datetime.now(UTC))
    yield lambda: cake.invoices.update(99, memo="x")
    for name in ("billing_cycles", "payment_methods", "currencies", "payment_types"):
        yield getattr(cake.reference, name)
    for name in ("payment_settings", "account_statuses", "v1_billing_cycles", "v1_currencies"):
        yield getattr(cake.reference, name)
    yield lambda: cake.reference.exchange_rates(start_date=month.start, end_date=month.end)
    for bills in (cake.affiliate_bills, cake.advertiser_bills, cake.buyer_bills):
        yield bills.export(period=month).collect
    yield lambda: cake.affiliate_bills.mark_received(
        345, invoiced_amount=Decimal("20.01"), date_invoice_received=month.start
    )
    yield lambda: cake.affiliate_bills.mark_paid(345, payment_date=month.start)
    yield lambda: cake.advertiser_bills.mark_sent(345, date_sent_invoice=month.start)


def bodies(size: int) -> list[bytes]:
    """The answers behind each of a few heads of so many bytes, which choose an operation."""
    heads = [bytes([number]) * size for number in range(8)] if size else [b""]
    return [heads[number % len(heads)] + body for number, body in enumerate((*ODD, *answers()))]


def compressed() -> list[bytes]:
    """Compressed bodies, whole and cut, behind the encoding's number and the size of a piece."""
    made = [gzip.compress(b"x" * 100), zlib.compress(b"x" * 100), gzip.compress(b"") * 3]
    return [
        bytes((number % 3, 7)) + part for number, one in enumerate(made) for part in (one, one[:-4])
    ]


def responses() -> list[bytes]:
    """Responses behind the eight bytes that say how each is cut and how its connection ends."""
    ok, chunked = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
    made = (
        ok + b"Content-Length: 5\r\n\r\nhello",
        ok + b"Content-Length: 18446744073709551616\r\n\r\n",
        ok + chunked + b'5;a="b"\r\nhello\r\n0\r\nA: b\r\n\r\n',
        ok + chunked + b"000000000000000000001 \r\nx\r\n0\r\n\r\n",
        b"HTTP/1.0 404 No\r\nServer: x\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + b"Connection: close\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n" + ok,
    )
    return [bytes((number, 7, 30, 1, 2, 3, 4, 5)) + one for one in made for number in range(4)]


SEEDS: Final[Mapping[str, Callable[[], list[bytes]]]] = {
    "v2": lambda: bodies(1),
    "page": lambda: bodies(0),
    "asmx": lambda: bodies(1),
    "fault": lambda: bodies(2),
    "export": lambda: bodies(9),
    "references": lambda: bodies(1),
    "wait": lambda: list(WAITS),
    "scrub": lambda: [bytes((number, number)) + b"x?api_key=&y" for number in range(12)],
    "inflate": compressed,
    "response": responses,
}


def seeds(target: str) -> list[bytes]:
    """The inputs that fuzzing a target begins with."""
    return SEEDS[target]()
