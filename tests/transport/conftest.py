"""Servers that misbehave by script, and transports to try them on."""

import ssl
from collections.abc import Iterator

import attrs
import pytest

from aiocake._httpx import AsyncBaseTransport
from aiocake._messages import KeyPlacement, Request, Response
from aiocake._pipeline.call_state import CallLimits
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    DecodeError,
    NotFound,
    RateLimited,
    Restricted,
    ServerError,
)
from aiocake.values import Idempotency, Secret

from ..support.scripted import Connection, Script, Server
from .exchange import Exchanges

GET = Request("invoices.page", "GET", "/api/2/invoices.json", "api_key=&row_limit=1", key_offset=8)


class Lab:
    """Servers and transports, and what to send through them."""

    #: The key that each transport has, full of what has to be escaped.
    key = 'canary-K3Y<&">/+%='
    #: A whole answer.
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    #: A read, a request with the key in the query and a body, and one with the key in its body.
    get = GET
    post = attrs.evolve(
        GET, operation="invoices.create", method="POST", body=b'{"memo":"canary note"}'
    )
    form = Request(
        "bills.mark",
        "POST",
        "/api/1/accounting.asmx/Mark",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=b"api_key=&bill_id=1",
        key_placement=KeyPlacement.FORM,
        key_offset=8,
    )

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def serve(self, script: Script, tls: ssl.SSLContext | None = None) -> Server:
        """Start a server that ends with the test."""
        self._servers.append(Server(script, tls))
        return self._servers[-1]

    def obedient(self, tls: ssl.SSLContext | None = None) -> Server:
        """Start a server that answers each request as it should."""

        def script(connection: Connection) -> None:
            while connection.request():
                connection.send(self.ok)

        return self.serve(script, tls)

    def slow(self) -> Server:
        """Start a server that answers only when it is told to, by ``go_on``."""

        def script(connection: Connection) -> None:
            while connection.request():
                connection.server.go_on.wait(20)
                connection.send(self.ok)

        return self.serve(script)

    def transport(
        self, to: Server | str, http: AsyncBaseTransport | None = None, **settings: object
    ) -> Exchanges:
        """Build a transport that does not wait between attempts, unless ``draw`` says so."""
        given: dict[str, object] = {
            "key": Secret(self.key),
            "timeouts": Timeouts(),
            "retry": RetryPolicy(),
            "throttle": Throttle(),
            "http": http,
            "proxy": None,
            "ssl_context": None,
            "user_agent": "aiocake/test",
            "grace": 5.0,
            "on_event": None,
            "draw": lambda: 0.0,
        }
        domain = to if isinstance(to, str) else to.url
        return Exchanges(domain, **(given | settings))  # type: ignore[arg-type] # they are what they are

    def plan(self, idempotency: Idempotency = Idempotency.SAFE, **settings: object) -> CallLimits:
        """How to make a call: a read within 30 s, unless said otherwise."""
        given: dict[str, object] = {"total": 30.0, "read": 20.0, "attempts": 3}
        return CallLimits(idempotency, **(given | settings))  # type: ignore[arg-type] # the same

    @staticmethod
    def fine(_: Response) -> CakeError | None:
        """Take every answer for a success."""
        return None

    @staticmethod
    def check(response: Response) -> CakeError | None:
        """Judge an answer by its status, as a codec may."""
        text, status = response.body.decode(), response.status
        if status == 200:
            return Restricted(text, status=status) if text == "Restricted" else None
        if status in {429, 503}:
            return RateLimited(text, status=status)
        if status >= 500:
            return ServerError(text, status=status)
        if status == 401:
            return AuthenticationError(text, status=status)
        if status == 404:
            return NotFound(text, status=status)
        return DecodeError(text, status=status)

    def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Everything for an experiment, and the end of it."""
    lab = Lab()
    yield lab
    lab.close()
