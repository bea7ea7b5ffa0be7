"""What a call of an endpoint without a method takes and returns."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias, TypeVar

import attrs

from aiocake._codec import strict_json
from aiocake._codec.xml.tree import XmlElement, parse
from aiocake.errors import DecodeError
from aiocake.values import Skip

#: What a parameter may be. None is not, since it means different things in different places.
RawValue: TypeAlias = str | int | Decimal | date | datetime | bool | Skip
#: What the body of a request may be made of.
Json: TypeAlias = "RawValue | Mapping[str, Json] | Sequence[Json]"

T = TypeVar("T")


@attrs.frozen(eq=False)
class RawResponse:
    """The response to ``client.request()``.

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
        return f"<RawResponse {self.status}, {len(self.body)} bytes>"

    def json(self) -> object:
        """Return the body as JSON, read exactly: numbers are int or Decimal.

        Raises:
            DecodeError: The body is no JSON, or has a key twice, ``NaN``, or a number of over 28
                digits.
        """
        return self._read(strict_json.parse)

    def xml(self) -> XmlElement:
        """Return the body as XML, by local names; no doctype, no entities.

        Raises:
            DecodeError: The body is no XML, or of a kind that is refused.
        """
        return self._read(parse)

    def __reduce__(self) -> tuple[object, ...]:
        return (RawResponse, (self.status, dict(self.headers), self.body))

    def _read(self, parser: Callable[[bytes], T]) -> T:
        try:
            return parser(self.body)
        except DecodeError as error:
            error.status = self.status
            error.scrub(self._clean)
            error.__context__ = None
            raise error.with_traceback(None) from None
