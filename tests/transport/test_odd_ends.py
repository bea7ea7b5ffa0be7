# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Ends that hardly ever come, and what other transports may do."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import anyio
import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from aiocake._messages import Response
from aiocake._transport import clear_tracebacks
from aiocake._transport.api_key import _never
from aiocake._transport.failures import Route, connect_failure_reason
from aiocake.errors import CakeError, DecodeError, NotSent, RateLimited
from aiocake.values import Idempotency

pytestmark = pytest.mark.anyio


class Reluctant(httpx.AsyncByteStream):
    """A body that is whole, and whose closing takes for ever, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.closing = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"ok"

    async def aclose(self) -> None:
        self.closing.set()
        if self._error is not None:
            raise self._error
        await anyio.sleep_forever()


class Once(httpx.AsyncBaseTransport):
    """Gives one body."""

    def __init__(self, stream: httpx.AsyncByteStream | httpx.SyncByteStream) -> None:
        self._stream = stream

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(200, stream=self._stream)


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_an_answer_that_was_there_in_time_counts(lab, idempotency) -> None:
    http = Once(Reluctant())
    async with aclosing(lab.transport("x.example", http)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(idempotency, total=0.05))
        assert transport.stats().in_flight == 0
    assert done.error is None
    assert done.response.body == b"ok"


async def test_cancelled_while_an_answer_is_closed(lab) -> None:
    stream = Reluctant()
    async with aclosing(lab.transport("x.example", Once(stream))) as transport:
        scope = anyio.CancelScope()

        async def call() -> None:
            with scope:
                await transport.exchange(lab.get, lab.fine, lab.plan())

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await stream.closing.wait()
            scope.cancel()
        assert scope.cancelled_caught
        assert transport.stats().in_flight == 0


async def test_an_answer_whose_closing_fails_was_read_all_the_same(lab) -> None:
    http = Once(Reluctant(OSError("cannot close")))
    async with aclosing(lab.transport("x.example", http)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert done.response.body == b"ok"


class Blocking(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"ok"


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_body_that_is_not_asynchronous_is_no_answer(lab, idempotency) -> None:
    async with aclosing(lab.transport("x.example", Once(Blocking()))) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))
    assert isinstance(done.error, DecodeError)
    assert done.sent
    assert done.attempts == (1 if idempotency is Idempotency.NON_IDEMPOTENT else 3)


async def test_a_check_may_know_how_long_to_wait(lab) -> None:
    def check(_: Response) -> CakeError:
        return RateLimited("slow down", status=429, retry_after=61.0)

    async with aclosing(lab.transport(lab.obedient())) as transport:
        done = await transport.exchange(lab.get, check, lab.plan())
    assert done.error.retry_after == 61.0
    assert done.attempts == 1


def test_how_tls_asks_for_the_network_is_no_error() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    refused.__cause__ = ssl.SSLWantReadError()
    outer = OSError()
    outer.__cause__ = ssl.SSLWantWriteError()
    outer.__cause__.__cause__ = refused
    route = Route("x.example", 443, 5.0)
    assert connect_failure_reason(outer, route) == (
        "x.example refused the connection (port 443)",
        False,
    )


def test_what_led_to_an_error_keeps_its_frames() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError
    handled = caught.value
    frames = handled.__traceback__
    inner, outer = ValueError("inner"), NotSent("outer")
    outer.__cause__ = outer.__context__ = inner.__context__ = handled
    group = ExceptionGroup("both", [inner])
    group.__context__ = handled
    for each in (outer, group):
        each.__traceback__ = frames
        clear_tracebacks(each)
        assert (each.__traceback__, each.__cause__, each.__context__) == (None, None, None)
        assert not each.__suppress_context__
    assert (inner.__traceback__, inner.__context__) == (None, None)
    assert handled.__traceback__ is frames


async def test_what_nobody_calls() -> None:
    with pytest.raises(NotImplementedError):
        await _never()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # aiohttp's only
@pytest.mark.parametrize("how", ["lost", "reset", "refused"])
async def test_a_connection_that_aiohttp_has_lost_was_one(lab, how) -> None:
    """httpx-aiohttp makes a ConnectTimeout of all three."""

    def script(connection) -> None:
        connection.request()
        if how == "reset":
            connection.reset()

    server = lab.serve(script)
    if how == "refused":
        server.close()
    async with aclosing(lab.transport(server, AiohttpTransport())) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    sent = how != "refused"
    assert (done.sent, done.attempts, len(server.requests)) == (sent, 1 if sent else 3, int(sent))
    assert isinstance(done.error, DecodeError if sent else NotSent)
