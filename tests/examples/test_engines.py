# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The examples inside of engines: killed behind the POST, started again, one invoice."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

import anyio
import anyio.to_thread
import procrastinate
import pytest
from temporalio.testing import ActivityEnvironment

from aiocake.bulk.postgres import Postgres
from aiocake.sandbox import Sandbox, serve

from ..support.database import postgres
from ..support.pages import blocks, source
from ..support.postgres import Server

__all__ = ["postgres"]

HURRIED = Path(__file__).with_name("hurried")
AFFILIATES = [67890, 67891]
#: Against hangs, in seconds; no test waits for it.
WATCHDOG = 120


class Instance:
    """A sandbox that carries creates out, and keeps their responses until ``go_on``."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(invoices=0)
        self.arrived: Queue[str] = Queue()
        self.go_on = Event()
        self.sandbox.state.on_response.append(self._hold)

    async def _hold(self, request: Any, _: object) -> None:  # noqa: ANN401 - what came
        if request.method == "POST":  # a create
            self.arrived.put("a create")
            await anyio.to_thread.run_sync(self.go_on.wait, WATCHDOG)

    @property
    def invoices(self) -> dict[int, int]:
        """Return how many invoices each affiliate has."""
        return Counter(row.affiliate_id for row in self.sandbox.state.invoices.values())

    def killed_behind_the_post(self, *command: str, **where: Any) -> None:  # noqa: ANN401 - Popen's
        """Start a process, and kill it when all creates have arrived: it has no response yet."""
        with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, **where) as life:

            def watch() -> None:
                life.communicate()
                for _ in AFFILIATES:
                    self.arrived.put("its end")

            watching = Thread(target=watch)
            watching.start()
            arrived = [self.arrived.get(timeout=WATCHDOG) for _ in AFFILIATES]
            life.kill()
            watching.join()
        self.go_on.set()
        assert arrived == ["a create"] * len(AFFILIATES)
        assert self.invoices == dict.fromkeys(AFFILIATES, 1)


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    made = Instance()
    with serve(made.sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
        monkeypatch.setenv("PYTHONPATH", str(HURRIED))
        yield made
        made.go_on.set()


def again(*command: str, **where: Any) -> str:  # noqa: ANN401 - run's
    """Start the process again, and return what it says."""
    ran = subprocess.run(
        [sys.executable, *command], check=True, stdout=subprocess.PIPE, timeout=WATCHDOG, **where
    )
    return ran.stdout.decode()


def test_dbos_calls_the_step_again_and_there_is_one_invoice(instance, examples, tmp_path) -> None:
    command = str(examples / "dbos_payouts.py"), "2024-01", *map(str, AFFILIATES)
    instance.killed_behind_the_post(*command, cwd=tmp_path)
    for _ in range(2):  # the second time, DBOS has recorded the result
        assert again(*command, cwd=tmp_path).endswith("2 created\n")
        assert instance.invoices == dict.fromkeys(AFFILIATES, 1)


@contextmanager
def where_of(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have libpq's environment name a database with the tables of runs; remove them later."""
    names = {"HOST": "127.0.0.1", "PORT": str(server.port), "DATABASE": "postgres"}
    for name, value in {**names, "USER": "aiocake"}.items():
        monkeypatch.setenv(f"PG{name}", value)
    anyio.run(Postgres().migrate)
    try:
        yield
    finally:
        with server.connect() as connection:
            connection.execute("DROP SCHEMA aiocake CASCADE")


def test_procrastinate_calls_the_task_again_and_there_is_one_invoice(
    instance, examples, example, postgres, monkeypatch
) -> None:
    worker = "-m", "procrastinate", "--app=procrastinate_payouts.app", "worker", "--one-shot"

    async def ask(task: procrastinate.tasks.Task[Any, Any, Any], **arguments: object) -> None:
        async with module.app.open_async():
            if task is module.create_invoices:
                await module.app.schema_manager.apply_schema_async()
            await task.defer_async(**arguments)

    with where_of(postgres, monkeypatch), postgres.connect() as database:
        module = example("procrastinate_payouts")
        anyio.run(lambda: ask(module.create_invoices, month="2024-01", affiliates=AFFILIATES))
        instance.killed_behind_the_post(*worker, cwd=examples)
        # As if the minutes had passed after which worker and lease count as gone.
        database.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1h'")
        database.execute("UPDATE aiocake.run SET lease_until = now() - interval '1h'")
        database.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo'")
        anyio.run(lambda: ask(module.retry_stalled, timestamp=0))
        again(*worker, cwd=examples)
        assert instance.invoices == dict.fromkeys(AFFILIATES, 1)
        jobs = "SELECT status, attempts FROM procrastinate_jobs WHERE task_name LIKE '%invoices'"
        assert database.execute(jobs).fetchall() == [("succeeded", 2)]


@pytest.fixture
def recipes(postgres, instance, monkeypatch) -> Iterator[list[str]]:
    """The code of docs/engines.md, and what its functions find when they are called."""
    instance.go_on.set()
    with where_of(postgres, monkeypatch):
        yield [source(block) for block in blocks("docs/engines.md", "python")]


def test_the_recipe_for_temporal(recipes, instance) -> None:
    found: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(recipes[0], "docs/engines.md", "exec"), found)  # noqa: S102 - our own page
    for _ in range(2):
        attempt = ActivityEnvironment().run(found["create_invoices"], "2024-01", AFFILIATES)
        assert asyncio.run(attempt) == len(AFFILIATES)
        assert instance.invoices == dict.fromkeys(AFFILIATES, 1)


def test_the_recipe_for_celery(recipes, instance) -> None:
    pytest.importorskip("celery", reason="Celery is in an environment of its own: nox -s engines")
    found: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(recipes[1], "docs/engines.md", "exec"), found)  # noqa: S102 - our own page
    for _ in range(2):
        done = found["create_invoices"].apply(args=["2024-01", AFFILIATES]).get()
        assert done == len(AFFILIATES)
        assert instance.invoices == dict.fromkeys(AFFILIATES, 1)
