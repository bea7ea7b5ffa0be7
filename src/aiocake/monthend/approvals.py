"""Four-eyes principle: who made a plan, who approved it, and whether that suffices.

The signatures of a plan stand in a file of their own beside it, ``january.plan.sig`` beside
``january.plan``, one after the other: the maker's, and one for each approval. They count together
only if the maker and all approvers are different people: no name and no key may occur twice. So
nobody approves what they made, not with a second key either, and nobody approves twice.

Nothing of it keeps out whoever holds the API key: that one can send calls without any plan. The key
that pays belongs where plans are applied, and nowhere else.
"""

import hmac
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio.to_thread
import attrs

from aiocake import _clock
from aiocake._normalize import class_name, guarded, normalized, path_of
from aiocake.errors import ArgumentError, ConfigurationError, PlanError, Problem
from aiocake.monthend import signatures
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.signatures import Block, Signature, blocks_of, names_in, public_key, verify
from aiocake.monthend.ssh_keys import PublicKey

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_HASH: Final = re.compile("[0-9a-f]{64}")
_NO_MAKERS_KEY: Final = (
    "the plan names no key of its maker, who has to sign it: make it again with one (aiocake plan "
    "--sign), or approve it by its hash"
)


class SignedPlan(Protocol):
    """The parts of a plan that approvals are checked against."""

    @property
    def header(self) -> PlanHeader:
        """Return the header."""
        ...

    @property
    def hash(self) -> str:
        """Return the hash."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield what is signed."""
        ...


@attrs.frozen
class Approvals:
    """The maker and the approvers of a plan: different people with different keys.

    Attributes:
        maker: The signature of whoever made the plan; None without one.
        approvers: Those who approved it, in the order in which they signed.
    """

    maker: Signature | None = None
    approvers: tuple[Signature, ...] = ()


def signature_file(plan_file: str | Path) -> Path:
    """Return the file of signatures that belongs to the file of a plan."""
    file = path_of("path", plan_file)
    return file.with_name(f"{file.name}.sig")


def read_signatures(plan_file: str | Path) -> str:
    """Return the signatures beside the file of a plan, as text; empty if there are none.

    Args:
        plan_file: The file of the plan.

    Raises:
        ArgumentError: The path is none.
        PlanError: They cannot be read.
    """
    file = signature_file(plan_file)
    try:
        return file.read_bytes().decode("ascii")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise PlanError(f"{file} is not a file of signatures") from None
    except OSError as error:
        raise PlanError(f"{file} cannot be read: {error.strerror}") from None


async def sign(
    plan: SignedPlan,
    plan_file: str | Path,
    key: str | Path,
    *,
    signers: str | Path | None = None,
    revoked: str | Path | None = None,
) -> Block:
    """Sign a plan, as its maker or to approve it, and add the signature to those beside its file.

    Args:
        plan: The plan.
        plan_file: Its file.
        key: The file of a private SSH key, or of a public one whose private half an agent holds.
        signers: The file of signers. If it is given, the signature is kept only if it counts, and
            all that are there count beside it.
        revoked: The keys that count no more.

    Returns:
        The signature.

    Raises:
        PlanError: The plan has expired, the key has signed it already, or the signatures do not
            count together. Nothing is written.
        SignerToolMissing: ssh-keygen is missing, or too old.
        ConfigurationError: The key cannot sign.
    """
    file, key_file = path_of("plan_file", plan_file), path_of("key", key)
    theirs = await _signer(plan, file, key_file)
    text = await signatures.sign(plan.pieces(), key_file)
    if signers is not None:
        both = _joined(read_signatures(file), text)
        signed = approvals_of(plan, await _verified(plan, both, signers, revoked))
        await _refuse_makers_name(plan, signed, path_of("signers", signers))
    return await anyio.to_thread.run_sync(partial(_add, file, text, theirs))


async def approver_of(plan: SignedPlan, plan_file: str | Path, key: str | Path) -> str:
    """Return the fingerprint of a key that is going to approve a plan.

    Args:
        plan: The plan.
        plan_file: Its file.
        key: The file of the key.

    Raises:
        PlanError: The key is the maker's, or has signed already, the plan has expired, or it names
            no key of its maker: then no approval would count.
        ConfigurationError: The file holds no key.
    """
    if plan.header.maker_key is None:
        raise PlanError(f"no approval would count: {_NO_MAKERS_KEY}")
    theirs = await _signer(plan, path_of("plan_file", plan_file), path_of("key", key))
    if theirs.fingerprint == maker_fingerprint(plan):
        raise PlanError(f"the key {theirs.fingerprint} is the maker's: somebody else must approve")
    return theirs.fingerprint


