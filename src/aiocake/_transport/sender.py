"""The edge to the network: authorized requests in, plain values out.

No exception of a library leaves it, and what does leave (a cancellation) leaves without its
traceback, for the frames below hold the request and so the key.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio

from aiocake._transport.api_key import AuthorizedRequest
from aiocake._transport.failures import FailureKind, Route, TransportFailure, clear_tracebacks
from aiocake._transport.httpcore_transport import (
    Closable,
    HttpResponse,
    HttpSender,
    failure_of,
    is_unsent,
)

#: What is said of a write that was not begun so shortly before its deadline.
TOO_LATE: Final = "nothing was sent: too little time was left for a response"

#: The steps of httpcore2 that tell when a request leaves.
_STARTED: Final = "http11.send_request_headers.started"
_LAST: Final = "http11.send_request_body.started"
_FAILED: Final = "http11.send_request_headers.failed"
_LAST_FAILED: Final = "http11.send_request_body.failed"
#: And when a socket was opened, directly or to a proxy.
_OPENED: Final = ".connect_tcp.complete"
#: From this status on a response is a refusal or a failure.
_REFUSED: Final = 400


class _TooLateError(Exception):
    """The connection stands, but too little time is left to send a request over it."""


class SendTrace:
    """Whether a request may have left, as httpcore2's trace tells it."""

    __slots__ = ("latest", "opened", "sent", "stopped")

    def __init__(self) -> None:
        self.sent = False
        #: Whether the connection took no more of the request before it had left as a whole.
        self.stopped = False
        #: When it may leave at the latest, on the event loop's clock: dialling may take long.
        self.latest = math.inf
        #: The stream that was opened for it; None when there was a connection.
        self.opened: Closable | None = None

    async def record(self, name: str, info: Mapping[str, Any]) -> None:
        """Take note of a step that httpcore2 tells. A CONNECT to a proxy is not the request."""
        if name in {_STARTED, _LAST}:
            request = info["request"]
            if request.method == b"CONNECT":
                return
            if name == _STARTED and self.latest < math.inf and anyio.current_time() > self.latest:
                raise _TooLateError
            self.sent = True
            if name == _LAST or request.method == b"GET":
                # This step goes on telling how it ends; no later one has anything to tell.
                request.extensions.pop("trace", None)
        elif name == _FAILED and type(info["exception"]).__name__ == "LocalProtocolError":
            # Refused before it was written; h11's exception and httpcore2's have one name.
            self.sent = False
        elif name in {_FAILED, _LAST_FAILED}:
            self.stopped = self.sent
        elif name.endswith(_OPENED):
            self.opened = info["return_value"]


class IncomingResponse:
    """A response whose body is still on its way. Ended by :meth:`aclose`, always."""

    __slots__ = (
        "_drop",
        "_raw",
        "_route",
        "_slot",
        "encoding",
        "framed",
        "headers",
        "length",
        "status",
    )

    def __init__(
        self,
        raw: HttpResponse,
        slot: int,
        clean: Callable[[dict[str, str]], dict[str, str]],
        drop: Callable[[int], Awaitable[None]],
        route: Route,
    ) -> None:
        self._raw = raw
        self._route = route
        self._slot = slot
        self._drop = drop
        self.status = raw.status
        headers: dict[str, str] = {}
        encodings: list[str] = []
        for raw_name, raw_value in raw.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = value
            if name == "content-encoding":
                encodings.append(value.strip().lower())
        #: All values of Content-Encoding.
        self.encoding = ",".join(encodings)
        size = headers.get("content-length", "")
        chunked = "transfer-encoding" in headers
        counts = not chunked and size.isascii() and size.isdecimal()
        #: Whether its end can be told from that of its connection.
        self.framed = chunked or counts
        #: What Content-Length says; None where it does not count.
        self.length = int(size) if counts else None
        #: By lower-case name, the last of several values, without the key.
        self.headers = clean(headers)

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next raw piece of the body; None at its end."""
        try:
            return await anext(self._raw.pieces, None)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            fault = failure_of(error, self._route, status=self.status)
        except BaseException as error:
            clear_tracebacks(error)
            await self._drop(self._slot)
            raise
        await self._drop(self._slot)
        return fault

    async def aclose(self) -> None:
        """Close the response. If its body was not read to its end, so is the connection."""
        try:
            await self._raw.aclose()
        except Exception:  # noqa: BLE001 - the response was read, or given up
            await self._drop(self._slot)
        except BaseException as error:
            clear_tracebacks(error)
            await self._drop(self._slot)
            raise


class RequestSender:
    """Sends requests.

    Args:
        sender: Hands them to a transport.
        clean: Takes the key out of the headers of a response.
    """

    def __init__(
        self, sender: HttpSender, clean: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        self._http = sender
        self._clean = clean

    async def send(
        self, signed: AuthorizedRequest, slot: int, trace: SendTrace, *, read: float, fresh: bool
    ) -> IncomingResponse | TransportFailure:
        """Send a request, and wait for the head of its response.

        Args:
            signed: The request.
            slot: The slot, and so the connection.
            trace: Takes note of whether the request may have left.
            read: Seconds to wait for the next bytes.
            fresh: Whether it must not go over a connection that was used before.

        Returns:
            The response, or what went wrong.
        """
        try:
            if fresh:
                await self.drop(slot)
            # Other transports do not tell: from here on it may have left.
            trace.sent = self._http.own is None
            raw = await self._http.send(signed, slot, read, trace.record)
            response = IncomingResponse(raw, slot, self._clean, self.drop, self._http.route)
            if not trace.stopped or response.status >= _REFUSED:
                return response
            # It is not to this request: who has not got it as a whole can only refuse it.
            await response.aclose()
            text = "an answer came although the request had not left"
            fault = TransportFailure(FailureKind.CONNECTION_LOST, trace.sent, text, response.status)
        except _TooLateError:
            fault = TransportFailure(FailureKind.TIMEOUT, sent=False, text=TOO_LATE)
        except Exception as error:  # noqa: BLE001 - mapped, whatever it is
            if self._http.own is None and is_unsent(error):
                trace.sent = False
            fault = failure_of(error, self._http.route, sent=trace.sent)
        except BaseException as error:
            clear_tracebacks(error)
            await self.drop(slot, trace.opened)
            raise
        await self.drop(slot, trace.opened)
        return fault

    async def drop(self, slot: int, half_open: Closable | None = None) -> None:
        """Close the connection of a slot, and a stream that did not become one."""
        if self._http.own is not None:
            await self._http.own.drop(slot, half_open)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._http.aclose()
