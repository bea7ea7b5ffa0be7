"""``python -m aiocake.sandbox``: serve a sandbox until Ctrl-C or SIGTERM."""

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiocake.sandbox.command import UsageError, run

_PROG: Final = "python -m aiocake.sandbox"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        arguments: The words of the command line; by default those of this process.

    Raises:
        SystemExit: The command line cannot be used.
    """
    try:
        with suppress(KeyboardInterrupt):
            run(sys.argv[1:] if arguments is None else arguments, _PROG)
    except UsageError as error:
        print(f"{_PROG}: {error} (see {_PROG} --help)", file=sys.stderr)  # noqa: T201 - a command
        sys.exit(2)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
