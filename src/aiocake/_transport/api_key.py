"""The key: where it comes from, and how it gets into a request at the last moment."""

import re
import unicodedata
from collections.abc import Awaitable, Callable
from html import escape
from typing import Final, cast
from urllib.parse import quote

import anyio
import attrs

from aiocake._messages import KeyPlacement, Request
from aiocake.errors import ArgumentError, CakeError, ConfigurationError, NotSent, Problem
from aiocake.values import Secret

#: CAKE's own limit for ``api_key``.
_LONGEST_KEY: Final = 50

#: Controls, formats such as a zero-width space, and white space (Unicode section 4.5).
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
#: RFC 9110 sections 5.1 and 5.5.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_VISIBLE: Final = re.compile(r"[!-~]*")
#: Their requests have a Content-Length even without a body (RFC 9110 section 8.6).
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
#: How many heads are kept: many more than there are operations.
_KEPT: Final = 256

KeySource = Callable[[], Awaitable[str]]


@attrs.define(repr=False, eq=False)
class AuthorizedRequest:
    """A request with the key in it. Its ``repr`` never shows more than method and path.

    Attributes:
        method: The method.
        path: The path, without a query.
        target: Path and query, as the request line has them.
        headers: All headers but Content-Length, which a transport may set by itself.
        head: All that an HTTP/1.1 connection writes before the body.
        body: The body.
    """

    method: str
    path: str
    target: str
    headers: list[tuple[bytes, bytes]]
    head: bytes
    body: bytes

    def __repr__(self) -> str:
        return f"<AuthorizedRequest {self.method} {self.path}>"


def check_key(key: Secret) -> Secret:
    """Return the key, without the white space and the byte order mark around it.

    They come with files, variables and the clipboard, whichever way the key takes.

    Raises:
        ConfigurationError: The key is empty, longer than 50 characters, or not printable ASCII.
    """
    text = cast("object", key.reveal())  # of whatever class a function gave
    reason = "must be a text"
    if isinstance(text, str):
        key = Secret(str.__str__(text).strip().strip("\ufeff").strip())
        reason = _what_is_wrong(key.reveal())
    if reason:
        raise ConfigurationError(f"api_key: {reason}")
    return key


def _what_is_wrong(text: str) -> str:
    if not text:
        return "must not be empty"
    if len(text) > _LONGEST_KEY:
        return f"must have at most {_LONGEST_KEY} characters"
    for place, character in enumerate(text, 1):
        if not (character.isascii() and character.isprintable()):
            reason = f"must be printable ASCII: character {place} is "
            if unicodedata.category(character) not in _INVISIBLE:
                return f"{reason}not"  # and not shown: it is of the key
            return f"{reason}invisible (U+{ord(character):04X})"
    return ""


