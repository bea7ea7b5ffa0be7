"""A short part of a response for errors: its structure without its content.

A response holds names, notes and amounts. What helps to see why it could not be read is its
punctuation, its tags and its keys; every other word becomes an ellipsis.
"""

import re
from typing import Final

_BEFORE: Final = 60
_LONGEST: Final = 200
#: Bytes that are looked at: a character can have four of them.
_WINDOW: Final = 4 * _LONGEST
_MASK: Final = "…"

_KEPT_IN_JSON = r'(?<![\\\w])"[A-Za-z_][A-Za-z0-9_]{0,39}"(?=\s*:)|\b(?:true|false|null)\b'
_KEPT_IN_XML = r"</?[A-Za-z_][A-Za-z0-9_:.-]{0,59}(?![A-Za-z0-9_:.-])"
_WORD = r"""[^\s{}\[\]:,"'<>/=?!&;]+"""
_JSON: Final = re.compile(f"(?P<kept>{_KEPT_IN_JSON})|{_WORD}")
_XML: Final = re.compile(f"(?P<kept>{_KEPT_IN_XML})|{_WORD}")
_TEXT: Final = re.compile(f"(?P<kept>(?!))|{_WORD}")
_SPACE: Final = re.compile(r"\s+")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def snippet(body: bytes, at: int = 0, *, show_sensitive: bool = False) -> str:
    """Return at most 200 characters of a body, around a place in it, in one printable line.

    Args:
        body: The body.
        at: The offset of the place, in bytes.
        show_sensitive: Whether values may be shown. If not, only punctuation, tag names and
            JSON keys are, and ``…`` stands for every other word.
    """
    start = max(0, min(at, len(body)) - _BEFORE)
    text = body[start : start + _WINDOW].decode("utf-8", "replace")
    if not show_sensitive:
        text = _pattern(body, text).sub(lambda found: found["kept"] or _MASK, text)
        text = re.sub(f"{_MASK}(?:[ ;&!?/=']*{_MASK})+", _MASK, text)
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", text)).strip()
    text = text if start == 0 else f"…{text}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _pattern(body: bytes, text: str) -> re.Pattern[str]:
    first = body[:_WINDOW].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first in {b"{", b"["}:
        return _JSON
    # What stands in a CDATA section can look like a tag.
    return _XML if first == b"<" and "[CDATA[" not in text else _TEXT
