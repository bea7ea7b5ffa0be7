"""Settings from environment variables and a profile: the instance, its key and its connection.

What is passed comes before the environment, and the environment before the profile. The variables
of other programs (``HTTPS_PROXY``, ``SSL_CERT_FILE``, …) are not read.
"""

import os
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict

import anyio

from aiocake._transport import check_key, context_of_user, parse_address
from aiocake.config import Throttle
from aiocake.errors import ConfigurationError
from aiocake.profiles import Profile
from aiocake.traits import InstanceTraits
from aiocake.values import Binding, Secret

_OFF: Final = frozenset({"", "0", "false", "no"})
_ON: Final = frozenset({"1", "true", "yes"})
#: A file that holds a key is short; what is behind it is not read.
_LONGEST_FILE: Final = 65_536


#: Seconds that a command is given to print a key: somebody may have to unlock a vault.
_COMMAND_SECONDS: Final = 30.0


class EnvironmentSettings(TypedDict, total=False):
    """The settings of a client that the environment and a profile can give."""

    read_only: bool
    proxy: str
    ssl_context: ssl.SSLContext
    binding: Binding
    throttle: Throttle
    traits: InstanceTraits


def profile_of_environment(name: str | None = None) -> Profile | None:
    """Return the profile of a name, else the one that ``CAKE_PROFILE`` names; None for none.

    Raises:
        ConfigurationError: It cannot be read.
    """
    name = name or os.environ.get("CAKE_PROFILE")
    return Profile.read(name) if name else None


def domain_of(domain: str | None, profile: Profile | None, name: str = "CAKE_DOMAIN") -> str | None:
    """Return the domain of the instance: passed, else from the environment, else from the profile.

    Args:
        domain: The instance that is passed, or in the environment.
        profile: The profile.
        name: What names the instance, for an error.

    Raises:
        ConfigurationError: It is not that of the profile, whose key and approvals are for that one.
    """
    if profile is None or profile.domain is None:
        return domain
    if domain and parse_address(domain) != parse_address(profile.domain):
        raise ConfigurationError(
            f"profile {profile.name} is for {parse_address(profile.domain).authority}, and {name} "
            f"is {parse_address(domain).authority}: leave one of them out"
        )
    return profile.domain


def settings_of_environment(
    domain: str,
    provided: Mapping[str, object] = MappingProxyType({}),
    profile: Profile | None = None,
) -> EnvironmentSettings:
    """Return the settings in ``CAKE_READ_ONLY``, ``CAKE_PROXY`` and ``CAKE_CA_FILE``, or a profile.

    Args:
        domain: The instance. No proxy leads to one at a plain http URL, on this machine.
        provided: Settings that were passed: they are not looked for.
        profile: Gives what the environment does not.

    Raises:
        ConfigurationError: ``CAKE_READ_ONLY`` is neither yes nor no, or a file of certificates
            cannot be used.
    """
    found = EnvironmentSettings()
    if "read_only" not in provided:
        found["read_only"] = _read_only(profile)
    if profile is not None:
        _add_profile(found, profile, provided)
    if provided.get("transport") is not None or domain.lower().startswith("http:"):
        return found
    proxy = os.environ.get("CAKE_PROXY") or (profile and profile.proxy)
    if "proxy" not in provided and proxy:
        found["proxy"] = proxy
    if "ssl_context" not in provided:
        if file := os.environ.get("CAKE_CA_FILE"):
            found["ssl_context"] = context_of_user(file, "CAKE_CA_FILE")
        elif profile is not None and profile.ca_file is not None:
            found["ssl_context"] = context_of_user(str(profile.ca_file), _named(profile, "ca_file"))
    return found


def _add_profile(
    found: EnvironmentSettings, profile: Profile, provided: Mapping[str, object]
) -> None:
    """Add what only a profile can give."""
    if "binding" not in provided and profile.binding is not None:
        found["binding"] = profile.binding
    if "throttle" not in provided:
        found["throttle"] = throttle_of(profile)
    if "traits" not in provided:
        found["traits"] = profile.traits


def throttle_of(
    profile: Profile | None, *, concurrency: int | None = None, rate: float | None = None
) -> Throttle:
    """Return the throttle of a profile; arguments override its values."""
    if profile is not None:
        concurrency = profile.concurrency if concurrency is None else concurrency
        rate = profile.rate if rate is None else rate
    if concurrency is None:
        concurrency = Throttle().concurrency
    return Throttle(concurrency=concurrency, rate=rate)


def _read_only(profile: Profile | None) -> bool:
    text = os.environ.get("CAKE_READ_ONLY", "").strip().lower()
    if text not in _OFF | _ON:
        raise ConfigurationError("CAKE_READ_ONLY must be 1 or 0")
    if not text and profile is not None:
        return profile.read_only or False
    return text in _ON


