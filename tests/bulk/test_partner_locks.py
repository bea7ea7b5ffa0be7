# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Of two runs on one host one creates for a partner at a time, and the other looks again."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from aiocake import bulk
from aiocake._background import on_trio
from aiocake._file_lock import LockFile
from aiocake.bulk import Summary, partner_locks
from aiocake.bulk.partner_locks import PartnerLocks
from aiocake.events import Event, LocksUnavailable, PartnerBusy
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DOMAIN = "x.example"
MARCH = {"start_date": date(2030, 3, 1), "end_date": date(2030, 3, 31)}


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a list


def ignore(_: float | None) -> None:
    """Nobody has to know."""


class Held:
    """Holds the creates of a sandbox back until a run waits for another one."""

    def __init__(self, books) -> None:
        self.arrived = anyio.Event()
        self.busy = anyio.Event()
        self.reported: list[Event] = []
        books.state.on_request.append(self._hold)

    def tell(self, event: Event) -> None:
        self.reported.append(event)
        if isinstance(event, PartnerBusy):
            self.busy.set()

    async def _hold(self, request) -> None:
        if request.operation == "invoice":
            self.arrived.set()
            await self.busy.wait()


async def both(first: Callable[[], Awaitable[Summary]], second: Callable[[], Awaitable[Summary]]):  # noqa: ANN201 - as it says
    ended: dict[str, Summary] = {}

    async def run(name: str, work: Callable[[], Awaitable[Summary]]) -> None:
        ended[name] = await work()

    # Nobody waits for ever: locks that do not lock are found, too.
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(run, "first", first)
            group.start_soon(run, "second", second)
    return ended["first"], ended["second"]


@pytest.mark.parametrize("form", [list, iter], ids=["list", "generator"])
async def test_the_second_run_waits_and_finds_what_the_first_has_created(
    ledgers, january, form, tmp_path: Path
) -> None:
    # Five partners: a list of all of them is read before the first create.
    books = ledgers(Sandbox(invoices=301))
    partners = books.affiliates(5)
    held = Held(books)
    books.state.requests.clear()
    async with books.client(on_event=held.tell) as one, books.client(on_event=held.tell) as other:

        async def run(cake, name: str) -> Summary:
            calls = form([january(cake, partner) for partner in partners])
            return await bulk.each(calls, journal=tmp_path / name)

        ended = await both(lambda: run(one, "a.db"), lambda: run(other, "b.db"))
    assert len(books.periods()) == 5
    assert sum(each.done for each in ended) == sum(each.skipped for each in ended) == 5
    assert all(each.complete for each in ended)
    busy = [each for each in held.reported if isinstance(each, PartnerBusy)]
    assert {(each.operation, each.seconds) for each in busy} == {("invoices.create", None)}
    assert {each.partner for each in busy} <= set(partners)


async def test_a_look_while_a_create_is_on_its_way_does_not_count(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=301))
    partners = books.affiliates(5)
    held = Held(books)
    async with books.client() as one, books.client(on_event=held.tell) as other:

        async def second() -> Summary:
            # All partners are listed while the first create is on its way, and shows nowhere.
            await held.arrived.wait()
            return await bulk.each([january(other, each) for each in partners], journal=None)

        first, ended = await both(
            lambda: bulk.each([january(one, partners[2])], journal=None), second
        )
    assert (first.done, ended.done, ended.skipped) == (1, 4, 1)
    assert len(books.periods()) == 5


async def test_what_was_created_since_the_look_is_seen(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=301))
    partners = books.affiliates(5)
    async with books.client() as one, books.client() as other:
        created: list[Summary] = []

        async def meanwhile(request) -> None:
            # The first run has listed all partners, and sends its first create.
            if request.operation == "invoice" and not created:
                created.append(Summary)
                calls = [january(other, partner) for partner in partners[1:]]
                created[0] = await bulk.each(calls, journal=None)

        books.state.on_request.append(meanwhile)
        summary = await bulk.each(
            [january(one, partner) for partner in partners], journal=None, limit=1
        )
    assert created[0].done == 4
    assert (summary.done, summary.skipped) == (1, 4)
    assert len(books.periods()) == 5


async def test_a_run_by_itself_asks_for_nothing_more_than_the_last_look(ledgers, january) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    async with books.client() as cake:
        for month in ("january", "march"):
            books.state.requests.clear()
            calls = [
                january(cake, partner)
                if month == "january"
                else bulk.call(cake.invoices.create, affiliate_id=partner, **MARCH)
                for partner in (one, other)
            ]
            assert (await bulk.each(iter(calls), journal=None)).done == 2
            reads = [each for each in books.state.requests if each.operation == "invoices"]
            assert len(reads) == 4


