"""Bodies: read raw, counted against a cap, and decompressed here.

HTTP libraries decompress without a bound (643 bytes can become 300 MB), and some take a gzip that
was cut off for a shorter body. Here each step of the decompression is bounded, and a compressed
body counts as whole only when its own end was seen (RFC 1952 section 2.2, RFC 1950 section 2.2).
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Final, Protocol

from aiocake._transport.failures import FailureKind, TransportFailure

#: Bytes of a body that is held in memory.
LARGEST_BODY: Final = 64 * 1024 * 1024
#: Bytes of a body that is given on as it comes.
LARGEST_STREAM: Final = 1024 * 1024 * 1024
#: Bytes that one step of the decompression gives at most.
_STEP: Final = 256 * 1024
#: Bytes that are decompressed at once: what lies behind the end of a member is copied, and there
#: may be thousands of empty ones.
_FED: Final = 16 * 1024

_GZIP: Final = zlib.MAX_WBITS | 16
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_ENCODINGS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BodySource(Protocol):
    """A body as it comes from the network."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        ...

    @property
    def encoding(self) -> str:
        """Return all values of Content-Encoding, in lower case, joined by commas."""
        ...

    @property
    def length(self) -> int | None:
        """Return the Content-Length, where it counts."""
        ...

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next piece; None at the end."""
        ...


class Body:
    """The pieces of a body, decompressed, up to a cap."""

    def __init__(self, raw: BodySource, cap: int) -> None:
        self._raw = raw
        self._cap = cap
        self._came = 0
        self._provided = 0
        self._inflater: _Inflater | None = None
        self._ready: Iterator[bytes] = iter(())
        self._fault = self._refused_at_once()

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next piece, never empty; None at the end; once there was a failure, that."""
        as_it_comes = self._inflater is None
        while self._fault is None:
            if not as_it_comes and (piece := self._ready_piece()):
                return piece
            if self._fault is None:
                raw = await self._raw.next()
                if raw is None:
                    return self._end()
                self._take(raw)
                if as_it_comes and raw and self._fault is None:
                    return raw
        return self._fault

    def _take(self, raw: bytes | TransportFailure) -> None:
        if isinstance(raw, TransportFailure):
            self._fault = raw
            return
        self._came += len(raw)
        if self._came > self._cap:
            self._fail(FailureKind.BODY_REJECTED, self._too_long())
        elif raw and self._inflater is not None:
            self._ready = self._inflater.feed(raw)

    def _ready_piece(self) -> bytes:
        try:
            piece = next(self._ready, b"")
        except zlib.error:
            self._fail(FailureKind.CONNECTION_LOST, "the compressed body is damaged")
            return b""
        self._provided += len(piece)
        if self._provided > self._cap:
            self._fail(FailureKind.BODY_REJECTED, self._too_long())
            return b""
        return piece

    def _refused_at_once(self) -> TransportFailure | None:
        if (self._raw.length or 0) > self._cap:
            return self._fail(FailureKind.BODY_REJECTED, self._too_long())
        encoding = self._raw.encoding
        if encoding in {"", "identity"}:
            return None
        if encoding not in _ENCODINGS:
            return self._fail(FailureKind.BODY_REJECTED, "the body is compressed in an unknown way")
        self._inflater = _Inflater(_ENCODINGS[encoding])
        return None

    def _end(self) -> TransportFailure | None:
        length = self._raw.length
        cut = length is not None and self._came != length
        if cut or (self._inflater is not None and self._came and not self._inflater.whole):
            return self._fail(FailureKind.CONNECTION_LOST, "the body ended before it was complete")
        return None

    def _fail(self, kind: FailureKind, text: str) -> TransportFailure:
        self._fault = TransportFailure(kind, sent=True, text=text, status=self._raw.status)
        return self._fault

    def _too_long(self) -> str:
        return f"the body is longer than {self._cap} bytes"


async def read_into(whole: BytesIO, body: Body) -> TransportFailure | None:
    """Read all of a body; what came before a fault, or a cancellation, is there as well."""
    while (piece := await body.next()) is not None:
        if isinstance(piece, TransportFailure):
            return piece
        whole.write(piece)
    return None


class _Inflater:
    """Bounded decompression of gzip (of several members, too) and of deflate in both readings."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._inflate = zlib.decompressobj(window)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Return True if the end of the compressed data was seen."""
        return self._inflate.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decompress to, a bounded piece at a time.

        Raises:
            zlib.error: They are damaged, or go on behind the end.
        """
        if not self._begun:
            self._begin(data)
        for at in range(0, len(data), _FED):
            yield from self._feed(data[at : at + _FED])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate.eof:
                self._begin_member(data)
            if piece := self._inflate.decompress(data, _STEP):
                yield piece
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        while not self._inflate.eof and (piece := self._inflate.decompress(b"", _STEP)):
            yield piece

    def _begin(self, data: bytes) -> None:
        self._begun = True
        # "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some send it without its
        # header: the low half of the first byte tells, which is 8 in the header.
        if self._window == _ZLIB and data[0] & 0x0F != 8:  # noqa: PLR2004 - see above
            self._inflate = zlib.decompressobj(_RAW)

    def _begin_member(self, data: bytes) -> None:
        if self._window != _GZIP or not _GZIP_MAGIC.startswith(data[:2]):
            raise zlib.error("bytes after the end of the compressed data")
        self._inflate = zlib.decompressobj(_GZIP)
