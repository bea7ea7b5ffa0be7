"""Requests and responses as plain values, without any HTTP library.

A request has one hole for the key. Codec makes the request without ever seeing the key; transport
fills the hole at the last moment, escaped for the place in which it stands.

Error reporters print the ``repr`` of whatever the frames hold. So that of a request or a response
shows neither query nor body: they hold names, notes and amounts, and a server that repeats the URL
repeats the key.
"""

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Final, Protocol

import attrs

#: The headers that say where a body ends.
_FRAMES: Final = frozenset({"content-length", "transfer-encoding"})


class KeyPlacement(Enum):
    """The place of the key in a request, and so how it is escaped."""

    QUERY = "query"
    FORM = "form"
    ENVELOPE = "envelope"


class SendDeadline(Protocol):
    """A moment after which no byte of a write may leave, such as the end of a lease."""

    def has_passed(self, seconds: float) -> bool:
        """Return True if a write must not be sent any more whose response may take so long.

        It is asked right before the first byte leaves, and must not wait for anything.
        """
        ...


@attrs.define  # not frozen: making one would take twice as long
class Request:
    """One HTTP request without its host and key. Nothing changes it.

    Attributes:
        operation: The operation's name, for errors and events.
        method: ``"GET"`` or ``"POST"``.
        path: The path, from the first slash, encoded.
        query: The query without its question mark, encoded, the hole's ``api_key=`` included
            when the hole is in it.
        headers: Name and value pairs; no Host, no Content-Length.
        body: The body; of a form or an envelope with the hole in it.
        key_placement: Where the key goes.
        key_offset: The offset in ``query`` or ``body`` at which the key is put.
        query_limit: The number of bytes that the query with the key must stay below; None for
            no limit.
        own_path: True for a path of the caller's own, which no event shows.
    """

    operation: str
    method: str
    path: str
    query: str = attrs.field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = attrs.field(default=b"", repr=False)
    key_placement: KeyPlacement = KeyPlacement.QUERY
    key_offset: int = 0
    query_limit: int | None = None
    own_path: bool = False


def _is_framed(response: "Response") -> bool:
    return not _FRAMES.isdisjoint(response.headers)


@attrs.define(eq=False)  # not frozen, as a request is not
class Response:
    """One whole HTTP response, decompressed. Nothing changes it.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name; of repeated headers the last value.
        body: The body.
        framed: True if a length or chunks mark the end, not that of the connection; by default as
            the headers say.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    framed: bool = attrs.field(default=attrs.Factory(_is_framed, takes_self=True))


@attrs.frozen(eq=False)
class StreamedResponse:
    """An HTTP response whose body is still on its way; ``chunks`` yields it, decompressed."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
