"""The options of a run, as ``each`` and ``resume`` take them."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar, cast, get_args

import attrs

from aiocake._normalize import guarded, normalized, real
from aiocake.bulk.outcomes import Ended, Progress, Stop
from aiocake.errors import ArgumentError, CakeError, Problem

T = TypeVar("T")

OnOutcome = Callable[[Ended[T]], Awaitable[None] | None]
OnProgress = Callable[[Progress], object]
OnExisting = Literal["skip", "raise", "create"]
"""The treatment of a create whose partner has an invoice, not void, of an overlapping period."""


@attrs.frozen(kw_only=True)
class RunOptions:
    """The options of a run.

    Attributes:
        limit: Calls in flight at once; None for as many as the throttle allows.
        on_existing: The treatment of a create whose partner has a record of that time.
        stop_after: The limits at which to stop sending; None to stop for a refused key only.
        expected: Errors that do not count as failures.
        on_outcome: Called with the end of each call.
        on_progress: Called with the run's progress.
        settle: Seconds that a lost create gets to show up.
    """

    limit: int | None
    on_existing: str
    stop_after: Stop | None
    expected: tuple[type[CakeError], ...]
    on_outcome: OnOutcome[Any] | None
    on_progress: OnProgress | None
    settle: float


def run_options(  # noqa: PLR0913, PLR0917 - what each() and resume() share
    limit: int | None,
    on_existing: OnExisting,
    stop_after: Stop | None,
    expected: tuple[type[CakeError], ...],
    on_outcome: OnOutcome[Any] | None,
    on_progress: OnProgress | None,
    settle: float,
    *,
    allow_repeats: bool,
    allow_unknown_filesystem: bool,
) -> RunOptions:
    """Return the options of a run, checked.

    Raises:
        ArgumentError: Some are invalid; it names all of them.
    """
    problems: list[Problem] = []
    most = guarded("limit", lambda: normalized(limit))
    if most is not None and (type(most) is not int or most < 1):
        problems.append(Problem("limit", "must be a whole number of at least 1"))
    existing = guarded("on_existing", lambda: normalized(on_existing))
    if type(existing) is not str or existing not in get_args(OnExisting):
        problems.append(Problem("on_existing", "must be skip, raise or create"))
    seconds = real(settle)
    if seconds is None or seconds < 0:
        problems.append(Problem("settle", "must be a number of seconds, 0 or more"))
    # A text such as "no" would allow it.
    allowed: dict[str, object] = {
        "allow_repeats": allow_repeats,
        "allow_unknown_filesystem": allow_unknown_filesystem,
    }
    problems += [
        Problem(name, "must be True or False")
        for name, value in allowed.items()
        if type(value) is not bool
    ]
    # isinstance would ask a value for its class.
    if stop_after is not None and not issubclass(type(stop_after), Stop):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        problems.append(Problem("stop_after", "must be a Stop, or None"))
    errors = guarded("expected", lambda: _errors(expected))
    if errors is None:
        problems.append(Problem("expected", "must be a tuple of error classes of aiocake"))
    reported: dict[str, object] = {"on_outcome": on_outcome, "on_progress": on_progress}
    problems += [
        Problem(name, "must be a function, or None")
        for name, function in reported.items()
        if not (function is None or callable(function))
    ]
    if problems:
        raise ArgumentError(*problems)
    return RunOptions(
        limit=cast("int | None", most),
        on_existing=cast("str", existing),
        stop_after=stop_after,
        expected=errors or (),
        on_outcome=on_outcome,
        on_progress=on_progress,
        settle=seconds or 0,
    )


def _errors(value: object) -> tuple[type[CakeError], ...] | None:
    if not isinstance(value, tuple):
        return None
    kinds = tuple(cast("tuple[object, ...]", value))
    if all(isinstance(kind, type) and issubclass(kind, CakeError) for kind in kinds):
        return cast("tuple[type[CakeError], ...]", kinds)
    return None
