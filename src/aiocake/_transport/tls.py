"""TLS contexts, and how one is lent to a library that changes what it is given."""

import ssl
from pathlib import Path
from typing import cast

from aiocake.errors import ConfigurationError


def context_of(file: str) -> ssl.SSLContext:
    """Return a context for clients that trusts the authorities in a PEM file, and no others."""
    # ssl.create_default_context() would also look at the environment (SSLKEYLOGFILE).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    return context


def context_of_user(file: str, name: str) -> ssl.SSLContext:
    """Return the same of a file that a user names.

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
        reason = "it holds no certificates in PEM"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
    raise ConfigurationError(f"{name} cannot be used: {file}: {reason}")


class _Lent:
    """Stands for a context that others use, too: what would be set on it stays as it is."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def set_alpn_protocols(self, protocols: list[str]) -> None:
        """Set nothing. A server that is not asked for a protocol speaks HTTP/1.1."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.context, name)


def lend(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return what stands for a context, to be handed to httpcore2, which sets protocols on it."""
    return cast("ssl.SSLContext", _Lent(context))


def owner_of(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return the context that something stands for, or is."""
    return context.context if isinstance(context, _Lent) else context
