"""Clients of many tenants: one for each, opened when needed and closed when idle.

::

    async def key_of(tenant: Tenant) -> str:
        return await vault.read(f"cake/{tenant.name}")


    async with ClientPool(key_of, allowed_domains=["*.cake.com"]) as pool:
        async with pool.client("acme.cake.com") as cake:
            invoice = await cake.invoices.get(4821)

Each tenant has a :class:`aiocake.Client` of its own, and with it connections, throttle, retry
budget and key: what one of them does, or is refused, does not touch another. Only the TLS context
is the same for all, for it holds nothing but certificates.

Nothing waits while a client is opened: it connects, and asks for its key, with its first call. A
client is closed when nobody has used it for a while, by a task that ends with the last idle one.
"""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

import anyio
import attrs

from aiocake._background import BackgroundTask, BackgroundTaskCancelled
from aiocake._normalize import FUNCTION, Wanted, a_number, misfit, or_none
from aiocake._pipeline.settings import ClientStats
from aiocake._settings import check_settings
from aiocake._transport import Address, Lifecycle, parse_address
from aiocake.client import Client, ClientSettings, ClientView
from aiocake.errors import ConfigurationError

__all__ = ["ClientPool", "PoolStats", "Tenant"]

_log: Final = logging.getLogger("aiocake")
_WILDCARD: Final = "*."


@attrs.frozen
class Tenant:
    """A tenant: whose client it is.

    Attributes:
        domain: The host of the tenant's instance, as a client sends it: in lower case, with its
            port where that is not the usual one.
        name: What you call the tenant; its domain if you give it no name.
    """

    domain: str
    name: str


@attrs.frozen
class PoolStats:
    """Counts what the clients of a pool are doing.

    Attributes:
        open: Clients that are open.
        in_use: Clients that somebody uses now.
        unknowns: Writes so far whose outcome is unknown, those of closed clients included.
        clients: The counts of each open client.
    """

    open: int
    in_use: int
    unknowns: int
    clients: Mapping[Tenant, ClientStats]


@attrs.define(eq=False)
class _Member:
    """An open client.

    Attributes:
        tenant: Whose it is.
        client: The client.
        view: What users get: all of it, but that they cannot close it.
        users: How many use it now.
        due: When it is closed if nobody uses it, on the event loop's clock.
    """

    tenant: Tenant
    client: Client
    view: ClientView
    users: int = 0
    due: float = math.inf


