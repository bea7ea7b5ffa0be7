"""Make the pictures of README.md: the real commands, on a terminal, at the month end of a sandbox.

``python docs/pictures.py`` writes docs/pictures/approve.svg and apply.svg. It needs ssh-keygen.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from aiocake.sandbox import Sandbox, serve

FOLDER: Final = Path(__file__).parent / "pictures"
COLUMNS: Final = 92
PLAN: Final = (
    "plan --period 2024-01 --status pending --set status=approved --max-total USD=50000 "
    "--max-total EUR=75000 --max-total GBP=75000 --max-total JPY=5000000 --maker maria "
    "--sign maria --out january.plan"
)
APPROVE: Final = "approve january.plan --signers signers"
APPLY: Final = "apply january.plan --journal january.db --approvals 1 --signers signers --rate 20"


def main() -> None:
    """Make all pictures."""
    sandbox = Sandbox(invoices=400, period="2024-01")
    with tempfile.TemporaryDirectory() as folder, serve(sandbox) as url:
        environment = {
            **{
                name: text
                for name, text in os.environ.items()
                if not name.startswith(("CAKE_", "COLUMNS"))
            },
            "CAKE_DOMAIN": url,
            "CAKE_API_KEY": "SANDBOX-KEY",
            "TERM": "xterm-256color",
            "XDG_STATE_HOME": folder,
        }
        signers = ""
        for who in ("maria", "ben"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", who]
            subprocess.run(make, cwd=folder, check=True)  # noqa: S603 - our own words
            key = Path(folder, f"{who}.pub").read_text("ascii")
            signers += f"{who}@example.com {key}"
        Path(folder, "signers").write_text(signers, "ascii")
        on_terminal(PLAN, folder, environment)
        approve = on_terminal(APPROVE, folder, environment)
        on_terminal(f"{APPROVE} --key ben --yes", folder, environment)
        apply = on_terminal(APPLY, folder, environment, until=r" 4\d/78 ")
        for name, command, shown in (("approve", APPROVE, approve), ("apply", APPLY, apply)):
            text = shown.replace(url.removeprefix("http://"), "127.0.0.1:8765")
            draw(name, command, text)


def on_terminal(
    words: str, folder: str, environment: Mapping[str, str], *, until: str | None = None
) -> str:
    """Run a command on a terminal; return what that shows when it ends, or a pattern is found."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-m", "aiocake", *words.split()],
        cwd=folder,
        env=dict(environment),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown, asked = b"", False
    while until is None or not re.search(until, plain(shown.decode(errors="replace"))):
        try:
            read = os.read(master, 65536)
        except OSError:  # Linux says so at its end
            break
        if not read:
            break
        shown += read
        if b"[y/N]" in shown and not asked:
            asked = True
            os.write(master, b"y\n")
    process.terminate()
    process.wait()
    os.close(master)
    return last_frame(shown.decode(errors="replace"))


def last_frame(text: str) -> str:
    """Return what a terminal shows: of a bar that is drawn again and again, the last one."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in lines).rstrip()


def plain(text: str) -> str:
    """Return a text without the codes of a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def draw(name: str, command: str, text: str) -> None:
    """Write a picture of a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text(f"$ aiocake {command}", style="bold"))
    console.print(Text.from_ansi(re.sub(r"\x1b\[(?![0-9;]*m)[0-9;?]*[A-Za-z]", "", text)))
    svg = console.export_svg(title=f"aiocake {name}", unique_id=name)
    # A picture loads nothing from elsewhere.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
