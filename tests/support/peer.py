"""A peer without a network: it answers each request by its script, and keeps what came."""

import json
from collections.abc import Awaitable, Callable

import anyio
import httpx

from aiocake import Client

from .clients import NO_BACKOFF

KEY = "canary0123456789CANARY"

Step = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def says(body: str | bytes | dict[str, object], status: int = 200, **headers: str) -> Step:
    """Answer so."""
    content = json.dumps(body) if isinstance(body, dict) else body
    return lambda _: httpx.Response(status, content=content, headers=headers)


def done(**fields: object) -> Step:
    """Answer with an invoice that was created or updated."""
    invoice = {"invoice_id": 1, "affiliate_id": 7, "invoice_status": "pending"}
    invoice |= {"total_amount": "12.50", "currency": "USD"}
    return says({"request_status": "Success", "invoice": invoice | fields})


def page(*ids: int, total: int | None = None) -> Step:
    """Answer with a page of invoices."""
    rows = [{"invoice_id": each, "invoice_status": "paid", "total_amount": "1.00"} for each in ids]
    count = len(ids) if total is None else total
    return says({"request_status": "Success", "invoices": rows, "total_rows": count})


def lost(request: httpx.Request) -> httpx.Response:
    """Carry the request out, and lose the answer."""
    raise httpx.ReadError("reset", request=request)


def unreached(request: httpx.Request) -> httpx.Response:
    """Refuse the connection."""
    raise httpx.ConnectError("refused", request=request)


class Held:
    """A step that waits until it is told to go on.

    Args:
        then: What comes after it.
    """

    def __init__(self, then: Step) -> None:
        self._then = then
        self.begun = anyio.Event()
        self.go_on = anyio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.begun.set()
        await self.go_on.wait()
        answer = self._then(request)
        assert isinstance(answer, httpx.Response)
        return answer


class Peer(httpx.AsyncBaseTransport):
    """Takes one step for each request; the last one again and again."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        answer = step(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def client(self, **settings: object) -> Client:
        """A client of it, that does not wait between attempts."""
        given: dict[str, object] = {
            "api_key": KEY,
            "transport": self,
            "retry": NO_BACKOFF,
        }
        return Client("x.example", **(given | settings))  # type: ignore[arg-type] # they are what they are

    @property
    def queries(self) -> list[dict[str, str]]:
        """The parameters of each request, without the key."""
        return [
            {name: value for name, value in request.url.params.items() if name != "api_key"}
            for request in self.requests
        ]

    @property
    def bodies(self) -> list[object]:
        """The body of each request, as JSON."""
        return [json.loads(request.content) for request in self.requests]
