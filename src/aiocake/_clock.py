"""The time, for records with a date. Waits and deadlines use the clock of the event loop."""

from collections.abc import Callable
from datetime import UTC, datetime

#: Returns the time, in UTC; :func:`aiocake.testing.frozen_clock` puts another in its place.
#: It looks ``datetime`` up each time: freezegun puts a class of its own in that place.
now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - it is replaced
