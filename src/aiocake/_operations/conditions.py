"""The condition of one write: what it expects of its record, and what a look has shown."""

import math
from typing import Final, Protocol

import attrs

from aiocake._operations.recent_rows import RecentRows

#: A look is good for so many seconds.
FRESH: Final = 5.0


class Expectation(Protocol):
    """The values that a record must have before it is written."""

    def stated(self) -> dict[str, object]:
        """Return the expected values by field."""
        ...


@attrs.frozen
class Comparison:
    """A record compared with what a write expects of it.

    Attributes:
        differences: What is not as expected, in words; empty where all is.
        applied: True if the record is as the write would leave it. None if it is as far as can be
            seen, and the write sets more than that.
    """

    differences: tuple[str, ...]
    applied: bool | None


@attrs.define(eq=False)
class WriteCondition:
    """The condition of one write. Whoever makes the write reads here what became of it.

    Attributes:
        expect: What is expected of the record, of the class that the operation names; None for
            what a run allows by itself.
        flow: True if the record may be set only as the API's own flow goes, where ``expect`` does
            not say where it has to stand.
        in_doubt: True if the write may have been carried out before this call.
        rows: What lists have shown lately; None to read the record by itself.
        record: The record as it was seen last; None before.
        asked_at: When it was asked for, on the event loop's clock.
        seen_at: When it was seen: from then on it grows old. A page does so from when it was asked
            for.
        applied: True if the write was found to have been carried out before its last attempt.
        waited: How many seconds after the look was asked for the last attempt began; None before
            one has.
    """

    expect: Expectation | None
    flow: bool = False
    in_doubt: bool = False
    rows: RecentRows | None = None
    record: object | None = None
    asked_at: float = -math.inf
    seen_at: float = -math.inf
    applied: bool = False
    waited: float | None = None

    def saw(self, record: object, asked_at: float, seen_at: float) -> None:
        """Store a record as it was read."""
        self.record = record
        self.asked_at, self.seen_at = asked_at, seen_at

    def is_fresh(self, now: float) -> bool:
        """Return True if the record was seen so lately that the write may be sent."""
        return now - self.seen_at <= FRESH

    def forget(self) -> None:
        """Discard the look, so that the record is read again: an attempt may have changed it."""
        self.seen_at = -math.inf
