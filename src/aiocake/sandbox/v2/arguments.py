"""How v2 reads a query or a body, and refuses what it cannot read."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Final, TypeAlias, cast

STATUSES: Final = ("pending", "approved", "paid", "void")
_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_MAX_INT: Final = 2**31 - 1

Arguments: TypeAlias = Mapping[str, object]


class Refused(Exception):
    """The API refuses the call; the sandbox has not failed."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Store the status of a typed error, and the text."""
        super().__init__(message)
        self.status = status
        self.message = message


def read_object(body: bytes) -> Arguments | None:
    """Return the JSON object of a body, or None when it holds none."""
    try:
        read: object = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    return cast("dict[str, object]", read)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _invalid(name: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, f"Invalid {name}")


def integer(
    sent: Arguments, name: str, default: int | None = None, *, least: int = -_MAX_INT
) -> int | None:
    """Read an integer of a query, or return its default."""
    value = sent.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise _invalid(name)
    if not least <= int(value) <= _MAX_INT:
        raise _invalid(name)
    return int(value)


def number(sent: Arguments, name: str) -> int:
    """Read an integer of a JSON object; a text is refused."""
    value = sent[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_INT:
        raise _invalid(name)
    return value


def optional_text(sent: Arguments, name: str) -> str | None:
    """Read a text, or return None."""
    value = sent.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _invalid(name)


def optional_status(sent: Arguments, name: str) -> str | None:
    """Read a status in any case, and return it in lower case, or None."""
    value = optional_text(sent, name)
    if value is not None and value.lower() not in STATUSES:
        raise _invalid(name)
    return None if value is None else value.lower()


def optional_day(sent: Arguments, name: str) -> date | None:
    """Read a date as YYYY-MM-DD, or return None."""
    value = optional_text(sent, name)
    if value is None:
        return None
    if _DATE.fullmatch(value) is None:
        raise _invalid(name)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _invalid(name) from None


def moment(sent: Arguments, name: str) -> str | None:
    """Check a time of ISO 8601, and return it as it was sent, or None."""
    value = optional_text(sent, name)
    if value is None:
        return None
    if _MOMENT.fullmatch(value) is None:
        raise _invalid(name)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _invalid(name) from None
    return value
