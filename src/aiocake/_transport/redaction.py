"""Taking secrets out of texts: what a server echoes, what a library logs.

A server writes an URL that it was sent into its error page, a redirect or a header, in whatever
way its framework escapes texts. Each character of a secret is therefore looked for as itself, as
percent-encoding (also doubled), as an HTML or XML reference and as a backslash escape, in any
mixture; and the whole in base64 as well, at each of the three ways in which it can lie there.

A text that was cut short, by the server or by us, may end or begin within the secret. So pieces of
it are taken out, too, as they are and in the usual escapes, where they are long enough not to be
there by accident. All of this in whatever case: servers of .NET write URLs in lower case. A secret
that is shorter than such a piece is taken out where it stands alone, or behind ``api_key=``, and in
its own case: elsewhere it is part of another word.
"""

import base64
import html
import json
import logging
import re
import string
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from aiocake.values import Secret

_PUT_INSTEAD: Final = "<key>"
#: Shorter pieces of base64 would be found by accident.
_SHORTEST_PIECE: Final = 6
#: And shorter pieces of a secret give little of it away.
_PIECE: Final = 8
#: To lower case, without a change of length.
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
#: What can be read as itself and as an escape of its beginning: where a secret has many of these,
#: a text can be read in so many ways that the search would not end.
_ESCAPES: Final = ("%25", "&amp;", "&#", r"\x", r"\u")
_MOST_ESCAPES: Final = 3
_NAMED: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Scrubber:
    """Removes the secrets that it knows from texts."""

    __slots__ = ("__weakref__", "_finders", "_patterns", "_pieces", "_secrets")

    def __init__(self) -> None:
        self._secrets: tuple[Secret, ...] = ()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        #: The same for a text in lower case, or one as it is: patterns without case are slow.
        self._finders: tuple[tuple[re.Pattern[str], bool], ...] = ()
        self._pieces: frozenset[str] = frozenset()

    def learn(self, secret: Secret) -> None:
        """Redact one more secret from now on. Replaced keys stay secret."""
        if secret in self._secrets or not secret.reveal():
            return
        self._secrets += (secret,)
        folds = len(secret.reveal()) >= _PIECE
        case = re.IGNORECASE if folds else re.NOFLAG
        self._patterns += (re.compile("|".join(_forms(secret.reveal())), case),)
        finder = "|".join(_forms(secret.reveal(), str.lower if folds else str))
        self._finders += ((re.compile(finder), folds),)
        self._pieces |= _pieces(secret.reveal())

    def scrub(self, text: str) -> str:
        """Return the text with ``<key>`` in place of each secret, and of each long piece of one."""
        text = self._without_whole(text)
        kept: list[str] = []
        end = 0
        folded = text.translate(_LOWER)
        for at in range(len(text) - _PIECE + 1):
            if folded[at : at + _PIECE] in self._pieces:
                if not kept or at > end:
                    kept += (text[end:at], _PUT_INSTEAD)
                end = at + _PIECE
        return "".join((*kept, text[end:]))

    def scrub_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Redact the headers of a response: a Location echoes the URL, and so the key."""
        # The one search that each response pays for.
        together = "\n".join(headers.values())
        lower = together.lower()
        if not any(finder.search(lower if folds else together) for finder, folds in self._finders):
            return headers
        return {name: self.scrub(value) for name, value in headers.items()}

    def _without_whole(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(_PUT_INSTEAD, text)
        return text


def _forms(secret: str, fold: Callable[[str], str] = str) -> Iterable[str]:
    """Return the patterns of a secret's forms in a text to whose letters this was done."""
    # The longest first: a pattern takes the first alternative that fits.
    if sum(map(secret.count, _ESCAPES)) <= _MOST_ESCAPES:
        forms = [_mixture(secret, fold)]
    else:
        wholes = sorted(_as_wholes(secret), key=len, reverse=True)
        forms = [re.escape(fold(each)) for each in wholes]
    yield from forms if len(secret) >= _PIECE else (_alone(form, secret) for form in forms)
    yield from (re.escape(fold(each)) for each in sorted(_base64(secret), key=len, reverse=True))


#: What an escape of another character ends with, before a short secret.
_BEHIND_ESCAPE: Final = (
    r"(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\[bfnrt])"
)
#: In any case: CAKE takes names of parameters so.
_BEHIND_NAME: Final = r"(?i:(?<=api_key=)|(?<=api_key%3D)|(?<=api_key%253D))"


def _alone(form: str, secret: str) -> str:
    """Return the pattern of a short secret that is no part of a longer word or number."""
    first, last = secret[0], secret[-1]
    before = r"(?<!\w)" if first.isalnum() or first == "_" else ""
    if first.isdecimal():
        before += r"(?<![0-9][.,])"
    after = r"(?!\w)" if last.isalnum() or last == "_" else ""
    if last.isdecimal():
        after += r"(?![.,][0-9])"
    return f"(?:{_BEHIND_NAME}){form}|(?:{before}|{_BEHIND_ESCAPE}){form}{after}"


