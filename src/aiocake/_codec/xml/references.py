"""Remove references to characters that XML does not allow, before the parser sees them.

.NET's XmlSerializer writes a control character of a text as a reference such as ``&#xB;``, and by
section 4.1 of the XML 1.0 recommendation a document with one is not well formed: every parser
stops there. One such note would keep a whole export from being read.

Other writers spell a character beyond U+FFFF as two references, one for each half of its surrogate
pair. Together they say which character it is; a half that stands alone says nothing, and becomes
U+FFFD.

A reference is one only outside of CDATA sections, comments and processing instructions, and it can
be cut in two where a piece of the body ends; so the filter knows where it is, and holds back a tail
that may go on.
"""

import re
import sys
from typing import Final

from aiocake.errors import DecodeError

#: What is put in place of a reference: a noncharacter, which Unicode keeps for such inner uses.
#: A text loses it later, when it is known whether the whole text is a number.
MARK: Final = "\ufdd0"
#: The same in place of a half of a surrogate pair, and before a character that was spelt as two.
HALF: Final = "\ufdd1"
PAIR: Final = "\ufdd2"
#: How many references are dropped, or are halves, before the body counts as garbage.
MAX_DROPPED: Final = 10_000

_MARK_BYTES: Final = MARK.encode()
_HALF_BYTES: Final = HALF.encode()
#: What keeps a piece from being passed on as it is, and the byte of it that is rare in an export:
#: to look for one byte takes a thirtieth of the time.
_SPECIAL: Final = ((b"#", b"&#"), (b"!", b"<!"), (b"?", b"<?"))
#: A longer reference, all zeros in front, is left to the parser.
_LONGEST_DIGITS: Final = 24

_OPENINGS: Final = {b"<![CDATA[": b"]]>", b"<!--": b"-->", b"<?": b"?>"}
# Digits that may name an illegal character; the number itself decides.
_HEX: Final = rb"x0{0,16}(?:1?[0-9A-Fa-f]?|[Dd][0-9A-Fa-f]{3}|[Ff]{3}[EeFf]|[0-9A-Fa-f]{6,8})"
_DECIMAL: Final = rb"0{0,16}(?:[0-9]?|[12][0-9]|3[01]|5[5-7][0-9]{3}|6553[45]|[0-9]{7,8})"
_STOPS: Final = re.compile(
    b"&#(?:" + _HEX + b"|" + _DECIMAL + b");|" + b"|".join(map(re.escape, _OPENINGS))
)
# Section 2.2 of the XML 1.0 recommendation.
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: What the second half of a pair may be, and how it may begin where a piece ends.
_REFERENCE: Final = re.compile(rb"&#(?:x[0-9A-Fa-f]{1,%d}|[0-9]{1,%d});" % ((_LONGEST_DIGITS,) * 2))
_BEGUN: Final = re.compile(
    rb"(?:&(?:#(?:x[0-9A-Fa-f]{0,%d}|[0-9]{0,%d}))?)?" % ((_LONGEST_DIGITS,) * 2)
)
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)
_TAIL: Final = re.compile(
    rb"(?:&(?:#(?:x[0-9A-Fa-f]{0,%d}|[0-9]{0,%d}))?|" % (_LONGEST_DIGITS, _LONGEST_DIGITS)
    + b"|".join(
        re.escape(opening[:length])
        for opening in _OPENINGS
        for length in range(len(opening) - 1, 0, -1)
    )
    + rb")\Z"
)
_LONGEST_TAIL: Final = _LONGEST_DIGITS + len("&#x")


