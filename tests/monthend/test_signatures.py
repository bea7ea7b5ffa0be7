"""Signatures of plans, by the real ssh-keygen: who signed is known, and anything else is named."""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from aiocake.errors import ConfigurationError, PlanError, SignerToolMissing
from aiocake.monthend import signatures
from aiocake.monthend.signatures import Block, Signature, blocks_of, public_key, sign, verify
from aiocake.monthend.ssh_keys import PublicKey

from ..support.signing import People, keygen

pytestmark = pytest.mark.anyio
DATA = b'{"aiocake_plan":1}\n'


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"), "maria", "ben", "authority")


@pytest.fixture(scope="module")
def signed(people: People) -> str:
    """Maria's signature."""
    return by_hand(people, "maria")


def by_hand(people: People, *key: str, namespace: str = "plan@aiocake", data: bytes = DATA) -> str:
    words = ("-q", "-Y", "sign", "-n", namespace, "-f", people.folder.joinpath(*key))
    return keygen(*words, data=data).decode("ascii")


async def refusal(text: str, signers: Path, **more: Path | datetime) -> str:
    with pytest.raises(PlanError) as raised:
        await verify([DATA], text, signers=signers, **more)  # type: ignore[arg-type]
    return str(raised.value)


async def test_who_signed_is_known_by_name_and_key(people: People) -> None:
    both = await sign([DATA], people.key("maria")) + await sign([DATA], people.key("ben"))
    found = await verify([DATA], both, signers=people.signers())
    fingerprints = [
        keygen("-l", "-f", people.key(name)).split()[1].decode() for name in ("maria", "ben")
    ]
    assert found == (
        Signature("maria@example.com", fingerprints[0], 1),
        Signature("ben@example.com", fingerprints[1], 2),
    )
    assert await public_key(people.key("ben")) == people.line("ben")


async def test_nothing_was_signed_by_nobody(people: People) -> None:
    assert await verify([DATA], "", signers=people.signers()) == ()


async def test_a_plan_that_was_changed_after_it_was_signed(people: People, signed: str) -> None:
    with pytest.raises(PlanError) as raised:
        await verify([DATA + b" "], signed, signers=people.signers())
    assert str(raised.value) == (
        "not all signatures of the plan count: "
        "signature 1: is of another plan, or the plan was changed after it was signed"
    )


async def test_a_signature_for_another_purpose_is_none_of_a_plan(people: People) -> None:
    text = by_hand(people, "maria", namespace="git")
    said = "signature 1: was made for 'git', not for 'plan@aiocake'"
    assert said in await refusal(text, people.signers())


async def test_a_key_that_nobody_knows_is_named(people: People, signed: str) -> None:
    signers = people.signers({"ben@example.com": "ben"}, file="of_ben")
    fingerprint = PublicKey.of_line(people.line("maria")).fingerprint
    said = f"signature 1: its key {fingerprint} stands under no name in of_ben"
    assert said in await refusal(signed, signers)


@pytest.mark.parametrize("form", ["krl", "list"])
async def test_a_revoked_key_counts_no_more(
    people: People, signed: str, form: str, tmp_path: Path
) -> None:
    revoked = tmp_path / "gone"
    if form == "krl":
        keygen("-k", "-q", "-f", revoked, people.folder / "maria.pub")
    else:
        revoked.write_text(people.line("maria"), "ascii")
    said = await refusal(signed, people.signers(), revoked=revoked)
    fingerprint = PublicKey.of_line(people.line("maria")).fingerprint
    assert f"signature 1: its key {fingerprint} is revoked by gone" in said
    found = await verify([DATA], by_hand(people, "ben"), signers=people.signers(), revoked=revoked)
    assert [each.principal for each in found] == ["ben@example.com"]


async def test_no_revoked_keys_where_they_were_asked_for(
    people: People, signed: str, tmp_path: Path
) -> None:
    missing = tmp_path / "no_such"
    said = f"the revoked keys {missing} cannot be read: No such file or directory"
    assert await refusal(signed, people.signers(), revoked=missing) == said


