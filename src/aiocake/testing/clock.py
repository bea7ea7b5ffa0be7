"""A frozen clock, for tests of dated things: plans, approvals, receipts."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from aiocake import _clock

__all__ = ["FROZEN_AT", "FrozenClock", "frozen_clock"]

#: The time of a frozen clock by default.
FROZEN_AT: Final = datetime(2024, 2, 1, 9, tzinfo=UTC)


class FrozenClock:
    """A clock for aiocake that stands still until it is set or moved.

    Deadlines, waits and the pace of calls go on as ever; so do the clocks of other libraries.
    """

    def __init__(self, at: datetime) -> None:
        self.set(at)

    @property
    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._now

    def set(self, at: datetime) -> None:
        """Set the time.

        Args:
            at: The time, with its zone.

        Raises:
            ValueError: It has no time zone.
            TypeError: It is no datetime.
        """
        _must_be(datetime, at)
        if at.tzinfo is None:
            raise ValueError(f"{at} has no time zone: datetime(…, tzinfo=UTC)")
        self._now = at.astimezone(UTC)

    def move(self, by: timedelta) -> None:
        """Move the time, as in ``clock.move(timedelta(days=8))``.

        Args:
            by: How far; a negative one moves it back.

        Raises:
            TypeError: It is no timedelta.
        """
        _must_be(timedelta, by)
        self._now += by


def _must_be(wanted: type, value: object) -> None:
    if not isinstance(value, wanted):
        raise TypeError(f"a clock takes a {wanted.__name__}, not {value!r}")


@contextmanager
def frozen_clock(at: datetime = FROZEN_AT) -> Generator[FrozenClock]:
    """Freeze the clock of aiocake in this process, until the block is left.

    Args:
        at: The time, with its zone.

    Yields:
        The clock.

    Raises:
        ValueError: The time has no zone.
    """
    clock = FrozenClock(at)
    before = _clock.now
    _clock.now = lambda: clock.now
    try:
        yield clock
    finally:
        _clock.now = before
