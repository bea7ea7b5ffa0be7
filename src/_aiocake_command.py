"""The command ``aiocake``: answer a shell that completes words, or run a command.

It stands beside the package, not in it: importing the package takes longer than a press of Tab may.
"""

import os
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main() -> None:
    """Run the command; never returns."""
    if "_AIOCAKE_COMPLETE" in os.environ:
        file = Path(__file__).with_name("aiocake") / "cli" / "completion.py"
        spec = spec_from_file_location("_aiocake_completion", file)
        if spec is not None and spec.loader is not None:
            completion = module_from_spec(spec)
            spec.loader.exec_module(completion)
            completion.main()
        sys.exit()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C while modules are loaded, or at the very end, ends the process without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from aiocake.cli import main as run  # noqa: PLC0415 - it takes long

    run()