def _mixture(secret: str, fold: Callable[[str], str]) -> str:
    """Return the pattern of a secret with each character in any of its encodings.

    Otherwise a text that nearly holds the secret is tried in all of them. So backslashes, which
    also escape what is behind them, are counted together with those.
    """
    found: list[str] = []
    behind = False
    for part in re.findall(r"\\+|[^\\]", secret):
        if part[0] == "\\":
            found.append(f"{_BACKSLASH}{{{len(part)},{4 * len(part) + 3}}}")
        else:
            found.append(_character(part, fold, behind=behind))
        behind = part[0] == "\\"
    return "".join(found)


def _as_wholes(secret: str) -> set[str]:
    """Return the secret in the usual encodings, each from its beginning to its end."""
    found = {secret}
    encodings: tuple[Callable[[str], str], ...] = (
        lambda text: quote(text, safe=""),
        quote_plus,
        html.escape,
        lambda text: json.dumps(text)[1:-1],
    )
    for encode in encodings:
        once = {encode(text) for text in found}
        found |= once | {encode(text) for text in once}
    return found | {
        "".join(form.format(ord(character)) for character in secret)
        for form in (
            "%{:02x}",
            "&#{};",
            "&#x{:x};",
            "\\x{:02x}",
            "\\u{:04x}",
        )
    }


def _pieces(secret: str) -> set[str]:
    found: set[str] = set()
    for form in (secret, quote(secret, safe=""), html.escape(secret), *_base64(secret)):
        folded = form.translate(_LOWER)
        found.update(folded[at : at + _PIECE] for at in range(len(folded) - _PIECE + 1))
    return found


def _character(character: str, fold: Callable[[str], str], *, behind: bool) -> str:
    """Return the pattern of a character in any form; ``behind``: its backslashes are counted."""
    forms = _coded(character)
    # Every repetition is bounded, or a long text could make the search quadratic. The character
    # itself comes last: "&" is also the beginning of "&amp;".
    escaped = ("", "") if behind else (r"\\{1,3}", r"\\{0,3}")
    forms += [
        rf"{escaped[0]}(?:x|u00){_digits(character)}",
        rf"{escaped[1]}{re.escape(fold(character))}",
    ]
    if character in _NAMED:
        forms.insert(0, rf"&(?:amp;){{0,3}}{_NAMED[character]};")
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _coded(character: str) -> list[str]:
    digits = _digits(character)
    return [
        rf"%(?:25){{0,3}}{digits}",
        # A semicolon ends a reference: it is never the next character.
        rf"&(?:amp;){{0,3}}#0{{0,6}}{ord(character)};?+",
        rf"&(?:amp;){{0,3}}#[xX]0{{0,6}}{digits};?+",
    ]


def _digits(character: str) -> str:
    code = f"{ord(character):02x}"
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)


#: A backslash in any form, or one that escapes another.
_BACKSLASH: Final = rf"(?:\\(?:x|u00)5[cC]|\\|{'|'.join(_coded(chr(92)))})"


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


#: What httpcore logs of a response, from its reason phrase or the message of an exception on:
#: a server that repeats a URL repeats names, notes and amounts, too.
_ANSWER: Final = re.compile(
    r"^(receive_response_\w+\.\w+ (?:return_value=\(b'HTTP/[0-9.]+', [0-9]+, |exception=\w+\()).*",
    re.DOTALL,
)


class _Filter(logging.Filter):
    """Cleans what is logged at DEBUG: of responses their status alone, no key."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._scrubbers: weakref.WeakSet[Scrubber] = weakref.WeakSet()

    def add(self, scrubber: Scrubber) -> None:
        with self._lock:
            self._scrubbers.add(scrubber)

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            cleaners: list[Callable[[str], str]] = [each.scrub for each in self._scrubbers]
        text = _ANSWER.sub(r"\1…", record.getMessage())
        for clean in cleaners:
            text = clean(text)
        record.msg, record.args = text, None
        return True


_filter: Final = _Filter()
#: Of the transports of httpx and of httpx2.
_LOGGERS: Final = tuple(
    f"{package}.{name}"
    for package in ("httpcore", "httpcore2")
    for name in ("connection", "http11", "http2", "proxy", "socks")
)


def watch_logs(scrubber: Scrubber) -> None:
    """Clean what other transports log of what this scrubber knows, as long as it lives.

    This is the one thing that a client changes outside of itself, and only one with such a
    transport: a filter on ten loggers.
    """
    _filter.add(scrubber)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_filter)
