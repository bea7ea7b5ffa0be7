# ruff: noqa: ANN001, ASYNC240 - the fixtures come from a conftest; nothing else waits
"""The log of a journal: a chain of hashes that shows what was changed, and a schema that grew."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aiocake import JournalError, bulk
from aiocake.bulk import Approval, Call, Journal, LogCheck, LogHead, PlanIdentity
from aiocake.bulk.log_chain import link
from aiocake.sandbox import Sandbox

from ..support.loops import ONE_LOOP
from ..support.runs import change, rows

pytestmark = pytest.mark.anyio

KEPT = Path(__file__).with_name("journals")
#: Two entries change places, but for their hashes.
SWAPPED = [
    "CREATE TABLE kept AS SELECT * FROM log WHERE entry IN (6, 12)",
    """UPDATE log SET (place, at, what, intent, detail) = (
        SELECT place, at, what, intent, detail FROM kept WHERE kept.entry = 18 - log.entry
    ) WHERE entry IN (6, 12)""",
]
PLAN = PlanIdentity(
    hash="a" * 64,
    maker="Anna",
    maker_key="ssh-ed25519 AAAA",
    approvals=(Approval(principal="bob@example.com", key="SHA256:bob"),),
)


async def check(path: Path) -> LogCheck:
    async with await Journal.open(path) as journal:
        return await journal.verify_log()


async def head(path: Path, number: int | None = None) -> LogHead | None:
    async with await Journal.open(path) as journal:
        return await journal.log_head(number)


@pytest.fixture
async def path(ledgers, january, tmp_path: Path) -> Path:
    """The journal of a run of four calls: two are done, one failed, one is a create."""
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        calls: list[Call[object]] = [
            bulk.call(cake.invoices.update, 4821, memo="x"),
            bulk.call(cake.invoices.update, 999, memo="x"),
            january(cake, books.affiliates(1)[0]),
            bulk.call(cake.invoices.update, 4822, memo="x"),
        ]
        summary = await bulk.each(calls, journal=path, limit=1, identity=PLAN)
        assert (summary.done, summary.failed) == (3, 1)
    return path


async def test_each_entry_has_the_hash_of_the_one_before_it_and_of_itself(path: Path) -> None:
    before = b""
    log = rows(path, "SELECT * FROM log ORDER BY entry")
    for *values, found in log:
        before = hashlib.sha256(before + json.dumps(values).encode()).digest()
        assert found == before
    assert [row[4] for row in log] == [
        "created", "began", "plan", "whole", "sending", "done", "sending", "failed",
        "sending", "done", "sending", "done", "looked", "stopped",
    ]  # fmt: skip
    assert await head(path) == LogHead(len(log), before.hex())
    assert await check(path) == LogCheck(
        head=LogHead(len(log), before.hex()), unchained=0, integrity=(), completeness=()
    )


def test_a_hash_is_of_what_json_makes_of_the_values() -> None:
    for values in (
        (1, None, 1, "2024-01-01T00:00:00.000+00:00", "created", None, '{"a": "ä\x7f\\\n"}'),
        (-5, "\N{PILE OF POO}", "", 10**30),
        (),
    ):
        expected = hashlib.sha256(b"before" + json.dumps(list(values)).encode()).digest()
        assert link(b"before", values) == expected


async def test_the_plan_and_who_approved_it_are_in_the_log(path: Path) -> None:
    async with await Journal.open(path) as journal:
        assert await journal.plan_hash() == "a" * 64
        assert await journal.plan_identity() == PLAN
        first, *_ = await journal.log()
        assert (first.number, first.index, first.session, first.what) == (1, None, 1, "created")
        assert json.loads(first.detail or "")["domain"] == "x.example"
        last = (await journal.log(after=12))[-1]
        assert (last.number, last.what) == (14, "stopped")


@ONE_LOOP
@pytest.mark.parametrize(
    ("statements", "integrity", "completeness"),
    [
        (
            ["UPDATE log SET detail = replace(detail, '4821', '4823') WHERE entry = 6"],
            ["entry 6 of the log (done of call 0) is not what was written there"],
            ["call 0 is done in another way than entry 6 of the log says"],
        ),
        (
            ["UPDATE log SET what = 'done' WHERE entry = 8"],
            ["entry 8 of the log (done of call 1) is not what was written there"],
            ["call 1 is failed, but by entry 8 of the log it is done"],
        ),
        (
            ["UPDATE log SET hash = x'00' WHERE entry = 6"],
            [
                "entry 6 of the log (done of call 0) is not what was written there",
                "entry 7 of the log (sending of call 1) is not what was written there",
            ],
            [],
        ),
        (
            ["DELETE FROM log WHERE entry IN (9, 10)"],
            ["entries 9 to 10 of the log are missing"],
            ["call 2 is done, but the log does not mention it"],
        ),
        (
            [
                "UPDATE log SET entry = -6 WHERE entry = 6",
                "UPDATE log SET entry = 6 WHERE entry = 7",
                "UPDATE log SET entry = 7 WHERE entry = -6",
            ],
            ["entries 6 and 7 of the log have changed places"],
            [],
        ),
        (
            [
                "UPDATE log SET entry = -6 WHERE entry = 6",
                "UPDATE log SET entry = 6 WHERE entry = 10",
                "UPDATE log SET entry = 10 WHERE entry = -6",
            ],
            ["entries 6 and 10 of the log have changed places"],
            ["call 2 is done, but by entry 9 of the log it is sending"],
        ),
        (
            SWAPPED,
            ["entries 6 and 12 of the log have changed places"],
            ["call 3 is done, but by entry 11 of the log it is sending"],
        ),
        (
            ["UPDATE calls SET call = replace(call, '4821', '4823') WHERE place = 0"],
            ["call 0 is not what was planned there"],
            [],
        ),
        (
            ["UPDATE calls SET hash = NULL WHERE place = 3"],
            ["call 3 is not what was planned there"],
            [],
        ),
        (["DELETE FROM calls WHERE place = 3"], [], ["call 3 is missing"]),
        (["DELETE FROM calls WHERE place = 1"], [], ["call 1 is missing"]),
        (
            ["UPDATE calls SET state = 'planned' WHERE place = 0"],
            [],
            ["call 0 is planned, but by entry 6 of the log it is done"],
        ),
        (
            ["UPDATE calls SET intent = 'x' WHERE place = 0"],
            [],
            ["call 0 is done in another way than entry 6 of the log says"],
        ),
        (
            ["UPDATE calls SET before = '[1]' WHERE place = 2"],
            [],
            ["call 2 is done in another way than entry 10 of the log says"],
        ),
        (
            ["UPDATE looks SET theirs = '[5]'"],
            [],
            ["the doubles of call 2 are not those of the log"],
        ),
        (
            ["DELETE FROM looks"],
            [],
            ["the doubles of call 2 are missing: entry 13 of the log names them"],
        ),
        (
            ["UPDATE runs SET user = 'eve', stopped = 'x'"],
            ["reason, user of session 1: not what entry 14 of the log says"],
            [],
        ),
        (["DELETE FROM runs"], ["session 1 is missing: entry 14 of the log names it"], []),
        (
            ["INSERT INTO runs VALUES (2, 'x', NULL, NULL, 'eve', 'h', 1, '1')"],
            ["session 2 is not in the log"],
            [],
        ),
        (
            ["UPDATE meta SET value = 'y.example' WHERE name = 'domain'"],
            ["domain of the journal is not what entry 1 of the log says"],
            [],
        ),
        (
            ["INSERT INTO meta VALUES ('unknown_filesystem', 'nfs')"],
            ["unknown_filesystem of the journal is not what nothing in the log says"],
            [],
        ),
        (
            ["UPDATE log SET detail = replace(detail, 'bob@', 'eve@') WHERE what = 'plan'"],
            ["entry 3 of the log (plan of the run) is not what was written there"],
            [],
        ),
        (
            ["UPDATE log SET detail = '{}' WHERE what = 'began'"],
            [
                "entry 2 of the log (began of the run) is not what was written there",
                "session 1 is not in the log",
            ],
            [],
        ),
    ],
)
async def test_whatever_is_changed_is_found_and_named(
    path: Path, statements: list[str], integrity: list[str], completeness: list[str]
) -> None:
    change(path, *statements)
    found = await check(path)
    assert list(found.integrity) == integrity
    assert list(found.completeness)[: len(completeness)] == completeness
    assert bool(found.completeness) == bool(completeness)


async def test_a_plan_that_was_written_anew_is_not_that_of_the_log(path: Path) -> None:
    before = b""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE calls SET call = replace(call, '4821', '4823')")
        for place, digest, call in connection.execute(
            "SELECT place, digest, call FROM calls ORDER BY place"
        ).fetchall():
            before = link(before, (place, digest.hex(), call))
            connection.execute("UPDATE calls SET hash = ? WHERE place = ?", (before, place))
    found = await check(path)
    assert found.integrity == ("the first 4 calls are not those of entry 14 of the log",)


async def test_an_end_that_was_cut_off_shows_by_the_head_that_was_kept(path: Path) -> None:
    kept = await head(path)
    change(path, "DELETE FROM log WHERE entry > 12", "UPDATE runs SET ended_at = NULL")
    change(path, "DELETE FROM looks")
    assert (await check(path)).integrity == ()
    assert kept is not None
    assert (await head(path)) == LogHead(12, str((await head(path, 12)).hash))  # type: ignore[union-attr]
    assert await head(path, kept.count) is None


async def test_a_resumed_run_goes_on_with_the_chain(ledgers, path: Path) -> None:
    books = ledgers(Sandbox())
    before = await head(path)
    async with books.client() as cake:
        await bulk.resume(path, cake)
    assert before is not None
    assert await head(path, before.count) == before
    found = await check(path)
    assert found.head is not None
    assert found.head.count > before.count
    assert (found.integrity, found.completeness) == ((), ())
    async with await Journal.open(path) as journal:
        assert await journal.plan_identity() == PLAN


async def test_a_journal_of_another_plan_is_refused(ledgers, path: Path, tmp_path: Path) -> None:
    books = ledgers(Sandbox())
    before = path.read_bytes()
    other = PlanIdentity(hash="b" * 64)
    async with books.client() as cake:
        with pytest.raises(JournalError, match=f"belongs to plan {'a' * 64}, not to {'b' * 64}"):
            await bulk.resume(path, cake, identity=other)
        assert path.read_bytes() == before
        assert books.state.requests == []
        plain = tmp_path / "plain.db"
        await bulk.each([bulk.call(cake.invoices.update, 4821, memo="x")], journal=plain)
        with pytest.raises(JournalError, match=f"is not of plan {'b' * 64}"):
            await bulk.resume(plain, cake, identity=other)
        now = PlanIdentity(hash="a" * 64, approvals=(Approval(principal="carl", key="SHA256:c"),))
        await bulk.resume(path, cake, identity=now)
    async with await Journal.open(path) as journal:
        assert await journal.plan_identity() == now
    async with await Journal.open(plain) as journal:
        assert await journal.plan_hash() is None
    change(path, "UPDATE log SET detail = '{' WHERE what = 'plan'")
    async with await Journal.open(path) as journal:
        with pytest.raises(JournalError, match="entry 16 of its log does not name its plan"):
            await journal.plan_hash()


async def test_a_run_that_is_alive_can_be_checked(ledgers, tmp_path: Path) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    found: list[LogCheck] = []

    async def look(_: object) -> None:
        found.append(await check(path))

    books.state.on_request.append(look)
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:20]
        calls = (bulk.call(cake.invoices.update, n, memo="x") for n in numbers)
        assert (await bulk.each(calls, journal=path)).complete
    assert len(found) == 20
    assert all((each.integrity, each.completeness) == ((), ()) for each in found)


async def test_the_log_of_a_plan_that_was_not_read_to_its_end_vouches_for_what_was(
    ledgers, tmp_path: Path
) -> None:
    books, path = ledgers(Sandbox()), tmp_path / "run.db"
    async with books.client() as cake:
        numbers = list(books.state.invoices)[:6]
        calls = [bulk.call(cake.invoices.update, n, memo="x") for n in numbers]

        def broken():  # noqa: ANN202 - a generator
            yield from calls[:3]
            raise LookupError

        with pytest.raises(LookupError):
            await bulk.each(broken(), journal=path)
        before = path.read_bytes()
        change(path, "UPDATE calls SET call = replace(call, 'x', 'y') WHERE place = 1")
        assert (await check(path)).integrity == ("call 1 is not what was planned there",)
        path.write_bytes(before)
        summary = await bulk.resume(path, cake, calls=calls)
        assert (summary.done, summary.complete) == (6, True)
    found = await check(path)
    assert (found.integrity, found.completeness) == ((), ())


#: What runs of other versions left, killed while the fourth of five calls was on its way: a status
#: was approved (0), an invoice created (1), one update failed (2).
@pytest.fixture(params=sorted(each.stem for each in KEPT.glob("*.db")))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.db"
    shutil.copy(KEPT / path.name, path)
    return path


@pytest.fixture
def chained(kept: Path) -> bool:
    return not kept.stem.startswith("schema-1")


async def test_a_journal_of_each_earlier_schema_is_read_as_it_is(
    kept: Path, *, chained: bool
) -> None:
    before = kept.read_bytes()
    async with await Journal.open(kept) as journal:
        assert await journal.domain() == "x.example"
        assert [entry.state for entry in await journal.entries()] == [
            "done", "done", "failed", "sending", "planned",
        ]  # fmt: skip
        states = [each.what for each in await journal.log() if each.index is not None]
        assert states == ["sending", "done", "sending", "done", "sending", "failed", "sending"]
        (session,) = await journal.sessions()
        assert (session.user, session.host) == ("anna", "db1")
        assert await journal.doubles() == []
        assert (await journal.log_head() is not None) is chained
        assert await journal.plan_hash() is None
        found = await journal.verify_log()
    assert (found.integrity, found.completeness) == ((), ())
    assert found.unchained == (0 if chained else 7)
    assert kept.read_bytes() == before


async def test_a_journal_of_each_earlier_schema_is_resumed_and_its_log_becomes_a_chain(
    ledgers, kept: Path, *, chained: bool
) -> None:
    books = ledgers(Sandbox())
    async with books.client() as cake:
        summary = await bulk.resume(kept, cake, settle=0)
        assert (summary.done, summary.failed, summary.plan_read) == (4, 1, True)
        assert [each.operation for each in books.writes] == ["update_invoice"] * 3
        found = await check(kept)
        assert (found.integrity, found.completeness) == ((), ())
        assert found.unchained == (0 if chained else 7)
        assert (await bulk.resume(kept, cake)).done == 4
    found = await check(kept)
    assert (found.integrity, found.completeness) == ((), ())
    assert (await head(kept)) == found.head
    change(kept, "UPDATE log SET at = '2020' WHERE what = 'failed'")
    assert len((await check(kept)).integrity) == 3  # one for each session


@ONE_LOOP
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE runs SET host = 'db2' WHERE run = 1", "host of session 1: not what entry 8 "),
        ("UPDATE meta SET value = 'x' WHERE name = 'whole'", "whole of the journal is not what"),
        ("UPDATE calls SET call = replace(call, '\"', '')", "call 0 is not what was planned"),
    ],
)
async def test_what_was_there_before_the_chain_is_vouched_for_since_it_began(
    ledgers, tmp_path: Path, statement: str, message: str
) -> None:
    path = tmp_path / "run.db"
    shutil.copy(KEPT / "schema-1.db", path)
    async with ledgers(Sandbox()).client() as cake:
        await bulk.resume(path, cake, settle=0)
    change(path, statement)
    assert (await check(path)).integrity[0].startswith(message)


async def test_what_was_missing_before_the_chain_is_missing_in_it(ledgers, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    shutil.copy(KEPT / "schema-1.db", path)
    change(
        path, "DELETE FROM log WHERE entry = 2", "INSERT INTO looks VALUES (1, 5021, '[]', 1, '')"
    )
    async with ledgers(Sandbox()).client() as cake:
        await bulk.resume(path, cake, settle=0)
    found = await check(path)
    assert found.integrity == ("entry 2 of the log is missing",)
    assert found.completeness == ("call 0 is done, but by entry 1 of the log it is sending",)
    assert found.unchained == 7


async def test_what_is_wrong_with_a_log_that_is_no_chain_is_found_as_far_as_it_can_be(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    shutil.copy(KEPT / "schema-1.db", path)
    change(path, "UPDATE calls SET state = 'planned' WHERE place = 0")
    change(path, "DELETE FROM calls WHERE place = 1")
    assert (await check(path)).completeness == (
        "call 1 is missing",
        "call 0 is planned, but by entry 2 of the log it is done",
        "call 1 is missing: entry 3 of the log names it",
    )


async def test_a_kill_while_the_chain_begins_leaves_the_journal_as_it_was(
    ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.db"
    shutil.copy(KEPT / "schema-1.db", path)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("the disk is gone")

    async with ledgers(Sandbox()).client() as cake:
        with monkeypatch.context() as broken:
            broken.setattr("aiocake.bulk.journal_file._begin", fail)
            with pytest.raises(JournalError, match="the disk is gone"):
                await bulk.resume(path, cake)
        assert rows(path, "PRAGMA user_version") == [(1,)]
        assert (await check(path)).head is None
        assert (await bulk.resume(path, cake, settle=0)).done == 4


def test_the_kept_journals_name_nobody() -> None:
    assert len(list(KEPT.glob("*.db"))) == 3
    for path in KEPT.glob("*.db"):
        assert path.stat().st_size < 40_000
        assert rows(path, "SELECT user, host FROM runs") == [("anna", "db1")]
