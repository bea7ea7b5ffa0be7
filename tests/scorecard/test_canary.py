"""A canary key and a canary note, sent back in every way: nobody comes to see them."""

import base64
import gc
import html
import json
import logging
import pickle
import re
import warnings
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import attrs
import httpx
import httpx2
import pytest
from httpx_aiohttp import AiohttpTransport
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from starlette.responses import Response

from aiocake import Client, otel
from aiocake.client import ClientView
from aiocake.errors import (
    ApiError,
    ArgumentError,
    AuthenticationError,
    CakeError,
    ConsistencyError,
    NotFound,
    OutcomeUnknown,
    TipaltiError,
)
from aiocake.events import OnEvent
from aiocake.models import MarkResult
from aiocake.sandbox import RecordedRequest, Sandbox, serve
from aiocake.values import Binding, Period

from ..support.scripted import Connection
from ._cake import (
    BILL,
    CREATE,
    CREDIT,
    EACH,
    EXPORT,
    FIND,
    GET,
    LOOK_UP,
    MARK,
    UPDATE,
    Call,
    cut,
    each,
    http,
    obedient,
    wrong,
)
from ._canary import AMOUNT, KEY, NOTE, Everything, chain, key_forms, reported, shown
from ._card import Card

if TYPE_CHECKING:
    from aiocake.events import Event

pytestmark = pytest.mark.anyio


def target(request: bytes) -> str:
    return request.split(b" ")[1].decode()


def _lower(text: str) -> str:
    """Percent-encoded, with small letters."""
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))


#: The ways in which a server writes down a text that it was sent.
WAYS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "as it came": target,
    "raw": lambda request: unquote(target(request)),
    "HTML": lambda request: html.escape(unquote(target(request))),
    "encoded twice": lambda request: quote(target(request), safe=""),
    "JSON": lambda request: json.dumps(unquote(target(request)))[1:-1],
    "base64": lambda request: base64.b64encode(unquote(target(request)).encode()).decode(),
    "base64 of the body": lambda request: base64.b64encode(b"<" + request).decode(),
    "the key alone": lambda _: f"key {KEY} is expired",
    "the key, encoded": lambda _: f"key {quote(KEY, safe='')} is expired",
    "the key, lower case": lambda _: f"key {_lower(KEY)} is expired",
    "the key, base64": lambda _: base64.b64encode(KEY.encode()).decode(),
}


def hide_note(text: str) -> str:
    """A server repeats what it cannot take: the key; what it is called with is another row."""
    return text.replace(NOTE, "…").replace(AMOUNT, "…")


def in_json(text: str) -> bytes:
    return json.dumps({"request_status": "Failure", "message": text}).encode()


