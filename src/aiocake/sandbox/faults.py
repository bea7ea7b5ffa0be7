"""Faults by name: what a server, a proxy or a connection can do to a call.

``sandbox.fail_next("lost")`` has one happen to the next request. :data:`FAULTS` says of each what
the server does, and how a call of the SDK ends when all of its attempts meet it: one that meets it
once is mostly retried, and succeeds.

What no HTTP server can do is not here: names that do not resolve, TLS that fails, and responses
that are no HTTP.
"""

import errno
import gzip
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from difflib import get_close_matches
from functools import cache, partial
from http import HTTPStatus
from typing import Final, Literal, TypeAlias, cast, get_args

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from aiocake.sandbox.messages import Call

FaultName: TypeAlias = Literal[
    "lost",
    "truncated",
    "late",
    "slow",
    "gateway",
    "garbled",
    "empty",
    "other_record",
    "short_list",
    "dropped",
    "unreached",
    "unavailable",
    "server_error",
    "throttled",
    "throttled_for_an_hour",
    "restricted",
    "invalid_key",
    "forbidden",
    "bad_request",
    "refused",
    "tipalti",
    "not_found",
    "login_page",
    "redirect",
    "nested",
    "entities",
    "gzip_bomb",
]

#: The extension of ASGI by which a server lets its connections be closed.
CLOSE: Final = "aiocake.sandbox.close"
_PIECE: Final = 0.05
_BOMB: Final = 80_000_000
_DEPTH: Final = 100_000


