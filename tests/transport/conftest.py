"""A server that misbehaves by script, over real sockets, and a transport to try it on."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import attrs
import pytest

from aiocake._wire import Hole, Request, Response
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    DecodeError,
    NotFound,
    RateLimited,
    Restricted,
    ServerError,
)
from aiocake.transport import AsyncBaseTransport, Plan, Transport, parse_address
from aiocake.values import Effect, Secret

Script = Callable[["Connection"], None]


class Connection:
    """One connection, from the server's side."""

    def __init__(self, server: "Server", raw: socket.socket, number: int) -> None:
        self.server = server
        self.socket = raw
        #: From 0, in the order in which they were accepted.
        self.number = number
        self.requests: list[bytes] = []
        self._unread = b""

    def request(self) -> bytes:
        """Read a whole request, and keep it in the server's record; b"" when there is none."""
        while b"\r\n\r\n" not in self._unread:
            if not self._read():
                return b""
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._unread) < length:
            if not self._read():
                return b""
        whole = head + b"\r\n\r\n" + self._unread[:length]
        self._unread = self._unread[length:]
        self.requests.append(whole)
        self.server.requests.append(whole)
        self.server.arrived.set()
        return whole

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def reset(self) -> None:
        """End the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def until_closed(self) -> None:
        """Read on until the client is gone."""
        while self._read():
            pass

    def _read(self) -> bool:
        data = self.socket.recv(65536)
        self._unread += data
        return bool(data)


class Server:
    """Runs its script in a thread of its own for each connection."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections: list[Connection] = []
        #: Set when a whole request was read.
        self.arrived = threading.Event()
        #: Released for each connection that is accepted.
        self.accepted = threading.Semaphore(0)
        #: For scripts that wait until the test says so.
        self.go_on = threading.Event()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                connection = Connection(self, raw, len(self.connections))
                self.connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()
                self.accepted.release()

    def _serve(self, connection: Connection) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection.socket = self._tls.wrap_socket(connection.socket, server_side=True)
            self._script(connection)
        with suppress(OSError):
            connection.socket.close()

    def join(self, number: int) -> None:
        """Wait until a connection, from 0, has been served and closed."""
        self._threads[number].join(10)
        assert not self._threads[number].is_alive()

    def close(self) -> None:
        self.go_on.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                connection.socket.close()
        for thread in [self._accepting, *self._threads]:
            thread.join(10)
            assert not thread.is_alive()


GET = Request("invoices.page", "GET", "/api/2/invoices.json", "api_key=&row_limit=1", hole_at=8)


class Lab:
    """Servers and transports, and what to send through them."""

    #: The key that each transport has, full of what has to be escaped.
    key = 'canary-K3Y<&">/+%='
    #: A whole answer.
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    #: A read, a request with the key in the query and a body, and one with the key in its body.
    get = GET
    post = attrs.evolve(
        GET, operation="invoices.create", method="POST", body=b'{"memo":"canary note"}'
    )
    form = Request(
        "bills.mark",
        "POST",
        "/api/1/accounting.asmx/Mark",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=b"api_key=&bill_id=1",
        hole=Hole.FORM,
        hole_at=8,
    )

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def serve(self, script: Script, tls: ssl.SSLContext | None = None) -> Server:
        """Start a server that ends with the test."""
        self._servers.append(Server(script, tls))
        return self._servers[-1]

    def obedient(self, tls: ssl.SSLContext | None = None) -> Server:
        """Start a server that answers each request as it should."""

        def script(connection: Connection) -> None:
            while connection.request():
                connection.send(self.ok)

        return self.serve(script, tls)

    def slow(self) -> Server:
        """Start a server that answers only when it is told to, by ``go_on``."""

        def script(connection: Connection) -> None:
            while connection.request():
                connection.server.go_on.wait(20)
                connection.send(self.ok)

        return self.serve(script)

    def transport(
        self, to: Server | str, http: AsyncBaseTransport | None = None, **settings: object
    ) -> Transport:
        """Build a transport that does not wait between attempts, unless ``draw`` says so."""
        given: dict[str, object] = {
            "address": parse_address(to if isinstance(to, str) else to.url),
            "key": Secret(self.key),
            "timeouts": Timeouts(),
            "retry": RetryPolicy(),
            "throttle": Throttle(),
            "http": http,
            "proxy": None,
            "ssl_context": None,
            "user_agent": "aiocake/test",
            "grace": 5.0,
            "on_event": None,
            "draw": lambda: 0.0,
        }
        return Transport(**(given | settings))  # type: ignore[arg-type] # they are what they are

    def plan(self, effect: Effect = Effect.READ, **settings: object) -> Plan:
        """How to make a call: a read within 30 s, unless said otherwise."""
        given: dict[str, object] = {"total": 30.0, "read": 20.0, "attempts": 3}
        return Plan(effect, **(given | settings))  # type: ignore[arg-type] # the same

    @staticmethod
    def fine(_: Response) -> CakeError | None:
        """Take every answer for a success."""
        return None

    @staticmethod
    def check(response: Response) -> CakeError | None:
        """Judge an answer by its status, as a codec may."""
        text, status = response.body.decode(), response.status
        if status == 200:
            return Restricted(text, status=status) if text == "Restricted" else None
        if status in {429, 503}:
            return RateLimited(text, status=status)
        if status >= 500:
            return ServerError(text, status=status)
        if status == 401:
            return AuthenticationError(text, status=status)
        if status == 404:
            return NotFound(text, status=status)
        return DecodeError(text, status=status)

    def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Everything for an experiment, and the end of it."""
    lab = Lab()
    yield lab
    lab.close()
