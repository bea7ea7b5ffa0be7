"""Taking secrets out of texts: what a server echoes, what a library logs.

A server writes an URL that it was sent into its error page, a redirect or a header, in whatever
way its framework escapes texts. Each character of a secret is therefore looked for as itself, as
percent-encoding (also doubled), as an HTML or XML reference and as a backslash escape, in any
mixture; and the whole in base64 as well, at each of the three ways in which it can lie there.

A text that was cut short, by the server or by us, may end or begin within the secret. So pieces of
it are taken out, too, as they are and in the usual escapes, where they are long enough not to be
there by accident.
"""

import base64
import html
import logging
import re
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

from aiocake.values import Secret

__all__ = ["Scrubber", "watch_logs"]

_PUT_INSTEAD: Final = "<key>"
#: Shorter pieces of base64 would be found by accident.
_SHORTEST_PIECE: Final = 6
#: And shorter pieces of a secret give little of it away.
_PIECE: Final = 8
_NAMED: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Scrubber:
    """Takes the secrets that it was told of out of texts."""

    __slots__ = ("__weakref__", "_patterns", "_pieces", "_secrets")

    def __init__(self) -> None:
        self._secrets: tuple[Secret, ...] = ()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        self._pieces: frozenset[str] = frozenset()

    def learn(self, secret: Secret) -> None:
        """From now on, take this out too. A key that was replaced stays a secret."""
        if secret in self._secrets or not secret.reveal():
            return
        self._secrets += (secret,)
        self._patterns += (re.compile("|".join(_forms(secret.reveal()))),)
        self._pieces |= _pieces(secret.reveal())

    def clean(self, text: str) -> str:
        """The text, with ``<key>`` in place of each secret, and of each long piece of one."""
        text = self._without_whole(text)
        kept: list[str] = []
        end = 0
        for at in range(len(text) - _PIECE + 1):
            if text[at : at + _PIECE] in self._pieces:
                if not kept or at > end:
                    kept += (text[end:at], _PUT_INSTEAD)
                end = at + _PIECE
        return "".join((*kept, text[end:]))

    def clean_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers of an answer: a redirect's Location echoes the URL, and so the key."""
        together = "\n".join(headers.values())
        if self._without_whole(together) == together:  # the one search that each answer pays for
            return headers
        return {name: self.clean(value) for name, value in headers.items()}

    def _without_whole(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(_PUT_INSTEAD, text)
        return text


def _forms(secret: str) -> Iterable[str]:
    # The longest first: a pattern takes the first alternative that fits.
    yield "".join(map(_character, secret))
    yield from map(re.escape, sorted(_base64(secret), key=len, reverse=True))


def _pieces(secret: str) -> set[str]:
    found: set[str] = set()
    for form in (secret, quote(secret, safe=""), html.escape(secret), *_base64(secret)):
        found.update(form[at : at + _PIECE] for at in range(len(form) - _PIECE + 1))
    return found


def _character(character: str) -> str:
    code = f"{ord(character):02x}"
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)
    # Every repetition is bounded, or a long text could make the search quadratic. The character
    # itself comes last: "&" is also the beginning of "&amp;".
    forms = [
        rf"%(?:25){{0,3}}{digits}",
        rf"&(?:amp;){{0,3}}#0{{0,6}}{ord(character)};?",
        rf"&(?:amp;){{0,3}}#[xX]0{{0,6}}{digits};?",
        rf"\\{{1,3}}(?:x|u00){digits}",
        rf"\\{{0,3}}{re.escape(character)}",
    ]
    if character in _NAMED:
        forms.insert(0, rf"&(?:amp;){{0,3}}{_NAMED[character]};")
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _base64(secret: str) -> set[str]:
    found: set[str] = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + secret.encode()).decode()
            # The characters at either end also hold bits of what stands beside the secret.
            first = -(-before * 8 // 6)
            last = (before + len(secret)) * 8 // 6
            found.add(text[first:last])
        found.add(encode(secret.encode()).decode().rstrip("="))
    return {piece for piece in found if len(piece) >= _SHORTEST_PIECE}


#: What httpcore2 logs of an answer, from its reason phrase or the message of an exception on:
#: a server that repeats a URL repeats names, notes and amounts, too.
_ANSWER: Final = re.compile(
    r"^(receive_response_\w+\.\w+ (?:return_value=\(b'HTTP/[0-9.]+', [0-9]+, |exception=\w+\()).*",
    re.DOTALL,
)


class _Filter(logging.Filter):
    """Cleans what httpcore2 logs at DEBUG: of answers their status alone, no key, no password."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._scrubbers: weakref.WeakSet[Scrubber] = weakref.WeakSet()

    def add(self, scrubber: Scrubber) -> None:
        with self._lock:
            self._scrubbers.add(scrubber)

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            cleaners: list[Callable[[str], str]] = [each.clean for each in self._scrubbers]
        text = _ANSWER.sub(r"\1…", record.getMessage())
        for clean in cleaners:
            text = clean(text)
        record.msg, record.args = text, None
        return True


_filter: Final = _Filter()
_LOGGERS: Final = ("connection", "http11", "http2", "proxy", "socks")


def watch_logs(scrubber: Scrubber) -> None:
    """Clean what httpcore2's loggers say of what this scrubber knows, as long as it lives.

    This is the one thing that a client changes outside of itself: a filter on five loggers.
    """
    _filter.add(scrubber)
    for name in _LOGGERS:
        logging.getLogger(f"httpcore2.{name}").addFilter(_filter)
