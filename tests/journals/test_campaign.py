# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Runs in PostgreSQL whose processes, connections and servers fail: each invoice is there once."""

import random
from collections import Counter

import attrs
import pytest

from .ground import Ground, kill, let_go_on, together
from .lives import STAGES, WINDOW

BACKENDS = ["asyncio", "trio"]


def held_up(ground: Ground, dice: random.Random, backend: str, stage: str, *, dies: bool) -> None:
    """One process is killed or stopped at a stage; another one goes on with its run."""
    job = ground.job(backend)
    calls = len(job.affiliates) * job.months
    first = ground.first.begin(
        attrs.evolve(job, stage=stage, nth=dice.randint(1, calls), again=0.0)
    )
    assert "stopped" in first, first
    if dies:
        kill(first["stopped"])
        assert ground.first.said()["code"] == -9
    ended = ground.second.begin(job)
    assert ended.get("complete"), ended
    if not dies:
        let_go_on(first["stopped"])
        last = ground.first.said()
        assert last["code"] == 0, last
        assert not last["complete"], last
        assert "JournalLost" in last["error"], last
        ended = ground.second.begin(job)
        assert ended.get("complete"), ended
    ground.seen[f"{'kill -9' if dies else 'SIGSTOP'} {stage}"] += 1
    ground.count(job, window=stage == WINDOW and not dies)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dies", [True, False], ids=["killed", "stopped"])
def test_a_process_is_held_up_at_a_stage_of_a_create(
    ground: Ground, tally: Counter[str], times: int, backend: str, dies: bool
) -> None:
    dice = random.Random(f"{backend} {dies}")  # noqa: S311 - no secret
    # Each stage in the long run; in the short one, those on either side of the request.
    stages = STAGES * -(-times // len(STAGES)) if times > 1 else STAGES[3:5]
    for stage in stages:
        held_up(ground, dice, backend, stage, dies=dies)
    tally["runs"] += len(stages)


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_have_the_same_plan(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    for _ in range(times):
        job = ground.job(backend, months=2)
        ended = together(lambda: ground.first.begin(job), lambda: ground.second.begin(job))  # noqa: B023 - ended here
        assert all(each["complete"] for each in ended), ended
        ground.count(job)
        tally["two workers for one name"] += 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_plans_are_of_one_partner_and_overlapping_days(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    for _ in range(times):
        job = ground.job(backend, months=1)
        other = attrs.evolve(job, name=f"{job.name}-other", shift=3)
        ended = together(lambda: ground.first.begin(job), lambda: ground.second.begin(other))  # noqa: B023 - the same
        assert all(each["complete"] for each in ended), ended
        ground.count(job)
        ground.count(other)
        tally["two plans for one partner and overlapping days"] += 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_of_two_plans_dies_and_the_other_waits_for_what_it_has_left(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    dice = random.Random(backend)  # noqa: S311 - no secret
    for _ in range(times):
        job = ground.job(backend, months=1)
        other = attrs.evolve(job, name=f"{job.name}-other", shift=3)
        stage = dice.choice(STAGES)
        first = ground.first.begin(attrs.evolve(job, stage=stage, again=0.0))
        kill(first["stopped"])
        assert ground.first.said()["code"] == -9
        # Neither is complete without the other where a create is in doubt.
        ended = together(lambda: ground.first.begin(job), lambda: ground.second.begin(other))  # noqa: B023 - the same
        assert all(each["complete"] for each in ended), ended
        ground.count(job)
        ground.count(other)
        tally["one of two plans killed"] += 1