class ReferenceFilter:
    """Takes a body piece by piece and gives it on without illegal references.

    Attributes:
        dropped: How many references were taken out.
        marked: How many places were marked, for whatever reason.
    """

    __slots__ = ("_closing", "_ended", "_held", "_pairs", "dropped", "marked")

    def __init__(self) -> None:
        self.dropped = 0
        self.marked = 0
        self._pairs = 0
        self._ended = False
        self._held = b""
        #: What ends the section, comment or instruction that is open.
        self._closing: bytes | None = None

    def feed(self, piece: bytes) -> bytes:
        """Return the piece without illegal references; its last bytes may wait for the next one.

        Raises:
            DecodeError: Too many references were dropped.
        """
        if self._held:
            piece = self._held + piece
            self._held = b""
        if self._closing is not None or _is_special(piece):
            return self._filtered(piece)
        return self._hold_back(piece)

    def close(self) -> bytes:
        """Return what was held back to the end.

        Raises:
            DecodeError: Too many references were dropped.
        """
        held, self._held = self._held, b""
        self._ended = True
        return self._filtered(held)

    def _filtered(self, piece: bytes) -> bytes:
        kept: list[bytes] = []
        at = 0
        while True:
            if self._closing is not None:
                end = piece.find(self._closing, at)
                if end < 0:
                    return b"".join(kept) + self._hold_back_closing(piece, at)
                end += len(self._closing)
                self._closing = None
                kept.append(piece[at:end])
                at = end
            stop = _STOPS.search(piece, at)
            if stop is None:
                return b"".join(kept) + self._hold_back(piece[at:])
            kept.append(piece[at : stop.start()])
            at = stop.end()
            self._closing = _OPENINGS.get(stop[0])
            number = None if self._closing is not None else _number(stop[0])
            if number is None or _is_legal(number):
                kept.append(stop[0])
            elif number in _HIGH and not self._ended and _BEGUN.fullmatch(piece, at):
                # The other half may be in the next piece.
                self._held = piece[stop.start() :]
                return b"".join(kept)
            else:
                low = _REFERENCE.match(piece, at) if number in _HIGH else None
                other = None if low is None else _number(low[0])
                if low is None or other is None or other not in _LOW:
                    kept.append(self._left_out(number))
                else:
                    kept.append(self._pair(number, other))
                    at = low.end()

    def _pair(self, high: int, low: int) -> bytes:
        """Return the character that two halves are, with its mark."""
        self.marked += 1
        self._pairs += 1
        # Section 3.9 of the Unicode standard: ten bits of each.
        number = 0x10000 + ((high - _HIGH.start) << 10) + low - _LOW.start
        return f"{PAIR}{chr(number)}".encode()

    def _left_out(self, number: int) -> bytes:
        """Count a reference that is left out, and return the mark in its place."""
        self.marked += 1
        if self.marked - self._pairs > MAX_DROPPED:
            raise DecodeError(f"over {MAX_DROPPED} references to characters that XML cannot hold")
        if number in _HIGH or number in _LOW:
            return _HALF_BYTES
        self.dropped += 1
        return _MARK_BYTES

    def _hold_back(self, piece: bytes) -> bytes:
        """Hold back what may be the beginning of a stop, in markup or text."""
        tail = _TAIL.search(piece, max(0, len(piece) - _LONGEST_TAIL))
        if tail is None or self._ended:
            return piece
        self._held = tail[0]
        return piece[: tail.start()]

    def _hold_back_closing(self, piece: bytes, at: int) -> bytes:
        """Hold back what may be the beginning of the end of a section, comment or instruction."""
        closing = b"" if self._ended else self._closing or b""
        for length in range(len(closing) - 1, 0, -1):
            if len(piece) - at >= length and piece.endswith(closing[:length]):
                self._held = piece[-length:]
                return piece[at:-length]
        return piece[at:]


def _is_special(piece: bytes) -> bool:
    return any(rare in piece and special in piece for rare, special in _SPECIAL)


def _number(reference: bytes) -> int | None:
    """Return the number of the character that a reference names; None if it has no digits."""
    digits = reference[2:-1]
    try:
        return int(digits[1:], 16) if digits[:1] == b"x" else int(digits)
    except ValueError:
        # Without a digit it is no reference: the parser says so.
        return None


def _is_legal(number: int) -> bool:
    """Return whether a document may hold the character of this number."""
    return number <= sys.maxunicode and _NO_CHARACTER.match(chr(number)) is None
