"""v1 as a user meets it: a client of a sandbox, in each of the four bindings."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from aiocake import Client
from aiocake.sandbox import Sandbox, serve

from ..support.clients import KEY, NO_BACKOFF
from ..support.loops import one_loop  # noqa: F401 - content knows no event loop


class Tampered(httpx.AsyncBaseTransport):
    """Changes requests on their way to a sandbox, as a broken client or a proxy would.

    Args:
        sandbox: Who answers.
        changes: What is replaced by what, in the URL and in the body.
        content_type: In place of the request's own.
    """

    def __init__(
        self, sandbox: Sandbox, *changes: tuple[str, str], content_type: str | None = None
    ) -> None:
        self._inner = httpx.ASGITransport(app=sandbox.app)
        self._changes = changes
        self._content_type = content_type

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, body = str(request.url), (await request.aread()).decode()
        for before, after in self._changes:
            url, body = url.replace(before, after), body.replace(before, after)
        headers = {name: text for name, text in request.headers.items() if name != "content-length"}
        if self._content_type is not None:
            headers["content-type"] = self._content_type
        return await self._inner.handle_async_request(
            httpx.Request(request.method, url, headers=headers, content=body.encode())
        )


@pytest.fixture(scope="session")
def connect() -> Callable[..., Client]:
    """Makes clients of a sandbox, in process; or of another transport, for scripted answers."""

    def build(sandbox: Sandbox | None = None, **settings: object) -> Client:
        given: dict[str, object] = {"domain": "x.example", "api_key": KEY, "retry": NO_BACKOFF}
        if sandbox is not None:
            given["transport"] = httpx.ASGITransport(app=sandbox.app)
        return Client(**(given | settings))  # type: ignore[arg-type] # they are what they are

    return build


@pytest.fixture(scope="session")
def tamper() -> type[Tampered]:
    return Tampered


@pytest.fixture(scope="module")
def _served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox()
    with serve(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(_served: tuple[Sandbox, str]) -> Sandbox:
    """A sandbox on a socket, which has recorded nothing yet. Its bills may have been changed."""
    state = _served[0].state
    state.requests.clear()
    state.on_request.clear()
    state.on_response.clear()
    return _served[0]


@pytest.fixture
def over_http(_served: tuple[Sandbox, str]) -> Callable[..., Client]:
    """Makes clients of that sandbox, by HTTP."""

    def build(**settings: object) -> Client:
        given: dict[str, object] = {"api_key": KEY, "retry": NO_BACKOFF}
        return Client(_served[1], **(given | settings))  # type: ignore[arg-type] # the same

    return build
