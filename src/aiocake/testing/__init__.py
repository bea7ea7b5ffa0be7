"""Fixtures for tests of your own code: a sandbox in each test, and clients that do not wait.

Name it in your ``conftest.py``, and each test may ask for the fixtures::

    pytest_plugins = ["aiocake.testing"]

A test chooses the sandbox by a mark, which takes the options of
:class:`~aiocake.sandbox.Sandbox` and of :class:`~aiocake.sandbox.Dialect`::

    @pytest.mark.cake_sandbox(invoices=20, first_row=1)

They are not asynchronous, so they work with each plugin for asynchronous tests: pytest-asyncio,
anyio's, pytest-trio. They need pytest and the extra ``sandbox``; :func:`cake_client` uses httpx,
or httpx2 where httpx is not installed.

It also keeps tests from reaching a real instance: aiocake's own transport, and each
``AsyncHTTPTransport`` of httpx and httpx2, can connect to loopback addresses only. Mocks and ASGI
applications open no connection, so they are allowed, as are Unix sockets. For a proxy, its own
address counts. A refused call raises :class:`aiocake.NotSent`, and is not retried. A test marked
``@pytest.mark.cake_network`` may connect to any address.
"""

import inspect
import ipaddress
from collections.abc import Awaitable, Callable, Generator, Iterator
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, Unpack

import anyio
import attrs
import pytest

from aiocake import Client, RetryPolicy
from aiocake._httpx import AsyncBaseTransport
from aiocake._transport import ConnectionForbidden, dial
from aiocake.client import ClientSettings
from aiocake.sandbox import Dialect, Sandbox, serve
from aiocake.testing.builders import (
    BillFields,
    PayerBillFields,
    make_advertiser_bill,
    make_affiliate_bill,
    make_buyer_bill,
    make_invoice,
)
from aiocake.testing.clock import FROZEN_AT, FrozenClock, frozen_clock

__all__ = [
    "FROZEN_AT",
    "KEY",
    "NO_BACKOFF",
    "BillFields",
    "Clients",
    "FrozenClock",
    "PayerBillFields",
    "cake_client",
    "cake_clock",
    "cake_env",
    "cake_sandbox",
    "frozen_clock",
    "make_advertiser_bill",
    "make_affiliate_bill",
    "make_buyer_bill",
    "make_invoice",
    "pytest_configure",
    "pytest_runtest_protocol",
]

#: The key that the sandbox of :func:`cake_sandbox` takes.
KEY: Final = "SANDBOX-KEY"

_AT_ONCE: Final = 1e-6

#: As many attempts as by default, without a wait between them, whatever the server asks for; and
#: no response pauses the client.
NO_BACKOFF: Final = RetryPolicy(
    base=_AT_ONCE,
    throttle_base=_AT_ONCE,
    cap=_AT_ONCE,
    retry_after_cap=_AT_ONCE,
    longest_pause=0,
)


class Clients:
    """Makes clients of a sandbox, in process.

    Args:
        sandbox: The sandbox that takes their requests.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __call__(self, *, api_key: str = KEY, **settings: Unpack[ClientSettings]) -> Client:
        """Make a client that does not wait between attempts; close it when you are done.

        Args:
            api_key: The key; by default the one that the sandbox takes.
            **settings: Settings of :class:`aiocake.Client`, by name. ``retry`` is
                :data:`NO_BACKOFF` by default, and ``transport`` leads to the sandbox.

        Raises:
            ConfigurationError: Settings are bad; the message names each of them.
            ModuleNotFoundError: Neither httpx nor httpx2 is installed, and no ``transport`` passed.
        """
        passed: ClientSettings = {"retry": NO_BACKOFF, **settings}
        if "transport" not in passed:
            passed["transport"] = _in_process(self._sandbox)
        return Client("sandbox.example", api_key, **passed)


@pytest.fixture
def cake_sandbox(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sandbox:
    """Return a sandbox of this test's own: 200 invoices, 50 affiliate bills, alike in each run.

    ``state`` has the stored records, and each request as it came. Runs of creates keep their locks
    in a folder of the test, not in the user's. The mark ``cake_sandbox`` gives it options; a
    parameter (``indirect=True``) is a dialect, or a mapping of options.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("aiocake-state")))
    options: dict[str, object] = {}
    # The nearest mark counts most: that of the test, then its class, then its module.
    for mark in reversed(list(request.node.iter_markers(_SANDBOX))):
        if mark.args:
            raise pytest.UsageError(f"@pytest.mark.{_SANDBOX} takes options by name only")
        options |= mark.kwargs
    parameter: object = getattr(request, "param", {})
    options |= {"dialect": parameter} if isinstance(parameter, Dialect) else dict(parameter)  # type: ignore[call-overload] # else a mapping
    return _sandbox(options)


