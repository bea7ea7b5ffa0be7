"""A whole month end by the commands: planned, approved, killed, gone on with, audited.

The server is a sandbox in a process of its own, and what stands before it loses a share of the
answers to writes. Each command is a process of its own. ``apply`` is killed in the middle, and so
is the ``resume`` that follows; each time somebody else voids invoices that are still to be written.
``--month-end 10000`` (``nox -s monthend``) does it with so many invoices, which are approved first
and then paid.
"""

import csv
import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr
from decimal import Decimal
from io import StringIO
from pathlib import Path
from random import Random
from signal import SIGKILL
from typing import Any

import attrs
import pytest

from aiocake.cli.app import run
from aiocake.monthend import Plan

from ..crash.model import copy
from ..crash.peers import Weather, weather
from ..support.signing import People
from .conftest import FEW

SERVER = Path(__file__).with_name("server.py")
#: Of the answers to writes, so many in a hundred are lost, or cut off. Of twice as many, all three
#: attempts of some calls would be lost, and the third such call would stop the run.
LOSSES = {"lost after": 2, "cut": 2}
#: So many are voided while a plan is applied: half of them after each kill.
VOIDED = 50
#: The most times that a command is repeated because too many answers were lost in a row.
MOST_RESUMED = 10
WATCHDOG = 1_200


