"""Sends authorized requests over our own connections: one for each slot. Plain values come back.

No exception of a library leaves it, and what does leave (a cancellation) leaves without its
traceback, for the frames below hold the request and so the key.
"""

import math
import re
from typing import Final, Protocol

from aiocake._transport.api_key import AuthorizedRequest
from aiocake._transport.connection import HttpConnection, SendTrace
from aiocake._transport.dial import Dialer
from aiocake._transport.failures import FailureKind, TransportFailure, clear_tracebacks
from aiocake._transport.incoming import Clean, IncomingResponse

_CLOSED: Final = "nothing was sent: the client was closed"
#: RFC 9110 section 9.1.
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Sender(Protocol):
    """Sends requests, each over the connection of a slot.

    Attributes:
        keeps_time: Whether :meth:`send`, and reading the response, end at ``total`` and by
            :meth:`abort`. Where not, whoever waits ends the wait by a cancellation.
    """

    keeps_time: bool

    async def send(  # noqa: PLR0913 - what an attempt is
        self,
        authorized: AuthorizedRequest,
        slot: int,
        trace: SendTrace,
        *,
        read: float,
        fresh: bool,
        total: float = math.inf,
    ) -> IncomingResponse | TransportFailure:
        """Send a request, and wait for the head of its response.

        Args:
            authorized: The request.
            slot: The slot, and so the connection.
            trace: Takes note of whether the request may have left.
            read: Seconds to wait for the next bytes.
            fresh: Whether it must not go over a connection that was used before.
            total: When the response must be whole, on the event loop's clock.

        Returns:
            The response, or what went wrong.
        """
        ...

    def drop(self, slot: int) -> None:
        """Close the connection of a slot, whatever state it is in; the next call opens another."""
        ...

    def abort(self) -> None:
        """Close all connections at once, and refuse further requests."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class RequestSender:
    """Sends requests over connections of our own.

    Args:
        dialer: Opens them.
        slots: How many there are at most.
        clean: Takes the key out of the headers of a response.
    """

    keeps_time = True

    def __init__(self, dialer: Dialer, slots: int, clean: Clean) -> None:
        self._dialer = dialer
        self._connections: list[HttpConnection | None] = [None] * slots
        self._clean = clean

    async def send(  # noqa: PLR0913 - what an attempt is
        self,
        authorized: AuthorizedRequest,
        slot: int,
        trace: SendTrace,
        *,
        read: float,
        fresh: bool,
        total: float = math.inf,
    ) -> IncomingResponse | TransportFailure:
        """Send a request, and wait for the head of its response, as :class:`Sender` says."""
        if _METHOD.fullmatch(authorized.method) is None:
            text = "nothing was sent: it is not an HTTP method"
            return TransportFailure(FailureKind.INVALID_REQUEST, sent=False, text=text)
        connection = self._connections[slot]
        if connection is not None and (fresh or not connection.usable()):
            self.drop(slot)
            connection = None
        try:
            while True:
                if connection is None:
                    opened = await self._open(slot, total)
                    if isinstance(opened, TransportFailure):
                        return opened
                    connection = opened
                failure = await connection.ask(
                    authorized.head + authorized.body, trace, read, total
                )
                if failure is None:
                    reader = connection.reader
                    return IncomingResponse(
                        reader.status or 0,
                        reader.headers,
                        reader.encodings,
                        reader.length,
                        reader.framed,
                        connection,
                        self._clean,
                    )
                stale = connection.stale
                if failure.kind is not FailureKind.TIMEOUT or failure.sent:
                    self.drop(slot)
                if not stale or trace.sent:
                    trace.stale = stale
                    return failure
                # It had been closed while it was idle, and nothing has left.
                connection = None
        except BaseException as error:
            clear_tracebacks(error)
            self.drop(slot)
            raise

    async def _open(self, slot: int, total: float) -> HttpConnection | TransportFailure:
        """Open the connection of a slot."""
        opened = await self._dialer.dial(total)
        if isinstance(opened, TransportFailure):
            return opened
        if self._dialer.aborted:
            opened.close()
            return TransportFailure(FailureKind.CONNECT, sent=False, text=_CLOSED)
        self._connections[slot] = opened
        return opened

    def drop(self, slot: int) -> None:
        """Close the connection of a slot, whatever state it is in; the next call opens another."""
        connection, self._connections[slot] = self._connections[slot], None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Close all connections at once, and refuse further requests."""
        self._dialer.abort()
        for connection in self._connections:
            if connection is not None and connection.in_use:
                connection.close()

    async def aclose(self) -> None:
        """Close all connections."""
        for slot, connection in enumerate(self._connections):
            self._connections[slot] = None
            if connection is not None:
                connection.goodbye()
