"""The sandbox on a socket of its own, for as long as it is needed."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aiocake.sandbox.app import Sandbox
from aiocake.sandbox.faults import CLOSE


@contextmanager
def serve(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve a sandbox from a thread, until the block is left.

    There is no access log: the query of a call holds the key.

    Args:
        sandbox: The sandbox.
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Yields:
        The URL, as in ``http://127.0.0.1:54321``.

    Raises:
        OSError: The address cannot be listened on.
    """
    listener = listen(host, port)
    server = uvicorn.Server(server_config(sandbox))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="cake-sandbox", daemon=True
    )
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, with the extension by which faults close a connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CLOSE: {"close": self.transport.close}}


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address of IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio sets this only where the protocol is named; create_server names none. Without it
    # each response waits 40 ms for an acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def server_config(sandbox: Sandbox) -> uvicorn.Config:
    """Return the settings of uvicorn: no log, and a quick end."""
    return uvicorn.Config(
        sandbox.app,
        log_level="warning",
        access_log=False,
        log_config=None,
        http=_Protocol,
        lifespan="off",
        ws="none",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
