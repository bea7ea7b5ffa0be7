"""A run of creates whose process is killed again and again: each invoice is there once in the end.

The server is a sandbox in a process of its own, and each life of the run is a process of its own,
killed by SIGKILL at a line that is drawn by lot: of the modules of bulk and of those below it, so
that no part of a run is too short to be hit.
"""

import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from signal import SIGKILL
from typing import Any

import anyio
import attrs
import pytest

from aiocake import Client
from aiocake.bulk.journal_file import view
from aiocake.bulk.log_check import check_log
from aiocake.sandbox import Sandbox

from .lives import Job
from .peers import Weather, sandbox, weather

LIVES = Path(__file__).with_name("lives.py")
#: Where to kill: a module, the lines of it that a run takes, and those that each create takes.
MOMENTS = {
    "bulk/execution.py": (80, 0),
    "bulk/journal_file.py": (155, 0),
    "bulk/journal_schema.py": (14, 0),
    "bulk/ownership.py": (50, 0),
    "bulk/plan.py": (80, 22),
    "bulk/group_commit.py": (120, 38),
    "bulk/run.py": (80, 76),
    "bulk/duplicates.py": (60, 71),
    "bulk/recovery.py": (40, 10),
    "bulk/journal.py": (20, 35),
    "bulk/log_chain.py": (40, 30),
    "bulk/start_or_resume.py": (40, 0),
    "_pipeline/executor.py": (150, 100),
    "_transport/transport.py": (100, 33),
    "_transport/sender.py": (60, 30),
    "_transport/connection.py": (120, 90),
}
#: What a kill may leave, and does leave when there are many.
STAGES = {
    "no plan",
    "a plan of which nothing was sent",
    "calls on their way",
    "calls in doubt",
    "calls to send",
    "nothing to send",
}
MANY = 100
#: And what one kill in thirty leaves: a hundred may be without it.
RARE = {"a plan of which nothing was sent"}
#: Lives of one run at most, before nothing breaks any more.
MOST_LIVES = 40


