"""A client whose requests are answered by routes, and one whose requests go to a sandbox."""

from collections.abc import Callable

import httpx
import pytest
import respx

from aiocake import Client
from aiocake.sandbox import Sandbox

from ..support.clients import KEY, NO_BACKOFF
from ..support.loops import one_loop  # noqa: F401 - content knows no event loop


@pytest.fixture
def router() -> respx.Router:
    """Routes of one test; a request that none of them knows is an error."""
    return respx.Router(assert_all_called=False)


@pytest.fixture
def routed(router: respx.Router) -> Callable[..., Client]:
    """Makes clients whose requests the routes answer."""

    def build(**settings: object) -> Client:
        transport = httpx.MockTransport(router.async_handler)
        return Client("x.example", KEY, transport=transport, **settings)  # type: ignore[arg-type] # they are what they are

    return build


@pytest.fixture
def connect() -> Callable[..., Client]:
    """Makes clients of a sandbox, in process, that do not wait between attempts."""

    def build(sandbox: Sandbox, **settings: object) -> Client:
        given = {
            "retry": NO_BACKOFF,
            "transport": httpx.ASGITransport(app=sandbox.app),
        }
        return Client("x.example", KEY, **(given | settings))  # type: ignore[arg-type] # the same

    return build
