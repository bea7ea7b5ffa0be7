"""The interface of all stores: the requests of a client, and the replies.

A record is kept for each name. It holds when the next call is due, until when all calls are held
back, what was learnt of the instance, and which processes have asked lately. All times are on the
store's clock, and only differences leave it: what a reply says is to be counted from when it came.

Turns follow the virtual scheduling of ITU-T I.371 (GCRA), as in the client's own throttle: with an
interval ``I`` and a slack ``s``, the turns of a request for ``n`` begin at::

    base = max(now, end of the pause, end of the return)
    due  = max(due, base)
    turn k = max(base, due + k * I - s),  k = 0 … n - 1
    due  = due + n * I
"""

from typing import Protocol

import attrs

from aiocake._normalize import class_name, real

__all__ = ["QuotaReply", "QuotaRequest", "QuotaStore", "QuotaUnavailable"]

#: A process counts as there for so long after it has asked, in seconds.
MEMBER_FOR = 15.0
#: After an outage of the store, all return to it so many seconds after the first one has.
RETURN_AFTER = 1.5
#: Where somebody had a turn within so many seconds, the store was away for the one who asks only.
RECENT = 0.4
#: What was admitted is counted from the beginning of a span, in seconds, until a pace is known.
SPAN = 20.0
#: A record that nobody asks for is forgotten after so many seconds.
KEPT_FOR = 7 * 24 * 3600


class QuotaUnavailable(Exception):
    """The store cannot be asked: it is not there, it is slow, or it refuses."""


@attrs.frozen(kw_only=True)
class QuotaRequest:
    """A request of a client: what it asks for, and what it has learnt.

    Attributes:
        member: Who asks: a text that no other client has.
        turns: How many turns to reserve; 0 to learn only.
        interval: Seconds between two turns; 0 for no rate.
        slack: How many seconds before it is due a turn may begin, which lets a burst through.
        pause: Hold all calls back for so many seconds from now; 0 for no pause.
        refuse: End calls instead of holding them back, for so many seconds; 0 for not.
        status: The HTTP status of the response that asked for it.
        end_pause: True to end all pauses.
        learned: What was learnt of the instance, to be kept in place of version ``version``.
        version: The version of what the client knows.
        refused: How many of the calls that had a turn were refused.
        returning: True when the client has sent calls without the store until now.
    """

    member: str
    turns: int = 0
    interval: float = 0.0
    slack: float = 0.0
    pause: float = 0.0
    refuse: float = 0.0
    status: int = 0
    end_pause: bool = False
    learned: str | None = None
    version: int = 0
    refused: int = 0
    returning: bool = False


@attrs.frozen(kw_only=True)
class QuotaReply:
    """The reply of a store. Times are in seconds from when the store answered.

    Attributes:
        now: The store's clock.
        base: When the first turn may begin at the earliest.
        due: When it is due, less the slack; below ``base`` in a burst.
        pauses: How many pauses have begun so far, or were ended before their time.
        pause: How long calls are held back; 0 when they are not.
        refuse: How long calls are refused; 0 when they are not.
        status: The HTTP status of the response that has asked for it.
        version: The version of what was learnt.
        learned: What was learnt, where the client knows another version; else None.
        admitted: How many turns were given so far, less the calls that were refused.
        span_admitted: How many had been given when the span began.
        span: How long ago the span began.
        members: How many clients have asked lately.
        away: How long the client is to go on without the store.

    Raises:
        TypeError: A value is of another type, or no finite number.
    """

    now: float
    base: float
    due: float
    pauses: int
    pause: float
    refuse: float
    status: int
    version: int
    learned: str | None
    admitted: int
    span_admitted: int
    span: float
    members: int
    away: float

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            fits = isinstance(value, str | None)
            if field.type in {int, float}:
                fits = real(value) is not None and (field.type is float or isinstance(value, int))
            if not fits:
                raise TypeError(f"{field.name} cannot be {class_name(value)}")

    def turns(self, count: int, interval: float) -> list[float]:
        """Return when the reserved turns begin, in seconds from when the store answered.

        Args:
            count: How many were asked for.
            interval: Seconds between two of them.
        """
        return [max(self.base, self.due + number * interval) for number in range(count)]


class QuotaStore(Protocol):
    """Keeps one quota. Its methods are called in a thread, by one client at a time or by several.

    Attributes:
        where: Where the store is, without a user name or a password.
    """

    @property
    def where(self) -> str:
        """Return where the store is, for messages."""
        ...

    def ask(self, request: QuotaRequest, /) -> QuotaReply:
        """Do what a request says, in one step.

        Args:
            request: The turns to reserve, and the news of the client.

        Raises:
            QuotaUnavailable: The store cannot be asked. Whether it has counted the request is not
                known then: turns that were reserved are lost.
        """
        ...

    def close(self) -> None:
        """Close connections. They are opened again when somebody asks."""
        ...
