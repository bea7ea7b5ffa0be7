"""What ``Client(on_event=…)`` is told: one small frozen class for each kind of event.

Events hold no key, no URL with a query, no names, notes or amounts.
"""

from collections.abc import Callable

import attrs

from aiocake.errors import Outcome

__all__ = [
    "AttemptEnded",
    "CallEnded",
    "Event",
    "ListSurprise",
    "OnEvent",
    "Paused",
    "ReferencesDropped",
    "RetryScheduled",
]


@attrs.frozen
class AttemptEnded:
    """One attempt is over: its number from 1, its status or error, and whether it may have left."""

    operation: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    sent: bool


@attrs.frozen
class RetryScheduled:
    """A further attempt will be made after ``wait`` seconds."""

    operation: str
    number: int
    wait: float
    error: str


@attrs.frozen
class Paused:
    """A throttled answer pauses all calls of the client for ``seconds``."""

    operation: str
    seconds: float


@attrs.frozen
class CallEnded:
    """A call is over: how many attempts it took, and, of a write, its outcome."""

    operation: str
    attempts: int
    seconds: float
    outcome: Outcome | None
    error: str | None


@attrs.frozen
class ListSurprise:
    """A list behaved in a way that the documents do not promise, and paging coped with it.

    ``what`` is one of ``"counts from 1"``, ``"fewer rows than asked"``, ``"total changed"``,
    ``"row repeated"``, ``"walked again"``, ``"date outside the filter"``.
    """

    operation: str
    what: str
    detail: str = ""


@attrs.frozen
class ReferencesDropped:
    """Illegal character references (such as ``&#xB;``) were left out of an XML answer."""

    operation: str
    count: int


Event = AttemptEnded | RetryScheduled | Paused | CallEnded | ListSurprise | ReferencesDropped
OnEvent = Callable[[Event], None]
