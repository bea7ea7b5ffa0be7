"""The parameters of an operation, a class for each kind: what it accepts and how it is sent.

ASP.NET takes a great deal without a word: an amount with a comma is a hundred times as much, a
date is read month first, a misspelt element becomes a zero, and the response is "success". So what
could be read in two ways is refused. A reason never holds the value, which may be a name, a note or
an amount, but the name of its class.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, ClassVar, Final, TypedDict, Unpack

from aiocake._normalize import EXACT, class_name, normalized
from aiocake.errors import Problem
from aiocake.values import ANY, ERASE, SKIP

#: .NET's System.Int32.
MAX_INT: Final = 2**31 - 1
_MAX_BYTE: Final = 255
#: Any number of so many digits fits into .NET's System.Decimal, and none is rounded.
_MAX_DIGITS: Final = 28
#: SQL Server's datetime begins with the first full year of the Gregorian calendar in England.
_FIRST_SQL_YEAR: Final = 1753
#: A date has to be there, and to parse, even where its modification type makes no use of it.
_SOME_DATE: Final = "2000-01-01"
# Section 2.2 of the XML 1.0 recommendation: all else is a character.
_NOT_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: Why these are refused where they mean nothing.
_REFUSED_MARKS: Final = (
    (None, "None is not taken: leave the argument out, or give SKIP"),
    (ERASE, "cannot be erased"),
    (ANY, "ANY is not taken here: leave the argument out"),
)


#: The names that stand for an argument in v1, each with its text; None for null.
V1Texts = tuple[tuple[str, str | None], ...]


class InvalidArgument:
    """Stands in place of a value that cannot be sent; the check of all arguments reports it."""

    __slots__ = ("problems",)

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems: Final = problems


class Flags(TypedDict, total=False):
    """The keyword arguments that every kind of parameter takes: see :class:`Parameter`."""

    required: bool
    sensitive: bool
    erasable: bool


class Parameter:
    """One argument of an operation.

    Plain classes, here and below: attrs writes and compiles methods for each whenever a program
    starts.

    Attributes:
        name: CAKE's own name, on the wire and in Python.
        required: True if it must be passed.
        sensitive: True if it holds names, notes or amounts, which errors and logs hide.
        erasable: True if ERASE is allowed (texts and modified dates of v1).
        kept: The text by which v1 leaves alone what is stored, since every parameter of v1 is sent
            on each call. None if there is no such text: then v1 needs the argument.
    """

    kept: ClassVar[str | None] = None

    def __init__(
        self,
        name: str,
        *,
        required: bool = False,
        sensitive: bool = False,
        erasable: bool = False,
    ) -> None:
        self.name: Final = name
        self.required: Final = required
        self.sensitive: Final = sensitive
        self.erasable: Final = erasable

    def _reason(self, value: object) -> str | None:
        """Return why a value, of an exact built-in class, cannot be sent; None if it can."""
        raise NotImplementedError

    def _reason_of_v1(self, value: Any) -> str | None:  # noqa: ANN401 - of the class of its kind
        """Return why v1 does not take a value that v2 takes."""

    def check(self, value: object, *, v1: bool = False) -> object:
        """Return the value as it is sent: an exact built-in one, or a mark such as ERASE.

        Args:
            value: Whatever a caller passed. Its methods may raise anything.
            v1: True for an operation of v1.

        Returns:
            The value; an :class:`InvalidArgument` if it cannot be sent.
        """
        exact = value
        try:
            if type(value) not in EXACT:
                exact = self._exact(value)
            reason = self._reason(exact)
            if v1 and reason is None:
                reason = self._reason_of_v1(exact)
        except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
            exact, reason = self, f"cannot be read: it raised {class_name(error)}"
        if reason is None or type(exact) is InvalidArgument or (exact is ERASE and self.erasable):
            return exact
        reason = next((text for mark, text in _REFUSED_MARKS if exact is mark), reason)
        return InvalidArgument((Problem(self.name, reason),))

    def _exact(self, value: object) -> object:
        return normalized(value)

    def v1_texts(self, value: object, midnight: str = "") -> V1Texts:
        """Return what v1 has in place of a value.

        Args:
            value: Checked; or SKIP.
            midnight: Is put behind a date, where the binding wants a time.
        """
        if value is SKIP or value is ERASE:
            return ((self.name, self.kept if value is SKIP else None),)
        text = "0" if value is ANY else format_value(value)
        return ((self.name, text + midnight if isinstance(value, date) else text),)


class _Integer(Parameter):
    at_least: int = 0
    limit: int = MAX_INT

    def _reason(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return _wrong("an int", value)
        if self.at_least <= value <= self.limit:
            return None
        return f"must be from {self.at_least} to {self.limit}"


class Id(_Integer):
    """A positive 32-bit integer."""

    at_least = 1


class Row(_Integer):
    """The number of a row, or of rows: a 32-bit integer from ``at_least`` to ``limit``."""

    kept = "0"

    def __init__(
        self,
        name: str,
        *,
        at_least: int = 0,
        limit: int = MAX_INT,
        **flags: Unpack[Flags],
    ) -> None:
        super().__init__(name, **flags)
        self.at_least = at_least
        self.limit = limit


class Byte(_Integer):
    """An unsigned byte from 1; v1 has 0 for SKIP and ANY.

    Attributes:
        any_allowed: True if ANY is allowed (the payment type of a filter).
    """

    at_least = 1
    limit = _MAX_BYTE
    kept = "0"

    def __init__(self, name: str, *, any_allowed: bool = False, **flags: Unpack[Flags]) -> None:
        super().__init__(name, **flags)
        self.any_allowed: Final = any_allowed

    def _reason(self, value: object) -> str | None:
        if value is ANY and self.any_allowed:
            return None
        if type(value) is int and value == 0:
            return f"0 is not taken: give {'ANY' if self.any_allowed else 'SKIP'}"
        return super()._reason(value)


class Text(Parameter):
    """A text; v2 knows an empty one from an absent one, v1 does not.

    Attributes:
        limit: How many UTF-16 units it may have, as .NET counts: an emoji is two.
    """

    kept = ""

    def __init__(self, name: str, *, limit: int | None = None, **flags: Unpack[Flags]) -> None:
        super().__init__(name, **flags)
        self.limit: Final = limit

    def _reason(self, value: object) -> str | None:
        if not isinstance(value, str) or isinstance(value, Enum):
            return _wrong("a str", value)
        if _NOT_XML.search(value):
            return (
                "holds a character that XML cannot carry (a control character or a lone surrogate)"
            )
        units = len(value.encode("utf-16-le")) // 2
        if self.limit is not None and units > self.limit:
            return f"must have at most {self.limit} UTF-16 units, not {units}"
        return None

    def _reason_of_v1(self, value: str) -> str | None:
        # CAKE's pages: "NULL to erase it, empty string to skip it".
        if value == "":
            return "an empty text is not taken: give SKIP to keep what is stored, ERASE to erase it"
        if value == "NULL":
            return "the text 'NULL' is not taken: CAKE erases by it; give ERASE for that"
        return None

    def _exact(self, value: object) -> object:
        # A member of an enum is a slip where any text will do.
        return value if isinstance(value, Enum) else normalized(value)


class Money(Parameter):
    """An amount: exact, and of as many digits as .NET keeps."""

    def _reason(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return _wrong("a Decimal or an int", value)
        if isinstance(value, Decimal) and not value.is_finite():
            return "must be a number"
        # Ask for the size first: written out, Decimal("1E+999999999") takes a gigabyte.
        if isinstance(value, int):
            fits = abs(value) < 10**_MAX_DIGITS
        else:
            last = value.as_tuple().exponent
            fits = isinstance(last, int) and last >= -_MAX_DIGITS and value.adjusted() < _MAX_DIGITS
        if not fits or sum(map(str.isdigit, format_value(value))) > _MAX_DIGITS:
            return f"must have at most {_MAX_DIGITS} digits"
        return None


class Date(Parameter):
    """A date; a datetime is none: its time, or its zone, would be lost or shift the day."""

    def _reason(self, value: object) -> str | None:
        if isinstance(value, datetime) or not isinstance(value, date):
            return _wrong("a date without a time", value)
        return None

    def _reason_of_v1(self, value: date) -> str | None:
        if value.year < _FIRST_SQL_YEAR:  # a server of the .NET kind keeps it in SQL Server
            return f"must not be before {_FIRST_SQL_YEAR}-01-01"
        return None


class ModifiedDate(Date):
    """v1's pair of a date and its ``…_modification_type``."""

    kept = _SOME_DATE

    def v1_texts(self, value: object, midnight: str = "") -> V1Texts:
        """Return the date, and what becomes of the stored one."""
        how = "do_not_change" if value is SKIP else "remove" if value is ERASE else "change"
        day = value.isoformat() if isinstance(value, date) else _SOME_DATE
        return (self.name, day + midnight), (f"{self.name}_modification_type", how)