_SANDBOX: Final = "cake_sandbox"
_DIALECT: Final = frozenset(field.name for field in attrs.fields(Dialect))


def _sandbox(options: dict[str, object]) -> Sandbox:
    """Return the sandbox that options describe, by the names of both of its classes."""
    own = set(inspect.signature(Sandbox).parameters)
    unknown = sorted(options.keys() - own - _DIALECT)
    if unknown:
        known = sorted(own | _DIALECT)
        close = get_close_matches(unknown[0], known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise pytest.UsageError(f"{_SANDBOX} has no option {', '.join(unknown)}: {hint}")
    spoken: dict[str, Any] = {name: options.pop(name) for name in _DIALECT & options.keys()}
    passed: dict[str, Any] = {"api_key": KEY, **options}
    if spoken:
        passed["dialect"] = attrs.evolve(passed.get("dialect", Dialect()), **spoken)
    return Sandbox(**passed)


@pytest.fixture
def cake_client(cake_sandbox: Sandbox) -> Clients:
    """Return a factory of clients, each for an ``async with``."""
    return Clients(cake_sandbox)


@pytest.fixture
def cake_clock() -> Generator[FrozenClock]:
    """Freeze the clock of aiocake at :data:`FROZEN_AT`, and yield it to be set or moved."""
    with frozen_clock() as clock:
        yield clock


@pytest.fixture
def cake_env(cake_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Serve this test's sandbox over HTTP for ``Client.from_env()``, and yield its URL."""
    for name in ("CAKE_API_KEY_FILE", "CAKE_PROFILE", "CAKE_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    with serve(cake_sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", KEY)
        yield url


_MARKER: Final = "cake_network"
Connect = Callable[..., Awaitable[object]]


class _Network:
    """Holds whether the test that runs may connect to other machines."""

    allowed = False


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and guard each connection that is opened from now on."""
    config.addinivalue_line("markers", f"{_MARKER}: let the test connect to other machines.")
    config.addinivalue_line("markers", f"{_SANDBOX}(**options): options of the test's sandbox.")
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(dial, "open_socket", _guarded(dial.open_socket))
    # What opens connections for httpx, and for httpx2.
    for package in _there("httpcore", "httpcore2"):
        for backend in (package.AnyIOBackend, package.TrioBackend):
            patch.setattr(backend, "connect_tcp", _watched(backend.connect_tcp))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that is marked connect to other machines, with the fixtures made for it."""
    before = _Network.allowed
    _Network.allowed = item.get_closest_marker(_MARKER) is not None
    try:
        return (yield)
    finally:
        _Network.allowed = before


def _in_process(sandbox: Sandbox) -> AsyncBaseTransport:
    """Return a transport that leads to a sandbox without a network."""
    for package in _there("httpx", "httpx2"):
        transport: AsyncBaseTransport = package.ASGITransport(app=sandbox.app)
        return transport
    raise ModuleNotFoundError(
        "aiocake.testing: neither httpx nor httpx2 is installed: pip install httpx"
    )


def _there(*packages: str) -> Iterator[ModuleType]:
    """Import those of several packages that are installed."""
    return (import_module(each) for each in packages if find_spec(each) is not None)


def _guarded(connect: Connect) -> Connect:
    """Guard what opens a socket of our own."""

    @wraps(connect)
    async def open_socket(host: str, *args: Any) -> object:  # noqa: ANN401 - handed on
        await _check(host, None)
        return await connect(host, *args)

    return open_socket


def _watched(connect: Connect) -> Connect:
    """Guard a backend of httpcore or httpcore2."""

    @wraps(connect)
    async def connect_tcp(
        self: object,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - that of httpcore
        *args: Any,  # noqa: ANN401 - handed on
        **kwargs: Any,  # noqa: ANN401 - the same
    ) -> object:
        await _check(host, timeout)
        return await connect(self, host, port, timeout, *args, **kwargs)

    return connect_tcp


async def _check(host: str, seconds: float | None) -> None:
    if not (_Network.allowed or await _is_loopback(host, seconds)):
        raise ConnectionForbidden(
            f"this test must not connect to {host}, which is not known to be this machine; "
            f"@pytest.mark.{_MARKER} allows it"
        )


async def _is_loopback(host: str, seconds: float | None) -> bool:
    """Return True if a host has addresses and all of them are loopback ones."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    found: list[str] = []
    with anyio.move_on_after(seconds):
        found = await _looked_up(host)
    return bool(found) and all(ipaddress.ip_address(each).is_loopback for each in found)


async def _looked_up(host: str) -> list[str]:
    try:
        found = await anyio.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]
