"""``aiocake approve``: what a second person sees of a plan, and how it is signed, or is not."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
import re
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from rich.cells import cell_len

from aiocake.monthend import Caps, Plan, read_signatures
from aiocake.monthend.ssh_keys import PublicKey

from ..support.plans import MONTHS, a_plan, history, row
from ..support.signing import People, keygen

EVIL = '=HYPERLINK("https://evil.example") \x1b[31m \u202e <b>'


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"), "maria", "ben", "kim", "maria2")


@attrs.frozen
class Case:
    plan: Plan
    file: Path
    people: People
    signers: Path

    def fingerprint(self, name: str) -> str:
        return PublicKey.of_line(self.people.line(name)).fingerprint


def make(people: People, folder: Path, **header: object) -> Case:
    plan = a_plan(
        [
            row("1200.00", name="Acme"),
            row("1200.00", name="Acme"),
            row("77.07", partner=2, name=EVIL, currency="EUR"),
            *(
                row(f"{n}00.00", partner=n, name=f"A long name of partner {n} " * 3)
                for n in range(3, 12)
            ),
        ],
        maker_key=people.line("maria"),
        history_months=MONTHS,
        history=(history("300.00", last="300.00"), history("5", partner=99, last="5.05")),
        caps=Caps(max_rows=12),
        **header,  # type: ignore[arg-type] # its fields
    )
    file = folder / "january.plan"
    plan.write(file)
    return Case(plan, file, people, people.signers())


@pytest.fixture
def case(people: People, tmp_path: Path) -> Case:
    return make(people, tmp_path)


SHOWN = """
Totals (beside 2023-12):
kind    currency  rows  amount    last_rows  last_amount  change
──────  ────────  ────  ────────  ─────────  ───────────  ────────
payout  EUR          1     77.07          0            0     77.07
payout  USD         11  8,700.00          2       305.05  8,394.95
"""


def test_without_a_key_it_only_shows(cake, case: Case) -> None:
    ran = cake("approve", case.file)
    assert (ran.code, ran.err) == (0, "")
    assert SHOWN in ran.out
    for line in (
        f"made        {case.plan.header.created_at:%Y-%m-%d %H:%M} UTC by maria@example.com, key "
        + case.fingerprint("maria"),
        f"hash        {case.plan.hash}",
        "signatures  not checked (--signers): none",
        "First-time payees (in none of 2023-10, 2023-11, 2023-12):",
        "and 4 more, payout: 1,800.00 USD",
        "Rows above 3 times their own median:",
        "In 2023-12 and not in this plan:",
        "Caps that are nearly reached (nine tenths or more):",
        "None of these: amounts that are not the bill's.",
    ):
        assert line in ran.out.splitlines()
    assert "payout  USD       1        Acme          1,200.00      2  3, 4" in ran.out
    assert list(case.file.parent.iterdir()) == [case.file]


def test_an_object_of_what_there_is_to_see(cake, case: Case) -> None:
    ran = cake("approve", case.file, "--json")
    assert (ran.code, ran.err) == (0, "")
    shown = json.loads(ran.out)
    assert (shown["hash"], shown["rows"]) == (case.plan.hash, case.plan.header.rows)
    assert (shown["signed_by"], shown["signatures"]) == (None, 0)
    assert shown["found"][0]["rows"][0]["amount"] == "77.07"
    key = ("--key", case.people.key("ben"), "--json")
    ran = cake("approve", case.file, *key, yes=False)
    assert ran.code == 2
    assert "--json: needs --yes with --key" in json.loads(ran.err)["message"]
    shown = json.loads(cake("approve", case.file, *key, "--yes").out)
    assert (shown["signed_by"], shown["signatures"]) == (case.fingerprint("ben"), 1)


def test_a_name_that_is_code_is_shown_harmlessly(cake, case: Case, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = cake("approve", case.file, "--html", page)
    assert r'=HYPERLINK("https://evil.example") \x1b[31m \u202e <b>' in ran.out
    text = page.read_text("utf-8")
    assert "=HYPERLINK(&quot;https://evil.example&quot;) \\x1b[31m \\u202e &lt;b&gt;" in text
    assert page.stat().st_mode & 0o777 == 0o600  # it has names and amounts
    for each in (ran.out, text):
        assert not re.search("[\x1b\u202e]", each)


@pytest.mark.parametrize("columns", [120, 80])
def test_nothing_is_wider_than_the_terminal(terminal, case: Case, columns: int) -> None:
    ran = terminal("approve", case.file, "--signers", case.signers, columns=columns).end()
    assert ran.code == 0
    lines = ran.out.splitlines()
    wide = [line for line in lines if cell_len(line) > columns]
    assert wide == []
    assert "".join(case.plan.hash) in re.sub(r"\n\s*", "", ran.out)
    assert SHOWN in ran.out


def test_the_maker_and_two_others_sign(cake, case: Case) -> None:
    ran = cake("approve", case.file, "--key", case.people.key("ben"), "--yes")
    assert ran.code == 0
    assert f"Signed: {case.file}.sig has 1 signature now." in ran.out
    ran = cake(
        "approve", case.file, "--signers", case.signers, "--key", case.people.key("kim"), "-y"
    )
    assert ran.code == 0
    assert f"Signed: {case.file}.sig has 2 signatures now." in ran.out
    ran = cake("approve", case.file)
    both = f"{case.fingerprint('ben')}, {case.fingerprint('kim')}"
    assert f"signatures  not checked (--signers): {both}\n" in ran.out
    ran = cake("approve", case.file, "--signers", case.signers)
    said = ", ".join(f"{name}@example.com ({case.fingerprint(name)})" for name in ("ben", "kim"))
    assert f"approved by          {said}\n" in ran.out
    assert "signed by the maker  not yet\n" in ran.out


def test_a_page_has_who_signed_last(cake, case: Case, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ("--signers", case.signers, "--html", page, "--key", case.people.key("ben"), "--yes")
    assert cake("approve", case.file, *words).code == 0
    assert f"ben@example.com ({case.fingerprint('ben')})" in page.read_text("utf-8")


def test_without_a_terminal_it_needs_yes(cake, case: Case) -> None:
    ran = cake("approve", case.file, "--key", case.people.key("ben"), yes=False)
    assert ran.code == 2
    assert ran.err == (
        "aiocake: nothing was signed: this needs --yes when the standard input is not a terminal\n"
    )
    assert read_signatures(case.file) == ""


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 1), ("n\n", 1)])
def test_a_person_is_asked(cake, typed, case: Case, answer: str, code: int) -> None:
    typed(answer)
    ran = cake("approve", case.file, "--key", case.people.key("ben"))
    assert ran.code == code
    assert "To approve: january.plan: 12 rows, payout 77.07 EUR, payout 8,700.00 USD\n" in ran.out
    assert f"Approve with {case.fingerprint('ben')}? [y/N] " in ran.err
    assert ("nothing was signed" in ran.err) is bool(code)
    assert bool(read_signatures(case.file)) is not bool(code)


def refused(cake, case: Case, *words: object, signs: str = "ben") -> str:
    before = read_signatures(case.file)
    ran = cake("approve", case.file, "--key", case.people.key(signs), "--yes", *words)
    assert ran.code == 2
    assert read_signatures(case.file) == before
    assert ran.err.count("\n") == 1
    return ran.err


def test_the_maker_does_not_approve(cake, case: Case) -> None:
    said = refused(cake, case, signs="maria")
    assert "is the maker's: somebody else must approve" in said


def test_the_maker_does_not_approve_with_a_second_key(cake, case: Case) -> None:
    names = {"maria@example.com": "maria", "MARIA@example.com": "maria2"}
    signers = case.people.signers(names, file="of_maria")
    said = refused(cake, case, "--signers", signers, signs="maria2")
    assert "signature 1: is by MARIA@example.com, who made the plan" in said


def test_nobody_approves_with_a_second_key(cake, case: Case) -> None:
    cake("approve", case.file, "--key", case.people.key("ben"), "--yes")
    names = {"ben@example.com": "ben", "BEN@example.com": "kim"}
    signers = case.people.signers(names, file="two_keys")
    said = refused(cake, case, "--signers", signers, signs="kim")
    assert "signature 2: is by BEN@example.com, as signature 1 is" in said


def test_a_key_approves_once(cake, case: Case) -> None:
    cake("approve", case.file, "--key", case.people.key("ben"), "--yes")
    assert f"the key {case.fingerprint('ben')} has signed the plan already" in refused(cake, case)


def test_a_key_that_nobody_knows(cake, case: Case) -> None:
    signers = case.people.signers({"kim@example.com": "kim"}, file="of_kim")
    assert "stands under no name in of_kim" in refused(cake, case, "--signers", signers)


def test_a_key_that_is_revoked(cake, case: Case, tmp_path: Path) -> None:
    revoked = tmp_path / "gone"
    keygen("-k", "-q", "-f", revoked, case.people.folder / "ben.pub")
    said = refused(cake, case, "--signers", case.signers, "--revoked", revoked)
    assert "is revoked by gone" in said


def test_a_plan_that_its_maker_cannot_sign_is_not_signed(cake, case: Case, tmp_path: Path) -> None:
    case = attrs.evolve(case, file=tmp_path / "other.plan")
    a_plan().write(case.file)
    assert cake("approve", case.file).code == 0
    said = refused(cake, case)
    assert "no approval would count: the plan names no key of its maker" in said
    assert "make it again with one (aiocake plan --sign)" in said


def test_an_expired_plan_is_shown_and_not_signed(cake, people: People, tmp_path: Path) -> None:
    case = make(people, tmp_path, good_for=-timedelta(hours=1))
    ran = cake("approve", case.file)
    assert ran.code == 0
    assert " UTC: IT HAS EXPIRED\n" in ran.out
    assert "the plan has expired: it was valid until " in refused(cake, case)


def test_an_edited_plan_is_not_shown(cake, case: Case) -> None:
    case.file.write_bytes(case.file.read_bytes().replace(b"1200.00", b"1300.00", 1))
    ran = cake("approve", case.file)
    assert (ran.code, ran.out) == (2, "")
    assert "line 15: the hash is not that of the lines before it" in ran.err


def test_signatures_of_another_plan_are_said_to_be_such(cake, case: Case, tmp_path: Path) -> None:
    other = tmp_path / "other.plan"
    a_plan(maker_key=case.people.line("maria")).write(other)
    assert cake("approve", other, "--key", case.people.key("kim"), "--yes").code == 0
    Path(f"{other}.sig").rename(f"{case.file}.sig")
    ran = cake("approve", case.file, "--signers", case.signers)
    assert ran.code == 2
    reason = "is of another plan, or the plan was changed after it was signed"
    assert f"signature 1          {reason}\n" in ran.out
    assert f"the signatures do not count together: signature 1: {reason}" in ran.err
    refused(cake, case, "--signers", case.signers)


def test_a_damaged_file_of_signatures(cake, case: Case) -> None:
    Path(f"{case.file}.sig").write_text("approved, Ben\n", "ascii")
    ran = cake("approve", case.file)
    assert ran.code == 0
    assert "not checked (--signers): the file of signatures contains text that is not a" in ran.out
    assert "no signature can be added" in refused(cake, case)


def test_options_that_do_not_fit(cake, case: Case) -> None:
    ran = cake("approve", case.file, "--revoked", case.signers)
    assert (ran.code, ran.err) == (2, "aiocake: --revoked: needs --signers\n")
    for file in (case.file, f"{case.file}.sig", case.signers):
        ran = cake("approve", case.file, "--signers", case.signers, "--html", file)
        assert ran.code == 2
        assert f"--html: {file} is {file}, which the command needs" in ran.err
    ran = cake("approve", case.file, "--html", case.file.parent / "no" / "page.html")
    assert ran.code == 2
    assert "cannot be written: No such file or directory" in ran.err


def test_no_plan(cake, tmp_path: Path) -> None:
    ran = cake("approve", tmp_path / "no.plan")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"aiocake: no such file: {tmp_path / 'no.plan'}\n"


def test_without_ssh_keygen_a_plan_can_be_looked_at(
    cake, case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cake("approve", case.file).code == 0
    ran = cake("approve", case.file, "--signers", case.signers)
    assert ran.code == 2
    assert "ssh-keygen was not found: OpenSSH 8.1 or later is needed" in ran.err


def test_a_passphrase_is_asked_for_on_the_terminal(terminal, case: Case, tmp_path: Path) -> None:
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked")
    for typed, code in (("wrong\n", 2), ("secret\n", 0)):
        one = terminal("approve", case.file, "--key", tmp_path / "locked")
        one.read_until("? [y/N] ")
        one.type("y\n")
        one.read_until("Enter passphrase")
        one.type(typed)
        assert one.end().code == code
        assert bool(read_signatures(case.file)) is (code == 0)
