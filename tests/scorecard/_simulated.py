"""A server without a network, which answers at a moment of simulated time."""

from collections.abc import Awaitable, Callable

import anyio
import httpx

from ..support.clock import SIMULATED
from ._cake import call_of

__all__ = ["SIMULATED", "Answering", "good"]

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Answering(httpx.AsyncBaseTransport):
    """Answers without a network, and notes when each request came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.times.append(anyio.current_time())
        return await self.answer(request)


def good(request: httpx.Request) -> httpx.Response:
    """The answer of a CAKE in good order."""
    path = request.url.raw_path
    return httpx.Response(200, content=call_of(b"X " + path + b" ").body)
