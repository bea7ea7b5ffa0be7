"""What is wrong with a value, by its kind, and how it is written where both APIs agree.

Each check takes a normalized value, and gives the reason for which it is refused, or None. A reason
never holds the value, which may be a name, a note or an amount, but the name of its class.
"""

import difflib
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Final

from aiocake._normalize import class_name

#: .NET's System.Int32.
MAX_INT: Final = 2**31 - 1
_MAX_BYTE: Final = 255
#: Any number of so many digits fits into .NET's System.Decimal, and none is rounded.
_MAX_DIGITS: Final = 28
#: SQL Server's datetime begins with the first full year of the Gregorian calendar in England.
_FIRST_SQL_YEAR: Final = 1753
# Section 2.2 of the XML 1.0 recommendation: all else is a character.
_NOT_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _wrong(wanted: str, value: object) -> str:
    return f"must be {wanted}, got {class_name(value)}"


def check_int(value: object, least: int, most: int) -> str | None:
    """Of an integer between two bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        return _wrong("an int", value)
    return None if least <= value <= most else f"must be from {least} to {most}"


def check_byte(value: object, *, anything: bool) -> str | None:
    """Of an unsigned byte whose 0 has a meaning of its own."""
    if type(value) is int and value == 0:
        return f"0 is not taken: give {'ANY' if anything else 'SKIP'}"
    return check_int(value, 1, _MAX_BYTE)


def check_text(value: object, limit: int | None) -> str | None:
    """Of a text; an empty one is fine where the API knows it from an absent one, as v2 does."""
    if not isinstance(value, str) or isinstance(value, Enum):
        return _wrong("a str", value)
    if _NOT_XML.search(value):
        return "holds a character that XML cannot carry (a control character or a lone surrogate)"
    # .NET counts in UTF-16: an emoji is two.
    units = len(value.encode("utf-16-le")) // 2
    if limit is not None and units > limit:
        return f"must have at most {limit} UTF-16 units, not {units}"
    return None


def check_v1_text(value: object) -> str | None:
    """Of a text of v1: two of them are no texts there.

    CAKE's pages: "NULL to erase it, empty string to skip it".
    """
    if value == "":
        return "an empty text is not taken: give SKIP to keep what is stored, ERASE to erase it"
    if value == "NULL":
        return "the text 'NULL' is not taken: CAKE erases by it; give ERASE for that"
    return None


def check_money(value: object) -> str | None:
    """Of an amount: exact, and as many digits as .NET keeps."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return _wrong("a Decimal or an int", value)
    if isinstance(value, Decimal) and not value.is_finite():
        return "must be a number"
    # Ask for the size first: written out, Decimal("1E+999999999") takes a gigabyte.
    if isinstance(value, int):
        fits = abs(value) < 10**_MAX_DIGITS
    else:
        last = value.as_tuple().exponent
        fits = -_MAX_DIGITS <= value.adjusted() < _MAX_DIGITS
        fits = fits and isinstance(last, int) and -_MAX_DIGITS <= last <= _MAX_DIGITS
    if not fits or sum(map(str.isdigit, format_value(value))) > _MAX_DIGITS:
        return f"must have at most {_MAX_DIGITS} digits"
    return None


def check_date(value: object) -> str | None:
    """Of a date; a datetime is none: its time, or its zone, would be lost or shift the day."""
    if isinstance(value, datetime) or not isinstance(value, date):
        return _wrong("a date without a time", value)
    return None


def check_v1_date(value: object) -> str | None:
    """Of a date of v1: a server of the .NET kind keeps it in SQL Server's datetime."""
    if isinstance(value, date) and value.year < _FIRST_SQL_YEAR:
        return f"must not be before {_FIRST_SQL_YEAR}-01-01"
    return None


def check_datetime(value: object) -> str | None:
    """Of a point in time: without a zone it would be a guess."""
    if not isinstance(value, datetime):
        return _wrong("a datetime with a time zone", value)
    if value.utcoffset() is None:
        return "must be a datetime with a time zone, got one without"
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "is outside of the years 1 to 9999 in UTC"
    return None


def check_bool(value: object) -> str | None:
    """Of a bool; 0 and 1 are none."""
    return None if type(value) is bool else _wrong("True or False", value)


def check_choice(value: object, choices: type[StrEnum] | None) -> str | None:
    """Of one of a closed set of texts, in their exact case.

    ASP.NET knows the exact case only, and by GET it takes numbers and lists of them too.
    """
    known = [member.value for member in choices or ()]
    if not isinstance(value, str):
        return _wrong(f"one of {', '.join(known)}", value)
    if value in known:
        return None
    near = difflib.get_close_matches(value.casefold(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"must be one of {', '.join(known)}{hint}"


def format_value(value: object) -> str:
    """A value as text, where both APIs agree: plain numbers, ``true``, ``YYYY-MM-DD``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int | Decimal):
        # Never with an exponent, which .NET's decimal does not take.
        return format(value, "f") if isinstance(value, Decimal) else format(value, "d")
    if isinstance(value, datetime):
        return format_datetime(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def format_datetime(value: datetime) -> str:
    """A point in time in UTC, as CAKE's page has it: ``2024-02-15T10:00:00Z``.

    A fraction of a second is written only where there is one.
    """
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
