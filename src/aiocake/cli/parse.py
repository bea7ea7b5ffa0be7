"""Words of the command line as values: dates, periods, amounts, files and proxies."""

import errno
import math
import os
import re
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
import typer

from aiocake import ArgumentError, ConfigurationError, Period
from aiocake._transport import context_of_user
from aiocake._transport.proxy import parse_proxy

if TYPE_CHECKING:
    from aiocake.bulk.journal_store import JournalPlace

EnumT = TypeVar("EnumT", bound=StrEnum)

#: How the name of a run in PostgreSQL begins. A file of such a name is ``./pg:NAME``.
_IN_POSTGRES: Final = "pg:"
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAYS: Final = re.compile(r"[1-9]\d{0,6}", re.ASCII)
_AMOUNT: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def number(text: str) -> int:
    """Read a whole number."""
    if not _NUMBER.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a whole number")
    return int(text)


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    found = number(text)
    if found < 1:
        raise typer.BadParameter(f"{text!r} is not a whole number of at least 1")
    return found


def day(text: str) -> date:
    """Read a date, as in 2024-01-31."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2024-01-31") from None


def moment(text: str) -> datetime:
    """Read a date and time with its zone, as in 2024-02-15T10:00:00Z; a date alone is its noon.

    At noon in UTC it is the same date almost everywhere.
    """
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(12), UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is not a date such as 2024-02-15, nor a time with its zone such as "
            "2024-02-15T10:00:00Z"
        )
    return found


def period(text: str) -> Period:
    """Read a period, as :meth:`aiocake.Period.parse` does."""
    try:
        return Period.parse(text)
    except ArgumentError as error:
        raise typer.BadParameter(error.problems[0].reason) from None


def days(text: str) -> timedelta:
    """Read a number of days, as in 31."""
    if not _DAYS.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not a number of days such as 31")
    return timedelta(days=int(text))


def amount(text: str) -> Decimal:
    """Read an amount in plain digits, as in 1250.00."""
    if not _AMOUNT.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not an amount such as 1250.00")
    return Decimal(text)


def seconds(text: str | float) -> float:
    """Read a time in seconds, as in 0.5: zero or more, and finite."""
    found = _finite(text)  # Typer also passes the default
    if found is None or found < 0:
        raise typer.BadParameter(f"{text!r} is not a time in seconds such as 0.5")
    return found


def timeout(text: str) -> float:
    """Read a time in seconds that is longer than zero."""
    return _positive(text, "a time in seconds such as 30")


def rate(text: str) -> float:
    """Read a number of calls per second."""
    return _positive(text, "a number of calls per second such as 5")


def _positive(text: str, wanted: str) -> float:
    found = _finite(text)
    if found is None or found <= 0:
        raise typer.BadParameter(f"{text!r} is not {wanted}")
    return found


def _finite(text: str | float) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def text(text: str) -> str:
    """Read a text; bytes that the locale cannot decode are refused."""
    try:
        text.encode()
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        if encoding == "utf-8":
            raise typer.BadParameter("it holds bytes that are not UTF-8") from None
        raise typer.BadParameter(
            f"it cannot be decoded in this locale, whose encoding is {encoding}: "
            "one of UTF-8 is needed, such as LC_ALL=C.UTF-8"
        ) from None
    return text


def one_of(kind: type[EnumT]) -> Callable[[str], EnumT]:
    """Return a function that reads one of the values of an enum."""

    def read(text: str) -> EnumT:
        try:
            return kind(text)
        except ValueError:
            known = ", ".join(repr(each.value) for each in kind)
            raise typer.BadParameter(f"{text!r} is not one of {known}") from None

    return read


def names(text: str) -> tuple[str, ...]:
    """Read names that are separated by commas."""
    found = tuple(name.strip() for name in text.split(","))
    if "" in found:
        raise typer.BadParameter(f"{text!r} is not a list of names such as invoice_id,currency")
    twice = [name for at, name in enumerate(found) if name in found[:at]]
    if twice:
        raise typer.BadParameter(f"{', '.join(twice)} may be given once only")
    return found


def output_file(text: str) -> Path:
    """Read the path of a file to write to."""
    file = Path(text)
    if file.is_dir() or text.endswith(os.sep):  # which a Path drops
        raise typer.BadParameter(f"file {text!r} is a directory: add the name of a file")
    return file


@attrs.frozen
class CaFile:
    """A file of certificates, and a TLS context that trusts them alone."""

    file: Path
    context: ssl.SSLContext


def key_file(text: str) -> Path:
    """Read the path of a file that exists; what it holds is read when the client connects."""
    file = Path(text)
    try:
        if file.exists() and not file.is_dir():
            return file
        reason = os.strerror(errno.EISDIR if file.is_dir() else errno.ENOENT)
    except (OSError, ValueError):
        reason = "is not a valid path"
    raise typer.BadParameter(f"{text}: {reason}")


def ca_file(text: str) -> CaFile:
    """Read a PEM file of certificate authorities."""
    try:
        return CaFile(Path(text), context_of_user(text, ""))
    except ConfigurationError as error:
        raise typer.BadParameter(str(error).removeprefix(" cannot be used: ")) from None


def proxy(text: str) -> str:
    """Read the URL of a proxy; an error does not repeat it, since it may hold a password."""
    try:
        parse_proxy(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error).removeprefix("proxy: ")) from None
    return text


def journal(text: str) -> "JournalPlace":
    """Read where a journal is: the path of a file, or ``pg:NAME`` for a run in PostgreSQL."""
    from aiocake.bulk.journal_file import place_of  # noqa: PLC0415 - few commands have a journal

    schema = os.environ.get("CAKE_JOURNAL_SCHEMA") or None
    try:
        if not text.startswith(_IN_POSTGRES):
            return place_of("journal", text)
        from aiocake.bulk.postgres.books import named_run  # noqa: PLC0415 - an extra

        return named_run(text.removeprefix(_IN_POSTGRES), schema)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise typer.BadParameter(str(error)) from None
