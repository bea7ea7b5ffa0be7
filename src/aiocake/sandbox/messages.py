"""The request and the call: what the application and each of CAKE's APIs exchange."""

from collections.abc import Callable, Mapping
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
        restricted: Returns the refusal of a call above the rate limit.
    """

    operation: str | None
    arguments: Mapping[str, object]
    run: Callable[[], Response]
    restricted: Callable[[], Response]


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
