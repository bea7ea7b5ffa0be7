"""The connection of a command: instance, key, proxy, limits."""

import re
import shlex
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from aiocake import Binding, Client, ConfigurationError, Timeouts
from aiocake._environment import (
    KeyCommand,
    KeyFile,
    domain_of,
    files_of_environment,
    key_of_environment,
    settings_of_environment,
    throttle_of,
)
from aiocake.bulk import Call
from aiocake.bulk.journal_store import JournalPlace
from aiocake.cli import parse
from aiocake.cli.destination import OutputError
from aiocake.cli.errors import print_error
from aiocake.cli.options import CONNECTION, Option
from aiocake.cli.signals import Interrupted, run
from aiocake.cli.terminal import asked_for_key, is_terminal
from aiocake.cli.writes import GRACE, Writes
from aiocake.client import ClientSettings
from aiocake.events import Event, PartnerBusy
from aiocake.profiles import Profile

T = TypeVar("T")

_option = partial(Option, panel=CONNECTION)

CONNECTION_OPTIONS: Final = (
    _option(
        "profile",
        "The profile in config.toml to take settings from that neither options nor the environment "
        "give.",
        str,
        "NAME",
        variable="CAKE_PROFILE",
    ),
    _option(
        "domain",
        "The instance, such as yourdomain.cake.com.",
        str,
        "HOST",
        variable="CAKE_DOMAIN",
    ),
    _option(
        "key_file",
        "A file that holds the API key. Default: CAKE_API_KEY or CAKE_API_KEY_FILE from the "
        "environment, else the profile's. If none is set, you are prompted.",
        parse.key_file,
        "FILE",
    ),
    _option(
        "api_key",
        "The API key itself. Other users of this machine can read it in the process list.",
        str,
        "KEY",
    ),
    _option(
        "ca_file",
        "A PEM file of the certificate authorities to trust. Default: CAKE_CA_FILE from the "
        "environment, else the profile's, else certifi's.",
        parse.ca_file,
        "FILE",
    ),
    _option(
        "proxy",
        "The proxy to connect through. Default: CAKE_PROXY from the environment, else the "
        "profile's.",
        parse.proxy,
        "URL",
    ),
    _option(
        "timeout",
        "Maximum time for one call, retries included. Default: 60, for an export of bills 600.",
        parse.timeout,
        "SECONDS",
    ),
    _option(
        "rate",
        "Maximum calls per second. Default: the profile's, else no limit.",
        parse.rate,
        "NUMBER",
    ),
    _option(
        "concurrency",
        "Maximum concurrent calls. Default: the profile's, else 8.",
        parse.count,
        "NUMBER",
    ),
    _option(
        "debug",
        "Write each attempt, retry and pause to the standard error, without names and amounts.",
    ),
)
BINDING_OPTION: Final = _option(
    "binding",
    "How calls of API version 1 are sent. Default: the profile's, else get.",
    parse.one_of(Binding),
    "|".join(Binding),
)


def files_of(values: Mapping[str, Any]) -> list[Path]:
    """Return the files that a connection needs, by the options and the environment."""
    own = [values["key_file"], values["ca_file"] and values["ca_file"].file]
    profile = _readable_profile(values)
    return [*files_of_environment(profile), *(file for file in own if file is not None)]


def binding_of(values: Mapping[str, Any]) -> Binding:
    """Return how calls of API version 1 are sent, by the options and the profile."""
    profile = _readable_profile(values)
    return values.get("binding") or (profile and profile.binding) or Binding.GET


def _readable_profile(values: Mapping[str, Any]) -> Profile | None:
    """Return the profile; None if there is none or it is invalid, which is reported later."""
    with suppress(ConfigurationError):
        return profile_of(values)
    return None


def profile_of(values: Mapping[str, Any]) -> Profile | None:
    """Return the profile that the options or the environment name; None for none.

    Raises:
        ConfigurationError: It cannot be read.
    """
    name = values.get("profile")
    return Profile.read(name) if name else None


