"""TLS contexts: that of all clients that give none, and those of files that users name."""

import ssl
import threading
from functools import cache
from pathlib import Path
from typing import Final

from aiocake.errors import ConfigurationError


def context_of(file: str) -> ssl.SSLContext:
    """Return a context for clients that trusts the authorities in a PEM file, and no others."""
    # ssl.create_default_context() would also look at the environment (SSLKEYLOGFILE).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    return context


def context_of_user(file: str, name: str) -> ssl.SSLContext:
    """Return such a context for a file that a user names, or raise a readable error.

    Args:
        file: Its path.
        name: What it is called in an error.

    Raises:
        ConfigurationError: It cannot be read, or holds no certificate.
    """
    try:
        Path(file).open("rb").close()  # whose errors say what is wrong, as those of ssl do not
        return context_of(file)
    except ssl.SSLError:
        reason = "it contains no certificates in PEM"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
    raise ConfigurationError(f"{name} cannot be used: {file}: {reason}")


_making_context: Final = threading.Lock()


def default_context() -> ssl.SSLContext:
    """Return the shared context of all clients without one of their own.

    Reading its certificates takes longer than many a call: once, and only where TLS is spoken.
    """
    with _making_context:
        return _certifis()


@cache
def _certifis() -> ssl.SSLContext:
    import certifi  # noqa: PLC0415 - only where TLS is spoken

    return context_of(certifi.where())
