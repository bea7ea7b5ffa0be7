"""The time, for records with a date. Waits and deadlines use the clock of the event loop."""

from collections.abc import Callable
from datetime import UTC, datetime

#: What tells the time; :func:`aiocake.testing.frozen_clock` puts another in its place.
source: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - it is replaced


def now() -> datetime:
    """Return the time, in UTC."""
    return source()
