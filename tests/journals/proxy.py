"""Stands before a PostgreSQL and loses what becomes of a commit."""

import random
import socket
import threading
from collections import Counter
from contextlib import suppress

#: What only a group of changes has in it, as SQL.
GROUP = b"written = "


class LosingProxy:
    """Passes bytes on, and cuts the connection of some groups of changes.

    Before they reach the server, after they have, or when the server has answered: whoever sent
    them cannot tell which.

    Args:
        port: Where the server listens.
        seed: What throws the dice.
    """

    def __init__(self, port: int, seed: str) -> None:
        self._behind = ("127.0.0.1", port)
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self.met: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._behind) as server:
            try:
                self._both_ways(client, server)
            finally:
                # Who waits for it in another thread keeps it open otherwise.
                for each in (client, server):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)

    def _both_ways(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            lost = threading.Event()
            back = threading.Thread(target=self._back, args=(server, client, lost), daemon=True)
            back.start()
            while data := client.recv(1 << 16):
                if GROUP in data and (fault := self._fault()):
                    self.met[fault] += 1
                    if fault == "lost before the server":
                        return
                    lost.set()  # nothing goes back from here on
                    server.sendall(data)
                    if fault == "answer lost":
                        back.join(5)
                    return
                server.sendall(data)

    def _back(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if lost.is_set():
                    return  # the server has answered: the commit is done
                client.sendall(data)

    def _fault(self) -> str:
        faults = ["lost before the server", "answer lost", "lost on the way", ""]
        return self._dice.choices(faults, [1, 3, 1, 6])[0]