async def _signer(plan: SignedPlan, plan_file: Path, key: Path) -> PublicKey:
    """Return a key that is going to sign a plan.

    Raises:
        PlanError: It has signed already, or the plan has expired.
    """
    refuse_expired(plan)
    theirs = PublicKey.of_line(await public_key(key))
    _refuse_signed(read_signatures(plan_file), theirs)
    return theirs


def approvals_of(plan: SignedPlan, verified: Sequence[Signature]) -> Approvals:
    """Return who made a plan and who approved it, of the signatures that were verified.

    Args:
        plan: The plan.
        verified: What :func:`~aiocake.monthend.signatures.verify` has returned.

    Raises:
        PlanError: A name or a key occurs twice. Names count as the same whatever their case.
    """
    problems = list(_twice(verified))
    if problems:
        raise PlanError("approvals need different people", *problems)
    made = maker_fingerprint(plan)
    return Approvals(
        next((each for each in verified if each.key == made), None),
        tuple(each for each in verified if each.key != made),
    )


async def found(
    plan: SignedPlan,
    plan_file: str | Path,
    *,
    signers: str | Path,
    revoked: str | Path | None = None,
) -> Approvals:
    """Return who made a plan and who approved it, by the signatures beside its file.

    Args:
        plan: The plan.
        plan_file: Its file.
        signers: The file of signers, in the form of ``allowed_signers`` of ssh-keygen(1).
        revoked: A KRL, or a list of public keys: those that count no more.

    Raises:
        PlanError: A signature does not count, or a name or a key occurs twice.
        SignerToolMissing: ssh-keygen is missing, or too old.
    """
    return approvals_of(plan, await _verified(plan, read_signatures(plan_file), signers, revoked))


async def require(  # noqa: PLR0913 - all of it decides
    plan: SignedPlan,
    text: str,
    *,
    approvals: int,
    signers: str | Path | None = None,
    revoked: str | Path | None = None,
    at: datetime | None = None,
) -> Approvals:
    """Return who made and approved a plan; raise unless enough people did.

    Args:
        plan: The plan.
        text: Its signatures, as :func:`read_signatures` returns them.
        approvals: How many people must have approved it, its maker not counted. 0: nothing is
            looked at, and nobody is said to have signed.
        signers: The file of signers, in the form of ``allowed_signers`` of ssh-keygen(1).
        revoked: A KRL, or a list of public keys: those that count no more.
        at: The time of the check, with its time zone; None for now.

    Raises:
        PlanError: Signatures are missing, or do not count; the message says which.
        ConfigurationError: Approvals are asked for without signers.
        SignerToolMissing: ssh-keygen is missing, or too old, and approvals are asked for.
        ArgumentError: ``approvals`` is no number.
    """
    needed = guarded("approvals", lambda: normalized(approvals))
    if type(needed) is not int or needed < 0:
        raise ArgumentError(
            Problem(
                "approvals", f"must be a whole number of at least 0, got {class_name(approvals)}"
            )
        )
    if needed == 0:
        return Approvals()
    if signers is None:
        raise ConfigurationError(
            "approvals are required, but there is no file of signers: give signers (--signers)"
        )
    signed = approvals_of(plan, await _verified(plan, text, signers, revoked, at))
    problems = list(_missing(plan, signed, needed))
    if problems:
        raise PlanError("the plan is not approved", *problems)
    return signed


def maker_fingerprint(plan: SignedPlan) -> str | None:
    """Return the fingerprint of the maker's key; None if the plan names none.

    Raises:
        PlanError: What it names is no key.
    """
    line = plan.header.maker_key
    if line is None:
        return None
    try:
        return PublicKey.of_line(line).fingerprint
    except ValueError as error:
        raise PlanError(
            "the plan cannot be used", Problem("line 2", f"maker_key is not a public key: {error}")
        ) from None


def refuse_expired(plan: SignedPlan, at: datetime | None = None) -> None:
    """Refuse a plan that has expired.

    Args:
        plan: The plan.
        at: The time of the check, with its time zone; None for now.

    Raises:
        PlanError: It has expired.
    """
    until = plan.header.expires_at
    if (at or _clock.now()) >= until:
        raise PlanError(f"the plan has expired: it was valid until {until:%Y-%m-%d %H:%M} UTC")


def refuse_other_domain(plan: SignedPlan, domain: str) -> None:
    """Refuse a plan for another instance than the client's.

    Raises:
        PlanError: It is for another.
    """
    if plan.header.domain != domain:
        raise PlanError(f"the plan is for {plan.header.domain}, not for {domain}")


