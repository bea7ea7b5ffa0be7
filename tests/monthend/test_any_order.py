"""Plan, sign, tamper, apply, kill, resume and change, in any order: only what was approved is sent.

The sandbox is the model. Of each update that it carries out it knows which plan was applied then,
whether that plan as it stood was approved by enough people other than its maker, and what was last
read of the invoice. A kill is the disk and the server as they are at one moment, as in
``tests/crash``; the keys and signatures are ssh-keygen's own.

What somebody else changes, they change before the invoice is looked at. Between a look and its
write nobody can see a change, which the docs say.
"""

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import anyio
import attrs
import httpx
import pytest
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiocake import Client, RetryPolicy, Throttle, bulk
from aiocake.bulk.group_commit import GroupCommit
from aiocake.errors import CakeError, JournalError, PlanError
from aiocake.monthend import Applied, Plan, apply, audit, resume_plan, signatures

from ..crash.model import Life, Luck, copy, lasts
from ..support.amounts import some
from ..support.same_order import same_order  # noqa: F401 - a fixture
from ..support.signing import People, keygen
from .model import (
    INVOICES,
    MAKER,
    PEOPLE,
    SIGNERS,
    Month,
    PlanFile,
    Row,
    Sending,
    hashed_anew,
    lucks,
    rows_of,
)

MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own
#: In the default run; the session ``crash`` takes more.
ORDERS = some(10)
MANY = 300
AMOUNT = re.compile(rb'"amount":"[^"]*"')
#: What is met when many orders are tried, and how many reasons to refuse a plan at least.
ENDS = {"applied", "killed", "rows skipped as not as planned", "strict: nothing sent"}
REASONS = 8

Work = Callable[[Client], Awaitable[Applied]]


@attrs.frozen
class Way:
    """How a plan is carried out: calls at once, attempts of each, and turns that a commit takes."""

    limit: int
    attempts: int
    pace: int


@attrs.frozen
class Asked:
    """What is asked of one apply beside the plan; by default, what is right.

    Attributes:
        approvals: How many; None for the hash that was noted.
        journal: That of the plan, a new one, or that of another plan.
        late: Whether the plan has expired by then.
        strict: Whether it is all or nothing.
    """

    approvals: int | None
    journal: str = "own"
    late: bool = False
    strict: bool = False


places = st.integers(0, INVOICES - 1)
SETS = st.sampled_from(["approved", "paid"])
WHO = st.sampled_from(PEOPLE)
#: How many have signed a new plan; its maker is the first.
SIGNED = st.sampled_from([3, 2, 3, 1, 0])
ways = st.builds(
    Way, limit=st.integers(1, 4), attempts=st.integers(1, 2), pace=st.sampled_from([1, 5, 50])
)
approvals = st.sampled_from([1, 2, None])
#: One thing is not as it should be.
askeds = st.one_of(
    st.builds(Asked, approvals, journal=st.just("new")),
    st.builds(Asked, approvals, journal=st.just("another's")),
    st.builds(Asked, approvals, late=st.just(True)),  # noqa: FBT003 - of a strategy
    st.builds(Asked, approvals, strict=st.just(True)),  # noqa: FBT003 - the same
)
#: What people do: the name of a method, and what it gets.
Deed = tuple[Any, ...]


def deed(name: str, *given: st.SearchStrategy[Any]) -> st.SearchStrategy[Deed]:
    return st.tuples(st.just(name), *given)


STATUSES = ("void", "void", "dearer", "dearer", "pending", "approved", "paid")
TAMPERINGS = ("a digit", "two amounts", "all", "nothing")
chosen = st.lists(places, min_size=1, max_size=INVOICES, unique=True)
deeds = st.lists(
    st.one_of(
        deed("change", places, st.sampled_from(STATUSES)),
        deed("change", places, st.sampled_from(STATUSES)),
        deed("plan", SETS, chosen, SIGNED),
        deed("sign", places, WHO),
        deed("take_signatures_of_another", places),
        deed("take_a_signature_away", places, WHO),
        deed("tamper", places, st.sampled_from(TAMPERINGS)),
        deed("tamper", places, st.sampled_from(TAMPERINGS)),
        deed("note_the_hash", places),
        deed("revoke", st.sampled_from(["kim", "kim", "ben", "maria"])),
    ),
    max_size=3,
)
UNDISTURBED = Luck([], [], [])
PLAIN = Way(4, 1, 1)
MOST_PLANS = 3
MOST_SIGNATURES = 4


