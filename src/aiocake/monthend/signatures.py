"""Sign a plan with an SSH key, and verify who signed it.

The signing is OpenSSH's own: ``ssh-keygen -Y sign`` and ``-Y verify``, of version 8.1 or later. So
no package is needed, keys may live in an agent or on a FIDO token, and the file of signers can say
from when and until when a key counts.

The file of signatures beside a plan holds *blocks*, one after the other, each a signature over all
bytes of the plan. A block counts if, at the time of the check,

- it was made for the namespace ``plan@aiocake``: a signature of a commit of Git is none of a plan;
- it is of exactly these bytes;
- its key, or the authority of its certificate, stands in the file of signers, under exactly one
  name: a key that two names answer for could make two people of one;
- the key is not revoked.

https://man.openbsd.org/ssh-keygen.1#Y
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import IO, Final

import anyio
import anyio.to_thread
import attrs

from aiocake.errors import ConfigurationError, PlanError, Problem, SignerToolMissing
from aiocake.monthend.signers_file import check_revoked, names_of
from aiocake.monthend.ssh_keys import PublicKey, key_in_private, read_signature

NAMESPACE: Final = "plan@aiocake"

_TOOL: Final = "ssh-keygen"
_NEEDED: Final = "OpenSSH 8.1 or later is needed to sign plans and to verify their signatures"
_BLOCK: Final = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n(.*?)\n-----END SSH SIGNATURE-----(?=\n|\Z)", re.DOTALL
)
#: The last words of ssh-keygen about a bad signature, which say nothing.
_SUMMARY: Final = "Could not verify signature."
_OTHER_DATA: Final = "incorrect signature"
#: A key's file is small; a plan that was named in its place is not.
_LARGEST_KEY: Final = 1 << 20


@attrs.frozen
class Signature:
    """A signature that was verified.

    Attributes:
        principal: Who signed, by the name in the file of signers.
        key: The fingerprint of the key, such as ``"SHA256:Vp4W…"``.
        block: The number of its block in the file of signatures, from 1.
    """

    principal: str
    key: str
    block: int


@attrs.frozen
class Block:
    """A signature that was read but not verified: anybody may have made it.

    Attributes:
        number: Its number, from 1.
        text: The armored signature, with a line feed at its end.
        key: The key that it says made it.
        namespace: The purpose that it says it was made for.
    """

    number: int
    text: str
    key: PublicKey
    namespace: str


def blocks_of(signatures: str) -> tuple[Block | Problem, ...]:
    """Return the blocks of a file of signatures; in the place of a damaged one, what is wrong."""
    text = signatures.replace("\r\n", "\n")
    found: list[Block | Problem] = []
    for number, match in enumerate(_BLOCK.finditer(text), 1):
        try:
            found.append(Block(number, f"{match[0]}\n", *read_signature(match[1])))
        except ValueError as error:
            found.append(Problem(_name(number), f"is damaged: {error}"))
    if _BLOCK.sub("", text).strip():
        found.append(Problem("the file of signatures", "contains text that is not a signature"))
    return tuple(found)


async def sign(data: Iterable[bytes], key: Path) -> str:
    """Return the signature of a plan as an armored block.

    ``ssh-keygen`` asks for a passphrase, or for a touch of a FIDO token, on the terminal.

    Args:
        data: The bytes of the plan, in pieces.
        key: The file of a private key, or of a public one whose private half an agent holds.

    Raises:
        SignerToolMissing: ssh-keygen is missing, or too old.
        ConfigurationError: The key cannot sign.
    """
    tool = await _find_tool()
    async with anyio.TemporaryDirectory(prefix="aiocake-") as folder:
        file = anyio.Path(folder, "plan")
        await anyio.to_thread.run_sync(_write, file, data)
        # From its standard input it would read the plan, and could not ask for a passphrase.
        await _use_key([tool, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)], key)
        return await anyio.Path(folder, "plan.sig").read_text("ascii")


async def public_key(key: Path) -> str:
    """Return the public key of a key's file, as a line without a comment.

    Args:
        key: The file of a private key, of a public key or of a certificate.

    Raises:
        SignerToolMissing: ssh-keygen is missing, or too old.
        ConfigurationError: The file holds no key that is known here.
    """
    try:
        async with await anyio.open_file(key, "rb") as file:
            data = await file.read(_LARGEST_KEY)
        found = key_in_private(data)
        if found is None and b"PRIVATE KEY-----" in data:  # of a form that only OpenSSH reads
            line = await _use_key([await _find_tool(), "-y", "-f", str(key)], key)
            found = PublicKey.of_line(line.decode("ascii"))
        return (found or PublicKey.of_line(data.decode())).line
    except OSError as error:
        raise ConfigurationError(f"the key {key} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{key} holds no key that can sign: {error}") from None


async def verify(
    data: Iterable[bytes],
    signatures: str,
    *,
    signers: Path,
    revoked: Path | None = None,
    at: datetime | None = None,
) -> tuple[Signature, ...]:
    """Return who signed a plan, in the order of the blocks.

    Args:
        data: The bytes of the plan, in pieces.
        signatures: What the file of signatures holds.
        signers: The file of signers, in the form of ``allowed_signers``.
        revoked: A KRL, or a list of public keys: those that count no more.
        at: The time of the check, with its time zone; None for now. Another time needs OpenSSH 8.7
            or later.

    Raises:
        PlanError: A signature does not count; each such block is named with the reason. Or one of
            the files cannot be read.
        SignerToolMissing: ssh-keygen is missing, or too old.
    """
    found = await examine(data, signatures, signers=signers, revoked=revoked, at=at)
    problems = [each for each in found if isinstance(each, Problem)]
    if problems:
        raise PlanError("not all signatures of the plan count", *problems)
    return tuple(each for each in found if isinstance(each, Signature))


async def examine(
    data: Iterable[bytes],
    signatures: str,
    *,
    signers: Path,
    revoked: Path | None = None,
    at: datetime | None = None,
) -> tuple[Signature | Problem, ...]:
    """Return who signed a plan, and in the place of a block that does not count, why.

    Args:
        data: As :func:`verify` takes it.
        signatures: The same.
        signers: The same.
        revoked: The same.
        at: The same.

    Raises:
        PlanError: One of the files cannot be read.
        SignerToolMissing: ssh-keygen is missing, or too old.
    """
    tool = await _find_tool()
    async with anyio.TemporaryDirectory(prefix="aiocake-") as folder:
        # Copies: what is read here and what ssh-keygen reads are the same, whoever writes to them.
        lines = (await _text_of(signers, "signers")).splitlines()
        check = _SignatureCheck(tool, Path(folder), signers.name, lines, at)
        await anyio.to_thread.run_sync(_write, check.data, data)
        await anyio.Path(check.signers).write_text("\n".join(lines), "utf-8", newline="\n")
        if revoked is not None:
            keys = await _bytes_of(revoked, "revoked keys")
            check_revoked(keys, revoked.name)
            await anyio.Path(check.revoked).write_bytes(keys)
        return tuple(
            [
                each
                if isinstance(each, Problem)
                else await check.examine(each, revoked=None if revoked is None else revoked.name)
                for each in blocks_of(signatures)
            ]
        )


@attrs.frozen
class _SignatureCheck:
    """A check of the signatures of one plan, in a private folder.

    Attributes:
        tool: The path of ssh-keygen.
        folder: The folder.
        file: What the file of signers is called.
        lines: What stands in it.
        at: The time of the check; None for now.
    """

    tool: str
    folder: Path
    file: str
    lines: Sequence[str]
    at: datetime | None

    @property
    def data(self) -> Path:
        """Return the file of the plan's bytes."""
        return self.folder / "plan"

    @property
    def signers(self) -> Path:
        """Return the copy of the file of signers."""
        return self.folder / "signers"

    @property
    def revoked(self) -> Path:
        """Return the copy of the revoked keys."""
        return self.folder / "revoked"

    @property
    def signature(self) -> Path:
        """Return the file of the block that is looked at."""
        return self.folder / "signature"

    async def examine(self, block: Block, revoked: str | None) -> Signature | Problem:
        """Return who made a block, or why it does not count."""
        name = _name(block.number)
        if block.namespace != NAMESPACE:
            return Problem(name, f"was made for {block.namespace!a}, not for {NAMESPACE!r}")
        candidates = names_of(block.key, self.lines, self.file)
        if not candidates:
            return Problem(
                name, f"its key {block.key.fingerprint} stands under no name in {self.file}"
            )
        await anyio.Path(self.signature).write_text(block.text, "ascii")
        refusals = {each: await self._refusal(block, each) for each in candidates}
        allowed = [each for each, refusal in refusals.items() if refusal is None]
        if len(allowed) > 1:
            names = ", ".join(allowed)
            return Problem(
                name,
                f"its key {block.key.fingerprint} stands under several names in {self.file} "
                f"({names}): one key is one person",
            )
        if not allowed:
            return Problem(name, refusals[candidates[0]] or "")
        if revoked is not None and await self._refusal(block, allowed[0], "-r", self.revoked):
            return Problem(name, f"its key {block.key.fingerprint} is revoked by {revoked}")
        return Signature(allowed[0], block.key.fingerprint, block.number)

    async def _refusal(self, block: Block, principal: str, *more: object) -> str | None:
        """Return why a block is not a signature of a person; None if it is."""
        at = () if self.at is None else (f"-Overify-time={self.at.astimezone():%Y%m%d%H%M%S}",)
        words = ("-Y", "verify", "-n", NAMESPACE, "-f", self.signers, "-I", principal)
        words = (*words, "-s", self.signature, *at, *more)
        with self.data.open("rb") as data:
            done = await _run([self.tool, *map(str, words)], stdin=data)
        # Exactly this, so that no other success of a later version counts as this one.
        good = re.fullmatch(
            rf'Good "{re.escape(NAMESPACE)}" signature for {re.escape(principal)} with \S+ key '
            rf"{re.escape(block.key.fingerprint)}\s*",
            done.stdout.decode("utf-8", "replace"),
        )
        if done.returncode == 0 and good is not None:
            return None
        output = _last_line(done).replace(str(self.signers), self.file)
        if _OTHER_DATA in output:
            return "is of another plan, or the plan was changed after it was signed"
        return f"does not count: {output or f'{_TOOL} refuses it'}"


