"""HTTP/1.1 responses, read from bytes as they come: no socket, no waiting, no exception.

httptools (llhttp) parses each head and chunked bodies. What must not pass although it lets it
through, and where a message ends and trailing data begins, is decided here, and never depends on
how the bytes were cut on their way (RFC 9112 section 6.3).
"""

from collections.abc import Mapping
from typing import Final

try:
    from httptools import (
        HttpParserCallbackError,
        HttpParserError,
        HttpParserUpgrade,
        HttpResponseParser,
    )
except ImportError as missing:
    raise ImportError(
        "aiocake needs httptools, which cannot be loaded here. PyPI has no wheel of it for this "
        "Python or platform, it seems: with a C compiler, 'pip install httptools' builds one"
    ) from missing

#: Bytes of a head, and bytes of a chunked body without any of the body itself among them: chunk
#: extensions, zeros before a size, trailers. The parser has no bound of its own for any of them.
LARGEST_OVERHEAD: Final = 100_000
#: The length that stands for one that is larger: no body is as long.
BEYOND_ANY: Final = 1 << 64

_VERSION: Final = b"HTTP/1."
_HEAD_END: Final = b"\r\n\r\n"
#: How long the names of the headers are that say where a body ends.
_FRAMING: Final = frozenset(
    map(len, (b"content-length", b"transfer-encoding", b"content-encoding"))
)

_CONTINUE: Final = 100
_OK: Final = 200
_NO_CONTENT: Final = 204
_REDIRECTED: Final = 300
_NOT_MODIFIED: Final = 304

_BARE_LF: Final = "a bare line feed"
_BARE_CR: Final = "a bare carriage return"
_BAD_LENGTH: Final = "a Content-Length that is not a number"
_TWO_FRAMINGS: Final = "both Content-Length and Transfer-Encoding"
_SWITCHED: Final = "a switch to another protocol"
_NOT_CHUNKED: Final = "a Transfer-Encoding other than chunked"
_TOO_LONG: Final = "Content-Length overflow"
#: What the parser's words mean, where they do not say it themselves. They quote nothing that came.
_WORDS: Final[Mapping[str, str]] = {
    "Missing expected CR after response line": _BARE_LF,
    "Missing expected CR after header value": _BARE_LF,
    "Missing expected CR after chunk size": _BARE_LF,
    "Missing expected CR after chunk extension name": _BARE_LF,
    "Missing expected CR after chunk extension value": _BARE_LF,
    "Missing expected CR after chunk data": _BARE_LF,
    "Invalid header field char": _BARE_LF,
    "Expected LF after CR": _BARE_CR,
    "Missing expected LF after header value": _BARE_CR,
    "Expected LF after headers": _BARE_CR,
    "Unexpected whitespace after header value": "a folded header",
    "Unexpected space after start line": "a blank before the first header",
    "Invalid header value char": "an invalid character in a header",
    "Invalid header token": "an invalid header name",
    "Duplicate Content-Length": "two values of Content-Length",
    "Invalid character in Content-Length": _BAD_LENGTH,
    "Empty Content-Length": _BAD_LENGTH,
    _TOO_LONG: "a Content-Length beyond any body",
    "Transfer-Encoding can't be present with Content-Length": _TWO_FRAMINGS,
    "Content-Length can't be present with Transfer-Encoding": _TWO_FRAMINGS,
    "Empty Transfer-Encoding": _NOT_CHUNKED,
    "Invalid status code": "an invalid status",
    "Invalid response status": "an invalid status",
    "Invalid HTTP version": "an invalid HTTP version",
    "Expected space after version": "an invalid HTTP version",
    "Pause on CONNECT/Upgrade": _SWITCHED,
    "Invalid character in chunk size": "an invalid chunk size",
    "Chunk size overflow": "an invalid chunk size",
    "Expected LF after chunk data": "a chunk longer than its size",
}