def in_fault(text: str) -> bytes:
    return (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        "<soap:Fault><faultcode>soap:Client</faultcode>"
        f"<faultstring>{html.escape(text)}</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    ).encode()


PLACES: Final[Mapping[str, Callable[[str], bytes]]] = {
    "message": lambda text: http(in_json(text)),
    "fault": lambda text: http(in_fault(text), status="500 No"),
    "error page": lambda text: http(f"<html>{text}</html>".encode(), status="500 No"),
    "page in a 200": lambda text: http(f"<html>{text}</html>".encode()),
    "refusal": lambda text: http(text.encode(), status="400 Bad"),
    "redirect": lambda text: http(b"", f"Location: https://other.example{text}", status="302 X"),
    "headers": lambda text: http(in_json("no"), f"X-Url: {text}", f"X-{text[-2:]}: y"),
    "reason": lambda text: http(b"", status=f"500 {text}"),
    "no HTTP": lambda text: text.encode() + b"\r\n\r\n",
    "a broken header": lambda text: f"HTTP/1.1 200 OK\r\nX {text}\r\n\r\n".encode(),
    "broken JSON": lambda text: http(b'{"request_status":"Success","x":"' + text.encode() + b'",]'),
    "a truncated body": lambda text: http(in_json(text) * 2)[:-9],
    "a bad amount": lambda text: http(
        json.dumps(
            {
                "request_status": "Success",
                "invoices": [{"invoice_id": 4821, "invoice_status": "x", "total_amount": text}],
                "invoice": {"invoice_id": text, "affiliate_id": text},
            }
        ).encode()
    ),
    "a bad key": lambda text: http(
        json.dumps(
            {"request_status": "Success", "invoices": [{text: 1}], "invoice": {text: 1}}
        ).encode()
    ),
    "broken XML": lambda text: http(b"<r><success>true</success><" + text.encode() + b"></r>"),
}


@pytest.mark.case("K06")
@each(GET, UPDATE, MARK, CREDIT, EXPORT, LOOK_UP)
@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("show_sensitive", [False, True], ids=["payloads hidden", "payloads shown"])
async def test_what_a_server_repeats(
    card: Card,
    call: Call,
    place: str,
    show_sensitive: bool,  # noqa: FBT001 - by pytest
) -> None:
    card.everything.show_sensitive = show_sensitive
    # What may be shown, shows more: there all ways are tried.
    for way in WAYS if show_sensitive else ("as it came", "the key alone"):

        def answer(request: bytes, way: str = way) -> bytes:
            text = WAYS[way](request)
            return PLACES[place](text if show_sensitive else hide_note(text))

        met = await card.play(call, cut(answer), show_sensitive=show_sensitive)
        # Where a mark is answered, no more than its success is read.
        assert met.error is not None or isinstance(met.value, MarkResult), way


@pytest.mark.case("K06")
@each(UPDATE, MARK, CREATE)
@pytest.mark.parametrize("place", ["message", "refusal", "redirect", "no HTTP", "headers"])
async def test_a_note_that_a_server_repeats(card: Card, call: Call, place: str) -> None:
    met = await card.play(call, cut(lambda request: PLACES[place](unquote(target(request)))))
    assert met.error is not None


def _other(name: str, make: Callable[[ClientView], Awaitable[object]]) -> Call:
    return attrs.evolve(MARK, name=name, make=make)


#: The other ways in which a key leaves: in a form, in an envelope, and in a request of your own.
DOORS: Final = (
    FIND,
    CREATE,
    _other(
        "form",
        lambda cake: cake.with_options(binding=Binding.POST).affiliate_bills.mark_paid(
            BILL, payment_date=date(2014, 6, 30)
        ),
    ),
    _other(
        "envelope",
        lambda cake: cake.with_options(binding=Binding.SOAP11).advertiser_bills.mark_received(
            BILL, payment_amount=1
        ),
    ),
    _other("own read", lambda cake: cake.request("GET", "/api/2/x.json", repeatable=True)),
    _other(
        "own write",
        lambda cake: cake.request("POST", "/api/2/x.json", json={}, repeatable=False),
    ),
)


@pytest.mark.case("K06")
@pytest.mark.parametrize("door", DOORS, ids=lambda each: each.name)
async def test_what_a_server_repeats_of_a_request_of_any_form(card: Card, door: Call) -> None:
    card.everything.show_sensitive = True
    failed = 0
    for place in PLACES:

        def answer(request: bytes, place: str = place) -> bytes:
            body = request.partition(b"\r\n\r\n")[2].decode()
            # A header holds one line.
            return PLACES[place](" ".join(f"{unquote(target(request))} {body}".split()))

        met = await card.play(door, cut(answer), show_sensitive=True)
        failed += met.error is not None
    assert failed > 10


@pytest.mark.case("K06")
async def test_a_refusal_of_each_kind(everything: Everything) -> None:
    """Of a sandbox: by its rules, by ASP.NET's, by the length of a query, and of the key."""
    sandbox = Sandbox(api_key=KEY)
    bill = next(each for each in sandbox.state.affiliate_bills.values() if each.partner.tipalti)
    refused: list[tuple[type[CakeError], Callable[[ClientView], Awaitable[object]]]] = [
        (NotFound, lambda cake: cake.invoices.get(1)),
        (NotFound, lambda cake: cake.invoices.update(1, memo="x")),
        (
            TipaltiError,
            lambda cake: cake.affiliate_bills.mark_received(bill.bill_id, invoiced_amount=1),
        ),
        (
            ArgumentError,
            lambda cake: cake.affiliate_bills.mark_received(
                BILL, invoiced_amount=1, notes="日" * 250
            ),
        ),
    ]
    with serve(sandbox) as url:
        async with Client(url, KEY) as cake:
            assert await cake.invoices.get(4821)
            for kind, call in refused:
                with pytest.raises(kind) as caught:
                    await call(cake)
                everything.no_key_in(reported(caught.value))
            sandbox.state.api_keys.clear()
            for each in (GET, UPDATE, FIND, MARK, CREDIT):
                with pytest.raises(AuthenticationError) as unknown:
                    await each.make(cake)
                everything.no_key_in(reported(unknown.value))
    everything.look()


@pytest.mark.case("K06")
async def test_data_that_holds_the_key(everything: Everything) -> None:
    sandbox = Sandbox(api_key=KEY)
    message = f"<message>{html.escape(KEY)}</message>".encode()

    def repeat(_: RecordedRequest, response: Response) -> Response:
        body = bytes(response.body).replace(b'"pending"', json.dumps(KEY).encode())
        body = body.replace(b"<row_count>", message + b"<row_count>")
        return Response(body, media_type=response.headers["content-type"])

    sandbox.state.on_response.append(repeat)
    with serve(sandbox) as url:
        async with Client(url, KEY) as cake:
            with pytest.raises(ConsistencyError) as caught:
                await cake.invoices.find(invoice_status="pending").collect()
            everything.no_key_in(reported(caught.value))
            async with cake.affiliate_bills.export(period=Period.month(2014, 6)) as bills:
                assert bills.message != ""
                everything.no_key_in(bills.message)


@pytest.mark.case("K06")
async def test_a_success_that_repeats_the_key(card: Card) -> None:
    def answer(request: bytes) -> bytes:
        text = html.escape(target(request) + " " + KEY)
        body = f"<r><success>true</success><message>Bill Marked: {text}</message></r>"
        return http(hide_note(body).encode())

    met = await card.play(MARK, wrong(answer))
    assert isinstance(met.value, MarkResult)
    assert "<key>" in met.value.message


@pytest.mark.case("K06")
@EACH
async def test_payloads_are_shown_where_they_are_wanted(card: Card, call: Call) -> None:
    card.everything.show_sensitive = True

    def script(connection: Connection) -> None:
        if connection.server.go_on.is_set():
            obedient(connection)
        connection.request()

    met = await card.play(call, script, show_sensitive=True)
    assert met.error is not None
    if isinstance(met.error, OutcomeUnknown):
        assert NOTE in repr(met.error.intent)
        assert NOTE in str(pickle.loads(pickle.dumps(met.error)).intent.arguments)  # noqa: S301 - our own


@pytest.mark.case("K06")
async def test_a_client_that_is_not_closed_warns_without_its_key(card: Card) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Client("x.example", KEY)
        gc.collect()
    (warning,) = (each for each in caught if each.category is ResourceWarning)
    card.everything.no_key_in(str(warning.message) + repr(warning) + repr(warning.source))


@pytest.mark.case("K06")
async def test_what_is_shown_of_all_that_is_public(card: Card) -> None:
    server = card.serve(obedient)
    events: list[Event] = []
    async with card.client(server, on_event=events.append) as cake:
        view = cake.with_options(total=5, binding=Binding.SOAP11)
        things: list[object] = [cake, view, cake.stats(), cake.invoices, cake.affiliate_bills]
        for binding in Binding:
            bound = cake.with_options(binding=binding)
            things.append(
                await bound.affiliate_bills.mark_received(BILL, invoiced_amount=Decimal(1))
                if binding in {Binding.GET, Binding.POST}
                else bound
            )
        pager = cake.invoices.find(affiliate_id=67890)
        things += [pager, await pager.collect()]
        things += [await cake.invoices.page(affiliate_id=67890)]
        things += [await cake.reference.payment_types()]
        answer = await cake.request("GET", "/api/2/invoices.json", repeatable=True)
        things += [answer, answer.headers, *events]
        seen = "\n".join(repr(thing) + str(thing) for thing in things)
        for thing in (cake, view):
            seen += repr(vars(thing))
            with pytest.raises(TypeError):
                pickle.dumps(thing)
    card.everything.no_key_in(seen)
    await card.all_is_given_back(cake, None)


@pytest.mark.case("K06")
async def test_the_tools_see_a_key_where_there_is_one(everything: Everything) -> None:
    for form in key_forms():
        with pytest.raises(AssertionError, match="the key is in"):
            everything.no_key_in(f"before {form} behind")
    for note in (NOTE, AMOUNT):
        with pytest.raises(AssertionError, match="the payload is in"):
            everything.no_payload_in(f"before {note} behind")
    hidden = CakeError("x")
    hidden.__context__ = ExceptionGroup("y", [ValueError(KEY)])
    assert len(list(chain(hidden))) == 3
    with pytest.raises(AssertionError):
        everything.no_key_in(reported(hidden))
    refused = ApiError(NOTE, status=400)
    with pytest.raises(AssertionError):
        everything.no_payload_in(shown(refused))
    logging.getLogger("some.library").debug("a request to %s", f"/?api_key={quote(KEY, safe='')}")
    with pytest.raises(AssertionError, match="the key is in"):
        everything.look()
    everything.logged.clear()


@pytest.mark.case("K06")
async def test_spans_of_another_transport_are_seen_and_our_own_has_none(
    everything: Everything, card: Card
) -> None:
    server = card.serve(obedient)
    async with card.client(server) as cake:
        await card.works(cake)
    assert everything.spans() == []
    async with httpx.AsyncClient() as other:
        await other.get(f"{server.url}/api/2/invoices.json?api_key={quote(KEY, safe='')}")
    (span,) = everything.spans()
    with pytest.raises(AssertionError, match="the key is in"):
        everything.no_key_in(span)
    everything.forget_spans()
    everything.logged.clear()  # that client logs the whole address, too
    await card.all_is_given_back(cake, None)


class InstrumentedHttpx2(httpx2.AsyncHTTPTransport):
    """A transport of httpx2 as its instrumentation would make it: there is none yet."""

    everything: Everything

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if is_http_instrumentation_enabled():
            tracer = self.everything.provider.get_tracer("httpx2")
            tracer.start_span("GET", attributes={"url.full": str(request.url)}).end()
        return await super().handle_async_request(request)


async def _spans_over(
    transport: httpx.AsyncBaseTransport | httpx2.AsyncBaseTransport,
    everything: Everything,
    url: str,
    on_event: OnEvent | None,
) -> list[str]:
    """Return the spans of a read, a write and an export over a transport."""
    async with Client(url, KEY, transport=transport, on_event=on_event) as cake:
        await cake.invoices.get(4821)
        await cake.invoices.update(4821, invoice_status="approved")
        await cake.affiliate_bills.export(period=Period.month(2014, 6)).collect()
        # Where no attempt is under way, other HTTP is recorded as ever.
        assert is_http_instrumentation_enabled()
    spans = everything.spans()
    everything.forget_spans()
    return spans


@pytest.mark.case("K06")
@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp"])
async def test_instrumentation_of_another_transport_is_suppressed(
    everything: Everything, monkeypatch: pytest.MonkeyPatch, library: str, anyio_backend: str
) -> None:
    if library == "aiohttp" and anyio_backend != "asyncio":
        library = "httpx"  # aiohttp knows no other
    monkeypatch.setattr(InstrumentedHttpx2, "everything", everything, raising=False)
    transport = {
        "httpx": httpx.AsyncHTTPTransport,
        "httpx2": InstrumentedHttpx2,
        "aiohttp": AiohttpTransport,
    }[library]
    listener = otel.listener(tracer_provider=everything.provider)
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=everything.provider, skip_dep_check=True)
    try:
        with serve(Sandbox(api_key=KEY)) as url:
            seen = await _spans_over(transport(), everything, url, None)
            with pytest.raises(AssertionError, match="the key is in"):
                everything.no_key_in("".join(seen))
            ours = await _spans_over(transport(), everything, url, listener)
    finally:
        instrumentor.uninstrument()
    everything.no_key_in("".join(ours))
    assert len(seen) == 3
    assert len(ours) == 6
    assert all('"aiocake' in span or "url.template" in span for span in ours)
    everything.logged.clear()  # the requests without a listener, at DEBUG
