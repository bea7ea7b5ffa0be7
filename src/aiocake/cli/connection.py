"""Which instance is called, and with which key."""

import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, TypeVar

import attrs
import typer

from aiocake import Binding, Client, ConfigurationError, Ledger, NotSent
from aiocake._environment import KeyFile, key_of_environment, settings_of_environment
from aiocake.bulk import Call
from aiocake.cli.errors import print_error
from aiocake.cli.output import OutputError
from aiocake.cli.signals import Interrupted, run
from aiocake.cli.terminal import asked_for_key, confirm, is_terminal
from aiocake.cli.writes import GRACE, RehearsedWrites, Writes
from aiocake.events import Event, PartnerBusy

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


@attrs.frozen
class Connection:
    """An instance and how to get in.

    Attributes:
        domain: The instance's host, or a URL.
        key: The API key, or an async function that gives it.
        binding: The form of v1 calls.
        writes: What became of each write.
    """

    domain: str
    key: str | Callable[[], Awaitable[str]] = attrs.field(repr=False)
    binding: Binding
    writes: Writes = attrs.field(factory=Writes, init=False)

    @classmethod
    def of(
        cls, domain: str | None, key_file: Path | None, api_key: str | None, binding: Binding
    ) -> "Connection":
        """The connection that the options, the environment and the terminal give.

        Raises:
            ConfigurationError: They give no domain or no key.
        """
        if not domain:
            raise ConfigurationError("no instance: give --domain or set CAKE_DOMAIN")
        return cls(domain, _key(key_file, api_key), binding)

    @classmethod
    def rehearsal(cls) -> "Connection":
        """A connection without a key, over which nothing can be sent."""
        return cls("localhost", _no_key, Binding.GET)

    def confirm(self, what: str, call: Callable[[Client], Call[T]]) -> None:
        """Have a write confirmed, once it is known that it could be sent.

        Args:
            what: What is going to be done; what is set by it is added.
            call: The write.

        Raises:
            CakeError: It cannot be sent, or nobody can be asked; nothing was.
            typer.Exit: It was not confirmed.
        """
        rehearsal = RehearsedWrites()
        with suppress(NotSent):  # what it ends in
            self._run(lambda client: call(client).send(), rehearsal)
        confirm(f"{what}{rehearsal}, at {self.domain}")

    def send(self, call: Callable[[Client], Call[T]]) -> T:
        """Send a write.

        Raises:
            CakeError: As the client does.
            Interrupted: It was interrupted.
        """
        return self.run(lambda client: self.writes.send(call(client)))

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do something with a client.

        Raises:
            CakeError: As the client does.
            Interrupted: It was interrupted.
        """

        async def watched(client: Client) -> T:
            with self.writes.explained(client.aclose):
                return await work(client)

        return self._run(watched, self.writes)

    @contextmanager
    def accounted(self) -> Generator[None]:
        """Whatever keeps an answer from being written, say what became of the writes.

        Raises:
            OutputError: It cannot be written.
            Interrupted: A signal came.
        """
        try:
            yield
        except OutputError as error:
            raise OutputError(f"{error}{self.writes}") from None
        except BrokenPipeError:
            if str(self.writes):
                print_error(f"nobody reads the output{self.writes}")
            raise
        except Interrupted as error:
            raise Interrupted(error.number, f"{error.fate}{self.writes}") from None

    def _run(self, work: Callable[[Client], Awaitable[T]], ledger: Ledger) -> T:
        settings = settings_of_environment(self.domain)

        async def with_client() -> T:
            async with Client(
                self.domain,
                self.key,
                binding=self.binding,
                **settings,
                ledger=ledger,
                grace=GRACE,
                on_event=_Waits(),
            ) as client:
                return await work(client)

        return run(with_client)


class _Waits:
    """Says which partners a run waits for: once for each."""

    def __init__(self) -> None:
        self._said: set[int] = set()

    def __call__(self, event: Event) -> None:
        """Something has happened."""
        if isinstance(event, PartnerBusy) and event.partner not in self._said:
            self._said.add(event.partner)
            run = "another run on this host"
            if event.seconds is None:
                print_error(f"waits for {run} that creates for affiliate {event.partner}")
            else:
                made = f"may have created for affiliate {event.partner}"
                print_error(f"waits {event.seconds:.3g} s for what {run} {made}")


async def _no_key() -> str:
    raise ConfigurationError("a rehearsal has no key")


def _key(key_file: Path | None, api_key: str | None) -> str | KeyFile:
    if api_key is not None:
        typer.echo(
            "aiocake: warning: other users of this machine can read --api-key in the process "
            "list; better set CAKE_API_KEY, or give --key-file",
            err=True,
        )
        return api_key
    if key_file is not None:
        return KeyFile(key_file, "--key-file")
    if (key := key_of_environment()) is not None:
        return key
    if is_terminal(sys.stdin):
        return asked_for_key()
    raise ConfigurationError(
        "no API key: set CAKE_API_KEY or CAKE_API_KEY_FILE, or give --key-file"
    )