def _named(profile: Profile, setting: str) -> str:
    return f"{setting} of profile {profile.name}"


def key_of_environment(profile: Profile | None = None) -> "str | KeyFile | KeyCommand | None":
    """Return the key in ``CAKE_API_KEY``, or what gives it.

    That is the file that ``CAKE_API_KEY_FILE`` names, or what the profile says; None for none.

    Raises:
        ConfigurationError: A file cannot be read, or holds no key.
    """
    if key := os.environ.get("CAKE_API_KEY"):
        return key
    if file := os.environ.get("CAKE_API_KEY_FILE"):
        return KeyFile(Path(file), "CAKE_API_KEY_FILE")
    if profile is not None and profile.api_key_file is not None:
        return KeyFile(profile.api_key_file, _named(profile, "api_key_file"))
    if profile is not None and profile.key_command is not None:
        return KeyCommand(profile.key_command, _named(profile, "key_command"))
    return None


def files_of_environment(profile: Profile | None = None) -> list[Path]:
    """Return the files that ``CAKE_API_KEY_FILE``, ``CAKE_CA_FILE`` and a profile name."""
    provided = map(os.environ.get, ("CAKE_API_KEY_FILE", "CAKE_CA_FILE"))
    found = [Path(file) for file in provided if file]
    if profile is not None:
        own = (profile.file, profile.api_key_file, profile.ca_file, profile.signers)
        found += [file for file in (*own, profile.revoked) if file is not None]
    return found


class KeyFile:
    """A file that holds a key: read at once, and again with each call but the first.

    A client asks again after "Invalid API key", and so finds a key that was replaced meanwhile.

    Args:
        file: The file. One that is not regular, such as a pipe, is read once.
        name: The name of the file in errors.

    Raises:
        ConfigurationError: The file cannot be read, or holds no key.
    """

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._name = name
        self._key = self._read()
        self._regular = file.is_file()
        self._asked = False

    async def __call__(self) -> str:
        """Return the key."""
        if self._asked and self._regular:
            self._key = await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True)
        self._asked = True
        return self._key.reveal()

    def _read(self) -> Secret:
        try:
            with self._file.open("rb") as file:
                found = _key_in(file.read(_LONGEST_FILE))
            if isinstance(found, Secret):
                return found
            reason = found
        except ValueError:  # a NUL in its path
            reason = "it is not a valid path"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"{self._name} cannot be read: {reason}")


class KeyCommand:
    """A command that prints a key: run when the key is first needed, and with each later call.

    A client asks again after "Invalid API key", and so finds a key that was replaced meanwhile.
    What the command prints is the key, so none of it is shown, not even of an error: whoever runs
    the command by hand sees that.

    Args:
        command: The program, and its arguments. No shell runs it.
        name: The name of the command in errors.
    """

    def __init__(self, command: Sequence[str], name: str) -> None:
        self._command = list(command)
        self._name = name

    async def __call__(self) -> str:
        """Return the key.

        Raises:
            ConfigurationError: The command cannot be run, fails, takes too long, or prints no key.
        """
        try:
            with anyio.fail_after(_COMMAND_SECONDS):
                code, printed = await self._run()
            found = _key_in(printed) if code == 0 else f"it ended with the exit code {code}"
            if isinstance(found, Secret):
                return found.reveal()
            reason = found
        except TimeoutError:
            reason = f"it took longer than {_COMMAND_SECONDS:g} s"
        except ConfigurationError as error:  # of what it has printed
            reason = str(error)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not a command that can be run"
        raise ConfigurationError(f"{self._name} gives no key: {reason}; run it by hand to see why")

    async def _run(self) -> tuple[int, bytes]:
        printed = b""
        process: anyio.abc.Process | None = None
        with anyio.CancelScope(shield=True):  # asyncio would lose a program that has just begun
            process = await anyio.open_process(
                self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        assert process is not None  # noqa: S101 - nothing cancels that scope
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe by default
            async for piece in process.stdout:
                printed += piece
                if len(printed) > _LONGEST_FILE:
                    raise ConfigurationError("it prints more than a key")
            return await process.wait(), printed
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


def _key_in(content: bytes) -> Secret | str:
    """Return the key that bytes hold, or why they hold none.

    Raises:
        ConfigurationError: They are a text, and no key.
    """
    if _looks_like_utf_16(content):
        return "it is UTF-16: save it as UTF-8"
    if b"\0" in content:
        return "it holds a NUL byte"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    return check_key(Secret(text))


def _looks_like_utf_16(content: bytes) -> bool:
    """Return True for a byte order mark, or where every other byte is NUL, as in ASCII text."""
    halves = content[::2], content[1::2]
    ascii_alone = any(
        any(one) and other and not any(other) for one, other in (halves, halves[::-1])
    )
    return content.startswith((b"\xff\xfe", b"\xfe\xff")) or ascii_alone