def _write(file: PathLike[str], data: Iterable[bytes]) -> None:
    with Path(file).open("wb") as stream:
        stream.writelines(data)


def _name(number: int) -> str:
    return f"signature {number}"


async def names_in(signers: Path, key: PublicKey) -> list[str]:
    """Return the names that a file of signers gives to a key; whether they count is not looked at.

    Raises:
        PlanError: The file cannot be read.
    """
    return names_of(key, (await _text_of(signers, "signers")).splitlines(), signers.name)


async def _find_tool() -> str:
    """Return the path of ssh-keygen.

    Raises:
        SignerToolMissing: It is missing, or older than 8.1.
    """
    found = shutil.which(_TOOL)
    # On Windows the folder that the command runs in is looked at first, whoever writes to it.
    if found is None or not Path(found).is_absolute():
        raise SignerToolMissing(f"{_TOOL} was not found: {_NEEDED}")
    # It shows no version. One that can sign asks for the namespace; an older one knows no "-Y".
    done = await _run([found, "-Y", "sign"])
    if b"namespace" not in done.stderr:
        raise SignerToolMissing(f"{found} is too old: {_NEEDED}")
    return found


async def _use_key(command: Sequence[str], key: Path) -> bytes:
    """Run ssh-keygen with a private key; it may ask a person for more.

    Raises:
        ConfigurationError: It could not use the key.
    """
    asks = sys.stderr is not None and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison] - closed before this process began
    done = await _run(command, stdin=None, stderr=None if asks else subprocess.PIPE)
    if done.returncode != 0:
        reason = _last_line(done) or "it needs a passphrase, and nobody can be asked"
        why = "" if asks else f": {reason}"
        raise ConfigurationError(f"the key {key} cannot sign{why}")
    return done.stdout


async def _run(
    command: Sequence[str],
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stderr: int | None = subprocess.PIPE,
) -> "subprocess.CompletedProcess[bytes]":
    try:
        return await anyio.run_process(command, stdin=stdin, stderr=stderr, check=False)
    except OSError as error:
        raise SignerToolMissing(f"{_TOOL} cannot be run: {error.strerror}; {_NEEDED}") from None


def _last_line(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return the last line of what ssh-keygen printed."""
    lines = (done.stderr or b"").decode("utf-8", "replace").splitlines()
    kept = [line.strip() for line in lines if line.strip() not in {"", _SUMMARY}]
    return kept[-1].rstrip(".") if kept else ""


async def _bytes_of(file: Path, what: str) -> bytes:
    try:
        return await anyio.Path(file).read_bytes()
    except OSError as error:
        raise PlanError(f"the {what} {file} cannot be read: {error.strerror}") from None


async def _text_of(file: Path, what: str) -> str:
    try:
        return (await _bytes_of(file, what)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PlanError(f"the {what} {file} are not in UTF-8") from None
