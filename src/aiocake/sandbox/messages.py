"""What the application and each of CAKE's APIs exchange: requests, calls, and responses as JSON.

JSON is written with exact decimals, with dates, and with parts that are written already.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import TypeAlias, TypeGuard
from urllib.parse import unquote_to_bytes

import attrs
from starlette.responses import Response


@attrs.frozen(kw_only=True)
class Incoming:
    """A request, read but not understood.

    Attributes:
        method: The method, in capitals.
        path: The decoded path.
        query: The raw query, without the question mark.
        headers: By lower-case name.
        body: The whole body.
        url: Scheme, host and path, without the query.
    """

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        """Return the content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@attrs.frozen(kw_only=True)
class Call:
    """A request that was understood, or refused.

    Attributes:
        operation: The name of the operation, if it is one.
        arguments: What was read from the request.
        run: Carries it out, or returns the refusal.
        refuse: Returns a refusal with a message, in the API's own form; the status counts where
            that form has one.
    """

    operation: str | None
    arguments: Mapping[str, object]
    run: Callable[[], Response]
    refuse: Callable[[HTTPStatus, str], Response]


def pairs(raw: bytes) -> list[tuple[str, str]]:
    """Read the parameters of a query or a form as ASP.NET does.

    A plus is a space, bytes that are no UTF-8 become U+FFFD, and a piece without ``=`` is
    a value without a name, so it is left out.

    Args:
        raw: The query or the body.

    Returns:
        Names and values in their order.
    """
    named = (piece.partition(b"=") for piece in raw.replace(b"+", b" ").split(b"&"))
    return [(_decode(name), _decode(value)) for name, equals, value in named if equals]


def _decode(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def is_object(value: "Json") -> TypeGuard[Mapping[str, "Json"]]:
    """Return True if a value has members by name."""
    return isinstance(value, Mapping)


class RawJson(str):
    """JSON that is written already."""

    __slots__ = ()


Scalar: TypeAlias = str | int | Decimal | None
_Leaf: TypeAlias = str | int | Decimal | date | list[str]
Json: TypeAlias = "_Leaf | Mapping[str, Json] | Iterable[Mapping[str, Json]] | None"


def dump(value: Json) -> str:
    """Write a value as JSON, without spaces.

    A decimal becomes a number with all its places, a date a text as ISO 8601 has it.
    """
    if isinstance(value, RawJson):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return f'"{value.isoformat()}"'
    if value is None or isinstance(value, str | int):
        return json.dumps(value, ensure_ascii=False)
    if is_object(value):
        pairs = (f"{dump(name)}:{dump(item)}" for name, item in value.items())
        return "{" + ",".join(pairs) + "}"
    return "[" + ",".join(dump(item) for item in value) + "]"


def dump_plain(value: Mapping[str, Scalar]) -> str:
    """Write an object of texts and integers: several times as fast as :func:`dump`."""
    return _encode_plain(value)


_encode_plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_response(value: Json, status: int = 200) -> Response:
    """Return a response whose body is JSON in UTF-8."""
    body = dump(value).encode("utf-8", "replace")
    return Response(body, status, media_type="application/json; charset=utf-8")