@attrs.frozen
class Exchange:
    """A request that a fault happens to, and what it calls."""

    request: Request
    call: Call

    async def carried_out(self) -> Response:
        """Carry the call out, and return its response as one piece."""
        response = self.call.run()
        if isinstance(response, StreamingResponse):
            pieces = [bytes(cast("bytes", each)) async for each in response.body_iterator]
            return Response(b"".join(pieces), response.status_code, _headers(response))
        return response

    async def disconnect(self) -> Response:
        """Close the connection; in process, raise what a transport raises then.

        Raises:
            ConnectionResetError: There is no connection.
        """
        extensions: Mapping[str, Mapping[str, object]] = self.request.scope.get("extensions", {})
        if CLOSE not in extensions:
            raise ConnectionResetError(errno.ECONNRESET, "the sandbox simulates a lost connection")
        cast("Callable[[], None]", extensions[CLOSE]["close"])()
        return await self.abandoned()

    async def abandoned(self) -> Response:
        """Wait until the client has gone; nobody reads what is returned then."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        return Response()


Play: TypeAlias = Callable[[Exchange], Awaitable[Response]]


@attrs.frozen(kw_only=True)
class Fault:
    """A fault, and how calls end that meet nothing else.

    Attributes:
        about: What the server does, in one line.
        carried_out: True if a write is carried out all the same.
        read: What a read ends in: the name of the SDK's error, or ``done``.
        update: What a write that is idempotent ends in, such as ``invoices.update``.
        create: What a write that is not ends in, such as ``invoices.create``.
        play: Does it.
    """

    about: str
    carried_out: bool
    read: str
    update: str
    create: str
    play: Play = attrs.field(repr=False)


# What happens after a call was carried out.


async def _lost(exchange: Exchange) -> Response:
    await exchange.carried_out()
    return await exchange.disconnect()


async def _truncated(exchange: Exchange) -> Response:
    whole = await exchange.carried_out()
    half = Response(whole.body[: len(whole.body) // 2], whole.status_code, dict(whole.headers))
    return _Truncated(half, exchange)


class _Truncated(Response):
    """A response that ends before its Content-Length says so."""

    def __init__(self, half: Response, exchange: Exchange) -> None:
        super().__init__(half.body, half.status_code, dict(half.headers))
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if CLOSE not in scope.get("extensions", {}):
            await super().__call__(scope, receive, send)
            return
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._exchange.disconnect()


async def _late(exchange: Exchange) -> Response:
    await exchange.carried_out()
    return await exchange.abandoned()


async def _slow(exchange: Exchange) -> Response:
    whole = await exchange.carried_out()

    async def drip() -> AsyncIterator[bytes]:
        for byte in bytes(whole.body):
            await anyio.sleep(_PIECE)
            yield bytes([byte])

    return StreamingResponse(drip(), whole.status_code, _headers(whole))


async def _gateway(exchange: Exchange) -> Response:
    await exchange.carried_out()
    return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)


async def _changed(change: Callable[[bytes], bytes], exchange: Exchange) -> Response:
    whole = await exchange.carried_out()
    return Response(change(bytes(whole.body)), whole.status_code, _headers(whole))


def _garble(body: bytes) -> bytes:
    return body.replace(b'":', b'"').replace(b"</", b"<")


def _rename(body: bytes) -> bytes:
    """Have a response name another record than it did: that of the next number."""
    return re.sub(
        rb'("(?:invoice|affiliate|advertiser)_id":)(\d+)',
        lambda found: b"%b%d" % (found[1], int(found[2]) + 1),
        body,
    )


def _promise_more(body: bytes) -> bytes:
    return re.sub(
        rb'("total_rows":|"row_count":|<row_count>)(\d+)',
        lambda found: b"%b%d" % (found[1], int(found[2]) + 1),
        body,
    )


# What happens in place of it.


async def _dropped(exchange: Exchange) -> Response:
    return await exchange.disconnect()


async def _unreached(exchange: Exchange) -> Response:
    if CLOSE in exchange.request.scope.get("extensions", {}):
        text = 'the fault "unreached" works in process only: over a socket, stop the sandbox'
        return PlainTextResponse(text, HTTPStatus.NOT_IMPLEMENTED)
    raise _connect_error()


def _connect_error() -> Exception:
    """Return the exception by which transports of httpx and httpx2 say that nothing was sent."""
    packages = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    kinds: tuple[type[Exception], ...] = tuple(each.ConnectError for each in packages)
    kind: type[Exception] = type("ConnectError", kinds or (ConnectionRefusedError,), {})
    return kind("the sandbox simulates a refused connection")


async def _status(
    status: HTTPStatus, exchange: Exchange, headers: Mapping[str, str] | None = None
) -> Response:
    del exchange
    body = f'{{"message": "{status.phrase}"}}'
    return Response(body, status, headers, media_type="application/json")


async def _refused(status: HTTPStatus, message: str, exchange: Exchange) -> Response:
    return exchange.call.refuse(status, message)


async def _page(status: int, headers: Mapping[str, str], exchange: Exchange) -> Response:
    del exchange
    return HTMLResponse("<html><body><form>Log in</form></body></html>", status, headers)


async def _body(make: Callable[[], bytes], exchange: Exchange) -> Response:
    del exchange
    return Response(make(), media_type="application/json")


def _nested() -> bytes:
    return b"[" * _DEPTH + b"]" * _DEPTH


def _entities() -> bytes:
    grown = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE r [<!ENTITY e0 "ha">{grown}]><r>&e9;</r>'.encode()


async def _gzip_bomb(exchange: Exchange) -> Response:
    del exchange
    headers = {"content-encoding": "gzip"}
    return Response(_compressed(), headers=headers, media_type="application/json")


@cache
def _compressed() -> bytes:
    return gzip.compress(b" " * _BOMB, 1)


def _headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "content-length"}


_UNKNOWN: Final = "OutcomeUnknown"


def _after(about: str, play: Play, *, read: str, update: str = _UNKNOWN) -> Fault:
    return Fault(
        about=about, carried_out=True, read=read, update=update, create=_UNKNOWN, play=play
    )


def _before(about: str, play: Play, *, read: str, update: str = "", create: str = "") -> Fault:
    update = update or read
    return Fault(
        about=about,
        carried_out=False,
        read=read,
        update=update,
        create=create or update,
        play=play,
    )


#: Each fault, by name.
FAULTS: Final[Mapping[FaultName, Fault]] = {
    "lost": _after(
        "Carries the call out and closes the connection without a response.",
        _lost,
        read="DecodeError",
    ),
    "truncated": _after(
        "Carries the call out and sends half of the response.", _truncated, read="DecodeError"
    ),
    "late": _after(
        "Carries the call out and never responds: the call ends at its deadline.",
        _late,
        read="DeadlineExceeded",
    ),
    "slow": _after(
        "Carries the call out and sends one byte of the response each 50 ms.",
        _slow,
        read="DeadlineExceeded",
    ),
    "gateway": _after(
        "Carries the call out; a proxy responds with 502 and HTML.", _gateway, read="ServerError"
    ),
    "garbled": _after(
        "Carries the call out and sends JSON or XML that is broken.",
        partial(_changed, _garble),
        read="DecodeError",
    ),
    "empty": _after(
        "Carries the call out and sends 200 with an empty body.",
        partial(_changed, lambda _: b""),
        read="DecodeError",
    ),
    "other_record": _after(
        "Carries the call out; the response names another invoice than was requested.",
        partial(_changed, _rename),
        read="ConsistencyError",
    ),
    "short_list": Fault(
        about="Sends a list with one row less than it says. Writes are not affected.",
        carried_out=True,
        read="ListChanged",
        update="done",
        create="done",
        play=partial(_changed, _promise_more),
    ),
    "dropped": _before(
        "Closes the connection without a response; nothing is carried out.",
        _dropped,
        read="DecodeError",
        update=_UNKNOWN,
    ),
    "unreached": _before("Refuses the connection (in process only).", _unreached, read="NotSent"),
    "unavailable": _before(
        "Responds with 503.",
        partial(_status, HTTPStatus.SERVICE_UNAVAILABLE),
        read="RateLimited",
        update=_UNKNOWN,
    ),
    "server_error": _before(
        "Responds with 500.",
        partial(_status, HTTPStatus.INTERNAL_SERVER_ERROR),
        read="ServerError",
        update=_UNKNOWN,
    ),
    "throttled": _before(
        "Responds with 429: too many calls.",
        partial(_status, HTTPStatus.TOO_MANY_REQUESTS),
        read="RateLimited",
    ),
    "throttled_for_an_hour": _before(
        "Responds with 429 and Retry-After: 3600. The client's other calls pause, too.",
        partial(_status, HTTPStatus.TOO_MANY_REQUESTS, headers={"retry-after": "3600"}),
        read="RateLimited",
    ),
    "restricted": _before(
        'Responds with "Restricted": too many calls, or no permission.',
        partial(_refused, HTTPStatus.OK, "Restricted"),
        read="Restricted",
    ),
    "invalid_key": _before(
        'Responds with "Invalid API key".',
        partial(_refused, HTTPStatus.UNAUTHORIZED, "Invalid API key"),
        read="AuthenticationError",
    ),
    "forbidden": _before(
        "Responds with 403.", partial(_status, HTTPStatus.FORBIDDEN), read="RequestRejected"
    ),
    "bad_request": _before(
        "Responds with 400.", partial(_status, HTTPStatus.BAD_REQUEST), read="RequestRejected"
    ),
    "refused": _before(
        "Refuses the call in the API's own words, for no reason that the SDK knows.",
        partial(_refused, HTTPStatus.BAD_REQUEST, "The period is locked"),
        read="ApiError",
    ),
    "tipalti": _before(
        'Responds with "Bills processed by Tipalti may not be updated".',
        partial(_refused, HTTPStatus.BAD_REQUEST, "Bills processed by Tipalti may not be updated"),
        read="TipaltiError",
    ),
    "not_found": _before(
        "Responds that there is no such record.",
        partial(_refused, HTTPStatus.NOT_FOUND, "Invoice not found"),
        read="NotFound",
    ),
    "login_page": _before(
        "Responds with 200 and the HTML of a login page.",
        partial(_page, 200, {}),
        read="DecodeError",
        update=_UNKNOWN,
    ),
    "redirect": _before(
        "Responds with 302; it is not followed.",
        partial(_page, 302, {"location": "/login"}),
        read="DecodeError",
        update=_UNKNOWN,
    ),
    "nested": _before(
        "Sends JSON that is nested 100,000 levels deep.",
        partial(_body, _nested),
        read="DecodeError",
        update=_UNKNOWN,
    ),
    "entities": _before(
        "Sends a document type whose entities grow to gigabytes (billion laughs).",
        partial(_body, _entities),
        read="DecodeError",
        update=_UNKNOWN,
    ),
    "gzip_bomb": _before(
        "Sends 80 kB that decompress to 80 MB.", _gzip_bomb, read="DecodeError", update=_UNKNOWN
    ),
}


@attrs.define
class _Awaited:
    """A fault that is to happen to requests to come."""

    fault: Fault
    left: int | None
    operation: str | None


class Faults:
    """The faults that are to happen, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._awaited: list[_Awaited] = []

    def add(self, name: FaultName, times: int | None, operation: str | None) -> None:
        """Have a fault happen to requests to come.

        Raises:
            ValueError: There is no such fault, or the number is below 1.
        """
        if name not in FAULTS:
            close = get_close_matches(str(name), get_args(FaultName), 1)
            hint = f"; did you mean {close[0]!r}? There are" if close else "; there are"
            raise ValueError(f"{name!r} is no fault{hint} {', '.join(FAULTS)}")
        if times is not None and (type(times) is not int or times < 1):
            raise ValueError(f"times={times!r} must be at least 1, or None for each request")
        self._awaited.append(_Awaited(FAULTS[name], times, operation))

    def clear(self) -> None:
        """Forget those that have not happened."""
        self._awaited.clear()

    def take(self, operation: str | None) -> Fault | None:
        """Return the fault that happens to a request."""
        for each in self._awaited:
            if each.operation not in {None, operation}:
                continue
            if each.left is not None:
                each.left -= 1
                if not each.left:
                    self._awaited.remove(each)
            return each.fault
        return None
