"""Parse JSON exactly: decimals as they are written, and nothing but plain JSON.

This is the second reading, and the one that judges: a key that is there twice, ``NaN``, a number
beyond all bounds, a deep nest, bytes that are not UTF-8 and trailing data are all refused.
Section 4 of RFC 8259 leaves the meaning of a key that is there twice open; of money it must not be.
"""

import json
from decimal import Decimal
from typing import Final, cast

from aiocake._codec.numbers import MAX_DIGITS, parse_decimal, parse_int
from aiocake._codec.snippet import snippet
from aiocake.errors import DecodeError

#: Of UTF-8. RFC 8259 lets a parser ignore it.
BOM: Final = b"\xef\xbb\xbf"
_DEEPEST: Final = 64


def parse(body: bytes, *, show_sensitive: bool = False) -> object:
    """Return the value in a body; its numbers are int or Decimal.

    Args:
        body: The body.
        show_sensitive: Whether an error may show values.

    Raises:
        DecodeError: It is not plain JSON.
    """
    try:
        text = body.removeprefix(BOM).decode()
        value: object = _decoder.decode(text)
        if text.count("{") + text.count("[") > _DEEPEST:  # else it cannot be
            _refuse_depth(value)
    except UnicodeDecodeError as error:
        raise DecodeError(
            "not UTF-8", snippet=snippet(body, error.start, show_sensitive=show_sensitive)
        ) from None
    except json.JSONDecodeError as error:
        at = len(error.doc[: error.pos].encode("utf-8", "replace"))
        raise DecodeError(
            "not JSON", snippet=snippet(body, at, show_sensitive=show_sensitive)
        ) from None
    except RecursionError:
        raise DecodeError(_TOO_DEEP, snippet=snippet(body, show_sensitive=show_sensitive)) from None
    except ValueError as error:
        raise DecodeError(
            f"JSON with a value that {error}", snippet=snippet(body, show_sensitive=show_sensitive)
        ) from None
    return value


_TOO_DEEP: Final = f"nested deeper than {_DEEPEST}"


def _whole(text: str) -> int | Decimal:
    if text.isdigit() and len(text) <= MAX_DIGITS:  # as almost all are, and here in ASCII digits
        return int(text)
    # There is no -0 among integers, and the sign was sent.
    return parse_decimal(text) if text == "-0" else parse_int(text)


def _no_number(_: str) -> object:
    raise ValueError("is not a number")


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("has a key twice")
    return value


_decoder: Final = json.JSONDecoder(
    parse_float=parse_decimal,
    parse_int=_whole,
    parse_constant=_no_number,
    object_pairs_hook=_no_key_twice,
)


def _refuse_depth(value: object) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise RecursionError


def _inside(value: object) -> list[object]:
    """Return the objects and arrays right inside of a value."""
    if isinstance(value, dict):
        inner = list(cast("dict[str, object]", value).values())
    elif isinstance(value, list):
        inner = cast("list[object]", value)
    else:
        return []
    return [each for each in inner if isinstance(each, dict | list)]
