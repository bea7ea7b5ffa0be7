"""Ask on a terminal: whether to send a write, and for the key."""

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
    """Return whether a stream is a terminal; None was closed before this process began."""
    return stream is not None and stream.isatty()


def need_terminal(stream: TextIO | None) -> None:
    """Check that somebody can be asked.

    Raises:
        ConfigurationError: The standard input is not a terminal.
    """
    if not is_terminal(stream):
        raise ConfigurationError(
            "nothing was sent: a write needs --yes where nobody can be asked, since the standard "
            "input is not a terminal"
        )


def confirm(what: str) -> None:
    """Ask whether to do something.

    Raises:
        ConfigurationError: Nobody can be asked: the standard input is not a terminal.
        typer.Exit: The response was no.
    """
    need_terminal(sys.stdin)
    with _nothing_sent_on_interrupt():
        typer.echo(f"{escaped(what)}? [y/N] ", nl=False, err=True)
        response = sys.stdin.readline()
    if not response.endswith("\n"):  # the end of the input: the cursor is still behind the question
        typer.echo(err=True)
    if response.strip().lower() not in {"y", "yes"}:
        typer.echo("aiocake: nothing was sent", err=True)
        raise typer.Exit(1)


def asked_for_key() -> str:
    """Return the key, typed without being shown.

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
