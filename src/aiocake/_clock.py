"""The time, for records with a date. Waits and deadlines use the clock of the event loop."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

#: Returns the time, in UTC; :func:`aiocake.testing.frozen_clock` puts another in its place.
now: Callable[[], datetime] = partial(datetime.now, UTC)
