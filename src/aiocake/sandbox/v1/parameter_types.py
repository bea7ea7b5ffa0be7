"""How ASP.NET reads the text of a parameter: by GET and form one way, by SOAP another.

By GET and form, System.Web.Services hands the text to ``Parse`` of the .NET type with the
invariant culture: month first in dates, a comma as thousands mark, any case of a bool, numbers
and lists for an enum. By SOAP, ``XmlConvert`` reads it as XML Schema has it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, TypeAlias

import attrs

Value: TypeAlias = str | int | Decimal | datetime | None

# Where the instance stands: a time with a zone is shifted to this one.
SERVER_ZONE: Final = timezone(timedelta(hours=-8))

_FORMAT: Final = "Input string was not in a correct format."
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\s*", re.ASCII)
_URL_DECIMAL = re.compile(r"\s*([+-]?)([0-9,]*)(?:\.([0-9]*))?([+-]?)\s*", re.ASCII)
_SOAP_DECIMAL = re.compile(r"\s*([+-]?[0-9]*(?:\.[0-9]*)?)\s*", re.ASCII)
_TIME: Final = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<part>\.[0-9]{1,7})?)?"
)
_ZONE: Final = r"\s*(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
_URL_DATE = re.compile(
    r"\s*(?:(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})[-/](?P<day>[0-9]{1,2})"
    r"|(?P<first>[0-9]{1,2})[-/](?P<middle>[0-9]{1,2})[-/](?P<last>[0-9]{4}))"
    rf"(?:[T ]\s*{_TIME}\s*(?P<half>AM|PM)?)?{_ZONE}\s*",
    re.ASCII | re.IGNORECASE,
)
_SOAP_DATE = re.compile(
    rf"\s*(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})(?:T{_TIME})?{_ZONE}\s*",
    re.ASCII,
)
_MAX_DECIMAL: Final = Decimal(2**96 - 1)
# 28 digits fit into a .NET decimal, whatever they are; what is beyond them is rounded.
_NET_DECIMAL: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)
_NOON: Final = 12
# What .NET calls DateTime.MinValue; v1's times have no zone.
_NEVER: Final = datetime(1, 1, 1)  # noqa: DTZ001


@attrs.frozen
class Kind:
    """A .NET type of a parameter.

    Attributes:
        net: Its name in .NET, as error texts have it.
        missing: The value of an element that a SOAP call leaves out.
        from_url: Reads a text of a query or form; ValueError with .NET's message.
        from_soap: Reads the text of an element; ValueError with .NET's message.
    """

    net: str
    missing: Value
    from_url: Callable[[str], Value]
    from_soap: Callable[[str], Value]


def _integer(least: int, most: int, name: str) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        found = _INTEGER.fullmatch(text)
        if found is None:
            raise ValueError(_FORMAT)
        digits = found[1]
        if len(digits.lstrip("+-0")) > 10 or not least <= int(digits) <= most:  # noqa: PLR2004
            raise ValueError(f"Value was either too large or too small for {name}.")
        return int(digits)

    return read


def _decimal(digits: str) -> Decimal:
    value = Decimal(digits)
    if abs(value) > _MAX_DECIMAL:
        raise ValueError("Value was either too large or too small for a Decimal.")
    return _NET_DECIMAL.plus(value)


def _url_decimal(text: str) -> Value:
    found = _URL_DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(_FORMAT)
    before, whole, part, after = found.groups(default="")
    whole = whole.replace(",", "")
    if not whole + part or (before and after):
        raise ValueError(_FORMAT)
    return _decimal(
        f"{before or after}{whole or 0}.{part or 0}" if part else before + after + whole
    )


def _soap_decimal(text: str) -> Value:
    found = _SOAP_DECIMAL.fullmatch(text)
    if found is None or not found[1].strip("+-."):
        raise ValueError(_FORMAT)
    return _decimal(found[1])


def _url_bool(text: str) -> Value:
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("String was not recognized as a valid Boolean.") from None


def _soap_bool(text: str) -> Value:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip()]
    except KeyError:
        raise ValueError(f"The string '{text}' is not a valid Boolean value.") from None


def _clock(parts: Mapping[str, str | None], year: str, month: str, day: str) -> datetime:
    hour = int(parts["hour"] or 0)
    half = parts.get("half")
    if half is not None:
        if not 1 <= hour <= _NOON:
            raise ValueError(hour)
        hour = hour % _NOON + (_NOON if half.upper() == "PM" else 0)
    # Python keeps six places of .NET's seven.
    fraction = int((parts["part"] or ".0")[1:].ljust(6, "0")[:6])
    return datetime(
        int(year),
        int(month),
        int(day),
        hour,
        int(parts["minute"] or 0),
        int(parts["second"] or 0),
        fraction,
        tzinfo=SERVER_ZONE,
    )


def _shifted(clock: datetime, zone: str | None, *, keep_utc: bool) -> datetime:
    """Return the instance's own time, without a zone; by SOAP a time in UTC keeps its clock."""
    if zone is not None and not (zone in "Zz" and keep_utc):
        offset = UTC
        if zone not in "Zz":
            minutes = int(zone[1:3]) * 60 + int(zone[4:6])
            offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
        clock = clock.replace(tzinfo=offset).astimezone(SERVER_ZONE)
    return clock.replace(tzinfo=None)


