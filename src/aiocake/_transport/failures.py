"""What goes wrong below HTTP, as plain values: nothing of an HTTP library leaves the edge."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import Final, cast

import attrs

from aiocake.errors import CakeError, DeadlineExceeded, DecodeError, NotSent


class ConnectionForbidden(Exception):
    """A connection is refused for good: by a guard of tests, a proxy, or the settings of TLS."""


class FailureKind(Enum):
    """The kind of a failure, which says if trying again can help."""

    CONNECT = "unreached"
    """No connection: refused, no such host, too slow, or it ended before the request began."""
    TLS_OR_PROXY = "refused"
    """TLS, a proxy or a guard of tests said no: it will say so again."""
    INVALID_REQUEST = "illegal"
    """The request cannot be written as HTTP."""
    CONNECTION_LOST = "broken"
    """The connection ended, or sent no valid HTTP, before the response was complete."""
    TIMEOUT = "slow"
    """No bytes for too long."""
    HELD_BACK = "held back"
    """The run that sends may be another process's by now."""
    BODY_REJECTED = "unreadable"
    """A body that is refused: too long, or compressed in a way that is not known."""


@attrs.frozen(eq=False)
class TransportFailure:
    """An attempt that ended without a whole response.

    Attributes:
        kind: What went wrong.
        sent: Whether the request may have left.
        text: What happened, in words; holds nothing that the server sent.
        status: The HTTP status, where the response came as far as that.
    """

    kind: FailureKind
    sent: bool
    text: str
    status: int | None = None

    @property
    def transient(self) -> bool:
        """Return True if it may be gone at the next attempt."""
        return self.kind in {FailureKind.CONNECT, FailureKind.CONNECTION_LOST, FailureKind.TIMEOUT}

    def unsent(self) -> "TransportFailure":
        """Return it as that of a response which came before anything of the request had left."""
        return attrs.evolve(self, sent=False, text=f"nothing was sent: {self.text}")

    def error(self) -> CakeError:
        """Return the error to raise for it."""
        if not self.sent:
            return NotSent(self.text)
        if self.kind is FailureKind.TIMEOUT:
            return DeadlineExceeded(self.text)
        return DecodeError(self.text, status=self.status)


def clear_tracebacks(error: BaseException) -> None:
    """Remove the traceback, cause and context of an exception that is passed on.

    What led to it keeps its frames: it may be an exception that the caller is handling.
    """
    pending = [error]
    while pending:
        each = pending.pop()
        each.__traceback__ = each.__cause__ = each.__context__ = None
        each.__suppress_context__ = False  # which setting the cause turns on
        if isinstance(each, BaseExceptionGroup):
            pending += cast("BaseExceptionGroup[BaseException]", each).exceptions


@attrs.frozen(eq=False)
class Route:
    """To whom connections are opened, and with whom TLS is spoken.

    Attributes:
        host: The instance's host.
        port: Its port.
        timeout: Seconds that opening a connection may take.
        proxy: Host and port of a proxy between; None for none.
    """

    host: str
    port: int
    timeout: float
    proxy: tuple[str, int] | None = None

    @property
    def local(self) -> bool:
        """Return True if the instance is on this machine, as a sandbox is."""
        name = self.host == "localhost" or self.host.endswith(".localhost")
        return name or self.host == "::1" or self.host.startswith("127.")

    @property
    def dialled(self) -> tuple[str, int]:
        """Return name and port of who is dialled."""
        if self.proxy is None:
            return self.host, self.port
        return f"the proxy {self.proxy[0]}", self.proxy[1]


def connect_failure_reason(error: BaseException, route: Route) -> tuple[str, bool]:
    """Return why a connection failed, naming the host, and whether that is permanent."""
    host, port = route.dialled
    if isinstance(error, ConnectionForbidden):
        return str(error), True
    reason = ""
    for each in _chain(error):
        if isinstance(each, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            continue  # how a TLS layer asks for the network, and no error at all
        if isinstance(each, ssl.SSLError):
            return _why_no_tls(each, route)
        if isinstance(each, OSError) and each.errno and not reason:
            reason = _why_not_reached(each, route)
        elif isinstance(each, EOFError):
            reason = reason or f"{host} ended the connection (port {port})"
        elif isinstance(each, TimeoutError) or "Timeout" in type(each).__name__:
            reason = reason or f"no connection to {host} within {route.timeout:g} s (port {port})"
    return reason or f"no connection to {host} (port {port}): {type(error).__name__}", False


def _why_not_reached(error: OSError, route: Route) -> str:
    host, port = route.dialled
    if isinstance(error, socket.gaierror):
        return f"cannot resolve {host}"
    if error.errno == errno.ECONNREFUSED:
        hint = "; is the sandbox running?" if route.local and route.proxy is None else ""
        return f"{host} refused the connection (port {port}){hint}"
    # By its number: asyncio has words of its own, and an address in them.
    return f"no connection to {host} (port {port}): {os.strerror(error.errno or 0)}"


def _why_no_tls(error: ssl.SSLError, route: Route) -> tuple[str, bool]:
    # The peer ended the connection within the handshake: no word on certificates.
    ended = isinstance(error, ssl.SSLEOFError | ssl.SSLSyscallError | ssl.SSLZeroReturnError)
    reason: str = getattr(error, "reason", None) or ""  # which an error of a memory BIO has not
    if ended or "UNEXPECTED_EOF" in reason:
        return f"{route.host} ended the connection within the TLS handshake", False
    if isinstance(error, ssl.SSLCertVerificationError):
        return _why_not_trusted(error, route.host), True
    if reason in _NO_TLS:
        hint = "; a local sandbox needs http://" if route.local else ""
        return f"{route.host}:{route.port} does not speak TLS{hint}", True
    words = reason.replace("_", " ").lower() or type(error).__name__
    return f"no TLS with {route.host}: {words}", True


def _why_not_trusted(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in _OF_ANOTHER:
        return f"the certificate of {host} is for another name"
    text = f"the certificate of {host} is not trusted: {error.verify_message}"
    if error.verify_code in _OUT_OF_TIME:
        return text
    return f"{text}; an authority of your own is trusted by ssl_context or CAKE_CA_FILE"


#: What OpenSSL says of bytes that are no TLS.
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}
)
#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_OF_ANOTHER: Final = frozenset({62, 64})
#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_OUT_OF_TIME: Final = frozenset({9, 10})


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those that it was raised from."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # Not its context: that may be an exception which the caller is handling.
        pending.append(each.__cause__)
        if isinstance(each, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", each)
            pending += group.exceptions
