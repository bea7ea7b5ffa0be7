"""What the tests of journals in PostgreSQL stand on: servers, processes, and the final count."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs

from aiocake.bulk import Journal, LogCheck
from aiocake.bulk.postgres import Postgres
from aiocake.sandbox import Sandbox

from ..support.postgres import Server
from .lives import Job

LIVES = Path(__file__).with_name("lives.py")


class Process:
    """Lives, one after the other, each in a process of its own."""

    def __init__(self, forks: "subprocess.Popen[str]") -> None:
        self._forks = forks

    def begin(self, job: Job) -> dict[str, Any]:
        """Have one live, until it has stopped itself or ended."""
        assert self._forks.stdin is not None
        self._forks.stdin.write(json.dumps(attrs.asdict(job)) + "\n")
        self._forks.stdin.flush()
        return self.said()

    def said(self) -> dict[str, Any]:
        """Wait until it has ended, once it was let go on, or was killed."""
        assert self._forks.stdout is not None
        said: dict[str, Any] = json.loads(self._forks.stdout.readline())
        return said


@contextmanager
def process(folder: Path) -> Iterator[Process]:
    """Run processes that share a host: the locks of their creates are in a folder."""
    command = [sys.executable, str(LIVES)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as forks:
        yield Process(forks)


@attrs.define
class Ground:
    """A server of CAKE's kind, a database, and two hosts with a process each.

    Attributes:
        sandbox: The server of CAKE's kind.
        url: Where it is.
        server: The database.
        first: Processes on one host.
        second: Processes on another.
        seen: Counts what was met.
        years: A year for each run, so that they do not meet.
        conninfo: How the processes reach the database.
    """

    sandbox: Sandbox
    url: str
    server: Server
    first: Process
    second: Process
    seen: Counter[str] = attrs.field(factory=Counter)
    years: Iterator[int] = attrs.field(factory=lambda: itertools.count(2030))
    conninfo: str = ""

    def job(self, backend: str, **more: Any) -> Job:  # noqa: ANN401 - of a job
        """A plan for some affiliates and months of a year of its own."""
        year = next(self.years)
        given: dict[str, Any] = {
            "url": self.url,
            "conninfo": self.conninfo or self.server.conninfo(),
            "name": f"run-{year}",
            "lease": 0.8,
            "backend": backend,
            "limit": 2,
            "total": 2.0,
            "settle": 0.2,
            "affiliates": list(self.sandbox.state.affiliates)[:3],
            "year": year,
            "months": 1,
            "again": 60.0,
        }
        return Job(**(given | more))

    def made(self, year: int) -> Counter[tuple[int | None, int]]:
        """How many invoices there are of each affiliate and month of a year."""
        return Counter(
            (each.affiliate_id, each.start_date.month)
            for each in list(self.sandbox.state.invoices.values())
            if each.start_date.year == year and each.invoice_status != "void"
        )

    def count(self, job: Job, *, window: bool = False) -> None:
        """Count doubles, what is missing, and what is left behind by a run that is complete."""
        made = self.made(job.year)
        doubles = sum(made.values()) - len(made)
        self.seen["doubles in the known window" if window else "doubles"] += doubles
        self.seen["missing"] += len(job.affiliates) * job.months - len(made)
        self.seen["invoices"] += len(made)
        with self.server.connect() as connection:
            query = (
                "SELECT count(*) FROM aiocake.call JOIN aiocake.run USING (run)"
                " WHERE name = %s AND state NOT IN ('done', 'skipped')"
            )
            left = connection.execute(query, [job.name]).fetchone()
            claims = connection.execute(
                "SELECT count(*) FROM aiocake.claim JOIN aiocake.run USING (run) WHERE name = %s",
                [job.name],
            ).fetchone()
        assert left is not None
        assert claims is not None
        self.seen["stranded"] += int(left[0]) + int(claims[0])
        found = anyio.run(self._checked, job.name)
        self.seen["logs that do not hold"] += bool(found.integrity or found.completeness)

    async def _checked(self, name: str) -> LogCheck:
        run = Postgres(conninfo=self.server.conninfo()).run(name)
        async with await Journal.open(run) as journal:
            return await journal.verify_log()


def together(*works: Any) -> list[Any]:  # noqa: ANN401 - of any kind
    """Do several things at once, each in a thread; return what each returned."""
    found: list[Any] = [None] * len(works)

    def do(at: int) -> None:
        found[at] = works[at]()

    threads = [threading.Thread(target=do, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def let_go_on(pid: int) -> None:
    """Let a process go on that has stopped itself."""
    os.kill(pid, signal.SIGCONT)


def kill(pid: int) -> None:
    """Kill a process, stopped or not."""
    os.kill(pid, signal.SIGKILL)
