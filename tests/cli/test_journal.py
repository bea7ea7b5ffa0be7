"""``aiocake journal``: how a run stands, its calls, and going on with it."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import csv
import getpass
import json
import os
import platform
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from starlette.responses import Response

from aiocake import ERASE, Client, RetryPolicy, bulk
from aiocake.bulk import Call, Journal, Stop, Summary, filesystem
from aiocake.bulk.journal import EntryState
from aiocake.bulk.journal_file import open_existing
from aiocake.bulk.partner_locks import PartnerLocks
from aiocake.cli import connection as connection_module
from aiocake.cli.errors import print_error
from aiocake.cli.journal import unfinished

KEY = "canary-K3Y"


@pytest.fixture
def journal(stage, sandbox, environment, tmp_path: Path) -> Path:
    """The journal of a run that stopped at its second call of four; the third is a create."""
    del environment
    path = tmp_path / "run.db"
    sandbox.state.invoices[4822].invoice_status = "pending"

    def calls(cake: Client) -> list[Call[object]]:
        june = {"start_date": date(2030, 6, 1), "end_date": date(2030, 6, 30)}
        return [
            bulk.call(cake.invoices.update, 4821, memo="=1+1"),
            bulk.call(cake.invoices.update, 999, memo="\x7f[b]x"),
            bulk.call(cake.invoices.create, affiliate_id=67890, **june),
            bulk.call(cake.invoices.update, 4822, invoice_status="void"),
        ]

    async def run() -> Summary:
        async with Client(stage.url, KEY, retry=RetryPolicy(attempts=1)) as cake:
            return await bulk.each(calls(cake), journal=path, limit=1, stop_after=Stop(failed=1))

    assert anyio.run(run).unsent == 2
    sandbox.state.requests.clear()
    return path


def test_show_tells_how_a_run_stands_and_who_worked_on_it(cake, journal: Path, stage) -> None:
    ran = cake("journal", "show", journal)
    assert (ran.code, ran.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in ran.out.splitlines()[2:-1])
    assert lines["domain"] == stage.url.removeprefix("http://")
    assert (lines["calls"], lines["plan_read"]) == ("4", "yes")
    assert (lines["planned"], lines["done"], lines["failed"]) == ("2", "1", "1")
    assert ran.out.splitlines()[-1].startswith("session 1")
    assert "calls that failed: 1 (last: NotFound)" in ran.out
    shown = json.loads(cake("journal", "show", journal, "-f", "json").out)
    assert shown["planned"] == 2
    assert shown["sessions"][0]["stopped"] == "calls that failed: 1 (last: NotFound)"


def test_a_run_that_is_alive_is_shown_with_who_runs_it_and_is_not_resumed(
    cake, terminal, journal: Path, stage, sandbox
) -> None:
    file = open_existing(journal, stage.url.removeprefix("http://"), for_tests=True)
    try:
        shown = json.loads(cake("journal", "show", journal, "-f", "json").out)
        assert shown["running"] is True
        assert [each["running"] for each in shown["sessions"]] == [False, True]
        ran = cake("journal", "show", journal)
        assert (ran.code, ran.err) == (0, "")
        assert "running" in ran.out
        assert f", not finished (still running), {getpass.getuser()} on " in ran.out
        ran = cake("journal", "export", journal, "-f", "jsonl")
        assert (ran.code, len(ran.out.splitlines())) == (0, 4)
        ran = cake("journal", "resume", journal)
        assert (ran.code, ran.out) == (2, "")
        who = f"{getpass.getuser()} on {platform.node()}, process {os.getpid()}, since "
        assert f"{journal} is in use by another run: {who}" in ran.err
        ran = terminal("journal", "resume", str(journal)).end()  # and nothing is asked
        assert ran.code == 2
        assert f"process {os.getpid()}" in ran.out
    finally:
        file.close()
    assert sandbox.state.requests == []
    ran = cake("journal", "show", journal)
    assert ", not finished (killed), " in ran.out
    assert json.loads(cake("journal", "show", journal, "-f", "json").out)["running"] is False


def test_a_journal_on_a_network_drive_needs_an_option(
    cake, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "network_filesystem", lambda *_: "nfs4")
    for command in ("show", "export", "resume"):
        ran = cake("journal", command, journal)
        assert ran.code == 2
        assert f"{journal} is on nfs4, where locks and fsync may not work" in ran.err
        assert "--allow-unknown-filesystem" in ran.err
        ran = cake("journal", command, journal, "--allow-unknown-filesystem")
        assert ran.code == (5 if command == "resume" else 0)
    ran = cake("journal", "show", journal)  # the journal has kept it
    assert ran.code == 0
    assert ["unknown_filesystem", "nfs4"] in [line.split() for line in ran.out.splitlines()]
    assert json.loads(cake("journal", "show", journal, "-f", "json").out)["unknown_filesystem"] == (
        "nfs4"
    )


def test_export_gives_each_call_and_none_of_it_as_code(cake, journal: Path, tmp_path: Path) -> None:
    rows = [
        json.loads(line)
        for line in cake("journal", "export", journal, "-f", "jsonl").out.splitlines()
    ]
    assert [row["state"] for row in rows] == ["done", "failed", "planned", "planned"]
    assert rows[0]["arguments"] == {"invoice_id": 4821, "memo": "=1+1"}
    assert rows[1]["detail"]["error"] == "NotFound"
    assert rows[2]["arguments"]["start_date"] == "2030-06-01"
    assert (rows[2]["intent"], rows[2]["detail"]) == (None, None)
    table = cake("journal", "export", journal).out
    assert "\x7f" not in table
    out = tmp_path / "failed.csv"
    assert cake("journal", "export", journal, "--state", "failed", "--out", out).code == 0
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert (row["index"], row["state"], row["operation"]) == ("1", "failed", "invoices.update")
    assert row["arguments"].startswith("invoice_id 999, memo ")
    assert KEY not in table + out.read_text()


def test_resume_sends_what_was_not_done(cake, journal: Path, sandbox) -> None:
    ran = cake("journal", "resume", journal, "--concurrency", 1)
    assert ran.code == 5
    assert "call 1, invoices.update of invoice 999: not done: Invoice" in ran.err
    assert sandbox.state.invoices[4822].invoice_status == "void"
    sent = [each.operation for each in sandbox.state.requests]
    # The last one looks whether what was created is there twice.
    # Before the create its partner's invoices are listed, before the update its invoice is read.
    creates = ["invoices", "invoice"]
    assert sent == ["update_invoice", *creates, "invoices", "update_invoice", "invoices"]
    del sandbox.state.requests[:]
    ran = cake("journal", "resume", journal, "-f", "json")
    assert ran.code == 5
    assert len(sandbox.state.requests) == 1
    summary = json.loads(ran.out)
    assert (summary["done"], summary["failed"], summary["plan_read"]) == (3, 1, True)
    (problem,) = summary["problems"]
    assert problem.startswith("call 1, invoices.update of invoice 999: not done: ")


def test_resume_says_what_stays_unknown_and_what_was_skipped(cake, journal: Path, sandbox) -> None:
    lost = Response("gone", 502)

    def lose(request, _: object) -> Response | None:
        if request.operation == "invoice":
            for invoice in sandbox.state.invoices.values():
                if invoice.start_date == date(2030, 6, 1):
                    invoice.end_date = date(2030, 7, 1)
            return lost
        return None

    sandbox.state.on_response.append(lose)
    ran = cake("journal", "resume", journal, "--settle", 0)
    assert ran.code == 7
    made = max(sandbox.state.invoices)
    assert "call 2, invoices.create of affiliate 67890, start date 2030-06-01, end date " in ran.err
    assert "one of the candidates may be it, or none: check invoices.create(" in ran.err
    assert f"(candidates: {made})" in ran.err
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE calls SET state = 'planned' WHERE place = 2")
    ran = cake("journal", "resume", journal)
    assert ran.code == 5
    assert f": skipped, since there is already {made}" in ran.err


def test_a_run_that_is_done_ends_in_0_and_one_whose_key_is_refused_does_not(
    cake, journal: Path, sandbox
) -> None:
    sandbox.state.api_keys.clear()
    ran = cake("journal", "resume", journal)
    assert ran.code == 5
    assert "aiocake: stopped: the key was rejected" in ran.err
    sandbox.state.api_keys.add(KEY)
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE place = 1")
    ran = cake("journal", "resume", journal)
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert line.startswith("aiocake: resuming at ")
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE name = 'whole'")
    ran = cake("journal", "resume", journal)
    assert ran.code == 1
    assert "the plan was not read to its end" in ran.err


def doubled(sandbox) -> None:
    """Have somebody else create what is created here, each time."""

    def follow(request, _: object) -> None:
        if request.operation == "invoice":
            number = sandbox.state.invoices.next_id()
            like = sandbox.state.invoices[number - 1]
            sandbox.state.invoices[number] = attrs.evolve(like, invoice_id=number)

    sandbox.state.on_response.append(follow)


def test_what_was_created_twice_is_told_and_ends_in_9(cake, journal: Path, sandbox) -> None:
    doubled(sandbox)
    ran = cake("journal", "resume", journal)
    theirs = max(sandbox.state.invoices)
    assert ran.code == 9
    text = f"call 2 was created twice: it created {theirs - 1}, and there is {theirs}"
    assert f"aiocake: {text}; void one of them\n" in ran.err
    shown = cake("journal", "show", journal)
    assert text in shown.out
    doubles = json.loads(cake("journal", "show", journal, "-f", "json").out)["doubles"]
    assert doubles == [{"index": 2, "ours": theirs - 1, "theirs": [theirs]}]
    ran = cake("journal", "resume", journal, "-f", "json")
    assert (ran.code, json.loads(ran.out)["doubles"]) == (9, doubles)
    sandbox.state.invoices[theirs].invoice_status = "void"
    ran = cake("journal", "resume", journal, "-f", "csv")
    assert ran.code == 5  # of the call that failed


def test_a_look_that_failed_is_said(cake, journal: Path, sandbox) -> None:
    def fail(request) -> Response | None:
        created = any(each.operation == "invoice" for each in sandbox.state.requests)
        lists = request.operation == "invoices" and "invoice_id" not in request.arguments
        return Response("down", 500) if created and lists else None

    sandbox.state.on_request.append(fail)
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE place = 1")
    ran = cake("journal", "resume", journal)
    assert ran.code == 1
    assert "aiocake: 1 of the creates were not checked for doubles: Server" in ran.err
    sandbox.state.on_request.remove(fail)
    assert cake("journal", "resume", journal).code == 0


def test_a_call_whose_invoice_is_another_is_skipped_and_ends_in_10(
    cake, journal: Path, sandbox
) -> None:
    sandbox.state.invoices[4822].invoice_status = "paid"
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE place = 1")
    for _ in range(2):
        ran = cake("journal", "resume", journal)
        assert ran.code == 10
        call = "call 3, invoices.update of invoice 4822, invoice status void"
        assert f"{call}: skipped: invoice 4822 is not as expected: " in ran.err
        assert "invoice_status is paid, which a run does not set to void" in ran.err
    shown = json.loads(cake("journal", "export", journal, "--state", "skipped", "-f", "json").out)
    assert shown[0]["detail"]["found"]["invoice_status"] == "paid"
    misspelt = cake("journal", "export", journal, "--state", "skiped").err
    assert "Invalid value for '--state': 'skiped' is not one of 'planned', " in misspelt
    assert sandbox.state.invoices[4822].invoice_status == "paid"


def test_many_problems_are_not_all_said(cake, journal: Path, stage) -> None:
    async def planned() -> list[tuple[int, bytes, str]]:
        async with Client(stage.url, KEY) as client:
            calls = [
                bulk.call(client.invoices.update, 9000 + place, memo="x") for place in range(10, 50)
            ]
        return [(place, each.digest(), each.to_json()) for place, each in enumerate(calls, 10)]

    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.executemany(
            "INSERT INTO calls (place, digest, call) VALUES (?, ?, ?)", anyio.run(planned)
        )
    ran = cake("journal", "resume", journal)
    assert ran.code == 5
    assert ran.err.count("not done: Invoice not found") == 20
    assert "and more: aiocake journal export lists all of them" in ran.err


@pytest.mark.parametrize("command", ["show", "export", "resume"])
def test_a_file_that_is_no_journal_is_one_clear_line(cake, tmp_path: Path, command: str) -> None:
    path = tmp_path / "run.db"
    for text, message in (
        (None, f"no such file: {path}"),
        ("", f"{path} is empty: its run had not begun"),
        ("nonsense" * 100, f"{path} cannot be used"),
    ):
        if text is not None:
            path.write_text(text)
        ran = cake("journal", command, path)
        assert ran.code == 2
        assert ran.out == ""
        assert ran.err.startswith(f"aiocake: {message}")
        assert ran.err.count("\n") == 1


def test_a_journal_of_another_instance_is_not_resumed(cake, journal: Path, sandbox) -> None:
    ran = cake("journal", "resume", journal, "--domain", "y.example")
    assert ran.code == 2
    assert f"aiocake: {journal} belongs to instance 127.0.0.1:" in ran.err
    assert sandbox.state.requests == []


def begun(journal: Path, ago: timedelta, user: str = "ana", host: str = "host") -> str:
    """Have a run begun some time ago by somebody; gives how that is said."""
    when = datetime.now(UTC) - ago
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(
            "UPDATE runs SET started_at = ?, user = ?, host = ? WHERE run = 1",
            (when.isoformat(timespec="milliseconds"), user, host),
        )
    return f"({when:%Y-%m-%d %H:%M} UTC) by {user or 'unknown'} on {host or 'unknown'}"


def test_a_terminal_is_asked_first(terminal, journal: Path, sandbox, stage) -> None:
    said = begun(journal, timedelta(days=3, minutes=5))
    for answer, code in (("n", 1), ("y", 5)):
        on = terminal("journal", "resume", str(journal), columns=400)
        on.read_until("? [y/N]")
        on.type(f"{answer}\n")
        ran = on.end()
        assert ran.code == code
        assert (
            f"At {stage.url}: 1 × invoices.update (invoice_id 999, memo \\x7f[b]x), "  # noqa: RUF001 - as it is shown
            "1 × invoices.create (affiliate_id 67890, start_date 2030-06-01, "  # noqa: RUF001 - the same
            "end_date 2030-06-30), 1 × invoices.update (invoice_id 4822, invoice_status void), "  # noqa: RUF001 - the same
            f"1 failed among them, begun 3 days ago {said}: resume? [y/N]"
        ) in ran.out
        assert bool(sandbox.state.requests) is (answer == "y"), ran.out


def test_many_calls_alike_are_counted(stage, environment, tmp_path: Path) -> None:
    del environment
    path = tmp_path / "run.db"

    async def plan() -> None:
        async with Client(stage.url, KEY) as cake:
            update, receive = cake.invoices.update, cake.affiliate_bills.mark_received
            calls: list[Call[Any]] = [
                bulk.call(update, number, invoice_status="approved", memo=str(number))
                for number in range(1, 594)
            ]
            calls += [
                bulk.call(update, number, invoice_status="paid") for number in range(600, 602)
            ]
            calls += [
                bulk.call(receive, number, invoiced_amount=Decimal("20.10"), notes=ERASE)
                for number in (1, 2)
            ]
            async with await Journal.create(path, "x.example") as journal:
                for place, call in enumerate(calls):
                    journal.plan(place, call.digest(), call.to_json())
                journal.ended(0, EntryState.DONE, None, None)
                journal.sending(1, "i", None)
                await journal.flush()

    anyio.run(plan)
    for ago, words in (
        (timedelta(0), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=400), "400 days ago"),
        (timedelta(days=-2), "by a clock that is ahead of this one"),
    ):
        said = begun(path, ago, user="", host="")
        assert anyio.run(unfinished, partial(Journal.open, path)) == (
            "592 × invoices.update (invoice_status approved), "  # noqa: RUF001 - as it is shown
            "2 × invoices.update (invoice_status paid), "  # noqa: RUF001 - the same
            "2 × affiliate_bills.mark_received (invoiced_amount 20.10, notes ERASE), "  # noqa: RUF001 - the same
            f"1 sending among them, begun {words} {said}"
        )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM runs")
        connection.execute("UPDATE calls SET state = 'done'")
    assert anyio.run(unfinished, partial(Journal.open, path)) is None


def test_a_run_of_which_nothing_is_left_is_not_asked_about(cake, journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE calls SET state = 'done'")
    ran = cake("journal", "resume", journal, yes=False)
    assert (ran.code, ran.err) == (0, "")


def test_a_plan_of_many_kinds_is_not_said_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.db"

    async def plan() -> None:
        async with await Journal.create(path, "x.example") as journal:
            for place in range(30):
                call = {"operation": f"o{place}", "arguments": {"a": "b c", "d": True, "e": ""}}
                journal.plan(place, bytes([place]), json.dumps(call))
            await journal.flush()

    anyio.run(plan)
    said = anyio.run(unfinished, partial(Journal.open, path))
    assert said.startswith('1 × o0 (a "b c", d true, e ""), 1 × o1 ')  # noqa: RUF001 - as it is shown
    assert said.count("×") == 10  # noqa: RUF001 - the same
    assert ", and others, begun " in said


def test_where_nobody_can_be_asked_a_run_does_not_go_on(cake, journal: Path, sandbox) -> None:
    ran = cake("journal", "resume", journal, yes=False)
    assert ran.code == 2
    assert "nothing was sent: a write needs --yes" in ran.err
    assert sandbox.state.requests == []


@pytest.mark.parametrize("command", ["show", "export", "resume"])
@pytest.mark.parametrize(
    "out", ["run.db", "link", "hard", "run.db-wal", "run.db-shm", "run.db-owner", "run.db-journal"]
)
def test_what_a_journal_is_made_of_is_not_written_over(
    cake, journal: Path, sandbox, command: str, out: str
) -> None:
    folder = journal.parent
    (folder / "named").symlink_to(journal)
    (folder / "link").symlink_to("named")
    if out == "hard":
        (folder / out).hardlink_to(journal)
    before = journal.read_bytes()
    ran = cake("journal", command, folder / "named", "--out", folder / out, "-f", "json")
    assert ran.code == 2
    assert f"--out: {folder / out} is " in ran.err
    assert journal.read_bytes() == before
    assert sandbox.state.requests == []
    assert not [each for each in folder.iterdir() if each.name.startswith("run.db-")]


def test_a_journal_that_is_open_to_append_is_not_written_to(process, journal: Path) -> None:
    before = journal.read_bytes()
    with journal.open("ab") as log:
        number = log.fileno()
        for out, streams in (("-", {"stdout": log}), (f"/dev/fd/{number}", {"pass_fds": [number]})):
            ran = process("journal", "export", journal, "--out", out, **streams)
            assert ran.code == 2
            assert f"is {journal}, which the command needs" in ran.err
    assert journal.read_bytes() == before


def test_what_a_run_ends_in_is_said_though_its_record_cannot_be_written(
    cake, process, journal: Path, sandbox
) -> None:
    doubled(sandbox)
    ran = cake("journal", "resume", journal, "--out", "/dev/full")
    assert ran.code == 9
    assert "call 2 was created twice" in ran.err
    assert "the output cannot be written: No space left on device" in ran.err
    reader, writer = os.pipe()
    os.close(reader)
    ran = process("journal", "resume", journal, stdout=writer)
    assert ran.code == 9
    assert "call 2 was created twice" in ran.err
    ran = process("journal", "resume", journal, stdout=writer, stderr=writer)
    os.close(writer)
    assert ran.code == 9


def test_a_run_that_is_done_and_whose_record_cannot_be_written_ends_in_1(
    cake, process, journal: Path
) -> None:
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE place = 1")
    ran = cake("journal", "resume", journal, "--out", "/dev/full")
    assert ran.code == 1
    assert "No space left on device; invoices.update: done; invoices.create: done" in ran.err
    reader, writer = os.pipe()
    os.close(reader)
    assert process("journal", "resume", journal, stdout=writer).code == 0
    os.close(writer)


def test_a_wait_for_another_run_is_said_once_for_each_partner(
    cake, journal: Path, stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = PartnerLocks(stage.url.removeprefix("http://"), 0)
    anyio.run(locks.take, 67890, lambda _: None)

    def let_go(text: str) -> None:
        print_error(text)
        locks.give(67890)

    monkeypatch.setattr(connection_module, "print_error", let_go)
    ran = cake("journal", "resume", journal)
    locks.close()
    line = "aiocake: waiting for another run on this host, which creates for affiliate 67890\n"
    assert ran.err.count(line) == 1
    assert ran.code == 5


def test_a_wait_for_what_a_killed_run_may_have_created_is_said(cake, journal: Path, stage) -> None:
    killed = PartnerLocks(stage.url.removeprefix("http://"), 0)
    anyio.run(killed.take, 67890, lambda _: None)
    killed.leaves(67890)
    killed.close()
    ran = cake("journal", "resume", journal, "--settle", 0.01)
    (line,) = [each for each in ran.err.splitlines() if "waiting" in each]
    assert line.endswith(
        " s for what another run on this host may have created for affiliate 67890"
    )
    assert ran.code == 5


def test_a_journal_that_cannot_be_opened_says_what_it_needs(cake, journal: Path) -> None:
    # As in a folder that may not be written to: SQLite cannot make the file beside it.
    journal.with_name("run.db-wal").mkdir()
    ran = cake("journal", "show", journal)
    assert ran.code == 2
    assert "the journal must be readable and its folder writable" in ran.err
