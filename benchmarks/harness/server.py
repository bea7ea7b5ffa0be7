"""A server that answers with canned bytes, much faster than any client asks: a process of its own.

::

    python -m benchmarks.harness.server --invoices 100 --bills 1

It prints its port. ``--tls CERT`` makes it speak TLS, ``--latency`` wait before each answer. It
reads just as much of a request as it takes to answer it, and checks nothing.
"""

import argparse
import asyncio
import re
import ssl
import sys
from functools import cache

from benchmarks.harness import answers

_HEAD = (
    b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Type: %b; charset=utf-8\r\n"
    b"Server: Microsoft-IIS/10.0\r\nDate: Mon, 05 Jan 2026 10:00:00 GMT\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NUMBER = {name: re.compile(rb"[?&]%b=(\d+)" % name) for name in (b"start_at_row", b"row_limit")}
_PIECE = 1 << 17


class Canned(asyncio.Protocol):
    """One connection."""

    def __init__(self, invoices: int, bills: int, latency: float) -> None:
        self._invoices = invoices
        self._bills = bills
        self._latency = latency
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._export: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop an export that nobody reads."""
        del exc
        if self._export is not None:
            self._export.cancel()

    def pause_writing(self) -> None:
        """Wait with the next piece of an export."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on with it."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            found = None if head.startswith(b"GET") else _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head.partition(b"\r\n")[0])

    def _answer(self, line: bytes) -> None:
        if b"/api/1/" in line:
            self._export = asyncio.ensure_future(self._send_export())
            return
        answer = _updated() if b"update_invoice" in line else self._page(line)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _page(self, line: bytes) -> bytes:
        found = [_NUMBER[name].search(line) for name in (b"start_at_row", b"row_limit")]
        start, limit = (int(each[1]) if each else None for each in found)
        return _page(start or 0, limit or answers.ROWS, self._invoices)

    async def _send_export(self) -> None:
        pieces = _export(self._bills)
        self._transport.write(_HEAD % (b"text/xml", sum(map(len, pieces))))
        for piece in pieces:
            await self._writable.wait()
            self._transport.write(piece)


@cache
def _updated() -> bytes:
    return _json(answers.UPDATED)


@cache
def _page(start: int, limit: int, total: int) -> bytes:
    return _json(answers.page(start, limit, total))


@cache
def _export(rows: int) -> list[bytes]:
    whole = b"".join(answers.bills(rows))
    return [whole[at : at + _PIECE] for at in range(0, len(whole), _PIECE)]


def _json(body: bytes) -> bytes:
    return _HEAD % (b"application/json", len(body)) + body


async def serve(options: argparse.Namespace) -> None:
    """Serve until the process is ended, or whoever started it is gone."""
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Canned(options.invoices, options.bills, options.latency),
        "127.0.0.1",
        0,
        ssl=context,
        backlog=4096,
    )
    _export(options.bills)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve, on uvloop where there is one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--invoices", type=int, default=answers.ROWS)
    parser.add_argument("--bills", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--tls", default="")
    options = parser.parse_args()
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