class ClientPool:
    """Clients of many tenants, for one event loop.

    Use it as ``async with ClientPool(...) as pool:``, or close it with :meth:`aclose`.

    Args:
        api_key: An async function that returns the key of a tenant. It is called with the first
            call of each client, and again after "Invalid API key".
        allowed_domains: The instances that may be opened. ``"acme.cake.com"`` is this host;
            ``"*.cake.com"`` is each host below ``cake.com``, at any depth, and not ``cake.com``
            itself. Scheme and port count: they are https and 443, unless an entry has others.
        settings_for: A function that returns further settings of a tenant's client, such as a
            ledger that records whose write it was. They take precedence over ``settings``.
        max_clients: How many clients are open at most. The one that was not used for longest is
            closed for a new one. One in use is never closed, so more are open while all are used.
        idle_timeout: Seconds after which a client that nobody uses is closed. While the server
            has paused it, it stays open: a new one would not know of the pause.
        **settings: Settings of all clients, by name, as :class:`aiocake.Client` has them; no
            ``transport``, which a client closes, and no ``throttle`` with a shared quota, which is
            of one key: ``settings_for`` can give each tenant its own.

    Raises:
        ConfigurationError: Settings are bad; the message names each of them.
    """

    def __init__(
        self,
        api_key: Callable[[Tenant], Awaitable[str]],
        *,
        allowed_domains: Iterable[str],
        settings_for: Callable[[Tenant], ClientSettings] | None = None,
        max_clients: int = 1000,
        idle_timeout: float = 300.0,
        **settings: Unpack[ClientSettings],
    ) -> None:
        if unknown := settings.keys() - ClientSettings.__annotations__.keys():
            raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
        own = {
            "api_key": api_key,
            "settings_for": settings_for,
            "max_clients": max_clients,
            "idle_timeout": idle_timeout,
        }
        if wrong := [f"{name} {why}" for name in own if (why := misfit(own[name], _MUST_BE[name]))]:
            raise ConfigurationError("; ".join(wrong))
        check_settings(**settings)
        if settings.get("transport") is not None:
            raise ConfigurationError(
                "transport: a client closes its own: give each tenant one by settings_for"
            )
        throttle = settings.get("throttle")
        if throttle is not None and throttle.shared is not None:
            raise ConfigurationError(
                "throttle: a shared quota would be one for all tenants: give each tenant's key its "
                "own by settings_for"
            )
        self._api_key = api_key
        self._allowed = _patterns(allowed_domains)
        self._settings_for = settings_for
        self._max_clients = max_clients
        self._idle_timeout = idle_timeout
        self._settings = settings
        self._lifecycle = Lifecycle("pool")
        #: What a new user of a tenant gets.
        self._members: dict[tuple[Address, str], _Member] = {}
        #: Those of them that nobody uses; the one that was not used for longest comes first.
        self._idle: dict[tuple[Address, str], _Member] = {}
        #: All that are not closed yet, those too that nobody else gets any more.
        self._open: dict[_Member, None] = {}
        self._unknowns = 0
        self._closer: BackgroundTask[None] | None = None
        self._end = anyio.Event()

    @asynccontextmanager
    async def client(self, domain: str, *, tenant: str | None = None) -> AsyncGenerator[ClientView]:
        """Use the client of a tenant; it stays open as long as somebody does.

        Args:
            domain: The tenant's instance, as :class:`aiocake.Client` takes it. Case, a dot at the
                end and ``https://`` make no difference.
            tenant: The name of the tenant. Tenants of one instance that have different names have
                different clients, and keys. By default it is the domain.

        Returns:
            A context manager, which gives the client's endpoints.

        Raises:
            ConfigurationError: The domain is none, or not allowed; or settings are bad.
            ClosedError: The pool is closed.
            WrongLoopError: The pool belongs to another event loop or process.
        """
        self._lifecycle.check_usable()
        key = self._key(domain, tenant)
        member = self._members.get(key) or self._opened(*key)
        member.users += 1
        self._idle.pop(key, None)
        try:
            await self._close(self._surplus())
            yield member.view
        finally:
            member.users -= 1
            if member.users == 0 and not self._lifecycle.closed:
                await self._left(key, member)

    async def forget(self, domain: str, *, tenant: str | None = None) -> None:
        """Close the client of a tenant, whose next user gets a new one and so asks for the key.

        For a tenant that has gone, or a key that was replaced and still works. A client in use is
        closed when the last of its users has left it.

        Args:
            domain: As for :meth:`client`.
            tenant: The same.

        Raises:
            ConfigurationError: The domain is none, or not allowed.
            ClosedError: The pool is closed.
            WrongLoopError: The pool belongs to another event loop or process.
        """
        self._lifecycle.check_usable()
        key = self._key(domain, tenant)
        member = self._members.pop(key, None)
        if self._idle.pop(key, None) is not None and member is not None:
            await self._close([member])

    def stats(self) -> PoolStats:
        """Return counts of what the clients are doing. Sends nothing."""
        clients = {member: member.client.stats() for member in self._open}
        return PoolStats(
            open=len(clients),
            in_use=sum(member.users > 0 for member in clients),
            unknowns=self._unknowns + sum(each.unknowns for each in clients.values()),
            clients={member.tenant: found for member, found in clients.items()},
        )

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
        """Close all clients, those in use too, as :meth:`aiocake.Client.aclose` does.

        Calls in flight end in errors, but a write that has left is given its grace. Can be called
        twice.

        Raises:
            WrongLoopError: The pool belongs to another event loop or process.
        """
        self._lifecycle.check_usable(even_closed=True)
        self._lifecycle.closed = True
        self._end.set()
        async with anyio.create_task_group() as group:
            for member in tuple(self._open):
                group.start_soon(self._close_one, member)
        if self._closer is not None:
            with suppress(BackgroundTaskCancelled):  # by whoever ends the event loop
                await self._closer.result()

    def __repr__(self) -> str:
        if self._lifecycle.closed:
            return "<ClientPool, closed>"
        used = sum(member.users > 0 for member in self._open)
        return f"<ClientPool, {len(self._open)} open, {used} in use>"

    def _key(self, domain: str, name: str | None) -> tuple[Address, str]:
        """Return where a tenant's instance is, and the tenant's name; refuse what is not allowed.

        Nothing is looked up for it.
        """
        address = parse_address(domain)
        if not any(_covers(pattern, address) for pattern in self._allowed):
            # What has no dot in it may be a key, in the wrong argument.
            host = address.authority if "." in address.host else "its host"
            raise ConfigurationError(
                f"domain: not among allowed_domains, so nothing was opened: add {host} there "
                "if it is a tenant's"
            )
        if name is None:
            return address, address.authority
        if reason := misfit(name, _NAME):
            raise ConfigurationError(f"tenant: {reason}")
        return address, name

    def _opened(self, address: Address, name: str) -> _Member:
        """Return a new client. Nothing is sent, looked up or asked for."""
        tenant = Tenant(address.authority, name)
        own = ClientSettings() if self._settings_for is None else self._settings_for(tenant)
        settings: ClientSettings = {**self._settings, **own}
        client = Client(address.base, partial(self._api_key, tenant), **settings)
        member = self._members[address, name] = _Member(tenant, client, client.with_options())
        self._open[member] = None
        return member

    async def _left(self, key: tuple[Address, str], member: _Member) -> None:
        """Keep a client whose last user has left it for the next one, or close it."""
        if self._members.get(key) is not member:  # forgotten
            await self._close([member])
            return
        member.due = self._lifecycle.clock() + self._idle_timeout
        self._idle[key] = member
        await self._close(self._surplus())
        if self._idle and (self._closer is None or self._closer.done):
            # Not in the context variables of a request, which it would keep alive.
            self._closer = Context().run(BackgroundTask, self._close_idle())

    def _surplus(self) -> list[_Member]:
        """Return idle clients that are more than may be open."""
        surplus = len(self._members) - self._max_clients
        if surplus <= 0:
            return []
        return sorted(self._idle.values(), key=_is_paused)[:surplus]

    async def _close_idle(self) -> None:
        """Close each client that is idle for too long, until none is idle."""
        while self._idle and not self._lifecycle.closed:
            now = self._lifecycle.clock()
            overdue = [member for member in self._idle.values() if member.due <= now]
            for member in overdue:
                member.due = now + (member.client.stats().paused_until or 0)
            await self._close([member for member in overdue if member.due <= now])
            due = min((member.due for member in self._idle.values()), default=now)
            with anyio.move_on_after(due - self._lifecycle.clock()):
                await self._end.wait()

    async def _close(self, members: list[_Member]) -> None:
        """Close clients that nobody uses; from here on, nobody gets them."""
        gone = set(members)
        for held in (self._members, self._idle):
            for key in [key for key, member in held.items() if member in gone]:
                del held[key]
        with anyio.CancelScope(shield=bool(members)):
            for member in members:
                await self._close_one(member)

    async def _close_one(self, member: _Member) -> None:
        try:
            await member.client.aclose()
        except Exception as error:  # noqa: BLE001 - of a transport that is no business of ours
            _log.warning(
                "closing the client of %s failed: %s", member.tenant.domain, type(error).__name__
            )
        if member in self._open:
            del self._open[member]
            self._unknowns += member.client.stats().unknowns


