"""Processes that carry out a run in PostgreSQL, each held up at a stage of a create.

Each line of the input of ``python lives.py`` is a job, for which a process is forked. At its stage
the process says so and stops itself (SIGSTOP): whoever gave the job kills it there, or lets it go
on once others have gone on with its run. For each stop, and for each end, a line comes back.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import anyio
import attrs
import psycopg  # noqa: F401 - so that the processes need not
import trio  # noqa: F401 - the same

from aiocake import CakeError, Client, JournalError, RetryPolicy, Throttle, Timeouts, bulk
from aiocake._transport.connection import HttpConnection, SendTrace
from aiocake.bulk import Call, duplicates
from aiocake.bulk import run as running
from aiocake.bulk.postgres import Postgres
from aiocake.bulk.postgres.store import PostgresStore

#: Seconds after which a process that hangs is ended by a signal that the tests do not expect.
PATIENCE = 120
#: The stages of a create, in order, and where each is. The one between the last look at the lease
#: and the first byte cannot be closed: it is what the documentation says of a double.
STAGES = (
    "before the claim",
    "before the look",
    "before the intent",
    "after the intent",
    "before the last look at the lease",
    "between that look and the first byte",
    "after the request",
    "before the outcome is written",
    "after the outcome is written",
)
WINDOW = STAGES[5]


@attrs.frozen(kw_only=True)
class Job:
    """What a process has to do.

    Attributes:
        url: The server.
        conninfo: The database.
        name: The run.
        lease: As of ``Postgres``.
        backend: The event loop.
        limit: Calls on their way at once.
        total: As of ``Timeouts``.
        settle: As of ``bulk.carry``.
        affiliates: Whose invoices the plan creates.
        year: Of which year: one invoice for each affiliate and month.
        months: How many months.
        shift: Days by which the periods begin and end later.
        stage: Where it is stopped; "" to live on.
        nth: At which create it comes there.
        again: Seconds for which it tries again what another process has, or it has lost.
    """

    url: str
    conninfo: str
    name: str
    lease: float
    backend: str
    limit: int
    total: float
    settle: float
    affiliates: list[int]
    year: int
    months: int
    shift: int = 0
    stage: str = ""
    nth: int = 1
    again: float = 0.0


def plan(cake: Client, job: Job) -> list[Call[Any]]:
    more = timedelta(days=job.shift)
    return [
        bulk.call(
            cake.invoices.create,
            affiliate_id=affiliate,
            start_date=date(job.year, month, 1) + more,
            end_date=date(job.year + month // 12, month % 12 + 1, 1) - timedelta(days=1) + more,
        )
        for month in range(1, job.months + 1)
        for affiliate in job.affiliates
    ]


async def carry_out(job: Job) -> dict[str, object]:
    books = Postgres(conninfo=job.conninfo, lease=job.lease)
    ends, lost = time.monotonic() + job.again, []
    async with Client(
        job.url,
        "SANDBOX-KEY",
        throttle=Throttle(concurrency=job.limit),
        timeouts=Timeouts(total=job.total, connect=job.total, read=job.total),
        retry=RetryPolicy(attempts=2),
    ) as cake:
        while True:
            error = ""
            try:
                summary = await bulk.carry(
                    books.run(job.name),
                    cake,
                    calls=lambda: plan(cake, job),
                    settle=job.settle,
                    stop_after=None,
                )
                if summary.complete or time.monotonic() > ends:
                    return {"complete": summary.complete, "summary": str(summary), "lost": lost}
            except JournalError as met:
                error = f"{type(met).__name__}: {met}"
                lost.append(error)
            except CakeError as met:
                error = f"{type(met).__name__}: {met}"
            if error and time.monotonic() > ends:
                return {"complete": False, "error": error, "lost": lost}
            await anyio.sleep(0.1)


def stop_at(stage: str, nth: int, tell: Callable[[], None]) -> None:  # noqa: C901 - a list of stages
    """Stop this process when a create comes to a stage, the nth that does."""
    left = nth

    def come(here: str) -> None:
        nonlocal left
        if here == stage:
            left -= 1
            if left == 0:
                tell()
                os.kill(os.getpid(), signal.SIGSTOP)

    @contextmanager
    def patched(owner: Any, name: str) -> Any:  # noqa: ANN401 - of any class
        yield getattr(owner, name), lambda new: setattr(owner, name, new)

    with patched(PostgresStore, "take") as (take, put):
        put(lambda *given: (come(STAGES[0]), take(*given))[1])
    with patched(duplicates.DuplicateGuard, "_look") as (look, put):

        async def before_look(*given: Any) -> Any:  # noqa: ANN401 - the same
            come(STAGES[1])
            return await look(*given)

        put(before_look)
    with patched(running._CallRecorder, "before") as (before, put):

        async def around_intent(*given: Any) -> None:  # noqa: ANN401 - the same
            come(STAGES[2])
            await before(*given)
            come(STAGES[3])

        put(around_intent)
    with patched(HttpConnection, "_write") as (write, put):

        async def around_write(its: Any, request: bytes, trace: SendTrace) -> bool:  # noqa: ANN401 - the same
            creates = trace.not_after is not None
            if creates:
                come(STAGES[4])
            whole: bool = await write(its, request, trace)
            if creates and trace.sent:
                come(STAGES[6])
            return whole

        put(around_write)
    with patched(SendTrace, "holds_back") as (holds, put):

        def after_look(trace: SendTrace) -> bool:
            held: bool = holds(trace)
            if trace.not_after is not None and not held:
                come(STAGES[5])
            return held

        put(after_look)
    with patched(running._CallRecorder, "after") as (after, put):
        put(lambda *given: (come(STAGES[7]), after(*given))[1])
    with patched(PostgresStore, "write") as (store, put):

        def after_write(its: PostgresStore, changes: Any) -> None:  # noqa: ANN401 - the same
            store(its, changes)
            for _, values in changes:  # one group may have several
                if values[0] == "done":
                    come(STAGES[8])

        put(after_write)


def live(job: Job, pipe: int) -> None:
    signal.alarm(PATIENCE)
    if job.stage:
        stop_at(job.stage, job.nth, lambda: os.write(pipe, b"!"))
    result = anyio.run(carry_out, job, backend=job.backend)
    os.write(pipe, json.dumps(result).encode())


def lead(job: Job, say: Callable[[dict[str, object]], None]) -> None:
    """Have a process live, and say when it has stopped itself and how it ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            live(job, writer)
            code = 0
        except BaseException:  # noqa: BLE001 - shown, whatever it is
            # Whoever gave the job shows it: nothing but its end would be seen otherwise.
            os.write(writer, json.dumps({"raised": traceback.format_exc()}).encode())
        finally:
            os._exit(code)
    os.close(writer)
    said = os.read(reader, 1)
    if said == b"!":
        os.waitpid(pid, os.WUNTRACED)
        say({"stopped": pid})
        said = b""
    with os.fdopen(reader, "rb") as rest:
        said += rest.read()
    _, status = os.waitpid(pid, 0)
    say({"code": os.waitstatus_to_exitcode(status), **json.loads(said or b"{}")})


def main() -> None:
    def say(what: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    for text in sys.stdin:
        lead(Job(**json.loads(text)), say)


if __name__ == "__main__":
    main()
