"""Words of the command line, as dates, periods and amounts."""

import math
import re
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

import typer

from aiocake import SKIP, ArgumentError, Period, Skip

T = TypeVar("T")

_DAYS: Final = re.compile(r"[1-9]\d{0,6}", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def day(text: str) -> date:
    """A date, as in 2024-01-31."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2024-01-31") from None


def moment(text: str) -> datetime:
    """A date and time with its zone, as in 2024-02-15T10:00:00Z."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is not a time with its zone such as 2024-02-15T10:00:00Z"
        )
    return found


def period(text: str) -> Period:
    """A period, as :meth:`aiocake.Period.parse` reads it."""
    try:
        return Period.parse(text)
    except ArgumentError as error:
        raise typer.BadParameter(error.problems[0].reason) from None


def days(text: str) -> timedelta:
    """A number of days, as in 31."""
    if not _DAYS.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a number of days such as 31")
    return timedelta(days=int(text))


def amount(text: str) -> Decimal:
    """An amount in plain digits, as in 1250.00."""
    if not _AMOUNT.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not an amount such as 1250.00")
    return Decimal(text)


def seconds(text: str | float) -> float:
    """A time in seconds, as in 0.5; neither below zero nor without an end."""
    try:
        found = float(text)  # Typer hands the default in, too
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise typer.BadParameter(f"{text!r} is not a time in seconds such as 0.5")
    return found


def text(text: str) -> str:
    """A text that is one: of bytes that the locale cannot decode, Python keeps what they were."""
    try:
        text.encode()
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        raise typer.BadParameter(
            f"it cannot be decoded in this locale, whose encoding is {encoding}: "
            "one of UTF-8 is needed, such as LC_ALL=C.UTF-8"
        ) from None
    return text


def or_skip(value: T | None) -> T | Skip:
    """An option, or SKIP where it was not given."""
    return SKIP if value is None else value
