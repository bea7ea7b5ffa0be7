"""``aiocake sandbox``: the command line of :mod:`aiocake.sandbox.command` as a command."""

from typing import Any, Final

import typer

from aiocake.cli.signals import Interrupted
from aiocake.cli.usage_errors import UsageErrors

#: Leaves every word to the sandbox, ``--help`` too.
UNREAD: Final[dict[str, Any]] = {
    "add_help_option": False,
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
}


def sandbox(context: typer.Context) -> None:
    """Serve a CAKE with made-up data on this machine, until Ctrl-C. Nothing is logged."""
    from aiocake.sandbox import command  # noqa: PLC0415 - no other command waits for it

    try:
        command.run(context.args, context.command_path)
    except SystemExit:
        return  # argparse has written its help
    except command.UsageError as error:
        raise UsageErrors([str(error)], context) from None
    except Interrupted as ended:
        raise typer.Exit(ended.code) from None
