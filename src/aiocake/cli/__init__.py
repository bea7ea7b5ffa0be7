"""The command ``aiocake``: ``pip install 'aiocake[cli]'``."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

_NEEDED = ("typer", "rich", "starlette", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with its exit code.

    Args:
        arguments: The words after ``aiocake``; by default those of this process.

    Raises:
        SystemExit: Always, with the exit code that ``aiocake --help`` and docs/cli.md explain.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"aiocake: {', '.join(missing)} missing: pip install 'aiocake[cli]'")
    from aiocake.cli import app  # noqa: PLC0415 - it needs what the extra brings

    sys.exit(app.run(sys.argv[1:] if arguments is None else arguments))
