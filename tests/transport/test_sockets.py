"""Connections on asyncio: they give way to other tasks where they must, and nowhere else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from httpcore2 import AsyncNetworkStream
from httpcore2._backends.anyio import AnyIOBackend, AnyIOStream

from aiocake._transport.sockets import SocketBackend

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

FLOOD = 200
SOON = 20


@asynccontextmanager
async def connected(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[AsyncNetworkStream]:
    """A connection to a server that has its end of it closed once ``serve`` has ended."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        stream = await SocketBackend(AnyIOBackend(), AnyIOStream).connect_tcp(host, port)
        try:
            yield stream
        finally:
            await stream.aclose()


async def test_bytes_that_keep_coming_leave_other_tasks_their_turn() -> None:
    turns = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * FLOOD)
        await writer.drain()

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with connected(flood) as stream, anyio.create_task_group() as group:
        group.start_soon(other)
        assert await stream.read(1, timeout=SOON) == b"x"
        for _ in range(FLOOD - 1):
            before = turns
            assert await stream.read(1, timeout=SOON) == b"x"
            assert turns > before
        assert await stream.read(1, timeout=SOON) == b""
        group.cancel_scope.cancel()


async def test_a_request_leaves_before_anything_else_gets_its_turn() -> None:
    others: list[str] = []
    async with connected(lambda reader, _: reader.read()) as stream:
        asyncio.get_running_loop().call_soon(others.append, "another task")
        await stream.write(b"GET / HTTP/1.1", timeout=SOON)
        assert others == []


async def test_nothing_is_sent_once_it_is_cancelled() -> None:
    came: list[bytes] = []
    ended = anyio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        came.append(await reader.read())
        ended.set()

    async with connected(listen) as stream:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.write(b"GET / HTTP/1.1", timeout=SOON)
        assert scope.cancelled_caught
        await stream.aclose()
        with anyio.fail_after(SOON):
            await ended.wait()
    assert came == [b""]
