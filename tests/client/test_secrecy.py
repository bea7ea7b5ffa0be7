"""Whatever fails, over real sockets: the key is in no log, error, pickle or local of a frame.

What is looked at is what a host of the client may keep of a failure: logs of all loggers from DEBUG
on, and of each error, its causes, contexts and groups, the text, the fields, the pickle and the
traceback with the locals of all frames.
"""

import base64
import json
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from urllib.parse import quote
from xml.sax.saxutils import escape

import anyio
import anyio.to_thread
import pytest
from starlette.responses import PlainTextResponse, Response

from aiocake import (
    ArgumentError,
    AuthenticationError,
    Binding,
    CakeError,
    Client,
    ConsistencyError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Period,
    RequestRejected,
    TipaltiError,
)
from aiocake.sandbox import RecordedRequest, Sandbox, serve

from ..support.clients import NO_BACKOFF
from ..support.scripted import Connection, Server

pytestmark = pytest.mark.anyio

KEY = "canary&0123456789<CANARY>"
#: What gives it away: the longest of its parts that nothing escapes, and its forms.
TRACES = [
    "01234567",
    quote(KEY, safe="")[:12],
    "canary&amp;0",
    base64.b64encode(KEY.encode()).decode()[:12],
]

#: No wait between attempts is worth a test's time.
JUNE = Period.month(2014, 6)
JANUARY = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}

CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "get": lambda cake: cake.invoices.get(4821),
    "find": lambda cake: cake.invoices.find(invoice_status="pending").collect(),
    "create": lambda cake: cake.invoices.create(affiliate_id=67890, **JANUARY),
    "update": lambda cake: cake.invoices.update(4821, memo="x"),
    "look-up": lambda cake: cake.reference.currencies(),
    "v1 look-up": lambda cake: cake.reference.payment_types(),
    "mark by GET": lambda cake: cake.affiliate_bills.mark_received(345, invoiced_amount=1),
    "mark by form": lambda cake: cake.with_options(binding=Binding.POST).affiliate_bills.mark_paid(
        345, payment_date=date(2014, 6, 30)
    ),
    "mark by SOAP": lambda cake: cake.with_options(
        binding=Binding.SOAP11
    ).advertiser_bills.mark_received(345, payment_amount=1),
    "credit": lambda cake: cake.buyer_bills.mark_received(
        5, payment_amount=1, apply_credit_to_buyer=True
    ),
    "export": lambda cake: cake.affiliate_bills.export(period=JUNE).collect(),
    "raw read": lambda cake: cake.request("GET", "/api/2/x.json", repeatable=True),
    "raw write": lambda cake: cake.request("POST", "/api/2/x.json", json={}, repeatable=False),
}


