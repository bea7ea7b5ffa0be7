"""A proxy of the tests' own: what it does once it was asked for a tunnel."""

import socket
import threading
from contextlib import suppress

from .scripted import Connection


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes from a socket, until it ends."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def pump_both(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from either of two sockets, until both have ended."""
    back = threading.Thread(target=pump, args=(other, one), daemon=True)
    back.start()
    pump(one, other)
    back.join()


def tunnel(connection: Connection) -> None:
    """Do what a proxy does after a CONNECT."""
    connect = connection.request()
    if not connect:
        return
    host, _, port = connect.split(b" ")[1].decode().rpartition(":")
    with socket.create_connection((host, int(port))) as target:
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pump_both(connection.socket, target)