@pytest.mark.parametrize("of_krl", [False, True])
async def test_revoked_keys_that_cannot_be_read_revoke_all(
    people: People, signed: str, tmp_path: Path, *, of_krl: bool
) -> None:
    revoked = tmp_path / "gone"
    keygen("-k", "-q", "-f", revoked, people.folder / "ben.pub")
    krl = revoked.read_bytes()
    for data in [krl[:-9], krl[:20]] if of_krl else [b"<html>", krl[1:], b"\0"]:
        revoked.write_bytes(data)
        said = await refusal(signed, people.signers(), revoked=revoked)
        assert said.startswith(
            "not all signatures" if of_krl else "the revoked keys in gone cannot be read: line 1: "
        )
    revoked.write_bytes(b"# nobody yet\n\n")
    assert len(await verify([DATA], signed, signers=people.signers(), revoked=revoked)) == 1


@pytest.mark.parametrize(
    ("options", "at", "said"),
    [
        ('valid-before="20240101Z"', None, "key has expired"),
        ('valid-after="20990101Z"', None, "key is not yet valid"),
        ('valid-before="20240101Z"', datetime(2023, 12, 31, 12, tzinfo=UTC), None),
        ('valid-before="20240101Z"', datetime(2024, 1, 1, 12, tzinfo=UTC), "key has expired"),
        ('namespaces="git"', None, 'not permitted for use in signature namespace "plan@aiocake"'),
        ('namespaces="plan@*"', None, None),
        ("no-such-option", None, "bad options"),
    ],
)
async def test_the_file_of_signers_says_when_and_for_what_a_key_counts(
    people: People, signed: str, options: str, at: datetime | None, said: str | None
) -> None:
    signers = people.signers({"maria@example.com": "maria"}, options=options, file="with_options")
    if said is None:
        found = await verify([DATA], signed, signers=signers, at=at)
        assert [each.principal for each in found] == ["maria@example.com"]
        return
    text = await refusal(signed, signers, **({} if at is None else {"at": at}))
    assert said in text
    assert "with_options:1: " in text  # and no folder of ours
    assert tempfile.gettempdir() not in text


@pytest.mark.parametrize("names", ["maria@example.com,boss@example.com", "two lines", "two cases"])
async def test_one_key_under_two_names_is_nobody(people: People, signed: str, names: str) -> None:
    first, second = {
        "two lines": ("maria@example.com", "boss@example.com"),
        "two cases": ("maria@example.com", "Maria@example.com"),
    }.get(names, (names, ""))
    made = {first: "maria", **({second: "maria"} if second else {})}
    said = await refusal(signed, people.signers(made, file="several"))
    wanted = f"({first.replace(',', ', ')}{f', {second}' if second else ''}): one key is one person"
    assert wanted in said


async def test_of_two_names_one_may_have_ended(people: People, signed: str) -> None:
    old = people.signers({"old@example.com": "maria"}, options='valid-before="20200101Z"')
    text = old.read_text("utf-8")
    new = people.signers({"new@example.com": "maria"}, file="renamed")
    new.write_text(text + new.read_text("utf-8"), "utf-8")
    found = await verify([DATA], signed, signers=new)
    assert [each.principal for each in found] == ["new@example.com"]


async def test_a_pattern_is_nobodys_name(people: People, signed: str) -> None:
    said = await refusal(signed, people.signers({"*@example.com": "maria"}, file="pattern"))
    assert "stands under no name in pattern" in said


async def test_a_certificate_names_its_owner(people: People) -> None:
    certificate = people.certify("ben", "authority", "ben@example.com")
    signers = people.folder / "authorities"
    signers.write_text(f"*@example.com cert-authority {people.line('authority')}\n", "utf-8")
    text = await sign([DATA], certificate)
    found = await verify([DATA], text, signers=signers)
    plain = PublicKey.of_line(people.line("ben"))
    # It is the key inside that people are told apart by.
    assert found == (Signature("ben@example.com", plain.fingerprint, 1),)
    assert await public_key(certificate) == people.line("ben")
    said = await refusal(by_hand(people, "ben"), signers)  # without the certificate
    assert "stands under no name" in said
    certificate.unlink()


