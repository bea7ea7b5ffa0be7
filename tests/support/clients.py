"""Clients of a sandbox in this process, which do not wait before they retry."""

from typing import Final, Unpack

import httpx

from aiocake import Client, RetryPolicy
from aiocake.client import ClientSettings
from aiocake.sandbox import Sandbox

#: The key that a sandbox takes if nothing else is said.
KEY: Final = "SANDBOX-KEY"
#: Retries as usual, without a wait that anybody would notice.
NO_BACKOFF: Final = RetryPolicy(base=1e-6, throttle_base=1e-6, cap=1e-6)


def in_process(
    sandbox: Sandbox, domain: str = "x.example", **settings: Unpack[ClientSettings]
) -> Client:
    """Return a client whose requests a sandbox answers without a network.

    Args:
        sandbox: The sandbox; it has to take ``KEY``.
        domain: The host.
        **settings: Those of the client; ``NO_BACKOFF`` is its retry policy by default.
    """
    given: ClientSettings = {
        "transport": httpx.ASGITransport(app=sandbox.app),
        "retry": NO_BACKOFF,
        **settings,
    }
    return Client(domain, KEY, **given)
