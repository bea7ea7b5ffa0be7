"""The transport of one client: it sends one attempt over a slot of the limiter, with the key in it.

It knows nothing of retries, of the meaning of responses, or of outcomes: the loop in
:mod:`aiocake._pipeline.executor` does. That takes what an attempt needs from here, in this order: a
key, a slot, and :meth:`Transport.send`.
"""

import random
import ssl
from collections.abc import Awaitable, Callable

import anyio
import attrs

from aiocake._httpx import AsyncBaseTransport, package_of
from aiocake._messages import Request  # noqa: TC001 - imported like the others
from aiocake._transport.address import Address
from aiocake._transport.api_key import AuthorizedRequest, KeyInserter, Keys
from aiocake._transport.dial import Dialer
from aiocake._transport.failures import Route
from aiocake._transport.foreign import ForeignSender
from aiocake._transport.incoming import IncomingResponse
from aiocake._transport.lifecycle import Lifecycle
from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.network_time import NetworkTimeBudget
from aiocake._transport.proxy import parse_proxy
from aiocake._transport.redaction import Scrubber, watch_logs
from aiocake._transport.sender import RequestSender, Sender
from aiocake._transport.streaming import OpenStream
from aiocake.config import Throttle, Timeouts
from aiocake.errors import ConfigurationError
from aiocake.values import Secret


class Transport:
    """Sends the requests of one client, on one event loop.

    Args:
        address: Where to.
        key: The key, or an async function that gives it.
        timeouts: How long opening a connection may take.
        throttle: How much is sent at once, and how fast.
        http: What carries the requests in place of our own connections. It is closed along with
            this.
        proxy: The URL of a proxy; only for our own.
        ssl_context: For https; only for our own.
        user_agent: The User-Agent header.
        draw: Gives random numbers from 0 to 1.

    Raises:
        ConfigurationError: The key, the proxy or the user agent cannot be used.

    Attributes:
        server: The URL of the server, without a path.
        scrub: Redacts the key and the proxy's password in a text, however they are encoded.
        keys: The key in use.
        authorize: Puts the key into a request, as :meth:`KeyInserter.insert` does.
        limiter: Gives each attempt its slot.
        lifecycle: From the first call to the closing.
        sender: Sends over the connection of a slot.
        dialer: Opens our own connections; None where a transport of the user's carries requests.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of the client
        self,
        *,
        address: Address,
        key: Secret | Callable[[], Awaitable[str]],
        timeouts: Timeouts,
        throttle: Throttle,
        http: AsyncBaseTransport | None,
        proxy: str | None,
        ssl_context: ssl.SSLContext | None,
        user_agent: str,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._scrubber = Scrubber()
        self.scrub: Callable[[str], str] = self._scrubber.scrub
        self.server: str = address.base
        self.keys: Keys = Keys(key, self._scrubber.learn)
        self.limiter: RequestLimiter = RequestLimiter(throttle, draw)
        if not (user_agent.isascii() and user_agent.isprintable()):
            raise ConfigurationError("user_agent: must be printable ASCII")
        route = Route(address.host, address.port, timeouts.connect)
        self.dialer: Dialer | None = None
        if http is None:
            self.sender: Sender = self._own(address, route, proxy, ssl_context)
        elif proxy is not None or ssl_context is not None:
            raise ConfigurationError(
                "proxy and ssl_context: cannot be combined with transport, which has its own"
            )
        else:
            self.sender = self._foreign(http, address, route)
        inserter = KeyInserter(
            [
                (b"Host", address.authority.encode("ascii")),
                (b"User-Agent", user_agent.encode("ascii")),
                (b"Accept-Encoding", b"gzip, deflate"),
            ]
        )
        self.authorize: Callable[[Request, Secret], AuthorizedRequest] = inserter.insert
        self.lifecycle: Lifecycle = Lifecycle()
        self._streams: set[OpenStream] = set()
        self._sender_closed = False

    def _own(
        self, address: Address, route: Route, proxy: str | None, ssl_context: ssl.SSLContext | None
    ) -> RequestSender:
        through = None if proxy is None else parse_proxy(proxy)
        if through is not None:
            if address.scheme != "https":
                raise ConfigurationError("proxy: for https only, or it would see the key")
            for secret in through.secrets():
                self._scrubber.learn(secret)
            route = attrs.evolve(route, proxy=through.where)
        self.dialer = Dialer(
            route, secure=address.scheme == "https", proxy=through, ssl_context=ssl_context
        )
        return RequestSender(self.dialer, self.limiter.slots, self._scrubber.scrub_headers)

    def _foreign(self, http: AsyncBaseTransport, address: Address, route: Route) -> ForeignSender:
        package = package_of(http)
        if package is None:
            raise ConfigurationError("transport: must be an AsyncBaseTransport of httpx or httpx2")
        watch_logs(self._scrubber)
        return ForeignSender(http, package, address.base, route, self._scrubber.scrub_headers)

    def stream(
        self, incoming: IncomingResponse, slot: int, network_time: NetworkTimeBudget
    ) -> OpenStream:
        """Return a response as a stream, which may keep its slot and connection."""
        return OpenStream(incoming, slot, network_time, self.limiter.release, self._streams)

    async def aclose(self, grace: float = 0.0) -> None:
        """Cancel pending requests and close all connections. Can be called twice.

        Args:
            grace: Seconds that a write which has left is given before.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        self.lifecycle.check_usable(even_closed=True)
        self.lifecycle.closed = True
        try:
            for stream in tuple(self._streams):
                await stream.aclose()
            await self.lifecycle.finish_writes(grace)
            self.sender.abort()
            await self.lifecycle.end()
            await self.limiter.aclose()
        finally:
            if not self._sender_closed:
                self._sender_closed = True
                with anyio.CancelScope(shield=True):
                    await self.sender.aclose()