async def test_a_certificate_of_two_names_is_nobodys(people: People) -> None:
    certificate = people.certify("ben", "authority", "ben@example.com", "boss@example.com")
    signers = people.folder / "authorities"
    signers.write_text(f"*@example.com cert-authority {people.line('authority')}\n", "utf-8")
    text = await sign([DATA], certificate)
    assert "(ben@example.com, boss@example.com): one key is one person" in (
        await refusal(text, signers)
    )
    signers.write_text(f"ben@* cert-authority {people.line('authority')}\n", "utf-8")
    assert (await verify([DATA], text, signers=signers))[0].principal == "ben@example.com"
    certificate.unlink()


def damaged(text: str) -> Iterator[tuple[str, str]]:
    begin, *lines, end = text.splitlines()
    yield "\n".join([begin, *lines[:-1], end]), "signature 1: is damaged"
    yield (
        text.replace("U1NIU0lH", "U1NIU0lI"),
        "signature 1: is damaged: it is not an SSH signature",
    )
    yield f"{begin}\n%%%%\n{end}", "signature 1: is damaged: it is not in base64"
    yield (
        "\n".join([begin, *lines]),
        "the file of signatures: contains text that is not a signature",
    )
    yield f"{text}approved\n", "the file of signatures: contains text that is not a signature"
    yield f"{text}{begin}\n%\n{end}\n", "signature 2: is damaged"


async def test_each_damage_is_named(people: People, signed: str) -> None:
    for text, said in damaged(signed):
        assert said in await refusal(text, people.signers())


async def test_a_signature_whose_last_bits_were_changed(people: People, signed: str) -> None:
    begin, *lines, last, end = signed.splitlines()
    swapped = last.replace(last[3], "A" if last[3] != "A" else "B", 1)
    said = await refusal("\n".join([begin, *lines, swapped, end]), people.signers())
    assert "signature 1: " in said


async def test_every_bad_block_is_named_and_none_else(people: People, signed: str) -> None:
    git = by_hand(people, "ben", namespace="git")
    said = await refusal(f"{git}{signed}{git}", people.signers())
    assert said.count("was made for 'git'") == 2
    assert "signature 1: " in said
    assert "signature 3: " in said
    assert "signature 2: " not in said


async def test_line_ends_of_windows_and_a_bom(people: People, signed: str) -> None:
    signers = people.signers(file="of_windows")
    text = signers.read_bytes().replace(b"\n", b"\r\n")
    signers.write_bytes(b"\xef\xbb\xbf# ours\r\n\r\n" + text)
    found = await verify([DATA], signed.replace("\n", "\r\n"), signers=signers)
    assert [each.principal for each in found] == ["maria@example.com"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("maria@example.com", "line 2: is not: name[,name] [options] key"),
        ('"maria" ssh-ed25519 AAAA', "line 2: is not: name[,name] [options] key"),
        ("maria ssh-ed25519 AAAA", "line 2: has a key that cannot be read: it is cut off"),
        ("maria ssh-dsx AAAAB3NzaC1kc3g=", "line 2: has a key that cannot be read: its key is of"),
    ],
)
async def test_a_file_of_signers_that_cannot_be_read(
    people: People, signed: str, line: str, said: str
) -> None:
    signers = people.signers(file="broken")
    first, *rest = signers.read_text("utf-8").splitlines()
    signers.write_text("\n".join([first, line, *rest]), "utf-8")
    text = await refusal(signed, signers)
    assert text.startswith(f"the signers in broken cannot be read: {said}")


