# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The web backend reports errors truthfully, and keeps no slot for browsers that have gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from aiocake import Client, Outcome, RetryPolicy, Throttle
from aiocake.events import CallEnded, Event
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Backend:
    """Run the example's application over a sandbox."""

    def __init__(self, example, **settings: float) -> None:
        self.sandbox = Sandbox(invoices=30)
        self.reported: list[Event] = []
        self.clients: list[Client] = []
        self.app = example("web_backend").build(self._client, **settings)

    @property
    def pending(self) -> int:
        """Return the id of a pending invoice."""
        stored = self.sandbox.state.invoices.values()
        return next(each.invoice_id for each in stored if each.invoice_status == "pending")

    def _client(self) -> Client:
        client = Client(
            "x.example",
            "SANDBOX-KEY",
            transport=httpx.ASGITransport(app=self.sandbox.app),
            retry=RetryPolicy(base=1e-9),
            throttle=Throttle(concurrency=1, max_waiting=0),
            on_event=self.reported.append,
        )
        self.clients.append(client)
        return client

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self.app.router.lifespan_context(self.app) as state:

            async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
                await self.app(scope | {"state": dict(state)}, receive, send)

            self.asgi = app
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://backend"
            ) as browser:
                yield browser


@pytest.fixture
def backend(example) -> Backend:
    return Backend(example)


async def test_one_client_from_the_start_to_the_end(backend) -> None:
    async with backend.running() as browser:
        (client,) = backend.clients
        pending = (await browser.get("/invoices")).json()
        stored = backend.sandbox.state.invoices.values()
        assert pending == [
            {"invoice_id": each.invoice_id, "total_amount": str(each.total_amount)}
            for each in stored
            if each.invoice_status == "pending"
        ]
        number = pending[0]["invoice_id"]
        response = await browser.post(f"/invoices/{number}/approve")
        assert response.json() == {"invoice_id": number, "invoice_status": "approved"}
        assert "closed" not in repr(client)
    assert "closed" in repr(client)
    assert backend.clients == [client]


async def test_a_failure_reaches_the_browser(backend) -> None:
    async with backend.running() as browser:
        number = backend.pending
        missing = await browser.post("/invoices/99999999/approve")
        assert missing.status_code == 404
        backend.sandbox.fail_next("lost", times=None)
        unknown = await browser.post(f"/invoices/{number}/approve")
        assert unknown.status_code == 502
        reported = unknown.json()
        assert reported["error"].endswith("Do not repeat it.")
        ends = [event for event in backend.reported if isinstance(event, CallEnded)]
        assert ends[-1].intent == reported["intent"]


async def test_a_bad_argument_is_the_browsers_and_is_not_sent(backend) -> None:
    async with backend.running() as browser:
        response = await browser.post("/invoices/0/approve")
    assert response.status_code == 422
    reported = response.json()["error"]
    assert reported == "Nothing was sent. invoice_id: must be from 1 to 2147483647"
    assert backend.sandbox.state.requests == []


async def test_a_read_that_runs_out_of_time_is_a_timeout(example) -> None:
    backend = Backend(example, total=0.5)
    backend.sandbox.state.on_request.append(lambda _: anyio.sleep_forever())
    async with backend.running() as browser:
        response = await browser.get("/invoices")
    assert response.status_code == 504
    assert response.json() == {"error": "CAKE did not respond in time. Try again."}


async def test_a_full_queue_is_reported_at_once(backend) -> None:
    arrived, go_on = anyio.Event(), anyio.Event()

    async def hold(*_: object) -> None:
        arrived.set()
        await go_on.wait()

    backend.sandbox.state.on_request.append(hold)
    async with backend.running() as browser, anyio.create_task_group() as group:
        number = backend.pending
        group.start_soon(browser.get, "/invoices")
        await arrived.wait()
        response = await browser.post(f"/invoices/{number}/approve")
        assert response.status_code == 503
        assert response.json() == {"error": "Nothing was done. Try again."}
        go_on.set()


async def test_a_browser_that_goes_cancels_its_handler(backend) -> None:
    arrived, go_on, gone = anyio.Event(), anyio.Event(), anyio.Event()

    async def hold(*_: object) -> None:
        arrived.set()
        await go_on.wait()

    number = backend.pending
    async with backend.running() as browser:
        for method, path in (("GET", "/invoices"), ("POST", f"/invoices/{number}/approve")):
            backend.sandbox.state.on_response[:] = [hold]
            messages = [{"type": "http.request", "body": b"", "more_body": False}]

            async def receive(messages=messages, gone=gone) -> dict[str, object]:
                if messages:
                    return messages.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(_: object) -> None:
                pass

            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "query_string": b"",
                "headers": [],
            }
            async with anyio.create_task_group() as group:
                group.start_soon(backend.asgi, scope, receive, send)
                await arrived.wait()
                gone.set()
                await anyio.wait_all_tasks_blocked()
                if method == "POST":  # the grace of the write
                    go_on.set()
            arrived, go_on, gone = anyio.Event(), anyio.Event(), anyio.Event()
        read, write = [event for event in backend.reported if isinstance(event, CallEnded)]
        assert (read.cancelled, read.outcome) == (True, None)
        assert (write.cancelled, write.outcome) == (True, Outcome.DONE)
        backend.sandbox.state.on_response.clear()
        assert (await browser.get("/invoices")).status_code == 200
