# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The web backend, served by uvicorn: honest responses, and nothing is lost when somebody goes."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from queue import Queue
from threading import Event as ThreadEvent
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from aiocake import Client, Outcome, errors
from aiocake.events import CallEnded, Event
from aiocake.sandbox import Sandbox, serve

KEY = "SANDBOX-KEY"
PAYOUT = {"affiliate_id": 67890, "year": 2031, "month": 1}


class Cake:
    """A sandbox on a socket, which holds requests on demand."""

    def __init__(self, folder) -> None:
        self.sandbox = Sandbox(invoices=30, api_key=KEY)
        self.books = str(folder / "books.db")
        self.arrived: Queue[str] = Queue()
        self.go_on = ThreadEvent()
        self.url = ""

    @property
    def env(self) -> dict[str, str]:
        return {"CAKE_DOMAIN": self.url, "CAKE_API_KEY": KEY, "BOOKS": self.books}

    def hold(self) -> None:
        """Carry requests out, and let nobody have a response before ``go_on``."""

        async def wait(request: Any, _: object) -> None:  # noqa: ANN401 - what came
            self.arrived.put(request.path)
            await anyio.to_thread.run_sync(self.go_on.wait, 20)

        self.sandbox.state.on_response.append(wait)

    def recorded(self, text: str = "SELECT outcome FROM intents") -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.books)) as books:
            return books.execute(text).fetchall()


@pytest.fixture
def cake(tmp_path) -> Iterator[Cake]:
    made = Cake(tmp_path)
    with serve(made.sandbox) as made.url:
        yield made
        made.go_on.set()


@pytest.fixture
def ended() -> Queue[CallEnded]:
    return Queue()


@pytest.fixture
def backend(example, served, cake, ended, monkeypatch) -> Iterator[httpx.Client]:
    """Serve the example; its calls' ends are put into the queue ``ended``."""
    for name, value in cake.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAX_WAITING", "0")
    module = example("web_backend")

    def take(event: Event) -> None:
        if isinstance(event, CallEnded):
            ended.put(event)

    watched = SimpleNamespace(from_env=partial(Client.from_env, on_event=take))
    monkeypatch.setattr(module, "Client", watched)
    with served(module.app) as http:
        yield http


def test_records_are_responses_and_amounts_are_texts(backend, cake) -> None:
    stored = cake.sandbox.state.invoices
    assert backend.get("/invoices/4821").json()["total_amount"] == str(stored[4821].total_amount)
    pending = backend.get("/invoices", params={"status": "pending"}).json()
    assert [each["invoice_id"] for each in pending] == [
        each.invoice_id for each in stored.values() if each.invoice_status == "pending"
    ]
    approved = backend.post("/invoices/4821/approve").json()
    assert approved["invoice_status"] == stored[4821].invoice_status == "approved"
    schemas = backend.get("/openapi.json").json()["components"]["schemas"]
    assert {"Invoice", "UpdatedInvoice", "CreatedInvoice"} <= schemas.keys()
    amount = schemas["Invoice"]["properties"]["total_amount"]
    assert amount == {"type": "string", "format": "decimal"}


def test_a_payout_is_created_once(backend, cake) -> None:
    before = len(cake.sandbox.state.invoices)
    assert [backend.post("/payouts", json=PAYOUT).status_code for _ in range(3)] == [201, 409, 409]
    assert len(cake.sandbox.state.invoices) == before + 1
    assert cake.recorded() == [("done",)]
    assert backend.get("/doubts").json() == []
    refused = {**PAYOUT, "affiliate_id": 1}  # is due again each time
    assert [backend.post("/payouts", json=refused).status_code for _ in range(2)] == [404, 404]
    assert cake.recorded("SELECT state FROM payouts WHERE affiliate_id = 1") == [("due",)]


def test_an_error_is_a_response(backend, cake, ended) -> None:
    assert backend.get("/invoices/99999999").status_code == 404
    refused = backend.post("/invoices/0/approve")
    assert (refused.status_code, refused.json()) == (
        422,
        {
            "error": "Nothing was sent. invoice_id: must be from 1 to 2147483647",
            "outcome": "not_done",
        },
    )
    cake.sandbox.state.on_response.append(lambda *_: PlainTextResponse("lost", 502))
    unknown = backend.post("/payouts", json=PAYOUT)
    assert (unknown.status_code, unknown.json()["outcome"]) == (502, "unknown")
    while (end := ended.get(timeout=20)).operation != "invoices.create":
        pass
    assert unknown.json()["intent"] == end.intent
    (doubt,) = backend.get("/doubts").json()
    assert (doubt["intent"], doubt["operation"]) == (end.intent, "invoices.create")
    assert backend.get("/health").json()["unknowns"] == 1
    assert backend.post("/payouts", json=PAYOUT).status_code == 409


