"""What a run is told to do, as ``each`` and ``resume`` take it."""

import math
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar, cast, get_args

import attrs

from aiocake.bulk._outcomes import Ended, Progress, Stop
from aiocake.errors import ArgumentError, CakeError, Problem

__all__ = ["OnExisting", "OnOutcome", "OnProgress", "Rules", "rules_of"]

T = TypeVar("T")

OnOutcome = Callable[[Ended[T]], Awaitable[None] | None]
OnProgress = Callable[[Progress], object]
OnExisting = Literal["skip", "raise", "create"]
"""What to do with a create whose partner has an invoice of an overlapping period, not void."""


@attrs.frozen(kw_only=True)
class Rules:
    """What a run is told to do.

    Attributes:
        limit: Calls on their way at once; None for what the throttle lets out.
        on_existing: What to do with a create whose partner has a record of that time.
        stop_after: When to stop sending; None to stop for a refused key only.
        expected: Errors that do not count as failures.
        on_outcome: Is told of each end.
        on_progress: Is told how far the run is.
        settle: Seconds that a lost create is given to show up.
    """

    limit: int | None
    on_existing: str
    stop_after: Stop | None
    expected: tuple[type[CakeError], ...]
    on_outcome: OnOutcome[Any] | None
    on_progress: OnProgress | None
    settle: float


def rules_of(  # noqa: PLR0913, PLR0917 - what each() and resume() share
    limit: int | None,
    on_existing: OnExisting,
    stop_after: Stop | None,
    expected: tuple[type[CakeError], ...],
    on_outcome: OnOutcome[Any] | None,
    on_progress: OnProgress | None,
    settle: float,
    *,
    allow_unknown_filesystem: bool,
) -> Rules:
    """What a run is told to do.

    Raises:
        ArgumentError: Something of it cannot be.
    """
    problems: list[Problem] = []
    if limit is not None and (type(limit) is not int or limit < 1):
        problems.append(Problem("limit", "must be a whole number of at least 1"))
    if on_existing not in get_args(OnExisting):
        problems.append(Problem("on_existing", "must be skip, raise or create"))
    if not _is_seconds(settle):
        problems.append(Problem("settle", "must be a number of seconds"))
    # A text such as "no" would allow it.
    if type(allow_unknown_filesystem) is not bool:
        problems.append(Problem("allow_unknown_filesystem", "must be True or False"))
    if not isinstance(stop_after, Stop | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        problems.append(Problem("stop_after", "must be a Stop, or None"))
    if not _are_errors(expected):
        problems.append(Problem("expected", "must be a tuple of errors of aiocake"))
    told: dict[str, object] = {"on_outcome": on_outcome, "on_progress": on_progress}
    problems += [
        Problem(name, "must be a function, or None")
        for name, function in told.items()
        if not (function is None or callable(function))
    ]
    if problems:
        raise ArgumentError(*problems)
    return Rules(
        limit=limit,
        on_existing=on_existing,
        stop_after=stop_after,
        expected=expected,
        on_outcome=on_outcome,
        on_progress=on_progress,
        settle=settle,
    )


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _are_errors(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    kinds = cast("tuple[object, ...]", value)
    return all(isinstance(kind, type) and issubclass(kind, CakeError) for kind in kinds)