@attrs.frozen
class Connection:
    """An instance and how to reach it.

    Attributes:
        domain: The instance.
        key: The API key, or what gives it.
        settings: The settings of the client that options give.
        profile: The profile, if one is named.
        writes: The outcome of each write.
    """

    domain: str
    key: str | Callable[[], Awaitable[str]] = attrs.field(repr=False)
    settings: ClientSettings = attrs.field(repr=False)
    profile: Profile | None = None
    debug: bool = False
    writes: Writes = attrs.field(factory=Writes, init=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Connection":
        """Return the connection that options, environment and terminal describe.

        Raises:
            ConfigurationError: They give no domain or no key.
        """
        profile = profile_of(values)
        domain = domain_of(values["domain"], profile, "--domain or CAKE_DOMAIN")
        if not domain:
            raise ConfigurationError("no instance: give --domain or set CAKE_DOMAIN")
        settings = ClientSettings(binding=binding_of(values))
        if values["proxy"] is not None:
            if domain.lower().startswith("http:"):
                raise ConfigurationError(
                    "--proxy works with https only: the proxy would see the key"
                )
            settings["proxy"] = values["proxy"]
        if values["ca_file"] is not None:
            settings["ssl_context"] = values["ca_file"].context
        if (seconds := values["timeout"]) is not None:
            settings["timeouts"] = Timeouts(total=seconds, export_total=seconds)
        settings["throttle"] = throttle_of(
            profile, concurrency=values["concurrency"], rate=values["rate"]
        )
        every: ClientSettings = {**settings_of_environment(domain, settings, profile), **settings}
        key = _key(values["key_file"], values["api_key"], profile)
        return cls(domain, key, every, profile, values.get("debug", False))

    def send(self, call: Callable[[Client], Call[T]]) -> T:
        """Send a write.

        Raises:
            CakeError: As the client does.
            Interrupted: A signal came.
        """
        return self.run(lambda client: self.writes.send(call(client)))

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Run work with a client.

        Raises:
            CakeError: As the client does.
            Interrupted: A signal came.
        """
        settings: ClientSettings = {
            **self.settings,
            "ledger": self.writes,
            "grace": GRACE,
            "on_event": _Waits(debug=self.debug),
        }

        async def with_client() -> T:
            async with Client(self.domain, self.key, **settings) as client:
                with self.writes.explained(client.aclose):
                    return await work(client)

        return run(with_client)

    @contextmanager
    def accounted(self, journal: JournalPlace | None = None) -> Generator[None]:
        """Report the outcome of the writes if their result cannot be written.

        Args:
            journal: The journal with which they can go on after an interruption.

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
                print_error(f"the output was closed by its reader{self.writes}")
            raise
        except Interrupted as error:
            note = f"{error.note}{self.writes}"
            if journal is not None and journal.exists():
                note += f"; to continue: aiocake resume {shlex.quote(str(journal))}"
            raise Interrupted(error.number, note) from None


class _Waits:
    """Reports the partners that a run waits for, once for each; and all events, if asked to."""

    def __init__(self, *, debug: bool) -> None:
        self._reported: set[int] = set()
        self._debug = debug

    def __call__(self, event: Event) -> None:
        """Report an event."""
        if self._debug:
            print_error(_in_words(event))
        if isinstance(event, PartnerBusy) and event.partner not in self._reported:
            self._reported.add(event.partner)
            run = event.run or "another run on this host"
            if event.seconds is None:
                print_error(f"waiting for {run}, which creates for affiliate {event.partner}")
            else:
                made = f"may have created for affiliate {event.partner}"
                print_error(f"waiting {event.seconds:.3g} s for what {run} {made}")


def _in_words(event: Event) -> str:
    """Return an event on one line, as in ``attempt ended: operation invoices.get, number 1``."""
    name = re.sub(r"(?<!^)(?=[A-Z])", " ", type(event).__name__).lower()
    fields = attrs.asdict(event)
    parts = (f"{each} {_short(value)}" for each, value in fields.items() if value is not None)
    return f"{name}: {', '.join(parts)}"


def _short(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value


def _key(
    key_file: Path | None, api_key: str | None, profile: Profile | None
) -> str | KeyFile | KeyCommand:
    if api_key is not None:
        print_error(
            "warning: other users of this machine can read --api-key in the process list; better "
            "set CAKE_API_KEY, or give --key-file"
        )
        return api_key
    if key_file is not None:
        return KeyFile(key_file, "--key-file")
    if (key := key_of_environment(profile)) is not None:
        return key
    if is_terminal(sys.stdin):
        return asked_for_key()
    raise ConfigurationError(
        "no API key: set CAKE_API_KEY or CAKE_API_KEY_FILE, or give --key-file"
    )