INTENT = errors.Intent("id", "invoices.create")


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (errors.NotSent("full"), 503, "1"),
        (errors.ClosedError("closed"), 503, "1"),
        (errors.RateLimited("later", status=429, retry_after=12.1), 503, "13"),
        (errors.RateLimited("later", status=429), 503, "60"),
        (errors.Restricted("Restricted", status=200), 503, "60"),
        (
            errors.OutcomeUnknown("?", intent=INTENT, cause=errors.ServerError("", status=500)),
            502,
            None,
        ),
        (errors.OutcomeUnknown("?", intent=INTENT, cause=errors.DeadlineExceeded("")), 504, None),
        (errors.DeadlineExceeded("late"), 504, None),
        (errors.AlreadyExists("there", existing=(1,)), 409, None),
        (errors.TipaltiError("no", status=200), 409, None),
        (errors.AuthenticationError("Invalid API key", status=200), 500, None),
        (errors.ConfigurationError("domain"), 500, None),
        (errors.ServerError("", status=500), 502, None),
        (errors.DecodeError("no JSON"), 502, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_status(example, error, status, wait) -> None:
    response = example("error_responses").response_of(error)
    assert (response.status_code, response.headers.get("Retry-After")) == (status, wait)


def test_a_full_queue_is_a_503_and_who_goes_makes_room(backend, cake, ended, send) -> None:
    cake.hold()
    callers = [send(backend.base_url, "GET", f"/invoices/{4821 + each}") for each in range(8)]
    for _ in callers:
        cake.arrived.get(timeout=20)
    full = backend.post("/invoices/4821/approve")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "1")
    assert full.json()["outcome"] == "not_done"
    assert ended.get(timeout=20).outcome is Outcome.NOT_DONE
    assert backend.get("/health").json()["in_flight"] == 8
    for each in callers:
        each.close()
    # CAKE has not answered yet.
    assert all(ended.get(timeout=20).cancelled for _ in callers)
    assert backend.get("/health").json()["in_flight"] == 0
    cake.go_on.set()
    assert backend.get("/invoices/4821").status_code == 200


def test_a_write_that_has_left_is_finished_when_its_caller_goes(backend, cake, ended, send) -> None:
    cake.hold()
    caller = send(backend.base_url, "POST", "/payouts", PAYOUT)
    cake.arrived.get(timeout=20)
    caller.close()
    for _ in range(2):  # by then, the server has noticed
        backend.get("/health")
    cake.go_on.set()
    end = ended.get(timeout=20)
    assert (end.cancelled, end.outcome) == (True, Outcome.DONE)
    assert cake.recorded("SELECT state, outcome FROM payouts, intents") == [("invoiced", "done")]


def test_what_runs_after_a_response_is_not_cancelled(example, served) -> None:
    go_on, ran = ThreadEvent(), ThreadEvent()

    async def later() -> None:
        await anyio.to_thread.run_sync(go_on.wait, 20)
        await anyio.lowlevel.checkpoint()
        ran.set()

    def respond(_: object) -> PlainTextResponse:
        return PlainTextResponse("soon", background=BackgroundTask(later))

    app = Starlette(routes=[Route("/", respond)])
    app.add_middleware(example("cancel_on_disconnect").CancelOnDisconnect)
    with served(app) as http:
        assert http.get("/", headers={"Connection": "close"}).text == "soon"
        go_on.set()
        assert ran.wait(20)


def test_the_page_shows_the_middleware_as_it_is(examples) -> None:
    page = (examples.parent / "docs" / "web.md").read_text(encoding="utf-8")
    source = (examples / "cancel_on_disconnect.py").read_text(encoding="utf-8")
    assert source[source.index("class ") :] in page


class Worker:
    """The example in a process of its own, as it is started from a shell."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        self._log = process.stderr
        self.url = self.read_until("running on ").split()[0]

    def read_until(self, text: str) -> str:
        """Return what follows a text in the log."""
        seen = []
        for line in self._log:
            seen.append(line)
            if text in line:
                return line.partition(text)[2]
        pytest.fail("".join(seen))


@pytest.fixture
def start(examples, cake) -> Callable[..., Any]:
    @contextmanager
    def start(*options: str) -> Iterator[Worker]:
        uvicorn = (sys.executable, "-m", "uvicorn", "--app-dir", str(examples), "--port", "0")
        command = [*uvicorn, *options, "web_backend:app"]
        env = {**os.environ, **cake.env}
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield Worker(process)
            finally:
                process.kill()

    return start


def test_a_server_that_is_told_to_end_finishes_and_records_its_writes(start, cake, send) -> None:
    cake.hold()
    with start("--timeout-graceful-shutdown", "0") as worker:
        with send(worker.url, "POST", "/payouts", PAYOUT):
            cake.arrived.get(timeout=20)
            worker.process.send_signal(signal.SIGTERM)
            worker.read_until("timeout graceful shutdown exceeded")
            cake.go_on.set()
            worker.read_until("Application shutdown complete")
        worker.process.wait(20)
    assert cake.recorded("SELECT state, outcome FROM payouts, intents") == [("invoiced", "done")]


def test_the_write_of_a_server_that_is_killed_is_in_doubt(start, cake, send) -> None:
    cake.hold()
    with start() as worker, send(worker.url, "POST", "/payouts", PAYOUT):
        cake.arrived.get(timeout=20)
        worker.process.kill()
        worker.process.wait(20)
    assert cake.recorded() == [(None,)]
    cake.go_on.set()
    with start() as worker, httpx.Client(base_url=worker.url, trust_env=False) as http:
        assert http.get("/doubts").json() == []  # it might be on its way, from another worker
        with sqlite3.connect(cake.books) as books:  # as if time had passed
            books.execute("UPDATE intents SET began = '2024-01-31T10:00:00+00:00'")
        books.close()
        (doubt,) = http.get("/doubts").json()
        assert doubt["operation"] == "invoices.create"
        assert http.post("/payouts", json=PAYOUT).status_code == 409
