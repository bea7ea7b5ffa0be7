"""Plan, run, kill, lose, void, pay and go on, in any order: what the journal says is so.

The sandbox is the model: each create carries a note of its own, so that what was made by which
call is known there, though no list shows it. A kill is the disk and the server as they are at one
moment: before or after a commit, before a request is carried out or after.
"""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import attrs
import pytest
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiocake import Client, RetryPolicy, Throttle, bulk
from aiocake.bulk import Call, Ended, Summary
from aiocake.bulk.group_commit import GroupCommit

from ..support.same_order import same_order  # noqa: F401 - a fixture
from .model import (
    AFFILIATES,
    PERIODS,
    SOMEBODY,
    Books,
    Create,
    Life,
    Luck,
    Step,
    Update,
    Ways,
    copy,
    lasts,
    lucks,
    ways,
)

MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own

Run = Callable[[Client, dict[str, Any]], Awaitable[Summary]]


@attrs.frozen
class Row:
    place: int
    step: Step
    state: str
    before: tuple[int, ...]
    found: int | None


class AnyOrder(RuleBasedStateMachine):
    """One plan, and all that may happen to it."""

    backend = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        # Nothing here depends on the disk, which is slow.
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.books = Books()
        self.lives = 0
        self.path: Path | None = None
        self.ways = Ways([], "list", "skip", 1, 1)
        self.number = 0
        self.summary: Summary | None = None
        original = GroupCommit._write

        def write(writer: GroupCommit, statements: object) -> None:
            assert self.books.life is not None
            self.books.life.write(original, writer, statements)

        async def run_here(work: Callable[..., object], *arguments: object, **_: object) -> object:
            """In place of a thread, whose pace would be another each time."""
            for _ in range(self.ways.pace):
                await anyio.lowlevel.checkpoint()
            return work(*arguments)

        self._patches = ExitStack()
        self._patches.enter_context(mock.patch.object(GroupCommit, "_write", write))
        self._patches.enter_context(mock.patch("anyio.to_thread.run_sync", run_here))

    # What may happen

    @initialize(ways=ways, luck=lucks, last=lasts)
    def begin(self, ways: Ways, luck: Luck, last: int | None) -> None:
        self.ways, self.number = ways, self.number + 1
        self.books.renew()
        path = self.folder / f"run{self.number}.db"
        self._live(path, luck, last, lambda _, options: bulk.each(**options, journal=path))

    @rule(ways=ways, luck=lucks, last=lasts)
    def begin_another(self, ways: Ways, luck: Luck, last: int | None) -> None:
        self.go_on_undisturbed()
        self.begin(ways, luck, last)

    @precondition(lambda self: self.summary is None or not self.summary.complete)
    @rule(luck=lucks, last=lasts, given=st.booleans())
    def go_on(self, luck: Luck, last: int | None, *, given: bool) -> None:
        self._resume(luck, last, given=given)

    def go_on_undisturbed(self) -> None:
        self._resume(Luck([], [], []), None, given=True, stop_after=None)
        assert self.summary is not None
        assert self.summary.plan_read
        for row in self._rows():
            # Nothing but what nobody can tell is left, and what waits for it.
            if row.state == "unknown":
                assert self._cannot_be_told(row), row
            elif row.state == "failed":
                assert self._waits_for_a_doubt(row), row
            else:
                assert row.state in {"done", "skipped"}, row

    @precondition(lambda self: self.books.made)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        made = sorted(number for numbers in self.books.made.values() for number in numbers)
        self.books.state.invoices[data.draw(st.sampled_from(made))].invoice_status = "void"

    @precondition(lambda self: self.books.asked_for)
    @rule()
    def somebody_creates_the_same(self) -> None:
        assert self.books.asked_for is not None
        self.books.add(*self.books.asked_for, SOMEBODY)

    @rule(affiliate=st.integers(0, AFFILIATES - 1), period=st.sampled_from(PERIODS))
    def somebody_creates(self, affiliate: int, period: tuple[date, date]) -> None:
        self.books.add(self.books.affiliates[affiliate], *period, SOMEBODY)

    @rule(number=st.integers(0, 3), status=st.sampled_from(["approved", "paid"]))
    def somebody_sets(self, number: int, status: str) -> None:
        self.books.state.invoices[self.books.updated[number]].invoice_status = status

    # What is so, whatever has happened

    @invariant()
    def what_the_journal_says_is_so(self) -> None:
        for row in self._rows():
            if isinstance(row.step, Create):
                self._check_create(row)
            else:
                self._check_update(row)

    def _check_create(self, row: Row) -> None:
        books, tag = self.books, str(row.place)
        invoices = books.state.invoices
        made = books.made.get(tag, [])
        alive = [each for each in made if invoices[each].invoice_status != "void"]
        late = [each for each in books.late if json.loads(each.content)["memo"] == tag]
        # Not even where somebody has voided what it had made is it made again.
        assert len(made) + len(late) <= 1, row
        if row.state in {"planned", "failed", "skipped"}:
            assert not alive, row
            assert not late, row
        if row.state == "done" and row.found not in {None, *made}:
            # It cannot be told from one that somebody else made meanwhile; but there is one.
            assert invoices[row.found or 0].memo == SOMEBODY, row
            assert not alive, row
            assert not late, row
        elif row.state == "done":
            assert made, row

    def _check_update(self, row: Row) -> None:
        assert isinstance(row.step, Update)
        number = self.books.updated[row.step.invoice]
        if row.state in {"planned", "failed", "skipped"}:
            assert not self.books.updates[number], row
        invoice = self.books.state.invoices[number]
        if row.state == "done":
            assert not row.step.status or invoice.invoice_status in {"approved", "paid"}, row
            assert not row.step.memo or invoice.memo == f"memo {row.place}", row

    def _cannot_be_told(self, row: Row) -> bool:
        if isinstance(row.step, Update):
            status = self.books.state.invoices[self.books.updated[row.step.invoice]].invoice_status
            return row.step.status and status == "paid"
        start, end = PERIODS[row.step.period]
        new = [
            each
            for number, each in self.books.state.invoices.items()
            if each.affiliate_id == self.books.affiliates[row.step.affiliate]
            and each.start_date <= end
            and start <= each.end_date
            and number not in row.before
        ]
        periods = [(each.start_date, each.end_date) for each in new]
        void = any(each.invoice_status == "void" for each in new)
        return void or periods not in ([], [(start, end)])

    def _waits_for_a_doubt(self, row: Row) -> bool:
        if not isinstance(row.step, Create):
            return False
        start, end = PERIODS[row.step.period]
        return any(
            other.state == "unknown"
            and isinstance(other.step, Create)
            and other.step.affiliate == row.step.affiliate
            and PERIODS[other.step.period][0] <= end
            and start <= PERIODS[other.step.period][1]
            for other in self._rows()
        )

    def teardown(self) -> None:
        try:
            if self.path is not None:
                self.go_on_undisturbed()
                self.what_the_journal_says_is_so()
        finally:
            self._patches.close()
            shutil.rmtree(self.folder)

    # How it is done

    def _resume(self, luck: Luck, last: int | None, *, given: bool, **more: object) -> None:
        path = self.path
        assert path is not None

        def run(cake: Client, options: dict[str, Any]) -> Awaitable[Summary]:
            calls = options.pop("calls")
            return bulk.resume(path, cake, calls=calls if given else None, **options | more)

        self._live(path, luck, last, run)

    def _live(
        self,
        path: Path,
        luck: Luck,
        last: int | None,
        run: Run,
    ) -> None:
        life = self.books.life = Life(self.books, path, luck, last)
        self.summary = anyio.run(partial(self._run, life, run), backend=self.backend)
        self.path = path
        if life.dead:
            self.lives += 1
            self.summary = None
            self.path = self.folder / f"life{self.lives}.db"
            copy(life.remains, self.path)
        else:
            self._compare(life)

    async def _run(self, life: Life, run: Run) -> Summary:
        def tell(ended: Ended[Any]) -> None:
            life.reported[ended.index] = ended

        retry = RetryPolicy(attempts=1)
        throttle = Throttle(concurrency=4)
        async with Client(
            "x.example", "SANDBOX-KEY", transport=self.books, retry=retry, throttle=throttle
        ) as cake:
            calls = {"list": self._list, "lazy": self._lazy, "asynchronous": self._later}
            given = calls[self.ways.form](cake)
            options = {"on_existing": self.ways.on_existing, "limit": self.ways.limit, "settle": 0}
            return await run(cake, options | {"calls": given, "on_outcome": tell})

    def _compare(self, life: Life) -> None:
        """What was told is what was written down."""
        rows = self._rows()
        assert self.summary is not None
        counts = Counter(row.state for row in rows)
        assert not counts["sending"]
        for state in ("done", "failed", "unknown", "skipped"):
            assert counts[state] == getattr(self.summary, state)
        assert self.summary.unsent == counts["planned"]
        for row in rows:
            if row.place in life.reported and row.state != "planned":
                assert type(life.reported[row.place]).__name__.lower() == row.state

    def _list(self, cake: Client) -> list[Call[Any]]:
        return list(self._lazy(cake))

    def _lazy(self, cake: Client) -> Iterator[Call[Any]]:
        for place, step in enumerate(self.ways.plan):
            if isinstance(step, Create):
                start, end = PERIODS[step.period]
                affiliate = self.books.affiliates[step.affiliate]
                yield bulk.call(
                    cake.invoices.create,
                    affiliate_id=affiliate,
                    start_date=start,
                    end_date=end,
                    memo=str(place),
                )
            else:
                set_: dict[str, Any] = {"invoice_status": "approved"} if step.status else {}
                set_ |= {"memo": f"memo {place}"} if step.memo else {}
                yield bulk.call(cake.invoices.update, self.books.updated[step.invoice], **set_)

    async def _later(self, cake: Client) -> AsyncIterator[Call[Any]]:
        for call in self._lazy(cake):
            await anyio.lowlevel.checkpoint()
            yield call

    def _rows(self) -> list[Row]:
        """The journal as it is on the disk, which is left as it is."""
        if self.path is None:
            return []
        looked_at = self.folder / "looked at.db"
        copy(self.path, looked_at)
        with closing(sqlite3.connect(looked_at)) as connection:
            rows = connection.execute(
                "SELECT place, state, before, detail FROM calls ORDER BY place"
            ).fetchall()
        return [
            Row(
                place,
                self.ways.plan[place],
                state,
                tuple(json.loads(before or "[]")),
                json.loads(detail or "{}").get("found"),
            )
            for place, state, before, detail in rows
        ]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_the_journal_says_is_so_whatever_happens(
    backend: str, orders: int, crash_seed: int
) -> None:
    machine = seed(crash_seed)(type("Machine", (AnyOrder,), {"backend": backend}))
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=orders, stateful_step_count=8, derandomize=False),
    )