class Moment(Parameter):
    """A point in time, written in UTC: without a zone it would be a guess."""

    def _reason(self, value: object) -> str | None:
        if not isinstance(value, datetime):
            return _wrong("a datetime with a time zone", value)
        if value.utcoffset() is None:
            return "must be a datetime with a time zone, got one without"
        try:
            value.astimezone(UTC)
        except OverflowError:
            return "is outside of the years 1 to 9999 in UTC"
        return None


class Bool(Parameter):
    """A bool; 0 and 1 are none."""

    kept = "false"

    def _reason(self, value: object) -> str | None:
        return None if type(value) is bool else _wrong("True or False", value)


class Choice(Parameter):
    """One of a closed set of texts, in their exact case.

    ASP.NET knows the exact case only, and by GET it takes numbers and lists of them too.

    Attributes:
        choices: The enum of the texts.
    """

    def __init__(self, name: str, choices: type[StrEnum], **flags: Unpack[Flags]) -> None:
        super().__init__(name, **flags)
        self.choices: Final = choices
        self._known = tuple(member.value for member in choices)

    def _reason(self, value: object) -> str | None:
        if isinstance(value, str) and value in self._known:
            return None
        wanted = f"one of {', '.join(self._known)}"
        if not isinstance(value, str):
            return _wrong(wanted, value)
        import difflib  # noqa: PLC0415 - only where somebody mistypes

        near = difflib.get_close_matches(value.casefold(), self._known)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"must be {wanted}{hint}"


def format_value(value: object) -> str:
    """Return a value as text, where both APIs agree: plain numbers, ``true``, ``YYYY-MM-DD``.

    A point in time is in UTC, as CAKE's page has it: ``2024-02-15T10:00:00Z``. A fraction of a
    second is written only where there is one.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return format(value, "d")
    if isinstance(value, Decimal):
        return format(value, "f")  # never with an exponent, which .NET's decimal does not take
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else str(value)


def json_value(value: object) -> object:
    """Return a value as v2 has it in JSON: amounts and dates are texts."""
    return value if isinstance(value, bool | int) else format_value(value)


def _wrong(wanted: str, value: object) -> str:
    return f"must be {wanted}, got {class_name(value)}"