async def test_updates_take_no_lock(ledgers, state_folder: Path) -> None:
    books = ledgers(Sandbox(invoices=3))
    async with books.client() as cake:
        numbers = list(books.state.invoices)
        calls = [bulk.call(cake.invoices.update, number, memo="x") for number in numbers]
        summary = await bulk.each(calls, journal=None)
    assert (summary.done, summary.complete) == (3, True)
    assert not await anyio.Path(state_folder).exists()


async def test_who_is_told_of_an_end_may_run_another_create_for_the_partner(
    ledgers, january, tmp_path: Path
) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    async with books.client() as cake:
        reported: list[Summary] = []

        async def on_outcome(_: object) -> None:
            call = bulk.call(cake.invoices.create, affiliate_id=partner, **MARCH)
            with anyio.fail_after(20):
                reported.append(await bulk.each([call], journal=None))

        summary = await bulk.each(
            [january(cake, partner)], journal=tmp_path / "run.db", on_outcome=on_outcome
        )
        assert (await bulk.each([january(cake, partner)], journal=None)).skipped == 1
    assert (summary.done, reported[0].done) == (1, 1)


async def leave_by_scope(work: Callable[[], Awaitable[object]], begun: anyio.Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await begun.wait()
        group.cancel_scope.cancel()


async def leave_natively(work: Callable[[], Awaitable[object]], begun: anyio.Event) -> None:
    if on_trio():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await begun.wait()
            nursery.cancel_scope.cancel()
        return
    task = asyncio.ensure_future(work())
    await begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("leave", [leave_by_scope, leave_natively])
async def test_who_waits_can_be_cancelled_and_leaves_nothing_behind(
    ledgers, january, leave
) -> None:
    books = ledgers()
    (partner,) = books.affiliates(1)
    holder = PartnerLocks(DOMAIN, 60.0)
    await holder.take(partner, ignore)
    before = descriptors()
    busy = anyio.Event()

    def tell(event: Event) -> None:
        if isinstance(event, PartnerBusy):
            busy.set()

    async with books.client(on_event=tell) as cake:

        async def run() -> None:
            await bulk.each([january(cake, partner)], journal=None)

        await leave(run, busy)
        assert books.writes == []
        assert descriptors() == before
        holder.close()
        summary = await bulk.each([january(cake, partner)], journal=None)
    assert summary.done == 1


async def killed(partner: int, settle: float) -> None:
    """What a run leaves that is killed while a create is on its way."""
    locks = PartnerLocks(DOMAIN, settle)
    await locks.take(partner, ignore)
    locks.leaves(partner)
    locks.close()


async def test_what_a_killed_run_has_sent_is_given_its_time_to_show_up(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=301))
    partners = books.affiliates(5)
    await killed(partners[4], 0.2)
    reported: list[Event] = []
    async with books.client() as other:

        def tell(event: Event) -> None:
            reported.append(event)

        late = january(other, partners[4])

        async def shows_up(request) -> None:
            # When all partners were listed: with the first create that goes.
            if request.operation == "invoice" and shows_up in books.state.on_request:
                books.state.on_request.remove(shows_up)
                await late.send()

        books.state.on_request.append(shows_up)
        async with books.client(on_event=tell) as cake:
            calls = [january(cake, partner) for partner in partners]
            summary = await bulk.each(calls, journal=None, limit=1, settle=0.2)
    assert (summary.done, summary.skipped) == (4, 1)
    (busy,) = [each for each in reported if isinstance(each, PartnerBusy)]
    assert busy.partner == partners[4]
    assert busy.seconds is not None
    assert 0 < busy.seconds <= 0.2
    # By then it would have shown up: the next run need not wait.
    reported.clear()
    async with books.client(on_event=tell) as cake:
        call = bulk.call(cake.invoices.create, affiliate_id=partners[4], **MARCH)
        assert (await bulk.each([call], journal=None, settle=0.2)).done == 1
    assert not [each for each in reported if isinstance(each, PartnerBusy)]


