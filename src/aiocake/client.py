"""The client: an attribute for each group of endpoints, over layers that it builds and closes.

::

    async with Client("yourdomain.cake.com", api_key=key) as cake:
        invoices = await cake.invoices.find(invoice_status="pending").collect()
"""

import os
import ssl
import warnings
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from aiocake._codec.raw_response import Json, RawResponse, RawValue
from aiocake._httpx import AsyncBaseTransport
from aiocake._normalize import real
from aiocake._pipeline.settings import ClientStats
from aiocake._settings import check_settings
from aiocake._version import version
from aiocake.config import CallOptions, Ledger, RetryPolicy, Throttle, Timeouts
from aiocake.errors import ConfigurationError
from aiocake.events import OnEvent
from aiocake.traits import InstanceTraits
from aiocake.values import Binding, Secret

if TYPE_CHECKING:
    from aiocake._pipeline.executor import CallExecutor
    from aiocake.endpoints.advertiser_bills import AdvertiserBills
    from aiocake.endpoints.affiliate_bills import AffiliateBills
    from aiocake.endpoints.buyer_bills import BuyerBills
    from aiocake.endpoints.invoices import Invoices
    from aiocake.endpoints.reference import Reference

__all__ = ["Client", "ClientSettings", "ClientView"]

ApiKey = str | Callable[[], Awaitable[str]]


