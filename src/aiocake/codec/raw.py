"""Calls that have no method yet: a request as it is told, and its answer as it came."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar, cast

import attrs
import msgspec

from aiocake._wire import Hole, Request, Response
from aiocake.codec import _json
from aiocake.codec._asmx_get import QUERY_LIMIT
from aiocake.codec._body import Format, format_of
from aiocake.codec._check import OK, judge
from aiocake.codec._v2 import KEY, query
from aiocake.codec._values import moment, money, text, written
from aiocake.codec._xml import Element, parse
from aiocake.errors import ArgumentError, CakeError, DecodeError, Problem
from aiocake.values import SKIP, Effect, Skip

__all__ = ["OPERATION", "Answer", "Json", "Value", "check_raw", "encode_raw"]

#: What a parameter may be. None is not, since it means different things in different places.
Value: TypeAlias = str | int | Decimal | date | datetime | bool | Skip
#: What the body of a request may be made of.
Json: TypeAlias = "Value | Mapping[str, Json] | Sequence[Json]"

T = TypeVar("T")

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# Section 3.3 of RFC 3986: what a path is made of.
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
#: Whoever gets such a path resolves it (RFC 3986 section 5.2.4), and it is another one then.
_DOTS: Final = re.compile(r"/(?:\.|%2[eE]){1,2}(?:/|$)")
#: The name of such calls in errors and events.
OPERATION: Final = "request"


@attrs.frozen(eq=False)
class Answer:
    """The answer to ``client.request()``.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: The body, decompressed, as it came: a server that repeats the URL repeats the key.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    _clean: Callable[[str], str] = str

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"

    def json(self) -> object:
        """The body as JSON, read exactly: numbers are int or Decimal.

        Raises:
            DecodeError: It is no JSON, has a key twice, ``NaN``, or a number of over 28 digits.
        """
        return self._read(_json.parse)

    def xml(self) -> Element:
        """The body as XML, by local names; no doctype, no entities.

        Raises:
            DecodeError: It is no XML, or of a kind that is refused.
        """
        return self._read(parse)

    def __reduce__(self) -> tuple[object, ...]:
        return (Answer, (self.status, dict(self.headers), self.body))

    def _read(self, parser: Callable[[bytes], T]) -> T:
        try:
            return parser(self.body)
        except DecodeError as error:
            error.status = self.status
            error.scrub(self._clean)
            error.__context__ = None
            raise error.with_traceback(None) from None


def encode_raw(
    method: str,
    path: str,
    params: Mapping[str, Value] | None = None,
    json: Mapping[str, Json] | None = None,
) -> Request:
    """A request with the key in its query.

    Args:
        method: The HTTP method, in capitals.
        path: From the first slash, encoded, without a query.
        params: What stands in the query behind the key, in this order. SKIP is left out.
        json: The body, an object. SKIP is left out; amounts and dates become texts, as v2 has
            them.

    Raises:
        ArgumentError: Names every argument that cannot be sent.
    """
    problems = _where(method, path)
    texts = _fields(params, "params", problems)
    content = _fields(json, "json", problems)
    if problems:
        raise ArgumentError(*problems)
    return Request(
        OPERATION,
        method,
        path,
        query=KEY + query({name: written(value) for name, value in texts.items()}),
        headers=() if json is None else (("Content-Type", "application/json"),),
        body=b"" if json is None else msgspec.json.encode(content),
        hole=Hole.QUERY,
        hole_at=len(KEY),
        query_limit=QUERY_LIMIT if path.startswith("/api/1/") else None,
    )


def _where(method: object, path: object) -> list[Problem]:
    problems: list[Problem] = []
    if not isinstance(method, str) or method not in _METHODS:
        problems.append(Problem("method", f"must be one of {', '.join(sorted(_METHODS))}"))
    if not isinstance(path, str) or _PATH.fullmatch(path) is None:
        problems.append(Problem("path", "must begin with a slash, be encoded and have no query"))
    elif _DOTS.search(path):
        problems.append(Problem("path", "must not have '.' or '..' between its slashes"))
    return problems


def _fields(value: object, name: str, problems: list[Problem]) -> dict[str, object]:
    """The fields of a mapping that was given, or not; whatever cannot be sent is noted."""
    if value is None:
        return {}
    try:
        fields = _plain(value, name, problems)
    except RecursionError:
        problems.append(Problem(name, "is nested too deep"))
        return {}
    if not isinstance(value, Mapping):
        problems.append(Problem(name, "must be a mapping"))
        return {}
    found = cast("dict[str, object]", fields)
    if any(key.casefold() == "api_key" for key in found):  # ASP.NET does not tell case apart
        problems.append(Problem("api_key", "is put in at the last moment: leave it out"))
    return found


def _plain(value: object, name: str, problems: list[Problem]) -> object:
    """The value with dates and amounts as texts; whatever cannot be sent is noted."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[object, object]", value)
        named: dict[str, object] = {}
        for key, inner in fields.items():
            if (reason := text(key, None)) is not None:
                problems.append(Problem(f"a name in {name}", reason))
            elif inner is not SKIP:
                path = str(key) if name == "params" else f"{name}.{key}"
                named[str(key)] = _plain(inner, path, problems)
        return named
    if isinstance(value, list | tuple):
        rows = cast("Sequence[object]", value)
        given = [inner for inner in rows if inner is not SKIP]
        return [_plain(inner, f"{name}[{at}]", problems) for at, inner in enumerate(given)]
    reason = _reason(value)
    if reason is not None:
        problems.append(Problem(name, reason))
        return None
    return value if isinstance(value, bool | int) else written(value)


def _reason(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return money(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return None
    if isinstance(value, str):
        return text(str(value), None)
    return "must be a str, int, Decimal, date, datetime or bool"


def check_raw(
    response: Response, *, effect: Effect = Effect.READ, payloads: bool = False
) -> CakeError | None:
    """The error that an answer to such a request holds.

    Args:
        response: The answer.
        effect: What sending the request again does. The answer to a write has to say that it was
            carried out; what was only read may be a text or a list, too.
        payloads: Whether errors may show values.

    Returns:
        None of a success.
    """
    reads = effect is Effect.READ
    if reads and response.status in OK and _is_without_verdict(response.body):
        return None
    return judge(response, may_be_silent=reads, payloads=payloads)


def _is_without_verdict(body: bytes) -> bool:
    return format_of(body) is Format.TEXT or body.removeprefix(_json.BOM).lstrip()[:1] == b"["