class ResponseReader:
    """Reads the responses of a connection, one after the other; interim ones (1xx) are passed over.

    A response counts from its head on: what goes wrong behind it leaves `status`, `headers` and the
    body that came as they are. Once something is wrong, all that follows is ignored.

    Attributes:
        status: The status; None until the head is whole.
        headers: Name and value pairs as they came, without blanks around the values.
        encodings: The values of Content-Encoding.
        length: Bytes of the body, where the head says it. One of :data:`BEYOND_ANY` or more is
            wrong at once, but its status counts, for the body is refused for its length.
        framed: Whether a length or chunks mark the end of the body, not that of the connection.
        done: Whether the response is whole. True before the first one.
        keep_alive: Whether the connection can carry another request; False until it is whole.
        trailing_data: Whether bytes came that belong to no response.
        wrong: Why this is no response, in words that quote nothing of it; None while it is one.
    """

    __slots__ = (
        "_came",
        "_chunked",
        "_overhead",
        "_parser",
        "_persistent",
        "_pieces",
        "_progressed",
        "_tail",
        "_taken",
        "_tunnel",
        "done",
        "encodings",
        "framed",
        "headers",
        "keep_alive",
        "length",
        "status",
        "trailing_data",
        "wrong",
    )

    def __init__(self) -> None:
        self.begin()
        self.done = True

    def begin(self, *, tunnel: bool = False) -> None:
        """Expect the response to a request, and forget the one before.

        Args:
            tunnel: The request is a CONNECT to a proxy: the response ends with its head, whatever
                it says, and bytes behind one that opens the tunnel are wrong.
        """
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.encodings: list[bytes] = []
        self.length: int | None = None
        self.framed = self.done = self.keep_alive = self.trailing_data = False
        self.wrong: str | None = None
        self._tunnel = tunnel
        #: None once there is nothing to parse: it refers back to the reader.
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._pieces: list[bytes] = []
        #: Bytes of the body, and how many of them were taken.
        self._came = self._taken = 0
        #: Bytes of the head, then of the current window of a chunked body.
        self._overhead = 0
        #: The last bytes before those of the current feed, by which an end is found.
        self._tail = b""
        self._persistent = self._chunked = self._progressed = False

    def feed(self, data: bytes) -> None:
        """Read the next bytes that came."""
        at = 0
        if self.status is None and self.wrong is None and not self.done:
            at = self._read_head(data)
        if at == len(data) or self.wrong is not None:
            return
        if self.done:
            self._exceed()
        elif self._chunked:
            self._read_chunks(memoryview(data)[at:])
        else:
            self._read_plain(data[at:])

    def eof(self, clean: bool) -> None:  # noqa: FBT001 - a caller passes a flag of its own
        """Record that no bytes will follow.

        Args:
            clean: Whether the server said so: TLS that ends without close_notify was cut off.
        """
        self.keep_alive = False
        if self.done or self.wrong is not None:
            return
        if self.status is None:
            begun = self._overhead or self._tail
            self._refuse("the end of the connection within a head" if begun else "no byte at all")
        elif self.framed or not clean:
            self._refuse("the end of the connection within a body")
        else:
            self._end(keep_alive=False)

    @property
    def unread(self) -> int:
        """Return how many bytes of the body wait for :meth:`take`."""
        return self._came - self._taken

    def take(self) -> bytes:
        """Return what came of the body since the last time, and forget it."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._taken = self._came
        return data

    def _read_head(self, data: bytes) -> int:
        """Parse the head, and those of interim responses before it; return how far they go."""
        at = 0
        while at < len(data) and self.status is None and self.wrong is None:
            # No line of a head is empty but the last: the parser refuses whatever else might be.
            tail = self._tail
            end = (tail + data).find(_HEAD_END, at)
            stop = len(data) if end < 0 else end + len(_HEAD_END) - len(tail)
            piece = data[at:stop]
            self._parse_head(piece)
            at = stop
            if end < 0:
                self._tail = (tail + piece)[1 - len(_HEAD_END) :]
            elif self.wrong is None:
                self._tail = b""
                self._end_head()
        return at

    def _parse_head(self, piece: bytes) -> None:
        before = self._overhead
        if before < len(_VERSION) and not piece.startswith(_VERSION[before : before + len(piece)]):
            # The parser takes blank lines, RTSP and other versions.
            self._refuse("no HTTP/1")
            return
        self._overhead += len(piece)
        self._parse(piece[: LARGEST_OVERHEAD - before])
        if self._overhead > LARGEST_OVERHEAD and self.wrong is None:
            self._refuse(f"a head of more than {LARGEST_OVERHEAD} bytes")

    def _end_head(self) -> None:
        """Determine from the parsed head whether a body follows, and how it is framed."""
        parser = self._parser
        if parser is None:
            return
        status = parser.get_status_code()
        if status < _CONTINUE:
            self._refuse("an invalid status")
            return
        if self._tunnel and status >= _OK:
            self._begin_body(status, 0, chunked=False)
            return
        length, encodings, self.encodings = _framing(self.headers)
        # In HTTP/1.0 it may come from a server that does not know what it passes on.
        if encodings and (encodings != [b"chunked"] or parser.get_http_version() != "1.1"):
            self._refuse(_NOT_CHUNKED)
        elif status >= _OK:
            self._begin_body(status, length, chunked=bool(encodings))
        elif encodings or length:
            self._refuse("an interim response with a body")
        else:
            self.headers = []
            self._overhead = 0
            self._parser = HttpResponseParser(self)

    def _begin_body(self, status: int, length: int | None, *, chunked: bool) -> None:
        self.status = status
        if status in {_NO_CONTENT, _NOT_MODIFIED}:
            length, chunked = 0, False
        self.length = length
        self.framed = chunked or length is not None
        if chunked and self._parser is not None:
            self._chunked = True
            self._overhead = 0
            # Old Apaches pad the size.
            self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
            return
        self._parser = None
        if length == 0:
            self._end(keep_alive=self._persistent)

    def _read_plain(self, data: bytes) -> None:
        """Store bytes of a body that has a length or ends with the connection."""
        surplus = 0 if self.length is None else self._came + len(data) - self.length
        if surplus > 0:
            data = data[:-surplus]
        self._came += len(data)
        self._pieces.append(data)
        if self._came == self.length:
            self._end(keep_alive=self._persistent)
            if surplus > 0:
                self._exceed()

    def _read_chunks(self, data: memoryview) -> None:
        # In windows that lie where they lie, however the bytes were cut: the parser does not tell
        # how much of what it was given is body.
        while data and self.wrong is None:
            if self.done:
                self._exceed()
                return
            window = LARGEST_OVERHEAD - self._overhead
            piece, data = data[:window], data[window:]
            self._parse(piece)
            self._tail = (self._tail + bytes(piece[-5:]))[-5:]
            if self.done:
                self._look_behind()
            self._overhead += len(piece)
            if self._overhead == LARGEST_OVERHEAD:
                if not self._progressed and not self.done:
                    self._refuse(f"{LARGEST_OVERHEAD} bytes of a chunked body with nothing in them")
                self._overhead, self._progressed = 0, False

    def _look_behind(self) -> None:
        """Check that a chunked body ended with the first empty line: the parser accepts more."""
        if not self._tail.endswith(_HEAD_END) or self._tail[:1] in {b"\r", b"\n"}:
            self._exceed()

    def _parse(self, data: bytes | memoryview) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except HttpParserUpgrade:
            self._refuse(_SWITCHED)
        except HttpParserCallbackError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, Exception):
                raise cause from None  # the user interrupts
            self._refuse("a response that could not be held")
        except HttpParserError as error:
            reason = str(error)
            if self.done:
                self._exceed()
                return
            status = parser.get_status_code()
            if reason == _TOO_LONG and self.status is None and status >= _OK:
                self.status, self.length, self.framed = status, BEYOND_ANY, True
            self._refuse(_WORDS.get(reason, reason))

    def _end(self, *, keep_alive: bool) -> None:
        self.done = True
        self.keep_alive = keep_alive
        self._parser = None

    def _exceed(self) -> None:
        self.trailing_data = True
        self.keep_alive = False
        if self._tunnel and self.status is not None and self.status < _REDIRECTED:
            self._refuse("bytes after the response of the proxy")

    def _refuse(self, why: str) -> None:
        self.wrong = why
        self.keep_alive = False
        self._parser = None

    # What httptools calls while it parses. None of these may raise.

    def on_message_begin(self) -> None:
        """Handle the beginning of a message: after a complete one it is trailing data."""
        if self.done:
            self._exceed()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers are ignored."""
        if self.status is None:
            self.headers.append((name, value.strip()))

    def on_headers_complete(self) -> None:
        """Read the head's fields about the connection, before the parser forgets them."""
        if self._parser is not None:
            self._persistent = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Store a piece of a chunked body."""
        if self._chunked and not self.done:
            self._progressed = True
            self._came += len(body)
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """End a chunked body."""
        if self._chunked and self._parser is not None:
            # Asked again: a trailer may close the connection.
            self._end(keep_alive=self._parser.should_keep_alive())


def _framing(
    headers: list[tuple[bytes, bytes]],
) -> tuple[int | None, list[bytes], list[bytes]]:
    """Return Content-Length, which the parser has checked, Transfer-, and Content-Encoding."""
    length: int | None = None
    encodings: list[bytes] = []
    contents: list[bytes] = []
    for name, value in headers:
        if len(name) in _FRAMING:
            lower = name.lower()
            if lower == b"content-length":
                # Python makes no number of more than 4,300 digits.
                length = int(value.lstrip(b"0") or b"0")
            elif lower == b"transfer-encoding":
                encodings.append(value.lower())
            elif lower == b"content-encoding":
                contents.append(value)
    return length, encodings, contents