class AnyMonthEnd(RuleBasedStateMachine):
    """Some plans for a few invoices, and all that may happen to them."""

    backend = "asyncio"
    people: People
    signed: dict[tuple[str, bytes], str]
    met: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        # Nothing here depends on the disk, which is slow.
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.month = Month()
        self.month.renew()
        self.plans: list[PlanFile] = []
        #: Each journal, with the hash of the plan that has begun it.
        self.journals: dict[Path, str] = {}
        self.revoked: set[str] = set()
        (self.folder / "revoked").touch()
        self.signers = self.people.signers({name: who for who, name in SIGNERS.items()})
        self.pace, self.late = 1, False
        original = GroupCommit._write

        def write(writer: GroupCommit, statements: object) -> None:
            assert self.month.life is not None
            self.month.life.write(original, writer, statements)

        async def run_here(work: Callable[..., object], *arguments: object, **_: object) -> object:
            """In place of a thread, whose pace would be another each time."""
            for _ in range(self.pace):
                await anyio.lowlevel.checkpoint()
            return work(*arguments)

        def now() -> datetime:
            return datetime(2100, 1, 1, tzinfo=UTC) if self.late else datetime.now(UTC)

        self._patches = ExitStack()
        for patch in (
            mock.patch.object(GroupCommit, "_write", write),
            mock.patch("anyio.to_thread.run_sync", run_here),
            mock.patch("aiocake.monthend.approvals._clock", SimpleNamespace(now=now)),
            mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(self.folder / "state")}),
        ):
            self._patches.enter_context(patch)

    # What may happen

    @initialize(sets=SETS, signed=SIGNED)
    def begin(self, sets: str, signed: int) -> None:
        self.plan(sets, list(range(INVOICES)), signed)

    @rule(
        before=deeds,
        place=places,
        approvals=approvals,
        luck=lucks,
        last=lasts,
        way=ways,
    )
    def apply_it(  # noqa: PLR0913, PLR0917 - one for each that is drawn
        self,
        before: list[Deed],
        place: int,
        approvals: int | None,
        luck: Luck,
        last: int | None,
        way: Way,
    ) -> None:
        self._do(before)
        self._apply(self._plan(place), Asked(approvals), luck, last, way)

    @rule(before=deeds, place=places, asked=askeds, luck=lucks, last=lasts, way=ways)
    def apply_otherwise(  # noqa: PLR0913, PLR0917 - the same
        self,
        before: list[Deed],
        place: int,
        asked: Asked,
        luck: Luck,
        last: int | None,
        way: Way,
    ) -> None:
        self._do(before)
        self._apply(self._plan(place), asked, luck, last, way)

    @precondition(lambda self: self.journals)
    @rule(before=deeds, place=places, luck=lucks, last=lasts, way=ways)
    def resume(
        self, before: list[Deed], place: int, luck: Luck, last: int | None, way: Way
    ) -> None:
        self._do(before)
        journals = sorted(self.journals)
        self._resume(journals[place % len(journals)], luck, last, way)

    def _do(self, deeds: list[Deed]) -> None:
        for name, *given in deeds:
            getattr(self, name)(*given)

    def plan(self, sets: str, chosen: list[int], signed: int) -> None:
        """Maria plans some invoices, and signs; so do others."""
        before = {"pending"} if sets == "approved" else {"pending", "approved"}
        invoices = self.month.state.invoices
        numbers = [self.month.updated[each] for each in chosen]
        numbers = [each for each in numbers if invoices[each].invoice_status in before]
        if not numbers or len(self.plans) == MOST_PLANS:
            return
        settings_: dict[str, Any] = {"invoice_status": sets}
        if sets == "paid" and len(chosen) % 2:
            settings_["paid_at"] = datetime(2024, 2, 15, 10, tzinfo=UTC)

        async def make() -> Plan:
            async with self._client(self.month.undisturbed, PLAIN) as cake:
                calls = [bulk.call(cake.invoices.update, each, **settings_) for each in numbers]
                maker = f"maria, plan {len(self.plans)}"
                return await Plan.of(
                    calls, cake, history_months=0, maker=maker, maker_key=self.people.line(MAKER)
                )

        plan = anyio.run(make, backend=self.backend)
        file = PlanFile(self.folder / f"{len(self.plans)}.plan", plan.to_bytes())
        plan.write(file.path)
        self.plans.append(file)
        file.noted = plan.hash
        for who in (MAKER, "ben", "kim")[:signed]:
            self._sign(file, who)

    def sign(self, place: int, who: str) -> None:
        self._sign(self._plan(place), who)

    def note_the_hash(self, place: int) -> None:
        plan = self._plan(place)
        plan.noted = plan.hash or plan.noted

    def take_signatures_of_another(self, place: int) -> None:
        plan, other = self._plan(place), self._plan(place + 1)
        if plan is not other:
            self._set_signatures(plan, [*plan.signed, *other.signed][:MOST_SIGNATURES])

    def take_a_signature_away(self, place: int, who: str) -> None:
        plan = self._plan(place)
        self._set_signatures(plan, [each for each in plan.signed if each[0] != who])

    def tamper(self, place: int, how: str) -> None:
        plan = self._plan(place)
        data, lines = plan.data, plan.data.splitlines(keepends=True)
        if how == "a digit":
            # Of none of the totals.
            data = data.replace(b'"end_date":"2024-01-31"', b'"end_date":"2024-01-30"')
        elif how == "two amounts" and len(lines) > 4:
            # Of one another, so that the totals agree.
            one, other = (AMOUNT.findall(line)[0] for line in lines[2:4])
            lines[2], lines[3] = lines[2].replace(one, other), lines[3].replace(other, one)
            data = hashed_anew(b"".join(lines))
        elif how == "all":
            data = self._plan(place + 1).genuine
        else:
            data = plan.genuine
        plan.path.write_bytes(data)

    def revoke(self, who: str) -> None:
        self.revoked.add(who)
        lines = [f"{self.people.line(each)}\n" for each in sorted(self.revoked)]
        (self.folder / "revoked").write_text("".join(lines), "ascii")

    def change(self, place: int, what: str) -> None:
        """Somebody else does something to an invoice."""
        number = self.month.updated[place]
        invoice = self.month.state.invoices[number]
        if what == "dearer":
            invoice.total_amount += 1
        elif what != "pending" or not self._in_doubt(number):
            # Of a call that may have left nobody could tell any more whether it had.
            invoice.invoice_status = what
            self.month.set_by.add((None, number, what))

    def teardown(self) -> None:
        try:
            for journal in sorted(self.journals):
                self._resume(journal, UNDISTURBED, None, PLAIN)
            for journal in sorted(self.journals):
                anyio.run(self._check_audit, journal, backend=self.backend)
        finally:
            self._patches.close()
            shutil.rmtree(self.folder)

    # How it is done

    def _plan(self, place: int) -> PlanFile:
        return self.plans[place % len(self.plans)]

    def _sign(self, plan: PlanFile, who: str) -> None:
        """Whoever signs has read the plan: what is none is not signed."""
        data = plan.data
        if plan.hash is None:
            with pytest.raises(PlanError):
                Plan.from_bytes(data)
            return
        self._set_signatures(plan, [*plan.signed, (who, data)][:MOST_SIGNATURES])

    def _set_signatures(self, plan: PlanFile, signed: list[tuple[str, bytes]]) -> None:
        plan.signed = signed
        blocks = [self._signature(*each) for each in signed]
        plan.path.with_name(f"{plan.path.name}.sig").write_text("".join(blocks), "ascii")

    def _signature(self, who: str, data: bytes) -> str:
        """Somebody's signature of some bytes: by ed25519 it is the same each time."""
        if (who, data) not in self.signed:
            words = ("-Y", "sign", "-n", signatures.NAMESPACE, "-f", self.people.key(who))
            self.signed[who, data] = keygen(*words, data=data).decode("ascii")
        return self.signed[who, data]

    def _apply(self, plan: PlanFile, asked: Asked, luck: Luck, last: int | None, way: Way) -> None:
        journal = self._journal(plan, asked.journal)
        hash_ = plan.noted if asked.approvals is None else None
        needed = asked.approvals
        if journal in self.journals:  # never fewer than the run was begun with
            needed = max(needed or 0, self._detail(journal)["required"]) or None
        doubt = "expired" if asked.late else self._doubt(plan, journal, needed, noted=hash_)

        async def work(cake: Client) -> Applied:
            return await apply(
                plan.path,
                cake,
                journal=journal,
                approvals=asked.approvals or 0,
                hash=hash_,
                signers=self.signers,
                revoked=self.folder / "revoked",
                strict=asked.strict,
                limit=way.limit,
                settle=0,
            )

        self.late = asked.late
        stale = self._is_stale(plan) and journal not in self.journals
        must_refuse = asked.strict and stale and not doubt
        self._live(plan, journal, doubt, work, luck, last, way, strict=asked.strict)
        self.late = False
        if must_refuse:
            assert journal not in self.journals

    def _resume(self, journal: Path, luck: Luck, last: int | None, way: Way) -> None:
        detail = self._detail(journal)
        plan = next(each for each in self.plans if str(each.path) == detail["file"])
        needed = detail["required"] or None
        doubt = self._doubt(plan, journal, needed, noted=detail["hash"])

        async def work(cake: Client) -> Applied:
            return await resume_plan(journal, cake, settle=0)

        self._live(plan, journal, doubt, work, luck, last, way)

    def _doubt(
        self, plan: PlanFile, journal: Path, needed: int | None, noted: str | None = None
    ) -> str:
        """Why nothing of a plan must be sent; empty if it may be."""
        hash_ = plan.hash
        if hash_ is None:
            return "changed"
        if (noted or plan.noted) != hash_ and (needed is None or noted is not None):
            return "another hash was noted"
        if needed is not None and (doubt := plan.doubt(needed, self.revoked)):
            return doubt
        if self.journals.get(journal, hash_) != hash_:
            return "the journal of another plan"
        used = [each for each, begun in self.journals.items() if begun == hash_]
        return "" if used in ([], [journal]) else "used with another journal"

    def _journal(self, plan: PlanFile, which: str) -> Path:
        if which == "new":
            return self.folder / f"new{len(self.journals)}.db"
        place = self.plans.index(plan) + (which == "another's")
        return self._plan(place).path.with_suffix(".db")

    def _is_stale(self, plan: PlanFile) -> bool:
        """Whether a record is not as planned."""
        if plan.hash is None:
            return False
        found = rows_of(plan.data).items()
        return any(self.month.as_it_is(number) != row.planned for number, row in found)

    def _live(  # noqa: PLR0913, PLR0917 - all that a life is
        self,
        plan: PlanFile,
        journal: Path,
        doubt: str,
        work: Work,
        luck: Luck,
        last: int | None,
        way: Way,
        *,
        strict: bool = False,
    ) -> None:
        """One process: what it sends is right, and it is refused if and only if it has to be."""
        month, there = self.month, journal.exists()
        rows = {} if plan.hash is None else rows_of(plan.data)
        month.begin(Sending(plan.hash, rows, doubt))
        arrived = month.arrived.total()
        life = month.life = Life(month, journal, luck, last)
        self.pace = way.pace
        error: CakeError | None = None
        applied: Applied | None = None
        try:
            applied = anyio.run(partial(self._work, work, way), backend=self.backend)
        except CakeError as caught:
            error = caught
        month.sending, month.life = None, None
        assert not month.wrong, month.wrong
        sent = month.arrived.total() - arrived
        if doubt:
            self.met[f"refused: {doubt}"] += 1
            # Strict reads before it finds that the plan was used: what cannot be read ends it, too.
            assert isinstance(error, PlanError | JournalError) or (error and strict), (doubt, error)
            assert journal.exists() == there
            assert not sent
            return
        if life.dead:
            self.met["killed"] += 1
            _bury(journal, life.remains)
        if journal.exists():
            self.journals[journal] = str(plan.hash)
        if error is not None and not life.dead:
            # Before the first write, strict reads all; what cannot be read ends it there.
            assert strict, error
            assert not there
            assert not journal.exists()
            assert not sent
            self.met["strict: nothing sent"] += isinstance(error, PlanError)
        if applied is not None and not life.dead:
            self.met["applied"] += 1
            self.met["rows skipped as not as planned"] += applied.summary.conflicts > 0
            self._check_applied(journal, applied, rows)
        self._check_rows(journal, rows)

    async def _work(self, work: Work, way: Way) -> Applied:
        async with self._client(self.month, way) as cake:
            return await work(cake)

    def _client(self, transport: httpx.AsyncBaseTransport, way: Way) -> Client:
        retry = RetryPolicy(attempts=way.attempts, draw=lambda: 0.0)
        throttle = Throttle(concurrency=4)
        return Client(
            "x.example",
            "SANDBOX-KEY",
            transport=transport,
            retry=retry,
            throttle=throttle,
        )

    # What is so, whatever has happened

    def _check_applied(self, journal: Path, applied: Applied, rows: dict[int, Row]) -> None:
        """What was told is what was written down, and the totals are those of the rows done."""
        found = self._states(journal)
        counts = Counter(found.values())
        for state in ("done", "failed", "unknown", "skipped"):
            assert counts[state] == getattr(applied.summary, state)
        assert applied.summary.unsent == counts["planned"]
        done = [rows[number].amount for number, state in found.items() if state == "done"]
        assert sum((each.amount for each in applied.done), Decimal()) == sum(done, Decimal())

    def _check_rows(self, journal: Path, rows: dict[int, Row]) -> None:
        """What a journal says of its rows is so."""
        plan = self.journals.get(journal, "")
        for number, state in self._states(journal).items():
            changed = self.month.changed[plan, number]
            if state in {"planned", "failed", "skipped"}:
                assert not changed, (number, state)
            if state == "done" and not changed:
                # Of a call that may have left, this cannot be told from its own.
                assert self.month.is_set_otherwise(plan, number, rows[number].sets), number

    async def _check_audit(self, journal: Path) -> None:
        found = await audit(journal)
        assert found.integrity == ()

    def _in_doubt(self, number: int) -> bool:
        return any(
            self._states(each).get(number) in {"sending", "unknown"} for each in self.journals
        )

    def _states(self, journal: Path) -> dict[int, str]:
        """The state of each call of a journal as it is on the disk, by its invoice."""
        found = self._read(journal, "SELECT call, state FROM calls ORDER BY place")
        return {json.loads(call)["arguments"]["invoice_id"]: state for call, state in found}

    def _detail(self, journal: Path) -> dict[str, Any]:
        """The plan of a journal, as it was approved last."""
        ((text,),) = self._read(
            journal, "SELECT detail FROM log WHERE what = 'plan' ORDER BY entry DESC LIMIT 1"
        )
        detail: dict[str, Any] = json.loads(text)
        return detail

    def _read(self, journal: Path, query: str) -> list[tuple[str, ...]]:
        if not journal.exists():
            return []
        looked_at = self.folder / "looked at.db"
        copy(journal, looked_at)
        with closing(sqlite3.connect(looked_at)) as connection:
            return connection.execute(query).fetchall()


def _bury(journal: Path, remains: Path) -> None:
    """Put what a kill has left on the disk in the place of what came after it."""
    journal.with_name(f"{journal.name}-shm").unlink(missing_ok=True)
    copy(remains, journal)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"), *PEOPLE)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nothing_is_sent_that_was_not_approved_as_it_stood(
    backend: str,
    people: People,
    request: pytest.FixtureRequest,
    count: Callable[[str, int], None],
) -> None:
    # Where the folder of crashes is not among the first that pytest reads, there are no options.
    orders = int(request.config.getoption("--orders", ORDERS))
    chosen = int(request.config.getoption("--crash-seed", 1))
    met: Counter[str] = Counter()
    attributes = {"backend": backend, "people": people, "signed": {}, "met": met}
    machine = seed(chosen)(type("Machine", (AnyMonthEnd,), attributes))
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=orders, stateful_step_count=6, derandomize=False),
    )
    for what in sorted(met):
        count(f"applies: {what}", met[what])
    if orders >= MANY:
        assert set(met) >= ENDS
        assert sum(what.startswith("refused: ") for what in met) >= REASONS
