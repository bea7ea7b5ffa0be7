"""The proxy that a client is configured to use: never one from the environment."""

from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

from aiocake.errors import ConfigurationError
from aiocake.values import Secret

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@attrs.frozen(eq=False)
class Proxy:
    """A proxy.

    Attributes:
        url: Scheme, host and port, without user name and password.
        user: The user name; None when there is none.
        password: The password.
    """

    url: str
    user: str | None
    password: Secret

    @property
    def is_socks(self) -> bool:
        """Return True if it speaks SOCKS5, and not HTTP."""
        return self.url.startswith("socks")

    @property
    def is_secure(self) -> bool:
        """Return True if TLS is spoken with it."""
        return self.url.startswith("https:")

    @property
    def where(self) -> tuple[str, int]:
        """Return host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]

    def auth(self) -> tuple[bytes, bytes] | None:
        """Return user name and password, as they are sent."""
        if self.user is None:
            return None
        return self.user.encode(), self.password.reveal().encode()

    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets to redact: first name and password as sent, then the password."""
        password = self.password.reveal()
        return (Secret(f"{self.user}:{password}"), self.password) if password else ()


def parse_proxy(url: str) -> Proxy:
    """Read the URL of a proxy.

    Args:
        url: ``http://``, ``https://``, ``socks5://`` or ``socks5h://``, with
            ``user:password@`` where the proxy asks for it.

    Raises:
        ConfigurationError: It is none of these.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(_bad("it cannot be read as a URL")) from None
    if parts.scheme not in _PORTS:
        raise ConfigurationError(_bad(f"the scheme must be one of {', '.join(_PORTS)}"))
    if not parts.hostname or not parts.hostname.isascii():
        raise ConfigurationError(_bad("it needs a host"))
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigurationError(_bad("it must not have a path or query"))
    host = parts.hostname
    if ":" in host:  # a URL writes the "%" before a network interface as "%25" (RFC 6874)
        host = f"[{host.replace('%25', '%')}]"
    return Proxy(
        f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}",
        None if parts.username is None else unquote(parts.username),
        Secret(unquote(parts.password or "")),
    )


def _bad(reason: str) -> str:
    # The text itself is not shown: it may hold a password.
    return f"proxy: {reason}"
