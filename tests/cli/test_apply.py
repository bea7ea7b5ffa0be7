"""``aiocake apply`` and ``aiocake resume``: what is checked anew, and what is said at the end."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import signal
from functools import partial
from pathlib import Path

import anyio
import pytest

from aiocake.bulk import Journal, PlanIdentity
from aiocake.monthend import Plan

PLAN = ("plan", "--period", "2024", "--status", "pending", "--set", "status=approved")
APPLY = ("apply", "year.plan", "--journal", "run.db", "--approvals", 0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def writes(sandbox) -> int:
    return sum(each.method != "GET" for each in sandbox.state.requests)


@pytest.fixture
def planned(cake) -> Plan:
    assert cake(*PLAN, "--out", "year.plan", "--maker", "ada").code == 0
    return Plan.read("year.plan")


def test_fewer_than_no_approvals_are_refused(cake, sandbox, planned: Plan) -> None:
    del planned
    ran = cake(*APPLY[:-1], -1)
    assert (ran.code, ran.err) == (2, "aiocake: --approvals: must be at least 0\n")
    assert not writes(sandbox)


def test_a_plan_that_became_another_while_the_question_was_open_is_refused(
    cake, sandbox, planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cake(*PLAN, "--out", "other.plan", "--maker", "eve").code == 0

    def exchange(*_: object) -> None:
        Path("other.plan").replace("year.plan")

    monkeypatch.setattr("aiocake.cli.apply.confirm", exchange)
    ran = cake(*APPLY, yes=False)
    assert ran.code == 2
    assert "this is another plan" in ran.err
    assert planned.hash in ran.err
    assert not writes(sandbox)


def test_the_run_of_a_plan_whose_file_is_not_known_does_not_go_on_unchecked(
    cake, sandbox, planned: Plan
) -> None:
    async def begin() -> None:
        identity = PlanIdentity(hash=planned.hash, maker="ada", approvals=())
        making = partial(Journal.create, "run.db", planned.header.domain, plan=identity)
        async with await making():
            pass

    anyio.run(begin)
    ran = cake("resume", "run.db")
    assert ran.code == 2
    assert "does not say which file its plan is in" in ran.err
    assert not writes(sandbox)


def test_ctrl_c_says_how_to_go_on(planned: Plan, interrupted) -> None:
    del planned
    ran = interrupted(*APPLY, "--yes", by=signal.SIGINT)
    assert ran.code == 130
    assert ran.err.endswith("; to continue: aiocake resume run.db\n")