def _is_paused(member: _Member) -> bool:
    return member.client.stats().paused_until is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


_NAME: Final[Wanted] = (_is_name, "a text that is not empty")
#: What each setting of the pool has to be.
_MUST_BE: Final[Mapping[str, Wanted]] = {
    "api_key": (callable, "an async function of a tenant"),
    "settings_for": or_none(FUNCTION),
    "max_clients": a_number("a whole number of at least 1", least=1, whole=True),
    "idle_timeout": a_number("a positive number of seconds", least=math.ulp(0.0)),
}


def _patterns(allowed: Iterable[str]) -> list[tuple[bool, Address]]:
    """Return the instances that are allowed: whether it is all below a host, and the host."""
    if isinstance(allowed, str):
        raise ConfigurationError("allowed_domains: must be a list of domains, got one text")
    found: list[tuple[bool, Address]] = []
    for number, entry in enumerate(allowed, 1):
        below = str(entry).startswith(_WILDCARD)
        try:
            found.append((below, parse_address(entry.removeprefix(_WILDCARD) if below else entry)))
        except ConfigurationError as error:
            reason = str(error).removeprefix("domain: ")
            raise ConfigurationError(f"allowed_domains: entry {number}: {reason}") from None
    if not found:
        raise ConfigurationError("allowed_domains: name at least one, or no tenant can be served")
    return found


def _covers(pattern: tuple[bool, Address], address: Address) -> bool:
    below, allowed = pattern
    if below and address.host.endswith(f".{allowed.host}"):
        return attrs.evolve(address, host=allowed.host) == allowed
    return not below and address == allowed
