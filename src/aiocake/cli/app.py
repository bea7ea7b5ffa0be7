"""Put the commands together, run one, and return its exit code.

Those that are more than one call are imported when they are named: it takes as long as all else.
"""

import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer
from typer.main import get_command

import aiocake
from aiocake.cli import commands
from aiocake.cli.catalogue import GROUPS
from aiocake.cli.connection import CONNECTION_OPTIONS
from aiocake.cli.errors import (
    USAGE,
    AllErrors,
    UsageErrors,
    choose_form,
    report_error,
    report_interrupted,
    report_usage,
    silence_output,
    usage_of,
)
from aiocake.cli.examples import example_of
from aiocake.cli.help import CommandGroup, paragraphs
from aiocake.cli.output import OUTPUT_OPTIONS, say_out
from aiocake.cli.signals import Interrupted, raising


class _InOrder(CommandGroup):
    """The root group, with the commands in a useful order: Typer would list groups last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, under changing names
        """Read the words: options that commands share may stand before the command."""
        before: list[str] = []
        while args and (takes := BEFORE_COMMAND.get(args[0].partition("=")[0])) is not None:
            count = 1 if not takes or "=" in args[0] else 2
            if len(args) < count:
                raise UsageErrors([f"Option {args[0]!r} requires an argument"], ctx)
            before += args[:count]
            args = args[count:]
        if before and not args:
            raise UsageErrors(["Missing command"], ctx)
        if args and args[0] != "--" and args[0].startswith("-"):  # such as --version
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, [*args, *before] if "--" not in args else [*before, *args])

    def list_commands(self, ctx: object) -> list[str]:
        """Return the names of the commands, in order."""
        del ctx
        groups = (path for path in GROUPS if " " not in path)
        return [
            *groups, "plan", "approve", "apply", "run", "resume", "audit", "journal", "doctor",
            "sandbox", "demo",
        ]  # fmt: skip

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as above
        """Return a command, or None; import it if that was not done yet."""
        if cmd_name not in self.commands:
            # A misspelt word is compared with all of them.
            for name in [cmd_name] if cmd_name in _IMPORTED_LATER else _IMPORTED_LATER:
                self.commands[name] = _imported(name)
        return super().get_command(ctx, cmd_name)


#: Options that may stand before the command, and whether each takes a value.
BEFORE_COMMAND: Final = {
    name: option.read is not None
    for option in (*CONNECTION_OPTIONS, *OUTPUT_OPTIONS)
    for name in option.names or (f"--{option.name.replace('_', '-')}",)
}

#: Leaves every word to the sandbox, ``--help`` too.
_UNREAD: Final[dict[str, Any]] = {
    "add_help_option": False,
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
}


def sandbox(context: typer.Context) -> None:
    """Serve a fake CAKE with generated data on this machine, until Ctrl-C."""
    from aiocake.sandbox import command  # noqa: PLC0415 - no other command waits for it

    try:
        command.run(context.args, context.command_path)
    except SystemExit:
        return  # argparse has written its help
    except command.UsageError as error:
        raise UsageErrors([str(error)], context) from None
    except Interrupted as ended:
        raise typer.Exit(ended.code) from None


app: typer.Typer = typer.Typer(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.add_to(app)
app.command(**_UNREAD)(sandbox)


@app.command(hidden=True)
def version() -> None:
    """Print the version."""
    say_out(f"aiocake {aiocake.__version__}")


@app.command("help", hidden=True)
def help_(words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """Show the help, or that of a command."""
    _invoke([*(words or ()), "--help"])


def _version(wanted: bool) -> None:  # noqa: FBT001 - a flag of the command line
    if wanted:
        say_out(f"aiocake {aiocake.__version__}")
        raise typer.Exit


_ABOUT: Final = """The billing and accounting API of CAKE, and a sandbox to try it on.

The instance and the key come from CAKE_DOMAIN and CAKE_API_KEY (or CAKE_API_KEY_FILE), or from a
profile in config.toml: --profile NAME or CAKE_PROFILE.

