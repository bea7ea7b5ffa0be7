"""The options of a run, as ``each`` and ``resume`` take them."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, cast, get_args

import attrs

from aiocake._normalize import (
    FUNCTION,
    SECONDS,
    YES_OR_NO,
    Wanted,
    a_number,
    misfit,
    normalized,
    or_none,
    real,
)
from aiocake.bulk.outcomes import Ended, Progress, Stop
from aiocake.errors import ArgumentError, CakeError, Problem

T = TypeVar("T")

OnOutcome = Callable[[Ended[T]], Awaitable[None] | None]
OnProgress = Callable[[Progress], object]
OnExisting = Literal["skip", "raise", "create"]
"""The treatment of a create whose partner has an invoice, not void, of an overlapping period."""
NO_CONFLICTS: Final[Mapping[int, str]] = MappingProxyType({})
OnConflict = Literal["skip", "raise", "overwrite"]
"""The treatment of a write whose record is not as expected."""


@attrs.frozen(kw_only=True, eq=False)
class RunOptions:
    """The options of a run.

    Attributes:
        limit: Calls in flight at once; None for as many as the throttle allows.
        on_existing: The treatment of a create whose partner has a record of that time.
        on_conflict: The treatment of a write whose record is not as expected.
        known_conflicts: The calls that are not sent since their caller knows that their record is
            not as expected, by place, with the reason.
        known_done: The places of the calls whose record is as they would leave it, as their caller
            knows: those that may have been carried out before were.
        stop_after: The limits at which to stop sending; None to stop for a refused key only.
        expected: Errors that do not count as failures.
        on_outcome: Called with the end of each call.
        on_progress: Called with the run's progress.
        settle: Seconds that a lost create gets to show up.
    """

    limit: int | None
    on_existing: str
    on_conflict: str
    known_conflicts: Mapping[int, str]
    known_done: Collection[int]
    stop_after: Stop | None
    expected: tuple[type[CakeError], ...]
    on_outcome: OnOutcome[Any] | None
    on_progress: OnProgress | None
    settle: float


def run_options(**options: Any) -> RunOptions:  # noqa: ANN401 - checked here
    """Return the options of a run: those of :class:`RunOptions`, and what a run must be allowed.

    Raises:
        ArgumentError: Some are invalid; it names all of them.
    """
    reasons = {name: misfit(value, _MUST_BE[name]) for name, value in options.items()}
    if problems := [Problem(name, reason) for name, reason in reasons.items() if reason]:
        raise ArgumentError(*problems)
    exact: dict[str, Any] = {
        name: normalized(value) for name, value in options.items() if not name.startswith("allow_")
    }
    exact["settle"] = real(exact["settle"])
    return RunOptions(**exact)


def _are_errors(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(kind, type) and issubclass(kind, CakeError)
        for kind in cast("tuple[object, ...]", value)
    )


_MUST_BE: Final[Mapping[str, Wanted]] = {
    "limit": or_none(a_number("a whole number of at least 1", least=1, whole=True)),
    "on_existing": (
        lambda value: type(text := normalized(value)) is str and text in get_args(OnExisting),
        "skip, raise or create",
    ),
    "on_conflict": (
        lambda value: type(text := normalized(value)) is str and text in get_args(OnConflict),
        "skip, raise or overwrite",
    ),
    "known_conflicts": ((lambda value: isinstance(value, Mapping)), "a mapping"),
    "known_done": ((lambda value: isinstance(value, Collection)), "a collection of places"),
    # isinstance would ask a value for its class.
    "stop_after": or_none((lambda value: issubclass(type(value), Stop), "a Stop")),
    "expected": (_are_errors, "a tuple of errors of aiocake"),
    "on_outcome": or_none(FUNCTION),
    "on_progress": or_none(FUNCTION),
    "settle": SECONDS,
    # A text such as "no" would allow it.
    "allow_repeats": YES_OR_NO,
    "allow_unknown_filesystem": YES_OR_NO,
}
