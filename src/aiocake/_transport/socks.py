"""SOCKS5: request a connection from a proxy (RFC 1928), with user name and password (RFC 1929)."""

import ipaddress
import socket
from typing import Final

import anyio

from aiocake._transport.failures import ConnectionForbidden, Route
from aiocake._transport.proxy import Proxy

_VERSION: Final = 5
_NO_LOGIN: Final = 0
_LOGIN: Final = 2
#: Bytes of an address, by its type: a name says itself how long it is.
_LENGTHS: Final = {1: 4, 4: 16}
_BY_NAME: Final = 3
#: Of a user name, a password and a host.
_LONGEST: Final = 255


async def connect_by_socks(connected: socket.socket, route: Route, proxy: Proxy) -> None:
    """Connect to the host of a route through a SOCKS5 proxy, which resolves the name.

    Raises:
        ConnectionForbidden: It refuses, or is no such proxy.
        OSError: The connection to it has ended.
    """
    name = route.dialled[0]
    login = proxy.auth()
    method = _NO_LOGIN if login is None else _LOGIN
    await _send(connected, bytes([_VERSION, 1, method]))
    version, chosen = await _receive(connected, 2)
    if version != _VERSION:
        raise ConnectionForbidden(f"{name} does not speak SOCKS5")
    if chosen != method:
        raise ConnectionForbidden(f"{name} refused (another login is required)")
    if login is not None:
        user, password = login
        if max(len(user), len(password)) > _LONGEST:
            raise ConnectionForbidden(f"{name}: user name or password is too long for SOCKS5")
        await _send(connected, b"\x01" + _text(user) + _text(password))
        if (await _receive(connected, 2))[1]:
            raise ConnectionForbidden(f"{name} refused (user name or password)")
    target = _target(route.host) + route.port.to_bytes(2, "big")
    await _send(connected, bytes([_VERSION, 1, 0]) + target)
    _, refused, _, kind = await _receive(connected, 4)
    if refused:
        raise ConnectionForbidden(f"{name} refused (SOCKS5 error {refused})")
    length = _LENGTHS.get(kind)
    if length is None:
        length = (await _receive(connected, 1))[0]
    await _receive(connected, length + 2)


def _target(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bytes([_BY_NAME]) + _text(host.encode("ascii"))
    return bytes([1 if len(address.packed) == _LENGTHS[1] else 4]) + address.packed


def _text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


async def _send(connected: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[connected.send(data) :]
        except BlockingIOError:
            await anyio.wait_writable(connected)


async def _receive(connected: socket.socket, count: int) -> bytes:
    """Read exactly this many bytes."""
    came = b""
    while len(came) < count:
        try:
            data = connected.recv(count - len(came))
        except BlockingIOError:
            await anyio.wait_readable(connected)
        else:
            if not data:
                raise EOFError
            came += data
    return came