class KeyInserter:
    """Puts the key into requests.

    Args:
        headers: The client's own headers; those of a request come behind them, and instead of
            them where the names are the same.
    """

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._own = headers
        #: Of each method, path and headers what is always the same: no query, so no key.
        self._heads: dict[tuple[object, ...], tuple[list[tuple[bytes, bytes]], str]] = {}
        #: The key that came last, and as it is written in a URL.
        self._key = self._quoted = Secret("")

    def insert(self, request: Request, key: Secret) -> AuthorizedRequest:
        """Insert the key at its placeholder, escaped for that place.

        Returns:
            The request as it goes over the wire.

        Raises:
            ArgumentError: The query with the key in place is too long for the server, or path,
                query or a header cannot be written as HTTP.
        """
        method, path, query, body = request.method, request.path, request.query, request.body
        known = self._heads.get((method, path, request.headers))
        headers, lines = known or self._head(request)
        if _VISIBLE.fullmatch(query) is None:
            raise ArgumentError(_unwritable("query"))
        if key is not self._key:
            self._key, self._quoted = key, Secret(quote(key.reveal(), safe=""))
        at, placement = request.key_offset, request.key_placement
        if placement is KeyPlacement.QUERY:
            query = query[:at] + self._quoted.reveal() + query[at:]
            if request.query_limit is not None and len(query) >= request.query_limit:
                _too_long(len(query), request.query_limit)
        else:
            in_form = placement is KeyPlacement.FORM
            filling = (
                self._quoted.reveal()
                if in_form
                else escape(key.reveal()).replace("&#x27;", "&apos;")
            )
            body = body[:at] + filling.encode("ascii") + body[at:]
        if body or method in _WITH_BODY:
            lines = f"{lines}Content-Length: {len(body)}\r\n"
        target = f"{path}?{query}" if query else path
        head = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        return AuthorizedRequest(method, path, target, headers, head, body)

    def _head(self, request: Request) -> tuple[list[tuple[bytes, bytes]], str]:
        """Return the headers of a request, and as they are written; check them and the path."""
        problems = [_unwritable("path")] if _VISIBLE.fullmatch(request.path) is None else []
        problems += [
            Problem("headers", f"{name!a} cannot be written as an HTTP header")
            for name, value in request.headers
            if _TOKEN.fullmatch(name) is None or _VALUE.fullmatch(value) is None
        ]
        if problems:
            raise ArgumentError(*problems)
        theirs = [(name.encode(), value.encode("latin-1")) for name, value in request.headers]
        names = {name.lower() for name, _ in theirs}
        headers = [pair for pair in self._own if pair[0].lower() not in names] + theirs
        lines = b"".join(b"%b: %b\r\n" % pair for pair in headers).decode("latin-1")
        if len(self._heads) >= _KEPT:  # of calls that have no method there may be many
            self._heads.clear()
        found = self._heads[request.method, request.path, request.headers] = headers, lines
        return found


def _unwritable(name: str) -> Problem:
    return Problem(name, "must be encoded: visible ASCII only")


def _too_long(length: int, limit: int) -> None:
    # In a frame of its own: the caller's locals hold the key.
    raise ArgumentError(
        Problem(
            "arguments",
            f"a query of {length} bytes, and the server takes less than {limit}: "
            "send it by another binding, such as Binding.SOAP12",
        )
    )


async def _never() -> str:
    """Replace the function when the key is a text: it is never called."""
    raise NotImplementedError


class Keys:
    """The key in use: a text, or what an async function gave when it was asked."""

    def __init__(self, source: Secret | KeySource, seen: Callable[[Secret], None]) -> None:
        """Use a source. ``seen`` is called with each key before its use, to redact it in texts."""
        self._seen = seen
        #: How often the function was asked: :meth:`renew` takes it.
        self.asked: int = 0
        self._lock = anyio.Lock()
        #: The key in use; None as long as the function was not asked.
        self.current = check_key(source) if isinstance(source, Secret) else None
        self._ask = _never if isinstance(source, Secret) else source
        if self.current is not None:
            seen(self.current)

    async def get(self) -> Secret | CakeError:
        """Return the key. The first time, call the function, once for all callers."""
        async with self._lock:  # behind which another caller may have got it
            return self.current or await self._fetch()

    async def renew(self, refused: Secret, asked: int) -> bool | CakeError:
        """Call the function again, after the server refused a key.

        Args:
            refused: The key that the server refused.
            asked: What :attr:`asked` was when the refused call took it. When another call has
                asked since, its response is good for this one, too.

        Returns:
            True if there is another key now; or why the function gave none.
        """
        if self._ask is _never:
            return False
        async with self._lock:
            if self.asked == asked:
                fetched = await self._fetch()
                if not isinstance(fetched, Secret):
                    return fetched
            return self.current is not None and self.current != refused

    async def _fetch(self) -> Secret | CakeError:
        try:
            key = check_key(Secret(await self._ask()))
        except ConfigurationError as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the user's function may raise anything
            # Its text may hold what opens the vault, so only its class is shown.
            return NotSent(f"the function that gives the key raised {type(error).__name__}")
        self._seen(key)
        self.current = key
        self.asked += 1
        return key