class ClientView:
    """All endpoints, under one set of options. A Client is one; ``with_options`` makes others.

    Attributes:
        invoices: Invoices (v2).
        affiliate_bills: Affiliates' bills (v1).
        advertiser_bills: Advertisers' bills (v1).
        buyer_bills: Buyers' bills (v1).
        reference: Look-up lists: billing cycles, payment methods, currencies and others.
    """

    def __init__(self, executor: "CallExecutor") -> None:
        from aiocake import _client_parts as parts  # noqa: PLC0415 - with the first client

        self._executor = executor
        self.invoices: Invoices = parts.Invoices(executor)
        self.affiliate_bills: AffiliateBills = parts.AffiliateBills(executor)
        self.advertiser_bills: AdvertiserBills = parts.AdvertiserBills(executor)
        self.buyer_bills: BuyerBills = parts.BuyerBills(executor)
        self.reference: Reference = parts.Reference(executor)

    def with_options(
        self,
        *,
        total: float | None = None,
        queue: float | None = None,
        attempts: int | None = None,
        binding: Binding | None = None,
    ) -> "ClientView":
        """Return this client with other options, for one handler or one call.

        It shares connections, throttle and retry budget with this one, and is not closed.

        Args:
            total: Seconds for one call, as ``Timeouts.total``.
            queue: Seconds that a call may wait for its turn before it ends in ``NotSent``.
            attempts: How often a call is sent at most, the first time included.
            binding: The form of v1 calls.

        Returns:
            A view of the client. An option that is None stays as it is here.

        Raises:
            ConfigurationError: An option has a bad value.
        """
        mine = self._executor.options
        options = CallOptions(
            total=mine.total if total is None else total,
            queue=mine.queue if queue is None else queue,
            attempts=mine.attempts if attempts is None else attempts,
            binding=mine.binding if binding is None else _binding(binding),
        )
        return ClientView(self._executor.with_options(options))

    async def request(  # noqa: PLR0913 - CAKE's parameters, by name
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, RawValue] | None = None,
        json: Mapping[str, Json] | None = None,
        repeatable: bool,
        writes: bool | None = None,
    ) -> RawResponse:
        """Call an endpoint that has no method yet.

        The key, throttle, retries and verdicts apply as usual.

        Args:
            method: The HTTP method: GET, POST, PUT, PATCH or DELETE.
            path: The path, such as ``"/api/2/api_logs.json"``.
            params: The query, without the key.
            json: The body, as JSON.
            repeatable: True if sending the request twice does no more than sending it once.
            writes: True if it changes anything. By default all but a GET of v2 does, since v1
                has GETs that write.

        Returns:
            The response as it came: ``.status``, ``.headers``, ``.body``, ``.json()``, ``.xml()``.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
            CakeError: Any other error of a call.
        """
        return await self._executor.raw(
            method=method, path=path, params=params, json=json, repeatable=repeatable, writes=writes
        )

    def stats(self) -> ClientStats:
        """Return counts of calls in flight, waiting and unknown, and any pause. Sends nothing."""
        return self._executor.stats()

    def end_pause(self) -> None:
        """End the client's pause at once, for calls of all its views.

        A server that asks for a long wait pauses the client, and calls end in
        :class:`aiocake.RateLimited`. Once you know that the server takes calls again, they need not
        wait for the end of the pause. Does nothing when there is none.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._executor.end_pause()


class ClientSettings(TypedDict, total=False):
    """The settings of :class:`Client`, by name."""

    timeouts: Timeouts | None
    retry: RetryPolicy | None
    throttle: Throttle | None
    binding: Binding
    transport: AsyncBaseTransport | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    ledger: Ledger | None
    grace: float
    read_only: bool
    show_sensitive: bool
    user_agent: str | None
    on_event: OnEvent | None
    traits: InstanceTraits | None


class Client(ClientView):
    """A client of one CAKE instance, for one event loop.

    Use it as ``async with Client(...) as cake:``, or close it with :meth:`aclose`.

    Args:
        domain: The instance's host, such as ``"yourdomain.cake.com"``, or an https URL; plain
            http for a loopback address only.
        api_key: The key, of at most 50 ASCII characters, or an async function that returns it: it
            is called once, and again after "Invalid API key".
        timeouts: How long things may take, in seconds.
        retry: When and how often a call is retried.
        throttle: How many calls are in flight at once, and how fast they are sent.
        binding: The form of v1 calls.
        transport: A transport of httpx or httpx2 in place of our own: a mock, an ASGI application,
            another engine. One that repeats GETs by itself, as aiohttp does, repeats those that
            write as well: give it a ``binding`` other than GET.
        proxy: The URL of a proxy. Proxies of the environment are not used.
        ssl_context: A context in place of one with certifi's certificates.
        ledger: Records each write before it is sent and after it ended.
        grace: Seconds to wait for the response to a write whose caller is cancelled, or whose
            client is closed, once the write has left; 0 for none.
        read_only: Refuse writes before they are sent.
        show_sensitive: True to show names, notes and amounts in errors and logs.
        user_agent: The User-Agent header.
        on_event: A plain function that is called with each event: see :mod:`aiocake.events`.
        traits: What is known of the instance: see :mod:`aiocake.traits`.

    Raises:
        ConfigurationError: Settings are bad; the message names each of them.
    """

    def __init__(  # noqa: PLR0913 - each is a setting, by name
        self,
        domain: str,
        api_key: ApiKey,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        throttle: Throttle | None = None,
        binding: Binding = Binding.GET,
        transport: AsyncBaseTransport | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ledger: Ledger | None = None,
        grace: float = 5.0,
        read_only: bool = False,
        show_sensitive: bool = False,
        user_agent: str | None = None,
        on_event: OnEvent | None = None,
        traits: InstanceTraits | None = None,
    ) -> None:
        self._closed = True  # until it is built: a client that is refused has nothing to close
        check_settings(
            domain=domain,
            api_key=api_key,
            timeouts=timeouts,
            retry=retry,
            throttle=throttle,
            binding=binding,
            transport=transport,
            proxy=proxy,
            ssl_context=ssl_context,
            ledger=ledger,
            grace=grace,
            read_only=read_only,
            show_sensitive=show_sensitive,
            user_agent=user_agent,
            on_event=on_event,
            traits=traits,
        )
        from aiocake import _client_parts as parts  # noqa: PLC0415 - with the first client

        address = parts.parse_address(_text(domain))
        settings = parts.PipelineSettings(
            domain=address.authority,
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            throttle=throttle or Throttle(),
            binding=_binding(binding),
            read_only=read_only,
            show_sensitive=show_sensitive,
            ledger=ledger,
            grace=real(grace) or 0.0,
            for_tests=transport is not None or address.is_loopback,
            traits=traits or InstanceTraits(),
        )
        emitter = parts.EventEmitter(on_event)
        carrier = parts.Transport(
            address=address,
            key=Secret(_text(api_key)) if isinstance(api_key, str) else api_key,
            timeouts=settings.timeouts,
            throttle=settings.throttle,
            http=transport,
            proxy=None if proxy is None else _text(proxy),
            ssl_context=ssl_context,
            user_agent=_text(user_agent or f"aiocake/{version()}"),
            draw=settings.retry.draw,
        )
        super().__init__(parts.CallExecutor(carrier, settings, emitter))
        self._domain = _text(domain)
        self._closed = False

    @classmethod
    def from_env(cls, *, profile: str | None = None, **settings: Unpack[ClientSettings]) -> Self:
        """Make a client from environment variables, and from a profile if one is named.

        The variables are ``CAKE_DOMAIN``; ``CAKE_API_KEY``, or ``CAKE_API_KEY_FILE`` with the path
        of a file that holds it, which is read again after "Invalid API key"; ``CAKE_READ_ONLY`` (1
        or true) to refuse writes; ``CAKE_PROXY`` with the URL of a proxy; ``CAKE_CA_FILE`` with the
        path of a PEM file, whose certificates are trusted in place of certifi's; ``CAKE_PROFILE``
        with the name of a profile. The variables of other programs, such as ``HTTPS_PROXY`` and
        ``SSL_CERT_FILE``, are not read.

        Args:
            profile: The name of a profile: see :mod:`aiocake.profiles`. It gives what neither
                ``settings`` nor the environment do.
            **settings: Settings of :class:`Client`, by name. They take precedence over the
                environment; with a ``transport``, proxy and certificates are not read from it.

        Returns:
            The client.

        Raises:
            ConfigurationError: A variable is missing or cannot be used, a file cannot be read, or
                the environment names another instance than the profile.
        """
        from aiocake import _environment as env  # noqa: PLC0415 - with profiles, and only for this

        chosen = env.profile_of_environment(profile)
        domain = env.domain_of(os.environ.get("CAKE_DOMAIN"), chosen)
        if not domain:
            raise ConfigurationError("CAKE_DOMAIN is not set")
        key = env.key_of_environment(chosen)
        if key is None:
            raise ConfigurationError("neither CAKE_API_KEY nor CAKE_API_KEY_FILE is set")
        found = env.settings_of_environment(domain, settings, chosen)
        every: ClientSettings = {**found, **settings}
        return cls(domain, key, **every)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; calls in flight end in errors. Can be called twice.

        A write that has left is given its grace before, as if its caller had been cancelled.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._closed = True
        await self._executor.transport.aclose(self._executor.settings.grace)

    def __repr__(self) -> str:
        return f"<Client {self._domain}>" if not self._closed else "<Client, closed>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Client is not pickled: make one in each process")

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)


def _text(value: str) -> str:
    """Return a text of any class as a built-in one."""
    return str.__str__(value)


def _binding(value: str) -> Binding:
    check_settings(binding=value)
    try:
        return Binding(_text(value))
    except ValueError:
        raise ConfigurationError(f"binding: must be one of {', '.join(Binding)}") from None
