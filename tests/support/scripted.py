"""A server that misbehaves by script, over real sockets.

Each connection has a thread of its own, so the client can run on asyncio or trio. What arrived is
kept: a test reads there what really became of a request.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

Script = Callable[["Connection"], None]

#: How long closing a server waits for each of its threads.
_ENDING = 10


class Connection:
    """One connection, from the server's side."""

    def __init__(self, server: "Server", raw: socket.socket, number: int) -> None:
        self.server = server
        self.socket = raw
        #: From 0, in the order in which they were accepted.
        self.number = number
        self.requests: list[bytes] = []
        self._unread = b""

    def head(self) -> bytes:
        """Read a request up to its body; b"" when there is none."""
        while b"\r\n\r\n" not in self._unread:
            if not self._read():
                return b""
        return self._unread.partition(b"\r\n\r\n")[0]

    def request(self) -> bytes:
        """Read a whole request, and keep it in the server's record; b"" when there is none."""
        head = self.head()
        if not head:
            return b""
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        size = len(head) + 4 + length
        while len(self._unread) < size:
            if not self._read():
                return b""
        whole, self._unread = self._unread[:size], self._unread[size:]
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
    """Runs its script in a thread of its own for each connection.

    Args:
        script: What is done with a connection. It can be replaced: that counts for new ones.
        tls: For a server that speaks TLS.
        listening: Whether it does so at once; until then, connections are refused.
    """

    def __init__(
        self, script: Script, tls: ssl.SSLContext | None = None, *, listening: bool = True
    ) -> None:
        self.script = script
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections: list[Connection] = []
        #: Set when a whole request was read.
        self.arrived = threading.Event()
        #: Released for each connection that is accepted.
        self.accepted = threading.Semaphore(0)
        #: For scripts that wait until the test says so.
        self.go_on = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        if listening:
            self.listen()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Take connections from now on."""
        if self._accepting.ident is None:
            self.listener.listen(128)
            self._accepting.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self.listener.accept()
                connection = Connection(self, raw, len(self.connections))
                self.connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                with self._starting:
                    self._threads.append(thread)
                    thread.start()
                self.accepted.release()

    def _serve(self, connection: Connection) -> None:
        with suppress(OSError):
            if self.tls is not None:
                connection.socket = self.tls.wrap_socket(connection.socket, server_side=True)
            self.script(connection)
        with suppress(OSError):
            connection.socket.close()

    def join(self, number: int) -> None:
        """Wait until a connection, from 0, has been served and closed."""
        with self._starting:  # a thread can be joined once it has started
            thread = self._threads[number]
        thread.join(_ENDING)
        assert not thread.is_alive()

    def close(self) -> None:
        self.go_on.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                connection.socket.close()
        for thread in [self._accepting, *self._threads]:
            if thread.ident is not None:
                thread.join(_ENDING)
                assert not thread.is_alive()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
