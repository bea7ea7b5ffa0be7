# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""The key is in no log, no exception, no frame and no pickle, whatever goes wrong."""

import asyncio
import base64
import gc
import pickle
import socket
import ssl
import traceback
import urllib.parse
from collections.abc import Iterator
from contextlib import aclosing
from types import FunctionType, ModuleType

import anyio
import anyio.to_thread
import attrs
import httpx
import httpx2
import pytest

from aiocake._messages import Request
from aiocake._pipeline.call_state import CallLimits
from aiocake._transport.api_key import AuthorizedRequest
from aiocake.config import Timeouts
from aiocake.errors import NotSent
from aiocake.values import Idempotency, Secret

from .exchange import CallResult, Exchanges

pytestmark = pytest.mark.anyio

KEY = "canary0123456789CANARY"
TRACES = [KEY, KEY[::-1], base64.b64encode(KEY.encode()).decode()[4:20], urllib.parse.quote(KEY)]


def chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from chain(error.__cause__, seen)
    yield from chain(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from chain(each, seen)


def shown(error: BaseException | None) -> str:
    """All that a tool which reports errors may find: texts, fields, and the locals of frames."""
    texts: list[str] = []
    for each in chain(error, set()):
        texts += [str(each), repr(each), repr(vars(each))]
        reported = traceback.TracebackException.from_exception(each, capture_locals=True)
        texts += reported.format()
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if frame.f_code.co_filename != __file__:
                texts += map(repr, frame.f_locals.values())
    return "\n".join(texts)


def assert_silent(text: str) -> None:
    for trace in TRACES:
        assert trace not in text


@pytest.fixture(autouse=True)
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log everything, and look through it in the end."""
    caplog.set_level(1)
    yield
    for record in caplog.get_records("call"):
        assert_silent(record.getMessage() + repr(record.args) + repr(record.msg))


def assert_exchange_is_silent(done: CallResult) -> None:
    assert_silent(repr(done) + shown(done.error))
    assert KEY.encode() not in pickle.dumps(done.error)


async def test_our_own_marks_are_found(lab) -> None:
    """The tools of this test see a key where there is one."""
    server = lab.obedient()
    async with aclosing(lab.transport(server, key=Secret(KEY))) as transport:
        await transport.exchange(lab.get, lab.fine, lab.plan())
    assert KEY.encode() in server.requests[0]

    def fail(hidden: str) -> None:
        raise ValueError(hidden[:3])

    with pytest.raises(ValueError, match="can") as caught:
        fail(KEY)
    reported = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY in "".join(reported.format())


def reset(connection) -> None:
    connection.request()
    connection.reset()


def echo(connection) -> None:
    while request := connection.request():
        target = request.split(b" ")[1].decode()
        connection.answer(
            request, f"Location: https://other.example{target}", f"X-Url: {target}", status="302 Go"
        )


def echo_as_http(connection) -> None:
    request = connection.request()
    connection.send(b"HTTP/1.1 200 " + request + b"\r\n\r\n")


def echo_in_header(connection) -> None:
    request = connection.request()
    connection.send(b"HTTP/1.1 200 OK\r\nX " + request.split(b" ")[1] + b"\r\n\r\n")


@pytest.mark.parametrize("script", [reset, echo, echo_as_http, echo_in_header])
@pytest.mark.parametrize("idempotency", Idempotency)
async def test_no_failure_shows_it(lab, script, idempotency) -> None:
    server = lab.serve(script)
    async with aclosing(lab.transport(server, key=Secret(KEY))) as transport:
        for request in (lab.get, lab.form):
            done = await transport.exchange(request, lab.fine, lab.plan(idempotency))
            if done.response is None:
                assert_exchange_is_silent(done)
            else:
                assert_silent(repr(done.response.headers))
        assert_silent(repr(transport) + repr(vars(transport)) + repr(transport.stats()))
    assert any(KEY.encode() in request for request in server.requests)


async def test_no_refused_connection_shows_it(lab) -> None:
    server = lab.obedient()
    server.close()
    timeouts = Timeouts(connect=0.2)
    for address in (server.url, "no-such-host.invalid"):
        async with aclosing(
            lab.transport(address, key=Secret(KEY), timeouts=timeouts)
        ) as transport:
            assert_exchange_is_silent(await transport.exchange(lab.get, lab.fine, lab.plan()))


async def test_no_illegal_request_shows_it(lab) -> None:
    async with aclosing(lab.transport(lab.obedient(), key=Secret(KEY))) as transport:
        for request in (lab.get, lab.form):
            bad = attrs.evolve(request, method="GE T")
            done = await transport.exchange(bad, lab.fine, lab.plan(attempts=1))
            assert not done.sent
            assert_exchange_is_silent(done)


async def cancelled(
    scope: anyio.CancelScope,
    found: list[str],
    transport: Exchanges,
    request: Request,
    plan: CallLimits,
) -> None:
    """Find out what an exchange shows when it is cancelled."""
    with scope:
        try:
            await transport.exchange(request, lambda _: None, plan)
        except anyio.get_cancelled_exc_class() as error:
            found.append(shown(error))
            raise


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("where", ["connecting", "writing", "reading"])
async def test_no_cancellation_shows_it(lab, where, idempotency) -> None:
    def script(connection) -> None:
        if where == "reading":
            connection.request()
        connection.server.go_on.wait(20)

    server = lab.serve(script)
    # More than the buffers between the two take, so that the client waits within its write.
    body = lab.form.body + bytes(20_000_000) if where == "writing" else lab.form.body
    requests = [attrs.evolve(lab.form, body=body)]
    if where != "writing":
        requests.append(lab.get)
    settings = {"grace": 0.0, "key": Secret(KEY), "ssl_context": ssl.create_default_context()}
    # "connecting" is within the TLS handshake.
    address = server.url.replace("http:", "https:") if where == "connecting" else server
    for request in requests:
        server.arrived.clear()
        async with aclosing(lab.transport(address, **settings)) as transport:
            async with anyio.create_task_group() as group:
                scope, found = anyio.CancelScope(), []
                group.start_soon(cancelled, scope, found, transport, request, lab.plan(idempotency))
                if where == "reading":
                    assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
                else:
                    await anyio.to_thread.run_sync(server.accepted.acquire)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
            (text,) = found
            assert "exchange" in text
            assert_silent(text)


async def test_no_deadline_shows_it(lab) -> None:
    async with aclosing(lab.transport(lab.slow(), key=Secret(KEY))) as transport:
        for idempotency in Idempotency:
            done = await transport.exchange(lab.get, lab.fine, lab.plan(idempotency, total=0.1))
            assert_exchange_is_silent(done)


async def test_no_other_transport_shows_it(lab) -> None:
    """Another engine is given the key in the URL, and may put that into its exceptions."""

    async def answer(request: httpx.Request) -> httpx.Response:
        cause = ValueError(str(request.url))
        raise httpx.ReadError(f"reset at {request.url}", request=request) from cause

    async with aclosing(
        lab.transport("x.cake.com", httpx.MockTransport(answer), key=Secret(KEY))
    ) as transport:
        for idempotency in Idempotency:
            done = await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))
            assert_exchange_is_silent(done)


# An exporter of a server may write the URL back in a header, and httpcore logs headers at DEBUG.
@pytest.mark.parametrize("package", [httpx, httpx2])
async def test_no_log_of_another_transport_shows_it(lab, package, caplog) -> None:
    server = lab.serve(echo)
    transport = lab.transport(server, package.AsyncHTTPTransport(), key=Secret(KEY))
    async with aclosing(transport):
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
        assert done.response is not None
        assert_silent(repr(done.response.headers))
    core = "httpcore" if package is httpx else "httpcore2"
    assert any(record.name == f"{core}.http11" for record in caplog.records)


async def test_no_repr_of_a_connection_shows_it(lab) -> None:
    """Those who debug print what an event loop holds: callbacks, handles, tasks."""
    server = lab.slow()
    async with (
        aclosing(lab.transport(server, key=Secret(KEY))) as transport,
        anyio.create_task_group() as group,
    ):
        group.start_soon(transport.exchange, lab.get, lab.fine, lab.plan())
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        sender = transport.transport.sender
        (connection,) = [each for each in sender._connections if each is not None]
        texts = [repr(connection), repr(sender), repr(vars(sender))]
        kinds = type(connection).__mro__[:2]
        texts += [repr(getattr(connection, name)) for kind in kinds for name in kind.__slots__]
        assert_silent("\n".join(texts))
        # And nothing that can be reached from it holds the request: that has left.
        assert KEY.encode() in server.requests[0]
        assert not any(
            isinstance(each, bytes | bytearray | str) and shows(each)
            for each in reachable(connection)
        )
        server.go_on.set()


def shows(text: bytes | bytearray | str) -> bool:
    return KEY.encode() in (text.encode() if isinstance(text, str) else bytes(text))


def reachable(start: object) -> list[object]:
    """All that an object holds: not what holds it, nor modules and classes."""
    seen: dict[int, object] = {}
    pending = [start]
    while pending:
        each = pending.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        if isinstance(each, asyncio.AbstractEventLoop | asyncio.Future):
            continue  # by which all tasks are reached, and so whoever called
        seen[id(each)] = each
        if isinstance(each, memoryview):
            pending.append(each.obj)
        pending += gc.get_referents(each)
    return list(seen.values())


async def test_a_connection_that_failed_keeps_no_request(lab) -> None:
    """The frames of its error would, until the collector of garbage comes by."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with aclosing(
            lab.transport(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        ) as transport:
            gc.collect()
            gc.disable()
            try:
                done = await transport.exchange(lab.get, lab.fine, lab.plan())
                kept = [each for each in gc.get_objects() if isinstance(each, AuthorizedRequest)]
            finally:
                gc.enable()
    assert isinstance(done.error, NotSent)
    assert kept == []
