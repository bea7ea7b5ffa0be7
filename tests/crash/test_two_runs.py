"""Two runs of one plan at the same time, each in a process of its own and with its own journal."""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from signal import SIGKILL
from typing import Any

import attrs
import pytest

from aiocake.sandbox import Sandbox, serve

from .lives import Job
from .test_kill import processes

#: As many as make 40 affiliates.
INVOICES = 2_001
PARTNERS = 40
#: Where one of the two is killed, and the lines of the module that a run may take until then.
MOMENTS = {
    "bulk/partner_locks.py": 1_500,
    "bulk/duplicates.py": 2_400,
    "bulk/run.py": 2_000,
    "bulk/reconciliation.py": 200,
    "_transport/connection.py": 3_000,
}
#: Lives of one run at most.
MOST_LIVES = 4
BACKENDS = [*product(["asyncio", "trio"], repeat=2)]


@attrs.define
class Pair:
    """Two processes that have lives, each on a host of its own or both on one."""

    first: Callable[[Job], dict[str, Any]]
    second: Callable[[Job], dict[str, Any]]

    def live(self, *jobs: Job) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(lambda lead, job: lead(job), (self.first, self.second), jobs))


@attrs.define
class Ground:
    sandbox: Sandbox
    url: str
    folder: Path
    pair: Pair
    dice: random.Random
    year: int = 2040

    def jobs(self) -> list[Job]:
        """One plan, twice."""
        self.year += 1
        lazy = self.dice.random() < 0.3
        return [
            Job(
                url=self.url,
                journal=str(self.folder / f"{self.year}{name}.db"),
                way="begin",
                backend=backend,
                limit=self.dice.randint(2, 8),
                settle=0.3,
                lazy=lazy,
                affiliates=list(self.sandbox.state.affiliates)[:PARTNERS],
                year=self.year,
                months=1,
            )
            for name, backend in zip("ab", self.dice.choice(BACKENDS), strict=True)
        ]

    def made(self) -> dict[int, list[int]]:
        """The ids of the invoices of this year, by affiliate."""
        made: dict[int, list[int]] = defaultdict(list)
        for number, invoice in self.sandbox.state.invoices.items():
            if invoice.start_date.year == self.year:
                made[invoice.affiliate_id].append(number)
        return made


@pytest.fixture
def grounds(tmp_path: Path, crash_seed: int) -> Iterator[Callable[..., Ground]]:
    """Makes two processes and a server: the state folders of the processes are given."""
    with ExitStack() as stack:

        def make(*states: str) -> Ground:
            sandbox = Sandbox(invoices=INVOICES, bills=0)
            url = stack.enter_context(serve(sandbox))
            leads = [
                stack.enter_context(processes({"XDG_STATE_HOME": str(tmp_path / state)}))
                for state in states
            ]
            dice = random.Random(crash_seed)  # noqa: S311 - no secret
            return Ground(sandbox, url, tmp_path, Pair(*leads), dice)

        yield make


def test_on_one_host_nothing_is_created_twice(
    grounds: Callable[..., Ground], pairs: int, count: Callable[..., None]
) -> None:
    ground = grounds("one", "one")
    for _ in range(pairs):
        ended = ground.pair.live(*ground.jobs())
        assert all(each["complete"] for each in ended), ended
        made = ground.made()
        assert len(made) == PARTNERS
        assert {len(each) for each in made.values()} == {1}
        assert [each["doubles"] for each in ended] == [[], []]
        count("pairs of runs on one host: no double")
    assert os.listdir(ground.folder / "one") == ["aiocake"]  # noqa: PTH208 - a list


def test_on_two_hosts_each_double_is_told_by_one_of_the_two(
    grounds: Callable[..., Ground], pairs: int, count: Callable[..., None]
) -> None:
    ground = grounds("one", "other")
    for _ in range(pairs):
        ended = ground.pair.live(*ground.jobs())
        reported: dict[int, set[int]] = defaultdict(set)
        for run in ended:
            for _, ours, theirs in run["doubles"]:
                reported[ours] |= {ours, *theirs}
            assert run["complete"] is not bool(run["doubles"]), run
        made = ground.made()
        assert len(made) == PARTNERS
        doubled = [set(each) for each in made.values() if len(each) > 1]
        assert all(each in reported.values() for each in doubled), (doubled, ended)
        assert all(each in doubled for each in reported.values()), (doubled, ended)
        count("pairs of runs on two hosts")
        count("doubles of two hosts, all told", len(doubled))


def test_one_of_the_two_is_killed_and_both_go_on(
    grounds: Callable[..., Ground], pairs: int, count: Callable[..., None]
) -> None:
    ground = grounds("one", "one")
    for _ in range(pairs):
        jobs = ground.jobs()
        module = ground.dice.choice(list(MOMENTS))
        line = 1 + int(MOMENTS[module] * ground.dice.random())
        jobs[0] = attrs.evolve(
            jobs[0], module=module, line=line, delay=ground.dice.choice([None, 0.0, 0.003])
        )
        for _ in range(MOST_LIVES):
            ended = ground.pair.live(*jobs)
            assert {each["code"] for each in ended} <= {0, -SIGKILL}, ended
            count("kills of one of the two", [each["code"] for each in ended].count(-SIGKILL))
            if all(each.get("complete") for each in ended):
                break
            jobs = [_next(*each) for each in zip(jobs, ended, strict=True)]
        assert all(each.get("complete") for each in ended), ended
        made = ground.made()
        assert len(made) == PARTNERS
        assert {len(each) for each in made.values()} == {1}
        assert [each["doubles"] for each in ended] == [[], []]


def _next(job: Job, ended: dict[str, Any]) -> Job:
    """The next life of a run, in which nobody kills it."""
    if not Path(job.journal).exists() or "had not begun" in str(ended.get("error")):
        way = "begin"
    else:
        way = "give"
    return attrs.evolve(job, way=way, module="")
