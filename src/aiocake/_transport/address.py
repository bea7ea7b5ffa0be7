"""Where an instance of CAKE is: checked once, when the client is built."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import attrs

from aiocake.errors import ConfigurationError

_PORTS: Final = {"https": 443, "http": 80}
_HIGHEST_PORT: Final = 65_535
#: Letters, digits and hyphens (RFC 1123 section 2.1); underscores, which names in use do have.
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*")
_LONGEST_NAME: Final = 253


@attrs.frozen
class Address:
    """A scheme, a host and a port.

    Attributes:
        scheme: ``"https"``, or ``"http"`` for a loopback address.
        host: The host, without the brackets of an IPv6 address.
        port: The port.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return host and port as in a URL and in the Host header; the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Return True if it is on this machine, by its name or number."""
        return _is_loopback(self.host)

    @property
    def base(self) -> str:
        """Return the URL without a path, such as ``"https://yourdomain.cake.com"``."""
        return f"{self.scheme}://{self.authority}"


def parse_address(domain: str) -> Address:
    """Read a host, a ``host:port`` or an https URL.

    Plain http is taken for a loopback address only: the key is in each request.

    Args:
        domain: Such as ``"yourdomain.cake.com"`` or ``"https://yourdomain.cake.com"``.

    Returns:
        The address.

    Raises:
        ConfigurationError: It is none of these, or holds more than a scheme, host and port.
    """
    if not isinstance(domain, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise ConfigurationError(_bad("must be a text"))
    text = domain if "://" in domain else f"https://{domain}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(_bad("it cannot be read as a host and port")) from None
    if parts.scheme not in _PORTS:
        raise ConfigurationError(_bad("the scheme must be https"))
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(_bad("it must not hold a user name or password"))
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise ConfigurationError(_bad("it must be a host alone, without path or query"))
    host = parts.hostname or ""
    if "[" not in parts.netloc:
        # That a name is absolute is of DNS: the host, its certificate and its name in the TLS
        # handshake (RFC 6066 section 3) are without the dot.
        host = host.removesuffix(".")
    if text != text.strip() or not _is_host(host, bracketed="[" in parts.netloc):
        raise ConfigurationError(_bad("the host is not a host name or IP address in ASCII"))
    if parts.netloc.endswith(":") or port == 0:
        raise ConfigurationError(_bad(f"the port must be a number from 1 to {_HIGHEST_PORT}"))
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(_bad("plain http is for loopback addresses only; use https"))
    return Address(parts.scheme, host, port or _PORTS[parts.scheme])


def _bad(reason: str) -> str:
    # The text itself is not shown: a key pasted into the wrong argument would be.
    return f"domain: {reason}"


def _is_host(host: str, *, bracketed: bool) -> bool:
    if bracketed:
        return _ip(host) is not None and "%" not in host
    return len(host) <= _LONGEST_NAME and _NAME.fullmatch(host) is not None


def _is_loopback(host: str) -> bool:
    address = _ip(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