def _url_datetime(text: str) -> Value:
    problem = ValueError("String was not recognized as a valid DateTime.")
    found = _URL_DATE.fullmatch(text)
    if found is None:
        raise problem
    parts = found.groupdict()
    year, month, day = found.group("last", "first", "middle")
    if year is None:
        year, month, day = found.group("year", "month", "day")
    try:
        return _shifted(_clock(parts, year, month, day), parts["zone"], keep_utc=False)
    except (ValueError, OverflowError):
        raise problem from None


def _soap_datetime(text: str) -> Value:
    problem = ValueError(f"The string '{text}' is not a valid AllXsd value.")
    found = _SOAP_DATE.fullmatch(text)
    if found is None:
        raise problem
    try:
        clock = _clock(found.groupdict(), found["year"], found["month"], found["day"])
        return _shifted(clock, found["zone"], keep_utc=True)
    except (ValueError, OverflowError):
        raise problem from None


def _text(text: str) -> Value:
    return text


def enumeration(name: str, *members: str) -> Kind:
    """Return an enum whose members are numbered from 0.

    Its values are names; a number that no member has stays a number in text.
    """

    def named(number: int) -> str:
        return members[number] if 0 <= number < len(members) else str(number)

    def from_url(text: str) -> Value:
        if not text.strip():
            raise ValueError("Must specify valid information for parsing in the string.")
        if _INTEGER.fullmatch(text) is not None:
            return named(int(text))
        joined = 0
        for piece in text.split(","):
            if piece.strip() not in members:
                raise ValueError(f"Requested value '{piece.strip()}' was not found.")
            joined |= members.index(piece.strip())
        return named(joined)

    def from_soap(text: str) -> Value:
        if text not in members:
            raise ValueError(
                f"Instance validation error: '{text}' is not a valid value for {name}."
            )
        return text

    return Kind(f"API_1.{name}", members[0], from_url, from_soap)


TEXT: Final = Kind("System.String", None, _text, _text)
INT: Final = Kind(
    "System.Int32",
    0,
    _integer(-(2**31), 2**31 - 1, "an Int32"),
    _integer(-(2**31), 2**31 - 1, "an Int32"),
)
BYTE: Final = Kind(
    "System.Byte",
    0,
    _integer(0, 255, "an unsigned byte"),
    _integer(0, 255, "an unsigned byte"),
)
DECIMAL: Final = Kind("System.Decimal", Decimal(0), _url_decimal, _soap_decimal)
BOOL: Final = Kind("System.Boolean", missing=False, from_url=_url_bool, from_soap=_soap_bool)
DATETIME: Final = Kind("System.DateTime", _NEVER, _url_datetime, _soap_datetime)
