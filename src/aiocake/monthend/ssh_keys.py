"""Parse SSH keys and signatures: whose key it is, and what it was used for.

Nothing here decides whether a signature is good: ``ssh-keygen`` does. What it does not say is read
here: which key a signature is of, and for which purpose (its namespace) it was made.

A key is a row of length-prefixed strings (RFC 4253, section 6.6). A certificate wraps the parts of
a key into more of them
(https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.certkeys?annotate=HEAD): the key inside is what
a person has, so that key tells people apart. A signature holds the key that made
it (https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.sshsig?annotate=HEAD).
"""

import base64
import binascii
import hashlib
import re
from typing import Final

import attrs

_CERTIFICATE: Final = "-cert-v01@openssh.com"
#: How many strings each type of key has behind its name.
_PARTS: Final = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ssh-dss": 4,  # of old; among revoked keys it may still stand
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
_PRIVATE: Final = re.compile(
    rb"\s*-----BEGIN OPENSSH PRIVATE KEY-----\s(.*?)-----END OPENSSH PRIVATE KEY-----\s*", re.DOTALL
)
_MAGIC_PRIVATE: Final = b"openssh-key-v1\0"
_MAGIC_SIGNATURE: Final = b"SSHSIG"


@attrs.frozen
class PublicKey:
    """A public key, or a certificate of one.

    Attributes:
        blob: Its bytes.
        plain: The bytes of the key without the certificate around it.
        principals: The names that the certificate is good for; empty of a plain key.
        authority: The bytes of the key that signed the certificate; None of a plain key.
    """

    blob: bytes
    plain: bytes
    principals: tuple[str, ...] = ()
    authority: bytes | None = None

    @classmethod
    def of(cls, blob: bytes) -> "PublicKey":
        """Return the key of these bytes.

        Raises:
            ValueError: They are no key of a known type.
        """
        read = _StringReader(blob)
        name = read.string()
        kind = name.decode("ascii", "replace")
        if not kind.endswith(_CERTIFICATE):
            _parts(read, kind)
            read.end()
            return cls(blob, blob)
        kind = kind.removesuffix(_CERTIFICATE)
        kind += "@openssh.com" if kind.startswith("sk-") else ""
        read.string()  # a nonce
        plain = b"".join(map(_framed, (kind.encode("ascii"), *_parts(read, kind))))
        read.skip(8 + 4)  # its serial number; a user's or a host's
        read.string()  # its id
        names = _StringReader(read.string())
        principals: list[str] = []
        while names.left:
            principals.append(names.string().decode())
        read.skip(8 + 8)  # good from, and until
        for _ in ("critical options", "extensions", "reserved"):
            read.string()
        authority = read.string()
        read.string()  # its signature
        read.end()
        return cls(blob, plain, tuple(principals), authority)

    @classmethod
    def of_line(cls, line: str) -> "PublicKey":
        """Return the key of a line such as ``ssh-ed25519 AAAA… comment``.

        Raises:
            ValueError: The line is not a public key of a known type.
        """
        kind, text, *_ = [*line.split(maxsplit=2), "", ""]
        key = cls.of(_from_base64(text))
        if _StringReader(key.blob).string() != kind.encode():
            raise ValueError("its type is not what the line says")
        return key

    @property
    def line(self) -> str:
        """Return the plain key as a line without a comment."""
        kind = _StringReader(self.plain).string().decode("ascii")
        return f"{kind} {base64.b64encode(self.plain).decode('ascii')}"

    @property
    def fingerprint(self) -> str:
        """Return the plain key's fingerprint, as ``ssh-keygen -l`` shows it."""
        digest = base64.b64encode(hashlib.sha256(self.plain).digest())
        return f"SHA256:{digest.decode('ascii').rstrip('=')}"


def key_in_private(data: bytes) -> PublicKey | None:
    """Return the public key that a private key's file holds unencrypted; None if there is none.

    Raises:
        ValueError: The file is damaged.
    """
    found = _PRIVATE.fullmatch(data)
    if found is None:
        return None
    blob = _from_base64(b"".join(found[1].split()).decode("ascii"))
    if not blob.startswith(_MAGIC_PRIVATE):
        raise ValueError("it is not an OpenSSH private key")
    read = _StringReader(blob[len(_MAGIC_PRIVATE) :])
    for _ in ("cipher", "key derivation", "its options"):
        read.string()
    read.skip(4)  # how many keys: one
    return PublicKey.of(read.string())


def read_signature(armored: str) -> tuple[PublicKey, str]:
    """Return the key that made a signature, and the namespace that it was made for.

    Args:
        armored: What stands between the lines ``BEGIN`` and ``END SSH SIGNATURE``.

    Raises:
        ValueError: It is damaged.
    """
    blob = _from_base64("".join(armored.split()))
    if not blob.startswith(_MAGIC_SIGNATURE):
        raise ValueError("it is not an SSH signature")
    read = _StringReader(blob[len(_MAGIC_SIGNATURE) :])
    read.skip(4)  # the version
    key = PublicKey.of(read.string())
    namespace = read.string().decode()
    for _ in ("reserved", "hash algorithm", "signature"):
        read.string()
    read.end()
    return key, namespace


class _StringReader:
    """Reads length-prefixed strings, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def string(self) -> bytes:
        return self.skip(int.from_bytes(self.skip(4)))

    def skip(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError("it is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def end(self) -> None:
        if self.left:
            raise ValueError("more follows than belongs to it")


def _parts(read: _StringReader, kind: str) -> list[bytes]:
    if kind not in _PARTS:
        raise ValueError("its key is of an unknown type")
    return [read.string() for _ in range(_PARTS[kind])]


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(4) + part


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("it is not in base64") from None
