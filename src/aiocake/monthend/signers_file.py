"""The names that a file of signers (``allowed_signers`` of ssh-keygen(1)) gives to a key.

A line is ``name[,name…] [option[,option…]] key``. Whether a name may sign now is decided by
``ssh-keygen``; here only the names to ask it about are read. It is asked about all of them: a key
that two people answer for is neither's.
"""

import re
from collections.abc import Iterable
from typing import Final

from aiocake.errors import PlanError, Problem
from aiocake.monthend.ssh_keys import PublicKey

_LINE: Final = re.compile(
    r'(?P<names>[^\s"]+)[ \t]+'
    r'(?:(?P<options>(?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+)??'
    r"(?P<key>[a-z][\w.@-]*[ \t]+[A-Za-z0-9+/]+=*)(?:[ \t].*)?",
    re.ASCII,
)
#: What a KRL begins with (PROTOCOL.krl of OpenSSH).
_KRL: Final = b"SSHKRL\n\0"
#: A name that has one of these is a pattern, which says of nobody who they are.
_PATTERN: Final = frozenset("*?!")


def names_of(key: PublicKey, lines: Iterable[str], file: str) -> list[str]:
    """Return the names under which a key may sign, each once, in the order of the file.

    Args:
        key: The key, or the certificate.
        lines: The lines of the file.
        file: What the file is called in errors.

    Raises:
        PlanError: A line of the file cannot be read.
    """
    names: dict[str, None] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t") or line.lstrip(" \t").startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip(" \t"))
        if found is None:
            problems.append(Problem(f"line {number}", "is not: name[,name] [options] key"))
            continue
        try:
            blob = PublicKey.of_line(found["key"]).blob
        except ValueError as error:
            problems.append(Problem(f"line {number}", f"has a key that cannot be read: {error}"))
            continue
        if blob == key.blob:
            names.update(dict.fromkeys(n for n in found["names"].split(",") if _is_name(n)))
        elif blob == key.authority:
            names.update(dict.fromkeys(filter(_is_name, key.principals)))
    if problems:
        raise PlanError(f"the signers in {file} cannot be read", *problems)
    return list(names)


def check_revoked(data: bytes, file: str) -> None:
    """Check that a file of revoked keys is one.

    ``ssh-keygen`` skips what it cannot read of a list: a page that was saved in its place would
    revoke nobody.

    Args:
        data: What stands in the file: a KRL, or a public key on each line.
        file: What the file is called in errors.

    Raises:
        PlanError: It is neither.
    """
    if data.startswith(_KRL):
        return
    problems: list[Problem] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if line.strip(" \t") and not line.lstrip(" \t").startswith("#"):
            try:
                PublicKey.of_line(line)
            except ValueError as error:
                problems.append(Problem(f"line {number}", f"is not a public key: {error}"))
    if problems:
        raise PlanError(f"the revoked keys in {file} cannot be read", *problems)


def _is_name(name: str) -> bool:
    return bool(name) and name.isprintable() and _PATTERN.isdisjoint(name)