async def test_no_file_of_signers(signed: str, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    said = await refusal(signed, missing)
    assert said == f"the signers {missing} cannot be read: No such file or directory"
    missing.write_bytes(b"\xff\xfe")
    assert await refusal(signed, missing) == f"the signers {missing} are not in UTF-8"


async def test_without_ssh_keygen(
    people: People, signed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for work in (
        sign([DATA], people.key("maria")),
        verify([DATA], signed, signers=people.signers()),
    ):
        with pytest.raises(SignerToolMissing, match=r"ssh-keygen was not found: OpenSSH 8.1"):
            await work


@pytest.mark.parametrize("said", ["ssh-keygen: unknown option -- Y", "usage: ssh-keygen [-q]"])
async def test_an_ssh_keygen_that_is_too_old(
    people: People, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    old = tmp_path / "ssh-keygen"
    old.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 255\n", "ascii")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SignerToolMissing, match=r"is too old: OpenSSH 8.1 or later is needed"):
        await sign([DATA], people.key("maria"))


async def test_an_ssh_keygen_that_says_good_of_anything_else(
    people: People, signed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "ssh-keygen"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$2" in sign) echo "missing namespace" >&2; exit 1;; esac\n'
        "echo 'Good \"plan@aiocake\" signature for maria@example.com with ED25519 key SHA256:A'\n",
        "ascii",
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "signature 1: does not count" in await refusal(signed, people.signers())


async def test_a_key_that_is_none(tmp_path: Path, people: People) -> None:
    missing = tmp_path / "none"
    with pytest.raises(ConfigurationError, match=r"the key .*none cannot be read: No such file"):
        await public_key(missing)
    with pytest.raises(ConfigurationError, match=r"the key .*none cannot sign: .*No such file"):
        await sign([DATA], missing)
    missing.write_text("no key", "ascii")
    with pytest.raises(ConfigurationError, match="none holds no key that can sign"):
        await public_key(missing)
    missing.write_bytes(people.key("maria").read_bytes()[:120] + b"\n")
    with pytest.raises(ConfigurationError, match="none cannot sign: "):
        await public_key(missing)


@pytest.mark.parametrize(
    "kind", [("rsa", "-b", "2048"), ("ecdsa", "-b", "384"), ("rsa", "-b", "2048", "-m", "PEM")]
)
async def test_keys_of_other_types(tmp_path: Path, kind: tuple[str, ...]) -> None:
    people = People(tmp_path)
    keygen("-q", "-N", "", "-t", *kind, "-f", people.key("kim"))
    text = await sign([DATA], people.key("kim"))
    assert [each.principal for each in await verify([DATA], text, signers=people.signers())] == [
        "kim@example.com"
    ]
    line = people.line("kim")
    people.key("kim").with_suffix(".pub").unlink()
    assert await public_key(people.key("kim")) == line


async def test_a_passphrase_that_nobody_can_be_asked_for(tmp_path: Path) -> None:
    people = People(tmp_path)
    keygen("-q", "-N", "secret", "-t", "ed25519", "-f", people.key("kim"))
    assert await public_key(people.key("kim")) == people.line("kim")  # that needs none
    # In a session without a terminal: pytest may be run on one.
    words = [sys.executable, "-c", _SIGN, str(people.key("kim"))]
    done = await anyio.run_process(words, start_new_session=True, input=b"")
    assert b"cannot sign: " in done.stdout


_SIGN = """
import sys, anyio
from pathlib import Path
from aiocake.errors import ConfigurationError
from aiocake.monthend.signatures import sign
try:
    anyio.run(sign, b"", Path(sys.argv[1]))
except ConfigurationError as error:
    print(error)
"""


async def test_what_is_written_meanwhile_is_private_and_goes(
    people: People, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    modes: list[int] = []
    real = signatures._run
    made = tmp_path.glob

    async def looking(*words: object, **more: object) -> object:
        modes.extend(each.stat().st_mode & 0o777 for each in made("aiocake-*"))
        return await real(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(signatures, "_run", looking)
    text = await sign([DATA], people.key("maria"))
    await verify([DATA], text, signers=people.signers())
    assert set(modes) == {0o700}
    assert list(made("*")) == []


def test_blocks_are_read_without_being_believed(people: People, signed: str) -> None:
    (block,) = blocks_of(f"\n{signed}\n")
    assert isinstance(block, Block)
    assert (block.number, block.text, block.namespace) == (1, signed, "plan@aiocake")
    assert block.key.line == people.line("maria")