def refuse_other_hash(plan: SignedPlan, wanted: str) -> None:
    """Refuse a plan with another hash than the approved one (approval without keys).

    Args:
        plan: The plan.
        wanted: The hash: all of its 64 digits.

    Raises:
        PlanError: The plan's hash is another.
        ArgumentError: ``wanted`` is no such hash.
    """
    exact = guarded("hash", lambda: normalized(wanted))
    digits = exact.strip().lower() if type(exact) is str else ""
    if not _HASH.fullmatch(digits):
        raise ArgumentError(Problem("hash", "must be the 64 hexadecimal digits of a plan's hash"))
    if not hmac.compare_digest(digits, plan.hash):
        raise PlanError(f"this is another plan: its hash is {plan.hash}")


async def _verified(
    plan: SignedPlan,
    text: str,
    signers: str | Path,
    revoked: str | Path | None,
    at: datetime | None = None,
) -> tuple[Signature, ...]:
    return await verify(
        plan.pieces(),
        text,
        signers=path_of("signers", signers),
        revoked=None if revoked is None else path_of("revoked", revoked),
        at=at,
    )


async def _refuse_makers_name(plan: SignedPlan, signed: Approvals, signers: Path) -> None:
    """Refuse approvers who go by the maker's name, also before the maker has signed.

    Raises:
        PlanError: One does.
    """
    line = plan.header.maker_key
    names = [] if line is None else await names_in(signers, PublicKey.of_line(line))
    makers = {name.casefold() for name in names}
    problems = [
        Problem(f"signature {each.block}", f"is by {each.principal}, who made the plan")
        for each in signed.approvers
        if each.principal.casefold() in makers
    ]
    if problems:
        raise PlanError("approvals need different people", *problems)


def _missing(plan: SignedPlan, signed: Approvals, needed: int) -> Iterator[Problem]:
    """Yield the approvals that a plan still needs."""
    if plan.header.maker_key is None:
        yield Problem("maker", _NO_MAKERS_KEY)
    elif signed.maker is None:
        yield Problem("maker", f"{plan.header.maker} has not signed the plan")
    if len(signed.approvers) < needed:
        who = ", ".join(each.principal for each in signed.approvers) or "nobody"
        many = "person has" if needed == 1 else "people have"
        yield Problem("approvals", f"{needed} {many} to approve the plan; so far {who} did")


def _twice(verified: Iterable[Signature]) -> Iterator[Problem]:
    """Yield each signature whose name, or key, an earlier one has."""
    names: dict[str, Signature] = {}
    keys: dict[str, Signature] = {}
    for each in verified:
        name = f"signature {each.block}"
        first = keys.setdefault(each.key, each)
        if first is not each:
            yield Problem(name, f"is by the key of signature {first.block}, {each.key}")
            continue
        first = names.setdefault(each.principal.casefold(), each)
        if first is not each:
            yield Problem(name, f"is by {each.principal}, as signature {first.block} is")


def _refuse_signed(text: str, key: PublicKey) -> None:
    """Refuse a key that has signed already, and a file of signatures that is damaged."""
    blocks = blocks_of(text)
    damaged = [each for each in blocks if isinstance(each, Problem)]
    if damaged:
        raise PlanError("no signature can be added", *damaged)
    if any(isinstance(each, Block) and each.key.plain == key.plain for each in blocks):
        raise PlanError(f"the key {key.fingerprint} has signed the plan already")


def _joined(before: str, block: str) -> str:
    return f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{block}"


def _add(plan_file: Path, text: str, key: PublicKey) -> Block:
    """Add a block to a file of signatures: all of it or nothing, and none is lost.

    The file that is written beside it is a lock, too: who finds it there does not sign.
    """
    file = signature_file(plan_file)
    aside = file.with_name(f"{file.name}.part")
    try:
        descriptor = os.open(aside, _CREATE, 0o666)
    except FileExistsError:
        raise PlanError(
            f"another signature is being added to {file}; if none is, remove {aside}"
        ) from None
    except OSError as error:
        raise PlanError(f"{file} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            before = read_signatures(plan_file)
            _refuse_signed(before, key)  # somebody may have signed meanwhile
            both = _joined(before, text)
            stream.write(both.encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            aside.chmod(file.stat().st_mode & 0o777)
        aside.replace(file)
    except BaseException as error:
        aside.unlink(missing_ok=True)  # not after it was put in place: the next one may be there
        if isinstance(error, OSError):
            raise PlanError(f"{file} cannot be written: {error.strerror}") from None
        raise
    added = blocks_of(both)[-1]
    assert isinstance(added, Block)  # noqa: S101 - ssh-keygen has just made it
    return added