class Server:
    """The process of the sandbox, and somebody who sees all that it has."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = self._line()

    def ask(self, name: str, *given: object) -> Any:  # noqa: ANN401 - JSON
        self.begin_to_ask(name, *given)
        return self.answer()

    def begin_to_ask(self, name: str, *given: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *given]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self._line())

    def answers_before(self, command: "subprocess.Popen[str]") -> bool:
        """Whether it answers before a command ends, which writes nothing earlier."""
        ready, *_ = select.select([self._process.stdout, command.stdout], [], [], WATCHDOG)
        assert ready, "both hang"
        return self._process.stdout in ready

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the server has ended"
        return line


@contextmanager
def server(count: int, status: str) -> Iterator[Server]:
    command = [sys.executable, str(SERVER), str(count), status]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


@attrs.frozen
class Ran:
    code: int
    out: str
    err: str


@attrs.frozen
class Desk:
    """Where the commands are typed: a folder, and the environment."""

    folder: Path
    environment: Mapping[str, str]

    def begin(self, *words: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "aiocake", *map(str, words)],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *words: object) -> Ran:
        with self.begin(*words) as process:
            out, err = process.communicate(timeout=WATCHDOG)
        return Ran(process.returncode, out, err)

    def check(self, *words: object, code: int = 0) -> Ran:
        ran = self.run(*words)
        assert ran.code == code, (words, ran)
        return ran


@attrs.define
class MonthEnd:
    """One plan, from its making to its audit.

    Attributes:
        desk: Where the commands are typed.
        cake: The server.
        sky: What stands before it.
        people: Those who sign.
        sets: The status that the invoices get.
        dice: Draw whom somebody voids.
        print: Takes what it comes to, in lines.
        voided: Whom somebody has voided.
    """

    desk: Desk
    cake: Server
    sky: Weather
    people: People
    sets: str
    dice: Random
    print: Callable[[str], None]
    voided: list[int] = attrs.field(factory=list)

    def say(self, line: str) -> None:
        self.print(f"{self.sets}: {line}")

    @property
    def file(self) -> Path:
        return self.desk.folder / f"{self.sets}.plan"

    @property
    def journal(self) -> Path:
        return self.desk.folder / f"{self.sets}.db"

    @property
    def receipt(self) -> Path:
        return self.desk.folder / f"{self.sets}.receipt"

    def carry_through(self, *more: object) -> None:
        """Plan, approve, apply, be killed, resume, be killed, and apply to the end."""
        before, apply = self._plan_and_approve(more)
        rows = Plan.read(self.file).header.rows
        lost = self.sky.met.total() - self.sky.met["fine"]
        for number, words in enumerate((apply, ("resume", self.journal, "--yes")), 1):
            self._kill(words, len(before["changes"]), rows * number // 3)
        ends = ("--format", "json", "--report", "report.csv", "--receipt", self.receipt)
        ran = self.desk.run(*apply, *ends)
        for _ in range(MOST_RESUMED):
            if ran.code not in {1, 7}:
                break
            ran = self.desk.run(*apply, *ends)
        assert ran.code == 10, ran
        after = self.cake.ask("show")
        self.say(
            f"{rows:,} rows, killed twice, "
            f"{self.sky.met.total() - self.sky.met['fine'] - lost:,} answers lost, "
            f"{after['requests'] - before['requests']:,} requests, "
            f"{after['repeats'] - before['repeats']:,} set again to the same"
        )
        self._check_books(before, after)
        self._check_totals(json.loads(ran.out), after)
        self._check_report()
        self._check_audit()
        self._check_breaks()

    def _plan_and_approve(
        self, more: Iterable[object]
    ) -> tuple[dict[str, Any], tuple[object, ...]]:
        desk, people = self.desk, self.people
        now = "pending" if self.sets == "approved" else "approved"
        desk.check(
            *("plan", "--period", "2024-01", "--status", now, "--set", f"status={self.sets}"),
            *("--maker", "maria", "--sign", people.key("maria"), "--out", self.file, *more),
        )
        signers = people.folder / "allowed_signers"
        for who in ("ben", "kim"):
            words = ("approve", self.file, "--key", people.key(who), "--signers", signers, "--yes")
            desk.check(*words)
        apply = ("apply", self.file, "--journal", self.journal, "--approvals", 2, "--yes")
        return self.cake.ask("show"), (*apply, "--signers", signers)

    def _kill(self, words: Iterable[object], begun: int, done: int) -> None:
        """Run a command until so many rows are done, kill it, and void some that are not."""
        self.cake.begin_to_ask("wait", begun + done)
        for _ in range(MOST_RESUMED):
            with self.desk.begin(*words) as process:
                if killed := self.cake.answers_before(process):
                    process.kill()
                out, err = process.communicate(timeout=WATCHDOG)
            assert process.returncode in ({-SIGKILL} if killed else {1, 7}), (out, err)
            if killed:
                break
        assert self.cake.answer() >= begun + done
        states = self._states()
        left = [n for n, state in states.items() if state == "planned" and n not in self.voided]
        chosen = self.dice.sample(left, VOIDED // 2)
        self.voided += chosen
        self.cake.ask("void", chosen)

    def _states(self) -> dict[int, str]:
        """The state of each row, by its invoice, as a kill has left it."""
        looked_at = self.desk.folder / "looked at.db"
        copy(self.journal, looked_at)
        with closing(sqlite3.connect(looked_at)) as connection:
            rows = connection.execute("SELECT call, state FROM calls").fetchall()
        return {json.loads(call)["arguments"]["invoice_id"]: state for call, state in rows}

    def _check_books(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Each row was carried out once, and what somebody has voided not at all."""
        old, new = dict(before["changes"]), dict(after["changes"])
        planned = {int(str(row.arguments["invoice_id"])) for row in Plan.read(self.file).rows}
        assert len(self.voided) == len(set(self.voided)) == VOIDED
        changed = {number: all_[len(old.get(number, [])) :] for number, all_ in new.items()}
        assert {number for number, each in changed.items() if each} == planned - set(self.voided)
        assert all(each in ([], [self.sets]) for each in changed.values())
        status = {number: status for number, status, *_ in after["invoices"]}
        assert {status[number] for number in self.voided} == {"void"}

    def _check_totals(self, lines: list[dict[str, Any]], after: dict[str, Any]) -> None:
        """Plan, done and CAKE agree to the cent: what was planned is done, or was skipped."""
        voided, planned, skipped = set(self.voided), Decimal(), defaultdict[str, Decimal](Decimal)
        plan = Plan.read(self.file)
        numbers = set()
        for row in plan.rows:
            assert row.record is not None
            assert row.record.amount is not None
            number = int(str(row.arguments["invoice_id"]))
            numbers.add(number)
            if number in voided:
                skipped[str(row.record.currency)] += row.record.amount
        in_cake, void = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
        for number, status, amount, currency in after["invoices"]:
            if number in numbers:
                (in_cake if status == self.sets else void)[currency] += Decimal(amount)
        assert [line["kind"] for line in lines] == ["payout"] * len(plan.totals)
        for line, total in zip(lines, plan.totals, strict=True):
            currency = line["currency"]
            planned, done = (Decimal(line[f"{each}_amount"]) for each in ("planned", "done"))
            assert (currency, planned) == (total.currency, total.amount)
            assert planned == done + skipped[currency]
            assert (in_cake[currency], void[currency]) == (done, skipped[currency])
            self.say(
                f"{currency}: planned {planned:,}, done and in CAKE {done:,}, "
                f"skipped and void in CAKE {skipped[currency]:,}"
            )
        assert sum(line["done"] for line in lines) == len(numbers) - VOIDED

    def _check_report(self) -> None:
        with (self.desk.folder / "report.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        skipped = {int(row["record_id"]): row["message"] for row in rows if row["state"] != "done"}
        assert skipped.keys() == set(self.voided)
        assert {row["state"] for row in rows} == {"done", "skipped"}
        assert all("invoice_status is void, not " in each for each in skipped.values())

    def _check_audit(self) -> None:
        """It lists exactly what somebody has voided."""
        ran = self.desk.check(
            *("audit", self.journal, "--plan", self.file, "--receipt", self.receipt),
            *("--verify", "--format", "json"),
            code=1,
        )
        found = json.loads(ran.out)
        assert (found["integrity"], found["completeness"]) == ([], [])
        listed = {
            (each["record"], each["state"], each["field"], each["planned"], each["found"])
            for each in found["differences"]
        }
        assert len(found["differences"]) == len(listed)
        assert listed == {
            (f"invoice {number}", "skipped", "invoice_status", self.sets, "void")
            for number in self.voided
        }
        self.say(f"audit --verify lists {len(listed)} differences, the voided ones")

    def _check_breaks(self) -> None:
        """A log that was cut off, changed or put in another order is found, and the place named."""
        with closing(sqlite3.connect(self.journal)) as connection:
            ((last,),) = connection.execute("SELECT max(entry) FROM log").fetchall()
        one, other = last // 3, last // 2
        swap = "UPDATE log SET entry = ? WHERE entry = ?"
        breaks: dict[str, list[tuple[str, tuple[int, ...]]]] = {
            f"entries {last - 2} to {last} of the log are missing": [
                ("DELETE FROM log WHERE entry > ?", (last - 3,)),
            ],
            f"entry {one} of the log (": [("UPDATE log SET at = 'x' WHERE entry = ?", (one,))],
            f"entries {one} and {other} of the log have changed places": [
                (swap, (-1, one)),
                (swap, (one, other)),
                (swap, (other, -1)),
            ],
        }
        for place, (named, statements) in enumerate(breaks.items()):
            broken = self.desk.folder / f"broken{place}" / self.journal.name
            broken.parent.mkdir(exist_ok=True)
            shutil.copy(self.journal, broken)
            with closing(sqlite3.connect(broken)) as connection, connection:
                for statement in statements:
                    connection.execute(*statement)
            words = ["audit", str(broken), "--receipt", str(self.receipt), "--out", os.devnull]
            said = StringIO()
            with redirect_stderr(said):
                assert run(words) == 8
            assert f"integrity: {named}" in said.getvalue()
            self.say(f"audit of a broken log: {named.rstrip(' (')}")


def test_a_month_end_by_the_commands(
    request: pytest.FixtureRequest, tmp_path: Path, say: Callable[[str], None]
) -> None:
    # Where this folder is not among the first that pytest reads, there are no options.
    count = int(request.config.getoption("--month-end", FEW))
    stages = ("paid",) if count <= FEW else ("approved", "paid")
    people = People(tmp_path / "keys", "maria", "ben", "kim")
    people.signers()
    status = "approved" if len(stages) == 1 else "pending"
    with server(count, status) as cake, weather(cake.url, 1, LOSSES, only=b"POST ") as sky:
        given = {"CAKE_DOMAIN": sky.url, "CAKE_API_KEY": "SANDBOX-KEY"}
        desk = Desk(tmp_path, {**os.environ, **given})
        receipt: Path | None = None
        for sets in stages:
            paid_at = ("--paid-at", "2024-02-15T10:00:00Z") if sets == "paid" else ()
            after = () if receipt is None else ("--after", receipt)
            one = MonthEnd(desk, cake, sky, people, sets, Random(sets), say)  # noqa: S311 - no secret
            one.carry_through(*paid_at, *after)
            receipt = one.receipt
