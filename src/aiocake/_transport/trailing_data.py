"""Bytes that a server sent beyond its answer, which must not be taken for the next one.

httpcore2 gives a connection back as soon as the answer is whole, whatever lies behind it, and
looks only whether the socket itself is readable before it uses it again. Surplus bytes that were
read along with the answer wait in the parser (h11), in the TLS layer, or in asyncio's queue. No
public interface shows the first and the last, so they are looked for by name; where one is not
found, the answer is yes, which costs a connection and nothing else.
"""

import ssl
from collections.abc import Iterator
from typing import Final

from aiocake._background import on_trio
from aiocake._transport.sockets import SocketStream

_DEEPEST: Final = 6


def has_trailing_data(connection: object, stream: object) -> bool:
    """Whether unread bytes lie behind an answer that has been read to its end.

    Args:
        connection: The connection, as httpcore2's pool lists it.
        stream: The answer's ``network_stream`` extension.
    """
    return _in_parser(connection) or _in_tls(stream) or _in_queue(stream)


def _in_parser(connection: object) -> bool:
    for layer in _layers(connection, "_connection"):
        parser = getattr(layer, "_h11_state", None)
        if parser is not None:
            trailing = getattr(parser, "trailing_data", None)
            return bool(trailing[0]) if trailing else True
    return True


def _in_tls(stream: object) -> bool:
    look = getattr(stream, "get_extra_info", None)
    ssl_object = look("ssl_object") if look is not None else None
    if ssl_object is None:
        return False
    try:
        ssl_object.read(1)
    except ssl.SSLWantReadError:
        return False  # no whole record is there
    except Exception:  # noqa: BLE001 - private, too, as some of what leads there is
        return True  # the peer ended TLS, or it is broken: no use for another request either way
    return True


def _in_queue(stream: object) -> bool:
    for layer in _layers(stream, "_stream", "transport_stream"):
        if isinstance(layer, SocketStream):
            return False  # what is not asked for stays in the socket
        protocol = getattr(layer, "_protocol", None)
        if protocol is not None:
            return bool(getattr(protocol, "read_queue", True))
    return not on_trio()  # which keeps no queue


def _layers(outer: object, *names: str) -> Iterator[object]:
    layer: object = outer
    for _ in range(_DEEPEST):
        yield layer
        inner: object = None
        for name in names:
            inner = getattr(layer, name, None)
            if inner is not None:
                break
        if inner is None:
            return
        layer = inner
