"""TLS as a layer between two texts: what goes out is sealed, what comes in is opened. No I/O."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

#: Bytes that are opened at once.
_AT_ONCE: Final = 65_536
#: Bytes of a record before its content, the last two of which say how long that is (RFC 8446
#: section 5.1).
_HEADER: Final = 5


class TlsLayer:
    """One end of a TLS connection, in memory.

    It raises nothing: what goes wrong stands in ``error``. Reading may have something to write (a
    key update, an alert) and writing may have to wait for something to read, so whoever uses it
    asks for what goes out after each :meth:`open`, and waits for more to come where
    :attr:`blocked` says so.

    Args:
        context: The context. It is not changed.
        host: The name, or the address, that the certificate must be for.

    Attributes:
        ready: Whether the handshake is done.
        ended: Whether the peer has said that nothing more comes.
        error: What went wrong.
    """

    __slots__ = (
        "_header",
        "_incoming",
        "_missing",
        "_outgoing",
        "_tls",
        "_unsealed",
        "ended",
        "error",
        "ready",
    )

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsealed = b""
        #: Of the record whose beginning came last: its header as long as that is not whole, and how
        #: many bytes of it have not come.
        self._header: bytes = b""
        self._missing: int = 0
        self.ready = self.ended = False
        self.error: Exception | None = None

    @property
    def within_record(self) -> bool:
        """Return True if a record has begun to come in that says nothing yet."""
        return bool(self._missing or self._header)

    @property
    def blocked(self) -> bool:
        """Return True if bytes that were to be sealed have to wait for something to come in."""
        return bool(self._unsealed)

    @property
    def protocol(self) -> str | None:
        """Return the protocol that ALPN has chosen, if it was asked to."""
        return self._tls.selected_alpn_protocol()

    @property
    def version(self) -> str | None:
        """Return the version of TLS, such as ``"TLSv1.3"``; None before the handshake."""
        return self._tls.version()

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """Return the peer's certificate as ``ssl`` has it; None where it was not looked at."""
        return self._tls.getpeercert()

    def open(self, data: bytes) -> bytes:
        """Decrypt bytes that came in."""
        opened: list[bytes] = []
        try:
            if data:
                self._follow(data)
                self._incoming.write(data)
            if self.ready or self._shake():
                while piece := self._tls.read(_AT_ONCE):
                    opened.append(piece)
                self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, OSError, ValueError) as error:
            self._fail(error)
        return opened[0] if len(opened) == 1 else b"".join(opened)

    def end(self) -> None:
        """Record the end of input: an error unless TLS was closed before."""
        if not self.ended and self.error is None:
            self._incoming.write_eof()
            self.open(b"")
            if self.ended:
                # A close_notify would be in the bytes before. Some Pythons (3.11.2 of Debian) set
                # OP_IGNORE_UNEXPECTED_EOF, by which OpenSSL takes a bare end for one.
                self.ended = False
                self._fail(
                    ssl.SSLEOFError(
                        ssl.SSL_ERROR_EOF, "the peer closed the connection without ending TLS"
                    )
                )

    def seal(self, data: bytes | memoryview) -> bytes:
        """Encrypt bytes; return them, with whatever else TLS has to send."""
        if data:
            self._unsealed = self._unsealed + data if self._unsealed else bytes(data)
        try:
            # Behind an error there may be an alert that goes out, and nothing else.
            if self.error is None and (self.ready or self._shake()) and self._unsealed:
                self._tls.write(self._unsealed)
                self._unsealed = b""
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, OSError, ValueError) as error:
            self._fail(error)
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """Return the bytes of a close_notify."""
        if self.ready and self.error is None:
            # It would wait for the peer's response, as nobody else does.
            with suppress(ssl.SSLError, OSError, ValueError):
                self._tls.unwrap()
        return self._outgoing.read()

    def _follow(self, data: bytes) -> None:
        """Note where in a record the bytes end that came: OpenSSL does not tell."""
        if self._header:
            data = self._header + data
        at, size = self._missing, len(data)
        while at + _HEADER <= size:
            at += _HEADER + (data[at + 3] << 8) + data[at + 4]
        self._header = data[at:]
        self._missing = max(at - size, 0)

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self.error = error.with_traceback(None)
            self._unsealed = b""

    def _shake(self) -> bool:
        self._tls.do_handshake()
        self.ready = True
        return True
