"""Four eyes: nobody approves what they made, nobody approves twice, and nothing else counts."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from aiocake.errors import ArgumentError, ConfigurationError, PlanError
from aiocake.monthend import Approvals, Plan, approvals, read_signatures, require, signatures
from aiocake.monthend.approvals import (
    refuse_expired,
    refuse_other_domain,
    refuse_other_hash,
    sign,
    signature_file,
)
from aiocake.monthend.signatures import blocks_of

from ..support.plans import a_plan, row
from ..support.signing import People, keygen

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"), "maria", "ben", "kim", "maria2")


@attrs.frozen
class Case:
    """A plan in its file, and who may sign it."""

    people: People
    plan: Plan
    file: Path
    signers: Path

    async def signed_by(self, *names: str) -> "Case":
        for name in names:
            await self.plan.sign(self.file, self.people.key(name))
        return self

    async def require(self, number: int, **more: object) -> Approvals:
        text = read_signatures(self.file)
        given = {"signers": self.signers, **more}
        return await require(self.plan, text, approvals=number, **given)  # type: ignore[arg-type]

    async def refusal(self, number: int = 1, **more: object) -> str:
        with pytest.raises(PlanError) as raised:
            await self.require(number, **more)
        return str(raised.value)


def make(people: People, folder: Path, **header: object) -> Case:
    plan = a_plan(maker_key=people.line("maria"), **header)  # type: ignore[arg-type]
    file = folder / "january.plan"
    plan.write(file)
    return Case(people, plan, file, people.signers())


@pytest.fixture
def case(people: People, tmp_path: Path) -> Case:
    return make(people, tmp_path)


async def test_a_maker_and_two_approvers(case: Case) -> None:
    await case.signed_by("ben", "maria", "kim")
    found = await case.require(2)
    assert found.maker is not None
    assert found.maker.principal == "maria@example.com"
    assert [each.principal for each in found.approvers] == ["ben@example.com", "kim@example.com"]
    assert found == await case.plan.approvals(case.file, signers=case.signers)
    assert await case.require(1) == found  # more than enough


async def test_what_is_missing_is_said(case: Case) -> None:
    assert await case.refusal() == (
        "the plan is not approved: maker: maria@example.com has not signed the plan; "
        "approvals: 1 person has to approve the plan; so far nobody did"
    )
    await case.signed_by("ben")
    assert await case.refusal(2) == (
        "the plan is not approved: maker: maria@example.com has not signed the plan; "
        "approvals: 2 people have to approve the plan; so far ben@example.com did"
    )
    await case.signed_by("maria")
    assert "maker" not in await case.refusal(2)


async def test_the_maker_alone_is_no_approval(case: Case) -> None:
    await case.signed_by("maria")
    assert "so far nobody did" in await case.refusal()


async def test_a_plan_without_a_makers_key_cannot_be_approved(
    people: People, tmp_path: Path
) -> None:
    case = await make(people, tmp_path).signed_by()
    plan = a_plan()
    plan.write(tmp_path / "other.plan")
    await plan.sign(tmp_path / "other.plan", people.key("ben"))
    case = attrs.evolve(case, plan=plan, file=tmp_path / "other.plan")
    assert "the plan names no key of its maker" in await case.refusal()


async def test_a_plan_that_names_a_makers_key_that_is_none() -> None:
    plan = a_plan(maker_key="ssh-ed25519 AAAA")
    with pytest.raises(PlanError, match="line 2: maker_key is not a public key: it is cut off"):
        approvals.maker_fingerprint(plan)


async def test_a_second_key_of_the_maker_approves_nothing(case: Case) -> None:
    await case.signed_by("maria", "maria2")
    names = {"maria@example.com": "maria", "Maria@Example.com": "maria2"}
    said = await case.refusal(signers=case.people.signers(names, file="two_keys"))
    assert said == (
        "approvals need different people: signature 2: is by Maria@Example.com, as signature 1 is"
    )


async def test_a_second_key_of_an_approver_counts_no_second_time(case: Case) -> None:
    await case.signed_by("maria", "ben", "kim")
    names = {"maria@example.com": "maria", "x@example.com": "ben", "x@EXAMPLE.com": "kim"}
    said = await case.refusal(2, signers=case.people.signers(names, file="two_keys"))
    assert "signature 3: is by x@EXAMPLE.com, as signature 2 is" in said


async def test_a_key_that_signed_twice_counts_no_second_time(case: Case) -> None:
    await case.signed_by("maria", "ben")
    file = signature_file(case.file)
    block = file.read_text("ascii").partition("-----END SSH SIGNATURE-----\n")[2]
    with file.open("a") as stream:  # by hand: sign() refuses
        stream.write(block)
    said = await case.refusal(2)
    assert "signature 3: is by the key of signature 2, SHA256:" in said


async def test_one_key_under_two_names_makes_no_two_people(case: Case) -> None:
    await case.signed_by("maria", "ben")
    names = {"maria@example.com": "maria", "ben@example.com": "ben", "kim@example.com": "ben"}
    said = await case.refusal(signers=case.people.signers(names, file="two_names"))
    assert "signature 2: " in said
    assert "(ben@example.com, kim@example.com): one key is one person" in said


async def test_the_makers_key_under_an_approvers_name(case: Case) -> None:
    # The maker is known by the key, whatever name stands beside it.
    await case.signed_by("maria")
    names = {"ben@example.com": "maria"}
    said = await case.refusal(signers=case.people.signers(names, file="renamed"))
    assert "so far nobody did" in said


async def test_the_signatures_of_another_plan(case: Case, tmp_path: Path) -> None:
    other = a_plan([row("999999.00")], maker_key=case.people.line("maria"))
    other.write(tmp_path / "other.plan")
    await other.sign(tmp_path / "other.plan", case.people.key("maria"))
    await other.sign(tmp_path / "other.plan", case.people.key("ben"))
    signature_file(tmp_path / "other.plan").rename(signature_file(case.file))
    said = await case.refusal()
    for number in (1, 2):
        assert f"signature {number}: is of another plan, or the plan was changed" in said


async def test_a_plan_that_was_edited_after_its_approval(case: Case) -> None:
    await case.signed_by("maria", "ben")
    data = case.file.read_bytes()
    case.file.write_bytes(data.replace(b"100.25", b"900.25"))
    with pytest.raises(PlanError, match="line 4: the hash is not that of the lines before it"):
        Plan.read(case.file)
    # With a new hash it is a plan, and another one.
    edited = a_plan([row("900.25")], **_header(case.plan))
    assert edited.hash != case.plan.hash
    said = await attrs.evolve(case, plan=edited).refusal()
    assert said.count("the plan was changed after it was signed") == 2


def _header(plan: Plan) -> dict[str, object]:
    names = ("maker_key", "created_at", "expires_at")
    return {name: getattr(plan.header, name) for name in names}


async def test_revoked_after_it_was_given(case: Case, tmp_path: Path) -> None:
    await case.signed_by("maria", "ben")
    assert (await case.require(1)).maker is not None
    revoked = tmp_path / "revoked"
    keygen("-k", "-q", "-f", revoked, case.people.folder / "ben.pub")
    assert "is revoked by revoked" in await case.refusal(revoked=revoked)


async def test_a_key_that_has_ended_since(case: Case) -> None:
    await case.signed_by("maria", "ben")
    options = 'valid-before="20240201Z"'
    signers = case.people.signers({"ben@example.com": "ben"}, options=options, file="ended")
    text = signers.read_text() + case.people.signers({"maria@x": "maria"}, file="m").read_text()
    signers.write_text(text)
    assert "signature 2: does not count: ended:1: key has expired" in (
        await case.refusal(signers=signers)
    )
    before = datetime(2024, 1, 15, tzinfo=UTC)
    assert len((await case.require(1, signers=signers, at=before)).approvers) == 1


async def test_no_approvals_asked_for_means_none_is_looked_at(
    case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signature_file(case.file).write_text("rubbish", "ascii")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await case.require(0) == Approvals()


@pytest.mark.parametrize("number", [-1, True, 1.0, "1", None])
async def test_a_number_that_is_none(case: Case, number: int) -> None:
    with pytest.raises(ArgumentError, match="approvals: must be a whole number of at least 0"):
        await case.require(number)


async def test_approvals_without_signers(case: Case) -> None:
    with pytest.raises(ConfigurationError, match="there is no file of signers"):
        await require(case.plan, "", approvals=1)


# Adding a signature.


async def test_a_key_signs_once(case: Case) -> None:
    await case.signed_by("ben")
    before = read_signatures(case.file)
    with pytest.raises(PlanError, match=r"the key SHA256:.* has signed the plan already"):
        await case.signed_by("ben")
    assert read_signatures(case.file) == before


async def test_an_expired_plan_is_not_signed(people: People, tmp_path: Path) -> None:
    case = make(people, tmp_path, good_for=-timedelta(hours=1))
    with pytest.raises(PlanError, match="the plan has expired: it was valid until "):
        await case.signed_by("ben")
    assert not signature_file(case.file).exists()


async def test_nothing_is_added_to_a_damaged_file(case: Case) -> None:
    file = signature_file(case.file)
    file.write_text("-----BEGIN SSH SIGNATURE-----\n", "ascii")
    with pytest.raises(
        PlanError, match=r"no signature can be added: .* contains text that is not a"
    ):
        await case.signed_by("ben")
    assert file.read_text("ascii") == "-----BEGIN SSH SIGNATURE-----\n"
    file.write_bytes(b"\xff")
    with pytest.raises(PlanError, match="is not a file of signatures"):
        await case.signed_by("ben")


async def test_with_signers_only_what_counts_is_kept(case: Case) -> None:
    await case.signed_by("maria")
    before = read_signatures(case.file)
    names = {"maria@example.com": "maria", "MARIA@example.com": "maria2"}
    signers = case.people.signers(names, file="two_keys")
    with pytest.raises(PlanError, match=r"signature 2: is by MARIA@example.com, as signature 1"):
        await sign(case.plan, case.file, case.people.key("maria2"), signers=signers)
    with pytest.raises(PlanError, match=r"signature 2: its key SHA256:.* stands under no name"):
        await sign(case.plan, case.file, case.people.key("ben"), signers=signers)
    assert read_signatures(case.file) == before
    await sign(case.plan, case.file, case.people.key("ben"), signers=case.signers)
    assert len((await case.require(1)).approvers) == 1


async def test_a_signature_that_comes_meanwhile_is_not_lost(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = approvals._joined
    rest = threading.Event()

    def meanwhile(before: str, block: str) -> str:
        """Between reading and writing, another one tries to add theirs."""
        if not rest.is_set():
            rest.set()
            with pytest.raises(PlanError, match=r"another signature is being added to .*\.sig; if"):
                approvals._add(case.file, block, blocks_of(block)[0].key)  # type: ignore[union-attr]
        return real(before, block)

    monkeypatch.setattr(approvals, "_joined", meanwhile)
    await case.signed_by("maria", "ben")
    assert rest.is_set()
    assert len((await case.require(1)).approvers) == 1
    assert sorted(each.name for each in case.file.parent.iterdir()) == [
        "january.plan",
        "january.plan.sig",
    ]


async def test_a_key_that_signs_twice_at_once_signs_once(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = signatures.sign

    async def meanwhile(data: bytes, key: Path) -> str:
        """While ssh-keygen asks for a touch, the same key signs on another terminal."""
        monkeypatch.setattr(signatures, "sign", real)
        await case.signed_by("ben")
        return await real(data, key)

    monkeypatch.setattr(signatures, "sign", meanwhile)
    with pytest.raises(PlanError, match="has signed the plan already"):
        await case.signed_by("ben")
    assert len(blocks_of(read_signatures(case.file))) == 1


async def test_a_full_disk_leaves_the_signatures_as_they_were(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    await case.signed_by("maria")
    before = read_signatures(case.file)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(PlanError, match=r"january\.plan\.sig cannot be written: No space left"):
        await case.signed_by("ben")
    assert read_signatures(case.file) == before
    assert len(list(case.file.parent.iterdir())) == 2


async def test_the_file_keeps_its_permissions(case: Case) -> None:
    await case.signed_by("maria")
    signature_file(case.file).chmod(0o640)
    await case.signed_by("ben")
    assert signature_file(case.file).stat().st_mode & 0o777 == 0o640


# What else is looked at before a plan is used.


def test_a_plan_ends_at_its_time() -> None:
    plan = a_plan()
    until = plan.header.expires_at
    refuse_expired(plan, until - timedelta(microseconds=1))
    with pytest.raises(PlanError, match=r"the plan has expired: it was valid until .* UTC"):
        refuse_expired(plan, until)


def test_a_plan_for_another_domain() -> None:
    refuse_other_domain(a_plan(), "yourdomain.cake.com")
    with pytest.raises(
        PlanError, match=r"the plan is for yourdomain\.cake\.com, not for other\.cake\.com"
    ):
        refuse_other_domain(a_plan(), "other.cake.com")


def test_the_small_form_without_keys() -> None:
    plan = a_plan()
    refuse_other_hash(plan, f" {plan.hash.upper()}\n")
    with pytest.raises(PlanError, match=f"this is another plan: its hash is {plan.hash}"):
        refuse_other_hash(plan, "0" * 64)
    for bad in (plan.hash[:12], "", "x" * 64, None):
        with pytest.raises(ArgumentError, match="hash: must be the 64 hexadecimal digits"):
            refuse_other_hash(plan, bad)  # type: ignore[arg-type]