@attrs.define
class Run:
    """One plan and its journal, from the first life to the last.

    Attributes:
        first: The job of its first life.
        path: The journal.
        dice: Draw its moments.
        seen: Counts what was met.
        lead: Has a process live.
    """

    first: Job
    path: Path
    dice: random.Random
    seen: Counter[str]
    lead: Callable[[Job], dict[str, Any]]
    lives: int = 0
    way: str = "begin"

    @property
    def calls(self) -> int:
        return self.first.months * len(self.first.affiliates)

    def live(self, *, kill: bool) -> bool:
        """One life; whether the run is complete."""
        self.lives += 1
        job = attrs.evolve(self.first, way=self.way)
        if kill:
            module = self.dice.choice(list(MOMENTS))
            lines, more = MOMENTS[module]
            # What comes early is drawn more often: a run that goes on has less to do.
            line = 1 + int((lines + more * self.calls) * self.dice.random() ** 2)
            delay = self.dice.choice([None, 0.0, self.dice.uniform(0, 0.005)])
            job = attrs.evolve(job, module=module, line=line, delay=delay)
        ended = self.lead(job)
        if ended["code"] == -SIGKILL:
            self.seen["kills"] += 1
            self.seen[f"killed in {job.module}"] += 1
            self.seen[f"left {self._stage()}"] += 1
            self.check_chain()
            self.way = self._again("resume")
            return False
        assert ended["code"] == 0, (job, ended)
        self.seen["lives that ended by themselves"] += 1
        return self._ended(ended)

    def _again(self, way: str) -> str:
        """How to go on; one way does whatever there is to do."""
        return "carry" if self.way == "carry" else way

    def _ended(self, ended: dict[str, Any]) -> bool:
        error = str(ended.get("error", ""))
        if error:
            assert self.way == "resume", ended
            assert "no such file" in error or "is empty: its run had not begun" in error, ended
            self.way = "begin"
            return False
        self.way = self._again("resume" if ended["whole"] else "give")
        return bool(ended["complete"])

    def _stage(self) -> str:
        """How far the journal is that a kill has left."""
        states = Counter(state for _, state in self.rows("place, state FROM calls"))
        if not states:
            return "no plan"
        for state, stage in (("sending", "on their way"), ("unknown", "in doubt")):
            if state in states:
                return f"calls {stage}"
        if not self.rows("1 FROM log WHERE place IS NOT NULL LIMIT 1"):
            whole = states["planned"] == self.calls
            return "a plan of which nothing was sent" if whole else "a part of the plan"
        return "calls to send" if "planned" in states else "nothing to send"

    def rows(self, what: str) -> list[tuple[Any, ...]]:
        """What the journal holds, which is left as it is."""
        copy = self.path.with_name("copy.db")
        for end in ("", "-wal", "-journal"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)
            if self.path.with_name(self.path.name + end).exists():
                shutil.copy(f"{self.path}{end}", f"{copy}{end}")
        with closing(sqlite3.connect(copy)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                return []
            return connection.execute(f"SELECT {what}").fetchall()

    def check_chain(self) -> None:
        """The log is a chain, and all of the journal follows from it, wherever a kill fell."""
        if not self.rows("1 FROM calls LIMIT 1"):
            return
        with closing(view(self.path.with_name("copy.db"))) as file:
            found = check_log(file)
        assert (found.integrity, found.completeness) == ((), ())
        self.seen["chains"] += 1

    def check(self) -> list[int]:
        """The journal is complete; the ids of what was made."""
        calls = self.calls
        found = self.rows("place, state, detail FROM calls ORDER BY place")
        assert [(place, state) for place, state, _ in found] == [
            (place, "done") for place in range(calls)
        ]
        details = [json.loads(detail) for *_, detail in found]
        self.seen["creates"] += calls
        self.seen["creates that were looked for"] += sum("found" in each for each in details)
        (*_, (ended, stopped)) = self.rows("ended_at, stopped FROM runs ORDER BY run")
        assert ended is not None
        # The last three may have been lost, which ends the sending, and found when looked for.
        assert stopped in {None, "calls whose outcome is unknown: 3"}
        self.check_chain()
        done = self.rows("place, count(*) FROM log WHERE what = 'done' GROUP BY place")
        assert dict(done) == dict.fromkeys(range(calls), 1)
        return [int(each.get("found") or each["result"]["invoice_id"]) for each in details]


@contextmanager
def processes(
    environment: Mapping[str, str] | None = None,
) -> Iterator[Callable[[Job], dict[str, Any]]]:
    """Lives, one after the other, each in a process of its own."""
    command = [sys.executable, str(LIVES)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    surroundings = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, text=True, env=surroundings, **pipes) as forks:

        def lead(job: Job) -> dict[str, Any]:
            forks.stdin.write(json.dumps(attrs.asdict(job)) + "\n")
            forks.stdin.flush()
            ended: dict[str, Any] = json.loads(forks.stdout.readline())
            return ended

        yield lead


@attrs.frozen(order=True)
class Made:
    number: int
    affiliate: int | None
    start: date


async def listed(url: str) -> list[Made]:
    """What the server has."""
    async with Client(url, "SANDBOX-KEY") as cake:
        rows = await cake.invoices.find(row_limit=1_000).collect()
    return sorted(
        Made(row.invoice_id, row.affiliate_id, row.start_date) for row in rows if row.start_date
    )


@attrs.define
class Ground:
    """What the runs of all tests stand on: a server, processes, and a year for each run."""

    url: str
    lead: Callable[[Job], dict[str, Any]]
    years: Iterator[int] = attrs.field(factory=lambda: itertools.count(2001))


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with sandbox() as url, processes() as lead:
        yield Ground(url, lead)


@pytest.mark.parametrize("sky", ["fair", "foul"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_invoice_is_there_once_however_often_its_run_is_killed(  # noqa: PLR0913, PLR0917 - fixtures
    backend: str,
    sky: str,
    kills: int,
    crash_seed: int,
    ground: Ground,
    tmp_path: Path,
    note: Callable[[Counter[str]], None],
) -> None:
    dice = random.Random(f"{crash_seed} {backend} {sky}")  # noqa: S311 - no secret
    seen: Counter[str] = Counter()
    affiliates = list(Sandbox(invoices=0, bills=0).state.affiliates)
    made: list[int] = []
    years: set[int] = set()
    with weather(ground.url, dice.randrange(1 << 30)) as before:
        while seen["kills"] < kills:
            year = next(ground.years)
            years.add(year)
            first = Job(
                url=before.url if sky == "foul" else ground.url,
                journal=str(tmp_path / f"{year}.db"),
                way=dice.choice(["begin", "carry"]),
                backend=backend,
                limit=dice.randint(1, 8),
                settle=0.1,
                lazy=dice.random() < 0.5,
                affiliates=dice.sample(affiliates, dice.randint(1, 4)),
                year=year,
                months=dice.randint(1, 12),
            )
            run = Run(first, Path(first.journal), dice, seen, ground.lead, way=first.way)
            made += carried_to_its_end(run, before, kills)
        seen.update({f"responses {fault}": count for fault, count in before.met.items()})
    invoices = [each for each in anyio.run(listed, ground.url) if each.start.year in years]
    assert len(invoices) == seen["creates"]
    assert len({(each.affiliate, each.start) for each in invoices}) == seen["creates"]
    assert sorted(made) == [each.number for each in invoices]
    note(seen)
    if kills >= MANY:
        # By chance, a hundred kills may miss one of them.
        missed = {f"killed in {module}" for module in MOMENTS} - set(seen)
        assert len(missed) <= (0 if kills >= 3 * MANY else 1), missed
        stages = STAGES if kills >= 3 * MANY else STAGES - RARE
        assert {f"left {stage}" for stage in stages} <= set(seen)


def carried_to_its_end(run: Run, before: Weather, kills: int) -> list[int]:
    complete = False
    before.foul = True
    while not complete and run.lives < MOST_LIVES and run.seen["kills"] < kills:
        complete = run.live(kill=True)
    before.foul = False
    # To its end; its rest, when the plan was not taken to its end; and what no journal was of yet.
    for _ in range(3):
        complete = complete or run.live(kill=False)
    assert complete
    return run.check()
