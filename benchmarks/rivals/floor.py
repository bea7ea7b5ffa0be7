"""The floor: a protocol of asyncio, httptools and msgspec, and nothing that is not needed."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httptools

from benchmarks.harness.answers import KEY, ROWS
from benchmarks.rivals.typed_msgspec import decode

LACKS = (
    "No time-outs, no errors, no status, no end of a connection; the request is written once. It "
    "shows what nobody gets below with asyncio's own protocols."
)


class Connection(asyncio.Protocol):
    """One connection, which makes one call at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request."""
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._whole

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        """Keep a piece."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Give the body."""
        self._whole.set_result(b"".join(self._pieces))

    def close(self) -> None:
        """Close it."""
        self._transport.close()


@asynccontextmanager
async def pages(
    url: str, at_once: int, tls: ssl.SSLContext | None
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Read a page."""
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    query = f"api_key={KEY}&row_limit={ROWS}"
    head = f"GET /api/2/invoices.json?{query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
    request = head.encode()
    idle = [
        (await loop.create_connection(Connection, address.hostname, address.port, ssl=tls))[1]
        for _ in range(at_once)
    ]
    every = list(idle)

    async def call() -> object:
        connection = idle.pop()
        body = await connection.ask(request)
        idle.append(connection)
        return decode(body).invoices

    try:
        yield call
    finally:
        for connection in every:
            connection.close()
