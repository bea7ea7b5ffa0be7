"""Convert whatever a caller passes to exact built-in values: all arguments come through here.

Data frames, template engines, clocks that a test stopped and enums give values of classes of their
own: of a subclass of ``str``, ``int``, ``Decimal``, ``date`` or ``datetime``, or of a class with
``__index__``. Behind this door there are none, so that nothing there asks for a class twice or
calls a method that a subclass has overridden, and equal values are written alike.
"""

import inspect
import math
import operator
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from aiocake.errors import ArgumentError, Problem

T = TypeVar("T")

#: ``datetime`` and ``date``. Whoever stops the clock (freezegun) puts a subclass of them in the
#: place of their names in every module, but not into a tuple; and the module may be loaded then.
_TIMES: Final[tuple[type[datetime], type[date]]] = tuple(  # type: ignore[assignment] # there are two
    kind for kind in datetime.__mro__ if kind.__name__ in {"datetime", "date"}
)
EXACT: Final = frozenset({str, int, bool, float, Decimal, bytes, type(None), _TIMES[-1]})
#: numpy's; old versions of it let ``operator.index`` take them for 0 and 1.
_OTHER_BOOLS: Final = frozenset({"bool", "bool_"})


def class_name(value: object) -> str:
    """Return the name of a value's class, for an error to show in place of the value."""
    return type(value).__name__


def _exact_time(value: Any) -> date:  # noqa: ANN401 - of a class with the same attributes
    """Return a date as an exact ``date``, a point in time as an exact ``datetime``.

    Args:
        value: Of a subclass of ``date``. Its own attributes count, not what its base class has
            stored: for pandas' ``NaT`` that is the first of January of the year 1.
    """
    moment, day = _TIMES
    if not isinstance(value, moment):
        return value if type(value) is day else day(value.year, value.month, value.day)
    exact = value
    if type(value) is not moment:
        exact = moment(
            value.year,
            value.month,
            value.day,
            value.hour,
            value.minute,
            value.second,
            value.microsecond,
            tzinfo=value.tzinfo,
            fold=value.fold,
        )
    if exact.tzinfo is UTC or exact.utcoffset() is None:
        return exact
    try:
        return exact.astimezone(UTC)
    except OverflowError:  # outside of the years 1 to 9999, which whoever asks for one refuses
        return exact


#: By class: the function that makes an exact value of one of a subclass.
_EXACTLY: Final[tuple[tuple[type, Callable[[Any], object]], ...]] = (
    (str, str.__str__),
    (Decimal, Decimal),
    (_TIMES[-1], _exact_time),
    (timedelta, lambda length: timedelta(length.days, length.seconds, length.microseconds)),
)


def normalized(value: object) -> object:
    """Return a value of any class as an exact built-in one.

    Args:
        value: Whatever a caller gave. Its methods may raise anything.

    Returns:
        An exact ``str``, ``int``, ``bool``, ``Decimal``, ``date``, ``timedelta`` or ``datetime``,
        the last in UTC where it has a time zone; or the value itself where it is none of these.
    """
    kind = type(value)
    if kind in EXACT:
        return value
    for base, exact in _EXACTLY:
        if issubclass(kind, base):
            return exact(cast("Any", value))
    whole = hasattr(kind, "__index__") and not issubclass(kind, float)
    if whole and kind.__name__ not in _OTHER_BOOLS:
        # An array of more than one number, or of none, raises in spite of its method.
        with suppress(TypeError):
            return operator.index(cast("Any", value))
    return value


def real(value: object) -> int | float | None:
    """Return a finite number of any class as a built-in one; None for everything else.

    Args:
        value: Whatever a caller gave. Its methods may raise anything.
    """
    try:
        exact = normalized(value)
        if type(exact) is bool or not isinstance(exact, int | Real):
            return None
        number = float(exact)
    except Exception:  # noqa: BLE001 - whatever they raise; or it is larger than any float
        return None
    if not math.isfinite(number):
        return None
    return exact if isinstance(exact, int) else number


def day_of(value: date) -> date:
    """Return a date as an exact ``date``, and any other value as it is."""
    try:
        exact = normalized(value)
    except Exception:  # noqa: BLE001 - whatever its own methods raise
        return value
    return cast("date", exact) if type(exact) in _TIMES else value


def path_of(name: str, value: object) -> Path:
    """Return a text or path object of any class as a ``Path``.

    Args:
        name: The name of the argument.
        value: Whatever a caller passed. Its methods may raise anything.

    Raises:
        ArgumentError: The value is no path, or one that no file can have.
    """
    text = value
    if hasattr(type(value), "__fspath__"):
        text = guarded(name, lambda: cast("object", os.fspath(cast("Any", value))))
    text = guarded(name, lambda: normalized(text))
    if type(text) is not str:
        raise ArgumentError(Problem(name, f"must be a path, got {class_name(value)}"))
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise ArgumentError(Problem(name, "must be a path that can be encoded")) from None
    if b"\0" in encoded:
        raise ArgumentError(Problem(name, "must not contain a NUL character"))
    return Path(text)


#: What a setting has to be: a function that returns True for it, and its name in an error.
Wanted = tuple[Callable[[Any], bool], str]


def misfit(value: object, wanted: Wanted) -> str:
    """Return why a setting is refused; an empty text if it is valid.

    Args:
        value: Whatever a caller passed. Its methods may raise anything.
        wanted: What it has to be.
    """
    fits, name = wanted
    try:
        return "" if fits(value) else f"must be {name}, got {class_name(value)}"
    except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
        return f"cannot be read: it raised {class_name(error)}"


def a_number(name: str, *, least: float, whole: bool = False) -> Wanted:
    """Return what a number of at least ``least`` has to be."""

    def fits(value: object) -> bool:
        number = real(value)
        return number is not None and number >= least and (not whole or type(number) is int)

    return fits, name


def or_none(wanted: Wanted) -> Wanted:
    """Return what a setting has to be that may be None, too."""
    fits, name = wanted
    return lambda value: value is None or fits(value), f"{name}, or None"


#: Settings of several classes.
SECONDS: Final = a_number("a number of seconds, 0 or more", least=0)
YES_OR_NO: Final[Wanted] = (lambda value: type(value) is bool, "True or False")
FUNCTION: Final[Wanted] = (callable, "a function")


def is_plain_function(value: object) -> bool:
    """Return True for a function to be called and not awaited."""
    return callable(value) and not inspect.iscoroutinefunction(value)


def is_day(value: object) -> bool:
    """Return True for an exact ``date``: no ``datetime``, and of no subclass."""
    return type(value) is _TIMES[-1]


def guarded(name: str, work: Callable[[], T]) -> T:
    """Return what ``work`` returns for an argument whose own methods may raise anything.

    Args:
        name: The name of the argument.
        work: The function to call.

    Raises:
        ArgumentError: ``work`` raised an exception. An ArgumentError of its own passes through.
    """
    try:
        return work()
    except ArgumentError:
        raise
    except Exception as error:  # noqa: BLE001 - it is the caller's
        raised = type(error).__name__
    raise ArgumentError(Problem(name, f"cannot be read: it raised {raised}"))
