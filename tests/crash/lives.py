"""Processes that carry out a run, each killed at a moment of its own: ``python lives.py``.

Each line of the input is a job; a process is forked for it, which counts the lines that it runs of
one module of aiocake's. At the line of that number it tells, and is killed: just there, or a moment
later, in whatever it is doing then (SQLite's commits, above all). For each job a line comes back
that says how it ended. A process that is forked from one which has imported all, and has done
nothing, takes a hundredth of the time that a new interpreter takes.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import attrs
import trio  # noqa: F401 - so that the processes need not

import aiocake
from aiocake import CakeError, Client, Throttle, bulk
from aiocake.bulk import Call

PACKAGE = Path(aiocake.__file__).parent
#: Seconds after which a process that hangs is ended by a signal that the tests do not expect.
PATIENCE = 60


@attrs.frozen(kw_only=True)
class Job:
    """What a process has to do.

    Attributes:
        url: The server.
        journal: The path of the journal.
        way: "begin" a run, "resume" it with nothing but the journal, "give" the plan again, or
            "carry" it, whatever there is of it.
        backend: The event loop.
        limit: Calls on their way at once.
        settle: As of ``bulk.each``.
        lazy: Whether the plan is a generator.
        affiliates: Whose invoices the plan creates.
        year: Of which year: one invoice for each affiliate and month.
        months: How many months.
        module: The module whose lines are counted; "" to live on.
        line: At which of them it is killed.
        delay: Seconds that it lives on from there; None to have it stand still.
    """

    url: str
    journal: str
    way: str
    backend: str
    limit: int
    settle: float
    lazy: bool
    affiliates: list[int]
    year: int
    months: int
    module: str = ""
    line: int = 0
    delay: float | None = None


def plan(cake: Client, job: Job) -> Iterator[Call[Any]]:
    for month in range(1, job.months + 1):
        start = date(job.year, month, 1)
        end = date(job.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        for affiliate in job.affiliates:
            yield bulk.call(
                cake.invoices.create, affiliate_id=affiliate, start_date=start, end_date=end
            )


async def carry_out(job: Job) -> dict[str, object]:
    throttle = Throttle(concurrency=job.limit)
    async with Client(job.url, "SANDBOX-KEY", throttle=throttle) as cake:
        calls = plan(cake, job) if job.lazy else list(plan(cake, job))
        try:
            if job.way == "carry":
                summary = await bulk.carry(
                    job.journal, cake, calls=lambda: calls, settle=job.settle
                )
            elif job.way == "begin":
                summary = await bulk.each(calls, journal=job.journal, settle=job.settle)
            else:
                given = calls if job.way == "give" else None
                summary = await bulk.resume(job.journal, cake, calls=given, settle=job.settle)
        except CakeError as error:
            return {"error": f"{type(error).__name__}: {error}"}
    return {
        "complete": summary.complete,
        "whole": summary.plan_read,
        "doubles": [attrs.astuple(each) for each in summary.doubles],
        "summary": repr(summary),
    }


def tell_at_line(job: Job, pipe: int) -> None:
    """Say so when the line of that number runs, in whichever thread."""
    path, left = str(PACKAGE / job.module), job.line

    def line(_: FrameType, event: str, __: object) -> Any:  # noqa: ANN401 - itself: no type says so
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.write(pipe, b"!")
                if job.delay is None:
                    signal.pause()
        return line

    def call(frame: FrameType, _: str, __: object) -> Any:  # noqa: ANN401 - the same
        return line if left > 0 and frame.f_code.co_filename == path else None

    threading.settrace(call)
    sys.settrace(call)


def live(job: Job, pipe: int) -> None:
    signal.alarm(PATIENCE)
    if job.module:
        tell_at_line(job, pipe)
    result = anyio.run(carry_out, job, backend=job.backend)
    os.write(pipe, json.dumps(result).encode())


def lead(job: Job) -> dict[str, object]:
    """Have a process live, and kill it when its moment has come."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            live(job, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    said = os.read(reader, 1)
    if said == b"!":
        time.sleep(job.delay or 0)
        os.kill(pid, signal.SIGKILL)
        said = b""
    with os.fdopen(reader, "rb") as rest:
        said += rest.read()
    _, status = os.waitpid(pid, 0)
    ended: dict[str, object] = {"code": os.waitstatus_to_exitcode(status)}
    return ended | json.loads(said or b"{}")


def main() -> None:
    for text in sys.stdin:
        sys.stdout.write(json.dumps(lead(Job(**json.loads(text)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