def together(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """An error, and all that it brings along."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    inner = [error.__cause__, error.__context__]
    inner += [error.cause] if isinstance(error, OutcomeUnknown) else []
    inner += error.exceptions if isinstance(error, BaseExceptionGroup) else []
    for each in inner:
        yield from together(each, seen)


def shown(error: BaseException) -> str:
    """Everything that may be kept of an error."""
    texts: list[str] = []
    for each in together(error, set()):
        texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        reported = traceback.TracebackException.from_exception(each, capture_locals=True)
        texts += reported.format()
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if frame.f_code.co_filename != __file__:
                texts += map(repr, frame.f_locals.values())
        if isinstance(each, CakeError):
            texts.append(pickle.dumps(each).decode("latin-1"))
    return "\n".join(texts)


def assert_silent(text: str) -> None:
    for trace in TRACES:
        assert trace not in text


@pytest.fixture(autouse=True)
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log everything, and look through it in the end."""
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.get_records("call"):
        assert_silent(f"{record.msg!r} {record.args!r} {record.getMessage()} {record.exc_text}")
    assert_silent(caplog.text)


@contextmanager
def scripted(script: Callable[[Connection], None]) -> Iterator[Server]:
    server = Server(script)
    try:
        yield server
    finally:
        server.close()


async def fail(url: str, name: str, **settings: object) -> CakeError | None:
    """The error of a call; some of them cannot fail in each of the ways."""
    async with Client(url, KEY, retry=NO_BACKOFF, **settings) as cake:  # type: ignore[arg-type] # they are
        assert_silent(f"{cake!r} {vars(cake)!r} {cake.stats()!r} {cake.invoices!r}")
        try:
            await CALLS[name](cake)
        except CakeError as error:
            return error
    return None


def reset(connection: Connection) -> None:
    connection.request()
    connection.reset()


def echo(connection: Connection, status: str, form: str) -> None:
    while request := connection.request():
        head, _, body = request.partition(b"\r\n\r\n")
        text = (head.split(b" ")[1] + b" " + body).decode()
        target = text.partition(" ")[0]
        connection.answer(
            form.replace("{}", text).encode(),
            f"Location: https://other.example{target}",
            f"X-Echo: {target}",
            status=status,
        )


ECHOES = [
    "{}",
    "<!doctype html><html>{}</html>",
    '{"request_status": "Success", "url": "{}", "invoices": [{"invoice_id": 1}], "total_rows": 1}',
    '{"request_status": "Success", "url": "{}", "invoice": {"invoice_id": 1}}',
    '{"success": false, "message": "no: {}"}',
    '{"success": false, "{}": "{}", "{}": 1}',
    '{"request_status": "{}"}',
    '{"torn": "{}',
    "<r><success>true</success><url>x</url><a>{}</r>",
    "<r><success>false</success><message>no: <![CDATA[{}]]></message></r>",
    "<r><success>true</success><bill_id>346</bill_id><message><![CDATA[{}]]></message></r>",
]
OTHERS = ["302 Found", "400 Bad Request", "404 Not Found", "500 Oops"]
ANSWERS = [("200 OK", form) for form in ECHOES]
ANSWERS += [(status, form) for status in OTHERS for form in (ECHOES[0], ECHOES[4], ECHOES[9])]


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_repeats_what_it_was_sent(name: str) -> None:
    failed = 0
    for answer in ANSWERS:
        with scripted(lambda connection, answer=answer: echo(connection, *answer)) as server:  # type: ignore[misc] # bound now
            error = await fail(server.url, name, show_sensitive=True)
        assert server.requests
        if error is not None:
            failed += 1
            assert_silent(shown(error))
    assert failed > 15


@pytest.mark.parametrize("name", CALLS)
async def test_a_connection_that_breaks(name: str) -> None:
    with scripted(reset) as server:
        error = await fail(server.url, name)
        assert error is not None
        assert_silent(shown(error))
        assert any(b"canary" in request for request in server.requests)
    refused = await fail(server.url, name)
    assert isinstance(refused, NotSent)
    assert_silent(shown(refused))


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_never_comes(name: str) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.server.go_on.wait(20)

    with scripted(script) as server:
        async with Client(server.url, KEY, grace=0) as cake:
            with pytest.raises(CakeError) as caught:
                await CALLS[name](cake.with_options(total=0.05))  # type: ignore[arg-type] # a view does
    assert_silent(shown(caught.value))


@pytest.mark.parametrize("name", CALLS)
async def test_a_caller_that_is_cancelled(name: str) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.server.go_on.wait(20)

    found: list[str] = []

    async def call(cake: Client, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await CALLS[name](cake)
            except anyio.get_cancelled_exc_class() as error:
                found.append(shown(error))
                raise

    with scripted(script) as server:
        async with Client(server.url, KEY, grace=0) as cake, anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(call, cake, scope)
            assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
            scope.cancel()
    (text,) = found
    assert "cancelled" in text.lower()
    assert_silent(text)


async def test_a_sandbox_that_says_no() -> None:
    sandbox = Sandbox(api_key=KEY)
    bill = next(each for each in sandbox.state.affiliate_bills.values() if each.partner.tipalti)
    refusals: list[tuple[type[CakeError], Callable[[Client], Awaitable[object]]]] = [
        (NotFound, lambda cake: cake.invoices.get(1)),
        (NotFound, lambda cake: cake.invoices.update(1, memo="x")),
        (
            TipaltiError,
            lambda cake: cake.with_options(binding=Binding.SOAP12).affiliate_bills.mark_received(
                bill.bill_id, invoiced_amount=1
            ),
        ),
        # Taken for an attack, since this key has a "<" in it; what is shown is cut short.
        (RequestRejected, CALLS["mark by GET"]),
        # Too long a query: found when the key is in its place.
        (
            ArgumentError,
            lambda cake: cake.affiliate_bills.mark_received(
                345, invoiced_amount=1, notes="日" * 250
            ),
        ),
    ]
    with serve(sandbox) as url:
        async with Client(url, KEY, retry=NO_BACKOFF) as cake:
            assert await cake.invoices.get(4821)
            for kind, call in refusals:
                with pytest.raises(kind) as caught:
                    await call(cake)
                assert_silent(shown(caught.value))
            sandbox.state.api_keys.clear()
            for name in ("get", "update", "find", "mark by SOAP", "credit"):
                with pytest.raises(AuthenticationError) as refused:
                    await CALLS[name](cake)
                assert_silent(shown(refused.value))


async def test_a_sandbox_that_repeats_the_url() -> None:
    sandbox = Sandbox(api_key=KEY)

    def repeat(request: RecordedRequest) -> Response:
        reported = " ".join(value for _, value in request.query)
        return PlainTextResponse(f"{request.path}?{reported} {request.body.decode()}", 500)

    sandbox.state.on_request.append(repeat)
    with serve(sandbox) as url:
        for name in CALLS:
            error = await fail(url, name, show_sensitive=True)
            assert error is not None
            assert "<key>" in str(error), "the server did repeat it"
            assert_silent(shown(error))


async def test_a_key_is_found_where_there_is_one() -> None:
    """The tools of these tests see it."""

    def lose(hidden: str) -> None:
        raise ValueError(hidden[:3])

    with pytest.raises(ValueError, match="can") as caught:
        lose(KEY)
    assert KEY in shown(caught.value)
    outer = OutcomeUnknown("x", intent=None, cause=CakeError(KEY))  # type: ignore[arg-type] # none
    group = ExceptionGroup("g", [outer])
    assert KEY in shown(group)


#: Without what ASP.NET refuses in a query.
QUERY_KEY = KEY.replace("<", "").replace(">", "")
MESSAGE = f"<message>{escape(QUERY_KEY)}</message>".encode()


async def test_a_server_that_puts_what_it_was_sent_into_its_data() -> None:
    sandbox = Sandbox(api_key=QUERY_KEY)

    def echo(_: RecordedRequest, response: Response) -> Response:
        body = bytes(response.body).replace(b'"pending"', json.dumps(QUERY_KEY).encode())
        body = body.replace(b"<row_count>", MESSAGE + b"<row_count>")
        return Response(body, media_type=response.headers["content-type"])

    sandbox.state.on_response.append(echo)
    with serve(sandbox) as url:
        async with Client(url, QUERY_KEY) as cake:
            with pytest.raises(ConsistencyError) as caught:
                await cake.invoices.find(invoice_status="pending").collect()
            assert_silent(shown(caught.value))
            async with cake.affiliate_bills.export(period=JUNE) as bills:
                assert bills.message != ""
                assert_silent(bills.message)
