"""What is asked on a terminal: whether to send a write, and for the key."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from getpass import getpass
from typing import TextIO

import typer

from aiocake import ConfigurationError
from aiocake.cli.errors import begin_line
from aiocake.cli.signals import Interrupted
from aiocake.cli.text import escaped


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal. None: it was closed before this process began."""
    return stream is not None and stream.isatty()


def confirm(what: str) -> None:
    """Have a write confirmed.

    Args:
        what: What is going to be written, and where.

    Raises:
        ConfigurationError: Nobody can be asked: the standard input is no terminal.
        typer.Exit: It was not confirmed.
    """
    if not is_terminal(sys.stdin):
        raise ConfigurationError(
            "nothing was sent: a write needs --yes where nobody can be asked, since the standard "
            "input is not a terminal"
        )
    with _nothing_sent_on_interrupt():
        typer.echo(f"{escaped(what)}? [y/N] ", nl=False, err=True)
        response = sys.stdin.readline()
    if not response.endswith("\n"):  # the end of the input: the cursor is still behind the question
        typer.echo(err=True)
    if response.strip().lower() not in {"y", "yes"}:
        typer.echo("aiocake: nothing was sent", err=True)
        raise typer.Exit(1)


def asked_for_key() -> str:
    """The key, typed without being shown.

    Raises:
        ConfigurationError: The input ended.
        Interrupted: It was interrupted.
    """
    with _nothing_sent_on_interrupt():
        try:
            return getpass("CAKE API key: ", stream=sys.stderr).strip()
        except EOFError:
            typer.echo(err=True)
            raise ConfigurationError("no API key was given") from None


@contextmanager
def _nothing_sent_on_interrupt() -> Generator[None]:
    try:
        yield
    except Interrupted as error:
        begin_line()
        raise Interrupted(error.number, "; nothing was sent") from None
