"""Settings in environment variables: the address of an instance, its key, and the way to it.

The variables of other programs (``HTTPS_PROXY``, ``SSL_CERT_FILE``, …) are not read.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict

import anyio

from aiocake._transport import check_key, context_of_user
from aiocake.errors import ConfigurationError
from aiocake.values import Secret

_OFF: Final = frozenset({"", "0", "false", "no"})
_ON: Final = frozenset({"1", "true", "yes"})
#: A file that holds a key is short; what is behind it is not read.
_LONGEST_FILE: Final = 65_536


class EnvironmentSettings(TypedDict, total=False):
    """The settings of a client that the environment can give."""

    read_only: bool
    proxy: str
    ssl_context: ssl.SSLContext


def settings_of_environment(
    domain: str, provided: Mapping[str, object] = MappingProxyType({})
) -> EnvironmentSettings:
    """Return the settings in ``CAKE_READ_ONLY``, ``CAKE_PROXY`` and ``CAKE_CA_FILE``.

    Args:
        domain: The instance. No proxy leads to one at a plain http URL, on this machine.
        provided: Settings that were passed: their variables are not read.

    Raises:
        ConfigurationError: ``CAKE_READ_ONLY`` is neither yes nor no, or ``CAKE_CA_FILE`` names no
            file of certificates.
    """
    found = EnvironmentSettings()
    if "read_only" not in provided:
        found["read_only"] = _read_only()
    if provided.get("transport") is not None or domain.lower().startswith("http:"):
        return found
    if "proxy" not in provided and (proxy := os.environ.get("CAKE_PROXY")):
        found["proxy"] = proxy
    if "ssl_context" not in provided and (file := os.environ.get("CAKE_CA_FILE")):
        found["ssl_context"] = context_of_user(file, "CAKE_CA_FILE")
    return found


def _read_only() -> bool:
    text = os.environ.get("CAKE_READ_ONLY", "").strip().lower()
    if text not in _OFF | _ON:
        raise ConfigurationError("CAKE_READ_ONLY must be 1 or 0")
    return text in _ON


def key_of_environment() -> "str | KeyFile | None":
    """Return the key in ``CAKE_API_KEY``, or the file that ``CAKE_API_KEY_FILE`` names.

    Raises:
        ConfigurationError: The file cannot be read, or holds no key.
    """
    if key := os.environ.get("CAKE_API_KEY"):
        return key
    file = os.environ.get("CAKE_API_KEY_FILE")
    return KeyFile(Path(file), "CAKE_API_KEY_FILE") if file else None


def files_of_environment() -> list[Path]:
    """Return the files that ``CAKE_API_KEY_FILE`` and ``CAKE_CA_FILE`` name."""
    provided = map(os.environ.get, ("CAKE_API_KEY_FILE", "CAKE_CA_FILE"))
    return [Path(file) for file in provided if file]


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
                content = file.read(_LONGEST_FILE)
            if _looks_like_utf_16(content):
                reason = "it is UTF-16: save it as UTF-8"
            elif b"\0" in content:
                reason = "it holds a NUL byte"
            else:
                return check_key(Secret(content.decode()))
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
        except ValueError:  # a NUL in its path
            reason = "it is not a valid path"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"{self._name} cannot be read: {reason}")


def _looks_like_utf_16(content: bytes) -> bool:
    """Return True for a byte order mark, or where every other byte is NUL, as in ASCII text."""
    halves = content[::2], content[1::2]
    ascii_alone = any(
        any(one) and other and not any(other) for one, other in (halves, halves[::-1])
    )
    return content.startswith((b"\xff\xfe", b"\xfe\xff")) or ascii_alone
