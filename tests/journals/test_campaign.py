"""Runs in PostgreSQL whose processes, connections and servers fail: each invoice is there once."""

import random
from collections import Counter

import attrs
import pytest

from .ground import Ground, kill, let_go_on, together
from .lives import STAGES, WINDOW


def held_up(ground: Ground, dice: random.Random, backend: str, stage: str, *, dies: bool) -> None:
    """One process is killed or stopped at a stage; another one goes on with its run."""
    job = ground.job(backend)
    calls = len(job.affiliates) * job.months
    first = ground.first.begin(
        attrs.evolve(job, stage=stage, nth=dice.randint(1, calls), again=0.0)
    )
    if "stopped" not in first:  # a slow machine: it lost its lease before it came there
        assert "JournalLost" in first.get("error", ""), first
        ground.seen["ended before their stage"] += 1
        ended = ground.second.begin(job)
        assert ended.get("complete"), ended
        ground.count(job)
        return
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
        if stage in STAGES[5:8]:  # its request has left, and its end was not written down
            assert "sent, but the outcome was not recorded" in last["error"], (stage, last)
        ended = ground.second.begin(job)
        assert ended.get("complete"), ended
    ground.seen[f"{'kill -9' if dies else 'SIGSTOP'} {stage}"] += 1
    ground.count(job, window=stage == WINDOW and not dies)


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "stopped"])
def test_a_process_is_held_up_at_a_stage_of_a_create(
    ground: Ground, tally: Counter[str], times: int, backend: str, *, dies: bool
) -> None:
    dice = random.Random(f"{backend} {dies}")  # noqa: S311 - no secret
    # Each stage in the long run; in the short one, that with most to lose.
    short = STAGES[6] if dies else STAGES[3]
    stages = (STAGES * -(-times // len(STAGES)))[:times] if times > 1 else [short]
    for stage in stages:
        held_up(ground, dice, backend, stage, dies=dies)
    tally["runs"] += len(stages)


def test_two_processes_have_the_same_plan(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    for _ in range(times):
        job = ground.job(backend, months=2)
        ended = together(lambda: ground.first.begin(job), lambda: ground.second.begin(job))  # noqa: B023 - ended here
        assert all(each["complete"] for each in ended), ended
        ground.count(job)
        tally["two workers for one name"] += 1


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


def test_one_of_two_plans_dies_and_the_other_waits_for_what_it_has_left(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    dice = random.Random(backend)  # noqa: S311 - no secret
    for _ in range(times):
        job = ground.job(backend, months=1)
        other = attrs.evolve(job, name=f"{job.name}-other", shift=3)
        stage = dice.choice(STAGES)
        first = ground.first.begin(attrs.evolve(job, stage=stage, again=0.0))
        if "stopped" in first:
            kill(first["stopped"])
            assert ground.first.said()["code"] == -9
            tally["one of two plans killed"] += 1
        # Neither is complete without the other where a create is in doubt.
        ended = together(lambda: ground.first.begin(job), lambda: ground.second.begin(other))  # noqa: B023 - the same
        assert all(each["complete"] for each in ended), ended
        ground.count(job)
        ground.count(other)
