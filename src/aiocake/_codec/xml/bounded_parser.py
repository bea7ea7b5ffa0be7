"""XML read piece by piece by the standard library's expat, under bounds.

expat believes what it is given: it expands entities, holds an unfinished tag of any size and reads
it again with each piece that arrives, and reads on to the end of a piece after a handler refused
something in it. So what it is given is bounded here:

- no document type at all, so there are no entities; what comes before the root is fed to it tag by
  tag, so that nothing behind a document type is ever seen;
- while a tag or a comment is unfinished, it is fed again only when as much is waiting as it would
  have to read again, and never more than 64 KiB of it;
- UTF-8 only; it would take UTF-16 whatever encoding it is told, so a NUL byte is refused.
"""

from collections.abc import Callable
from typing import Final, NoReturn, Protocol
from xml.parsers import expat

from aiocake._codec.xml.references import HALF, MARK, PAIR, ReferenceFilter
from aiocake.errors import DecodeError

MAX_DEPTH: Final = 64
MAX_ATTRIBUTES: Final = 64
#: Characters of one text.
MAX_TEXT: Final = 1 << 20
#: Bytes of a tag, a comment or an instruction that did not end yet.
MAX_UNCONSUMED: Final = 1 << 16
#: Bytes up to the end of the root's tag.
MAX_BEFORE_ROOT: Final = 1 << 12
#: expat keeps each name that it has seen.
MAX_NAMES: Final = 10_000
#: Bytes that expat is given at once: it reads all of them, whatever a handler says.
MAX_PIECE: Final = 1 << 16

#: How many bytes before and after an error are shown.
_AROUND: Final = 60

_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
#: What expat says at the end of a document that goes on.
_CUT_SHORT: Final = frozenset(
    {
        expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
        expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
    }
)
_TRUE: Final = frozenset({"true", "1"})
_NUMBER: Final = frozenset("0123456789.,:+-TZeE \t\r\n")


class Builder(Protocol):
    """Builds a value from the elements of a document.

    Attributes:
        lossy: Whether there are marks in the body.
    """

    lossy: bool

    def attach(self, parser: expat.XMLParserType) -> Callable[[], bool]:
        """Attach the handlers to a parser; return a function that says if the root has begun."""
        ...


_NIL_AND_NOT_EMPTY: Final = "an element that is nil and not empty"
_TOO_DEEP: Final = f"XML nested deeper than {MAX_DEPTH}"


def refuse_child(*, nil: bool) -> NoReturn:
    """Refuse an element in one that is nil, or too deep."""
    raise DecodeError(_NIL_AND_NOT_EMPTY if nil else _TOO_DEEP)


def longer(before: str | None, text: str) -> str:
    """Return a text and what follows it.

    Raises:
        DecodeError: There is one in an element that is nil, or it is too long.
    """
    if before is None:
        raise DecodeError(_NIL_AND_NOT_EMPTY)
    text = before + text
    if len(text) > MAX_TEXT:
        raise DecodeError(f"a text of over {MAX_TEXT} characters")
    return text


def local(name: str) -> str:
    """Return the name without a prefix."""
    return name.rpartition(":")[2]