Exit codes: 2 arguments or configuration, 3 key rejected, 4 not found, 5 refused, 6 not sent,
7 outcome unknown, 8 unusable response, 9 created twice, 10 records skipped, 129 SIGHUP, 130 Ctrl-C,
143 SIGTERM, 1 anything else.
"""


@app.callback(invoke_without_command=True, help=paragraphs(_ABOUT))
def root(
    context: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            metavar="",
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Print the version or the help, or run a command."""
    del version
    if context.invoked_subcommand is None:
        say_out(context.get_help())
        raise typer.Exit(USAGE)


#: The module and the name of the function, or of the group, of each command that is imported later.
_IMPORTED_LATER: Final[Mapping[str, tuple[str, str]]] = {
    "plan": ("plan", "app"),
    "approve": ("approve", "approve"),
    "apply": ("apply", "apply"),
    "run": ("run", "carry_out"),
    "resume": ("resume", "resume"),
    "audit": ("audit", "audit"),
    "journal": ("journal", "app"),
    "doctor": ("doctor", "doctor"),
    "demo": ("demo", "demo"),
}
_OF_JOURNALS: Final[Mapping[str, tuple[str, str]]] = {
    "resume": ("resume", "resume"),
    "release": ("journal_database", "release"),
    "migrate": ("journal_database", "migrate"),
}


@cache
def _imported(name: str) -> Any:  # noqa: ANN401 - Typer's, under changing names
    above = typer.Typer(cls=CommandGroup)
    above.callback()(lambda: None)  # or one command would stand for all of them
    _add(above, name, _IMPORTED_LATER[name])
    group: Any = get_command(above)
    return group.commands[name]


def _add(above: typer.Typer, name: str, place: tuple[str, str], group: str = "") -> None:
    module, attribute = place
    found = getattr(importlib.import_module(f"aiocake.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        for each, of_journals in _OF_JOURNALS.items() if name == "journal" else ():
            _add(found, each, of_journals, group=f"{name} ")
        above.add_typer(found, name=name)
    else:
        example = example_of(group + name)
        above.command(name, cls=AllErrors, help=paragraphs(found.__doc__), epilog=example)(found)


@cache
def _built() -> Any:  # noqa: ANN401 - Typer's, under changing names
    """Return the command. Typer's own options are flags, which take nothing."""
    command = get_command(app)
    for parameter in command.params:
        parameter.metavar = ""
    return command


def every_command() -> Any:  # noqa: ANN401 - Typer's, under changing names
    """Return the command, with all that it can be followed by imported."""
    command: Any = get_command(app)
    for name in _IMPORTED_LATER:
        command.get_command(None, name)
    return command


def run(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: The words after ``aiocake``.

    Returns:
        The exit code.
    """
    _prepare_output()
    choose_form(arguments)
    try:
        with raising():
            _invoke(arguments)
    except typer.Exit as ended:
        return ended.exit_code
    except BrokenPipeError:
        silence_output()
        return 0
    except SystemExit as ended:
        # Rich ends the process on a closed pipe.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        silence_output()
        return 0
    except Interrupted as error:
        code = report_interrupted(str(error), error.code)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said on one line
        code = _usage(error) or report_error(error)
    else:
        return 0
    try:
        sys.stdout.flush()
    except OSError:  # as was reported: the end of the process must not try, and fail, again
        silence_output()
    return code


def _invoke(arguments: Sequence[str]) -> None:
    command = _built()
    with command.make_context("aiocake", list(arguments)) as context:
        command.invoke(context)
    sys.stdout.flush()


def _prepare_output() -> None:
    """Write output in UTF-8, and escape what a terminal cannot encode."""
    # They are None when they were closed before this process began.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _usage(error: Exception) -> int | None:
    """Report an error of the command line, if this is one."""
    text = usage_of(error)
    if text is None:
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", "aiocake")
    return report_usage(text, path)
