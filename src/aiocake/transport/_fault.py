"""What goes wrong below HTTP, as plain values: nothing of an HTTP library leaves the edge."""

import ssl
from collections.abc import Iterator
from enum import Enum
from typing import cast

import attrs

from aiocake.errors import CakeError, DeadlineExceeded, DecodeError, NotSent

__all__ = ["ConnectionForbidden", "Fault", "Kind", "stripped", "why"]


class ConnectionForbidden(Exception):
    """A guard does not let this connection be opened, and will not the next time."""


class Kind(Enum):
    """What went wrong, and so whether trying again can help."""

    UNREACHED = "unreached"
    """No connection: refused, no such host, too slow, or it ended before the request began."""
    REFUSED = "refused"
    """TLS, a proxy or a guard of tests said no: it will say so again."""
    ILLEGAL = "illegal"
    """The request cannot be written as HTTP."""
    BROKEN = "broken"
    """The connection ended, or what came is no HTTP, before the answer was whole."""
    SLOW = "slow"
    """No bytes for too long."""
    UNREADABLE = "unreadable"
    """A body that is refused: too long, or compressed in a way that is not known."""


@attrs.frozen
class Fault:
    """An attempt that ended without a whole answer.

    Attributes:
        kind: What went wrong.
        sent: Whether the request may have left.
        text: What happened, in words; holds nothing that the server sent.
        status: The HTTP status, where the answer came as far as that.
    """

    kind: Kind
    sent: bool
    text: str
    status: int | None = None

    @property
    def passing(self) -> bool:
        """Whether it may be gone at the next attempt."""
        return self.kind in {Kind.UNREACHED, Kind.BROKEN, Kind.SLOW}

    def error(self) -> CakeError:
        """The error that says it."""
        if not self.sent:
            return NotSent(self.text)
        if self.kind is Kind.SLOW:
            return DeadlineExceeded(self.text)
        return DecodeError(self.text, status=self.status)


def stripped(error: BaseException) -> None:
    """Take the frames off an exception that goes on, and part it from what led to it.

    What led to it keeps its frames: it may be an exception that the caller is handling.
    """
    pending = [error]
    while pending:
        each = pending.pop()
        each.__traceback__ = each.__cause__ = each.__context__ = None
        each.__suppress_context__ = False  # which setting the cause turns on
        if isinstance(each, BaseExceptionGroup):
            pending += cast("BaseExceptionGroup[BaseException]", each).exceptions


def why(error: BaseException) -> tuple[str, bool]:
    """Why no connection came about: the words of the system, and whether it will be so again."""
    if isinstance(error, ConnectionForbidden):
        return str(error), True
    reason = ""
    for each in _chain(error):
        if isinstance(each, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            continue  # how a TLS layer asks for the network, and no error at all
        if isinstance(each, ssl.SSLError):
            # The peer ended the connection within the handshake: no word on certificates.
            ended = isinstance(each, ssl.SSLEOFError | ssl.SSLSyscallError | ssl.SSLZeroReturnError)
            if ended or "UNEXPECTED_EOF" in (each.reason or ""):
                return "the connection ended within the TLS handshake", False
            said = getattr(each, "verify_message", None) or each.reason or type(each).__name__
            return f"TLS: {said}", True
        if isinstance(each, OSError) and each.strerror and not reason:
            reason = each.strerror
    return reason, False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending += [each.__context__, each.__cause__]
        if isinstance(each, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", each)
            pending += group.exceptions