def is_nil(attributes: dict[str, str]) -> bool:
    """Return whether ``xsi:nil`` is among them; the prefix is the document's own."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise DecodeError(f"an element with over {MAX_ATTRIBUTES} attributes")
    for name, value in attributes.items():  # noqa: SIM110 - any() would take three times as long
        if name[-4:] == ":nil" and value in _TRUE:
            return True
    return False


def without_marks(text: str) -> tuple[str, int]:
    """Return a text without unreadable characters, and how many others were mended.

    A number or a date without one of its characters is another one. There something that is no
    digit takes its place, so that nothing reads it as a number.
    """
    if text.isascii():
        return text, 0
    mended = text.count(HALF) + text.count(PAIR)
    if mended:
        text = text.replace(HALF, "\N{REPLACEMENT CHARACTER}").replace(PAIR, "")
    if MARK not in text:
        return text, mended
    left = text.replace(MARK, "")
    number = left and _NUMBER.issuperset(left)
    return (text.replace(MARK, "\N{REPLACEMENT CHARACTER}") if number else left), mended


class XmlFeed:
    """Feeds a body to expat and a :class:`Builder`, under the bounds.

    Args:
        builder: What the elements become.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._filter = ReferenceFilter()
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.XmlDeclHandler = _refuse_encoding
        # Newer ones put off unfinished tags by a rule of their own, and do not say how much waits.
        put_off = getattr(self._parser, "SetReparseDeferralEnabled", None)
        if put_off is not None:
            put_off(False)  # noqa: FBT003 - expat takes it by position
        self._began = builder.attach(self._parser)
        #: Waits to be fed.
        self._pending = bytearray()
        #: How many bytes were fed, and how many of them belong to what did not end yet.
        self._fed = 0
        self._unconsumed = 0
        #: How many bytes of the body were read in another way.
        self._passed_over = 0
        #: What stands around the place at which it is not well formed.
        self.broken = b""

    @property
    def dropped(self) -> int:
        """Return how many illegal references were left out."""
        return self._filter.dropped

    def feed(self, body: bytes) -> None:
        """Parse more of the body; the builder gets it as far as it is whole.

        Raises:
            DecodeError: It is no XML, or beyond a bound.
        """
        for start in range(0, len(body), MAX_PIECE):
            piece = body[start : start + MAX_PIECE]
            end = piece.find(b"\0")
            if end < 0:
                self._feed(self._filter.feed(piece))
                continue
            # What is before it counts, or it would depend on where the pieces end what was read.
            self._feed(self._filter.feed(piece[:end]))
            self._parse(self._pending)
            raise DecodeError("a NUL byte: the body is not UTF-8")

    def close(self) -> None:
        """End the body.

        Raises:
            DecodeError: It ended before its root did.
        """
        self._feed(self._filter.close())
        self._parse(self._pending, final=True)

    def _feed(self, piece: bytes) -> None:
        if self._filter.marked:
            self._builder.lossy = True
        if not self._began():
            piece = self._feed_before_root(piece)
        if not self._pending and len(piece) >= self._unconsumed:
            self._parse(piece)
            return
        self._pending += piece
        if len(self._pending) >= self._unconsumed:
            self._parse(self._pending)
            self._pending.clear()

    def _feed_before_root(self, piece: bytes) -> bytes:
        """Feed up to the end of the root's tag, and return the rest."""
        piece = bytes(self._pending) + piece
        self._pending.clear()
        while not self._began():
            end = piece.find(b">") + 1
            if self._fed + (end or len(piece)) > MAX_BEFORE_ROOT:
                raise DecodeError(f"no root element within {MAX_BEFORE_ROOT} bytes")
            if not end:
                self._pending += piece
                return b""
            self._parse(piece[:end])
            piece = piece[end:]
        return piece

    def _parse(self, piece: bytes | bytearray, *, final: bool = False) -> None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as error:
            at = max(self._parser.ErrorByteIndex - self._fed, 0)
            self.broken = bytes(piece[max(at - _AROUND, 0) : at + _AROUND])
            raise DecodeError(self._reason(error)) from None
        except (ValueError, LookupError):
            raise DecodeError("not UTF-8") from None
        self._fed += len(piece)
        self._unconsumed = self._fed - self._parser.CurrentByteIndex
        if self._unconsumed > MAX_UNCONSUMED:
            raise DecodeError(f"a tag or a comment of over {MAX_UNCONSUMED} bytes")
        if len(self._parser.intern) > MAX_NAMES:
            raise DecodeError(f"over {MAX_NAMES} names of elements and attributes")

    def _reason(self, error: expat.ExpatError) -> str:
        if error.code in _CUT_SHORT:
            return "the XML ends before it is complete"
        at = self._passed_over + self._parser.ErrorByteIndex
        return f"not well-formed XML: {expat.ErrorString(error.code)}, at byte {at}"


def _refuse_doctype(*_: object) -> None:
    raise DecodeError("XML with a document type, which is refused")


def _refuse_encoding(_: str, encoding: str | None, __: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise DecodeError("XML in another encoding than UTF-8")
