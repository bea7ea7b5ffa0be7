"""What v2 reads from a query or a body, and its refusal of what it cannot read."""

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
    """An answer of the API, not a failure of the sandbox."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Take the status that it would have, and the text."""
        super().__init__(message)
        self.status = status
        self.message = message


def read_object(body: bytes) -> Arguments | None:
    """The object that a body holds, or None when it holds no object."""
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
    """An integer of a query, or its default."""
    value = sent.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise _invalid(name)
    if not least <= int(value) <= _MAX_INT:
        raise _invalid(name)
    return int(value)


def number(sent: Arguments, name: str) -> int:
    """An integer of a JSON object; a text is none."""
    value = sent[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_INT:
        raise _invalid(name)
    return value


def optional_text(sent: Arguments, name: str) -> str | None:
    """A text, or None."""
    value = sent.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _invalid(name)


def optional_status(sent: Arguments, name: str) -> str | None:
    """A status in lower case, or None. It may come in any case."""
    value = optional_text(sent, name)
    if value is not None and value.lower() not in STATUSES:
        raise _invalid(name)
    return None if value is None else value.lower()


def optional_day(sent: Arguments, name: str) -> date | None:
    """A date as YYYY-MM-DD, or None."""
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
    """A time of ISO 8601 as it was sent, or None."""
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
