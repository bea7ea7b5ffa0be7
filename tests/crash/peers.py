"""The servers of the killed: a sandbox in a process of its own, and what stands before it."""

import random
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urlsplit

#: What may become of a request, and of how many in a hundred.
FAULTS = {
    "lost before": 4,
    "lost after": 6,
    "cut": 6,
    "throttled": 8,
    "failed before": 3,
    "failed after": 3,
}
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After-Ms: 20\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def sandbox() -> Iterator[str]:
    """A sandbox without invoices: its URL."""
    command = [sys.executable, "-m", "aiocake.sandbox", "--invoices", "0", "--bills", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


class Weather(socketserver.ThreadingTCPServer):
    """Passes requests on to a server, and loses, cuts and throttles by dice while it is foul.

    Args:
        behind: The URL of the server.
        seed: What throws the dice.
        faults: What may become of a request, and of how many in a hundred.
        only: What requests begin with that meet faults; the others are passed on.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, behind: str, seed: int, faults: Mapping[str, int] = FAULTS, only: bytes = b""
    ) -> None:
        parts = urlsplit(behind)
        self.behind = (str(parts.hostname), int(parts.port or 0))
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.foul = True
        self.faults, self.only = faults, only
        self.met: Counter[str] = Counter()
        super().__init__(("127.0.0.1", 0), _Passing)

    def fault(self, request: bytes) -> str:
        faults = [*self.faults, "fine"]
        weights = [*self.faults.values(), 100 - sum(self.faults.values())]
        foul = self.foul and request.startswith(self.only)
        fault = self.dice.choices(faults, weights)[0] if foul else "fine"
        self.met[fault] += 1
        return fault

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(socketserver.StreamRequestHandler):
    server: Weather

    def handle(self) -> None:
        try:
            with (
                socket.create_connection(self.server.behind, timeout=30) as behind,
                behind.makefile("rb") as answers,
            ):
                while request := message(self.rfile):
                    if not self._pass_on(request, behind, answers):
                        return
        except OSError:  # the process at one of the ends was killed
            pass

    def _pass_on(self, request: bytes, behind: socket.socket, answers: BinaryIO) -> bool:
        fault = self.server.fault(request)
        if fault in {"throttled", "failed before"}:
            self.wfile.write(THROTTLED if fault == "throttled" else FAILED)
            return True
        if fault == "lost before":
            return self._reset()
        behind.sendall(request)
        answer = message(answers)
        if fault == "lost after":
            return self._reset()
        if fault == "cut":
            self.wfile.write(answer[: self.server.dice.randrange(1, len(answer))])
            return False
        self.wfile.write(FAILED if fault == "failed after" else answer)
        return True

    def _reset(self) -> bool:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def message(stream: BinaryIO) -> bytes:
    """One message of HTTP; nothing when the connection has ended."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return head + stream.read(int(length[1]) if length else 0)


@contextmanager
def weather(
    behind: str, seed: int, faults: Mapping[str, int] = FAULTS, *, only: bytes = b""
) -> Iterator[Weather]:
    """Foul weather before a server."""
    with Weather(behind, seed, faults, only) as passing:
        thread = threading.Thread(target=passing.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield passing
        finally:
            passing.shutdown()
            thread.join()
