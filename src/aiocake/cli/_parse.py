"""Words of the command line, as dates, periods and amounts."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeVar

import typer
from typer.models import OptionInfo

from aiocake import ERASE, SKIP, ArgumentError, Period
from aiocake.values import Erase, Skip

__all__ = ["amount", "day", "day_option", "moment", "or_erased", "or_skip", "period"]

T = TypeVar("T")

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def day(text: str) -> date:
    """A date, as in 2024-01-31."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        message = f"{text!r} is not a date such as 2024-01-31"
        raise typer.BadParameter(message) from None


def day_option(name: str, text: str) -> OptionInfo:
    """An option that takes a date.

    Args:
        name: Its name, such as ``"--start-date"``.
        text: What its help says.
    """
    option: OptionInfo = typer.Option(
        name, parser=day, metavar="DATE", help=text, show_default=False
    )
    return option


def moment(text: str) -> datetime:
    """A date and time with its zone, as in 2024-02-15T10:00:00Z."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"{text!r} is not a time with its zone such as 2024-02-15T10:00:00Z"
        raise typer.BadParameter(message)
    return found


def period(text: str) -> Period:
    """A month, as in 2024-01, or two days, both included, as in 2024-01-01..2024-01-15."""
    month = _MONTH.fullmatch(text)
    first, dots, last = text.partition("..")
    try:
        if month:
            return Period.month(int(month[1]), int(month[2]))
        if dots:
            return Period(day(first), day(last))
    except ArgumentError as error:
        message = f"{text!r}: {error}"
        raise typer.BadParameter(message) from None
    message = f"{text!r} is neither a month such as 2024-01 nor 2024-01-01..2024-01-15"
    raise typer.BadParameter(message)


def amount(text: str) -> Decimal:
    """An amount in plain digits, as in 1250.00."""
    if not _AMOUNT.fullmatch(text):
        message = f"{text!r} is not an amount such as 1250.00"
        raise typer.BadParameter(message)
    return Decimal(text)


def or_skip(value: T | None) -> T | Skip:
    """An option, or SKIP where it was not given."""
    return SKIP if value is None else value


def or_erased(name: str, value: T | None, *, erase: bool) -> T | Skip | Erase:
    """What is to become of something stored: another value, none, or what it is.

    Raises:
        typer.BadParameter: It is to be another value and none.
    """
    if erase and value is not None:
        message = f"does not go together with --erase-{name}"
        raise typer.BadParameter(message, param_hint=f"--{name}")
    return ERASE if erase else or_skip(value)