async def test_an_unknown_end_keeps_other_runs_waiting_and_not_its_own(
    ledgers, january, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partner_locks.time, "time", lambda: 1e9)  # however slow the machine is
    books = ledgers()
    (partner,) = books.affiliates(1)
    reported: list[Event] = []
    books.lose(lambda request: request.operation == "invoice", done=True)
    theirs: list[Event] = []
    inside: list[Summary] = []
    async with (
        books.client(on_event=reported.append) as cake,
        books.client(on_event=theirs.append) as other,
    ):

        async def on_outcome(ended: object) -> None:
            if isinstance(ended, bulk.Unknown):
                inside.append(await bulk.each([january(other, partner)], journal=None, settle=0.05))

        calls = [
            january(cake, partner),
            bulk.call(cake.invoices.create, affiliate_id=partner, **MARCH),
        ]
        summary = await bulk.each(calls, journal=None, limit=1, settle=0.1, on_outcome=on_outcome)
    assert (summary.done, summary.unknown, summary.doubles) == (2, 0, ())
    assert inside[0].skipped == 1
    (busy,) = [each for each in theirs if isinstance(each, PartnerBusy)]
    assert busy.seconds == 0.05
    assert not [each for each in reported if isinstance(each, PartnerBusy)]
    assert len(books.periods()) == 2


def no_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    folder.write_text("a file")


def not_writable(folder: Path, patch: pytest.MonkeyPatch) -> None:
    del folder

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "there")

    patch.setattr(Path, "mkdir", refuse)


def network(folder: Path, patch: pytest.MonkeyPatch) -> None:
    del folder
    patch.setattr(partner_locks, "has_shared_memory", lambda _: False)
    patch.setattr(partner_locks, "network_filesystem", lambda _: "nfs4")


def no_home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    del folder
    patch.setattr("platformdirs.user_state_path", lambda _: Path("~/.local/state/aiocake"))


def breaks_late(folder: Path, patch: pytest.MonkeyPatch) -> None:
    del folder
    written = LockFile.write

    def write(self: LockFile, start: int, data: bytes) -> None:
        if data.endswith(b"\xf0\x7f"):  # a create is on its way
            raise OSError(28, "No space left on device")
        written(self, start, data)

    patch.setattr(LockFile, "write", write)


@pytest.mark.parametrize(
    ("breaking", "reason"),
    [
        (no_folder, "Not a directory"),
        (not_writable, "there: Permission denied"),
        (network, "is on nfs4, where locks may not work"),
        (no_home, "there is no state folder"),
        (breaks_late, "No space left on device"),
    ],
)
async def test_where_there_are_no_locks_that_is_said_and_the_run_goes_on(  # noqa: PLR0913, PLR0917 - fixtures
    ledgers,
    january,
    state_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    breaking: Callable[[Path, pytest.MonkeyPatch], None],
    reason: str,
) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    breaking(state_folder, monkeypatch)
    before = descriptors()
    reported: list[Any] = []
    async with books.client(on_event=reported.append) as cake:
        calls = [january(cake, one), january(cake, other)]
        summary = await bulk.each(calls, journal=None, limit=1)
    assert (summary.done, summary.complete) == (2, True)
    (note,) = summary.notes
    assert "other runs on this host" in note
    assert reason in note
    (event,) = [each for each in reported if isinstance(each, LocksUnavailable)]
    assert event.operation == "invoices.create"
    assert reason in event.reason
    assert descriptors() == before


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("x.example", "x.example.partners"),
        ("127.0.0.1:8080", "127.0.0.1_8080.partners"),
        ("[::1]:80", "___1__80.partners"),
        ("a" * 300, "a" * 200 + ".partners"),
    ],
)
async def test_the_file_is_the_users_alone_and_says_the_host_only(
    domain: str, name: str, state_folder: Path
) -> None:
    (state_folder / "aiocake").mkdir(parents=True, mode=0o755)
    locks = PartnerLocks(domain, 60.0)
    await locks.take(2**31 - 1, ignore)
    locks.close()
    folder = state_folder / "aiocake"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in folder.iterdir()] == [name]
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert (folder / name).stat().st_size == 24


async def test_partners_keep_their_rows_and_part_of_one_is_none(state_folder: Path) -> None:
    locks = PartnerLocks(DOMAIN, 60.0)
    for partner in (5, 6, 5):
        await locks.take(partner, ignore)
        locks.leaves(partner)
        locks.ended(partner, known=True)
        locks.give(partner)
    assert locks.numbers() == {5: 2, 6: 1}
    file = state_folder / "aiocake" / f"{DOMAIN}.partners"
    with file.open("ab") as torn:
        torn.write(b"part")
    other = PartnerLocks(DOMAIN, 60.0)
    assert await other.take(7, ignore) == 0
    assert await other.take(5, ignore) == 2
    assert other.numbers() == {5: 2, 6: 1, 7: 0}
    locks.close()
    other.close()
