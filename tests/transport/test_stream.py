# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Answers that are read as they come: begun again until their head was read, and never after."""

import gc
import gzip
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import trio.testing

from aiocake._messages import StreamedResponse
from aiocake.config import Throttle
from aiocake.errors import (
    CakeError,
    ClosedError,
    DeadlineExceeded,
    DecodeError,
    NotSent,
    RateLimited,
    ServerError,
)
from aiocake.events import AttemptEnded

pytestmark = pytest.mark.anyio

ONE = Throttle(concurrency=1)


async def begin(stream: StreamedResponse) -> CakeError | None:
    """Read the first piece, and judge by the status."""
    head = await anext(stream.chunks, b"")
    if stream.status == 429:
        return RateLimited("slow down", status=429)
    return None if stream.status == 200 else ServerError(head.decode(), status=stream.status)


async def at_once(_: StreamedResponse) -> CakeError | None:
    """Judge nothing."""
    return None


async def rest(stream: StreamedResponse) -> bytes:
    return b"".join([piece async for piece in stream.chunks])


async def test_a_stream_comes_piece_by_piece_and_gives_its_slot_back(lab) -> None:
    text = b"0123456789" * 100_000

    def script(connection) -> None:
        while connection.request():
            connection.answer(gzip.compress(text, 0), "Content-Encoding: gzip", "X: y")

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        for _ in range(2):
            opened = await transport.open(lab.get, begin, lab.plan(export=True))
            assert opened.error is None
            assert opened.attempts == 1
            assert opened.stream is not None
            assert opened.stream.headers["x"] == "y"
            assert transport.stats().in_flight == 1
            body = await rest(opened.stream)
            assert len(body) < len(text)  # begin() has taken the head
            assert text.endswith(body)
            assert transport.stats().in_flight == 0
            assert await anext(opened.stream.chunks, None) is None
            await opened.aclose()
            await opened.aclose()
    assert len(server.connections) == 1


async def test_a_stream_that_is_left_half_way_gives_its_slot_back(lab) -> None:
    def script(connection) -> None:
        while connection.request():
            connection.answer(bytes(3_000_000))

    async with aclosing(lab.transport(lab.serve(script))) as transport:
        for _ in range(3):
            opened = await transport.open(lab.get, begin, lab.plan(export=True))
            assert opened.stream is not None
            await anext(opened.stream.chunks)
            await opened.aclose()
            with pytest.raises(ClosedError):
                await anext(opened.stream.chunks)
            assert transport.stats().in_flight == 0
    gc.collect()  # a generator or socket that was not closed would be an error here


async def test_other_calls_go_on_beside_an_export(lab) -> None:
    async with aclosing(lab.transport(lab.obedient(), throttle=ONE)) as transport:
        opened = await transport.open(lab.get, at_once, lab.plan(export=True))
        assert opened.stream is not None
        for _ in range(3):
            done = await transport.exchange(lab.post, lab.fine, lab.plan())
            assert done.error is None
        another = await transport.open(lab.get, at_once, lab.plan(export=True, queue=0.01))
        assert isinstance(another.error, NotSent)
        assert another.stream is None
        await another.aclose()
        assert await rest(opened.stream) == b"ok"


async def test_it_is_begun_again_until_its_head_was_read(lab) -> None:
    def script(connection) -> None:
        connection.request()
        if connection.number == 0:
            connection.answer(b"no", "Connection: close", status="500 Error")
        elif connection.number == 1:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        elif connection.number == 2:
            connection.answer(b"no", "Retry-After: 1", "Connection: close", status="429 Slow")
        else:
            connection.answer(b"good")

    events: list[Any] = []
    server = lab.serve(script)
    async with aclosing(lab.transport(server, on_event=events.append)) as transport:
        opened = await transport.open(lab.get, begin, lab.plan(attempts=4))
        assert opened.stream is not None
        assert opened.attempts == 4
        await opened.aclose()
    ends = [event.error for event in events if isinstance(event, AttemptEnded)]
    assert ends == ["ServerError", "DecodeError", "RateLimited", None]


async def test_the_last_error_is_given(lab) -> None:
    def script(connection) -> None:
        while connection.request():
            connection.answer(b"no", status="500 Error")

    async with aclosing(lab.transport(lab.serve(script))) as transport:
        opened = await transport.open(lab.get, begin, lab.plan())
        assert opened.stream is None
        assert isinstance(opened.error, ServerError)
        assert opened.attempts == 3
        await opened.aclose()
        assert transport.stats().in_flight == 0


