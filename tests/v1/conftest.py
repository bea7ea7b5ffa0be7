"""v1 as a user meets it: a client of a sandbox, in each of the four bindings."""

from collections.abc import Callable

import httpx
import pytest

from aiocake import Client, RetryPolicy
from aiocake.sandbox import Sandbox

KEY = "SANDBOX-KEY"
#: Without waits between the attempts, which are as many as ever.
AT_ONCE = RetryPolicy(base=1e-9, throttle_base=1e-9, cap=1e-9)


@pytest.fixture
def connect() -> Callable[..., Client]:
    """Makes clients of a sandbox, in process; or of another transport, for scripted answers."""

    def build(sandbox: Sandbox | None = None, **settings: object) -> Client:
        given: dict[str, object] = {"retry": AT_ONCE}
        if sandbox is not None:
            given["transport"] = httpx.ASGITransport(app=sandbox.app)
        return Client("x.example", KEY, **(given | settings))  # type: ignore[arg-type] # they are what they are

    return build
