"""Which instance is called, and with which key."""

import os
import sys
from collections.abc import Awaitable, Callable
from getpass import getpass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import anyio
import attrs
import typer

from aiocake import Client, ConfigurationError
from aiocake.cli._errors import INTERRUPTED
from aiocake.cli._text import escaped
from aiocake.errors import Outcome
from aiocake.events import CallEnded, Event

__all__ = ["ApiKeyOption", "Connection", "DomainOption", "KeyFileOption", "YesOption"]

T = TypeVar("T")

DomainOption = Annotated[
    str | None,
    typer.Option(
        "--domain",
        envvar="CAKE_DOMAIN",
        metavar="HOST",
        help="The instance, such as yourdomain.cake.com.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="A file that holds the API key, in place of CAKE_API_KEY or CAKE_API_KEY_FILE in the "
        "environment. With none of them a terminal is asked.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="The API key itself. Other users of this machine can read it in the process list.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask first, as it is done on a terminal.")
]

# As Client.from_env() reads CAKE_READ_ONLY.
_OFF: Final = frozenset({"", "0", "false", "no"})
_ON: Final = frozenset({"1", "true", "yes"})

_FATES: Final = {
    Outcome.DONE: "done",
    Outcome.NOT_DONE: "not done",
    Outcome.UNKNOWN: "unknown whether it was done",
}


@attrs.frozen
class Connection:
    """An instance and how to get in.

    Attributes:
        domain: The instance's host, or a URL.
        key: The API key.
    """

    domain: str
    key: str = attrs.field(repr=False)

    @classmethod
    def of(cls, domain: str | None, key_file: Path | None, api_key: str | None) -> "Connection":
        """The connection that the options, the environment and the terminal give.

        Raises:
            ConfigurationError: They give no domain or no key.
        """
        if not domain:
            message = "no instance: give --domain or set CAKE_DOMAIN"
            raise ConfigurationError(message)
        return cls(domain, _key(key_file, api_key))

    def ask(self, what: str, *, yes: bool) -> None:
        """On a terminal, have a write confirmed.

        Args:
            what: What is going to be written.
            yes: It is confirmed already.

        Raises:
            typer.Exit: It was not confirmed.
        """
        if yes or not sys.stdin.isatty():
            return
        typer.echo(f"{escaped(f'{what}, at {self.domain}')}? [y/N] ", nl=False, err=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            typer.echo("aiocake: nothing was sent", err=True)
            raise typer.Exit(1)

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do something with a client.

        Raises:
            CakeError: As the client does.
            typer.Exit: It was interrupted.
        """
        fates: list[str] = []

        def note(event: Event) -> None:
            if isinstance(event, CallEnded) and event.outcome is not None:
                fates.append(f"; {event.operation}: {_FATES[event.outcome]}")

        async def with_client() -> T:
            async with Client(
                self.domain, self.key, read_only=_read_only(), on_event=note
            ) as client:
                return await work(client)

        try:
            return anyio.run(with_client)
        except KeyboardInterrupt:
            typer.echo(f"aiocake: interrupted{''.join(fates)}", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _key(key_file: Path | None, api_key: str | None) -> str:
    if api_key is not None:
        typer.echo(
            "aiocake: warning: other users of this machine can read --api-key in the process "
            "list; better set CAKE_API_KEY, or give --key-file",
            err=True,
        )
        return api_key
    if key_file is not None:
        return _read(key_file, "--key-file")
    environment = os.environ
    if environment.get("CAKE_API_KEY"):
        return environment["CAKE_API_KEY"]
    if environment.get("CAKE_API_KEY_FILE"):
        return _read(Path(environment["CAKE_API_KEY_FILE"]), "CAKE_API_KEY_FILE")
    if sys.stdin.isatty():
        return _asked()
    message = "no API key: set CAKE_API_KEY or CAKE_API_KEY_FILE, or give --key-file"
    raise ConfigurationError(message)


def _read(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"{name} cannot be read: {reason}"
        raise ConfigurationError(message) from None


def _asked() -> str:
    try:
        return getpass("CAKE API key: ", stream=sys.stderr).strip()
    except EOFError:
        message = "no API key was given"
        raise ConfigurationError(message) from None


def _read_only() -> bool:
    text = os.environ.get("CAKE_READ_ONLY", "").strip().lower()
    if text not in _OFF | _ON:
        message = "CAKE_READ_ONLY must be 1 or 0"
        raise ConfigurationError(message)
    return text in _ON
