"""SSH keys of people who sign plans, made by the real ssh-keygen."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TOOL: Final = shutil.which("ssh-keygen") or "ssh-keygen"


def keygen(*words: object, data: bytes = b"") -> bytes:
    """Run ssh-keygen."""
    return subprocess.run(
        [_TOOL, *map(str, words)], input=data, capture_output=True, check=True
    ).stdout


class People:
    """People with keys, in a folder.

    Args:
        folder: The folder.
        names: Their names.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.key(name))

    def key(self, name: str) -> Path:
        """The file of somebody's private key."""
        return self.folder / name

    def line(self, name: str) -> str:
        """Somebody's public key."""
        kind, key, *_ = self.key(name).with_suffix(".pub").read_text("ascii").split()
        return f"{kind} {key}"

    def signers(
        self,
        names: Mapping[str, str] | None = None,
        *,
        options: str = "",
        file: str = "allowed_signers",
    ) -> Path:
        """A file of signers.

        Args:
            names: The names, each with whose key it has; by default all keys, named as people are.
            options: The options of each line.
            file: The name of the file.
        """
        made = names or {
            f"{each.stem}@example.com": each.stem for each in sorted(self.folder.glob("*.pub"))
        }
        lines = [f"{name} {options} {self.line(key)}\n" for name, key in made.items()]
        path = self.folder / file
        path.write_text("".join(lines), "utf-8")
        return path

    def certify(self, name: str, authority: str, *principals: str) -> Path:
        """Have an authority sign somebody's key; return the certificate's file."""
        keygen(
            *("-q", "-s", self.key(authority), "-I", name, "-n", ",".join(principals)),
            self.key(name).with_suffix(".pub"),
        )
        return self.folder / f"{name}-cert.pub"
