"""For the tests of your own code: a sandbox in each test, and clients of it that do not wait.

Name it in your ``conftest.py``, and each test may ask for the fixtures::

    pytest_plugins = ["aiocake.testing"]

They are made by no plugin for asynchronous tests, so they work with each: pytest-asyncio, anyio's,
pytest-trio. Needs pytest and the extra ``sandbox``.
"""

from collections.abc import Generator
from typing import Final

import httpx
import pytest

from aiocake import Binding, Client, Ledger, RetryPolicy, Throttle, Timeouts
from aiocake.events import OnEvent
from aiocake.sandbox import Sandbox, serve

__all__ = ["KEY", "NO_BACKOFF", "Clients", "cake_client", "cake_env", "cake_sandbox"]

#: The key that the sandbox of :func:`cake_sandbox` takes.
KEY: Final = "SANDBOX-KEY"

_AT_ONCE: Final = 1e-6

#: As many attempts as by default, but none of them is waited for, whatever the server asks.
NO_BACKOFF: Final = RetryPolicy(
    base=_AT_ONCE, throttle_base=_AT_ONCE, cap=_AT_ONCE, retry_after_cap=_AT_ONCE
)


class Clients:
    """Makes clients of a sandbox, in process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def __call__(  # noqa: PLR0913 - the settings of a client, by name
        self,
        *,
        api_key: str = KEY,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = NO_BACKOFF,
        throttle: Throttle | None = None,
        binding: Binding = Binding.GET,
        ledger: Ledger | None = None,
        grace: float = 5.0,
        read_only: bool = False,
        payloads: bool = False,
        on_event: OnEvent | None = None,
    ) -> Client:
        """A client that does not wait between attempts; whoever asks for one closes it.

        Args:
            api_key: As of :class:`aiocake.Client`, like all that follows.
            timeouts: The same.
            retry: The same.
            throttle: The same.
            binding: The same.
            ledger: The same.
            grace: The same.
            read_only: The same.
            payloads: The same.
            on_event: The same.
        """
        return Client(
            "sandbox.example",
            api_key,
            transport=httpx.ASGITransport(app=self._sandbox.app),
            timeouts=timeouts,
            retry=retry,
            throttle=throttle,
            binding=binding,
            ledger=ledger,
            grace=grace,
            read_only=read_only,
            payloads=payloads,
            on_event=on_event,
        )


@pytest.fixture
def cake_sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Sandbox:
    """A CAKE of this test's own: 200 invoices, 50 bills of affiliates, the same on each run.

    ``state`` has what is stored, and each request as it came. Runs of creates keep their locks in a
    folder of the test, not in the user's.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("aiocake-state")))
    return Sandbox(api_key=KEY)


@pytest.fixture
def cake_client(cake_sandbox: Sandbox) -> Clients:
    """Makes clients of this test's sandbox, as in ``async with`` one of them ``as cake:``."""
    return Clients(cake_sandbox)


@pytest.fixture
def cake_env(cake_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Serves this test's sandbox, so that ``Client.from_env()`` finds it. Gives its URL."""
    for name in ("CAKE_API_KEY_FILE", "CAKE_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    with serve(cake_sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", KEY)
        yield url