async def test_what_breaks_after_the_head_is_an_error_and_not_tried_again(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhead")
        connection.server.go_on.wait(20)

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        opened = await transport.open(lab.get, begin, lab.plan())
        assert opened.stream is not None
        server.go_on.set()
        with pytest.raises(DecodeError, match="before the response was complete"):
            await rest(opened.stream)
        assert transport.stats().in_flight == 0
        with pytest.raises(ClosedError):
            await anext(opened.stream.chunks)
        await opened.aclose()
    assert len(server.requests) == 1


async def test_an_error_that_begin_raises_is_that_of_the_attempt(lab) -> None:
    async def refuse(_: StreamedResponse) -> CakeError | None:
        raise DecodeError("no XML")

    async with aclosing(lab.transport(lab.obedient())) as transport:
        opened = await transport.open(lab.get, refuse, lab.plan())
        assert isinstance(opened.error, DecodeError)
        assert opened.attempts == 1

        async def crash(_: StreamedResponse) -> CakeError | None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await transport.open(lab.get, crash, lab.plan())
        assert transport.stats().in_flight == 0


async def test_closing_the_client_ends_a_read_in_another_task(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhead")
        connection.until_closed()

    transport = lab.transport(lab.serve(script))
    opened = await transport.open(lab.get, begin, lab.plan())
    raised: list[CakeError] = []

    async def read() -> None:
        assert opened.stream is not None
        try:
            await rest(opened.stream)
        except CakeError as error:
            raised.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await transport.aclose()
    assert [type(error) for error in raised] == [ClosedError]
    assert transport.stats().in_flight == 0
    await opened.aclose()
    gc.collect()


async def test_closing_the_client_ends_an_open_that_waits(lab) -> None:
    server = lab.slow()
    transport = lab.transport(server)
    async with anyio.create_task_group() as group:

        async def call() -> None:
            opened = await transport.open(lab.get, begin, lab.plan())
            assert isinstance(opened.error, ClosedError)

        group.start_soon(call)
        assert await anyio.to_thread.run_sync(server.arrived.wait, 20)
        await transport.aclose()


async def test_cancelling_while_it_opens_or_reads_leaves_nothing(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhead" + bytes(500_000))
        connection.until_closed()

    async with aclosing(lab.transport(lab.serve(script))) as transport:
        for ticks in range(30):
            async with anyio.create_task_group() as group:

                async def call() -> None:
                    opened = await transport.open(lab.get, begin, lab.plan(export=True))
                    async with aclosing(opened):
                        assert opened.stream is not None
                        await rest(opened.stream)

                group.start_soon(call)
                for _ in range(ticks):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert transport.stats().in_flight == transport.stats().waiting == 0
    gc.collect()


class Slowly(httpx.AsyncByteStream):
    """A body whose pieces take their time."""

    def __init__(self, pieces: int, seconds: float) -> None:
        self._left = pieces
        self._seconds = seconds

    def __aiter__(self) -> "Slowly":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        await anyio.sleep(self._seconds)
        return b"piece"


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
@pytest.mark.parametrize(("pieces", "enough"), [(9, True), (11, False)])
async def test_only_the_time_of_the_network_counts(lab, pieces, enough, anyio_backend) -> None:
    del anyio_backend
    http = httpx.MockTransport(lambda _: httpx.Response(200, stream=Slowly(pieces, 1.0)))
    async with aclosing(lab.transport("x.cake.com", http)) as transport:
        opened = await transport.open(lab.get, begin, lab.plan(total=10.5))
        assert opened.stream is not None
        got = 1
        try:
            async for _ in opened.stream.chunks:
                got += 1
                await anyio.sleep(100)  # the consumer's own time
        except DeadlineExceeded:
            assert not enough
        else:
            assert enough
        assert got == min(pieces, 10)
        assert transport.stats().in_flight == 0


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
async def test_no_head_in_time(lab, anyio_backend) -> None:
    del anyio_backend

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep(100)
        return httpx.Response(200)

    async with aclosing(lab.transport("x.cake.com", httpx.MockTransport(answer))) as transport:
        start = anyio.current_time()
        opened = await transport.open(lab.get, begin, lab.plan(total=5))
        assert anyio.current_time() - start == pytest.approx(5.0)
        assert isinstance(opened.error, DeadlineExceeded)
        assert opened.attempts == 1
